//! Endpoints made of endpoints: failover, load balance, recipient list.
//! MI: `FailoverEndpoint`, `LoadbalanceEndpoint`, `RecipientListEndpoint`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::BoxFuture;
use mi_config::Diagnostic;
use mi_config::endpoint as config;
use mi_expr::Dynamic;

use super::leaf::shown;
use super::{Endpoint, Role, Sent, for_address};
use crate::build::BuildCx;
use crate::context::Context;
use crate::fault::{Fault, codes};
use crate::{flow, outflow};

/// Sends to the first child that is ready; another one takes over when it fails.
#[derive(Debug)]
pub(super) struct Failover {
    children: Vec<Arc<Endpoint>>,
    /// Begins with the first child for each message; a static group stays with the one that worked last.
    dynamic: bool,
    current: AtomicUsize,
}

/// Sends to the children in turn.
#[derive(Debug)]
pub(super) struct LoadBalance {
    children: Vec<Arc<Endpoint>>,
    failover: bool,
    /// The order of turns; a child of weight n has n places.
    turns: Vec<usize>,
    next: AtomicUsize,
}

/// Sends a copy to each child.
#[derive(Debug)]
pub(super) struct RecipientList {
    children: Vec<Arc<Endpoint>>,
    dynamic: Option<Dynamic>,
}

fn build_children(
    children: &[mi_config::EndpointConfig],
    cx: &mut BuildCx<'_>,
) -> Result<Vec<Arc<Endpoint>>, Diagnostic> {
    children.iter().map(|child| super::build(child, cx)).collect()
}

fn member_endpoints(members: &[config::Member]) -> Vec<Arc<Endpoint>> {
    members
        .iter()
        .map(|member| {
            let (scheme, port) = match (member.http_port, member.https_port) {
                (Some(port), _) => ("http", port),
                (None, Some(port)) => ("https", port),
                (None, None) => ("http", 80),
            };
            for_address(&format!("{scheme}://{}:{port}", member.host))
        })
        .collect()
}

/// Holds the body in memory, so that a second attempt has one.
async fn keep_body(cx: &mut Context, children: usize) -> Result<(), Fault> {
    if children > 1 && cx.message.body.is_unread() {
        let limit = cx.snapshot.settings.max_built_body;
        cx.message.body.read(limit).await?;
    }
    Ok(())
}

fn none_ready(kind: &str, name: &str) -> Fault {
    let text = format!("{kind} endpoint : {name} - no ready child endpoints");
    Fault::coded(codes::GROUP_NONE_READY, text.clone(), text)
}

/// Sends to one child; on a failure the message is as it was, so that another child may have it.
async fn attempt(cx: &mut Context, child: &Arc<Endpoint>) -> Result<Sent, Fault> {
    let kept = cx.message.body.copy();
    let sent = child.clone().send_as(cx, Role::Member).await;
    if sent.is_err() {
        cx.message.body = kept;
    }
    sent
}

/// Forgets the error of an attempt that another child makes up for.
fn clear_error(cx: &mut Context) {
    for name in ["ERROR_CODE", "ERROR_MESSAGE", "ERROR_DETAIL", "ERROR_EXCEPTION"] {
        cx.message.properties.remove(name);
    }
}

impl Failover {
    pub(super) fn build(config: &config::Failover, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        Ok(Self {
            children: build_children(&config.children, cx)?,
            dynamic: config.dynamic,
            current: AtomicUsize::new(0),
        })
    }

    pub(super) fn children(&self) -> &[Arc<Endpoint>] {
        &self.children
    }

    pub(super) async fn send(&self, endpoint: &Arc<Endpoint>, cx: &mut Context, _role: Role) -> Result<Sent, Fault> {
        keep_body(cx, self.children.len()).await?;
        let begin = if self.dynamic { 0 } else { self.current.load(Ordering::Relaxed) };
        let mut last = None;
        let mut tried = vec![false; self.children.len()];
        // Each child is tried once a message; a failure may have suspended it, so readiness is asked anew.
        while let Some(index) = self.next_ready(cx, begin, &tried) {
            tried[index] = true;
            let child = &self.children[index];
            match attempt(cx, child).await {
                Ok(sent) => {
                    self.current.store(index, Ordering::Relaxed);
                    return Ok(sent);
                }
                Err(fault) => {
                    log::warn!(
                        target: "FailoverEndpoint",
                        "{}Endpoint [{}] Detect a Failure in a child endpoint : Endpoint [{}]",
                        cx.artifact.log_prefix, endpoint.name, shown(child)
                    );
                    if !fault.handled || !child.may_retry(cx, fault.code) {
                        return Err(fault);
                    }
                    clear_error(cx);
                    last = Some(fault);
                }
            }
        }
        Err(last.unwrap_or_else(|| none_ready("Failover", &endpoint.name)))
    }

    fn next_ready(&self, cx: &Context, begin: usize, tried: &[bool]) -> Option<usize> {
        let count = self.children.len();
        (0..count)
            .map(|offset| (begin + offset) % count)
            .find(|index| !tried[*index] && self.children[*index].is_ready(cx))
    }
}

impl LoadBalance {
    pub(super) fn build(config: &config::LoadBalance, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let mut children = build_children(&config.children, cx)?;
        children.extend(member_endpoints(&config.members));
        let weighted = config.algorithm != config::LoadBalanceAlgorithm::RoundRobin;
        let weight = |index: usize| {
            let child = config.children.get(index).filter(|_| weighted)?;
            child.properties.iter().find(|it| it.name == "loadbalance.weight").and_then(|it| match &it.value {
                config::PropertyValue::Text(text) => text.trim().parse::<usize>().ok(),
                _ => None,
            })
        };
        let turns =
            (0..children.len()).flat_map(|index| vec![index; weight(index).unwrap_or(1).clamp(1, 1000)]).collect();
        Ok(Self { children, failover: config.failover, turns, next: AtomicUsize::new(0) })
    }

    pub(super) fn children(&self) -> &[Arc<Endpoint>] {
        &self.children
    }

    pub(super) async fn send(&self, endpoint: &Arc<Endpoint>, cx: &mut Context, _role: Role) -> Result<Sent, Fault> {
        keep_body(cx, if self.failover { self.children.len() } else { 1 }).await?;
        let mut tried = vec![false; self.children.len()];
        let mut last = None;
        while let Some(index) = self.take_turn(cx, &tried) {
            tried[index] = true;
            let child = &self.children[index];
            match attempt(cx, child).await {
                Ok(sent) => return Ok(sent),
                Err(fault) => {
                    log::warn!(
                        target: "LoadbalanceEndpoint",
                        "{}Endpoint [{}] Detect a Failure in a child endpoint : Endpoint [{}]",
                        cx.artifact.log_prefix, endpoint.name, shown(child)
                    );
                    if !self.failover || !fault.handled || !child.may_retry(cx, fault.code) {
                        return Err(fault);
                    }
                    clear_error(cx);
                    last = Some(fault);
                }
            }
        }
        Err(last.unwrap_or_else(|| none_ready("Loadbalance", &endpoint.name)))
    }

    fn take_turn(&self, cx: &Context, tried: &[bool]) -> Option<usize> {
        (0..self.turns.len()).find_map(|_| {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.turns.len();
            let index = self.turns[turn];
            (!tried[index] && self.children[index].is_ready(cx)).then_some(index)
        })
    }
}

impl RecipientList {
    pub(super) fn build(config: &config::RecipientList, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let mut children = build_children(&config.children, cx)?;
        children.extend(member_endpoints(&config.members));
        Ok(Self { children, dynamic: config.dynamic.clone() })
    }

    /// Sends a copy to each; the answers enter the out flow one by one, and the client gets the first.
    pub(super) async fn send(&self, endpoint: &Arc<Endpoint>, cx: &mut Context) -> Result<Sent, Fault> {
        let dynamic = match &self.dynamic {
            Some(list) => {
                let text = list.eval_string(&cx.message, &*cx.snapshot)?;
                text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(for_address).collect()
            }
            None => Vec::new(),
        };
        let targets: Vec<Arc<Endpoint>> = self.children.iter().cloned().chain(dynamic).collect();
        if targets.is_empty() {
            return Err(none_ready("RecipientList", &endpoint.name));
        }
        if !cx.message.body.is_built() {
            flow::build_body(cx).await?;
        }
        for target in targets {
            tokio::spawn(send_part(cx.fork(cx.message.copy()), target));
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
