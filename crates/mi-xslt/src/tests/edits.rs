//! Stylesheets that run as changes of a copy of the source give what they give in the ordinary way.

use std::sync::Arc;

use mi_xml::Document;

use super::{compile, keeper, parsed};
use crate::Stylesheet;

pub(super) const IDENTITY: &str =
    "<xsl:template match='@*|node()'><xsl:copy><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>";

pub(super) const DOCUMENTS: [&str; 4] = [
    "<m:b xmlns:m=\"urn:m\"><o id=\"1\" k=\"a\"><s>IBM</s><w>x &amp; y</w>t<v/>u</o>\n<o id=\"2\"><s>SUN</s><!--c--><?p d?></o></m:b>",
    "<b xmlns=\"urn:d\"><o id=\"1\"><s>IBM</s></o><o xmlns=\"\" id=\"2\"><s>SUN</s></o></b>",
    "<b xmlns:q=\"urn:q\"><q:o q:id=\"7\" id=\"8\"><q:s xmlns:r=\"urn:r\" r:z=\"1\"><r:t/></q:s></q:o><s q:x=\"1\"/></b>",
    "<!--first--><s>top</s><?last one?>",
];

/// Rules beside the identity, and whether they run as changes.
#[rustfmt::skip]
pub(super) const RULES: [(&str, bool); 31] = [
    ("", true),
    ("<xsl:template match='s'><z><xsl:apply-templates select='@*|node()'/></z></xsl:template>", true),
    ("<xsl:template match='*[local-name() = \"s\"]'><z><xsl:apply-templates select='@*|node()'/></z></xsl:template>", true),
    ("<xsl:template match='s'><p:z xmlns:p='urn:p'><xsl:apply-templates select='node()|@*'/></p:z></xsl:template>", true),
    ("<xsl:template match='o'><z n='1' id='new' w='{s}'><xsl:apply-templates select='@*|node()'/></z></xsl:template>", true),
    ("<xsl:template match='s'/>", true),
    ("<xsl:template match='o[s = \"IBM\"]'/>", true),
    ("<xsl:template match='o[2]'/>", true),
    ("<xsl:template match='v|w'/>", true),
    ("<xsl:template match='o/@id'/>", true),
    ("<xsl:template match='@id'><xsl:attribute name='number'><xsl:value-of select='. * 2'/></xsl:attribute></xsl:template>", true),
    ("<xsl:template match='@id'><xsl:attribute name='k'>x</xsl:attribute></xsl:template>", true),
    ("<xsl:template match='o'><xsl:copy><xsl:attribute name='id'>0</xsl:attribute><xsl:apply-templates select='@*'/><xsl:attribute name='k'><xsl:value-of select='s'/></xsl:attribute><xsl:apply-templates/></xsl:copy></xsl:template>", true),
    ("<xsl:template match='o'><xsl:copy><xsl:copy-of select='@*'/><xsl:attribute name='k'>9</xsl:attribute><xsl:apply-templates select='node()'/></xsl:copy></xsl:template>", true),
    ("<xsl:template match='o'><new><xsl:value-of select='s'/></new></xsl:template>", true),
    ("<xsl:template match='o'><new a='{@id}'><xsl:apply-templates select='s'/></new>text</xsl:template>", true),
    ("<xsl:template match='o'><xsl:apply-templates/></xsl:template>", true),
    ("<xsl:template match='o'><xsl:copy-of select='.'/></xsl:template><xsl:template match='s'/>", true),
    ("<xsl:template match='s/text()'>[<xsl:value-of select='.'/>]</xsl:template>", true),
    ("<xsl:template match='text()[normalize-space() = \"\"]'/>", true),
    ("<xsl:template match='comment()|processing-instruction()'/>", true),
    ("<xsl:template match='comment()'><c><xsl:value-of select='.'/></c></xsl:template>", true),
    ("<xsl:template match='/'><xsl:apply-templates/></xsl:template><xsl:template match='v'><v2/></xsl:template>", true),
    ("<xsl:template match='s'><xsl:attribute name='s'><xsl:value-of select='.'/></xsl:attribute></xsl:template>", true),
    ("<xsl:template match='s'><xsl:message>m</xsl:message><xsl:next-match/></xsl:template>", true),
    ("<xsl:strip-space elements='*'/><xsl:template match='v'/>", true),
    ("<xsl:param name='p' select='\"par\"'/><xsl:template match='s/text()'><xsl:value-of select='$p'/></xsl:template>", true),
    ("<xsl:template match='s'><z><xsl:apply-templates/></z></xsl:template>", true),
    ("<xsl:template match='/'><all><xsl:apply-templates/></all></xsl:template>", false),
    ("<xsl:template match='s'><xsl:value-of select='position()'/></xsl:template>", false),
    ("<xsl:template match='*'><xsl:apply-templates/></xsl:template>", false),
];

fn run(sheet: &Stylesheet, source: &Document) -> String {
    match sheet.transform(source, Document::ROOT, &[], &keeper()) {
        Ok(output) => output.serialize(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn changes_give_what_instructions_give() {
    let mut wrong = Vec::new();
    for (rules, edits) in RULES {
        for version in ["1.0", "2.0"] {
            let body = format!("{IDENTITY}{rules}");
            let mut sheet = compile(version, &body).expect("it compiles");
            assert_eq!(sheet.0.edits.is_some(), edits, "{rules}");
            for document in DOCUMENTS {
                let source = parsed(document).expect("it parses");
                let found = run(&sheet, &source);
                let plan = Arc::get_mut(&mut sheet.0).expect("it is not shared");
                let kept = plan.edits.take();
                let expected = run(&sheet, &source);
                Arc::get_mut(&mut sheet.0).expect("it is not shared").edits = kept;
                if found != expected {
                    wrong.push(format!("{version} {rules}\n  of  {document}\n  is  {found}\n  not {expected}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn modes_of_later_versions_keep_documents() {
    let sheet = compile("3.0", "<xsl:mode on-no-match='shallow-copy'/><xsl:template match='s'><z/></xsl:template>");
    let sheet = sheet.expect("it compiles");
    assert!(sheet.0.edits.is_some());
    let source = parsed("<o a=\"1\"><s>x</s><!--c-->t</o>").expect("it parses");
    assert!(run(&sheet, &source).ends_with("<o a=\"1\"><z/><!--c-->t</o>"));
}

#[test]
fn white_space_around_the_root_is_none_of_the_document() {
    let sheet = compile("1.0", IDENTITY).expect("it compiles");
    let source = parsed("<?xml version='1.0'?>\n<!--c-->\n<o  a='1'>x</o>\n").expect("it parses");
    let output = sheet.transform(&source, Document::ROOT, &[], &keeper()).expect("it runs");
    assert_eq!(output.document.to_xml(Document::ROOT), "<!--c--><o  a='1'>x</o>");
}

#[test]
fn joined_texts_are_one() {
    let body = format!(
        "{IDENTITY}<xsl:template match='v'/><xsl:template match='w'>-<xsl:value-of select='.'/></xsl:template>"
    );
    let sheet = compile("1.0", &body).expect("it compiles");
    let source = parsed("<o>a<v/>b<w>c</w>d<s/>e</o>").expect("it parses");
    let output = sheet.transform(&source, Document::ROOT, &[], &keeper()).expect("it runs");
    let root = output.document.root_element().expect("there is one");
    assert_eq!(output.document.children(root).count(), 3);
    assert_eq!(output.document.to_xml(root), "<o>ab-cd<s/>e</o>");
}
