use std::sync::Arc;

use mi_xml::Document;

use crate::{NoResolver, PlainHost, Stylesheet};

fn transformed(version: &str, body: &str, source: &str) -> String {
    let sheet = format!(
        "<xsl:stylesheet version='{version}' xmlns:xsl='http://www.w3.org/1999/XSL/Transform' xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:f='urn:f' exclude-result-prefixes='xs f'>{body}</xsl:stylesheet>"
    );
    let sheet = match Document::parse(sheet) {
        Ok(sheet) => Arc::new(sheet),
        Err(error) => return format!("parse: {error}"),
    };
    let sheet = match Stylesheet::compile(sheet, "s", &NoResolver) {
        Ok(sheet) => sheet,
        Err(errors) => {
            return format!("compile: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
        }
    };
    let source = Document::parse(source.to_owned()).expect("the source is well formed");
    match sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()) {
        Ok(output) => output.document.to_xml(Document::ROOT),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn smoke() {
    for (v, body) in [
        (
            "1.0",
            "<xsl:template match='@*|node()'><xsl:copy><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>",
        ),
        (
            "1.0",
            "<xsl:template match='/'><r><xsl:for-each select='o/i'><xsl:sort select='@n' order='descending'/><x n='{@n}'><xsl:value-of select='.'/></x></xsl:for-each></r></xsl:template>",
        ),
        (
            "2.0",
            "<xsl:template match='/'><r><xsl:for-each-group select='o/i' group-by='@c'><g k='{current-grouping-key()}'><xsl:value-of select='current-group()/@n' separator=','/></g></xsl:for-each-group></r></xsl:template>",
        ),
        (
            "2.0",
            "<xsl:function name='f:fac' as='xs:integer'><xsl:param name='n' as='xs:integer'/><xsl:sequence select='if ($n le 1) then 1 else $n * f:fac($n - 1)'/></xsl:function><xsl:template match='/'><r><xsl:value-of select='f:fac(10)'/></r></xsl:template>",
        ),
        (
            "1.0",
            "<xsl:template name='t'><xsl:param name='n'/><xsl:if test='$n &gt; 0'><xsl:call-template name='t'><xsl:with-param name='n' select='$n - 1'/></xsl:call-template></xsl:if><xsl:if test='$n = 0'>end</xsl:if></xsl:template><xsl:template match='/'><r><xsl:call-template name='t'><xsl:with-param name='n' select='3000'/></xsl:call-template></r></xsl:template>",
        ),
        (
            "1.0",
            "<xsl:template name='t'><xsl:call-template name='t'/></xsl:template><xsl:template match='/'><xsl:call-template name='t'/></xsl:template>",
        ),
        (
            "1.0",
            "<xsl:key name='k' match='i' use='@c'/><xsl:template match='/'><r><xsl:for-each select='o/i[generate-id() = generate-id(key(\"k\", @c)[1])]'><g c='{@c}'><xsl:value-of select='sum(key(\"k\", @c)/@n)'/></g></xsl:for-each></r></xsl:template>",
        ),
    ] {
        println!("{}", transformed(v, body, "<o><i n='1' c='a'>x</i><i n='3' c='b'>y</i><i n='2' c='a'>z</i></o>"));
    }
}
