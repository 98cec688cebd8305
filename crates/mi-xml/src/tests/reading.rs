//! Navigation, names, values, namespaces, positions and encodings of parsed documents.

use std::cmp::Ordering;

use super::{at, check_links, parse};
use crate::{Document, NodeKind, ParseOptions, XML_NAMESPACE};

#[test]
fn values_are_decoded() {
    for (inner, expected) in [
        ("x", "x"),
        ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
        ("&#65;&#x42;&#x1F600;&#0067;", "AB\u{1F600}C"),
        ("a\r\nb\rc\n", "a\nb\nc\n"),
        ("&#xD;&#xA;", "\r\n"),
        ("]]&gt; ] ]]", "]]> ] ]]"),
        ("a<![CDATA[<&amp;>]]>b", "a<&amp;>b"),
        ("<![CDATA[a\r\nb]]]]><![CDATA[>]]>", "a\nb]]>"),
        ("<![CDATA[]]>", ""),
        ("<!-- no -->y<?no no?>z", "yz"),
        ("<b>deep <c>er</c></b>!", "deep er!"),
        ("\u{85}\u{2028}\u{7F}\u{FFFD}\u{10FFFF}", "\u{85}\u{2028}\u{7F}\u{FFFD}\u{10FFFF}"),
    ] {
        let doc = parse(&format!("<a>{inner}</a>"));
        assert_eq!(doc.string_value(doc.root_element().unwrap()), expected, "{inner}");
        assert_eq!(doc.string_value(Document::ROOT), expected, "{inner}");
    }
}

#[test]
fn attribute_values_are_normalized() {
    for (written, expected) in [
        ("'x'", "x"),
        ("\"it's\"", "it's"),
        ("'\"'", "\""),
        ("'a\tb\nc\rd\r\ne'", "a b c d e"),
        ("'&#9;&#10;&#13;'", "\t\n\r"),
        ("'&lt;&amp;&quot;>'", "<&\">"),
        ("''", ""),
        ("'  a  '", "  a  "),
    ] {
        let doc = parse(&format!("<a b={written}/>"));
        assert_eq!(doc.attribute(doc.root_element().unwrap(), "", "b").unwrap(), expected, "{written}");
    }
}

#[test]
fn text_of_an_element_is_its_own() {
    let doc = parse("<a>one<b>two</b><![CDATA[three]]></a>");
    let root = doc.root_element().unwrap();
    assert_eq!(doc.text(root), "onethree");
    assert_eq!(doc.string_value(root), "onetwothree");
    assert!(matches!(doc.text(at(&doc, "b")), std::borrow::Cow::Borrowed("two")));
}

#[test]
fn names_and_namespaces() {
    let doc = parse(
        "<a xmlns='urn:d' xmlns:p='urn:p' x='1' p:x='2' xml:lang='en'><p:b><c xmlns=''/><d xmlns:p='urn:q' p:y=''/></p:b></a>",
    );
    let a = doc.root_element().unwrap();
    assert_eq!((doc.prefix(a), doc.local_name(a), doc.namespace(a)), ("", "a", "urn:d"));
    assert_eq!(doc.attribute(a, "", "x").as_deref(), Some("1"));
    assert_eq!(doc.attribute(a, "urn:p", "x").as_deref(), Some("2"));
    assert_eq!(doc.attribute(a, XML_NAMESPACE, "lang").as_deref(), Some("en"));
    assert_eq!(doc.attribute(a, "urn:d", "x"), None);
    let decls: Vec<_> = doc.namespace_decls(a).map(|it| (doc.local_name(it), doc.value(it).into_owned())).collect();
    assert_eq!(decls, [("", "urn:d".to_owned()), ("p", "urn:p".to_owned())]);
    let b = at(&doc, "b");
    assert_eq!((doc.prefix(b), doc.namespace(b), doc.qualified_name(b)), ("p", "urn:p", "p:b"));
    assert_eq!(doc.name_id(b), doc.find_name("urn:p", "b"));
    assert_eq!(doc.find_name("urn:p", "nowhere-used"), None);
    let c = at(&doc, "b/c");
    assert_eq!((doc.namespace(c), doc.lookup_namespace(c, "")), ("", None));
    let d = at(&doc, "b/d");
    assert_eq!(doc.namespace(d), "urn:d");
    assert_eq!(doc.lookup_namespace(d, "p"), Some("urn:q"));
    assert_eq!(doc.lookup_namespace(b, "p"), Some("urn:p"));
    assert_eq!(doc.lookup_namespace(b, "xml"), Some(XML_NAMESPACE));
    assert_eq!(doc.lookup_namespace(b, "none"), None);
    assert_eq!(doc.lookup_prefix(d, "urn:q"), Some("p"));
    assert_eq!(doc.lookup_prefix(d, "urn:p"), None);
    let mut in_scope = doc.in_scope_namespaces(d);
    in_scope.sort_unstable();
    assert_eq!(in_scope, [("", "urn:d"), ("p", "urn:q")]);
    assert!(doc.in_scope_namespaces(c).iter().all(|&(prefix, _)| prefix == "p"));
}

#[test]
fn kinds_and_navigation() {
    let doc = parse("<?p q?><!--c--><a b='1'>t<e/><![CDATA[d]]><!--x--><?target  data ?></a><!--z-->");
    check_links(&doc);
    let expected = {
        use NodeKind::*;
        [Document, Pi, Comment, Element, Text, Element, Text, Comment, Pi, Comment]
    };
    let kinds: Vec<_> = doc.descendants(Document::ROOT).map(|n| doc.kind(n)).collect();
    assert_eq!(kinds, expected);
    let a = doc.root_element().unwrap();
    let children: Vec<_> = doc.children(a).collect();
    assert!(!doc.is_cdata(children[0]));
    assert!(doc.is_cdata(children[2]));
    assert_eq!((doc.local_name(children[4]), &*doc.value(children[4])), ("target", "data "));
    assert_eq!(&*doc.value(children[3]), "x");
    let b = doc.attribute_node(a, "", "b").unwrap();
    assert_eq!((doc.kind(b), doc.parent(b)), (NodeKind::Attribute, Some(a)));
    assert_eq!((doc.next_sibling(b), doc.prev_sibling(b), doc.first_child(b)), (None, None, None));
    assert_eq!(doc.ancestors(children[0]).collect::<Vec<_>>(), [a, crate::Document::ROOT]);
    assert_eq!(doc.first_child_element(a), Some(children[1]));
    assert_eq!(doc.next_sibling_element(children[0]), Some(children[1]));
    assert_eq!(doc.next_sibling_element(children[1]), None);
    assert_eq!(doc.compare_order(a, b), Ordering::Less);
    assert_eq!(doc.compare_order(children[0], b), Ordering::Greater);
    assert_eq!(doc.descendants(children[1]).count(), 1);
    assert_eq!(doc.descendants(b).count(), 1);
}

#[test]
fn positions_and_ranges() {
    let text = "<?xml version='1.0'?>\n<a>\n  <é/> <b x='1'>t</b></a>";
    let doc = parse(text);
    let b = at(&doc, "b");
    assert_eq!(doc.position(b), Some((3, 8)));
    assert_eq!(doc.offset(b), Some(text.find("<b").unwrap()));
    assert_eq!(&text[doc.source_range(b).unwrap()], "<b x='1'>t</b>");
    assert_eq!(doc.source_of(b), Some("<b x='1'>t</b>"));
    assert_eq!(doc.position(doc.root_element().unwrap()), Some((2, 1)));
    let mut doc = doc;
    let made = doc.create_element("", "n", "");
    assert_eq!((doc.position(made), doc.offset(made), doc.source_range(made)), (None, None, None));
}

#[test]
fn stopping_behind_the_root() {
    let options = ParseOptions { stop_after_root: true, ..ParseOptions::default() };
    for (bytes, trailing) in [
        (&b"<a/>"[..], None),
        (b"<a/>\n", Some(4)),
        (b"<a></a>garbage <<<", Some(7)),
        (b"<a/>\0\xFF", Some(4)),
        (b"<a>\xC3\xA9</a>\xFF", Some(9)),
    ] {
        let doc = Document::parse_with(bytes.to_vec(), &options).unwrap();
        assert_eq!(doc.trailing(), trailing, "{bytes:?}");
        assert_eq!(doc.to_xml(Document::ROOT).as_bytes(), &bytes[..trailing.unwrap_or(bytes.len())]);
    }
    for bytes in [&b"<a>\0</a>"[..], b"<a>\xFF</a>", b"<a>", b"x<a/>"] {
        assert!(Document::parse_with(bytes.to_vec(), &options).is_err(), "{bytes:?}");
    }
}

#[test]
fn encodings() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    };
    let declared = "<?xml version='1.0' encoding='UTF-16'?><a>é😀</a>";
    for (bytes, expected) in [
        (b"\xEF\xBB\xBF<a>\xC3\xA9</a>".to_vec(), "é"),
        (utf16("\u{FEFF}<a>é😀</a>", true), "é😀"),
        (utf16("\u{FEFF}<a>é😀</a>", false), "é😀"),
        (utf16(&format!("\u{FEFF}{declared}"), false), "é😀"),
        (utf16(declared, true), "é😀"),
        (utf16(declared, false), "é😀"),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9\x80</a>".to_vec(), "é\u{80}"),
        (b"<?xml version=\"1.0\" encoding = \"windows-1252\"?><a>\xE9\x80</a>".to_vec(), "é€"),
        (b"<?xml version='1.0' encoding='us-ascii'?><a>e</a>".to_vec(), "e"),
        (b"<?xml version='1.0' encoding='ISO-8859-15'?><a>e</a>".to_vec(), "e"),
        (b"<?xml-x encoding='none'?><a/>".to_vec(), ""),
        (b"<?xml version='1.0'?><a>encoding='UTF-16'</a>".to_vec(), "encoding='UTF-16'"),
    ] {
        let doc = Document::parse(bytes.clone()).unwrap_or_else(|error| panic!("{error}: {bytes:?}"));
        assert_eq!(doc.string_value(Document::ROOT), expected, "{bytes:?}");
    }
    let options = ParseOptions::default();
    let latin =
        |charset| Document::parse_encoded(&b"<?xml version='1.0' encoding='UTF-8'?><a>\xE9</a>"[..], charset, &options);
    assert_eq!(latin("ISO-8859-1").unwrap().string_value(Document::ROOT), "é");
    assert!(latin("UTF-8").is_err());
    assert!(latin("EBCDIC").is_err());
}

#[test]
fn documents_cross_threads() {
    fn check<T: Send + Sync + Clone + 'static>(_: &T) {}
    check(&parse("<a/>"));
}

#[test]
fn foreign_node_ids_do_not_panic() {
    let large = parse(&format!("<a>{}</a>", "<b c='1'/>".repeat(100)));
    let foreign = large.descendants(Document::ROOT).last().unwrap();
    let mut small = parse("<a/>");
    assert_eq!((small.parent(foreign), small.first_child(foreign)), (None, None));
    assert_eq!(small.value(foreign), "");
    let root = small.root_element().unwrap();
    small.append_child(root, foreign);
    small.append_child(foreign, root);
    small.detach(foreign);
    small.set_text(foreign, "x");
    small.set_value(foreign, "x");
    small.set_attribute(foreign, "", "x", "", "x");
    small.declare_namespace(foreign, "x", "x");
    small.rename(foreign, "", "x", "");
    small.remove_children(foreign);
    small.replace(root, foreign);
    small.insert_after(foreign, root);
    small.copy(foreign);
    small.import(&large, foreign);
    assert_eq!(small.to_xml(Document::ROOT), "<a/>");
}
