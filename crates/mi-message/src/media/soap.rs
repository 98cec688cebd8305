//! SOAP envelopes as they arrive and leave.

use bytes::Bytes;

use super::{ContentType, xml};
use crate::body::BodyError;
use crate::{Envelope, Native, SoapVersion};

/// Content type of SOAP 1.2.
pub(super) const SOAP12_TYPE: &str = "application/soap+xml";
/// Content type of SOAP 1.1.
pub(super) const SOAP11_TYPE: &str = "text/xml";

/// Uses the envelope as it is. With `text/xml` another root element is plain XML; the type of SOAP 1.2 allows only
/// envelopes. MI: `SOAPBuilder#processDocument`, `MessageProcessorSelector#getMessageBuilder`.
pub(super) fn build(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Native, BodyError> {
    let soap12 = content_type.is(SOAP12_TYPE);
    let Some(document) = xml::parse(bytes, content_type)? else { return Ok(Native::Empty) };
    let version = if soap12 { SoapVersion::Soap12 } else { SoapVersion::Soap11 };
    let envelope = Envelope::from_document(document, version);
    if soap12 && envelope.is_wrapped() {
        let root = envelope.payload().map_or("", |payload| envelope.document().local_name(payload));
        return Err(BodyError::Malformed(format!(
            "First Element must contain the local name, Envelope , but found {root}"
        )));
    }
    Ok(Native::Xml(envelope))
}

/// The envelope with an XML declaration before it. MI: `SOAPMessageFormatter#writeTo`.
pub(super) fn write(envelope: &Envelope, charset: &str) -> Result<Bytes, BodyError> {
    let mut out = Vec::with_capacity(envelope.size_hint() + xml::DECLARATION_ROOM);
    xml::declare(&mut out, charset);
    envelope.write(&mut out);
    xml::encode(out, charset)
}

/// The content type of an envelope, without character set. MI: `OMOutputFormat#getContentType`.
pub(super) fn content_type(version: SoapVersion) -> &'static str {
    match version {
        SoapVersion::Soap11 => SOAP11_TYPE,
        SoapVersion::Soap12 => SOAP12_TYPE,
    }
}
