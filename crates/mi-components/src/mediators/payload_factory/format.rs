//! A format cut into text and placeholders: `$1`, `${expression}` and `"${expression}"`. MI: `RegexTemplateProcessor`.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::{Expr, Namespaces};
use mi_message::Value;
use mi_message::soap::Extent;

use super::replacement::{self, Argument, ArgumentValue, Inserted, Media};
use super::skeleton::Skeleton;

static PLACEHOLDER: LazyLock<regex::Regex> =
    LazyLock::new(|| regex::Regex::new(r#""\$\{([^}]+)\}"|\$\{([^}]+)\}|\$(\d+)"#).expect("the pattern is constant"));

/// A compiled format.
#[derive(Debug)]
pub(super) struct Format {
    text: String,
    pieces: Vec<Piece>,
    expressions: Vec<Expression>,
    /// For XML formats that need not be read to be known as well-formed.
    skeleton: Option<Skeleton>,
}

/// A format with its placeholders replaced.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) text: String,
    /// What the text holds, when it is well-formed XML and written as such.
    pub(super) extent: Option<Extent>,
}

impl From<String> for Rendered {
    /// A text of which nothing is known.
    fn from(text: String) -> Self {
        Self { text, extent: None }
    }
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
    pub(super) fn compile(text: &str, namespaces: &Namespaces, media: Media) -> Result<Self, String> {
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
        let places = pieces.iter().map(|piece: &Piece| (piece.start, piece.end));
        let skeleton = if media == Media::Xml { Skeleton::of(text, places) } else { None };
        Ok(Self { text: text.to_owned(), pieces, expressions, skeleton })
    }

    /// The format with its placeholders replaced.
    pub(super) fn render(
        &self,
        media: Media,
        escape_controls: bool,
        arguments: &[Argument],
        cx: &Context,
    ) -> Result<Rendered, Fault> {
        // All arguments are evaluated, those that the format does not use too: they may be faults.
        let values = arguments.iter().map(|it| it.evaluate(media, cx)).collect::<Result<Vec<_>, _>>()?;
        let results = self.evaluate_expressions(cx)?;
        let filling = Filling { media, escape_controls, cx, values, results, done: Done::of(self, arguments.len()) };
        let mut inserted = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match filling.insert(piece.kind)? {
                Some(text) => inserted.push(text),
                None => {
                    log::error!(
                        target: "RegexTemplateProcessor",
                        "{}#replace. Mis-match detected between number of formatters and arguments",
                        cx.artifact.log_prefix
                    );
                    break;
                }
            }
        }
        let fits = inserted.len() == self.pieces.len() && inserted.iter().all(|it| it.fits);
        let unread = self.skeleton.as_ref().filter(|_| fits);
        if let Some((text, extent)) = unread.and_then(|it| it.fill(inserted.iter().map(|it| it.text.as_str()))) {
            return Ok(Rendered { text, extent: Some(extent) });
        }
        let mut out = String::with_capacity(self.text.len() * 2);
        let mut end = 0;
        for (piece, inserted) in self.pieces.iter().zip(&inserted) {
            out.push_str(&self.text[end..piece.start]);
            out.push_str(&inserted.text);
            end = piece.end;
        }
        out.push_str(&self.text[end..]);
        Ok(Rendered::from(out))
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

/// What goes into the places of a format for one message.
struct Filling<'a> {
    media: Media,
    escape_controls: bool,
    cx: &'a Context,
    values: Vec<ArgumentValue>,
    results: Vec<Value>,
    done: Done,
}

/// What was made before: a value may stand in many places.
struct Done {
    arguments: Vec<OnceCell<Inserted>>,
    plain: Vec<OnceCell<Inserted>>,
    quoted: Vec<OnceCell<Inserted>>,
}

impl Done {
    fn of(format: &Format, arguments: usize) -> Self {
        let cells = |count: usize| (0..count).map(|_| OnceCell::new()).collect();
        let expressions = format.expressions.len();
        Self { arguments: cells(arguments), plain: cells(expressions), quoted: cells(expressions) }
    }
}

impl Filling<'_> {
    /// What stands for a placeholder; `None` for an argument that is not there.
    fn insert(&self, kind: Kind) -> Result<Option<&Inserted>, Fault> {
        let (cell, made) = match kind {
            Kind::Argument(number) => {
                let Some(index) = number.checked_sub(1).filter(|index| *index < self.values.len()) else {
                    return Ok(None);
                };
                let cell = &self.done.arguments[index];
                if let Some(known) = cell.get() {
                    return Ok(Some(known));
                }
                (cell, self.values[index].in_format(self.media, self.escape_controls, self.cx)?)
            }
            Kind::Expression { index, quoted } => {
                let cell = if quoted { &self.done.quoted[index] } else { &self.done.plain[index] };
                if let Some(known) = cell.get() {
                    return Ok(Some(known));
                }
                let result = &self.results[index];
                let text = if quoted {
                    format!("\"{}\"", replacement::of_quoted_result(result, self.media, self.cx)?)
                } else {
                    replacement::of_result(result, self.media, self.cx)?
                };
                (cell, Inserted::from_result(text))
            }
        };
        Ok(Some(cell.get_or_init(|| made)))
    }
}
