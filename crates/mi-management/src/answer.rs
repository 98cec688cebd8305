//! Answers in the words of MI: JSON objects, errors under `Error`, bare status codes. MI: `Utils`.

use http::StatusCode;
use mi_engine::transport::{HttpReply, Payload};
use serde_json::{Value, json};

/// 200 with JSON.
pub(crate) fn ok(value: &Value) -> HttpReply {
    with(StatusCode::OK, value)
}

/// JSON with a status.
pub(crate) fn with(status: StatusCode, value: &Value) -> HttpReply {
    let mut reply = HttpReply::new(status);
    reply.headers.set("Content-Type", "application/json");
    reply.body = Payload::Bytes(value.to_string().into());
    reply
}

/// `{"Error": text}`. MI: `Utils#createJsonError`.
pub(crate) fn error(status: StatusCode, text: impl AsRef<str>) -> HttpReply {
    with(status, &json!({"Error": text.as_ref()}))
}

/// 400 with `{"Error": text}`.
pub(crate) fn bad(text: impl AsRef<str>) -> HttpReply {
    error(StatusCode::BAD_REQUEST, text)
}

/// 404 with `{"Error": text}`.
pub(crate) fn missing(text: impl AsRef<str>) -> HttpReply {
    error(StatusCode::NOT_FOUND, text)
}

/// 200 with `{"Message": text}`.
pub(crate) fn message(text: impl AsRef<str>) -> HttpReply {
    ok(&json!({"Message": text.as_ref()}))
}

/// A status without a body.
pub(crate) fn bare(status: StatusCode) -> HttpReply {
    HttpReply::new(status)
}

/// `{"count": n, "list": […]}`.
pub(crate) fn list(items: Vec<Value>) -> HttpReply {
    ok(&json!({"count": items.len(), "list": items}))
}

/// The object, or a bare 404.
pub(crate) fn found(value: Option<Value>) -> HttpReply {
    value.map_or_else(|| bare(StatusCode::NOT_FOUND), |value| ok(&value))
}

/// The word for a switch.
pub(crate) fn enabled(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

/// The word for what runs.
pub(crate) fn active(on: bool) -> &'static str {
    if on { "active" } else { "inactive" }
}
