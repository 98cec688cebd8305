//! Typed values from text: the `type` of `property`, `variable` and their kin.

use std::sync::Arc;

use mi_message::Value;

use crate::{json, xml};

/// The types of both mediators. MI: `XMLConfigConstants.DATA_TYPES` and `VARIABLE_DATA_TYPES`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataType {
    /// STRING.
    String,
    /// BOOLEAN.
    Boolean,
    /// INTEGER.
    Integer,
    /// SHORT.
    Short,
    /// LONG.
    Long,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// OM of a property, XML of a variable.
    Xml,
    /// JSON.
    Json,
}

impl DataType {
    /// The types that `property` knows.
    pub(crate) const PROPERTY: &[(&str, Self)] = &[
        ("STRING", Self::String),
        ("BOOLEAN", Self::Boolean),
        ("INTEGER", Self::Integer),
        ("SHORT", Self::Short),
        ("LONG", Self::Long),
        ("FLOAT", Self::Float),
        ("DOUBLE", Self::Double),
        ("OM", Self::Xml),
        ("JSON", Self::Json),
    ];
    /// The types that `variable` knows.
    pub(crate) const VARIABLE: &[(&str, Self)] = &[
        ("STRING", Self::String),
        ("BOOLEAN", Self::Boolean),
        ("INTEGER", Self::Integer),
        ("LONG", Self::Long),
        ("DOUBLE", Self::Double),
        ("XML", Self::Xml),
        ("JSON", Self::Json),
    ];

    /// The type of a name, which is case-sensitive.
    pub(crate) fn find(name: &str, table: &[(&str, Self)]) -> Option<Self> {
        table.iter().find(|(known, _)| *known == name).map(|(_, data_type)| *data_type)
    }
}

/// Where a text comes from: numbers that expressions give may carry a fraction, which is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The attribute `value`.
    Literal,
    /// An expression.
    Expression,
}

/// The value of a text. Text that is no JSON gives null, as MI only logs it. MI: `PropertyMediator#convertValue`.
pub(crate) fn convert(text: &str, data_type: DataType, origin: Origin) -> Result<Value, String> {
    let whole = |text: &str| -> Option<i64> {
        if origin == Origin::Expression && text.contains('.') {
            return java_double(text).map(|value| i64::from(value as i32));
        }
        integer(text)
    };
    let value = match data_type {
        DataType::String => Some(Value::from(text)),
        DataType::Boolean => Some(Value::Bool(is_true(text))),
        DataType::Integer => whole(text).and_then(|it| i32::try_from(it).ok()).map(Value::Int),
        DataType::Short => whole(text).and_then(|it| i16::try_from(it).ok()).map(|it| Value::Int(i32::from(it))),
        DataType::Long => integer(text).map(Value::Long),
        DataType::Float => java_double(text).map(|value| Value::Float(value as f32)),
        DataType::Double => java_double(text).map(Value::Double),
        DataType::Xml => return xml::parse(text).map(Value::Xml),
        DataType::Json => Some(match json::parse_or_quote(text) {
            Some(value) => Value::Json(Arc::new(value)),
            None => {
                log::error!(target: "PropertyMediator", "Malformed JSON payload : {text}");
                Value::Null
            }
        }),
    };
    value.ok_or_else(|| format!("the value '{text}' cannot be converted into the type {data_type:?}"))
}

/// MI: `JavaUtils#isTrueExplicitly`.
pub(crate) fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("yes")
}

/// MI: `JavaUtils#isFalseExplicitly`.
pub(crate) fn is_false(text: &str) -> bool {
    text.eq_ignore_ascii_case("false") || text.eq_ignore_ascii_case("no")
}

/// A whole number as `Long#parseLong` reads it: no blanks, a sign at most.
fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A number as `Double#parseDouble` reads it.
pub(crate) fn java_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    match digits.trim_start_matches(['+', '-']) {
        "NaN" if digits.len() <= 4 => Some(f64::NAN),
        "Infinity" => digits.parse().ok(),
        unsigned if unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') => digits.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, name: &str, origin: Origin, expected: Option<&str>) {
        let data_type = DataType::find(name, DataType::PROPERTY).expect("known type");
        let converted = convert(text, data_type, origin).ok();
        assert_eq!(converted.as_ref().map(|value| value.to_text().into_owned()).as_deref(), expected, "{text} {name}");
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        check("12", "INTEGER", Origin::Literal, Some("12"));
        check("12.7", "INTEGER", Origin::Literal, None);
        check("12.7", "INTEGER", Origin::Expression, Some("12"));
        check(" 12", "INTEGER", Origin::Literal, None);
        check("3000000000", "INTEGER", Origin::Literal, None);
        check("40000", "SHORT", Origin::Literal, None);
        check("3000000000", "LONG", Origin::Literal, Some("3000000000"));
        check("123456789.25", "DOUBLE", Origin::Literal, Some("1.2345678925E8"));
        check("888888.9", "FLOAT", Origin::Literal, Some("888888.9"));
        check(" 1.5d ", "DOUBLE", Origin::Literal, Some("1.5"));
        check("inf", "DOUBLE", Origin::Literal, None);
        check("-Infinity", "DOUBLE", Origin::Literal, Some("-Infinity"));
    }

    #[test]
    fn other_types() {
        check("Yes", "BOOLEAN", Origin::Literal, Some("true"));
        check("1", "BOOLEAN", Origin::Literal, Some("false"));
        check("<a><b/></a>", "OM", Origin::Literal, Some("<a><b/></a>"));
        check("<a>", "OM", Origin::Literal, None);
        check("{\"a\":1}", "JSON", Origin::Literal, Some("{\"a\":1}"));
        check("two words", "JSON", Origin::Literal, Some("two words"));
        assert!(DataType::find("XML", DataType::PROPERTY).is_none());
        assert!(DataType::find("SHORT", DataType::VARIABLE).is_none());
    }
}
