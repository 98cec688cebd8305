//! `<foreach>` runs a sequence for each element of an array or each node of a set, in place.
//!
//! With the attribute `expression` it is the loop of old (this file and `xml_loop`); with `collection` it is another
//! mediator (`collection`).

mod collection;
#[cfg(test)]
mod tests;
mod xml_loop;

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator, Resume, Sequence};
use mi_engine::spec::MediatorSpec;
use mi_expr::Expr;
use mi_expr::jsonpath::{self, JsonLocation};
use mi_message::{Value, XmlValue};
use serde_json::Value as Json;

use self::xml_loop::XmlLoop;
use super::branch;
use crate::payload;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("foreach", parse).children(&["sequence"]);

#[derive(Debug)]
struct ForEach(Arc<Settings>);

/// What all runs of one `<foreach>` share.
#[derive(Debug)]
struct Settings {
    expression: Expr,
    target: Option<SequenceTarget>,
    original_property: Arc<str>,
    counter_property: Arc<str>,
    continue_on_failure: bool,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    if el.filled_attr("collection").is_some() {
        return collection::parse(el, cx);
    }
    cx.report_all(el.unknown_attrs(&[
        "id",
        "expression",
        "sequence",
        "continueLoopOnFailure",
        "description",
        "statistics",
        "trace",
        "traceFilter",
    ]));
    el.require_attr("expression")?;
    let expression = el.expr("expression")?.ok_or_else(|| el.error("<foreach> needs the attribute 'expression'"))?;
    let target = match branch::named(el, "sequence", cx)? {
        Some(target) => Some(target),
        None => el.child("sequence").map(|it| parse_inline(&it, cx)).transpose()?,
    };
    let prefix = el.attr("id").map_or(String::new(), |id| format!("{id}_"));
    Ok(Box::new(ForEach(Arc::new(Settings {
        expression,
        target,
        original_property: format!("{prefix}FOREACH_ORIGINAL_MESSAGE").into(),
        counter_property: format!("{prefix}FOREACH_COUNTER").into(),
        continue_on_failure: el.bool_attr("continueLoopOnFailure") == Some(true),
    }))))
}

fn parse_inline(el: &Element, cx: &mut BuildCx<'_>) -> Result<SequenceTarget, Diagnostic> {
    match el.children().find(|child| matches!(child.name(), "call" | "callout" | "send")) {
        Some(child) => Err(child.error("Sequence cannot contain Call, Send or CallOut mediators")),
        None => Ok(branch::inline(el, cx)),
    }
}

impl Mediator for ForEach {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let settings = &self.0;
        let envelope = cx.message.body.envelope()?;
        let original = XmlValue::copy_of(envelope.document(), envelope.envelope());
        cx.message.properties.set(settings.original_property.clone(), Value::Xml(original));
        settings.count(cx, 0);
        if settings.expression.is_json_path() {
            JsonLoop::begin(settings.clone(), cx)
        } else {
            XmlLoop::begin(settings.clone(), cx)
        }
    }
}

impl Settings {
    fn count(&self, cx: &mut Context, done: i32) {
        cx.message.properties.set(self.counter_property.clone(), Value::Int(done));
    }

    fn sequence(&self, cx: &Context) -> Result<Arc<Sequence>, Fault> {
        match &self.target {
            Some(target) => cx.resolve(target),
            None => Err(Fault::new("Couldn't find sequence information")),
        }
    }

    fn warn_of_failure(cx: &Context, fault: &Fault) {
        log::warn!(
            target: "ForEachMediator",
            "{}Error occurred while mediating the sequence for the foreach mediator, {}. Continuing with the remaining.",
            cx.artifact.log_prefix, fault.message
        );
    }
}

/// The loop over a JSON array. Each element becomes the payload for a while; what the sequence makes of it goes back
/// into the array.
struct JsonLoop {
    settings: Arc<Settings>,
    root: Json,
    places: Vec<JsonLocation>,
    rest: std::vec::IntoIter<Json>,
    results: Vec<Json>,
}

impl JsonLoop {
    fn begin(settings: Arc<Settings>, cx: &mut Context) -> Result<Flow, Fault> {
        let root = (**cx.message.body.json()?).clone();
        let places = settings.expression.eval_json_paths(&cx.message, &*cx.snapshot)?;
        let items = match settings.expression.eval(&cx.message, &*cx.snapshot)? {
            Value::Json(found) => match std::sync::Arc::unwrap_or_clone(found) {
                Json::Array(items) => Some(items),
                _ => None,
            },
            _ => None,
        };
        let Some(items) = items else {
            return Err(Fault::new(format!(
                "JSON element expressed by the path {} is not a valid JSON array",
                settings.expression.source()
            )));
        };
        if items.is_empty() {
            log::info!(
                target: "ForEachMediator",
                "{}No elements found for the JSONPath : {}", cx.artifact.log_prefix, settings.expression.source()
            );
            return Ok(Flow::Next);
        }
        let results = Vec::with_capacity(items.len());
        Box::new(Self { settings, root, places, rest: items.into_iter(), results }).next(cx)
    }

    fn next(mut self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        let Some(item) = self.rest.next() else { return self.finish(cx) };
        payload::set_json(&mut cx.message, item);
        Ok(Flow::EnterThen(self.settings.sequence(cx)?, self))
    }

    fn keep_result(&mut self, cx: &mut Context) -> Result<(), Fault> {
        self.results.push((**cx.message.body.json()?).clone());
        self.settings.count(cx, self.results.len() as i32);
        Ok(())
    }

    fn finish(self, cx: &mut Context) -> Result<Flow, Fault> {
        let Self { mut root, places, results, .. } = self;
        for place in &places {
            jsonpath::set(&mut root, place, Json::Array(results.clone()));
        }
        payload::set_json(&mut cx.message, root);
        Ok(Flow::Next)
    }
}

impl Resume for JsonLoop {
    fn resume(mut self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        self.keep_result(cx)?;
        self.next(cx)
    }

    /// A failed element is left out of the array.
    fn catch(self: Box<Self>, cx: &mut Context, fault: Fault) -> Result<Flow, Fault> {
        if !self.settings.continue_on_failure {
            return Err(fault);
        }
        Settings::warn_of_failure(cx, &fault);
        self.next(cx)
    }

    /// A sequence that drops the message ends the loop, not the flow.
    fn stopped(mut self: Box<Self>, cx: &mut Context) -> Option<Result<Flow, Fault>> {
        Some(
            self.keep_result(cx)
                .and_then(|()| if self.settings.continue_on_failure { self.next(cx) } else { self.finish(cx) }),
        )
    }
}
