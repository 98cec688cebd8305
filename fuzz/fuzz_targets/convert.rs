//! Bodies of every content type are built, shown as XML and as JSON, and what comes out is well formed.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mi_message::convert::{ConvertOptions, to_envelope, to_json};
use mi_message::{Envelope, JsonBody, Native, media};
use mi_xml::Document;

const TYPES: [&str; 10] = [
    "application/json",
    "application/xml",
    "text/xml; charset=utf-8",
    "application/soap+xml; action=\"urn:a\"",
    "text/plain; charset=iso-8859-1",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/related; boundary=b; type=\"application/xop+xml\"; start=\"<r>\"; start-info=\"text/xml\"",
    "application/xml; charset=utf-16",
    "application/octet-stream",
];

fn check(native: &Native, options: &ConvertOptions) -> Option<Envelope> {
    if let Ok(value) = to_json(native, options) {
        let text = value.to_string();
        assert!(JsonBody::from_text(text.clone()).value().is_ok(), "what was written is JSON: {text}");
    }
    let envelope = to_envelope(native, options).ok()?;
    let written = envelope.document().to_xml(Document::ROOT);
    if let Err(error) = Document::parse(written) {
        // A field of a form may be called what no reader takes as a name.
        assert!(error.message.contains("(max_"), "what was written is well formed: {error:?}");
        return None;
    }
    Some(envelope)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let content_type = TYPES[usize::from(*kind) % TYPES.len()];
    let Ok(built) = media::build(&Bytes::copy_from_slice(rest), Some(content_type)) else { return };
    let options = ConvertOptions::default();
    let Some(envelope) = check(&built.native, &options) else { return };
    // XML made of JSON becomes JSON again, and the other way round.
    check(&Native::Xml(envelope), &options);
});
