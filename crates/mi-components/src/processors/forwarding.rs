//! `org.apache.synapse.message.processor.impl.forwarder.ScheduledMessageForwardingProcessor` sends messages to an
//! endpoint, one after the other, and takes a message out of the store when the back end has accepted it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::Diagnostic;
use mi_config::processor::FORWARDING_PROCESSOR;
use mi_engine::processor::{Flown, ProcessorParameters, Work, WorkCx};
use mi_engine::spec::ProcessorSpec;
use mi_engine::store::Claim;
use mi_engine::{BuildCx, Endpoint};
use mi_message::Value;

use super::failed::{self, After, Failures};

pub(super) const SPEC: ProcessorSpec = ProcessorSpec { class: FORWARDING_PROCESSOR, parse };

/// Attempts when nothing is said. MI: `ForwardingService#maxDeliverAttempts`.
const ATTEMPTS: u64 = 4;
/// What a message itself names its endpoint with, when the processor names none.
const TARGET: &str = "target.endpoint";
/// MI: `SynapseConstants#BLOCKING_SENDER_OPERATION_FAILED`.
const SENDING_FAILED: i32 = 401_002;

fn parse(parameters: &ProcessorParameters<'_>, cx: &mut BuildCx<'_>) -> Result<Box<dyn Work>, Diagnostic> {
    let mut known = vec![
        TARGET,
        "message.processor.reply.sequence",
        "non.retry.status.codes",
        // Settings of Axis2, and an old spelling that MI does not read either.
        "axis2.repo",
        "axis2.config",
        "max.deliver.attempts",
    ];
    known.extend(failed::PARAMETERS);
    parameters.warn_unknown(&known, cx);
    let codes = parameters.text("non.retry.status.codes").unwrap_or_default();
    let endpoint = match &parameters.config.target_endpoint {
        Some(name) => Some(name.clone()),
        None => parameters.name(TARGET)?,
    };
    Ok(Box::new(Forwarding {
        endpoint,
        reply_sequence: parameters.name("message.processor.reply.sequence")?,
        // MI ignores what is no number.
        accepted: codes.split(',').filter_map(|code| code.trim().parse().ok()).collect(),
        failures: Failures::parse(parameters, Some(ATTEMPTS))?,
    }))
}

#[derive(Debug)]
struct Forwarding {
    endpoint: Option<String>,
    reply_sequence: Option<String>,
    /// Status codes that count as success beside 2xx.
    accepted: Vec<u16>,
    failures: Failures,
}

/// How one attempt ended.
enum Attempt {
    Delivered,
    Failed,
    /// Delivered, and the answer has nowhere to go: MI switches the processor off and keeps the message.
    NoReplySequence,
}

impl Work for Forwarding {
    fn handle<'a>(&'a self, claim: Claim, cx: &'a WorkCx) -> BoxFuture<'a, ()> {
        Box::pin(self.forward(claim, cx))
    }
}

impl Forwarding {
    /// MI: `ForwardingService#dispatch`.
    async fn forward(&self, claim: Claim, cx: &WorkCx) {
        let own = claim.message().properties.get(TARGET).map(|name| name.to_text().into_owned());
        let Some(name) = self.endpoint.clone().or(own) else {
            log::error!(
                target: "ForwardingService",
                "Neither targetEndpoint defined in the MessageProcessor configuration nor Property {TARGET} is found in \
                 the message context, hence deactivating the MessageProcessor"
            );
            let mut flow = Flown::new(cx, cx.engine.snapshot(), claim.message().copy());
            return self.failures.deactivate(&mut flow, cx).await;
        };
        let mut attempts = 0;
        loop {
            // Each attempt meets what is deployed now, and the message as it was stored.
            let snapshot = cx.engine.snapshot();
            let endpoint = snapshot.endpoint_by_key(&name);
            let mut flow = Flown::new(cx, snapshot, claim.message().copy());
            let Some(endpoint) = endpoint else {
                log::error!(target: "ForwardingService", "Endpoint does not exists. Deactivating the message processor");
                return self.failures.deactivate(&mut flow, cx).await;
            };
            match self.attempt(&mut flow, endpoint, &name, cx).await {
                Attempt::Delivered => {
                    // An error was logged; the message comes again then.
                    drop(claim.acknowledge().await);
                    return;
                }
                Attempt::NoReplySequence => return,
                Attempt::Failed => attempts += 1,
            }
            match self.failures.after(attempts, cx).await {
                After::Again => {}
                After::Last => return self.failures.give_up(claim, flow, cx).await,
                After::Leave => return,
            }
        }
    }

    /// Sends the message and looks at the answer. MI: `ForwardingService#tryToDispatchToEndpoint`.
    async fn attempt(&self, flow: &mut Flown, endpoint: Arc<Endpoint>, shown: &str, cx: &WorkCx) -> Attempt {
        // Sending waits for the answer also when nobody wants it: it says whether the message was accepted.
        let one_way = flow.cx.message.properties.remove("OUT_ONLY");
        for property in ["ERROR_CODE", "ERROR_MESSAGE", "ERROR_DETAIL", "ERROR_EXCEPTION"] {
            flow.cx.message.properties.remove(property);
        }
        flow.cx.message.axis2.remove("HTTP_SC");
        let sent = flow.send(endpoint).await;
        let is_one_way = one_way.as_ref().is_some_and(|it| it.to_text() == "true");
        if let Some(one_way) = one_way {
            flow.cx.message.properties.set("OUT_ONLY", one_way);
        }
        if let Err(fault) = sent {
            log::error!(target: "ForwardingService", "Blocking Sender Error {}", fault.message);
            return self.failed(flow, shown, cx).await;
        }
        if !self.is_accepted(flow, shown, cx) {
            return self.failed(flow, shown, cx).await;
        }
        if is_one_way {
            return Attempt::Delivered;
        }
        self.reply(flow, shown, cx).await
    }

    async fn failed(&self, flow: &mut Flown, shown: &str, cx: &WorkCx) -> Attempt {
        log::error!(
            target: "ForwardingService",
            "BlockingMessageSender of message processor [{}] failed to forward message to endpoint {shown}", cx.name
        );
        self.failures.run_fault_sequence(flow).await;
        Attempt::Failed
    }

    /// Does the status of the answer say that the message was taken? Transports without a status have taken it when
    /// sending succeeded. MI: `ForwardingService#validateResponse`.
    fn is_accepted(&self, flow: &mut Flown, shown: &str, cx: &WorkCx) -> bool {
        let message = &mut flow.cx.message;
        let Some(status) = message.axis2.get("HTTP_SC").map(|code| code.to_text().into_owned()) else { return true };
        let accepted = status.trim().parse::<u16>().is_ok_and(|code| code / 100 == 2 || self.accepted.contains(&code));
        if !accepted {
            log::info!(
                target: "ForwardingService",
                "Message processor [{}] received a response with HTTP_SC: {status} from backend {shown}. Message \
                 forwarding failed.", cx.name
            );
            let reason = message.axis2.get("HTTP_SC_DESC").map(|text| text.to_text().into_owned()).unwrap_or_default();
            let text = format!("Transport error: {status} Error: {reason}");
            message.properties.set("HTTP_SC", status.as_str());
            message.properties.set("ERROR_CODE", Value::Int(SENDING_FAILED));
            message.properties.set("ERROR_MESSAGE", text.as_str());
            message.properties.set("ERROR_DETAIL", "");
            message.properties.set("ERROR_EXCEPTION", format!("org.apache.axis2.AxisFault: {text}"));
        }
        accepted
    }

    /// Gives the answer to the reply sequence. A fault that nobody takes in it counts as a failed delivery.
    /// MI: `ForwardingService#sendThroughReplySeq`.
    async fn reply(&self, flow: &mut Flown, shown: &str, cx: &WorkCx) -> Attempt {
        let found = self.reply_sequence.as_deref().and_then(|name| flow.cx.snapshot.sequence_by_key(name));
        let Some(sequence) = found else {
            self.failures.deactivate(flow, cx).await;
            match &self.reply_sequence {
                None => log::error!(
                    target: "ForwardingService",
                    "Failed to send the out message. Reply sequence does not Exist. Deactivated the message processor."
                ),
                Some(name) => log::error!(
                    target: "ForwardingService",
                    "Failed to send the out message. Reply sequence [{name}] does not exist. Deactivated the message \
                     processor."
                ),
            }
            return Attempt::NoReplySequence;
        };
        flow.cx.message.is_response = true;
        if flow.run(sequence).await {
            return Attempt::Delivered;
        }
        log::error!(
            target: "ForwardingService", "[ {} ] Error while forwarding message to endpoint {shown}.", cx.name
        );
        self.failed(flow, shown, cx).await
    }
}
