//! What the value of an argument or expression looks like inside a format. MI: `TemplateProcessor`.
//!
//! XML in a JSON format becomes JSON and JSON in an XML format becomes XML; text is escaped for the format unless it
//! already looks like it. Users rely on the odd corners, such as objects in quotes staying unescaped.

use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::Expr;
use mi_message::{BodyError, Envelope, JsonBody, Native, SoapVersion, Value, convert};

use crate::{json, xml};

/// The form of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    Xml,
    Json,
    Text,
}

/// An argument.
#[derive(Debug)]
pub(super) enum Argument {
    Fixed(ArgumentValue),
    Expression {
        expr: Expr,
        /// Text whatever it looks like.
        literal: bool,
    },
}

/// The value of an argument for one message.
#[derive(Clone, Debug)]
pub(super) struct ArgumentValue {
    text: String,
    nature: Nature,
    literal: bool,
    /// Escaped for XML, or XML.
    fits: bool,
}

/// What stands in a format for a placeholder.
#[derive(Clone, Debug)]
pub(super) struct Inserted {
    pub(super) text: String,
    /// Whether it can stand between the tags of well-formed XML: escaped text, or elements that are well-formed themselves.
    /// Only XML formats ask.
    pub(super) fits: bool,
}

impl Inserted {
    /// What [`of_result`] and [`of_quoted_result`] make is escaped, converted, or XML that was looked at.
    pub(super) fn from_result(text: String) -> Self {
        let fits = !is_declared(&text);
        Self { text, fits }
    }
}

/// An XML declaration stands at the begin of a document only.
fn is_declared(text: &str) -> bool {
    text.trim_start().starts_with("<?xml")
}

/// What a value was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nature {
    Xml,
    Json,
    Text,
}

impl Argument {
    /// A fixed text: XML stays, other text is escaped for XML in every format.
    pub(super) fn fixed(text: &str) -> Self {
        let value = if xml::is_xml(text) {
            ArgumentValue { text: text.to_owned(), nature: Nature::Xml, literal: false, fits: !is_declared(text) }
        } else {
            ArgumentValue { text: xml::escape(text), nature: Nature::Text, literal: false, fits: true }
        };
        Self::Fixed(value)
    }

    /// Its value. MI: `TemplateProcessor#getArgValues`.
    pub(super) fn evaluate(&self, media: Media, cx: &Context) -> Result<ArgumentValue, Fault> {
        let (expr, literal) = match self {
            Self::Fixed(value) => return Ok(value.clone()),
            Self::Expression { expr, literal } => (expr, *literal),
        };
        let text = expr.eval_string(&cx.message, &*cx.snapshot)?;
        let looks_like_json = text.trim_start().starts_with(['{', '[']);
        let is_xml = xml::is_xml(&text);
        let nature = match (literal, expr.is_json_path()) {
            (true, _) => Nature::Text,
            (false, true) if looks_like_json => Nature::Json,
            (false, false) if is_xml => Nature::Xml,
            (false, _) => Nature::Text,
        };
        let escaped = media == Media::Xml && !is_xml && !(looks_like_json && expr.is_json_path());
        let fits = escaped || (is_xml && !is_declared(&text)) || memchr::memchr2(b'<', b'&', text.as_bytes()).is_none();
        let text = if escaped { xml::escape(&text) } else { text.to_string() };
        Ok(ArgumentValue { text, nature, literal, fits })
    }
}

impl ArgumentValue {
    /// What stands in a format for it. MI: the text goes through `Matcher#appendReplacement`, which takes backslashes away
    /// from JSON that was XML.
    pub(super) fn in_format(&self, media: Media, escape_controls: bool, cx: &Context) -> Result<Inserted, Fault> {
        let text = self.replacement(media, escape_controls, cx)?;
        let was_xml = (media, self.nature) == (Media::Json, Nature::Xml) && text.starts_with(['{', '[']);
        let fits = self.fits || (media, self.nature) == (Media::Xml, Nature::Json);
        Ok(Inserted { text: if was_xml { half_escaped(&text) } else { text }, fits })
    }

    /// What stands for it where templates are not formats. MI: `TemplateProcessor#prepareReplacementValue`.
    pub(super) fn replacement(&self, media: Media, escape_controls: bool, cx: &Context) -> Result<String, Fault> {
        match (media, self.nature) {
            (Media::Json, Nature::Xml) => Ok(xml_to_json(&self.text, cx).unwrap_or_else(|| json::escape(&self.text))),
            (Media::Xml, Nature::Json) => json_to_xml(&self.text, cx),
            (Media::Json, Nature::Json) if escape_controls => Ok(json::escape_controls(&self.text)),
            (Media::Json, Nature::Text) if self.literal || !self.text.trim_start().starts_with(['{', '[']) => {
                let escaped = json::escape(&self.text);
                let quotes = cx.message.properties.is_true("QUOTE_STRING_IN_PAYLOAD_FACTORY_JSON");
                Ok(if quotes && !is_json_word(self.text.trim()) { format!("\"{escaped}\"") } else { escaped })
            }
            _ => Ok(self.text.clone()),
        }
    }
}

fn is_json_word(text: &str) -> bool {
    matches!(text, "true" | "false" | "null")
        || serde_json::from_str::<serde_json::Value>(text).is_ok_and(|value| value.is_number())
}

/// `${…}` without quotes around it.
pub(super) fn of_result(value: &Value, media: Media, cx: &Context) -> Result<String, Fault> {
    if let Value::Json(json) = value {
        return match (&**json, media) {
            (serde_json::Value::Object(_) | serde_json::Value::Array(_), Media::Xml) => {
                Ok(escaped_again(&json_to_xml(&json.to_string(), cx)?))
            }
            (serde_json::Value::Null, Media::Xml) => Ok(String::new()),
            (serde_json::Value::Object(_) | serde_json::Value::Array(_) | serde_json::Value::Null, _) => {
                Ok(json::to_gson(json))
            }
            _ => Ok(primitive(value, media)),
        };
    }
    let text = value.to_text();
    Ok(match media {
        Media::Json if xml::is_xml(&text) => match xml_to_json(&text, cx) {
            Some(converted) => half_escaped(&converted),
            None => json::escape(&text),
        },
        Media::Xml if !xml::is_xml(&text) => xml::escape(&text),
        _ => text.into_owned(),
    })
}

/// `"${…}"`: what goes between the quotes.
pub(super) fn of_quoted_result(value: &Value, media: Media, cx: &Context) -> Result<String, Fault> {
    if let Value::Json(json) = value {
        return match (&**json, media) {
            (serde_json::Value::Object(_) | serde_json::Value::Array(_), Media::Xml) => {
                json_to_xml(&json.to_string(), cx)
            }
            (serde_json::Value::Object(_) | serde_json::Value::Array(_) | serde_json::Value::Null, _) => {
                Ok(json::to_gson(json).replace('\\', "\\\\").replace('"', "\\\""))
            }
            _ => Ok(primitive(value, media)),
        };
    }
    let text = value.to_text();
    Ok(match media {
        Media::Xml => xml::escape(&text),
        Media::Json if xml::is_xml(&text) => json::escape(&text),
        Media::Json => half_escaped(&text),
        Media::Text => text.into_owned(),
    })
}

/// A string, number or boolean of JSON: escaped as in a JSON string whatever the format is, and for XML on top of it.
fn primitive(value: &Value, media: Media) -> String {
    let escaped = json::escape(&value.to_text());
    if media == Media::Xml { xml::escape(&escaped) } else { escaped }
}

/// Text that is no part of JSON is taken to be escaped already: known escapes stay, other backslashes go.
/// MI: `TemplateProcessor#escapeSpecialCharactersOfJson`.
fn half_escaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some(known @ ('"' | 'b' | 'f' | 'n' | 'r' | 't')) => out.extend(['\\', known]),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

/// Elements that were JSON: what looks like an escape gets one more backslash, and a dollar gets one.
/// MI: `TemplateProcessor#escapeSpecialCharactersOfXml`.
fn escaped_again(text: &str) -> String {
    if !text.contains(['\\', '$']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_escape = letter == '\\' && letters.peek().is_some_and(|next| "\"bfnrt".contains(*next));
        if is_escape || letter == '$' {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// The elements of `text` as one JSON object. `None` when they are not well-formed together.
fn xml_to_json(text: &str, cx: &Context) -> Option<String> {
    let document = mi_xml::Document::parse(format!("<jsonObject>{text}</jsonObject>").into_bytes()).ok()?;
    let native = Native::Xml(Envelope::from_document(document, SoapVersion::Soap11));
    Some(convert::to_json(&native, cx.message.body.options()).ok()?.to_string())
}

/// JSON as elements, without the `jsonObject` around them. MI: `TemplateProcessor#convertJsonArgumentToXml`.
fn json_to_xml(text: &str, cx: &Context) -> Result<String, Fault> {
    let refused = |error: BodyError| {
        Fault::new(format!(
            "Error converting JSON to XML, please check your JSON Path expressions return valid JSON: {error}"
        ))
    };
    let value = convert::parse_json(text.as_bytes()).map_err(refused)?;
    let options = cx.message.body.options();
    if let Some(markup) = convert::markup(&value, options) {
        return Ok(markup);
    }
    let native = Native::Json(JsonBody::from_value(value));
    let envelope = convert::to_envelope(&native, options).map_err(refused)?;
    let document = envelope.document();
    let Some(payload) = envelope.payload() else { return Ok(String::new()) };
    if document.local_name(payload) == "jsonObject" {
        return Ok(document.child_elements(payload).map(|child| document.to_xml(child).trim().to_owned()).collect());
    }
    Ok(document.to_xml(payload))
}
