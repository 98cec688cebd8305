//! Numbers as Jayway with Gson hands them out: what is found by name is a Java number again, not its spelling.

use std::borrow::Cow;
use std::cmp::Ordering;

use mi_message::java_double;
use serde_json::{Number, Value};

/// The value as a lookup by name gives it: a number becomes an integer or a double (`1.50` is 1.5, `1E3` is 1000)
/// unless that would lose digits. Jayway: `GsonJsonProvider#unwrapNumber`.
pub(crate) fn normalized(value: &Value) -> Cow<'_, Value> {
    match value {
        Value::Number(number) => match normalized_text(number) {
            Some(text) => Cow::Owned(spelled(&text)),
            None => Cow::Borrowed(value),
        },
        other => Cow::Borrowed(other),
    }
}

/// The new spelling, or `None` when the number keeps its own.
fn normalized_text(number: &Number) -> Option<String> {
    let text = number.as_str();
    let plain = !text.contains(['.', 'e', 'E']);
    if plain {
        return (text == "-0").then(|| "0".to_owned());
    }
    if is_java_spelling(text) {
        return None;
    }
    let double: f64 = text.parse().ok()?;
    let integral = text.find(['.', 'e', 'E']).is_some_and(|at| !text[at..].starts_with('.'));
    if integral && double.abs() < 9.2e18 && double.fract() == 0.0 {
        return Some((double as i64).to_string());
    }
    let digits = |text: &str| -> usize {
        let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
        mantissa.trim_start_matches(['-', '0', '.']).trim_end_matches('0').bytes().filter(u8::is_ascii_digit).count()
    };
    if !double.is_finite() || digits(text) > 17 {
        return None;
    }
    let spelled = java_double(double);
    (spelled != text).then_some(spelled)
}

/// True for the usual decimals, which Java prints as they stand: no exponent, no superfluous zero, few digits.
fn is_java_spelling(text: &str) -> bool {
    let Some((whole, fraction)) = text.trim_start_matches('-').split_once('.') else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let large_enough = whole != "0" || !fraction.starts_with("00");
    let shortest = fraction == "0" || !fraction.ends_with('0');
    whole.len() <= 7 && fraction.len() <= 8 && digits(fraction) && large_enough && shortest
}

/// A number of JSON from its spelling; null when it has none (NaN, infinity).
fn spelled(text: &str) -> Value {
    serde_json::from_str::<Number>(text).map_or(Value::Null, Value::Number)
}

/// The spelling of a number in text, with exponents as Java writes them. `serde_json` makes `1.5E7` to `1.5e+7`.
pub(crate) fn java_spelling(number: &Number) -> Cow<'_, str> {
    let text = number.as_str();
    match text.split_once('e') {
        Some((mantissa, exponent)) => Cow::Owned(format!("{mantissa}E{}", exponent.trim_start_matches('+'))),
        None => Cow::Borrowed(text),
    }
}

/// A double as JSON, spelled as Java prints it; null for NaN and the infinities.
pub(super) fn double(value: f64) -> Value {
    spelled(&java_double(value))
}

/// Compares by value; exact for 64-bit integers.
pub(super) fn compare(left: &Number, right: &Number) -> Option<Ordering> {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ if left == right => Some(Ordering::Equal),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use super::{java_spelling, normalized};

    #[test]
    fn numbers_found_by_name_lose_their_spelling() {
        for (text, expected) in [
            ("1.50", "1.5"),
            ("100.00", "100.0"),
            ("1E3", "1000"),
            ("-0", "0"),
            ("12345678.9", "1.23456789E7"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("3.14159265358979323846", "3.14159265358979323846"),
            ("8.95", "8.95"),
            ("-0.05", "-0.05"),
            ("0.0", "0.0"),
            ("-0.0", "-0.0"),
            ("0.00", "0.0"),
            ("0.0010", "0.001"),
            ("0.0001", "1.0E-4"),
            ("1.5e-3", "0.0015"),
            ("1234567.5", "1234567.5"),
            ("10.0", "10.0"),
        ] {
            let value: serde_json::Value = serde_json::from_str(text).expect("a number");
            let normalized = normalized(&value);
            let number = normalized.as_number().expect("still a number");
            assert_eq!(java_spelling(number), expected, "{text}");
        }
    }
}
