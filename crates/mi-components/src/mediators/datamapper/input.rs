//! The input of a mapping: XML and CSV as the JSON that the mapping script knows, by the input schema.
//!
//! Names are what the tools generate: `ns:a` is `ns_a`, an attribute `attr_a`, the text of an element with attributes
//! `_ELEMVAL`, and characters that JavaScript names cannot have are spelled out.

use mi_xml::{Document, NodeId, XSI_NAMESPACE};
use serde_json::Value;

use super::schema::{Kind, Node, Schema};

/// A hyphen in a name.
pub(super) const HYPHEN: &str = "_EnC0DeCHaRHyPh3n_";
/// What stands between a name and its `xsi:type`.
pub(super) const SEPARATOR: &str = "_Separat0r_";
/// The text of an element that has attributes or children too.
pub(super) const TEXT: &str = "_ELEMVAL";
/// What names of attributes begin with.
pub(super) const ATTRIBUTE: &str = "attr_";
/// Deepest nesting of elements that is mapped.
const MAX_DEPTH: usize = 200;

/// A name as the script has it.
pub(super) fn script_name(name: &str) -> String {
    name.replace([':', '='], "_").replace(',', SEPARATOR).replace('-', HYPHEN)
}

/// The element as JSON text. Elements that the schema does not know are left out. MI: `XMLInputReader`.
pub(super) fn from_xml(document: &Document, element: NodeId, schema: &Schema) -> Result<String, String> {
    let mut reader = Reader { document, schema, out: String::new() };
    let name = reader.element_name(element, None);
    if name != schema.title {
        return Err(format!("the input is <{name}>, the input schema is for <{}>", schema.title));
    }
    reader.out.push('{');
    reader.content(element, &schema.root, 0)?;
    reader.out.push('}');
    Ok(reader.out)
}

struct Reader<'d> {
    document: &'d Document,
    schema: &'d Schema,
    out: String,
}

impl Reader<'_> {
    /// Attributes and children of an element.
    fn content(&mut self, element: NodeId, node: &Node, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("the input is nested deeper than {MAX_DEPTH} levels"));
        }
        let attributes: Vec<NodeId> = self.document.attributes(element).collect();
        for attribute in attributes {
            self.attribute(attribute, node)?;
        }
        let children: Vec<NodeId> = self.document.child_elements(element).collect();
        // The array that is open: items of it that follow each other are one.
        let mut open: Option<String> = None;
        for child in children {
            let name = self.element_name(child, Some(node));
            if open.as_ref().is_some_and(|array| *array != name) {
                self.out.push(']');
                open = None;
            }
            let Some(known) = node.children.get(&name).filter(|it| it.kind != Kind::Null) else { continue };
            if known.kind == Kind::Array {
                if open.is_none() {
                    self.field(&name);
                    self.out.push('[');
                }
                let items =
                    known.items.as_deref().ok_or_else(|| format!("the array {name} has no items in the schema"))?;
                self.value(child, &name, items, depth)?;
                open = Some(name);
            } else if known.kind == Kind::Object || !self.is_nil(child) {
                self.field(&name);
                self.value(child, &name, known, depth)?;
            }
        }
        if open.is_some() {
            self.out.push(']');
        }
        Ok(())
    }

    /// One element, whose name is written.
    fn value(&mut self, element: NodeId, name: &str, node: &Node, depth: usize) -> Result<(), String> {
        if node.kind == Kind::Object {
            self.separate();
            self.out.push('{');
            if !self.is_nil(element) {
                if let Some(kind) = node.value.filter(|kind| kind.is_simple()) {
                    self.field(TEXT);
                    let text = self.document.text(element);
                    self.simple(&text, kind, name)?;
                }
                self.content(element, node, depth + 1)?;
            }
            self.out.push('}');
            return Ok(());
        }
        if self.is_nil(element) {
            return Ok(());
        }
        let text = self.document.text(element);
        self.simple(&text, node.kind, name)
    }

    fn attribute(&mut self, attribute: NodeId, node: &Node) -> Result<(), String> {
        let (document, local) = (self.document, self.document.local_name(attribute));
        if local.contains("xmlns") {
            return Ok(());
        }
        let uri = document.namespace(attribute);
        let name = match self.prefix(uri, local, Some(node)) {
            Some(prefix) => format!("{prefix}:{local}"),
            None => local.to_owned(),
        };
        let kind = node.children.get(&name).map_or(Kind::String, |it| it.kind);
        let value = document.value(attribute).into_owned();
        self.field(&format!("{ATTRIBUTE}{name}"));
        self.simple(&value, kind, &name)
    }

    /// The name of an element in the schema: with the schema's prefix, and its `xsi:type` where the schema has them.
    fn element_name(&self, element: NodeId, parent: Option<&Node>) -> String {
        let document = self.document;
        let local = document.local_name(element);
        let mut name = match self.prefix(document.namespace(element), local, parent) {
            Some(prefix) => format!("{prefix}:{local}"),
            None => local.to_owned(),
        };
        let Some(xsi_type) = document.attribute(element, XSI_NAMESPACE, "type") else { return name };
        let (prefix, rest) = xsi_type.split_once(':').unwrap_or((&xsi_type, ""));
        let uri = document.lookup_namespace(element, prefix);
        let types: Vec<String> = match uri {
            Some(uri) => self.schema.prefixes(uri).map(|prefix| format!("{prefix}:{rest}")).collect(),
            None => vec![xsi_type.to_string()],
        };
        let mut candidates = self
            .schema
            .prefixes(XSI_NAMESPACE)
            .flat_map(|xsi| types.iter().map(move |it| (xsi, it)))
            .map(|(xsi, it)| format!("{name},{xsi}:type={it}"))
            .collect::<Vec<_>>()
            .into_iter();
        let known = |candidate: &String| parent.is_some_and(|it| it.children.contains_key(candidate));
        let first = candidates.next();
        match first {
            None => {}
            Some(first) if candidates.len() == 0 || known(&first) => name = first,
            Some(_) => {
                if let Some(found) = candidates.find(known) {
                    name = found;
                }
            }
        }
        name
    }

    /// The schema's prefix of a namespace; of several the one with which the name is known here.
    fn prefix(&self, uri: &str, local: &str, parent: Option<&Node>) -> Option<&str> {
        if uri.is_empty() {
            return None;
        }
        let all: Vec<&str> = self.schema.prefixes(uri).collect();
        if let [only] = all.as_slice() {
            return Some(only);
        }
        let is_known = |prefix: &&&str| {
            let name = format!("{prefix}:{local}");
            name == self.schema.title || parent.is_some_and(|it| it.children.contains_key(&name))
        };
        let is_typed = |prefix: &&&str| {
            let start = format!("{prefix}:{local},");
            parent.is_some_and(|it| it.children.keys().any(|name| name.starts_with(&start)))
        };
        all.iter().find(is_known).or_else(|| all.iter().find(is_typed)).copied()
    }

    fn is_nil(&self, element: NodeId) -> bool {
        self.schema.prefixes(XSI_NAMESPACE).next().is_some()
            && self.document.attribute(element, XSI_NAMESPACE, "nil").is_some_and(|it| it.eq_ignore_ascii_case("true"))
    }

    fn separate(&mut self) {
        separate(&mut self.out);
    }

    fn field(&mut self, name: &str) {
        field(&mut self.out, &script_name(name));
    }

    fn simple(&mut self, text: &str, kind: Kind, name: &str) -> Result<(), String> {
        simple(&mut self.out, text, kind, name)
    }
}

/// A comma, where one belongs.
fn separate(out: &mut String) {
    if !out.ends_with(['{', '[', ':']) && !out.is_empty() {
        out.push(',');
    }
}

fn field(out: &mut String, name: &str) {
    separate(out);
    out.push_str(&Value::from(name).to_string());
    out.push(':');
}

/// A text as a value of the schema's type.
fn simple(out: &mut String, text: &str, kind: Kind, name: &str) -> Result<(), String> {
    separate(out);
    let number = || format!("For input string: \"{text}\" in {name}, which is a number in the schema");
    match kind {
        Kind::Boolean => out.push_str(if text.trim().eq_ignore_ascii_case("true") { "true" } else { "false" }),
        Kind::Number => {
            let value = crate::typed::java_double(text).filter(|value| value.is_finite()).ok_or_else(number)?;
            out.push_str(&Value::from(value).to_string());
        }
        Kind::Integer => out.push_str(&text.trim().parse::<i64>().map_err(|_| number())?.to_string()),
        _ => out.push_str(&Value::from(text).to_string()),
    }
    Ok(())
}

// === CSV ===

/// Records as JSON text: an array of objects, named by the properties of the schema's items. MI: `CSVInputReader`.
pub(super) fn from_csv(text: &str, schema: &Schema) -> Result<String, String> {
    let items = schema.root.items.as_deref().ok_or("the input schema of CSV must be an array")?;
    let mut out = String::from("[");
    for record in records(text) {
        separate(&mut out);
        out.push('{');
        for (at, value) in record.iter().enumerate() {
            let name = items.order.get(at).ok_or_else(|| {
                format!("a record of the input has {} fields, the schema {}", record.len(), items.order.len())
            })?;
            field(&mut out, name);
            let kind = items.children.get(name).map_or(Kind::String, |it| it.kind);
            simple(&mut out, value, kind, name)?;
        }
        out.push('}');
    }
    out.push(']');
    Ok(out)
}

/// The records of a CSV text: fields in double quotes may hold commas, line ends and doubled quotes.
pub(super) fn records(text: &str) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let mut record = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    let mut pending = false;
    while let Some(letter) = letters.next() {
        let Some(field) = record.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            // A backslash escapes a quote or itself, as opencsv has it.
            '\\' if matches!(letters.peek(), Some('"' | '\\')) => field.extend(letters.next()),
            ',' if !quoted => record.push(String::new()),
            '\r' if !quoted && letters.peek() == Some(&'\n') => continue,
            '\n' if !quoted => {
                records.push(std::mem::replace(&mut record, vec![String::new()]));
                pending = false;
                continue;
            }
            other => field.push(other),
        }
        pending = true;
    }
    if pending {
        records.push(record);
    }
    records
}
