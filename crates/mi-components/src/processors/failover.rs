//! `org.apache.synapse.message.processor.impl.failover.FailoverScheduledMessageForwardingProcessor` moves messages into
//! another store, such as those that a failover store has taken while the real one could not be reached.

use futures_util::future::BoxFuture;
use mi_config::Diagnostic;
use mi_engine::BuildCx;
use mi_engine::processor::{Flown, ProcessorParameters, Work, WorkCx};
use mi_engine::spec::ProcessorSpec;
use mi_engine::store::Claim;

use super::failed::{self, After, Failures};

pub(super) const SPEC: ProcessorSpec = ProcessorSpec {
    class: "org.apache.synapse.message.processor.impl.failover.FailoverScheduledMessageForwardingProcessor",
    parse,
};

const TARGET: &str = "message.target.store.name";

fn parse(parameters: &ProcessorParameters<'_>, cx: &mut BuildCx<'_>) -> Result<Box<dyn Work>, Diagnostic> {
    let mut known = vec![TARGET];
    known.extend(failed::PARAMETERS);
    parameters.warn_unknown(&known, cx);
    // MI removes every message when it is missing.
    let target = parameters.name(TARGET)?.ok_or_else(|| {
        parameters.config.element.error(format!("the message processor needs the parameter '{TARGET}'"))
    })?;
    Ok(Box::new(Failover { target, failures: Failures::parse(parameters, None)? }))
}

#[derive(Debug)]
struct Failover {
    target: String,
    failures: Failures,
}

impl Work for Failover {
    fn handle<'a>(&'a self, claim: Claim, cx: &'a WorkCx) -> BoxFuture<'a, ()> {
        Box::pin(self.forward(claim, cx))
    }
}

impl Failover {
    /// MI: `FailoverForwardingService#dispatch`.
    async fn forward(&self, claim: Claim, cx: &WorkCx) {
        let mut attempts = 0;
        loop {
            let message = claim.message().copy();
            if failed::put(&self.target, message, claim.id(), cx).await {
                // An error was logged; the message comes again then, under the same id.
                drop(claim.acknowledge().await);
                return;
            }
            log::error!(
                target: "FailoverForwardingService",
                "Message store messageSender of message processor [{}] failed to send message to the target message store",
                cx.name
            );
            let mut flow = Flown::new(cx, cx.engine.snapshot(), claim.message().copy());
            self.failures.run_fault_sequence(&mut flow).await;
            attempts += 1;
            match self.failures.after(attempts, cx).await {
                After::Again => {}
                After::Last => return self.failures.give_up(claim, flow, cx).await,
                After::Leave => return,
            }
        }
    }
}
