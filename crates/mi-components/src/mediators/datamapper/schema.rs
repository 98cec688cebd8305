//! The schemas of mappings: JSON Schema of WSO2's tools, with `namespaces`, `attributes` and names such as `ns:item`.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Deepest nesting of a schema.
const MAX_DEPTH: usize = 100;

/// A schema.
#[derive(Debug)]
pub(super) struct Schema {
    /// `title`: the name of the root element, with a prefix when it has a namespace.
    pub(super) title: String,
    /// Prefixes and their namespaces in the order of the schema.
    pub(super) namespaces: Vec<(String, String)>,
    /// The root.
    pub(super) root: Node,
    /// `inputType`.
    pub(super) input_type: Option<String>,
    /// `outputType`.
    pub(super) output_type: Option<String>,
}

/// One element or attribute.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// `properties` and `attributes`, by name.
    pub(super) children: HashMap<String, Node>,
    /// Names of `properties` in the order of the schema, for CSV.
    pub(super) order: Vec<String>,
    /// Type of the text of an element that has children or attributes too.
    pub(super) value: Option<Kind>,
    /// What an array holds.
    pub(super) items: Option<Box<Node>>,
}

/// `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    #[default]
    String,
    Boolean,
    Number,
    Integer,
    /// `null`, or a type that is not known.
    Null,
}

impl Node {
    /// Whether it or something in it is a `number`.
    pub(super) fn has_numbers(&self) -> bool {
        self.kind == Kind::Number
            || self.value == Some(Kind::Number)
            || self.items.as_deref().is_some_and(Self::has_numbers)
            || self.children.values().any(Self::has_numbers)
    }
}

impl Kind {
    /// Has it text?
    pub(super) fn is_simple(self) -> bool {
        matches!(self, Self::String | Self::Boolean | Self::Number | Self::Integer)
    }

    fn of(schema: &Map<String, Value>) -> Self {
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => Self::Object,
            Some("array") => Self::Array,
            Some("string") => Self::String,
            Some("boolean") => Self::Boolean,
            Some("number") => Self::Number,
            Some("integer") => Self::Integer,
            _ => Self::Null,
        }
    }
}

impl Schema {
    /// Reads a schema. MI: `JacksonJSONSchema`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        let root = value.as_object().ok_or("it is no JSON object")?;
        let text = |name: &str| root.get(name).and_then(Value::as_str).map(str::to_owned);
        let title = text("title").ok_or("Invalid WSO2 Data Mapper JSON input schema, schema name not found.")?;
        let namespaces = root.get("namespaces").and_then(Value::as_array).into_iter().flatten().filter_map(|it| {
            let part = |name: &str| it.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Some((part("prefix"), part("url"))).filter(|(prefix, _)| !prefix.is_empty())
        });
        Ok(Self {
            title,
            namespaces: namespaces.collect(),
            root: node(root, 0)?,
            input_type: text("inputType"),
            output_type: text("outputType"),
        })
    }

    /// The prefixes of a namespace. None for a namespace that the schema does not name.
    pub(super) fn prefixes<'s, 'u>(&'s self, uri: &'u str) -> impl Iterator<Item = &'s str> + use<'s, 'u> {
        self.namespaces.iter().filter(move |(_, known)| known == uri).map(|(prefix, _)| prefix.as_str())
    }

    /// The namespace of a prefix.
    pub(super) fn namespace(&self, prefix: &str) -> Option<&str> {
        self.namespaces.iter().find(|(known, _)| known == prefix).map(|(_, uri)| uri.as_str())
    }
}

fn node(schema: &Map<String, Value>, depth: usize) -> Result<Node, String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
    }
    let mut made = Node { kind: Kind::of(schema), ..Node::default() };
    for part in ["properties", "attributes"] {
        for (name, child) in schema.get(part).and_then(Value::as_object).into_iter().flatten() {
            let Some(child) = child.as_object() else { continue };
            made.children.insert(name.clone(), node(child, depth + 1)?);
            if part == "properties" {
                made.order.push(name.clone());
            }
        }
    }
    made.value = schema.get("value").and_then(Value::as_object).map(Kind::of);
    let items = match schema.get("items") {
        Some(Value::Array(items)) => items.first().and_then(Value::as_object),
        Some(Value::Object(items)) => Some(items),
        _ => None,
    };
    if let Some(items) = items {
        made.items = Some(Box::new(node(items, depth + 1)?));
    }
    Ok(made)
}
