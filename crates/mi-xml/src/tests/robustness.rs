//! Documents made to hurt: none may cost more than its size, and none may overflow a stack.

use std::time::{Duration, Instant};

use super::{many, parse};
use crate::{Document, Limits, ParseOptions};

/// Far more than any of these takes, also in a debug build on a busy machine; quadratic work would take minutes.
const PATIENCE: Duration = Duration::from_secs(20);

fn unlimited() -> ParseOptions {
    let limits = Limits { max_depth: u32::MAX, max_attributes: u32::MAX, max_name: usize::MAX, ..Limits::default() };
    ParseOptions { limits, ..ParseOptions::default() }
}

#[track_caller]
fn check(text: String) -> Document {
    let start = Instant::now();
    let mut doc = Document::parse_with(text.clone(), &unlimited()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(doc.to_xml(Document::ROOT), text);
    doc.mark_all_changed();
    assert!(!doc.to_xml(Document::ROOT).is_empty());
    assert!(start.elapsed() < PATIENCE, "took {:?}", start.elapsed());
    doc
}

#[test]
fn depth() {
    let depth = 200_000;
    let doc = check("<a>".repeat(depth) + &"</a>".repeat(depth));
    assert_eq!(doc.descendants(Document::ROOT).count(), depth + 1);
    assert_eq!(doc.string_value(Document::ROOT), "");
    let mut copy = Document::new();
    let root = copy.import(&doc, Document::ROOT);
    copy.append_child(Document::ROOT, root);
    let again = copy.copy(root);
    assert_eq!(copy.descendants(again).count(), depth);
    let error = Document::parse("<a>".repeat(depth)).unwrap_err();
    assert!(error.message.contains("max_depth"), "{error}");
}

#[test]
fn many_attributes() {
    let attributes = many(100_000, |number| format!(" a{number}=''"));
    check(format!("<a{attributes}/>"));
    let error = Document::parse(format!("<a{attributes}/>")).unwrap_err();
    assert!(error.message.contains("max_attributes"), "{error}");
}

#[test]
fn many_declarations() {
    let declarations = many(10_000, |number| format!(" xmlns:a{number}='urn:{number}'"));
    check(format!("<a{declarations}><b{declarations}><c/></b></a>"));
    let each = many(20_000, |number| format!("<a xmlns='urn:{number}'/>"));
    check(format!("<a>{each}</a>"));
    let prefixes = many(20_000, |number| format!("<p:a xmlns:p='urn:{number}' p:x=''/>"));
    check(format!("<a>{prefixes}</a>"));
}

#[test]
fn many_names() {
    let elements = many(50_000, |number| format!("<a{number}/>"));
    check(format!("<a>{elements}</a>"));
}

#[test]
fn floods() {
    check(format!("<a>{}</a>", "<!---->".repeat(100_000)));
    check(format!("<a>{}</a>", "<?p?>".repeat(100_000)));
    check(format!("<a>{}</a>", "<![CDATA[x]]>".repeat(100_000)));
    check(format!("<a>{}</a>", "&amp;".repeat(200_000)));
    check(format!("<a b='{}'/>", "x\n".repeat(500_000)));
    check(format!("<a>{}</a>", "]]".repeat(100_000) + "<![CDATA[]]]]>"));
    for unfinished in ["<!--", "<![CDATA[", "<?p ", "<a b='", "&", "<a "] {
        let start = Instant::now();
        assert!(Document::parse(format!("<a>{}", unfinished.repeat(100_000))).is_err());
        assert!(start.elapsed() < PATIENCE);
    }
}

#[test]
fn text_with_section_ends_is_checked_once() {
    let text = "x]] ><b/>".repeat(50_000);
    check(format!("<a>{text}<![CDATA[]]></a>"));
}

#[test]
fn building_is_linear() {
    let start = Instant::now();
    let mut doc = parse("<a/>");
    let root = doc.root_element().unwrap();
    let mut at = root;
    for number in 0..50_000 {
        let child = doc.create_element("", "b", "");
        doc.append_child(at, child);
        doc.set_text(child, "x");
        if number % 2 == 0 {
            at = child;
        }
    }
    doc.detach(root);
    assert!(start.elapsed() < PATIENCE);
}
