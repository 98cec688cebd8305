//! `<switch>` runs the first `<case>` whose pattern fits the whole value of `source`, else `<default>`.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Expr;

use super::branch;
use mi_expr::java::FullMatch;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("switch", parse).attributes(&["source"]).children(&["case", "default"]);

#[derive(Debug)]
struct Switch {
    source: Expr,
    cases: Vec<(FullMatch, SequenceTarget)>,
    default: Option<SequenceTarget>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    el.require_attr("source")?;
    let source = el.expr("source")?.ok_or_else(|| el.error("<switch> needs the attribute 'source'"))?;
    let mut cases = Vec::new();
    for case in el.children_named("case") {
        let regex =
            case.full_regex("regex")?.ok_or_else(|| case.error("<case> of <switch> needs the attribute 'regex'"))?;
        cases.push((regex, branch::inline(&case, cx)));
    }
    let default = el.child("default").map(|it| branch::inline(&it, cx));
    Ok(Box::new(Switch { source, cases, default }))
}

impl Mediator for Switch {
    fn reads_body(&self) -> bool {
        self.source.reads_body()
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        // MI: SwitchMediator#mediate; null fits no case, not even `.*`.
        let value = self.source.eval_text(&cx.message, &*cx.snapshot)?;
        let case = value.and_then(|value| self.cases.iter().find(|(regex, _)| regex.fits(&value)));
        let case = case.map(|(_, target)| target);
        match case.or(self.default.as_ref()) {
            Some(target) => Ok(Flow::Enter(cx.resolve(target)?)),
            None => Ok(Flow::Next),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[track_caller]
    fn check(value: &str, expected: &str) {
        let xml = "<switch source='//x'>\
            <case regex='IBM'><property name='ran' value='first'/></case>\
            <case regex='I.*'><property name='ran' value='second'/></case>\
            <default><property name='ran' value='default'/></default></switch>";
        let outcome = Flowing::of(xml).xml(&format!("<x>{value}</x>")).run();
        assert_eq!(outcome.property("ran").as_deref(), Some(expected));
    }

    #[test]
    fn the_first_case_that_fits_runs() {
        check("IBM", "first");
        check("IBM2", "second");
        check("xIBM", "default");
    }

    #[test]
    fn a_source_without_a_value_fits_no_case() {
        let xml = |source: &str, rest: &str| {
            format!(
                "<switch source=\"{source}\"><case regex='.*'><property name='ran' value='case'/></case>{rest}</switch>"
            )
        };
        let ran = |source, rest| Flowing::of(&xml(source, rest)).xml("<x/>").run().property("ran");
        let default = "<default><property name='ran' value='default'/></default>";
        assert_eq!(ran("get-property('none')", default).as_deref(), Some("default"));
        assert_eq!(ran("get-property('none')", ""), None);
        assert_eq!(ran("//none", default).as_deref(), Some("case"));
    }

    #[test]
    fn without_a_default_nothing_runs() {
        let outcome = Flowing::of("<switch source='//x'><case regex='a'><drop/></case></switch>").xml("<x>b</x>").run();
        assert_eq!((outcome.fault(), outcome.stopped()), (None, false));
    }

    #[test]
    fn wrong_configurations_are_refused() {
        assert!(Flowing::error_of("<switch/>").contains("'source'"));
        assert!(Flowing::error_of("<switch source='a'><case/></switch>").contains("'regex'"));
    }
}
