//! JSON to XML as staxon with WSO2's patches does it.
//!
//! An object is `jsonObject`, an array without a name is `jsonArray` with an element `jsonElement` for each item, a
//! lone scalar is `jsonValue` with the JSON text inside. A member is an element of its name; an array repeats it. `@x`
//! is an attribute, `@xmlns` a namespace, `$` text. Null is an empty element.

use std::borrow::Cow;
use std::rc::Rc;
use std::slice;

use mi_xml::{Document, NodeId};
use serde_json::{Map, Value, map};

use super::xml_to_json::MULTIPLE_PI;
use super::{ConvertOptions, names};
use crate::body::BodyError;

/// Builds the elements for `value` in `document` and gives back the outermost, which has no parent yet. Errors: an
/// attribute or `$` member that is no scalar. MI: `JsonUtil#toXml`.
pub fn build(document: &mut Document, value: &Value, options: &ConvertOptions) -> Result<NodeId, BodyError> {
    let mut builder = Builder { document, options, open: Vec::new() };
    let root = match value {
        Value::Object(members) => builder.object("jsonObject", members, &Rc::from(""))?,
        Value::Array(items) => builder.anonymous_array(items, &Rc::from("")),
        scalar => {
            let root = builder.document.create_element("", "jsonValue", "");
            builder.document.set_text(root, &scalar.to_string());
            return Ok(root);
        }
    };
    builder.run()?;
    Ok(root)
}

/// A container whose members are being built.
enum Open<'v> {
    Object { element: NodeId, members: map::Iter<'v>, namespace: Rc<str> },
    Array { parent: NodeId, name: Rc<str>, items: slice::Iter<'v, Value>, namespace: Rc<str> },
}

struct Builder<'d, 'v> {
    document: &'d mut Document,
    options: &'d ConvertOptions,
    open: Vec<Open<'v>>,
}

impl<'v> Builder<'_, 'v> {
    fn run(&mut self) -> Result<(), BodyError> {
        while let Some(top) = self.open.last_mut() {
            match top {
                Open::Object { element, members, namespace } => {
                    let (element, namespace) = (*element, namespace.clone());
                    match members.next() {
                        Some((name, value)) => self.member(element, name, value, &namespace)?,
                        None => {
                            self.open.pop();
                        }
                    }
                }
                Open::Array { parent, name, items, namespace } => {
                    let (parent, name, namespace) = (*parent, name.clone(), namespace.clone());
                    match items.next() {
                        Some(value) => self.item(parent, &name, value, &namespace)?,
                        None => {
                            self.open.pop();
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn member(&mut self, parent: NodeId, name: &str, value: &'v Value, namespace: &Rc<str>) -> Result<(), BodyError> {
        if let Some(attribute) = name.strip_prefix('@') {
            return self.attribute(parent, attribute, value);
        }
        if name == "$" {
            let text = scalar(value).ok_or_else(|| no_scalar(name))?;
            self.append_text(parent, &text);
            return Ok(());
        }
        let name = names::to_xml(name);
        match value {
            Value::Array(items) => {
                self.array(parent, &name, items, namespace);
                Ok(())
            }
            other => self.item(parent, &name, other, namespace),
        }
    }

    /// One element: a member that is no array, or an item of an array.
    fn item(&mut self, parent: NodeId, name: &str, value: &'v Value, namespace: &Rc<str>) -> Result<(), BodyError> {
        let element = match value {
            Value::Object(members) => self.object(name, members, namespace)?,
            Value::Array(items) => {
                let element = self.document.create_element("", name, namespace);
                let array = self.anonymous_array(items, namespace);
                self.document.append_child(element, array);
                element
            }
            Value::Null => {
                let element = self.document.create_element("", name, namespace);
                if self.options.xml_nil {
                    self.document.set_attribute(element, "", "nil", "", "true");
                }
                element
            }
            other => {
                let element = self.document.create_element("", name, namespace);
                if let Some(text) = scalar(other) {
                    self.append_text(element, &text);
                }
                element
            }
        };
        self.document.append_child(parent, element);
        Ok(())
    }

    fn object(
        &mut self,
        name: &str,
        members: &'v Map<String, Value>,
        inherited: &Rc<str>,
    ) -> Result<NodeId, BodyError> {
        let declared = match members.get("@xmlns") {
            Some(Value::Object(prefixes)) => prefixes.get("$"),
            other => other,
        };
        let namespace = match declared {
            Some(uri) => Rc::from(&*scalar(uri).ok_or_else(|| no_scalar("@xmlns"))?),
            None => inherited.clone(),
        };
        let element = self.document.create_element("", name, &namespace);
        if declared.is_some() {
            self.document.declare_namespace(element, "", &namespace);
        }
        self.open.push(Open::Object { element, members: members.iter(), namespace });
        Ok(element)
    }

    fn array(&mut self, parent: NodeId, name: &str, items: &'v [Value], namespace: &Rc<str>) {
        if self.options.write_multiple_pi {
            let pi = self.document.create_pi(MULTIPLE_PI, &names::to_json(name));
            self.document.append_child(parent, pi);
        }
        self.open.push(Open::Array { parent, name: name.into(), items: items.iter(), namespace: namespace.clone() });
    }

    fn anonymous_array(&mut self, items: &'v [Value], namespace: &Rc<str>) -> NodeId {
        let array = self.document.create_element("", "jsonArray", namespace);
        self.array(array, "jsonElement", items, namespace);
        array
    }

    /// MI: `JsonXMLStreamReader#consumeName`. An object is Badgerfish's way to write several at once.
    fn attribute(&mut self, element: NodeId, name: &str, value: &Value) -> Result<(), BodyError> {
        match value {
            Value::Object(members) => {
                for (key, value) in members {
                    let text = scalar(value).ok_or_else(|| no_scalar(name))?;
                    match (name, key.as_str()) {
                        ("xmlns", "$") => {}
                        ("xmlns", prefix) => self.document.declare_namespace(element, prefix, &text),
                        (_, key) => self.set_attribute(element, key, &text),
                    }
                }
                Ok(())
            }
            other => {
                let text = scalar(other).ok_or_else(|| no_scalar(name))?;
                match name.strip_prefix("xmlns") {
                    Some("") => {}
                    Some(prefix) if prefix.len() > 1 && prefix.starts_with(':') => {
                        self.document.declare_namespace(element, &names::to_xml(&prefix[1..]), &text);
                    }
                    _ => self.set_attribute(element, name, &text),
                }
                Ok(())
            }
        }
    }

    fn set_attribute(&mut self, element: NodeId, name: &str, value: &str) {
        let name = names::to_xml(name);
        self.document.set_attribute(element, "", &name, "", value);
    }

    fn append_text(&mut self, element: NodeId, text: &str) {
        let node = self.document.create_text(text);
        self.document.append_child(element, node);
    }
}

/// The text of a value that is no container; null has none.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => Some("".into()),
        Value::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
        Value::Number(number) => Some(number.as_str().into()),
        Value::String(text) => Some(visible(text)),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Control characters, which XML cannot hold, as JSON spells them out.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    let is_control = |letter: char| letter < ' ' && !matches!(letter, '\t' | '\n' | '\r');
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_control(letter) {
            out.push_str(&format!("\\u{:04X}", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    Cow::Owned(out)
}

fn no_scalar(name: &str) -> BodyError {
    BodyError::Malformed(format!(
        "Could not convert JSON Stream to XML. Cannot handle JSON input. The member {name} must be a text or a number."
    ))
}
