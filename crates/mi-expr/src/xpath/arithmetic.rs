//! Arithmetic: on doubles in XPath 1.0, on typed numbers, dates and durations in 2.0.

use super::Version;
use super::ast::{Arithmetic, Expr, Operator};
use super::datetime::{Duration, DurationKind};
use super::decimal::Decimal;
use super::error::XPathError;
use super::eval::{Cx, Evaluator};
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
            Item::Integer(i) => Item::Integer(i.checked_neg().ok_or_else(overflow)?),
            Item::Decimal(d) => Item::Decimal(d.neg()),
            Item::Float(v) => Item::Float(-v),
            Item::Double(v) => Item::Double(-v),
            other => return Err(no_operator(&other)),
        };
        Ok(Sequence::one(negated))
    }

    /// One operator on two values of XPath 2.0.
    pub(super) fn apply(&self, op: Operator, a: Item<'d>, b: Item<'d>) -> Result<Item<'d>, XPathError> {
        let (a, b) = (numeric(a)?, numeric(b)?);
        match (&a, &b) {
            (Item::Moment(x), Item::Moment(y)) if op == Operator::Subtract && x.kind == y.kind => {
                Ok(Item::Duration(x.minus(*y, self.implicit_zone())))
            }
            (Item::Moment(m), Item::Duration(d)) if op == Operator::Add => m.plus(*d).map(Item::Moment),
            (Item::Duration(d), Item::Moment(m)) if op == Operator::Add => m.plus(*d).map(Item::Moment),
            (Item::Moment(m), Item::Duration(d)) if op == Operator::Subtract => m.plus(d.neg()).map(Item::Moment),
            (Item::Duration(x), Item::Duration(y)) if x.kind == y.kind => durations(op, *x, *y),
            (Item::Duration(d), n) | (n, Item::Duration(d)) if n.is_numeric() && op == Operator::Multiply => {
                d.scale(n.to_number()).map(Item::Duration)
            }
            (Item::Duration(d), n) if n.is_numeric() && op == Operator::Divide => {
                let divisor = n.to_number();
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

fn overflow() -> XPathError {
    XPathError::dynamic("FOAR0002", "the result needs more than 64 bits")
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
    if !a.is_numeric() {
        return Err(no_operator(a));
    }
    if !b.is_numeric() {
        return Err(no_operator(b));
    }
    let exact = |i: &Item<'_>| match i {
        Item::Integer(i) => Some(Decimal::from(*i)),
        Item::Decimal(d) => Some(*d),
        _ => None,
    };
    match (a, b) {
        (Item::Integer(x), Item::Integer(y)) => integers(op, *x, *y),
        _ => match (exact(a), exact(b)) {
            (Some(x), Some(y)) => decimals(op, x, y),
            _ => {
                let (x, y) = (a.to_number(), b.to_number());
                if op == Operator::IntegerDivide {
                    return whole(doubles(op, x, y)?);
                }
                if matches!(a, Item::Double(_)) || matches!(b, Item::Double(_)) {
                    return doubles(op, x, y).map(Item::Double);
                }
                // Doubles hold any result of one operation on floats exactly enough to round it once.
                let (x, y) = (f64::from(x as f32), f64::from(y as f32));
                Ok(Item::Float(doubles(op, x, y)? as f32))
            }
        },
    }
}

fn whole(v: f64) -> Result<Item<'static>, XPathError> {
    if !v.is_finite() || v.abs() >= 9.2e18 { Err(overflow()) } else { Ok(Item::Integer(v as i64)) }
}

fn integers(op: Operator, a: i64, b: i64) -> Result<Item<'static>, XPathError> {
    let result = match op {
        Operator::Add => a.checked_add(b),
        Operator::Subtract => a.checked_sub(b),
        Operator::Multiply => a.checked_mul(b),
        Operator::Divide => return Decimal::from(a).div(Decimal::from(b)).map(Item::Decimal),
        Operator::IntegerDivide | Operator::Modulo if b == 0 => return Err(by_zero()),
        Operator::IntegerDivide => a.checked_div(b),
        Operator::Modulo => a.checked_rem(b).or(Some(0)),
    };
    result.map(Item::Integer).ok_or_else(overflow)
}

fn decimals(op: Operator, a: Decimal, b: Decimal) -> Result<Item<'static>, XPathError> {
    let result = match op {
        Operator::Add => a.add(b),
        Operator::Subtract => a.sub(b),
        Operator::Multiply => a.mul(b),
        Operator::Divide => a.div(b),
        Operator::Modulo => a.rem(b),
        Operator::IntegerDivide => return a.div(b)?.to_i64().map(Item::Integer).ok_or_else(overflow),
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
            let (x, y) = exact.ok_or_else(overflow)?;
            x.div(y).map(Item::Decimal)
        }
        _ => Err(no_operator(&Item::Duration(a))),
    }
}
