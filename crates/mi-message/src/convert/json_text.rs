//! Reads JSON text, strictly written or as loosely as MI's parser (Gson in lenient mode) takes it: single quotes,
//! names and texts without quotes, comments, `=` and `;` as separators, an omitted item as null.
//!
//! Numbers keep their digits. The parser keeps its own stack, and nesting is capped.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::{Map, Number, Value};

use super::numbers;
use crate::body::BodyError;

/// Deepest nesting that is accepted.
pub const MAX_DEPTH: usize = 1000;

/// Parses JSON text. Nothing but white space is the empty object. Bytes that are no UTF-8 are replaced, as Java does.
/// Errors say where: `line 1 column 7`.
pub fn parse_json(text: &[u8]) -> Result<Value, BodyError> {
    // The lossy way looks at valid text byte by byte.
    let text = std::str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut parser = Parser { text, bytes: text.as_bytes(), at: 0 };
    parser.document().map_err(|message| {
        let before = &text.as_bytes()[..parser.at.min(text.len())];
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        BodyError::Malformed(format!("The JSON payload is not valid: {message} at line {line} column {column}"))
    })
}

enum Open {
    Array(Vec<Value>),
    Object(Map<String, Value>, String),
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

type Parsed<T> = Result<T, &'static str>;

impl Parser<'_> {
    fn document(&mut self) -> Parsed<Value> {
        self.skip_space()?;
        if self.at == self.bytes.len() {
            return Ok(Value::Object(Map::new()));
        }
        let mut open: Vec<Open> = Vec::new();
        loop {
            let Some(mut value) = self.value(&mut open)? else { continue };
            // Close every container that ends here; stop at the first that wants another value.
            loop {
                let more = match open.last_mut() {
                    None => {
                        self.skip_space()?;
                        return if self.at == self.bytes.len() { Ok(value) } else { Err("unexpected text behind it") };
                    }
                    Some(Open::Array(items)) => {
                        items.push(value);
                        self.separator(b']', "unterminated array")?
                    }
                    Some(Open::Object(members, name)) => {
                        members.insert(std::mem::take(name), value);
                        let more = self.separator(b'}', "unterminated object")?;
                        if more {
                            *name = self.name()?;
                        }
                        more
                    }
                };
                if more {
                    break;
                }
                value = match open.pop() {
                    Some(Open::Array(items)) => Value::Array(items),
                    Some(Open::Object(members, _)) => Value::Object(members),
                    None => return Err("unexpected end"),
                };
            }
        }
    }

    /// One value, or `None` after a container was opened that has content.
    fn value(&mut self, open: &mut Vec<Open>) -> Parsed<Option<Value>> {
        self.skip_space()?;
        match self.bytes.get(self.at) {
            Some(b'{') => {
                self.open_container(open.len())?;
                if self.bytes.get(self.at) == Some(&b'}') {
                    self.at += 1;
                    return Ok(Some(Value::Object(Map::new())));
                }
                let name = self.name()?;
                open.push(Open::Object(Map::new(), name));
                Ok(None)
            }
            Some(b'[') => {
                self.open_container(open.len())?;
                if self.bytes.get(self.at) == Some(&b']') {
                    self.at += 1;
                    return Ok(Some(Value::Array(Vec::new())));
                }
                open.push(Open::Array(Vec::new()));
                Ok(None)
            }
            Some(b'"' | b'\'') => Ok(Some(Value::String(self.string()?.into_owned()))),
            Some(b']' | b',' | b';') if matches!(open.last(), Some(Open::Array(_))) => Ok(Some(Value::Null)),
            Some(_) => self.literal().map(Some),
            None => Err("end of input"),
        }
    }

    fn open_container(&mut self, depth: usize) -> Parsed<()> {
        if depth >= MAX_DEPTH {
            return Err("nesting is too deep");
        }
        self.at += 1;
        self.skip_space()
    }

    /// True behind a separator, false behind `end`.
    fn separator(&mut self, end: u8, message: &'static str) -> Parsed<bool> {
        self.skip_space()?;
        match self.bytes.get(self.at) {
            Some(b',' | b';') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if *byte == end => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(message),
        }
    }

    fn name(&mut self) -> Parsed<String> {
        self.skip_space()?;
        let name = match self.bytes.get(self.at) {
            Some(b'"' | b'\'') => self.string()?.into_owned(),
            _ => match self.bare() {
                "" => return Err("expected a name"),
                name => name.to_owned(),
            },
        };
        self.skip_space()?;
        match self.bytes.get(self.at) {
            Some(b':') => self.at += 1,
            Some(b'=') => self.at += if self.bytes.get(self.at + 1) == Some(&b'>') { 2 } else { 1 },
            _ => return Err("expected ':'"),
        }
        Ok(name)
    }

    fn literal(&mut self) -> Parsed<Value> {
        let bare = self.bare();
        let value = match bare {
            "" => return Err("unexpected character"),
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ if numbers::is_number(bare) => Value::Number(Number::from_string_unchecked(bare.to_owned())),
            _ if bare.eq_ignore_ascii_case("true") => Value::Bool(true),
            _ if bare.eq_ignore_ascii_case("false") => Value::Bool(false),
            _ if bare.eq_ignore_ascii_case("null") => Value::Null,
            _ => Value::String(bare.to_owned()),
        };
        Ok(value)
    }

    /// Text without quotes, up to a character that cannot stand in one.
    fn bare(&mut self) -> &str {
        let start = self.at;
        let length = self.bytes[start..].iter().position(|byte| {
            matches!(
                byte,
                b'/' | b'\\'
                    | b';'
                    | b'#'
                    | b'='
                    | b'{'
                    | b'}'
                    | b'['
                    | b']'
                    | b':'
                    | b','
                    | b' '
                    | b'\t'
                    | 0x0c
                    | b'\r'
                    | b'\n'
            )
        });
        self.at = start + length.unwrap_or(self.bytes.len() - start);
        &self.text[start..self.at]
    }

    fn string(&mut self) -> Parsed<Cow<'_, str>> {
        let quote = self.bytes[self.at];
        self.at += 1;
        let mut start = self.at;
        let mut built = String::new();
        loop {
            let Some(length) = memchr2(quote, b'\\', &self.bytes[self.at..]) else {
                self.at = self.bytes.len();
                return Err("unterminated text");
            };
            self.at += length;
            if self.bytes[self.at] == quote {
                let text = &self.text[start..self.at];
                self.at += 1;
                if built.is_empty() {
                    return Ok(Cow::Borrowed(text));
                }
                built.push_str(text);
                return Ok(Cow::Owned(built));
            }
            built.push_str(&self.text[start..self.at]);
            self.at += 1;
            built.push(self.escape()?);
            start = self.at;
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let Some(byte) = self.bytes.get(self.at) else { return Err("unterminated escape") };
        self.at += 1;
        Ok(match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'"' | b'\\' | b'/' | b'\'' | b'\n' => char::from(*byte),
            b'u' => return self.unicode(),
            _ => return Err("invalid escape"),
        })
    }

    fn unicode(&mut self) -> Parsed<char> {
        let unit = self.hex()?;
        if (0xd800..0xdc00).contains(&unit) && self.bytes[self.at..].starts_with(b"\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            self.at = back;
        }
        // Half of a pair stands for nothing; Java would keep it in its text.
        Ok(char::from_u32(unit).unwrap_or('\u{fffd}'))
    }

    fn hex(&mut self) -> Parsed<u32> {
        let digits = self.text.get(self.at..self.at + 4).ok_or("unterminated escape")?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("invalid escape");
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| "invalid escape")
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) -> Parsed<()> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'#') => self.skip_line(),
                Some(b'/') => match self.bytes.get(self.at + 1) {
                    Some(b'/') => self.skip_line(),
                    Some(b'*') => {
                        let end = memchr::memmem::find(&self.bytes[self.at + 2..], b"*/");
                        self.at += 4 + end.ok_or("unterminated comment")?;
                    }
                    _ => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) {
        self.at += memchr::memchr(b'\n', &self.bytes[self.at..]).unwrap_or(self.bytes.len() - self.at);
    }
}
