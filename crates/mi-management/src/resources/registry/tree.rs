//! `/registry-resources`: what is in a folder. MI: `RegistryResource`, `MicroIntegratorRegistry#getRegistryResourceJSON`.

use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use super::{DEFAULT_MEDIA_TYPE, Place};
use crate::answer;
use crate::artifacts::deployed;
use crate::context::{ManagementContext, RegistryAccess, Resource};
use crate::request::Request;

/// Folders are shown down to this depth.
const MAX_DEPTH: usize = 64;
/// Entries of one answer; what comes after them is left out.
const MAX_ENTRIES: usize = 100_000;

pub(in crate::resources) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    let place = match Place::of(request) {
        Ok(place) => place,
        Err(reply) => return reply,
    };
    let deployed = deployed(cx);
    let registry = &*deployed.registry;
    let Some(children) = place.children(registry) else { return answer::bad("Invalid registry path") };
    // Names are compared in lower case and the key is not, as in MI.
    let search = request.query("searchKey").filter(|key| !key.trim().is_empty());
    if search.is_some() || request.query("expand") == Some("true") {
        let mut left = MAX_ENTRIES;
        let tree = branch(registry, &place, search.unwrap_or_default(), 0, &mut left);
        return answer::ok(&json!({"list": tree.unwrap_or_else(|| json!({}))}));
    }
    answer::list(children.iter().map(|name| entry(registry, &place, name)).collect())
}

fn media_type(resource: Option<&Resource>) -> &str {
    resource.and_then(|it| it.media_type.as_deref()).unwrap_or(DEFAULT_MEDIA_TYPE)
}

fn entry(registry: &dyn RegistryAccess, folder: &Place, name: &str) -> Value {
    let plain = name.trim_end_matches('/');
    let resource = folder.child(plain).key().and_then(|key| registry.get(&key));
    let properties = super::properties::list(resource.as_ref().map(|it| &it.properties));
    let media_type = if name.ends_with('/') { "directory" } else { media_type(resource.as_ref()) };
    json!({"name": plain, "mediaType": media_type, "properties": properties})
}

/// A folder with what fits the search; `None` when nothing does.
fn branch(registry: &dyn RegistryAccess, place: &Place, search: &str, depth: usize, left: &mut usize) -> Option<Value> {
    let mut files = Vec::new();
    let children = if depth < MAX_DEPTH { place.children(registry).unwrap_or_default() } else { Vec::new() };
    for name in children {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let child = place.child(name.trim_end_matches('/'));
        if name.ends_with('/') {
            files.extend(branch(registry, &child, search, depth + 1, left));
        } else if name.to_lowercase().contains(search) {
            let resource = child.key().and_then(|key| registry.get(&key));
            files.push(json!({"name": name, "type": media_type(resource.as_ref()), "files": []}));
        }
    }
    let shown = !files.is_empty() || place.name().to_lowercase().contains(search);
    shown.then(|| json!({"name": place.name(), "type": "directory", "files": files}))
}
