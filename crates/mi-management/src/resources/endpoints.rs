//! `/endpoints`. MI: `EndpointResource`, `createJsonRepresentation` of the endpoint classes.

use mi_config::endpoint::{LoadBalanceAlgorithm, Qos};
use mi_config::{ArtifactKind, EndpointConfig, EndpointKind};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, enabled};
use crate::artifacts::{Subject, change_aspects, configuration, deployed, explain, mark, without_nulls};
use crate::audit;
use crate::context::{DeployedArtifact, ManagementContext};
use crate::masks::mask;
use crate::request::{Request, text};

/// Groups inside of groups are shown down to this depth.
const MAX_DEPTH: usize = 32;

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("endpointName") {
        let found = deployed.endpoints().find(|(_, it)| it.artifact.name() == name);
        return answer::found(found.map(|(endpoint, it)| explain(whole(cx, endpoint, it), it)));
    }
    let searched = request.searches();
    let list = deployed.endpoints().filter(|(_, it)| searched(it.artifact.name()));
    answer::list(
        list.map(|(endpoint, it)| {
            let name = it.artifact.name();
            mark(json!({"name": name, "type": word(endpoint), "isActive": is_active(cx, name)}), it)
        })
        .collect(),
    )
}

/// The element inside of `<endpoint>`.
fn word(endpoint: &EndpointConfig) -> String {
    match &endpoint.kind {
        EndpointKind::Address(_) => "address".to_owned(),
        EndpointKind::Http(_) => "http".to_owned(),
        EndpointKind::Wsdl(_) => "wsdl".to_owned(),
        EndpointKind::Default(_) => "default".to_owned(),
        EndpointKind::LoadBalance(_) => "loadbalance".to_owned(),
        EndpointKind::Failover(_) => "failover".to_owned(),
        EndpointKind::RecipientList(_) => "recipientlist".to_owned(),
        EndpointKind::Template(_) => "template".to_owned(),
        EndpointKind::Indirect { .. } | EndpointKind::Resolving { .. } | EndpointKind::Class { .. } => {
            endpoint.element.first_child().map_or_else(|| "key".to_owned(), |child| child.name().to_owned())
        }
    }
}

/// An endpoint without a state of its own counts as active.
fn is_active(cx: &ManagementContext, name: &str) -> bool {
    let snapshot = cx.engine.snapshot();
    let endpoint = snapshot.endpoints.by_name(name);
    endpoint.is_none_or(|endpoint| endpoint.is_active())
}

fn whole(cx: &ManagementContext, endpoint: &EndpointConfig, artifact: &DeployedArtifact) -> Value {
    let name = artifact.artifact.name();
    let mut value = describe(endpoint, 0);
    let aspects = cx.switches.aspects(ArtifactKind::Endpoint, name, endpoint.aspects);
    value["configuration"] = configuration(artifact).into();
    value["isActive"] = is_active(cx, name).into();
    value["tracing"] = enabled(aspects.trace).into();
    value
}

fn describe(endpoint: &EndpointConfig, depth: usize) -> Value {
    let children = |children: &[EndpointConfig]| -> Vec<Value> {
        if depth >= MAX_DEPTH { Vec::new() } else { children.iter().map(|it| describe(it, depth + 1)).collect() }
    };
    let mut value = match &endpoint.kind {
        EndpointKind::Address(it) => {
            json!({"type": "Address Endpoint", "address": mask(&it.uri), "advanced": advanced(&it.qos)})
        }
        EndpointKind::Http(it) => json!({
            "type": "HTTP Endpoint",
            "method": it.method,
            "uriTemplate": it.uri.as_ref().map(|uri| mask(uri.source())),
            "errorHandler": endpoint.on_error,
            "advanced": advanced(&it.qos),
        }),
        EndpointKind::Wsdl(it) => json!({
            "type": "WSDL Endpoint",
            "wsdlUri": it.uri,
            "serviceName": it.service,
            "portName": it.port,
            "advanced": advanced(&it.qos),
        }),
        EndpointKind::Default(qos) => json!({"type": "Default Endpoint", "children": [], "advanced": advanced(qos)}),
        EndpointKind::LoadBalance(it) => json!({
            "type": "Load Balance Endpoint",
            "algorithm": match it.algorithm {
                LoadBalanceAlgorithm::RoundRobin => "RoundRobin",
                LoadBalanceAlgorithm::WeightedRoundRobin => "WeightedRoundRobin",
                LoadBalanceAlgorithm::WeightedLeastConnections => "WeightedRRLCAlgorithm",
            },
            "buildMessage": it.build_message.unwrap_or(false),
            "isFailover": it.failover,
            "children": children(&it.children),
        }),
        EndpointKind::Failover(it) => json!({"type": "Failover Endpoint", "children": children(&it.children)}),
        EndpointKind::RecipientList(it) => {
            json!({"type": "Recipient List Endpoint", "poolSize": it.max_cache, "children": children(&it.children)})
        }
        EndpointKind::Template(it) => {
            json!({"type": "Template Endpoint", "parameters": it.parameters, "template": it.template})
        }
        EndpointKind::Indirect { key } => json!({"type": "Indirect Endpoint", "key": key}),
        EndpointKind::Resolving { .. } => json!({"type": "Resolving Endpoint"}),
        EndpointKind::Class { class, .. } => json!({"type": "Class Endpoint", "class": class}),
    };
    if let Some(name) = endpoint.name.as_deref() {
        value["name"] = name.into();
    }
    without_nulls(value)
}

/// MI: `AbstractEndpoint#setAdvancedProperties`, with its spelling.
fn advanced(qos: &Qos) -> Value {
    let suspension = &qos.suspension;
    json!({
        "suspendState": {
            "errorCodes": suspension.suspend_codes,
            "maxDuration": suspension.maximum_ms,
            "initialDuration": suspension.initial_ms.unwrap_or(-1),
        },
        "timeoutState": {
            "errorCodes": suspension.timeout_codes,
            "reties": suspension.retries_before_suspension,
        },
    })
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let name = text(&payload, "name");
    if let (Some(name), Some(status)) = (&name, text(&payload, "status")) {
        return change_state(cx, request, name, &status);
    }
    let Some(name) = name else { return answer::bad("Unsupported operation") };
    let deployed = deployed(cx);
    let Some((endpoint, _)) = deployed.endpoints().find(|(_, it)| it.artifact.name() == name) else {
        return answer::bad(format!("Specified endpoint ('{name}') not found"));
    };
    let info = json!({"endpointName": name});
    let kind = ArtifactKind::Endpoint;
    let subject = Subject { kind, name: &name, configured: endpoint.aspects, audit: "endpoint_", info };
    change_aspects(cx, request, &payload, subject)
}

fn change_state(cx: &ManagementContext, request: &Request, name: &str, status: &str) -> HttpReply {
    let snapshot = cx.engine.snapshot();
    let Some(endpoint) = snapshot.endpoints.by_name(name) else {
        return answer::missing("Endpoint does not exist");
    };
    let (on, done) = match status.to_ascii_lowercase().as_str() {
        "active" => (true, "On"),
        "inactive" => (false, "Off"),
        _ => return answer::bad("Provided state is not valid"),
    };
    if !endpoint.switch(on) {
        return answer::bad("This endpoint stands for others and has no state of its own; switch those");
    }
    cx.switches.set_running(ArtifactKind::Endpoint, name, on);
    audit::change(request, "endpoint", enabled(on), &json!({"endpointName": name}));
    answer::message(format!("{name} is switched {done}"))
}
