//! `/connectors`. MI: `ConnectorResource`.

use http::StatusCode;
use mi_config::Artifact;
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, enabled};
use crate::artifacts::deployed;
use crate::context::{Connector, Deployed, ManagementContext};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("connectorName") {
        return answer::found(deployed.connectors.iter().find(|it| it.name == name).map(|it| shown(&deployed, it)));
    }
    // MI searches in file names here.
    let searched = request.searches();
    let list = deployed.connectors.iter().filter(|it| searched(&it.file));
    answer::list(list.map(|it| shown(&deployed, it)).collect())
}

fn shown(deployed: &Deployed, connector: &Connector) -> Value {
    let imported = deployed.artifacts.iter().find_map(|it| match &it.artifact {
        Artifact::Import(import) if import.library == connector.name && import.package == connector.package => {
            Some(import.enabled)
        }
        _ => None,
    });
    json!({
        "name": connector.name,
        "package": connector.package,
        "description": connector.description,
        "status": enabled(imported.unwrap_or(connector.of_application)),
    })
}

/// Connectors are enabled by their import files; this server does not write those.
fn change(request: &Request) -> HttpReply {
    let payload = match request.payload("POST method required json payload") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    if ["name", "status", "package"].iter().any(|name| text(&payload, name).is_none()) {
        return answer::error(StatusCode::OK, "Missing parameters in payload");
    }
    answer::message("Status updated failed")
}
