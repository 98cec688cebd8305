//! An XPath as MI uses it: evaluated on the envelope, with MI's rules for the text of a result.
//!
//! `get-property('x')`, `$ctx:x` and plain strings are looked up without the XPath machinery.

use std::cell::RefCell;
use std::sync::Arc;

use mi_message::{Message, Value, XmlValue, java_double};
use mi_xml::{Document, NodeId, NodeKind};

use crate::property::{self, Found, Scope};
use crate::xpath::{Context, DocRef, Item, Node, Sequence, Version, XPath, XPathError};
use crate::xpath_env::{self, MessageEnv, Prefix};
use crate::{EvalError, Lookup, Namespaces, SyntaxError};

/// A compiled XPath.
#[derive(Debug)]
pub(crate) struct XPathExpr {
    source: Box<str>,
    plan: Plan,
    reads_body: bool,
    needs_xml: bool,
}

#[derive(Debug)]
enum Plan {
    Text(Arc<str>),
    Property {
        scope: Scope,
        key: Box<str>,
    },
    Variable {
        prefix: Prefix,
        local: Box<str>,
    },
    Path(XPath),
    /// The expression is well-formed but has this prefix, which is not declared: MI deploys it and fails the message.
    Undeclared(Box<str>),
}

impl XPathExpr {
    /// Compiles an XPath. An undeclared prefix is no syntax error, see [`XPathExpr::undeclared_prefix`].
    pub(crate) fn parse(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let (xpath, undeclared) = compile(source, namespaces)?;
        let soap_part =
            xpath.variables().any(|(prefix, local)| prefix.is_empty() && matches!(local, "body" | "header" | "env"));
        let needs_xml = xpath.uses_document() || soap_part;
        let from_body = xpath.functions().any(|call| {
            call.local == "get-property"
                && call.literals.iter().any(|literal| matches!(literal.as_deref(), Some("FAULT" | "From")))
        });
        let plan = match undeclared {
            Some(prefix) => Plan::Undeclared(prefix.into()),
            None => short_cut(source.trim()).unwrap_or(Plan::Path(xpath)),
        };
        Ok(Self { source: source.into(), plan, reads_body: needs_xml || from_body, needs_xml })
    }

    /// A prefix that is not declared where the expression stands; every evaluation fails then.
    pub(crate) fn undeclared_prefix(&self) -> Option<&str> {
        match &self.plan {
            Plan::Undeclared(prefix) => Some(prefix),
            _ => None,
        }
    }

    /// The name in `$func:name`, when that is all there is.
    pub(crate) fn function_parameter(&self) -> Option<&str> {
        match &self.plan {
            Plan::Variable { prefix: Prefix::Function, local } => Some(local),
            _ => None,
        }
    }

    /// True when the body must be built before.
    pub(crate) fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// True when the body is looked at as XML.
    pub(crate) fn needs_xml(&self) -> bool {
        self.needs_xml
    }

    /// The result as text, `None` for Java's null. MI: `SynapseXPath#stringValueOf`.
    pub(crate) fn eval_text(&self, message: &Message, lookup: &dyn Lookup) -> Result<Option<Arc<str>>, EvalError> {
        match &self.plan {
            Plan::Text(text) => Ok(Some(text.clone())),
            Plan::Path(xpath) => {
                if xpath.version() == Version::V2 {
                    let text = self.run(message, lookup, |xpath, context, env| xpath.evaluate_string(context, env))?;
                    return Ok(Some(text.into_string().into()));
                }
                let result = self.run(message, lookup, |xpath, context, env| {
                    xpath.evaluate_in(context, env).map(|result| self.text(&result))
                })?;
                Ok(Some(result))
            }
            _ => {
                let found = self.look_up(message, lookup)?;
                Ok(found.as_deref().and_then(|value| self.text_of_value(value)))
            }
        }
    }

    /// The result with its type. Nodes of the message are copied.
    pub(crate) fn eval(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        match &self.plan {
            Plan::Text(text) => Ok(Value::from(text.clone())),
            Plan::Path(_) | Plan::Undeclared(_) => self.run(message, lookup, |xpath, context, env| {
                xpath.evaluate_in(context, env).map(|result| value_of(&result))
            }),
            _ => Ok(self.look_up(message, lookup)?.map_or(Value::Null, std::borrow::Cow::into_owned)),
        }
    }

    /// The effective boolean value. MI: `SynapseXPath#booleanValueOf`.
    pub(crate) fn eval_bool(&self, message: &Message, lookup: &dyn Lookup) -> Result<bool, EvalError> {
        match &self.plan {
            Plan::Text(text) => Ok(!text.is_empty()),
            Plan::Path(_) | Plan::Undeclared(_) => {
                self.run(message, lookup, |xpath, context, env| xpath.evaluate_boolean(context, env))
            }
            _ => Ok(match self.look_up(message, lookup)?.as_deref() {
                None | Some(Value::Null) => false,
                Some(Value::Bool(value)) => *value,
                Some(Value::Int(value)) => *value != 0,
                Some(Value::Long(value)) => *value != 0,
                Some(Value::Float(value)) => *value != 0.0 && !value.is_nan(),
                Some(Value::Double(value)) => *value != 0.0 && !value.is_nan(),
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Xml(nodes)) => !nodes.nodes.is_empty(),
                Some(_) => true,
            }),
        }
    }

    /// The nodes of the message's own envelope that the expression selects.
    pub(crate) fn eval_nodes(&self, message: &Message, lookup: &dyn Lookup) -> Result<Vec<NodeId>, EvalError> {
        let xpath = match &self.plan {
            Plan::Path(xpath) => xpath,
            Plan::Undeclared(prefix) => return Err(self.unresolved(prefix)),
            _ => return Ok(Vec::new()),
        };
        let envelope = message.body.envelope()?;
        let document = envelope.document();
        let start = match xpath.version() {
            Version::V1 => envelope.envelope(),
            Version::V2 => envelope.payload().unwrap_or_else(|| envelope.envelope()),
        };
        let env = MessageEnv { message, lookup };
        let result = xpath.evaluate(document, start, &env).map_err(|error| self.failed(&error))?;
        let own = DocRef::Borrowed(document);
        Ok(result
            .iter()
            .filter_map(|item| match item {
                Item::Node(node) if node.doc.same(&own) => Some(node.id),
                _ => None,
            })
            .collect())
    }

    /// The result as text with an element of a variable as the document.
    pub(crate) fn eval_text_on(
        &self,
        element: &XmlValue,
        message: &Message,
        lookup: &dyn Lookup,
    ) -> Result<Option<Arc<str>>, EvalError> {
        match &self.plan {
            Plan::Path(xpath) => {
                let env = MessageEnv { message, lookup };
                let result = xpath.evaluate_in(&on_element(element), &env).map_err(|error| self.failed(&error))?;
                Ok(Some(self.text(&result)))
            }
            _ => self.eval_text(message, lookup),
        }
    }

    /// The typed result with an element of a variable as the document.
    pub(crate) fn eval_on(
        &self,
        element: &XmlValue,
        message: &Message,
        lookup: &dyn Lookup,
    ) -> Result<Value, EvalError> {
        match &self.plan {
            Plan::Path(xpath) => {
                let env = MessageEnv { message, lookup };
                let result = xpath.evaluate_in(&on_element(element), &env).map_err(|error| self.failed(&error))?;
                Ok(value_of(&result))
            }
            _ => self.eval(message, lookup),
        }
    }

    fn failed(&self, error: &XPathError) -> EvalError {
        EvalError::xpath(&self.source, error)
    }

    fn unresolved(&self, prefix: &str) -> EvalError {
        EvalError::evaluation(format!(
            "Evaluation of the XPath expression {} resulted in an error: Cannot resolve namespace prefix '{prefix}'",
            self.source
        ))
    }

    fn look_up<'m>(&self, message: &'m Message, lookup: &dyn Lookup) -> Result<Found<'m>, EvalError> {
        match &self.plan {
            Plan::Property { scope, key } => property::get_property(*scope, key, None, message, lookup),
            Plan::Variable { prefix, local } => xpath_env::variable(*prefix, local, message, lookup),
            Plan::Undeclared(prefix) => Err(self.unresolved(prefix)),
            Plan::Text(_) | Plan::Path(_) => Ok(None),
        }
    }

    /// Runs the machinery with the envelope as the context, or without a context when the expression needs none.
    fn run<'m, T>(
        &'m self,
        message: &'m Message,
        lookup: &'m dyn Lookup,
        inner: impl FnOnce(&XPath, &Context<'m>, &MessageEnv<'m>) -> Result<T, XPathError>,
    ) -> Result<T, EvalError> {
        let xpath = match &self.plan {
            Plan::Path(xpath) => xpath,
            Plan::Undeclared(prefix) => return Err(self.unresolved(prefix)),
            _ => return Err(EvalError::evaluation(format!("{} is no path", self.source))),
        };
        let env = MessageEnv { message, lookup };
        let context = if xpath.uses_document() {
            let envelope = message.body.envelope()?;
            match (xpath.version(), envelope.payload()) {
                (Version::V2, Some(payload)) => on_element(&XmlValue::copy_of(envelope.document(), payload)),
                _ => Context::node(envelope.document(), envelope.envelope()),
            }
        } else {
            Context { item: None, position: 1, size: 1 }
        };
        inner(xpath, &context, &env).map_err(|error| self.failed(&error))
    }

    /// The text of a result: one element is its own trimmed text, or its XML when that is blank; several are their XML
    /// one behind the other. MI: `SynapseXPath#stringValueOf`.
    fn text(&self, result: &Sequence<'_>) -> Arc<str> {
        let single = result.len() == 1;
        let mut text = String::new();
        for item in result.iter() {
            match item {
                Item::Node(node) => self.push_node(&node.doc, node.id, single, &mut text),
                Item::Double(value) => text.push_str(&java_double(value)),
                other => text.push_str(&other.to_str(Version::V1)),
            }
        }
        text.into()
    }

    fn push_node(&self, document: &Document, node: NodeId, single: bool, out: &mut String) {
        let source = self.source.trim_end();
        let parent = if single && source.ends_with("node()") && document.kind(node) == NodeKind::Text {
            document.parent(node)
        } else {
            None
        };
        let node = parent.unwrap_or(node);
        match document.kind(node) {
            NodeKind::Text | NodeKind::Attribute => out.push_str(&document.value(node)),
            NodeKind::Document => {
                if let Some(root) = document.root_element() {
                    out.push_str(&document.to_xml(root));
                }
            }
            NodeKind::Element => {
                let own = document.text(node);
                let spaced = if own.contains('\u{a0}') { own.replace('\u{a0}', " ").into() } else { own.clone() };
                let trimmed = crate::java_text::trim(&spaced);
                if trimmed.is_empty() {
                    out.push_str(&document.to_xml(node));
                } else if single && !source.contains("node()") {
                    out.push_str(trimmed);
                } else if *own == *trimmed {
                    out.push_str(&document.to_xml(node));
                } else {
                    out.push_str(&document.to_xml(node).replace(&*own, trimmed));
                }
            }
            NodeKind::Comment | NodeKind::Pi | NodeKind::Namespace => {}
        }
    }

    /// The text of a property that the whole expression names.
    fn text_of_value(&self, value: &Value) -> Option<Arc<str>> {
        Some(match value {
            Value::Null => return None,
            Value::String(text) => text.clone().into(),
            Value::Json(json) => json.to_string().into(),
            Value::Map(_) => "".into(),
            Value::Xml(XmlValue { document, nodes }) => {
                let mut text = String::new();
                for node in nodes {
                    self.push_node(document, *node, nodes.len() == 1, &mut text);
                }
                text.into()
            }
            other => other.to_text().into(),
        })
    }
}

/// A context that is an element of a document of its own.
fn on_element<'d>(element: &XmlValue) -> Context<'d> {
    let item = element.nodes.first().map(|node| Item::Node(Node::shared(element.document.clone(), *node)));
    Context { item, position: 1, size: 1 }
}

/// A result as a typed value: nodes that are elements as XML, one text or attribute as its text, nothing as null.
fn value_of(result: &Sequence<'_>) -> Value {
    let mut items = result.iter();
    match (items.next(), items.next()) {
        (None, _) => Value::Null,
        (Some(Item::Node(node)), None) => match node.kind() {
            NodeKind::Element | NodeKind::Document => nodes_value(result),
            _ => Value::from(&*node.string_value()),
        },
        (Some(Item::Boolean(value)), None) => Value::Bool(value),
        (Some(Item::Integer(value)), None) => Value::Long(value),
        (Some(item @ Item::BigInteger(_)), None) => Value::from(&*item.to_str(Version::V2)),
        (Some(Item::Double(value)), None) => Value::Double(value),
        (Some(Item::Float(value)), None) => Value::Float(value),
        (Some(Item::Decimal(value)), None) => Value::Double(value.to_f64()),
        (Some(Item::Node(_)), Some(_)) => nodes_value(result),
        (Some(_), _) => {
            let texts: Vec<String> = result.iter().map(|item| item.to_str(Version::V2).into_string()).collect();
            Value::from(texts.join(" "))
        }
    }
}

/// Nodes as XML: shared when they stand in one shared document, else copied into a new one.
fn nodes_value(result: &Sequence<'_>) -> Value {
    let nodes: Vec<Node<'_>> = result
        .iter()
        .filter_map(|item| match item {
            Item::Node(node) => Some(node),
            _ => None,
        })
        .collect();
    if let Some(Node { doc: DocRef::Shared(document), .. }) = nodes.first()
        && nodes.iter().all(|node| node.doc.same(&DocRef::Shared(document.clone())))
    {
        let ids = nodes.iter().map(|node| node.id).collect();
        return Value::Xml(XmlValue { document: document.clone(), nodes: ids });
    }
    let mut document = Document::new();
    let mut copies = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let source: &Document = &node.doc;
        let copy = match source.kind(node.id) {
            NodeKind::Document => match source.root_element() {
                Some(root) => document.import(source, root),
                None => continue,
            },
            NodeKind::Attribute | NodeKind::Namespace => document.create_text(&source.value(node.id)),
            _ => document.import(source, node.id),
        };
        document.append_child(Document::ROOT, copy);
        copies.push(copy);
    }
    Value::Xml(XmlValue { document: Arc::new(document), nodes: copies })
}

/// Compiles an XPath; if only prefixes are missing, gives one of them and the expression with made-up namespaces.
fn compile(source: &str, namespaces: &Namespaces) -> Result<(XPath, Option<String>), SyntaxError> {
    let missing = RefCell::new(Vec::<String>::new());
    let known = |prefix: &str| namespaces.get(prefix).map(str::to_owned);
    let result = XPath::compile(source, &|prefix| {
        known(prefix).or_else(|| {
            missing.borrow_mut().push(prefix.to_owned());
            None
        })
    });
    let error = match result {
        Ok(xpath) => return Ok((xpath, None)),
        Err(error) => error,
    };
    let missing = missing.into_inner();
    let Some(prefix) = missing.iter().rev().find(|prefix| error.message.contains(&format!("`{prefix}`"))) else {
        return Err(error.into());
    };
    match XPath::compile(source, &|prefix| known(prefix).or_else(|| Some(format!("urn:undeclared:{prefix}")))) {
        Ok(xpath) => Ok((xpath, Some(prefix.clone()))),
        Err(error) => Err(error.into()),
    }
}

/// The plan for an expression that is one look-up or one string.
fn short_cut(source: &str) -> Option<Plan> {
    if let Some((prefix, local)) = source.strip_prefix('$').and_then(|name| name.split_once(':')) {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if local.is_empty() || !local.chars().all(plain) {
            return None;
        }
        return Some(Plan::Variable { prefix: Prefix::named(prefix)?, local: local.into() });
    }
    if let Some((text, "")) = string(source) {
        return Some(Plan::Text(text.into()));
    }
    let arguments = source.strip_prefix("synapse:").unwrap_or(source).strip_prefix("get-property")?.trim_start();
    let (first, rest) = string(arguments.strip_prefix('(')?.trim_start())?;
    let rest = rest.trim_start();
    if rest == ")" {
        return dated(first).then(|| Plan::Property { scope: Scope::Default, key: first.into() });
    }
    let (second, rest) = string(rest.strip_prefix(',')?.trim_start())?;
    if rest.trim_start() != ")" || !dated(second) {
        return None;
    }
    Some(Plan::Property { scope: Scope::named(first)?, key: second.into() })
}

/// True for keys that need no date format.
fn dated(key: &str) -> bool {
    key != "SYSTEM_DATE"
}

/// The string literal at the start of a text, and what stands behind it.
fn string(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let end = text[1..].find(quote)? + 1;
    Some((&text[1..end], &text[end + 1..]))
}
