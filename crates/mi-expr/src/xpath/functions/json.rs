//! JSON and XML as text: `parse-json`, `json-to-xml`, `xml-to-json`, `parse-xml`, `serialize`.

use std::collections::HashSet;
use std::sync::Arc;

use mi_xml::{Document, NodeId, NodeKind};

use super::json_text::{self, Json, Unit};
use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::{self, V2};
use crate::xpath::ast::Type::{String as Text, Unknown};
use crate::xpath::builder::TreeBuilder;
use crate::xpath::call;
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

/// What is done with a key that comes again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    First,
    Last,
    Reject,
    Retain,
}

/// The options of `parse-json()` and `json-to-xml()`.
struct Options<'d> {
    liberal: bool,
    escape: bool,
    duplicates: Duplicates,
    fallback: Option<Item<'d>>,
}

impl<'d> Options<'d> {
    /// The options in argument 1; `retain` tells whether keys can be kept however often they come.
    fn of(args: &Args<'_, '_, 'd>, retain: bool) -> Result<Self, XPathError> {
        let duplicates = if retain { Duplicates::Retain } else { Duplicates::First };
        let mut out = Self { liberal: false, escape: false, duplicates, fallback: None };
        if args.len() < 2 {
            return Ok(out);
        }
        let item = args.single(1)?;
        let Some(Item::Map(map)) = item else {
            return Err(XPathError::type_error(format!("the options of {}() must be a map", args.call.function.name)));
        };
        for (key, value) in map.entries() {
            let wrong = |wanted: &str| {
                XPathError::type_error(format!("the option {} must be {wanted}", &*key.to_str(Version::V2)))
            };
            let boolean = || match call::atoms(value.clone())?.as_slice() {
                [Item::Boolean(it)] => Ok(*it),
                _ => Err(wrong("a boolean")),
            };
            match &*key.to_str(Version::V2) {
                "liberal" => out.liberal = boolean()?,
                "escape" => out.escape = boolean()?,
                "validate" if retain => {
                    boolean()?;
                }
                "duplicates" => {
                    let Some(text) = value.first().filter(|it| it.is_text()) else { return Err(wrong("a string")) };
                    out.duplicates = match &*text.to_str(Version::V2) {
                        "use-first" => Duplicates::First,
                        "reject" => Duplicates::Reject,
                        "use-last" if !retain => Duplicates::Last,
                        "retain" if retain => Duplicates::Retain,
                        other => {
                            let message = format!("the option duplicates=\"{other}\" is unknown");
                            return Err(XPathError::dynamic("FOJS0005", message));
                        }
                    };
                }
                "fallback" => match value.first() {
                    Some(function @ Item::Function(_)) if value.len() == 1 => out.fallback = Some(function),
                    _ => return Err(wrong("a function")),
                },
                _ => {}
            }
        }
        if out.escape && out.fallback.is_some() {
            let message = "the options escape and fallback exclude each other";
            return Err(XPathError::dynamic("FOJS0005", message));
        }
        Ok(out)
    }

    /// A string of JSON as the options want it.
    fn text(&self, ev: &Evaluator<'_, 'd>, text: &json_text::Text) -> Result<String, XPathError> {
        if self.escape {
            return Ok(text.escaped());
        }
        let mut out = String::new();
        for unit in &text.0 {
            match (unit, &self.fallback) {
                (Unit::Plain(text), _) => push_str(&mut out, text)?,
                (Unit::Escaped(c), _) => out.push(*c),
                (Unit::Invalid(code), Some(function)) => {
                    let given = Sequence::string(json_text::invalid(*code));
                    let found = ev.call_item(function, vec![given])?;
                    push_str(&mut out, &found.to_str_as(Version::V2))?;
                }
                (Unit::Invalid(_), None) => out.push('\u{fffd}'),
            }
        }
        Ok(out)
    }

    /// Whether a member with a key that was there before is taken.
    fn takes(&self, again: bool, key: &str) -> Result<bool, XPathError> {
        if again && self.duplicates == Duplicates::Reject {
            return Err(XPathError::dynamic("FOJS0003", format!("the key \"{key}\" comes twice")));
        }
        Ok(!again || self.duplicates != Duplicates::First)
    }
}

fn read(args: &Args<'_, '_, '_>, liberal: bool) -> Result<Option<Json>, XPathError> {
    let Some(text) = args.opt_string(0)? else { return Ok(None) };
    args.ev.spend(text.len() as u64)?;
    json_text::read(&text, liberal).map(Some)
}

fn parse_json<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let options = Options::of(args, false)?;
    let json = read(args, options.liberal)?;
    json.map_or_else(|| Ok(Sequence::empty()), |json| of_json(args.ev, &json, &options))
}

/// The depth of what is read is capped.
fn of_json<'d>(ev: &Evaluator<'_, 'd>, json: &Json, options: &Options<'d>) -> Outcome<'d> {
    Ok(match json {
        Json::Null => Sequence::empty(),
        Json::Bool(value) => (*value).into(),
        Json::Number(digits) => digits.parse().unwrap_or(f64::NAN).into(),
        Json::String(text) => options.text(ev, text)?.into(),
        Json::Array(members) => {
            let members = members.iter().map(|it| of_json(ev, it, options)).collect::<Result<Vec<_>, _>>()?;
            Sequence::one(Item::Array(Arc::new(members)))
        }
        Json::Object(entries) => {
            let mut map = MapItem::default();
            for (key, value) in entries {
                let key = options.text(ev, key)?;
                let item = Item::String(key.clone().into());
                let name = ev.key_of(&item);
                if options.takes(map.get(&name).is_some(), &key)? {
                    map.insert(name, item, of_json(ev, value, options)?);
                }
            }
            Sequence::one(Item::Map(Arc::new(map)))
        }
    })
}

fn json_to_xml<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let options = Options::of(args, true)?;
    let Some(json) = read(args, options.liberal)? else { return Ok(Sequence::empty()) };
    let mut out = TreeBuilder::new();
    json_element(args.ev, &json, None, &options, &mut out)?;
    Ok(Node::shared(Arc::new(out.finish().0), Document::ROOT).into())
}

fn json_element<'d>(
    ev: &Evaluator<'_, 'd>,
    json: &Json,
    key: Option<(&json_text::Text, &str)>,
    options: &Options<'d>,
    out: &mut TreeBuilder,
) -> Result<(), XPathError> {
    let name = match json {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "map",
    };
    let opened = out.open("", name, FN);
    if let Some((text, key)) = key {
        out.attribute("", "key", "", key)?;
        if options.escape && text.has_escapes() {
            out.attribute("", "escaped-key", "", "true")?;
        }
    }
    match json {
        Json::Null => {}
        Json::Bool(value) => out.text(if *value { "true" } else { "false" }),
        Json::Number(digits) => out.text(digits),
        Json::String(text) => {
            if options.escape && text.has_escapes() {
                out.attribute("", "escaped", "", "true")?;
            }
            out.text(&options.text(ev, text)?);
        }
        Json::Array(members) => members.iter().try_for_each(|it| json_element(ev, it, None, options, out))?,
        Json::Object(entries) => {
            let mut known = HashSet::new();
            for (text, value) in entries {
                let key = options.text(ev, text)?;
                if options.takes(known.contains(&key), &key)? {
                    json_element(ev, value, Some((text, &key)), options, out)?;
                }
                known.insert(key);
            }
        }
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
    let quoted = serde_json::Value::String(text.to_owned()).to_string().replace('/', "\\/");
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

/// The parameters of `serialize()` that have an effect.
struct Form {
    method: String,
    declared: bool,
    standalone: Option<bool>,
    separator: Option<String>,
}

impl Form {
    fn set(&mut self, name: &str, value: &str) {
        let yes = matches!(value.trim(), "yes" | "true" | "1");
        match name {
            "method" => value.clone_into(&mut self.method),
            "omit-xml-declaration" => self.declared = !yes,
            "standalone" => self.standalone = if value.trim() == "omit" { None } else { Some(yes) },
            "item-separator" => self.separator = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// With `method`, `omit-xml-declaration`, `standalone` and `item-separator`, from a map or an
/// `output:serialization-parameters`.
fn serialize<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut form = Form { method: "xml".to_owned(), declared: false, standalone: None, separator: None };
    if args.len() > 1 {
        match args.single(1)? {
            None => {}
            Some(Item::Map(map)) => {
                for (key, value) in map.entries().iter().filter(|(_, value)| !value.is_empty()) {
                    form.set(&key.to_str(V2), &value.to_str_as(V2));
                }
            }
            Some(Item::Node(node)) => {
                for child in node.doc.child_elements(node.id) {
                    let value = node.doc.attribute(child, "", "value").unwrap_or_default();
                    form.set(node.doc.local_name(child), &value);
                }
            }
            Some(other) => return Err(args.wrong_type(1, "a map or an element", &other)),
        }
    }
    let value = args.sequence(0)?;
    let mut out = String::new();
    match form.method.as_str() {
        "json" => write_json(args.ev, &value, 0, &mut out)?,
        "adaptive" => {
            for (at, item) in value.iter().enumerate() {
                if at > 0 {
                    out.push_str(form.separator.as_deref().unwrap_or("\n"));
                }
                write_adaptive(args.ev, &item, 0, &mut out)?;
            }
        }
        "xml" | "xhtml" | "html" | "text" => {
            if form.declared && matches!(form.method.as_str(), "xml" | "xhtml") {
                out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"");
                if let Some(standalone) = form.standalone {
                    out.push_str(if standalone { " standalone=\"yes\"" } else { " standalone=\"no\"" });
                }
                out.push_str("?>");
            }
            write_xml(args.ev, value, &form, &mut out)?;
        }
        other => {
            return Err(XPathError::dynamic("SEPM0016", format!("the method {other} of serialize() is not supported")));
        }
    }
    Ok(out.into())
}

fn write_xml(ev: &Evaluator<'_, '_>, value: Sequence<'_>, form: &Form, out: &mut String) -> Result<(), XPathError> {
    let as_text = form.method == "text";
    let mut behind_value = false;
    // Arrays are written as their members.
    let mut rest: Vec<Item<'_>> = value.into_items();
    rest.reverse();
    let mut first = true;
    while let Some(item) = rest.pop() {
        if let Item::Array(members) = &item {
            ev.spend(members.len() as u64)?;
            let inner: Vec<_> = members.iter().flat_map(|it| it.clone().into_items()).collect();
            rest.extend(inner.into_iter().rev());
            continue;
        }
        if let (Some(separator), false) = (&form.separator, first) {
            push_str(out, separator)?;
        }
        first = false;
        match &item {
            Item::Function(_) | Item::Map(_) => {
                let message = format!("a {} cannot be written as XML", item.type_name());
                return Err(XPathError::dynamic("SENR0001", message));
            }
            Item::Node(node) if matches!(node.kind(), NodeKind::Attribute | NodeKind::Namespace) => {
                return Err(XPathError::dynamic("SENR0001", "an attribute cannot be written on its own"));
            }
            Item::Node(node) if as_text => push_str(out, &node.string_value())?,
            Item::Node(node) => push_str(out, &xml_of(ev, node)?)?,
            other => {
                if behind_value && form.separator.is_none() {
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

/// A node as XML, with all namespaces in scope.
fn xml_of(ev: &Evaluator<'_, '_>, node: &Node<'_>) -> Result<String, XPathError> {
    ev.spend(node.doc.descendants(node.id).count() as u64)?;
    let inside = node.doc.parent(node.id).is_some_and(|parent| parent != Document::ROOT);
    if node.kind() != NodeKind::Element || !inside {
        return Ok(node.doc.to_xml(node.id));
    }
    let mut out = TreeBuilder::new();
    out.copy(node, true)?;
    Ok(out.finish().0.to_xml(Document::ROOT))
}

/// An item in the way of the method `adaptive`, which tells types apart.
fn write_adaptive(ev: &Evaluator<'_, '_>, item: &Item<'_>, depth: usize, out: &mut String) -> Result<(), XPathError> {
    ev.spend(1)?;
    if depth > MAX_DEPTH {
        return Err(XPathError::Limit { what: "levels of maps and arrays", cap: MAX_DEPTH as u64 });
    }
    let members = |value: &Sequence<'_>, out: &mut String| {
        if value.len() != 1 {
            out.push('(');
        }
        for (at, item) in value.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_adaptive(ev, &item, depth + 1, out)?;
        }
        if value.len() != 1 {
            out.push(')');
        }
        Ok::<_, XPathError>(())
    };
    match item {
        Item::Node(node) if matches!(node.kind(), NodeKind::Attribute | NodeKind::Namespace) => {
            push_str(out, node.doc.to_xml(node.id).trim_start())
        }
        Item::Node(node) => push_str(out, &xml_of(ev, node)?),
        Item::Map(map) => {
            out.push_str("map{");
            for (at, (key, value)) in map.entries().iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_adaptive(ev, key, depth + 1, out)?;
                out.push(':');
                members(value, out)?;
            }
            out.push('}');
            Ok(())
        }
        Item::Array(list) => {
            out.push('[');
            for (at, value) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                members(value, out)?;
            }
            out.push(']');
            Ok(())
        }
        Item::Function(function) => {
            let name = if function.name() == "function" { "(anonymous-function)" } else { function.name() };
            let prefix = if name.contains([':', '(']) { "" } else { "fn:" };
            push_str(out, &format!("{prefix}{name}#{}", function.arity()))
        }
        Item::Boolean(value) => push_str(out, if *value { "true()" } else { "false()" }),
        Item::QName(name) => push_str(out, &format!("Q{{{}}}{}", name.namespace, name.local)),
        Item::Double(v) => push_str(out, &exponential(*v)),
        Item::String(_) | Item::Untyped(_) | Item::AnyUri(_) => {
            let text = item.to_str(V2).replace('"', "\"\"");
            push_str(out, &format!("\"{text}\""))
        }
        number if number.is_numeric() && !matches!(number, Item::Float(_)) => push_str(out, &number.to_str(V2)),
        other => push_str(out, &format!("{}(\"{}\")", other.type_name(), &*other.to_str(V2))),
    }
}

fn json_number(v: f64) -> String {
    if v.abs() < 1e18 && v.trunc() == v { format!("{v}") } else { Item::Double(v).to_str(V2).into_string() }
}

/// A double with an exponent, whatever its size: `1.0e0`.
fn exponential(v: f64) -> String {
    if !v.is_finite() {
        return Item::Double(v).to_str(V2).into_string();
    }
    let text = format!("{v:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0e{exponent}"),
        _ => text,
    }
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
            // JSON has no types of numbers: doubles are written without an exponent where that is possible.
            out.push_str(&if let Item::Double(v) = n { json_number(*v) } else { n.to_str(V2).into_string() });
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
