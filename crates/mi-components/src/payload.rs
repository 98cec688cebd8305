//! Changes of the payload that several mediators make alike: a new body, and the content type that goes with it.

use std::sync::Arc;

use mi_engine::fault::Fault;
use mi_expr::Expr;
use mi_expr::jsonpath::Found;
use mi_message::{Envelope, Message, Native, Value, XmlValue};
use mi_xml::{Document, NodeId};

/// Sets the axis2 property `messageType` with all that hangs on it: `ContentType` and the header field.
/// MI: `MediatorPropertyUtils#handleSpecialProperties`.
pub(crate) fn set_message_type(message: &mut Message, value: &Value) {
    message.axis2.set("messageType", value.clone());
    message.axis2.set("ContentType", value.clone());
    message.headers.remove("Content-Type");
    message.headers.set("Content-Type", value.to_text().into_owned());
}

/// Replaces the native form, keeping how the body converts. A message that came as SOAP stays SOAP with a new payload.
pub(crate) fn set_native(message: &mut Message, mut native: Native) {
    if let Native::Xml(envelope) = &mut native
        && !message.rest
    {
        envelope.set_wrapped(false);
    }
    message.body.set(native);
}

/// Replaces the payload by JSON text, which is not checked.
pub(crate) fn set_json_text(message: &mut Message, text: impl Into<bytes::Bytes>) {
    set_native(message, Native::Json(mi_message::JsonBody::from_text(text)));
}

/// Replaces the payload by a JSON value.
pub(crate) fn set_json(message: &mut Message, value: serde_json::Value) {
    set_native(message, Native::Json(mi_message::JsonBody::from_value(value)));
}

/// Replaces the content of the Body by one element; the Header stays when the body is XML.
pub(crate) fn set_element(message: &mut Message, document: &Document, node: NodeId) {
    set_elements(message, document, &[node]);
}

/// As [`set_element`], for nodes that stand side by side.
pub(crate) fn set_elements(message: &mut Message, document: &Document, nodes: &[NodeId]) {
    if matches!(message.body.native(), Ok(Native::Xml(_)))
        && let Ok(envelope) = message.body.envelope_mut()
    {
        envelope.set_payload(document, nodes);
        return;
    }
    let mut envelope = Envelope::empty(message.body.soap_version());
    envelope.set_payload(document, nodes);
    set_native(message, Native::Xml(envelope));
}

/// A copy with an empty body that converts as the message's own does.
pub(crate) fn copy_without_body(message: &Message) -> Message {
    let mut copy = message.copy_without_body();
    copy.body.set_options(message.body.options().clone());
    copy
}

/// The first element of the Body as a value of its own.
pub(crate) fn element(envelope: &Envelope) -> Option<XmlValue> {
    envelope.payload().map(|payload| XmlValue::copy_of(envelope.document(), payload))
}

/// What an expression finds, as JSON; null when it finds nothing.
pub(crate) fn json_of(
    expression: &Expr,
    message: &Message,
    lookup: &dyn mi_expr::Lookup,
) -> Result<serde_json::Value, Fault> {
    if let Some(path) = expression.as_json_path() {
        return Ok(path.find(message.body.json()?).map_or(serde_json::Value::Null, Found::into_value));
    }
    Ok(match expression.eval(message, lookup)? {
        Value::Json(value) => Arc::unwrap_or_clone(value),
        Value::Null => serde_json::Value::Null,
        other => serde_json::Value::String(other.to_text().into_owned()),
    })
}

/// The id of the message; it gets one when it has none. MI: `MessageContext#getMessageID`.
pub(crate) fn message_id(message: &mut Message, lookup: &dyn mi_expr::Lookup) -> Arc<str> {
    message.addressing.message_id.get_or_insert_with(|| lookup.new_id()).as_str().into()
}
