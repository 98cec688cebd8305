//! From a message to bytes.

use mi_xml::{Document, NodeKind};

use super::{ArchiveError, MAX_DEPTH, VERSION, tag};
use crate::{Body, Headers, Message, Native, Properties, Value, XmlValue};

/// The message as bytes. Its body must have been read.
pub fn encode(message: &Message) -> Result<Vec<u8>, ArchiveError> {
    let mut out = Writer(Vec::with_capacity(1024));
    out.byte(VERSION);
    out.body(&message.body)?;
    out.headers(&message.headers);
    for scope in [
        &message.properties,
        &message.axis2,
        &message.axis2_client,
        &message.operation,
        &message.trace,
        &message.variables,
    ] {
        out.properties(scope)?;
    }
    let addressing = &message.addressing;
    for field in [
        &addressing.to,
        &addressing.from,
        &addressing.reply_to,
        &addressing.fault_to,
        &addressing.action,
        &addressing.message_id,
        &addressing.relates_to,
    ] {
        out.optional(field.as_deref());
    }
    out.flag(message.rest);
    out.flag(message.is_response);
    out.length(message.attachments.len());
    for attachment in &message.attachments {
        out.text(&attachment.id);
        out.text(&attachment.content_type);
        out.optional(attachment.file_name.as_deref());
        out.bytes(&attachment.data);
    }
    Ok(out.0)
}

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&(length as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        self.flag(text.is_some());
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn headers(&mut self, headers: &Headers) {
        self.length(headers.len());
        for (name, value) in headers.iter() {
            self.text(name);
            self.text(value);
        }
    }

    fn properties(&mut self, properties: &Properties) -> Result<(), ArchiveError> {
        self.length(properties.len());
        for (name, value) in properties.iter() {
            self.text(name);
            self.value(value, 0)?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), ArchiveError> {
        if depth > MAX_DEPTH {
            return Err(ArchiveError::Unstorable(format!("maps are nested deeper than {MAX_DEPTH} levels")));
        }
        match value {
            Value::Null => self.byte(tag::NULL),
            Value::String(text) => {
                self.byte(tag::STRING);
                self.text(text);
            }
            Value::Bool(false) => self.byte(tag::FALSE),
            Value::Bool(true) => self.byte(tag::TRUE),
            Value::Int(number) => self.number(tag::INT, &number.to_le_bytes()),
            Value::Long(number) => self.number(tag::LONG, &number.to_le_bytes()),
            Value::Float(number) => self.number(tag::FLOAT, &number.to_bits().to_le_bytes()),
            Value::Double(number) => self.number(tag::DOUBLE, &number.to_bits().to_le_bytes()),
            Value::Json(json) => {
                self.byte(tag::JSON);
                self.text(&json.to_string());
            }
            Value::Xml(xml) => {
                self.byte(tag::XML);
                self.nodes(xml);
            }
            Value::Map(entries) => {
                self.byte(tag::MAP);
                self.length(entries.len());
                for (name, value) in entries.iter() {
                    self.text(name);
                    self.value(value, depth + 1)?;
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, tag: u8, bytes: &[u8]) {
        self.byte(tag);
        self.0.extend_from_slice(bytes);
    }

    fn nodes(&mut self, xml: &XmlValue) {
        let document = &*xml.document;
        self.length(xml.nodes.len());
        for node in xml.nodes.iter().copied() {
            match document.kind(node) {
                NodeKind::Element | NodeKind::Document => {
                    self.byte(tag::NODE_ELEMENT);
                    self.text(&document.to_xml(node));
                }
                NodeKind::Text => {
                    self.byte(tag::NODE_TEXT);
                    self.text(&document.value(node));
                }
                NodeKind::Comment => {
                    self.byte(tag::NODE_COMMENT);
                    self.text(&document.value(node));
                }
                NodeKind::Pi => {
                    self.byte(tag::NODE_PI);
                    self.text(document.local_name(node));
                    self.text(&document.value(node));
                }
                NodeKind::Attribute | NodeKind::Namespace => {
                    self.byte(tag::NODE_ATTRIBUTE);
                    self.text(document.prefix(node));
                    self.text(document.local_name(node));
                    self.text(document.namespace(node));
                    self.text(&document.value(node));
                }
            }
        }
    }

    fn body(&mut self, body: &Body) -> Result<(), ArchiveError> {
        self.optional(body.received_content_type());
        if let Some(raw) = body.raw() {
            self.byte(tag::BODY_RAW);
            self.bytes(raw);
            return Ok(());
        }
        let native = body.native().map_err(|error| ArchiveError::Unstorable(error.to_string()))?;
        match native {
            Native::Empty => self.byte(tag::BODY_EMPTY),
            Native::Xml(envelope) => {
                self.byte(tag::BODY_XML);
                self.flag(envelope.is_wrapped());
                // What stands around the root element, comments and instructions, belongs to the document.
                let mut xml = Vec::new();
                envelope.document().write(Document::ROOT, &mut xml);
                self.bytes(&xml);
            }
            Native::Json(json) => {
                self.byte(tag::BODY_JSON);
                self.bytes(json.text());
            }
            Native::Text(text) => {
                self.byte(tag::BODY_TEXT);
                self.text(text);
            }
            Native::Binary(bytes) => {
                self.byte(tag::BODY_BINARY);
                self.bytes(bytes);
            }
        }
        Ok(())
    }
}
