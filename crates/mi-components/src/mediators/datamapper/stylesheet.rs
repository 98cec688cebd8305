//! Mappings that the tools also wrote as a stylesheet. Attributes of its root say whether it can stand in for the script,
//! what the input is, and which properties it takes as parameters.

use std::sync::Arc;

use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::Dynamic;
use mi_xml::{Document, NodeId};
use mi_xslt::Stylesheet;

use super::properties;
use crate::mediators::xslt::{self, Stylesheets};
use crate::resource::{Cached, Layout, Resources};

/// A stylesheet by its key.
#[derive(Debug)]
pub(super) struct Transformation {
    key: Dynamic,
    stylesheets: Stylesheets,
    notes: Cached<Option<Notes>>,
}

/// What the root of a stylesheet says. MI: `XSLTMappingResource`.
#[derive(Debug, PartialEq, Eq)]
struct Notes {
    /// Name of the input's root; `soapenv:Envelope` for all of the message.
    input: String,
    /// Names and scopes of properties.
    properties: Vec<(String, String)>,
}

impl Transformation {
    pub(super) fn new(key: Dynamic) -> Self {
        let stylesheets = Stylesheets::new(key.clone(), Resources::default(), true);
        Self { key, stylesheets, notes: Cached::default() }
    }

    /// The output; `None` when the stylesheet says that it cannot do the mapping.
    pub(super) fn run(&self, cx: &Context) -> Result<Option<Document>, Fault> {
        let key = self.key.eval_string(&cx.message, &*cx.snapshot)?;
        let missing = || {
            Fault::new(format!(
                "DataMapper mediator xslt mapping resource generation failed: there is nothing with the key {key}"
            ))
        };
        let notes = self.notes.get(&key, &cx.snapshot, |reader| {
            let text = reader.text(&key, Layout::Verbatim).ok_or_else(missing)?;
            let failed = |error: String| {
                Fault::new(format!("DataMapper mediator xslt mapping resource generation failed: {key}: {error}"))
            };
            Ok::<_, Fault>(notes(&Document::parse(text.into_bytes()).map_err(|error| failed(error.to_string()))?))
        })?;
        let Some(notes) = &*notes else { return Ok(None) };
        let stylesheet = self.stylesheets.current(cx)?;
        self.transform(notes, &stylesheet, cx).map(Some)
    }

    fn transform(&self, notes: &Notes, stylesheet: &Stylesheet, cx: &Context) -> Result<Document, Fault> {
        let envelope = cx.message.body.envelope()?;
        let node: NodeId = if notes.input == "soapenv:Envelope" {
            envelope.envelope()
        } else {
            envelope.payload().ok_or_else(|| Fault::new("the message has no payload"))?
        };
        let params: Vec<(String, Arc<str>)> = notes
            .properties
            .iter()
            .map(|(name, scope)| {
                let value = properties::value(cx, scope, name);
                (format!("{scope}_{name}"), value.map_or_else(|| "".into(), |value| value.to_text().as_ref().into()))
            })
            .collect();
        let params: Vec<(&str, Arc<str>)> = params.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let output =
            xslt::run(stylesheet, envelope.document(), node, &params, cx, xslt::Logger::new("DataMapperMediator"))?;
        let result = xslt::result_element(output)?;
        Ok(Arc::unwrap_or_clone(result.document))
    }
}

/// The tools write their notes as declarations of namespaces.
fn notes(stylesheet: &Document) -> Option<Notes> {
    let root = stylesheet.root_element()?;
    let note = |name: &str| {
        let found = stylesheet.namespace_decls(root).find(|it| stylesheet.local_name(*it) == name);
        found.map(|it| stylesheet.value(it).into_owned())
    };
    if note("notXSLTCompatible")? != "false" {
        return None;
    }
    let listed = note("runTimeProperties").unwrap_or_default();
    let parts: Vec<&str> = listed.split(',').collect();
    let properties = parts.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
    Some(Notes { input: note("firstElementOfTheInput")?, properties })
}
