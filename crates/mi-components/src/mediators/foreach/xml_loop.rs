//! The loop over nodes. They are taken out of the message, each becomes the payload of an envelope of its own for a
//! while, and what the sequence makes of it goes back to where the first node stood.

use std::sync::Arc;

use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Resume};
use mi_message::{Body, Envelope, Native};
use mi_xml::{Document, NodeId};

use super::Settings;

pub(super) struct XmlLoop {
    settings: Arc<Settings>,
    /// The message without the nodes.
    outer: Body,
    /// Where the results go.
    parent: NodeId,
    /// The nodes, in a document of their own.
    items: Document,
    rest: std::vec::IntoIter<NodeId>,
    done: i32,
}

impl XmlLoop {
    pub(super) fn begin(settings: Arc<Settings>, cx: &mut Context) -> Result<Flow, Fault> {
        let nodes = settings.expression.eval_nodes(&cx.message, &*cx.snapshot)?;
        let Some(first) = nodes.first().copied() else { return Ok(Flow::Next) };
        let document = cx.message.body.envelope_mut()?.document_mut();
        let Some(parent) = document.parent(first) else {
            return Err(Fault::new("Error detecting parent element to merge"));
        };
        let mut items = Document::new();
        // Copied before any is detached: a copy keeps the namespaces that its ancestors declare.
        let copies: Vec<NodeId> = nodes.iter().map(|node| items.import(document, *node)).collect();
        for node in nodes {
            document.detach(node);
        }
        let options = cx.message.body.options().clone();
        let outer = std::mem::take(&mut cx.message.body);
        cx.message.body.set_options(options);
        Box::new(Self { settings, outer, parent, items, rest: copies.into_iter(), done: 0 }).next(cx)
    }

    fn next(mut self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        let Some(node) = self.rest.next() else { return Ok(self.finish(cx)) };
        let mut envelope = Envelope::empty(self.outer.soap_version());
        envelope.set_payload(&self.items, &[node]);
        cx.message.body.set(Native::Xml(envelope));
        Ok(Flow::EnterThen(self.settings.sequence(cx)?, self))
    }

    fn keep_result(&mut self, cx: &mut Context) -> Result<(), Fault> {
        let envelope = cx.message.body.envelope()?;
        if let Some(payload) = envelope.payload() {
            let outer = self.outer.envelope_mut()?.document_mut();
            let copy = outer.import(envelope.document(), payload);
            outer.append_child(self.parent, copy);
        }
        self.done += 1;
        self.settings.count(cx, self.done);
        Ok(())
    }

    fn finish(self: Box<Self>, cx: &mut Context) -> Flow {
        cx.message.body = self.outer;
        Flow::Next
    }
}

impl Resume for XmlLoop {
    fn resume(mut self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        self.keep_result(cx)?;
        self.next(cx)
    }

    /// A failed element stays as the sequence left it.
    fn catch(mut self: Box<Self>, cx: &mut Context, fault: Fault) -> Result<Flow, Fault> {
        if !self.settings.continue_on_failure {
            return Err(fault);
        }
        Settings::warn_of_failure(cx, &fault);
        self.keep_result(cx)?;
        self.next(cx)
    }

    /// A sequence that drops the message ends the loop, not the flow.
    fn stopped(mut self: Box<Self>, cx: &mut Context) -> Option<Result<Flow, Fault>> {
        Some(
            self.keep_result(cx)
                .and_then(|()| if self.settings.continue_on_failure { self.next(cx) } else { Ok(self.finish(cx)) }),
        )
    }
}
