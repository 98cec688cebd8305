//! `<iterate>` splits the message by an XPath or JSONPath and sends the parts to its target.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::jsonpath::{self, JsonLocation, JsonPath};
use mi_expr::{Expr, Lookup};
use mi_message::{Envelope, Message};
use mi_xml::{Document, NodeId};
use serde_json::Value as Json;

use super::split::{Marks, Part, Run};
use super::target::Target;
use crate::payload;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("iterate", parse)
    .attributes(&["id", "continueParent", "preservePayload", "expression", "attachPath", "sequential"])
    .children(&["target"]);

#[derive(Debug)]
struct Iterate {
    expression: Expr,
    /// Where a part is put when the rest of the payload is kept.
    attach_path: Option<Expr>,
    preserve_payload: bool,
    target: Arc<Target>,
    marks: Marks,
    continue_parent: bool,
    sequential: bool,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    el.require_attr("expression")?;
    let expression = el.expr("expression")?.ok_or_else(|| el.error("<iterate> needs the attribute 'expression'"))?;
    let attach_path = el.expr("attachPath")?;
    let preserve_payload = el.bool_attr("preservePayload") == Some(true);
    if let Some(path) = &attach_path {
        if !preserve_payload {
            let error = el.error("attachPath has no meaning for an <iterate> that does not preserve the payload");
            return Err(error.hint("add preservePayload=\"true\""));
        }
        if path.is_json_path() != expression.is_json_path() {
            return Err(el.error("both expression and attachPath should be either jsonpath or xpath"));
        }
    }
    let target = el.child("target").ok_or_else(|| el.error("<iterate> needs a <target>"))?;
    Ok(Box::new(Iterate {
        expression,
        attach_path,
        preserve_payload,
        target: Arc::new(Target::parse(&target, cx)?),
        marks: Marks::new(el.attr("id").as_deref()),
        continue_parent: el.bool_attr("continueParent") == Some(true),
        sequential: el.attr("sequential").as_deref() == Some("true"),
    }))
}

impl Mediator for Iterate {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let parent = self.marks.begin(cx);
        let pieces = if self.expression.is_json_path() { self.split_json(cx)? } else { self.split_xml(cx)? };
        // The pieces hold what of the body is needed.
        let message = payload::copy_without_body(&cx.message);
        let count = pieces.len();
        let parts = Parts {
            template: cx.fork_resuming(message),
            target: self.target.clone(),
            marks: self.marks.clone(),
            parent,
            pieces,
            next: 0,
            count,
        };
        let run =
            Run { parts, sequential: self.sequential, stop_on_failure: false, continue_parent: self.continue_parent };
        Ok(run.start(cx))
    }
}

/// The pieces of a payload.
enum Pieces {
    Xml {
        /// The envelope without the pieces.
        rest: Box<Envelope>,
        /// Where a piece is put in it.
        attach: NodeId,
        items: Document,
        nodes: Vec<NodeId>,
    },
    Json {
        /// The payload around a piece, and the places where it is put.
        around: Option<(Json, Vec<JsonLocation>)>,
        items: Vec<Json>,
    },
}

impl Pieces {
    fn len(&self) -> usize {
        match self {
            Self::Xml { nodes, .. } => nodes.len(),
            Self::Json { items, .. } => items.len(),
        }
    }

    /// Makes the payload of a part.
    fn put(&mut self, index: usize, message: &mut Message) {
        match self {
            Self::Xml { rest, attach, items, nodes } => {
                let mut envelope = Envelope::clone(rest);
                let document = envelope.document_mut();
                let piece = document.import(items, nodes[index]);
                document.append_child(*attach, piece);
                payload::set_native(message, mi_message::Native::Xml(envelope));
            }
            Self::Json { around, items } => {
                let item = items[index].take();
                let value = match around {
                    None => item,
                    Some((root, places)) => {
                        let mut root = root.clone();
                        for place in places {
                            jsonpath::set(&mut root, place, item.clone());
                        }
                        root
                    }
                };
                payload::set_json(message, value);
            }
        }
    }
}

impl Iterate {
    fn split_xml(&self, cx: &Context) -> Result<Pieces, Fault> {
        let found = self.expression.eval_nodes(&cx.message, &*cx.snapshot)?;
        let mut rest = cx.message.body.envelope()?.clone();
        let mut items = Document::new();
        // Copied before any is detached: a copy keeps the namespaces that its ancestors declare.
        let nodes = found.iter().map(|node| items.import(rest.document(), *node)).collect();
        for node in &found {
            rest.document_mut().detach(*node);
        }
        if !self.preserve_payload {
            rest.clear_body();
            return Ok(Pieces::Xml { attach: rest.body(), rest: Box::new(rest), items, nodes });
        }
        let attach = self.attach_node(cx, rest.clone())?;
        Ok(Pieces::Xml { attach, rest: Box::new(rest), items, nodes })
    }

    /// The element that takes the pieces; without a path it is the envelope itself, which takes none.
    fn attach_node(&self, cx: &Context, rest: Envelope) -> Result<NodeId, Fault> {
        let Some(path) = &self.attach_path else {
            return Err(Fault::new("SOAP Envelope can not have children other than SOAP Header and Body"));
        };
        let mut message = cx.message.copy();
        payload::set_native(&mut message, mi_message::Native::Xml(rest));
        let nodes = path.eval_nodes(&message, &*cx.snapshot)?;
        let document = message.body.envelope()?.document();
        match nodes.first() {
            Some(node) if document.is_element(*node) => Ok(*node),
            _ => Err(Fault::new(format!(
                "Error in attaching the splitted elements :: Unable to get the attach path specified by the expression {}",
                path.source()
            ))),
        }
    }

    fn split_json(&self, cx: &Context) -> Result<Pieces, Fault> {
        let root = cx.message.body.json()?;
        let found = payload::json_of(&self.expression, &cx.message, &*cx.snapshot)?;
        let same_path = match &self.attach_path {
            Some(path) => path.source() == self.expression.source(),
            None => self.expression.as_json_path().is_some_and(JsonPath::is_root),
        };
        if !same_path && !found.is_array() {
            return Err(Fault::new(format!(
                "JSON element expressed by the path {} is not a valid JSON array that can be iterated",
                self.expression.source()
            )));
        }
        let items = match found {
            Json::Array(items) => items,
            Json::Null => Vec::new(),
            other => vec![other],
        };
        let around = match &self.attach_path {
            Some(path) if self.preserve_payload && !path.as_json_path().is_some_and(JsonPath::is_root) => {
                let mut root = (**root).clone();
                if !same_path {
                    for place in self.expression.eval_json_paths(&cx.message, &*cx.snapshot)? {
                        jsonpath::set(&mut root, &place, Json::Array(Vec::new()));
                    }
                }
                let places = path.eval_json_paths(&cx.message, &*cx.snapshot)?;
                if places.is_empty() {
                    return Err(Fault::new(format!(
                        "Unable to get the attach path specified by the expression {}",
                        path.source()
                    )));
                }
                Some((root, places))
            }
            _ => None,
        };
        Ok(Pieces::Json { around, items })
    }
}

struct Parts {
    template: Context,
    target: Arc<Target>,
    marks: Marks,
    parent: Arc<str>,
    pieces: Pieces,
    next: usize,
    count: usize,
}

impl Iterator for Parts {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.next >= self.count {
            return None;
        }
        let mut part = self.template.fork_resuming(self.template.message.copy());
        part.message.addressing.message_id = Some(self.template.snapshot.new_id());
        self.marks.mark(&mut part.message, &self.parent, self.next, self.count);
        self.pieces.put(self.next, &mut part.message);
        self.next += 1;
        Some(Part { cx: part, target: self.target.clone() })
    }
}
