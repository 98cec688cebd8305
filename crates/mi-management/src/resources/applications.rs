//! `/applications`: what is deployed, download, upload and removal of CARs. MI: `CarbonAppResource`.
//!
//! Uploads land in the folder that the server watches; deploying them is the watcher's work.

use std::path::{Path, PathBuf};

use http::StatusCode;
use mi_engine::transport::{HttpReply, Payload};
use serde_json::{Value, json};

use super::logs::stream_file;
use crate::answer;
use crate::artifacts::{deployed, without_nulls};
use crate::audit;
use crate::context::{Application, ManagementContext};
use crate::multipart;
use crate::request::Request;

const EXTENSION: &str = ".car";

pub(super) fn handle(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return upload(cx, request);
    }
    let deployed = deployed(cx);
    if let Some(name) = request.query("carbonAppName") {
        if request.header("Accept") == Some("application/octet-stream") {
            return download(cx, name);
        }
        return answer::found(deployed.applications.iter().find(|it| it.name == name).map(shown));
    }
    let searched = request.searches();
    let list = |all: &[Application]| all.iter().filter(|it| searched(&it.name)).map(shown).collect::<Vec<Value>>();
    let (active, faulty) = (list(&deployed.applications), list(&deployed.faulty));
    answer::ok(&json!({
        "totalCount": active.len() + faulty.len(),
        "activeCount": active.len(),
        "activeList": active,
        "faultyCount": faulty.len(),
        "faultyList": faulty,
    }))
}

fn shown(application: &Application) -> Value {
    let artifact = |(name, kind): &(String, String)| {
        let kind = kind.split_once('/').map_or(kind.as_str(), |(_, kind)| kind);
        json!({"name": name, "type": kind})
    };
    without_nulls(json!({
        "name": application.name,
        "version": application.version,
        "artifacts": application.artifacts.iter().map(artifact).collect::<Vec<_>>(),
    }))
}

/// The path of a file directly in the folder; `None` for a name that would leave it.
pub(super) fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0', ':']);
    plain.then(|| folder.join(name))
}

fn download(cx: &ManagementContext, name: &str) -> HttpReply {
    let body = inside(&cx.paths.applications, name).and_then(|path| stream_file(&path, &cx.paths.applications));
    let Some(body) = body else { return answer::bare(StatusCode::INTERNAL_SERVER_ERROR) };
    let mut reply = HttpReply::new(StatusCode::OK);
    reply.headers.set("Content-Type", "application/octet-stream");
    reply.body = Payload::Stream(body);
    reply
}

fn upload(cx: &ManagementContext, request: &Request) -> HttpReply {
    let refused = |why: &str| answer::bad(format!("Error when deploying the Carbon Application. {why}"));
    let content_type = request.header("Content-Type").unwrap_or_default();
    if !content_type.contains("multipart/form-data") {
        return refused("Supports only for the Content-Type : multipart/form-data");
    }
    let part = match multipart::parts(content_type, &request.body).as_mut().map(|parts| (parts.pop(), parts.len())) {
        None => return refused("No valid element found. "),
        Some((None, _)) => return refused("No file exist to be uploaded. "),
        Some((Some(part), 0)) => part,
        Some((Some(_), _)) => return refused("Uploading Multiple files in one request is not supported. "),
    };
    let Some(name) = part.filename.filter(|name| name.ends_with(EXTENSION)) else {
        return refused("Only files with the extension .car is supported. ");
    };
    let Some(path) = inside(&cx.paths.applications, &name) else {
        return refused("The file name is not valid. ");
    };
    match write(&cx.paths.applications, &path, &part.body) {
        Ok(()) => {
            let text = format!("Successfully added Carbon Application {name}");
            log::info!(target: "CarbonAppResource", "{text}");
            audit::change(request, "carbon_application", "created", &json!({"cAppFileName": name}));
            answer::message(text)
        }
        Err(error) => {
            log::error!(target: "CarbonAppResource", "Error when deploying the Carbon Application {name}: {error}");
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, "Error when deploying the Carbon Application ")
        }
    }
}

/// Through a second file, so that nobody deploys a half.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}

/// MI: the resource with a name is the one without, but for DELETE; what is listed or uploaded does not depend on the name.
pub(super) fn named(cx: &ManagementContext, request: &Request) -> HttpReply {
    if request.method == http::Method::DELETE { delete(cx, request) } else { handle(cx, request) }
}

fn delete(cx: &ManagementContext, request: &Request) -> HttpReply {
    let name = request.tail.as_deref().unwrap_or_default();
    let path = inside(&cx.paths.applications, &format!("{name}{EXTENSION}")).filter(|path| path.exists());
    let Some(path) = path else {
        return answer::missing(format!("Cannot remove the Carbon Application.{name} does not exist"));
    };
    // An application may be a folder, too.
    let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
    match removed {
        Ok(()) => {
            audit::change(request, "carbon_application", "deleted", &json!({"cAppFileName": name}));
            answer::message(format!("Successfully removed Carbon Application named {name}"))
        }
        Err(error) => {
            let text = format!("Error when removing the Carbon Application {name}{EXTENSION}");
            log::error!(target: "CarbonAppResource", "{text}: {error}");
            answer::error(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
