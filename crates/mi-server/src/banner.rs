//! What the server says once it is up: what was deployed and the URLs to try.

use std::time::Duration;

use mi_config::Deployment;
use mi_deployer::Application;
use mi_engine::Snapshot;
use mi_engine::api::Api;

/// The lines, in the order to be printed.
pub fn describe(snapshot: &Snapshot, applications: &[Application], deployment: &Deployment) -> Vec<String> {
    let mut lines = Vec::new();
    for application in applications {
        lines.push(format!("Successfully Deployed Carbon Application : {} {{super-tenant}}", application.id));
    }
    let base = format!("http://localhost:{}", deployment.http_port());
    for api in snapshot.apis.iter() {
        lines.push(format!("API {}: {}", api.name, resource_urls(&base, api)));
    }
    let mut proxies: Vec<&str> = snapshot.proxies.keys().map(|name| &**name).collect();
    proxies.sort_unstable();
    for name in proxies {
        lines.push(format!("Proxy {name}: {base}/services/{name} and {base}/services/{name}?wsdl"));
    }
    lines.push(format!(
        "Probes: http://localhost:{0}/healthz and http://localhost:{0}/liveness",
        deployment.internal_http_port()
    ));
    lines
}

/// Says that the server has started, after the lines of [`describe`].
pub fn started(lines: Vec<String>, took: Duration) {
    for line in lines {
        log::info!(target: "StartupFinalizer", "{line}");
    }
    log::info!(target: "StartupFinalizer", "WSO2 Micro Integrator started in {:.2} seconds", took.as_secs_f64());
}

/// The resources of an API as `METHOD url`, a few of them.
fn resource_urls(base: &str, api: &Api) -> String {
    const SHOWN: usize = 6;
    let context = if &*api.context == "/" { "" } else { &*api.context };
    let mut shown: Vec<String> = api
        .resources
        .iter()
        .take(SHOWN)
        .map(|resource| {
            let methods = if resource.methods.is_empty() { "*".to_owned() } else { resource.methods.join("|") };
            let pattern = resource.pattern().unwrap_or_default();
            let separator = if pattern.is_empty() || pattern.starts_with('/') { "" } else { "/" };
            format!("{methods} {base}{context}{separator}{pattern}")
        })
        .collect();
    if api.resources.len() > SHOWN {
        shown.push(format!("and {} more", api.resources.len() - SHOWN));
    }
    shown.join(", ")
}
