//! `<send>` passes the message on and ends the flow; the answer enters the out flow or a receiving sequence.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::incoming::ANONYMOUS;
use mi_engine::{BuildCx, Context, Effect, Endpoint, Fault, Flow, Mediator, MediatorSpec, outflow, reply};
use mi_expr::Dynamic;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("send", parse).attributes(&["receive", "buildmessage"]).children(&["endpoint"]);

/// MI: `SendMediator`.
#[derive(Debug)]
struct Send {
    /// Without one the message goes where its `To` says, and an answer goes back to the client.
    endpoint: Option<Arc<Endpoint>>,
    receive: Option<Dynamic>,
    build_message: bool,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
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
        if self.endpoint.is_none() && (cx.message.is_response() || goes_to_client(cx)) {
            return Ok(Flow::wait(SendBack::ending()));
        }
        let endpoint = self.endpoint.clone().unwrap_or_else(mi_engine::endpoint::implicit);
        Ok(Flow::wait(SendOn { endpoint, receiving }))
    }
}

/// What a `call` was answered with is addressed to nobody, so the transport gives it to the client.
/// MI: `PassThroughHttpSender#invoke`, with `getDestinationEPR`.
fn goes_to_client(cx: &Context) -> bool {
    cx.response_received && cx.message.addressing.to.as_deref() == Some(ANONYMOUS)
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

/// Answers the client with the message. An effect because a body may have to be read before it can be written.
pub(super) struct SendBack {
    ends: bool,
}

impl SendBack {
    /// The flow ends with the answer.
    pub(super) fn ending() -> Self {
        Self { ends: true }
    }

    /// The flow goes on behind the answer.
    pub(super) fn going_on() -> Self {
        Self { ends: false }
    }
}

impl Effect for SendBack {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            reply::send_back(cx).await?;
            Ok(if self.ends { Flow::End } else { Flow::Next })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const ENDPOINT: &str = "<endpoint><address uri='http://b:1/x'/></endpoint>";
    const AFTER: &str = "<property name='after' value='1'/>";

    #[test]
    fn the_answer_enters_the_out_flow() {
        let outcome = Flowing::of(&format!("<send>{ENDPOINT}</send>{AFTER}"))
            .xml("<o/>")
            .out_sequence("<property name='out' expression='json-eval($.a)'/>")
            .answer("application/json", "{\"a\":1}")
            .run();
        assert_eq!(outcome.received().len(), 1);
        assert_eq!((outcome.property("out").as_deref(), outcome.property("after")), (Some("1"), None));
        assert!(outcome.message().is_response);
    }

    #[test]
    fn a_receiving_sequence_gets_the_answer_instead() {
        let outcome = Flowing::of(&format!("<send receive='{{string(\"got\")}}'>{ENDPOINT}</send>{AFTER}"))
            .xml("<o/>")
            .sequence("got", "<property name='got' value='1'/>")
            .out_sequence("<property name='out' value='1'/>")
            .answer("application/json", "{}")
            .run();
        assert_eq!((outcome.property("got").as_deref(), outcome.property("out")), (Some("1"), None));
    }

    #[test]
    fn a_response_goes_back_to_the_client() {
        let outcome = Flowing::of(&format!("<send/>{AFTER}")).json("{}").with(|it| it.is_response = true).run();
        assert!(outcome.reply().is_some() && outcome.stopped());
        assert_eq!(outcome.received(), []);
        assert_eq!(outcome.property("after"), None);
    }

    #[test]
    fn what_a_call_was_answered_with_goes_back_to_the_client() {
        let outcome = Flowing::of(&format!("<call>{ENDPOINT}</call><send/>{AFTER}"))
            .json("{}")
            .answer("application/json", "{\"a\":1}")
            .run();
        assert_eq!(outcome.received().len(), 1);
        assert!(outcome.reply().is_some() && outcome.stopped());
    }

    #[test]
    fn a_message_to_nobody_in_particular_goes_back() {
        let steps = format!("<call>{ENDPOINT}</call><send/>{AFTER}");
        let outcome = Flowing::of(&steps).xml("<o/>").answer("application/json", "{}").run();
        assert_eq!(outcome.fault(), None);
        assert!(outcome.reply().is_some() && outcome.stopped());
        assert_eq!((outcome.received().len(), outcome.property("after")), (1, None));
    }

    #[test]
    fn without_an_endpoint_the_address_is_that_of_the_message() {
        let outcome = Flowing::of("<send/>")
            .json("{}")
            .with(|it| it.addressing.to = Some("http://c:2/y".to_owned()))
            .answer("application/json", "{}")
            .run();
        assert_eq!(outcome.received()[0].url, "http://c:2/y");
    }
}
