//! Multipart bodies: forms with files, and root parts with attachments (SwA, MTOM).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use memchr::{memchr, memmem};
use mi_xml::{Document, NodeId};
use percent_encoding::percent_decode_str;

use super::content_type::parameter;
use super::form::group;
use super::{Built, ContentType, Kind, MediaTypes, charset, soap};
use crate::body::BodyError;
use crate::convert::names;
use crate::{Attachment, Envelope, Native, SoapVersion};

/// Most parts of one message.
const MAX_PARTS: usize = 1000;
/// Most bytes of the headers of one part.
const MAX_PART_HEADERS: usize = 16 * 1024;

/// Namespace of the element that stands for an optimized binary text.
pub(super) const XOP_NS: &str = "http://www.w3.org/2004/08/xop/include";
/// Content type of a root part with such elements.
pub(super) const XOP_TYPE: &str = "application/xop+xml";

struct Part {
    headers: Vec<(String, String)>,
    /// Still in its transfer encoding.
    data: Bytes,
}

impl Part {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn content_id(&self) -> Option<&str> {
        self.header("Content-ID").map(bare_id)
    }

    fn disposition(&self, name: &str) -> Option<String> {
        let value = self.header("Content-Disposition")?;
        let (_, parameters) = value.split_once(';')?;
        parameter(parameters, name).map(|value| value.into_owned())
    }

    fn decoded(&self) -> Result<Bytes, BodyError> {
        let encoding = self.header("Content-Transfer-Encoding").unwrap_or("").trim().to_ascii_lowercase();
        match encoding.as_str() {
            "base64" => {
                let text = String::from_utf8_lossy(&self.data);
                let decoded = crate::convert::decode_base64(text.trim());
                decoded.map(Bytes::from).ok_or_else(|| malformed("a part says that it is base64 and is not"))
            }
            "quoted-printable" => Ok(quoted_printable(&self.data).into()),
            _ => Ok(self.data.clone()),
        }
    }

    fn attachment(&self) -> Result<Attachment, BodyError> {
        Ok(Attachment {
            id: self.content_id().unwrap_or("").to_owned(),
            content_type: self.header("Content-Type").unwrap_or("application/octet-stream").to_owned(),
            file_name: self.disposition("filename"),
            data: self.decoded()?,
        })
    }
}

fn malformed(what: &str) -> BodyError {
    BodyError::Malformed(format!("The multipart payload is not valid: {what}"))
}

/// A content id without its angle brackets.
fn bare_id(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(id)
}

/// Splits a body at its boundary. Text before the first and behind the last delimiter is ignored; a missing last
/// delimiter ends the last part at the end of the body.
fn split(bytes: &Bytes, boundary: &str) -> Result<Vec<Part>, BodyError> {
    let delimiter = format!("--{boundary}");
    let finder = memmem::Finder::new(delimiter.as_bytes());
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    for at in finder.find_iter(bytes) {
        if at > 0 && bytes[at - 1] != b'\n' {
            continue;
        }
        let behind = at + delimiter.len();
        let last = bytes[behind..].starts_with(b"--");
        if !last && !matches!(bytes.get(behind), None | Some(b'\r' | b'\n' | b' ' | b'\t')) {
            continue;
        }
        if let Some(start) = open {
            parts.push(part(bytes, start, at)?);
        }
        if parts.len() > MAX_PARTS {
            return Err(malformed(&format!("more than {MAX_PARTS} parts")));
        }
        open = match memchr(b'\n', &bytes[behind..]) {
            Some(length) if !last => Some(behind + length + 1),
            _ => None,
        };
        if last {
            break;
        }
    }
    if let Some(start) = open {
        parts.push(part(bytes, start, bytes.len())?);
    }
    Ok(parts)
}

/// The part between the end of one delimiter line and the start of the next.
fn part(bytes: &Bytes, start: usize, end: usize) -> Result<Part, BodyError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut at = start;
    loop {
        let Some(length) = memchr(b'\n', &bytes[at..end]) else { return Err(malformed("a part without a body")) };
        if at + length - start > MAX_PART_HEADERS {
            return Err(malformed("the headers of a part are too long"));
        }
        let line = String::from_utf8_lossy(&bytes[at..at + length]);
        let line = line.trim_end_matches('\r');
        at += length + 1;
        if line.is_empty() {
            break;
        }
        match (line.starts_with([' ', '\t']), headers.last_mut()) {
            (true, Some((_, value))) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            _ => {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    // The line end before a delimiter belongs to the delimiter.
    let mut stop = end;
    if end < bytes.len() && stop > at && bytes[stop - 1] == b'\n' {
        stop -= 1;
        if stop > at && bytes[stop - 1] == b'\r' {
            stop -= 1;
        }
    }
    Ok(Part { headers, data: bytes.slice(at.min(stop)..stop) })
}

fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'=' {
            out.push(bytes[at]);
            at += 1;
            continue;
        }
        let rest = &bytes[at + 1..];
        let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        if rest.starts_with(b"\r\n") {
            at += 3;
        } else if rest.starts_with(b"\n") {
            at += 2;
        } else if let (Some(high), Some(low)) = (hex(rest.first()), hex(rest.get(1))) {
            out.push((high * 16 + low) as u8);
            at += 3;
        } else {
            out.push(b'=');
            at += 1;
        }
    }
    out
}

fn boundary(content_type: &ContentType<'_>) -> Result<String, BodyError> {
    let boundary = content_type.parameter("boundary").filter(|boundary| !boundary.is_empty());
    boundary.map(std::borrow::Cow::into_owned).ok_or_else(|| malformed("no boundary in the content type"))
}

/// A form: `<mediate>` with an element for each part; a file is base64 with its name and type in attributes, and an
/// attachment, too. MI: `MultipartFormDataBuilder#processDocument`.
pub(super) fn build_form(bytes: &Bytes, content_type: &ContentType<'_>) -> Result<Built, BodyError> {
    let default_charset = content_type.charset().unwrap_or("UTF-8".into());
    let mut fields = Vec::new();
    for part in split(bytes, &boundary(content_type)?)? {
        if let Some(name) = part.disposition("name") {
            fields.push((name, part));
        }
    }
    let mut envelope = Envelope::empty(SoapVersion::Soap12);
    let body = envelope.body();
    let document = envelope.document_mut();
    let root = document.create_element("", "mediate", "");
    document.append_child(body, root);
    let mut attachments = Vec::new();
    for (name, part) in group(fields, |field| &field.0) {
        let data = part.decoded()?;
        let field = document.create_element("", &names::to_xml(&name), "");
        document.append_child(root, field);
        let own_type = part.header("Content-Type");
        if let Some(file_name) = part.disposition("filename") {
            let own_type = own_type.unwrap_or("application/octet-stream");
            document.set_attribute(field, "", "filename", "", &file_name);
            document.set_attribute(field, "", "content-type", "", own_type);
            document.set_text(field, &STANDARD.encode(&data));
            let content_type = own_type.to_owned();
            attachments.push(Attachment { id: name, content_type, file_name: Some(file_name), data });
        } else {
            let label = own_type.and_then(|own_type| ContentType::parse(own_type).charset());
            let text = charset::decode(&data, label.as_deref().unwrap_or(&default_charset))?;
            document.set_text(field, &text);
        }
    }
    Ok(Built { native: Native::Xml(envelope), attachments })
}

/// A root part and its attachments. The root is the part that `start` names, else the first; binary texts that MTOM
/// put into parts of their own come back into the XML. MI: `MIMEBuilder`, `MTOMBuilder`.
pub(super) fn build_related(
    bytes: &Bytes,
    content_type: &ContentType<'_>,
    types: Option<&MediaTypes>,
) -> Result<Built, BodyError> {
    let mut parts = split(bytes, &boundary(content_type)?)?;
    if parts.is_empty() {
        return Err(malformed("no part"));
    }
    let start = content_type.parameter("start");
    let root = start.and_then(|start| {
        let start = bare_id(&start).to_owned();
        parts.iter().position(|part| part.content_id() == Some(&start))
    });
    let root = parts.remove(root.unwrap_or(0));
    let mut attachments = parts.iter().map(Part::attachment).collect::<Result<Vec<_>, _>>()?;
    let mut native = build_root(&root, types)?;
    if let Native::Xml(envelope) = &mut native {
        let texts = inline(envelope.document_mut(), &mut attachments, bytes.len())?;
        envelope.mark_binary(texts);
    }
    Ok(Built { native, attachments })
}

fn build_root(root: &Part, types: Option<&MediaTypes>) -> Result<Native, BodyError> {
    let own_type = root.header("Content-Type").unwrap_or(soap::SOAP11_TYPE);
    let parsed = ContentType::parse(own_type);
    let kind = types.unwrap_or(&MediaTypes::default()).builder(parsed.essence());
    if matches!(kind, Kind::MultipartForm | Kind::MultipartRelated) {
        return Err(malformed("the root part is multipart itself"));
    }
    super::build_with(&root.decoded()?, Some(own_type), types).map(|built| built.native)
}

/// Puts the base64 of a part in the place of each `xop:Include` that names it; such a part is no attachment any more.
/// Gives back the texts that came in so.
fn inline(
    document: &mut Document,
    attachments: &mut Vec<Attachment>,
    received: usize,
) -> Result<Vec<NodeId>, BodyError> {
    let mut texts = Vec::new();
    if document.find_name(XOP_NS, "Include").is_none() {
        return Ok(texts);
    }
    let includes: Vec<NodeId> = document
        .descendants(Document::ROOT)
        .filter(|node| document.is_element(*node) && document.has_name(*node, XOP_NS, "Include"))
        .collect();
    // A part may be named many times over; what comes out must stay in proportion to what came in.
    let mut left = received.saturating_mul(3).saturating_add(64 * 1024);
    let mut used = vec![false; attachments.len()];
    for include in includes {
        let Some(href) = document.attribute(include, "", "href") else { continue };
        let Some(id) = href.strip_prefix("cid:") else { continue };
        let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
        let Some(at) = attachments.iter().position(|attachment| attachment.id == id) else { continue };
        let size = attachments[at].data.len().saturating_mul(4) / 3;
        left = left.checked_sub(size).ok_or_else(|| malformed("its parts are included too often"))?;
        let text = document.create_text(&STANDARD.encode(&attachments[at].data));
        document.replace(include, text);
        texts.push(text);
        used[at] = true;
    }
    let mut used = used.into_iter();
    attachments.retain(|_| !used.next().unwrap_or(false));
    Ok(texts)
}
