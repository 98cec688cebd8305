//! Where the XML-to-JSON walk puts what it finds: JSON text or a value.

use serde_json::{Map, Number, Value};

/// Receives JSON in document order. Calls nest properly; a name comes right before its value.
pub(super) trait Sink {
    fn begin_object(&mut self);
    fn end_object(&mut self);
    fn begin_array(&mut self);
    fn end_array(&mut self);
    fn name(&mut self, name: &str);
    fn string(&mut self, text: &str);
    /// `true`, `false`, `null` or the text of a number.
    fn literal(&mut self, text: &str);
}

/// Writes compact JSON text. A name that comes twice in an object is written twice.
#[derive(Default)]
pub(super) struct TextSink {
    pub(super) out: Vec<u8>,
    /// True behind a complete value: whatever follows in the same container needs a comma first.
    behind_value: bool,
}

impl TextSink {
    fn start(&mut self) {
        if self.behind_value {
            self.out.push(b',');
        }
        self.behind_value = false;
    }

    fn end(&mut self, byte: u8) {
        self.out.push(byte);
        self.behind_value = true;
    }
}

impl Sink for TextSink {
    fn begin_object(&mut self) {
        self.start();
        self.out.push(b'{');
    }

    fn end_object(&mut self) {
        self.end(b'}');
    }

    fn begin_array(&mut self) {
        self.start();
        self.out.push(b'[');
    }

    fn end_array(&mut self) {
        self.end(b']');
    }

    fn name(&mut self, name: &str) {
        self.start();
        write_string(&mut self.out, name);
        self.out.push(b':');
    }

    fn string(&mut self, text: &str) {
        self.start();
        write_string(&mut self.out, text);
        self.behind_value = true;
    }

    fn literal(&mut self, text: &str) {
        self.start();
        self.out.extend_from_slice(text.as_bytes());
        self.behind_value = true;
    }
}

/// Writes `text` as a JSON string. Only quotes, backslashes and control characters are escaped.
/// MI: `JsonStreamTargetImpl#encode`.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => out.extend_from_slice(format!("\\u{byte:04X}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// Builds a value. The last of several members of one name wins.
#[derive(Default)]
pub(super) struct ValueSink {
    open: Vec<Open>,
    done: Option<Value>,
}

enum Open {
    Object(Map<String, Value>, String),
    Array(Vec<Value>),
}

impl ValueSink {
    pub(super) fn finish(self) -> Value {
        self.done.unwrap_or(Value::Null)
    }

    fn put(&mut self, value: Value) {
        match self.open.last_mut() {
            Some(Open::Object(members, name)) => {
                members.insert(std::mem::take(name), value);
            }
            Some(Open::Array(items)) => items.push(value),
            None => self.done = Some(value),
        }
    }

    fn close(&mut self) {
        let value = match self.open.pop() {
            Some(Open::Object(members, _)) => Value::Object(members),
            Some(Open::Array(items)) => Value::Array(items),
            None => return,
        };
        self.put(value);
    }
}

impl Sink for ValueSink {
    fn begin_object(&mut self) {
        self.open.push(Open::Object(Map::new(), String::new()));
    }

    fn end_object(&mut self) {
        self.close();
    }

    fn begin_array(&mut self) {
        self.open.push(Open::Array(Vec::new()));
    }

    fn end_array(&mut self) {
        self.close();
    }

    fn name(&mut self, name: &str) {
        if let Some(Open::Object(_, next)) = self.open.last_mut() {
            name.clone_into(next);
        }
    }

    fn string(&mut self, text: &str) {
        self.put(Value::String(text.to_owned()));
    }

    fn literal(&mut self, text: &str) {
        let value = match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            number => Value::Number(Number::from_string_unchecked(number.to_owned())),
        };
        self.put(value);
    }
}
