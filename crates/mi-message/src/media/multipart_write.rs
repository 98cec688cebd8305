//! Writes multipart bodies.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use mi_xml::{Document, NodeId, NodeKind};

use super::charset::{self, Missing};
use super::multipart::{XOP_NS, XOP_TYPE};
use super::soap;
use crate::body::BodyError;
use crate::convert::{self, names};
use crate::{Attachment, Body, Envelope, Message};

/// The `mimeBoundary` of the message, else one that nobody can guess.
pub(super) fn boundary(message: &Message) -> String {
    match message.axis2.get_str("mimeBoundary") {
        Some(boundary) if boundary.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"') => boundary.to_owned(),
        _ => format!("MIMEBoundary_{}", unique()),
    }
}

/// 32 hexadecimal digits, unique in this process and unknown outside of it: the keys of the hasher are random.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let (first, second) = (RandomState::new().hash_one(count), RandomState::new().hash_one(count));
    format!("{first:016x}{second:016x}")
}

/// A form: each child of the payload is a part; one with a `filename` is a file, one with children is XML.
/// MI: `MultipartFormDataFormatter#getBytes`.
pub(super) fn form(body: &Body, boundary: &str, charset: &str) -> Result<Bytes, BodyError> {
    let envelope = body.envelope()?;
    let document = envelope.document();
    let mut out = Vec::new();
    if let Some(payload) = envelope.payload() {
        for field in document.child_elements(payload) {
            form_part(document, field, boundary, charset, &mut out)?;
        }
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(out.into())
}

fn form_part(
    document: &Document,
    field: NodeId,
    boundary: &str,
    charset: &str,
    out: &mut Vec<u8>,
) -> Result<(), BodyError> {
    let local = names::to_json(document.local_name(field));
    let mut head = format!("--{boundary}\r\n");
    let data = if let Some(file_name) = document.attribute(field, "", "filename") {
        let name = document.attribute(field, "", "name").unwrap_or(local);
        let own_type = document.attribute(field, "", "content-type").unwrap_or("application/octet-stream".into());
        write_head(&mut head, &name, Some(&file_name), &own_type, "binary");
        let text = document.text(field);
        convert::decode_base64(&text).unwrap_or_else(|| text.into_owned().into_bytes())
    } else if document.first_child_element(field).is_some() {
        write_head(&mut head, &local, None, &format!("text/xml; charset={charset}"), "8bit");
        encode(document.to_xml(field), charset, Missing::Reference)?
    } else {
        write_head(&mut head, &local, None, &format!("text/plain; charset={charset}"), "8bit");
        encode(document.text(field).into_owned(), charset, Missing::QuestionMark)?
    };
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(&data);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn encode(text: String, charset: &str, missing: Missing) -> Result<Vec<u8>, BodyError> {
    Ok(charset::encode(&text, charset, missing)?.unwrap_or_else(|| text.into_bytes()))
}

fn write_head(head: &mut String, name: &str, file_name: Option<&str>, content_type: &str, encoding: &str) {
    head.push_str(&format!("Content-Disposition: form-data; name=\"{}\"", quoted(name)));
    if let Some(file_name) = file_name {
        head.push_str(&format!("; filename=\"{}\"", quoted(file_name)));
    }
    let content_type = one_line(content_type);
    head.push_str(&format!("\r\nContent-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"));
}

fn quoted(text: &str) -> String {
    one_line(text).replace('\\', "\\\\").replace('"', "\\\"")
}

/// Text for a header: nothing in it ends the line.
fn one_line(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).collect()
}

/// An envelope as root part, then the attachments. Gives back the bytes and the content type.
/// MI: `SOAPMessageFormatter#writeTo` with MTOM or SwA.
pub(super) fn related<'a>(
    envelope: &Envelope,
    attachments: impl Iterator<Item = &'a Attachment>,
    mtom: bool,
    boundary: &str,
    charset: &str,
) -> Result<(Bytes, String), BodyError> {
    let soap_type = soap::content_type(envelope.version());
    let id = format!("0.{}@apache.org", unique());
    let root_type = if mtom {
        format!("{XOP_TYPE}; charset={charset}; type=\"{soap_type}\"")
    } else {
        format!("{soap_type}; charset={charset}")
    };
    let mut out = format!(
        "--{boundary}\r\nContent-Type: {root_type}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{id}>\r\n\r\n"
    )
    .into_bytes();
    let (packed, parts) = if mtom { pack(envelope) } else { (None, Vec::new()) };
    out.extend_from_slice(&soap::write(packed.as_ref().unwrap_or(envelope), charset)?);
    for attachment in &parts {
        write_attachment(attachment, boundary, &mut out);
    }
    for attachment in attachments {
        write_attachment(attachment, boundary, &mut out);
    }
    out.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    let kind = if mtom { XOP_TYPE } else { soap_type };
    let start_info = if mtom { format!("; start-info=\"{soap_type}\"") } else { String::new() };
    let content_type =
        format!("multipart/related; boundary=\"{boundary}\"; type=\"{kind}\"; start=\"<{id}>\"{start_info}");
    Ok((out.into(), content_type))
}

fn write_attachment(attachment: &Attachment, boundary: &str, out: &mut Vec<u8>) {
    let head = format!(
        "\r\n--{boundary}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <{}>\r\n",
        one_line(&attachment.content_type),
        one_line(&attachment.id),
    );
    out.extend_from_slice(head.as_bytes());
    if let Some(file_name) = &attachment.file_name {
        let line = format!("Content-Disposition: attachment; filename=\"{}\"\r\n", quoted(file_name));
        out.extend_from_slice(line.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&attachment.data);
}

/// The envelope with an `xop:Include` in the place of each text that came as a part of its own, and those parts. A text that is
/// not the base64 that an encoder writes stays where it is, as it would come back as another one.
fn pack(envelope: &Envelope) -> (Option<Envelope>, Vec<Attachment>) {
    let document = envelope.document();
    let texts: Vec<(NodeId, Vec<u8>)> = document
        .descendants(Document::ROOT)
        .filter(|node| envelope.binary().contains(node) && document.kind(*node) == NodeKind::Text)
        .filter_map(|node| {
            let text = document.value(node);
            let bytes = STANDARD.decode(text.as_bytes()).ok()?;
            Some((node, bytes))
        })
        .collect();
    if texts.is_empty() {
        return (None, Vec::new());
    }
    let mut packed = envelope.clone();
    let mut parts = Vec::with_capacity(texts.len());
    for (node, bytes) in texts {
        let id = format!("{}.{}@apache.org", parts.len() + 1, unique());
        let document = packed.document_mut();
        let include = document.create_element("xop", "Include", XOP_NS);
        document.set_attribute(include, "", "href", "", &format!("cid:{id}"));
        document.replace(node, include);
        let content_type = "application/octet-stream".to_owned();
        parts.push(Attachment { id, content_type, file_name: None, data: bytes.into() });
    }
    (Some(packed), parts)
}
