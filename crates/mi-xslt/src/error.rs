//! Errors of compiling and of running, each with its place in a stylesheet.

use std::fmt;

/// One thing that is wrong with a stylesheet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stylesheet}:{line}:{column}: {message}")]
pub struct StylesheetError {
    /// Name of the stylesheet as it was given or included.
    pub stylesheet: String,
    /// Line, counted from one.
    pub line: u32,
    /// Column, counted from one.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

/// Why a transformation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransformError {
    /// What kind of failure it is.
    pub kind: TransformErrorKind,
    /// What went wrong.
    pub message: String,
    /// Name of the stylesheet, empty if the failure has no place.
    pub stylesheet: String,
    /// Line of the instruction, zero if unknown.
    pub line: u32,
    /// Column of the instruction, zero if unknown.
    pub column: u32,
    /// The name of the template that was running, or its pattern; empty outside of templates.
    pub template: String,
    /// The code of `xsl:message`.
    pub(crate) given_code: Option<String>,
}

/// Kinds of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransformErrorKind {
    /// An error of an instruction or an expression.
    Dynamic,
    /// `xsl:message terminate="yes"`.
    Terminated,
    /// A cap was reached.
    Limit,
    /// More stack is needed than the thread of the caller has; never seen outside.
    #[doc(hidden)]
    Stack,
}

impl TransformError {
    pub(crate) fn new(kind: TransformErrorKind, message: impl Into<String>) -> Self {
        let (stylesheet, template) = (String::new(), String::new());
        Self { kind, message: message.into(), stylesheet, line: 0, column: 0, template, given_code: None }
    }

    pub(crate) fn dynamic(message: impl Into<String>) -> Self {
        Self::new(TransformErrorKind::Dynamic, message)
    }

    pub(crate) fn limit(what: &str, cap: u64) -> Self {
        Self::new(
            TransformErrorKind::Limit,
            format!("the transformation needs more than {cap} {what}, which is the cap"),
        )
    }

    /// The error code of the specifications (`XTDE0640`), or the one that the stylesheet gave; `None` for failures
    /// without one, such as caps.
    pub fn code(&self) -> Option<&str> {
        if let Some(code) = &self.given_code {
            return Some(code);
        }
        let (_, code) = self.message.strip_suffix(')')?.rsplit_once('(')?;
        let fits = |c: char| c.is_alphanumeric() || matches!(c, ':' | '{' | '}' | '/' | '.' | '-' | '_' | '#');
        (!code.is_empty() && code.chars().all(fits)).then_some(code)
    }

    pub(crate) fn has_place(&self) -> bool {
        self.line != 0
    }
}

impl fmt::Display for TransformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_place() {
            write!(f, "{}:{}:{}: ", self.stylesheet, self.line, self.column)?;
        }
        f.write_str(&self.message)?;
        if !self.template.is_empty() {
            write!(f, ", in the template {}", self.template)?;
        }
        Ok(())
    }
}

impl std::error::Error for TransformError {}
