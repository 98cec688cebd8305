//! What happens to the answer of a `send`: receiving sequence, out sequence, `main`, or straight back to the client.
//! MI: `Axis2SynapseEnvironment#injectMessage`, `ProxyServiceMessageReceiver`, `Resource#process`.

use std::sync::Arc;

use crate::context::Context;
use crate::endpoint::{Endpoint, Sent};
use crate::fault::Fault;
use crate::mediator::Flow;
use crate::reply;

/// Sends to `endpoint` and lets the answer enter the out flow. The present flow ends. MI: `SendMediator`.
pub async fn send_and_follow(
    cx: &mut Context,
    endpoint: Arc<Endpoint>,
    receiving: Option<Arc<str>>,
) -> Result<Flow, Fault> {
    acknowledge(cx);
    match send_noted(cx, endpoint).await? {
        Sent::OneWay => {
            cx.one_way = true;
            Ok(Flow::End)
        }
        Sent::Scattered => Ok(Flow::End),
        Sent::Answered => follow(cx, receiving).await,
    }
}

/// Sends, and notes that an answer may come later. An endpoint that takes no messages now has not sent, so that the
/// client gets its 202 when no fault handler answers. MI: `AbstractEndpoint#send`, before `Axis2Sender#sendOn`.
pub async fn send_noted(cx: &mut Context, endpoint: Arc<Endpoint>) -> Result<Sent, Fault> {
    let sent = endpoint.send(cx).await;
    if !matches!(&sent, Err(fault) if fault.is_not_ready()) {
        cx.exchange.note_send();
    }
    sent
}

/// Lets the message, which is an answer now, enter the out flow.
pub async fn follow(cx: &mut Context, receiving: Option<Arc<str>>) -> Result<Flow, Fault> {
    cx.message.is_response = true;
    cx.unwind();
    cx.reset_fault_handlers();
    if let Some(key) = receiving.filter(|key| !key.is_empty()) {
        let sequence = cx
            .snapshot
            .sequence_by_key(&key)
            .ok_or_else(|| Fault::new(format!("Receiving sequence {key} cannot be found")))?;
        return Ok(Flow::Enter(sequence));
    }
    if let Some(target) = cx.artifact.out_sequence.clone() {
        return Ok(Flow::Enter(cx.resolve(&target)?));
    }
    // MI: a response that belongs to no proxy and no API goes to `main`.
    if matches!(cx.artifact.kind, "" | "inboundendpoint")
        && let Some(main) = cx.snapshot.main_sequence()
    {
        return Ok(Flow::Enter(main));
    }
    reply::send_back(cx).await?;
    Ok(Flow::End)
}

/// Answers 202 before the back end has answered, when the flow asks for it. MI: `FORCE_SC_ACCEPTED` in
/// `ServerWorker#sendAck`.
pub fn acknowledge(cx: &Context) {
    if cx.message.axis2.is_true("FORCE_SC_ACCEPTED") && !cx.exchange.is_answered() {
        cx.exchange.answer(reply::accepted());
    }
}
