//! The properties that a mapping reads: `DM_PROPERTIES.AXIS2['name']`, found in its source and handed over as JSON.

use mi_engine::context::Context;
use mi_message::{Message, Value};
use serde_json::{Map, Value as Json};

/// One property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) scope: String,
    pub(super) name: String,
}

/// What stands before the scope.
const OBJECT: &str = "DM_PROPERTIES.";

/// The properties that a source mentions. MI: `MappingResource#createFunction`.
pub(super) fn used_by(source: &str) -> Vec<Property> {
    let mut found: Vec<Property> = Vec::new();
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '$');
    for rest in source.split(OBJECT).skip(1) {
        let Some((scope, rest)) = rest.split_once("['") else { continue };
        let Some((name, _)) = rest.split_once("']") else { continue };
        let valid =
            scope.chars().all(is_name) && name.chars().all(|letter| is_name(letter) || matches!(letter, '-' | '.'));
        if valid && !scope.is_empty() && !name.is_empty() {
            let property = Property { scope: scope.to_owned(), name: name.to_owned() };
            if !found.contains(&property) {
                found.push(property);
            }
        }
    }
    found
}

/// Their values, by scope and name; what is not set is empty. MI: `DataMapperMediator#getPropertiesMap`.
pub(super) fn to_json(properties: &[Property], cx: &Context) -> String {
    let mut scopes = Map::new();
    for Property { scope, name } in properties {
        let value = value(cx, scope, name);
        if value.is_none() {
            log::warn!(
                target: "DataMapperMediator",
                "{}{scope}['{name}'] not found. Setting it to an empty value.", cx.artifact.log_prefix
            );
        }
        let inner = scopes.entry(scope.clone()).or_insert_with(|| Json::Object(Map::new()));
        if let Some(inner) = inner.as_object_mut() {
            inner.insert(name.clone(), value.as_ref().map_or_else(|| Json::from(""), json));
        }
    }
    Json::Object(scopes).to_string()
}

/// The value of a property by the name of its scope.
pub(super) fn value(cx: &Context, scope: &str, name: &str) -> Option<Value> {
    let message = &cx.message;
    match scope.to_ascii_uppercase().as_str() {
        "DEFAULT" | "SYNAPSE" => message.properties.get(name).cloned(),
        "TRANSPORT" => message.headers.get(name).map(Value::from),
        "AXIS2" => message.axis2.get(name).cloned(),
        "AXIS2CLIENT" => message.axis2_client.get(name).cloned(),
        "OPERATION" => message.operation.get(name).cloned(),
        "FUNC" => message.function_parameter(name).cloned(),
        _ => None,
    }
}

/// The variables of the flow as JSON text.
pub(super) fn variables(message: &Message) -> String {
    let all: Map<String, Json> =
        message.variables.iter().map(|(name, value)| (name.to_string(), json(value))).collect();
    Json::Object(all).to_string()
}

fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        Value::Long(value) => Json::from(*value),
        Value::Float(value) => Json::from(f64::from(*value)),
        Value::Double(value) => Json::from(*value),
        Value::Json(value) => (**value).clone(),
        Value::Map(entries) => entries.iter().map(|(name, value)| (name.to_string(), json(value))).collect(),
        other => Json::from(other.to_text().into_owned()),
    }
}
