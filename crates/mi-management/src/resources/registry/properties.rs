//! `/registry-resources/properties`. MI: `RegistryPropertiesResource`.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use super::{DEFAULT_MEDIA_TYPE, Place};
use crate::answer;
use crate::artifacts::deployed;
use crate::audit;
use crate::context::{ManagementContext, RegistryAccess};
use crate::request::{Request, text};

const AUDIT: &str = "registry_resource_properties";

pub(in crate::resources) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    let place = match Place::of(request) {
        Ok(place) => place,
        Err(reply) => return reply,
    };
    let deployed = deployed(cx);
    let registry = &*deployed.registry;
    if request.is_get() {
        return read(registry, &place, request.query("name"));
    }
    if request.method == Method::DELETE && request.query("name").is_none() {
        return answer::bad("Property name not found in the request");
    }
    let Some(key) = place.key() else { return answer::bad(format!("Invalid registry path: {}", place.shown)) };
    match request.query("name") {
        Some(name) if request.method == Method::DELETE => delete(registry, request, &place, &key, name),
        _ => add(registry, request, &place, &key),
    }
}

/// Properties as MI lists them.
pub(super) fn list(properties: Option<&BTreeMap<String, String>>) -> Vec<Value> {
    properties.into_iter().flatten().map(|(name, value)| json!({"name": name, "value": value})).collect()
}

fn read(registry: &dyn RegistryAccess, place: &Place, name: Option<&str>) -> HttpReply {
    if !place.exists(registry) {
        return answer::bad(format!("Can not find the registry: {}", place.shown));
    }
    let Some(key) = place.key() else { return answer::bad(format!("Invalid registry path: {}", place.shown)) };
    let properties = registry.get(&key).map(|it| it.properties).unwrap_or_default();
    match name {
        None => answer::list(list(Some(&properties))),
        Some(name) => match properties.get(name) {
            Some(value) => answer::ok(&Value::Object([(name.to_owned(), value.as_str().into())].into_iter().collect())),
            None => absent(name),
        },
    }
}

fn absent(name: &str) -> HttpReply {
    answer::bad(format!("Property named {name} does not exist"))
}

/// `[{"name": …, "value": …}, …]`
fn sent(body: &[u8]) -> Option<BTreeMap<String, String>> {
    let Ok(Value::Array(items)) = serde_json::from_slice(body) else { return None };
    items.iter().map(|item| item.as_object().and_then(|it| Some((text(it, "name")?, text(it, "value")?)))).collect()
}

fn add(registry: &dyn RegistryAccess, request: &Request, place: &Place, key: &str) -> HttpReply {
    let Some(properties) = sent(&request.body) else { return answer::bad("Invalid payload for properties") };
    let existed = place.exists(registry);
    let mut resource = registry.get(key).unwrap_or_default();
    resource.properties.extend(properties);
    if !existed {
        resource.bytes = Some(Bytes::new());
        resource.media_type = Some(DEFAULT_MEDIA_TYPE.to_owned());
    }
    let info = json!({"registryResourceName": place.name(), "list": resource.properties});
    if let Err(why) = registry.put(key, resource) {
        return failed(&why);
    }
    audit::change(request, AUDIT, if existed { "updated" } else { "created" }, &info);
    answer::ok(&json!({"message": "Successfully added the registry property"}))
}

fn delete(registry: &dyn RegistryAccess, request: &Request, place: &Place, key: &str, name: &str) -> HttpReply {
    let Some(mut resource) = registry.get(key).filter(|it| !it.properties.is_empty()) else {
        return answer::bad(format!("Cannot find a property file in the path: {}", place.shown));
    };
    if resource.properties.remove(name).is_none() {
        return absent(name);
    }
    if let Err(why) = registry.put(key, resource) {
        return failed(&why);
    }
    audit::change(request, AUDIT, "deleted", &json!({"registryResourceName": place.name(), "propertyName": name}));
    answer::ok(&json!({"message": "Successfully deleted the registry property"}))
}

fn failed(why: &str) -> HttpReply {
    log::error!(target: "MicroIntegratorRegistry", "{why}");
    answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Error while writing properties")
}
