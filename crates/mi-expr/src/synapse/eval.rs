//! Evaluates the operators of `${…}`. MI: `BinaryOperationNode` and its siblings.
//!
//! Both operands are always evaluated; there is no short circuit. Recursion is bounded by the depth that the parser
//! allows.

use std::borrow::Cow;

use mi_message::{Message, java_double};
use serde_json::Value as Json;

use super::Failure;
use super::access;
use super::ast::{Node, Operator};
use super::decimal::Decimal;
use super::functions::{self, Call};
use super::item::Item;
use crate::{Lookup, Namespaces};

/// What an evaluation sees.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) message: &'a Message,
    pub(super) lookup: &'a dyn Lookup,
    pub(super) namespaces: &'a Namespaces,
    /// True when a typed value is asked for, which `xpath()` answers with nodes.
    pub(super) typed: bool,
}

/// Evaluates a node.
pub(super) fn eval<'a>(node: &'a Node, scope: Scope<'a>) -> Result<Item<'a>, Failure> {
    match node {
        Node::Literal(item) => Ok(borrowed(item)),
        Node::Array(nodes) => array(nodes, scope),
        Node::Chain { first, rest } => {
            let mut left = eval(first, scope)?;
            for (operator, node) in rest {
                let right = eval(node, scope)?;
                left = binary(*operator, &left, &right)?;
            }
            Ok(left)
        }
        Node::Logic { operands, operators } => {
            let mut values = operands.iter().map(|node| eval(node, scope)).collect::<Result<Vec<_>, _>>()?;
            let mut right = values.pop().unwrap_or(Item::Null);
            for (left, operator) in values.iter().zip(operators).rev() {
                right = binary(*operator, left, &right)?;
            }
            Ok(right)
        }
        Node::Conditional(parts) => {
            let [condition, yes, no] = &**parts;
            match eval(condition, scope)? {
                Item::Bool(true) => eval(yes, scope),
                Item::Bool(false) => eval(no, scope),
                Item::Null => Err(Failure::soft("Condition is null in conditional expression")),
                _ => Err(Failure::soft("Condition is not a boolean in conditional expression")),
            }
        }
        Node::Negate(node) => {
            let value = eval(node, scope)?;
            if value.is_integer() {
                Ok(Item::Int(value.as_int()?.wrapping_neg()))
            } else if value.is_double() {
                Ok(Item::Double(-value.as_double()?))
            } else {
                Err(Failure::hard(format!("Cannot negate a non-numeric value : {}", value.as_str())))
            }
        }
        Node::Access(access) => access::access(access, scope),
        Node::Property { source, name } => access::property(*source, name, scope),
        Node::Call { function, arguments, prepared } => {
            functions::call(function, Call { nodes: arguments, prepared, scope, items: Vec::new() })
        }
    }
}

/// A literal without copying its text.
fn borrowed<'a>(item: &'a Item<'static>) -> Item<'a> {
    match item {
        Item::Text(text) => Item::Text(Cow::Borrowed(text)),
        Item::Null => Item::Null,
        Item::Bool(value) => Item::Bool(*value),
        Item::Int(value) => Item::Int(*value),
        Item::Long(value) => Item::Long(*value),
        Item::Double(value) => Item::Double(*value),
        other => other.clone(),
    }
}

/// Numbers that are integers or doubles stay numbers, everything else becomes text, as in MI.
fn array<'a>(nodes: &'a [Node], scope: Scope<'a>) -> Result<Item<'a>, Failure> {
    let mut items = Vec::with_capacity(nodes.len());
    for node in nodes {
        let item = eval(node, scope)?;
        items.push(match &item {
            Item::Null => return Err(Failure::soft("Null value in an array literal")),
            value if value.is_integer() => Json::from(value.as_int()?),
            Item::Double(value) => {
                serde_json::from_str(&java_double(*value)).unwrap_or_else(|_| Json::String(java_double(*value)))
            }
            value => Json::String(value.as_str().into_owned()),
        });
    }
    Ok(Item::Json(Cow::Owned(Json::Array(items))))
}

fn binary(operator: Operator, left: &Item<'_>, right: &Item<'_>) -> Result<Item<'static>, Failure> {
    let equality = matches!(operator, Operator::Equals | Operator::NotEquals);
    if (left.is_null() || right.is_null()) && !equality {
        return Err(Failure::soft(format!(
            "Null inputs for {} operation: {} and {}",
            operator.name(),
            left.as_str(),
            right.as_str()
        )));
    }
    match operator {
        Operator::Equals => Ok(Item::Bool(equal(left, right))),
        Operator::NotEquals => Ok(Item::Bool(!equal(left, right))),
        Operator::Add => add(left, right),
        Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Modulo => {
            arithmetic(operator, left, right)
        }
        Operator::LessThan => compare(left, right, |left, right| left < right),
        Operator::LessThanOrEqual => compare(left, right, |left, right| left <= right),
        Operator::GreaterThan => compare(left, right, |left, right| left > right),
        Operator::GreaterThanOrEqual => compare(left, right, |left, right| left >= right),
        Operator::And | Operator::Or => match (left, right) {
            (Item::Bool(left), Item::Bool(right)) => {
                Ok(Item::Bool(if operator == Operator::And { *left && *right } else { *left || *right }))
            }
            _ => Err(between("Logical operation between non-boolean values", left, right)),
        },
    }
}

fn between(what: &str, left: &Item<'_>, right: &Item<'_>) -> Failure {
    Failure::soft(format!("{what}: {} and {}", left.as_str(), right.as_str()))
}

/// Compares texts, so `5` and `5.0` differ.
fn equal(left: &Item<'_>, right: &Item<'_>) -> bool {
    match (left.is_null(), right.is_null()) {
        (false, false) => left.as_str() == right.as_str(),
        (left, right) => left == right,
    }
}

fn compare(left: &Item<'_>, right: &Item<'_>, holds: fn(&f64, &f64) -> bool) -> Result<Item<'static>, Failure> {
    if !left.is_numeric() || !right.is_numeric() {
        return Err(between("Comparison between non-numeric values", left, right));
    }
    Ok(Item::Bool(holds(&left.as_double()?, &right.as_double()?)))
}

fn add(left: &Item<'_>, right: &Item<'_>) -> Result<Item<'static>, Failure> {
    if left.is_string() && right.is_string() {
        return Ok(Item::Text(Cow::Owned(format!("{}{}", left.as_str(), right.as_str()))));
    }
    if !left.is_numeric() || !right.is_numeric() {
        return Err(between("Addition between non-numeric values", left, right));
    }
    if left.is_double() || right.is_double() {
        return decimals(left, right, Decimal::add, |left, right| left + right);
    }
    let (left_long, right_long) = (left.as_long()?, right.as_long()?);
    if left.is_long() || right.is_long() {
        return Ok(Item::Long(left_long.wrapping_add(right_long)));
    }
    Ok(widened(left_long + right_long))
}

/// An integer, or a long when it does not fit.
fn widened(value: i64) -> Item<'static> {
    i32::try_from(value).map_or(Item::Long(value), Item::Int)
}

/// An operation on decimals, on doubles when the digits do not suffice.
fn decimals(
    left: &Item<'_>,
    right: &Item<'_>,
    exact: fn(Decimal, Decimal) -> Option<Decimal>,
    rough: fn(f64, f64) -> f64,
) -> Result<Item<'static>, Failure> {
    let (left, right) = (left.as_double()?, right.as_double()?);
    let result = Decimal::parse(&java_double(left))
        .zip(Decimal::parse(&java_double(right)))
        .and_then(|(left, right)| exact(left, right))
        .and_then(Decimal::to_f64);
    Ok(Item::Double(result.unwrap_or_else(|| rough(left, right))))
}

fn arithmetic(operator: Operator, left: &Item<'_>, right: &Item<'_>) -> Result<Item<'static>, Failure> {
    if !left.is_numeric() || !right.is_numeric() {
        return Err(between(
            &format!("Arithmetic operation: {} between non-numeric values", operator.name()),
            left,
            right,
        ));
    }
    if right.as_double()? == 0.0 {
        match operator {
            Operator::Divide => return Err(Failure::soft("Division by zero")),
            Operator::Modulo => return Err(Failure::soft("Modulo by zero")),
            _ => {}
        }
    }
    if left.is_double() || right.is_double() {
        return match operator {
            Operator::Subtract => decimals(left, right, Decimal::subtract, |left, right| left - right),
            Operator::Multiply => decimals(left, right, Decimal::multiply, |left, right| left * right),
            Operator::Divide => decimals(left, right, Decimal::divide, |left, right| left / right),
            _ => decimals(left, right, Decimal::remainder, |left, right| left % right),
        };
    }
    let long = left.is_long() || right.is_long();
    let (left, right) = (left.as_long()?, right.as_long()?);
    Ok(match (operator, long) {
        (Operator::Subtract, true) => Item::Long(left.wrapping_sub(right)),
        (Operator::Multiply, true) => Item::Long(left.wrapping_mul(right)),
        (Operator::Divide, true) => Item::Double(left as f64 / right as f64),
        (Operator::Modulo, true) => Item::Long(left.wrapping_rem(right)),
        (Operator::Subtract, false) => Item::Int((left as i32).wrapping_sub(right as i32)),
        (Operator::Multiply, false) => widened(left * right),
        (Operator::Divide, false) if left % right == 0 => Item::Int((left / right) as i32),
        (Operator::Divide, false) => Item::Double(left as f64 / right as f64),
        _ => Item::Int((left % right) as i32),
    })
}
