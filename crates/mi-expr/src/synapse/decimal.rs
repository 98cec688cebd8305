//! Decimal arithmetic in the way of `java.math.BigDecimal`, with up to 38 digits. Beyond that the caller falls back to
//! doubles.

/// `unscaled * 10^-scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    unscaled: i128,
    scale: i32,
}

/// Scales beyond this are not worth exact arithmetic.
const MAX_SCALE: i32 = 400;

impl Decimal {
    /// Reads a number as Java prints it (`12.5`, `1.0E-5`).
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let unscaled = format!("{whole}{fraction}").parse().ok()?;
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        (scale.abs() <= MAX_SCALE).then_some(Self { unscaled, scale })
    }

    /// The nearest double.
    pub(super) fn to_f64(self) -> Option<f64> {
        format!("{}e{}", self.unscaled, -self.scale).parse().ok()
    }

    fn rescaled(self, scale: i32) -> Option<i128> {
        let factor = 10_i128.checked_pow(u32::try_from(scale.checked_sub(self.scale)?).ok()?)?;
        self.unscaled.checked_mul(factor)
    }

    fn aligned(self, other: Self) -> Option<(i128, i128, i32)> {
        let scale = self.scale.max(other.scale);
        Some((self.rescaled(scale)?, other.rescaled(scale)?, scale))
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { unscaled: left.checked_add(right)?, scale })
    }

    pub(super) fn subtract(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { unscaled: left.checked_sub(right)?, scale })
    }

    pub(super) fn multiply(self, other: Self) -> Option<Self> {
        Some(Self { unscaled: self.unscaled.checked_mul(other.unscaled)?, scale: self.scale.checked_add(other.scale)? })
    }

    /// The remainder with the sign of the dividend.
    pub(super) fn remainder(self, other: Self) -> Option<Self> {
        let (left, right, scale) = self.aligned(other)?;
        Some(Self { unscaled: left.checked_rem(right)?, scale })
    }

    /// The quotient with as many decimals as the dividend has, rounded half up: `34.45 / 3.44` is 10.01.
    pub(super) fn divide(self, other: Self) -> Option<Self> {
        // self / other = (unscaled / other.unscaled) * 10^(other.scale - self.scale); one decimal scale is kept.
        let shift = other.scale;
        let (mut dividend, mut divisor) = (self.unscaled, other.unscaled);
        let factor = 10_i128.checked_pow(shift.unsigned_abs())?;
        if shift >= 0 {
            dividend = dividend.checked_mul(factor)?;
        } else {
            divisor = divisor.checked_mul(factor)?;
        }
        let quotient = dividend.checked_div(divisor)?;
        let rest = dividend.checked_rem(divisor)?;
        let up = rest.checked_abs()?.checked_mul(2)? >= divisor.checked_abs()?;
        let away = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
        Some(Self { unscaled: if up { quotient.checked_add(away)? } else { quotient }, scale: self.scale })
    }

    /// Rounded half up to so many decimals.
    pub(super) fn round(self, decimals: i32) -> Option<Self> {
        if decimals >= self.scale {
            return Some(self);
        }
        let factor = 10_i128.checked_pow(u32::try_from(self.scale - decimals).ok()?)?;
        let rest = self.unscaled % factor;
        let up = rest.checked_abs()?.checked_mul(2)? >= factor;
        let away = if self.unscaled < 0 { -1 } else { 1 };
        Some(Self { unscaled: self.unscaled / factor + if up { away } else { 0 }, scale: decimals })
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    type Operation = fn(Decimal, Decimal) -> Option<Decimal>;

    #[test]
    fn operations_keep_decimals_exact() {
        let cases: [(Operation, &str, &str, f64); 8] = [
            (Decimal::add, "8.95", "8.99", 17.94),
            (Decimal::subtract, "8.9567", "8.9456", 0.0111),
            (Decimal::multiply, "72.0", "1.032145", 74.31444),
            (Decimal::divide, "34.45", "3.44", 10.01),
            (Decimal::divide, "10.0", "-2.5", -4.0),
            (Decimal::divide, "1.0E10", "3.0", 3e9),
            (Decimal::remainder, "34.56", "3.45", 0.06),
            (Decimal::remainder, "-5.5", "3.0", -2.5),
        ];
        for (operation, left, right, expected) in cases {
            let (left, right) = (Decimal::parse(left).expect("left"), Decimal::parse(right).expect("right"));
            assert_eq!(operation(left, right).and_then(Decimal::to_f64), Some(expected), "{left:?} {right:?}");
        }
    }

    #[test]
    fn rounds_half_up() {
        for (text, decimals, expected) in [("0.115", 2, 0.12), ("-0.115", 2, -0.12), ("0.111", 4, 0.111)] {
            let rounded = Decimal::parse(text).and_then(|value| value.round(decimals)).and_then(Decimal::to_f64);
            assert_eq!(rounded, Some(expected), "{text}");
        }
    }
}
