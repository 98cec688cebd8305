//! Strings.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Answer, Call, Prepared, literal, text_item};
use crate::Namespaces;
use crate::java_search::Search;
use crate::java_text;
use crate::synapse::Failure;
use crate::synapse::ast::Node;
use crate::synapse::item::Item;

fn int<'a>(value: usize) -> Item<'a> {
    i32::try_from(value).map_or(Item::Long(value as i64), Item::Int)
}

pub(super) fn length<'a>(call: &Call<'a>) -> Answer<'a> {
    let item = &call.items[0];
    if item.is_string() {
        return Ok(int(java_text::length(&item.as_str())));
    }
    match item.as_container().as_deref() {
        Some(Json::Array(items)) => Ok(int(items.len())),
        _ => call.invalid("length"),
    }
}

/// Strings, and other JSON values found in a payload as their text.
fn mapped<'a>(call: &Call<'a>, name: &str, change: fn(&str) -> String) -> Answer<'a> {
    match call.text(0) {
        Some(text) => Ok(text_item(change(&text))),
        None => call.invalid(name),
    }
}

pub(super) fn to_upper<'a>(call: &Call<'a>) -> Answer<'a> {
    mapped(call, "toUpper", str::to_uppercase)
}

pub(super) fn to_lower<'a>(call: &Call<'a>) -> Answer<'a> {
    mapped(call, "toLower", str::to_lowercase)
}

pub(super) fn trim<'a>(call: &Call<'a>) -> Answer<'a> {
    mapped(call, "trim", |text| java_text::trim(text).to_owned())
}

pub(super) fn sub_string<'a>(call: &Call<'a>) -> Answer<'a> {
    let (Some(text), Some(start)) = (call.text(0), call.integer(1)) else { return call.invalid("subString") };
    let length = java_text::length(&text);
    let within = |value: i32| usize::try_from(value).ok().filter(|value| *value <= length);
    if call.items.len() == 2 {
        return match within(start) {
            Some(from) => Ok(text_item(java_text::substring(&text, from, length))),
            None => Err(Failure::soft(format!("Invalid index for subString: {start}, source string length: {length}"))),
        };
    }
    let Some(end) = call.integer(2) else { return call.invalid("subString") };
    match (within(start), within(end)) {
        (Some(from), Some(to)) if from <= to => Ok(text_item(java_text::substring(&text, from, to))),
        _ => Err(Failure::soft(format!("Invalid subString indices: start={start}, end={end}, string length={length}"))),
    }
}

fn tested<'a>(call: &Call<'a>, name: &str, test: fn(&str, &str) -> bool) -> Answer<'a> {
    match (call.text(0), call.text(1)) {
        (Some(text), Some(part)) => Ok(Item::Bool(test(&text, &part))),
        _ => call.invalid(name),
    }
}

pub(super) fn starts_with<'a>(call: &Call<'a>) -> Answer<'a> {
    tested(call, "startsWith", |text, part| text.starts_with(part))
}

pub(super) fn ends_with<'a>(call: &Call<'a>) -> Answer<'a> {
    tested(call, "endsWith", |text, part| text.ends_with(part))
}

pub(super) fn contains<'a>(call: &Call<'a>) -> Answer<'a> {
    tested(call, "contains", |text, part| text.contains(part))
}

pub(super) fn replace<'a>(call: &Call<'a>) -> Answer<'a> {
    match (call.text(0), call.text(1), call.text(2)) {
        (Some(text), Some(old), Some(new)) => Ok(text_item(text.replace(&*old, &new))),
        _ => call.invalid("replace"),
    }
}

pub(super) fn prepare_split(nodes: &[Node], _: &Namespaces) -> Prepared {
    match literal(nodes, 1).map(|pattern| Search::compile(&pattern)) {
        Some(Ok(regex)) => Prepared::Pattern(regex),
        _ => Prepared::Nothing,
    }
}

pub(super) fn split<'a>(call: &Call<'a>) -> Answer<'a> {
    let (Some(text), Some(pattern)) = (call.text(0), call.text(1)) else { return call.invalid("split") };
    let parts = match call.prepared {
        Prepared::Pattern(regex) => regex.split(&text),
        _ => Search::compile(&pattern).map_err(Failure::hard)?.split(&text),
    };
    Ok(Item::Json(Cow::Owned(Json::Array(parts.into_iter().map(Json::String).collect()))))
}

pub(super) fn index_of<'a>(call: &Call<'a>) -> Answer<'a> {
    let (Some(text), Some(part)) = (call.text(0), call.text(1)) else { return call.invalid("indexOf") };
    let from = match (call.items.len(), call.integer(2)) {
        (2, _) => 0,
        (_, Some(from)) => usize::try_from(from).unwrap_or(0),
        _ => return call.invalid("indexOf"),
    };
    Ok(java_text::index_of(&text, &part, from).map_or(Item::Int(-1), int))
}

pub(super) fn char_at<'a>(call: &Call<'a>) -> Answer<'a> {
    let (Some(text), Some(index)) = (call.text(0), call.integer(1)) else { return call.invalid("charAt") };
    match usize::try_from(index) {
        Ok(at) if at < java_text::length(&text) => Ok(text_item(java_text::substring(&text, at, at + 1))),
        _ => Err(Failure::soft(format!("Invalid index provided for charAt function. source: {text}, index: {index}"))),
    }
}
