//! The functions that may follow a path: `length() min() max() avg() sum() stddev() keys() concat() append() first()
//! last() index()`.

use serde_json::{Number, Value};

use super::number::{double, java_spelling, normalized};
use super::{Parameter, PathError, Token};

/// Calls a function on the value that the path has reached. Jayway: `PathFunctionFactory`.
pub(super) fn call(name: &str, parameters: &[Parameter], root: &Value, model: &Value) -> Result<Value, PathError> {
    match name {
        "length" | "size" => length(parameters, model),
        "min" => Ok(double(numbers(parameters, root, model)?.into_iter().fold(f64::MAX, f64::min))),
        "max" => Ok(double(numbers(parameters, root, model)?.into_iter().fold(f64::MIN, f64::max))),
        "sum" => Ok(double(numbers(parameters, root, model)?.into_iter().sum())),
        "avg" => {
            let numbers = numbers(parameters, root, model)?;
            Ok(double(numbers.iter().sum::<f64>() / numbers.len() as f64))
        }
        "stddev" => {
            let numbers = numbers(parameters, root, model)?;
            let count = numbers.len() as f64;
            let (sum, squares) =
                numbers.iter().fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value));
            Ok(double((squares / count - sum * sum / count / count).sqrt()))
        }
        "keys" => Ok(match model {
            Value::Object(fields) => Value::Array(fields.keys().cloned().map(Value::String).collect()),
            _ => Value::Null,
        }),
        "concat" => {
            let mut text = String::new();
            if let Value::Array(items) = model {
                items.iter().filter_map(Value::as_str).for_each(|item| text.push_str(item));
            }
            for value in arguments(parameters, root)? {
                match &value {
                    Value::Array(items) => items.iter().for_each(|item| push_text(&mut text, item)),
                    single => push_text(&mut text, single),
                }
            }
            Ok(Value::String(text))
        }
        "append" => {
            let mut result = model.clone();
            if let Value::Array(items) = &mut result {
                items.extend(arguments(parameters, root)?);
            }
            Ok(result)
        }
        "first" => element(model, 0),
        "last" => element(model, -1),
        "index" => match numbers(parameters, root, &Value::Null)?.first() {
            Some(index) => element(model, *index as i64),
            None => Err(PathError::Invalid("Function index needs a number".to_owned())),
        },
        other => Err(PathError::Invalid(format!("Function with name: {other} does not exist."))),
    }
}

fn push_text(text: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(part) => text.push_str(part),
        other => match &*normalized(other) {
            Value::Number(number) => text.push_str(&java_spelling(number)),
            other => text.push_str(&other.to_string()),
        },
    }
}

fn arguments(parameters: &[Parameter], root: &Value) -> Result<Vec<Value>, PathError> {
    parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Json(value) => Ok(value.clone()),
            Parameter::Path(path) => path.find(root).map(super::Found::into_value),
        })
        .collect()
}

/// The numbers of the array that was reached, and of the arguments.
fn numbers(parameters: &[Parameter], root: &Value, model: &Value) -> Result<Vec<f64>, PathError> {
    let mut found: Vec<f64> = Vec::new();
    if let Value::Array(items) = model {
        found.extend(items.iter().filter_map(Value::as_f64));
    }
    for value in arguments(parameters, root)? {
        match &value {
            Value::Array(items) => found.extend(items.iter().filter_map(Value::as_f64)),
            single => found.extend(single.as_f64()),
        }
    }
    if found.is_empty() {
        return Err(empty());
    }
    Ok(found)
}

fn empty() -> PathError {
    PathError::Invalid("Aggregation function attempted to calculate value using empty array".to_owned())
}

/// Elements or fields of the value; with an argument, of what that path finds below the value.
fn length(parameters: &[Parameter], model: &Value) -> Result<Value, PathError> {
    let counted = |value: &Value| match value {
        Value::Array(items) => Some(items.len()),
        Value::Object(fields) => Some(fields.len()),
        _ => None,
    };
    if let Some(Parameter::Path(path)) = parameters.first() {
        if path.is_function() {
            if let Value::Array(items) = path.find(model)?.into_value() {
                return Ok(Value::Number(Number::from(items.len())));
            }
        } else {
            let mut tokens = path.inner.tokens.clone();
            tokens.push(Token::Wildcard);
            let children = path.rebuilt(&tokens).hits(model, model, false)?;
            return Ok(Value::Number(Number::from(children.len())));
        }
    }
    Ok(counted(model).map_or(Value::Null, |count| Value::Number(Number::from(count))))
}

fn element(model: &Value, index: i64) -> Result<Value, PathError> {
    let Value::Array(items) = model else { return Err(empty()) };
    let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let effective = if index < 0 { length.saturating_add(index) } else { index };
    match usize::try_from(effective).ok().and_then(|at| items.get(at)) {
        Some(value) => Ok(normalized(value).into_owned()),
        None => Err(PathError::Invalid(format!("Target index:{index} larger than object count:{length}"))),
    }
}
