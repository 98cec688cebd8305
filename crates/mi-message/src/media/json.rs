//! JSON: kept as text until somebody asks for the value.

use bytes::Bytes;

use super::ContentType;
use super::charset::{self, Missing};
use crate::body::BodyError;
use crate::convert::xml_to_json;
use crate::{Body, JsonBody, Native};

const REJECTED: &str =
    "#getNewJsonPayload. Could not save JSON payload. Invalid input stream found. Payload is not a JSON string.";

/// Keeps the text and only looks at what it starts with: an object or array is taken unread, a lone scalar must be
/// one, blanks are no payload, and text without any of these is refused. MI: `JsonUtil#getNewJsonPayload`.
pub(super) fn build(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Native, BodyError> {
    let bytes = match content_type.charset() {
        Some(label) if !charset::is_utf8(&label) => {
            let text = charset::decode(bytes, &label)?;
            Bytes::from(text.into_owned())
        }
        _ => bytes.clone(),
    };
    let start = bytes.iter().find(|byte| matches!(byte, b'{' | b'[' | b'"' | b't' | b'n' | b'f' | b'-' | b'0'..=b'9'));
    match start {
        Some(b'{' | b'[') => Ok(Native::Json(JsonBody::from_text(bytes))),
        Some(_) if is_scalar(&bytes) => Ok(Native::Json(JsonBody::from_text(bytes))),
        None if bytes.iter().all(u8::is_ascii_whitespace) => Ok(Native::Empty),
        _ => Err(BodyError::Malformed(REJECTED.to_owned())),
    }
}

fn is_scalar(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    matches!(text, b"true" | b"false" | b"null")
        || (text.len() > 1 && text.starts_with(b"\"") && text.ends_with(b"\""))
        || std::str::from_utf8(text).is_ok_and(crate::convert::is_json_number)
}

/// JSON text as it is, XML by the mapping, nothing for no payload. MI: `JsonStreamFormatter#writeTo`.
pub(super) fn write(body: &Body, charset: &str) -> Result<Bytes, BodyError> {
    let text = match body.native()? {
        Native::Empty => return Ok(Bytes::new()),
        Native::Json(json) => json.text().clone(),
        Native::Xml(envelope) => match envelope.payload() {
            Some(payload) => xml_to_json::to_text(envelope.document(), payload, body.options())?.into(),
            None => return Ok(Bytes::new()),
        },
        Native::Text(_) | Native::Binary(_) => body.json()?.to_string().into(),
    };
    if charset::is_utf8(charset) {
        return Ok(text);
    }
    let encoded = charset::encode(&String::from_utf8_lossy(&text), charset, Missing::QuestionMark)?;
    Ok(encoded.map_or(text, Bytes::from))
}
