//! The payload as XML, JSON and text, headers of the envelope, and what parses XML for scripts.

use mi_message::{Envelope, JsonBody, Native};
use mi_xml::NodeId;
use rquickjs::object::Property;
use rquickjs::{Ctx, Exception, Function, Result, Value};

use super::{Args, JSON_OBJECT, Method, arg, text_arg, truth, undefined};
use crate::convert::{self, payload_text};
use crate::host::{Place, Running, ask};
use crate::script::Language;
use crate::{lazy, om};

pub(super) const METHODS: &[(&str, Method)] = &[
    ("getPayloadXML", get_xml),
    ("setPayloadXML", set_xml),
    ("getPayloadJSON", get_json),
    ("setPayloadJSON", set_json),
    ("jsonObject", get_json),
    ("setJsonObject", set_json_object),
    ("getPayloadText", get_text),
    ("getMessageString", get_text),
    ("getJsonText", get_json_text),
    ("setJsonText", set_json_text),
    ("getEnvelope", get_envelope),
    ("getEnvelopeXML", get_envelope_xml),
    ("addHeader", add_header),
    ("parseXml", parse_xml),
    ("getParsedOMElement", parsed_element),
    ("getXpathResult", xpath),
];

type Answer<T> = std::result::Result<T, String>;

/// A handle of the payload; `None` when the Body is empty.
fn payload(running: &mut Running) -> Answer<Option<u32>> {
    running.need_body()?;
    let node = running.message.body.envelope().map_err(|error| error.to_string())?.payload();
    let place = Place::Envelope(running.envelope);
    node.map(|node| running.hold(place, node)).transpose()
}

/// Text in `js` and `graalJs`, an element in `nashornJs`, a value of E4X in `rhinoJs`.
fn get_xml<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let (language, handle) = ask(&ctx, |running| Ok((running.language, payload(running)?)))?;
    let Some(handle) = handle else { return Ok(Value::new_null(ctx.clone())) };
    show(&ctx, language, handle)
}

/// An element of the envelope as the language has XML.
fn show<'js>(ctx: &Ctx<'js>, language: Language, handle: u32) -> Result<Value<'js>> {
    use rquickjs::IntoJs;
    if language == Language::Nashorn {
        return om::element(ctx, handle);
    }
    let markup = ask(ctx, |running| {
        let node = running.node(handle)?;
        Ok(running.look(node.place)?.to_xml(node.node))
    })?;
    match language {
        Language::Rhino => crate::engine::e4x(ctx)?.get::<_, Function<'js>>("xml")?.call((markup,)),
        _ => markup.into_js(ctx),
    }
}

fn set_xml<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let new = convert::element_of(&ctx, &arg(&ctx, &args, 0))?;
    ask(&ctx, |running| {
        running.need_body()?;
        // An empty body counts as none of the views: it becomes an envelope here.
        let envelope = running.message.body.envelope_mut().map_err(|error| error.to_string())?;
        let old = envelope.payload();
        let body = envelope.body();
        let document = envelope.document_mut();
        for node in &new.nodes {
            let copy = document.import(&new.document, *node);
            match old {
                Some(old) => document.replace(old, copy),
                None => document.append_child(body, copy),
            }
        }
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

/// The payload as an object. Only what is looked at is parsed. An object that `setJsonObject` or `setPayloadJSON` left
/// comes first; without any JSON it is an empty one. MI: `ScriptMediator#processJSONPayload`, which parses it all.
fn get_json<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let globals = ctx.globals();
    let known: Value<'js> = globals.get(JSON_OBJECT)?;
    if !known.is_undefined() {
        return Ok(known);
    }
    let (text, kept) = ask(&ctx, |running| {
        running.need_body()?;
        let text = match running.message.body.native() {
            Ok(Native::Json(json)) => Some(json.text().clone()),
            _ => running.message.axis2.get_str("JSON_STRING").map(|text| bytes::Bytes::from(text.to_owned())),
        };
        Ok((text, running.message.properties.get("JSON_OBJECT").cloned()))
    })?;
    let value = match (text, kept) {
        (Some(text), _) => lazy::value(&ctx, text)?,
        (None, Some(kept)) => convert::to_js(&ctx, &kept)?,
        (None, None) => rquickjs::Object::new(ctx.clone())?.into_value(),
    };
    keep(&ctx, &value)?;
    Ok(value)
}

fn keep<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<()> {
    ctx.globals().prop(JSON_OBJECT, Property::from(value.clone()).configurable())
}

/// In Rhino a text is JSON text and nothing is an empty object; elsewhere everything is written as JSON, texts too.
fn set_json<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let value = arg(&ctx, &args, 0);
    let language = ask(&ctx, |running| Ok(running.language))?;
    let text = if language == Language::Rhino && value.is_string() {
        convert::text(&value)?
    } else if language == Language::Rhino && (value.is_null() || value.is_undefined()) {
        "{}".to_owned()
    } else {
        match ctx.json_stringify(value.clone())? {
            Some(text) => convert::text(&text.into_value())?,
            None => return Err(Exception::throw_type(&ctx, "the value for setPayloadJSON() has no form in JSON")),
        }
    };
    ask(&ctx, |running| {
        running.need_body()?;
        running.message.body.set(Native::Json(JsonBody::from_text(text)));
        running.envelope += 1;
        Ok(())
    })?;
    if language == Language::Rhino && value.is_string() {
        ctx.globals().prop(JSON_OBJECT, Property::from(undefined(&ctx)).configurable())?;
    } else {
        keep(&ctx, &value)?;
    }
    Ok(undefined(&ctx))
}

/// `setJsonObject(mc, object)`.
fn set_json_object<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let value = arg(&ctx, &args, 1);
    let language = ask(&ctx, |running| Ok(running.language))?;
    if let Some(kept) = convert::from_js(&ctx, &value, language)? {
        ask(&ctx, |running| {
            running.message.properties.set("JSON_OBJECT", kept);
            Ok(())
        })?;
        keep(&ctx, &value)?;
    }
    Ok(Value::new_bool(ctx.clone(), true))
}

fn get_text<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    use rquickjs::IntoJs;
    ask(&ctx, payload_text)?.into_js(&ctx)
}

/// What `setJsonText` left, else `{}`.
fn get_json_text<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let kept = ask(&ctx, |running| Ok(running.message.properties.get("JSON_TEXT").cloned()))?;
    convert::to_js(&ctx, &kept.unwrap_or_else(|| mi_message::Value::from("{}")))
}

/// `setJsonText(mc, text)`.
fn set_json_text<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let text = text_arg(&ctx, &args, 1)?;
    ask(&ctx, |running| {
        if let Some(text) = text {
            running.message.properties.set("JSON_TEXT", text);
        }
        Ok(())
    })?;
    Ok(Value::new_bool(ctx.clone(), true))
}

fn envelope(running: &mut Running) -> Answer<u32> {
    running.need_body()?;
    let node = running.message.body.envelope().map_err(|error| error.to_string())?.envelope();
    let place = Place::Envelope(running.envelope);
    running.hold(place, node)
}

fn get_envelope<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let handle = ask(&ctx, envelope)?;
    om::element(&ctx, handle)
}

/// E4X in `rhinoJs`, text elsewhere.
fn get_envelope_xml<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let (language, handle) = ask(&ctx, |running| Ok((running.language, envelope(running)?)))?;
    show(&ctx, if language == Language::Nashorn { Language::Js } else { language }, handle)
}

/// `addHeader(mustUnderstand, xml)`: a copy of the element with the attribute `mustUnderstand`, as a block of the Header.
fn add_header<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let must_understand = truth(&arg(&ctx, &args, 0));
    let block = convert::element_of(&ctx, &arg(&ctx, &args, 1))?;
    ask(&ctx, |running| {
        running.need_body()?;
        let envelope = running.message.body.envelope_mut().map_err(|error| error.to_string())?;
        for node in &block.nodes {
            if block.document.namespace(*node).is_empty() {
                return Err("a SOAP header block needs a namespace".to_owned());
            }
            append_block(envelope, &block.document, *node, must_understand);
        }
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

fn append_block(envelope: &mut Envelope, source: &mi_xml::Document, block: NodeId, must_understand: bool) {
    let header = envelope.header_or_create();
    let root = envelope.envelope();
    let namespace = envelope.version().namespace();
    let document = envelope.document_mut();
    let prefix = document.prefix(root).to_owned();
    let copy = document.import(source, block);
    document.append_child(header, copy);
    document.set_attribute(copy, &prefix, "mustUnderstand", namespace, if must_understand { "1" } else { "0" });
}

fn parse_xml<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let text = text_arg(&ctx, &args, 0)?.unwrap_or_default();
    let handle = ask(&ctx, |running| {
        let document = mi_xml::Document::parse(text.into_bytes())
            .map_err(|error| format!("Failed to parse provided xml: {error}"))?;
        running.adopt(document)
    })?;
    om::element(&ctx, handle)
}

/// `getParsedOMElement(stream)`; texts are taken as well.
fn parsed_element<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let stream = arg(&ctx, &args, 0);
    let text = match stream.as_object() {
        Some(object) => object.get::<_, Option<String>>("text")?,
        None => None,
    };
    match text {
        Some(text) => {
            use rquickjs::IntoJs;
            let text = text.into_js(&ctx)?;
            parse_xml(ctx, rquickjs::prelude::Rest(vec![text]))
        }
        None => parse_xml(ctx, args),
    }
}

fn xpath<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    om::classes(&ctx)?.get::<_, Function<'js>>("xpath")?.call((arg(&ctx, &args, 0),))
}
