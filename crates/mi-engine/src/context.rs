//! The state of one running flow: its message, its frames, its fault handlers and what it knows of its client.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use mi_message::{Message, Value};

use crate::exchange::Exchange;
use crate::fault::{Fault, codes};
use crate::mediator::{Flow, Resume, Sequence};
use crate::metrics::Meters;
use crate::shared::Shared;
use crate::snapshot::{SequenceRef, Snapshot};
use crate::trail::Span;

/// Deepest nesting of sequences and branches in one flow; beyond it the configuration calls itself.
pub const MAX_FRAMES: usize = 500;

/// The state of one running flow. It keeps the snapshot it began with.
pub struct Context {
    /// The message; in a box because a flow is moved several times before it begins.
    pub message: Box<Message>,
    /// What was deployed when the flow began.
    pub snapshot: Arc<Snapshot>,
    /// The client that waits for an answer, shared by all parts of a split message.
    pub exchange: Arc<Exchange>,
    /// Which artifact the flow belongs to.
    pub artifact: Arc<ArtifactInfo>,
    /// Latest moment at which this flow may still wait.
    pub deadline: Option<Instant>,
    /// True once the message is what a back end answered; an exception after that answers 500 whatever the back end
    /// said. MI: `SynapseCallbackReceiver#handleMessage`.
    pub response_received: bool,
    /// True when a message was sent without awaiting an answer (`OUT_ONLY`), so that the client gets a 202.
    pub one_way: bool,
    /// True once a `call` was answered. A part of a split message then goes on behind the splitter when its target ends.
    /// MI: the continuation stack, which the callback of a call runs to its bottom.
    pub continued: bool,
    /// True while a blocking `call` or `callout` sends: statuses and failures of the transport then count as they do in MI's
    /// blocking sender.
    pub blocking: bool,
    /// What steps of this flow have in common, such as a transaction. The parts of a split message have their own.
    pub shared: Shared,
    /// True once a fault found no handler.
    pub(crate) unhandled: bool,
    pub(crate) frames: Vec<Frame>,
    pub(crate) handlers: Vec<FaultHandler>,
}

/// The artifact that a flow belongs to, for log lines and for what happens to responses.
#[derive(Debug, Default)]
pub struct ArtifactInfo {
    /// Kind as in log prefixes: `api`, `proxy`, `inboundendpoint`, or empty.
    pub kind: &'static str,
    /// Name.
    pub name: Arc<str>,
    /// `{api:Name} ` or empty: what MI puts before log messages. MI: `LoggingUtils#getFormattedLog`.
    pub log_prefix: Arc<str>,
    /// Where responses of `send` go when no receiving sequence is set.
    pub out_sequence: Option<SequenceTarget>,
    /// Handler of last resort for the artifact's flows.
    pub fault_sequence: Option<SequenceTarget>,
    /// What counts its messages, for services.
    pub meters: Option<Meters>,
    /// Are its steps followed one by one, where there is an observer?
    pub traced: Arc<AtomicBool>,
}

/// A sequence by reference or inline.
#[derive(Clone, Debug)]
pub enum SequenceTarget {
    /// A named one.
    Named(SequenceRef),
    /// An anonymous one.
    Inline(Arc<Sequence>),
}

pub(crate) struct Frame {
    pub(crate) sequence: Arc<Sequence>,
    pub(crate) next: usize,
    pub(crate) resume: Option<Box<dyn Resume>>,
    /// Number of fault handlers to fall back to when the frame ends.
    pub(crate) handlers: usize,
    /// Of the step that runs, when steps are followed.
    pub(crate) span: Option<Box<dyn Span>>,
}

/// One level of fault handling.
#[derive(Clone, Debug)]
pub(crate) enum FaultHandler {
    Sequence(SequenceTarget),
}

impl Context {
    /// A flow that has not begun.
    pub fn new(
        message: impl Into<Box<Message>>,
        snapshot: Arc<Snapshot>,
        exchange: Arc<Exchange>,
        artifact: Arc<ArtifactInfo>,
    ) -> Self {
        Self {
            message: message.into(),
            snapshot,
            exchange,
            artifact,
            deadline: None,
            response_received: false,
            one_way: false,
            continued: false,
            blocking: false,
            shared: Shared::default(),
            unhandled: false,
            frames: Vec::new(),
            handlers: Vec::new(),
        }
    }

    /// A flow of its own for a part of this message; it answers the same client and has the same fault handlers.
    /// MI: `MessageHelper#cloneMessageContext` and the fault stack copied by the splitters.
    pub fn fork(&self, message: impl Into<Box<Message>>) -> Self {
        Self {
            message: message.into(),
            snapshot: self.snapshot.clone(),
            exchange: self.exchange.clone(),
            artifact: self.artifact.clone(),
            deadline: self.deadline,
            response_received: self.response_received,
            one_way: false,
            continued: false,
            blocking: false,
            shared: Shared::default(),
            unhandled: false,
            frames: Vec::new(),
            handlers: self.handlers.clone(),
        }
    }

    /// As [`Context::fork`], with what is left to do behind the present step. Branches that cannot be had twice
    /// ([`Resume::fork`]) end the part.
    pub fn fork_resuming(&self, message: Message) -> Self {
        let mut fork = self.fork(message);
        for frame in &self.frames {
            let resume = match &frame.resume {
                None => None,
                Some(resume) => match resume.fork() {
                    Some(copy) => Some(copy),
                    None => {
                        // What lies below belongs to a loop that goes on without this part.
                        fork.frames.clear();
                        continue;
                    }
                },
            };
            let (sequence, next, handlers) = (frame.sequence.clone(), frame.next, frame.handlers);
            fork.frames.push(Frame { sequence, next, resume, handlers, span: None });
        }
        fork
    }

    /// Finds a target's sequence; a missing name is a fault, as MI finds out only then.
    pub fn resolve(&self, target: &SequenceTarget) -> Result<Arc<Sequence>, Fault> {
        match target {
            SequenceTarget::Inline(sequence) => Ok(sequence.clone()),
            SequenceTarget::Named(reference) => self
                .snapshot
                .sequence(reference)
                .ok_or_else(|| Fault::new(format!("Sequence named {} cannot be found", reference.name()))),
        }
    }

    /// Adds a fault handler below which nothing of the present flow is run again.
    pub fn push_fault_handler(&mut self, target: SequenceTarget) {
        self.handlers.push(FaultHandler::Sequence(target));
    }

    /// Forgets all fault handlers and sets the artifact's own, as for a response that enters the out sequence.
    pub fn reset_fault_handlers(&mut self) {
        self.handlers.clear();
        if let Some(target) = self.artifact.fault_sequence.clone() {
            self.push_fault_handler(target);
        } else if let Some(fault) = self.snapshot.fault_sequence() {
            self.push_fault_handler(SequenceTarget::Inline(fault));
        }
    }

    /// Enters a sequence. Its `onError` becomes the nearest fault handler until it ends.
    pub fn enter(&mut self, sequence: Arc<Sequence>, resume: Option<Box<dyn Resume>>) -> Result<(), Fault> {
        if self.frames.len() >= MAX_FRAMES {
            return Err(Fault::new(format!(
                "Sequence {} is nested deeper than {MAX_FRAMES} levels; it probably calls itself",
                sequence.name
            )));
        }
        let handlers = self.handlers.len();
        if let Some(on_error) = &sequence.on_error {
            self.handlers.push(FaultHandler::Sequence(SequenceTarget::Named(on_error.clone())));
        }
        self.frames.push(Frame { sequence, next: 0, resume, handlers, span: None });
        Ok(())
    }

    /// Drops all frames, telling each unfinished branch.
    pub(crate) fn unwind(&mut self) {
        while let Some(frame) = self.frames.pop() {
            if let Some(resume) = frame.resume {
                resume.unwind(self);
            }
        }
    }

    /// Drops all frames, or those up to the one whose branch ends with the step that ended the flow.
    pub(crate) fn unwind_stopped(&mut self) -> Option<Result<Flow, Fault>> {
        while let Some(frame) = self.frames.pop() {
            if let Some(outcome) = frame.resume.and_then(|resume| resume.stopped(self)) {
                self.handlers.truncate(frame.handlers);
                return Some(outcome);
            }
        }
        None
    }

    /// Drops all frames, or those up to the one that takes the fault.
    pub(crate) fn unwind_fault(&mut self, fault: Fault) -> Result<Flow, Fault> {
        let mut fault = fault;
        while let Some(frame) = self.frames.pop() {
            if let Some(resume) = frame.resume {
                match resume.catch(self, fault) {
                    Ok(flow) => {
                        self.handlers.truncate(frame.handlers);
                        return Ok(flow);
                    }
                    Err(uncaught) => fault = uncaught,
                }
            }
        }
        Err(fault)
    }

    /// Sets the error properties for a fault. MI: `FaultHandler#handleFault`.
    pub(crate) fn record_fault(&mut self, fault: &Fault) {
        let properties = &mut self.message.properties;
        let code = match fault.code {
            Some(code) => code,
            None if properties.contains("ERROR_CODE") => return,
            None => codes::DEFAULT,
        };
        properties.set("ERROR_CODE", Value::Int(code as i32));
        properties.set("ERROR_MESSAGE", fault.message.lines().next().unwrap_or_default());
        properties.set("ERROR_DETAIL", fault.detail.as_str());
        properties.set("ERROR_EXCEPTION", fault.exception.as_str());
        self.message.axis2.remove("NO_KEEPALIVE");
        if fault.code.is_none() && self.response_received {
            self.message.axis2.set("HTTP_SC", 500);
        }
    }

    /// True when there is something to come back to after a call: any frame with steps left.
    pub fn has_continuation(&self) -> bool {
        !self.frames.is_empty()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Context")
            .field("artifact", &self.artifact)
            .field("frames", &self.frames.len())
            .finish_non_exhaustive()
    }
}
