//! `/message-stores` and `/message-processors`. MI: `MessageStoreResource`, `MessageProcessorResource`.

use http::StatusCode;
use mi_config::{ArtifactKind, MessageProcessorConfig, MessageStoreConfig};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, active};
use crate::artifacts::{
    Startable, change_state, configuration, container, deployed, explain, is_active, mark, parameters, without_nulls,
};
use crate::context::{DeployedArtifact, ManagementContext};
use crate::request::{Request, text};

const PROCESSOR: ArtifactKind = ArtifactKind::MessageProcessor;

pub(super) fn stores(cx: &ManagementContext, request: &Request) -> HttpReply {
    let deployed = deployed(cx);
    if let Some(name) = request.query("name") {
        return match deployed.stores().find(|(store, _)| &*store.name == name) {
            Some((store, it)) => answer::ok(&explain(whole_store(cx, store, it), it)),
            None => answer::missing(format!("Specified message store ('{name}') not found")),
        };
    }
    let searched = request.searches();
    let list = deployed.stores().filter(|(store, _)| searched(&store.name));
    answer::list(
        list.map(|(store, it)| {
            mark(json!({"name": &*store.name, "type": store_type(&store.class), "size": size(cx, store)}), it)
        })
        .collect(),
    )
}

fn store_type(class: &str) -> &'static str {
    match class.rsplit('.').next().unwrap_or(class) {
        "ResequenceMessageStore" => "resequence-message-store",
        "JDBCMessageStore" => "jdbc-message-store",
        "JmsStore" => "jms-message-store",
        "InMemoryStore" => "in-memory-message-store",
        "RabbitMQStore" => "rabbitmq-message-store",
        // This server's own.
        "durable" => "durable-message-store",
        _ => "custom-message-store",
    }
}

fn size(cx: &ManagementContext, store: &MessageStoreConfig) -> u64 {
    cx.run.store_size(&store.name).unwrap_or(0)
}

fn file(artifact: &DeployedArtifact) -> &str {
    let name = &*artifact.artifact.source().name;
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

fn whole_store(cx: &ManagementContext, store: &MessageStoreConfig, artifact: &DeployedArtifact) -> Value {
    without_nulls(json!({
        "name": &*store.name,
        "container": container(artifact),
        "file": file(artifact),
        "properties": parameters(&store.parameters),
        "size": size(cx, store),
        "configuration": configuration(artifact),
    }))
}

pub(super) fn processors(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("name") {
        return match deployed.processors().find(|(processor, _)| &*processor.name == name) {
            Some((processor, it)) => answer::ok(&explain(whole_processor(cx, processor, it), it)),
            None => answer::missing(format!("Specified message processor ('{name}') not found")),
        };
    }
    let searched = request.searches();
    let list = deployed.processors().filter(|(processor, _)| searched(&processor.name));
    answer::list(
        list.map(|(it, artifact)| {
            let brief = json!({"name": &*it.name, "type": processor_type(&it.class), "status": status(cx, it)});
            mark(brief, artifact)
        })
        .collect(),
    )
}

fn processor_type(class: &str) -> &'static str {
    match class.rsplit('.').next().unwrap_or(class) {
        "ScheduledMessageForwardingProcessor" => "Scheduled-message-forwarding-processor",
        "FailoverScheduledMessageForwardingProcessor" => "Failover-scheduled-message-forwarding-processor",
        "SamplingProcessor" => "Sampling-processor",
        _ => "Custom-message-processor",
    }
}

fn status(cx: &ManagementContext, processor: &MessageProcessorConfig) -> &'static str {
    let configured = processor.parameter("is.active").is_none_or(|value| value.trim().eq_ignore_ascii_case("true"));
    active(is_active(cx, PROCESSOR, &processor.name, configured))
}

fn whole_processor(cx: &ManagementContext, processor: &MessageProcessorConfig, artifact: &DeployedArtifact) -> Value {
    without_nulls(json!({
        "name": &*processor.name,
        "type": processor_type(&processor.class),
        "artifactContainer": container(artifact),
        "fileName": file(artifact),
        "parameters": parameters(&processor.parameters),
        "messageStore": processor.store,
        "status": status(cx, processor),
        "configuration": configuration(artifact),
    }))
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let missing = "Missing parameters in payload";
    let payload = match request.payload(missing) {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let (Some(name), Some(status)) = (text(&payload, "name"), text(&payload, "status")) else {
        return answer::error(StatusCode::OK, missing);
    };
    if !deployed(cx).processors().any(|(processor, _)| *processor.name == *name) {
        return answer::missing("Message processor does not exist");
    }
    let info = json!({"messageProcessorName": name});
    change_state(cx, request, &status, Startable { kind: PROCESSOR, name: &name, audit: "message_processor", info })
}
