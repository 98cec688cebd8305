//! A format cut into text and placeholders: `$1`, `${expression}` and `"${expression}"`. MI: `RegexTemplateProcessor`.

use std::collections::HashMap;
use std::sync::LazyLock;

use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::{Expr, Namespaces};
use mi_message::Value;

use super::replacement::{self, Argument, Media};

static PLACEHOLDER: LazyLock<regex::Regex> =
    LazyLock::new(|| regex::Regex::new(r#""\$\{([^}]+)\}"|\$\{([^}]+)\}|\$(\d+)"#).expect("the pattern is constant"));

/// A compiled format.
#[derive(Debug)]
pub(super) struct Format {
    text: String,
    pieces: Vec<Piece>,
    expressions: Vec<Expression>,
}

#[derive(Debug)]
struct Expression {
    expr: Expr,
    /// A call of `xpath(…)` gives a text. MI: `TemplateProcessor#evaluateExpression`.
    as_text: bool,
}

#[derive(Debug)]
struct Piece {
    /// Where the placeholder stands in the text.
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// `$1`, counted from 1.
    Argument(usize),
    /// Index of an expression; the quotes around it are part of the placeholder.
    Expression { index: usize, quoted: bool },
}

impl Format {
    /// Compiles a format.
    pub(super) fn compile(text: &str, namespaces: &Namespaces) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut expressions = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for captures in PLACEHOLDER.captures_iter(text) {
            let Some(whole) = captures.get(0) else { continue };
            let kind = if let Some(number) = captures.get(3) {
                // A number too long for an index is no argument anyway.
                Kind::Argument(number.as_str().parse().unwrap_or(usize::MAX))
            } else {
                let quoted = captures.get(1);
                let source = quoted.or_else(|| captures.get(2)).map_or("", |found| found.as_str());
                let index = match known.get(source) {
                    Some(index) => *index,
                    None => {
                        let expr = Expr::synapse(source, namespaces);
                        let expr = expr.map_err(|error| format!("${{{source}}}: {error}"))?;
                        expressions.push(Expression { expr, as_text: source.contains("xpath(") });
                        known.insert(source, expressions.len() - 1);
                        expressions.len() - 1
                    }
                };
                Kind::Expression { index, quoted: quoted.is_some() }
            };
            pieces.push(Piece { start: whole.start(), end: whole.end(), kind });
        }
        Ok(Self { text: text.to_owned(), pieces, expressions })
    }

    /// The format with its placeholders replaced.
    pub(super) fn render(
        &self,
        media: Media,
        escape_controls: bool,
        arguments: &[Argument],
        cx: &Context,
    ) -> Result<String, Fault> {
        if self.pieces.is_empty() && arguments.is_empty() {
            return Ok(self.text.clone());
        }
        // All arguments are evaluated, those that the format does not use too: they may be faults.
        let values = arguments.iter().map(|it| it.evaluate(media, cx)).collect::<Result<Vec<_>, _>>()?;
        let results = self.evaluate_expressions(cx)?;
        let mut out = String::with_capacity(self.text.len() * 2);
        let mut end = 0;
        for piece in &self.pieces {
            out.push_str(&self.text[end..piece.start]);
            end = piece.end;
            match piece.kind {
                Kind::Argument(number) => match number.checked_sub(1).and_then(|index| values.get(index)) {
                    Some(value) => out.push_str(&value.in_format(media, escape_controls, cx)?),
                    None => {
                        log::error!(
                            target: "RegexTemplateProcessor",
                            "{}#replace. Mis-match detected between number of formatters and arguments",
                            cx.artifact.log_prefix
                        );
                        end = piece.start;
                        break;
                    }
                },
                Kind::Expression { index, quoted: true } => {
                    out.push('"');
                    out.push_str(&replacement::of_quoted_result(&results[index], media, cx)?);
                    out.push('"');
                }
                Kind::Expression { index, quoted: false } => {
                    out.push_str(&replacement::of_result(&results[index], media, cx)?);
                }
            }
        }
        out.push_str(&self.text[end..]);
        Ok(out)
    }

    /// Each expression is evaluated once, however often it stands in the format.
    fn evaluate_expressions(&self, cx: &Context) -> Result<Vec<Value>, Fault> {
        let evaluate = |Expression { expr, as_text }: &Expression| -> Result<Value, Fault> {
            if *as_text {
                return Ok(Value::from(expr.eval_string(&cx.message, &*cx.snapshot)?));
            }
            Ok(expr.eval_keeping_json(&cx.message, &*cx.snapshot)?)
        };
        self.expressions.iter().map(evaluate).collect()
    }
}
