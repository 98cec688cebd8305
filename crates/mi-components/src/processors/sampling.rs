//! `org.apache.synapse.message.processor.impl.sampler.SamplingProcessor` gives messages to a sequence, a few at a time.
//!
//! MI takes a message out of the store before the sequence runs. Here it leaves the store when the sequence has ended,
//! so that a message is not lost with the process; whatever the sequence comes to, the message is not given to it again.

use futures_util::future::BoxFuture;
use mi_config::Diagnostic;
use mi_config::processor::SAMPLING_PROCESSOR;
use mi_engine::BuildCx;
use mi_engine::processor::{Flown, ProcessorParameters, Work, WorkCx};
use mi_engine::spec::ProcessorSpec;
use mi_engine::store::Claim;

use super::failed;

pub(super) const SPEC: ProcessorSpec = ProcessorSpec { class: SAMPLING_PROCESSOR, parse };

const DEAD_LETTERS: &str = "message.processor.failMessagesStore";

fn parse(parameters: &ProcessorParameters<'_>, cx: &mut BuildCx<'_>) -> Result<Box<dyn Work>, Diagnostic> {
    // Tools write the parameters of forwarding processors here, too; MI does not look at them.
    let mut known = vec!["sequence", "concurrency"];
    known.extend(failed::PARAMETERS);
    parameters.warn_unknown(&known, cx);
    let element = &parameters.config.element;
    // The name is qualified already. MI: `MessageProcessorFactory#getParameters`.
    let sequence = parameters.text("sequence").map(str::to_owned);
    if sequence.is_none() {
        cx.report(element.warning("the message processor has no parameter 'sequence': its messages are removed"));
    }
    let concurrency = parameters.number("concurrency")?.unwrap_or(1);
    let concurrency = usize::try_from(concurrency).ok().filter(|count| *count > 0);
    Ok(Box::new(Sampling {
        sequence,
        concurrency: concurrency.ok_or_else(|| parameters.error("concurrency", "it must be above 0"))?,
        dead_letters: parameters.name(DEAD_LETTERS)?,
    }))
}

#[derive(Debug)]
struct Sampling {
    sequence: Option<String>,
    concurrency: usize,
    /// Where messages go whose sequence ended in a fault that nobody took; MI has no such thing.
    dead_letters: Option<String>,
}

impl Work for Sampling {
    fn handle<'a>(&'a self, claim: Claim, cx: &'a WorkCx) -> BoxFuture<'a, ()> {
        Box::pin(self.sample(claim, cx))
    }

    fn side_by_side(&self) -> Option<usize> {
        Some(self.concurrency)
    }
}

impl Sampling {
    /// MI: `SamplingService#dispatch`.
    async fn sample(&self, claim: Claim, cx: &WorkCx) {
        let snapshot = cx.engine.snapshot();
        let sequence = self.sequence.as_deref().and_then(|name| snapshot.sequence_by_key(name));
        if let Some(sequence) = sequence {
            let mut flow = Flown::new(cx, snapshot, claim.message().copy()).with_fault_sequence();
            if !flow.run(sequence).await {
                log::error!(target: "SamplingService", "Error occurred while executing the message");
                if let Some(store) = &self.dead_letters {
                    // When the other store does not take it, it stays, and is tried again with the next run.
                    failed::move_to(store, claim, &mut flow, cx).await;
                    return;
                }
            }
        }
        // An error was logged; the message comes again then.
        drop(claim.acknowledge().await);
    }
}
