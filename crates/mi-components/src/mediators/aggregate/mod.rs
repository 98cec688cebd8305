//! `<aggregate>` collects the parts that `clone` or `iterate` made, or their answers, and goes on with one message.
//!
//! How parts become one payload is in `merge`. A part that does not complete its group ends there.

mod merge;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::flow;
use mi_engine::mediator::{Flow, Mediator, Resume};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};
use mi_message::{Message, Value};
use tokio::task::AbortHandle;

use self::merge::Merge;
use super::split::{Marks, text_of};
use super::{branch, gather};

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("aggregate", parse).attributes(&["id"]).children(&[
    "correlateOn",
    "completeCondition",
    "onComplete",
]);

/// Most groups that are open at a time; without a time-out they may wait for ever.
const MAX_GROUPS: usize = 100_000;
/// Most messages that one group holds; without a limit or time-out of its own it may grow for ever.
const MAX_MESSAGES: usize = 100_000;
/// Most completed groups that are remembered, so that late parts are dropped and begin no new group.
const MAX_COMPLETED: usize = 10_000;

#[derive(Debug)]
struct Aggregate(Arc<Shared>);

/// What all messages share.
#[derive(Debug)]
struct Shared {
    correlate_on: Option<Expr>,
    marks: Marks,
    min: Option<Dynamic>,
    max: Option<Dynamic>,
    timeout: Option<Duration>,
    merge: Merge,
    /// `None` drops the result.
    on_complete: Option<SequenceTarget>,
    /// What is collected goes on when another application is deployed.
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    groups: HashMap<Arc<str>, Group>,
    completed: HashSet<Arc<str>>,
    /// The same in order of completion.
    completed_order: VecDeque<Arc<str>>,
    next_group: u64,
}

#[derive(Debug)]
struct Group {
    number: u64,
    messages: Vec<Message>,
    /// Zero: no limit.
    min: usize,
    max: usize,
    /// Waits for the time-out; it keeps a part of the flow alive until then.
    timer: Option<AbortHandle>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let correlate_on = el.child("correlateOn").map(|it| it.expr("expression")).transpose()?.flatten();
    let condition = el.child("completeCondition");
    let count = condition.as_ref().and_then(|it| it.child("messageCount"));
    let limit = |name: &str| count.as_ref().map(|it| it.dynamic(name)).transpose().map(Option::flatten);
    let timeout = condition.as_ref().map(|it| it.int_attr("timeout")).transpose()?.flatten();
    let Some(on_complete) = el.child("onComplete") else {
        return Err(el.error("<aggregate> needs an <onComplete>"));
    };
    let target = match branch::named(&on_complete, "sequence", cx)? {
        Some(target) => Some(target),
        None if on_complete.first_child().is_some() => Some(branch::inline(&on_complete, cx)),
        None => None,
    };
    Ok(Box::new(Aggregate(Arc::new(Shared {
        correlate_on,
        marks: Marks::new(el.attr("id").as_deref()),
        min: limit("min")?,
        max: limit("max")?,
        timeout: timeout.filter(|seconds| *seconds > 0).map(|seconds| Duration::from_secs(seconds as u64)),
        merge: Merge::parse(&on_complete)?,
        on_complete: target,
        state: cx.keep(el, "", Mutex::default),
    }))))
}

impl Mediator for Aggregate {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let Some(correlation) = self.0.correlation(cx)? else { return Ok(Flow::Next) };
        let Some(messages) = self.0.collect(cx, &correlation)? else { return Ok(Flow::End) };
        self.0.complete(cx, messages)
    }
}

impl Shared {
    /// The group that the message belongs to; `None` when it belongs to none and passes.
    fn correlation(&self, cx: &Context) -> Result<Option<Arc<str>>, Fault> {
        if let Some(expression) = &self.correlate_on {
            return match expression.eval(&cx.message, &*cx.snapshot)? {
                Value::Bool(false) => Ok(None),
                Value::Null => {
                    Err(Fault::new(format!("Failed to evaluate correlate expression: {}", expression.source())))
                }
                // MI groups by the expression and not by its value.
                _ => Ok(Some(expression.source().into())),
            };
        }
        Ok(text_of(&cx.message, &self.marks.correlation))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the message to its group; gives all messages when that completes the group.
    fn collect(self: &Arc<Self>, cx: &mut Context, correlation: &Arc<str>) -> Result<Option<Vec<Message>>, Fault> {
        let holder = self.marks.holder_of(&cx.message);
        {
            let mut state = self.state();
            if state.groups.contains_key(correlation) {
                return state.add(correlation, cx, &self.marks);
            }
            if state.is_completed(holder.as_ref()) {
                return Ok(None);
            }
        }
        // The limits are expressions on the first message, evaluated outside of the lock.
        let limits = (self.limit(cx, self.min.as_ref())?, self.limit(cx, self.max.as_ref())?);
        let mut state = self.state();
        if state.groups.contains_key(correlation) {
            return state.add(correlation, cx, &self.marks);
        }
        if state.is_completed(holder.as_ref()) {
            return Ok(None);
        }
        let number = state.begin(correlation, limits)?;
        let collected = state.add(correlation, cx, &self.marks)?;
        if let (Some(timeout), Some(group)) = (self.timeout, state.groups.get_mut(correlation)) {
            let keeper = cx.fork_resuming(Message::new());
            group.timer = Some(self.clone().watch(keeper, correlation.clone(), number, timeout));
        }
        Ok(collected)
    }

    fn limit(&self, cx: &Context, limit: Option<&Dynamic>) -> Result<usize, Fault> {
        gather::limit(limit, &cx.message, &cx.snapshot)
    }

    /// Completes the group when its time is over and it is still the same group.
    fn watch(
        self: Arc<Self>,
        mut keeper: Context,
        correlation: Arc<str>,
        number: u64,
        timeout: Duration,
    ) -> AbortHandle {
        let waiting = tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            let messages = {
                let mut state = self.state();
                if state.groups.get(&correlation).is_none_or(|group| group.number != number) {
                    return;
                }
                state.finish(&correlation, &self.marks)
            };
            log::warn!(target: "Aggregate", "{}Aggregate mediator timeout occurred.", keeper.artifact.log_prefix);
            let _running = keeper.snapshot.services.begin_flow();
            let first = match self.complete(&mut keeper, messages) {
                Ok(Flow::EnterThen(sequence, _)) => Ok(Flow::EnterThen(sequence, Box::new(AfterTimeout))),
                other => other,
            };
            flow::drive(&mut keeper, first).await;
        });
        waiting.abort_handle()
    }

    /// Makes one message of the parts and enters `onComplete` with it.
    fn complete(&self, cx: &mut Context, mut messages: Vec<Message>) -> Result<Flow, Fault> {
        let merged = self.merge.merge(&mut messages, &cx.snapshot);
        // The last part goes on behind the aggregate; the result is seen by `onComplete` with the properties of the first.
        let mut last = if messages.len() > 1 { messages.pop() } else { messages.first().map(Message::copy) };
        let first = messages.into_iter().next();
        let body = match merged {
            Ok(body) => body,
            Err(fault) => {
                if let Some(last) = last {
                    *cx.message = last;
                }
                return Err(fault);
            }
        };
        if let Some(last) = &mut last {
            last.body = body.copy();
        }
        *cx.message = first.unwrap_or_default();
        cx.message.body = body;
        let Some(target) = &self.on_complete else { return Ok(Flow::End) };
        let sequence = cx.resolve(target)?;
        let continued = std::mem::replace(&mut cx.continued, false);
        Ok(Flow::EnterThen(sequence, Box::new(AfterComplete { last: last.unwrap_or_default(), continued })))
    }
}

impl State {
    fn begin(&mut self, correlation: &Arc<str>, (min, max): (usize, usize)) -> Result<u64, Fault> {
        if self.groups.len() >= MAX_GROUPS {
            return Err(Fault::new(format!(
                "{MAX_GROUPS} aggregations are waiting for their messages, which is the limit; give the aggregate a timeout"
            )));
        }
        self.next_group += 1;
        let group = Group { number: self.next_group, messages: Vec::new(), min, max, timer: None };
        self.groups.insert(correlation.clone(), group);
        Ok(self.next_group)
    }

    /// Moves the message into its group; gives all messages when that completes the group.
    fn add(&mut self, correlation: &Arc<str>, cx: &mut Context, marks: &Marks) -> Result<Option<Vec<Message>>, Fault> {
        let Some(group) = self.groups.get_mut(correlation) else { return Ok(None) };
        if group.messages.len() >= MAX_MESSAGES {
            return Err(Fault::new(format!(
                "an aggregation holds {MAX_MESSAGES} messages, which is the limit; give its messageCount a max, or the \
                 aggregate a timeout"
            )));
        }
        // What the end of the message's flow looks at stays.
        let axis2 = cx.message.axis2.clone();
        let message = std::mem::replace(&mut *cx.message, Message { axis2, ..Message::new() });
        if group.max == 0 || group.messages.len() < group.max {
            group.messages.push(message);
        }
        if !group.is_complete(marks) {
            return Ok(None);
        }
        if let Some(timer) = group.timer.take() {
            timer.abort();
        }
        Ok(Some(self.finish(correlation, marks)))
    }

    /// Takes the group out and remembers it, so that late parts begin no new one.
    fn finish(&mut self, correlation: &Arc<str>, marks: &Marks) -> Vec<Message> {
        let messages = self.groups.remove(correlation).map(|group| group.messages).unwrap_or_default();
        self.remember(messages.last().and_then(|last| marks.holder_of(last)));
        messages
    }

    fn is_completed(&self, holder: Option<&Arc<str>>) -> bool {
        holder.is_some_and(|holder| self.completed.contains(holder))
    }

    fn remember(&mut self, holder: Option<Arc<str>>) {
        let Some(holder) = holder else { return };
        if self.completed.insert(holder.clone()) {
            self.completed_order.push_back(holder);
        }
        if self.completed_order.len() > MAX_COMPLETED
            && let Some(oldest) = self.completed_order.pop_front()
        {
            self.completed.remove(&oldest);
        }
    }
}

impl Group {
    /// All parts are there, or as many as are wanted. MI: `Aggregate#isComplete`.
    fn is_complete(&self, marks: &Marks) -> bool {
        let count = self.messages.len();
        let total = self.messages.first().and_then(|message| message.properties.get_str(&marks.sequence));
        let total: Option<usize> = total.and_then(|text| text.split_once('/')?.1.parse().ok());
        total.is_some_and(|total| count >= total)
            || (self.min > 0 && count >= self.min)
            || (self.max > 0 && count >= self.max)
    }
}

/// The flow of the last part goes on behind the aggregate, with the merged payload. Once `onComplete` made a call, its
/// own message goes on instead.
struct AfterComplete {
    last: Message,
    /// Whether the part had made calls before.
    continued: bool,
}

impl Resume for AfterComplete {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        if !cx.continued {
            *cx.message = self.last;
        }
        cx.continued |= self.continued;
        Ok(Flow::Next)
    }
}

/// Nobody waits behind the aggregate when the clock completed it, unless `onComplete` made a call.
struct AfterTimeout;

impl Resume for AfterTimeout {
    fn resume(self: Box<Self>, cx: &mut Context) -> Result<Flow, Fault> {
        Ok(if cx.continued { Flow::Next } else { Flow::End })
    }
}
