//! What is looked up: XPath on the body or a variable, registry resources, secrets.

use std::borrow::Cow;
use std::sync::Arc;

use mi_message::{Text, Value};

use super::{Answer, Call, Prepared, literal, text_item};
use crate::Namespaces;
use crate::synapse::Failure;
use crate::synapse::ast::Node;
use crate::synapse::item::Item;
use crate::xpath_expr::XPathExpr;

/// The XPath of a call: on a plain variable, the variable becomes the start of the path.
fn source(expression: &str, variable: Option<&str>) -> String {
    match variable {
        Some(name) if !name.contains('.') => format!("$var:{name}{expression}"),
        _ => expression.to_owned(),
    }
}

pub(super) fn prepare_xpath(nodes: &[Node], namespaces: &Namespaces) -> Prepared {
    let variable = literal(nodes, 1);
    if nodes.len() == 2 && variable.is_none() {
        return Prepared::Nothing;
    }
    match literal(nodes, 0).map(|text| XPathExpr::parse(&source(&text, variable.as_deref()), namespaces)) {
        Some(Ok(xpath)) => Prepared::XPath(xpath),
        _ => Prepared::Nothing,
    }
}

/// `xpath(expression)` on the body, `xpath(expression, variable)` on a variable or (`name.field`) an entry of one.
pub(super) fn xpath<'a>(call: &Call<'a>) -> Answer<'a> {
    let expression = call.items[0].as_str();
    let variable = call.items.get(1).map(Item::as_str);
    if variable.as_deref() == Some("") {
        return Err(Failure::soft("Invalid variable name provided for XPATH function"));
    }
    let compiled;
    let xpath = match call.prepared {
        Prepared::XPath(xpath) => xpath,
        _ => {
            compiled = XPathExpr::parse(&source(&expression, variable.as_deref()), call.scope.namespaces)
                .map_err(|_| Failure::soft(format!("Invalid XPATH expression : {expression}")))?;
            &compiled
        }
    };
    let (message, lookup) = (call.scope.message, call.scope.lookup);
    let element = match variable.as_deref().and_then(|name| name.split_once('.')) {
        Some((name, field)) => Some(entry(call, name, field)?),
        None => None,
    };
    let value = match element {
        Some(value) if call.scope.typed => xpath.eval_on(&value, message, lookup),
        Some(value) => xpath.eval_text_on(&value, message, lookup).map(text_value),
        None if call.scope.typed => xpath.eval(message, lookup),
        None => xpath.eval_text(message, lookup).map(text_value),
    };
    Ok(match value.map_err(Failure::Hard)? {
        Value::Xml(nodes) => Item::Xml(nodes),
        Value::String(text) => text_item(&*text),
        other => Item::of_value(&other).into_static(),
    })
}

fn text_value(text: Option<Arc<str>>) -> Value {
    text.map_or(Value::String(Text::Fixed("")), Value::from)
}

/// An element that a map variable holds.
fn entry(call: &Call<'_>, name: &str, field: &str) -> Result<mi_message::XmlValue, Failure> {
    let value = match call.scope.message.variables.get(name) {
        None | Some(Value::Null) => return Err(Failure::soft(format!("Variable '{name}' is not defined"))),
        Some(Value::Map(entries)) => entries.iter().find(|(key, _)| &**key == field).map(|(_, value)| value),
        Some(_) => return Err(Failure::soft(format!("Variable '{name}' is not a Map type"))),
    };
    match value {
        Some(Value::Xml(element)) => Ok(element.clone()),
        _ => Err(Failure::soft(format!("Field '{field}' of variable '{name}' is not an XML element"))),
    }
}

/// `registry(path)` gives the content, `registry(path, property)` a property of a resource.
pub(super) fn registry<'a>(call: &Call<'a>) -> Answer<'a> {
    let Some(key) = call.text(0) else { return call.invalid("registry") };
    if let Some(property) = call.text(1) {
        return match call.scope.lookup.registry_property(&key, &property) {
            Some(value) => Ok(text_item(value)),
            None => {
                Err(Failure::soft(format!("Could not find the property: {property} in the registry resource: {key}")))
            }
        };
    }
    match call.scope.lookup.registry(&key) {
        Some(Value::Json(value)) if value.is_object() || value.is_array() => {
            Ok(Item::Json(Cow::Owned(Arc::unwrap_or_clone(value))))
        }
        Some(value) => Ok(text_item(value.to_text())),
        None => Err(Failure::soft(format!("Could not find the registry resource: {key}"))),
    }
}

pub(super) fn wso2_vault<'a>(call: &Call<'a>) -> Answer<'a> {
    let alias = call.items[0].as_str();
    match call.scope.lookup.vault(&alias, "") {
        Some(secret) => Ok(text_item(secret)),
        None => Err(Failure::soft(format!("Error fetching secret value for alias: {alias}"))),
    }
}

/// `hashicorp-vault([namespace,] path, field)`.
pub(super) fn hashicorp_vault<'a>(call: &Call<'a>) -> Answer<'a> {
    let texts: Vec<Cow<'_, str>> = call.items.iter().map(Item::as_str).collect();
    let (namespace, path, field) = match texts.as_slice() {
        [path, field] => (None, path, field),
        [namespace, path, field] => (Some(&**namespace), path, field),
        _ => return call.invalid("hashicorp-vault"),
    };
    match call.scope.lookup.hashicorp(namespace, path, field) {
        Some(secret) => Ok(text_item(secret)),
        None => {
            Err(Failure::soft(format!("Error fetching hashicorp secret value for path: {path} and field: {field}")))
        }
    }
}
