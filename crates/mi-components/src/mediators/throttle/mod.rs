//! `<throttle>` lets so many messages of a caller pass in a unit of time, and so many at once; the others take the
//! branch `onReject`.
//!
//! The counts belong to the deployed artifact, and go on when others are deployed. A place among the messages under way is
//! free again when the client has its answer.

mod counters;
mod policy;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_message::Value;

use self::counters::{Place, Places, Window};
use self::policy::{Access, Limits, Rate};
use super::branch;
use crate::resource;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("throttle", parse)
    .attributes(&["id", "onAccept", "onReject"])
    .children(&["policy", "onAccept", "onReject"]);

/// MI: `ThrottleMediator`.
#[derive(Debug)]
struct Throttle {
    policy: Policy,
    on_accept: Option<SequenceTarget>,
    on_reject: Option<SequenceTarget>,
}

#[derive(Debug)]
enum Policy {
    /// Also one without a throttle assertion.
    None,
    Inline(Arc<Limiter>),
    /// Of a local entry or the registry, read for the first message.
    Key {
        key: String,
        limiter: Arc<OnceLock<Option<Limiter>>>,
    },
}

/// Limits and what was counted against them.
#[derive(Debug)]
struct Limiter {
    limits: Limits,
    places: Option<Arc<Places>>,
    /// By caller and by the artifact that the flow belongs to, as a sequence can serve several. Held for a few
    /// comparisons; there are no more entries than callers in the policy times artifacts.
    windows: Mutex<HashMap<Arc<str>, HashMap<String, Window>>>,
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    el.filled_attr("id").ok_or_else(|| el.error("<throttle> needs the attribute 'id'"))?;
    let policy = match el.child("policy") {
        Some(policy) => parse_policy(&policy, cx)?,
        None => Policy::None,
    };
    Ok(Box::new(Throttle {
        policy,
        on_accept: parse_branch(el, "onAccept", cx)?,
        on_reject: parse_branch(el, "onReject", cx)?,
    }))
}

fn parse_policy(el: &Element, cx: &BuildCx<'_>) -> Result<Policy, Diagnostic> {
    if el.attr("key").is_some() {
        let key = el.qualified_attr("key")?.filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| el.error("the attribute 'key' of <policy> must not be empty"))?;
        let text = cx.resource(&key).map(|policy| policy.to_text().into_owned()).unwrap_or_default();
        return Ok(Policy::Key { key, limiter: cx.keep(el, &text, OnceLock::new) });
    }
    let Some(inline) = el.first_child() else { return Ok(Policy::None) };
    let limits = Limits::parse(inline.document(), inline.node(), &|text| inline.scope().resolve(text));
    match limits.map_err(|error| inline.error(format!("the throttling policy is not valid: {error}")))? {
        Some(limits) => Ok(Policy::Inline(cx.keep(&inline, "", || Limiter::new(limits)))),
        None => Ok(Policy::None),
    }
}

/// The sequence that the attribute names, else the element of the same name.
fn parse_branch(el: &Element, name: &str, cx: &mut BuildCx<'_>) -> Result<Option<SequenceTarget>, Diagnostic> {
    if let Some(key) = el.attr(name) {
        let key = el.qualify(key.trim())?;
        return Ok(Some(SequenceTarget::Named(cx.sequence_ref(&key))));
    }
    Ok(el.child(name).map(|inline| branch::inline(&inline, cx)))
}

impl Mediator for Throttle {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        // Only requests count; the answer of a `call` is none. MI: `SynapseCallbackReceiver#handleMessage`.
        if cx.message.is_response() {
            return Ok(Flow::Next);
        }
        let allowed = match self.limiter(cx)? {
            None => true,
            Some(limiter) => limiter.admits(cx)?,
        };
        cx.message.properties.set("synapse.is.concurrent.access.allowed", allowed);
        let (name, target) = if allowed { ("onAccept", &self.on_accept) } else { ("onReject", &self.on_reject) };
        match target {
            Some(SequenceTarget::Named(reference)) => match cx.snapshot.sequence(reference) {
                Some(sequence) => Ok(Flow::Enter(sequence)),
                None => Err(Fault::new(format!("Unable to find {name} sequence with key : {}", reference.name()))),
            },
            Some(inline) => Ok(Flow::Enter(cx.resolve(inline)?)),
            None if allowed => Ok(Flow::Next),
            None => Ok(Flow::End),
        }
    }
}

impl Throttle {
    fn limiter(&self, cx: &Context) -> Result<Option<&Limiter>, Fault> {
        match &self.policy {
            Policy::None => Ok(None),
            Policy::Inline(limiter) => Ok(Some(limiter)),
            Policy::Key { key, limiter } => {
                if let Some(limiter) = limiter.get() {
                    return Ok(limiter.as_ref());
                }
                let read = read_policy(key, cx)?;
                Ok(limiter.get_or_init(|| read.map(Limiter::new)).as_ref())
            }
        }
    }
}

/// MI: `ThrottleMediator#doInitializeThrottleDynamicPolicy`.
fn read_policy(key: &str, cx: &Context) -> Result<Option<Limits>, Fault> {
    let value = resource::value(&cx.snapshot, key)
        .ok_or_else(|| Fault::new(format!("Null throttling policy returned by Entry : {key}")))?;
    let Value::Xml(xml) = value else {
        return Err(Fault::new(format!("Policy returned from key : {key} is not an OMElement")));
    };
    let Some(root) = xml.nodes.first() else { return Ok(None) };
    Limits::parse(&xml.document, *root, &|text| Ok(text.to_owned())).map_err(|error| {
        let fault = Fault::new("Error processing the throttling policy");
        Fault { detail: format!("{}: {error}", fault.message), ..fault }
    })
}

impl Limiter {
    fn new(limits: Limits) -> Self {
        let places = limits.concurrency.map(Places::new);
        Self { limits, places, windows: Mutex::default() }
    }

    /// A place first, then the rate; a message that the rate rejects gives its place back.
    fn admits(&self, cx: &Context) -> Result<bool, Fault> {
        let place: Option<Place> = match &self.places {
            None => None,
            Some(places) => match places.take() {
                None => return Ok(false),
                place => place,
            },
        };
        if !self.admits_caller(cx)? {
            return Ok(false);
        }
        if let Some(place) = place {
            cx.exchange.hold(Box::new(place));
        }
        Ok(true)
    }

    /// MI: `ThrottleMediator#doThrottleByAccessRate`.
    fn admits_caller(&self, cx: &Context) -> Result<bool, Fault> {
        let property = |name: &str| cx.message.axis2.get(name).map(|value| value.to_text());
        let header = |name: &str| cx.message.headers.get(name);
        let domain = match header("X-Forwarded-Host") {
            Some(forwarded) => Some(forwarded.into()),
            None => property("REMOTE_HOST"),
        };
        if let (Some(domain), Some(callers)) = (domain, &self.limits.by_domain)
            && let Some((caller, access)) = callers.of_domain(&domain)
        {
            return self.admits_access(caller, access, cx);
        }
        let address = match header("X-Forwarded-For").filter(|forwarded| !forwarded.is_empty()) {
            Some(forwarded) => Some(forwarded.split(',').next().unwrap_or(forwarded).into()),
            None => property("REMOTE_ADDR"),
        };
        if let (Some(address), Some(callers)) = (address, &self.limits.by_address)
            && let Some((caller, access)) = callers.of_address(&address)
        {
            return self.admits_access(caller, access, cx);
        }
        Ok(true)
    }

    /// MI: `AccessRateController#canAccess`.
    fn admits_access(&self, caller: &str, access: Access, cx: &Context) -> Result<bool, Fault> {
        let (admitted, reason) = match access {
            Access::Allowed => (true, ""),
            Access::Denied => (false, "you have been prohibited permanently"),
            Access::Limited(rate) => (self.counts(caller, rate, cx)?, "you have exceeded the allocated quota"),
        };
        if !admitted {
            log::info!(target: "AccessRateController", "You cannot access this service since {reason}.");
        }
        Ok(admitted)
    }

    fn counts(&self, caller: &str, rate: Rate, cx: &Context) -> Result<bool, Fault> {
        if rate.count < 0 || rate.unit <= 0 || rate.prohibit < 0 {
            return Err(Fault::new("Error occurred during throttling"));
        }
        let now = cx.snapshot.services.clock.now_millis();
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let of_artifact = match windows.get_mut(&cx.artifact.log_prefix) {
            Some(known) => known,
            None => windows.entry(cx.artifact.log_prefix.clone()).or_default(),
        };
        if let Some(window) = of_artifact.get_mut(caller) {
            return Ok(window.admits(rate, now));
        }
        Ok(of_artifact.entry(caller.to_owned()).or_default().admits(rate, now))
    }
}

#[cfg(test)]
mod tests;
