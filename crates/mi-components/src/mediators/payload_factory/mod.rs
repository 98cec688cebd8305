//! `<payloadFactory>` makes a new payload from a format with `$1` arguments and `${…}` expressions inside.
//!
//! What a value becomes inside a format (escaped, converted between XML and JSON, or as it is) is in `replacement`.

mod format;
mod freemarker;
mod replacement;
mod skeleton;
#[cfg(test)]
mod tests;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr, Namespaces};
use mi_message::soap::{Extent, SOAP11_NS, SOAP12_NS};
use mi_message::{Envelope, Message, Native, Value};
use mi_xml::{Document, NodeId, NodeKind};

use self::format::{Format, Rendered};
use self::freemarker::FreeMarker;
use self::replacement::{Argument, Media};
use crate::resource::{Cached, Layout, Reader};
use crate::{payload, xml};

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("payloadFactory", parse)
    .attributes(&["media-type", "template-type", "escapeXmlChars"])
    .children(&["format", "args"]);

#[derive(Debug)]
struct PayloadFactory {
    media: Media,
    source: Source,
    arguments: Vec<Argument>,
    namespaces: Namespaces,
    escape_controls: bool,
}

#[derive(Debug)]
enum Source {
    Inline(Format),
    /// A key of a local entry or registry resource.
    Key(Dynamic, Cached<Format>),
    FreeMarker(FreeMarker),
    /// A key of a local entry or registry resource that holds a FreeMarker template.
    FreeMarkerKey(Dynamic, Cached<FreeMarker>),
}

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let media = match el.attr("media-type").as_deref() {
        Some(it) if it.contains("json") => Media::Json,
        Some(it) if it.contains("text") => Media::Text,
        _ => Media::Xml,
    };
    let format = el.child("format").ok_or_else(|| el.error("<payloadFactory> needs a <format>"))?;
    let source = if el.attr("template-type").is_some_and(|it| it.eq_ignore_ascii_case("freemarker")) {
        parse_freemarker(&format)?
    } else {
        parse_source(&format, media)?
    };
    let arguments = match el.child("args") {
        Some(args) => args.children().map(|it| parse_argument(&it)).collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    Ok(Box::new(PayloadFactory {
        media,
        source,
        arguments,
        namespaces: format.namespaces(),
        escape_controls: el.bool_attr("escapeXmlChars") == Some(true),
    }))
}

fn parse_freemarker(el: &Element) -> Result<Source, Diagnostic> {
    if let Some(key) = el.resource_key("key")? {
        return Ok(Source::FreeMarkerKey(key, Cached::default()));
    }
    FreeMarker::compile(&freemarker::text_of(el)).map(Source::FreeMarker).map_err(|error| el.error(error))
}

fn parse_source(el: &Element, media: Media) -> Result<Source, Diagnostic> {
    if let Some(key) = el.resource_key("key")? {
        return Ok(Source::Key(key, Cached::default()));
    }
    // White space between the elements of an XML format is layout. The default namespace of the configuration is the
    // format's too, as the element stands in it.
    let text = match el.first_child() {
        Some(child) if media == Media::Xml => xml::without_indentation(child.document(), child.node()),
        _ => el.text(),
    };
    let format = Format::compile(&text, &el.namespaces(), media);
    format.map(Source::Inline).map_err(|error| el.error(format!("Invalid Payload format : {error}")))
}

fn parse_argument(el: &Element) -> Result<Argument, Diagnostic> {
    if let Some(value) = el.attr("value") {
        return Ok(Argument::fixed(&value));
    }
    let Some(source) = el.attr("expression") else {
        return Err(el.error("Unsupported arg type. value or expression attribute required"));
    };
    if source.trim().is_empty() {
        return Err(el.error("Attribute value for xpath cannot be empty"));
    }
    let expr = if el.attr("evaluator").as_deref() == Some("json") {
        let path = source.strip_prefix("json-eval(").map_or(&*source, |rest| rest.strip_suffix(')').unwrap_or(rest));
        Expr::json_path(path).map_err(|error| el.error(format!("the JSONPath '{path}' is not valid: {error}")))?
    } else {
        el.compile(&source)?
    };
    Ok(Argument::Expression { expr, literal: el.bool_attr("literal") == Some(true) })
}

impl Mediator for PayloadFactory {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let Rendered { text, extent } = self.render(cx)?;
        let text = text.trim();
        match (self.media, extent) {
            (Media::Xml, Some(extent)) if extent != Extent::Payload || !has_header(&cx.message) => {
                set_unread(&mut cx.message, text.to_owned(), extent);
            }
            (Media::Xml, _) => set_xml(&mut cx.message, text)?,
            (Media::Json, _) => {
                check_replaced(&cx.message)?;
                set_json(&mut cx.message, text)?;
            }
            (Media::Text, _) => payload::set_native(&mut cx.message, Native::Text(text.into())),
        }
        self.set_content_type(&mut cx.message);
        Ok(Flow::Next)
    }
}

impl PayloadFactory {
    fn render(&self, cx: &Context) -> Result<Rendered, Fault> {
        match &self.source {
            Source::Inline(format) => format.render(self.media, self.escape_controls, &self.arguments, cx),
            Source::Key(key, cached) => {
                let key = key.eval_string(&cx.message, &*cx.snapshot)?;
                let format = cached.get(&key, &cx.snapshot, |reader| self.compile(&key, reader))?;
                format.render(self.media, self.escape_controls, &self.arguments, cx)
            }
            Source::FreeMarker(template) => {
                template.render(self.media, self.escape_controls, &self.arguments, cx).map(Rendered::from)
            }
            Source::FreeMarkerKey(key, cached) => {
                let key = key.eval_string(&cx.message, &*cx.snapshot)?;
                let template = cached.get(&key, &cx.snapshot, |reader| {
                    FreeMarker::compile(&text_of_key(&key, reader)?).map_err(Fault::new)
                })?;
                template.render(self.media, self.escape_controls, &self.arguments, cx).map(Rendered::from)
            }
        }
    }

    fn compile(&self, key: &str, reader: &Reader) -> Result<Format, Fault> {
        let text = text_of_key(key, reader)?;
        Format::compile(&text, &self.namespaces, self.media)
            .map_err(|error| Fault::new(format!("Invalid Payload format : {error}")))
    }

    /// MI: `PayloadFactoryMediator#setContentType`. An XML message keeps its kind of XML.
    fn set_content_type(&self, message: &mut Message) {
        let content_type = match self.media {
            Media::Json => "application/json",
            Media::Text => "text/plain",
            Media::Xml => "application/xml",
        };
        let is_xml = matches!(
            message.axis2.get_str("messageType"),
            Some("application/xml" | "text/xml" | "application/soap+xml")
        );
        if self.media != Media::Xml || !is_xml {
            payload::set_message_type(message, &Value::from(content_type));
        }
        message.axis2.remove("NO_ENTITY_BODY");
    }
}

fn text_of_key(key: &str, reader: &Reader) -> Result<String, Fault> {
    reader.text(key, Layout::Compact).ok_or_else(|| Fault::new(format!("Key {key} not found ")))
}

/// The first element of the text becomes the payload; a SOAP envelope becomes the whole message.
pub(crate) fn set_xml(message: &mut Message, text: &str) -> Result<(), Fault> {
    let (mut document, padding, first) = read_xml(text)?;
    if has_header(message) && !is_envelope(&document, first) {
        payload::set_element(message, &document, first);
        return Ok(());
    }
    make_root(&mut document, padding, first);
    let envelope = Envelope::from_document(document, message.body.soap_version());
    payload::set_native(message, Native::Xml(envelope));
    Ok(())
}

/// The same for a text that is what it would be written as after it was read.
fn set_unread(message: &mut Message, text: String, extent: Extent) {
    let envelope = Envelope::from_text(text, extent, message.body.soap_version());
    payload::set_native(message, Native::Xml(envelope));
}

/// Reads the text as MI does: gives the document, the element around everything, and the first element in it.
fn read_xml(text: &str) -> Result<(Document, Option<NodeId>, NodeId), Fault> {
    let mut document = Document::parse(format!("<pfPadding>{text}</pfPadding>").into_bytes())
        .map_err(|error| Fault::new(format!("Error creating SOAP Envelope from source {text} ({error})")))?;
    let padding = document.root_element();
    let Some(first) = padding.and_then(|padding| document.first_child_element(padding)) else {
        return Err(Fault::new("Generated content is not a valid XML payload"));
    };
    // MI writes what it has read anew, where quotes in text need no entity.
    if text.contains("&quot;") || text.contains("&apos;") {
        rewrite_text(&mut document, first);
    }
    if text.contains("xmlns=\"\"") || text.contains("xmlns=''") {
        drop_unset(&mut document, first);
    }
    collapse_empty(&mut document, first);
    Ok((document, padding, first))
}

fn is_envelope(document: &Document, element: NodeId) -> bool {
    document.local_name(element) == "Envelope" && matches!(document.namespace(element), SOAP11_NS | SOAP12_NS)
}

fn has_header(message: &Message) -> bool {
    matches!(message.body.native(), Ok(Native::Xml(envelope)) if envelope.header().is_some())
}

/// Elements without content are written as `<a/>`, which is what Axiom makes of `<a>$1</a>` with an empty argument.
fn collapse_empty(document: &mut Document, root: NodeId) {
    let is_long = |node: &NodeId| {
        document.is_element(*node)
            && document.first_child(*node).is_none()
            && document.source_of(*node).is_some_and(|source| !source.ends_with("/>"))
    };
    let empty: Vec<NodeId> = document.descendants(root).filter(is_long).collect();
    for node in empty {
        // A change and its opposite: the element is written anew instead of as it was read.
        document.set_text(node, " ");
        document.remove_children(node);
    }
}

/// `xmlns=""` goes where there is no default namespace to unset.
fn drop_unset(document: &mut Document, root: NodeId) {
    let idle = |element: NodeId| {
        let outside = document.parent(element).and_then(|parent| document.lookup_namespace(parent, ""));
        let unset = document
            .namespace_decls(element)
            .find(|it| document.local_name(*it).is_empty() && document.value(*it).is_empty());
        unset.filter(|_| outside.is_none_or(str::is_empty))
    };
    let found: Vec<NodeId> =
        document.descendants(root).filter(|node| document.is_element(*node)).filter_map(idle).collect();
    for declaration in found {
        document.detach(declaration);
    }
}

/// Text with quotes in it is written without entities for them.
fn rewrite_text(document: &mut Document, root: NodeId) {
    let quoted = |node: &NodeId| {
        document.kind(*node) == NodeKind::Text
            && !document.is_cdata(*node)
            && document.value(*node).contains(['"', '\''])
    };
    let found: Vec<NodeId> = document.descendants(root).filter(quoted).collect();
    for node in found {
        let text = document.value(node).into_owned();
        document.set_value(node, &text);
    }
}

fn make_root(document: &mut Document, old: Option<NodeId>, root: NodeId) {
    document.detach(root);
    if let Some(old) = old {
        document.detach(old);
    }
    document.append_child(Document::ROOT, root);
}

/// JSON takes the place of JSON only when that is well-formed. MI: `JsonUtil#removeChildrenFromPayloadBody`.
fn check_replaced(message: &Message) -> Result<(), Fault> {
    let Ok(Native::Json(json)) = message.body.native() else { return Ok(()) };
    let Err(error) = json.value() else { return Ok(()) };
    let id = message.addressing.message_id.as_deref().unwrap_or("null");
    let mut fault = Fault::new(format!("Existing json payload is malformed. MessageID : {id}"));
    fault.detail = error.to_string();
    Err(fault)
}

/// JSON is written as it is, also when it is none; only a single value must be one. MI: `JsonUtil#getNewJsonPayload`.
pub(crate) fn set_json(message: &mut Message, text: &str) -> Result<(), Fault> {
    let first = text.find(|letter: char| matches!(letter, '{' | '[' | '"' | 't' | 'n' | 'f' | '-' | '0'..='9'));
    let is_value = first.is_some_and(|at| !text[at..].starts_with(['{', '[']));
    if is_value && !is_single_value(text) {
        return Err(Fault::new(format!("Error creating JSON Payload from source {text}")));
    }
    payload::set_json_text(message, text.to_owned());
    Ok(())
}

fn is_single_value(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let number = match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    };
    number || matches!(text, "true" | "false" | "null") || (text.starts_with('"') && text.ends_with('"'))
}
