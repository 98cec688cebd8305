//! [`Expr`]: one compiled expression of any language. MI: `SynapsePath` and its factories.

use std::sync::Arc;

use mi_message::{Message, Value};
use mi_xml::NodeId;

use crate::json_eval::JsonEval;
use crate::jsonpath::{JsonLocation, JsonPath};
use crate::synapse::SynapseExpr;
use crate::xpath_expr::XPathExpr;
use crate::{EvalError, Lookup, Namespaces, SyntaxError};

/// A compiled expression. Cheap to clone, `Send + Sync`.
#[derive(Clone, Debug)]
pub struct Expr {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Box<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    XPath(XPathExpr),
    Json(JsonEval),
    Synapse(SynapseExpr),
}

impl Expr {
    fn new(source: &str, kind: Kind) -> Self {
        Self { inner: Arc::new(Inner { source: source.into(), kind }) }
    }

    /// Compiles the value of an `expression` attribute: `json-eval(…)`, `${…}`, else XPath.
    /// MI: `SynapsePathFactory#getSynapsePath`.
    pub fn parse(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        if let Some(inside) = json_eval_inside(source) {
            let json = JsonEval::parse(inside, namespaces).map_err(|error| error.shifted("json-eval(".len()))?;
            return Ok(Self::new(source, Kind::Json(json)));
        }
        if source.starts_with("${") && source.ends_with('}') {
            return Self::synapse(source, namespaces);
        }
        Self::xpath(source, namespaces)
    }

    /// Compiles an expression in braces inside other text, where `${…}` has no meaning of its own.
    pub(crate) fn parse_inline(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        match json_eval_inside(source) {
            Some(_) => Self::parse(source, namespaces),
            None => Self::xpath(source, namespaces),
        }
    }

    /// Compiles an XPath.
    pub fn xpath(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        Ok(Self::new(source, Kind::XPath(XPathExpr::parse(source, namespaces)?)))
    }

    /// Compiles a JSONPath, with or without `json-eval(…)` around it.
    pub fn json_path(source: &str) -> Result<Self, SyntaxError> {
        let inside = json_eval_inside(source).unwrap_or(source);
        Ok(Self::new(source, Kind::Json(JsonEval::parse(inside, &Namespaces::new())?)))
    }

    /// Compiles a Synapse expression, with or without `${…}` around it.
    pub fn synapse(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let (inside, shift) = match source.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            Some(inside) => (inside, 2),
            None => (source, 0),
        };
        let synapse = SynapseExpr::parse(inside, namespaces).map_err(|error| error.shifted(shift))?;
        Ok(Self::new(source, Kind::Synapse(synapse)))
    }

    /// A parameter of the running template that was handed over as an expression.
    pub(crate) fn parameter<'m>(name: &str, message: &'m Message) -> Option<&'m Self> {
        message.function_expression(name)?.downcast_ref()
    }

    /// What is evaluated: for `$func:x` the expression that the running template was given as `x`.
    fn actual<'a>(&'a self, message: &'a Message) -> &'a Kind {
        let name = match &self.inner.kind {
            Kind::XPath(xpath) => xpath.function_parameter(),
            _ => None,
        };
        match name.and_then(|name| Self::parameter(name, message)) {
            Some(parameter) => &parameter.inner.kind,
            None => &self.inner.kind,
        }
    }

    /// True when the expression looks at the parameters of the running template.
    pub fn reads_parameters(&self) -> bool {
        ["func:", "functionParams", "'func'", "\"func\""].iter().any(|part| self.inner.source.contains(part))
    }

    /// The text that was compiled.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// True when the body must be read and built before the expression is evaluated. MI: `SynapsePath#isContentAware`.
    pub fn reads_body(&self) -> bool {
        match &self.inner.kind {
            Kind::XPath(xpath) => xpath.reads_body(),
            Kind::Json(json) => json.reads_body(),
            Kind::Synapse(synapse) => synapse.reads_body(),
        }
    }

    /// True when the expression looks at the body as XML.
    pub fn needs_xml(&self) -> bool {
        match &self.inner.kind {
            Kind::XPath(xpath) => xpath.needs_xml(),
            Kind::Json(_) => false,
            Kind::Synapse(synapse) => synapse.needs_xml(),
        }
    }

    /// A prefix of an XPath that is not declared where it stands. MI deploys such an expression, and every message that
    /// reaches it fails; a check of a configuration reports it.
    pub fn undeclared_prefix(&self) -> Option<&str> {
        match &self.inner.kind {
            Kind::XPath(xpath) => xpath.undeclared_prefix(),
            _ => None,
        }
    }

    /// True for a JSONPath.
    pub fn is_json_path(&self) -> bool {
        matches!(self.inner.kind, Kind::Json(_))
    }

    /// True for a Synapse expression.
    pub fn is_synapse(&self) -> bool {
        matches!(self.inner.kind, Kind::Synapse(_))
    }

    /// True for an XPath.
    pub fn is_xpath(&self) -> bool {
        matches!(self.inner.kind, Kind::XPath(_))
    }

    /// The path of a `json-eval` on the body that is the same for every message.
    pub fn as_json_path(&self) -> Option<&JsonPath> {
        match &self.inner.kind {
            Kind::Json(json) => json.static_path(),
            _ => None,
        }
    }

    /// The result as text, `None` where MI has null, which only an XPath can give (an unset property). Logs print it
    /// as `null`. MI: `SynapsePath#stringValueOf`.
    pub fn eval_text(&self, message: &Message, lookup: &dyn Lookup) -> Result<Option<Arc<str>>, EvalError> {
        match self.actual(message) {
            Kind::XPath(xpath) => xpath.eval_text(message, lookup),
            Kind::Json(json) => json.eval_text(message, lookup).map(Some),
            Kind::Synapse(synapse) => synapse.eval_string(message, lookup).map(|text| Some(text.into())),
        }
    }

    /// The result as text; null is the empty text.
    pub fn eval_string(&self, message: &Message, lookup: &dyn Lookup) -> Result<Arc<str>, EvalError> {
        Ok(self.eval_text(message, lookup)?.unwrap_or_default())
    }

    /// The result as a condition: the effective boolean value of an XPath, the text `true` of the others.
    /// MI: `FilterMediator#test`.
    pub fn eval_bool(&self, message: &Message, lookup: &dyn Lookup) -> Result<bool, EvalError> {
        match self.actual(message) {
            Kind::XPath(xpath) => xpath.eval_bool(message, lookup),
            Kind::Json(json) => Ok(json.eval_text(message, lookup)?.eq_ignore_ascii_case("true")),
            Kind::Synapse(synapse) => Ok(synapse.eval_string(message, lookup)?.eq_ignore_ascii_case("true")),
        }
    }

    /// The result with its type: elements as a copied [`Value::Xml`], objects and arrays as [`Value::Json`], numbers of
    /// an XPath as [`Value::Double`], one text or attribute node as [`Value::String`], nothing as [`Value::Null`].
    pub fn eval(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        match self.actual(message) {
            Kind::XPath(xpath) => xpath.eval(message, lookup),
            Kind::Json(json) => json.eval(message, lookup),
            Kind::Synapse(synapse) => synapse.eval(message, lookup),
        }
    }

    /// As [`Expr::eval`], but a string that a Synapse expression takes out of JSON is [`Value::Json`], so that it can be
    /// told from other text where it has to be escaped.
    pub fn eval_keeping_json(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        match self.actual(message) {
            Kind::Synapse(synapse) => synapse.eval_keeping_json(message, lookup),
            _ => self.eval(message, lookup),
        }
    }

    /// The nodes of the message's own envelope that an XPath selects, for editing. An error for other languages.
    pub fn eval_nodes(&self, message: &Message, lookup: &dyn Lookup) -> Result<Vec<NodeId>, EvalError> {
        match self.actual(message) {
            Kind::XPath(xpath) => xpath.eval_nodes(message, lookup),
            _ => Err(EvalError::evaluation(format!("{} is no XPath, so it selects no nodes", self.inner.source))),
        }
    }

    /// The places in the message's JSON that a JSONPath selects, for editing. An error for other languages.
    pub fn eval_json_paths(&self, message: &Message, lookup: &dyn Lookup) -> Result<Vec<JsonLocation>, EvalError> {
        match self.actual(message) {
            Kind::Json(json) => json.locations(message, lookup),
            _ => Err(EvalError::evaluation(format!("{} is no JSONPath", self.inner.source))),
        }
    }
}

/// The text between `json-eval(` and the last parenthesis.
fn json_eval_inside(source: &str) -> Option<&str> {
    let rest = source.strip_prefix("json-eval(")?;
    // MI cuts the last character, whatever it is; blanks behind the parenthesis are forgiven here.
    Some(rest.trim_end().strip_suffix(')').unwrap_or(rest))
}
