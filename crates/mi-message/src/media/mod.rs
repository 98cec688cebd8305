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
use crate::{Attachment, Body, Native, SoapVersion};

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

/// XML as it was received, which [`build_with`] would parse.
#[derive(Clone, Copy, Debug)]
pub struct RawXml<'b> {
    /// The bytes.
    pub bytes: &'b Bytes,
    /// `UTF-8` when the content type says so; otherwise the document may.
    pub charset: Option<&'static str>,
    /// The version of the content type, when it is one of SOAP; plain XML is put into an envelope whatever its root is.
    pub soap: Option<SoapVersion>,
}

/// The bytes of a body that was read and not built, if they are XML in UTF-8 or in a character set of their own saying.
pub fn raw_xml(body: &Body) -> Option<RawXml<'_>> {
    let bytes = body.raw().filter(|raw| !raw.is_empty())?;
    let content_type = ContentType::parse(body.received_content_type()?);
    let charset = match content_type.charset() {
        None => None,
        Some(label) if charset::is_utf8(&label) => Some("UTF-8"),
        Some(_) => return None,
    };
    let types = body.options().media_types.as_deref();
    let soap = match types.unwrap_or(&MediaTypes::default()).builder(content_type.essence()) {
        Kind::Xml => None,
        Kind::Soap if content_type.is(soap::SOAP12_TYPE) => Some(SoapVersion::Soap12),
        Kind::Soap => Some(SoapVersion::Soap11),
        _ => return None,
    };
    Some(RawXml { bytes, charset, soap })
}

#[cfg(test)]
mod tests;
