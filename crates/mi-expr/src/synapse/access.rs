//! Reads the payload, variables, headers, properties, parameters and configuration values.
//! MI: `PayloadAccessNode`, `HeadersAndPropertiesAccessNode`.

use std::borrow::Cow;
use std::sync::Arc;

use mi_message::{BodyError, Native, Value};
use serde_json::Value as Json;

use super::Failure;
use super::ast::{Access, Path, Piece, Root, Source, Tail};
use super::eval::{Scope, eval};
use super::item::Item;
use crate::jsonpath::{JsonPath, PathError};
use crate::property;

/// A header, property, parameter or configuration value. Text that looks like a number is one.
pub(super) fn property<'a>(source: Source, name: &str, scope: Scope<'a>) -> Result<Item<'a>, Failure> {
    let message = scope.message;
    let text: Option<Cow<'a, str>> = match source {
        Source::Header => message.headers.get(name).map(Cow::Borrowed),
        Source::Config => match scope.lookup.config(name) {
            Some(value) => Some(Cow::Owned(value)),
            None => return Err(Failure::soft(format!("The value of the key:[{name}] is null"))),
        },
        Source::FunctionParameter => match property::function_parameter(name, message, scope.lookup) {
            Ok(Some(Cow::Borrowed(value))) => text_of(value),
            Ok(Some(Cow::Owned(value))) => text_of(&value).map(|text| Cow::Owned(text.into_owned())),
            Ok(None) => None,
            Err(error) => return Err(Failure::soft(error.message)),
        },
        Source::QueryParameter => message.properties.get(&format!("query.param.{name}")).and_then(text_of),
        Source::PathParameter => message.properties.get(&format!("uri.var.{name}")).and_then(text_of),
        Source::Synapse => message.properties.get(name).and_then(text_of),
        Source::Axis2 => message.axis2.get(name).and_then(text_of),
    };
    match text {
        Some(text) => Ok(Item::number_or_text(text)),
        None => Err(Failure::soft(format!("Could not fetch the value of the key: {name}"))),
    }
}

fn text_of(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::Json(json) => Some(Cow::Owned(json.to_string())),
        other => Some(other.to_text()),
    }
}

/// The payload, a variable or a function's result, with the path behind it.
pub(super) fn access<'a>(access: &'a Access, scope: Scope<'a>) -> Result<Item<'a>, Failure> {
    let path = match &access.tail {
        Tail::None => None,
        Tail::Static(path) => Some(Cow::Borrowed(path)),
        Tail::Dynamic { pieces, last } => {
            let text = written(pieces, scope)?;
            let mut last = last.try_lock().ok();
            let known = last.as_deref().and_then(|last| last.as_ref()).filter(|(known, _)| *known == text);
            Some(Cow::Owned(match known {
                Some((_, path)) => path.clone(),
                None => {
                    let path = Path::compile(&text).map_err(Failure::hard)?;
                    if let Some(last) = last.as_deref_mut() {
                        *last = Some((text, path.clone()));
                    }
                    path
                }
            }))
        }
        Tail::Invalid(message) => return Err(Failure::hard(message.to_string())),
    };
    match &access.root {
        Root::Payload => payload(path.as_deref(), scope),
        Root::Variable(name) => variable(name, path.as_deref(), access, scope),
        Root::Call(node) => function_result(eval(node, scope)?, path.as_deref(), access),
    }
}

/// The text of a path with its computed parts put in.
fn written(pieces: &[Piece], scope: Scope<'_>) -> Result<String, Failure> {
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Index(node, original) | Piece::Operand(node, original) => match eval(node, scope)? {
                Item::Null => text.push_str(original),
                item if item.is_string() => push_quoted(&mut text, &item.as_str()),
                item => text.push_str(&item.as_str()),
            },
            Piece::Indexes(nodes) => {
                for (at, node) in nodes.iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    match eval(node, scope)? {
                        item if item.is_string() => push_quoted(&mut text, &item.as_str()),
                        item => text.push_str(&item.as_str()),
                    }
                }
            }
            Piece::Slice(bounds) => {
                // Jayway has no steps: a third bound is read and not used.
                for (at, bound) in bounds.iter().take(2).enumerate() {
                    if at > 0 {
                        text.push(':');
                    }
                    if let Some(node) = bound {
                        text.push_str(&eval(node, scope)?.as_str().replace('"', ""));
                    }
                }
            }
        }
    }
    Ok(text)
}

fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

fn payload<'a>(path: Option<&Path>, scope: Scope<'a>) -> Result<Item<'a>, Failure> {
    let body = &scope.message.body;
    if matches!(body.native(), Ok(Native::Empty)) {
        return Err(Failure::soft("Error while fetching the payload, Payload is empty"));
    }
    let value: &'a Arc<Json> = body.json().map_err(|error| match error {
        BodyError::Malformed(_) => Failure::soft("Error while parsing payload"),
        other => Failure::Hard(other.into()),
    })?;
    match path {
        None => Ok(Item::of_json(Cow::Borrowed(&**value), false)),
        Some(path) => read(&path.whole, Cow::Borrowed(&**value)),
    }
}

/// Evaluates a path and gives its result as an item. The results of a value that is owned are owned.
fn read<'a>(path: &JsonPath, root: Cow<'a, Json>) -> Result<Item<'a>, Failure> {
    match root {
        Cow::Borrowed(root) => read_borrowed(path, root),
        Cow::Owned(root) => read_borrowed(path, &root).map(Item::into_static),
    }
}

fn read_borrowed<'a>(path: &JsonPath, root: &'a Json) -> Result<Item<'a>, Failure> {
    let failed = |error: PathError| match error {
        PathError::NotFound(message) => Failure::Soft(message),
        other => Failure::Hard(other.into()),
    };
    let mut hits = path.hits(root, root, false).map_err(failed)?;
    if path.is_definite() {
        let hit = hits.pop().ok_or_else(|| Failure::soft(format!("No results for path: {path}")))?;
        return Ok(Item::of_json(hit.value, hit.by_index));
    }
    let values = hits.into_iter().map(|hit| hit.value.into_owned()).collect();
    Ok(Item::Json(Cow::Owned(Json::Array(values))))
}

fn variable<'a>(name: &str, path: Option<&Path>, access: &Access, scope: Scope<'a>) -> Result<Item<'a>, Failure> {
    let value = match scope.message.variables.get(name) {
        Some(value) if !value.is_null() => value,
        _ => return Err(Failure::soft(format!("Variable {name} is not defined"))),
    };
    let Some(path) = path else { return Ok(Item::of_value(value)) };
    let not_json =
        || Failure::soft(format!("Could not evaluate JSONPath expression: {} on non-JSON variable value", access.text));
    match value {
        Value::Map(entries) => entry(entries, path, access),
        Value::Json(json) => read(&path.whole, Cow::Borrowed(json)),
        Value::Xml(_) => Err(not_json()),
        other => read(&path.whole, Cow::Owned(text_as_json(&other.to_text()))),
    }
}

/// A text as JSON; one that is none is a JSON string, as the lenient parser of MI takes it.
pub(crate) fn text_as_json(text: &str) -> Json {
    if text.trim().is_empty() {
        return Json::Null;
    }
    mi_message::convert::parse_json(text.as_bytes()).unwrap_or_else(|_| Json::String(text.to_owned()))
}

/// An entry of a map variable (the result of a connector), and the path behind its name. Maps may hold maps.
fn entry<'a>(entries: &'a [(Arc<str>, Value)], path: &Path, access: &Access) -> Result<Item<'a>, Failure> {
    let mut entries = entries;
    let mut first = path.first.clone();
    loop {
        let Some((key, rest)) = first else {
            return Err(Failure::soft(format!("Could not find key: {} in the variable", access.text)));
        };
        let value = match entries.iter().find(|(name, _)| *name == key) {
            Some((_, value)) if !value.is_null() => value,
            _ => return Err(Failure::soft(format!("Could not find key: {key} in the variable: {}", access.text))),
        };
        match value {
            other if rest.is_root() => return Ok(Item::of_value(other)),
            Value::Json(json) => {
                let header = (&*key == "headers").then(|| header_entry(json, &rest)).flatten();
                return match header {
                    Some((value, None)) => Ok(Item::of_json(Cow::Borrowed(value), false)),
                    Some((value, Some(rest))) => read(&rest, Cow::Borrowed(value)),
                    None => read(&rest, Cow::Borrowed(json)),
                };
            }
            Value::Map(inner) => {
                entries = inner;
                first = rest.split_first_key();
            }
            _ => {
                return Err(Failure::soft(format!(
                    "Could not evaluate JSONPath expression: {rest} on non-JSON object"
                )));
            }
        }
    }
}

/// A header of an answer that is asked for with letters of another case: names are not kept as they were sent.
fn header_entry<'a>(headers: &'a Json, path: &JsonPath) -> Option<(&'a Json, Option<JsonPath>)> {
    let (name, rest) = path.split_first_key()?;
    let headers = headers.as_object().filter(|it| !it.contains_key(&*name))?;
    let (_, value) = headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(&name))?;
    Some((value, (!rest.is_root()).then_some(rest)))
}

fn function_result<'a>(item: Item<'a>, path: Option<&Path>, access: &Access) -> Result<Item<'a>, Failure> {
    let Some(path) = path else { return Ok(item) };
    match item {
        Item::Json(json) => read(&path.whole, json),
        Item::Xml(_) => Err(Failure::soft(format!(
            "Could not evaluate JSONPath expression: {} on non-JSON registry value",
            access.text
        ))),
        Item::Null => {
            Err(Failure::soft(format!("Could not find a JSON payload to evaluate the expression: {}", access.text)))
        }
        other => read(&path.whole, Cow::Owned(text_as_json(&other.as_str()))),
    }
}
