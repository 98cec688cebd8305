//! Plain XML: the payload in a made-up envelope, and back without it.

use bytes::Bytes;
use mi_xml::{Document, NodeKind, ParseOptions};

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
        declare_plain(&mut out, message, charset);
    }
    if let Some(text) = envelope.payload_text() {
        if !declared && charset::is_utf8(charset) {
            return Ok(text.clone());
        }
        out.extend_from_slice(text);
        return encode(out, charset);
    }
    let document = envelope.document();
    if message.axis2.is_true("PRESERVE_XML_PROCESSING_INSTRUCTIONS") {
        // Those that were received beside the root, which still stand there.
        let before = document.children(Document::ROOT).take_while(|node| !document.is_element(*node));
        for instruction in before.filter(|node| document.kind(*node) == NodeKind::Pi) {
            document.write(instruction, &mut out);
        }
    }
    let Some(payload) = envelope.payload() else { return Ok(Bytes::new()) };
    document.write(payload, &mut out);
    encode(out, charset)
}

/// Room for a declaration and what a body gets around it.
pub(super) const DECLARATION_ROOM: usize = 128;

/// MI: `ApplicationXMLFormatter#writeXMLDeclaration`.
fn declare_plain(out: &mut Vec<u8>, message: &Message, charset: &str) {
    let encoding = message.axis2.get_str("XML_DECLARATION_ENCODING").unwrap_or(charset);
    let standalone = match message.axis2.get_str("XML_DECLARATION_STANDALONE") {
        Some(value) => format!(" standalone=\"{value}\""),
        None => String::new(),
    };
    out.extend_from_slice(format!("<?xml version=\"1.0\" encoding=\"{encoding}\"{standalone} ?>").as_bytes());
}

/// An XML declaration as Axiom writes it, before an envelope.
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
