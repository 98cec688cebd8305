//! `/templates`. MI: `TemplateResource`.

use http::StatusCode;
use mi_config::{ArtifactKind, EndpointTemplateConfig, SequenceTemplateConfig};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer;
use crate::artifacts::{Subject, change_aspects, configuration, deployed, explain, without_nulls};
use crate::context::{Deployed, DeployedArtifact, ManagementContext};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    match (request.query("type"), request.query("name")) {
        (Some(kind), Some(name)) => answer::found(one(&deployed, kind, name)),
        (Some(kind), None) => names(&deployed, kind),
        (None, _) => {
            let searched = request.searches();
            let endpoints = deployed.endpoint_templates().filter(|(it, _)| searched(&it.name));
            let sequences = deployed.sequence_templates().filter(|(it, _)| searched(&it.name));
            let endpoints: Vec<Value> = endpoints.map(|(template, it)| of_endpoint(template, it)).collect();
            let sequences: Vec<Value> = sequences.map(|(template, it)| of_sequence(template, it)).collect();
            let names = |all: &[Value]| all.iter().map(|it| json!({"name": it["name"]})).collect::<Vec<_>>();
            // The two lists of names are those of former versions, which the command line still reads.
            let (endpoint_names, sequence_names) = (names(&endpoints), names(&sequences));
            let count = endpoints.len() + sequences.len();
            answer::ok(&json!({
                "count": count,
                "list": endpoints.into_iter().chain(sequences).collect::<Vec<_>>(),
                "endpointTemplateList": endpoint_names,
                "sequenceTemplateList": sequence_names,
            }))
        }
    }
}

fn one(deployed: &Deployed, kind: &str, name: &str) -> Option<Value> {
    match kind.to_ascii_lowercase().as_str() {
        "endpoint" => deployed
            .endpoint_templates()
            .find(|(it, _)| &*it.name == name)
            .map(|(template, it)| of_endpoint(template, it)),
        "sequence" => deployed
            .sequence_templates()
            .find(|(it, _)| &*it.name == name)
            .map(|(template, it)| of_sequence(template, it)),
        _ => None,
    }
}

fn names(deployed: &Deployed, kind: &str) -> HttpReply {
    let named = |name: &str| json!({"name": name});
    match kind.to_ascii_lowercase().as_str() {
        "endpoint" => answer::list(deployed.endpoint_templates().map(|(it, _)| named(&it.name)).collect()),
        "sequence" => answer::list(deployed.sequence_templates().map(|(it, _)| named(&it.name)).collect()),
        _ => answer::error(StatusCode::OK, format!("Received type {kind} is not a valid template type")),
    }
}

fn of_endpoint(template: &EndpointTemplateConfig, artifact: &DeployedArtifact) -> Value {
    json!({
        "name": &*template.name,
        "Parameters": template.parameters,
        "configuration": configuration(artifact),
        "type": "endpoint",
    })
}

fn of_sequence(template: &SequenceTemplateConfig, artifact: &DeployedArtifact) -> Value {
    let parameter = |it: &mi_config::template::TemplateParameter| {
        without_nulls(json!({
            "name": it.name,
            "mandatory": it.mandatory,
            "defaultValue": it.default,
            "description": it.description,
        }))
    };
    let whole = json!({
        "name": &*template.name,
        "Parameters": template.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "configuration": configuration(artifact),
        "type": "sequence",
    });
    explain(whole, artifact)
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let kind = text(&payload, "type").or_else(|| request.query("type").map(str::to_owned));
    let (Some(name), Some("sequence")) = (text(&payload, "name"), kind.as_deref()) else {
        return answer::bad("Unsupported operation");
    };
    let deployed = deployed(cx);
    let Some((template, _)) = deployed.sequence_templates().find(|(it, _)| *it.name == *name) else {
        return answer::bad(format!("Specified sequence template ('{name}') not found"));
    };
    let info = json!({"sequenceName": name, "sequenceType": "sequence"});
    let (kind, configured) = (ArtifactKind::SequenceTemplate, template.aspects);
    change_aspects(cx, request, &payload, Subject { kind, name: &name, configured, audit: "sequence_template_", info })
}
