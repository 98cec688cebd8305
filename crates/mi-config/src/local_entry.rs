//! `<localEntry>`: a named text, XML element or document behind a URL. MI: `EntryFactory`.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::description;

/// A local entry.
#[derive(Clone, Debug)]
pub struct LocalEntryConfig {
    /// Full name (`key`).
    pub name: Arc<str>,
    /// What it holds.
    pub value: LocalEntryValue,
    /// `<description>`.
    pub description: Option<String>,
    /// `<localEntry>`.
    pub element: Element,
}

/// What a local entry holds.
#[derive(Clone, Debug)]
pub enum LocalEntryValue {
    /// Neither text nor a child.
    Empty,
    /// Trimmed text.
    Text(String),
    /// The first child element.
    Xml(Element),
    /// `src`: a `file:` or `http:` URL, read when the entry is deployed.
    Url(String),
}

impl LocalEntryConfig {
    /// Reads a `<localEntry>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("key").and_then(|key| element.qualify(&key)))?;
        let value = match element.attr("src") {
            Some(src) => LocalEntryValue::Url(src.trim().to_owned()),
            None => inline(element),
        };
        out.extend(element.unknown_attrs(&["key", "src", "description"]));
        Some(Self { name: name.into(), value, description: description(element), element: element.clone() })
    }

    /// The connector operation that the entry configures, such as `http.init`: a connection is a local
    /// entry whose only child is called so.
    pub fn connection(&self) -> Option<&Element> {
        match &self.value {
            LocalEntryValue::Xml(element) => {
                element.name().rsplit_once('.').is_some_and(|(_, operation)| operation == "init").then_some(element)
            }
            _ => None,
        }
    }
}

/// The description is taken out before the value is looked for.
fn inline(element: &Element) -> LocalEntryValue {
    let child = element.children().find(|child| !(child.name() == "description" && child.is_synapse()));
    match child {
        Some(child) => LocalEntryValue::Xml(child),
        None => match element.text().trim() {
            "" => LocalEntryValue::Empty,
            text => LocalEntryValue::Text(text.to_owned()),
        },
    }
}
