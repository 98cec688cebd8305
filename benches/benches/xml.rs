//! Parsing and writing SOAP messages: this project's document beside roxmltree (a read-only tree) and quick-xml (events
//! without a tree), in MB/s.

#![allow(clippy::print_stdout, clippy::unwrap_used)] // A report on standard output is what this program is for.

use bytes::Bytes;
use mi_benches::{seconds, soap_message};
use mi_xml::Document;
use mimalloc::MiMalloc;
use quick_xml::events::Event;

/// The allocator of the server.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() {
    println!(
        "{:>9} | {:>9} {:>9} {:>9} | {:>9} {:>9} {:>9} {:>9} | {:>9}   MB/s",
        "bytes", "parse", "roxmltree", "quick-xml", "write", "changed", "set text", "moved", "clone"
    );
    for size in [1_000, 10_000, 100_000, 1_000_000] {
        let message = soap_message(size);
        let rate = |seconds: f64| message.len() as f64 / seconds / 1e6;
        let bytes = Bytes::from(message.clone());

        let parse = seconds(|| Document::parse(bytes.clone()).unwrap());
        let roxmltree = seconds(|| roxmltree::Document::parse(&message).unwrap());
        let quick_xml = seconds(|| quick_xml_events(&message));

        let untouched = Document::parse(bytes.clone()).unwrap();
        let write = writing(&untouched);
        let mut changed = untouched.clone();
        changed.mark_all_changed();
        let texts = writing(&with_new_texts(&untouched));
        println!(
            "{:>9} | {:>9.0} {:>9.0} {:>9.0} | {:>9.0} {:>9.0} {:>9.0} {:>9.0} | {:>9.0}",
            message.len(),
            rate(parse),
            rate(roxmltree),
            rate(quick_xml),
            rate(write),
            rate(writing(&changed)),
            rate(texts),
            rate(writing(&wrapped(&untouched))),
            rate(seconds(|| untouched.clone())),
        );
    }
}

/// Time to write a document into a buffer that is used again.
fn writing(document: &Document) -> f64 {
    let mut out = Vec::new();
    seconds(|| {
        out.clear();
        document.write(Document::ROOT, &mut out);
        out.len()
    })
}

/// The document with every text inside of a leaf element set anew, so that it has to be escaped.
fn with_new_texts(document: &Document) -> Document {
    let mut changed = document.clone();
    let leaves: Vec<_> = document
        .descendants(Document::ROOT)
        .filter(|&it| document.is_element(it) && document.first_child_element(it).is_none())
        .collect();
    for leaf in leaves {
        changed.set_text(leaf, &document.text(leaf));
    }
    changed
}

/// The payload of the message in an envelope made anew, as mediation leaves it.
fn wrapped(document: &Document) -> Document {
    let soap = "http://schemas.xmlsoap.org/soap/envelope/";
    let mut doc = document.clone();
    let root = doc.root_element().unwrap();
    let envelope = doc.create_element("soapenv", "Envelope", soap);
    let body = doc.create_element("soapenv", "Body", soap);
    doc.append_child(envelope, body);
    doc.replace(root, envelope);
    doc.append_child(body, root);
    doc
}

/// Reads all events and counts them.
fn quick_xml_events(message: &str) -> usize {
    let mut reader = quick_xml::Reader::from_str(message);
    let mut events = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => return events,
            Event::Start(start) | Event::Empty(start) => events += 1 + start.attributes().flatten().count(),
            _ => events += 1,
        }
    }
}
