//! What `foreach` over a collection and `scatter-gather` share: branches that run on copies of the message, and whose
//! messages come back to the one flow that waits for them.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::flow::{self, Ended};
use mi_engine::mediator::Sequence;
use mi_engine::snapshot::Snapshot;
use mi_expr::Dynamic;
use mi_message::{Message, Value, XmlValue};
use mi_xml::Document;
use serde_json::Value as Json;

use crate::{payload, typed};

/// Branches that run at the same time; more wait for their turn.
pub(super) const MAX_PARALLEL: usize = 500;

/// What a branch came to.
pub(super) struct Finished {
    /// Number of the branch.
    pub(super) index: usize,
    /// Its message, unless a step or a fault ended the branch: it is then missing in the result.
    pub(super) message: Option<Message>,
}

/// Runs a branch to its end. The payload of its message is built; `logger` is the mediator that says why that failed.
pub(super) async fn run(mut part: Context, index: usize, sequence: Arc<Sequence>, logger: &'static str) -> Finished {
    let _running = part.snapshot.services.begin_flow();
    if flow::run(&mut part, sequence).await != Ended::Completed {
        return Finished { index, message: None };
    }
    if !part.message.body.is_built()
        && let Err(fault) = flow::build_body(&mut part).await
    {
        log::error!(target: logger, "{}{}", part.artifact.log_prefix, fault.message);
        return Finished { index, message: None };
    }
    Finished { index, message: Some(*part.message) }
}

/// `min` or `max` of a message count, an expression on the first message; 0 for none.
pub(super) fn limit(limit: Option<&Dynamic>, message: &Message, snapshot: &Snapshot) -> Result<usize, Fault> {
    let Some(limit) = limit else { return Ok(0) };
    let text = limit.eval_string(message, snapshot)?;
    let number = typed::java_double(&text)
        .ok_or_else(|| Fault::new(format!("the message count '{text}' of an aggregation is no number")))?;
    Ok(if number > 0.0 { number as usize } else { 0 })
}

/// The form of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ResultType {
    Json,
    /// The name of the element around it.
    Xml(String),
}

impl ResultType {
    /// Reads `result-content-type` and `result-enclosing-element`.
    pub(super) fn parse(el: &Element) -> Result<Self, Diagnostic> {
        match el.filled_attr("result-content-type").as_deref() {
            Some("JSON") => Ok(Self::Json),
            Some("XML") => match el.filled_attr("result-enclosing-element") {
                Some(name) => Ok(Self::Xml(name.into_owned())),
                None => Err(el.error(format!(
                    "<{}> needs the attribute 'result-enclosing-element' when its 'result-content-type' is 'XML'",
                    el.name()
                ))),
            },
            Some(other) => {
                let error = el.error(format!("'result-content-type' of <{}> must not be '{other}'", el.name()));
                Err(error.hint("JSON or XML"))
            }
            None => Err(el.error(format!("<{}> needs the attribute 'result-content-type'", el.name()))),
        }
    }
}

/// The payload as JSON, when it is JSON: `${payload}` as MI evaluates it on a branch.
pub(super) fn json_payload(message: &Message) -> Json {
    if !message.body.is_json() {
        return Json::Null;
    }
    message.body.json().map_or(Json::Null, |value| (**value).clone())
}

/// An element `name` around the elements.
pub(super) fn enclosed<'x>(name: &str, elements: impl IntoIterator<Item = &'x XmlValue>) -> XmlValue {
    let mut document = Document::new();
    let root = document.create_element("", name, "");
    for element in elements {
        for node in &element.nodes {
            let copy = document.import(&element.document, *node);
            document.append_child(root, copy);
        }
    }
    document.append_child(Document::ROOT, root);
    XmlValue { document: Arc::new(document), nodes: vec![root] }
}

/// The first element of the Body as a value of its own.
pub(super) fn xml_payload(message: &Message) -> Option<XmlValue> {
    message.body.envelope().ok().and_then(payload::element)
}

/// A value as a part of JSON. `None` for XML.
pub(super) fn as_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null => Json::Null,
        Value::Json(json) => (**json).clone(),
        Value::String(text) => Json::String(text.to_string()),
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Long(value) => Json::from(*value),
        Value::Float(value) => Json::from(f64::from(*value)),
        Value::Double(value) => Json::from(*value),
        Value::Xml(_) | Value::Map(_) => return None,
    })
}
