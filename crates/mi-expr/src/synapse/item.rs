//! A value during evaluation, with the type tests and conversions of MI's `ExpressionResult`.

use std::borrow::Cow;
use std::sync::Arc;

use mi_message::{Value, XmlValue, java_double};
use serde_json::Value as Json;

use super::Failure;
use crate::jsonpath::java_spelling;

/// A value of an expression.
#[derive(Clone, Debug)]
pub(super) enum Item<'a> {
    Null,
    /// A Java string. One pair of quotes around it is not part of the text, whether it comes from a literal or not.
    Text(Cow<'a, str>),
    /// A JSON string.
    Plain(Cow<'a, str>),
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    /// Any other JSON value.
    Json(Cow<'a, Json>),
    /// A JSON number that kept its spelling because it was found by an index. It counts as every kind of number, so
    /// that arithmetic with it is done in doubles.
    Spelled(Cow<'a, str>),
    Xml(XmlValue),
}

/// The text inside one pair of quotes.
fn unquoted(text: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return inner;
        }
    }
    text
}

impl<'a> Item<'a> {
    /// The number that a text spells: an integer, a long or a double; the text itself otherwise.
    pub(super) fn number_or_text(text: Cow<'a, str>) -> Self {
        match Self::parsed(&text) {
            Some(number) => number,
            None => Self::Text(text),
        }
    }

    /// The number of a literal.
    pub(super) fn number(text: &str) -> Item<'static> {
        Item::parsed(text).unwrap_or(Item::Null)
    }

    fn parsed(text: &str) -> Option<Item<'static>> {
        if let Ok(value) = text.parse::<i32>() {
            return Some(Item::Int(value));
        }
        if let Ok(value) = text.parse::<i64>() {
            return Some(Item::Long(value));
        }
        java_double_of(text).map(Item::Double)
    }

    /// A result of a path.
    pub(super) fn of_json(value: Cow<'a, Json>, by_index: bool) -> Self {
        match value {
            Cow::Borrowed(Json::String(text)) => Self::Plain(Cow::Borrowed(text)),
            Cow::Owned(Json::String(text)) => Self::Plain(Cow::Owned(text)),
            Cow::Borrowed(Json::Number(number)) if by_index => Self::Spelled(java_spelling(number)),
            Cow::Owned(Json::Number(number)) if by_index => Self::Spelled(java_spelling(&number).into_owned().into()),
            other => match &*other {
                Json::Null => Self::Null,
                Json::Bool(value) => Self::Bool(*value),
                Json::Number(number) => match Self::parsed(number.as_str()) {
                    Some(item) => item,
                    None => Self::Spelled(java_spelling(number).into_owned().into()),
                },
                _ => Self::Json(other),
            },
        }
    }

    /// A property, parameter or variable.
    pub(super) fn of_value(value: &'a Value) -> Self {
        match value {
            Value::Null | Value::Map(_) => Self::Null,
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Long(value) => Self::Long(*value),
            Value::Float(value) => Self::Double(f64::from(*value)),
            Value::Double(value) => Self::Double(*value),
            Value::Json(value) => Self::of_json(Cow::Borrowed(value), false),
            Value::Xml(value) => Self::Xml(value.clone()),
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text. MI: `ExpressionResult#asString`.
    pub(super) fn as_str(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed("null"),
            Self::Text(text) => Cow::Borrowed(unquoted(text)),
            Self::Plain(text) | Self::Spelled(text) => Cow::Borrowed(text),
            Self::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::Int(value) => Cow::Owned(value.to_string()),
            Self::Long(value) => Cow::Owned(value.to_string()),
            Self::Double(value) => Cow::Owned(java_double(*value)),
            Self::Json(value) => Cow::Owned(value.to_string()),
            Self::Xml(value) => Cow::Owned(value.to_xml()),
        }
    }

    pub(super) fn is_string(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Plain(_))
    }

    pub(super) fn is_integer(&self) -> bool {
        match self {
            Self::Int(_) => true,
            Self::Spelled(text) => text.parse::<i32>().is_ok(),
            _ => false,
        }
    }

    pub(super) fn is_long(&self) -> bool {
        match self {
            Self::Long(_) => true,
            Self::Spelled(text) => text.parse::<i64>().is_ok(),
            _ => false,
        }
    }

    pub(super) fn is_double(&self) -> bool {
        matches!(self, Self::Double(_) | Self::Spelled(_))
    }

    pub(super) fn is_numeric(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Long(_) | Self::Double(_) | Self::Spelled(_))
    }

    pub(super) fn as_int(&self) -> Result<i32, Failure> {
        Ok(self.as_long()? as i32)
    }

    pub(super) fn as_long(&self) -> Result<i64, Failure> {
        match self {
            Self::Int(value) => Ok(i64::from(*value)),
            Self::Long(value) => Ok(*value),
            Self::Double(value) => Ok(*value as i64),
            Self::Spelled(text) => Ok(text.parse().unwrap_or_else(|_| text.parse::<f64>().unwrap_or(0.0) as i64)),
            _ => Err(self.not_convertible("int")),
        }
    }

    pub(super) fn as_double(&self) -> Result<f64, Failure> {
        match self {
            Self::Int(value) => Ok(f64::from(*value)),
            Self::Long(value) => Ok(*value as f64),
            Self::Double(value) => Ok(*value),
            Self::Spelled(text) => Ok(text.parse().unwrap_or(f64::NAN)),
            _ => Err(self.not_convertible("double")),
        }
    }

    pub(super) fn as_bool(&self) -> Result<bool, Failure> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => Err(self.not_convertible("boolean")),
        }
    }

    fn not_convertible(&self, kind: &str) -> Failure {
        Failure::soft(format!("Value : {} cannot be converted to {kind}", self.as_str()))
    }

    /// The JSON object or array that this is, or that the text of this spells. Backslashes are dropped before a text
    /// is read, so that a literal with escaped quotes is JSON. MI: `ExpressionResult#asJsonObject`, `#asJsonArray`.
    pub(super) fn as_container(&self) -> Option<Cow<'_, Json>> {
        let text = match self {
            Self::Json(value) => return Some(Cow::Borrowed(value)),
            Self::Text(text) => text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text),
            Self::Plain(text) => text,
            _ => return None,
        };
        let text = text.replace('\\', "");
        if !text.trim_start().starts_with(['{', '[']) {
            return None;
        }
        let value = mi_message::convert::parse_json(text.as_bytes()).ok()?;
        (value.is_object() || value.is_array()).then_some(Cow::Owned(value))
    }

    pub(super) fn is_array(&self) -> bool {
        self.as_container().is_some_and(|value| value.is_array())
    }

    pub(super) fn is_object(&self) -> bool {
        self.as_container().is_some_and(|value| value.is_object())
    }

    /// The result for whoever asked for a typed value.
    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::from(unquoted(&text)),
            Self::Plain(text) => Value::from(&*text),
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Long(value) => Value::Long(value),
            Self::Double(value) => Value::Double(value),
            Self::Json(value) => Value::Json(Arc::new(value.into_owned())),
            Self::Spelled(text) => match Self::parsed(&text) {
                Some(number) => number.into_value(),
                None => Value::from(&*text),
            },
            Self::Xml(value) => Value::Xml(value),
        }
    }

    /// The same item without borrows.
    pub(super) fn into_static(self) -> Item<'static> {
        match self {
            Self::Null => Item::Null,
            Self::Text(text) => Item::Text(Cow::Owned(text.into_owned())),
            Self::Plain(text) => Item::Plain(Cow::Owned(text.into_owned())),
            Self::Bool(value) => Item::Bool(value),
            Self::Int(value) => Item::Int(value),
            Self::Long(value) => Item::Long(value),
            Self::Double(value) => Item::Double(value),
            Self::Json(value) => Item::Json(Cow::Owned(value.into_owned())),
            Self::Spelled(text) => Item::Spelled(Cow::Owned(text.into_owned())),
            Self::Xml(value) => Item::Xml(value),
        }
    }
}

/// `Double#parseDouble`: blanks around, a type suffix, `NaN` and `Infinity` are fine, other words are not.
pub(super) fn java_double_of(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let unsigned = number.strip_prefix(['+', '-']).unwrap_or(number);
    if unsigned == "NaN" || unsigned == "Infinity" {
        return text.parse().ok();
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    number.parse().ok()
}
