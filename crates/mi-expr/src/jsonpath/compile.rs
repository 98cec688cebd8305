//! Compiles the text of a path. Filters in it are read by `filter.rs`.

use std::sync::Arc;

use serde_json::Value;

use super::filter::FilterReader;
use super::lenient;
use super::{JsonPath, Parameter, Token};
use crate::SyntaxError;

/// Steps allowed in one path, and paths allowed inside each other.
const MAX_TOKENS: usize = 1000;
const MAX_NESTING: usize = 24;

/// Compiles `source`; see [`JsonPath::compile`].
pub(super) fn compile(source: &str) -> Result<JsonPath, SyntaxError> {
    compile_nested(source, 0)
}

/// Compiles a path that stands `nesting` filters or functions deep in another one.
pub(super) fn compile_nested(source: &str, nesting: usize) -> Result<JsonPath, SyntaxError> {
    let text = source.trim();
    let indent = source.len() - source.trim_start().len();
    if nesting > MAX_NESTING {
        return Err(SyntaxError::new(0, format!("More than {MAX_NESTING} paths inside each other")));
    }
    if text.is_empty() {
        return Err(SyntaxError::new(0, "Path must start with '$' or '@'"));
    }
    if text.ends_with('.') {
        return Err(SyntaxError::new(indent + text.len() - 1, "Path must not end with a '.' or '..'"));
    }
    let (full, shift) = if text.starts_with(['$', '@']) { (text.to_owned(), 0) } else { (format!("$.{text}"), 2) };
    let from_root = full.starts_with('$');
    let mut compiler = Compiler { text: &full, at: 1, tokens: Vec::new(), nesting };
    compiler.run().map_err(|error| SyntaxError {
        offset: (error.offset + indent).saturating_sub(shift).min(source.len()),
        message: error.message,
    })?;
    let tokens = invert_scan(source, compiler.tokens);
    Ok(JsonPath::from_tokens(source, from_root, tokens))
}

/// `$..x.sum()` means the sum over all that `$..x` finds. Jayway: `CompiledPath#invertScannerFunctionRelationship`.
fn invert_scan(source: &str, mut tokens: Vec<Token>) -> Vec<Token> {
    let ends_in_function = matches!(tokens.last(), Some(Token::Function { .. }));
    if !ends_in_function || !matches!(tokens.first(), Some(Token::Scan)) {
        return tokens;
    }
    let Some(at) = tokens.iter().position(|token| matches!(token, Token::Function { .. })) else { return tokens };
    let mut rest = tokens.split_off(at);
    if let Some(Token::Function { parameters, .. }) = rest.first_mut() {
        *parameters = vec![Parameter::Path(JsonPath::from_tokens(source, true, tokens))];
    }
    rest
}

struct Compiler<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token>,
    nesting: usize,
}

impl<'t> Compiler<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError::new(self.at, message))
    }

    fn push(&mut self, token: Token) -> Result<(), SyntaxError> {
        if self.tokens.len() >= MAX_TOKENS {
            return self.fail(format!("More than {MAX_TOKENS} steps in a path"));
        }
        self.tokens.push(token);
        Ok(())
    }

    fn run(&mut self) -> Result<(), SyntaxError> {
        if !self.rest().is_empty() && !self.rest().starts_with(['.', '[']) {
            return self.fail(format!("Illegal character at position {} expected '.' or '['", self.at));
        }
        while !self.rest().is_empty() {
            match self.rest().as_bytes()[0] {
                b'[' => {
                    self.bracket()?;
                    // Jayway takes the last character for the end of the path wherever a bracket closes right before it,
                    // so `$.a[?(@.b)])` is a path. Jayway: `CharacterIndex#currentIsTail`.
                    if self.rest().chars().nth(1).is_none() {
                        self.at = self.text.len();
                    }
                }
                b'.' => self.dot()?,
                b'*' => {
                    self.at += 1;
                    self.push(Token::Wildcard)?;
                }
                _ => self.property_or_function()?,
            }
        }
        Ok(())
    }

    fn dot(&mut self) -> Result<(), SyntaxError> {
        if self.rest().starts_with("..") {
            self.at += 2;
            self.push(Token::Scan)?;
        } else {
            self.at += 1;
        }
        match self.rest().chars().next() {
            None => self.fail("Path must not end with a '."),
            Some('.') => self.fail(format!("Character '.' on position {} is not valid.", self.at)),
            _ => Ok(()),
        }
    }

    fn property_or_function(&mut self) -> Result<(), SyntaxError> {
        let rest = self.rest();
        let end = rest.find(['.', '[', '(', ' ']).unwrap_or(rest.len());
        let name = &rest[..end];
        match rest[end..].chars().next() {
            Some(' ') => self.fail(format!(
                "Use bracket notion ['my prop'] if your property contains blank characters. position: {}",
                self.at
            )),
            Some('(') => self.function(name),
            _ => {
                self.at += end;
                self.push(Token::Property(name.into()))
            }
        }
    }

    fn function(&mut self, name: &str) -> Result<(), SyntaxError> {
        let open = self.at + name.len();
        let Some(close) = matching_close(&self.text[open..]) else {
            return self.fail(format!("Arguments to function: '{name}' are not closed properly."));
        };
        let mut parameters = Vec::new();
        for argument in split_arguments(&self.text[open + 1..open + close]) {
            let argument = argument.trim();
            if argument.starts_with(['$', '@']) {
                parameters.push(Parameter::Path(
                    compile_nested(argument, self.nesting + 1).map_err(|error| error.shifted(open + 1))?,
                ));
            } else if !argument.is_empty() {
                let value = lenient::parse(argument).unwrap_or_else(|| Value::String(argument.to_owned()));
                parameters.push(Parameter::Json(value));
            }
        }
        self.at = open + close + 1;
        self.push(Token::Function { name: name.into(), parameters })
    }

    fn bracket(&mut self) -> Result<(), SyntaxError> {
        let inside = self.rest()[1..].trim_start();
        match inside.chars().next() {
            Some('\'' | '"') => self.quoted(),
            Some('?') => self.filter(),
            Some('*') => {
                let after = inside[1..].trim_start();
                if !after.starts_with(']') {
                    return self.fail(format!("Expected wildcard token to end with ']' on position {}", self.at + 1));
                }
                self.at = self.text.len() - after.len() + 1;
                self.push(Token::Wildcard)
            }
            Some(c) if c.is_ascii_digit() || c == '-' || c == ':' => self.indexes(),
            _ => self.fail(format!("Could not parse token starting at position {}. Expected ?, ', 0-9, * ", self.at)),
        }
    }

    fn quoted(&mut self) -> Result<(), SyntaxError> {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut rest = self.rest()[1..].trim_start();
        loop {
            let quote = match rest.chars().next() {
                Some(quote @ ('\'' | '"')) => quote,
                _ => return self.fail(format!("Found empty property at index {}", self.text.len() - rest.len())),
            };
            let Some(end) = lenient::closing_quote(rest, quote) else {
                return self.fail(format!("Property has not been closed - missing closing {quote}"));
            };
            names.push(lenient::unescape(&rest[1..end]).into());
            rest = rest[end + 1..].trim_start();
            if let Some(after) = rest.strip_prefix(']') {
                self.at = self.text.len() - after.len();
                break;
            }
            let Some(after) = rest.strip_prefix(',') else {
                return self.fail(format!(
                    "Property must be separated by comma or Property must be terminated close square bracket at \
                     index {}",
                    self.text.len() - rest.len()
                ));
            };
            rest = after.trim_start();
        }
        self.push(match <[Arc<str>; 1]>::try_from(names) {
            Ok([name]) => Token::Property(name),
            Err(names) => Token::Properties(names),
        })
    }

    fn filter(&mut self) -> Result<(), SyntaxError> {
        let start = self.text.len() - self.rest()[1..].trim_start().len() + 1;
        let mut reader = FilterReader::new(&self.text[start..], self.nesting);
        let filter = reader.read().map_err(|error| error.shifted(start))?;
        let after = self.text[start + reader.position()..].trim_start();
        let Some(after) = after.strip_prefix(']') else {
            self.at = self.text.len() - after.len();
            return self.fail("Filter must start with '[?(' and end with ')]'");
        };
        self.at = self.text.len() - after.len();
        self.push(Token::Filter(Arc::new(filter)))
    }

    fn indexes(&mut self) -> Result<(), SyntaxError> {
        let Some(end) = self.rest().find(']') else {
            return self.fail("Array index has not been closed - missing closing ]");
        };
        let inside = self.rest()[1..end].trim();
        let token = if inside.contains(':') {
            let mut bounds = inside.split(':').map(|bound| match bound {
                "" => Some(None),
                number => number.parse().ok().map(Some),
            });
            match (bounds.next().unwrap_or(Some(None)), bounds.next().unwrap_or(Some(None))) {
                (Some(from), Some(to)) if from.is_some() || to.is_some() => Token::Slice { from, to },
                _ => return self.fail(format!("Failed to parse SliceOperation: {inside}")),
            }
        } else {
            let numbers: Option<Vec<i64>> = inside.split(',').map(|number| number.trim().parse().ok()).collect();
            match numbers.as_deref() {
                Some([index]) => Token::Index(*index),
                Some(indexes) => Token::Indexes(indexes.to_vec()),
                None => return self.fail(format!("Failed to parse token in ArrayIndexOperation: {inside}")),
            }
        };
        self.at += end + 1;
        self.push(token)
    }
}

/// Position of the parenthesis that closes the one at the start; strings are skipped.
pub(super) fn matching_close(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => at += lenient::closing_quote(&text[at..], c)?,
            '(' => depth += 1,
            ')' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// Splits at the commas that stand in no string, bracket, brace or parenthesis.
fn split_arguments(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut at, mut depth) = (0, 0, 0_usize);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '"' | '\'' => at += lenient::closing_quote(&text[at..], c).unwrap_or(0),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += text[at..].chars().next().map_or(1, char::len_utf8);
    }
    parts.push(&text[start..]);
    parts
}
