//! `xs:decimal`: exact decimals of any size. Division keeps 18 digits behind the point.
//!
//! Up to 38 digits, which is what nearly all have, they are two machine numbers; larger ones are on the heap.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};

use super::error::XPathError;
use super::integer::{self, MAX_BITS, MAX_DIGITS};
use super::value::Item;

/// Digits behind the point that a division keeps at least.
const DIVISION_SCALE: u32 = 18;
/// Digits behind the point that the narrow form has at most.
const NARROW_SCALE: u32 = 38;
/// Digits behind the point at most; more are cut off.
const MAX_SCALE: u32 = 10_000;

/// `mantissa / 10^scale`, without trailing zeros behind the point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decimal(Form);

/// Whatever fits into the narrow form is in it, so equal values are of one form.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Form {
    /// The mantissa is kept in two halves so that an item of a sequence stays at eight-byte alignment.
    Narrow {
        high: i64,
        low: u64,
        scale: u8,
    },
    Wide(Arc<(BigInt, u32)>),
}

/// How a value between two others is rounded.
#[derive(Clone, Copy)]
enum Rounding {
    Floor,
    Ceiling,
    /// To the nearest, ties towards positive infinity.
    Half,
    /// To the nearest, ties to the even digit.
    HalfEven,
}

impl Decimal {
    fn new(mut mantissa: i128, mut scale: u32) -> Self {
        while scale > NARROW_SCALE || (scale > 0 && mantissa % 10 == 0) {
            if mantissa % 10 != 0 {
                return Self(Form::Wide(Arc::new((BigInt::from(mantissa), scale))));
            }
            mantissa /= 10;
            scale -= 1;
        }
        Self(Form::Narrow { high: (mantissa >> 64) as i64, low: mantissa as u64, scale: scale as u8 })
    }

    /// A decimal from large parts.
    fn wide(mut mantissa: BigInt, mut scale: u32) -> Result<Self, XPathError> {
        if mantissa.bits() > MAX_BITS {
            return Err(integer::too_large());
        }
        if scale > MAX_SCALE {
            mantissa /= big_pow10(scale - MAX_SCALE);
            scale = MAX_SCALE;
        }
        for step in [256_u32, 16, 1] {
            let unit = big_pow10(step);
            while scale >= step && (&mantissa % &unit).sign() == Sign::NoSign {
                mantissa /= &unit;
                scale -= step;
            }
        }
        Ok(match i128::try_from(&mantissa) {
            Ok(narrow) if scale <= NARROW_SCALE => Self::new(narrow, scale),
            _ => Self(Form::Wide(Arc::new((mantissa, scale)))),
        })
    }

    fn narrow(&self) -> Option<(i128, u32)> {
        match self.0 {
            Form::Narrow { high, low, scale } => Some((joined(high, low), u32::from(scale))),
            Form::Wide(_) => None,
        }
    }

    fn parts(&self) -> (BigInt, u32) {
        match &self.0 {
            Form::Narrow { high, low, scale } => (BigInt::from(joined(*high, *low)), u32::from(*scale)),
            Form::Wide(parts) => (parts.0.clone(), parts.1),
        }
    }

    /// The lexical space of `xs:decimal`: sign, digits and at most one point.
    pub fn parse(s: &str) -> Option<Self> {
        let s = s.trim_matches(super::number::is_space);
        let (negative, body) = match s.as_bytes().first()? {
            b'-' => (true, &s[1..]),
            b'+' => (false, &s[1..]),
            _ => (false, s),
        };
        let (integer, fraction) = body.split_once('.').unwrap_or((body, ""));
        let mut digits = integer.bytes().chain(fraction.bytes());
        if integer.len() + fraction.len() == 0 || body.len() > MAX_DIGITS || !digits.all(|b| b.is_ascii_digit()) {
            return None;
        }
        let narrow = integer
            .bytes()
            .chain(fraction.bytes())
            .try_fold(0_i128, |mantissa, b| mantissa.checked_mul(10)?.checked_add(i128::from(b - b'0')));
        let scale = fraction.len() as u32;
        match narrow {
            Some(mantissa) => Some(Self::new(if negative { -mantissa } else { mantissa }, scale)),
            None => {
                let mantissa = BigInt::parse_bytes(format!("{integer}{fraction}").as_bytes(), 10)?;
                Self::wide(if negative { -mantissa } else { mantissa }, scale).ok()
            }
        }
    }

    /// The decimal with the digits of the shortest form of a finite double.
    pub fn from_f64(v: f64) -> Option<Self> {
        if v.is_finite() { Self::parse(&format!("{v}")) } else { None }
    }

    /// The value of a finite double with all of its digits, which is what a cast gives.
    pub(crate) fn exactly(v: f64) -> Option<Self> {
        if v.is_finite() { Self::parse(format!("{v:.1074}").trim_end_matches('0')) } else { None }
    }

    /// The nearest double.
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The integer, cutting off the fraction; `None` when it needs more than 64 bits.
    pub fn to_i64(&self) -> Option<i64> {
        match self.to_integer() {
            Item::Integer(small) => Some(small),
            _ => None,
        }
    }

    /// The integer, cutting off the fraction.
    pub(crate) fn to_integer(&self) -> Item<'static> {
        match self.narrow() {
            Some((mantissa, scale)) => integer::of_i128(pow10(scale).map_or(0, |unit| mantissa / unit)),
            None => {
                let (mantissa, scale) = self.parts();
                integer::item(mantissa / big_pow10(scale))
            }
        }
    }

    /// An integer item as a decimal; `None` for other items.
    pub(crate) fn of_item(item: &Item<'_>) -> Option<Self> {
        match item {
            Item::Integer(small) => Some(Self::from(*small)),
            Item::BigInteger(big) => Self::wide(big.get().clone(), 0).ok(),
            Item::Decimal(decimal) => Some(decimal.clone()),
            _ => None,
        }
    }

    /// Whether a double of at most 53 bits is the same number.
    pub(crate) fn is_exact_f64(&self) -> bool {
        let Some((mantissa, scale)) = self.narrow() else { return false };
        // The fraction must be one of a power of two: what is left of the power of ten is one of five.
        let five = 5_i128.checked_pow(scale).unwrap_or(i128::MAX);
        mantissa % five == 0 && (mantissa / five).unsigned_abs() <= 1 << 53
    }

    /// Whether there is no fraction.
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Form::Narrow { scale, .. } => *scale == 0,
            Form::Wide(parts) => parts.1 == 0,
        }
    }

    pub(crate) fn is_zero(&self) -> bool {
        matches!(self.0, Form::Narrow { high: 0, low: 0, .. })
    }

    fn is_negative(&self) -> bool {
        match &self.0 {
            Form::Narrow { high, .. } => *high < 0,
            Form::Wide(parts) => parts.0.sign() == Sign::Minus,
        }
    }

    pub(crate) fn neg(&self) -> Self {
        match self.narrow().and_then(|(mantissa, scale)| Some((mantissa.checked_neg()?, scale))) {
            Some((mantissa, scale)) => Self::new(mantissa, scale),
            None => {
                let (mantissa, scale) = self.parts();
                // The negative of a value within the cap is within it.
                Self::wide(-mantissa, scale).unwrap_or_else(|_| self.clone())
            }
        }
    }

    pub(crate) fn abs(&self) -> Self {
        if self.is_negative() { self.neg() } else { self.clone() }
    }

    fn aligned(&self, other: &Self) -> Option<(i128, i128, u32)> {
        let ((a, x), (b, y)) = (self.narrow()?, other.narrow()?);
        let scale = x.max(y);
        Some((a.checked_mul(pow10(scale - x)?)?, b.checked_mul(pow10(scale - y)?)?, scale))
    }

    fn aligned_wide(&self, other: &Self) -> (BigInt, BigInt, u32) {
        let ((a, x), (b, y)) = (self.parts(), other.parts());
        let scale = x.max(y);
        (a * big_pow10(scale - x), b * big_pow10(scale - y), scale)
    }

    pub(crate) fn add(&self, other: &Self) -> Result<Self, XPathError> {
        if let Some((sum, scale)) = self.aligned(other).and_then(|(a, b, scale)| Some((a.checked_add(b)?, scale))) {
            return Ok(Self::new(sum, scale));
        }
        let (a, b, scale) = self.aligned_wide(other);
        Self::wide(a + b, scale)
    }

    pub(crate) fn sub(&self, other: &Self) -> Result<Self, XPathError> {
        self.add(&other.neg())
    }

    pub(crate) fn mul(&self, other: &Self) -> Result<Self, XPathError> {
        if let (Some((a, x)), Some((b, y))) = (self.narrow(), other.narrow())
            && let Some(product) = a.checked_mul(b)
        {
            return Ok(Self::new(product, x + y));
        }
        let ((a, x), (b, y)) = (self.parts(), other.parts());
        Self::wide(a * b, x + y)
    }

    pub(crate) fn div(&self, other: &Self) -> Result<Self, XPathError> {
        if other.is_zero() {
            return Err(XPathError::dynamic("FOAR0001", "division of a decimal by zero"));
        }
        if let (Some((a, x)), Some((b, y))) = (self.narrow(), other.narrow()) {
            let scale = DIVISION_SCALE.max(x).max(y);
            if let Some(n) = pow10(scale + y - x).and_then(|unit| a.checked_mul(unit)) {
                let (q, r) = (n / b, (n % b).unsigned_abs());
                let away = i128::from(r > b.unsigned_abs() / 2);
                return Ok(Self::new(if (n < 0) == (b < 0) { q + away } else { q - away }, scale));
            }
        }
        self.div_wide(other)
    }

    fn div_wide(&self, other: &Self) -> Result<Self, XPathError> {
        let ((dividend, own_scale), (divisor, other_scale)) = (self.parts(), other.parts());
        let scale = DIVISION_SCALE.max(own_scale).max(other_scale);
        let dividend = dividend * big_pow10(scale + other_scale - own_scale);
        let (quotient, rest) = (&dividend / &divisor, &dividend % &divisor);
        let away = BigInt::from(u8::from(rest.magnitude() * 2_u32 > *divisor.magnitude()));
        let same_sign = (dividend.sign() == Sign::Minus) == (divisor.sign() == Sign::Minus);
        Self::wide(if same_sign { quotient + away } else { quotient - away }, scale)
    }

    /// The quotient without its fraction.
    pub(crate) fn idiv(&self, other: &Self) -> Result<Item<'static>, XPathError> {
        if other.is_zero() {
            return Err(XPathError::dynamic("FOAR0001", "division of a decimal by zero"));
        }
        match self.aligned(other) {
            Some((a, b, _)) => Ok(integer::of_i128(a / b)),
            None => {
                let (a, b, _) = self.aligned_wide(other);
                integer::capped(a / b)
            }
        }
    }

    pub(crate) fn rem(&self, other: &Self) -> Result<Self, XPathError> {
        if other.is_zero() {
            return Err(XPathError::dynamic("FOAR0001", "modulus of a decimal by zero"));
        }
        match self.aligned(other) {
            Some((a, b, scale)) => Ok(Self::new(a % b, scale)),
            None => {
                let (a, b, scale) = self.aligned_wide(other);
                Self::wide(a % b, scale)
            }
        }
    }

    /// The fraction cut off, towards negative infinity.
    pub(crate) fn floor(&self) -> Self {
        self.rounded(0, Rounding::Floor)
    }

    pub(crate) fn ceil(&self) -> Self {
        self.rounded(0, Rounding::Ceiling)
    }

    /// To `precision` digits behind the point, ties towards positive infinity.
    pub(crate) fn round(&self, precision: i64) -> Self {
        self.rounded(precision, Rounding::Half)
    }

    /// To `precision` digits behind the point, ties to the even digit.
    pub(crate) fn round_half_even(&self, precision: i64) -> Self {
        self.rounded(precision, Rounding::HalfEven)
    }

    fn rounded(&self, precision: i64, how: Rounding) -> Self {
        let (mantissa, scale) = self.parts();
        let drop = i64::from(scale).saturating_sub(precision);
        if drop <= 0 {
            return self.clone();
        }
        let drop = u32::try_from(drop).unwrap_or(u32::MAX);
        // Of what has fewer digits than are dropped nothing is left: two more digits than there are do the same.
        let drop = drop.min(mantissa.bits() as u32 / 3 + scale + 2);
        let unit = big_pow10(drop);
        let (q, r) = (&mantissa / &unit, &mantissa % &unit);
        let negative = r.sign() == Sign::Minus;
        let to_half = (r.magnitude() * 2_u32).cmp(unit.magnitude());
        let odd = q.bit(0);
        let away = match how {
            _ if r.sign() == Sign::NoSign => false,
            Rounding::Floor => negative,
            Rounding::Ceiling => !negative,
            Rounding::Half => to_half.is_gt() || (to_half.is_eq() && !negative),
            Rounding::HalfEven => to_half.is_gt() || (to_half.is_eq() && odd),
        };
        let step = BigInt::from(u8::from(away));
        let kept = if negative { q - step } else { q + step };
        let result = match scale.checked_sub(drop) {
            Some(scale) => Self::wide(kept, scale),
            None => Self::wide(kept * big_pow10(drop - scale), 0),
        };
        // Rounding adds one digit at most.
        result.unwrap_or_else(|_| self.clone())
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
        match self.aligned(other) {
            Some((a, b, _)) => a.cmp(&b),
            None => {
                let (a, b, _) = self.aligned_wide(other);
                a.cmp(&b)
            }
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (digits, scale) = match &self.0 {
            Form::Narrow { high, low, scale } => (joined(*high, *low).unsigned_abs().to_string(), u32::from(*scale)),
            Form::Wide(parts) => (parts.0.magnitude().to_string(), parts.1),
        };
        if self.is_negative() {
            f.write_str("-")?;
        }
        let scale = scale as usize;
        if scale == 0 {
            return f.write_str(&digits);
        }
        match digits.len().checked_sub(scale) {
            Some(point) if point > 0 => write!(f, "{}.{}", &digits[..point], &digits[point..]),
            _ => write!(f, "0.{digits:0>scale$}"),
        }
    }
}

fn joined(high: i64, low: u64) -> i128 {
    (i128::from(high) << 64) | i128::from(low)
}

fn pow10(n: u32) -> Option<i128> {
    10_i128.checked_pow(n)
}

fn big_pow10(n: u32) -> BigInt {
    BigInt::from(10_u8).pow(n)
}
