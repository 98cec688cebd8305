//! From bytes to a message. The bytes may be damaged: every length is checked against what is left.

use std::sync::Arc;

use bytes::Bytes;
use mi_xml::{Document, NodeId};

use super::{ArchiveError, MAX_DEPTH, VERSION, tag};
use crate::convert::{self, ConvertOptions};
use crate::{
    Addressing, Attachment, Body, Envelope, Headers, Message, Native, Properties, SoapVersion, Value, XmlValue,
};

type Read<T> = Result<T, ArchiveError>;

/// The message that [`super::encode`] was given. Its body converts between XML and JSON by `options`.
pub fn decode(bytes: &Bytes, options: &ConvertOptions) -> Read<Message> {
    let mut reader = Reader { bytes, at: 0 };
    match reader.byte()? {
        VERSION => {}
        other => return Err(ArchiveError::Version(other)),
    }
    let mut body = reader.body()?;
    body.set_options(options.clone());
    let headers = reader.headers()?;
    let [properties, axis2, axis2_client, operation, trace, variables] = [
        reader.properties()?,
        reader.properties()?,
        reader.properties()?,
        reader.properties()?,
        reader.properties()?,
        reader.properties()?,
    ];
    let addressing = Addressing {
        to: reader.optional()?,
        from: reader.optional()?,
        reply_to: reader.optional()?,
        fault_to: reader.optional()?,
        action: reader.optional()?,
        message_id: reader.optional()?,
        relates_to: reader.optional()?,
    };
    let (rest, is_response) = (reader.flag()?, reader.flag()?);
    let mut attachments = Vec::new();
    for _ in 0..reader.count()? {
        attachments.push(Attachment {
            id: reader.string()?,
            content_type: reader.string()?,
            file_name: reader.optional()?,
            data: reader.slice()?,
        });
    }
    if reader.at != bytes.len() {
        return Err(damaged("there are bytes behind it"));
    }
    Ok(Message {
        headers,
        body,
        properties,
        axis2,
        axis2_client,
        operation,
        trace,
        variables,
        addressing,
        rest,
        is_response,
        functions: Vec::new(),
        attachments,
    })
}

fn damaged(why: impl Into<String>) -> ArchiveError {
    ArchiveError::Damaged(why.into())
}

struct Reader<'b> {
    bytes: &'b Bytes,
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, length: usize) -> Read<&[u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| damaged("it ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut fixed = [0; N];
        fixed.copy_from_slice(self.take(N)?);
        Ok(fixed)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.fixed::<1>()?[0])
    }

    fn flag(&mut self) -> Read<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(damaged(format!("{other} is no flag"))),
        }
    }

    fn length(&mut self) -> Read<usize> {
        usize::try_from(u64::from_le_bytes(self.fixed()?)).map_err(|_| damaged("a length is too large"))
    }

    /// A number of items, each of which takes a byte at least.
    fn count(&mut self) -> Read<usize> {
        let count = self.length()?;
        if count > self.bytes.len() - self.at {
            return Err(damaged("it ends too early"));
        }
        Ok(count)
    }

    /// A part of the bytes, not copied.
    fn slice(&mut self) -> Read<Bytes> {
        let length = self.length()?;
        let start = self.at;
        self.take(length)?;
        Ok(self.bytes.slice(start..start + length))
    }

    fn str(&mut self) -> Read<&str> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| damaged("a text is not UTF-8"))
    }

    fn string(&mut self) -> Read<String> {
        self.str().map(str::to_owned)
    }

    fn shared(&mut self) -> Read<Arc<str>> {
        self.str().map(Arc::from)
    }

    fn optional(&mut self) -> Read<Option<String>> {
        if self.flag()? { self.string().map(Some) } else { Ok(None) }
    }

    fn headers(&mut self) -> Read<Headers> {
        let count = self.count()?;
        let mut headers = Headers::new();
        for _ in 0..count {
            let name = self.shared()?;
            headers.append(name, self.shared()?);
        }
        Ok(headers)
    }

    fn properties(&mut self) -> Read<Properties> {
        let count = self.count()?;
        let mut properties = Properties::default();
        for _ in 0..count {
            let name = self.shared()?;
            properties.set(name, self.value(0)?);
        }
        Ok(properties)
    }

    fn value(&mut self, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return Err(damaged("maps are nested too deep"));
        }
        Ok(match self.byte()? {
            tag::NULL => Value::Null,
            tag::STRING => Value::String(self.shared()?.into()),
            tag::FALSE => Value::Bool(false),
            tag::TRUE => Value::Bool(true),
            tag::INT => Value::Int(i32::from_le_bytes(self.fixed()?)),
            tag::LONG => Value::Long(i64::from_le_bytes(self.fixed()?)),
            tag::FLOAT => Value::Float(f32::from_bits(u32::from_le_bytes(self.fixed()?))),
            tag::DOUBLE => Value::Double(f64::from_bits(u64::from_le_bytes(self.fixed()?))),
            tag::JSON => {
                let text = self.str()?;
                let json = convert::parse_json(text.as_bytes()).map_err(|error| damaged(error.to_string()))?;
                Value::Json(Arc::new(json))
            }
            tag::XML => self.nodes()?,
            tag::MAP => {
                let count = self.count()?;
                let mut entries = Vec::new();
                for _ in 0..count {
                    let name = self.shared()?;
                    entries.push((name, self.value(depth + 1)?));
                }
                Value::Map(Arc::new(entries))
            }
            other => return Err(damaged(format!("{other} is no kind of value"))),
        })
    }

    /// Nodes as children of one document, which only ever is a place to keep them.
    fn nodes(&mut self) -> Read<Value> {
        let count = self.count()?;
        let mut document = Document::new();
        let mut nodes = Vec::new();
        for _ in 0..count {
            let node = match self.byte()? {
                tag::NODE_ELEMENT => {
                    let parsed = parse(&self.slice()?)?;
                    let root = parsed.root_element().ok_or_else(|| damaged("a value has no root element"))?;
                    if count == 1 {
                        return Ok(Value::Xml(XmlValue { document: Arc::new(parsed), nodes: vec![root] }));
                    }
                    document.import(&parsed, root)
                }
                tag::NODE_TEXT => document.create_text(self.str()?),
                tag::NODE_COMMENT => document.create_comment(self.str()?),
                tag::NODE_PI => {
                    let target = self.string()?;
                    document.create_pi(&target, self.str()?)
                }
                tag::NODE_ATTRIBUTE => {
                    nodes.push(self.attribute(&mut document)?);
                    continue;
                }
                other => return Err(damaged(format!("{other} is no kind of node"))),
            };
            document.append_child(Document::ROOT, node);
            nodes.push(node);
        }
        Ok(Value::Xml(XmlValue { document: Arc::new(document), nodes }))
    }

    /// An attribute needs an element to be on.
    fn attribute(&mut self, document: &mut Document) -> Read<NodeId> {
        let (prefix, local, namespace) = (self.string()?, self.string()?, self.string()?);
        let holder = document.create_element("", "attribute", "");
        document.append_child(Document::ROOT, holder);
        Ok(document.set_attribute(holder, &prefix, &local, &namespace, self.str()?))
    }

    fn body(&mut self) -> Read<Body> {
        let content_type: Option<Arc<str>> = if self.flag()? { Some(self.shared()?) } else { None };
        let native = match self.byte()? {
            tag::BODY_RAW => return Ok(Body::from_bytes(self.slice()?, content_type)),
            tag::BODY_EMPTY => Native::Empty,
            tag::BODY_XML => {
                let wrapped = self.flag()?;
                let mut envelope = Envelope::from_document(parse(&self.slice()?)?, SoapVersion::Soap11);
                envelope.set_wrapped(wrapped);
                Native::Xml(envelope)
            }
            tag::BODY_JSON => Native::Json(crate::JsonBody::from_text(self.slice()?)),
            tag::BODY_TEXT => Native::Text(self.shared()?),
            tag::BODY_BINARY => Native::Binary(self.slice()?),
            other => return Err(damaged(format!("{other} is no kind of body"))),
        };
        let mut body = Body::from_bytes(Bytes::new(), content_type);
        body.set(native);
        Ok(body)
    }
}

fn parse(xml: &Bytes) -> Read<Document> {
    Document::parse(xml.clone()).map_err(|error| damaged(error.to_string()))
}
