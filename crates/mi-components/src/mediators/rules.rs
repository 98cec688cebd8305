//! `<rules>`: a plain list of mediators, kept for configurations of old.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use super::branch;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("rules", parse).attributes(&[]);

#[derive(Debug)]
struct Rules(SequenceTarget);

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(Box::new(Rules(branch::inline(el, cx))))
}

impl Mediator for Rules {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        Ok(Flow::Enter(cx.resolve(&self.0)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn runs_its_children_and_goes_on() {
        let xml =
            "<rules><rules><property name='a' value='1'/></rules><property name='b' expression='$ctx:a'/></rules>";
        assert_eq!(Flowing::of(xml).run().property("b").as_deref(), Some("1"));
    }
}
