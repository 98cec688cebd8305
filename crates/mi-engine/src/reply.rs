//! From a message to the answer on the wire, and the answers that the engine makes up itself.

use bytes::Bytes;
use http::StatusCode;
use mi_message::{Body, Headers, Message, SoapVersion, soap};

use crate::api::Cors;
use crate::context::Context;
use crate::exchange::Responder;
use crate::fault::Fault;
use crate::flow;
use crate::transport::{HttpReply, Payload};

/// Fields that belong to one connection or that the transport writes itself.
/// MI: `PassThroughTransportUtils#removeUnwantedHeaders`.
fn is_unwanted(name: &str, preserve_server: bool) -> bool {
    // Told apart by their length first, so that most names cost one comparison.
    let candidates: &[&str] = match name.len() {
        4 => &["Date"],
        6 if !preserve_server => &["Server"],
        10 => &["Connection", "Keep-Alive", "User-Agent"],
        14 => &["Content-Length"],
        17 => &["Transfer-Encoding"],
        _ => return false,
    };
    candidates.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// The header field of the media type.
const CONTENT_TYPE: &str = "Content-Type";

/// Answers the client with the message. A second answer is logged and dropped.
/// MI: `Axis2Sender#sendBack`, `PassThroughHttpSender#submitResponse`.
pub async fn send_back(cx: &mut Context) -> Result<(), Fault> {
    if let Some(responder) = cx.exchange.responder().cloned() {
        return hand_over(cx, &*responder).await;
    }
    if cx.exchange.is_answered() {
        if cx.exchange.is_refused() {
            return Ok(());
        }
        log::warn!(
            target: "Axis2Sender",
            "{}Trying to send a response to an already responded client request", cx.artifact.log_prefix
        );
        return Ok(());
    }
    cx.exchange.note_send();
    prepare_body(cx).await?;
    if cx.artifact.kind == "api" {
        Cors::recall(&cx.message.properties, &mut cx.message.headers);
    }
    let reply = from_message(&mut cx.message, &cx.snapshot.settings)?;
    cx.exchange.answer(reply);
    Ok(())
}

async fn hand_over(cx: &mut Context, responder: &dyn Responder) -> Result<(), Fault> {
    cx.exchange.note_send();
    let body = if responder.wants_body(&cx.message) {
        flow::build_body(cx).await?;
        Some(mi_message::media::format(&cx.message)?.bytes)
    } else {
        None
    };
    responder.respond(&cx.message, body);
    Ok(())
}

/// Builds a body that cannot go out as it came in: another type was asked for, or a switch needs the whole of it.
async fn prepare_body(cx: &mut Context) -> Result<(), Fault> {
    if let Some(version) = other_soap(cx) {
        flow::build_body(cx).await?;
        speak(&mut cx.message, version)?;
    }
    let message = &cx.message;
    if !message.body.is_built() && (needs_building(message) || message.axis2.is_true("HTTP_ETAG")) {
        flow::build_body(cx).await?;
    }
    Ok(())
}

/// The SOAP version of the client, where the answer came from a back end in the other one.
/// MI: `Axis2Sender#doSOAPFormatConversion`.
fn other_soap(cx: &Context) -> Option<SoapVersion> {
    let asked = cx.exchange.request.content_type.as_deref()?;
    if crate::incoming::is_rest(Some(asked)) || cx.message.axis2.is_true("enableMTOM") {
        return None;
    }
    let received = cx.message.headers.get("Content-Type")?.trim_start();
    if asked.contains("application/soap+xml") {
        return (received.starts_with("text/xml") && !cx.message.rest).then_some(SoapVersion::Soap12);
    }
    received.starts_with("application/soap+xml").then_some(SoapVersion::Soap11)
}

fn speak(message: &mut Message, version: SoapVersion) -> Result<(), Fault> {
    let envelope = message.body.envelope_mut()?;
    if envelope.version() != version {
        *envelope = envelope.to_version(version);
    }
    let content_type = match version {
        SoapVersion::Soap11 => "text/xml",
        SoapVersion::Soap12 => "application/soap+xml",
    };
    message.axis2.set("messageType", content_type);
    message.axis2.set("ContentType", content_type);
    message.rest = false;
    Ok(())
}

/// True when the unread body may not be relayed because the flow asked for another content type.
/// MI compares nothing here: without a builder having run, the bytes go out as they came in.
/// `enableMTOM` counts with any value: with `false` a multipart answer becomes plain SOAP. MI: `submitResponse`.
fn needs_building(message: &Message) -> bool {
    message.axis2.contains("enableMTOM") || message.axis2.is_true("enableSwA")
}

/// The status of an answer. MI: `PassThroughTransportUtils#determineHttpStatusCode`.
fn status_of(message: &Message) -> StatusCode {
    if let Some(code) = message.axis2.get("HTTP_SC") {
        let text = code.to_text();
        match text.trim().parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
            Some(status) => return status,
            None => log::warn!(
                target: "PassThroughTransportUtils",
                "Unable to set the HTTP status code from the property HTTP_SC with value: {text}"
            ),
        }
    }
    let is_fault = message.body.is_built()
        && !message.body.is_json()
        && message.body.native().is_ok_and(|native| matches!(native, mi_message::Native::Xml(it) if it.has_fault()));
    let is_fault = is_fault || message.axis2.is_true("PROCESSING_FAULT");
    if is_fault && !message.axis2.is_true("FAULTS_AS_HTTP_200") {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::OK
    }
}

/// Makes the answer out of the message; its body is taken.
pub fn from_message(message: &mut Message, settings: &crate::snapshot::Settings) -> Result<HttpReply, Fault> {
    remove_addressing(message);
    let status = status_of(message);
    let reason = message.axis2.get("HTTP_SC_DESC").map(|text| text.to_text().into_owned());
    let mut fields = outgoing_headers(&message.headers, settings);
    let [close, no_entity] = message.axis2.are_true(["NO_KEEPALIVE", "NO_ENTITY_BODY"]);
    let body = if no_entity {
        if !is_built_with_content(message) {
            fields.remove(CONTENT_TYPE);
        }
        Payload::Empty
    } else if let Some(stream) = message.body.take_stream() {
        relayed_type(message, &mut fields);
        Payload::Stream(stream)
    } else if let Some(raw) = message.body.raw().cloned() {
        relayed_type(message, &mut fields);
        Payload::Bytes(raw)
    } else {
        formatted(message, &mut fields)?
    };
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Ok(HttpReply { status, reason, headers: fields, body: Payload::Empty, close });
    }
    Ok(HttpReply { status, reason, headers: fields, body, close })
}

fn is_built_with_content(message: &Message) -> bool {
    message.body.is_built() && !matches!(message.body.native(), Ok(mi_message::Native::Empty))
}

/// A body that goes out as it came in keeps its content type, unless the flow set another.
fn relayed_type(message: &Message, fields: &mut Headers) {
    if let Some(content_type) = message.axis2.get_str("ContentType")
        && message.axis2.contains("messageType")
        && !(message.headers.get("Content-Type").is_none() && message.body.received_content_type().is_none())
    {
        fields.set(CONTENT_TYPE, content_type);
    }
}

/// A built body, written by its formatter.
fn formatted(message: &mut Message, fields: &mut Headers) -> Result<Payload, Fault> {
    let formatted = mi_message::media::format(message)?;
    match formatted.content_type.as_deref() {
        Some(content_type) => fields.set(CONTENT_TYPE, content_type),
        None => drop(fields.remove(CONTENT_TYPE)),
    }
    let bytes = if crate::incoming::is_gzip(&message.headers) {
        crate::gzip::pack(&formatted.bytes).map_err(|error| Fault::new(error.to_string()))?
    } else {
        formatted.bytes
    };
    Ok(Payload::Bytes(bytes))
}

/// Removes WS-Addressing headers unless the flow wants to keep them. MI: `MessageHelper#removeAddressingHeaders`.
pub(crate) fn remove_addressing(message: &mut Message) {
    if message.properties.is_true("PRESERVE_WS_ADDRESSING") || !message.body.is_built() {
        return;
    }
    if matches!(message.body.native(), Ok(mi_message::Native::Xml(envelope)) if envelope.may_have_addressing())
        && let Ok(envelope) = message.body.envelope_mut()
    {
        soap::remove_addressing(envelope);
    }
}

/// The transport headers that go out: without those that belong to one connection.
pub(crate) fn outgoing_headers(headers: &Headers, settings: &crate::snapshot::Settings) -> Headers {
    headers.filtered(|name, _| {
        !is_unwanted(name, settings.preserve_server)
            || settings.preserve_http_headers.iter().any(|kept| kept.eq_ignore_ascii_case(name))
    })
}

/// 202 without a body: what a client gets when a flow ended and nobody answered. MI: `ServerWorker#sendAck`.
pub fn accepted() -> HttpReply {
    HttpReply::new(StatusCode::ACCEPTED)
}

/// The answer when a fault found no handler. MI: `ServerWorker#handleException`, `FaultHandler`.
pub fn unexpected_error(cx: &Context, fault: &Fault) -> HttpReply {
    let version = match cx.exchange.request.content_type.as_deref() {
        Some(received) if received.contains("application/soap+xml") => SoapVersion::Soap12,
        _ => SoapVersion::Soap11,
    };
    let text = format!(
        "org.apache.synapse.SynapseException: Unexpected error during sending message out. {}",
        fault.message.lines().next().unwrap_or_default()
    );
    soap_fault(version, &text)
}

/// A SOAP fault as a whole answer.
pub fn soap_fault(version: SoapVersion, reason: &str) -> HttpReply {
    let local = match version {
        SoapVersion::Soap11 => "Server",
        SoapVersion::Soap12 => "Receiver",
    };
    let code = soap::FaultCode { prefix: "soapenv", namespace: version.namespace(), local };
    let fault = soap::Fault { code, reason, node: None, role: None, detail: soap::Detail::Text("") };
    let envelope = soap::fault(version, &fault);
    let mut reply = HttpReply::new(StatusCode::INTERNAL_SERVER_ERROR);
    let content_type = match version {
        SoapVersion::Soap11 => "text/xml; charset=UTF-8",
        SoapVersion::Soap12 => "application/soap+xml; charset=UTF-8",
    };
    reply.headers.set(CONTENT_TYPE, content_type);
    let document = envelope.document();
    reply.body = Payload::Bytes(Bytes::from(document.to_xml(envelope.envelope())));
    reply
}

/// A plain answer with a short text.
pub fn plain(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> HttpReply {
    let mut reply = HttpReply::new(status);
    reply.headers.set(CONTENT_TYPE, content_type);
    reply.body = Payload::Bytes(text.into());
    reply
}

/// Turns an answer of our own listener (a `local://` call) into a body that a flow can go on with.
pub fn body_of(reply: Payload, content_type: Option<std::sync::Arc<str>>) -> Body {
    match reply {
        Payload::Empty => Body::from_bytes(Bytes::new(), content_type),
        Payload::Bytes(bytes) => Body::from_bytes(bytes, content_type),
        Payload::Stream(stream) => Body::from_stream(stream, content_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_of_the_other_version_is_translated_whole() {
        for (from, to, content_type) in [
            (SoapVersion::Soap12, SoapVersion::Soap11, "text/xml"),
            (SoapVersion::Soap11, SoapVersion::Soap12, "application/soap+xml"),
            (SoapVersion::Soap11, SoapVersion::Soap11, "text/xml"),
        ] {
            let mut message = Message::new();
            let text = format!("<e:Envelope xmlns:e='{}'><e:Body><a>1</a></e:Body></e:Envelope>", from.namespace());
            let received = if from == SoapVersion::Soap11 { "text/xml" } else { "application/soap+xml" };
            message.body = Body::from_bytes(text, Some(received.into()));
            message.build().unwrap();
            speak(&mut message, to).unwrap();
            let envelope = message.body.envelope().unwrap();
            assert_eq!(envelope.version(), to);
            let written = envelope.document().to_xml(envelope.envelope());
            assert!(written.contains(to.namespace()) && written.contains("<a>1</a>"), "{written}");
            assert_eq!(message.axis2.get_str("messageType"), Some(content_type));
        }
    }
}
