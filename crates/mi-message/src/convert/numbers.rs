//! JSON numbers: which text is one, and how Java's `BigDecimal` writes it.

use std::borrow::Cow;

/// True for the text of a JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => at += digits(at),
        _ => return false,
    }
    if bytes.get(at) == Some(&b'.') {
        let count = digits(at + 1);
        if count == 0 {
            return false;
        }
        at += 1 + count;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let count = digits(at);
        if count == 0 {
            return false;
        }
        at += count;
    }
    at == bytes.len()
}

/// A JSON number as `new BigDecimal(text).toString()` gives it: `25.0000` stays, `25e1` is `2.5E+2`, `-0` is `0`.
/// `None` when the exponent is more than Java holds.
pub(crate) fn big_decimal(text: &str) -> Option<Cow<'_, str>> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let plain = !unsigned.starts_with('0') || unsigned.len() == 1;
    if plain && text != "-0" && !unsigned.bytes().any(|byte| matches!(byte, b'e' | b'E')) {
        return Some(Cow::Borrowed(text));
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if text.starts_with('-') && digits != "0" { "-" } else { "" };
    let scale = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
    let length = i64::try_from(digits.len()).ok()?;
    let adjusted = length - 1 - scale;
    if scale == 0 {
        return Some(Cow::Owned(format!("{sign}{digits}")));
    }
    if scale > 0 && adjusted >= -6 {
        let text = if scale < length {
            let point = digits.len() - usize::try_from(scale).ok()?;
            format!("{sign}{}.{}", &digits[..point], &digits[point..])
        } else {
            let zeros = usize::try_from(scale - length).ok()?;
            format!("{sign}0.{}{digits}", "0".repeat(zeros))
        };
        return Some(Cow::Owned(text));
    }
    let point = if digits.len() > 1 { "." } else { "" };
    Some(Cow::Owned(format!("{sign}{}{point}{}E{adjusted:+}", &digits[..1], &digits[1..])))
}

#[cfg(test)]
mod tests {
    use super::{big_decimal, is_number};

    #[test]
    fn numbers_are_those_of_json() {
        for text in ["0", "-0", "10", "1.5", "0.5", "1e5", "1E+5", "-1.25e-7", "123456789012345678901234567890"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "0x1", " 1", "1 ", "1a", "NaN", "١"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn numbers_print_as_big_decimal_does() {
        for (text, expected) in [
            ("25.0000", "25.0000"),
            ("0", "0"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("0.00", "0.00"),
            ("25e1", "2.5E+2"),
            ("7.1e1", "71"),
            ("1e5", "1E+5"),
            ("1.50e2", "150"),
            ("1.5e1", "15"),
            ("1.25e1", "12.5"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("0.00000012", "1.2E-7"),
            ("1e-3", "0.001"),
            ("-2e-3", "-0.002"),
            ("0e5", "0E+5"),
            ("12345678901234567890", "12345678901234567890"),
            ("1E400", "1E+400"),
        ] {
            assert_eq!(big_decimal(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(big_decimal("1e99999999999"), None);
    }
}
