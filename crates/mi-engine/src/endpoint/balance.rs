//! `<loadbalance>`: sends to the children in turn, by one of three algorithms, and keeps clients with one child when they
//! have a session. MI: `LoadbalanceEndpoint`, `SALoadbalanceEndpoint` and its algorithms.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mi_config::endpoint::{self as config, LoadBalanceAlgorithm, PropertyValue};
use mi_config::{Diagnostic, EndpointConfig};

use super::group::{attempt, build_children, clear_error, keep_body, members, none_ready, not_retried, report_failure};
use super::session::{Found, Sessions};
use super::{Endpoint, EndpointProperty, Sent};
use crate::build::BuildCx;
use crate::context::Context;
use crate::fault::{Fault, codes};

/// See the module.
#[derive(Debug)]
pub(super) struct LoadBalance {
    children: Vec<Arc<Endpoint>>,
    failover: bool,
    build_message: bool,
    turns: Turns,
    sessions: Option<Sessions>,
}

/// Who is next.
#[derive(Debug)]
enum Turns {
    /// A child of weight n has n places, one behind the other.
    Fixed { places: Vec<usize>, next: AtomicUsize },
    /// Weights follow the number of messages under way.
    LeastConnections(LeastConnections),
}

const WEIGHT: &str = "loadbalance.weight";
/// Greatest weight: it is the number of messages that go to one child in a row.
const MAX_WEIGHT: i64 = 1000;

impl LoadBalance {
    pub(super) fn build(
        endpoint: &EndpointConfig,
        config: &config::LoadBalance,
        cx: &mut BuildCx<'_>,
    ) -> Result<Self, Diagnostic> {
        let mut children = build_children(&config.children, cx)?;
        children.extend(members(&config.members, config.failover));
        let turns = match config.algorithm {
            LoadBalanceAlgorithm::RoundRobin => {
                Turns::Fixed { places: (0..children.len()).collect(), next: AtomicUsize::new(0) }
            }
            LoadBalanceAlgorithm::WeightedRoundRobin => {
                let mut places = Vec::new();
                for (index, child) in config.children.iter().enumerate() {
                    let weight = number(child, WEIGHT)?.unwrap_or(1);
                    places.extend(std::iter::repeat_n(index, usize::try_from(weight).unwrap_or(1)));
                }
                Turns::Fixed { places, next: AtomicUsize::new(0) }
            }
            LoadBalanceAlgorithm::WeightedLeastConnections => {
                Turns::LeastConnections(LeastConnections::build(endpoint, &config.children)?)
            }
        };
        let sessions = config.session.as_ref().map(Sessions::new);
        let build_message = config.build_message.unwrap_or(false);
        Ok(Self { children, failover: config.failover, build_message, turns, sessions })
    }

    pub(super) fn children(&self) -> &[Arc<Endpoint>] {
        &self.children
    }

    /// Sessions go on over a deployment.
    pub(super) fn take_over(&self, former: &Self) {
        if let (Some(sessions), Some(former)) = (&self.sessions, &former.sessions) {
            sessions.take_over(former);
        }
    }

    pub(super) async fn send(&self, endpoint: &Arc<Endpoint>, cx: &mut Context) -> Result<Sent, Fault> {
        if self.build_message && self.failover && !cx.message.body.is_built() {
            crate::flow::build_body(cx).await?;
        }
        let Some(sessions) = &self.sessions else {
            let retries = if self.failover { self.children.len() } else { 1 };
            keep_body(cx, retries).await?;
            return self.send_in_turn(endpoint, cx, None).await;
        };
        match sessions.find(cx).await? {
            Found::Bound { child, session } => self.send_bound(sessions, cx, child, session).await,
            Found::New { id } => {
                keep_body(cx, self.children.len()).await?;
                // The back end is to begin a session of its own. MI: `Dispatcher#removeSessionID`.
                sessions.forget_in(&mut cx.message);
                self.send_in_turn(endpoint, cx, Some((sessions, id))).await
            }
        }
    }

    /// To the children in turn until one takes the message. The first message of a session may go on to another child,
    /// whatever `failover` says.
    async fn send_in_turn(
        &self,
        endpoint: &Arc<Endpoint>,
        cx: &mut Context,
        session: Option<(&Sessions, Option<Arc<str>>)>,
    ) -> Result<Sent, Fault> {
        let mut tried = vec![false; self.children.len()];
        let mut last = None;
        while let Some(index) = self.take_turn(cx, &tried) {
            tried[index] = true;
            let child = &self.children[index];
            if let Some((sessions, id)) = &session {
                sessions.begin(cx, id.as_ref(), index);
            }
            let under_way = self.turns.enter(index);
            let sent = attempt(cx, child).await;
            drop(under_way);
            match sent {
                Ok(sent) => {
                    if let Some((sessions, _)) = &session {
                        sessions.answered(cx, None, index);
                    }
                    return Ok(sent);
                }
                Err(fault) => {
                    report_failure("LoadbalanceEndpoint", endpoint, child, cx);
                    if let Some((sessions, Some(id))) = &session {
                        sessions.unbind(id);
                    }
                    let goes_on = session.is_some() || self.failover;
                    if !goes_on || !fault.handled {
                        return Err(fault);
                    }
                    if !child.may_retry(cx, fault.code) {
                        return Err(not_retried("LoadbalanceEndpoint", "Loadbalance", endpoint, cx, fault));
                    }
                    clear_error(cx);
                    last = Some(fault);
                }
            }
        }
        let kind = if session.is_some() { "SLALoadbalance" } else { "Loadbalance" };
        Err(last.unwrap_or_else(|| none_ready("LoadbalanceEndpoint", kind, &endpoint.name, cx)))
    }

    /// To the child that the session is bound to, and to no other. MI: `SALoadbalanceEndpoint#sendMessageOnCurrentSession`.
    async fn send_bound(
        &self,
        sessions: &Sessions,
        cx: &mut Context,
        index: usize,
        session: Arc<str>,
    ) -> Result<Sent, Fault> {
        let Some(child) = self.children.get(index) else {
            let text = format!("Invalid endpoint sequence for session with id {session}");
            return Err(Fault::coded(codes::SESSION_INVALID_PATH, text.clone(), text));
        };
        if !child.is_ready(cx) {
            let text = format!("The endpoint Endpoint [{}] on the session with id {session} is not ready.", child.name);
            return Err(Fault::coded(codes::SESSION_NOT_READY, text.clone(), text));
        }
        sessions.begin(cx, None, index);
        let under_way = self.turns.enter(index);
        let sent = attempt(cx, child).await;
        drop(under_way);
        if sent.is_ok() {
            sessions.answered(cx, Some(&session), index);
        }
        sent
    }

    /// The child that is next, of those that are ready and were not tried. MI's weighted algorithms do not ask whether a
    /// child is ready, and spend an attempt on it.
    fn take_turn(&self, cx: &Context, tried: &[bool]) -> Option<usize> {
        let fits = |index: usize| !tried[index] && self.children[index].is_ready(cx);
        match &self.turns {
            Turns::Fixed { places, next } => (0..places.len()).find_map(|_| {
                let turn = next.fetch_add(1, Ordering::Relaxed) % places.len();
                Some(places[turn]).filter(|index| fits(*index))
            }),
            Turns::LeastConnections(turns) => turns.take(fits),
        }
    }
}

impl Turns {
    fn enter(&self, index: usize) -> Option<UnderWay<'_>> {
        match self {
            Self::Fixed { .. } => None,
            Self::LeastConnections(turns) => {
                let open = turns.open.get(index)?;
                open.fetch_add(1, Ordering::Relaxed);
                Some(UnderWay(open))
            }
        }
    }
}

/// A message on its way to a child.
#[derive(Debug)]
struct UnderWay<'t>(&'t AtomicI64);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A property of an endpoint that is a number above zero. MI: `WeightedRoundRobin#init`.
fn number(endpoint: &EndpointConfig, name: &str) -> Result<Option<i64>, Diagnostic> {
    let found: Option<&EndpointProperty> = endpoint.properties.iter().find(|it| it.name == name);
    let Some(PropertyValue::Text(text)) = found.map(|it| &it.value) else { return Ok(None) };
    match text.trim().parse::<i64>() {
        Ok(number) if (1..=MAX_WEIGHT).contains(&number) => Ok(Some(number)),
        _ => {
            Err(endpoint.element.error(format!("'{name}' must be a whole number from 1 to {MAX_WEIGHT}, not '{text}'")))
        }
    }
}

/// Runs of messages as the weights say; after each round of all children the weights are computed anew, so that a child
/// with many messages under way gets fewer. MI: `WeightedRRLCAlgorithm`.
#[derive(Debug)]
struct LeastConnections {
    /// Messages under way, by the index of the child.
    open: Vec<AtomicI64>,
    /// Locked for moments only.
    round: Mutex<Round>,
}

#[derive(Debug)]
struct Round {
    /// Heaviest first.
    children: Vec<Weighted>,
    cursor: usize,
    rounds: i64,
    rounds_per_weighing: i64,
}

#[derive(Debug)]
struct Weighted {
    index: usize,
    fixed: i64,
    least: i64,
    most: i64,
    /// What this round gives it.
    weight: i64,
    left: i64,
}

/// How far a computed weight may be from the configured one, unless an endpoint says otherwise. MI:
/// `LB_WEIGHTED_RRLC_WEIGHT_SKEW`.
const SKEW: i64 = 2;

impl LeastConnections {
    fn build(endpoint: &EndpointConfig, children: &[EndpointConfig]) -> Result<Self, Diagnostic> {
        let mut weighted = Vec::new();
        for (index, child) in children.iter().enumerate() {
            let fixed = number(child, WEIGHT)?.ok_or_else(|| {
                child.element.error(format!("every endpoint of this algorithm needs the property '{WEIGHT}'"))
            })?;
            let least = number(child, "loadbalance.weight.min")?.unwrap_or((fixed - SKEW).max(0));
            let most = number(child, "loadbalance.weight.max")?.unwrap_or(fixed + SKEW);
            weighted.push(Weighted { index, fixed, least, most, weight: fixed, left: fixed });
        }
        if weighted.is_empty() {
            return Err(endpoint.element.error("this algorithm needs endpoints, not members"));
        }
        weighted.sort_by_key(|it| std::cmp::Reverse(it.fixed));
        let rounds_per_weighing = number(endpoint, "loadbalance.weightedRRLC.roundsPerRecal")?.unwrap_or(1);
        let round = Round { children: weighted, cursor: 0, rounds: 0, rounds_per_weighing };
        Ok(Self { open: children.iter().map(|_| AtomicI64::new(0)).collect(), round: Mutex::new(round) })
    }

    fn take(&self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let mut round = self.round.lock().unwrap_or_else(PoisonError::into_inner);
        // Each child comes once, and the first one again when its run was over.
        for _ in 0..=round.children.len() {
            let cursor = round.cursor;
            let child = &mut round.children[cursor];
            if child.left > 0 && fits(child.index) {
                child.left -= 1;
                return Some(child.index);
            }
            round.next_child(&self.open);
        }
        None
    }
}

impl Round {
    fn next_child(&mut self, open: &[AtomicI64]) {
        let child = &mut self.children[self.cursor];
        child.left = child.weight.max(1);
        self.cursor += 1;
        if self.cursor < self.children.len() {
            return;
        }
        self.cursor = 0;
        self.rounds += 1;
        if self.rounds >= self.rounds_per_weighing {
            self.rounds = 0;
            self.weigh(open);
        }
    }

    /// MI: `WeightedState#reCalcuateWeight`.
    fn weigh(&mut self, open: &[AtomicI64]) {
        let of = |child: &Weighted| open[child.index].load(Ordering::Relaxed).max(0);
        let all: i64 = self.children.iter().map(of).sum();
        let weights: i64 = self.children.iter().map(|it| it.fixed).sum();
        if all == 0 {
            return;
        }
        for child in &mut self.children {
            let share = child.fixed as f64 / weights as f64 - of(child) as f64 / all as f64;
            let shift = share * all as f64;
            let rounded = if shift.floor() - shift >= -0.5 { shift.floor() } else { shift.ceil() };
            let weight = child.fixed + rounded as i64;
            child.weight = if share < 0.0 { weight.max(child.least) } else { weight.min(child.most) };
            child.left = child.weight;
        }
    }
}

/// The address of a host for this message. MI: `LoadbalanceEndpoint#sendToApplicationMember`.
pub(super) fn member_address(member: &config::Member, cx: &Context) -> Result<String, Fault> {
    let request = &cx.exchange.request;
    if request.method.is_empty() {
        return Err(Fault::new("Cannot load balance for non-HTTP/S transport"));
    }
    let (scheme, port) = if request.secure { ("https", member.https_port) } else { ("http", member.http_port) };
    let Some(port) = port else {
        return Err(Fault::new(format!("The member {} has no port for {scheme}", member.host)));
    };
    let to = cx.message.addressing.to.as_deref().unwrap_or(&request.target);
    let path = match to.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| rest[at..].split(['?', '#']).next().unwrap_or_default()),
        None => to,
    };
    let slash = if path.starts_with('/') || path.is_empty() { "" } else { "/" };
    Ok(format!("{scheme}://{}:{port}{slash}{path}", member.host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(weights: &[i64]) -> LeastConnections {
        let weighted = |(index, fixed): (usize, &i64)| Weighted {
            index,
            fixed: *fixed,
            least: (fixed - SKEW).max(0),
            most: fixed + SKEW,
            weight: *fixed,
            left: *fixed,
        };
        let children = weights.iter().enumerate().map(weighted).collect();
        LeastConnections {
            open: weights.iter().map(|_| AtomicI64::new(0)).collect(),
            round: Mutex::new(Round { children, cursor: 0, rounds: 0, rounds_per_weighing: 1 }),
        }
    }

    fn taken(turns: &LeastConnections, count: usize) -> Vec<usize> {
        (0..count).map(|_| turns.take(|_| true).unwrap()).collect()
    }

    #[test]
    fn weights_hold_while_nothing_is_under_way() {
        assert_eq!(taken(&turns(&[3, 1]), 8), [0, 0, 0, 1, 0, 0, 0, 1]);
    }

    #[test]
    fn a_child_with_much_under_way_gets_less() {
        let turns = turns(&[2, 2]);
        assert_eq!(taken(&turns, 4), [0, 0, 1, 1]);
        turns.open[0].store(6, Ordering::Relaxed);
        // All of the load is with the first one: it falls to its least weight, and the other rises to its greatest.
        assert_eq!(taken(&turns, 5), [1, 1, 1, 1, 1]);
    }

    #[test]
    fn children_that_do_not_fit_are_passed_over() {
        let turns = turns(&[3, 1]);
        assert_eq!(turns.take(|index| index == 1), Some(1));
        assert_eq!(turns.take(|_| false), None);
    }
}
