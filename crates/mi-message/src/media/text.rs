//! Plain text and bytes.

use bytes::Bytes;

use super::ContentType;
use super::charset::{self, Missing};
use crate::body::BodyError;
use crate::convert::{self, BINARY_WRAPPER, TEXT_WRAPPER};
use crate::{Body, Native};

/// Text in the character set of the content type. MI: `PlainTextBuilder#processDocument`.
pub(super) fn build(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Native, BodyError> {
    let label = content_type.charset();
    let text = charset::decode(bytes, label.as_deref().unwrap_or("UTF-8"))?;
    Ok(Native::Text(text.into()))
}

/// Text as it is, JSON as its text, XML as the text of the payload. MI: `PlainTextFormatter#writeTo`, which writes
/// nothing for a payload that is not the `text` wrapper.
pub(super) fn write(body: &Body, charset: &str) -> Result<Bytes, BodyError> {
    let text = match body.native()? {
        Native::Empty => return Ok(Bytes::new()),
        Native::Binary(bytes) => return Ok(bytes.clone()),
        Native::Json(json) if charset::is_utf8(charset) => return Ok(json.text().clone()),
        Native::Json(json) => String::from_utf8_lossy(json.text()).into_owned(),
        Native::Text(text) => text.to_string(),
        Native::Xml(envelope) => match envelope.payload() {
            Some(payload) if convert::is_wrapper(envelope.document(), payload, TEXT_WRAPPER) => {
                envelope.document().text(payload).into_owned()
            }
            Some(payload) => envelope.document().string_value(payload).into_owned(),
            None => return Ok(Bytes::new()),
        },
    };
    Ok(charset::encode(&text, charset, Missing::QuestionMark)?.unwrap_or_else(|| text.into_bytes()).into())
}

/// The bytes of a binary payload; `None` for a payload that is something else. MI: `ExpandingMessageFormatter#writeTo`,
/// `BinaryFormatter#writeTo`.
pub(super) fn write_binary(body: &Body, charset: &str) -> Result<Option<Bytes>, BodyError> {
    match body.native()? {
        Native::Empty => Ok(Some(Bytes::new())),
        Native::Binary(bytes) => Ok(Some(bytes.clone())),
        Native::Text(_) | Native::Json(_) => write(body, charset).map(Some),
        Native::Xml(envelope) => {
            let document = envelope.document();
            let Some(payload) = envelope.payload() else { return Ok(Some(Bytes::new())) };
            if convert::is_wrapper(document, payload, TEXT_WRAPPER) {
                return write(body, charset).map(Some);
            }
            if !convert::is_wrapper(document, payload, BINARY_WRAPPER) {
                return Ok(None);
            }
            match convert::decode_base64(&document.text(payload)) {
                Some(bytes) => Ok(Some(bytes.into())),
                None => Err(BodyError::Malformed("The content of the element binary is not base64".to_owned())),
            }
        }
    }
}
