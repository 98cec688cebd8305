//! JSON and XML as text: `parse-json`, `json-to-xml`, `xml-to-json`, `parse-xml`, `serialize`.

use std::sync::Arc;

use mi_xml::{Document, NodeId, NodeKind};
use serde_json::Value as Json;

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::{self, V2};
use crate::xpath::ast::Type::{String as Text, Unknown};
use crate::xpath::builder::TreeBuilder;
use crate::xpath::error::XPathError;
use crate::xpath::eval::{Evaluator, push_str};
use crate::xpath::function_item::MapItem;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{Item, Node};

use Library::Core;

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("parse-json", (1, 2), V2, Unknown, 0, parse_json)),
    builtin(Core, ("json-to-xml", (1, 2), V2, Unknown, 0, json_to_xml)),
    builtin(Core, ("xml-to-json", (1, 2), V2, Text, 0, xml_to_json)),
    builtin(Core, ("parse-xml", (1, 1), V2, Unknown, 0, parse_xml)),
    builtin(Core, ("parse-xml-fragment", (1, 1), V2, Unknown, 0, parse_fragment)),
    builtin(Core, ("serialize", (1, 2), V2, Text, 0, serialize)),
];

/// The namespace of the elements that JSON becomes.
const FN: &str = "http://www.w3.org/2005/xpath-functions";
/// Deepest nesting of values that are written.
const MAX_DEPTH: usize = 500;

fn wrong(code: &'static str, what: &str, reason: &dyn std::fmt::Display) -> XPathError {
    XPathError::dynamic(code, format!("the text is no {what}: {reason}"))
}

fn read(args: &Args<'_, '_, '_>) -> Result<Option<Json>, XPathError> {
    let Some(text) = args.opt_string(0)? else { return Ok(None) };
    args.ev.spend(text.len() as u64)?;
    serde_json::from_str(&text).map(Some).map_err(|error| wrong("FOJS0001", "JSON", &error))
}

fn parse_json<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(read(args)?.map(|json| of_json(args.ev, &json)).unwrap_or_default())
}

/// The depth of what serde_json reads is capped.
fn of_json<'d>(ev: &Evaluator<'_, 'd>, json: &Json) -> Sequence<'d> {
    match json {
        Json::Null => Sequence::empty(),
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => number.as_f64().unwrap_or(f64::NAN).into(),
        Json::String(text) => text.clone().into(),
        Json::Array(members) => {
            let members = members.iter().map(|it| of_json(ev, it)).collect();
            Sequence::one(Item::Array(Arc::new(members)))
        }
        Json::Object(entries) => {
            let mut map = MapItem::default();
            for (key, value) in entries {
                let key = Item::String(key.clone().into());
                let name = ev.key_of(&key);
                // Of several entries with one key the first counts.
                if map.get(&name).is_none() {
                    map.insert(name, key, of_json(ev, value));
                }
            }
            Sequence::one(Item::Map(Arc::new(map)))
        }
    }
}

fn json_to_xml<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(json) = read(args)? else { return Ok(Sequence::empty()) };
    let mut out = TreeBuilder::new();
    json_element(&json, None, &mut out)?;
    Ok(Node::shared(Arc::new(out.finish().0), Document::ROOT).into())
}

fn json_element(json: &Json, key: Option<&str>, out: &mut TreeBuilder) -> Result<(), XPathError> {
    let name = match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "map",
    };
    let opened = out.open("", name, FN);
    if let Some(key) = key {
        out.attribute("", "key", "", key)?;
    }
    match json {
        Json::Null => {}
        Json::Bool(value) => out.text(if *value { "true" } else { "false" }),
        Json::Number(number) => out.text(&number.to_string()),
        Json::String(text) => out.text(text),
        Json::Array(members) => members.iter().try_for_each(|it| json_element(it, None, out))?,
        Json::Object(entries) => entries.iter().try_for_each(|(key, it)| json_element(it, Some(key), out))?,
    }
    out.close(opened);
    Ok(())
}

fn xml_to_json<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(item) = args.ev.first(args.expr(0), args.cx)? else { return Ok(Sequence::empty()) };
    let Item::Node(node) = item else { return Err(XPathError::type_error("xml-to-json() needs a node")) };
    let doc: &Document = &node.doc;
    let root = if node.kind() == NodeKind::Document { doc.child_elements(node.id).next() } else { Some(node.id) };
    let Some(root) = root else { return Err(no_json("there is no element")) };
    let mut out = String::new();
    json_text(args.ev, doc, root, 0, &mut out)?;
    Ok(out.into())
}

fn no_json(reason: &str) -> XPathError {
    XPathError::dynamic("FOJS0006", format!("the XML does not stand for JSON: {reason}"))
}

fn json_text(
    ev: &Evaluator<'_, '_>,
    doc: &Document,
    el: NodeId,
    depth: usize,
    out: &mut String,
) -> Result<(), XPathError> {
    ev.spend(1)?;
    if depth > MAX_DEPTH {
        return Err(XPathError::Limit { what: "levels of JSON", cap: MAX_DEPTH as u64 });
    }
    if !doc.is_element(el) || doc.namespace(el) != FN {
        return Err(no_json("an element is not in the namespace of the functions"));
    }
    let text = doc.string_value(el);
    match doc.local_name(el) {
        "null" => out.push_str("null"),
        "boolean" => match text.trim() {
            "true" | "1" => out.push_str("true"),
            "false" | "0" => out.push_str("false"),
            _ => return Err(no_json("a boolean is neither true nor false")),
        },
        "number" => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => {
                out.push_str(&Item::Double(number).to_str(Version::V2));
            }
            _ => return Err(no_json("a number is none")),
        },
        "string" => quote(&text, out)?,
        kind @ ("array" | "map") => {
            let map = kind == "map";
            out.push(if map { '{' } else { '[' });
            for (at, child) in doc.child_elements(el).enumerate() {
                if at > 0 {
                    out.push(',');
                }
                if map {
                    let key = doc.attribute(child, "", "key").ok_or_else(|| no_json("a key is missing"))?;
                    quote(&key, out)?;
                    out.push(':');
                }
                json_text(ev, doc, child, depth + 1, out)?;
            }
            out.push(if map { '}' } else { ']' });
        }
        other => return Err(no_json(&format!("<{other}> stands for nothing"))),
    }
    Ok(())
}

/// A string of JSON; the slash is escaped, as the specification of serialization has it.
fn quote(text: &str, out: &mut String) -> Result<(), XPathError> {
    let quoted = Json::String(text.to_owned()).to_string().replace('/', "\\/");
    push_str(out, &quoted)
}

fn parse_xml<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(text) = args.opt_string(0)? else { return Ok(Sequence::empty()) };
    args.ev.spend(text.len() as u64)?;
    let doc = Document::parse(text.into_string()).map_err(|error| wrong("FODC0006", "XML document", &error))?;
    Ok(Node::shared(Arc::new(doc), Document::ROOT).into())
}

fn parse_fragment<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(text) = args.opt_string(0)? else { return Ok(Sequence::empty()) };
    args.ev.spend(text.len() as u64)?;
    let doc = Document::parse(format!("<f>{}</f>", &*text)).map_err(|error| wrong("FODC0006", "XML", &error))?;
    let mut out = TreeBuilder::new();
    if let Some(root) = doc.root_element() {
        for child in doc.children(root) {
            out.copy(&Node::new(&doc, child), false)?;
        }
    }
    Ok(Node::shared(Arc::new(out.finish().0), Document::ROOT).into())
}

/// With `method` xml, text or json, and `omit-xml-declaration`, from a map or an `output:serialization-parameters`.
fn serialize<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (mut method, mut declared) = (String::from("xml"), false);
    if args.len() > 1 {
        let parameter = |name: &str, value: &str, method: &mut String, declared: &mut bool| match name {
            "method" => value.clone_into(method),
            "omit-xml-declaration" => *declared = matches!(value.trim(), "no" | "false" | "0"),
            _ => {}
        };
        match args.ev.first(args.expr(1), args.cx)? {
            Some(Item::Map(map)) => {
                for (key, value) in map.entries() {
                    let (key, value) = (key.to_str(V2), value.to_str_as(V2));
                    parameter(&key, &value, &mut method, &mut declared);
                }
            }
            Some(Item::Node(node)) => {
                for child in node.doc.child_elements(node.id) {
                    let value = node.doc.attribute(child, "", "value").unwrap_or_default();
                    parameter(node.doc.local_name(child), &value, &mut method, &mut declared);
                }
            }
            _ => {}
        }
    }
    let value = args.sequence(0)?;
    let mut out = String::new();
    match method.as_str() {
        "json" => write_json(args.ev, &value, 0, &mut out)?,
        "xml" | "xhtml" | "html" | "text" => {
            if declared {
                out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
            }
            write_xml(args.ev, &value, method == "text", &mut out)?;
        }
        other => {
            return Err(XPathError::dynamic("SEPM0016", format!("the method {other} of serialize() is not supported")));
        }
    }
    Ok(out.into())
}

fn write_xml(ev: &Evaluator<'_, '_>, value: &Sequence<'_>, as_text: bool, out: &mut String) -> Result<(), XPathError> {
    let mut behind_value = false;
    for item in value.iter() {
        match &item {
            Item::Function(_) | Item::Map(_) | Item::Array(_) => {
                let message = format!("a {} cannot be written as XML", item.type_name());
                return Err(XPathError::dynamic("SENR0001", message));
            }
            Item::Node(node) if matches!(node.kind(), NodeKind::Attribute | NodeKind::Namespace) => {
                return Err(XPathError::dynamic("SENR0001", "an attribute cannot be written on its own"));
            }
            Item::Node(node) if as_text => push_str(out, &node.string_value())?,
            Item::Node(node) => {
                ev.spend(node.doc.descendants(node.id).count() as u64)?;
                push_str(out, &node.doc.to_xml(node.id))?;
            }
            other => {
                if behind_value {
                    out.push(' ');
                }
                let text = other.to_str(V2);
                if as_text {
                    push_str(out, &text)?;
                } else {
                    push_str(out, &text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))?;
                }
            }
        }
        behind_value = !matches!(item, Item::Node(_));
    }
    Ok(())
}

fn write_json(ev: &Evaluator<'_, '_>, value: &Sequence<'_>, depth: usize, out: &mut String) -> Result<(), XPathError> {
    ev.spend(1)?;
    if depth > MAX_DEPTH {
        return Err(XPathError::Limit { what: "levels of JSON", cap: MAX_DEPTH as u64 });
    }
    let item = match (value.first(), value.len()) {
        (None, _) => {
            out.push_str("null");
            return Ok(());
        }
        (Some(item), 1) => item,
        _ => return Err(XPathError::dynamic("SERE0023", "a sequence of several items cannot be written as JSON")),
    };
    match &item {
        Item::Boolean(_) => out.push_str(&item.to_str(V2)),
        n if n.is_numeric() => {
            let number = n.to_number();
            if !number.is_finite() {
                return Err(XPathError::dynamic("SERE0020", "the number cannot be written as JSON"));
            }
            out.push_str(&n.to_str(V2));
        }
        Item::Array(members) => {
            out.push('[');
            for (at, member) in members.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_json(ev, member, depth + 1, out)?;
            }
            out.push(']');
        }
        Item::Map(map) => {
            out.push('{');
            for (at, (key, value)) in map.entries().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                quote(&key.to_str(V2), out)?;
                out.push(':');
                write_json(ev, value, depth + 1, out)?;
            }
            out.push('}');
        }
        Item::Node(node) if !matches!(node.kind(), NodeKind::Attribute | NodeKind::Namespace) => {
            quote(&node.doc.to_xml(node.id), out)?;
        }
        Item::Function(_) => return Err(XPathError::dynamic("SERE0021", "a function cannot be written as JSON")),
        other => quote(&other.to_str(V2), out)?,
    }
    Ok(())
}
