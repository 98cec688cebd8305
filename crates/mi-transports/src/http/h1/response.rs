//! The head of a back end's answer.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

/// Room for as many fields without allocating.
const FIELDS: usize = 100;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// The phrase, when it is not the standard one.
    pub(crate) reason: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// The connection can be used again after the body.
    pub(crate) keep_alive: bool,
}

/// Takes a head from the buffer if it is complete. `seen` remembers how much was searched for its end. `Err` says what
/// is wrong with it.
pub(crate) fn take_head(
    buffer: &mut BytesMut,
    seen: &mut usize,
    method: &Method,
    limits: HeadLimits,
) -> Result<Option<Head>, &'static str> {
    let from = seen.saturating_sub(3);
    *seen = buffer.len();
    if !has_end(&buffer[from..]) {
        return if buffer.len() > limits.bytes { Err("the head of the answer is too large") } else { Ok(None) };
    }
    let mut small = [const { MaybeUninit::uninit() }; FIELDS];
    let mut large = Vec::new();
    let fields = if limits.fields <= FIELDS {
        &mut small[..limits.fields]
    } else {
        large.resize_with(limits.fields, MaybeUninit::uninit);
        &mut large[..]
    };
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, buffer, fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err("the answer has too many header fields"),
        Err(_) => return Err("the head of the answer cannot be read"),
    };
    if length > limits.bytes {
        return Err("the head of the answer is too large");
    }
    let status = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|_| "the answer has no valid status")?;
    let reason = parsed.reason.filter(|reason| Some(*reason) != status.canonical_reason()).map(str::to_owned);
    let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    // Names and values are places in the buffer, which becomes the memory of the values.
    let base = buffer.as_ptr() as usize;
    let mut places = [(0u32, 0u32, 0u32, 0u32); FIELDS];
    let mut more_places = Vec::new();
    let count = parsed.headers.len();
    let places = if count <= FIELDS {
        &mut places[..count]
    } else {
        more_places.resize(count, (0, 0, 0, 0));
        &mut more_places[..]
    };
    for (place, field) in places.iter_mut().zip(parsed.headers.iter()) {
        let name = field.name.as_ptr() as usize - base;
        let value = field.value.as_ptr() as usize - base;
        *place = (name as u32, field.name.len() as u32, value as u32, field.value.len() as u32);
    }
    let bytes = buffer.split_to(length).freeze();
    let headers = collect(&bytes, places)?;
    let framing = framing(status, version, method, &headers)?;
    let keep_alive = keeps_alive(version, &headers) && framing != Framing::UntilClose;
    Ok(Some(Head { status, reason, version, headers, framing, keep_alive }))
}

/// True when an empty line is among the bytes.
fn has_end(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', bytes).any(|at| {
        let rest = &bytes[at + 1..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    })
}

fn collect(bytes: &Bytes, places: &[(u32, u32, u32, u32)]) -> Result<HeaderMap, &'static str> {
    const BAD: &str = "the answer has a header field that cannot be read";
    let mut headers = HeaderMap::with_capacity(places.len());
    for (name, name_length, value, value_length) in places.iter().copied() {
        let (name, value) = (name as usize, value as usize);
        let name = HeaderName::from_bytes(&bytes[name..name + name_length as usize]).map_err(|_| BAD)?;
        let value = bytes.slice(value..value + value_length as usize);
        headers.append(name, HeaderValue::from_maybe_shared(value).map_err(|_| BAD)?);
    }
    Ok(headers)
}

/// RFC 9112, 6.3, without the leniency: where two readers could see two lengths the answer is refused.
fn framing(
    status: StatusCode,
    version: Version,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Framing, &'static str> {
    let length = length(headers)?;
    let coding = headers.get(TRANSFER_ENCODING);
    let bodiless = *method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless {
        return Ok(Framing::Length(0));
    }
    let Some(coding) = coding else { return Ok(length.map_or(Framing::UntilClose, Framing::Length)) };
    if length.is_some() {
        return Err("the answer has both Content-Length and Transfer-Encoding");
    }
    let one = headers.get_all(TRANSFER_ENCODING).iter().nth(1).is_none();
    if one && version == Version::HTTP_11 && coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    Err("the answer has a Transfer-Encoding that is not understood")
}

fn length(headers: &HeaderMap) -> Result<Option<u64>, &'static str> {
    const BAD: &str = "the answer has an invalid Content-Length";
    let Some(first) = headers.get(CONTENT_LENGTH) else { return Ok(None) };
    if headers.get_all(CONTENT_LENGTH).iter().any(|other| other != first) {
        return Err(BAD);
    }
    let digits = first.as_bytes();
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(BAD);
    }
    Ok(Some(digits.iter().fold(0u64, |length, digit| length * 10 + u64::from(digit - b'0'))))
}

fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let mut keep = version == Version::HTTP_11;
    if !headers.contains_key(CONNECTION) {
        return keep;
    }
    for token in headers.get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
        let token = token.trim_ascii();
        if token.eq_ignore_ascii_case(b"close") {
            return false;
        }
        keep |= token.eq_ignore_ascii_case(b"keep-alive");
    }
    keep
}
