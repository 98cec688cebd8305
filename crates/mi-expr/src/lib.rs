//! Expressions: XPath, JSONPath and `${…}`, compiled once and evaluated on a `&Message`.
//!
//! [`Expr`] is one compiled expression of any of the three languages, [`Dynamic`] an attribute that may be one
//! (`key="{//id}"`), [`Template`] text with `${…}` inside. What lies outside a message (registry, local entries, clock)
//! comes through [`Lookup`]; this crate opens no file, no socket and no clock. What an expression is used for
//! (filter, log, payload) is decided above.

mod charset;
mod dynamic;
mod error;
mod expr;
pub mod java;
mod java_date;
mod java_regex;
mod java_search;
mod java_text;
mod json_eval;
pub mod jsonpath;
mod lookup;
mod namespaces;
pub mod numerals;
mod placeholder;
mod property;
mod synapse;
mod template;
pub mod xpath;
mod xpath_env;
mod xpath_expr;

#[cfg(test)]
mod tests;

pub use dynamic::Dynamic;
pub use error::{EvalError, EvalErrorKind, SyntaxError};
pub use expr::Expr;
pub use jsonpath::{JsonLocation, JsonStep};
pub use lookup::{ExprOptions, Lookup, NoLookup};
pub use namespaces::Namespaces;
pub use template::{Template, TemplatePart};
