//! JSON as `parse-json()` and `json-to-xml()` read it: keys that come twice and escapes are kept as long as the options of
//! the call may ask for them.

use crate::xpath::error::XPathError;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 500;

/// A value as it was written.
#[derive(Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// The digits of a number.
    Number(String),
    String(Text),
    Array(Vec<Json>),
    /// Members in the order of the text; a key can come several times.
    Object(Vec<(Text, Json)>),
}

/// A string with what its escapes stand for.
#[derive(Debug, Default, Clone)]
pub(super) struct Text(pub(super) Vec<Unit>);

/// A part of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    Plain(String),
    /// A character that was escaped, where it makes a difference.
    Escaped(char),
    /// An escape of what is no character of XML.
    Invalid(u32),
}

/// Reads a text. With `liberal` names may stand without quotes as keys, and a comma at the end of a list.
///
/// # Errors
/// `FOJS0001` for what is no JSON.
pub(super) fn read(text: &str, liberal: bool) -> Result<Json, XPathError> {
    let mut reader = Reader { text, at: 0, liberal };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() { Err(reader.wrong("there is something behind the value")) } else { Ok(value) }
}

struct Reader<'s> {
    text: &'s str,
    at: usize,
    liberal: bool,
}

impl Reader<'_> {
    fn wrong(&self, reason: &str) -> XPathError {
        let before = String::from_utf8_lossy(&self.text.as_bytes()[..self.at.min(self.text.len())]);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        XPathError::dynamic("FOJS0001", format!("the text is no JSON: {reason} at line {line} column {column}"))
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, XPathError> {
        if depth > MAX_DEPTH {
            return Err(XPathError::Limit { what: "levels of JSON", cap: MAX_DEPTH as u64 });
        }
        match self.peek() {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Json::String),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                for (word, value) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                Err(self.wrong("a value is missing"))
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, XPathError> {
        self.at += 1;
        let mut members = Vec::new();
        loop {
            self.space();
            if (members.is_empty() || self.liberal) && self.eat(b']') {
                return Ok(Json::Array(members));
            }
            members.push(self.value(depth + 1)?);
            self.space();
            if self.eat(b']') {
                return Ok(Json::Array(members));
            }
            if !self.eat(b',') {
                return Err(self.wrong("a comma or `]` is missing"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, XPathError> {
        self.at += 1;
        let mut members = Vec::new();
        loop {
            self.space();
            if (members.is_empty() || self.liberal) && self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            let key = match self.peek() {
                b'"' => self.string()?,
                _ if self.liberal => self.bare_key()?,
                _ => return Err(self.wrong("a key in quotes is missing")),
            };
            self.space();
            if !self.eat(b':') {
                return Err(self.wrong("a colon is missing"));
            }
            self.space();
            members.push((key, self.value(depth + 1)?));
            self.space();
            if self.eat(b'}') {
                return Ok(Json::Object(members));
            }
            if !self.eat(b',') {
                return Err(self.wrong("a comma or `}` is missing"));
            }
        }
    }

    fn bare_key(&mut self) -> Result<Text, XPathError> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.wrong("a key is missing"));
        }
        self.at += length;
        Ok(Text(vec![Unit::Plain(rest[..length].to_owned())]))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json, XPathError> {
        let start = self.at;
        self.eat(b'-');
        let zero = self.peek() == b'0';
        let length = self.digits();
        if length == 0 || (zero && length > 1 && !self.liberal) {
            return Err(self.wrong("a number starts with another digit than zero"));
        }
        if self.eat(b'.') && self.digits() == 0 && !self.liberal {
            return Err(self.wrong("digits are missing behind the point"));
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.wrong("digits are missing in the exponent"));
            }
        }
        Ok(Json::Number(self.text[start..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<Text, XPathError> {
        self.at += 1;
        let (mut units, mut plain) = (Vec::new(), String::new());
        loop {
            let Some(c) = self.text[self.at..].chars().next() else {
                return Err(self.wrong("a string has no closing quote"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => break,
                '\\' => {
                    let unit = self.escape()?;
                    match unit {
                        Unit::Plain(text) => plain.push_str(&text),
                        other => {
                            if !plain.is_empty() {
                                units.push(Unit::Plain(std::mem::take(&mut plain)));
                            }
                            units.push(other);
                        }
                    }
                }
                c if c < ' ' && !self.liberal => return Err(self.wrong("a control character must be escaped")),
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            units.push(Unit::Plain(plain));
        }
        Ok(Text(units))
    }

    fn escape(&mut self) -> Result<Unit, XPathError> {
        let c = self.peek();
        self.at += 1;
        Ok(match c {
            b'"' => Unit::Plain("\"".to_owned()),
            b'/' => Unit::Plain("/".to_owned()),
            b'\\' => Unit::Escaped('\\'),
            b'n' => Unit::Escaped('\n'),
            b'r' => Unit::Escaped('\r'),
            b't' => Unit::Escaped('\t'),
            b'b' => Unit::Invalid(8),
            b'f' => Unit::Invalid(12),
            b'u' => {
                let mut code = self.hex()?;
                if (0xD800..0xDC00).contains(&code) && self.text[self.at..].starts_with("\\u") {
                    let mark = self.at;
                    self.at += 2;
                    let low = self.hex()?;
                    if (0xDC00..0xE000).contains(&low) {
                        code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
                    } else {
                        self.at = mark;
                    }
                }
                match char::from_u32(code) {
                    Some(c @ ('\\' | '\n' | '\r' | '\t')) => Unit::Escaped(c),
                    Some(c @ '\u{7f}'..='\u{9f}') => Unit::Escaped(c),
                    Some(c) if c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}') => Unit::Plain(c.to_string()),
                    _ => Unit::Invalid(code),
                }
            }
            _ if self.liberal && c.is_ascii() && c != 0 => Unit::Plain(char::from(c).to_string()),
            _ => return Err(self.wrong("an escape is unknown")),
        })
    }

    fn hex(&mut self) -> Result<u32, XPathError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|it| it.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|it| u32::from_str_radix(it, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.wrong("`\\u` must be followed by four hexadecimal digits"))
    }
}

impl Text {
    /// The text with its escapes as they are written in JSON.
    pub(super) fn escaped(&self) -> String {
        let mut out = String::new();
        for unit in &self.0 {
            match unit {
                Unit::Plain(text) => out.push_str(text),
                Unit::Escaped(c) => match c {
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\r' => out.push_str("\\r"),
                    '\t' => out.push_str("\\t"),
                    c => out.push_str(&format!("\\u{:04X}", u32::from(*c))),
                },
                Unit::Invalid(code) => out.push_str(&invalid(*code)),
            }
        }
        out
    }

    /// Whether [`Text::escaped`] has escapes.
    pub(super) fn has_escapes(&self) -> bool {
        self.0.iter().any(|unit| !matches!(unit, Unit::Plain(_)))
    }
}

/// The escape of what is no character.
pub(super) fn invalid(code: u32) -> String {
    match code {
        8 => "\\b".to_owned(),
        12 => "\\f".to_owned(),
        code => format!("\\u{code:04X}"),
    }
}
