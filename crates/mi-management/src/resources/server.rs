//! The root, `/server` and `/configs`. MI: `RootResource`, `MetaDataResource`, `ConfigsResource`.

use std::sync::atomic::Ordering;

use http::StatusCode;
use mi_engine::transport::HttpReply;
use serde_json::{Value, json};

use crate::answer;
use crate::context::{End, ManagementContext};
use crate::request::{Request, text};

const PRODUCT: &str = "WSO2 Micro Integrator";

pub(super) fn root(cx: &ManagementContext, _: &Request) -> HttpReply {
    answer::ok(&json!({PRODUCT: cx.product_version, "ManagementApi": "Active"}))
}

pub(super) fn server(cx: &ManagementContext, request: &Request) -> HttpReply {
    if !request.is_get() {
        return end(cx, request);
    }
    // There is no Java; tools print these members and expect them to be there.
    answer::ok(&json!({
        "carbonHome": cx.paths.home.display().to_string(),
        "javaHome": "",
        "javaVersion": "",
        "javaVendor": "",
        "osName": kernel("ostype"),
        "osVersion": kernel("osrelease"),
        "productName": PRODUCT,
        "productVersion": cx.product_version,
    }))
}

/// What Linux says of itself, as Java does; nothing elsewhere.
fn kernel(what: &str) -> String {
    let said = std::fs::read_to_string(format!("/proc/sys/kernel/{what}"));
    said.map(|it| it.trim().to_owned()).unwrap_or_default()
}

fn end(cx: &ManagementContext, request: &Request) -> HttpReply {
    let payload = match request.payload("JSON payload is missing.") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    let Some(status) = text(&payload, "status") else {
        return answer::error(StatusCode::OK, "Invalid payload structure received.");
    };
    // What it does, and what MI writes into its log about it (`CoreServerInitializer`).
    let (graceful, restart, what, told) = match status.as_str() {
        "shutdown" => (false, false, "shutdown", "Shutting down"),
        "shutdownGracefully" => (true, false, "shutdown gracefully", "Gracefully shutting down"),
        "restart" => (false, true, "restart", "Restarting"),
        "restartGracefully" => (true, true, "restart gracefully", "Gracefully restarting"),
        _ => return answer::error(StatusCode::OK, "Invalid server status received."),
    };
    crate::audit::change(request, "server", if restart { "restarted" } else { "stopped" }, &json!({"status": status}));
    log::info!(target: "CoreServerInitializer", "{told} {PRODUCT}...");
    if restart {
        log::info!(target: "CoreServerInitializer", "Starting a new Carbon instance. Current instance will be shutdown");
    }
    cx.server.end(End { graceful, restart });
    answer::message(format!("The server will start to {what}."))
}

/// MI puts this in front of what is wrong.
fn wrong(what: &str) -> HttpReply {
    answer::bad(format!(" Error : {what}"))
}

pub(super) fn configs(cx: &ManagementContext, request: &Request) -> HttpReply {
    if request.is_get() {
        return match request.query("configName") {
            None => wrong("Missing Required Query Parameter : configName"),
            Some("correlation") => {
                answer::ok(&json!({"configName": "correlation", "configs": {"enabled": cx.correlation()}}))
            }
            Some(other) => wrong(&format!("{other} configName not found")),
        };
    }
    let payload = match request.payload("JSON payload is missing") {
        Ok(payload) => payload,
        Err(reply) => return reply,
    };
    match text(&payload, "configName").as_deref() {
        None => return wrong("Missing Required Field: configName"),
        Some("correlation") => {}
        Some(other) => return wrong(&format!("{other} configName not found")),
    }
    let Some(configs) = payload.get("configs").and_then(Value::as_object) else {
        return wrong("Missing Required Field: configs");
    };
    let Some(enabled) = text(configs, "enabled") else { return wrong("Missing Required Field: enabled") };
    cx.correlation.store(enabled.eq_ignore_ascii_case("true"), Ordering::Relaxed);
    answer::ok(&json!({"message": "Successfully Updated Correlation Logs Status"}))
}
