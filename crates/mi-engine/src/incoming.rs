//! From the wire to a message: requests of clients and answers of back ends.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Version};
use http_body::Body as _;
use mi_message::{Body, BodyStream, Headers, Message, Properties, Text, Value};

use crate::exchange::RequestInfo;
use crate::fault::{Fault, codes};
use crate::snapshot::Settings;
use crate::transport::{HttpRequest, Incoming};

/// Address of whoever waits for an answer.
pub const ANONYMOUS: &str = "http://www.w3.org/2005/08/addressing/anonymous";

/// Names of the properties that every message gets.
pub(crate) mod names {
    pub(crate) const HTTP_METHOD: &str = "HTTP_METHOD";
    pub(crate) const CONTENT_TYPE: &str = "ContentType";
    pub(crate) const MESSAGE_TYPE: &str = "messageType";
    pub(crate) const REMOTE_ADDR: &str = "REMOTE_ADDR";
    pub(crate) const REMOTE_HOST: &str = "REMOTE_HOST";
    pub(crate) const TRANSPORT_IN_URL: &str = "TransportInURL";
    pub(crate) const REST_URL_POSTFIX: &str = "REST_URL_POSTFIX";
    pub(crate) const HTTP_SC: &str = "HTTP_SC";
    pub(crate) const HTTP_SC_DESC: &str = "HTTP_SC_DESC";
    pub(crate) const NO_ENTITY_BODY: &str = "NO_ENTITY_BODY";
    pub(crate) const TRANSPORT_IN_NAME: &str = "TRANSPORT_IN_NAME";
}

/// Media types that most messages have.
const MEDIA_TYPES: [&str; 5] =
    ["application/json", "text/xml", "application/xml", "text/plain", "application/soap+xml"];

/// The name of a method.
fn method_name(method: &Method) -> Text {
    Text::Fixed(match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => return Text::from(method.as_str()),
    })
}

/// The address of a peer as text. A thread hears from the same few ones, so the last is kept.
fn address_text(address: IpAddr) -> Text {
    thread_local! {
        static LAST: RefCell<Option<(IpAddr, Arc<str>)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| match last {
        Some((known, text)) if *known == address => text.clone().into(),
        _ => {
            let text: Arc<str> = address.to_string().into();
            *last = Some((address, text.clone()));
            text.into()
        }
    })
}

/// What a client sent, as a message with an unread body, and the facts that its answer depends on.
/// MI: `ServerWorker#createMessageContext`, `#processEntityEnclosingRequest`, `#processNonEntityEnclosingRESTHandler`.
pub fn request(request: HttpRequest, settings: &Settings) -> (Box<Message>, RequestInfo) {
    let HttpRequest { method, target, version, headers, body, peer, local, secure, .. } = request;
    let content_type = headers.get("Content-Type").map(Arc::<str>::from);
    let has_entity = has_entity(&method, version, &headers, &body);
    let mut message = Box::new(Message::new());
    message.axis2 = Properties::with_capacity(12);
    message.properties = Properties::with_capacity(12);
    let axis2 = &mut message.axis2;
    axis2.put_new(names::HTTP_METHOD, method_name(&method));
    match &content_type {
        Some(received) => {
            axis2.put_new(names::CONTENT_TYPE, received.clone());
            axis2.put_new(names::MESSAGE_TYPE, media_type(received));
        }
        None => axis2.put_new(names::MESSAGE_TYPE, Text::Fixed("application/xml")),
    }
    if !has_entity {
        axis2.put_new(names::NO_ENTITY_BODY, true);
    }
    let peer_address = address_text(peer.ip());
    let target: Arc<str> = target.into();
    axis2.put_new(names::REMOTE_ADDR, peer_address.clone());
    axis2.put_new(names::REMOTE_HOST, peer_address);
    axis2.put_new(names::TRANSPORT_IN_URL, target.clone());
    message.properties.put_new(names::TRANSPORT_IN_NAME, Text::Fixed(if secure { "https" } else { "http" }));
    message.rest = is_rest(content_type.as_deref());
    let soap_action = soap_action(&headers, content_type.as_deref());
    message.addressing.action.clone_from(&soap_action);
    message.addressing.to = Some((*target).to_owned());
    let info = RequestInfo {
        method: method_name(&method),
        http10: version == Version::HTTP_10,
        secure,
        content_type: content_type.clone(),
        soap_action,
        local: Some(local),
        host: headers.get("Host").unwrap_or_default().to_owned(),
        accept_encoding: headers.get("Accept-Encoding").map(str::to_owned),
        hops: 0,
        trail: None,
        target,
    };
    message.headers = headers;
    message.body =
        if has_entity { Body::from_stream(body, content_type) } else { Body::from_bytes(Bytes::new(), content_type) };
    message.body.set_options(settings.convert.clone());
    (message, info)
}

/// Requests of other methods have no body, whatever they send: MI neither reads it nor waits for it. HTTP/2 needs no
/// header fields to have a body. MI: `SynapseHTTPRequestFactory#newHttpRequest`, `SourceRequest#isEntityEnclosing`.
fn has_entity(method: &Method, version: Version, headers: &Headers, body: &BodyStream) -> bool {
    if !matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE) {
        return false;
    }
    if version >= Version::HTTP_2 {
        return !body.is_end_stream();
    }
    headers.contains("Transfer-Encoding")
        || headers
            .get("Content-Length")
            .is_some_and(|length| length.bytes().any(|digit| (b'1'..=b'9').contains(&digit)))
}

/// Content types other than the two of SOAP are REST to Axis2. MI: `ServerWorker#isRest`.
pub fn is_rest(content_type: Option<&str>) -> bool {
    content_type.is_none_or(|received| !holds(received, "text/xml") && !holds(received, "application/soap+xml"))
}

/// True when `part` stands in `text` in any case.
fn holds(text: &str, part: &str) -> bool {
    text.as_bytes().windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

/// The media type without parameters, shared when it is a common one.
fn media_type(content_type: &str) -> Text {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    MEDIA_TYPES.iter().find(|known| **known == essence).map_or_else(|| essence.into(), |known| Text::Fixed(known))
}

fn soap_action(headers: &Headers, content_type: Option<&str>) -> Option<String> {
    let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
    if let Some(action) = headers.get("SOAPAction") {
        return Some(unquoted(action)).filter(|action| !action.is_empty());
    }
    let content_type = content_type.filter(|it| it.contains(';'))?;
    let at = content_type.to_ascii_lowercase().find("action=")?;
    let rest = content_type.get(at + "action=".len()..)?;
    let value = match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next()?,
        None => rest.split(';').next()?,
    };
    Some(unquoted(value)).filter(|action| !action.is_empty())
}

/// Turns the message into the answer of a back end: headers, body and axis2 properties are new, everything else
/// stays. MI: `ClientWorker`, `SynapseCallbackReceiver#handleMessage`.
pub fn response(message: &mut Message, answer: Incoming, settings: &Settings) {
    let Incoming { status, reason, headers, body, .. } = answer;
    let request_type = match message.axis2.get("messageType") {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let was_head = message.axis2.get_str("HTTP_METHOD").is_some_and(|method| method.eq_ignore_ascii_case("HEAD"));
    let content_type = headers.get("Content-Type").map(Arc::<str>::from);
    let mut axis2 = Properties::with_capacity(8);
    match &content_type {
        Some(received) => {
            axis2.put(names::CONTENT_TYPE, received.clone());
            axis2.put(names::MESSAGE_TYPE, media_type(received));
        }
        None => {
            if let Some(kept) = request_type.filter(|kept| &**kept != "application/x-www-form-urlencoded") {
                axis2.put(names::MESSAGE_TYPE, kept);
            }
        }
    }
    axis2.put(names::HTTP_SC, i32::from(status.as_u16()));
    if let Some(reason) = reason {
        axis2.put(names::HTTP_SC_DESC, reason);
    }
    let bodiless = was_head
        || matches!(status.as_u16(), 204 | 304)
        || headers.get("Content-Length").is_some_and(|length| length == "0");
    if bodiless {
        axis2.put(names::NO_ENTITY_BODY, true);
    }
    if message.axis2.is_true("IGNORE_SC_ACCEPTED") {
        axis2.put("FORCE_SC_ACCEPTED", Text::Fixed("true"));
    }
    message.axis2 = axis2;
    message.rest = match &content_type {
        Some(received) => is_rest(Some(received)),
        None => message.rest,
    };
    message.headers = headers;
    message.body =
        if bodiless { Body::from_bytes(Bytes::new(), content_type) } else { Body::from_stream(body, content_type) };
    message.body.set_options(settings.convert.clone());
    message.attachments.clear();
    message.addressing.to = Some(ANONYMOUS.to_owned());
    message.addressing.action = None;
}

/// Builds a body that was read: decompresses it, parses it by content type and reads its addressing headers.
/// MI: `RelayUtils#builldMessage`, `AddressingInHandler`.
pub fn build(message: &mut Message) -> Result<(), Fault> {
    let built = match gunzipped(message) {
        Ok(()) => message.build(),
        Err(error) => Err(error),
    };
    if built.is_err() && !message.body.is_built() {
        // A fault handler that looks at the message must not fail for the same reason; MI has an empty body then, too.
        message.body.set(mi_message::Native::Empty);
    }
    if built.is_ok() {
        take_addressing(message);
    }
    note_plain_xml(message);
    built.map_err(|error| {
        let received = message.body.received_content_type().unwrap_or_default();
        if received.contains("application/json") {
            log::error!(target: "JsonStreamBuilder", "Error occurred while processing document for application/json: {error}");
        }
        Fault::coded(
            codes::MESSAGE_PARSING,
            format!("Error while building message. {error}"),
            format!("org.apache.synapse.SynapseException: Error while building message. {error}"),
        )
    })
}

/// The type says SOAP and the root is no envelope: plain XML, and REST from here on.
pub fn note_plain_xml(message: &mut Message) {
    if !message.rest && matches!(message.body.native(), Ok(mi_message::Native::Xml(envelope)) if envelope.is_wrapped())
    {
        message.rest = true;
    }
}

/// WS-Addressing headers of a request become its fields. MI: `AddressingInHandler`.
fn take_addressing(message: &mut Message) {
    let Ok(mi_message::Native::Xml(envelope)) = message.body.native() else { return };
    if envelope.header().is_none() {
        return;
    }
    let found = mi_message::soap::read_addressing(envelope);
    let own = &mut message.addressing;
    for (field, value) in [
        (&mut own.to, found.to),
        (&mut own.from, found.from),
        (&mut own.reply_to, found.reply_to),
        (&mut own.fault_to, found.fault_to),
        (&mut own.action, found.action),
        (&mut own.message_id, found.message_id),
        (&mut own.relates_to, found.relates_to),
    ] {
        if value.is_some() {
            *field = value;
        }
    }
}

/// Replaces a gzip body by what it holds, within a fixed ratio and size.
fn gunzipped(message: &mut Message) -> Result<(), mi_message::BodyError> {
    if !is_gzip(&message.headers) {
        return Ok(());
    }
    let Some(packed) = message.body.raw().filter(|raw| raw.starts_with(&[0x1f, 0x8b])).cloned() else { return Ok(()) };
    let plain = crate::gzip::unpack(&packed)?;
    let content_type = message.body.received_content_type().map(Arc::<str>::from);
    let options = message.body.options().clone();
    message.body = Body::from_bytes(plain, content_type);
    message.body.set_options(options);
    Ok(())
}

/// True when the headers announce a gzip body.
pub fn is_gzip(headers: &Headers) -> bool {
    headers.get("Content-Encoding").is_some_and(|encoding| encoding.trim().eq_ignore_ascii_case("gzip"))
}
