//! What workers do with a message: run a sequence on it, or send it, as a flow of its own that nobody waits for.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use mi_message::Message;

use super::WorkCx;
use crate::context::{ArtifactInfo, Context};
use crate::endpoint::{Endpoint, Sent};
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::flow;
use crate::mediator::Sequence;
use crate::snapshot::Snapshot;

/// A stored message on its way.
#[derive(Debug)]
pub struct Flown {
    /// Its flow.
    pub cx: Context,
}

impl Flown {
    /// A flow for a stored message. One that came in through a proxy still belongs to it: answers go to its out
    /// sequence. MI: the cloned context that a store keeps.
    pub fn new(work: &WorkCx, snapshot: Arc<Snapshot>, message: Message) -> Self {
        let proxy = message.properties.get_str("proxy.name").and_then(|name| snapshot.proxies.get(name));
        let artifact = match proxy {
            Some(proxy) => proxy.info.clone(),
            None => Arc::new(ArtifactInfo {
                name: work.name.clone(),
                log_prefix: format!("{{messageprocessor:{}}} ", work.name).into(),
                ..ArtifactInfo::default()
            }),
        };
        Self { cx: Context::new(message, snapshot, Arc::new(Exchange::detached()), artifact) }
    }

    /// Gives faults to the proxy's fault sequence, when there is one.
    pub fn with_fault_sequence(mut self) -> Self {
        if let Some(target) = self.cx.artifact.fault_sequence.clone() {
            self.cx.push_fault_handler(target);
        }
        self
    }

    /// Runs a sequence. False when a fault came out of it that no handler took; it is in the error properties then.
    pub async fn run(&mut self, sequence: Arc<Sequence>) -> bool {
        self.cx.unhandled = false;
        let ended = AssertUnwindSafe(flow::run(&mut self.cx, sequence)).catch_unwind().await;
        if ended.is_err() {
            log::error!(target: "MessageProcessor", "{}The flow ended in a panic", self.cx.artifact.log_prefix);
            return false;
        }
        !self.cx.unhandled
    }

    /// Sends the message and waits for the whole of the answer, which becomes the message: one that breaks off says
    /// nothing about the delivery, and a body that nobody reads would cost the connection. A fault is in the error
    /// properties.
    pub async fn send(&mut self, endpoint: Arc<Endpoint>) -> Result<Sent, Fault> {
        let mut sent = match AssertUnwindSafe(endpoint.send(&mut self.cx)).catch_unwind().await {
            Ok(sent) => sent,
            Err(_) => Err(Fault::new("Sending ended in a panic")),
        };
        if matches!(sent, Ok(Sent::Answered))
            && let Err(fault) = flow::read_body(&mut self.cx).await
        {
            sent = Err(fault);
        }
        if let Err(fault) = &sent {
            self.cx.record_fault(fault);
        }
        sent
    }
}
