//! [`Dynamic`]: the value of an attribute that may be an expression. MI: `Value`, `ValueFactory`.

use std::sync::Arc;

use mi_message::{Message, Value};

use crate::{EvalError, Expr, Lookup, Namespaces, SyntaxError};

/// A static text, or an expression in braces.
#[derive(Clone, Debug)]
pub struct Dynamic {
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Static(Arc<str>),
    Expr(Expr),
    /// `{{expression}}`: the text `{expression}`, which somebody else evaluates later.
    Escaped {
        text: Arc<str>,
        expr: Expr,
    },
}

impl Dynamic {
    /// Reads `text`, `{xpath}`, `{json-eval(…)}`, `{${…}}`, `${…}` or `{{xpath}}`.
    pub fn parse(text: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let trimmed = text.trim();
        let kind = if trimmed == "{{}}" {
            Kind::Static("{}".into())
        } else if trimmed.len() > 4 && trimmed.starts_with("{{") && trimmed.ends_with("}}") {
            let inside = &trimmed[1..trimmed.len() - 1];
            let expr = Expr::parse(&inside[1..inside.len() - 1], namespaces).map_err(|error| error.shifted(2))?;
            Kind::Escaped { text: inside.into(), expr }
        } else if trimmed.starts_with("${") && trimmed.ends_with('}') {
            Kind::Expr(Expr::synapse(trimmed, namespaces)?)
        } else if trimmed.len() > 2 && trimmed.starts_with('{') && trimmed.ends_with('}') {
            let inside = &trimmed[1..trimmed.len() - 1];
            Kind::Expr(Expr::parse(inside, namespaces).map_err(|error| error.shifted(1))?)
        } else {
            Kind::Static(text.into())
        };
        Ok(Self { kind })
    }

    /// A static text, braces and all.
    pub fn fixed(text: impl Into<Arc<str>>) -> Self {
        Self { kind: Kind::Static(text.into()) }
    }

    /// A value that is the given expression.
    pub fn from_expr(expr: Expr) -> Self {
        Self { kind: Kind::Expr(expr) }
    }

    /// The text, unless it is an expression. An escaped expression is its text in single braces.
    pub fn as_static(&self) -> Option<&str> {
        match &self.kind {
            Kind::Static(text) | Kind::Escaped { text, .. } => Some(text),
            Kind::Expr(_) => None,
        }
    }

    /// The expression, unless it is a text.
    pub fn as_expr(&self) -> Option<&Expr> {
        match &self.kind {
            Kind::Expr(expr) => Some(expr),
            _ => None,
        }
    }

    /// The expression of `{{…}}`, which a template evaluates when it uses the parameter.
    pub fn as_escaped(&self) -> Option<&Expr> {
        match &self.kind {
            Kind::Escaped { expr, .. } => Some(expr),
            _ => None,
        }
    }

    /// True when the body must be built before.
    pub fn reads_body(&self) -> bool {
        self.as_expr().is_some_and(Expr::reads_body)
    }

    /// The value as text. MI: `Value#evaluateValue`.
    pub fn eval_string(&self, message: &Message, lookup: &dyn Lookup) -> Result<Arc<str>, EvalError> {
        match &self.kind {
            Kind::Static(text) | Kind::Escaped { text, .. } => Ok(text.clone()),
            Kind::Expr(expr) => expr.eval_string(message, lookup),
        }
    }

    /// As [`Dynamic::eval_string`], `None` where MI has null ([`Expr::eval_text`]).
    pub fn eval_text(&self, message: &Message, lookup: &dyn Lookup) -> Result<Option<Arc<str>>, EvalError> {
        match &self.kind {
            Kind::Static(text) | Kind::Escaped { text, .. } => Ok(Some(text.clone())),
            Kind::Expr(expr) => expr.eval_text(message, lookup),
        }
    }

    /// The value with its type; a static text is a string.
    pub fn eval(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        match &self.kind {
            Kind::Static(text) | Kind::Escaped { text, .. } => Ok(Value::from(text.clone())),
            Kind::Expr(expr) => expr.eval(message, lookup),
        }
    }
}
