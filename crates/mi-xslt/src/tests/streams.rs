//! Documents of all kinds go without a tree as they go in the ordinary way.

use std::sync::Arc;

use mi_xml::{Document, NodeId, NodeKind};

use super::edits::{DOCUMENTS, IDENTITY, RULES};
use super::{compile, keeper, parsed};
use crate::{Place, Stylesheet};

/// Rules beside those of `edits`.
#[rustfmt::skip]
const MORE: [&str; 7] = [
    "<xsl:template match='o/s|b//v'/>",
    "<xsl:template match='/*/o'><order a='&amp;'><xsl:apply-templates select='@*|node()'/></order></xsl:template>",
    "<xsl:template match='o'><xsl:copy><xsl:copy-of select='@*'/><xsl:attribute name='k'>&lt;\"</xsl:attribute><xsl:apply-templates/></xsl:copy></xsl:template>",
    "<xsl:template match='o'><xsl:copy><xsl:attribute name='id'>0</xsl:attribute><xsl:copy-of select='@*'/><xsl:apply-templates/></xsl:copy></xsl:template>",
    "<xsl:template match='s|o|t'><z><xsl:apply-templates select='@*|node()'/></z></xsl:template><xsl:template match='v'/>",
    "<xsl:template match='o' priority='2'><xsl:copy-of select='.'/></xsl:template><xsl:template match='s'/>",
    "<xsl:template match='q:s' xmlns:q='urn:q'><z n='1' xsl:exclude-result-prefixes='q'><xsl:apply-templates select='@*|node()'/></z></xsl:template>",
];

/// What the stylesheet makes of a tree, without any short cut.
fn ordinary(sheet: &mut Stylesheet, document: &str) -> Option<String> {
    let plan = Arc::get_mut(&mut sheet.0).expect("it is not shared");
    let (edits, deeds) = (plan.edits.take(), plan.deeds.take());
    let source = parsed(document).expect("it parses");
    // As in a message: the root element is a document of its own.
    let root = source.root_element().expect("there is one");
    let output = sheet.transform(&source.subtree(root), Document::ROOT, &[], &keeper());
    let plan = Arc::get_mut(&mut sheet.0).expect("it is not shared");
    (plan.edits, plan.deeds) = (edits, deeds);
    let output = output.expect("it runs");
    let root = output.document.root_element();
    root.map(|root| canonical(&output.document, root))
}

fn canonical(doc: &Document, node: NodeId) -> String {
    match doc.kind(node) {
        NodeKind::Element => {
            let mut namespaces: Vec<_> = doc.in_scope_namespaces(node);
            namespaces.sort_unstable();
            let attribute =
                |it: NodeId| format!(" {{{}}}{}={:?}", doc.namespace(it), doc.qualified_name(it), doc.value(it));
            let attributes: String = doc.attributes(node).map(attribute).collect();
            let mut out =
                format!("<{} {{{}}} {namespaces:?}{attributes}>", doc.qualified_name(node), doc.namespace(node));
            let mut text = String::new();
            for child in doc.children(node) {
                if doc.kind(child) == NodeKind::Text {
                    text.push_str(&doc.value(child));
                    continue;
                }
                out.push_str(&format!("{:?}", std::mem::take(&mut text)));
                out.push_str(&canonical(doc, child));
            }
            out + &format!("{text:?}</>")
        }
        _ => format!("<!{} {}>", doc.local_name(node), doc.value(node)),
    }
}

fn streamed(sheet: &Stylesheet, document: &str) -> Option<String> {
    let out = sheet.stream(document.to_owned().into(), None, &mut |_, _, _| Place::Root)?;
    let made = parsed(&out).unwrap_or_else(|error| panic!("{error}: {out}"));
    Some(canonical(&made, made.root_element().expect("there is one")))
}

/// A number that follows from the last one.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// A document with most of what can be written in one.
fn generated(seed: &mut u64, depth: usize, out: &mut String) {
    let pick = |seed: &mut u64, from: &[&'static str]| from[next(seed) as usize % from.len()];
    let name = pick(seed, &["o", "s", "v", "w", "t", "q:s", "b"]);
    let more = pick(
        seed,
        &[
            "",
            "",
            " id='1'",
            " id=\"2\" k='a&lt;\"'",
            " q:id='&#10;'",
            " xmlns:q='urn:r'",
            " xmlns='urn:d'",
            " xml:space='preserve'",
            " xmlns:p='urn:x' p:k=''",
        ],
    );
    let root = if depth == 0 { " xmlns:q='urn:q'" } else { "" };
    let more = if depth == 0 && more.contains("xmlns:q") { "" } else { more };
    out.push_str(&format!("<{name}{root}{more}"));
    let count = if depth > 5 { 0 } else { next(seed) % 5 + u64::from(depth == 0) * 3 };
    if count == 0 {
        out.push_str(pick(seed, &["/>", " />", "> </"]));
        if out.ends_with("</") {
            out.push_str(&format!("{name} >"));
        }
        return;
    }
    out.push('>');
    for _ in 0..count {
        match next(seed) % 9 {
            0 => out.push_str("<!--c<&-->"),
            1 => out.push_str("<?p d?>"),
            2 => out.push_str(" \n\t"),
            3 => out.push_str("x&amp;y\r\n"),
            4 => out.push_str("&#32;&#x9;"),
            5 if next(seed).is_multiple_of(20) => out.push_str("<![CDATA[<z>]]>"),
            _ => generated(seed, depth + 1, out),
        }
    }
    out.push_str(&format!("</{name}>"));
}

#[test]
fn streams_give_what_trees_give() {
    let mut seed = 7;
    let made: Vec<String> = (0..150)
        .map(|_| {
            let mut out = String::new();
            generated(&mut seed, 0, &mut out);
            out
        })
        .collect();
    let documents: Vec<&str> = DOCUMENTS.into_iter().chain(made.iter().map(String::as_str)).collect();
    let (mut taken, mut left, mut wrong) = (0, 0, Vec::new());
    for rules in RULES.map(|(rules, _)| rules).into_iter().chain(MORE) {
        let mut sheet = compile("2.0", &format!("{IDENTITY}{rules}")).expect("it compiles");
        let works = sheet.streams();
        assert!(works || !MORE.contains(&rules), "{rules}");
        for document in documents.iter().filter(|_| works) {
            let Some(found) = streamed(&sheet, document) else {
                left += 1;
                continue;
            };
            taken += 1;
            let expected = ordinary(&mut sheet, document).unwrap_or_default();
            if found != expected {
                wrong.push(format!("{rules}\n  of  {document}\n  is  {found}\n  not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {taken} differ:\n{}", wrong.len(), wrong[..wrong.len().min(4)].join("\n"));
    assert!(taken > 300, "only {taken} were taken, {left} were left");
}
