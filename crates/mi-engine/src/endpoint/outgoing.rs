//! From a message to a request on the wire, with the endpoint's format and the switches of the axis2 scope.
//! MI: `Axis2FlexibleMEPClient#send`, `TargetRequestFactory`, `TargetRequest#start`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Version};
use mi_config::endpoint::{Format, Optimize};
use mi_config::{EndpointConfig, EndpointKind};
use mi_message::{Headers, Message, Native, SoapVersion, Text};

use super::address::Target;
use crate::build::BuildCx;
use crate::context::Context;
use crate::fault::{Fault, codes};
use crate::transport::{Outgoing, Payload};
use crate::{local, reply};

/// What MI calls itself towards back ends.
const AGENT: &str = "Synapse-PT-HttpComponents-NIO";

/// The endpoint's part of a request.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) address: Arc<str>,
    pub(super) format: Option<Format>,
    /// Method of an http endpoint.
    pub(super) method: Option<String>,
    pub(super) http2: bool,
    /// Sent with attachments, whatever the message says.
    pub(super) optimize: Option<Optimize>,
}

/// Adapts the message to the endpoint's format. The axis2 properties and headers changed here are those of the
/// outgoing copy in MI; the caller restores them when the request fails.
pub(super) fn apply_format(message: &mut Message, format: Option<Format>, encoding: Option<&str>) -> Result<(), Fault> {
    let charset = encoding.map(|name| format!("; charset={name}")).unwrap_or_default();
    match format {
        Some(Format::Pox) => {
            message.rest = true;
            message.axis2.set("messageType", "application/xml");
            message.axis2.set("ContentType", "application/xml");
            message.headers.set("Content-Type", format!("application/xml{charset}"));
        }
        Some(Format::Get) => {
            message.rest = true;
            message.axis2.set("HTTP_METHOD", "GET");
            message.axis2.set("messageType", "application/x-www-form-urlencoded");
        }
        Some(Format::Soap11) => soap_format(message, SoapVersion::Soap11, &charset)?,
        Some(Format::Soap12) => soap_format(message, SoapVersion::Soap12, &charset)?,
        Some(Format::Rest) => {
            if message.axis2.get_str("HTTP_METHOD").is_some_and(|it| matches!(it, "GET" | "DELETE")) {
                message.axis2.remove("messageType");
            }
            message.rest = true;
        }
        None => {}
    }
    Ok(())
}

fn soap_format(message: &mut Message, version: SoapVersion, charset: &str) -> Result<(), Fault> {
    message.rest = false;
    message.axis2.remove("messageType");
    message.axis2.remove("ContentType");
    message.axis2.set("HTTP_METHOD", "POST");
    let envelope = message.body.envelope_mut()?;
    if envelope.version() != version {
        *envelope = envelope.to_version(version);
    }
    envelope.set_wrapped(false);
    let received = message.headers.get("Content-Type").unwrap_or_default();
    if received.contains("multipart/related") {
        return Ok(());
    }
    let charset = match received.to_ascii_lowercase().split("charset=").nth(1) {
        Some(name) => format!("; charset={}", name.split(';').next().unwrap_or_default().trim_matches('"')),
        None if charset.is_empty() => "; charset=UTF-8".to_owned(),
        None => charset.to_owned(),
    };
    let content_type = match (version, message.addressing.action.as_deref().filter(|action| !action.is_empty())) {
        (SoapVersion::Soap11, _) => format!("text/xml{charset}"),
        (SoapVersion::Soap12, Some(action)) => format!("application/soap+xml{charset};action=\"{action}\""),
        (SoapVersion::Soap12, None) => format!("application/soap+xml{charset}"),
    };
    message.axis2.set("messageType", if version == SoapVersion::Soap11 { "text/xml" } else { "application/soap+xml" });
    message.headers.set("Content-Type", content_type);
    Ok(())
}

/// The address with the REST postfix of the request where MI appends it.
pub(super) fn full_address(message: &Message, shape: &Shape) -> Arc<str> {
    let soap = matches!(shape.format, Some(Format::Soap11 | Format::Soap12));
    let postfix = message.axis2.get_str("REST_URL_POSTFIX").unwrap_or_default();
    if soap || !message.rest || postfix.is_empty() || shape.method.is_some() {
        return shape.address.clone();
    }
    let address = &shape.address;
    let text = match (address.ends_with('/'), postfix.chars().next()) {
        (false, Some(first)) if first != '/' && first != '?' => format!("{address}/{postfix}"),
        (true, Some('/')) => format!("{address}{}", &postfix[1..]),
        (true, Some('?')) => format!("{}{postfix}", address.trim_end_matches('/')),
        _ => format!("{address}{postfix}"),
    };
    text.into()
}

/// True for addresses of `http:` and `https:`.
pub(super) fn is_http(address: &str) -> bool {
    address.starts_with("http:") || address.starts_with("https:")
}

/// Runs `format` with the endpoint's optimization switched on. The answer to the client is optimized when the flow says so.
fn optimized<T>(message: &mut Message, optimize: Option<Optimize>, format: impl FnOnce(&mut Message) -> T) -> T {
    let name = match optimize {
        None => return format(message),
        Some(Optimize::Mtom) => "enableMTOM",
        Some(Optimize::Swa) => "enableSwA",
    };
    let before = message.axis2.get(name).cloned();
    message.axis2.set(name, "true");
    let formatted = format(message);
    match before {
        Some(before) => message.axis2.set(name, before),
        None => drop(message.axis2.remove(name)),
    }
    formatted
}

/// Makes the request. The body is taken out of the message when it was not read, and formatted otherwise. `known` are the parts
/// of the address, when they are.
pub(super) fn request(
    cx: &mut Context,
    shape: &Shape,
    address: &str,
    known: Option<&Target>,
    keep_addressing: bool,
) -> Result<Outgoing, Fault> {
    let parsed = known.cloned().or_else(|| Target::parse(address));
    let mut target = parsed.ok_or_else(|| unusable_address(address))?;
    let settings = cx.snapshot.clone();
    let settings = &settings.settings;
    let message = &mut cx.message;
    let method = method_of(message, shape)?;
    let bodiless = method == Method::GET || (method == Method::DELETE && is_without_payload(message));
    if shape.format == Some(Format::Get) {
        append_query(message, &mut target);
    }
    if !keep_addressing {
        reply::remove_addressing(message);
    }
    let mut headers = reply::outgoing_headers(&message.headers, settings);
    host_and_agent(message, settings, &target, &mut headers);
    let body = if bodiless {
        discard(message);
        headers.remove("Content-Type");
        Payload::Empty
    } else {
        optimized(message, shape.optimize, |message| payload(message, &mut headers))?
    };
    soap_action(message, &mut headers);
    let [http10, unchunked, with_length, to_uri, full_uri, close] = message.axis2.are_true([
        "FORCE_HTTP_1.0",
        "DISABLE_CHUNKING",
        "FORCE_HTTP_CONTENT_LENGTH",
        "POST_TO_URI",
        "FULL_URI",
        "NO_KEEPALIVE",
    ]);
    let by_length = http10 || unchunked || with_length;
    let version = match (shape.http2, http10) {
        (true, _) => Version::HTTP_2,
        (false, true) => Version::HTTP_10,
        (false, false) => Version::HTTP_11,
    };
    Ok(Outgoing {
        method,
        secure: target.secure,
        host: target.host.clone(),
        port: target.port,
        target: if to_uri || full_uri { target.to_url() } else { target.path_and_query },
        version,
        headers,
        body,
        chunked: !by_length,
        close,
        timeout: None,
    })
}

fn unusable_address(address: &str) -> Fault {
    let scheme = address.split(':').next().unwrap_or_default();
    let text = format!(
        "Unexpected error during sending message out. No transport sender is there for the address '{address}'"
    );
    Fault::coded(codes::SND_IO_SENDING, text, format!("the scheme '{scheme}' has no sender"))
}

fn method_of(message: &Message, shape: &Shape) -> Result<Method, Fault> {
    let name = shape.method.as_deref().or_else(|| message.axis2.get_str("HTTP_METHOD")).unwrap_or("POST");
    Method::from_bytes(name.to_ascii_uppercase().as_bytes())
        .map_err(|_| Fault::new(format!("'{name}' is not an HTTP method")))
}

/// MI: `RelayUtils#isDeleteRequestWithoutPayload`.
fn is_without_payload(message: &Message) -> bool {
    message.axis2.is_true("NO_ENTITY_BODY") && !has_content(message)
}

fn has_content(message: &Message) -> bool {
    match message.body.native() {
        Ok(Native::Empty) => false,
        Ok(Native::Xml(envelope)) => envelope.payload().is_some(),
        Ok(_) => true,
        Err(_) => message.body.raw().is_none_or(|raw| !raw.is_empty()),
    }
}

fn discard(message: &mut Message) {
    drop(message.body.take_stream());
}

/// The body, with the content type that fits it.
pub(crate) fn payload(message: &mut Message, headers: &mut Headers) -> Result<Payload, Fault> {
    if message.axis2.is_true("NO_ENTITY_BODY") && !has_content(message) {
        return Ok(Payload::Empty);
    }
    if let Some(stream) = message.body.take_stream() {
        return Ok(Payload::Stream(stream));
    }
    if let Some(raw) = message.body.raw().cloned() {
        return Ok(Payload::Bytes(raw));
    }
    if message.axis2.is_true("FORCE_POST_PUT_NOBODY") && !has_content(message) {
        return Ok(Payload::Empty);
    }
    let formatted = mi_message::media::format(message)?;
    if let Some(content_type) = formatted.content_type.as_deref() {
        headers.set("Content-Type", content_type);
    }
    let bytes: Bytes = if crate::incoming::is_gzip(&message.headers) {
        crate::gzip::pack(&formatted.bytes).map_err(|error| Fault::new(error.to_string()))?
    } else {
        formatted.bytes
    };
    Ok(Payload::Bytes(bytes))
}

/// Host and User-Agent are the server's own unless configuration keeps or sets them.
fn host_and_agent(message: &Message, settings: &crate::snapshot::Settings, target: &Target, headers: &mut Headers) {
    let preserved = |name: &str| settings.preserve_http_headers.iter().any(|kept| kept.eq_ignore_ascii_case(name));
    match message.axis2.get("REQUEST_HOST_HEADER") {
        Some(host) => headers.set("Host", &*host.to_text()),
        None if preserved("Host") && headers.contains("Host") => {}
        None => headers.put("Host", target.authority.clone()),
    }
    if settings.preserve_user_agent || preserved("User-Agent") {
        if let Some(agent) = message.headers.get("User-Agent") {
            headers.set("User-Agent", agent);
        }
    } else {
        headers.put("User-Agent", Text::Fixed(AGENT));
    }
}

/// SOAP 1.1 carries its action in a header field of its own. MI: `TargetRequest#start`.
fn soap_action(message: &Message, headers: &mut Headers) {
    if message.body.soap_version() != SoapVersion::Soap11 || message.rest {
        return;
    }
    if let Some(action) = message.addressing.action.as_deref().filter(|action| !action.is_empty()) {
        headers.put("SOAPAction", ["\"", action, "\""].concat());
    }
}

/// `format="get"`: the children of the payload become query parameters.
fn append_query(message: &Message, target: &mut Target) {
    let Ok(envelope) = message.body.envelope() else { return };
    let Some(payload) = envelope.payload() else { return };
    let document = envelope.document();
    for child in document.child_elements(payload) {
        let separator = if target.path_and_query.contains('?') { '&' } else { '?' };
        let value: String = percent(&document.string_value(child));
        target.path_and_query.push_str(&format!("{separator}{}={value}", document.local_name(child)));
    }
}

fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Says of an address that nothing can ever be sent to it.
pub(super) fn report_unsendable(config: &EndpointConfig, cx: &mut BuildCx<'_>) {
    let EndpointKind::Address(endpoint) = &config.kind else { return };
    let uri = endpoint.uri.as_str();
    let Some((scheme, _)) = uri.split_once(':') else { return };
    let is_name = scheme.starts_with(|it: char| it.is_ascii_alphabetic())
        && scheme.chars().all(|it| it.is_ascii_alphanumeric() || matches!(it, '+' | '.' | '-'));
    if !is_name || Target::parse(uri).is_some() || ["http", "https", local::SCHEME].contains(&scheme) {
        return;
    }
    let why = match cx.sender(scheme) {
        Some(sender) => sender.refuses(uri),
        None => Some(format!("this version has no transport for '{scheme}'")),
    };
    if let Some(why) = why {
        cx.report(config.element.warning(format!("messages for this endpoint end in a fault: {why}")));
    }
}
/// An unread body that goes out as it came in: text or bytes of the type that is asked for. Other types may need another
/// form than the one received.
pub(super) fn streamed(message: &mut mi_message::Message) -> Option<(Option<String>, mi_message::BodyStream)> {
    use mi_message::media::{ContentType, Kind, MediaTypes};
    let received = message.body.received_content_type()?.to_owned();
    let essence = ContentType::parse(&received).essence();
    let wanted = message.axis2.get_str("messageType").map(|wanted| ContentType::parse(wanted).essence());
    let default = MediaTypes::default();
    let kind = message.body.options().media_types.as_deref().unwrap_or(&default).builder(essence);
    let as_it_came = wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(essence));
    if !as_it_came || !matches!(kind, Kind::Text | Kind::Binary) {
        return None;
    }
    let stream = message.body.take_stream()?;
    Some((Some(received), stream))
}
