//! The frame stack: runs steps, enters and leaves branches, waits, and unwinds faults to their handlers.

use std::sync::Arc;

use crate::context::{Context, FaultHandler, Frame};
use crate::fault::{Fault, codes};
use crate::mediator::{Flow, Sequence};
use crate::trail;

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All steps ran.
    Completed,
    /// A step ended the flow (`drop`, `respond`, `send`).
    Stopped,
    /// A fault found no handler that took it.
    Faulted,
}

/// Runs `sequence` with the context's fault handlers around it, to its end. MI: `SequenceMediator#mediate` with the
/// catch blocks of the message receivers.
pub async fn run(cx: &mut Context, sequence: Arc<Sequence>) -> Ended {
    let began = cx.enter(sequence, None).map(|()| Flow::Next);
    drive(cx, began).await
}

/// Runs what the context's frames still hold, after a first decision.
pub async fn drive(cx: &mut Context, first: Result<Flow, Fault>) -> Ended {
    let trail = cx.exchange.request.trail.clone();
    trail::followed(trail, run_frames(cx, first)).await
}

async fn run_frames(cx: &mut Context, first: Result<Flow, Fault>) -> Ended {
    let mut handled_fault = false;
    let mut outcome = first;
    loop {
        let flow = match outcome {
            Ok(flow) => flow,
            Err(fault) => match unwound(cx, fault) {
                Ok(caught) => caught,
                Err(fault) => match handle_fault(cx, fault) {
                    Ok(()) => {
                        handled_fault = true;
                        Flow::Next
                    }
                    Err(Unhandled) => {
                        cx.unhandled = true;
                        return Ended::Faulted;
                    }
                },
            },
        };
        outcome = match flow {
            Flow::Next => match step(cx).await {
                Some(outcome) => outcome,
                None => return if handled_fault { Ended::Faulted } else { Ended::Completed },
            },
            Flow::Enter(sequence) => cx.enter(sequence, None).map(|()| Flow::Next),
            Flow::EnterThen(sequence, resume) => cx.enter(sequence, Some(resume)).map(|()| Flow::Next),
            Flow::Wait(effect) => effect.perform(cx).await,
            Flow::End => match cx.unwind_stopped() {
                Some(outcome) => outcome,
                None => return if handled_fault { Ended::Faulted } else { Ended::Stopped },
            },
        };
    }
}

/// Unwinds the frames of a fault, and tells the span of the step that it came out of.
fn unwound(cx: &mut Context, fault: Fault) -> Result<Flow, Fault> {
    if let Some(span) = cx.frames.last_mut().and_then(|frame| frame.span.as_mut()) {
        span.failed(&fault.message);
    }
    cx.unwind_fault(fault)
}

/// Runs steps of the innermost frame until one says something else than `Next`, or leaves the frame. `None` when no
/// frame is left.
async fn step(cx: &mut Context) -> Option<Result<Flow, Fault>> {
    let frame = cx.frames.last_mut()?;
    let sequence = frame.sequence.clone();
    let depth = cx.frames.len();
    while let Some(next) = next_step(cx, depth, &sequence) {
        if cx.exchange.request.trail.is_some() {
            trail::begin_step(cx, &*sequence.steps[next]);
        }
        let builds = sequence.steps[next].reads_body() && !cx.message.body.is_built();
        if builds && let Err(fault) = build_body(cx).await {
            return Some(Err(fault));
        }
        match sequence.steps[next].mediate(cx) {
            Ok(Flow::Next) => {}
            other => return Some(other),
        }
    }
    let Frame { resume, handlers, .. } = cx.frames.pop()?;
    cx.handlers.truncate(handlers);
    Some(match resume {
        Some(resume) => resume.resume(cx),
        None => Ok(Flow::Next),
    })
}

/// The index of the next step of the frame at `depth`, which is advanced.
fn next_step(cx: &mut Context, depth: usize, sequence: &Sequence) -> Option<usize> {
    let frame = cx.frames.get_mut(depth - 1)?;
    let next = frame.next;
    (next < sequence.steps.len()).then(|| {
        frame.next += 1;
        next
    })
}

/// Reads and builds the payload, within the limit for bodies held in memory. MI: `RelayUtils#buildMessage`.
pub async fn build_body(cx: &mut Context) -> Result<(), Fault> {
    read_body(cx).await?;
    crate::incoming::build(&mut cx.message)
}

/// Reads the payload, within the same limit, and does not look into it.
pub(crate) async fn read_body(cx: &mut Context) -> Result<(), Fault> {
    let limit = cx.snapshot.settings.max_built_body;
    let deadline = cx.snapshot.settings.socket_timeout;
    match tokio::time::timeout(deadline, cx.message.body.read(limit)).await {
        Ok(read) => read.map_err(Fault::from),
        Err(_) => Err(Fault::coded(
            codes::SND_IO_RECEIVING,
            "Timed out while reading the message",
            format!("The body did not arrive within {} s", deadline.as_secs()),
        )),
    }
}

struct Unhandled;

/// Enters the sequence of the nearest handler; all frames are gone by now.
fn handle_fault(cx: &mut Context, fault: Fault) -> Result<(), Unhandled> {
    let mut fault = fault;
    if let Some(meters) = &cx.artifact.meters
        && cx.exchange.note_fault()
    {
        meters.fault(cx.exchange.request.secure);
    }
    if !fault.handled {
        cx.handlers.clear();
        return Err(Unhandled);
    }
    loop {
        cx.record_fault(&fault);
        let Some(FaultHandler::Sequence(target)) = cx.handlers.pop() else {
            return unhandled(cx, &fault);
        };
        log::warn!(
            target: "SequenceMediator",
            "{}ERROR_CODE : {} ERROR_MESSAGE : {}",
            cx.artifact.log_prefix,
            cx.message.properties.get("ERROR_CODE").map(|code| code.to_text().into_owned()).unwrap_or_default(),
            cx.message.properties.get("ERROR_MESSAGE").map(|text| text.to_text().into_owned()).unwrap_or_default(),
        );
        match cx.resolve(&target).and_then(|sequence| cx.enter(sequence, None)) {
            Ok(()) => return Ok(()),
            Err(next) => fault = next,
        }
    }
}

fn unhandled(cx: &mut Context, fault: &Fault) -> Result<(), Unhandled> {
    log::error!(
        target: "FaultHandler",
        "{}No fault handler is left for: {}", cx.artifact.log_prefix, fault.message
    );
    if cx.exchange.awaits_answer() {
        let reply = crate::reply::unexpected_error(cx, fault);
        cx.exchange.answer(reply);
    }
    Err(Unhandled)
}
