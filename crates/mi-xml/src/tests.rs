//! Tests of the document as a whole, through its public interface; what each table is about is said in its file.

mod differential;
mod edits;
mod generator;
mod malformed;
mod reading;
mod robustness;
mod writing;

use std::fmt::Write;

use crate::{Document, NodeId, NodeKind};

/// Parses or fails the test with the error.
#[track_caller]
fn parse(text: &str) -> Document {
    Document::parse(text.to_owned()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The element children path `a/b/c` below the root element, by local names.
#[track_caller]
fn at(doc: &Document, path: &str) -> NodeId {
    let mut el = doc.root_element().expect("a root element");
    for step in path.split('/').filter(|step| !step.is_empty()) {
        el = doc
            .child_elements(el)
            .find(|&it| doc.local_name(it) == step)
            .unwrap_or_else(|| panic!("no {step} in {}", doc.to_xml(el)));
    }
    el
}

/// `part(0)`, `part(1)` and so on, joined.
fn many(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

/// What a document says, independent of how it is written: expanded names, sorted attributes, joined texts.
fn canonical(doc: &Document, top: NodeId) -> String {
    let mut out = String::new();
    let mut text = String::new();
    for n in doc.descendants(top) {
        if doc.kind(n) == NodeKind::Text {
            let starts_run = doc.prev_sibling(n).is_none_or(|before| doc.kind(before) != NodeKind::Text);
            if starts_run {
                flush(&mut out, &mut text);
            }
            text.push_str(&doc.value(n));
            continue;
        }
        flush(&mut out, &mut text);
        let inside = |it: &NodeId| n != top && doc.kind(*it) != NodeKind::Document;
        let depth = doc.ancestors(n).take_while(inside).take_while(|&it| Some(it) != doc.parent(top)).count();
        match doc.kind(n) {
            NodeKind::Element => {
                writeln!(out, "{depth} {{{}}}{}", doc.namespace(n), doc.local_name(n)).unwrap();
                let mut attributes: Vec<String> = doc
                    .attributes(n)
                    .map(|it| format!("  @{{{}}}{}={:?}", doc.namespace(it), doc.local_name(it), doc.value(it)))
                    .collect();
                attributes.sort();
                for line in attributes {
                    writeln!(out, "{line}").unwrap();
                }
            }
            NodeKind::Comment => writeln!(out, "{depth} <!--{:?}", doc.value(n)).unwrap(),
            NodeKind::Pi => writeln!(out, "{depth} <?{} {:?}", doc.local_name(n), doc.value(n)).unwrap(),
            _ => {}
        }
    }
    flush(&mut out, &mut text);
    out
}

fn flush(out: &mut String, text: &mut String) {
    if !text.is_empty() {
        writeln!(out, "  {text:?}").unwrap();
        text.clear();
    }
}

/// Checks that links, order and numbering of the whole document agree with each other.
#[track_caller]
fn check_links(doc: &Document) {
    let mut last = None;
    for n in doc.descendants(Document::ROOT) {
        let children: Vec<_> = doc.children(n).collect();
        assert_eq!(doc.first_child(n), children.first().copied());
        assert_eq!(doc.last_child(n), children.last().copied());
        for pair in children.windows(2) {
            assert_eq!(doc.prev_sibling(pair[1]), Some(pair[0]));
            assert_eq!(doc.next_sibling(pair[0]), Some(pair[1]));
        }
        assert!(children.iter().all(|&child| doc.parent(child) == Some(n)));
        assert!(doc.attribute_list(n).all(|it| doc.parent(it) == Some(n)));
        for it in std::iter::once(n).chain(doc.attribute_list(n)) {
            if let Some(last) = last {
                assert_eq!(doc.compare_order(last, it), std::cmp::Ordering::Less);
            }
            last = Some(it);
        }
    }
}
