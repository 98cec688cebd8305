//! What `<call blocking="true">` and `<callout>` have in common: the message stays what it was but for the payload and the
//! status, and failures are told by a property. The codes are made where the endpoint sends.

use std::sync::Arc;

use mi_engine::{Context, Endpoint, Fault, Sent, flow};
use mi_message::{Headers, Message, Value};

const ERROR: &str = "blocking.sender.error";

/// Sends and waits. What comes back is the payload; headers and content type stay those of the request, unless
/// `BLOCKING_SENDER_PRESERVE_REQ_HEADERS` is `false`. MI: `BlockingMsgSender#send`.
pub(super) async fn send(cx: &mut Context, endpoint: Arc<Endpoint>) -> Result<Sent, Fault> {
    let message = &cx.message;
    let (axis2, headers, addressing) = (message.axis2.clone(), message.headers.clone(), message.addressing.clone());
    let (rest, received) = (message.rest, cx.response_received);
    cx.blocking = true;
    let sent = endpoint.send(cx).await;
    cx.blocking = false;
    let sent = match sent {
        Ok(Sent::Answered) => Sent::Answered,
        Ok(other) => return Ok(other),
        Err(fault) => {
            note(&mut cx.message, &fault);
            return Err(fault);
        }
    };
    flow::build_body(cx).await?;
    cx.response_received = received;
    let message = &mut cx.message;
    let status = message.axis2.get("HTTP_SC").map(|status| status.to_text().into_owned());
    let answered = std::mem::replace(&mut message.headers, headers);
    (message.axis2, message.addressing, message.rest) = (axis2, addressing, rest);
    message.axis2.set("HTTP_SC", status.unwrap_or_default());
    message.properties.set(ERROR, "false");
    if wants_headers(message) {
        take_headers(message, answered);
    }
    Ok(sent)
}

/// Shall the message have the headers of the answer?
pub(super) fn wants_headers(message: &Message) -> bool {
    message.properties.get_str("BLOCKING_SENDER_PRESERVE_REQ_HEADERS") == Some("false")
}

/// Gives the message the headers and the content type of an answer. MI: `MessageHelper#copyResponseMessageHeaders`.
pub(super) fn take_headers(message: &mut Message, headers: Headers) {
    if let Some(received) = headers.get("Content-Type") {
        let essence = received.split(';').next().unwrap_or_default().trim().to_owned();
        message.axis2.set("ContentType", essence.as_str());
        message.axis2.set("messageType", essence);
    }
    message.headers = headers;
}

/// Tells of a failure that a copy of the message met.
pub(super) fn note_failure(cx: &mut Context, sent: &Message, fault: &Fault) {
    let status: Option<Value> = sent.axis2.get("HTTP_SC").cloned();
    cx.message.axis2.set_or_remove("HTTP_SC", status);
    note(&mut cx.message, fault);
}

/// An endpoint that takes no messages now has not tried.
fn note(message: &mut Message, fault: &Fault) {
    if !fault.is_not_ready() {
        message.properties.set(ERROR, "true");
    }
}
