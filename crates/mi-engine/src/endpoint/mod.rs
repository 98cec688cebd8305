//! Endpoints: where messages are sent, in which state they are, and what is done when they fail.

mod address;
mod auth;
mod balance;
mod blocking;
mod group;
mod java_date;
mod leaf;
pub(crate) mod outgoing;
mod reclaim;
mod session;
pub mod state;
#[cfg(test)]
mod tests;
mod wsdl;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use mi_config::endpoint::{EndpointProperty, PropertyValue};
use mi_config::{Diagnostic, EndpointConfig, EndpointKind};
use mi_message::Value;

pub use address::Target;

use crate::build::BuildCx;
use crate::context::{Context, SequenceTarget};
use crate::fault::{Fault, codes};
use crate::snapshot::{EndpointRef, SequenceRef};
use balance::LoadBalance;
use group::{Failover, RecipientList};
use leaf::Leaf;
use state::EndpointState;

/// An endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Name; made up for an anonymous one.
    pub name: Arc<str>,
    kind: Kind,
    properties: Vec<EndpointProperty>,
    on_error: Option<SequenceRef>,
    /// A group that an operator has switched off. A leaf has a state for this.
    off: AtomicBool,
    /// The same for the same configuration; empty for endpoints that none stands behind.
    fingerprint: String,
}

#[derive(Debug)]
enum Kind {
    Leaf(Box<Leaf>),
    LoadBalance(LoadBalance),
    Failover(Failover),
    RecipientList(RecipientList),
    Reference(EndpointRef),
    Resolving(mi_expr::Expr, Option<String>),
    Template(TemplateInstance),
    Unsupported(String),
}

/// An endpoint made from a template, which may be deployed later than its users.
#[derive(Debug)]
struct TemplateInstance {
    config: mi_config::endpoint::TemplateEndpoint,
    made: OnceLock<Arc<Endpoint>>,
}

/// What came of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// The answer is the message now.
    Answered,
    /// No answer is awaited (`OUT_ONLY`, one-way transports).
    OneWay,
    /// Copies went to several endpoints; their answers flow on their own.
    Scattered,
}

impl Endpoint {
    fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            properties: Vec::new(),
            on_error: None,
            off: AtomicBool::new(false),
            fingerprint: String::new(),
        }
    }

    /// Sends the message and waits for the answer, which becomes the message. On a failure the message keeps its
    /// properties, and the endpoint's state has changed as its configuration says.
    pub fn send(self: Arc<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Sent, Fault>> {
        self.send_as(cx, Role::Root)
    }

    pub(crate) fn send_as(self: Arc<Self>, cx: &mut Context, role: Role) -> BoxFuture<'_, Result<Sent, Fault>> {
        Box::pin(async move {
            if let Some(on_error) = &self.on_error {
                cx.push_fault_handler(SequenceTarget::Named(on_error.clone()));
            }
            let sent = self.clone().send_by_kind(cx, role).await;
            if self.on_error.is_some() && sent.is_ok() {
                cx.handlers.pop();
            }
            sent
        })
    }

    async fn send_by_kind(self: Arc<Self>, cx: &mut Context, role: Role) -> Result<Sent, Fault> {
        if self.off.load(Ordering::Relaxed) {
            let text = format!("Endpoint : {} - is inactive", self.name);
            return Err(Fault { exception: text.clone(), ..Fault::coded(codes::GROUP_NONE_READY, text.clone(), text) });
        }
        match &self.kind {
            Kind::Leaf(leaf) => leaf.send(&self, cx, role).await,
            Kind::LoadBalance(group) => group.send(&self, cx).await,
            Kind::Failover(group) => group.send(&self, cx).await,
            Kind::RecipientList(group) => group.send(&self, cx).await,
            Kind::Reference(reference) => {
                let target = cx.snapshot.endpoint(reference).ok_or_else(|| missing(reference.name()))?;
                target.send_as(cx, role).await
            }
            Kind::Resolving(expression, application) => {
                let mut key = expression.eval_string(&cx.message, &*cx.snapshot)?.to_string();
                if let Some(application) = application
                    && cx.message.properties.is_true(APPEND_APPLICATION)
                {
                    key = format!("{application}__{key}");
                }
                let target = cx.snapshot.endpoint_by_key(&key).ok_or_else(|| missing(&key))?;
                target.send_as(cx, role).await
            }
            Kind::Template(instance) => instance.endpoint(cx)?.send_as(cx, role).await,
            Kind::Unsupported(why) => Err(Fault::new(why.clone())),
        }
    }

    /// May a message be sent now?
    pub fn is_ready(&self, cx: &Context) -> bool {
        if self.off.load(Ordering::Relaxed) {
            return false;
        }
        match &self.kind {
            Kind::Leaf(leaf) => leaf.state.is_ready(cx.snapshot.services.clock.now_millis()),
            Kind::LoadBalance(group) => group.children().iter().any(|child| child.is_ready(cx)),
            Kind::Failover(group) => group.children().iter().any(|child| child.is_ready(cx)),
            Kind::Reference(reference) => cx.snapshot.endpoint(reference).is_some_and(|it| it.is_ready(cx)),
            Kind::Template(instance) => instance.endpoint(cx).is_ok_and(|it| it.is_ready(cx)),
            Kind::RecipientList(group) if !group.children().is_empty() => {
                group.children().iter().any(|child| child.is_ready(cx))
            }
            Kind::RecipientList(_) | Kind::Resolving(..) | Kind::Unsupported(_) => true,
        }
    }

    /// The state of a leaf endpoint.
    pub fn state(&self) -> Option<&EndpointState> {
        match &self.kind {
            Kind::Leaf(leaf) => Some(&leaf.state),
            _ => None,
        }
    }

    /// Is it ACTIVE? An endpoint without a state of its own is. MI: `EndpointContext#isState`.
    pub fn is_active(&self) -> bool {
        match self.state() {
            Some(state) => state.state() == state::State::Active,
            None => !self.off.load(Ordering::Relaxed),
        }
    }

    /// Switches it off, or on and active. False for endpoints that stand for others and have no state of their own.
    pub fn switch(&self, on: bool) -> bool {
        match &self.kind {
            Kind::Leaf(leaf) if on => leaf.state.switch_on(),
            Kind::Leaf(leaf) => leaf.state.switch_off(),
            Kind::LoadBalance(_) | Kind::Failover(_) | Kind::RecipientList(_) => self.off.store(!on, Ordering::Relaxed),
            Kind::Reference(_) | Kind::Resolving(..) | Kind::Template(_) | Kind::Unsupported(_) => return false,
        }
        true
    }

    /// Goes on from the state of the endpoint that had this name before a deployment, when its configuration is the same.
    pub(crate) fn take_over(&self, former: &Self) {
        if self.fingerprint != former.fingerprint {
            return;
        }
        self.off.store(former.off.load(Ordering::Relaxed), Ordering::Relaxed);
        match (&self.kind, &former.kind) {
            (Kind::Leaf(leaf), Kind::Leaf(former)) => leaf.state.take_over(&former.state),
            (Kind::LoadBalance(group), Kind::LoadBalance(former)) => {
                group.take_over(former);
                take_over_all(group.children(), former.children());
            }
            (Kind::Failover(group), Kind::Failover(former)) => take_over_all(group.children(), former.children()),
            (Kind::RecipientList(group), Kind::RecipientList(former)) => {
                take_over_all(group.children(), former.children());
            }
            _ => {}
        }
    }

    /// True when a fault with this code may go to another member of the group. MI: `AbstractEndpoint#isRetry`.
    fn may_retry(&self, cx: &Context, code: Option<u32>) -> bool {
        match &self.kind {
            Kind::Leaf(leaf) => leaf.may_retry(code),
            Kind::Reference(reference) => cx.snapshot.endpoint(reference).is_none_or(|it| it.may_retry(cx, code)),
            Kind::Template(instance) => instance.endpoint(cx).is_ok_and(|it| it.may_retry(cx, code)),
            _ => true,
        }
    }

    /// Sets the endpoint's `<property>`s on the message. MI: `AbstractEndpoint#evaluateProperties`.
    fn set_properties(&self, cx: &mut Context) -> Result<(), Fault> {
        for property in &self.properties {
            let value = match &property.value {
                PropertyValue::Text(text) => Value::from(text.as_str()),
                PropertyValue::Expression(expression) => {
                    Value::from(expression.eval_string(&cx.message, &*cx.snapshot)?)
                }
                PropertyValue::Xml(element) => Value::from(element.to_xml()),
            };
            let name = property.name.as_str();
            match property.scope.as_deref() {
                None | Some("default" | "synapse") => cx.message.properties.set(name, value),
                Some("axis2") => cx.message.axis2.set(name, value),
                Some("axis2-client") => cx.message.axis2_client.set(name, value),
                Some("transport") => cx.message.headers.set(name, &*value.to_text()),
                Some(_) => cx.message.operation.set(name, value),
            }
        }
        Ok(())
    }
}

fn take_over_all(children: &[Arc<Endpoint>], former: &[Arc<Endpoint>]) {
    for (child, former) in children.iter().zip(former) {
        child.take_over(former);
    }
}

/// Whether an endpoint is used by itself or as a member of a group: only by itself it refuses when it is not ready,
/// because a group asks first. MI: `getParentEndpoint() == null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Root,
    Member,
}

/// A property that has keys which are computed looked for in the versioned application. MI: `ResolvingEndpoint#sendMessage`.
const APPEND_APPLICATION: &str = "APPEND_ARTIFACT_IDENTIFIER";

/// MI: `IndirectEndpoint#loadAndInitEndpoint`, `ResolvingEndpoint#send`.
pub(crate) fn missing(key: &str) -> Fault {
    let text = format!("Endpoint named {key} cannot be found, or is not ready");
    Fault::coded(codes::INDIRECT_NOT_READY, format!("Reference to non-existent endpoint for key : {key}"), text)
}

impl TemplateInstance {
    fn endpoint(&self, cx: &Context) -> Result<Arc<Endpoint>, Fault> {
        if let Some(made) = self.made.get() {
            return Ok(made.clone());
        }
        let made = crate::build::endpoint_from_template(&cx.snapshot, &self.config)
            .ok_or_else(|| Fault::new(format!("Endpoint template {} cannot be found", self.config.template)))?;
        Ok(self.made.get_or_init(|| made).clone())
    }
}

/// Compiles an endpoint that is given inline or by key.
pub(crate) fn build_reference(
    reference: &mi_config::EndpointRef,
    cx: &mut BuildCx<'_>,
) -> Result<Arc<Endpoint>, Diagnostic> {
    match reference {
        mi_config::EndpointRef::Inline(config) => build(config, cx),
        mi_config::EndpointRef::Key(key) => Ok(Arc::new(by_key(key, cx))),
    }
}

/// The endpoint of a name or registry key, which may be deployed later.
pub fn reference(key: &str, cx: &mut BuildCx<'_>) -> Arc<Endpoint> {
    Arc::new(by_key(key, cx))
}

/// An endpoint that stands for another one.
fn by_key(key: &str, cx: &mut BuildCx<'_>) -> Endpoint {
    let reference = cx.endpoint_ref(key);
    Endpoint::new(key, Kind::Reference(reference))
}

/// An endpoint for the address that the message carries (`To`).
pub fn implicit() -> Arc<Endpoint> {
    let kind = Kind::Leaf(Box::new(Leaf::implicit()));
    Arc::new(Endpoint::new("AnonymousEndpoint", kind))
}

/// An endpoint for an address that was computed while a message ran.
pub fn for_address(address: &str) -> Arc<Endpoint> {
    let kind = Kind::Leaf(Box::new(Leaf::for_address(address)));
    Arc::new(Endpoint::new(address, kind))
}

/// An endpoint for a host of a group, which keeps the path of the message.
fn for_member(member: &mi_config::endpoint::Member, suspends: bool) -> Arc<Endpoint> {
    let kind = Kind::Leaf(Box::new(Leaf::for_member(member, suspends)));
    Arc::new(Endpoint::new(member.host.as_str(), kind))
}

/// An endpoint for a computed address that is suspended when it fails, as one that is configured without any settings.
fn for_recipient(address: &str) -> Arc<Endpoint> {
    let kind = Kind::Leaf(Box::new(Leaf::for_recipient(address)));
    Arc::new(Endpoint::new(address, kind))
}

/// Compiles an endpoint.
pub(crate) fn build(config: &EndpointConfig, cx: &mut BuildCx<'_>) -> Result<Arc<Endpoint>, Diagnostic> {
    let kind = match &config.kind {
        EndpointKind::Address(_) | EndpointKind::Http(_) | EndpointKind::Wsdl(_) | EndpointKind::Default(_) => {
            Kind::Leaf(Box::new(Leaf::build(config, cx)?))
        }
        EndpointKind::LoadBalance(group) => Kind::LoadBalance(LoadBalance::build(config, group, cx)?),
        EndpointKind::Failover(group) => Kind::Failover(Failover::build(group, cx)?),
        EndpointKind::RecipientList(group) => Kind::RecipientList(RecipientList::build(group, cx)?),
        EndpointKind::Template(template) => {
            Kind::Template(TemplateInstance { config: template.clone(), made: OnceLock::new() })
        }
        EndpointKind::Indirect { key } => Kind::Reference(cx.endpoint_ref(key)),
        EndpointKind::Resolving { expression, application } => Kind::Resolving(expression.clone(), application.clone()),
        EndpointKind::Class { class, .. } => {
            let text = format!("the endpoint class {class} is a Java class, which this server cannot run");
            let hint = "use an address or http endpoint in front of what the class does; messages sent to it fault";
            let place = config.element.child("class").unwrap_or_else(|| config.element.clone());
            cx.report_degraded(place.warning(text.clone()).hint(hint));
            Kind::Unsupported(text)
        }
    };
    Ok(Arc::new(Endpoint {
        properties: config.properties.clone(),
        on_error: config.on_error.as_deref().map(|key| cx.sequence_ref(key)),
        fingerprint: config.element.to_xml(),
        ..Endpoint::new(config.name.as_deref().unwrap_or("AnonymousEndpoint"), kind)
    }))
}
