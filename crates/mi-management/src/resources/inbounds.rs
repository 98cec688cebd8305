//! `/inbound-endpoints`. MI: `InboundEndpointResource`.

use mi_config::{ArtifactKind, InboundConfig};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, active, enabled};
use crate::artifacts::{
    Startable, Subject, change_aspects, change_state, configuration, deployed, explain, is_active, mark, parameters,
    without_nulls,
};
use crate::context::{DeployedArtifact, ManagementContext};
use crate::request::{Request, text};

const KIND: ArtifactKind = ArtifactKind::InboundEndpoint;

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("inboundEndpointName") {
        let found = deployed.inbounds().find(|(inbound, _)| &*inbound.name == name);
        return answer::found(found.map(|(inbound, it)| explain(whole(cx, inbound, it), it)));
    }
    let searched = request.searches();
    let list = deployed.inbounds().filter(|(inbound, _)| searched(&inbound.name));
    answer::list(
        list.map(|(inbound, it)| {
            let brief = json!({"name": &*inbound.name, "protocol": inbound.protocol, "status": status(cx, inbound)});
            mark(without_nulls(brief), it)
        })
        .collect(),
    )
}

fn status(cx: &ManagementContext, inbound: &InboundConfig) -> &'static str {
    active(is_active(cx, KIND, &inbound.name, !inbound.suspend))
}

fn whole(cx: &ManagementContext, inbound: &InboundConfig, artifact: &DeployedArtifact) -> Value {
    let aspects = cx.switches.aspects(KIND, &inbound.name, inbound.aspects);
    let parameters: Vec<Value> = parameters(&inbound.parameters)
        .into_iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    without_nulls(json!({
        "name": &*inbound.name,
        "protocol": inbound.protocol,
        "sequence": inbound.sequence,
        "error": inbound.on_error,
        "status": status(cx, inbound),
        "stats": enabled(aspects.statistics),
        "tracing": enabled(aspects.trace),
        "configuration": configuration(artifact),
        "parameters": parameters,
    }))
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(name) = text(&payload, "name") else { return answer::bad("Unsupported operation") };
    let deployed = deployed(cx);
    let Some((inbound, _)) = deployed.inbounds().find(|(inbound, _)| *inbound.name == *name) else {
        return answer::bad(format!("Specified inbound endpoint ('{name}') not found"));
    };
    let info = json!({"inboundEndpointName": name});
    if let Some(status) = text(&payload, "status") {
        return change_state(
            cx,
            request,
            &status,
            Startable { kind: KIND, name: &name, audit: "inbound_endpoint", info },
        );
    }
    let configured = inbound.aspects;
    change_aspects(
        cx,
        request,
        &payload,
        Subject { kind: KIND, name: &name, configured, audit: "inbound_endpoint_", info },
    )
}
