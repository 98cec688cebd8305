//! Named sequences, and the sequences that proxies and API resources hold or refer to.
//!
//! The mediators inside are not parsed here: the engine compiles `body` with its own table.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{Aspects, description};

/// `<sequence name="…">`.
#[derive(Clone, Debug)]
pub struct SequenceConfig {
    /// Full name.
    pub name: Arc<str>,
    /// The mediators.
    pub body: SequenceBody,
    /// `<sequence>`.
    pub element: Element,
}

/// The list of mediators of a sequence of any kind.
#[derive(Clone, Debug)]
pub struct SequenceBody {
    /// Its child elements are the mediators, save `<description>`.
    pub element: Element,
    /// Name of the sequence that handles faults.
    pub on_error: Option<String>,
    /// The child `<description>`, or the attribute.
    pub description: Option<String>,
    /// Statistics and tracing.
    pub aspects: Aspects,
}

/// A sequence by name or on the spot.
#[derive(Clone, Debug)]
pub enum SequenceRef {
    /// Full name of a sequence, looked up when a message comes.
    Key(String),
    /// The sequence itself.
    Inline(SequenceBody),
}

impl SequenceConfig {
    /// Reads a named sequence. MI: `SequenceMediatorFactory#createSpecificMediator`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        if element.attr("key").is_some() && element.attr("name").is_none() {
            let error = element.error("a reference to a sequence cannot stand at the top level");
            out.push(error.hint("give the sequence a name, or remove the file"));
            return None;
        }
        let name = out.take(element.require_attr("name").and_then(|name| element.qualify(&name)))?;
        let on_error = out.take(element.qualified_attr("onError"))?;
        let body = SequenceBody { on_error, ..SequenceBody::parse(element) };
        Some(Self { name: name.into(), body, element: element.clone() })
    }
}

impl SequenceBody {
    /// Reads the attributes of a sequence that has no name of its own. MI: `SequenceMediatorFactory#createAnonymousSequence`.
    pub fn parse(element: &Element) -> Self {
        Self {
            element: element.clone(),
            on_error: element.attr("onError").map(|value| value.into_owned()),
            description: description(element).or_else(|| element.attr("description").map(|it| it.into_owned())),
            aspects: Aspects::parse(element),
        }
    }

    /// The mediators.
    pub fn mediators(&self) -> impl Iterator<Item = Element> + '_ {
        self.element.children().filter(|child| !(child.name() == "description" && child.is_synapse()))
    }
}

impl SequenceRef {
    /// Reads the attribute `name` (a key) or the child `<name>` of `parent`; the attribute wins.
    pub fn parse(parent: &Element, name: &str, out: &mut Diagnostics) -> Option<Self> {
        match out.take(parent.filled_attr(name).map(|key| parent.qualify(&key)).transpose())? {
            Some(key) => Some(Self::Key(key)),
            None => parent.child(name).map(|child| Self::Inline(SequenceBody::parse(&child))),
        }
    }
}
