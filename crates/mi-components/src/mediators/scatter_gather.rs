//! `<scatter-gather>` runs its sequences on copies of the message and goes on with what an expression takes from each,
//! in the order in which they end. MI: `v2.ScatterGather`.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator, Sequence};
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr, Lookup};
use mi_message::{Message, Value, XmlValue};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::branch;
use super::gather::{self, Finished, ResultType};
use crate::{payload, xml};

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("scatter-gather", parse)
    .attributes(&["parallel-execution", "target", "target-variable", "result-content-type", "result-enclosing-element"])
    .children(&["aggregation", "sequence"]);

const LOGGER: &str = "ScatterGather";

#[derive(Debug)]
struct ScatterGather(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    branches: Vec<SequenceTarget>,
    parallel: bool,
    /// What is taken from a branch.
    expression: Expr,
    /// Only branches for which it holds count.
    condition: Option<Expr>,
    timeout: Option<Duration>,
    min: Option<Dynamic>,
    max: Option<Dynamic>,
    result: ResultType,
    /// `None`: the body.
    variable: Option<Arc<str>>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let result = ResultType::parse(el)?;
    let variable = match el.filled_attr("target").as_deref() {
        Some(target) if target.eq_ignore_ascii_case("body") => None,
        Some(target) if target.eq_ignore_ascii_case("variable") => {
            let name = el.filled_attr("target-variable").ok_or_else(|| {
                el.error("<scatter-gather> needs the attribute 'target-variable' when its 'target' is 'variable'")
            })?;
            Some(Arc::from(&*name))
        }
        Some(_) => return Err(el.error("The 'target' attribute should be either 'body' or 'variable'")),
        None => return Err(el.error("<scatter-gather> needs the attribute 'target'")),
    };
    let branches: Vec<SequenceTarget> = el.children_named("sequence").map(|it| branch::inline(&it, cx)).collect();
    if branches.is_empty() {
        return Err(el.error("<scatter-gather> needs a <sequence>"));
    }
    let aggregation = el.child("aggregation").ok_or_else(|| el.error("<scatter-gather> needs an <aggregation>"))?;
    aggregation.require_attr("expression")?;
    let expression = aggregation.expr("expression")?;
    let timeout = aggregation.int_attr("timeout")?.filter(|millis| *millis > 0);
    Ok(Box::new(ScatterGather(Arc::new(Settings {
        branches,
        parallel: el.attr("parallel-execution").as_deref() != Some("false"),
        expression: expression.ok_or_else(|| aggregation.error("<aggregation> needs the attribute 'expression'"))?,
        condition: aggregation.expr("condition")?,
        timeout: timeout.map(|millis| Duration::from_millis(millis as u64)),
        min: aggregation.dynamic("min-messages")?,
        max: aggregation.dynamic("max-messages")?,
        result,
        variable,
    }))))
}

impl Mediator for ScatterGather {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        cx.exchange.note_send();
        let sequences = self.0.branches.iter().map(|it| cx.resolve(it)).collect::<Result<Vec<_>, _>>()?;
        Ok(Flow::wait(Gather { settings: self.0.clone(), sequences }))
    }
}

struct Gather {
    settings: Arc<Settings>,
    sequences: Vec<Arc<Sequence>>,
}

impl Effect for Gather {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let finished = self.scatter(cx);
            let messages = self.settings.gather(self.sequences.len(), finished, &cx.snapshot).await?;
            // Without enough results, and without a time-out, MI waits for ever; the message goes nowhere.
            let Some(messages) = messages else { return Ok(Flow::End) };
            self.settings.take(messages, cx)?;
            Ok(Flow::Next)
        })
    }
}

impl Gather {
    /// Starts the branches. They run to their ends even when nobody waits for them any more.
    fn scatter(&self, cx: &Context) -> mpsc::Receiver<Finished> {
        let (sender, receiver) = mpsc::channel(self.sequences.len().max(1));
        let parts: Vec<(Context, Arc<Sequence>)> = self
            .sequences
            .iter()
            .map(|sequence| {
                let mut part = cx.fork(cx.message.copy());
                part.message.addressing.message_id = Some(cx.snapshot.new_id());
                (part, sequence.clone())
            })
            .collect();
        if self.settings.parallel {
            for (index, (part, sequence)) in parts.into_iter().enumerate() {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let finished = gather::run(part, index, sequence, LOGGER).await;
                    // The receiver is gone when others were enough.
                    sender.send(finished).await.ok();
                });
            }
        } else {
            tokio::spawn(async move {
                for (index, (part, sequence)) in parts.into_iter().enumerate() {
                    let finished = gather::run(part, index, sequence, LOGGER).await;
                    sender.send(finished).await.ok();
                }
            });
        }
        receiver
    }
}

impl Settings {
    /// The messages that count, in the order of their arrival. The clock runs from the first one on.
    async fn gather(
        &self,
        total: usize,
        mut finished: mpsc::Receiver<Finished>,
        snapshot: &Snapshot,
    ) -> Result<Option<Vec<Message>>, Fault> {
        let mut messages: Vec<Message> = Vec::new();
        let mut deadline: Option<Instant> = None;
        let (mut min, mut max) = (0, 0);
        loop {
            let next = match deadline {
                Some(deadline) => match tokio::time::timeout_at(deadline, finished.recv()).await {
                    Ok(Some(next)) => next,
                    Ok(None) => {
                        // All have ended, and not all count: what is there is taken when the time is over.
                        tokio::time::sleep_until(deadline).await;
                        return Ok(Some(messages));
                    }
                    Err(_) => {
                        log::warn!(target: "Aggregate", "Scatter Gather mediator timeout occurred.");
                        return Ok(Some(messages));
                    }
                },
                None => match finished.recv().await {
                    Some(next) => next,
                    None => return Ok(None),
                },
            };
            let Some(message) = next.message else { continue };
            if !self.counts(&message, snapshot)? {
                continue;
            }
            if messages.is_empty() {
                deadline = self.timeout.map(|timeout| Instant::now() + timeout);
                min = gather::limit(self.min.as_ref(), &message, snapshot)?;
                max = gather::limit(self.max.as_ref(), &message, snapshot)?;
            }
            messages.push(message);
            let count = messages.len();
            if count >= total || (min > 0 && count >= min) || (max > 0 && count >= max) {
                return Ok(Some(messages));
            }
        }
    }

    fn counts(&self, message: &Message, snapshot: &Snapshot) -> Result<bool, Fault> {
        match &self.condition {
            None => Ok(true),
            Some(condition) => Ok(condition.eval_string(message, snapshot)?.eq_ignore_ascii_case("true")),
        }
    }

    fn take(&self, mut messages: Vec<Message>, cx: &mut Context) -> Result<(), Fault> {
        let result = match &self.result {
            ResultType::Json => Value::from(self.json(&messages, cx)?),
            ResultType::Xml(root) => Value::Xml(gather::enclosed(root, &self.elements(&messages, cx)?)),
        };
        if let Some(variable) = &self.variable {
            cx.message.variables.set(variable.clone(), result);
            return Ok(());
        }
        // The message of the last branch goes on with the result as its body.
        if let Some(last) = messages.pop() {
            *cx.message = last;
        }
        let content_type = match result {
            Value::Xml(element) => {
                let mut envelope = mi_message::Envelope::empty(cx.message.body.soap_version());
                envelope.set_payload(&element.document, &element.nodes);
                payload::set_native(&mut cx.message, mi_message::Native::Xml(envelope));
                "application/xml"
            }
            Value::Json(value) => {
                payload::set_json(&mut cx.message, Arc::unwrap_or_clone(value));
                "application/json"
            }
            _ => return Ok(()),
        };
        payload::set_message_type(&mut cx.message, &Value::from(content_type));
        cx.message.axis2.remove("NO_ENTITY_BODY");
        Ok(())
    }

    fn json(&self, messages: &[Message], cx: &Context) -> Result<Json, Fault> {
        let item = |message: &Message| {
            let value = self.expression.eval_keeping_json(message, &*cx.snapshot)?;
            match gather::as_json(&value) {
                Some(json) => Ok(json),
                None if self.variable.is_none() => Ok(Json::String(value.to_text().into_owned())),
                None => Err(Fault::new(format!(
                    "Aggregation expression {} did not return a valid JSON element",
                    self.expression.source()
                ))),
            }
        };
        messages.iter().map(item).collect::<Result<Vec<_>, _>>().map(Json::Array)
    }

    fn elements(&self, messages: &[Message], cx: &Context) -> Result<Vec<XmlValue>, Fault> {
        let element = |message: &Message| {
            let text = self.expression.eval_string(message, &*cx.snapshot)?;
            xml::parse(&text).map_err(|error| {
                Fault::new(format!("Error reading XML element: {}: {error}", self.expression.source()))
            })
        };
        messages.iter().map(element).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{Flowing, Outcome};

    fn branch(payload: &str) -> String {
        format!("<sequence><payloadFactory media-type='json'><format>{payload}</format></payloadFactory></sequence>")
    }

    fn run(attrs: &str, aggregation: &str, branches: &str) -> Outcome {
        Flowing::of(&format!(
            "<scatter-gather parallel-execution='false' {attrs}><aggregation {aggregation}/>{branches}</scatter-gather>"
        ))
        .json("{\"in\":1}")
        .run_for(Duration::from_millis(10))
    }

    const BODY: &str = "target='body' result-content-type='JSON'";

    #[test]
    fn results_become_the_body_or_a_variable() {
        let branches = branch("{\"a\":1}") + &branch("{\"a\":\"x\"}");
        let outcome = run(BODY, "expression='${payload.a}'", &branches);
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_text(), "[1,\"x\"]");
        assert_eq!(outcome.message().content_type(), Some("application/json"));
        let outcome = run(
            "target='variable' target-variable='v' result-content-type='JSON'",
            "expression='${payload}'",
            &branches,
        );
        assert_eq!(outcome.variable("v").as_deref(), Some("[{\"a\":1},{\"a\":\"x\"}]"));
        assert_eq!(outcome.payload_text(), "{\"in\":1}");
    }

    #[test]
    fn xml_results_stand_in_one_element() {
        let branches = "<sequence><payloadFactory><format><a>1</a></format></payloadFactory></sequence>";
        let outcome = run(
            "target='body' result-content-type='XML' result-enclosing-element='all'",
            "expression=\"${xpath('$body/node()')}\"",
            &branches.repeat(2),
        );
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), "<all><a>1</a><a>1</a></all>");
    }

    #[test]
    fn conditions_limits_and_time() {
        let branches = branch("{\"a\":1}") + &branch("{\"a\":2}") + &branch("{\"a\":3}");
        let enough = run(BODY, "expression='${payload.a}' min-messages='2'", &branches);
        assert_eq!(enough.payload_text(), "[1,2]");
        let late = run(BODY, "expression='${payload.a}' condition='${payload.a != 2}' timeout='1000'", &branches);
        assert_eq!(late.payload_text(), "[1,3]");
        let never = run(BODY, "expression='${payload.a}' condition='${payload.a != 2}'", &branches);
        assert!(never.stopped());
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<scatter-gather target='body'/>", "'result-content-type'"),
            ("<scatter-gather result-content-type='JSON'/>", "'target'"),
            ("<scatter-gather target='body' result-content-type='JSON'/>", "needs a <sequence>"),
            (
                "<scatter-gather target='body' result-content-type='JSON'><sequence/></scatter-gather>",
                "needs an <aggregation>",
            ),
            ("<scatter-gather target='variable' result-content-type='JSON'/>", "'target-variable'"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
