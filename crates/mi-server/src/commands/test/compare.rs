//! When two texts count as equal: as documents when both are XML or JSON, and without white space. MI: `RequestProcessor#trimStrings`.

use mi_xml::{Document, NodeId, NodeKind};

/// The text that is compared.
pub(super) fn normal(text: &str) -> String {
    let mut text = text.trim();
    if let Some(inner) = text.strip_prefix("<![CDATA[") {
        text = inner.split("]]>").next().unwrap_or(inner);
    }
    let document = Document::parse(text.to_owned()).ok().filter(|it| it.root_element().is_some());
    let mut shown = match document {
        Some(document) => {
            let mut out = String::new();
            write(&document, Document::ROOT, &mut out);
            out
        }
        None => match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value @ (serde_json::Value::Object(_) | serde_json::Value::Array(_))) => value.to_string(),
            _ => text.to_owned(),
        },
    };
    shown.retain(|letter| !letter.is_whitespace());
    shown
}

/// XML with its attributes in the order of their names, so that their order does not count.
fn write(document: &Document, node: NodeId, out: &mut String) {
    match document.kind(node) {
        NodeKind::Element => {
            let name = document.qualified_name(node);
            out.push('<');
            out.push_str(name);
            let named = |it: NodeId| (document.qualified_name(it).to_owned(), document.value(it).into_owned());
            let declared = |it: NodeId| (format!("xmlns:{}", document.local_name(it)), document.value(it).into_owned());
            let mut attributes: Vec<(String, String)> = document.attributes(node).map(named).collect();
            attributes.extend(document.namespace_decls(node).map(declared));
            attributes.sort();
            for (name, value) in attributes {
                out.push_str(&format!(" {name}=\"{value}\""));
            }
            out.push('>');
            document.children(node).for_each(|child| write(document, child, out));
            out.push_str(&format!("</{name}>"));
        }
        NodeKind::Document => document.children(node).for_each(|child| write(document, child, out)),
        NodeKind::Comment => {}
        _ => out.push_str(&document.value(node)),
    }
}
