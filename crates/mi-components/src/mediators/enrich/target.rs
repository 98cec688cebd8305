//! Where XML content goes. MI: `elementary.Target`.

use std::sync::{Arc, LazyLock};

use mi_config::{Diagnostic, Element};
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::Expr;
use mi_message::soap::{SOAP11_NS, SOAP12_NS};
use mi_message::{Envelope, Message, Native, Properties, SoapVersion, Value, XmlValue};
use mi_xml::{Document, NodeId, NodeKind};

use super::native_json::JsonPathText;
use super::source::{Item, ItemContent};
use super::{Type, complain};
use crate::{json, payload, xml};

/// The `<target>`.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) kind: TargetKind,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum TargetKind {
    XPath(Expr),
    /// `get-property('scope', 'name')` as the XPath.
    GetProperty {
        scope: String,
        name: String,
    },
    JsonPath(JsonPathText),
    Envelope,
    Body,
    Property(String),
    /// A field that gets another name.
    Key(JsonPathText),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Replace,
    Child,
    Sibling,
    Remove,
}

impl Action {
    pub(super) fn parse(el: &Element) -> Result<Self, Diagnostic> {
        match el.attr("action").as_deref() {
            None | Some("replace") => Ok(Self::Replace),
            Some("child") => Ok(Self::Child),
            Some("sibling") => Ok(Self::Sibling),
            Some("remove") => Ok(Self::Remove),
            Some(other) => Err(el
                .error(format!("Unexpected target action '{other}'"))
                .hint("one of replace, child, sibling, remove")),
        }
    }
}

static QUOTED: LazyLock<regex::Regex> =
    LazyLock::new(|| regex::Regex::new("'([^']*)'").expect("the pattern is constant"));

impl Target {
    pub(super) fn parse(el: &Element, target_type: Type) -> Result<Self, Diagnostic> {
        let action = Action::parse(el)?;
        let kind = match target_type {
            Type::Custom => parse_custom(el, action)?,
            Type::Envelope => TargetKind::Envelope,
            Type::Body => TargetKind::Body,
            Type::Property => match el.attr("property") {
                Some(name) => TargetKind::Property(name.into_owned()),
                None => return Err(el.error("property attribute is required for type property")),
            },
            Type::Key => {
                let expr = el.expr("xpath")?.filter(Expr::is_json_path);
                let expr = expr.ok_or_else(|| el.error("a JSONPath must be defined for the target type 'key'."))?;
                TargetKind::Key(JsonPathText::parse(el, expr.source())?)
            }
            Type::Inline => return Err(el.error("Inline not support for target attribute")),
        };
        Ok(Self { kind, action })
    }

    /// Can the native JSON world take it?
    pub(super) fn can_be_json(&self) -> bool {
        !matches!(self.kind, TargetKind::XPath(_) | TargetKind::GetProperty { .. } | TargetKind::Envelope)
    }

    /// Puts the items there. MI: `Target#insert`.
    pub(super) fn insert(&self, items: Vec<Item>, cx: &mut Context) -> Result<(), Fault> {
        match &self.kind {
            TargetKind::XPath(_) | TargetKind::GetProperty { .. } if items.is_empty() => {
                complain(cx, "Cannot Enrich message from an empty source.");
                Ok(())
            }
            TargetKind::XPath(expr) => self.insert_at(expr, &items, cx),
            TargetKind::GetProperty { scope, name } => {
                self.set_scoped_property(scope, name, &items, &mut cx.message);
                Ok(())
            }
            TargetKind::Body => self.insert_into_body(&items, cx),
            TargetKind::Envelope => replace_envelope(&items, &mut cx.message),
            TargetKind::Property(name) => {
                self.set_property(name, &items, &mut cx.message);
                Ok(())
            }
            TargetKind::JsonPath(_) => Err(Fault::new("Invalid Target object to be enrich.")),
            TargetKind::Key(_) => {
                complain(cx, "Invalid Target type");
                Err(Fault::new("Invalid Target type"))
            }
        }
    }

    fn insert_at(&self, expr: &Expr, items: &[Item], cx: &mut Context) -> Result<(), Fault> {
        let found = expr.eval_nodes(&cx.message, &*cx.snapshot)?.first().copied();
        let Some(target) = found else {
            complain(cx, "Invalid Target object to be enrich.");
            return Err(Fault::new("Invalid Target object to be enrich."));
        };
        let envelope = cx.message.body.envelope_mut()?;
        let document = envelope.document_mut();
        match (document.kind(target), items.first().map(|item| &item.content)) {
            (NodeKind::Element, _) => insert_element(document, target, items, self.action),
            (NodeKind::Text, Some(ItemContent::Text(text))) => {
                if let Some(parent) = document.parent(target) {
                    document.set_text(parent, text);
                }
            }
            (NodeKind::Text, Some(ItemContent::Element(..))) => {
                // The element takes the place of the text, behind what else the parent holds.
                if let Some(parent) = document.parent(target)
                    && let Some(element) = items.first().and_then(|item| taken(document, item, target))
                {
                    document.detach(target);
                    document.append_child(parent, element);
                }
            }
            (NodeKind::Attribute, Some(content)) => {
                let text = match content {
                    ItemContent::Text(text) => text.clone(),
                    ItemContent::Element(source, node) => source.text(*node).into_owned(),
                };
                document.set_value(target, &text);
            }
            _ => return Err(Fault::new("Invalid Target object to be enrich.")),
        }
        envelope.reindex();
        Ok(())
    }

    fn insert_into_body(&self, items: &[Item], cx: &mut Context) -> Result<(), Fault> {
        let first = cx.message.body.envelope()?.payload();
        if let (Some(_), Action::Replace, Some(ItemContent::Text(text))) =
            (first, self.action, items.first().map(|item| &item.content))
            && let Some(parsed) = json::parse_lenient(text)
            && (parsed.is_object() || parsed.is_array())
        {
            payload::set_json_text(&mut cx.message, text.clone());
            return Ok(());
        }
        if first.is_none() && items.iter().any(|item| matches!(item.content, ItemContent::Text(_))) {
            complain(cx, "Invalid Object type to be inserted into message body");
        }
        let envelope = cx.message.body.envelope_mut()?;
        let (body, first) = (envelope.body(), envelope.payload());
        let document = envelope.document_mut();
        match first {
            Some(first) => insert_element(document, first, items, self.action),
            None => insert_element(document, body, items, Action::Child),
        }
        Ok(())
    }

    fn set_property(&self, name: &str, items: &[Item], message: &mut Message) {
        if self.action == Action::Child {
            match message.properties.get(name) {
                Some(Value::Xml(value)) if is_one_element(value) => {
                    let extended = with_children(value, items);
                    message.properties.set(name, Value::Xml(extended));
                    return;
                }
                Some(Value::String(text)) => {
                    if let Ok(value) = xml::parse(text) {
                        // MI keeps only the text of the outermost element here.
                        let extended = with_children(&value, items);
                        let text = extended.nodes.first().map(|it| extended.document.text(*it).into_owned());
                        message.properties.set(name, text.unwrap_or_default());
                        return;
                    }
                }
                _ => {}
            }
        }
        message.properties.set(name, value_of(items));
    }

    fn set_scoped_property(&self, scope: &str, name: &str, items: &[Item], message: &mut Message) {
        let properties: &mut Properties = match scope {
            "default" => &mut message.properties,
            "axis2" => &mut message.axis2,
            "operation" => &mut message.operation,
            _ => return,
        };
        let value = match properties.get(name) {
            Some(Value::Xml(value)) if self.action == Action::Child && is_one_element(value) => {
                Value::Xml(with_children(value, items))
            }
            _ => value_of(items),
        };
        properties.set(name, value);
    }
}

fn parse_custom(el: &Element, action: Action) -> Result<TargetKind, Diagnostic> {
    el.require_attr("xpath")?;
    let expr = el.expr("xpath")?.ok_or_else(|| el.error("xpath attribute is required for CUSTOM type"))?;
    let source = expr.source();
    if expr.is_json_path() {
        let path = JsonPathText::parse(el, source)?;
        if action == Action::Replace && path.is_root() {
            let error = el.error("Acting replace is not supported for root path in type custom.");
            return Err(error.hint("Please use type body action replace instead"));
        }
        return Ok(TargetKind::JsonPath(path));
    }
    if source.starts_with("get-property") {
        let names: Vec<String> = QUOTED.captures_iter(source).map(|captures| captures[1].to_owned()).collect();
        match &names[..] {
            [name] => return Ok(TargetKind::GetProperty { scope: "default".to_owned(), name: name.clone() }),
            [scope, name, ..] => {
                return Ok(TargetKind::GetProperty { scope: scope.clone(), name: name.clone() });
            }
            [] => return Err(el.error("a get-property target must name the property in single quotes")),
        }
    }
    Ok(TargetKind::XPath(expr))
}

fn is_one_element(value: &XmlValue) -> bool {
    matches!(value.nodes[..], [node] if value.document.is_element(node))
}

/// MI: `Target#insertElement`. Text only replaces text; several siblings come out in reverse, each directly behind the
/// target.
fn insert_element(document: &mut Document, target: NodeId, items: &[Item], action: Action) {
    let mut inserted = false;
    for item in items {
        if let (ItemContent::Text(text), Action::Replace) = (&item.content, action) {
            document.set_text(target, text);
            continue;
        }
        let Some(element) = taken(document, item, target) else { continue };
        match action {
            Action::Replace => {
                document.insert_before(target, element);
                inserted = true;
            }
            Action::Child => document.append_child(target, element),
            Action::Sibling => document.insert_after(target, element),
            Action::Remove => {}
        }
    }
    if inserted {
        document.detach(target);
    }
}

/// The item as a detached node of the document: the node itself when it is moved, else a copy. A node cannot be moved
/// into itself.
fn taken(document: &mut Document, item: &Item, target: NodeId) -> Option<NodeId> {
    let ItemContent::Element(source, node) = &item.content else { return None };
    if let Some(original) = item.original
        && original != target
        && !document.ancestors(target).any(|ancestor| ancestor == original)
    {
        document.detach(original);
        return Some(original);
    }
    Some(document.import(source, *node))
}

fn replace_envelope(items: &[Item], message: &mut Message) -> Result<(), Fault> {
    let expected = || Fault::new("A SOAPEnvelope is expected");
    let Some(ItemContent::Element(source, node)) = items.first().map(|item| &item.content) else {
        return Err(expected());
    };
    if source.local_name(*node) != "Envelope" || !matches!(source.namespace(*node), SOAP11_NS | SOAP12_NS) {
        return Err(expected());
    }
    let mut document = Document::new();
    let copy = document.import(source, *node);
    document.append_child(Document::ROOT, copy);
    let mut envelope = Envelope::from_document(document, SoapVersion::Soap11);
    // Plain XML stays plain XML, also when its envelope was put aside and comes back.
    let wrapped = match message.body.native() {
        Ok(Native::Xml(present)) => present.is_wrapped(),
        _ => true,
    };
    envelope.set_wrapped(wrapped);
    payload::set_native(message, Native::Xml(envelope));
    Ok(())
}

/// The items as the value of a property.
fn value_of(items: &[Item]) -> Value {
    if let [Item { content, .. }] = items {
        return match content {
            ItemContent::Text(text) => Value::from(text.as_str()),
            ItemContent::Element(document, node) => {
                Value::Xml(XmlValue { document: document.clone(), nodes: vec![*node] })
            }
        };
    }
    let mut document = Document::new();
    let nodes = items.iter().map(|item| imported(&mut document, item)).collect();
    Value::Xml(XmlValue { document: Arc::new(document), nodes })
}

fn imported(document: &mut Document, item: &Item) -> NodeId {
    match &item.content {
        ItemContent::Text(text) => document.create_text(text),
        ItemContent::Element(source, node) => document.import(source, *node),
    }
}

fn with_children(value: &XmlValue, items: &[Item]) -> XmlValue {
    let mut document = Document::new();
    let nodes: Vec<NodeId> = value.nodes.iter().map(|node| document.import(&value.document, *node)).collect();
    if let Some(root) = nodes.first().copied() {
        document.append_child(Document::ROOT, root);
        insert_element(&mut document, root, &copies(items), Action::Child);
    }
    XmlValue { document: Arc::new(document), nodes }
}

/// The items without their places in the message: a property gets copies.
fn copies(items: &[Item]) -> Vec<Item> {
    items.iter().map(|item| Item { content: item.content.clone(), original: None }).collect()
}
