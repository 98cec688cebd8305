//! `/registry-resources/content` and `/metadata`. MI: `RegistryContentResource`, `RegistryMetadataResource`.

use bytes::Bytes;
use http::{Method, StatusCode};
use mi_engine::transport::{HttpReply, Payload};
use serde_json::json;

use super::{DEFAULT_MEDIA_TYPE, Place};
use crate::answer;
use crate::artifacts::deployed;
use crate::audit;
use crate::context::{ManagementContext, RegistryAccess};
use crate::multipart;
use crate::request::Request;

pub(in crate::resources) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    let place = match Place::of(request) {
        Ok(place) => place,
        Err(reply) => return reply,
    };
    let deployed = deployed(cx);
    let registry = &*deployed.registry;
    let exists = place.exists(registry);
    if request.is_get() {
        return if exists { read(registry, &place) } else { not_found(&place) };
    }
    if request.method == Method::POST {
        if exists {
            return answer::bad("Registry already exists. Can not POST an existing registry");
        }
    } else if !exists {
        return answer::bad(format!("Registry does not exists in the path: {}", place.shown));
    }
    let Some(key) = place.key() else { return answer::bad(format!("Invalid registry path: {}", place.shown)) };
    if request.method == Method::DELETE {
        delete(registry, request, &place, &key)
    } else {
        write(registry, request, &place, &key)
    }
}

fn not_found(place: &Place) -> HttpReply {
    answer::bad(format!("Can not find the registry: {}", place.shown))
}

fn read(registry: &dyn RegistryAccess, place: &Place) -> HttpReply {
    let bytes = place.key().and_then(|key| registry.get(&key)).and_then(|it| it.bytes);
    let Some(bytes) = bytes else {
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Error occurred while reading the requested file");
    };
    let mut reply = HttpReply::new(StatusCode::OK);
    // Not one that a browser would render.
    reply.headers.set("Content-Type", "application/txt");
    reply.body = Payload::Bytes(bytes);
    reply
}

/// The content that was sent: the part `file` of a form, or the whole body.
fn content(request: &Request) -> Result<Bytes, HttpReply> {
    let Some(content_type) = request.header("Content-Type") else {
        return Err(answer::bad("Error while fetching Content-Type from request"));
    };
    if !content_type.contains("multipart/form-data") {
        return Ok(request.body.clone());
    }
    let parts = multipart::parts(content_type, &request.body).unwrap_or_default();
    let file = parts.into_iter().find(|part| part.name == "file");
    file.map(|part| part.body).ok_or_else(|| answer::bad("Error while fetching file content from payload"))
}

fn write(registry: &dyn RegistryAccess, request: &Request, place: &Place, key: &str) -> HttpReply {
    let bytes = match content(request) {
        Ok(bytes) => bytes,
        Err(reply) => return reply,
    };
    let adds = request.method == Method::POST;
    let mut resource = registry.get(key).unwrap_or_default();
    resource.bytes = Some(bytes);
    if adds {
        resource.media_type = Some(request.query("mediaType").unwrap_or(DEFAULT_MEDIA_TYPE).to_owned());
    }
    if let Err(why) = registry.put(key, resource) {
        log::error!(target: "MicroIntegratorRegistry", "{why}");
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Error occurred while writing the registry resource");
    }
    let (action, done) = if adds { ("created", "added") } else { ("updated", "modified") };
    audit::change(request, "registry_resource", action, &json!({"registryResourceName": place.name()}));
    answer::ok(&json!({"message": format!("Successfully {done} the registry resource")}))
}

fn delete(registry: &dyn RegistryAccess, request: &Request, place: &Place, key: &str) -> HttpReply {
    match registry.delete(key) {
        Ok(_) => {
            audit::change(request, "registry_resource", "deleted", &json!({"registryResourceName": place.name()}));
            answer::ok(&json!({"message": "Successfully deleted the registry resource"}))
        }
        Err(why) => {
            log::error!(target: "MicroIntegratorRegistry", "{why}");
            let text = "Seems that the file still exists but unable to delete the resource";
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}

pub(in crate::resources) fn metadata(cx: &ManagementContext, request: &Request) -> HttpReply {
    let place = match Place::of(request) {
        Ok(place) => place,
        Err(reply) => return reply,
    };
    let deployed = deployed(cx);
    if !place.exists(&*deployed.registry) {
        return not_found(&place);
    }
    let failed = |text: &str| answer::error(StatusCode::INTERNAL_SERVER_ERROR, text);
    if place.children(&*deployed.registry).is_some() {
        return failed("Can not fetch metadata for a directory.");
    }
    match place.key().and_then(|key| deployed.registry.get(&key)).and_then(|it| it.media_type) {
        Some(media_type) => answer::ok(&json!({"name": place.name(), "mediaType": media_type})),
        None => failed("Error while fetching metadata"),
    }
}
