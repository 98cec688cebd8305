//! Values of messages as values of the engine, and back.

use std::sync::Arc;

use mi_message::{Value, XmlValue};
use mi_xml::Document;
use rquickjs::object::Property;
use rquickjs::{Ctx, Exception, Object, Result, Type, Value as JsValue};

use crate::host::{self, Running};
use crate::om;
use crate::script::Language;

/// A value for the script. JSON is an object that prints as its text, so that both `x.a` and `JSON.parse(x)` work on
/// what MI gives as a Gson element; XML is an element.
pub(crate) fn to_js<'js>(ctx: &Ctx<'js>, value: &Value) -> Result<JsValue<'js>> {
    use rquickjs::IntoJs;
    Ok(match value {
        Value::Null => JsValue::new_null(ctx.clone()),
        Value::String(text) => (&**text).into_js(ctx)?,
        Value::Bool(value) => JsValue::new_bool(ctx.clone(), *value),
        Value::Int(value) => JsValue::new_int(ctx.clone(), *value),
        Value::Long(value) => JsValue::new_number(ctx.clone(), *value as f64),
        Value::Float(value) => JsValue::new_number(ctx.clone(), f64::from(*value)),
        Value::Double(value) => JsValue::new_number(ctx.clone(), *value),
        Value::Json(json) => return json_object(ctx, json),
        Value::Map(entries) => {
            let object = Object::new(ctx.clone())?;
            for (name, value) in entries.iter() {
                object.set(&**name, to_js(ctx, value)?)?;
            }
            object.into_value()
        }
        Value::Xml(xml) => {
            let Some(node) = xml.nodes.first() else { return Ok(JsValue::new_null(ctx.clone())) };
            let mut document = Document::new();
            let copy = document.import(&xml.document, *node);
            document.append_child(Document::ROOT, copy);
            let handle = host::ask(ctx, |running| running.adopt(document))?;
            om::element(ctx, handle)?
        }
    })
}

fn json_object<'js>(ctx: &Ctx<'js>, json: &Arc<serde_json::Value>) -> Result<JsValue<'js>> {
    let text = json.to_string();
    let value = ctx.json_parse(text.clone())?;
    if let Some(object) = value.as_object() {
        let print = rquickjs::Function::new(ctx.clone(), move || text.clone())?;
        object.prop("toString", Property::from(print).writable().configurable())?;
    }
    Ok(value)
}

/// A value of the script as one of the message: numbers stay numbers (whole ones become INTEGER, in Rhino every one is
/// a DOUBLE, as Java sees them there), objects become JSON. `None` for undefined and null.
pub(crate) fn from_js<'js>(ctx: &Ctx<'js>, value: &JsValue<'js>, language: Language) -> Result<Option<Value>> {
    Ok(Some(match value.type_of() {
        Type::Uninitialized | Type::Undefined | Type::Null => return Ok(None),
        Type::Bool => Value::Bool(value.as_bool().unwrap_or_default()),
        Type::Int | Type::Float => number(value.as_number().unwrap_or_default(), language),
        Type::String => Value::from(text(value)?),
        Type::BigInt | Type::Symbol => Value::from(printed(ctx, value)?),
        _ => {
            if let Some(xml) = xml_of(value)? {
                let parsed = parse(&xml).map_err(|error| Exception::throw_message(ctx, &error))?;
                return Ok(Some(Value::Xml(parsed)));
            }
            if let Some(text) = text_of_xml(value)? {
                return Ok(Some(Value::from(text)));
            }
            match ctx.json_stringify(value.clone())? {
                None => return Ok(None),
                Some(text) => {
                    let text = text.to_string()?;
                    match serde_json::from_str::<serde_json::Value>(&text) {
                        Ok(serde_json::Value::String(text)) => Value::from(text),
                        Ok(json) => Value::from(json),
                        Err(error) => return Err(Exception::throw_message(ctx, &error.to_string())),
                    }
                }
            }
        }
    }))
}

fn number(value: f64, language: Language) -> Value {
    let whole = value.fract() == 0.0 && !(value == 0.0 && value.is_sign_negative());
    if language != Language::Rhino && whole && value.abs() <= f64::from(i32::MAX) {
        return Value::Int(value as i32);
    }
    if language != Language::Rhino && whole && value.abs() <= 9_007_199_254_740_991.0 {
        return Value::Long(value as i64);
    }
    Value::Double(value)
}

/// Text without what UTF-8 cannot say (halves of pairs).
pub(crate) fn text(value: &JsValue<'_>) -> Result<String> {
    match value.as_string() {
        Some(text) => match text.to_string() {
            Ok(text) => Ok(text),
            Err(_) => well_formed(value),
        },
        None => value.get(),
    }
}

/// Halves of pairs become U+FFFD.
fn well_formed(value: &JsValue<'_>) -> Result<String> {
    let strings: Object<'_> = value.ctx().globals().get("String")?;
    let repair: rquickjs::Function<'_> = strings.get::<_, Object<'_>>("prototype")?.get("toWellFormed")?;
    repair.call((rquickjs::prelude::This(value.clone()),))
}

/// What `String(value)` gives.
pub(crate) fn printed<'js>(ctx: &Ctx<'js>, value: &JsValue<'js>) -> Result<String> {
    if value.is_string() {
        return text(value);
    }
    let print: rquickjs::Function<'js> = ctx.globals().get("String")?;
    let printed: JsValue<'js> = print.call((value.clone(),))?;
    text(&printed)
}

/// The markup of an element of either kind (`js/om.js`, `js/e4x.js`).
pub(crate) fn xml_of(value: &JsValue<'_>) -> Result<Option<String>> {
    let Some(object) = value.as_object() else { return Ok(None) };
    let markup: JsValue<'_> = object.get("__mi_xml__")?;
    if markup.is_string() { text(&markup).map(Some) } else { Ok(None) }
}

/// The text of an XML value that is no single element.
fn text_of_xml(value: &JsValue<'_>) -> Result<Option<String>> {
    let Some(object) = value.as_object() else { return Ok(None) };
    let markup: JsValue<'_> = object.get("__mi_text__")?;
    if markup.is_string() { text(&markup).map(Some) } else { Ok(None) }
}

/// Parses markup.
pub(crate) fn parse(text: &str) -> std::result::Result<XmlValue, String> {
    let document = Document::parse(text.as_bytes().to_vec()).map_err(|error| error.to_string())?;
    let root = document.root_element().ok_or("there is no element")?;
    Ok(XmlValue { document: Arc::new(document), nodes: vec![root] })
}

/// The value as a document of its own, for `setPayloadXML` and its kin. In `js`, `graalJs` and `nashornJs` a text is
/// parsed; `rhinoJs` knows XML values only, and texts are taken as well. MI: `ExtendedJavaScriptXmlHelper#toOMElement`.
pub(crate) fn element_of<'js>(ctx: &Ctx<'js>, value: &JsValue<'js>) -> Result<XmlValue> {
    let markup = match xml_of(value)? {
        Some(markup) => markup,
        None if value.is_string() => text(value)?,
        None => match text_of_xml(value)? {
            Some(text) => text,
            None => {
                let text = format!("Unsupported type provide for XML. type: {}", value.type_name());
                return Err(Exception::throw_type(ctx, &text));
            }
        },
    };
    parse(&markup).map_err(|error| {
        Exception::throw_message(ctx, &format!("Failed to create OMElement with provided payload: {error}"))
    })
}

/// The text of the payload: JSON as it is, else the envelope.
pub(crate) fn payload_text(running: &mut Running) -> std::result::Result<String, String> {
    running.need_body()?;
    if let Ok(mi_message::Native::Json(json)) = running.message.body.native() {
        return Ok(String::from_utf8_lossy(json.text()).into_owned());
    }
    let envelope = running.message.body.envelope().map_err(|error| error.to_string())?;
    Ok(envelope.document().to_xml(envelope.envelope()))
}
