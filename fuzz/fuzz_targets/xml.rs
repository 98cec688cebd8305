//! What is parsed must be written back as it was, and read the same again after every part of it was written anew.
//!
//! Run with `cargo xtask fuzz xml`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_xml::{Document, NodeKind};

/// Names, values and structure of a document, with texts that stand side by side joined.
fn said(doc: &Document) -> Vec<(NodeKind, String, String, String)> {
    let mut said: Vec<(NodeKind, String, String, String)> = Vec::new();
    for n in doc.descendants(Document::ROOT) {
        let kind = doc.kind(n);
        let is_element = kind == NodeKind::Element;
        let value = if is_element || kind == NodeKind::Document { String::new() } else { doc.value(n).into_owned() };
        match said.last_mut() {
            Some(last) if kind == NodeKind::Text && last.0 == NodeKind::Text => last.3.push_str(&value),
            _ => said.push((kind, doc.namespace(n).to_owned(), doc.local_name(n).to_owned(), value)),
        }
        for it in doc.attributes(n) {
            said.push((
                NodeKind::Attribute,
                doc.namespace(it).to_owned(),
                doc.local_name(it).to_owned(),
                doc.value(it).into_owned(),
            ));
        }
        if is_element && doc.first_child(n).is_none() {
            said.push((NodeKind::Document, String::new(), String::new(), String::new()));
        }
    }
    said
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut doc) = Document::parse(bytes.to_vec()) else { return };
    let before = said(&doc);
    let written = doc.to_xml(Document::ROOT);
    assert_eq!(said(&Document::parse(written).expect("what was copied is well formed")), before);
    doc.mark_all_changed();
    let anew = doc.to_xml(Document::ROOT);
    assert_eq!(said(&Document::parse(anew).expect("what was written anew is well formed")), before);
});
