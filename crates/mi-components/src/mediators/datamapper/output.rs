//! The output of a mapping: what the script gave, as XML or CSV by the output schema. JSON needs no writing.

use mi_message::java_double;
use mi_xml::{Document, NodeId};
use serde_json::{Map, Value};

use super::input::{ATTRIBUTE, HYPHEN, SEPARATOR, TEXT, script_name};
use super::schema::{Kind, Node, Schema};

/// What names of objects end with that hold the attributes of the element beside them.
const ATTRIBUTES: &str = "ATTR";

/// The value as an element of the name that the schema has as title. MI: `MapOutputFormatter` with `XMLWriter`.
pub(super) fn to_xml(value: &Value, schema: &Schema) -> Result<Document, String> {
    let mut document = Document::new();
    let (prefix, local) = schema.title.split_once(':').unwrap_or(("", &schema.title));
    let uri = schema.namespace(prefix).unwrap_or_default();
    if local.is_empty() || (!prefix.is_empty() && uri.is_empty()) {
        return Err(format!("the output schema names no namespace for the prefix of '{}'", schema.title));
    }
    let root = document.create_element(prefix, local, uri);
    for (prefix, uri) in &schema.namespaces {
        document.declare_namespace(root, prefix, uri);
    }
    document.append_child(Document::ROOT, root);
    let mut writer = Writer { document, schema };
    match value {
        Value::Object(fields) => writer.fields(root, fields)?,
        Value::Array(_) => return Err("the mapping gave a list, which is no XML document".to_owned()),
        _ => return Err("Failed to execute mapping function".to_owned()),
    }
    Ok(writer.document)
}

/// Makes doubles of the whole numbers that are `number` in the schema: what was a number in XML or CSV is a double in MI's
/// engine, and is written as one (`900.0`).
pub(super) fn make_doubles(value: &mut Value, node: &Node) {
    match value {
        Value::Array(items) => {
            let of_items = node.items.as_deref().unwrap_or(node);
            for item in items {
                make_doubles(item, of_items);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match name.as_str() {
                    TEXT if node.value == Some(Kind::Number) => make_double(field),
                    name => {
                        if let Some(child) = child_of(node, name) {
                            make_doubles(field, child);
                        }
                    }
                }
            }
        }
        simple if node.kind == Kind::Number => make_double(simple),
        _ => {}
    }
}

fn make_double(value: &mut Value) {
    let whole = value.as_number().filter(|number| number.as_i64().is_some());
    if let Some(double) = whole.and_then(serde_json::Number::as_f64)
        && let Ok(made) = serde_json::from_str(&java_double(double))
    {
        *value = made;
    }
}

/// The node of a field, whose name is that of the script.
fn child_of<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let known = |name: &str| {
        let named = node.children.get(name);
        named.or_else(|| node.children.iter().find(|(raw, _)| script_name(raw) == name).map(|(_, child)| child))
    };
    let plain = name.strip_prefix(ATTRIBUTE).unwrap_or(name);
    known(plain).or_else(|| known(plain.strip_suffix(ATTRIBUTES)?))
}

struct Writer<'s> {
    document: Document,
    schema: &'s Schema,
}

/// The parts of a name in the script.
struct Name<'n> {
    prefix: &'n str,
    uri: &'n str,
    local: String,
}

impl Writer<'_> {
    fn fields(&mut self, parent: NodeId, fields: &Map<String, Value>) -> Result<(), String> {
        // Attributes come first, the last one first, as MI has it.
        for (name, value) in fields.iter().filter(|(name, _)| name.contains(ATTRIBUTE)).rev() {
            self.attribute(parent, name, value)?;
        }
        for (name, value) in fields.iter().filter(|(name, _)| !name.contains(ATTRIBUTE)) {
            let with_attributes = name.strip_suffix(ATTRIBUTES).is_some_and(|of| fields.contains_key(of));
            if with_attributes {
                continue;
            }
            let attributes = fields.get(&format!("{name}{ATTRIBUTES}")).and_then(Value::as_object);
            self.field(parent, name, value, attributes)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        parent: NodeId,
        name: &str,
        value: &Value,
        attributes: Option<&Map<String, Value>>,
    ) -> Result<(), String> {
        match value {
            Value::Null => {}
            _ if name == TEXT => {
                let text = self.document.create_text(&text_of(value));
                self.document.append_child(parent, text);
            }
            // An empty list is an empty element: MI opens it before it looks inside.
            Value::Array(items) if items.is_empty() => drop(self.element(parent, name)?),
            Value::Array(items) => {
                for item in items {
                    self.one(parent, name, item, attributes)?;
                }
            }
            other => self.one(parent, name, other, attributes)?,
        }
        Ok(())
    }

    fn one(
        &mut self,
        parent: NodeId,
        name: &str,
        value: &Value,
        attributes: Option<&Map<String, Value>>,
    ) -> Result<(), String> {
        let element = self.element(parent, name)?;
        if let Some(attributes) = attributes {
            self.fields(element, attributes)?;
        }
        match value {
            Value::Object(fields) => self.fields(element, fields)?,
            Value::Array(_) => self.field(element, name, value, None)?,
            Value::Null => {}
            simple => {
                let text = self.document.create_text(&text_of(simple));
                self.document.append_child(element, text);
            }
        }
        Ok(())
    }

    fn element(&mut self, parent: NodeId, name: &str) -> Result<NodeId, String> {
        let schema = self.schema;
        let Name { prefix, uri, local } = name_of(schema, name)?;
        let element = self.document.create_element(prefix, &local, uri);
        self.document.append_child(parent, element);
        Ok(element)
    }

    fn attribute(&mut self, element: NodeId, name: &str, value: &Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        let schema = self.schema;
        let Name { prefix, uri, local } = name_of(schema, &name.replacen(ATTRIBUTE, "", 1))?;
        self.document.set_attribute(element, prefix, &local, uri, &text_of(value));
        Ok(())
    }
}

/// `ns_a_Separat0r_xsi_type_…` is `a` in the namespace of `ns`, when the schema has that prefix.
fn name_of<'s>(schema: &'s Schema, name: &str) -> Result<Name<'s>, String> {
    let name = name.replace(HYPHEN, "-");
    let plain = name.split(SEPARATOR).next().unwrap_or_default();
    let namespaced = schema.namespaces.iter().find_map(|(prefix, uri)| {
        let local = plain.strip_prefix(prefix.as_str())?.strip_prefix('_')?;
        Some(Name { prefix, uri, local: local.to_owned() })
    });
    let found = namespaced.unwrap_or_else(|| Name { prefix: "", uri: "", local: plain.to_owned() });
    let valid = found.local.chars().enumerate().all(|(at, letter)| {
        letter.is_alphabetic()
            || letter == '_'
            || (at > 0 && (letter.is_numeric() || matches!(letter, '-' | '.' | '\u{b7}')))
    });
    if found.local.is_empty() || !valid {
        return Err(format!("'{name}' of the output is no name for an element"));
    }
    Ok(found)
}

/// A simple value as Java prints it.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(double)) => java_double(double),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The value as CSV: every field in the order of the script, a line for each item of a list. Nothing is put in quotes.
/// MI: `CSVWriter`.
pub(super) fn to_csv(value: &Value) -> String {
    let mut out = String::new();
    let mut starts_line = true;
    csv(value, &mut out, &mut starts_line, 0);
    out
}

fn csv(value: &Value, out: &mut String, starts_line: &mut bool, depth: usize) {
    // The engine's own depth of JSON is far below this.
    if depth > 1000 {
        return;
    }
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push('\n');
                    *starts_line = true;
                }
                if item.is_object() || item.is_array() {
                    csv(item, out, starts_line, depth + 1);
                }
            }
        }
        Value::Object(fields) => {
            for field in fields.values() {
                if field.is_object() || field.is_array() {
                    csv(field, out, starts_line, depth + 1);
                    continue;
                }
                if !*starts_line {
                    out.push(',');
                }
                *starts_line = false;
                out.push_str(&text_of(field));
            }
        }
        _ => {}
    }
}
