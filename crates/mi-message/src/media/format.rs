//! What goes on the wire for a message: which formatter, which bytes, which content type.

use std::borrow::Cow;

use bytes::Bytes;

use super::{ContentType, Kind, MediaTypes, form, json, multipart_write, soap, text, xml};
use crate::body::BodyError;
use crate::{Envelope, Message, Native, SoapVersion};

/// A message as it is sent.
#[derive(Debug)]
pub struct Formatted {
    /// The body.
    pub bytes: Bytes,
    /// The value for the header `Content-Type`; `None` when there is no body that would need one.
    pub content_type: Option<String>,
}

/// Writes the body of a message.
///
/// A body that was read and not built goes out as it came, whatever the properties say. Otherwise the formatter is
/// that of axis2 `messageType`, then axis2 `ContentType`, then the type that was received, then the header, then the
/// form of the body; a body of another form is converted. A type without formatter writes the form that is there.
///
/// `text/xml` means SOAP unless the message is REST: axis2 `enableREST` says so, or else the body is no received or
/// made envelope. An endpoint with a SOAP format sets `enableREST` to false before the message is written.
///
/// Errors: [`BodyError::Unread`] for a body nobody read; what conversions say. MI:
/// `MessageProcessorSelector#getMessageFormatter`, `PassThroughHttpSender#submitResponse`,
/// `TargetRequestFactory#create`.
pub fn format(message: &Message) -> Result<Formatted, BodyError> {
    if message.axis2.is_true("NO_ENTITY_BODY") && (message.is_response || has_no_payload(message)) {
        return Ok(Formatted { bytes: Bytes::new(), content_type: None });
    }
    if let Some(raw) = message.body.raw() {
        let content_type = explicit(message)
            .or_else(|| message.headers.get("Content-Type"))
            .or_else(|| message.body.received_content_type());
        return Ok(Formatted { bytes: raw.clone(), content_type: content_type.map(str::to_owned) });
    }
    let target = Target::of(message)?;
    let charset = charset(message);
    let (bytes, content_type) = match target.kind {
        Kind::Xml => (xml::write(message, &charset)?, xml_type(&target)),
        Kind::Json => (json::write(&message.body, &charset)?, target.value),
        Kind::Text => (text::write(&message.body, &charset)?, target.value),
        Kind::Form => (form::write(&message.body, &charset)?, Cow::Borrowed("application/x-www-form-urlencoded")),
        Kind::Binary => match text::write_binary(&message.body, &charset)? {
            // Bytes have no character set; everything else gets one below.
            Some(bytes) => return Ok(Formatted { bytes, content_type: Some(target.header().into_owned()) }),
            None if is_rest(message)? => (xml::write(message, &charset)?, target.value),
            None => (soap::write(message.body.envelope()?, &charset)?, target.value),
        },
        Kind::Soap => {
            let envelope = versioned(message, &target)?;
            let bytes = soap::write(&envelope, &charset)?;
            let mut content_type = with_charset(message, soap_type(message, &target, &envelope), &charset);
            if envelope.version() == SoapVersion::Soap12 {
                append_action(message, &mut content_type);
            }
            return Ok(Formatted { bytes, content_type: Some(content_type) });
        }
        Kind::MultipartForm => {
            let boundary = multipart_write::boundary(message);
            let content_type = format!("multipart/form-data; boundary={boundary}");
            (multipart_write::form(&message.body, &boundary, &charset)?, Cow::Owned(content_type))
        }
        Kind::MultipartRelated => return related(message, &target, &charset),
    };
    if bytes.is_empty() && matches!(message.body.native()?, Native::Empty) {
        // Nothing to describe; a type that somebody set is sent all the same.
        let content_type = explicit(message).map(|value| with_charset(message, value.into(), &charset));
        return Ok(Formatted { bytes, content_type });
    }
    let content_type = match target.explicit.filter(|_| target.kind != Kind::MultipartForm) {
        Some(value) if message.is_response || matches!(target.kind, Kind::Json | Kind::Text) => Cow::Borrowed(value),
        _ => content_type,
    };
    Ok(Formatted { bytes, content_type: Some(with_charset(message, content_type, &charset)) })
}

/// Where a message is going.
struct Target<'m> {
    /// The content type that chose the formatter.
    value: Cow<'m, str>,
    kind: Kind,
    /// A property chose the formatter, so the SOAP version follows it.
    chosen: bool,
    /// The axis2 `ContentType`.
    explicit: Option<&'m str>,
}

impl<'m> Target<'m> {
    fn of(message: &'m Message) -> Result<Self, BodyError> {
        let explicit = explicit(message);
        let chosen = message.axis2.get_str("messageType").filter(|value| !value.trim().is_empty()).or(explicit);
        let named = chosen
            .or_else(|| message.body.received_content_type())
            .or_else(|| message.headers.get("Content-Type"))
            .filter(|value| !value.trim().is_empty());
        let (value, kind) = match named {
            None => Self::by_form(message)?,
            Some(value) => {
                let essence = ContentType::parse(value).essence();
                let default = MediaTypes::default();
                let types = message.body.options().media_types.as_deref().unwrap_or(&default);
                match types.formatter(essence) {
                    Some(Kind::Soap) if essence.eq_ignore_ascii_case(soap::SOAP11_TYPE) && is_rest(message)? => {
                        (value.into(), Kind::Xml)
                    }
                    Some(kind) => (value.into(), kind),
                    None => (value.into(), Self::by_form(message)?.1),
                }
            }
        };
        let mut target = Self { value, kind, chosen: chosen.is_some(), explicit };
        if target.is_optimized(message) {
            target.kind = Kind::MultipartRelated;
        }
        // Switched off, and nothing to attach: what was multipart is plain SOAP. MI: `SOAPMessageFormatter#getContentType`.
        if target.kind == Kind::MultipartRelated
            && message.axis2.contains("enableMTOM")
            && !message.axis2.is_true("enableMTOM")
            && attachments(message).next().is_none()
        {
            target.kind = Kind::Soap;
            target.value = soap::content_type(message.body.envelope()?.version()).into();
            target.explicit = None;
        }
        Ok(target)
    }

    fn by_form(message: &Message) -> Result<(Cow<'static, str>, Kind), BodyError> {
        let (value, kind) = match message.body.native()? {
            Native::Json(_) => ("application/json", Kind::Json),
            Native::Text(_) => ("text/plain", Kind::Text),
            Native::Binary(_) => ("application/octet-stream", Kind::Binary),
            Native::Xml(envelope) if !is_rest(message)? => (soap::content_type(envelope.version()), Kind::Soap),
            Native::Empty if !is_rest(message)? => (soap::SOAP11_TYPE, Kind::Soap),
            Native::Xml(_) | Native::Empty => ("application/xml", Kind::Xml),
        };
        Ok((value.into(), kind))
    }

    /// Answers go out as multipart whenever MTOM or SwA is on; requests only when they are SOAP.
    fn is_optimized(&self, message: &Message) -> bool {
        let swa = message.axis2.is_true("enableSwA") && attachments(message).next().is_some();
        (message.axis2.is_true("enableMTOM") || swa)
            && (self.kind == Kind::Soap || (message.is_response && self.kind == Kind::Xml))
    }

    /// The type for the header, if nothing else has a say in it.
    fn header(&self) -> Cow<'m, str> {
        self.explicit.map_or_else(|| self.value.clone(), Cow::Borrowed)
    }
}

/// The type of plain XML; the one of SOAP 1.2 would be a lie.
fn xml_type<'m>(target: &Target<'m>) -> Cow<'m, str> {
    let value = target.header();
    if ContentType::parse(&value).is(soap::SOAP12_TYPE) { "application/xml".into() } else { value }
}

/// Answers keep a type that was set; requests always get that of the envelope.
fn soap_type<'m>(message: &Message, target: &Target<'m>, envelope: &Envelope) -> Cow<'m, str> {
    match target.explicit {
        Some(value) if message.is_response => value.into(),
        _ => soap::content_type(envelope.version()).into(),
    }
}

/// The envelope in the version that a chosen SOAP content type stands for.
fn versioned<'m>(message: &'m Message, target: &Target<'_>) -> Result<Cow<'m, Envelope>, BodyError> {
    let envelope = message.body.envelope()?;
    let chosen = ContentType::parse(&target.value);
    let wanted = match () {
        () if !target.chosen => envelope.version(),
        () if chosen.is(soap::SOAP12_TYPE) => SoapVersion::Soap12,
        () if chosen.is(soap::SOAP11_TYPE) => SoapVersion::Soap11,
        () => envelope.version(),
    };
    if wanted == envelope.version() {
        return Ok(Cow::Borrowed(envelope));
    }
    Ok(Cow::Owned(envelope.to_version(wanted)))
}

fn related(message: &Message, target: &Target<'_>, charset: &str) -> Result<Formatted, BodyError> {
    let envelope = versioned(message, target)?;
    let boundary = multipart_write::boundary(message);
    let swa = message.axis2.is_true("enableSwA") && !message.axis2.is_true("enableMTOM");
    let attachments = attachments(message);
    let (bytes, mut content_type) = multipart_write::related(&envelope, attachments, !swa, &boundary, charset)?;
    if envelope.version() == SoapVersion::Soap12 {
        append_action(message, &mut content_type);
    }
    Ok(Formatted { bytes, content_type: Some(content_type) })
}

fn attachments(message: &Message) -> impl Iterator<Item = &crate::Attachment> {
    message.attachments.iter().chain(message.body.attachments())
}

/// The axis2 `ContentType`, which overrides the header.
fn explicit(message: &Message) -> Option<&str> {
    message.axis2.get_str("ContentType").filter(|value| !value.trim().is_empty())
}

/// axis2 `CHARACTER_SET_ENCODING`, then that of an overridden content type. MI: `TransportUtils#getCharSetEncoding`.
fn charset(message: &Message) -> Cow<'_, str> {
    let property = message.axis2.get_str("CHARACTER_SET_ENCODING").filter(|label| !label.trim().is_empty());
    property
        .map(|label| Cow::Borrowed(label.trim()))
        .or_else(|| explicit(message).and_then(|value| ContentType::parse(value).charset()))
        .unwrap_or(Cow::Borrowed("UTF-8"))
}

/// Appends the character set unless there is one or `setCharacterEncoding` is false.
fn with_charset(message: &Message, content_type: Cow<'_, str>, charset: &str) -> String {
    let unwanted = message
        .axis2
        .get("setCharacterEncoding")
        .is_some_and(|setting| setting.to_text().trim().eq_ignore_ascii_case("false"));
    let names_one = || content_type.as_bytes().windows(7).any(|part| part.eq_ignore_ascii_case(b"charset"));
    if unwanted || names_one() { content_type.into_owned() } else { [&*content_type, "; charset=", charset].concat() }
}

/// SOAP 1.2 carries the action in its content type.
fn append_action(message: &Message, content_type: &mut String) {
    if let Some(action) = message.addressing.action.as_deref() {
        let action = action.trim().trim_matches('"');
        let printable = action.bytes().all(|byte| (b' '..0x7f).contains(&byte) && byte != b'"');
        if !action.is_empty() && printable && !content_type.contains("action=") {
            content_type.push_str("; action=\"");
            content_type.push_str(action);
            content_type.push('"');
        }
    }
}

/// MI: `TransportUtils#isDoingREST`.
fn is_rest(message: &Message) -> Result<bool, BodyError> {
    if message.axis2.contains("enableREST") {
        return Ok(message.axis2.is_true("enableREST"));
    }
    Ok(match message.body.native()? {
        Native::Xml(envelope) => envelope.is_wrapped(),
        _ => true,
    })
}

fn has_no_payload(message: &Message) -> bool {
    match message.body.native() {
        Ok(Native::Empty) => true,
        Ok(Native::Xml(envelope)) => envelope.payload().is_none(),
        Ok(_) => false,
        Err(_) => message.body.raw().is_some_and(Bytes::is_empty),
    }
}
