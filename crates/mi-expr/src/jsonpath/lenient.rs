//! JSON as people write it inside filters and function arguments: single quotes and bare words are fine.

use serde_json::{Map, Value};

/// Nesting allowed in a literal.
const DEPTH: usize = 64;

/// Parses a literal, strictly first. `None` when it is neither.
pub(super) fn parse(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH)?;
    reader.blanks();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if self.eat('[') {
            let mut items = Vec::new();
            while !self.eat(']') {
                items.push(self.value(depth)?);
                if !self.eat(',') && !self.rest().trim_start().starts_with(']') {
                    return None;
                }
            }
            return Some(Value::Array(items));
        }
        if self.eat('{') {
            let mut fields = Map::new();
            while !self.eat('}') {
                let name = self.scalar()?;
                if !self.eat(':') {
                    return None;
                }
                let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                fields.insert(name, self.value(depth)?);
                if !self.eat(',') && !self.rest().trim_start().starts_with('}') {
                    return None;
                }
            }
            return Some(Value::Object(fields));
        }
        self.scalar()
    }

    fn scalar(&mut self) -> Option<Value> {
        self.blanks();
        let quote = self.rest().chars().next()?;
        if quote == '\'' || quote == '"' {
            let end = closing_quote(self.rest(), quote)?;
            let text = unescape(&self.rest()[1..end]);
            self.at += end + 1;
            return Some(Value::String(text));
        }
        let end = self.rest().find([',', ']', '}', ':']).unwrap_or(self.rest().len());
        let word = self.rest()[..end].trim().to_owned();
        self.at += end;
        if word.is_empty() {
            return None;
        }
        Some(serde_json::from_str(&word).unwrap_or(Value::String(word)))
    }
}

/// Position of the quote that ends the string at the start of `text`.
pub(super) fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(at);
        }
        None
    })
}

/// Resolves the escapes of Java; an unknown one stands for its character. Jayway: `Utils#unescape`.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let digits = chars.as_str().get(..4).unwrap_or_default();
                if let Ok(code) = u32::from_str_radix(digits, 16) {
                    out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    chars = chars.as_str()[4..].chars();
                } else {
                    out.push('u');
                }
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}
