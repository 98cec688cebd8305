//! Reads the conditions of `[?(…)]`. They are decided in `predicate.rs`.

use serde_json::Value;

use super::JsonPath;
use super::compile::compile_nested;
use super::lenient;
use crate::SyntaxError;
use crate::java_regex::FullMatch;

/// Parentheses and negations allowed inside each other.
const MAX_DEPTH: usize = 64;

/// A condition on one value.
#[derive(Debug)]
pub(super) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    /// The path leads somewhere; `wanted` is false after `!`.
    Exists {
        path: JsonPath,
        wanted: bool,
    },
    Compare {
        left: Operand,
        operator: Operator,
        right: Operand,
    },
}

/// One side of a comparison.
#[derive(Debug)]
pub(super) enum Operand {
    Path(JsonPath),
    Value(Value),
    Pattern(Box<FullMatch>),
}

/// The operators of Jayway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    SameTypeEqual,
    SameTypeNotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    In,
    NotIn,
    Contains,
    All,
    Size,
    Empty,
    SubsetOf,
    AnyOf,
    NoneOf,
}

const SYMBOLS: &[(&str, Operator)] = &[
    ("===", Operator::SameTypeEqual),
    ("!==", Operator::SameTypeNotEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("=~", Operator::Matches),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

const WORDS: &[(&str, Operator)] = &[
    ("in", Operator::In),
    ("nin", Operator::NotIn),
    ("contains", Operator::Contains),
    ("all", Operator::All),
    ("size", Operator::Size),
    ("empty", Operator::Empty),
    ("subsetof", Operator::SubsetOf),
    ("anyof", Operator::AnyOf),
    ("noneof", Operator::NoneOf),
];

pub(super) struct FilterReader<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
}

impl<'t> FilterReader<'t> {
    /// A reader of what stands behind `[?`.
    pub(super) fn new(text: &'t str, nesting: usize) -> Self {
        Self { text, at: 0, nesting }
    }

    /// How much was read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Reads the condition in its parentheses.
    pub(super) fn read(&mut self) -> Result<Filter, SyntaxError> {
        if !self.eat("(") {
            return self.fail("Filter must start with '[?(' and end with ')]'");
        }
        let filter = self.or(MAX_DEPTH)?;
        if !self.eat(")") {
            return self.fail(format!("Expected end of filter expression instead of: {}", self.rest()));
        }
        Ok(filter)
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError::new(self.at, message))
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, wanted: &str) -> bool {
        self.blanks();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len();
        }
        found
    }

    fn or(&mut self, depth: usize) -> Result<Filter, SyntaxError> {
        let mut parts = vec![self.and(depth)?];
        while self.eat("||") {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::Or(parts) })
    }

    fn and(&mut self, depth: usize) -> Result<Filter, SyntaxError> {
        let mut parts = vec![self.condition(depth)?];
        while self.eat("&&") {
            parts.push(self.condition(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Filter::And(parts) })
    }

    fn condition(&mut self, depth: usize) -> Result<Filter, SyntaxError> {
        let Some(depth) = depth.checked_sub(1) else {
            return self.fail(format!("More than {MAX_DEPTH} conditions inside each other"));
        };
        self.blanks();
        if self.rest().starts_with('!') && !self.rest()[1..].trim_start().starts_with(['$', '@']) {
            self.at += 1;
            return Ok(Filter::Not(Box::new(self.condition(depth)?)));
        }
        if self.eat("(") {
            let inner = self.or(depth)?;
            if !self.eat(")") {
                return self.fail("Expected ')' in filter");
            }
            return Ok(inner);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Filter, SyntaxError> {
        let wanted = !self.eat("!");
        let left = self.operand()?;
        let before = self.at;
        if let Some(operator) = self.operator() {
            let right = self.operand()?;
            return Ok(Filter::Compare { left, operator, right });
        }
        self.at = before;
        match left {
            Operand::Path(path) => Ok(Filter::Exists { path, wanted }),
            _ => self.fail("Expected path node"),
        }
    }

    fn operator(&mut self) -> Option<Operator> {
        self.blanks();
        let rest = self.rest();
        if let Some((symbol, operator)) = SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
            self.at += symbol.len();
            return Some(*operator);
        }
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, operator) = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&rest[..end]))?;
        self.at += word.len();
        Some(*operator)
    }

    fn operand(&mut self) -> Result<Operand, SyntaxError> {
        self.blanks();
        let rest = self.rest();
        match rest.chars().next() {
            Some('$' | '@') => self.path(),
            Some(quote @ ('\'' | '"')) => match lenient::closing_quote(rest, quote) {
                Some(end) => {
                    self.at += end + 1;
                    Ok(Operand::Value(Value::String(lenient::unescape(&rest[1..end]))))
                }
                None => self.fail(format!("String literal does not have matching quotes. Expected {quote}")),
            },
            Some('[' | '{') => {
                let end = matching_bracket(rest);
                match end.and_then(|end| Some((end, lenient::parse(&rest[..=end])?))) {
                    Some((end, value)) => {
                        self.at += end + 1;
                        Ok(Operand::Value(value))
                    }
                    None => self.fail("Expected a JSON literal"),
                }
            }
            Some('/') => self.pattern(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Operand, SyntaxError> {
        let rest = self.rest();
        for (word, value) in [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)] {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(Operand::Value(value));
            }
        }
        let end = rest.find(|c: char| !c.is_ascii_digit() && !"-+.eE".contains(c)).unwrap_or(rest.len());
        match serde_json::from_str::<serde_json::Number>(&rest[..end]) {
            Ok(number) => {
                self.at += end;
                Ok(Operand::Value(Value::Number(number)))
            }
            Err(_) => {
                let found = rest.chars().next().unwrap_or(' ');
                self.fail(format!("Failed to parse filter, error on position: {}, char: {found}", self.at))
            }
        }
    }

    fn path(&mut self) -> Result<Operand, SyntaxError> {
        let rest = self.rest();
        let mut at = 1;
        let mut open = 0_usize;
        while let Some(c) = rest[at..].chars().next() {
            match c {
                '[' => match matching_bracket(&rest[at..]) {
                    Some(end) => at += end,
                    None => return self.fail("Square brackets does not match in filter"),
                },
                '(' => open += 1,
                ')' if open > 0 => open -= 1,
                ')' | ' ' | '\t' | '\n' | '\r' | '<' | '>' | '=' | '~' | '!' if open == 0 => break,
                '&' | '|' if open == 0 && rest[at + 1..].starts_with(c) => break,
                _ => {}
            }
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        let path = compile_nested(&rest[..at], self.nesting + 1).map_err(|error| error.shifted(self.at))?;
        self.at += at;
        Ok(Operand::Path(path))
    }

    fn pattern(&mut self) -> Result<Operand, SyntaxError> {
        let rest = self.rest();
        let Some(end) = lenient::closing_quote(rest, '/') else {
            return self.fail("Pattern not closed. Expected / in filter");
        };
        let flags: String = rest[end + 1..].chars().take_while(|c| "dixmsuU".contains(*c)).collect();
        match FullMatch::with_flags(&rest[1..end], &flags) {
            Ok(regex) => {
                self.at += end + 1 + flags.len();
                Ok(Operand::Pattern(Box::new(regex)))
            }
            Err(message) => self.fail(message),
        }
    }
}

/// Position of the bracket or brace that closes the one at the start; strings are skipped.
fn matching_bracket(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => at += lenient::closing_quote(&text[at..], c)?,
            '[' | '{' => open += 1,
            ']' | '}' => {
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}
