//! JSONPath in the dialect of the Jayway library, which MI's users write.
//!
//! It differs from RFC 9535 where it shows: a definite path gives the bare value or an error, `['a','b']` gives one
//! object, `$` may be missing, functions may follow (`$..price.sum()`), and numbers found by name lose their spelling
//! (`1.50` is 1.5). The text is compiled by `compile.rs` and `filter.rs`, evaluated by `walk.rs`, `predicate.rs` and
//! `functions.rs`; places for editing are in `location.rs`.

mod compile;
mod filter;
mod functions;
mod lenient;
mod location;
mod number;
mod predicate;
#[cfg(test)]
mod tests;
mod walk;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::SyntaxError;

pub use location::{JsonLocation, JsonStep, add, get, get_mut, parent, put, remove, set, to_path};
pub(crate) use number::java_spelling;

/// Why a path gave no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A definite path leads nowhere. Jayway: `PathNotFoundException`.
    #[error("{0}")]
    NotFound(String),
    /// The path or a function in it does not fit the value. Jayway: `InvalidPathException`, `JsonPathException`.
    #[error("{0}")]
    Invalid(String),
    /// The evaluation touches more values than allowed.
    #[error("the path touches more than {0} values, which is the cap; make it more specific")]
    Limit(usize),
}

/// What a path found.
#[derive(Clone, Debug, PartialEq)]
pub enum Found<'v> {
    /// The one value of a definite path or of a function.
    One(Cow<'v, Value>),
    /// The values of an indefinite path, in document order; may be none.
    Many(Vec<Cow<'v, Value>>),
}

impl Found<'_> {
    /// The result as one JSON value: a list for an indefinite path.
    pub fn into_value(self) -> Value {
        match self {
            Self::One(value) => value.into_owned(),
            Self::Many(values) => Value::Array(values.into_iter().map(Cow::into_owned).collect()),
        }
    }
}

/// A compiled path. Cheap to clone, `Send + Sync`.
#[derive(Clone, Debug)]
pub struct JsonPath {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Box<str>,
    /// True for `$…`, false for `@…`.
    from_root: bool,
    tokens: Vec<Token>,
    /// Position of the first token that can match several values; the number of tokens when there is none.
    first_indefinite: usize,
    /// True when every token is a plain name or index: most paths, evaluated without a walk.
    plain: bool,
}

#[derive(Clone, Debug)]
enum Token {
    Property(Arc<str>),
    /// Several names; merged into one object at the end of a path.
    Properties(Vec<Arc<str>>),
    Index(i64),
    Indexes(Vec<i64>),
    Slice {
        from: Option<i64>,
        to: Option<i64>,
    },
    Wildcard,
    Scan,
    Filter(Arc<filter::Filter>),
    Function {
        name: Arc<str>,
        parameters: Vec<Parameter>,
    },
}

#[derive(Clone, Debug)]
enum Parameter {
    Path(JsonPath),
    Json(Value),
}

impl JsonPath {
    /// Compiles a path. `$` may be missing; blanks around are ignored.
    pub fn compile(source: &str) -> Result<Self, SyntaxError> {
        compile::compile(source)
    }

    fn from_tokens(source: &str, from_root: bool, tokens: Vec<Token>) -> Self {
        let last = tokens.len().saturating_sub(1);
        let first_indefinite = tokens
            .iter()
            .enumerate()
            .position(|(at, token)| match token {
                Token::Property(_) | Token::Index(_) | Token::Function { .. } => false,
                Token::Properties(_) => at != last,
                _ => true,
            })
            .unwrap_or(tokens.len());
        let plain = tokens.iter().all(|token| matches!(token, Token::Property(_) | Token::Index(_)));
        Self { inner: Arc::new(Inner { source: source.into(), from_root, tokens, first_indefinite, plain }) }
    }

    /// The path as it was written.
    pub fn source(&self) -> &str {
        &self.inner.source
    }

    /// True when the path can only mean one value, so that it gives the bare value and not a list.
    pub fn is_definite(&self) -> bool {
        self.inner.first_indefinite == self.inner.tokens.len()
    }

    /// True for `$`.
    pub fn is_root(&self) -> bool {
        self.inner.tokens.is_empty()
    }

    /// True when the path ends in a function.
    pub fn is_function(&self) -> bool {
        matches!(self.inner.tokens.last(), Some(Token::Function { .. }))
    }

    /// The name of the first step and the path behind it, when the first step is a name.
    pub fn split_first_key(&self) -> Option<(Arc<str>, JsonPath)> {
        match self.inner.tokens.split_first() {
            Some((Token::Property(key), rest)) => Some((key.clone(), self.rebuilt(rest))),
            _ => None,
        }
    }

    /// The path without its last step, and that step, when it is a name or an index from the start.
    pub fn split_last(&self) -> Option<(JsonPath, JsonStep)> {
        let (last, before) = self.inner.tokens.split_last()?;
        let step = match last {
            Token::Property(key) => JsonStep::Key(key.clone()),
            Token::Index(index) => JsonStep::Index(usize::try_from(*index).ok()?),
            _ => return None,
        };
        Some((self.rebuilt(before), step))
    }

    fn rebuilt(&self, tokens: &[Token]) -> JsonPath {
        let rebuilt = JsonPath::from_tokens("", self.inner.from_root, tokens.to_vec());
        JsonPath::from_tokens(&rebuilt.to_string(), self.inner.from_root, tokens.to_vec())
    }

    /// Evaluates the path.
    pub fn find<'v>(&self, root: &'v Value) -> Result<Found<'v>, PathError> {
        let mut hits = self.hits(root, root, false)?;
        if self.is_definite() {
            return match hits.pop() {
                Some(hit) => Ok(Found::One(hit.value)),
                None => Err(PathError::NotFound(format!("No results for path: {self}"))),
            };
        }
        Ok(Found::Many(hits.into_iter().map(|hit| hit.value).collect()))
    }

    /// The existing places that the path means. A path that ends in a function means none.
    pub fn locations(&self, root: &Value) -> Vec<JsonLocation> {
        match self.hits(root, root, true) {
            Ok(hits) => hits.into_iter().filter_map(|hit| hit.location).collect(),
            Err(_) => Vec::new(),
        }
    }
}

impl std::fmt::Display for JsonPath {
    /// The path in brackets, as Jayway prints it in messages: `$['a'][0]`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.inner.from_root { "$" } else { "@" })?;
        self.inner.tokens.iter().try_for_each(|token| write!(f, "{token}"))
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let join = |names: &[Arc<str>]| names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
        let bound = |value: &Option<i64>| value.map(|number| number.to_string()).unwrap_or_default();
        match self {
            Self::Property(name) => write!(f, "['{name}']"),
            Self::Properties(names) => write!(f, "[{}]", join(names)),
            Self::Index(index) => write!(f, "[{index}]"),
            Self::Indexes(indexes) => {
                write!(f, "[{}]", indexes.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
            }
            Self::Slice { from, to } => write!(f, "[{}:{}]", bound(from), bound(to)),
            Self::Wildcard => f.write_str("[*]"),
            Self::Scan => f.write_str(".."),
            Self::Filter(_) => f.write_str("[?]"),
            Self::Function { name, parameters } => {
                write!(f, ".{name}{}", if parameters.is_empty() { "()" } else { "(...)" })
            }
        }
    }
}
