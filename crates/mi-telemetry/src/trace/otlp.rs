//! Spans as a message of OTLP (`ExportTraceServiceRequest`), encoded by hand: five messages of protobuf with three kinds
//! of fields.

use super::{Attribute, SpanData};

/// Kinds of fields on the wire.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// The request for some spans of one service.
pub(crate) fn request(resource: &[(String, String)], scope: &str, spans: &[SpanData]) -> Vec<u8> {
    let mut attributes = Vec::new();
    for (name, value) in resource {
        bytes(&mut attributes, 1, &key_value(name, &Attribute::Text(value.clone())));
    }
    let mut scoped = Vec::with_capacity(spans.len() * 256);
    let mut named = Vec::new();
    bytes(&mut named, 1, scope.as_bytes());
    bytes(&mut scoped, 1, &named);
    for data in spans {
        bytes(&mut scoped, 2, &span(data));
    }
    let mut of_resource = Vec::with_capacity(scoped.len() + 256);
    bytes(&mut of_resource, 1, &attributes);
    bytes(&mut of_resource, 2, &scoped);
    let mut out = Vec::with_capacity(of_resource.len() + 8);
    bytes(&mut out, 1, &of_resource);
    out
}

fn span(data: &SpanData) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    bytes(&mut out, 1, &data.trace.to_be_bytes());
    bytes(&mut out, 2, &data.id.to_be_bytes());
    if data.parent != 0 {
        bytes(&mut out, 4, &data.parent.to_be_bytes());
    }
    bytes(&mut out, 5, data.name.as_bytes());
    number(&mut out, 6, data.kind as u64);
    fixed(&mut out, 7, data.began);
    fixed(&mut out, 8, data.ended);
    for (name, value) in &data.attributes {
        bytes(&mut out, 9, &key_value(name, value));
    }
    if let Some(error) = &data.error {
        let mut status = Vec::new();
        bytes(&mut status, 2, error.as_bytes());
        // STATUS_CODE_ERROR
        number(&mut status, 3, 2);
        bytes(&mut out, 15, &status);
    }
    out
}

fn key_value(name: &str, value: &Attribute) -> Vec<u8> {
    let mut any = Vec::new();
    match value {
        Attribute::Text(text) => bytes(&mut any, 1, text.as_bytes()),
        Attribute::Int(value) => number(&mut any, 3, value.cast_unsigned()),
    }
    let mut out = Vec::with_capacity(name.len() + any.len() + 8);
    bytes(&mut out, 1, name.as_bytes());
    bytes(&mut out, 2, &any);
    out
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, u64::from((field << 3) | kind));
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, VARINT);
    varint(out, value);
}

fn fixed(out: &mut Vec<u8>, field: u32, value: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&value.to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    tag(out, field, BYTES);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    /// Fields of a message, as (number, value).
    fn fields(mut data: &[u8]) -> Vec<(u64, Vec<u8>)> {
        let mut found = Vec::new();
        let read = |data: &mut &[u8]| {
            let mut value = 0u64;
            for shift in (0..).step_by(7) {
                let (first, rest) = data.split_first().expect("a byte");
                *data = rest;
                value |= u64::from(first & 0x7f) << shift;
                if first & 0x80 == 0 {
                    return value;
                }
            }
            value
        };
        while !data.is_empty() {
            let tag = read(&mut data);
            let value = match tag & 7 {
                0 => read(&mut data).to_le_bytes().to_vec(),
                1 => data[..8].to_vec(),
                _ => {
                    let length = read(&mut data) as usize;
                    data[..length].to_vec()
                }
            };
            if tag & 7 != 0 {
                data = &data[value.len()..];
            }
            found.push((tag >> 3, value));
        }
        found
    }

    fn child(message: &[u8], path: &[u64]) -> Vec<u8> {
        path.iter().fold(message.to_vec(), |message, number| {
            fields(&message).into_iter().find(|(it, _)| it == number).expect("the field").1
        })
    }

    #[test]
    fn a_reader_of_protobuf_finds_everything() {
        let data = SpanData {
            trace: 7,
            id: 8,
            parent: 9,
            name: "Orders".to_owned(),
            kind: Kind::Server,
            began: 1_000,
            ended: 300_000,
            attributes: vec![("http.response.status_code".to_owned(), Attribute::Int(500))],
            error: Some("broken".to_owned()),
        };
        let message = request(&[("service.name".to_owned(), "mi".to_owned())], "scope", &[data]);
        assert_eq!(child(&message, &[1, 1, 1, 1]), b"service.name");
        assert_eq!(child(&message, &[1, 1, 1, 2, 1]), b"mi");
        assert_eq!(child(&message, &[1, 2, 1, 1]), b"scope");
        let span = child(&message, &[1, 2, 2]);
        assert_eq!(child(&span, &[1]), 7u128.to_be_bytes());
        assert_eq!(child(&span, &[4]), 9u64.to_be_bytes());
        assert_eq!(child(&span, &[5]), b"Orders");
        assert_eq!(child(&span, &[6]), 2u64.to_le_bytes());
        assert_eq!(child(&span, &[8]), 300_000u64.to_le_bytes());
        assert_eq!(child(&span, &[9, 2, 3]), 500u64.to_le_bytes());
        assert_eq!(child(&span, &[15, 2]), b"broken");
    }
}
