//! Functions on numbers and aggregates; the pictures of `format-number` are in `decimal_format.rs`.

use std::cmp::Ordering;

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::{V1, V2};
use crate::xpath::ast::Type::{Number, String as Text, Unknown};
use crate::xpath::ast::{Comparison, Operator};
use crate::xpath::cast::{self, Atomic};
use crate::xpath::collation::Collation;
use crate::xpath::compare::compare_numbers;
use crate::xpath::decimal::Decimal;
use crate::xpath::decimal_format::DecimalFormat;
use crate::xpath::error::XPathError;
use crate::xpath::number as lexical;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::Item;

use Library::{Core, Math};

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("number", (0, 1), V1, Number, 1, number)),
    builtin(Core, ("count", (1, 1), V1, Number, 0, count)),
    builtin(Core, ("sum", (1, 2), V1, Unknown, 0, sum)),
    builtin(Core, ("floor", (1, 1), V1, Unknown, 0, floor)),
    builtin(Core, ("ceiling", (1, 1), V1, Unknown, 0, ceiling)),
    builtin(Core, ("round", (1, 1), V1, Unknown, 0, round)),
    builtin(Core, ("round", (2, 2), V2, Unknown, 0, round)),
    builtin(Core, ("round-half-to-even", (1, 2), V2, Unknown, 0, round_half_to_even)),
    builtin(Core, ("abs", (1, 1), V2, Unknown, 0, abs)),
    builtin(Core, ("avg", (1, 1), V2, Unknown, 0, avg)),
    builtin(Core, ("min", (1, 2), V2, Unknown, 0, min)),
    builtin(Core, ("max", (1, 2), V2, Unknown, 0, max)),
    builtin(Core, ("format-number", (2, 3), V2, Text, 0, format_number)),
    builtin(Math, ("pi", (0, 0), V2, Unknown, 0, |_| Ok(std::f64::consts::PI.into()))),
    builtin(Math, ("sqrt", (1, 1), V2, Unknown, 0, |a| math(a, f64::sqrt))),
    builtin(Math, ("exp", (1, 1), V2, Unknown, 0, |a| math(a, f64::exp))),
    builtin(Math, ("exp10", (1, 1), V2, Unknown, 0, |a| math(a, |v| 10_f64.powf(v)))),
    builtin(Math, ("log", (1, 1), V2, Unknown, 0, |a| math(a, f64::ln))),
    builtin(Math, ("log10", (1, 1), V2, Unknown, 0, |a| math(a, f64::log10))),
    builtin(Math, ("sin", (1, 1), V2, Unknown, 0, |a| math(a, f64::sin))),
    builtin(Math, ("cos", (1, 1), V2, Unknown, 0, |a| math(a, f64::cos))),
    builtin(Math, ("tan", (1, 1), V2, Unknown, 0, |a| math(a, f64::tan))),
    builtin(Math, ("atan", (1, 1), V2, Unknown, 0, |a| math(a, f64::atan))),
    builtin(Math, ("asin", (1, 1), V2, Unknown, 0, |a| math(a, f64::asin))),
    builtin(Math, ("acos", (1, 1), V2, Unknown, 0, |a| math(a, f64::acos))),
    builtin(Math, ("atan2", (2, 2), V2, Unknown, 0, |a| Ok(a.double(0)?.atan2(a.double(1)?).into()))),
    builtin(Math, ("pow", (2, 2), V2, Unknown, 0, pow)),
];

fn number<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let item = if args.len() == 0 { Some(args.cx.context()?) } else { args.atom(0)? };
    let value = match item {
        None => f64::NAN,
        Some(item) if args.v1() => item.to_number(),
        Some(item) => match cast::cast(item, Atomic::Double) {
            Ok(Item::Double(v)) => v,
            _ => f64::NAN,
        },
    };
    Ok(value.into())
}

fn count<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(args.ev.integer(args.ev.count(args.expr(0), args.cx)?))
}

/// Untyped values as doubles, which is how aggregates see them.
fn typed(item: Item<'_>) -> Result<Item<'_>, XPathError> {
    if matches!(item, Item::Untyped(_)) { cast::cast(item, Atomic::Double) } else { Ok(item) }
}

fn sum<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    if args.v1() {
        return Ok(args.atoms(0)?.iter().map(Item::to_number).fold(0.0, |a, b| a + b).into());
    }
    let mut items = args.atoms(0)?.into_iter();
    let Some(first) = items.next() else {
        return if args.len() > 1 { args.sequence(1) } else { Ok(Sequence::from(0_i64)) };
    };
    let total = items.try_fold(typed(first)?, |total, item| added(args, total, item))?;
    summed(args, total).map(Sequence::one)
}

/// A sum, which is one of numbers or of durations with an order.
fn summed<'d>(args: &Args<'_, '_, 'd>, total: Item<'d>) -> Result<Item<'d>, XPathError> {
    if total.is_numeric() || (matches!(total, Item::Duration(_)) && args.ev.order(&total, &total).is_some()) {
        return Ok(total);
    }
    let name = args.call.function.name;
    Err(XPathError::dynamic("FORG0006", format!("{name}() of a value of type {}", total.type_name())))
}

/// Adds a value of an aggregate.
fn added<'d>(args: &Args<'_, '_, 'd>, total: Item<'d>, item: Item<'d>) -> Result<Item<'d>, XPathError> {
    let (total, item) = (summed(args, total)?, summed(args, typed(item)?)?);
    args.ev.apply(Operator::Add, total, item).map_err(|error| match error {
        XPathError::Dynamic { code, message } if code == "XPTY0004" => XPathError::dynamic("FORG0006", message),
        other => other,
    })
}

fn avg<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut items = args.atoms(0)?.into_iter();
    let size = items.len() as i64;
    let Some(first) = items.next() else { return Ok(Sequence::empty()) };
    let total = items.try_fold(typed(first)?, |total, item| added(args, total, item))?;
    args.ev.apply(Operator::Divide, summed(args, total)?, Item::Integer(size)).map(Sequence::one)
}

fn min<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    extreme(args, true)
}

fn max<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    extreme(args, false)
}

fn extreme<'d>(args: &Args<'_, '_, 'd>, least: bool) -> Outcome<'d> {
    let collation = args.collation(1)?;
    let mut best: Option<Item<'d>> = None;
    let (mut widest, mut text) = (0, false);
    for item in args.atoms(0)? {
        let item = typed(item)?;
        widest = widest.max(width(&item));
        text |= matches!(item, Item::String(_));
        let better = match &best {
            None if item.is_numeric() || args.ev.order(&item, &item).is_some() => true,
            None => return Err(no_order(&item, &item)),
            Some(b) if b.is_numeric() && item.is_numeric() => {
                let op = if least { Comparison::Lt } else { Comparison::Gt };
                // A NaN beats everything and is not beaten.
                !b.to_number().is_nan() && (item.to_number().is_nan() || compare_numbers(op, &item, b))
            }
            Some(b) => match by_text(&collation, &item, b).or_else(|| args.ev.order(&item, b)) {
                Some(ordering) => {
                    if least {
                        ordering.is_lt()
                    } else {
                        ordering.is_gt()
                    }
                }
                None => return Err(no_order(&item, b)),
            },
        };
        if better {
            best = Some(item);
        }
    }
    // The result is of the type that all of the values can be converted to.
    Ok(match best {
        Some(item) if width(&item) < widest => {
            let to = if widest == DOUBLE { Atomic::Double } else { Atomic::Float };
            cast::cast(item, to)?.into()
        }
        Some(Item::AnyUri(uri)) if text => Sequence::string(uri),
        other => other.into(),
    })
}

/// The order of two strings that are compared by a collation of their own.
fn by_text(collation: &Collation, a: &Item<'_>, b: &Item<'_>) -> Option<Ordering> {
    Some(collation.compare(a.text()?, b.text()?))
}

const DOUBLE: u8 = 2;

/// How far up among the types of numbers a value is; integers are decimals.
fn width(item: &Item<'_>) -> u8 {
    match item {
        Item::Double(_) => DOUBLE,
        Item::Float(_) => 1,
        _ => 0,
    }
}

fn no_order(a: &Item<'_>, b: &Item<'_>) -> XPathError {
    XPathError::dynamic("FORG0006", format!("{} and {} cannot be ordered", a.type_name(), b.type_name()))
}

/// Applies the function of the item's type; empty stays empty. Integers have no fraction: `whole` is for what is done to
/// them as decimals.
fn by_type<'d>(
    args: &Args<'_, '_, 'd>,
    whole: Option<&dyn Fn(&Decimal) -> Decimal>,
    decimal: impl Fn(&Decimal) -> Decimal,
    double: impl Fn(f64) -> f64,
) -> Outcome<'d> {
    if args.v1() {
        return Ok(double(args.double(0)?).into());
    }
    let Some(item) = args.atom(0)? else { return Ok(Sequence::empty()) };
    Ok(Sequence::one(match typed(item)? {
        item @ (Item::Integer(_) | Item::BigInteger(_)) => match (whole, Decimal::of_item(&item)) {
            (Some(whole), Some(exact)) => whole(&exact).to_integer(),
            _ => item,
        },
        Item::Decimal(d) => Item::Decimal(decimal(&d)),
        Item::Float(v) => Item::Float(double(f64::from(v)) as f32),
        Item::Double(v) => Item::Double(double(v)),
        other => {
            let name = args.call.function.name;
            return Err(XPathError::type_error(format!("{name}() of a value of type {}", other.type_name())));
        }
    }))
}

fn floor<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    by_type(args, None, Decimal::floor, f64::floor)
}

fn ceiling<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    by_type(args, None, Decimal::ceil, f64::ceil)
}

fn abs<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    by_type(args, Some(&Decimal::abs), Decimal::abs, f64::abs)
}

fn round<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    if args.len() == 1 {
        return by_type(args, None, |d| d.round(0), lexical::round);
    }
    let precision = args.integer(1)?;
    by_type(args, Some(&|d| d.round(precision)), |d| d.round(precision), |v| lexical::round_to(v, precision))
}

fn round_half_to_even<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let precision = if args.len() > 1 { args.integer(1)? } else { 0 };
    let exact = |d: &Decimal| d.round_half_even(precision);
    by_type(args, Some(&exact), exact, |v| lexical::round_half_even(v, precision))
}

fn format_number<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let value = args.atom(0)?.map(typed).transpose()?.unwrap_or(Item::Double(f64::NAN));
    if !value.is_numeric() {
        return Err(XPathError::type_error("format-number() needs a number"));
    }
    DecimalFormat::default().format(&value, &args.required(1)?).map(Sequence::from)
}

fn math<'d>(args: &Args<'_, '_, 'd>, f: impl Fn(f64) -> f64) -> Outcome<'d> {
    Ok(match args.atom(0)? {
        Some(item) => f(args.number(0, item)?).into(),
        None => Sequence::empty(),
    })
}

fn pow<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let exponent = args.double(1)?;
    math(args, |v| v.powf(exponent))
}
