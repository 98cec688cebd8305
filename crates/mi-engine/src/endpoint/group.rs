//! Endpoints made of endpoints: failover, recipient list, and what they share with the load balance.
//! MI: `FailoverEndpoint`, `RecipientListEndpoint`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use mi_config::Diagnostic;
use mi_config::endpoint as config;
use mi_expr::Dynamic;

use super::leaf::shown;
use super::{Endpoint, Role, Sent};
use crate::build::BuildCx;
use crate::context::Context;
use crate::fault::{Fault, codes};
use crate::{flow, outflow};

/// Sends to the first child that is ready; another one takes over when it fails.
#[derive(Debug)]
pub(super) struct Failover {
    children: Vec<Arc<Endpoint>>,
    /// Begins with the first child for each message; a static group stays with the one that it had last.
    dynamic: bool,
    build_message: bool,
    current: AtomicUsize,
}

/// Sends a copy to each child.
#[derive(Debug)]
pub(super) struct RecipientList {
    children: Vec<Arc<Endpoint>>,
    dynamic: Option<Dynamic>,
    recent: Recent,
}

/// Endpoints of addresses that were computed, so that they have a state from one message to the next; the ones that were
/// made last. MI: `RecipientListEndpoint#dynamicEndpointPool`.
#[derive(Debug)]
struct Recent {
    most: usize,
    /// Locked for moments only.
    endpoints: Mutex<VecDeque<Arc<Endpoint>>>,
}

impl Recent {
    fn of(&self, address: &str) -> Arc<Endpoint> {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = endpoints.iter().find(|it| *it.name == *address) {
            return known.clone();
        }
        let made = super::for_recipient(address);
        if endpoints.len() >= self.most {
            endpoints.pop_front();
        }
        endpoints.push_back(made.clone());
        made
    }
}

pub(super) fn build_children(
    children: &[mi_config::EndpointConfig],
    cx: &mut BuildCx<'_>,
) -> Result<Vec<Arc<Endpoint>>, Diagnostic> {
    children.iter().map(|child| super::build(child, cx)).collect()
}

/// Endpoints for hosts; with `suspends` one that fails is left alone for a while. MI: `Member`.
pub(super) fn members(members: &[config::Member], suspends: bool) -> impl Iterator<Item = Arc<Endpoint>> {
    members.iter().map(move |member| super::for_member(member, suspends))
}

/// Holds the body in memory, so that a second attempt has one.
pub(super) async fn keep_body(cx: &mut Context, children: usize) -> Result<(), Fault> {
    if children > 1 && cx.message.body.is_unread() {
        let limit = cx.snapshot.settings.max_built_body;
        cx.message.body.read(limit).await?;
    }
    Ok(())
}

/// The fault of a group that has nobody to send to.
pub(super) fn none_ready(target: &'static str, kind: &str, name: &str, cx: &Context) -> Fault {
    let text = format!("{kind} endpoint : {name} - no ready child endpoints");
    log::warn!(target: target, "{}{text}", cx.artifact.log_prefix);
    Fault { exception: text.clone(), ..Fault::coded(codes::GROUP_NONE_READY, text.clone(), text) }
}

/// Logs that a child failed. MI: `AbstractEndpoint#logOnChildEndpointFail`.
pub(super) fn report_failure(target: &'static str, endpoint: &Endpoint, child: &Arc<Endpoint>, cx: &Context) {
    log::warn!(
        target: target,
        "{}Endpoint [{}] Detect a Failure in a child endpoint : Endpoint [{}]",
        cx.artifact.log_prefix, endpoint.name, shown(child)
    );
}

/// The fault that `retryConfig` keeps from other children.
pub(super) fn not_retried(target: &'static str, kind: &str, endpoint: &Endpoint, cx: &Context, fault: Fault) -> Fault {
    log::warn!(
        target: target,
        "{}{kind} endpoint : {} - one of the child endpoints encounterd a non-retry error, not sending message to another \
         endpoint",
        cx.artifact.log_prefix, endpoint.name
    );
    fault
}

/// Sends to one child; on a failure the message is as it was, so that another child may have it.
pub(super) async fn attempt(cx: &mut Context, child: &Arc<Endpoint>) -> Result<Sent, Fault> {
    let (body, to) = (cx.message.body.copy(), cx.message.addressing.to.clone());
    let sent = child.clone().send_as(cx, Role::Member).await;
    if sent.is_err() {
        cx.message.body = body;
        cx.message.addressing.to = to;
    }
    sent
}

/// Forgets the error of an attempt that another child makes up for.
pub(super) fn clear_error(cx: &mut Context) {
    for name in ["ERROR_CODE", "ERROR_MESSAGE", "ERROR_DETAIL", "ERROR_EXCEPTION"] {
        cx.message.properties.remove(name);
    }
}

impl Failover {
    pub(super) fn build(config: &config::Failover, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        Ok(Self {
            children: build_children(&config.children, cx)?,
            dynamic: config.dynamic,
            build_message: config.build_message.unwrap_or(false),
            current: AtomicUsize::new(0),
        })
    }

    pub(super) fn children(&self) -> &[Arc<Endpoint>] {
        &self.children
    }

    pub(super) async fn send(&self, endpoint: &Arc<Endpoint>, cx: &mut Context) -> Result<Sent, Fault> {
        if self.build_message && !cx.message.body.is_built() {
            flow::build_body(cx).await?;
        }
        keep_body(cx, self.children.len()).await?;
        let mut last = None;
        let mut tried = vec![false; self.children.len()];
        // Each child is tried once a message; a failure may have suspended it, so readiness is asked anew.
        while let Some(index) = self.next_ready(cx, &tried) {
            tried[index] = true;
            let child = &self.children[index];
            match attempt(cx, child).await {
                Ok(sent) => return Ok(sent),
                Err(fault) => {
                    report_failure("FailoverEndpoint", endpoint, child, cx);
                    if !fault.handled {
                        return Err(fault);
                    }
                    if !child.may_retry(cx, fault.code) {
                        return Err(not_retried("FailoverEndpoint", "Failover", endpoint, cx, fault));
                    }
                    clear_error(cx);
                    last = Some(fault);
                }
            }
        }
        Err(last.unwrap_or_else(|| none_ready("FailoverEndpoint", "Failover", &endpoint.name, cx)))
    }

    /// A static group stays with its present child while that is ready, and then looks from the first one on.
    fn next_ready(&self, cx: &Context, tried: &[bool]) -> Option<usize> {
        let fits = |index: &usize| !tried[*index] && self.children[*index].is_ready(cx);
        let present = (!self.dynamic).then(|| self.current.load(Ordering::Relaxed));
        let found = present.into_iter().chain(0..self.children.len()).find(fits)?;
        self.current.store(found, Ordering::Relaxed);
        Some(found)
    }
}

impl RecipientList {
    pub(super) fn build(config: &config::RecipientList, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let mut children = build_children(&config.children, cx)?;
        children.extend(members(&config.members, false));
        let recent = Recent { most: config.max_cache.clamp(1, 10_000), endpoints: Mutex::default() };
        Ok(Self { children, dynamic: config.dynamic.clone(), recent })
    }

    pub(super) fn children(&self) -> &[Arc<Endpoint>] {
        &self.children
    }

    /// Sends a copy to each that is ready; the answers enter the out flow one by one, and the client gets the first.
    pub(super) async fn send(&self, endpoint: &Arc<Endpoint>, cx: &mut Context) -> Result<Sent, Fault> {
        let dynamic = match &self.dynamic {
            Some(list) => {
                let text = list.eval_string(&cx.message, &*cx.snapshot)?;
                text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(|it| self.recent.of(it)).collect()
            }
            None => Vec::new(),
        };
        let all: Vec<Arc<Endpoint>> = self.children.iter().cloned().chain(dynamic).collect();
        let count = all.len();
        let targets: Vec<Arc<Endpoint>> = all.into_iter().filter(|it| it.is_ready(cx)).collect();
        if targets.is_empty() {
            return Err(none_ready("RecipientListEndpoint", "Recipient List", &endpoint.name, cx));
        }
        if !cx.message.body.is_built() {
            flow::build_body(cx).await?;
        }
        for (number, target) in targets.into_iter().enumerate() {
            let mut part = cx.fork(cx.message.copy());
            // What `aggregate` counts by. MI: `EIPConstants#MESSAGE_SEQUENCE`.
            part.message.properties.set("messageSequence", format!("{number}/{count}"));
            tokio::spawn(send_part(part, target));
        }
        Ok(Sent::Scattered)
    }
}

/// Boxed, since sending is what this is a part of.
fn send_part(mut part: Context, target: Arc<Endpoint>) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let first = outflow::send_and_follow(&mut part, target, None).await;
        flow::drive(&mut part, first).await;
    })
}
