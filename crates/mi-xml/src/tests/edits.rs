//! Edits, and what is written after them.

use super::{at, canonical, check_links, parse};
use crate::{Document, NodeId};

/// Applies `edit` to `text` and checks what is written; what is written must also mean what the document says.
#[track_caller]
fn check(text: &str, edit: impl Fn(&mut Document, NodeId), expected: &str) {
    let mut doc = parse(text);
    let root = doc.root_element().unwrap();
    edit(&mut doc, root);
    check_links(&doc);
    let written = doc.to_xml(Document::ROOT);
    assert_eq!(written, expected);
    assert_eq!(canonical(&parse(&written), Document::ROOT), canonical(&doc, Document::ROOT));
}

#[test]
fn children() {
    check(
        "<a><b/></a>",
        |doc, root| {
            let c = doc.create_element("", "c", "");
            doc.append_child(root, c);
        },
        "<a><b/><c/></a>",
    );
    check(
        "<a/>",
        |doc, root| {
            let c = doc.create_element("", "c", "");
            doc.append_child(root, c);
        },
        "<a><c/></a>",
    );
    check(
        "<a x='1' />",
        |doc, root| {
            let t = doc.create_text("t");
            doc.append_child(root, t);
        },
        "<a x='1'>t</a>",
    );
    check(
        "<a><b/></a>",
        |doc, root| {
            let c = doc.create_element("", "c", "");
            doc.prepend_child(root, c);
            let d = doc.create_comment("d");
            doc.insert_before(c, d);
            let e = doc.create_pi("e", "f");
            doc.insert_after(c, e);
        },
        "<a><!--d--><c/><?e f?><b/></a>",
    );
    check(
        "<a><b/><c/><d/></a>",
        |doc, root| {
            let b = doc.first_child(root).unwrap();
            doc.append_child(root, b);
        },
        "<a><c/><d/><b/></a>",
    );
    check(
        "<a><b/><c/><d/></a>",
        |doc, root| {
            let d = doc.last_child(root).unwrap();
            doc.prepend_child(root, d);
            doc.prepend_child(root, d);
        },
        "<a><d/><b/><c/></a>",
    );
    check("<a><b/><c/><d/></a>", |doc, _| doc.detach(at(doc, "c")), "<a><b/><d/></a>");
    check("<a><b/></a>", |doc, _| doc.detach(at(doc, "b")), "<a/>");
    check("<a>x<b/>y<![CDATA[z]]></a>", |doc, root| doc.remove_children(root), "<a/>");
    check(
        "<a><b>x</b><c/></a>",
        |doc, _| {
            let new = doc.create_text("<new>");
            doc.replace(at(doc, "b"), new);
        },
        "<a>&lt;new&gt;<c/></a>",
    );
    check("<a><b/><c/></a>", |doc, _| doc.replace(at(doc, "b"), at(doc, "c")), "<a><c/></a>");
    check("<a><b/><c/></a>", |doc, _| doc.replace(at(doc, "c"), at(doc, "b")), "<a><b/></a>");
    check(
        "<a><b><c/></b></a>",
        |doc, root| {
            let c = at(doc, "b/c");
            doc.append_child(root, c);
        },
        "<a><b/><c/></a>",
    );
}

#[test]
fn what_cannot_be_done_is_left_undone() {
    let text = "<a x='1'>t<b><c/></b></a>";
    check(
        text,
        |doc, root| {
            let (b, c, t) = (at(doc, "b"), at(doc, "b/c"), doc.first_child(root).unwrap());
            let x = doc.attribute_node(root, "", "x").unwrap();
            doc.append_child(c, b);
            doc.append_child(b, b);
            doc.append_child(c, root);
            doc.append_child(t, c);
            doc.append_child(c, Document::ROOT);
            doc.append_child(Document::ROOT, x);
            doc.insert_before(b, x);
            doc.insert_after(x, b);
            doc.insert_before(c, b);
            doc.insert_after(b, b);
            doc.insert_after(Document::ROOT, b);
            doc.replace(c, b);
            doc.replace(b, b);
            doc.replace(Document::ROOT, b);
            doc.detach(Document::ROOT);
            doc.set_text(t, "no element");
            doc.set_value(b, "no value");
            doc.rename(t, "", "no", "name");
            doc.declare_namespace(root, "xml", "urn:x");
            doc.declare_namespace(root, "p", "");
            doc.declare_namespace(root, "xmlns", "urn:x");
            doc.declare_namespace(t, "p", "urn:x");
            let loose = doc.create_element("", "loose", "");
            doc.insert_after(loose, b);
        },
        text,
    );
}

#[test]
fn values_and_attributes() {
    check(
        "<a>x</a>",
        |doc, root| doc.set_text(root, "1 < 2 & \"3\" > ]]> \r\n\t"),
        "<a>1 &lt; 2 &amp; \"3\" &gt; ]]&gt; &#xD;\n\t</a>",
    );
    check("<a>x<b/></a>", |doc, root| doc.set_text(root, ""), "<a/>");
    check(
        "<a b='1'/>",
        |doc, root| {
            doc.set_attribute(root, "", "b", "", "<\"&'>\t\r\n");
        },
        "<a b=\"&lt;&quot;&amp;'>&#x9;&#xD;&#xA;\"/>",
    );
    check(
        "<a b='1' c='2'></a>",
        |doc, root| {
            doc.set_attribute(root, "", "d", "", "4");
            doc.set_attribute(root, "", "b", "", "3");
        },
        "<a b=\"3\" c='2' d=\"4\"></a>",
    );
    check(
        "<a b='1' c='2' d='3'/>",
        |doc, root| {
            assert!(doc.remove_attribute(root, "", "c"));
            assert!(!doc.remove_attribute(root, "", "c"));
        },
        "<a b='1' d='3'/>",
    );
    check(
        "<a b='1' c='2' d='3'/>",
        |doc, root| {
            doc.detach(doc.attribute_node(root, "", "b").unwrap());
            let d = doc.attribute_node(root, "", "d").unwrap();
            doc.set_value(d, "4");
        },
        "<a c='2' d=\"4\"/>",
    );
    check(
        "<a>x<!--y--><?p z?></a>",
        |doc, root| {
            let children: Vec<_> = doc.children(root).collect();
            doc.set_value(children[0], "X&");
            doc.set_value(children[1], "Y&");
            doc.set_value(children[2], "Z&");
        },
        "<a>X&amp;<!--Y&--><?p Z&?></a>",
    );
    check(
        "<a><![CDATA[x]]></a>",
        |doc, root| {
            doc.set_value(doc.first_child(root).unwrap(), "a]]>b\rc");
        },
        "<a><![CDATA[a]]]]><![CDATA[>b]]>&#xD;<![CDATA[c]]></a>",
    );
    check(
        "<a b='1'><c/></a>",
        |doc, root| {
            let b = doc.attribute_node(root, "", "b").unwrap();
            doc.append_child(at(doc, "c"), b);
        },
        "<a><c b='1'/></a>",
    );
}

#[test]
fn anything_that_is_set_is_written_well_formed() {
    let mut doc = parse("<a/>");
    let root = doc.root_element().unwrap();
    doc.set_text(root, "\u{0}\u{1F}\u{FFFE}\u{FFFF}\u{FFFD}é\u{EFFF}");
    assert_eq!(doc.to_xml(root), "<a>\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}é\u{EFFF}</a>");
    doc.set_text(root, "");
    doc.set_attribute(root, "", "b", "", "\u{B}\u{FFFE}");
    assert_eq!(doc.to_xml(root), "<a b=\"\u{FFFD}\u{FFFD}\"/>");
    for (content, expected) in [
        ("--", "<a><!--- - --></a>"),
        ("a--b---c-", "<a><!--a- -b- - -c- --></a>"),
        ("\u{0}", "<a><!--\u{FFFD}--></a>"),
    ] {
        let mut doc = parse("<a/>");
        let root = doc.root_element().unwrap();
        let comment = doc.create_comment(content);
        doc.append_child(root, comment);
        let written = doc.to_xml(Document::ROOT);
        parse(&written);
        assert_eq!(written, expected);
    }
    let mut doc = parse("<a/>");
    let root = doc.root_element().unwrap();
    for name in ["1a", "a b", "a:b", "", "<x>", "é", "-", "xmlns"] {
        let el = doc.create_element(name, name, "urn:x");
        doc.set_attribute(el, "", name, "", "v");
        doc.set_attribute(el, name, name, "urn:y", "v");
        doc.declare_namespace(el, name, "urn:z");
        doc.append_child(root, el);
        let pi = doc.create_pi(name, "d?>e");
        doc.append_child(root, pi);
    }
    let pi = doc.create_pi("XML", "");
    doc.append_child(root, pi);
    let written = doc.to_xml(Document::ROOT);
    let read = parse(&written);
    assert_eq!(read.child_elements(read.root_element().unwrap()).count(), 8, "{written}");
}

#[test]
fn namespaces_follow_their_names() {
    check(
        "<a/>",
        |doc, root| {
            let el = doc.create_element("p", "b", "urn:p");
            doc.append_child(root, el);
            let inner = doc.create_element("p", "c", "urn:p");
            doc.append_child(el, inner);
        },
        "<a><p:b xmlns:p=\"urn:p\"><p:c/></p:b></a>",
    );
    check(
        "<a xmlns='urn:d'/>",
        |doc, root| {
            let el = doc.create_element("", "b", "");
            doc.append_child(root, el);
            let inner = doc.create_element("", "c", "urn:d");
            doc.append_child(el, inner);
        },
        "<a xmlns='urn:d'><b xmlns=\"\"><c xmlns=\"urn:d\"/></b></a>",
    );
    check(
        "<a xmlns:p='urn:1'/>",
        |doc, root| {
            let el = doc.create_element("p", "b", "urn:2");
            doc.append_child(root, el);
            doc.set_attribute(el, "p", "x", "urn:1", "v");
        },
        "<a xmlns:p='urn:1'><p:b xmlns:p=\"urn:2\" xmlns:ns0=\"urn:1\" ns0:x=\"v\"/></a>",
    );
    check(
        "<a/>",
        |doc, root| {
            doc.set_attribute(root, "p", "x", "urn:1", "1");
            doc.set_attribute(root, "p", "x", "urn:2", "2");
            doc.set_attribute(root, "", "x", "urn:3", "3");
            doc.set_attribute(root, "", "y", "urn:1", "4");
        },
        "<a xmlns:p=\"urn:1\" xmlns:ns0=\"urn:3\" p:x=\"1\" xmlns:ns1=\"urn:2\" ns1:x=\"2\" ns0:x=\"3\" p:y=\"4\"/>",
    );
}

#[test]
fn renamed_nodes_and_moved_declarations() {
    let soap = "http://schemas.xmlsoap.org/soap/envelope/";
    check(
        "<p:a xmlns:p='urn:1'><p:b/></p:a>",
        |doc, root| doc.rename(root, "q", "r", "urn:2"),
        "<q:r xmlns:q=\"urn:2\" xmlns:p='urn:1'><p:b/></q:r>",
    );
    check(
        "<p:a xmlns:p='urn:1'><p:b p:c=''/></p:a>",
        |doc, root| doc.rename(root, "p", "r", "urn:2"),
        "<p:r xmlns:p=\"urn:2\"><p:b xmlns:p=\"urn:1\" p:c=''/></p:r>",
    );
    check(
        "<a x='1'/>",
        |doc, root| {
            let x = doc.attribute_node(root, "", "x").unwrap();
            doc.rename(x, "xml", "lang", crate::XML_NAMESPACE);
        },
        "<a xml:lang='1'/>",
    );
    check(
        "<a/>",
        |doc, root| {
            doc.declare_namespace(root, "p", "urn:1");
            doc.declare_namespace(root, "", "urn:clashes-with-the-name");
            doc.declare_namespace(root, "p", "urn:2");
            doc.set_attribute(root, "xmlns", "q", "", "urn:3");
        },
        "<a xmlns:p=\"urn:2\" xmlns:q=\"urn:3\"/>",
    );
    check(
        "<a xmlns:p='urn:1'><p:b/></a>",
        |doc, root| {
            let p = doc.namespace_decls(root).next().unwrap();
            doc.detach(p);
        },
        "<a><p:b xmlns:p=\"urn:1\"/></a>",
    );
    check(
        &format!("<s:E xmlns:s='{soap}' xmlns:m='urn:m'><s:B><m:pay  x = '1'><m:in/></m:pay></s:B></s:E>"),
        |doc, root| {
            let payload = at(doc, "B/pay");
            doc.detach(root);
            doc.append_child(Document::ROOT, payload);
        },
        "<m:pay xmlns:m=\"urn:m\"  x = '1'><m:in/></m:pay>",
    );
}

#[test]
fn a_wrapped_payload_is_written_as_it_was_read() {
    let payload = "<m:a  xmlns:m = 'urn:m' ><b\n/> <![CDATA[x]]><!--y--><c d='&#65;'></c ></m:a >";
    check(
        payload,
        |doc, root| {
            let envelope = doc.create_element("s", "Envelope", "urn:s");
            let body = doc.create_element("s", "Body", "urn:s");
            doc.append_child(envelope, body);
            doc.detach(root);
            doc.append_child(Document::ROOT, envelope);
            doc.append_child(body, root);
        },
        &format!("<s:Envelope xmlns:s=\"urn:s\"><s:Body>{payload}</s:Body></s:Envelope>"),
    );
    check(
        "<a><b  c='1' ><d /></b></a>",
        |doc, root| {
            let envelope = doc.create_element("", "e", "urn:default");
            doc.replace(root, envelope);
            doc.append_child(envelope, root);
        },
        "<e xmlns=\"urn:default\"><a xmlns=\"\"><b  c='1' ><d /></b></a></e>",
    );
}

#[test]
fn unchanged_siblings_of_an_edit_are_copied() {
    check(
        "<a  x='1' ><b  y=\"2\" ></b ><c>old</c> <d  />\n</a>",
        |doc, _| doc.set_text(at(doc, "c"), "new"),
        "<a  x='1'><b  y=\"2\" ></b ><c>new</c> <d  />\n</a>",
    );
}

#[test]
fn document_order_after_edits() {
    let mut doc = parse("<a><b/><c x='1'/><d/></a>");
    let root = doc.root_element().unwrap();
    let (b, d) = (at(&doc, "b"), at(&doc, "d"));
    doc.insert_before(b, d);
    check_links(&doc);
    let e = doc.create_element("", "e", "");
    doc.prepend_child(root, e);
    check_links(&doc);
    assert!(doc.compare_order(e, b).is_lt() && doc.compare_order(d, b).is_lt());
    doc.set_attribute(root, "", "late", "", "1");
    check_links(&doc);
}

#[test]
fn copies_within_a_document() {
    check(
        "<a xmlns:p='urn:p'><p:b  x='1' ><c/>t</p:b></a>",
        |doc, root| {
            let copy = doc.copy(at(doc, "b"));
            assert_eq!(doc.lookup_namespace(copy, "p"), Some("urn:p"));
            doc.append_child(root, copy);
            doc.set_text(copy, "changed");
        },
        "<a xmlns:p='urn:p'><p:b  x='1' ><c/>t</p:b><p:b  x='1'>changed</p:b></a>",
    );
    check(
        "<a xmlns:p='urn:p'><p:b  x='1' ><c/>t</p:b></a>",
        |doc, root| {
            let copy = doc.copy(at(doc, "b"));
            doc.replace(root, copy);
            doc.set_attribute(copy, "", "y", "", "2");
        },
        "<p:b xmlns:p=\"urn:p\" x='1' y=\"2\"><c/>t</p:b>",
    );
    check(
        "<a><b>x</b></a>",
        |doc, _| {
            let b = at(doc, "b");
            doc.set_text(b, "<set>");
            doc.set_attribute(b, "p", "q", "urn:p", "\"");
            let copy = doc.copy(b);
            doc.insert_after(b, copy);
        },
        "<a><b xmlns:p=\"urn:p\" p:q=\"&quot;\">&lt;set&gt;</b><b xmlns:p=\"urn:p\" p:q=\"&quot;\">&lt;set&gt;</b></a>",
    );
}

#[test]
fn imports() {
    let other = parse("<o xmlns='urn:o' xmlns:p='urn:p' xmlns:unused='urn:u'><p:b  x='1' ><c>&amp;</c></p:b></o>");
    check(
        "<a/>",
        |doc, root| {
            let copy = doc.import(&other, at(&other, "b"));
            assert_eq!(doc.lookup_namespace(copy, "p"), Some("urn:p"));
            assert_eq!(doc.lookup_namespace(copy, ""), Some("urn:o"));
            assert_eq!(doc.lookup_namespace(copy, "unused"), None);
            doc.append_child(root, copy);
            assert_eq!(doc.source_of(copy), Some("<p:b  x='1' ><c>&amp;</c></p:b>"));
        },
        "<a><p:b xmlns=\"urn:o\" xmlns:p=\"urn:p\"  x='1' ><c>&amp;</c></p:b></a>",
    );
    check(
        "<a xmlns:p='urn:p' xmlns='urn:o'/>",
        |doc, root| {
            let copy = doc.import(&other, at(&other, "b"));
            doc.append_child(root, copy);
        },
        "<a xmlns:p='urn:p' xmlns='urn:o'><p:b  x='1' ><c>&amp;</c></p:b></a>",
    );
    check(
        "<a/>",
        |doc, root| {
            let copy = doc.import(&other, Document::ROOT);
            doc.append_child(root, copy);
            let again = doc.import(&other, Document::ROOT);
            doc.append_child(root, again);
            assert_eq!(doc.sources.len(), 2, "the text of the other document is shared once");
        },
        &format!("<a>{0}{0}</a>", other.to_xml(Document::ROOT)),
    );
    let mut edited = other.clone();
    let b = at(&edited, "b");
    edited.set_text(b, "text & more");
    edited.set_attribute(b, "q", "r", "urn:q", "2");
    check(
        "<a/>",
        |doc, root| {
            let copy = doc.import(&edited, b);
            doc.append_child(root, copy);
            let attribute = doc.import(&edited, edited.attribute_node(b, "urn:q", "r").unwrap());
            doc.append_child(root, attribute);
        },
        "<a xmlns:q=\"urn:q\" q:r=\"2\"><p:b xmlns:p=\"urn:p\" x='1' q:r=\"2\">text &amp; more</p:b></a>",
    );
}

#[test]
fn type_names_in_content_keep_their_prefix() {
    let xsi = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'";
    let text = format!("<a {xsi} xmlns:xsd='urn:xsd'><b xsi:type='xsd:int'>1</b></a>");
    let doc = parse(&text);
    let written = doc.to_xml(at(&doc, "b"));
    assert!(written.contains("xmlns:xsd=\"urn:xsd\"") && written.contains("xmlns:xsi="), "{written}");
    let mut two = parse("<w/>");
    let copy = two.import(&doc, at(&doc, "b"));
    assert_eq!(two.lookup_namespace(copy, "xsd"), Some("urn:xsd"));
    two.set_text(copy, "2");
    assert!(two.to_xml(copy).contains("xmlns:xsd=\"urn:xsd\""), "{}", two.to_xml(copy));
}

#[test]
fn texts_that_meet_make_no_section_end() {
    let remove_elements = |doc: &mut Document, root: NodeId| {
        let elements: Vec<_> = doc.child_elements(root).collect();
        for el in elements {
            doc.detach(el);
        }
    };
    check("<a>x]]<b/>>y</a>", remove_elements, "<a>x]]&gt;y</a>");
    check("<a>x]<b/>]>y</a>", remove_elements, "<a>x]]&gt;y</a>");
    check("<a>]<b/>]<b/>></a>", remove_elements, "<a>]]&gt;</a>");
    check("<a>]<b/>></a>", remove_elements, "<a>]></a>");
}

#[test]
fn building_from_nothing() {
    let mut doc = Document::new();
    assert_eq!(doc.to_xml(Document::ROOT), "");
    assert_eq!(doc.root_element(), None);
    let root = doc.create_element("p", "root", "urn:p");
    doc.append_child(Document::ROOT, root);
    for number in 0..3 {
        let item = doc.create_element("", "item", "");
        doc.set_text(item, &number.to_string());
        doc.append_child(root, item);
    }
    assert_eq!(
        doc.to_xml(Document::ROOT),
        "<p:root xmlns:p=\"urn:p\"><item>0</item><item>1</item><item>2</item></p:root>"
    );
    let cleared = doc.clone();
    doc.remove_children(Document::ROOT);
    assert_eq!(doc.to_xml(Document::ROOT), "");
    assert_eq!(cleared.child_elements(root).count(), 3, "a clone has a life of its own");
}

#[test]
fn declarations_that_hold_anyway_are_not_repeated() {
    let part = parse("<p:x xmlns:p='u' xmlns='' xmlns:q='v'><p:y/></p:x>");
    let append = |doc: &mut Document, root: NodeId| {
        let x = doc.import(&part, part.root_element().unwrap());
        doc.append_child(root, x);
    };
    check("<a xmlns:p='u'/>", append, "<a xmlns:p='u'><p:x xmlns:q='v'><p:y/></p:x></a>");
    check(
        "<a xmlns='d' xmlns:p='o'/>",
        append,
        "<a xmlns='d' xmlns:p='o'><p:x xmlns:p='u' xmlns='' xmlns:q='v'><p:y/></p:x></a>",
    );
    check(
        "<r><a xmlns:p='u'><p:b xmlns:p='u'/></a></r>",
        |doc, root| {
            let a = doc.first_child(root).unwrap();
            let b = doc.first_child(a).unwrap();
            doc.append_child(a, b);
            // Moved on, it needs its declaration again.
            doc.append_child(root, b);
        },
        "<r><a xmlns:p='u'/><p:b xmlns:p=\"u\"/></r>",
    );
}
