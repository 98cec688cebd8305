//! The two ways an expression can fail: [`SyntaxError`] at deployment, [`EvalError`] for one message.

use mi_message::BodyError;

use crate::jsonpath::PathError;
use crate::xpath;

/// An expression that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at offset {offset}")]
pub struct SyntaxError {
    /// Byte offset in the source, for a caret under the text.
    pub offset: usize,
    /// What is wrong, and what was expected where that is known.
    pub message: String,
}

impl SyntaxError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }

    /// The same error in a source that has `by` more bytes in front.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        self.offset += by;
        self
    }
}

impl From<xpath::SyntaxError> for SyntaxError {
    fn from(error: xpath::SyntaxError) -> Self {
        Self { offset: error.offset, message: error.message }
    }
}

/// What kind of failure an evaluation met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvalErrorKind {
    /// The body could not be read or converted.
    Body,
    /// A path that must exist does not.
    PathNotFound,
    /// A wrong type, argument or function.
    Evaluation,
    /// A cap was reached.
    Limit,
}

/// An evaluation that failed. The message is worded like MI's, as people search logs for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What went wrong.
    pub message: String,
    /// What kind of failure it is.
    pub kind: EvalErrorKind,
}

impl EvalError {
    pub(crate) fn new(kind: EvalErrorKind, message: impl Into<String>) -> Self {
        Self { message: message.into(), kind }
    }

    pub(crate) fn evaluation(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Evaluation, message)
    }

    /// A failure of an XPath in MI's words. MI: `SynapseXPath#stringValueOf`.
    pub(crate) fn xpath(source: &str, error: &xpath::XPathError) -> Self {
        let kind = match error {
            xpath::XPathError::Limit { .. } => EvalErrorKind::Limit,
            _ => EvalErrorKind::Evaluation,
        };
        Self::new(kind, format!("Evaluation of the XPath expression {source} resulted in an error: {error}"))
    }
}

impl From<BodyError> for EvalError {
    fn from(error: BodyError) -> Self {
        Self::new(EvalErrorKind::Body, error.to_string())
    }
}

impl From<PathError> for EvalError {
    fn from(error: PathError) -> Self {
        let kind = match error {
            PathError::NotFound(_) => EvalErrorKind::PathNotFound,
            PathError::Invalid(_) => EvalErrorKind::Evaluation,
            PathError::Limit(_) => EvalErrorKind::Limit,
        };
        Self::new(kind, error.to_string())
    }
}
