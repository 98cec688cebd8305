//! XML to JSON as staxon with WSO2's patches does it.
//!
//! An element is a member `name: value`; attributes are members `@name`, text beside them the member `$`; neighbours
//! of one name are an array; text that reads as a number, a boolean or null is one; an empty element is null. The
//! wrappers `jsonObject`, `jsonArray` and `jsonElement` vanish. Namespaces are dropped unless asked for. Text next to
//! elements is an error.
//!
//! Two places differ from MI on purpose. MI drops a wrapper that has other members beside it and so writes text that
//! is no JSON; here such a wrapper keeps its name. And names escaped on the way from JSON always come back.

use std::borrow::Cow;

use mi_xml::{Document, NodeId, NodeKind, XSI_NAMESPACE};
use serde_json::Value;

use super::sink::{Sink, TextSink, ValueSink};
use super::{ConvertOptions, names, numbers, parse_json};
use crate::body::BodyError;

/// Target of the processing instruction that starts an array.
pub const MULTIPLE_PI: &str = "xml-multiple";

const WRAPPERS: [&str; 3] = ["jsonObject", "jsonArray", "jsonElement"];
const SCALAR_WRAPPER: &str = "jsonValue";

/// The element as compact JSON text. MI: `JsonUtil#writeAsJson`.
pub fn to_text(document: &Document, element: NodeId, options: &ConvertOptions) -> Result<Vec<u8>, BodyError> {
    if document.local_name(element) == SCALAR_WRAPPER {
        return Ok(document.text(element).into_owned().into_bytes());
    }
    let mut walk = Walk::new(document, options, TextSink::default());
    walk.root(element)?;
    Ok(walk.sink.out)
}

/// The element as a JSON value. Of members with one name (neighbours aside, which are an array) the last wins.
pub fn to_value(document: &Document, element: NodeId, options: &ConvertOptions) -> Result<Value, BodyError> {
    if document.local_name(element) == SCALAR_WRAPPER {
        return parse_json(document.text(element).as_bytes());
    }
    let mut walk = Walk::new(document, options, ValueSink::default());
    walk.root(element)?;
    Ok(walk.sink.finish())
}

/// The value that the text of an element has.
pub fn primitive_value(text: &str, options: &ConvertOptions) -> Value {
    let mut sink = ValueSink::default();
    write_primitive(&mut sink, text, options);
    sink.finish()
}

/// MI: `AutoPrimitiveTarget#value` and the two variants with patterns.
fn write_primitive(sink: &mut impl Sink, text: &str, options: &ConvertOptions) {
    if !options.auto_primitive {
        return sink.string(text);
    }
    if options.keep_as_string.as_ref().is_some_and(|pattern| pattern.is_match(text)) {
        return sink.string(text);
    }
    if options.keep_as_string.is_none()
        && let Some((pattern, replacement)) = &options.replace
        && let Some(replaced) = pattern.replace_start(text, replacement)
    {
        return sink.string(&replaced);
    }
    if matches!(text, "true" | "false" | "null") {
        return sink.literal(text);
    }
    match numbers::is_number(text).then(|| numbers::big_decimal(text)).flatten() {
        Some(number) => sink.literal(&number),
        None => sink.string(text),
    }
}

/// What an element holds besides attributes.
enum Content<'d> {
    Nothing,
    Text(Cow<'d, str>),
    Children,
}

/// An element whose children are being walked.
struct Frame {
    next: Option<NodeId>,
    array: Option<ArrayOf>,
    /// An `<?xml-multiple?>` without a name: the next element starts an array.
    pending: bool,
    /// The element is an object whose only member is a wrapper: its braces and the name are not written.
    unwrapped: bool,
}

/// The array that is open in a frame.
enum ArrayOf {
    /// Neighbours of this element's name.
    Neighbours(NodeId),
    /// Announced by a processing instruction without a name, right before this element.
    Announced(NodeId),
    /// Announced by name.
    Named(String),
}

struct Walk<'d, 'o, S> {
    document: &'d Document,
    options: &'o ConvertOptions,
    sink: S,
    /// The last member name was that of an attribute. Within an announced array MI forgets to reset this, so that text
    /// behind an element with attributes stays a string there.
    after_attribute: bool,
}

impl<'d, 'o, S: Sink> Walk<'d, 'o, S> {
    fn new(document: &'d Document, options: &'o ConvertOptions, sink: S) -> Self {
        Self { document, options, sink, after_attribute: false }
    }

    fn root(&mut self, element: NodeId) -> Result<(), BodyError> {
        let field = self.field(element);
        let wrapped = WRAPPERS.contains(&&*field);
        if !wrapped {
            self.sink.begin_object();
            self.sink.name(&field);
        }
        let mut stack: Vec<Frame> = Vec::new();
        stack.extend(self.enter(element, true)?);
        while let Some(frame) = stack.last_mut() {
            match frame.next {
                Some(child) => {
                    frame.next = self.document.next_sibling(child);
                    let below = self.child(child, frame)?;
                    stack.extend(below);
                }
                None => {
                    if frame.array.is_some() {
                        self.sink.end_array();
                    }
                    if !frame.unwrapped {
                        self.sink.end_object();
                    }
                    stack.pop();
                }
            }
        }
        if !wrapped {
            self.sink.end_object();
        }
        Ok(())
    }

    /// Writes one child of an element; gives back its frame when it has children of its own.
    fn child(&mut self, child: NodeId, frame: &mut Frame) -> Result<Option<Frame>, BodyError> {
        match self.document.kind(child) {
            NodeKind::Pi => {
                self.announce(child, frame);
                Ok(None)
            }
            NodeKind::Element => {
                self.member(child, frame);
                self.enter(child, false)
            }
            _ => Ok(None),
        }
    }

    fn announce(&mut self, pi: NodeId, frame: &mut Frame) {
        if !self.is_multiple(pi) {
            return;
        }
        let data = self.document.value(pi);
        let name = data.trim();
        if name.is_empty() {
            frame.pending = true;
            return;
        }
        match &frame.array {
            Some(open) if self.belongs(open, name) => return,
            Some(_) => self.sink.end_array(),
            None => {}
        }
        if !frame.unwrapped {
            self.sink.name(name);
        }
        self.sink.begin_array();
        self.after_attribute = false;
        frame.array = Some(ArrayOf::Named(name.to_owned()));
    }

    /// Writes the member name of `child`, or whatever goes around it in an array.
    fn member(&mut self, child: NodeId, frame: &mut Frame) {
        let field = self.field(child);
        let pending = std::mem::take(&mut frame.pending);
        match &frame.array {
            Some(open) if self.belongs(open, &field) && !pending => {
                if matches!(open, ArrayOf::Neighbours(_)) {
                    self.after_attribute = false;
                }
                return;
            }
            Some(_) => {
                self.sink.end_array();
                frame.array = None;
            }
            None => {}
        }
        if !frame.unwrapped {
            self.sink.name(&field);
        }
        self.after_attribute = false;
        if pending {
            self.sink.begin_array();
            frame.array = Some(ArrayOf::Announced(child));
        } else if (self.options.auto_array || frame.unwrapped) && self.has_twin(child) {
            self.sink.begin_array();
            frame.array = Some(ArrayOf::Neighbours(child));
        }
    }

    fn belongs(&self, open: &ArrayOf, field: &str) -> bool {
        match open {
            ArrayOf::Neighbours(first) | ArrayOf::Announced(first) => self.field(*first) == field,
            ArrayOf::Named(name) => name == field,
        }
    }

    /// True when the next element has the same member name.
    fn has_twin(&self, element: NodeId) -> bool {
        self.document.next_sibling_element(element).is_some_and(|next| {
            self.document.local_name(next) == self.document.local_name(element)
                && (!self.options.preserve_namespaces || self.document.prefix(next) == self.document.prefix(element))
        })
    }

    /// Writes an element's value up to its children; gives back the frame to walk them.
    fn enter(&mut self, element: NodeId, root: bool) -> Result<Option<Frame>, BodyError> {
        let nil = self.options.xml_nil && self.is_nil(element);
        let open = self.attributes(element, root);
        match self.content(element)? {
            Content::Children if !nil => {
                let unwrapped = !open && self.holds_wrapper(element);
                if !open && !unwrapped {
                    self.sink.begin_object();
                }
                let next = self.document.first_child(element);
                return Ok(Some(Frame { next, array: None, pending: false, unwrapped }));
            }
            Content::Text(text) if !nil => {
                if open {
                    self.sink.name("$");
                    self.after_attribute = false;
                }
                if self.after_attribute {
                    self.sink.string(&text);
                } else {
                    write_primitive(&mut self.sink, &text, self.options);
                }
            }
            _ if nil => {
                if open {
                    self.sink.name("$");
                }
                self.sink.literal("null");
            }
            _ if open => {}
            _ if self.options.null_for_empty => self.sink.literal("null"),
            _ => self.sink.string(""),
        }
        if open {
            self.sink.end_object();
        }
        Ok(None)
    }

    /// Writes attributes and declarations; true when there was one, so that an object is open.
    fn attributes(&mut self, element: NodeId, root: bool) -> bool {
        let mut open = false;
        if self.options.namespace_declarations && self.options.preserve_namespaces {
            self.declarations(element, root, &mut open);
        }
        for attribute in self.document.attributes(element) {
            if self.options.xml_nil && self.marks_nil(attribute) {
                continue;
            }
            let local = self.document.local_name(attribute);
            let prefix = self.document.prefix(attribute);
            let name = if self.options.preserve_namespaces && !prefix.is_empty() {
                format!("@{prefix}{}{local}", self.options.namespace_separator)
            } else {
                format!("@{}", names::to_json(local))
            };
            let value = self.document.value(attribute);
            self.attribute(&name, &value, &mut open);
        }
        open
    }

    fn declarations(&mut self, element: NodeId, root: bool, open: &mut bool) {
        let separator = self.options.namespace_separator;
        let name = |prefix: &str| {
            if prefix.is_empty() { "@xmlns".to_owned() } else { format!("@xmlns{separator}{prefix}") }
        };
        let (own, uri) = (self.document.prefix(element), self.document.namespace(element));
        let mut own_declared = false;
        for declaration in self.document.namespace_decls(element) {
            let prefix = self.document.local_name(declaration);
            own_declared |= prefix == own;
            let value = self.document.value(declaration);
            if self.options.xml_nil && value == XSI_NAMESPACE {
                continue;
            }
            self.attribute(&name(prefix), &value, open);
        }
        // The declaration may stand on an ancestor that is not converted, such as the envelope.
        if root && !own_declared && !uri.is_empty() {
            self.attribute(&name(own), uri, open);
        }
    }

    fn attribute(&mut self, name: &str, value: &str, open: &mut bool) {
        if !*open {
            self.sink.begin_object();
            *open = true;
        }
        self.sink.name(name);
        self.after_attribute = true;
        self.sink.string(value);
    }

    fn content(&self, element: NodeId) -> Result<Content<'d>, BodyError> {
        let mut text: Option<Cow<'d, str>> = None;
        let mut children = false;
        for child in self.document.children(element) {
            match self.document.kind(child) {
                NodeKind::Element => children = true,
                NodeKind::Pi => children |= self.is_multiple(child),
                NodeKind::Text => {
                    let value = self.document.value(child);
                    let alone =
                        || self.document.next_sibling(child).is_none() && self.document.prev_sibling(child).is_none();
                    if is_blank(&value) && !(self.options.preserve_spaces && !value.is_empty() && alone()) {
                        continue;
                    }
                    text = Some(match text {
                        None => value,
                        Some(before) => Cow::Owned(before.into_owned() + &value),
                    });
                }
                _ => {}
            }
        }
        match (text, children) {
            (Some(text), true) => Err(BodyError::Malformed(format!(
                "Could not convert OMElement to JSON. Invalid XML payload. Mixed content is not supported: '{text}'"
            ))),
            (Some(text), false) => Ok(Content::Text(text)),
            (None, true) => Ok(Content::Children),
            (None, false) => Ok(Content::Nothing),
        }
    }

    /// True when all children are members of one name and that is the name of a wrapper.
    fn holds_wrapper(&self, element: NodeId) -> bool {
        let mut name: Option<&'d str> = None;
        for child in self.document.children(element) {
            match self.document.kind(child) {
                NodeKind::Element => {
                    let local = self.document.local_name(child);
                    let prefixed = self.options.preserve_namespaces && !self.document.prefix(child).is_empty();
                    if prefixed || !WRAPPERS.contains(&local) || name.is_some_and(|name| name != local) {
                        return false;
                    }
                    name = Some(local);
                }
                NodeKind::Pi if self.is_multiple(child) => {
                    let data = self.document.value(child);
                    let announced = data.trim();
                    if announced.is_empty() {
                        continue;
                    }
                    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| **wrapper == announced) else { return false };
                    if name.is_some_and(|name| name != *wrapper) {
                        return false;
                    }
                    name = Some(wrapper);
                }
                _ => {}
            }
        }
        name.is_some()
    }

    fn field(&self, element: NodeId) -> Cow<'d, str> {
        let local = names::to_json(self.document.local_name(element));
        let prefix = self.document.prefix(element);
        if self.options.preserve_namespaces && !prefix.is_empty() {
            return Cow::Owned(format!("{prefix}{}{local}", self.options.namespace_separator));
        }
        local
    }

    fn is_multiple(&self, pi: NodeId) -> bool {
        self.options.read_multiple_pi && self.document.local_name(pi) == MULTIPLE_PI
    }

    fn is_nil(&self, element: NodeId) -> bool {
        self.document.attributes(element).any(|attribute| self.marks_nil(attribute))
    }

    fn marks_nil(&self, attribute: NodeId) -> bool {
        self.document.local_name(attribute) == "nil"
            && matches!(self.document.namespace(attribute), "" | XSI_NAMESPACE)
            && self.document.value(attribute) == "true"
    }
}

/// White space as `String#trim` sees it: MI removes such text before it converts.
fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte <= b' ')
}
