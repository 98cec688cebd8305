//! Numbers. Integers stay integers where MI keeps them; everything else is a double.

use mi_message::java_double;

use super::{Answer, Call};
use crate::synapse::Failure;
use crate::synapse::decimal::Decimal;
use crate::synapse::item::Item;

pub(super) fn abs<'a>(call: &Call<'a>) -> Answer<'a> {
    match (call.integer(0), call.double(0)) {
        (Some(value), _) => Ok(Item::Int(value.wrapping_abs())),
        (_, Some(value)) => Ok(Item::Double(value.abs())),
        _ => call.invalid("abs"),
    }
}

fn rounded<'a>(call: &Call<'a>, name: &str, round: fn(f64) -> f64) -> Answer<'a> {
    match (call.integer(0), call.double(0)) {
        (Some(value), _) => Ok(Item::Int(value)),
        (_, Some(value)) => Ok(Item::Double(round(value))),
        _ => call.invalid(name),
    }
}

pub(super) fn ceil<'a>(call: &Call<'a>) -> Answer<'a> {
    rounded(call, "ceil", f64::ceil)
}

pub(super) fn floor<'a>(call: &Call<'a>) -> Answer<'a> {
    rounded(call, "floor", f64::floor)
}

/// Half up to an integer, or with a second argument to so many decimals.
pub(super) fn round<'a>(call: &Call<'a>) -> Answer<'a> {
    let item = &call.items[0];
    if call.items.len() == 1 {
        if item.is_double() {
            return Ok(Item::Int((item.as_double()? + 0.5).floor() as i64 as i32));
        }
        return call.integer(0).map_or_else(|| call.invalid("round"), |value| Ok(Item::Int(value)));
    }
    match call.integer(1) {
        Some(decimals) if item.is_double() && decimals > 0 => {
            let value = item.as_double()?;
            let rounded = Decimal::parse(&java_double(value)).and_then(|value| value.round(decimals));
            Ok(Item::Double(rounded.and_then(Decimal::to_f64).unwrap_or(value)))
        }
        _ if item.is_integer() || item.is_long() => Ok(item.clone()),
        _ => Err(Failure::soft("Invalid argument provided for round function")),
    }
}

pub(super) fn sqrt<'a>(call: &Call<'a>) -> Answer<'a> {
    call.double(0).map_or_else(|| call.invalid("sqrt"), |value| Ok(Item::Double(value.sqrt())))
}

/// To base 10, or to the base of the second argument.
pub(super) fn log<'a>(call: &Call<'a>) -> Answer<'a> {
    match (call.items.len(), call.double(0), call.double(1)) {
        (1, Some(value), _) => Ok(Item::Double(value.log10())),
        (_, Some(value), Some(base)) => Ok(Item::Double(value.ln() / base.ln())),
        _ => Err(Failure::soft("Invalid argument provided for log function")),
    }
}

pub(super) fn pow<'a>(call: &Call<'a>) -> Answer<'a> {
    match (call.double(0), call.double(1)) {
        (Some(value), Some(power)) => Ok(Item::Double(value.powf(power))),
        _ => call.invalid("pow"),
    }
}
