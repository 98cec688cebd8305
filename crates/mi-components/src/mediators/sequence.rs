//! `<sequence key="…"/>` runs a named sequence, one from the registry, or one whose name an expression gives.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};

use super::branch;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("sequence", parse).attributes(&["key", "name", "onError"]);

#[derive(Debug)]
enum SequenceStep {
    Fixed(SequenceTarget),
    Computed(Dynamic),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    if el.attr("name").is_some() {
        return Ok(Box::new(SequenceStep::Fixed(branch::inline(el, cx))));
    }
    cx.report_all(el.unknown_children(&["description"]));
    if el.attr("onError").is_some() {
        return Err(el.error("a reference to a sequence cannot have the attribute 'onError'"));
    }
    el.require_attr("key")?;
    let key = el.dynamic("key")?.ok_or_else(|| el.error("<sequence> needs the attribute 'key'"))?;
    Ok(Box::new(match key.as_static() {
        Some(name) => {
            let name = el.qualify(name)?;
            SequenceStep::Fixed(SequenceTarget::Named(cx.sequence_ref(&name)))
        }
        None => SequenceStep::Computed(key),
    }))
}

impl Mediator for SequenceStep {
    fn reads_body(&self) -> bool {
        matches!(self, Self::Computed(key) if key.reads_body())
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        match self {
            Self::Fixed(target) => cx.resolve(target).map(Flow::Enter).map_err(|fault| match target {
                SequenceTarget::Named(reference) => not_found(&format!("keyValue ='{}'", reference.name())),
                SequenceTarget::Inline(_) => fault,
            }),
            Self::Computed(key) => {
                let name = key.eval_string(&cx.message, &*cx.snapshot)?;
                let sequence = cx.snapshot.sequence_by_key(&name);
                let source = key.as_expr().map_or("", Expr::source);
                sequence.map(Flow::Enter).ok_or_else(|| not_found(&format!("expression ={source}")))
            }
        }
    }
}

/// As MI tells of it, which people look for. MI: `SequenceMediator#mediate`, `Value#toString`.
fn not_found(key: &str) -> Fault {
    Fault::new(format!("Sequence named Value {{name ='null', {key}}} cannot be found"))
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[track_caller]
    fn check(xml: &str, expected: Result<&str, &str>) {
        let outcome = Flowing::of(xml).sequence("s", "<property name='ran' value='s'/>").xml("<x>s</x>").run();
        match expected {
            Ok(value) => assert_eq!(outcome.property("ran").as_deref(), Some(value), "{:?}", outcome.fault()),
            Err(fault) => assert_eq!(outcome.fault().as_deref(), Some(fault)),
        }
    }

    #[test]
    fn runs_the_sequence() {
        check("<sequence key='s'/>", Ok("s"));
        check("<sequence key='{//x}'/>", Ok("s"));
        check("<sequence name='own'><property name='ran' value='own'/></sequence>", Ok("own"));
        check("<sequence key='t'/>", Err("Sequence named Value {name ='null', keyValue ='t'} cannot be found"));
        check(
            "<sequence key='{string(7)}'/>",
            Err("Sequence named Value {name ='null', expression =string(7)} cannot be found"),
        );
    }

    #[test]
    fn wrong_configurations_are_refused() {
        assert!(Flowing::error_of("<sequence/>").contains("'key'"));
        assert!(Flowing::error_of("<sequence key='a' onError='b'/>").contains("'onError'"));
    }
}
