//! The pictures of `format-number()`: `#,##0.00;(#)`.

use crate::xpath::error::XPathError;

/// One of the two halves of a picture.
#[derive(Debug, Default)]
struct Half {
    prefix: String,
    suffix: String,
    least_integer: usize,
    /// Distances of the grouping separators from the decimal point, ascending.
    groups: Vec<usize>,
    least_fraction: usize,
    most_fraction: usize,
    /// Decimal places the number is moved: 2 for percent, 3 for per-mille.
    shift: usize,
}

/// Formats a number given by its plain decimal digits, `NaN` or `Infinity`.
pub(super) fn format(digits: &str, picture: &str) -> Result<String, XPathError> {
    let mut halves = picture.split(';');
    let positive = parse(halves.next().unwrap_or(""))?;
    let negative = halves.next().map(parse).transpose()?;
    if halves.next().is_some() {
        return Err(wrong(picture, "it has more than two parts"));
    }
    if digits == "NaN" {
        return Ok(digits.to_owned());
    }
    let (minus, magnitude) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    let (half, sign) = match (&negative, minus) {
        (Some(half), true) => (half, ""),
        (None, true) => (&positive, "-"),
        _ => (&positive, ""),
    };
    let body = if magnitude == "Infinity" { magnitude.to_owned() } else { number(magnitude, half) };
    Ok(format!("{sign}{}{body}{}", half.prefix, half.suffix))
}

fn wrong(picture: &str, reason: &str) -> XPathError {
    let shown: String = picture.chars().take(60).collect();
    XPathError::dynamic("FODF1310", format!("\"{shown}\" is no picture of a number: {reason}"))
}

fn parse(picture: &str) -> Result<Half, XPathError> {
    let active = |c: char| matches!(c, '#' | '0'..='9' | '.' | ',');
    let start = picture.find(active).ok_or_else(|| wrong(picture, "it has no digits"))?;
    let end = picture.rfind(active).map_or(start, |at| at + 1);
    let mut half = Half { prefix: picture[..start].to_owned(), suffix: picture[end..].to_owned(), ..Half::default() };
    let outside = || half.prefix.chars().chain(half.suffix.chars());
    let shift = if outside().any(|c| c == '%') {
        2
    } else if outside().any(|c| c == '\u{2030}') {
        3
    } else {
        0
    };
    let (integer, fraction) = picture[start..end].split_once('.').unwrap_or((&picture[start..end], ""));
    if fraction.contains(['.', ',']) || !integer.chars().chain(fraction.chars()).all(active) {
        return Err(wrong(picture, "the digits must be in one piece"));
    }
    let count = |s: &str, test: fn(char) -> bool| s.chars().filter(|c| test(*c)).count();
    half.shift = shift;
    half.least_integer = count(integer, |c| c.is_ascii_digit());
    half.least_fraction = count(fraction, |c| c.is_ascii_digit());
    half.most_fraction = fraction.len();
    let mut from_point = 0;
    for c in integer.chars().rev() {
        if c == ',' { half.groups.push(from_point) } else { from_point += 1 }
    }
    // Something must be left of zero: `#` gives `0`, `#.##` gives `.0`.
    if half.least_integer == 0 && half.least_fraction == 0 {
        if half.most_fraction == 0 { half.least_integer = 1 } else { half.least_fraction = 1 }
    }
    Ok(half)
}

/// The digits of a magnitude in the form of a half.
fn number(magnitude: &str, half: &Half) -> String {
    let (integer, fraction) = rounded(magnitude, half.shift, half.most_fraction);
    let integer = integer.trim_start_matches('0');
    let integer = format!("{integer:0>width$}", width = half.least_integer);
    let mut fraction = fraction.trim_end_matches('0').to_owned();
    while fraction.len() < half.least_fraction {
        fraction.push('0');
    }
    let mut out = grouped(&integer, &half.groups);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(&fraction);
    }
    out
}

/// Moves the point and rounds to `places`, ties to the even digit.
fn rounded(magnitude: &str, shift: usize, places: usize) -> (String, String) {
    let (integer, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let mut digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let point = integer.len() + shift;
    if digits.len() < point {
        digits.resize(point, 0);
    }
    let keep = point + places;
    if digits.len() > keep {
        let rest = digits.split_off(keep);
        let odd = digits.last().is_some_and(|d| d % 2 == 1);
        let half = rest[0] == 5 && rest[1..].iter().all(|d| *d == 0);
        if rest[0] > 5 || (rest[0] == 5 && (!half || odd)) {
            let mut at = digits.len();
            loop {
                if at == 0 {
                    digits.insert(0, 1);
                    return split(&digits, point + 1);
                }
                at -= 1;
                if digits[at] < 9 {
                    digits[at] += 1;
                    break;
                }
                digits[at] = 0;
            }
        }
    }
    split(&digits, point)
}

fn split(digits: &[u8], point: usize) -> (String, String) {
    let text = |d: &[u8]| d.iter().map(|d| char::from(b'0' + d)).collect();
    (text(&digits[..point]), text(&digits[point..]))
}

/// Puts in the separators; evenly spaced ones are repeated to the left.
fn grouped(integer: &str, groups: &[usize]) -> String {
    let Some(first) = groups.first().copied().filter(|g| *g > 0) else { return integer.to_owned() };
    let regular = groups.iter().enumerate().all(|(i, g)| *g == first * (i + 1));
    let length = integer.len();
    let mut out = String::with_capacity(length + length / first);
    for (i, c) in integer.chars().enumerate() {
        let from_point = length - i;
        let here = if regular { from_point.is_multiple_of(first) } else { groups.contains(&from_point) };
        if i > 0 && here {
            out.push(',');
        }
        out.push(c);
    }
    out
}
