//! `/proxy-services`. MI: `ProxyServiceResource`.

use mi_config::{ArtifactKind, ProxyConfig};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, enabled};
use crate::artifacts::{Subject, change_aspects, configuration, deployed, explain, mark};
use crate::audit;
use crate::context::{DeployedArtifact, ManagementContext};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("proxyServiceName") {
        let found = deployed.proxies().find(|(proxy, _)| &*proxy.name == name);
        return answer::found(found.map(|(proxy, it)| explain(whole(cx, proxy, it), it)));
    }
    let searched = request.searches();
    let list = deployed.proxies().filter(|(proxy, _)| searched(&proxy.name));
    answer::list(
        list.map(|(proxy, it)| {
            let (wsdl1, wsdl2) = wsdl(cx, &proxy.name);
            mark(json!({"name": &*proxy.name, "wsdl1_1": wsdl1, "wsdl2_0": wsdl2}), it)
        })
        .collect(),
    )
}

/// Addresses of the documents of a service.
pub(super) fn wsdl(cx: &ManagementContext, service: &str) -> (String, String) {
    let base = cx.base_urls().into_iter().next().unwrap_or_default();
    let url = format!("{base}/services/{service}");
    (format!("{url}?wsdl"), format!("{url}?wsdl2"))
}

fn whole(cx: &ManagementContext, proxy: &ProxyConfig, artifact: &DeployedArtifact) -> Value {
    let (wsdl1, wsdl2) = wsdl(cx, &proxy.name);
    let aspects = cx.switches.aspects(ArtifactKind::Proxy, &proxy.name, proxy.aspects);
    let served = |base: &String| {
        let transport = base.split("://").next().unwrap_or_default();
        proxy.transports.is_empty() || proxy.transports.iter().any(|it| it == transport)
    };
    let path = format!("/services/{}", proxy.name);
    let eprs: Vec<String> = cx.base_urls().into_iter().filter(served).map(|base| base + &path).collect();
    let running = cx.engine.snapshot().proxies.get(&proxy.name).is_some_and(|it| it.is_running());
    json!({
        "name": &*proxy.name,
        "wsdl1_1": wsdl1,
        "wsdl2_0": wsdl2,
        "stats": enabled(aspects.statistics),
        "tracing": enabled(aspects.trace),
        "configuration": configuration(artifact),
        "eprs": eprs,
        "isRunning": running,
    })
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(name) = text(&payload, "name") else { return answer::bad("Unsupported operation") };
    if let Some(status) = text(&payload, "status") {
        return change_state(cx, request, &name, &status);
    }
    let deployed = deployed(cx);
    let Some((proxy, _)) = deployed.proxies().find(|(proxy, _)| *proxy.name == *name) else {
        return answer::bad(format!("Specified proxy ('{name}') not found"));
    };
    let info = json!({"proxyName": name});
    let kind = ArtifactKind::Proxy;
    let subject = Subject { kind, name: &name, configured: proxy.aspects, audit: "proxy_service_", info };
    change_aspects(cx, request, &payload, subject)
}

fn change_state(cx: &ManagementContext, request: &Request, name: &str, status: &str) -> HttpReply {
    let snapshot = cx.engine.snapshot();
    let Some(proxy) = snapshot.proxies.get(name) else { return answer::missing("Proxy service could not be found") };
    let (on, done) = match status.to_ascii_lowercase().as_str() {
        "active" => (true, "started"),
        "inactive" => (false, "stopped"),
        _ => return answer::bad("Provided state is not valid"),
    };
    proxy.set_running(on);
    cx.switches.set_running(ArtifactKind::Proxy, name, on);
    audit::change(request, "proxy_service", enabled(on), &json!({"proxyName": name}));
    answer::message(format!("Proxy service {name} {done} successfully"))
}
