//! `<in>` runs its children for requests, `<out>` for responses.

use mi_config::Element;
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use super::branch;

pub(super) const IN: MediatorSpec = MediatorSpec::new("in", |el, cx| Ok(parse(el, cx, false))).attributes(&[]);
pub(super) const OUT: MediatorSpec = MediatorSpec::new("out", |el, cx| Ok(parse(el, cx, true))).attributes(&[]);

#[derive(Debug)]
struct Direction {
    response: bool,
    branch: SequenceTarget,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>, response: bool) -> Box<dyn Mediator> {
    Box::new(Direction { response, branch: branch::inline(el, cx) })
}

impl Mediator for Direction {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if cx.message.is_response() == self.response {
            Ok(Flow::Enter(cx.resolve(&self.branch)?))
        } else {
            Ok(Flow::Next)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[track_caller]
    fn check(is_response: bool, expected: &str) {
        let xml =
            "<rules><in><property name='ran' value='in'/></in><out><property name='ran' value='out'/></out></rules>";
        let outcome = Flowing::of(xml).with(|message| message.is_response = is_response).run();
        assert_eq!(outcome.property("ran").as_deref(), Some(expected));
    }

    #[test]
    fn requests_and_responses() {
        check(false, "in");
        check(true, "out");
    }
}
