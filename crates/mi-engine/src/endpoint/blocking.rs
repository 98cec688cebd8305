//! What counts as a failure of a blocking `call` or a `callout`, and how it is told. MI sends them by another client, which
//! takes most statuses that are no success for an exception.

use http::StatusCode;
use mi_message::{Message, Value};

use crate::fault::{Fault, codes};
use crate::transport::Incoming;

/// Lists of statuses, with commas, of the axis2 scope.
const NO_ERRORS: &str = "non.error.http.status.codes";
const ERRORS: &str = "error.http.status.codes";

/// The fault that the status of an answer is. MI: `AbstractHTTPSender#handleResponse` of its Axis2.
pub(super) fn refusal(message: &Message, answer: &Incoming) -> Option<Fault> {
    let status = answer.status;
    let by_default =
        !matches!(status, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_REQUEST | StatusCode::CONFLICT);
    if status.is_success() || !(by_default || lists(message, ERRORS, status)) || lists(message, NO_ERRORS, status) {
        return None;
    }
    let reason = answer.reason.as_deref().or(status.canonical_reason()).unwrap_or_default();
    let text = format!("Transport error: {} Error: {reason}", status.as_u16());
    Some(Fault {
        exception: format!("org.apache.axis2.AxisFault: {text}"),
        ..Fault::coded(status.as_u16().into(), text, "")
    })
}

fn lists(message: &Message, name: &str, status: StatusCode) -> bool {
    message.axis2.get_str(name).is_some_and(|list| list.split(',').any(|it| it.trim() == status.as_str()))
}

/// A failure as the blocking sender tells it: a code of its own for whatever happened on the way.
/// MI: `BlockingMsgSender#send`, with the texts of the exceptions below it.
pub(super) fn failure(fault: Fault) -> Fault {
    let message = match fault.code {
        Some(codes::CONNECTION_FAILED) if fault.detail.contains("refused") => "Connection refused".to_owned(),
        Some(codes::CONNECTION_TIMEOUT) => "Read timed out".to_owned(),
        Some(101_500..=101_599 | codes::ENDPOINT_CUSTOM_ERROR) | None => fault.message.clone(),
        Some(_) => return fault,
    };
    // `responseAction` is not looked at.
    Fault { code: Some(codes::BLOCKING_SENDER_FAILED), message, handled: true, ..fault }
}

/// `HTTP_SC` of a call that failed: the status, where there was one.
pub(super) fn note_status(message: &mut Message, fault: &Fault) {
    match fault.code.filter(|code| (100..1000).contains(code)) {
        Some(status) => {
            message.axis2.set("HTTP_SC", Value::Int(status as i32));
            message.properties.set("HTTP_SC", Value::Int(status as i32));
        }
        None => drop(message.axis2.remove("HTTP_SC")),
    }
}
