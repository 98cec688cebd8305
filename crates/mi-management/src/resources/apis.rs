//! `/apis`. MI: `ApiResource`.

use mi_config::api::{ResourceMatch, Version};
use mi_config::{ApiConfig, ArtifactKind};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, enabled};
use crate::artifacts::{Subject, change_aspects, configuration, deployed, explain, mark, without_nulls};
use crate::context::{DeployedArtifact, ManagementContext};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("apiName") {
        return answer::found(
            deployed.apis().find(|(api, _)| &*api.name == name).map(|(api, it)| explain(whole(cx, api, it), it)),
        );
    }
    let searched = request.searches();
    answer::list(
        deployed.apis().filter(|(api, _)| searched(&api.name)).map(|(api, it)| mark(brief(cx, api), it)).collect(),
    )
}

fn brief(cx: &ManagementContext, api: &ApiConfig) -> Value {
    let urls = urls(cx, api);
    let aspects = cx.switches.aspects(ArtifactKind::Api, &api.name, api.aspects);
    json!({"name": &*api.name, "url": urls.first(), "urlList": urls, "tracing": enabled(aspects.trace)})
}

fn whole(cx: &ManagementContext, api: &ApiConfig, artifact: &DeployedArtifact) -> Value {
    let urls = urls(cx, api);
    let aspects = cx.switches.aspects(ArtifactKind::Api, &api.name, api.aspects);
    let resources: Vec<Value> = api
        .resources
        .iter()
        .map(|resource| {
            let url = match &resource.matches {
                ResourceMatch::Default => "N/A",
                ResourceMatch::UrlMapping(mapping) => mapping,
                ResourceMatch::UriTemplate(template) => template.source(),
            };
            json!({"methods": resource.methods, "url": url})
        })
        .collect();
    without_nulls(json!({
        "name": &*api.name,
        "url": urls.first(),
        "urlList": urls,
        "version": version(api).unwrap_or("N/A"),
        "stats": enabled(aspects.statistics),
        "tracing": enabled(aspects.trace),
        "resources": resources,
        "host": api.hostname,
        "context": context(api),
        "port": api.port.map_or(-1, i32::from),
        "configuration": configuration(artifact),
    }))
}

fn version(api: &ApiConfig) -> Option<&str> {
    match &api.version {
        Version::None => None,
        Version::Context(version) | Version::Url(version) => Some(version),
    }
}

fn context(api: &ApiConfig) -> String {
    api.context.replace("{version}", version(api).unwrap_or_default())
}

fn urls(cx: &ManagementContext, api: &ApiConfig) -> Vec<String> {
    let mut path = context(api);
    if let Version::Url(version) = &api.version {
        path = format!("{}/{version}", path.trim_end_matches('/'));
    }
    cx.base_urls().into_iter().map(|base| base + &path).collect()
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(name) = text(&payload, "name") else { return answer::bad("Unsupported operation") };
    let deployed = deployed(cx);
    let Some((api, _)) = deployed.apis().find(|(api, _)| *api.name == *name) else {
        return answer::bad(format!("Specified API ('{name}') not found"));
    };
    let info = json!({"apiName": name});
    let subject = Subject { kind: ArtifactKind::Api, name: &name, configured: api.aspects, audit: "api_", info };
    change_aspects(cx, request, &payload, subject)
}
