//! A document that goes through a stylesheet without a tree says what the one with a tree says.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mi_fuzz::said;
use mi_xml::Document;
use mi_xslt::{NoResolver, Place, PlainHost, Stylesheet};

static SHEETS: LazyLock<[Stylesheet; 2]> = LazyLock::new(|| {
    let rules = [
        "<xsl:template match='b'><c><xsl:apply-templates select='@*|node()'/></c></xsl:template><xsl:template match='a//d'/>",
        "<xsl:template match='a/b'/><xsl:template match='d'><xsl:copy><xsl:attribute name='x'>&lt;</xsl:attribute>\
         <xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template><xsl:template match='c'><xsl:copy-of select='.'/></xsl:template>",
    ];
    rules.map(|rules| {
        let text = format!(
            "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'><xsl:template match='@*|node()'>\
             <xsl:copy><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>{rules}</xsl:stylesheet>"
        );
        let document = Document::parse(text).expect("it is well formed");
        Stylesheet::compile(Arc::new(document), "s.xsl", &NoResolver).expect("it compiles")
    })
});

fuzz_target!(|bytes: &[u8]| {
    for sheet in &*SHEETS {
        let Some(text) = sheet.stream(bytes.to_vec().into(), None, &mut |_, _, _| Place::Root) else { continue };
        let source = Document::parse(bytes.to_vec()).expect("what was streamed is well formed");
        let output = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect("it runs");
        let root = output.document.root_element().expect("it has a root");
        let found = Document::parse(text).expect("the result is well formed");
        assert_eq!(said(&found), said(&output.document.subtree(root)));
    }
});
