//! Typed values of properties, variables and expression results, and how Java prints them.

use std::borrow::Cow;
use std::sync::Arc;

use mi_xml::{Document, NodeId};

use crate::Text;

/// A typed value. The variants are those that `<property type>` and `<variable type>` can make.
#[derive(Clone, Debug)]
pub enum Value {
    /// Java's null.
    Null,
    /// STRING.
    String(Text),
    /// BOOLEAN.
    Bool(bool),
    /// SHORT and INTEGER.
    Int(i32),
    /// LONG.
    Long(i64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// JSON.
    Json(Arc<serde_json::Value>),
    /// OM and XML: nodes of a document that nobody changes any more.
    Xml(XmlValue),
    /// A map, as connector results (`vars.x.payload`) and query parameters are.
    Map(Arc<Vec<(Arc<str>, Value)>>),
}

/// One or more nodes of a shared document.
#[derive(Clone, Debug)]
pub struct XmlValue {
    /// The document that owns the nodes.
    pub document: Arc<Document>,
    /// The nodes, in document order unless an expression ordered them otherwise.
    pub nodes: Vec<NodeId>,
}

impl XmlValue {
    /// A value that is one node, copied out of `document` into a document of its own.
    pub fn copy_of(document: &Document, node: NodeId) -> Self {
        let mut own = Document::new();
        let copy = own.import(document, node);
        own.append_child(Document::ROOT, copy);
        Self { document: Arc::new(own), nodes: vec![copy] }
    }

    /// The nodes as XML text, one behind the other.
    pub fn to_xml(&self) -> String {
        self.nodes.iter().map(|node| self.document.to_xml(*node)).collect()
    }
}

impl Value {
    /// True for a boolean true and for the text `true` in any case, as MI's switches are read.
    pub fn is_switched_on(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::String(text) => text.trim().eq_ignore_ascii_case("true"),
            _ => false,
        }
    }

    /// The value as text: what `get-property` gives to a string context. XML is written as markup, JSON compactly,
    /// numbers as Java prints them, null as the empty string.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::String(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Long(value) => Cow::Owned(value.to_string()),
            Self::Float(value) => Cow::Owned(java_float(*value)),
            Self::Double(value) => Cow::Owned(java_double(*value)),
            Self::Json(value) => match &**value {
                serde_json::Value::String(text) => Cow::Borrowed(text),
                other => Cow::Owned(other.to_string()),
            },
            Self::Xml(value) => Cow::Owned(value.to_xml()),
            Self::Map(entries) => {
                let fields: Vec<String> =
                    entries.iter().map(|(name, value)| format!("{name}={}", value.to_text())).collect();
                Cow::Owned(format!("{{{}}}", fields.join(", ")))
            }
        }
    }

    /// True for [`Value::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::String(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        Self::Json(Arc::new(value))
    }
}

/// A double as `java.lang.Double#toString` prints it: `1.0`, `8.888888888888889E9`, `1.0E-5`, `NaN`, `Infinity`.
pub fn java_double(value: f64) -> String {
    java_digits(value, value == 0.0, format!("{value:e}"))
}

/// A float as `java.lang.Float#toString` prints it: `888888.9`, `1.0E10`.
pub fn java_float(value: f32) -> String {
    java_digits(f64::from(value), value == 0.0, format!("{value:e}"))
}

/// Lays out the shortest digits (`d.ddde±x`) the way Java does: plain between 10^-3 and 10^7, else with `E`.
fn java_digits(value: f64, zero: bool, scientific: String) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value.is_infinite() {
        return format!("{sign}Infinity");
    }
    if zero {
        return format!("{sign}0.0");
    }
    let unsigned = scientific.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once('e').unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if (-3..7).contains(&exponent) {
        let point = exponent + 1;
        let text = if point <= 0 {
            format!("0.{}{digits}", "0".repeat(point.unsigned_abs() as usize))
        } else if digits.len() as i32 <= point {
            format!("{digits}{}.0", "0".repeat(point as usize - digits.len()))
        } else {
            format!("{}.{}", &digits[..point as usize], &digits[point as usize..])
        };
        return format!("{sign}{text}");
    }
    let fraction = if digits.len() > 1 { &digits[1..] } else { "0" };
    format!("{sign}{}.{fraction}E{exponent}", &digits[..1])
}

#[cfg(test)]
mod tests {
    use super::{java_double, java_float};

    #[test]
    fn doubles_print_as_java_does() {
        for (value, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (8_888_888_888.888_89, "8.88888888888889E9"),
            (0.001, "0.001"),
            (0.000_1, "1.0E-4"),
            (1_234_567.0, "1234567.0"),
            (12_345_678.0, "1.2345678E7"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(java_double(value), expected);
        }
        assert_eq!(java_float(888_888.9), "888888.9");
        assert_eq!(java_float(1e10), "1.0E10");
    }
}
