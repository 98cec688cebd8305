//! APIs: which one a request belongs to, which resource of it, and what is answered when there is none.

mod cors;
pub mod openapi;
mod resource;
mod table;

use std::sync::Arc;

use mi_config::api::{Protocol, Version};
use mi_config::{ApiConfig, ResourceConfig};

pub use cors::Cors;
pub(crate) use resource::find as find_resource;
pub use resource::{Found, Resource, ResourceMatch};
pub use table::ApiTable;

use crate::build::BuildCx;
use crate::context::{ArtifactInfo, SequenceTarget};
use crate::metrics::Meters;

/// A deployed API. MI: `API`.
#[derive(Debug)]
pub struct Api {
    /// Name.
    pub name: Arc<str>,
    /// Context as matched: the version is already in it.
    pub context: Arc<str>,
    /// Context as configured with `{version}` replaced, without the version of the `url` strategy.
    pub base_context: Arc<str>,
    /// Version, empty for none.
    pub version: Arc<str>,
    /// `context` or `url`; empty for no versions.
    pub version_type: &'static str,
    /// Host name that the Host header must have.
    pub hostname: Option<String>,
    /// Port that the Host header must have.
    pub port: Option<u16>,
    /// Only this protocol is served.
    pub protocol: Option<Protocol>,
    /// Inbound endpoints that serve the API; empty is the default listener.
    pub binds_to: Vec<String>,
    /// Resources in the order configured.
    pub resources: Vec<Resource>,
    /// Registry key of the published OpenAPI document.
    pub publish_swagger: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// CORS settings of its own, from the product's handler class.
    pub cors: Option<Cors>,
    /// What counts its messages.
    pub meters: Meters,
}

impl Api {
    /// True when both would take the same requests.
    pub fn same_place(&self, other: &Self) -> bool {
        self.context == other.context && self.hostname == other.hostname && self.port == other.port
    }

    /// Do the Host header and the protocol fit? MI: `API#canProcess`.
    pub(crate) fn serves(&self, host: &str, secure: bool) -> bool {
        if self.hostname.is_some() || self.port.is_some() {
            if host.is_empty() {
                return false;
            }
            let (name, port) = split_host(host, secure);
            if self.hostname.as_deref().is_some_and(|wanted| wanted != name) || self.port.is_some_and(|it| it != port) {
                return false;
            }
        }
        let denied = matches!((self.protocol, secure), (Some(Protocol::Http), true) | (Some(Protocol::Https), false));
        if denied {
            let transport = if secure { "https" } else { "http" };
            log::warn!(
                target: "API",
                "Trying to access API : {} on restricted transport chanel [{transport}]", self.name
            );
        }
        !denied
    }
}

/// Name and port of a Host header; without a port the protocol's default.
fn split_host(host: &str, secure: bool) -> (&str, u16) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => {
            (name, port.parse().unwrap_or(0))
        }
        _ => (host, if secure { 443 } else { 80 }),
    }
}

/// Compiles an API.
pub(crate) fn build(config: &ApiConfig, cx: &mut BuildCx<'_>) -> Api {
    let cors = config.handlers.iter().find(|it| it.class == cors::HANDLER).map(Cors::from_handler);
    for handler in config.handlers.iter().filter(|it| it.class != cors::HANDLER) {
        let text = format!("the API handler {} is a Java class, which this server cannot run", handler.class);
        cx.report_degraded(handler.element.warning(text).hint("requests pass as if the handler let them through"));
    }
    let (version, version_type) = match &config.version {
        Version::None => ("", ""),
        Version::Context(version) => (version.as_str(), "context"),
        Version::Url(version) => (version.as_str(), "url"),
    };
    let base_context = config.context.replace("{version}", version);
    let context = match version_type {
        "url" => format!("{}/{version}", base_context.trim_end_matches('/')),
        _ => base_context.clone(),
    };
    let address = |scheme: &str, port: u16| format!("{scheme}://{}:{port}{context}", cx.settings.hostname);
    let (plain, secured) = (address("http", cx.settings.http_port), address("https", cx.settings.https_port));
    let meters = cx.metrics.api(&config.name, &plain, &secured);
    let mut resources: Vec<Resource> =
        config.resources.iter().map(|resource| build_resource(config, &meters, resource, cx)).collect();
    for resource in &mut resources {
        resource.inherit_bindings(&config.binds_to);
    }
    Api {
        name: config.name.clone(),
        context: context.into(),
        base_context: base_context.into(),
        version: version.into(),
        version_type,
        hostname: config.hostname.clone(),
        port: config.port,
        protocol: config.protocol,
        binds_to: config.binds_to.clone(),
        resources,
        meters,
        publish_swagger: config.publish_swagger.clone(),
        description: config.description.clone(),
        cors,
    }
}

fn build_resource(api: &ApiConfig, meters: &Meters, config: &ResourceConfig, cx: &mut BuildCx<'_>) -> Resource {
    let mut target = |sequence: &Option<mi_config::SequenceRef>| sequence.as_ref().map(|it| cx.target(it));
    let in_sequence = target(&config.in_sequence);
    let out_sequence = target(&config.out_sequence);
    let fault_sequence = target(&config.fault_sequence);
    let info = ArtifactInfo {
        kind: "api",
        name: api.name.clone(),
        log_prefix: format!("{{api:{}}} ", api.name).into(),
        out_sequence,
        fault_sequence: fault_sequence.or_else(|| Some(SequenceTarget::Named(cx.sequence_ref("fault")))),
        meters: Some(meters.clone()),
        traced: cx.watch.deployed("api", &api.name, api.aspects.trace),
    };
    Resource::new(config, in_sequence, Arc::new(info))
}
