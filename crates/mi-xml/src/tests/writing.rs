//! What is written for documents nobody changed, whole and in parts.

use super::{at, canonical, many, parse};
use crate::{Declaration, Document, WriteOptions};

#[track_caller]
fn check(text: &str) {
    let mut doc = parse(text);
    assert_eq!(doc.to_xml(Document::ROOT), text);
    assert_eq!(doc.to_xml(doc.root_element().unwrap()), text);
    let said = canonical(&doc, Document::ROOT);
    doc.mark_all_changed();
    let anew = doc.to_xml(Document::ROOT);
    assert_eq!(canonical(&parse(&anew), Document::ROOT), said, "{anew}");
}

#[test]
fn unchanged_documents_are_copied() {
    for text in [
        "<a/>",
        "<a />",
        "<a></a >",
        "<a b = '1'\n\tc=\"2\"/>",
        "<a>x<!-- y --><?z?><![CDATA[<]]>&#x41;</a>",
        "<p:a xmlns:p='urn:p' p:b='\"'><p:c xmlns:p='urn:q'/></p:a>",
        "<a xmlns='urn:a'><b xmlns=''><c xmlns='urn:a'/></b></a>",
        "<a>\r\n<b c='\t\n'/>\r</a>",
        "<é ü='ß'>😀</é>",
        "<a>]]<![CDATA[]]>></a>",
    ] {
        check(text);
    }
}

#[test]
fn the_document_node_keeps_its_comments_but_not_the_declaration() {
    let doc = parse("\u{FEFF}<?xml version='1.0'?>\n<!-- a -->\n<b/>\n<?c d?>\n");
    assert_eq!(doc.to_xml(Document::ROOT), "<!-- a -->\n<b/>\n<?c d?>");
}

#[test]
fn parts_get_the_declarations_they_need() {
    let doc =
        parse("<a xmlns='urn:d' xmlns:p='urn:p' xmlns:q='urn:q'><p:b c='1'><d/></p:b><e/><f xmlns=''><g/></f></a>");
    for (path, expected) in [
        ("b", "<p:b xmlns=\"urn:d\" xmlns:p=\"urn:p\" c='1'><d/></p:b>"),
        ("b/d", "<d xmlns=\"urn:d\"/>"),
        ("e", "<e xmlns=\"urn:d\"/>"),
        ("f", "<f xmlns=''><g/></f>"),
        ("f/g", "<g/>"),
    ] {
        assert_eq!(doc.to_xml(at(&doc, path)), expected);
        let mut changed = doc.clone();
        changed.mark_all_changed();
        let said = canonical(&parse(expected), Document::ROOT);
        assert_eq!(canonical(&parse(&changed.to_xml(at(&doc, path))), Document::ROOT), said);
    }
    let b = at(&doc, "b");
    assert_eq!(doc.to_xml(doc.attribute_node(b, "", "c").unwrap()), "c='1'");
    let declaration = doc.namespace_decls(doc.root_element().unwrap()).next().unwrap();
    assert_eq!(doc.to_xml(declaration), "xmlns='urn:d'");
}

#[test]
fn more_bindings_than_bits() {
    let declarations = many(60, |number| format!(" xmlns:p{number}='urn:{number}'"));
    let uses = many(60, |number| format!("<p{number}:b/>"));
    let text = format!("<a{declarations}><w>{uses}</w></a>");
    check(&text);
    let doc = parse(&text);
    let part = doc.to_xml(at(&doc, "w"));
    assert_eq!(canonical(&parse(&part), Document::ROOT), canonical(&doc, at(&doc, "w")));
    let mut other = parse("<o/>");
    let root = other.root_element().unwrap();
    let copy = other.import(&doc, at(&doc, "w"));
    assert_eq!(other.lookup_namespace(copy, "p59"), Some("urn:59"));
    other.append_child(root, copy);
    assert_eq!(canonical(&parse(&other.to_xml(copy)), Document::ROOT), canonical(&doc, at(&doc, "w")));
}

#[test]
fn options() {
    let doc = parse("<a><!--b--><c/><?d?></a>");
    let write = |options: &WriteOptions| {
        let mut out = Vec::new();
        doc.write_with(Document::ROOT, &mut out, options);
        String::from_utf8(out).unwrap()
    };
    let declaration = |declaration| WriteOptions { declaration: Some(declaration), ..WriteOptions::default() };
    for (options, expected) in [
        (declaration(Declaration::default()), "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a><!--b--><c/><?d?></a>"),
        (
            declaration(Declaration { encoding: "X".into(), standalone: Some(true), single_quotes: true }),
            "<?xml version='1.0' encoding='X' standalone='yes'?><a><!--b--><c/><?d?></a>",
        ),
        (WriteOptions { omit_comments: true, ..WriteOptions::default() }, "<a><c/><?d?></a>"),
        (WriteOptions { omit_pis: true, ..WriteOptions::default() }, "<a><!--b--><c/></a>"),
    ] {
        assert_eq!(write(&options), expected);
    }
}
