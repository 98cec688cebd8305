//! Builders and formatters: from bytes on the wire to a native form and back, by content type.
//!
//! [`MediaTypes`] is the table that says which type means which [`Kind`]; there is one file a kind. [`build`] turns
//! received bytes into a native form, [`format()`] says what goes on the wire for a message. Content encodings such as
//! gzip are the transport's.

pub mod charset;
mod content_type;
mod form;
mod format;
mod json;
mod multipart;
mod multipart_write;
mod soap;
mod text;
mod types;
mod xml;

use bytes::Bytes;

use crate::body::BodyError;
use crate::{Attachment, Native};

pub use content_type::ContentType;
pub use format::{Formatted, format};
pub use types::{Kind, MediaTypes};

/// What was built from received bytes.
#[derive(Debug)]
pub struct Built {
    /// The body.
    pub native: Native,
    /// The parts of a multipart message that are not its root.
    pub attachments: Vec<Attachment>,
}

impl Built {
    fn plain(native: Native) -> Self {
        Self { native, attachments: Vec::new() }
    }
}

/// Builds the native form of `bytes` as the product's table says. `None` is a message without a content type, which is
/// bytes; an empty one is plain XML. No bytes are no payload, whatever the type. Errors: bytes that are not what the
/// content type says. MI: `DeferredMessageBuilder#getDocument`.
pub fn build(bytes: &Bytes, content_type: Option<&str>) -> Result<Built, BodyError> {
    build_with(bytes, content_type, None)
}

/// [`build`] with a table of the configuration.
pub fn build_with(bytes: &Bytes, content_type: Option<&str>, types: Option<&MediaTypes>) -> Result<Built, BodyError> {
    if bytes.is_empty() {
        return Ok(Built::plain(Native::Empty));
    }
    let Some(content_type) = content_type else { return Ok(Built::plain(Native::Binary(bytes.clone()))) };
    let content_type = ContentType::parse(content_type);
    match types.unwrap_or(&MediaTypes::default()).builder(content_type.essence()) {
        Kind::Xml => xml::build(bytes, &content_type).map(Built::plain),
        Kind::Soap => soap::build(bytes, &content_type).map(Built::plain),
        Kind::Json => json::build(bytes, &content_type).map(Built::plain),
        Kind::Form => form::build(bytes, &content_type).map(Built::plain),
        Kind::MultipartForm => multipart::build_form(bytes, &content_type),
        Kind::MultipartRelated => multipart::build_related(bytes, &content_type, types),
        Kind::Text => Ok(Built::plain(text::build(bytes, &content_type)?)),
        Kind::Binary => Ok(Built::plain(Native::Binary(bytes.clone()))),
    }
}

#[cfg(test)]
mod tests;
