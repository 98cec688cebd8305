//! `format-number()` of XSLT with its decimal formats.

/// `xsl:decimal-format`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecimalFormat {
    pub(crate) decimal: char,
    pub(crate) grouping: char,
    pub(crate) minus: char,
    pub(crate) percent: char,
    pub(crate) per_mille: char,
    pub(crate) zero: char,
    pub(crate) digit: char,
    pub(crate) separator: char,
    pub(crate) infinity: String,
    pub(crate) nan: String,
}

impl Default for DecimalFormat {
    fn default() -> Self {
        Self {
            decimal: '.',
            grouping: ',',
            minus: '-',
            percent: '%',
            per_mille: '\u{2030}',
            zero: '0',
            digit: '#',
            separator: ';',
            infinity: "Infinity".to_owned(),
            nan: "NaN".to_owned(),
        }
    }
}

#[derive(Debug, Default)]
struct Half {
    prefix: String,
    suffix: String,
    least_integer: usize,
    least_fraction: usize,
    most_fraction: usize,
    /// Places of grouping separators, counted from the decimal separator.
    groups: Vec<usize>,
    factor: u32,
}

/// Widest picture that is accepted.
const MAX_PICTURE: usize = 300;

impl DecimalFormat {
    fn value_of(&self, c: char) -> Option<u32> {
        let zero = self.zero as u32;
        (c as u32).checked_sub(zero).filter(|it| *it < 10)
    }

    fn is_digit_sign(&self, c: char) -> bool {
        c == self.digit || self.value_of(c).is_some()
    }

    fn half(&self, picture: &str) -> Result<Half, String> {
        let mut half = Half::default();
        let active = |c: char| self.is_digit_sign(c) || c == self.decimal || c == self.grouping;
        let start = picture.find(active).ok_or_else(|| format!("the picture \"{picture}\" has no digit"))?;
        let end = picture.rfind(active).map_or(start, |at| at + picture[at..].chars().next().map_or(1, char::len_utf8));
        picture[..start].clone_into(&mut half.prefix);
        picture[end..].clone_into(&mut half.suffix);
        for c in half.prefix.chars().chain(half.suffix.chars()) {
            if c == self.percent {
                half.factor = 2;
            } else if c == self.per_mille {
                half.factor = 3;
            }
        }
        let middle = &picture[start..end];
        let (integer, fraction) = middle.split_once(self.decimal).unwrap_or((middle, ""));
        let mut digits_right = integer.chars().filter(|c| self.is_digit_sign(*c)).count();
        for c in integer.chars() {
            if c == self.grouping {
                half.groups.push(digits_right);
            } else if self.is_digit_sign(c) {
                digits_right -= 1;
                half.least_integer += usize::from(c != self.digit);
            } else {
                return Err(format!("`{c}` cannot stand between the digits of a picture"));
            }
        }
        for c in fraction.chars().filter(|c| *c != self.grouping) {
            if !self.is_digit_sign(c) {
                return Err(format!("`{c}` cannot stand between the digits of a picture"));
            }
            half.most_fraction += 1;
            half.least_fraction += usize::from(c != self.digit);
        }
        if half.least_integer == 0 && half.most_fraction == 0 {
            half.least_integer = 1;
        }
        Ok(half)
    }

    /// A number in the form of a picture.
    pub(crate) fn format(&self, number: f64, picture: &str) -> Result<String, String> {
        if picture.len() > MAX_PICTURE {
            return Err(format!("the picture is longer than {MAX_PICTURE} bytes, which is the cap"));
        }
        let mut parts = picture.split(self.separator);
        let first = self.half(parts.next().unwrap_or(""))?;
        let second = parts.next().map(|part| self.half(part)).transpose()?;
        if number.is_nan() {
            return Ok(self.nan.clone());
        }
        let negative = number.is_sign_negative() && number != 0.0;
        let explicit = negative && second.is_some();
        let half = second.filter(|_| explicit).unwrap_or(first);
        let body = if number.is_infinite() { self.infinity.clone() } else { self.digits(number.abs(), &half) };
        let sign = if negative && !explicit { self.minus.to_string() } else { String::new() };
        Ok(format!("{sign}{}{body}{}", half.prefix, half.suffix))
    }

    fn digits(&self, magnitude: f64, half: &Half) -> String {
        let plain = rounded(magnitude, half.factor, half.most_fraction);
        let (integer, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let integer = integer.trim_start_matches('0');
        let mut fraction = fraction.to_owned();
        while fraction.len() > half.least_fraction && fraction.ends_with('0') {
            fraction.pop();
        }
        while fraction.len() < half.least_fraction {
            fraction.push('0');
        }
        let mut padded = "0".repeat(half.least_integer.saturating_sub(integer.len()));
        padded.push_str(integer);
        if padded.is_empty() && fraction.is_empty() {
            padded.push('0');
        }
        let mut out = String::new();
        let count = padded.len();
        for (at, c) in padded.chars().enumerate() {
            out.push(self.localized(c));
            let right = count - at - 1;
            if right > 0 && self.grouped_at(half, right) {
                out.push(self.grouping);
            }
        }
        if !fraction.is_empty() {
            out.push(self.decimal);
            out.extend(fraction.chars().map(|c| self.localized(c)));
        }
        out
    }

    /// Whether a grouping separator stands before the last `right` digits: evenly placed ones go on to the left.
    fn grouped_at(&self, half: &Half, right: usize) -> bool {
        if half.groups.contains(&right) {
            return true;
        }
        let Some(least) = half.groups.iter().copied().min().filter(|it| *it > 0) else { return false };
        let even = half.groups.iter().all(|at| at % least == 0)
            && half.groups.len() * least == half.groups.iter().copied().max().unwrap_or(0);
        even && right.is_multiple_of(least)
    }

    fn localized(&self, c: char) -> char {
        c.to_digit(10).and_then(|digit| char::from_u32(self.zero as u32 + digit)).unwrap_or(c)
    }
}

/// The decimal digits of `magnitude * 10^shift` with `places` of fraction, rounded half to even on the shortest
/// decimal form, as people expect of `1.005`.
fn rounded(magnitude: f64, shift: u32, places: usize) -> String {
    let text = format!("{magnitude}");
    let (integer, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut digits: Vec<u8> = integer.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let mut point = integer.len() + shift as usize;
    while digits.len() < point {
        digits.push(0);
    }
    let keep = point + places;
    if digits.len() > keep {
        let (kept, dropped) = digits.split_at(keep);
        let half = dropped[0] == 5 && dropped[1..].iter().all(|d| *d == 0);
        let odd = kept.last().is_some_and(|d| d % 2 == 1);
        let up = if half { odd } else { dropped[0] >= 5 };
        let mut kept = kept.to_vec();
        if up {
            let mut carry = true;
            for digit in kept.iter_mut().rev() {
                *digit += 1;
                carry = *digit == 10;
                if !carry {
                    break;
                }
                *digit = 0;
            }
            if carry {
                kept.insert(0, 1);
                point += 1;
            }
        }
        digits = kept;
    }
    let text: String = digits.iter().map(|d| char::from(b'0' + d)).collect();
    if digits.len() > point { format!("{}.{}", &text[..point], &text[point..]) } else { text }
}

#[cfg(test)]
mod tests {
    use super::DecimalFormat;

    #[test]
    fn pictures() {
        for (number, picture, expected) in [
            (1234.5, "#,##0.00", "1,234.50"),
            (1_234_567.0, "#,###", "1,234,567"),
            (-3.0, "0.0;(0.0)", "(3.0)"),
            (-3.0, "0.0", "-3.0"),
            (0.256, "0%", "26%"),
            (0.5, "#.##", ".5"),
            (0.0, "#", "0"),
            (0.0, "#.00", ".00"),
            (2.5, "0", "2"),
            (3.5, "0", "4"),
            (1.005, "0.00", "1.00"),
            (9.995, "0.0", "10.0"),
            (999.9, "0", "1000"),
            (5.0, "000", "005"),
            (f64::NAN, "0", "NaN"),
            (f64::INFINITY, "0", "Infinity"),
            (12.0, "$0.00 USD", "$12.00 USD"),
            (1e21, "#,##0", "1,000,000,000,000,000,000,000"),
        ] {
            assert_eq!(DecimalFormat::default().format(number, picture).as_deref(), Ok(expected), "{number} {picture}");
        }
    }

    #[test]
    fn other_signs() {
        let european = DecimalFormat { decimal: ',', grouping: '.', ..DecimalFormat::default() };
        assert_eq!(european.format(1234.5, "#.##0,00").as_deref(), Ok("1.234,50"));
        assert!(DecimalFormat::default().format(1.0, "abc").is_err());
    }
}
