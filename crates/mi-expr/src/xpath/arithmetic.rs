//! Arithmetic: on doubles in XPath 1.0, on typed numbers, dates and durations in 2.0.

use num_bigint::{BigInt, Sign};

use super::Version;
use super::ast::{Arithmetic, Expr, Operator};
use super::cast;
use super::datetime::{Duration, DurationKind, MomentKind};
use super::decimal::Decimal;
use super::error::XPathError;
use super::eval::{Cx, Evaluator, MAX_ITEMS, too_many_items};
use super::integer::{self, Bounds};
use super::number;
use super::sequence::Sequence;
use super::value::Item;

impl<'d> Evaluator<'_, 'd> {
    /// Operators of one precedence from left to right.
    pub(super) fn arithmetic(&self, chain: &Arithmetic, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        if self.version == Version::V1 {
            let mut value = self.number(&chain.first, cx)?;
            for (op, operand) in &chain.rest {
                value = doubles(*op, value, self.number(operand, cx)?)?;
            }
            return Ok(value.into());
        }
        let role = "an operand of an arithmetic operator";
        let Some(mut value) = self.atom(&chain.first, cx, role)? else { return Ok(Sequence::empty()) };
        for (op, operand) in &chain.rest {
            let Some(right) = self.atom(operand, cx, role)? else { return Ok(Sequence::empty()) };
            value = self.apply(*op, value, right)?;
        }
        Ok(Sequence::one(value))
    }

    /// `number(expr)` of XPath 1.0.
    pub(super) fn number(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<f64, XPathError> {
        match expr {
            Expr::Path(_) => Ok(number::parse_lenient(&self.first_string(expr, cx)?)),
            other => Ok(self.eval(other, cx)?.to_number()),
        }
    }

    pub(super) fn negate(&self, operand: &Expr, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        if self.version == Version::V1 {
            return Ok((-self.number(operand, cx)?).into());
        }
        let Some(item) = self.atom(operand, cx, "the operand of a minus sign")? else { return Ok(Sequence::empty()) };
        let negated = match numeric(item)? {
            Item::Integer(i) => i.checked_neg().map_or_else(|| integer::of_i128(-i128::from(i)), Item::Integer),
            Item::BigInteger(i) => integer::item(-i.get()),
            Item::Decimal(d) => Item::Decimal(d.neg()),
            Item::Float(v) => Item::Float(-v),
            Item::Double(v) => Item::Double(-v),
            other => return Err(no_operator(&other)),
        };
        Ok(Sequence::one(negated))
    }

    /// `from to to`
    pub(super) fn eval_range(&self, from: &Expr, to: &Expr, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let (Some(from), Some(to)) = (self.bound(from, cx)?, self.bound(to, cx)?) else {
            return Ok(Sequence::empty());
        };
        let (Item::Integer(low), Item::Integer(high)) = (&from, &to) else { return self.big_range(&from, &to) };
        let (low, high) = (*low, *high);
        let length = high.checked_sub(low).and_then(|n| n.checked_add(1)).unwrap_or(i64::MAX).max(0) as u64;
        self.spend(length)?;
        if length > MAX_ITEMS as u64 {
            return Err(too_many_items());
        }
        Ok(Sequence::from_items((low..=high).map(Item::Integer).collect()))
    }

    /// A range with a bound of more than 64 bits.
    fn big_range(&self, from: &Item<'d>, to: &Item<'d>) -> Result<Sequence<'d>, XPathError> {
        let (Some(from), Some(to)) = (integer::value(from), integer::value(to)) else { return Ok(Sequence::empty()) };
        let length = match i64::try_from(&to - &from + 1) {
            Ok(length) => length.max(0),
            Err(_) if to < from => 0,
            Err(_) => i64::MAX,
        };
        self.spend(length as u64)?;
        if length > MAX_ITEMS as i64 {
            return Err(too_many_items());
        }
        Ok(Sequence::from_items((0..length).map(|at| integer::item(&from + at)).collect()))
    }

    fn bound(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<Option<Item<'d>>, XPathError> {
        let Some(item) = self.atom(expr, cx, "the bound of a range")? else { return Ok(None) };
        match item {
            Item::Integer(_) | Item::BigInteger(_) => Ok(Some(item)),
            Item::Untyped(_) => cast::cast(item, cast::Atomic::Integer(Bounds::ANY)).map(Some),
            _ => Err(XPathError::type_error("the bounds of a range must be integers")),
        }
    }

    /// One operator on two values of XPath 2.0.
    pub(super) fn apply(&self, op: Operator, a: Item<'d>, b: Item<'d>) -> Result<Item<'d>, XPathError> {
        let (a, b) = (numeric(a)?, numeric(b)?);
        match (&a, &b) {
            (Item::Moment(x), Item::Moment(y)) if op == Operator::Subtract && x.kind == y.kind => {
                Ok(Item::Duration(x.minus(*y, self.implicit_zone())))
            }
            // Only the two kinds of durations that have an order can be calculated with, and no months with times.
            (Item::Moment(m), Item::Duration(d)) | (Item::Duration(d), Item::Moment(m))
                if d.kind == DurationKind::Any || (m.kind == MomentKind::Time && d.kind == DurationKind::YearMonth) =>
            {
                Err(no_operator(&Item::Duration(*d)))
            }
            (Item::Moment(m), Item::Duration(d)) if op == Operator::Add => m.plus(*d).map(Item::Moment),
            (Item::Duration(d), Item::Moment(m)) if op == Operator::Add => m.plus(*d).map(Item::Moment),
            (Item::Moment(m), Item::Duration(d)) if op == Operator::Subtract => m.plus(d.neg()).map(Item::Moment),
            (Item::Duration(d), _) | (_, Item::Duration(d)) if d.kind == DurationKind::Any => {
                Err(no_operator(&Item::Duration(*d)))
            }
            (Item::Duration(x), Item::Duration(y)) if x.kind == y.kind => durations(op, *x, *y),
            (Item::Duration(d), n) | (n, Item::Duration(d)) if n.is_numeric() && op == Operator::Multiply => {
                d.scale(n.to_number()).map(Item::Duration)
            }
            (Item::Duration(d), n) if n.is_numeric() && op == Operator::Divide => {
                let divisor = n.to_number();
                if divisor.is_nan() {
                    return Err(XPathError::dynamic("FOCA0005", "a duration cannot be divided by NaN"));
                }
                if divisor == 0.0 {
                    return Err(XPathError::dynamic("FODT0002", "division of a duration by zero"));
                }
                d.scale(1.0 / divisor).map(Item::Duration)
            }
            _ => numbers(op, &a, &b),
        }
    }
}

/// Untyped text counts as a double; numbers, dates and durations stay, nothing else can be calculated with.
fn numeric(item: Item<'_>) -> Result<Item<'_>, XPathError> {
    match item {
        Item::Untyped(s) => match number::parse_double(&s) {
            Some(v) => Ok(Item::Double(v)),
            None => Err(XPathError::dynamic("FORG0001", format!("\"{}\" is no number", shorten(&s)))),
        },
        Item::Moment(_) | Item::Duration(_) => Ok(item),
        other if other.is_numeric() => Ok(other),
        other => Err(no_operator(&other)),
    }
}

fn shorten(s: &str) -> String {
    s.chars().take(60).collect()
}

fn no_operator(item: &Item<'_>) -> XPathError {
    XPathError::type_error(format!("there is no such arithmetic with a value of type {}", item.type_name()))
}

fn by_zero() -> XPathError {
    XPathError::dynamic("FOAR0001", "division by zero")
}

/// IEEE arithmetic; the remainder has the sign of the dividend.
fn doubles(op: Operator, a: f64, b: f64) -> Result<f64, XPathError> {
    Ok(match op {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Modulo => a % b,
        Operator::IntegerDivide if b == 0.0 => return Err(by_zero()),
        Operator::IntegerDivide => (a / b).trunc(),
    })
}

fn numbers<'d>(op: Operator, a: &Item<'d>, b: &Item<'d>) -> Result<Item<'d>, XPathError> {
    if let (Item::Integer(x), Item::Integer(y)) = (a, b) {
        return integers(op, *x, *y);
    }
    if !a.is_numeric() {
        return Err(no_operator(a));
    }
    if !b.is_numeric() {
        return Err(no_operator(b));
    }
    if let (Some(x), Some(y)) = (integer::value(a), integer::value(b)) {
        return big_integers(op, &x, &y);
    }
    if let (Some(x), Some(y)) = (Decimal::of_item(a), Decimal::of_item(b)) {
        return decimals(op, &x, &y);
    }
    let (x, y) = (a.to_number(), b.to_number());
    let double = matches!(a, Item::Double(_)) || matches!(b, Item::Double(_));
    // Doubles hold any result of one operation on floats exactly enough to round it once.
    let (x, y) = if double { (x, y) } else { (f64::from(x as f32), f64::from(y as f32)) };
    if op == Operator::IntegerDivide {
        let quotient = doubles(op, x, y)?;
        let quotient = if double { quotient } else { f64::from(quotient as f32) };
        return integer::of_f64(quotient).ok_or_else(|| {
            XPathError::dynamic("FOAR0002", "the quotient of `idiv` is no integer: it is infinite or not a number")
        });
    }
    let result = doubles(op, x, y)?;
    Ok(if double { Item::Double(result) } else { Item::Float(result as f32) })
}

fn integers(op: Operator, a: i64, b: i64) -> Result<Item<'static>, XPathError> {
    let result = match op {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide | Operator::IntegerDivide | Operator::Modulo if b == 0 => return Err(by_zero()),
        // MI: a quotient that is whole is an integer in Saxon, though the specification makes it a decimal.
        Operator::Divide if a.checked_rem(b) != Some(0) => {
            return Decimal::from(a).div(&Decimal::from(b)).map(Item::Decimal);
        }
        Operator::Divide | Operator::IntegerDivide => a.checked_div(b),
        Operator::Modulo => a.checked_rem(b).or(Some(0)),
    };
    result.map_or_else(|| big_integers(op, &BigInt::from(a), &BigInt::from(b)), |small| Ok(Item::Integer(small)))
}

/// Integers of which one, or the result, needs more than 64 bits.
fn big_integers(op: Operator, a: &BigInt, b: &BigInt) -> Result<Item<'static>, XPathError> {
    let by_zero = b.sign() == Sign::NoSign && !matches!(op, Operator::Add | Operator::Subtract | Operator::Multiply);
    match op {
        _ if by_zero => Err(self::by_zero()),
        Operator::Add => integer::capped(a + b),
        Operator::Subtract => integer::capped(a - b),
        Operator::Multiply => integer::capped(a * b),
        Operator::IntegerDivide => integer::capped(a / b),
        Operator::Modulo => integer::capped(a % b),
        Operator::Divide => {
            let decimal = |it: &BigInt| Decimal::of_item(&integer::item(it.clone())).ok_or_else(integer::too_large);
            decimal(a)?.div(&decimal(b)?).map(Item::Decimal)
        }
    }
}

fn decimals(op: Operator, a: &Decimal, b: &Decimal) -> Result<Item<'static>, XPathError> {
    let result = match op {
        Operator::Add => a.add(b),
        Operator::Subtract => a.sub(b),
        Operator::Multiply => a.mul(b),
        Operator::Divide => a.div(b),
        Operator::Modulo => a.rem(b),
        Operator::IntegerDivide => return a.idiv(b),
    };
    result.map(Item::Decimal)
}

fn durations(op: Operator, a: Duration, b: Duration) -> Result<Item<'static>, XPathError> {
    match op {
        Operator::Add => a.plus(b).map(Item::Duration),
        Operator::Subtract => a.plus(b.neg()).map(Item::Duration),
        Operator::Divide => {
            let size = |d: Duration| match d.kind {
                DurationKind::YearMonth => f64::from(d.months),
                _ => d.total_seconds(),
            };
            let exact = Decimal::from_f64(size(a)).zip(Decimal::from_f64(size(b)));
            let (x, y) = exact.ok_or_else(by_zero)?;
            x.div(&y).map(Item::Decimal)
        }
        _ => Err(no_operator(&Item::Duration(a))),
    }
}
