//! `format-number()`: decimal formats and their pictures, such as `#,##0.00;(#)` and `0.0e0`.
//!
//! MI: the rules are those of XPath 3.1, 4.7, as Saxon has them. Numbers are given by their decimal digits, so that no digit
//! of a large integer or a decimal is lost.

use super::Version;
use super::error::XPathError;
use super::number;
use super::value::Item;

/// Longest picture that is accepted.
const MAX_PICTURE: usize = 300;

/// The characters that stand for something in a picture, and what is written for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecimalFormat {
    /// Between the integer and its fraction.
    pub decimal: char,
    /// Between groups of digits.
    pub grouping: char,
    /// In front of a negative number.
    pub minus: char,
    /// The number is multiplied by 100.
    pub percent: char,
    /// The number is multiplied by 1000.
    pub per_mille: char,
    /// The digit zero; the other nine follow it.
    pub zero: char,
    /// A digit that may be missing.
    pub digit: char,
    /// Between the pictures of positive and negative numbers.
    pub separator: char,
    /// In front of an exponent.
    pub exponent: char,
    /// What is written for the infinities.
    pub infinity: String,
    /// What is written for NaN.
    pub nan: String,
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
            exponent: 'e',
            infinity: "Infinity".to_owned(),
            nan: "NaN".to_owned(),
        }
    }
}

/// One of the two halves of a picture.
#[derive(Debug, Default)]
struct Half {
    prefix: String,
    suffix: String,
    least_integer: usize,
    /// Distances of the grouping separators from the decimal point, ascending.
    groups: Vec<usize>,
    /// The same behind the decimal point.
    fraction_groups: Vec<usize>,
    least_fraction: usize,
    most_fraction: usize,
    /// Decimal places the number is moved: 2 for percent, 3 for per-mille.
    shift: usize,
    /// With an exponent: its least digits, and the digits of the mantissa in front of the point.
    exponent: Option<(usize, usize)>,
}

/// Digits of a magnitude with the place of the decimal point in them, which may be outside.
struct Digits {
    digits: Vec<u8>,
    point: i64,
}

impl DecimalFormat {
    /// A number in the form of a picture.
    ///
    /// # Errors
    /// `FODF1310` for what is no picture.
    pub fn format(&self, number: &Item<'_>, picture: &str) -> Result<String, XPathError> {
        if picture.len() > MAX_PICTURE {
            return Err(wrong(picture, &format!("it is longer than {MAX_PICTURE} bytes, which is the cap")));
        }
        let mut halves = picture.split(self.separator);
        let positive = self.half(halves.next().unwrap_or(""))?;
        let negative = halves.next().map(|half| self.half(half)).transpose()?;
        if halves.next().is_some() {
            return Err(wrong(picture, "it has more than two parts"));
        }
        let text = match number {
            Item::Integer(_) | Item::BigInteger(_) | Item::Decimal(_) => number.to_str(Version::V2).into_string(),
            Item::Float(v) => number::format_float(*v, Version::V1),
            other => number::format_double(other.to_number(), Version::V1),
        };
        if text == "NaN" {
            return Ok(self.nan.clone());
        }
        let minus = text.starts_with('-') || matches!(number, Item::Double(v) if *v == 0.0 && v.is_sign_negative());
        let magnitude = text.trim_start_matches('-');
        let (half, sign) = match (&negative, minus) {
            (Some(half), true) => (half, String::new()),
            (None, true) => (&positive, self.minus.to_string()),
            _ => (&positive, String::new()),
        };
        let body =
            if magnitude == "Infinity" { self.infinity.clone() } else { self.body(&Digits::of(magnitude), half) };
        Ok(format!("{sign}{}{body}{}", half.prefix, half.suffix))
    }

    fn value_of(&self, c: char) -> Option<u32> {
        (c as u32).checked_sub(self.zero as u32).filter(|it| *it < 10)
    }

    fn is_digit(&self, c: char) -> bool {
        c == self.digit || self.value_of(c).is_some()
    }

    fn half(&self, picture: &str) -> Result<Half, XPathError> {
        let chars: Vec<char> = picture.chars().collect();
        let plain = |c: char| self.is_digit(c) || c == self.decimal || c == self.grouping;
        // An `e` counts only between digits, and only if digits alone follow it.
        let exponent_at = (1..chars.len()).find(|at| {
            chars[*at] == self.exponent && plain(chars[*at - 1]) && chars.get(*at + 1).is_some_and(|c| plain(*c))
        });
        let active = |at: usize| plain(chars[at]) || Some(at) == exponent_at;
        let Some(start) = (0..chars.len()).find(|at| active(*at)) else {
            return Err(wrong(picture, "it has no digits"));
        };
        let end = (0..chars.len()).rfind(|at| active(*at)).map_or(start, |at| at + 1);
        if !(start..end).all(active) {
            return Err(wrong(picture, "the digits must be in one piece"));
        }
        let mut half =
            Half { prefix: chars[..start].iter().collect(), suffix: chars[end..].iter().collect(), ..Half::default() };
        let marks = chars[..start].iter().chain(&chars[end..]).filter(|c| **c == self.percent || **c == self.per_mille);
        for (at, mark) in marks.enumerate() {
            if at > 0 || exponent_at.is_some() {
                return Err(wrong(picture, "there can be one percent or per-mille sign, and none with an exponent"));
            }
            half.shift = if *mark == self.percent { 2 } else { 3 };
        }
        let mantissa = &chars[start..exponent_at.unwrap_or(end)];
        let point = mantissa.iter().position(|c| *c == self.decimal);
        let (integer, fraction) = point.map_or((mantissa, &[][..]), |at| (&mantissa[..at], &mantissa[at + 1..]));
        self.mantissa(picture, integer, fraction, &mut half)?;
        self.least_digits(integer, exponent_at.map(|at| &chars[at + 1..end]), picture, &mut half)?;
        Ok(half)
    }

    fn mantissa(&self, picture: &str, integer: &[char], fraction: &[char], half: &mut Half) -> Result<(), XPathError> {
        if fraction.contains(&self.decimal) {
            return Err(wrong(picture, "there can be one decimal separator"));
        }
        let beside = |part: &[char]| part.windows(2).any(|pair| pair.iter().all(|c| *c == self.grouping));
        let at_point = integer.last() == Some(&self.grouping) || fraction.first() == Some(&self.grouping);
        if beside(integer) || beside(fraction) || at_point {
            return Err(wrong(picture, "a grouping separator must stand between digits"));
        }
        let optional_behind = |part: &[char], first: bool| {
            let mut found = false;
            part.iter().filter(|c| self.is_digit(**c)).any(|c| {
                let is_first_kind = (*c == self.digit) == first;
                found |= !is_first_kind;
                found && is_first_kind
            })
        };
        // `#0` in front of the point, `0#` behind it.
        if optional_behind(integer, true) || optional_behind(fraction, false) {
            return Err(wrong(picture, "digits that may be missing must be at the outside"));
        }
        let required = |part: &[char]| part.iter().filter(|c| self.value_of(**c).is_some()).count();
        half.least_integer = required(integer);
        half.least_fraction = required(fraction);
        half.most_fraction = fraction.iter().filter(|c| self.is_digit(**c)).count();
        let mut from_point = 0;
        for c in integer.iter().rev() {
            if *c == self.grouping { half.groups.push(from_point) } else { from_point += 1 }
        }
        from_point = 0;
        for c in fraction {
            if *c == self.grouping { half.fraction_groups.push(from_point) } else { from_point += 1 }
        }
        if from_point == 0 && integer.iter().all(|c| *c == self.grouping) {
            return Err(wrong(picture, "it has no digits"));
        }
        Ok(())
    }

    /// What must be written even of zero, and the exponent.
    fn least_digits(
        &self,
        integer: &[char],
        exponent: Option<&[char]>,
        picture: &str,
        half: &mut Half,
    ) -> Result<(), XPathError> {
        let scale = half.least_integer;
        let may_have = exponent.is_some() && integer.contains(&self.digit);
        if half.least_integer == 0 && (half.most_fraction == 0 || may_have) {
            half.least_integer = 1;
        }
        if half.least_integer == 0 && half.least_fraction == 0 {
            half.least_fraction = 1;
        }
        let Some(exponent) = exponent else { return Ok(()) };
        if exponent.is_empty() || !exponent.iter().all(|c| self.value_of(*c).is_some()) {
            return Err(wrong(picture, "an exponent consists of digits"));
        }
        // Without a fraction one digit is in front of the point.
        let scale = if scale == 0 && half.most_fraction == 0 { 1 } else { scale };
        half.exponent = Some((exponent.len(), scale));
        Ok(())
    }

    /// The digits of a magnitude in the form of a half.
    fn body(&self, magnitude: &Digits, half: &Half) -> String {
        let Some((least_exponent, scale)) = half.exponent else {
            return self.fixed(magnitude.point + half.shift as i64, &magnitude.digits, half);
        };
        let scale = scale as i64;
        let exponent = if magnitude.digits.is_empty() { 0 } else { magnitude.point - scale };
        // MI: what rounding carries over stays in the mantissa: 9.99 is `10e0`, as Saxon has it.
        let text = self.fixed(magnitude.point - exponent, &magnitude.digits, half);
        let digits = format!("{:0>least_exponent$}", exponent.unsigned_abs());
        let sign = if exponent < 0 { self.minus.to_string() } else { String::new() };
        format!("{text}{}{sign}{}", self.exponent, self.translated(&digits))
    }

    /// Digits with the decimal point at a place, without an exponent.
    fn fixed(&self, point: i64, digits: &[u8], half: &Half) -> String {
        let (integer, fraction) = rounded(digits, point, half.most_fraction);
        let integer = integer.trim_start_matches('0');
        let integer = format!("{integer:0>width$}", width = half.least_integer);
        let mut fraction = fraction.trim_end_matches('0').to_owned();
        while fraction.len() < half.least_fraction {
            fraction.push('0');
        }
        let mut out = self.grouped(&integer, &half.groups);
        if !fraction.is_empty() {
            out.push(self.decimal);
            for (at, c) in self.translated(&fraction).chars().enumerate() {
                if at > 0 && half.fraction_groups.contains(&at) {
                    out.push(self.grouping);
                }
                out.push(c);
            }
        }
        out
    }

    /// Digits in those of the format.
    fn translated(&self, digits: &str) -> String {
        let digit = |c: char| c.to_digit(10).and_then(|value| char::from_u32(self.zero as u32 + value)).unwrap_or(c);
        digits.chars().map(digit).collect()
    }

    /// Puts in the separators; evenly spaced ones are repeated to the left.
    fn grouped(&self, integer: &str, groups: &[usize]) -> String {
        let digits = self.translated(integer);
        let Some(first) = groups.first().copied().filter(|g| *g > 0) else { return digits };
        let regular = groups.iter().enumerate().all(|(i, g)| *g == first * (i + 1));
        let length = integer.len();
        let mut out = String::with_capacity(length + length / first);
        for (i, c) in digits.chars().enumerate() {
            let from_point = length - i;
            let here = if regular { from_point.is_multiple_of(first) } else { groups.contains(&from_point) };
            if i > 0 && here {
                out.push(self.grouping);
            }
            out.push(c);
        }
        out
    }
}

fn wrong(picture: &str, reason: &str) -> XPathError {
    let shown: String = picture.chars().take(60).collect();
    XPathError::dynamic("FODF1310", format!("\"{shown}\" is no picture of a number: {reason}"))
}

impl Digits {
    /// The digits of a number without exponent; none for zero.
    fn of(magnitude: &str) -> Self {
        let (integer, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let all: Vec<u8> = integer.bytes().chain(fraction.bytes()).map(|b| b.wrapping_sub(b'0')).collect();
        let zeros = all.iter().take_while(|d| **d == 0).count();
        Self { digits: all[zeros..].to_vec(), point: integer.len() as i64 - zeros as i64 }
    }
}

/// Digits in front of and behind the point, rounded to `places` behind it, ties to the even digit.
fn rounded(digits: &[u8], point: i64, places: usize) -> (String, String) {
    // The point is put inside of the digits.
    let lead = usize::try_from(-point).unwrap_or(0);
    let mut all: Vec<u8> = std::iter::repeat_n(0, lead).chain(digits.iter().copied()).collect();
    let mut point = usize::try_from(point).unwrap_or(0);
    if all.len() < point {
        all.resize(point, 0);
    }
    let keep = point + places;
    if all.len() > keep {
        let rest = all.split_off(keep);
        let odd = all.last().is_some_and(|d| d % 2 == 1);
        let half = rest[0] == 5 && rest[1..].iter().all(|d| *d == 0);
        if rest[0] > 5 || (rest[0] == 5 && (!half || odd)) {
            let nines = all.iter().rev().take_while(|d| **d == 9).count();
            let length = all.len();
            all[length - nines..].fill(0);
            match all[..length - nines].last_mut() {
                Some(digit) => *digit += 1,
                None => {
                    all.insert(0, 1);
                    point += 1;
                }
            }
        }
    }
    let text = |d: &[u8]| d.iter().map(|d| char::from(b'0' + d)).collect();
    (text(&all[..point]), text(&all[point..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: f64, picture: &str, expected: Result<&str, ()>) {
        let found = DecimalFormat::default().format(&Item::Double(number), picture);
        assert_eq!(found.as_deref().map_err(|_| ()), expected, "{number} {picture}");
    }

    #[test]
    fn exponents() {
        check(1234.5, "0.0e0", Ok("1.2e3"));
        check(0.00012, "#0.00e00", Ok("1.20e-04"));
        check(1234.5, "000.0e0", Ok("123.4e1"));
        check(12345.0, "#.###e0", Ok("0.123e5"));
        check(12345.0, ".###e0", Ok(".123e5"));
        check(9.99, "0.0e0", Ok("10.0e0"));
        check(99.99, "0e0", Ok("10e1"));
        check(0.0, "0.0e0", Ok("0.0e0"));
        check(-1e100, "0.0e0", Ok("-1.0e100"));
        check(1234.5, "0e0%", Err(()));
        check(1234.5, "0e#", Err(()));
        check(1234.5, "0 e", Ok("1234 e"));
    }

    #[test]
    fn pictures() {
        check(1_234_567.891_234, "#,##0.000,000", Ok("1,234,567.891,234"));
        check(1234.5, ",0", Ok("1,2,3,4"));
        check(1234.5, "0.00,", Ok("1234.50"));
        for picture in ["0,.0", "0.,0", "#,,0", "0#", "0.#0", "%0%", "0.0.0", "0;0;0", "x", "0x0", "", ","] {
            check(1.0, picture, Err(()));
        }
        let european = DecimalFormat { decimal: ',', grouping: '.', ..DecimalFormat::default() };
        assert_eq!(european.format(&Item::Double(1234.5), "#.##0,00").as_deref(), Ok("1.234,50"));
    }
}
