//! `<drop>` ends the flow of the message.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("drop", parse).attributes(&[]).children(&[]);

#[derive(Debug)]
struct Drop;

fn parse(_el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(Box::new(Drop))
}

impl Mediator for Drop {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        cx.message.addressing.to = None;
        Ok(Flow::End)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn nothing_after_it_runs() {
        let outcome = Flowing::of("<rules><rules><drop/></rules><property name='a' value='1'/></rules>").run();
        assert_eq!(outcome.property("a"), None);
        assert!(outcome.stopped());
    }
}
