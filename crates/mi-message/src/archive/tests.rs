use std::sync::Arc;

use bytes::Bytes;
use mi_xml::Document;
use serde_json::json;

use super::*;
use crate::convert::ConvertOptions;
use crate::{Attachment, Body, Envelope, Message, Native, SoapVersion, Value, XmlValue};

#[track_caller]
fn there_and_back(message: &Message) -> Message {
    let bytes = Bytes::from(encode(message).unwrap());
    let back = decode(&bytes, &ConvertOptions::default()).unwrap();
    assert_eq!(encode(&back).unwrap(), bytes, "what comes back is stored as the same bytes");
    back
}

fn with_body(native: Native) -> Message {
    let mut message = Message::new();
    message.body.set(native);
    message
}

fn xml(text: &str) -> Value {
    let document = Document::parse(text.to_owned()).unwrap();
    let root = document.root_element().unwrap();
    Value::Xml(XmlValue { document: Arc::new(document), nodes: vec![root] })
}

#[test]
fn every_kind_of_body_keeps_its_bytes() {
    let text = "{ \"price\": 10.50, \"big\": 12345678901234567890123, \"a\":\"\u{1F600}\" }";
    let back = there_and_back(&with_body(Native::Json(crate::JsonBody::from_text(text))));
    let Native::Json(json) = back.body.native().unwrap() else { panic!("JSON expected") };
    assert_eq!(&**json.text(), text.as_bytes());
    let all: Vec<u8> = (0..=255).collect();
    let back = there_and_back(&with_body(Native::Binary(all.clone().into())));
    assert!(matches!(back.body.native().unwrap(), Native::Binary(bytes) if **bytes == *all));
    let back = there_and_back(&with_body(Native::Text("a\r\nb".into())));
    assert!(matches!(back.body.native().unwrap(), Native::Text(text) if &**text == "a\r\nb"));
    assert!(matches!(there_and_back(&with_body(Native::Empty)).body.native().unwrap(), Native::Empty));
    let mut raw = Message::new();
    raw.body = Body::from_bytes("<not closed", Some("text/xml".into()));
    let back = there_and_back(&raw);
    assert_eq!(back.body.raw().unwrap(), "<not closed");
    assert_eq!(back.body.received_content_type(), Some("text/xml"));
}

#[test]
fn xml_stays_as_it_was_written() {
    for (text, version, wrapped) in [
        ("<a  x='1'><!--c--><b xmlns='urn:b'/><![CDATA[<]]></a>", SoapVersion::Soap11, true),
        (
            "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Header><h/></e:Header><e:Body/></e:Envelope>",
            SoapVersion::Soap12,
            false,
        ),
    ] {
        let document = Document::parse(text.to_owned()).unwrap();
        let envelope = Envelope::from_document(document, SoapVersion::Soap11);
        let before = envelope.document().to_xml(envelope.envelope());
        let back = there_and_back(&with_body(Native::Xml(envelope)));
        let Native::Xml(envelope) = back.body.native().unwrap() else { panic!("XML expected") };
        assert_eq!(envelope.document().to_xml(envelope.envelope()), before);
        assert_eq!((envelope.version(), envelope.is_wrapped()), (version, wrapped));
        assert!(before.contains(text), "{before}");
    }
}

#[test]
fn values_keep_their_types() {
    let mut message = Message::new();
    let deep = Value::Map(Arc::new(vec![("in".into(), Value::Map(Arc::new(vec![("n".into(), Value::Int(1))])))]));
    let values = [
        Value::Null,
        Value::from("text"),
        Value::Bool(true),
        Value::Bool(false),
        Value::Int(-5),
        Value::Long(i64::MIN),
        Value::Float(1.5),
        Value::Double(f64::NAN),
        Value::from(json!({"a": [1, "x", null], "n": 1.10})),
        Value::from(json!("a string of JSON")),
        xml("<a b='1'>t</a>"),
        deep,
    ];
    for (index, value) in values.iter().enumerate() {
        message.properties.set(format!("p{index}"), value.clone());
        message.variables.set(format!("v{index}"), value.clone());
    }
    let back = there_and_back(&message);
    for (index, value) in values.iter().enumerate() {
        let found = back.variables.get(&format!("v{index}")).unwrap();
        assert_eq!(format!("{:?}", std::mem::discriminant(found)), format!("{:?}", std::mem::discriminant(value)));
        assert_eq!(found.to_text(), value.to_text());
    }
}

#[test]
fn nodes_that_are_no_elements_come_back() {
    let document = Document::parse("<r at='1'>t<!--c--><?p d?><e/></r>".to_owned()).unwrap();
    let root = document.root_element().unwrap();
    let nodes: Vec<_> = document.attributes(root).chain(document.children(root)).collect();
    let value = Value::Xml(XmlValue { document: Arc::new(document), nodes });
    let mut message = Message::new();
    message.properties.set("nodes", value);
    let back = there_and_back(&message);
    let Some(Value::Xml(xml)) = back.properties.get("nodes") else { panic!("XML expected") };
    let found: Vec<_> = xml.nodes.iter().map(|node| xml.document.value(*node).into_owned()).collect();
    assert_eq!(found, ["1", "t", "c", "d", ""]);
}

#[test]
fn everything_beside_the_body_comes_back() {
    let mut message = Message::new();
    message.headers.append("X-A", "1");
    message.headers.append("x-a", "2");
    message.axis2.set("HTTP_METHOD", "PUT");
    message.axis2_client.set("o", true);
    message.operation.set("op", "1");
    message.trace.set("t", "1");
    message.addressing.to = Some("http://h/".to_owned());
    message.addressing.message_id = Some("urn:1".to_owned());
    message.rest = true;
    message.is_response = true;
    message.attachments.push(Attachment {
        id: "1".to_owned(),
        content_type: "image/png".to_owned(),
        file_name: None,
        data: Bytes::from_static(b"\x89PNG"),
    });
    let back = there_and_back(&message);
    assert_eq!(back.headers.iter().collect::<Vec<_>>(), [("X-A", "1"), ("x-a", "2")]);
    assert_eq!(back.axis2.get_str("HTTP_METHOD"), Some("PUT"));
    assert!(back.rest && back.is_response);
    assert_eq!(back.addressing.message_id.as_deref(), Some("urn:1"));
    assert_eq!(&*back.attachments[0].data, b"\x89PNG");
}

#[test]
fn damaged_bytes_are_an_error() {
    let mut message = with_body(Native::Json(crate::JsonBody::from_text("{\"a\":1}")));
    message.properties.set("x", xml("<a/>"));
    message.properties.set("j", json!({"a": 1}));
    let bytes = encode(&message).unwrap();
    let read = |bytes: &[u8]| decode(&Bytes::copy_from_slice(bytes), &ConvertOptions::default());
    for end in 0..bytes.len() {
        assert!(read(&bytes[..end]).is_err(), "cut at {end}");
    }
    assert!(read(&[&bytes[..], b"x"].concat()).is_err());
    assert_eq!(read(&[9, 0]).unwrap_err(), ArchiveError::Version(9));
    // Whatever a flipped byte says, nothing panics and nothing is asked of memory that is not there.
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0xff;
        drop(read(&flipped));
    }
}

#[test]
fn a_body_that_nobody_read_is_refused() {
    let stream = http_body_util::combinators::UnsyncBoxBody::new(http_body_util::BodyExt::map_err(
        http_body_util::Full::new(Bytes::from("x")),
        |never| match never {},
    ));
    let mut message = Message::new();
    message.body = Body::from_stream(stream, None);
    assert!(matches!(encode(&message), Err(ArchiveError::Unstorable(_))));
}
