//! The head of a back end's answer.

use std::mem::MaybeUninit;

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode, Version};
use mi_message::Headers;

use super::fields::{self, FIELDS, HeadLimits};

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    /// The phrase, when it is not the standard one.
    pub(crate) reason: Option<String>,
    pub(crate) version: Version,
    pub(crate) headers: Headers,
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
    if fields::find_end(&buffer[from..]).is_none() {
        return if buffer.len() > limits.bytes { Err("the head of the answer is too large") } else { Ok(None) };
    }
    let mut small = [const { MaybeUninit::uninit() }; FIELDS];
    let mut large = Vec::new();
    let room = if limits.fields <= FIELDS {
        &mut small[..limits.fields]
    } else {
        large.resize_with(limits.fields, MaybeUninit::uninit);
        &mut large[..]
    };
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut parsed, buffer, room) {
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
    let headers = fields::collect(&buffer[..length], parsed.headers);
    let framing = framing(status, version, method, &headers)?;
    let keep_alive = fields::keeps_alive(version, &headers) && framing != Framing::UntilClose;
    buffer.advance(length);
    Ok(Some(Head { status, reason, version, headers, framing, keep_alive }))
}

/// RFC 9112, 6.3, without the leniency: where two readers could see two lengths the answer is refused.
fn framing(status: StatusCode, version: Version, method: &Method, headers: &Headers) -> Result<Framing, &'static str> {
    let length = fields::content_length(headers).map_err(|()| "the answer has an invalid Content-Length")?;
    let coding = headers.get("Transfer-Encoding");
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
    let one = headers.get_all("Transfer-Encoding").nth(1).is_none();
    if one && version == Version::HTTP_11 && coding.eq_ignore_ascii_case("chunked") {
        return Ok(Framing::Chunked);
    }
    Err("the answer has a Transfer-Encoding that is not understood")
}
