//! [`Template`]: text with expressions inside. MI: `InlineExpressionUtil`.

use mi_message::Message;

use crate::placeholder;
use crate::{EvalError, Expr, Lookup, Namespaces, SyntaxError};

/// Text with `${…}` (or, for inline content, `{…}`) inside, compiled once.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<TemplatePart>,
}

/// A part of a [`Template`].
#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// Text that is copied.
    Text(Box<str>),
    /// An expression.
    Expr(Expr),
}

impl Template {
    /// Compiles text with `${…}` inside. An expression ends at the first `}`, or at a later one of the line if only
    /// then it can be compiled.
    pub fn parse(text: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some((start, ends)) = placeholder::dollar(text, at) {
            let mut first_error = None;
            let compiled = ends.iter().find_map(|end| match Expr::synapse(&text[start..=*end], namespaces) {
                Ok(expr) => Some((expr, *end)),
                Err(error) => {
                    first_error.get_or_insert(error);
                    None
                }
            });
            let (expr, end) = match (compiled, first_error) {
                (Some(compiled), _) => compiled,
                (None, Some(error)) => return Err(error.shifted(start)),
                (None, None) => break,
            };
            push_text(&mut parts, &text[at..start]);
            parts.push(TemplatePart::Expr(expr));
            at = end + 1;
        }
        push_text(&mut parts, &text[at..]);
        Ok(Self { parts })
    }

    /// Compiles inline content with `{xpath}` or `{json-eval(…)}` inside, to be evaluated by [`Template::eval_inline`].
    pub fn parse_inline(text: &str, namespaces: &Namespaces) -> Result<Self, SyntaxError> {
        let mut parts = Vec::new();
        let mut at = 0;
        while let Some(found) = placeholder::brace(text, at) {
            push_text(&mut parts, &text[at..found.start]);
            let inside = &text[found.start + 1..found.end - 1];
            let expr = Expr::parse_inline(inside, namespaces).map_err(|error| error.shifted(found.start + 1))?;
            parts.push(TemplatePart::Expr(expr));
            at = found.end;
        }
        push_text(&mut parts, &text[at..]);
        Ok(Self { parts })
    }

    /// The parts in order, for callers that escape values in their own way.
    pub fn parts(&self) -> &[TemplatePart] {
        &self.parts
    }

    /// True without expressions.
    pub fn is_static(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, TemplatePart::Expr(_)))
    }

    /// True when the body must be built before.
    pub fn reads_body(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, TemplatePart::Expr(expr) if expr.reads_body()))
    }

    /// The text with the values put in. MI: `InlineExpressionUtil#processInLineSynapseExpressionTemplate`.
    pub fn eval(&self, message: &Message, lookup: &dyn Lookup) -> Result<String, EvalError> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(text) => out.push_str(text),
                TemplatePart::Expr(expr) => out.push_str(&expr.eval_string(message, lookup)?),
            }
        }
        Ok(out)
    }

    /// Inline content with the values put in: a value that is neither XML nor JSON gets quotes unless it stands in
    /// some. MI: `InlineExpressionUtil#replaceDynamicValues`.
    pub fn eval_inline(&self, message: &Message, lookup: &dyn Lookup) -> Result<String, EvalError> {
        let mut out = String::new();
        for (at, part) in self.parts.iter().enumerate() {
            let expr = match part {
                TemplatePart::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                TemplatePart::Expr(expr) => expr,
            };
            let value = expr.eval_string(message, lookup)?;
            let behind = match self.parts.get(at + 1) {
                Some(TemplatePart::Text(text)) => text,
                _ => "",
            };
            let in_quotes = out.ends_with('"') && behind.starts_with('"');
            let structured = is_xml(&value) || is_json(&value);
            let quote = if value.is_empty() { expr.is_json_path() || !structured } else { !structured && !in_quotes };
            if quote {
                out.push('"');
            }
            out.push_str(&value);
            if quote {
                out.push('"');
            }
        }
        Ok(out)
    }
}

fn push_text(parts: &mut Vec<TemplatePart>, text: &str) {
    if !text.is_empty() {
        parts.push(TemplatePart::Text(text.into()));
    }
}

fn is_xml(text: &str) -> bool {
    text.trim_start().starts_with('<') && mi_xml::Document::parse(text.as_bytes().to_vec()).is_ok()
}

/// JSON as a lenient parser takes it, which includes a bare word.
fn is_json(text: &str) -> bool {
    let bare = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || ",:;=#{}[]\"'/\\".contains(c));
    bare || serde_json::from_str::<serde_json::Value>(text).is_ok()
}
