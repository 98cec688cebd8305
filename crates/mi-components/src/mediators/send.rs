//! `<send>` passes the message on and ends the flow; the answer enters the out flow or a receiving sequence.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::{BuildCx, Context, Effect, Endpoint, Fault, Flow, Mediator, MediatorSpec, outflow, reply};
use mi_expr::Dynamic;

pub(super) const SPEC: MediatorSpec = MediatorSpec { tag: "send", parse };

/// MI: `SendMediator`.
#[derive(Debug)]
struct Send {
    /// Without one the message goes where its `To` says, and an answer goes back to the client.
    endpoint: Option<Arc<Endpoint>>,
    receive: Option<Dynamic>,
    build_message: bool,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["receive", "buildmessage", "description", "statistics", "trace"]));
    let endpoint = el.child("endpoint").map(|endpoint| cx.endpoint(&endpoint)).transpose()?;
    Ok(Box::new(Send {
        endpoint,
        receive: el.dynamic("receive")?,
        build_message: el.bool_attr("buildmessage").unwrap_or(false),
    }))
}

impl Mediator for Send {
    fn reads_body(&self) -> bool {
        self.build_message
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let receiving = match &self.receive {
            Some(receive) => Some(receive.eval_string(&cx.message, &*cx.snapshot)?),
            None => None,
        };
        let back = self.endpoint.is_none() && cx.message.is_response();
        if back {
            return Ok(Flow::wait(SendBack));
        }
        let endpoint = self.endpoint.clone().unwrap_or_else(mi_engine::endpoint::implicit);
        Ok(Flow::wait(SendOn { endpoint, receiving }))
    }
}

struct SendOn {
    endpoint: Arc<Endpoint>,
    receiving: Option<Arc<str>>,
}

impl Effect for SendOn {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move { outflow::send_and_follow(cx, self.endpoint, self.receiving).await })
    }
}

/// Answers the client with the message.
pub(super) struct SendBack;

impl Effect for SendBack {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            reply::send_back(cx).await?;
            Ok(Flow::End)
        })
    }
}
