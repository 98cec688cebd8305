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

use self::merge::Merge;
use super::branch;
use super::split::Marks;
use crate::typed;

pub(super) const SPEC: MediatorSpec = MediatorSpec { tag: "aggregate", parse };

/// Most groups that are open at a time; without a time-out they may wait for ever.
const MAX_GROUPS: usize = 100_000;
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
    state: Mutex<State>,
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
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["id", "description", "statistics", "trace", "traceFilter"]));
    cx.report_all(el.unknown_children(&["correlateOn", "completeCondition", "onComplete", "description"]));
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
        state: Mutex::default(),
    }))))
}

impl Mediator for Aggregate {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let Some(correlation) = self.0.correlation(cx)? else { return Ok(Flow::Next) };
        let Some(messages) = self.0.clone().collect(cx, correlation)? else { return Ok(Flow::End) };
        self.0.complete(cx, messages)
    }
}

/// What became of a message that was added to a group.
enum Collected {
    Waiting,
    Complete(Vec<Message>),
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
        Ok(match cx.message.properties.get(&self.marks.correlation) {
            Some(Value::String(parent)) => Some(parent.clone()),
            _ => None,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the message to its group; gives all messages when that completes the group.
    fn collect(self: Arc<Self>, cx: &mut Context, correlation: Arc<str>) -> Result<Option<Vec<Message>>, Fault> {
        let holder = match cx.message.properties.get(&self.marks.holder) {
            Some(Value::String(holder)) => Some(holder.clone()),
            _ => None,
        };
        let is_new = !self.state().groups.contains_key(&correlation);
        // The limits are expressions on the first message, evaluated outside of the lock.
        let limits =
            if is_new { (self.limit(cx, self.min.as_ref())?, self.limit(cx, self.max.as_ref())?) } else { (0, 0) };
        let mut began = None;
        let collected = {
            let mut state = self.state();
            if !state.groups.contains_key(&correlation) {
                if holder.as_ref().is_some_and(|holder| state.completed.contains(holder)) {
                    return Ok(None);
                }
                began = Some(state.begin(&correlation, limits)?);
            }
            // The message is moved; what the end of its flow looks at stays.
            let axis2 = cx.message.axis2.clone();
            let message = std::mem::replace(&mut cx.message, Message { axis2, ..Message::new() });
            state.add(&correlation, message, &self.marks)
        };
        match collected {
            Collected::Waiting => {
                if let (Some(number), Some(timeout)) = (began, self.timeout) {
                    let keeper = cx.fork_resuming(Message::new());
                    self.watch(keeper, correlation, number, timeout);
                }
                Ok(None)
            }
            Collected::Complete(messages) => {
                self.state().remember(holder);
                Ok(Some(messages))
            }
        }
    }

    fn limit(&self, cx: &Context, limit: Option<&Dynamic>) -> Result<usize, Fault> {
        let Some(limit) = limit else { return Ok(0) };
        let text = limit.eval_string(&cx.message, &*cx.snapshot)?;
        let number = typed::java_double(&text)
            .ok_or_else(|| Fault::new(format!("the message count '{text}' of an aggregate is no number")))?;
        Ok(if number > 0.0 { number as usize } else { 0 })
    }

    /// Completes the group when its time is over and it is still the same group.
    fn watch(self: Arc<Self>, mut keeper: Context, correlation: Arc<str>, number: u64, timeout: Duration) {
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            let group = {
                let mut state = self.state();
                if state.groups.get(&correlation).is_none_or(|group| group.number != number) {
                    return;
                }
                state.groups.remove(&correlation)
            };
            let Some(group) = group else { return };
            log::warn!(target: "Aggregate", "{}Aggregate mediator timeout occurred.", keeper.artifact.log_prefix);
            let holder = group.messages.last().and_then(|message| match message.properties.get(&self.marks.holder) {
                Some(Value::String(holder)) => Some(holder.clone()),
                _ => None,
            });
            self.state().remember(holder);
            let _running = keeper.snapshot.services.begin_flow();
            let first = match self.complete(&mut keeper, group.messages) {
                Ok(Flow::EnterThen(sequence, _)) => Ok(Flow::EnterThen(sequence, Box::new(AfterTimeout))),
                other => other,
            };
            flow::drive(&mut keeper, first).await;
        });
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
                    cx.message = last;
                }
                return Err(fault);
            }
        };
        if let Some(last) = &mut last {
            last.body = body.copy();
        }
        cx.message = first.unwrap_or_default();
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
        let group = Group { number: self.next_group, messages: Vec::new(), min, max };
        self.groups.insert(correlation.clone(), group);
        Ok(self.next_group)
    }

    fn add(&mut self, correlation: &Arc<str>, message: Message, marks: &Marks) -> Collected {
        let Some(group) = self.groups.get_mut(correlation) else { return Collected::Waiting };
        if group.max == 0 || group.messages.len() < group.max {
            group.messages.push(message);
        }
        if !group.is_complete(marks) {
            return Collected::Waiting;
        }
        let messages = self.groups.remove(correlation).map(|group| group.messages).unwrap_or_default();
        Collected::Complete(messages)
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
            cx.message = self.last;
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
