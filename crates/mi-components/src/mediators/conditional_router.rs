//! `<conditionalRouter>` sends the message to the targets of the routes whose conditions hold, in order.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator, Resume};
use mi_engine::spec::MediatorSpec;

use super::target::Target;
use crate::evaluator::Evaluator;
use crate::typed;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("conditionalRouter", parse).attributes(&["continueAfter"]).children(&["conditionalRoute"]);

#[derive(Debug)]
struct ConditionalRouter(Arc<Routes>);

#[derive(Debug)]
struct Routes {
    routes: Vec<Route>,
    /// Whether the steps behind the router run at all.
    continue_after: bool,
}

#[derive(Debug)]
struct Route {
    condition: Evaluator,
    target: Target,
    breaks: bool,
    asynchronous: bool,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let continue_after = switch(el, "continueAfter")?.unwrap_or(false);
    let routes = el.children_named("conditionalRoute").map(|it| parse_route(&it, cx)).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(ConditionalRouter(Arc::new(Routes { routes, continue_after }))))
}

fn parse_route(el: &Element, cx: &mut BuildCx<'_>) -> Result<Route, Diagnostic> {
    let condition = el.child("condition").and_then(|it| it.first_child());
    let condition = condition.ok_or_else(|| el.error("Couldn't find the condition of the conditional router"))?;
    let target = el.child("target").ok_or_else(|| el.error("<conditionalRoute> needs a <target>"))?;
    Ok(Route {
        condition: Evaluator::parse(&condition)?,
        target: Target::parse(&target, cx)?,
        breaks: switch(el, "breakRoute")?.unwrap_or(true),
        asynchronous: el.attr("asynchronous").is_some_and(|it| typed::is_true(&it)),
    })
}

fn switch(el: &Element, name: &str) -> Result<Option<bool>, Diagnostic> {
    let Some(value) = el.attr(name) else { return Ok(None) };
    match value.trim() {
        it if typed::is_true(it) => Ok(Some(true)),
        it if typed::is_false(it) => Ok(Some(false)),
        it => Err(el.error(format!("{name} must be either 'true' or 'false', not '{it}'"))),
    }
}

impl Mediator for ConditionalRouter {
    fn reads_body(&self) -> bool {
        // The URL of a condition is the WS-Addressing To, which is known only then.
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        self.0.clone().from(0, cx)
    }
}

impl Routes {
    /// Takes the next route that fits, from index `first` on.
    fn from(self: Arc<Self>, first: usize, cx: &mut Context) -> Result<Flow, Fault> {
        for index in first..self.routes.len() {
            let route = &self.routes[index];
            if !route.condition.holds(cx)? {
                continue;
            }
            let is_last = route.breaks || index + 1 == self.routes.len();
            // A message that goes to an endpoint does not come back; what follows runs beside it.
            let goes_on = !is_last || self.continue_after;
            let beside = route.asynchronous || (goes_on && !route.target.is_sequence());
            if beside {
                let part = cx.fork(cx.message.copy());
                cx.exchange.note_send();
                route.target.spawn(part);
                if route.breaks {
                    break;
                }
                continue;
            }
            let next = if route.breaks { self.routes.len() } else { index + 1 };
            return Ok(match route.target.enter(cx)? {
                Flow::Enter(sequence) => Flow::EnterThen(sequence, Box::new(NextRoute { routes: self.clone(), next })),
                other => other,
            });
        }
        Ok(if self.continue_after { Flow::Next } else { Flow::End })
    }
}

/// Goes on with the routes behind the one whose sequence ran, also when that sequence dropped the message.
struct NextRoute {
    routes: Arc<Routes>,
    next: usize,
}

impl Resume for NextRoute {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        self.routes.from(self.next, cx)
    }

    fn stopped(self: Box<Self>, cx: &mut Context) -> Option<Result<Flow, Fault>> {
        Some(self.routes.from(self.next, cx))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    /// Runs two routes that fit and a step behind the router; tells what ran.
    #[track_caller]
    fn check(router: &str, first: &str, expected: &str) {
        let route = |attrs: &str, name: &str| {
            format!(
                "<conditionalRoute {attrs}><condition><match type='url' regex='/a.*'/></condition>\
                 <target><sequence><property name='ran' expression=\"concat(get-property('ran'), '{name}')\"/></sequence></target></conditionalRoute>"
            )
        };
        let xml = format!(
            "<rules><property name='ran' value='-'/><conditionalRouter {router}>{}{}</conditionalRouter>\
             <property name='ran' expression=\"concat(get-property('ran'), 'after')\"/></rules>",
            route(first, "1"),
            route("", "2")
        );
        let outcome = Flowing::of(&xml).with(|message| message.addressing.to = Some("/a/b".to_owned())).run();
        assert_eq!(outcome.property("ran").as_deref(), Some(expected), "{:?}", outcome.fault());
    }

    #[test]
    fn routes_in_order() {
        check("continueAfter='true'", "breakRoute='false'", "-12after");
        check("continueAfter='true'", "", "-1after");
        check("", "breakRoute='false'", "-12");
    }

    #[test]
    fn a_route_that_drops_does_not_stop_what_follows() {
        let xml = "<rules><conditionalRouter continueAfter='true'><conditionalRoute><condition><equal type='url' value='/A'/></condition>\
            <target><sequence><drop/></sequence></target></conditionalRoute></conditionalRouter><property name='ran' value='1'/></rules>";
        let outcome = Flowing::of(xml).with(|message| message.addressing.to = Some("/a".to_owned())).run();
        assert_eq!(outcome.property("ran").as_deref(), Some("1"));
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<conditionalRouter continueAfter='x'/>", "must be either 'true' or 'false'"),
            ("<conditionalRouter><conditionalRoute/></conditionalRouter>", "Couldn't find the condition"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
