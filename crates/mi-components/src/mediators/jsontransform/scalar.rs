//! Strings, numbers, booleans and null as a schema wants them, from the text of a JSON value.
//! MI: the validators of `org.apache.synapse.commons.json.jsonprocessor`.

use serde_json::Value;

use super::schema::{Patterns, Schema};
use crate::typed::java_double;

/// Largest power of ten in a number that is written out.
const MAX_EXPONENT: i64 = 1000;

/// The text of a scalar; an array of one item stands for the item. Errors: objects, null and other arrays.
/// MI: `JsonElement#getAsString`.
pub(super) fn plain_text(value: &Value) -> Result<String, String> {
    let mut value = value;
    loop {
        match value {
            Value::String(text) => return Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => return Ok(value.to_string()),
            Value::Array(items) if items.len() == 1 => value = &items[0],
            Value::Array(items) => return Err(format!("Array must have size 1, but has size {}", items.len())),
            Value::Object(_) => return Err("JsonObject".to_owned()),
            Value::Null => return Err("JsonNull".to_owned()),
        }
    }
}

/// Takes one pair of quotes off.
pub(super) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// `true` or `false`, also in quotes.
pub(super) fn parse_boolean(text: &str) -> Result<bool, String> {
    match unquoted(text) {
        "true" => Ok(true),
        "false" => Ok(false),
        "" => Err("Cannot convert an empty string to boolean".to_owned()),
        other => Err(format!("Cannot convert the sting : {other} to boolean")),
    }
}

/// The keyword `name` of a schema as text; `None` when it is missing or empty.
pub(super) fn keyword(schema: &Schema, name: &str) -> Result<Option<String>, String> {
    let Some(value) = schema.get(name) else { return Ok(None) };
    let text = plain_text(value)?;
    Ok(Some(unquoted(&text).to_owned()).filter(|text| !text.is_empty()))
}

/// A keyword that is a whole number.
pub(super) fn whole_keyword(schema: &Schema, name: &str) -> Result<Option<i64>, String> {
    let Some(text) = keyword(schema, name)? else { return Ok(None) };
    let number = text.trim().parse::<i32>().map_err(|_| not_a_number(&text))?;
    Ok(Some(i64::from(number)))
}

fn double_keyword(schema: &Schema, name: &str) -> Result<Option<f64>, String> {
    let Some(text) = keyword(schema, name)? else { return Ok(None) };
    java_double(&text).map(Some).ok_or_else(|| not_a_number(&text))
}

fn not_a_number(text: &str) -> String {
    format!("NumberFormatException: For input string: \"{text}\"")
}

fn listed(schema: &Schema, is_value: impl Fn(&Value) -> bool) -> Result<bool, String> {
    match schema.get("enum") {
        None => Ok(true),
        Some(Value::Array(values)) => Ok(values.is_empty() || values.iter().any(is_value)),
        Some(_) => Err(format!("the enum must be an array in : {}", shown(schema))),
    }
}

/// A schema for messages.
pub(super) fn shown(schema: &Schema) -> String {
    Value::Object(schema.clone()).to_string()
}

/// MI: `BooleanValidator#validateBoolean`.
pub(super) fn boolean(schema: &Schema, text: &str) -> Result<Value, String> {
    let parsed = parse_boolean(text)?;
    if !listed(schema, |value| value.as_bool() == Some(parsed))? {
        return Err(format!("input \"{text}\" not contains any element from the enum in : {}", shown(schema)));
    }
    if let Some(constant) = schema.get("const")
        && (plain_text(constant)? == "true") != parsed
    {
        return Err(format!("String \"{text}\" is not equal to the const value"));
    }
    Ok(Value::Bool(parsed))
}

/// MI: `NullValidator#validateNull`.
pub(super) fn null(schema: &Schema, json: &str) -> Result<Value, String> {
    if matches!(json, "null" | "\"null\"") {
        return Ok(Value::Null);
    }
    Err(format!(
        "Expected a null but found a value. Received not null input{json} to be validated with : {}",
        shown(schema)
    ))
}

/// MI: `StringValidator#validateNominal`.
pub(super) fn string(patterns: &Patterns, schema: &Schema, text: &str) -> Result<Value, String> {
    let violated = |what: &str| {
        Err(format!(
            "String \"{text}\" violated the {what} constraint. Input string : {text} does not fit : {}",
            shown(schema)
        ))
    };
    let length = text.encode_utf16().count() as i64;
    if whole_keyword(schema, "maxLength")?.is_some_and(|max| length > max) {
        return violated("max length");
    }
    if whole_keyword(schema, "minLength")?.is_some_and(|min| length < min) {
        return violated("min length");
    }
    if let Some(pattern) = keyword(schema, "pattern")?
        && !patterns.fits(&pattern, text)?
    {
        return violated("regex");
    }
    if !listed(schema, |value| value.as_str() == Some(text))? {
        return Err(format!("String \"{text}\" not contains any element from the enum of : {}", shown(schema)));
    }
    if let Some(constant) = schema.get("const")
        && plain_text(constant)? != text
    {
        return Err(format!("String \"{text}\" is not equal to the const value defined in : {}", shown(schema)));
    }
    Ok(Value::String(text.to_owned()))
}

/// MI: `NumericValidator#validateNumeric`.
pub(super) fn number(schema: &Schema, text: &str) -> Result<Value, String> {
    let text = unquoted(text);
    let Some(double) = java_double(text) else {
        return Err(format!(
            "\"{text}\" is not a number. A number expected in the schema {} but received {text}",
            shown(schema)
        ));
    };
    let violated = |what: &str| {
        Err(format!("Number {text} {what}. The constraint in {} is violated by the input : {text}", shown(schema)))
    };
    if double_keyword(schema, "multipleOf")?.is_some_and(|factor| double % factor != 0.0) {
        return violated("is not a multiple of the given number");
    }
    if double_keyword(schema, "minimum")?.is_some_and(|min| double < min)
        || double_keyword(schema, "exclusiveMinimum")?.is_some_and(|min| double <= min)
    {
        return violated("is less than the minimum allowed value");
    }
    if double_keyword(schema, "maximum")?.is_some_and(|max| double > max)
        || double_keyword(schema, "exclusiveMaximum")?.is_some_and(|max| double >= max)
    {
        return violated("is greater than the maximum allowed value");
    }
    if !listed(schema, |value| value.as_f64() == Some(double))? {
        return Err(format!("Number \"{text}\" not contains any element from the enum in {}", shown(schema)));
    }
    if let Some(constant) = schema.get("const")
        && java_double(&plain_text(constant)?) != Some(double)
    {
        return Err(format!("Number \"{text}\" is not equal to the const value defined in {}", shown(schema)));
    }
    let is_integer = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(|it| it.as_str().is_some_and(|it| it.contains("integer"))),
        Some(Value::String(name)) => name.contains("integer"),
        _ => false,
    };
    let written = if is_integer { integer(text.trim()) } else { decimal(text) };
    let written = written.ok_or_else(|| not_a_number(text))?;
    serde_json::from_str(&written).map_err(|error| error.to_string())
}

/// A whole number without leading zeros. MI: `BigInteger`.
fn integer(text: &str) -> Option<String> {
    let (sign, digits) = split_sign(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { format!("{sign}{digits}") })
}

fn split_sign(text: &str) -> (&'static str, &str) {
    match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

/// A number with as many decimals as MI gives it: the letters behind the point, or all letters without a point, so that
/// `34` becomes `34.00`. MI: `BigDecimal#setScale`.
fn decimal(text: &str) -> Option<String> {
    let wanted = (text.len() - text.find('.').map_or(0, |at| at + 1)) as i64;
    let (sign, unsigned) = split_sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix('+').unwrap_or(exponent);
            (mantissa, digits.parse::<i64>().ok().filter(|exponent| exponent.abs() <= MAX_EXPONENT)?)
        }
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = fraction.len() as i64 - exponent;
    if wanted >= scale {
        digits.push_str(&"0".repeat((wanted - scale) as usize));
    } else {
        let dropped = ((scale - wanted) as usize).min(digits.len());
        let kept = digits.len() - dropped;
        if digits[kept..].bytes().any(|byte| byte != b'0') {
            return None;
        }
        digits.truncate(kept);
    }
    let digits = digits.trim_start_matches('0');
    let places = wanted as usize;
    if digits.is_empty() {
        return Some(if places > 6 { format!("0E-{places}") } else { format!("0.{}", "0".repeat(places)) });
    }
    let magnitude = digits.len() as i64 - 1 - wanted;
    if magnitude < -6 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return Some(format!("{sign}{first}{point}{rest}E{magnitude}"));
    }
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    Some(if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    type Read = fn(&Schema, &str) -> Result<Value, String>;

    fn string(schema: &Schema, text: &str) -> Result<Value, String> {
        super::string(&Patterns::of(schema), schema, text)
    }

    /// The value as JSON, or a part of the error.
    #[track_caller]
    fn check(read: Read, schema: &str, text: &str, expected: Result<&str, &str>) {
        let Ok(Value::Object(schema)) = serde_json::from_str(schema) else { panic!("{schema} is no object") };
        match (read(&schema, text), expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value.to_string(), expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{text}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn numbers() {
        let number_type = r#"{"type":"number"}"#;
        for (text, expected) in [
            ("7.5", Ok("7.5")),
            ("34", Ok("34.00")),
            ("\"-5\"", Ok("-5.00")),
            ("007.50", Ok("7.50")),
            (".5", Ok("0.5")),
            ("1e3", Ok("1000.000")),
            ("1.5e-3", Ok("0.0015")),
            ("0.0000001", Ok("1e-7")),
            ("0.000000", Ok("0.000000")),
            ("1e-5", Err("NumberFormatException")),
            ("1e999999", Err("NumberFormatException")),
            ("x", Err("is not a number")),
            ("", Err("is not a number")),
        ] {
            check(number, number_type, text, expected);
        }
        let integer_type = r#"{"type":["null","integer"]}"#;
        check(number, integer_type, "\"0012\"", Ok("12"));
        check(number, integer_type, "-0", Ok("0"));
        check(number, integer_type, "123456789012345678901", Ok("123456789012345678901"));
        check(number, integer_type, "1.0", Err("For input string: \"1.0\""));
    }

    #[test]
    fn limits_of_numbers() {
        check(number, r#"{"type":"integer","minimum":2,"maximum":"4"}"#, "2", Ok("2"));
        check(number, r#"{"type":"integer","minimum":2}"#, "1", Err("less than the minimum"));
        check(number, r#"{"type":"integer","exclusiveMinimum":2}"#, "2", Err("less than the minimum"));
        check(number, r#"{"type":"integer","maximum":2}"#, "3", Err("greater than the maximum"));
        check(number, r#"{"type":"integer","exclusiveMaximum":2}"#, "2", Err("greater than the maximum"));
        check(number, r#"{"type":"number","multipleOf":2.5}"#, "7.5", Ok("7.5"));
        check(number, r#"{"type":"number","multipleOf":2}"#, "7.5", Err("is not a multiple"));
        check(number, r#"{"type":"integer","enum":[1,2.0]}"#, "2", Ok("2"));
        check(number, r#"{"type":"integer","enum":["2"]}"#, "2", Err("enum"));
        check(number, r#"{"type":"integer","const":2}"#, "3", Err("const"));
        check(number, r#"{"type":"integer","maximum":"x"}"#, "3", Err("For input string: \"x\""));
    }

    #[test]
    fn strings() {
        check(string, "{}", "12", Ok("\"12\""));
        check(string, r#"{"minLength":4,"maxLength":6,"pattern":"^[0-9]{1,45}$"}"#, "12345", Ok("\"12345\""));
        check(string, r#"{"minLength":4}"#, "123", Err("min length"));
        check(string, r#"{"maxLength":"2"}"#, "123", Err("max length"));
        check(string, r#"{"pattern":"[0-9]"}"#, "12", Err("regex"));
        check(string, r#"{"enum":["a","b"]}"#, "c", Err("enum"));
        check(string, r#"{"enum":[]}"#, "c", Ok("\"c\""));
        check(string, r#"{"const":"a"}"#, "b", Err("const"));
    }

    #[test]
    fn booleans_and_null() {
        check(boolean, "{}", "\"true\"", Ok("true"));
        check(boolean, "{}", "True", Err("Cannot convert the sting : True to boolean"));
        check(boolean, r#"{"enum":[false]}"#, "true", Err("enum"));
        check(boolean, r#"{"const":true}"#, "false", Err("const"));
        check(null, "{}", "\"null\"", Ok("null"));
        check(null, "{}", "1", Err("Expected a null"));
    }

    #[test]
    fn text_of_values() {
        for (value, expected) in [
            (json!("a"), Ok("a")),
            (json!([[1.50]]), Ok("1.5")),
            (json!([1, 2]), Err("Array must have size 1, but has size 2")),
            (json!({}), Err("JsonObject")),
            (json!(null), Err("JsonNull")),
        ] {
            assert_eq!(plain_text(&value).as_deref().map_err(String::as_str), expected);
        }
    }
}
