//! `json-eval(…)`: a JSONPath on the body or on a property. MI: `SynapseJsonPath`.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use mi_message::{BodyError, Message, Native, Value};
use serde_json::Value as Json;

use crate::expr::Expr;
use crate::jsonpath::{Found, JsonLocation, JsonPath, PathError, java_spelling};
use crate::placeholder;
use crate::synapse::text_as_json;
use crate::xpath_env::Prefix;
use crate::xpath_expr::XPathExpr;
use crate::{EvalError, EvalErrorKind, Lookup, Namespaces, SyntaxError};

/// A compiled `json-eval`.
#[derive(Debug)]
pub(crate) struct JsonEval {
    /// The property that is looked into instead of the body (`$ctx:name.path`).
    property: Option<XPathExpr>,
    path: Path,
}

#[derive(Debug)]
enum Path {
    Static(JsonPath),
    /// A path with `{expression}` in it, and the last one that was compiled from it.
    Dynamic {
        pieces: Vec<Piece>,
        last: Mutex<Option<(String, JsonPath)>>,
    },
}

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Expr(Box<Expr>),
}

impl JsonEval {
    /// Compiles the text between the parentheses.
    pub(crate) fn parse(source: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let (property, rest) = match property_end(source) {
            Some(end) => {
                (Some(XPathExpr::parse(&source[..end], namespaces)?), Cow::Owned(format!("${}", &source[end..])))
            }
            None => (None, Cow::Borrowed(source)),
        };
        let text = rest.strip_suffix('.').unwrap_or(&rest);
        // A property in front is replaced by `$`.
        let shift = if property.is_some() { source.len() - rest.len() } else { 0 };
        let path = if placeholder::brace(text, 0).is_some() {
            Path::Dynamic { pieces: pieces(text, namespaces)?, last: Mutex::new(None) }
        } else {
            Path::Static(JsonPath::compile(text).map_err(|error| error.shifted(shift))?)
        };
        Ok(Self { property, path })
    }

    /// True when the body must be built before.
    pub(crate) fn reads_body(&self) -> bool {
        let pieces = match &self.path {
            Path::Static(_) => &[][..],
            Path::Dynamic { pieces, .. } => pieces,
        };
        self.property.is_none() || pieces.iter().any(|piece| matches!(piece, Piece::Expr(expr) if expr.reads_body()))
    }

    /// The path, unless it is made for every message.
    pub(crate) fn static_path(&self) -> Option<&JsonPath> {
        match &self.path {
            Path::Static(path) if self.property.is_none() => Some(path),
            _ => None,
        }
    }

    fn path(&self, message: &Message, lookup: &dyn Lookup) -> Result<JsonPath, EvalError> {
        match &self.path {
            Path::Static(path) => Ok(path.clone()),
            Path::Dynamic { pieces, last } => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(part) => text.push_str(part),
                        Piece::Expr(expr) => text.push_str(&expr.eval_string(message, lookup)?),
                    }
                }
                let mut last = last.try_lock().ok();
                if let Some((known, path)) = last.as_deref().and_then(Option::as_ref)
                    && *known == text
                {
                    return Ok(path.clone());
                }
                let path = JsonPath::compile(&text).map_err(|error| EvalError::evaluation(error.message))?;
                if let Some(last) = last.as_deref_mut() {
                    *last = Some((text, path.clone()));
                }
                Ok(path)
            }
        }
    }

    /// The result as text: the empty text when the path leads nowhere in the body, `null` for null.
    /// MI: `SynapseJsonPath#stringValueOf`.
    pub(crate) fn eval_text(&self, message: &Message, lookup: &dyn Lookup) -> Result<Arc<str>, EvalError> {
        let path = self.path(message, lookup)?;
        if let Some(property) = &self.property {
            let Some(text) = property.eval_text(message, lookup)? else { return Ok("".into()) };
            if path.is_root() {
                return Ok(text);
            }
            let value = text_as_json(&text);
            return match path.find(&value) {
                Ok(found) => Ok(formatted(found)),
                Err(PathError::NotFound(_)) if lookup.options().ignore_missing_json_path => Ok("".into()),
                Err(error) => Err(error.into()),
            };
        }
        if path.is_root() {
            return whole_body(message);
        }
        let Some(value) = body(message)? else { return Ok("".into()) };
        match path.find(value) {
            Ok(found) => Ok(formatted(found)),
            Err(error @ PathError::Limit(_)) => Err(error.into()),
            Err(_) => Ok("".into()),
        }
    }

    /// The result with its type. A path that leads nowhere is an error. MI: `SynapseJsonPath#evaluate`.
    pub(crate) fn eval(&self, message: &Message, lookup: &dyn Lookup) -> Result<Value, EvalError> {
        let path = self.path(message, lookup)?;
        if let Some(property) = &self.property {
            let text = property.eval_text(message, lookup)?.unwrap_or_default();
            return Ok(typed(path.find(&text_as_json(&text))?));
        }
        let value = message.body.json()?;
        if path.is_root() {
            return Ok(typed_json(value));
        }
        Ok(typed(path.find(value)?))
    }

    /// The concrete places in the body.
    pub(crate) fn locations(&self, message: &Message, lookup: &dyn Lookup) -> Result<Vec<JsonLocation>, EvalError> {
        if self.property.is_some() {
            return Err(EvalError::new(EvalErrorKind::Evaluation, "The path is not on the body"));
        }
        let path = self.path(message, lookup)?;
        Ok(path.locations(message.body.json()?))
    }
}

/// Where the property in front of a path ends. MI: `^(\$ctx|\$trp|\$axis2):([a-zA-Z0-9_-]+)`.
fn property_end(source: &str) -> Option<usize> {
    let (prefix, name) = source.strip_prefix('$')?.split_once(':')?;
    match Prefix::named(prefix) {
        Some(Prefix::Context | Prefix::Transport | Prefix::Axis2) => {}
        _ => return None,
    }
    let length = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(name.len());
    (length > 0).then_some(prefix.len() + 2 + length)
}

fn pieces(text: &str, namespaces: &Namespaces) -> Result<Vec<Piece>, SyntaxError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(found) = placeholder::brace(text, at) {
        pieces.push(Piece::Text(text[at..found.start].into()));
        let inside = &text[found.start + 1..found.end - 1];
        pieces.push(Piece::Expr(Box::new(
            Expr::parse_inline(inside, namespaces).map_err(|error| error.shifted(found.start + 1))?,
        )));
        at = found.end;
    }
    pieces.push(Piece::Text(text[at..].into()));
    Ok(pieces)
}

/// The body as JSON; `None` when there is none or it is malformed, which MI only notes for debugging.
fn body(message: &Message) -> Result<Option<&Arc<Json>>, EvalError> {
    if matches!(message.body.native()?, Native::Empty) {
        return Ok(None);
    }
    match message.body.json() {
        Ok(value) => Ok(Some(value)),
        Err(BodyError::Malformed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// `$`: JSON as it was received, anything else converted.
fn whole_body(message: &Message) -> Result<Arc<str>, EvalError> {
    Ok(match message.body.native()? {
        Native::Empty => "".into(),
        // The lossy way looks at valid text byte by byte.
        Native::Json(json) => match std::str::from_utf8(json.text()) {
            Ok(text) => text.into(),
            Err(_) => String::from_utf8_lossy(json.text()).into(),
        },
        _ => message.body.json()?.to_string().into(),
    })
}

/// MI: `SynapseJsonPath#formatJsonPathResponse`.
fn formatted(found: Found<'_>) -> Arc<str> {
    match found {
        Found::One(value) => match &*value {
            Json::String(text) => text.as_str().into(),
            Json::Number(number) => java_spelling(number).into(),
            Json::Object(fields) => match fields.get("members").or_else(|| fields.get("elements")) {
                Some(inner) => inner.to_string().into(),
                None => value.to_string().into(),
            },
            other => other.to_string().into(),
        },
        many @ Found::Many(_) => many.into_value().to_string().into(),
    }
}

fn typed(found: Found<'_>) -> Value {
    match found {
        Found::One(value) => typed_json(&value),
        many @ Found::Many(_) => many.into_value().into(),
    }
}

fn typed_json(value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(text) => Value::from(text.as_str()),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => i32::try_from(value).map_or(Value::Long(value), Value::Int),
            (None, Some(value)) => Value::Double(value),
            (None, None) => Value::from(number.as_str()),
        },
        other => Value::Json(Arc::new(other.clone())),
    }
}
