//! Attribute value templates: `a{expr}b`.

use smallvec::SmallVec;

use crate::expr::{Expr, Statics};

/// A compiled template. Most have one part.
#[derive(Debug)]
pub(crate) struct Avt(pub(crate) SmallVec<[Part; 1]>);

#[derive(Debug)]
pub(crate) enum Part {
    Text(Box<str>),
    Expr(Expr),
}

impl Avt {
    pub(crate) fn text(text: &str) -> Self {
        Self(SmallVec::from_iter([Part::Text(text.into())]))
    }

    /// The text, if there is no expression in it.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expressions.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.0.iter().filter_map(|part| match part {
            Part::Expr(expr) => Some(expr),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn compile(source: &str, statics: &Statics<'_>) -> Result<Self, String> {
        let mut parts = SmallVec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = behind;
                continue;
            }
            if brace == "}" {
                return Err(format!(
                    "\"{source}\" has a closing brace without an opening one; write }}}} for the character"
                ));
            }
            let end = end_of_expression(rest)
                .ok_or_else(|| format!("\"{source}\" has an opening brace without a closing one"))?;
            let expression = &rest[..end];
            rest = &rest[end + 1..];
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text).into()));
            }
            if !expression.trim().is_empty() {
                parts.push(Part::Expr(statics.compile(expression)?));
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        Ok(Self(parts))
    }
}

/// The closing brace, which is not inside of a string.
fn end_of_expression(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '}') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    None
}
