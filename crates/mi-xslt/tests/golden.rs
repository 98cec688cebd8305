//! Our own corpus against the answers of Saxon, which `golden/saxon.py` has written down.

use std::fmt::Write;
use std::sync::Arc;

use mi_expr::xpath::{Env, Item, Sequence, TreeBuilder, Version, XPath, XPathError};
use mi_xml::{Document, NodeId, NodeKind};
use mi_xslt::{Moment, NoResolver, PlainHost, Stylesheet, XQuery, moment};

const SOURCE: &str = include_str!("golden/source.xml");

/// The cases of a file with the answers of Saxon, and what is answered here where that is meant to differ.
fn cases(golden: &'static str, different: &'static str) -> impl Iterator<Item = (&'static str, String)> {
    let rows = |text: &'static str| text.lines().filter_map(|line| line.split_once('\t'));
    let different: std::collections::HashMap<_, _> = rows(different).collect();
    rows(golden).map(move |(case, answer)| (case, (*different.get(case).unwrap_or(&answer)).to_owned()))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t").replace('\r', "\\r")
}

fn check(golden: &'static str, different: &'static str, least: usize, answer: impl Fn(&str) -> String) {
    let (mut count, mut wrong, mut report) = (0, 0, String::new());
    for (case, expected) in cases(golden, different) {
        count += 1;
        let found = answer(case);
        if found != expected && !same_xml(&found, &expected) {
            wrong += 1;
            writeln!(report, "{case}\n  is  {found}\n  not {expected}").expect("a string takes it");
        }
    }
    assert!(count >= least, "there are only {count} cases");
    assert!(wrong == 0, "{wrong} of {count} cases differ:\n{report}");
}

/// Whether two results are the same but for the way they are written: order of attributes, declarations and escapes.
fn same_xml(a: &str, b: &str) -> bool {
    let parsed = |text: &str| {
        let text = text.replace("\\n", "\n");
        let declared = text.starts_with("<?xml").then(|| text.find("?>")).flatten().map_or(0, |at| at + 2);
        let content = &text[declared..];
        Document::parse(format!("<all>{content}</all>")).ok().map(|doc| (text[..declared].to_owned(), doc))
    };
    match (parsed(a), parsed(b)) {
        (Some((a, left)), Some((b, right))) => {
            a == b && canonical(&left, Document::ROOT) == canonical(&right, Document::ROOT)
        }
        _ => false,
    }
}

/// A node as text that does not depend on how it was written.
fn canonical(doc: &Document, node: NodeId) -> String {
    let below = || doc.children(node).map(|it| canonical(doc, it)).collect::<String>();
    match doc.kind(node) {
        NodeKind::Element => {
            let mut parts: Vec<String> =
                doc.in_scope_namespaces(node).into_iter().map(|(prefix, uri)| format!("{prefix}={uri}")).collect();
            let named = |it: NodeId| format!("{{{}}}{}='{}'", doc.namespace(it), doc.local_name(it), doc.value(it));
            parts.extend(doc.attributes(node).map(named));
            parts.sort();
            let name = format!("{{{}}}{}", doc.namespace(node), doc.qualified_name(node));
            format!("<{name} {}>{}</>", parts.join(" "), below())
        }
        NodeKind::Document => below(),
        NodeKind::Text => doc.value(node).replace('<', "&lt;"),
        _ => format!("<!{} {}>", doc.local_name(node), doc.value(node)),
    }
}

struct Alone;

impl<'d> Env<'d> for Alone {
    fn variable(&self, _: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        Err(XPathError::UnknownVariable { name: local.to_owned() })
    }

    fn function(&self, _: &str, _: &str, _: &str, _: &[Sequence<'d>]) -> Option<Result<Sequence<'d>, XPathError>> {
        None
    }

    fn now(&self) -> Moment {
        moment(0, 0)
    }
}

fn namespace(prefix: &str) -> Option<String> {
    let uri = match prefix {
        "m" => "urn:m",
        "n" => "urn:n",
        "xs" => "http://www.w3.org/2001/XMLSchema",
        "fn" => "http://www.w3.org/2005/xpath-functions",
        "math" => "http://www.w3.org/2005/xpath-functions/math",
        "map" => "http://www.w3.org/2005/xpath-functions/map",
        "array" => "http://www.w3.org/2005/xpath-functions/array",
        _ => return None,
    };
    Some(uri.to_owned())
}

fn shown(value: &Sequence<'_>) -> String {
    let shown = |item: Item<'_>| match &item {
        Item::Node(node) => format!("node {} {}", node.doc.local_name(node.id), &*node.string_value()),
        Item::Function(_) | Item::Map(_) | Item::Array(_) => "function".to_owned(),
        other => format!("{} {}", other.type_name().trim_start_matches("xs:"), &*other.to_str(Version::V2)),
    };
    value.iter().map(shown).collect::<Vec<_>>().join(" | ")
}

#[test]
fn expressions() {
    let source = Document::parse(SOURCE).expect("it parses");
    let root = source.root_element().expect("there is one");
    check(include_str!("golden/xpath.golden"), include_str!("golden/xpath.different"), 600, |case| {
        let compiled = match XPath::compile_as(case, Version::V2, &namespace, "") {
            Ok(compiled) => compiled,
            Err(_) => return "!".to_owned(),
        };
        match compiled.evaluate(&source, root, &Alone) {
            Ok(value) => escaped(&shown(&value)),
            Err(_) => "!".to_owned(),
        }
    });
}

#[test]
fn stylesheets() {
    let source = Document::parse(SOURCE).expect("it parses");
    check(include_str!("golden/xslt.golden"), include_str!("golden/xslt.different"), 250, |case| {
        let (version, body) = case.split_once(' ').expect("a case starts with the version");
        let sheet = format!(
            "<xsl:stylesheet version='{version}' xmlns:xsl='http://www.w3.org/1999/XSL/Transform' \
             xmlns:xs='http://www.w3.org/2001/XMLSchema' xmlns:m='urn:m' xmlns:f='urn:f' \
             exclude-result-prefixes='xs m f'>{body}</xsl:stylesheet>"
        );
        let Ok(sheet) = Document::parse(sheet) else { return "!".to_owned() };
        let Ok(sheet) = Stylesheet::compile(Arc::new(sheet), "case.xsl", &NoResolver) else { return "!".to_owned() };
        match sheet.transform(&source, Document::ROOT, &[], &PlainHost::default()) {
            Ok(output) => escaped(&output.serialize()),
            Err(_) => "!".to_owned(),
        }
    });
}

#[test]
fn queries() {
    let source = Document::parse(SOURCE).expect("it parses");
    check(include_str!("golden/xquery.golden"), include_str!("golden/xquery.different"), 100, |case| {
        let Ok(query) = XQuery::compile(case, "case.xq") else { return "!".to_owned() };
        let context = Item::Node(mi_expr::xpath::Node::new(&source, Document::ROOT));
        match query.run_on(Some(context), &[], &PlainHost::default()) {
            Ok(value) => escaped(&written(&value)),
            Err(_) => "!".to_owned(),
        }
    });
}

/// A sequence as the serialization of XML has it.
fn written(value: &Sequence<'_>) -> String {
    let mut out = String::new();
    let mut after_value = false;
    for item in value.iter() {
        match &item {
            Item::Node(node) => {
                let mut tree = TreeBuilder::new();
                match node.kind() {
                    NodeKind::Attribute => out.push_str(&node.doc.to_xml(node.id)),
                    _ => {
                        tree.copy(node, true).expect("it is no attribute");
                        out.push_str(&tree.finish().0.to_xml(Document::ROOT));
                    }
                }
            }
            other => {
                out.push_str(if after_value { " " } else { "" });
                let text = other.to_str(Version::V2);
                out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
            }
        }
        after_value = !matches!(item, Item::Node(_));
    }
    out
}
