//! How messages are followed from outside: ids on log lines, access and correlation logs, spans of traces.
//!
//! The engine tells an [`Observer`] of requests, and a [`Trail`] of what a request leads to. Without an observer nothing is
//! told and nothing is made; what is written where is for the observer to know.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;

use crate::context::{ArtifactInfo, Context};
use crate::mediator::Mediator;
use crate::transport::{HttpReply, HttpRequest, Incoming, Outgoing, SendError};

thread_local! {
    /// The id of the message that this thread works on.
    static ID: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Runs `use_it` with the id of the message that this thread works on at the moment.
pub fn with_id<T>(use_it: impl FnOnce(Option<&str>) -> T) -> T {
    ID.with_borrow(|id| use_it(id.as_deref()))
}

/// Is told of requests as they come in.
pub trait Observer: Send + Sync {
    /// A request that is about to be served; header fields may be added to it. `None` when it is not to be followed.
    fn request(&self, request: &mut HttpRequest) -> Option<Arc<dyn Trail>>;
}

/// One request and everything that it leads to.
pub trait Trail: Send + Sync {
    /// The id that log lines of the message carry.
    fn id(&self) -> &Arc<str>;

    /// What serves it, once that is known.
    fn dispatched(&self, artifact: &ArtifactInfo);

    /// It was answered, or never will be.
    fn answered(&self, reply: Option<&HttpReply>);

    /// A back end is about to be asked; header fields may be added. `parent` is the span of the step that asks.
    fn calls(&self, request: &mut Outgoing, parent: Option<u64>) -> Box<dyn Called>;

    /// A step of a traced artifact begins; it ends when the span is dropped. `None` when steps are not followed.
    fn step(&self, name: &'static str, parent: Option<u64>) -> Option<Box<dyn Span>>;
}

/// A request to a back end that is followed.
pub trait Called: Send {
    /// The head of the answer is there, or there will be none.
    fn ended(self: Box<Self>, outcome: Result<StatusCode, &str>);
}

/// A step that is followed until this is dropped.
pub trait Span: Send {
    /// Its id, for what happens within it.
    fn id(&self) -> u64;

    /// A fault came out of it.
    fn failed(&mut self, why: &str);
}

impl fmt::Debug for dyn Trail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Trail").field(self.id()).finish()
    }
}

/// What all deployments share of following messages: the observer, and which artifacts are traced step by step.
#[derive(Default)]
pub struct Watch {
    observer: Option<Box<dyn Observer>>,
    traced: Mutex<HashMap<(&'static str, String), Switch>>,
}

/// Are the steps of an artifact followed? As configured until an operator says otherwise, which outlasts deployments.
#[derive(Debug, Default)]
struct Switch {
    on: Arc<AtomicBool>,
    by_operator: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watch").field("observed", &self.observer.is_some()).finish_non_exhaustive()
    }
}

impl Watch {
    /// With an observer.
    pub fn new(observer: impl Observer + 'static) -> Self {
        Self { observer: Some(Box::new(observer)), ..Self::default() }
    }

    /// The switch of an artifact that is deployed; `configured` is its `trace` attribute.
    pub fn deployed(&self, kind: &'static str, name: &str, configured: bool) -> Arc<AtomicBool> {
        let mut traced = self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        let switch = traced.entry((kind, name.to_owned())).or_default();
        if !switch.by_operator {
            switch.on.store(configured, Ordering::Relaxed);
        }
        switch.on.clone()
    }

    /// Switches it, now and for later deployments.
    pub fn set_traced(&self, kind: &'static str, name: &str, on: bool) {
        let mut traced = self.traced.lock().unwrap_or_else(PoisonError::into_inner);
        let switch = traced.entry((kind, name.to_owned())).or_default();
        switch.by_operator = true;
        switch.on.store(on, Ordering::Relaxed);
    }

    /// Begins to follow a request.
    pub(crate) fn request(&self, request: &mut HttpRequest) -> Option<Arc<dyn Trail>> {
        self.observer.as_ref()?.request(request)
    }
}

/// Runs `flow` with the id of the trail on its thread.
pub(crate) async fn followed<T>(trail: Option<Arc<dyn Trail>>, flow: impl Future<Output = T>) -> T {
    let mut flow = std::pin::pin!(flow);
    std::future::poll_fn(|task| {
        let Some(trail) = &trail else { return flow.as_mut().poll(task) };
        let before = ID.replace(Some(trail.id().clone()));
        let polled = flow.as_mut().poll(task);
        ID.set(before);
        polled
    })
    .await
}

/// Who is told of calls that a flow makes: its trail, and the span of the step that makes them.
#[derive(Clone, Debug)]
pub(crate) struct Follower(Arc<dyn Trail>, Option<u64>);

impl Follower {
    pub(crate) fn of(cx: &Context) -> Option<Self> {
        let trail = cx.exchange.request.trail.clone()?;
        Some(Self(trail, parent(cx)))
    }

    /// Tells of a call.
    pub(crate) fn calls(&self, request: &mut Outgoing) -> Box<dyn Called> {
        self.0.calls(request, self.1)
    }
}

/// What to tell of an answer.
pub(crate) fn outcome(answer: &Result<Incoming, SendError>) -> Result<StatusCode, &str> {
    answer.as_ref().map(|answer| answer.status).map_err(|error| error.message.as_str())
}

/// The innermost span that has not ended.
pub(crate) fn parent(cx: &Context) -> Option<u64> {
    cx.frames.iter().rev().find_map(|frame| frame.span.as_ref().map(|span| span.id()))
}

/// Ends the span of the step before in the innermost frame, and begins that of `step` if its artifact is traced.
pub(crate) fn begin_step(cx: &mut Context, step: &dyn Mediator) {
    let Some((frame, around)) = cx.frames.split_last_mut() else { return };
    frame.span = None;
    if let Some(trail) = &cx.exchange.request.trail
        && cx.artifact.traced.load(Ordering::Relaxed)
    {
        let parent = around.iter().rev().find_map(|frame| frame.span.as_ref().map(|span| span.id()));
        frame.span = trail.step(step.name(), parent);
    }
}

/// The last segment of a type's name as MI names mediators: `LogMediator`.
pub(crate) fn short_name(type_name: &'static str) -> &'static str {
    let plain = type_name.split('<').next().unwrap_or(type_name);
    plain.rsplit("::").next().unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn what_an_operator_switched_outlasts_deployments() {
        let watch = Watch::default();
        let on = |switch: &Arc<AtomicBool>| switch.load(Ordering::Relaxed);
        let first = watch.deployed("api", "A", true);
        assert!(on(&first));
        assert!(!on(&watch.deployed("api", "A", false)), "the configuration has changed");
        watch.set_traced("api", "A", true);
        assert!(on(&first), "running messages see it");
        assert!(on(&watch.deployed("api", "A", false)) && !on(&watch.deployed("proxy", "A", false)));
    }

    #[test]
    fn names_are_the_last_segment_of_the_type() {
        assert_eq!(short_name("mi_components::mediators::log::Log"), "Log");
        assert_eq!(short_name("a::Traced<b::C>"), "Traced");
    }

    #[tokio::test]
    async fn the_id_is_there_while_the_flow_runs_and_gone_when_it_waits() {
        #[derive(Debug)]
        struct Fixed(Arc<str>);
        impl Trail for Fixed {
            fn id(&self) -> &Arc<str> {
                &self.0
            }
            fn dispatched(&self, _: &ArtifactInfo) {}
            fn answered(&self, _: Option<&HttpReply>) {}
            fn calls(&self, _: &mut Outgoing, _: Option<u64>) -> Box<dyn Called> {
                Box::new(Silent)
            }
            fn step(&self, _: &'static str, _: Option<u64>) -> Option<Box<dyn Span>> {
                None
            }
        }
        struct Silent;
        impl Called for Silent {
            fn ended(self: Box<Self>, _: Result<StatusCode, &str>) {}
        }
        let seen = || with_id(|id| id.map(str::to_owned));
        let flow = async {
            let before = seen();
            tokio::task::yield_now().await;
            (before, seen())
        };
        let mut run = Box::pin(followed(Some(Arc::new(Fixed("x".into()))), flow));
        assert!((&mut run).now_or_never().is_none());
        assert_eq!(seen(), None);
        assert_eq!(run.await, (Some("x".to_owned()), Some("x".to_owned())));
    }
}
