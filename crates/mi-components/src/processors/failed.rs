//! What happens to a message that cannot be delivered: the fault sequence after each attempt, and after the last one it
//! is dropped, put into another store, or the processor is deactivated and the message stays.

use std::sync::Arc;
use std::time::Duration;

use mi_config::Diagnostic;
use mi_engine::processor::{Flown, ProcessorParameters, WorkCx};
use mi_engine::store::Claim;
use mi_message::Message;

/// Parameters that this file reads.
pub(super) const PARAMETERS: [&str; 6] = [
    "max.delivery.attempts",
    "max.delivery.drop",
    "client.retry.interval",
    "message.processor.fault.sequence",
    "message.processor.deactivate.sequence",
    "message.processor.failMessagesStore",
];

/// Settings for messages that cannot be delivered.
#[derive(Debug)]
pub(super) struct Failures {
    /// `None` is without end.
    attempts: Option<u64>,
    drops: bool,
    retry: Duration,
    fault_sequence: Option<String>,
    deactivate_sequence: Option<String>,
    store: Option<Arc<str>>,
}

/// How a message goes on after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// With another attempt.
    Again,
    /// It was the last one.
    Last,
    /// The processor takes no more messages; the message stays in the store.
    Leave,
}

impl Failures {
    pub(super) fn parse(parameters: &ProcessorParameters<'_>, attempts: Option<u64>) -> Result<Self, Diagnostic> {
        let attempts = match parameters.number("max.delivery.attempts")? {
            Some(number) => u64::try_from(number).ok().filter(|number| *number > 0),
            None => attempts,
        };
        Ok(Self {
            attempts,
            // MI: without a number of attempts nothing is ever dropped.
            drops: parameters.text("max.delivery.drop") == Some("Enabled"),
            retry: Duration::from_millis(parameters.positive("client.retry.interval")?.unwrap_or(1000)),
            fault_sequence: parameters.name("message.processor.fault.sequence")?,
            deactivate_sequence: parameters.name("message.processor.deactivate.sequence")?,
            store: parameters.name("message.processor.failMessagesStore")?.map(Arc::from),
        })
    }

    /// Runs the fault sequence. MI: `ForwardingService#sendThroughFaultSeq`.
    pub(super) async fn run_fault_sequence(&self, flow: &mut Flown) {
        run_named(flow, self.fault_sequence.as_deref(), "fault").await;
    }

    /// Counts an attempt that failed, and waits before the next one.
    pub(super) async fn after(&self, attempt: u64, cx: &WorkCx) -> After {
        if !cx.control.is_running() {
            return After::Leave;
        }
        if self.attempts.is_some_and(|most| attempt >= most) {
            return After::Last;
        }
        cx.control.sleep(self.retry).await;
        if cx.control.is_running() { After::Again } else { After::Leave }
    }

    /// Puts a message away after its last attempt. MI: `ForwardingService#checkAndDeactivateProcessor`.
    pub(super) async fn give_up(&self, claim: Claim, mut flow: Flown, cx: &WorkCx) {
        let (name, attempts) = (&cx.name, self.attempts.unwrap_or_default());
        if self.drops {
            log::warn!(
                target: "ForwardingService",
                "Message processor [{name}] failed to forward message {attempts} times. Drop message and continue."
            );
            // An error was logged; the message comes again then.
            drop(claim.acknowledge().await);
            cx.control.sleep(self.retry).await;
        } else if let Some(store) = &self.store {
            if move_to(store, claim, &mut flow, cx).await {
                log::info!(
                    target: "ForwardingService",
                    "Message processor [{name}] failed to forward message {attempts} times. Moved failed message to \
                     fail-messages-store and continue"
                );
                cx.control.sleep(self.retry).await;
            } else {
                log::error!(
                    target: "ForwardingService",
                    "Message processor [{name}] failed to forward message {attempts} times but failed to store message \
                     in fail-messages-store and continue. Hence deactivating message processor."
                );
                self.deactivate(&mut flow, cx).await;
            }
        } else {
            self.deactivate(&mut flow, cx).await;
        }
    }

    /// Switches the processor off; the sequence for it runs afterwards, and whatever it comes to changes nothing.
    /// MI: `ForwardingService#deactivateMessageProcessor`.
    pub(super) async fn deactivate(&self, flow: &mut Flown, cx: &WorkCx) {
        cx.activation.deactivate();
        run_named(flow, self.deactivate_sequence.as_deref(), "deactivate").await;
    }
}

async fn run_named(flow: &mut Flown, name: Option<&str>, what: &str) {
    let Some(name) = name else {
        log::warn!(
            target: "ForwardingService",
            "Failed to send the message through the {what} sequence. Sequence name does not Exist."
        );
        return;
    };
    match flow.cx.snapshot.sequence_by_key(name) {
        Some(sequence) => {
            // A fault in it was logged.
            flow.run(sequence).await;
        }
        None => log::warn!(
            target: "ForwardingService",
            "Failed to send the message through the {what} sequence. Sequence [{name}] does not Exist."
        ),
    }
}

/// Moves a message as it was stored, with the error properties of what happened to it, into another store. It leaves
/// its own when it is safe in the other. False when the other one did not take it, which was logged.
pub(super) async fn move_to(store: &str, claim: Claim, flow: &mut Flown, cx: &WorkCx) -> bool {
    let mut message: Message = claim.message().copy();
    for name in ["ERROR_CODE", "ERROR_MESSAGE", "ERROR_DETAIL", "ERROR_EXCEPTION"] {
        if let Some(value) = flow.cx.message.properties.get(name) {
            message.properties.set(name, value.clone());
        }
    }
    if !put(store, message, claim.id(), cx).await {
        return false;
    }
    // An error was logged; the message comes again then, under the same id.
    drop(claim.acknowledge().await);
    true
}

/// Puts a message into a store by name, under the id that it has. False when that failed, which was logged.
pub(super) async fn put(store: &str, message: Message, id: &str, cx: &WorkCx) -> bool {
    let snapshot = cx.engine.snapshot();
    let Some(target) = snapshot.stores.by_name(store).cloned() else {
        log::error!(target: "ForwardingService", "Message processor [{}]: there is no message store {store}", cx.name);
        return false;
    };
    let stored = target.put(message, Some(id.into()), &snapshot).await;
    if let Err(why) = &stored {
        log::error!(target: "ForwardingService", "Message processor [{}]: message store {store}: {why}", cx.name);
    }
    stored.is_ok()
}
