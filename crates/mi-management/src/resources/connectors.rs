//! `/connectors`. MI: `ConnectorResource`, `SynapseAppDeployer#updateStatus`.
//!
//! A connector is enabled or disabled by its import file, as in MI; the deployer follows the file.

use std::path::{Path, PathBuf};

use http::StatusCode;
use mi_config::misc::ImportConfig;
use mi_config::{Artifact, ArtifactKind};
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer::{self, enabled};
use crate::artifacts::deployed;
use crate::audit;
use crate::context::{Connector, Deployed, ManagementContext};
use crate::request::{Request, text};

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return change(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("connectorName") {
        return answer::found(deployed.connectors.iter().find(|it| it.name == name).map(|it| shown(cx, &deployed, it)));
    }
    // MI searches in file names here.
    let searched = request.searches();
    let list = deployed.connectors.iter().filter(|it| searched(&it.file));
    answer::list(list.map(|it| shown(cx, &deployed, it)).collect())
}

fn shown(cx: &ManagementContext, deployed: &Deployed, connector: &Connector) -> Value {
    let imported = import_of(deployed, connector).map(|(import, _)| import.enabled);
    // What was asked for a moment ago holds as soon as the file is deployed.
    let asked = cx.switches.running(ArtifactKind::Import, &qualified(connector));
    json!({
        "name": connector.name,
        "package": connector.package,
        "description": connector.description,
        "status": enabled(asked.or(imported).unwrap_or(connector.of_application)),
    })
}

/// The import of a connector, and its file unless an application brought it. A file counts before an application.
fn import_of<'d>(deployed: &'d Deployed, connector: &Connector) -> Option<(&'d ImportConfig, Option<&'d str>)> {
    let mut found = deployed.artifacts.iter().filter_map(|it| match &it.artifact {
        Artifact::Import(import) if import.library == connector.name && import.package == connector.package => {
            Some((import, it.application.is_none().then(|| &*it.artifact.source().name)))
        }
        _ => None,
    });
    let first = found.next()?;
    if first.1.is_some() { Some(first) } else { Some(found.find(|(_, file)| file.is_some()).unwrap_or(first)) }
}

fn qualified(connector: &Connector) -> String {
    format!("{{{}}}{}", connector.package, connector.name)
}

fn change(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("POST method required json payload") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let members = ["name", "package", "status"].map(|name| text(&payload, name));
    let [Some(name), Some(package), Some(status)] = members else {
        return answer::error(StatusCode::OK, "Missing parameters in payload");
    };
    let deployed = deployed(cx);
    let same =
        |it: &&Connector| it.name.eq_ignore_ascii_case(name.trim()) && it.package.eq_ignore_ascii_case(package.trim());
    let Some(connector) = deployed.connectors.iter().find(same) else {
        return answer::message("Status updated failed");
    };
    // MI: every other word disables.
    let on = status == "enabled";
    let path = match import_of(&deployed, connector) {
        Some((_, Some(file))) => PathBuf::from(file),
        _ => cx.paths.imports.join(file_name(connector)),
    };
    if let Err(error) = write(&path, &import(connector, on)) {
        log::error!(target: "ConnectorResource", "{} cannot be written: {error}", path.display());
        return answer::message("Status updated failed");
    }
    cx.switches.set_running(ArtifactKind::Import, &qualified(connector), on);
    let info = json!({"connectorName": connector.name, "packageName": connector.package, "status": enabled(on)});
    audit::change(request, "connector", "created", &info);
    if !cx.deployment.server.hot_deployment {
        log::warn!(
            target: "ConnectorResource",
            "The connector {} is {} from the next start on, as hot deployment is off",
            connector.name,
            enabled(on)
        );
    }
    answer::message("Status updated successfully")
}

/// As MI names it; what comes from an archive adds no folders.
fn file_name(connector: &Connector) -> String {
    let name: String = qualified(connector).chars().map(|c| if "/\\\0:".contains(c) { '_' } else { c }).collect();
    format!("{name}.xml")
}

fn import(connector: &Connector, on: bool) -> String {
    let quoted = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    format!(
        "<import xmlns=\"http://ws.apache.org/ns/synapse\" name=\"{}\" package=\"{}\" status=\"{}\"/>\n",
        quoted(&connector.name),
        quoted(&connector.package),
        enabled(on)
    )
}

/// Through a second file, which the deployer does not read.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = path.with_extension("part");
    std::fs::write(&part, text)?;
    std::fs::rename(&part, path)
}
