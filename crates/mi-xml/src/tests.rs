//! Tables over the whole crate: see the submodules.
use crate::*;
#[test]
fn smoke() {
    let src = "<?xml version='1.0'?>\n<s:Envelope xmlns:s='urn:s'><s:Body><a b='1&amp;2' xmlns='urn:a'>x &lt; y<![CDATA[<z>]]></a><e/><f></f></s:Body></s:Envelope>";
    let mut doc = Document::parse(src).unwrap();
    let root = doc.root_element().unwrap();
    assert_eq!(doc.to_xml(Document::ROOT), &src[22..]);
    let body = doc.first_child_element(root).unwrap();
    let a = doc.first_child_element(body).unwrap();
    assert_eq!(doc.text(a), "x < y<z>");
    assert_eq!(
        doc.to_xml(body),
        "<s:Body xmlns:s=\"urn:s\"><a b='1&amp;2' xmlns='urn:a'>x &lt; y<![CDATA[<z>]]></a><e/><f></f></s:Body>"
    );
    doc.set_text(a, "n & m");
    doc.set_attribute(a, "", "b", "", "\"q\"");
    assert_eq!(
        doc.to_xml(root),
        "<s:Envelope xmlns:s='urn:s'><s:Body><a b=\"&quot;q&quot;\" xmlns='urn:a'>n &amp; m</a><e/><f></f></s:Body></s:Envelope>"
    );
    let mut two = Document::new();
    let w = two.create_element("", "w", "urn:w");
    two.append_child(Document::ROOT, w);
    let copy = two.import(&doc, body);
    two.append_child(w, copy);
    assert_eq!(
        two.to_xml(w),
        "<w xmlns=\"urn:w\"><s:Body xmlns:s=\"urn:s\"><a b=\"&quot;q&quot;\" xmlns='urn:a'>n &amp; m</a><e xmlns=\"\"/><f xmlns=\"\"></f></s:Body></w>"
    );
}
