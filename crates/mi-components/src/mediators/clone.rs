//! `<clone>` sends copies of the message to its targets.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Lookup};

use super::split::{Marks, Part, Run};
use super::target::Target;
use crate::typed;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("clone", parse)
    .attributes(&["id", "continueParent", "sequential", "iterations"])
    .children(&["target"]);

#[derive(Debug)]
struct Clone {
    targets: Vec<Arc<Target>>,
    /// Copies for the one target.
    iterations: Option<Dynamic>,
    marks: Marks,
    continue_parent: bool,
    sequential: bool,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let targets = el.children_named("target").map(|it| Target::parse(&it, cx).map(Arc::new));
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let iterations = el.dynamic("iterations")?.filter(|it| it.as_static() != Some(""));
    if iterations.is_some() && targets.len() > 1 {
        return Err(el.error("When iterations attribute is defined only one target is allowed."));
    }
    Ok(Box::new(Clone {
        targets,
        iterations,
        marks: Marks::new(el.attr("id").as_deref()),
        continue_parent: el.attr("continueParent").is_some_and(|it| typed::is_true(&it)),
        sequential: el.attr("sequential").as_deref() == Some("true"),
    }))
}

impl Mediator for Clone {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let count = self.count(cx)?;
        let parent = self.marks.begin(cx);
        let parts = Copies {
            template: cx.fork_resuming(cx.message.copy()),
            targets: if count == 0 { Vec::new() } else { self.targets.clone() },
            marks: self.marks.clone(),
            parent,
            next: 0,
            count,
            numbered: self.iterations.is_some(),
        };
        if self.iterations.is_some() && count > 0 {
            cx.message.properties.set(INDEX, count as i32);
        }
        let stop_on_failure = self.sequential && cx.message.properties.is_true("STOP_TARGET_EXECUTION_ON_FAILURE");
        let run = Run { parts, sequential: self.sequential, stop_on_failure, continue_parent: self.continue_parent };
        Ok(run.start(cx))
    }
}

impl Clone {
    fn count(&self, cx: &Context) -> Result<usize, Fault> {
        let Some(iterations) = &self.iterations else { return Ok(self.targets.len()) };
        let text = iterations.eval_string(&cx.message, &*cx.snapshot)?;
        let count: i32 =
            text.trim().parse().map_err(|_| Fault::new("Error while parsing iterations number in clone mediator"))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// Holds the number of a copy, from 1, when `iterations` is given.
const INDEX: &str = "CLONED_ITERATION_INDEX";

struct Copies {
    template: Context,
    targets: Vec<Arc<Target>>,
    marks: Marks,
    parent: Arc<str>,
    next: usize,
    count: usize,
    numbered: bool,
}

impl Iterator for Copies {
    type Item = Part;

    fn next(&mut self) -> Option<Part> {
        if self.next >= self.count {
            return None;
        }
        let target = if self.numbered { self.targets.first() } else { self.targets.get(self.next) }?.clone();
        let mut part = self.template.fork_resuming(self.template.message.copy());
        part.message.addressing.message_id = Some(self.template.snapshot.new_id());
        self.marks.mark(&mut part.message, &self.parent, self.next, self.count);
        self.next += 1;
        if self.numbered {
            part.message.properties.set(INDEX, self.next as i32);
        }
        Some(Part { cx: part, target })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const NOTE: &str = "<log level='custom'><property name='part' expression='$ctx:messageSequence'/></log>";

    #[track_caller]
    fn check(xml: &str, expected: &[&str]) {
        let mut lines = crate::testing::log_lines(|| {
            Flowing::of(xml).xml("<x/>").run();
        });
        lines.sort();
        let expected: Vec<String> = expected.iter().map(|line| format!("INFO LogMediator {line}")).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn copies_go_to_all_targets() {
        let target = format!("<target><sequence>{NOTE}</sequence></target>");
        check(&format!("<clone>{target}{target}</clone>"), &["part = 0/2", "part = 1/2"]);
        check(&format!("<clone sequential='true'>{target}{target}</clone>"), &["part = 0/2", "part = 1/2"]);
        check(&format!("<clone iterations='3'>{target}</clone>"), &["part = 0/3", "part = 1/3", "part = 2/3"]);
    }

    #[test]
    fn the_message_itself_goes_on_when_told() {
        let xml = |attrs: &str| {
            format!(
                "<rules><clone {attrs}><target><sequence><drop/></sequence></target></clone><property name='after' value='1'/></rules>"
            )
        };
        assert_eq!(Flowing::of(&xml("continueParent='true'")).run().property("after").as_deref(), Some("1"));
        let ended = Flowing::of(&xml("")).run();
        assert!(ended.property("after").is_none() && ended.stopped());
    }

    #[test]
    fn a_failed_part_stops_the_others_when_told() {
        let target = format!("<target><sequence>{NOTE}<throwError errorMessage='x'/></sequence></target>");
        let clone = format!("<clone sequential='true'>{target}{target}</clone>");
        let stop = "<property name='STOP_TARGET_EXECUTION_ON_FAILURE' value='true'/>";
        check(&format!("<rules>{stop}{clone}</rules>"), &["part = 0/2"]);
        check(&clone, &["part = 0/2", "part = 1/2"]);
    }

    #[test]
    fn wrong_configurations_are_refused() {
        let error = Flowing::error_of("<clone iterations='2'><target/><target/></clone>");
        assert!(error.contains("only one target"), "{error}");
        let outcome = Flowing::of("<clone iterations='many'><target/></clone>").run();
        assert_eq!(outcome.fault().as_deref(), Some("Error while parsing iterations number in clone mediator"));
    }
}
