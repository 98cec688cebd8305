//! URL-encoded forms as `<xformValues>` with an element for each field.

use std::borrow::Cow;

use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use super::ContentType;
use super::charset::{self, Missing};
use crate::body::BodyError;
use crate::convert::names;
use crate::{Body, Envelope, Native, SoapVersion};

/// What `java.net.URLEncoder` leaves alone besides letters and digits.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_');

const ROOT: &str = "xformValues";

/// Fields in the order of their first occurrence; one name's values stand together. A plus sign stays one: MI decodes
/// percent escapes only. MI: `XFormURLEncodedBuilder#processDocument`.
pub(super) fn build(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Native, BodyError> {
    let label = content_type.charset();
    let label = label.as_deref().unwrap_or("UTF-8");
    let text = charset::decode(bytes, label)?;
    let mut fields: Vec<(Cow<'_, str>, String)> = Vec::new();
    for part in text.split(['&', '\n', '\r']).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        fields.push((decode(name, label)?.into(), decode(value, label)?));
    }
    Ok(Native::Xml(envelope(ROOT, group(fields, |field| &field.0).iter().map(|(name, value)| (&**name, &**value)))))
}

fn decode(text: &str, label: &str) -> Result<String, BodyError> {
    let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
    charset::decode(&bytes, label).map(Cow::into_owned)
}

/// Brings fields of one name together, behind the first of them.
pub(super) fn group<F>(fields: Vec<F>, name: impl Fn(&F) -> &str) -> Vec<F> {
    let mut order: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut ranked: Vec<(usize, F)> = Vec::with_capacity(fields.len());
    for field in fields {
        let next = order.len();
        ranked.push((*order.entry(name(&field).to_owned()).or_insert(next), field));
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, field)| field).collect()
}

fn envelope<'f>(root: &str, fields: impl Iterator<Item = (&'f str, &'f str)>) -> Envelope {
    let mut envelope = Envelope::empty(SoapVersion::Soap12);
    let body = envelope.body();
    let document = envelope.document_mut();
    let root = document.create_element("", root, "");
    document.append_child(body, root);
    for (name, value) in fields {
        let field = document.create_element("", &names::to_xml(name), "");
        document.set_text(field, value);
        document.append_child(root, field);
    }
    envelope
}

/// The children of the payload as fields. MI: `XFormURLEncodedFormatter#getBytes`.
pub(super) fn write(body: &Body, charset: &str) -> Result<Bytes, BodyError> {
    let envelope = body.envelope()?;
    let document = envelope.document();
    let Some(payload) = envelope.payload() else { return Ok(Bytes::new()) };
    let mut out = String::new();
    for field in document.child_elements(payload) {
        if !out.is_empty() {
            out.push('&');
        }
        // MI writes names as they are; those that came percent-encoded were decoded and must be encoded again.
        let name = names::to_json(document.local_name(field));
        if name.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'&' | b'=' | b'%' | b'+' | b'#')) {
            out.push_str(&name);
        } else {
            encode(&mut out, &name, charset)?;
        }
        out.push('=');
        encode(&mut out, &document.text(field), charset)?;
    }
    Ok(out.into())
}

fn encode(out: &mut String, text: &str, charset: &str) -> Result<(), BodyError> {
    let encoded = charset::encode(text, charset, Missing::QuestionMark)?;
    out.extend(percent_encode(encoded.as_deref().unwrap_or(text.as_bytes()), KEPT));
    Ok(())
}
