//! The two ways an XPath can fail: [`SyntaxError`] while it is compiled, [`XPathError`] while it is evaluated.
//!
//! What a failure means for a message (fault, log line, default value) is the caller's business.

use std::borrow::Cow;

/// An expression that cannot be compiled. `offset` is a byte offset into the source, for a caret under the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at offset {offset}")]
pub struct SyntaxError {
    /// Byte offset of the offending token in the expression.
    pub offset: usize,
    /// What is wrong, and what was expected where that is known.
    pub message: String,
}

/// An evaluation that cannot be finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XPathError {
    /// Neither a built-in function nor one of the environment. Found while evaluating only, as MI does: a
    /// configuration that never reaches the call deploys and runs.
    #[error("unknown function {name}() with {arity} argument(s)")]
    UnknownFunction {
        /// The name as it was written, with its prefix.
        name: String,
        /// Number of arguments of the call.
        arity: usize,
    },
    /// The environment has no variable of this name.
    #[error("unknown variable ${name}")]
    UnknownVariable {
        /// The name as it was written, with its prefix, without the dollar sign.
        name: String,
    },
    /// An error of the XPath specifications, with its code (`XPTY0004`, `FORG0001`, …) or the one given to `error()`.
    #[error("{message} ({code})")]
    Dynamic {
        /// The error code of the specifications.
        code: Cow<'static, str>,
        /// What went wrong with which value.
        message: String,
    },
    /// A safety cap was reached.
    #[error("the evaluation needs more than {cap} {what}, which is the cap; make the expression more specific")]
    Limit {
        /// What is capped.
        what: &'static str,
        /// The value of the cap.
        cap: u64,
    },
    /// A failure reported by the environment (a function or variable of the host).
    #[error("{0}")]
    Host(String),
}

impl XPathError {
    /// An error with a code of the specifications.
    pub fn dynamic(code: &'static str, message: impl Into<String>) -> Self {
        Self::Dynamic { code: Cow::Borrowed(code), message: message.into() }
    }

    pub(crate) fn type_error(message: impl Into<String>) -> Self {
        Self::dynamic("XPTY0004", message)
    }
}
