//! `<sampler>` lets a number of requests through in each unit of time; the others wait in a queue.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_message::Message;
use tokio::time::Instant;

use super::target::Target;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("sampler", parse).attributes(&["id", "rate", "unitTime"]).children(&["target", "messageQueue"]);

/// Most messages that wait.
const MAX_WAITING: usize = 100_000;
/// The only queue of MI.
const QUEUE: &str = "org.apache.synapse.mediators.eip.sample.UnboundedMessageQueue";

/// MI: `SamplingThrottleMediator`.
#[derive(Debug)]
struct Sampler(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    rate: usize,
    unit: Duration,
    target: Target,
    /// Who waits goes on waiting when another application is deployed.
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Context>,
    /// When messages were let through for the last time.
    last: Option<Instant>,
    /// Whether somebody waits for the next time.
    has_timer: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("State").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let rate = el.int_attr("rate")?.unwrap_or(1);
    let unit = el.int_attr("unitTime")?.unwrap_or(1000);
    let unit = u64::try_from(unit).ok().filter(|unit| *unit > 0);
    let unit = unit.ok_or_else(|| el.error("the unitTime of a sampler must be a number of milliseconds above 0"))?;
    let target = el.child("target").ok_or_else(|| el.error("Sampler requires a target for the sampling mediation"))?;
    if let Some(queue) = el.child("messageQueue")
        && let Some(class) = queue.attr("class").filter(|class| class != QUEUE)
    {
        let error =
            queue.error(format!("Couldn't find the class specified for the message queue implementation : {class}"));
        return Err(error.hint(format!("leave it out, or use {QUEUE}")));
    }
    Ok(Box::new(Sampler(Arc::new(Shared {
        rate: usize::try_from(rate).unwrap_or_default(),
        unit: Duration::from_millis(unit),
        target: Target::parse(&target, cx)?,
        state: cx.keep(el, "", Mutex::default),
    }))))
}

impl Mediator for Sampler {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        cx.exchange.note_send();
        if cx.message.is_response() {
            log::warn!(
                target: "SamplingThrottleMediator",
                "{}Encountered a response message which will not be sampled", cx.artifact.log_prefix
            );
            return Ok(Flow::End);
        }
        // The message is moved; what the end of its flow looks at stays.
        let axis2 = cx.message.axis2.clone();
        let message = std::mem::replace(&mut *cx.message, Message { axis2, ..Message::new() });
        let part = cx.fork(message);
        let mut state = self.0.state();
        if state.waiting.len() >= MAX_WAITING {
            return Err(Fault::new(format!("{MAX_WAITING} messages wait in a sampler, which is the limit")));
        }
        state.waiting.push_back(part);
        if !state.has_timer {
            state.has_timer = true;
            tokio::spawn(self.0.clone().pass());
        }
        Ok(Flow::End)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets messages through until none wait.
    async fn pass(self: Arc<Self>) {
        loop {
            let last = self.state().last;
            if let Some(last) = last {
                tokio::time::sleep_until(last + self.unit).await;
            }
            let parts: Vec<Context> = {
                let mut state = self.state();
                if state.waiting.is_empty() {
                    state.has_timer = false;
                    return;
                }
                state.last = Some(Instant::now());
                let count = self.rate.min(state.waiting.len());
                state.waiting.drain(..count).collect()
            };
            for part in parts {
                self.target.spawn(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{Flowing, log_lines};

    /// Sends the parts of a message through a sampler; how many got through after a while.
    fn count(attrs: &str, patience: Duration) -> usize {
        let xml = format!(
            "<iterate expression='//n'><target><sequence><sampler {attrs}><target sequence='s'/></sampler></sequence></target></iterate>"
        );
        let lines = log_lines(|| {
            Flowing::of(&xml)
                .sequence("s", "<log level='custom'><property name='n' expression='//n'/></log>")
                .xml("<o><n>1</n><n>2</n><n>3</n><n>4</n><n>5</n></o>")
                .run_for(patience);
        });
        lines.len()
    }

    #[test]
    fn a_few_in_each_unit_of_time() {
        assert_eq!(count("rate='2' unitTime='1000'", Duration::from_millis(500)), 2);
        assert_eq!(count("rate='2' unitTime='1000'", Duration::from_millis(1500)), 4);
        assert_eq!(count("rate='2' unitTime='1000'", Duration::from_millis(2500)), 5);
        assert_eq!(count("", Duration::from_millis(1500)), 2);
    }

    #[test]
    fn responses_are_not_sampled() {
        let outcome = Flowing::of("<sampler><target sequence='s'/></sampler>").with(|it| it.is_response = true).run();
        assert!(outcome.stopped() && outcome.fault().is_none());
    }

    #[test]
    fn wrong_configurations_are_refused() {
        for (xml, part) in [
            ("<sampler/>", "requires a target"),
            ("<sampler rate='x'><target/></sampler>", "whole number"),
            ("<sampler unitTime='0'><target/></sampler>", "above 0"),
            ("<sampler><target/><messageQueue class='org.acme.Q'/></sampler>", "Couldn't find the class"),
        ] {
            let error = Flowing::error_of(xml);
            assert!(error.contains(part), "{error}");
        }
    }
}
