//! `xs:decimal`: an exact decimal of up to 38 digits. Division keeps 18 digits behind the point.

use std::cmp::Ordering;
use std::fmt;

use super::error::XPathError;

/// Digits behind the point that a division keeps at least.
const DIVISION_SCALE: u32 = 18;
/// Digits behind the point that any result keeps at most; more are cut off.
const MAX_SCALE: u32 = 28;

/// `mantissa / 10^scale`, without trailing zeros behind the point. The mantissa is kept in two halves so that an
/// item of a sequence stays at eight-byte alignment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decimal {
    high: i64,
    low: u64,
    scale: u8,
}

impl Decimal {
    fn new(mut mantissa: i128, mut scale: u32) -> Self {
        while scale > MAX_SCALE || (scale > 0 && mantissa % 10 == 0) {
            mantissa /= 10;
            scale -= 1;
        }
        Self { high: (mantissa >> 64) as i64, low: mantissa as u64, scale: scale as u8 }
    }

    fn mantissa(self) -> i128 {
        (i128::from(self.high) << 64) | i128::from(self.low)
    }

    fn scale(self) -> u32 {
        u32::from(self.scale)
    }

    /// The lexical space of `xs:decimal`: sign, digits and at most one point.
    pub fn parse(s: &str) -> Option<Self> {
        let s = s.trim_matches(super::number::is_space);
        let (negative, body) = match s.as_bytes().first()? {
            b'-' => (true, &s[1..]),
            b'+' => (false, &s[1..]),
            _ => (false, s),
        };
        let (mut mantissa, mut scale, mut digits, mut point) = (0_i128, 0_u32, 0_u32, false);
        for b in body.bytes() {
            match b {
                b'.' if !point => point = true,
                b'0'..=b'9' => {
                    digits += 1;
                    if point && scale >= MAX_SCALE {
                        continue; // beyond what is kept
                    }
                    mantissa = mantissa.checked_mul(10)?.checked_add(i128::from(b - b'0'))?;
                    scale += u32::from(point);
                }
                _ => return None,
            }
        }
        (digits > 0).then(|| Self::new(if negative { -mantissa } else { mantissa }, scale))
    }

    /// The decimal with the digits of the shortest form of a finite double.
    pub fn from_f64(v: f64) -> Option<Self> {
        if v.is_finite() { Self::parse(&format!("{v}")) } else { None }
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The integer, cutting off the fraction; `None` when it needs more than 64 bits.
    pub fn to_i64(self) -> Option<i64> {
        i64::try_from(self.mantissa() / pow10(self.scale())?).ok()
    }

    /// Whether there is no fraction.
    pub fn is_integer(self) -> bool {
        self.scale == 0
    }

    pub(crate) fn is_zero(self) -> bool {
        self.mantissa() == 0
    }

    pub(crate) fn neg(self) -> Self {
        Self::new(-self.mantissa(), self.scale())
    }

    pub(crate) fn abs(self) -> Self {
        if self.high < 0 { self.neg() } else { self }
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, u32)> {
        let scale = self.scale().max(other.scale());
        let a = self.mantissa().checked_mul(pow10(scale - self.scale())?)?;
        let b = other.mantissa().checked_mul(pow10(scale - other.scale())?)?;
        Some((a, b, scale))
    }

    pub(crate) fn add(self, other: Self) -> Result<Self, XPathError> {
        let sum = self.aligned(other).and_then(|(a, b, s)| Some(Self::new(a.checked_add(b)?, s)));
        sum.ok_or_else(overflow)
    }

    pub(crate) fn sub(self, other: Self) -> Result<Self, XPathError> {
        self.add(other.neg())
    }

    pub(crate) fn mul(self, other: Self) -> Result<Self, XPathError> {
        let product = self.mantissa().checked_mul(other.mantissa()).ok_or_else(overflow)?;
        Ok(Self::new(product, self.scale() + other.scale()))
    }

    pub(crate) fn div(self, other: Self) -> Result<Self, XPathError> {
        if other.is_zero() {
            return Err(XPathError::dynamic("FOAR0001", "division of a decimal by zero"));
        }
        // The scale of the quotient is what can be had without overflow, up to the wanted 18 digits.
        let mut wanted = DIVISION_SCALE.max(self.scale()).max(other.scale());
        loop {
            let shift = (wanted + other.scale()).saturating_sub(self.scale());
            if let Some(n) = pow10(shift).and_then(|p| self.mantissa().checked_mul(p)) {
                let d = other.mantissa();
                let (q, r) = (n / d, (n % d).unsigned_abs());
                let away = i128::from(r > d.unsigned_abs() / 2);
                let rounded = if (n < 0) == (d < 0) { q + away } else { q - away };
                return Ok(Self::new(rounded, self.scale() + shift - other.scale()));
            }
            wanted = wanted.checked_sub(1).ok_or_else(overflow)?;
        }
    }

    pub(crate) fn rem(self, other: Self) -> Result<Self, XPathError> {
        if other.is_zero() {
            return Err(XPathError::dynamic("FOAR0001", "modulus of a decimal by zero"));
        }
        let (a, b, scale) = self.aligned(other).ok_or_else(overflow)?;
        Ok(Self::new(a % b, scale))
    }

    /// The fraction cut off, towards negative infinity.
    pub(crate) fn floor(self) -> Self {
        self.rounded(0, |q, r, _| if r < 0 { q - 1 } else { q })
    }

    pub(crate) fn ceil(self) -> Self {
        self.rounded(0, |q, r, _| if r > 0 { q + 1 } else { q })
    }

    /// To `precision` digits behind the point, ties towards positive infinity.
    pub(crate) fn round(self, precision: i64) -> Self {
        self.rounded(precision, |q, r, unit| {
            if r * 2 >= unit {
                q + 1
            } else if r * 2 < -unit {
                q - 1
            } else {
                q
            }
        })
    }

    /// To `precision` digits behind the point, ties to the even digit.
    pub(crate) fn round_half_even(self, precision: i64) -> Self {
        self.rounded(precision, |q, r, unit| {
            let double = r.abs() * 2;
            if double > unit || (double == unit && q % 2 != 0) { q + r.signum() } else { q }
        })
    }

    fn rounded(self, precision: i64, how: fn(i128, i128, i128) -> i128) -> Self {
        let drop = i64::from(self.scale) - precision;
        let Some(unit) = u32::try_from(drop).ok().filter(|d| *d > 0).map(pow10) else { return self };
        // A unit beyond 38 digits is larger than any value: the result is zero.
        let Some(unit) = unit.filter(|u| *u < i128::MAX / 2) else { return Self::new(0, 0) };
        let m = self.mantissa();
        let kept = how(m / unit, m % unit, unit);
        if precision >= 0 {
            Self::new(kept, precision as u32)
        } else {
            Self::new(kept.saturating_mul(pow10((-precision) as u32).unwrap_or(1)), 0)
        }
    }
}

impl From<i64> for Decimal {
    fn from(v: i64) -> Self {
        Self::new(i128::from(v), 0)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match self.aligned(*other) {
            Some((a, b, _)) => a.cmp(&b),
            None => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mantissa = self.mantissa();
        let digits = mantissa.unsigned_abs().to_string();
        let scale = usize::from(self.scale);
        if mantissa < 0 {
            f.write_str("-")?;
        }
        if scale == 0 {
            return f.write_str(&digits);
        }
        match digits.len().checked_sub(scale) {
            Some(point) if point > 0 => write!(f, "{}.{}", &digits[..point], &digits[point..]),
            _ => write!(f, "0.{digits:0>scale$}"),
        }
    }
}

fn pow10(n: u32) -> Option<i128> {
    10_i128.checked_pow(n)
}

fn overflow() -> XPathError {
    XPathError::dynamic("FOAR0002", "the result has more digits than a decimal holds")
}
