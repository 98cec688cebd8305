//! `xs:integer` beyond 64 bits. What fits into 64 bits is never one of these, so that the usual integers stay plain numbers.

use std::fmt;
use std::sync::Arc;

use num_bigint::{BigInt, Sign};

use super::error::XPathError;
use super::value::Item;

/// Most bits of an integer, and of the digits of a decimal: some 19,700 digits.
pub(super) const MAX_BITS: u64 = 1 << 16;
/// Most digits of an integer or a decimal as text.
pub(super) const MAX_DIGITS: usize = 19_700;

/// An integer that needs more than 64 bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BigInteger(Arc<BigInt>);

impl BigInteger {
    pub(super) fn get(&self) -> &BigInt {
        &self.0
    }

    /// The nearest double; infinite beyond the largest.
    pub fn to_f64(&self) -> f64 {
        self.0.to_string().parse().unwrap_or(f64::NAN)
    }

    pub(super) fn is_negative(&self) -> bool {
        self.0.sign() == Sign::Minus
    }
}

impl fmt::Display for BigInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An integer in the form that fits it. The value is known to be within [`MAX_BITS`].
pub(super) fn item(value: BigInt) -> Item<'static> {
    match i64::try_from(&value) {
        Ok(small) => Item::Integer(small),
        Err(_) => Item::BigInteger(BigInteger(Arc::new(value))),
    }
}

/// [`item`] for what was calculated.
///
/// # Errors
/// The integer is larger than the cap.
pub(super) fn capped(value: BigInt) -> Result<Item<'static>, XPathError> {
    if value.bits() > MAX_BITS { Err(too_large()) } else { Ok(item(value)) }
}

pub(super) fn too_large() -> XPathError {
    XPathError::Limit { what: "bits in one number", cap: MAX_BITS }
}

pub(super) fn of_i128(value: i128) -> Item<'static> {
    i64::try_from(value).map_or_else(|_| item(BigInt::from(value)), Item::Integer)
}

/// The value of an integer item; `None` for other items.
pub(super) fn value(item: &Item<'_>) -> Option<BigInt> {
    match item {
        Item::Integer(small) => Some(BigInt::from(*small)),
        Item::BigInteger(big) => Some(big.get().clone()),
        _ => None,
    }
}

/// The lexical space of `xs:integer`, without white space.
pub(super) fn parse(text: &str) -> Option<Item<'static>> {
    if let Ok(small) = text.parse() {
        return Some(Item::Integer(small));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let valid = !digits.is_empty() && digits.len() <= MAX_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let value = valid.then(|| BigInt::parse_bytes(digits.as_bytes(), 10)).flatten()?;
    Some(item(if text.starts_with('-') { -value } else { value }))
}

/// The whole part of a double by its shortest digits, as Saxon has it; `None` for NaN and the infinities.
pub(super) fn of_f64(v: f64) -> Option<Item<'static>> {
    let whole = v.trunc();
    // Below 2^53 a double is a whole number exactly.
    if whole.abs() < 9_007_199_254_740_992.0 {
        return Some(Item::Integer(whole as i64));
    }
    if whole.is_finite() { parse(&format!("{whole}")) } else { None }
}

/// Bounds of a type that derives from `xs:integer`; the ends of `i128` are no bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds(pub(super) i128, pub(super) i128);

impl Bounds {
    pub(super) const ANY: Self = Self(i128::MIN, i128::MAX);

    /// Whether an integer item is inside.
    pub(super) fn contain(self, item: &Item<'_>) -> bool {
        match item {
            Item::Integer(small) => (self.0..=self.1).contains(&i128::from(*small)),
            Item::BigInteger(big) => match i128::try_from(big.get()) {
                Ok(value) => (self.0..=self.1).contains(&value),
                Err(_) => {
                    if big.is_negative() {
                        self.0 == i128::MIN
                    } else {
                        self.1 == i128::MAX
                    }
                }
            },
            _ => false,
        }
    }
}
