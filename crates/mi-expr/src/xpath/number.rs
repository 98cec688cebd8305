//! Lexical forms of numbers and the rounding rules of the specifications.

use std::cmp::Ordering;

use super::Version;

/// A double as a string. XPath 1.0 never uses an exponent; XPath 2.0 does outside `1e-6 <= |v| < 1e6`.
pub(crate) fn format_double(v: f64, version: Version) -> String {
    if let Some(special) = special(v, version) {
        return special.to_owned();
    }
    if version == Version::V1 {
        return plain(v);
    }
    let magnitude = v.abs();
    if v == 0.0 || (1e-6..1e6).contains(&magnitude) { plain(v) } else { scientific(&format!("{v:E}")) }
}

/// A float as a string; the digits are those of the 32 bit value.
pub(crate) fn format_float(v: f32, version: Version) -> String {
    if let Some(special) = special(f64::from(v), version) {
        return special.to_owned();
    }
    let magnitude = v.abs();
    if version == Version::V1 || v == 0.0 || (1e-6..1e6).contains(&magnitude) {
        format!("{v}")
    } else {
        scientific(&format!("{v:E}"))
    }
}

fn special(v: f64, version: Version) -> Option<&'static str> {
    let v1 = version == Version::V1;
    if v.is_nan() {
        Some("NaN")
    } else if v.is_infinite() {
        Some(match (v1, v > 0.0) {
            (true, true) => "Infinity",
            (true, false) => "-Infinity",
            (false, true) => "INF",
            (false, false) => "-INF",
        })
    } else if v == 0.0 {
        Some(if v.is_sign_negative() && !v1 { "-0" } else { "0" })
    } else {
        None
    }
}

fn plain(v: f64) -> String {
    // Integers are the common case by far, and the integer formatter is several times faster.
    if v.abs() < 1e15 && v.trunc() == v { (v as i64).to_string() } else { format!("{v}") }
}

/// `1E6` as Rust writes it -> `1.0E6` as the specification wants it.
fn scientific(rust: &str) -> String {
    match rust.split_once('E') {
        Some((mantissa, exponent)) if !mantissa.contains('.') => format!("{mantissa}.0E{exponent}"),
        _ => rust.to_owned(),
    }
}

/// A string as a number by the rules of `number()` in XPath 1.0, with exponents and a plus sign allowed, as MI's
/// engine allows them (numbers that were printed by Java come back). NaN if it is none.
pub(crate) fn parse_lenient(s: &str) -> f64 {
    let s = s.trim_matches(is_space);
    match s.as_bytes() {
        [] => f64::NAN,
        [first, ..] if first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.') => {
            let body = s.strip_prefix(['-', '+']).unwrap_or(s);
            if body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                s.parse().unwrap_or(f64::NAN)
            } else if body == "Infinity" {
                if s.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }
            } else {
                f64::NAN
            }
        }
        b"Infinity" => f64::INFINITY,
        _ => f64::NAN,
    }
}

/// The lexical space of `xs:double`, after white space is trimmed.
pub(crate) fn parse_double(s: &str) -> Option<f64> {
    let s = s.trim_matches(is_space);
    match s {
        "INF" | "+INF" => return Some(f64::INFINITY),
        "-INF" => return Some(f64::NEG_INFINITY),
        "NaN" => return Some(f64::NAN),
        _ => {}
    }
    let body = s.strip_prefix(['-', '+']).unwrap_or(s);
    if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None; // keeps out the spellings only Rust knows, such as `inf`
    }
    s.parse().ok()
}

/// White space as XML knows it.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The nearest integer, ties towards positive infinity; keeps NaN, the infinities and the sign of zero.
pub(crate) fn round(v: f64) -> f64 {
    if v < 0.0 && v - v.trunc() == -0.5 { v.trunc() } else { v.round() }
}

/// `round-half-to-even` with a precision of decimal digits, which may be negative.
pub(crate) fn round_half_even(v: f64, precision: i64) -> f64 {
    round_digits(v, precision, |tail, odd| tail.is_gt() || (tail.is_eq() && odd))
}

/// `round` with a precision of decimal digits: ties towards positive infinity.
pub(crate) fn round_to(v: f64, precision: i64) -> f64 {
    let negative = v.is_sign_negative();
    round_digits(v, precision, move |tail, _| tail.is_gt() || (tail.is_eq() && !negative))
}

/// Rounds the exact decimal expansion of a double. `up` decides from how the digits cut off compare with a half, and
/// whether the last digit kept is odd.
fn round_digits(v: f64, precision: i64, up: impl Fn(Ordering, bool) -> bool) -> f64 {
    if !v.is_finite() || v == 0.0 || precision > 1074 {
        return v;
    }
    let exact = format!("{:.1074}", v.abs());
    let (integer, fraction) = exact.split_once('.').unwrap_or((&exact, ""));
    let mut digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let Some(cut) = usize::try_from(integer.len() as i64 + precision).ok() else { return 0.0_f64.copysign(v) };
    let tail = digits.split_off(cut.min(digits.len()));
    let rest_is_zero = tail.iter().skip(1).all(|d| *d == 0);
    let half = tail
        .first()
        .map_or(Ordering::Less, |d| d.cmp(&5).then(if rest_is_zero { Ordering::Equal } else { Ordering::Greater }));
    if up(half, digits.last().is_some_and(|d| d % 2 == 1)) {
        let nines = digits.iter().rev().take_while(|d| **d == 9).count();
        let length = digits.len();
        digits[length - nines..].fill(0);
        match digits[..length - nines].last_mut() {
            Some(digit) => *digit += 1,
            None => digits.insert(0, 1),
        }
    }
    let text: String = digits.iter().map(|d| char::from(b'0' + d)).collect();
    let magnitude: f64 = format!("0{text}e{}", -precision).parse().unwrap_or(v.abs());
    magnitude.copysign(v)
}
