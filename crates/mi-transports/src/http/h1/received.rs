//! The head of a client's request: where two readers could read two different requests, it is refused.
//!
//! MI answers what its parser cannot read with 400 and closes (`SourceHandler#exception`), and has no limits of its own.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode, Version};
use mi_message::Headers;

use super::fields::{self, FIELDS, HeadLimits};
use super::response::Framing;

/// Limits of a request's head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) head: HeadLimits,
    /// Bytes of the target.
    pub(crate) target: usize,
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) method: Method,
    /// As it was sent: path and query, an absolute URI or `*`.
    pub(crate) target: String,
    pub(crate) version: Version,
    pub(crate) headers: Headers,
    /// [`Framing::Length`] or [`Framing::Chunked`].
    pub(crate) framing: Framing,
    /// The connection can be used again after the answer.
    pub(crate) keep_alive: bool,
    /// The client waits for leave to send the body.
    pub(crate) expects_leave: bool,
}

/// Takes a head from the buffer if it is complete. `seen` remembers how much was searched for its end. `Err` is the status
/// of the refusal; what is in the buffer then means nothing.
pub(crate) fn take_request(
    buffer: &mut BytesMut,
    seen: &mut usize,
    limits: &RequestLimits,
) -> Result<Option<Received>, StatusCode> {
    skip_blank_lines(buffer);
    let from = seen.saturating_sub(3).min(buffer.len());
    *seen = buffer.len();
    let end = fields::find_end(&buffer[from..]).map(|end| from + end);
    if end.unwrap_or(buffer.len()) > limits.head.bytes {
        return Err(too_large(buffer, limits));
    }
    if end.is_none() {
        return Ok(None);
    }
    let mut small = [const { MaybeUninit::uninit() }; FIELDS];
    let mut large = Vec::new();
    let room = if limits.head.fields <= FIELDS {
        &mut small[..limits.head.fields]
    } else {
        large.resize_with(limits.head.fields, MaybeUninit::uninit);
        &mut large[..]
    };
    let mut parsed = httparse::Request::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_request_with_uninit_headers(&mut parsed, buffer, room) {
        Ok(httparse::Status::Complete(length)) => length,
        // The empty line that was seen stands before the request line.
        Ok(httparse::Status::Partial) if buffer.len() <= limits.head.bytes => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(too_large(buffer, limits)),
        Err(httparse::Error::TooManyHeaders) => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(_) => return Err(StatusCode::BAD_REQUEST),
    };
    if length > limits.head.bytes {
        return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    if !fields::ends_lines_in_full(&buffer[..length]) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let target = parsed.path.unwrap_or_default();
    if target.len() > limits.target {
        return Err(StatusCode::URI_TOO_LONG);
    }
    if !is_target(target) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let method = method(parsed.method.unwrap_or_default())?;
    let target = target.to_owned();
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    let headers = fields::collect(&buffer[..length], parsed.headers);
    let received = judge(method, target, version, headers)?;
    buffer.advance(length);
    *seen = 0;
    Ok(Some(received))
}

/// A path, an absolute URI or `*` (RFC 9112, 3.2). The authority of CONNECT passes for its method to be judged.
fn is_target(target: &str) -> bool {
    let is_scheme = |it: &str| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_alphanumeric());
    target.starts_with('/') || target == "*" || target.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// The methods that MI has; others are answered with 501, CONNECT as well: a tunnel is nothing an integration server
/// offers. MI: `SynapseHTTPRequestFactory#newHttpRequest`, `SourceHandler#exception`.
fn method(name: &str) -> Result<Method, StatusCode> {
    const KNOWN: [Method; 8] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::PATCH,
        Method::HEAD,
        Method::OPTIONS,
        Method::TRACE,
    ];
    KNOWN.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name)).ok_or(StatusCode::NOT_IMPLEMENTED)
}

/// A server should ignore an empty line before the request line (RFC 9112, 2.2).
fn skip_blank_lines(buffer: &mut BytesMut) {
    while buffer.starts_with(b"\r\n") {
        buffer.advance(2);
    }
}

/// Says what of a head is too large, whatever of it has come beyond the limit.
fn too_large(buffer: &BytesMut, limits: &RequestLimits) -> StatusCode {
    let seen = &buffer[..buffer.len().min(limits.head.bytes + 1)];
    let line = memchr::memchr(b'\n', seen).unwrap_or(seen.len());
    if line > limits.target { StatusCode::URI_TOO_LONG } else { StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE }
}

/// What the fields say about framing and connection.
fn judge(method: Method, target: String, version: Version, mut headers: Headers) -> Result<Received, StatusCode> {
    if !is_host_plain(&headers) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let length = fields::content_length(&headers).map_err(|()| StatusCode::BAD_REQUEST)?;
    let mut keep_alive = fields::keeps_alive(version, &headers);
    let framing = if is_chunked(version, &headers)? {
        if length.is_some() {
            // MI goes by the coding, too. Nothing behind this request is read, whoever else goes by the length.
            headers.remove("Content-Length");
            keep_alive = false;
        }
        Framing::Chunked
    } else {
        Framing::Length(length.unwrap_or_default())
    };
    let mut expects_leave = false;
    for expected in headers.get_all("Expect") {
        if !expected.eq_ignore_ascii_case("100-continue") {
            return Err(StatusCode::EXPECTATION_FAILED);
        }
        expects_leave = version == Version::HTTP_11;
    }
    Ok(Received { method, target, version, headers, framing, keep_alive, expects_leave })
}

/// At most one host. What begins a path, names a user or separates words stands in none: some would read another host out
/// of it.
fn is_host_plain(headers: &Headers) -> bool {
    let mut hosts = headers.get_all("Host");
    let forbidden = |it: u8| matches!(it, b' ' | b'\t' | b'/' | b'\\' | b'?' | b'#' | b'@' | b'"' | b'<' | b'>');
    !hosts.next().is_some_and(|it| it.bytes().any(forbidden)) && hosts.next().is_none()
}

/// Only the single coding `chunked` is understood.
fn is_chunked(version: Version, headers: &Headers) -> Result<bool, StatusCode> {
    let mut values = headers.get_all("Transfer-Encoding");
    let Some(coding) = values.next() else { return Ok(false) };
    if values.next().is_some() || version == Version::HTTP_10 {
        return Err(StatusCode::BAD_REQUEST);
    }
    // httparse took the white space around the value; what looks like some and is none (U+00A0) belongs to it.
    if coding.eq_ignore_ascii_case("chunked") {
        return Ok(true);
    }
    let last = coding.rsplit(',').next().unwrap_or_default().trim_matches([' ', '\t']);
    Err(if last.eq_ignore_ascii_case("chunked") { StatusCode::NOT_IMPLEMENTED } else { StatusCode::BAD_REQUEST })
}
