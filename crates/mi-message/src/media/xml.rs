//! Plain XML: the payload in a made-up envelope, and back without it.

use bytes::Bytes;
use mi_xml::{Document, ParseOptions};

use super::ContentType;
use super::charset::{self, Missing};
use crate::body::BodyError;
use crate::{Envelope, Message, Native, SoapVersion};

/// Puts whatever root element stands there into a Body, a SOAP envelope, too. Nothing but white space is no payload.
/// MI: `ApplicationXMLBuilder#processDocument`.
pub(super) fn build(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Native, BodyError> {
    Ok(match parse(bytes, content_type)? {
        Some(document) => Native::Xml(Envelope::wrap(document, SoapVersion::Soap11)),
        None => Native::Empty,
    })
}

/// Parses XML in the character set that the content type names, else the XML declaration. `None` for white space only.
pub(super) fn parse(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Option<Document>, BodyError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let options = ParseOptions::default();
    let parsed = match content_type.charset() {
        None => Document::parse_with(bytes.clone(), &options),
        Some(label) if charset::is_utf8(&label) => Document::parse_encoded(bytes.clone(), "UTF-8", &options),
        Some(label) => {
            let text = charset::decode(bytes, &label)?.into_owned();
            Document::parse_encoded(text.into_bytes(), "UTF-8", &options)
        }
    };
    parsed.map(Some).map_err(|error| BodyError::Malformed(format!("The XML payload is not well-formed: {error}")))
}

/// The first element in the Body, or nothing. MI: `ApplicationXMLFormatter#writeTo`.
pub(super) fn write(message: &Message, charset: &str) -> Result<Bytes, BodyError> {
    let envelope = message.body.envelope()?;
    let declared = message.axis2.is_true("WRITE_XML_DECLARATION");
    let mut out = Vec::with_capacity(envelope.size_hint() + DECLARATION_ROOM);
    if declared {
        declare(&mut out, charset);
    }
    if let Some(text) = envelope.payload_text() {
        if !declared && charset::is_utf8(charset) {
            return Ok(text.clone());
        }
        out.extend_from_slice(text);
        return encode(out, charset);
    }
    let Some(payload) = envelope.payload() else { return Ok(Bytes::new()) };
    envelope.document().write(payload, &mut out);
    encode(out, charset)
}

/// Room for a declaration and what a body gets around it.
pub(super) const DECLARATION_ROOM: usize = 128;

/// An XML declaration as Axiom writes it.
pub(super) fn declare(out: &mut Vec<u8>, charset: &str) {
    for part in ["<?xml version='1.0' encoding='", charset, "'?>"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Written XML in the wanted character set.
pub(super) fn encode(out: Vec<u8>, charset: &str) -> Result<Bytes, BodyError> {
    if charset::is_utf8(charset) {
        return Ok(out.into());
    }
    let encoded = charset::encode(&String::from_utf8_lossy(&out), charset, Missing::Reference)?;
    Ok(encoded.unwrap_or(out).into())
}
