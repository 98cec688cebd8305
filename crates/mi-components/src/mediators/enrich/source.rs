//! Where the content comes from, as XML nodes and text. MI: `elementary.Source`.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::{Expr, Template};
use mi_message::{Value, XmlValue};
use mi_xml::{Document, NodeId, NodeKind};

use super::native_json::{JsonPathText, Property};
use super::{Type, complain};
use crate::{json, resource, xml};

/// The `<source>`.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) kind: SourceKind,
    /// False moves nodes of the message instead of copying them.
    pub(super) clone: bool,
}

#[derive(Debug)]
pub(super) enum SourceKind {
    XPath(Expr),
    JsonPath(JsonPathText),
    Envelope,
    Body,
    Property(String),
    Inline(Inline),
    /// The key of a local entry or registry resource.
    Key(String),
}

/// Content that stands in the configuration.
#[derive(Debug)]
pub(super) struct Inline {
    content: Content,
    /// The content as text with `{…}` inside, when there is any.
    template: Option<Template>,
    can_be_json: bool,
}

#[derive(Debug)]
enum Content {
    Element(XmlValue),
    Text(String),
}

/// Inline content for one message.
#[derive(Debug)]
pub(super) enum InlineText {
    Element(XmlValue),
    Text(String),
}

impl InlineText {
    pub(super) fn is_xml(&self) -> bool {
        matches!(self, Self::Element(_))
    }
}

/// One node or text that is put somewhere.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) content: ItemContent,
    /// The node of the message that this is, when it is to be moved.
    pub(super) original: Option<NodeId>,
}

#[derive(Clone, Debug)]
pub(super) enum ItemContent {
    Element(Arc<Document>, NodeId),
    Text(String),
}

impl Item {
    fn text(text: impl Into<String>) -> Self {
        Self { content: ItemContent::Text(text.into()), original: None }
    }

    fn of_node(document: &Arc<Document>, node: NodeId) -> Option<Self> {
        match document.kind(node) {
            NodeKind::Element => Some(Self { content: ItemContent::Element(document.clone(), node), original: None }),
            NodeKind::Text => Some(Self::text(document.value(node))),
            _ => None,
        }
    }

    fn of_xml(value: &XmlValue) -> Vec<Self> {
        value.nodes.iter().filter_map(|node| Self::of_node(&value.document, *node)).collect()
    }

    /// A copy of a node of the message.
    fn copied(document: &Document, node: NodeId, clone: bool) -> Self {
        let copy = XmlValue::copy_of(document, node);
        let root = copy.nodes.first().copied().unwrap_or(node);
        Self { content: ItemContent::Element(copy.document, root), original: (!clone).then_some(node) }
    }
}

impl Source {
    pub(super) fn parse(el: &Element, source_type: Type) -> Result<Self, Diagnostic> {
        let kind = match source_type {
            Type::Custom => {
                el.require_attr("xpath")?;
                let expr = el.expr("xpath")?.ok_or_else(|| el.error("xpath attribute is required for CUSTOM type"))?;
                if expr.is_json_path() {
                    SourceKind::JsonPath(JsonPathText::parse(el, expr.source())?)
                } else {
                    SourceKind::XPath(expr)
                }
            }
            Type::Envelope => SourceKind::Envelope,
            Type::Body => SourceKind::Body,
            Type::Property => match el.attr("property") {
                Some(name) => SourceKind::Property(name.into_owned()),
                None => return Err(el.error("property attribute is required for type property")),
            },
            Type::Inline => parse_inline(el)?,
            Type::Key => return Err(el.error("the type 'key' is for targets only")),
        };
        Ok(Self { kind, clone: el.bool_attr("clone") != Some(false) })
    }

    /// Can the native JSON world take it?
    pub(super) fn can_be_json(&self) -> bool {
        match &self.kind {
            SourceKind::XPath(_) | SourceKind::Envelope => false,
            SourceKind::Inline(inline) => inline.can_be_json,
            SourceKind::JsonPath(_) | SourceKind::Body | SourceKind::Property(_) | SourceKind::Key(_) => true,
        }
    }

    /// Inline content with the values of its expressions.
    pub(super) fn inline_text(&self, cx: &Context) -> Result<Option<InlineText>, Fault> {
        let SourceKind::Inline(inline) = &self.kind else { return Ok(None) };
        let Some(template) = &inline.template else {
            return Ok(Some(match &inline.content {
                // Fixed text is XML or JSON by what the other side says, not by what it looks like.
                Content::Text(text) => InlineText::Text(text.clone()),
                Content::Element(element) => InlineText::Element(element.clone()),
            }));
        };
        let text = template.eval_inline(&cx.message, &*cx.snapshot)?;
        Ok(Some(match xml::parse(&text) {
            Ok(element) => InlineText::Element(element),
            Err(_) => InlineText::Text(text),
        }))
    }

    /// The property that is the source, looked at as JSON.
    pub(super) fn property_as_json(&self, cx: &Context) -> Property {
        let SourceKind::Property(name) = &self.kind else { return Property::None };
        match cx.message.properties.get(name) {
            Some(Value::Json(value)) => Property::Json((**value).clone()),
            Some(Value::Xml(value)) => {
                let [node] = value.nodes[..] else { return Property::Xml };
                if value.document.kind(node) != NodeKind::Text {
                    return Property::Xml;
                }
                match json::parse_lenient(&value.document.value(node)) {
                    Some(parsed) if parsed.is_object() || parsed.is_array() => Property::Json(parsed),
                    _ => Property::Xml,
                }
            }
            Some(Value::String(text)) => match json::parse_or_quote(text) {
                Some(serde_json::Value::Null) | None => Property::Xml,
                Some(parsed) => Property::Json(parsed),
            },
            _ => Property::None,
        }
    }

    /// The content as XML nodes and text. MI: `Source#evaluate`.
    pub(super) fn items(&self, inline: Option<InlineText>, cx: &Context) -> Result<Vec<Item>, Fault> {
        Ok(match &self.kind {
            SourceKind::XPath(expr) => self.selected(expr, cx)?,
            SourceKind::JsonPath(path) => {
                let value = path.read(cx)?;
                vec![Item::text(Value::from(value).to_text())]
            }
            SourceKind::Envelope => {
                let envelope = cx.message.body.envelope()?;
                let document = Arc::new(envelope.document().clone());
                vec![Item { content: ItemContent::Element(document, envelope.envelope()), original: None }]
            }
            SourceKind::Body => {
                let envelope = cx.message.body.envelope()?;
                let payload = envelope.payload();
                payload.map(|it| Item::copied(envelope.document(), it, self.clone)).into_iter().collect()
            }
            SourceKind::Property(name) => match cx.message.properties.get(name) {
                Some(Value::Xml(value)) => Item::of_xml(value),
                Some(Value::String(text)) => vec![Item::text(&**text)],
                Some(Value::Json(value)) => vec![Item::text(value.to_string())],
                _ => {
                    complain(cx, "Invalid source property type.");
                    Vec::new()
                }
            },
            SourceKind::Inline(_) => match inline {
                Some(InlineText::Element(element)) => Item::of_xml(&element),
                Some(InlineText::Text(text)) => vec![Item::text(text)],
                None => Vec::new(),
            },
            SourceKind::Key(key) => match resource::value(&cx.snapshot, key) {
                Some(Value::Xml(value)) => Item::of_xml(&value),
                Some(other) => vec![Item::text(other.to_text())],
                None => {
                    complain(cx, &format!("Specified Resource as Source is not valid: {key}"));
                    Vec::new()
                }
            },
        })
    }

    fn selected(&self, expr: &Expr, cx: &Context) -> Result<Vec<Item>, Fault> {
        if !self.clone && expr.is_xpath() {
            let nodes = expr.eval_nodes(&cx.message, &*cx.snapshot)?;
            let document = cx.message.body.envelope()?.document();
            if nodes.iter().any(|node| document.is_element(*node)) {
                let elements = nodes.into_iter().filter(|node| document.is_element(*node));
                return Ok(elements.map(|node| Item::copied(document, node, false)).collect());
            }
        }
        let items = match expr.eval(&cx.message, &*cx.snapshot)? {
            Value::Null => Vec::new(),
            Value::Xml(value) => Item::of_xml(&value),
            other => vec![Item::text(other.to_text())],
        };
        if items.is_empty() {
            complain(cx, "Specified node by xpath cannot be found.");
        }
        Ok(items)
    }
}

fn parse_inline(el: &Element) -> Result<SourceKind, Diagnostic> {
    let content = match el.first_child() {
        Some(child) => Content::Element(xml::element_value(&child)),
        None => {
            let text = el.text();
            if text.trim().is_empty() {
                return match el.attr("key") {
                    Some(key) => Ok(SourceKind::Key(key.into_owned())),
                    None => Err(el.error("XML element is required for INLINE type")),
                };
            }
            Content::Text(text)
        }
    };
    let (own_text, text, can_be_json) = match &content {
        Content::Element(element) => {
            let own = element.nodes.first().map(|it| element.document.text(*it).into_owned()).unwrap_or_default();
            (own, element.to_xml(), false)
        }
        Content::Text(text) => (text.clone(), text.clone(), is_json(text)),
    };
    // MI looks for expressions in the text of the outermost element only, and then replaces them everywhere.
    let compile = |text: &str| {
        Template::parse_inline(text, &el.namespaces())
            .map_err(|error| el.error(format!("Invalid expression for inline source format: {error}")))
    };
    let template = if compile(&own_text)?.is_static() { None } else { Some(compile(&text)?) };
    Ok(SourceKind::Inline(Inline { content, template, can_be_json }))
}

fn is_json(text: &str) -> bool {
    match json::parse_lenient(text) {
        Some(value) => !value.is_null(),
        None => text.trim().starts_with('{') && text.trim().ends_with('}'),
    }
}
