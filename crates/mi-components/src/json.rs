//! JSON as Gson reads and writes it, where that differs from the standard.

use serde_json::Value;

/// Deepest nesting that lenient reading follows.
const MAX_DEPTH: usize = 100;

/// Parses JSON the lenient way: besides JSON itself, an empty text (null), bare words and strings in single quotes, as
/// values and as names. MI: `JsonParser#parse`.
pub(crate) fn parse_lenient(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut reader = Lenient { rest: text };
    reader.skip_blanks();
    if reader.rest.is_empty() {
        return Some(Value::Null);
    }
    let value = reader.value(MAX_DEPTH)?;
    reader.skip_blanks();
    reader.rest.is_empty().then_some(value)
}

struct Lenient<'t> {
    rest: &'t str,
}

impl Lenient<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn take(&mut self, wanted: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        if self.take('{') {
            let mut fields = serde_json::Map::new();
            if self.take('}') {
                return Some(Value::Object(fields));
            }
            loop {
                let name = match self.scalar()? {
                    Value::String(name) => name,
                    other => other.to_string(),
                };
                if !self.take(':') {
                    return None;
                }
                fields.insert(name, self.value(depth)?);
                if self.take('}') {
                    return Some(Value::Object(fields));
                }
                if !self.take(',') {
                    return None;
                }
            }
        }
        if self.take('[') {
            let mut items = Vec::new();
            if self.take(']') {
                return Some(Value::Array(items));
            }
            loop {
                items.push(self.value(depth)?);
                if self.take(']') {
                    return Some(Value::Array(items));
                }
                if !self.take(',') {
                    return None;
                }
            }
        }
        self.scalar()
    }

    fn scalar(&mut self) -> Option<Value> {
        self.skip_blanks();
        if let Some(quoted) = self.rest.strip_prefix('\'') {
            let end = quoted.find('\'')?;
            self.rest = &quoted[end + 1..];
            return Some(Value::String(quoted[..end].to_owned()));
        }
        if self.rest.starts_with('"') {
            let mut stream = serde_json::Deserializer::from_str(self.rest).into_iter::<Value>();
            let value = stream.next()?.ok()?;
            self.rest = &self.rest[stream.byte_offset()..];
            return Some(value);
        }
        let special = |letter: char| letter.is_ascii_whitespace() || r#"/\;#={}[]:,'""#.contains(letter);
        let end = self.rest.find(special).unwrap_or(self.rest.len());
        if end == 0 {
            return None;
        }
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        Some(serde_json::from_str(word).unwrap_or_else(|_| Value::String(word.to_owned())))
    }
}

/// Parses JSON, or the text put in quotes when it is none.
pub(crate) fn parse_or_quote(text: &str) -> Option<Value> {
    parse_lenient(text).or_else(|| serde_json::from_str(&format!("\"{text}\"")).ok())
}

/// Parses JSON; what looks like no JSON at all is taken as a string. `None` when it looks like JSON and is not.
/// MI: `EIPUtils#tryParseJsonString`.
pub(crate) fn parse_guessed(text: &str) -> Option<Value> {
    let enclosed = |open: char, close: char| text.starts_with(open) && text.ends_with(close) && text.len() > 1;
    let json_like = crate::typed::java_double(text).is_some()
        || matches!(text, "true" | "false")
        || enclosed('[', ']')
        || enclosed('{', '}')
        || enclosed('"', '"');
    let parsed = if json_like { parse_lenient(text) } else { serde_json::from_str(&format!("\"{text}\"")).ok() };
    if parsed.is_none() {
        log::error!(target: "EIPUtils", "{text} cannot be parsed to a valid JSON payload");
    }
    parsed
}

/// Text for the inside of a JSON string: quotes, backslashes and the control characters that have a short form.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => push_control(&mut out, other),
        }
    }
    out
}

/// Writes the control characters of a text that have a short form as that.
pub(crate) fn escape_controls(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|letter| push_control(&mut out, letter));
    out
}

fn push_control(out: &mut String, letter: char) {
    match letter {
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        other => out.push(other),
    }
}

/// JSON as `new Gson().toJson` writes it: without members that are null, and with `<`, `>`, `&`, `=` and `'` escaped.
pub(crate) fn to_gson(value: &Value) -> String {
    let text = without_nulls(value).to_string();
    if !text.contains(['<', '>', '&', '=', '\'']) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            // These stand nowhere but inside of strings.
            '<' | '>' | '&' | '=' | '\'' => out.push_str(&format!("\\u{:04x}", letter as u32)),
            other => out.push(other),
        }
    }
    out
}

/// The value without object members that are null. Depth is bounded: the value was parsed or converted with a limit.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, field)| !field.is_null())
                .map(|(name, field)| (name.clone(), without_nulls(field)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lenient_reading() {
        for (text, expected) in [
            ("{\"a\":[1]}", Some(json!({"a": [1]}))),
            ("", Some(json!(null))),
            (" word ", Some(json!("word"))),
            ("'a b'", Some(json!("a b"))),
            ("two words", None),
            ("{\"a\"", None),
            ("{a: b, 'c': [1, d], \"e\": \"\\\"\"}", Some(json!({"a": "b", "c": [1, "d"], "e": "\""}))),
        ] {
            assert_eq!(parse_lenient(text), expected, "{text}");
        }
        assert_eq!(parse_or_quote("two words"), Some(json!("two words")));
        assert_eq!(parse_or_quote("{\"a\""), None);
        assert_eq!(parse_guessed("1.50").map(|it| it.to_string()).as_deref(), Some("1.50"));
        assert_eq!(parse_guessed("a b"), Some(json!("a b")));
        assert_eq!(parse_guessed("{a"), Some(json!("{a")));
        assert_eq!(parse_lenient("[1,]"), None);
        assert_eq!(parse_guessed("{\"a\" 1}"), None);
    }

    #[test]
    fn escaping() {
        assert_eq!(escape("a\"b\\c\n"), "a\\\"b\\\\c\\n");
        assert_eq!(escape_controls("{\"a\":\"\t\"}"), "{\"a\":\"\\t\"}");
        assert_eq!(to_gson(&json!({"a": null, "b": "<'>", "c": [null]})), r#"{"b":"\u003c\u0027\u003e","c":[null]}"#);
    }
}
