//! Tests of the engine against tables of expressions and results.
//!
//! The results of the tables were compared with two independent engines, libxml2 for XPath 1.0 and Saxon for 2.0.

mod analysis;
mod host;
mod limits;
mod random;
mod syntax;
mod xpath1;
mod xpath2;

use chrono::{DateTime, FixedOffset};
use mi_xml::{Document, NodeId, NodeKind};

use super::*;

/// The document the tables are about; the context node is its root element.
const SAMPLE: &str = r#"<?xml version="1.0"?>
<!-- top comment --><?top pi?>
<r xmlns="" xmlns:m="urn:m" xmlns:n="urn:n" xml:lang="en-GB" version="1.0">
 <a id="1" n:x="nx">one<b>2</b><b k="v">3</b>tail</a>
 <a id="2"><a id="3"><b>4</b><c>five</c></a><b>6</b></a>
 <m:a id="4" xml:lang="de"><m:b>7</m:b><b>8.50</b><!-- in --><?pi data?></m:a>
 <c xml:id="cc">&lt;x> &amp; y</c>
 <d><e f="10"/><e f="2"/><e f="-3.5"/><e f="abc"/><e/></d>
 <list><i>b</i><i>a</i><i>c</i><i>a</i></list>
 <empty/>
 <deep><deep><deep><b>9</b></deep><b>10</b></deep><b>11</b></deep>
 <date>2024-01-15</date><dt>2024-01-15T10:20:30.5+02:00</dt>
</r>
"#;

/// The clock of the tests.
fn noon() -> DateTime<FixedOffset> {
    DateTime::parse_from_rfc3339("2024-02-29T12:00:00+01:00").unwrap()
}

/// An environment without variables and functions.
struct Nothing;

impl<'d> Env<'d> for Nothing {
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        Err(XPathError::UnknownVariable { name: format!("{prefix}:{local}") })
    }

    fn function(&self, _: &str, _: &str, _: &str, _: &[Sequence<'d>]) -> Option<Result<Sequence<'d>, XPathError>> {
        None
    }

    fn now(&self) -> DateTime<FixedOffset> {
        noon()
    }
}

fn namespaces(prefix: &str) -> Option<String> {
    let uri = match prefix {
        "m" => "urn:m",
        "n" => "urn:n",
        "xs" => "http://www.w3.org/2001/XMLSchema",
        "soapenv" => "http://schemas.xmlsoap.org/soap/envelope/",
        _ => return None,
    };
    Some(uri.to_owned())
}

fn compile(source: &str) -> XPath {
    XPath::compile(source, &namespaces).unwrap_or_else(|e| panic!("{source}: {e}"))
}

/// Where a node is: `/r/a[2]/@id`.
fn place(doc: &Document, node: NodeId) -> String {
    let Some(parent) = doc.parent(node) else { return String::new() };
    let name = match doc.kind(node) {
        NodeKind::Attribute => return format!("{}/@{}", place(doc, parent), doc.qualified_name(node)),
        NodeKind::Namespace => return format!("{}/namespace::{}", place(doc, parent), doc.local_name(node)),
        NodeKind::Text => "text()",
        NodeKind::Comment => "comment()",
        NodeKind::Pi => "processing-instruction()",
        _ => doc.qualified_name(node),
    };
    let same = |n: &NodeId| doc.kind(*n) == doc.kind(node) && doc.name_id(*n) == doc.name_id(node);
    let all = doc.children(parent).filter(same).count();
    let index = doc.children(parent).filter(same).take_while(|n| *n != node).count() + 1;
    let index = if all > 1 { format!("[{index}]") } else { String::new() };
    format!("{}/{name}{index}", place(doc, parent))
}

/// A result as the tables have it: nodes by place, strings in quotes, typed values with their type.
fn show(value: &Sequence<'_>, version: Version) -> String {
    let item = |item: Item<'_>| match &item {
        Item::Node(n) if n.kind() == NodeKind::Document => "/".to_owned(),
        Item::Node(n) => place(&n.doc, n.id),
        Item::String(s) => format!("'{}'", &**s),
        Item::Boolean(_) | Item::Integer(_) => item.to_str(version).into_string(),
        Item::Double(_) if version == Version::V1 => item.to_str(version).into_string(),
        other => format!("{}: {}", other.type_name().trim_start_matches("xs:"), &*other.to_str(version)),
    };
    value.iter().map(item).collect::<Vec<_>>().join(" | ")
}

/// The result of an expression on the sample, or its error.
fn evaluate(source: &str) -> String {
    let doc = Document::parse(SAMPLE.to_owned()).unwrap();
    let compiled = match XPath::compile(source, &namespaces) {
        Ok(compiled) => compiled,
        Err(error) => return format!("syntax: {error}"),
    };
    let root = doc.root_element().unwrap();
    match compiled.evaluate(&doc, root, &Nothing) {
        Ok(value) => show(&value, compiled.version()),
        Err(error) => format!("error: {error}"),
    }
}

/// Checks all rows of a table and reports all that differ.
#[track_caller]
fn check_all(table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .map(|(source, expected)| (source, expected, evaluate(source)))
        .filter(|(_, expected, found)| *expected != found)
        .map(|(source, expected, found)| format!("{source}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows differ:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}
