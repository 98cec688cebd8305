//! What `clone` and `iterate` share: the marks by which `aggregate` finds the parts of a message again, and running the
//! parts, beside each other or one after the other.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::flow::{self, Ended};
use mi_engine::mediator::{Effect, Flow, Resume};
use mi_message::{Message, Value};
use tokio::task::JoinSet;

use super::target::Target;
use crate::payload;

/// Parts of one message that run at the same time; more wait for their turn.
const MAX_PARALLEL: usize = 500;

/// MI: `EIPConstants.AGGREGATE_CORRELATION`, spelling included.
const CORRELATION: &str = "aggregateCorelation";

/// Names of the properties by which parts are told. MI: `EIPConstants`.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// Holds the id of the message that was split.
    pub(super) correlation: Arc<str>,
    /// Holds `number/count`.
    pub(super) sequence: Arc<str>,
    /// Holds what all parts of one split have in common.
    holder: Arc<str>,
}

/// A property that is a text.
pub(super) fn text_of(message: &Message, name: &str) -> Option<Arc<str>> {
    match message.properties.get(name) {
        Some(Value::String(text)) => Some(text.clone().into()),
        _ => None,
    }
}

impl Marks {
    /// The names for the id of a splitter or aggregate.
    pub(super) fn new(id: Option<&str>) -> Self {
        let name = |base: &str| -> Arc<str> {
            match id {
                Some(id) => format!("{base}.{id}").into(),
                None => base.into(),
            }
        };
        Self {
            correlation: name(CORRELATION),
            sequence: name("messageSequence"),
            holder: name("EIP_SHARED_DATA_HOLDER"),
        }
    }

    /// What a part has in common with the others of its split.
    pub(super) fn holder_of(&self, part: &Message) -> Option<Arc<str>> {
        text_of(part, &self.holder)
    }

    /// Marks the message that is about to be split, and gives its id.
    pub(super) fn begin(&self, cx: &mut Context) -> Arc<str> {
        let split = mi_expr::Lookup::new_id(&*cx.snapshot);
        cx.message.properties.set(self.holder.clone(), split);
        payload::message_id(&mut cx.message, &*cx.snapshot)
    }

    /// Marks a part.
    pub(super) fn mark(&self, part: &mut Message, parent: &Arc<str>, number: usize, count: usize) {
        if &*self.correlation != CORRELATION {
            part.properties.set(self.correlation.clone(), Value::from(parent.clone()));
        }
        // Every copy of a message carries the plain mark, which an aggregate without an id looks for; that of an outer
        // split stays, as the copied properties come last. MI: `MessageHelper#cloneMessageContext`.
        if !part.properties.contains(CORRELATION) {
            part.properties.set(CORRELATION, Value::from(parent.clone()));
        }
        part.properties.set(self.sequence.clone(), format!("{number}/{count}"));
    }
}

/// A part and where it goes.
pub(super) struct Part {
    pub(super) cx: Context,
    pub(super) target: Arc<Target>,
}

impl Part {
    async fn run(mut self) -> Ended {
        let _running = self.cx.snapshot.services.begin_flow();
        let first = match self.target.enter(&mut self.cx) {
            Ok(Flow::Enter(sequence)) => Ok(Flow::EnterThen(sequence, Box::new(AfterTarget))),
            Ok(Flow::Next) => Ok(Flow::End),
            other => other,
        };
        flow::drive(&mut self.cx, first).await
    }
}

/// A part ends with its target, unless a call was answered in it: then it goes on behind the splitter.
struct AfterTarget;

impl Resume for AfterTarget {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        Ok(if cx.continued { Flow::Next } else { Flow::End })
    }

    fn fork(&self) -> Option<Box<dyn Resume>> {
        Some(Box::new(Self))
    }
}

/// Runs the parts, which are made as they are needed.
pub(super) struct Run<P> {
    pub(super) parts: P,
    /// One after the other; the message itself goes on behind them.
    pub(super) sequential: bool,
    /// No part after one that failed (only one after the other).
    pub(super) stop_on_failure: bool,
    /// Whether the message itself goes on.
    pub(super) continue_parent: bool,
}

impl<P: Iterator<Item = Part> + Send + 'static> Run<P> {
    /// Starts the parts.
    pub(super) fn start(self, cx: &mut Context) -> Flow {
        if !self.continue_parent {
            cx.exchange.note_send();
        }
        if self.sequential {
            return Flow::wait(self);
        }
        let flow = self.parent_flow();
        let services = cx.snapshot.services.clone();
        tokio::spawn(async move {
            let _running = services.begin_flow();
            let mut running = JoinSet::new();
            for part in self.parts {
                if running.len() >= MAX_PARALLEL {
                    running.join_next().await;
                }
                // Boxed, because the runtime moves a future several times on its way into a task.
                running.spawn(Box::pin(part.run()));
            }
            while running.join_next().await.is_some() {}
        });
        flow
    }

    fn parent_flow(&self) -> Flow {
        if self.continue_parent { Flow::Next } else { Flow::End }
    }
}

impl<P: Iterator<Item = Part> + Send + 'static> Effect for Run<P> {
    fn perform(mut self: Box<Self>, _cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            for part in self.parts.by_ref() {
                // A task of its own, so that parts inside of parts do not nest on one stack.
                let ended = tokio::spawn(Box::pin(part.run())).await.unwrap_or(Ended::Faulted);
                if ended == Ended::Faulted && self.stop_on_failure {
                    break;
                }
            }
            Ok(self.parent_flow())
        })
    }
}
