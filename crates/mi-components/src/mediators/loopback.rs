//! `<loopback>` turns a request into a response: it goes to the out sequence as the answer of a back end would.

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::outflow;
use mi_engine::spec::MediatorSpec;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("loopback", parse).attributes(&[]).children(&[]);

/// Properties of a send that is not made.
const OF_SENDS: [&str; 5] =
    ["RECEIVING_SEQUENCE", "continuation.call", "DYNAMIC_URL_VALUE", "blocking.sender.error", "blockingMsgSender"];

#[derive(Debug)]
struct LoopBack;

fn parse(_el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(Box::new(LoopBack))
}

impl Mediator for LoopBack {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if cx.message.is_response() {
            return Ok(Flow::End);
        }
        for name in OF_SENDS {
            cx.message.properties.remove(name);
        }
        cx.message.addressing.to = None;
        Ok(Flow::wait(EnterOutFlow))
    }
}

struct EnterOutFlow;

impl Effect for EnterOutFlow {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(outflow::follow(cx, None))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn the_out_sequence_runs_once() {
        let xml = "<rules><loopback/><property name='after' value='1'/></rules>";
        let outcome = Flowing::of(xml).out_sequence("<rules><property name='out' value='1'/><loopback/></rules>").run();
        assert_eq!((outcome.property("out").as_deref(), outcome.property("after")), (Some("1"), None));
        assert!(outcome.message().is_response && outcome.stopped());
    }
}
