//! The audit log: who changed what. MI: `AuditLogger`.

use chrono::Utc;
use serde_json::{Value, json};

use crate::request::Request;

const LOGGER: &str = "AUDIT_LOG";

/// A change. `info` is written as text inside the line, as MI does.
pub(crate) fn change(request: &Request, kind: &str, action: &str, info: &Value) {
    let line = json!({
        "performedBy": request.user_name(),
        "action": action,
        "type": kind,
        "info": info.to_string(),
    });
    log::info!(target: LOGGER, "{line}");
}

/// Someone came or went.
pub(crate) fn session(user: &str, what: &str) {
    // A name is what a client sent; a line break in it must not begin a line of its own.
    let user = user.replace(char::is_control, " ");
    log::info!(target: LOGGER, "{user} {what} at [{}]", Utc::now().format("%a %b %d %H:%M:%S UTC %Y"));
}
