//! Types: tests and conversions.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::{Answer, Call, text_item};
use crate::synapse::Failure;
use crate::synapse::item::{Item, java_double_of};

pub(super) fn is_string<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Bool(call.items[0].is_string()))
}

pub(super) fn is_number<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Bool(call.double(0).is_some()))
}

pub(super) fn is_array<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Bool(call.items[0].is_array()))
}

pub(super) fn is_object<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Bool(call.items[0].is_object()))
}

pub(super) fn string<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(text_item(call.items[0].as_str()))
}

pub(super) fn integer<'a>(call: &Call<'a>) -> Answer<'a> {
    let item = &call.items[0];
    if let Some(value) = call.integer(0) {
        return Ok(Item::Int(value));
    }
    match item.as_str().parse() {
        Ok(value) => Ok(Item::Int(value)),
        Err(_) => Err(Failure::soft("Invalid argument provided for integer conversion")),
    }
}

pub(super) fn float<'a>(call: &Call<'a>) -> Answer<'a> {
    match java_double_of(&call.items[0].as_str()) {
        Some(value) => Ok(Item::Double(value)),
        None => Err(Failure::soft("Invalid argument provided for float conversion")),
    }
}

pub(super) fn boolean<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Bool(call.items[0].as_str().eq_ignore_ascii_case("true")))
}

fn container<'a>(call: &Call<'a>, fits: fn(&Json) -> bool, what: &str) -> Answer<'a> {
    if let Item::Json(json) = &call.items[0]
        && fits(json)
    {
        return Ok(Item::Json(json.clone()));
    }
    match call.items[0].as_container() {
        Some(json) if fits(&json) => Ok(Item::Json(Cow::Owned(json.into_owned()))),
        _ => Err(Failure::soft(format!("Argument cannot be converted to a JSON {what}"))),
    }
}

pub(super) fn object<'a>(call: &Call<'a>) -> Answer<'a> {
    container(call, Json::is_object, "object")
}

pub(super) fn array<'a>(call: &Call<'a>) -> Answer<'a> {
    container(call, Json::is_array, "array")
}

pub(super) fn not<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Bool(!call.items[0].as_bool()?))
}
