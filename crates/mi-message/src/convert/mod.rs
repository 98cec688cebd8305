//! MI's mapping between XML and JSON, and the wrapper elements of text and bytes.
//!
//! One file a direction: [`xml_to_json`] writes an element as JSON text or as a value, [`json_to_xml`] builds elements
//! from a value, [`json_text`] reads JSON as leniently as MI does. Which content type means which form is decided in
//! `crate::media`.

pub mod json_text;
mod json_to_markup;
pub mod json_to_xml;
pub mod names;
mod numbers;
mod options;
mod sink;
pub mod xml_to_json;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mi_xml::{Document, NodeId};
use serde_json::{Map, Value};

use crate::body::BodyError;
use crate::{Envelope, Native, SoapVersion};

pub use json_text::parse_json;
pub use json_to_markup::markup;
pub(crate) use numbers::is_number as is_json_number;
pub use options::{ConvertOptions, Pattern};

/// Namespace of the elements that carry text and bytes.
pub const PAYLOAD_NS: &str = "http://ws.apache.org/commons/ns/payload";
/// Local name of the element that carries text.
pub const TEXT_WRAPPER: &str = "text";
/// Local name of the element that carries bytes in base64.
pub const BINARY_WRAPPER: &str = "binary";

/// Base64 that forgives missing padding and stray bits, as Java's mail decoder does.
const LENIENT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The XML view of a native form: JSON as `jsonObject`, `jsonArray` or `jsonValue`, text as `text`, bytes as `binary`,
/// nothing as an empty Body. Errors: JSON that does not parse or that has no XML form.
pub fn to_envelope(native: &Native, options: &ConvertOptions) -> Result<Envelope, BodyError> {
    let mut envelope = match native {
        Native::Xml(envelope) => return Ok(envelope.clone()),
        _ => Envelope::empty(SoapVersion::Soap11),
    };
    let body = envelope.body();
    let document = envelope.document_mut();
    let payload = match native {
        Native::Empty | Native::Xml(_) => None,
        Native::Json(json) => Some(json_to_xml::build(document, json.value()?, options)?),
        Native::Text(text) => Some(wrapper(document, TEXT_WRAPPER, text)),
        Native::Binary(bytes) => Some(wrapper(document, BINARY_WRAPPER, &encode_base64(bytes))),
    };
    if let Some(payload) = payload {
        document.append_child(body, payload);
    }
    Ok(envelope)
}

/// The JSON view of a native form: XML by MI's mapping of the first element in the Body, nothing as `{}`, text and
/// bytes as the mapping of their wrapper elements. Errors: mixed content. MI: `JsonUtil#toJsonString`.
pub fn to_json(native: &Native, options: &ConvertOptions) -> Result<Value, BodyError> {
    match native {
        Native::Empty => Ok(Value::Object(Map::new())),
        Native::Json(json) => Ok(json.value()?.as_ref().clone()),
        Native::Xml(envelope) => match envelope.payload() {
            Some(payload) => xml_to_json::to_value(envelope.document(), payload, options),
            None => Ok(Value::Object(Map::new())),
        },
        Native::Text(text) => Ok(single(TEXT_WRAPPER, xml_to_json::primitive_value(text, options))),
        Native::Binary(bytes) => Ok(single(BINARY_WRAPPER, Value::String(encode_base64(bytes)))),
    }
}

fn single(name: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), value)]))
}

fn wrapper(document: &mut Document, name: &str, text: &str) -> NodeId {
    let element = document.create_element("", name, PAYLOAD_NS);
    document.declare_namespace(element, "", PAYLOAD_NS);
    document.set_text(element, text);
    element
}

/// True when `element` is the wrapper `name` of text or bytes.
pub fn is_wrapper(document: &Document, element: NodeId, name: &str) -> bool {
    document.local_name(element) == name && document.namespace(element) == PAYLOAD_NS
}

/// Standard base64 with padding.
pub fn encode_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Decodes base64; white space inside and missing padding are fine. `None` for anything that is no base64.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        let compact: String = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
        return LENIENT_BASE64.decode(compact).ok();
    }
    LENIENT_BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests;
