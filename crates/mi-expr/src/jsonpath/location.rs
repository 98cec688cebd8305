//! Concrete places in a JSON value, for editing: what a path found, key by key.

use std::sync::Arc;

use serde_json::Value;

/// One step of a [`JsonLocation`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JsonStep {
    /// The field of an object.
    Key(Arc<str>),
    /// The element of an array, counted from the start.
    Index(usize),
}

/// The way from the root to one value; empty for the root itself.
pub type JsonLocation = Vec<JsonStep>;

/// The value at a place.
pub fn get<'v>(root: &'v Value, location: &[JsonStep]) -> Option<&'v Value> {
    location.iter().try_fold(root, |value, step| match step {
        JsonStep::Key(key) => value.as_object()?.get(&**key),
        JsonStep::Index(index) => value.as_array()?.get(*index),
    })
}

/// The value at a place, for editing.
pub fn get_mut<'v>(root: &'v mut Value, location: &[JsonStep]) -> Option<&'v mut Value> {
    location.iter().try_fold(root, |value, step| match step {
        JsonStep::Key(key) => value.as_object_mut()?.get_mut(&**key),
        JsonStep::Index(index) => value.as_array_mut()?.get_mut(*index),
    })
}

/// Replaces the value at a place. A missing field is added to an existing object, an index one behind the end appends
/// to an existing array. False when there is no such place.
pub fn set(root: &mut Value, location: &[JsonStep], value: Value) -> bool {
    let Some((step, parent)) = location.split_last() else {
        *root = value;
        return true;
    };
    match (get_mut(root, parent), step) {
        (Some(Value::Object(fields)), JsonStep::Key(key)) => {
            fields.insert((**key).to_owned(), value);
            true
        }
        (Some(Value::Array(items)), JsonStep::Index(index)) if *index < items.len() => {
            items[*index] = value;
            true
        }
        (Some(Value::Array(items)), JsonStep::Index(index)) if *index == items.len() => {
            items.push(value);
            true
        }
        _ => false,
    }
}

/// Takes the value at a place out of its object or array; the order of the others is kept. The root is replaced by
/// null. `None` when there is nothing.
pub fn remove(root: &mut Value, location: &[JsonStep]) -> Option<Value> {
    let Some((step, parent)) = location.split_last() else { return Some(root.take()) };
    match (get_mut(root, parent)?, step) {
        (Value::Object(fields), JsonStep::Key(key)) => fields.shift_remove(&**key),
        (Value::Array(items), JsonStep::Index(index)) if *index < items.len() => Some(items.remove(*index)),
        _ => None,
    }
}

/// Appends to the array at a place. False when there is no array.
pub fn add(root: &mut Value, location: &[JsonStep], value: Value) -> bool {
    match get_mut(root, location) {
        Some(Value::Array(items)) => {
            items.push(value);
            true
        }
        _ => false,
    }
}

/// Sets a field of the object at a place. False when there is no object.
pub fn put(root: &mut Value, location: &[JsonStep], key: &str, value: Value) -> bool {
    match get_mut(root, location) {
        Some(Value::Object(fields)) => {
            fields.insert(key.to_owned(), value);
            true
        }
        _ => false,
    }
}

/// The place of the object or array around a place, and the last step. `None` for the root.
pub fn parent(location: &[JsonStep]) -> Option<(&[JsonStep], &JsonStep)> {
    location.split_last().map(|(step, parent)| (parent, step))
}

/// The place as a path: `$['a'][0]`.
pub fn to_path(location: &[JsonStep]) -> String {
    let mut text = String::from("$");
    for step in location {
        match step {
            JsonStep::Key(key) => {
                text.push_str("['");
                text.push_str(&key.replace('\\', "\\\\").replace('\'', "\\'"));
                text.push_str("']");
            }
            JsonStep::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}
