//! `<respond>` answers the client with the message as it stands and ends the flow.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use super::send::SendBack;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("respond", parse).attributes(&[]).children(&[]);

#[derive(Debug)]
struct Respond;

fn parse(_el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(Box::new(Respond))
}

impl Mediator for Respond {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        cx.message.addressing.to = None;
        cx.message.is_response = true;
        Ok(Flow::wait(SendBack::ending()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn answers_and_ends() {
        let outcome = Flowing::of("<rules><respond/><property name='a' value='1'/></rules>").json("{}").run();
        assert!(outcome.stopped() && outcome.property("a").is_none());
        assert_eq!(outcome.reply().map(|reply| reply.status.as_u16()), Some(200));
    }
}
