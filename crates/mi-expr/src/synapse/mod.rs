//! `${…}`, the expression language of MI 4.4 and later.
//!
//! `lexer.rs` and `parser*.rs` build the tree of `ast.rs`; `eval.rs` (operators), `access.rs` (payload, variables,
//! headers, properties) and `functions/` evaluate it with the values of `item.rs`. Text with such expressions inside is
//! a [`Template`](crate::Template).

mod access;
mod ast;
mod decimal;
mod eval;
mod functions;
mod item;
mod lexer;
mod parser;
mod parser_path;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use mi_message::{Message, Value};

pub(crate) use self::access::text_as_json;
use self::ast::{Node, Piece, Root, Tail};
use self::eval::Scope;
use self::functions::Prepared;
use self::item::Item;
use crate::xpath_expr::XPathExpr;
use crate::{EvalError, Lookup, Namespaces, SyntaxError};

/// Why an expression gave no value.
#[derive(Clone, Debug, PartialEq)]
enum Failure {
    /// MI: `EvaluationException`. The expression is the empty text, and a warning is logged.
    Soft(String),
    /// Any other exception: the message fails.
    Hard(EvalError),
}

impl Failure {
    fn soft(message: impl Into<String>) -> Self {
        Self::Soft(message.into())
    }

    fn hard(message: impl Into<String>) -> Self {
        Self::Hard(EvalError::evaluation(message))
    }
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct SynapseExpr {
    node: Node,
    namespaces: Namespaces,
    /// The text without `${` and `}`, for the warning.
    source: Box<str>,
    reads_body: bool,
    needs_xml: bool,
    /// For an expression that is the whole payload: an XML body is answered as XML.
    body: Option<XPathExpr>,
}

impl SynapseExpr {
    /// Compiles an expression without `${` and `}`.
    pub(crate) fn parse(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let node = parser::parse(source, namespaces)?;
        let mut needs = Needs::default();
        needs.visit(&node);
        let body =
            if matches!(source.trim(), "payload" | "$") { Some(XPathExpr::parse("$body", namespaces)?) } else { None };
        Ok(Self {
            node,
            namespaces: namespaces.clone(),
            source: source.into(),
            reads_body: needs.body,
            needs_xml: needs.xml,
            body,
        })
    }

    /// True when the body must be built before. MI: `SynapseExpressionUtils#isSynapseExpressionContentAware`.
    pub(crate) fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// True when the body is looked at as XML.
    pub(crate) fn needs_xml(&self) -> bool {
        self.needs_xml
    }

    /// The result as text. MI: `SynapseExpression#stringValueOf`.
    pub(crate) fn eval_string<'m>(
        &'m self,
        message: &'m Message,
        lookup: &'m dyn Lookup,
    ) -> Result<Cow<'m, str>, EvalError> {
        if let Some(body) = self.xml_body(message) {
            return body.eval_text(message, lookup).map(|text| Cow::Owned(text.as_deref().unwrap_or("").to_owned()));
        }
        Ok(match self.item(message, lookup, false)? {
            Item::Null => Cow::Borrowed(""),
            Item::Plain(text) => text,
            item => Cow::Owned(item.as_str().into_owned()),
        })
    }

    /// The result with its type; a failed or null expression is the empty text. MI: `SynapseExpression#objectValueOf`.
    pub(crate) fn eval(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        if let Some(body) = self.xml_body(message) {
            return body.eval(message, lookup);
        }
        // A whole variable or payload is shared instead of copied.
        if let Node::Access(access) = &self.node
            && matches!(access.tail, Tail::None)
        {
            match &access.root {
                Root::Variable(name) => {
                    let value = message.variables.get(name);
                    if let Some(value @ (Value::Json(_) | Value::Map(_) | Value::Xml(_))) = value {
                        return Ok(value.clone());
                    }
                }
                Root::Payload => {
                    if let (true, Ok(value)) = (message.body.is_json(), message.body.json())
                        && (value.is_object() || value.is_array())
                    {
                        return Ok(Value::Json(value.clone()));
                    }
                }
                Root::Call(_) => {}
            }
        }
        Ok(match self.item(message, lookup, true)? {
            Item::Null => Value::from(""),
            item => item.into_value(),
        })
    }

    /// As [`SynapseExpr::eval`], but a string that comes out of JSON stays JSON (MI: a `JsonPrimitive`).
    pub(crate) fn eval_keeping_json(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        if let Node::Access(access) = &self.node
            && !matches!(access.tail, Tail::None)
            && self.xml_body(message).is_none()
        {
            return Ok(match self.item(message, lookup, true)? {
                Item::Plain(text) => Value::from(serde_json::Value::String(text.into_owned())),
                Item::Null => Value::from(""),
                item => item.into_value(),
            });
        }
        self.eval(message, lookup)
    }

    /// `$body`, when the expression is the whole payload and the payload is plain XML.
    fn xml_body(&self, message: &Message) -> Option<&XPathExpr> {
        let content_type = message.content_type().unwrap_or_default();
        self.body.as_ref().filter(|_| content_type.contains("application/xml") && !message.body.is_json())
    }

    fn item<'m>(&'m self, message: &'m Message, lookup: &'m dyn Lookup, typed: bool) -> Result<Item<'m>, EvalError> {
        let scope = Scope { message, lookup, namespaces: &self.namespaces, typed };
        match eval::eval(&self.node, scope) {
            Ok(item) => Ok(item),
            Err(Failure::Hard(error)) => Err(error),
            Err(Failure::Soft(cause)) => {
                log::warn!("Error evaluating expression: {} cause : {cause}", self.source);
                Ok(Item::Null)
            }
        }
    }
}

/// What an expression needs of the body.
#[derive(Default)]
struct Needs {
    body: bool,
    xml: bool,
}

impl Needs {
    fn visit_all<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Node>) {
        for node in nodes {
            self.visit(node);
        }
    }

    fn visit(&mut self, node: &Node) {
        match node {
            Node::Literal(_) | Node::Property { .. } => {}
            Node::Array(nodes) | Node::Logic { operands: nodes, .. } => self.visit_all(nodes),
            Node::Chain { first, rest } => {
                self.visit(first);
                self.visit_all(rest.iter().map(|(_, node)| node));
            }
            Node::Conditional(nodes) => self.visit_all(nodes.iter()),
            Node::Negate(node) => self.visit(node),
            Node::Access(access) => {
                match &access.root {
                    Root::Payload => self.body = true,
                    Root::Variable(_) => {}
                    Root::Call(node) => self.visit(node),
                }
                if let Tail::Dynamic { pieces, .. } = &access.tail {
                    for piece in pieces {
                        self.visit_piece(piece);
                    }
                }
            }
            Node::Call { arguments, prepared, function } => {
                self.visit_all(arguments);
                if function.name == "xpath" && arguments.len() == 1 {
                    self.visit_xpath(prepared);
                }
            }
        }
    }

    /// An XPath that is only known at evaluation may read anything.
    fn visit_xpath(&mut self, prepared: &Prepared) {
        let (body, xml) = match prepared {
            Prepared::XPath(xpath) => (xpath.reads_body(), xpath.needs_xml()),
            _ => (true, true),
        };
        self.body |= body;
        self.xml |= xml;
    }

    fn visit_piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Text(_) => {}
            Piece::Index(node, _) | Piece::Operand(node, _) => self.visit(node),
            Piece::Indexes(nodes) => self.visit_all(nodes),
            Piece::Slice(bounds) => self.visit_all(bounds.iter().flatten()),
        }
    }
}
