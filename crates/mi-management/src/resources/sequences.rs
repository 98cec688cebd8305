//! `/sequences`. MI: `SequenceResource`.

use mi_config::{ArtifactKind, SequenceConfig};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use super::mediators;
use crate::answer::{self, enabled};
use crate::artifacts::{Subject, change_aspects, configuration, container, deployed, explain, mark, without_nulls};
use crate::context::{DeployedArtifact, ManagementContext};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("sequenceName") {
        let found = deployed.sequences().find(|(sequence, _)| &*sequence.name == name);
        return answer::found(found.map(|(sequence, it)| {
            let mut value = explain(brief(cx, sequence, it), it);
            value["mediators"] = mediators::classes(&sequence.body.element).into();
            value["configuration"] = configuration(it).into();
            value
        }));
    }
    let searched = request.searches();
    let list = deployed.sequences().filter(|(sequence, _)| searched(&sequence.name));
    answer::list(list.map(|(sequence, it)| mark(brief(cx, sequence, it), it)).collect())
}

fn brief(cx: &ManagementContext, sequence: &SequenceConfig, artifact: &DeployedArtifact) -> Value {
    let aspects = cx.switches.aspects(ArtifactKind::Sequence, &sequence.name, sequence.body.aspects);
    without_nulls(json!({
        "name": &*sequence.name,
        "container": container(artifact),
        "stats": enabled(aspects.statistics),
        "tracing": enabled(aspects.trace),
    }))
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(name) = text(&payload, "name") else { return answer::bad("Unsupported operation") };
    let deployed = deployed(cx);
    let Some((sequence, _)) = deployed.sequences().find(|(sequence, _)| *sequence.name == *name) else {
        return answer::bad(format!("Specified sequence ('{name}') not found"));
    };
    let info = json!({"sequenceName": name});
    let (kind, configured) = (ArtifactKind::Sequence, sequence.body.aspects);
    change_aspects(cx, request, &payload, Subject { kind, name: &name, configured, audit: "sequence_", info })
}
