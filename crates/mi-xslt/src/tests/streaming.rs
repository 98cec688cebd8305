//! Documents that go through a stylesheet without a tree, beside the ordinary way.

use mi_xml::{Document, NodeKind};

use super::{HEAD, compile};
use crate::{NoResolver, Place, PlainHost, Stylesheet};

const IDENTITY: &str =
    "<xsl:template match='@*|node()'><xsl:copy><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>";

fn root(_: usize, _: &str, _: &str) -> Place {
    Place::Root
}

fn streamed(sheet: &Stylesheet, xml: &str) -> Option<String> {
    sheet.stream(xml.to_owned().into(), None, &mut root)
}

/// What a document says, whatever way it is written.
fn said(document: &Document) -> String {
    let mut out = String::new();
    for node in document.descendants(Document::ROOT) {
        let depth = document.ancestors(node).count();
        out.push_str(&format!("{depth} {:?} ", document.kind(node)));
        if document.is_element(node) {
            out.push_str(&format!("{{{}}}{}", document.namespace(node), document.local_name(node)));
            for attribute in document.attributes(node) {
                let (name, value) = (document.local_name(attribute), document.value(attribute));
                out.push_str(&format!(" {{{}}}{name}={value:?}", document.namespace(attribute)));
            }
        } else if document.kind(node) != NodeKind::Document {
            out.push_str(&document.value(node));
        }
        out.push('\n');
    }
    out
}

/// Both ways give the same, where there are two. Tells whether there were.
#[track_caller]
fn compare(sheet: &Stylesheet, xml: &str) -> bool {
    let Some(text) = streamed(sheet, xml) else { return false };
    let source = Document::parse(xml.to_owned()).expect("it is well formed");
    let output = sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()).expect("it runs");
    let root = output.document.root_element().expect("it has a root");
    let found = Document::parse(text.clone()).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(said(&found), said(&output.document.subtree(root)), "{text}");
    true
}

#[track_caller]
fn check(rules: &str, xml: &str, expected: &str) {
    let sheet = compile("1.0", &format!("{IDENTITY}{rules}")).expect("it compiles");
    assert!(sheet.streams(), "{rules}");
    assert_eq!(streamed(&sheet, xml).as_deref(), Some(expected));
    assert!(compare(&sheet, xml));
}

const RENAME: &str = "<xsl:template match='b'><c><xsl:apply-templates select='@*|node()'/></c></xsl:template>";

#[test]
fn elements_are_renamed_dropped_and_marked() {
    check("", "<?xml version='1.0'?>\n<a k='1'> <b/><!--n--></a>\n<!--x-->", "<a k='1'> <b/><!--n--></a>");
    check(RENAME, "<a><b>1&lt;2</b>\n<b/><b></b></a>", "<a><c>1&lt;2</c>\n<c/><c></c></a>");
    check(RENAME, "<b/>", "<c/>");
    check("<xsl:template match='b'/>", "<a>1<b>2<b/></b>3<d><b/></d></a>", "<a>13<d/></a>");
    check("<xsl:template match='a/b'/>", "<a><b/><c><b/><a><b x='1'/>t</a></c></a>", "<a><c><b/><a>t</a></c></a>");
    check("<xsl:template match='a//b'/>", "<r><b/><a><x><b/></x></a></r>", "<r><b/><a><x/></a></r>");
    check("<xsl:template match='/r/b'/>", "<r><b/><r><b/></r></r>", "<r><r><b/></r></r>");
    check(
        "<xsl:template match='b'><xsl:copy-of select='.'/></xsl:template><xsl:template match='c'/>",
        "<a><c/><b><c/></b></a>",
        "<a><b><c/></b></a>",
    );
    check(
        "<xsl:template match='b'><c x='&lt;1&quot;'><xsl:apply-templates select='@*|node()'/></c></xsl:template>",
        "<a><b>1</b></a>",
        "<a><c x=\"&lt;1&quot;\">1</c></a>",
    );
    check(
        "<xsl:template match='b'><xsl:copy><xsl:attribute name='x'>1</xsl:attribute><xsl:apply-templates select='@*|node()'/></xsl:copy></xsl:template>",
        "<a xmlns:p='u'><p:b/><b/></a>",
        "<a xmlns:p='u'><p:b/><b x=\"1\"/></a>",
    );
}

#[test]
fn what_takes_a_tree_is_left_to_it() {
    for rules in [
        "<xsl:template match='b[1]'/>",
        "<xsl:template match='b'><c/></xsl:template>",
        "<xsl:template match='text()'>x</xsl:template>",
        "<xsl:template match='@k'/>",
        "<xsl:template match='b'><c x='{.}'><xsl:apply-templates select='@*|node()'/></c></xsl:template>",
        "<xsl:strip-space elements='*'/>",
        "<xsl:variable name='v' select='1'/>",
        "<xsl:output method='text'/>",
    ] {
        assert!(!compile("1.0", &format!("{IDENTITY}{rules}")).expect("it compiles").streams(), "{rules}");
    }
    let sheet = compile("1.0", &format!("{IDENTITY}{RENAME}<xsl:template match='z'/>")).expect("it compiles");
    for xml in [
        "<a><b k='1'/></a>",
        "<a xmlns='d'><b xmlns=''><b/></b></a>",
        "<a><![CDATA[x]]></a>",
        "<z/>",
        "<a>",
        "",
        "<a><b></a>",
    ] {
        assert_eq!(streamed(&sheet, xml), None, "{xml}");
    }
}

#[test]
fn an_element_in_an_envelope() {
    let sheet = compile("1.0", &format!("{IDENTITY}{RENAME}<xsl:template match='/b/d'/>")).expect("it compiles");
    let mut place = |depth: usize, _: &str, local: &str| match (depth, local) {
        (0, "e") | (1, "body") => Place::Around,
        (0 | 1, _) => Place::Aside,
        _ => Place::Root,
    };
    let mut stream = |xml: &str| sheet.stream(xml.to_owned().into(), None, &mut place);
    assert_eq!(
        stream("<?x?><e><b/><h><b/></h><body> <b>1<d/></b><b/></body><body><b/></body></e><!--n-->").as_deref(),
        Some("<e><b/><h><b/></h><body> <c>1</c><b/></body><body><b/></body></e>")
    );
    assert_eq!(stream("<e><body/></e>"), None);
    assert_eq!(stream("<e><body></body></e>"), None);
    assert_eq!(stream("<x/>"), None);
}

/// Every stylesheet of the corpus, on documents with all kinds of nodes.
#[test]
fn the_corpus_goes_both_ways() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let source = std::fs::read_to_string(format!("{folder}/source.xml")).expect("it is there");
    let documents = [
        source.as_str(),
        "<r><a>1<b x='1'><i>2</i></b></a><e/><i/>t<b>&amp;</b></r>",
        "<o xmlns:m='urn:m'><m:a><b/></m:a><i f='1'/><i/><j> </j></o>",
        "<b xmlns='urn:d'><i/></b>",
    ];
    let cases = std::fs::read_to_string(format!("{folder}/xslt.golden")).expect("it is there");
    let mut both = 0;
    for case in cases.lines().filter(|line| !line.starts_with('#')) {
        let Some((version, body)) = case.split('\t').next().and_then(|it| it.split_once(' ')) else { continue };
        let text = format!("<xsl:stylesheet version='{version}' {HEAD} xmlns:m='urn:m'>{body}</xsl:stylesheet>");
        let Ok(document) = Document::parse(text) else { continue };
        let Ok(sheet) = Stylesheet::compile(document.into(), "s", &NoResolver) else { continue };
        both += documents.iter().filter(|xml| compare(&sheet, xml)).count();
    }
    assert!(both >= 20, "{both} documents went both ways");
}
