//! Decides the conditions of `[?(…)]`. A comparison of values that do not fit each other is false, never an error.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::filter::{Filter, Operand, Operator};
use super::number;

/// True when `item` fulfils the condition. Recursion is bounded by the reader of filters.
pub(super) fn accepts(filter: &Filter, root: &Value, item: &Value) -> bool {
    match filter {
        Filter::Or(parts) => parts.iter().any(|part| accepts(part, root, item)),
        Filter::And(parts) => parts.iter().all(|part| accepts(part, root, item)),
        Filter::Not(inner) => !accepts(inner, root, item),
        Filter::Exists { path, wanted } => path.exists(root, item) == *wanted,
        Filter::Compare { left, operator, right } => compare(left, *operator, right, root, item),
    }
}

/// The value of a side; `None` for a path that leads nowhere, which equals nothing.
fn value<'v>(operand: &'v Operand, root: &'v Value, item: &'v Value) -> Option<Cow<'v, Value>> {
    match operand {
        Operand::Path(path) => path.operand(root, item),
        Operand::Value(value) => Some(Cow::Borrowed(value)),
        Operand::Pattern(_) => None,
    }
}

fn compare(left: &Operand, operator: Operator, right: &Operand, root: &Value, item: &Value) -> bool {
    if operator == Operator::Matches {
        return match (left, right) {
            (Operand::Pattern(_), Operand::Pattern(_)) => false,
            (Operand::Pattern(pattern), other) | (other, Operand::Pattern(pattern)) => value(other, root, item)
                .is_some_and(|value| match &*value {
                    Value::Array(items) => items.iter().any(|item| pattern.fits(&pattern_input(item))),
                    single => pattern.fits(&pattern_input(single)),
                }),
            _ => false,
        };
    }
    let left = value(left, root, item);
    let right = value(right, root, item);
    let (left, right) = (left.as_deref(), right.as_deref());
    match operator {
        Operator::Equal => equal(left, right),
        Operator::NotEqual => !equal(left, right),
        Operator::SameTypeEqual => same_type(left, right) && equal(left, right),
        Operator::SameTypeNotEqual => !(same_type(left, right) && equal(left, right)),
        Operator::Less => order(left, right).is_some_and(Ordering::is_lt),
        Operator::LessOrEqual => order(left, right).is_some_and(Ordering::is_le),
        Operator::Greater => order(left, right).is_some_and(Ordering::is_gt),
        Operator::GreaterOrEqual => order(left, right).is_some_and(Ordering::is_ge),
        Operator::In => list(right).is_some_and(|items| contains(items, left)),
        Operator::NotIn => !list(right).is_some_and(|items| contains(items, left)),
        Operator::Contains => match (left, right) {
            (Some(Value::String(text)), Some(Value::String(part))) => text.contains(part.as_str()),
            (Some(Value::Array(items)), wanted) => contains(items, wanted),
            _ => false,
        },
        Operator::All => match (left, list(right)) {
            (Some(Value::Array(items)), Some(wanted)) => wanted.iter().all(|value| contains(items, Some(value))),
            (Some(Value::Object(_)), Some(_)) => true,
            _ => false,
        },
        Operator::Size => size(left, right),
        Operator::Empty => match (left, right) {
            (Some(Value::String(text)), Some(Value::Bool(wanted))) => text.is_empty() == *wanted,
            (Some(Value::Array(items)), Some(Value::Bool(wanted))) => items.is_empty() == *wanted,
            (Some(Value::Object(fields)), Some(Value::Bool(wanted))) => fields.is_empty() == *wanted,
            _ => false,
        },
        Operator::SubsetOf => {
            pair(left, right).is_some_and(|(left, right)| left.iter().all(|value| contains(right, Some(value))))
        }
        Operator::AnyOf => {
            pair(left, right).is_some_and(|(left, right)| left.iter().any(|value| contains(right, Some(value))))
        }
        Operator::NoneOf => {
            pair(left, right).is_some_and(|(left, right)| !left.iter().any(|value| contains(right, Some(value))))
        }
        Operator::Matches => false,
    }
}

/// A string and a number are equal when the right side, read as the type of the left one, is.
fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return false };
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => number::compare(left, right) == Some(Ordering::Equal),
        (Value::String(text), Value::Number(number)) => text == number.as_str(),
        (Value::Number(number), Value::String(text)) => serde_json::from_str::<serde_json::Number>(text)
            .is_ok_and(|parsed| number::compare(number, &parsed) == Some(Ordering::Equal)),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(Some(left), Some(right)))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| equal(Some(value), right.get(key)))
        }
        _ => left == right,
    }
}

fn same_type(left: Option<&Value>, right: Option<&Value>) -> bool {
    let kind = |value: Option<&Value>| value.map(std::mem::discriminant);
    kind(left) == kind(right)
}

fn order(left: Option<&Value>, right: Option<&Value>) -> Option<Ordering> {
    match (left?, right?) {
        (Value::Number(left), Value::Number(right)) => number::compare(left, right),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn list(value: Option<&Value>) -> Option<&Vec<Value>> {
    value?.as_array()
}

fn pair<'v>(left: Option<&'v Value>, right: Option<&'v Value>) -> Option<(&'v Vec<Value>, &'v Vec<Value>)> {
    Some((list(left)?, list(right)?))
}

fn contains(items: &[Value], wanted: Option<&Value>) -> bool {
    items.iter().any(|item| equal(wanted, Some(item)))
}

fn size(value: Option<&Value>, wanted: Option<&Value>) -> bool {
    let Some(wanted) = wanted.and_then(Value::as_f64) else { return false };
    match value {
        Some(Value::String(text)) => text.encode_utf16().count() as f64 == wanted.trunc(),
        Some(Value::Array(items)) => items.len() as f64 == wanted.trunc(),
        _ => false,
    }
}

/// What a pattern is matched with: text, numbers and booleans as written, nothing for the rest.
fn pattern_input(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        Value::Number(number) => Cow::Borrowed(number.as_str()),
        Value::Bool(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
        _ => Cow::Borrowed(""),
    }
}
