//! What a mediator is to the engine: it looks at the message, changes it, and says how the flow goes on.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::context::Context;
use crate::fault::Fault;

/// One step of a sequence. It is built once at deployment and shared by all messages.
pub trait Mediator: Send + Sync + fmt::Debug {
    /// True when the step looks at the payload, so that the engine builds it first. MI: `Mediator#isContentAware`.
    fn reads_body(&self) -> bool {
        false
    }

    /// What it is called in traces.
    fn name(&self) -> &'static str {
        crate::trail::short_name(std::any::type_name::<Self>())
    }

    /// Handles the message. It never blocks and never waits: what takes time is returned as [`Flow::Wait`].
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault>;
}

/// How the flow goes on after a step.
pub enum Flow {
    /// With the next step.
    Next,
    /// Into a branch, and with the next step after it.
    Enter(Arc<Sequence>),
    /// Into a branch; when it ends, `Resume` decides how it goes on (loops, template scopes, target handling).
    EnterThen(Arc<Sequence>, Box<dyn Resume>),
    /// Not before an effect is done, which then says how the flow goes on.
    Wait(Box<dyn Effect>),
    /// Not at all: the flow of this message ends here (`drop`, `respond`, `send`).
    End,
}

impl Flow {
    /// Waits for `effect`.
    pub fn wait(effect: impl Effect + 'static) -> Self {
        Self::Wait(Box::new(effect))
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Next => "Next",
            Self::Enter(_) => "Enter",
            Self::EnterThen(..) => "EnterThen",
            Self::Wait(_) => "Wait",
            Self::End => "End",
        })
    }
}

/// Something that takes time: a call, a database query, a delay. It owns what it needs and gets the context back.
pub trait Effect: Send {
    /// Does it.
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>>;
}

/// What happens when a branch entered by [`Flow::EnterThen`] ends: [`Resume::resume`] after its last step,
/// [`Resume::catch`] after a fault, [`Resume::stopped`] after a step that ended the flow. Exactly one of them is called.
pub trait Resume: Send {
    /// The branch ended normally.
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault>;

    /// The branch did not end normally: undo what entering it did to the context.
    fn unwind(self: Box<Self>, cx: &mut Context) {
        let _ = cx;
    }

    /// A fault came out of the branch. A loop that goes on after failures takes it here, before any fault handler
    /// sees it; everyone else undoes its own work and gives the fault back.
    fn catch(self: Box<Self>, cx: &mut Context, fault: Fault) -> Result<Flow, Fault> {
        self.unwind(cx);
        Err(fault)
    }

    /// The same for a part of a message that was split inside of the branch; `None` when a part must not come back to
    /// it.
    fn fork(&self) -> Option<Box<dyn Resume>> {
        None
    }

    /// A step of the branch ended the flow (`drop`, `respond`). `Some` when that ends the branch only.
    fn stopped(self: Box<Self>, cx: &mut Context) -> Option<Result<Flow, Fault>> {
        self.unwind(cx);
        None
    }
}

/// A list of mediators with an optional fault handler of its own.
#[derive(Debug)]
pub struct Sequence {
    /// Name of a named sequence; a description such as `api:Orders` for an anonymous one.
    pub name: Arc<str>,
    /// The steps.
    pub steps: Vec<Box<dyn Mediator>>,
    /// `onError`.
    pub on_error: Option<crate::snapshot::SequenceRef>,
    /// True when any step, here or in an inline branch, reads the body.
    pub reads_body: bool,
}

impl Sequence {
    /// A sequence of `steps` without a fault handler.
    pub fn new(name: impl Into<Arc<str>>, steps: Vec<Box<dyn Mediator>>) -> Self {
        let reads_body = steps.iter().any(|step| step.reads_body());
        Self { name: name.into(), steps, on_error: None, reads_body }
    }
}
