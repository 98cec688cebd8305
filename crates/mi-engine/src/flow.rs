//! The frame stack: runs steps, enters and leaves branches, waits, and unwinds faults to their handlers.

use std::sync::Arc;

use mi_message::BodyError;

use crate::context::{Context, FaultHandler, Frame};
use crate::fault::{Fault, codes};
use crate::mediator::{Flow, Sequence};
use crate::room;
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
    read(cx, room::BUILT).await?;
    crate::incoming::build(&mut cx.message)
}

/// Reads the payload, within the same limit, and does not look into it.
pub async fn read_body(cx: &mut Context) -> Result<(), Fault> {
    read(cx, 1).await
}

/// Reads the payload in memory that counts `weight` times its size.
async fn read(cx: &mut Context, weight: usize) -> Result<(), Fault> {
    if !cx.message.body.is_unread() {
        return Ok(());
    }
    let limit = cx.snapshot.settings.max_built_body;
    let deadline = cx.snapshot.settings.socket_timeout;
    let memory = &cx.snapshot.services.bodies;
    let from_client = !cx.message.is_response && !cx.response_received;
    let budget = if from_client { &memory.requests } else { &memory.others };
    match tokio::time::timeout(deadline, cx.message.body.read_into(limit, budget.lend(weight))).await {
        Ok(Err(error)) => {
            if from_client && matches!(error, BodyError::NoRoom) {
                cx.exchange.refuse();
            }
            Err(error.into())
        }
        Ok(Ok(())) => Ok(()),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::{BodyExt, Full};
    use mi_message::{Body, BodyStream, Message};
    use tokio::sync::oneshot;

    use super::*;
    use crate::exchange::{Exchange, RequestInfo};
    use crate::room::BodyMemory;
    use crate::transport::HttpReply;
    use crate::{Services, Snapshot, Specs};

    /// A message with an unread body of 100 KB, and where its client waits.
    fn large(services: &Arc<Services>) -> (Context, oneshot::Receiver<HttpReply>) {
        let (reply, answer) = oneshot::channel();
        let exchange = Arc::new(Exchange::new(RequestInfo::default(), reply));
        let snapshot = Arc::new(Snapshot::empty(services.clone(), crate::snapshot::Settings::default()));
        let mut message = Message::new();
        let full = Full::new(Bytes::from(vec![b'x'; 100 << 10])).map_err(|never| match never {});
        message.body = Body::from_stream(BodyStream::new(full), Some("text/plain".into()));
        (Context::new(message, snapshot, exchange, Arc::default()), answer)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_room_is_sent_away_and_an_answer_without_it_is_a_fault() {
        let bodies = Arc::new(BodyMemory::new(500 << 10, Duration::from_secs(1)));
        let services = Arc::new(Services { bodies: bodies.clone(), ..Services::offline(Specs::new(&[])) });
        let (mut first, mut client) = large(&services);
        build_body(&mut first).await.unwrap();
        assert!(client.try_recv().is_err() && first.message.body.is_built());
        assert_eq!(bodies.requests.lent(), 400 << 10);

        let (mut second, client) = large(&services);
        let fault = build_body(&mut second).await.unwrap_err();
        assert!(fault.detail.contains("no memory was left for the body"), "{}", fault.detail);
        let sent = client.await.unwrap();
        assert_eq!((sent.status.as_u16(), sent.headers.get("Retry-After")), (503, Some("1")));
        // What a fault sequence answers after that reaches nobody, and is nothing to complain of.
        crate::reply::send_back(&mut second).await.unwrap();

        // Answers have memory of their own; without room for one the flow goes on with its fault sequence.
        let (mut third, _client) = large(&services);
        third.message.is_response = true;
        build_body(&mut third).await.unwrap();
        let (mut fourth, mut client) = large(&services);
        fourth.message.is_response = true;
        assert!(build_body(&mut fourth).await.is_err());
        assert!(client.try_recv().is_err());
        assert_eq!((bodies.requests.refused(), bodies.others.refused()), (1, 1));
    }
}
