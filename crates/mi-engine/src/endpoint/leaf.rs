//! An endpoint that is one address: address, http, wsdl and default endpoints.

use std::sync::Arc;
use std::time::Duration;

use mi_config::deployment::GlobalSuspension;
use mi_config::endpoint::{Format, Member, Optimize, Qos, Suspension, TimeoutAction, TimeoutDuration};
use mi_config::uri_template::UriExpander;
use mi_config::{Diagnostic, EndpointConfig, EndpointKind};
use mi_message::{Body, Value};

use super::address::{Target, masked};
use super::auth::Authenticator;
use super::balance::member_address;
use super::blocking;
use super::java_date::java_date;
use super::outgoing::{self, Shape};
use super::reclaim::Claim;
use super::state::{EndpointState, SuspensionPolicy, Transition};
use super::{Endpoint, Role, Sent};
use crate::build::BuildCx;
use crate::context::Context;
use crate::exchange::RequestInfo;
use crate::fault::{Fault, codes};
use crate::services::OutMessage;
use crate::snapshot::{Settings, Snapshot};
use crate::trail::{self, Follower};
use crate::transport::{Incoming, Outgoing, Payload};
use crate::{flow, incoming, local, serve};

/// The property by which a SOAP fault counts as a failure of the endpoint.
const FORCE_ERROR_ON_SOAP_FAULT: &str = "FORCE_ERROR_ON_SOAP_FAULT";

/// A leaf endpoint.
#[derive(Debug)]
pub(super) struct Leaf {
    address: Address,
    method: Option<String>,
    http2: bool,
    format: Option<Format>,
    encoding: Option<String>,
    /// WS-Addressing headers of this namespace are put on the message.
    addressing: Option<&'static str>,
    /// The payload is built before sending. MI: `contentAware` in `AbstractEndpoint#init`.
    builds_body: bool,
    optimize: Option<Optimize>,
    timeout: Option<TimeoutDuration>,
    discard_on_timeout: bool,
    retry_disabled: Vec<u32>,
    retry_enabled: Vec<u32>,
    authenticator: Option<Authenticator>,
    /// What MI calls the kind in messages about the state.
    label: &'static str,
    not_ready_code: u32,
    pub(super) state: EndpointState,
}

#[derive(Debug)]
enum Address {
    Fixed(Arc<Fixed>),
    Template(UriExpander),
    /// The `To` of the message.
    Message,
    /// A host, with the path of the message's `To`; the protocol is that of the request.
    Member(Member),
    /// A WSDL that has to be read from somewhere else first.
    Unresolved(String),
}

/// An address that is the same for every message.
#[derive(Debug)]
pub(super) struct Fixed {
    uri: Arc<str>,
    /// Its parts, if it is one of HTTP.
    target: Option<Target>,
}

impl Fixed {
    fn new(uri: &str) -> Arc<Self> {
        Arc::new(Self { uri: uri.into(), target: Target::parse(uri) })
    }
}

impl Leaf {
    /// An endpoint without configuration for the address in `To`.
    pub(super) fn implicit() -> Self {
        Self::plain(Address::Message)
    }

    /// An endpoint without configuration for a fixed address.
    pub(super) fn for_address(address: &str) -> Self {
        Self::plain(Address::Fixed(Fixed::new(address)))
    }

    /// An endpoint for a host of a group. With `suspends` it is left alone for a while after a failure, in which MI tries to
    /// connect to it now and then.
    pub(super) fn for_member(member: &Member, suspends: bool) -> Self {
        let mut leaf = Self::plain(Address::Member(member.clone()));
        if suspends {
            leaf.state = EndpointState::new(SuspensionPolicy {
                initial_duration: 500,
                progression_factor: 2.0,
                maximum_duration: 30_000,
                ..SuspensionPolicy::default()
            });
        }
        leaf
    }

    /// An endpoint for a fixed address with the suspension that endpoints have who say nothing about it.
    pub(super) fn for_recipient(address: &str) -> Self {
        let mut leaf = Self::for_address(address);
        leaf.state = EndpointState::new(SuspensionPolicy::default());
        leaf
    }

    fn plain(address: Address) -> Self {
        Self {
            address,
            method: None,
            http2: false,
            format: None,
            encoding: None,
            addressing: None,
            builds_body: false,
            optimize: None,
            timeout: None,
            discard_on_timeout: false,
            retry_disabled: Vec::new(),
            retry_enabled: Vec::new(),
            authenticator: None,
            label: "Default endpoint",
            not_ready_code: codes::ENDPOINT_NOT_READY,
            state: EndpointState::new(SuspensionPolicy {
                // Without configuration there is nobody whom a suspension could protect.
                suspend_codes: vec![0],
                timeout_codes: vec![0],
                ..SuspensionPolicy::default()
            }),
        }
    }

    pub(super) fn build(config: &EndpointConfig, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let (address, qos, label) = match &config.kind {
            EndpointKind::Address(it) => (Address::Fixed(Fixed::new(&it.uri)), &it.qos, "Address endpoint"),
            EndpointKind::Http(it) => {
                let address = it.uri.clone().map_or(Address::Message, Address::Template);
                (address, &it.qos, "HTTP endpoint")
            }
            EndpointKind::Wsdl(it) => (wsdl_address(it, config, cx), &it.qos, "WSDL endpoint"),
            EndpointKind::Default(qos) => (Address::Message, qos, "Default endpoint"),
            _ => return Err(config.element.error("not a leaf endpoint")),
        };
        let mut leaf = Self::plain(address);
        leaf.label = label;
        if label == "WSDL endpoint" {
            leaf.not_ready_code = codes::WSDL_ENDPOINT_NOT_READY;
        }
        if let EndpointKind::Http(http) = &config.kind {
            leaf.method.clone_from(&http.method);
            leaf.http2 = http.http2;
            leaf.authenticator = http.authentication.as_ref().map(Authenticator::new);
        }
        leaf.apply_qos(qos, cx.settings);
        outgoing::report_unsendable(config, cx);
        if qos.security.is_some() {
            let text = "WS-Security (<enableSec>) is not applied by this version; messages go out without it";
            cx.report(config.element.warning(text));
        }
        Ok(leaf)
    }

    fn apply_qos(&mut self, qos: &Qos, settings: &Settings) {
        self.format = qos.format;
        self.encoding.clone_from(&qos.encoding);
        self.addressing = qos
            .addressing
            .as_ref()
            .map(|it| if it.submission { mi_message::soap::WSA_SUBMISSION_NS } else { mi_message::soap::WSA_NS });
        self.builds_body = qos.format.is_some_and(|format| format != Format::Rest)
            || self.addressing.is_some()
            || qos.optimize.is_some();
        self.optimize = qos.optimize;
        self.timeout.clone_from(&qos.timeout.duration);
        self.discard_on_timeout = qos.timeout.action == TimeoutAction::Discard;
        let suspension = &qos.suspension;
        self.retry_disabled = unsigned(&suspension.retry_disabled_codes);
        self.retry_enabled = unsigned(&suspension.retry_enabled_codes);
        self.state = EndpointState::new(suspension_policy(suspension, &settings.suspension));
    }

    pub(super) fn may_retry(&self, code: Option<u32>) -> bool {
        let Some(code) = code else { return true };
        if self.retry_disabled.contains(&code) {
            return false;
        }
        self.retry_enabled.is_empty() || self.retry_enabled.contains(&code)
    }

    pub(super) async fn send(&self, endpoint: &Endpoint, cx: &mut Context, role: Role) -> Result<Sent, Fault> {
        let now = cx.snapshot.services.clock.now_millis();
        if role == Role::Root && !self.state.is_ready(now) {
            return Err(self.not_ready(&endpoint.name));
        }
        // The address of a default endpoint may stand in a SOAP header.
        let may_hold_address = matches!(self.address, Address::Message) && !cx.message.rest;
        if (self.builds_body || may_hold_address) && !cx.message.body.is_built() {
            flow::build_body(cx).await?;
        }
        endpoint.set_properties(cx)?;
        let address = self.address(endpoint, cx)?;
        // What is sent has its own headers. Those of the message are changed by a format, as other transports like, and by an
        // answer, which may count as a failure.
        let changes = self.format.is_some()
            || !outgoing::is_http(&address)
            || cx.message.properties.is_true(FORCE_ERROR_ON_SOAP_FAULT);
        let kept = changes.then(|| (cx.message.axis2.clone(), cx.message.headers.clone()));
        let one_way = cx.message.properties.is_true("OUT_ONLY");
        let received_type = cx.message.body.received_content_type().map(Arc::<str>::from);
        let claim = claim_body(cx);
        let answer = self.exchange(endpoint, cx, address).await;
        let outcome = match answer {
            Ok(answer) => self.accept(cx, answer, one_way).await,
            Err(fault) => Err(fault),
        };
        let outcome = if cx.blocking { outcome.map_err(blocking::failure) } else { outcome };
        match &outcome {
            Ok(_) => {
                if let Some(before) = self.state.on_success() {
                    log::info!(
                        target: "EndpointContext",
                        "{}{} currently {} will now be marked active since it processed its last message",
                        cx.artifact.log_prefix, self.shown(endpoint), before.label()
                    );
                }
            }
            Err(fault) => {
                let now = cx.snapshot.services.clock.now_millis();
                let transition = self.state.on_fault(fault.code, now, role == Role::Member);
                self.log_failure(endpoint, cx, transition);
                if let Some((axis2, headers)) = kept {
                    cx.message.axis2 = axis2;
                    cx.message.headers = headers;
                }
                if cx.blocking {
                    blocking::note_status(&mut cx.message, fault);
                }
                if let Some(stream) = claim.and_then(Claim::take_back) {
                    let options = cx.message.body.options().clone();
                    cx.message.body = Body::from_stream(stream, received_type);
                    cx.message.body.set_options(options);
                }
            }
        }
        outcome
    }

    /// The lines that operators search for. MI: `EndpointContext#setState`, `#onFault`, `#onSuccess`.
    fn log_failure(&self, endpoint: &Endpoint, cx: &Context, transition: Transition) {
        let prefix = &cx.artifact.log_prefix;
        let shown = self.shown(endpoint);
        let at = |millis: i64| java_date(millis, cx.snapshot.services.clock.zone_offset_seconds(millis));
        match transition {
            Transition::None => {}
            Transition::Timeout { retries_left, next_retry } => log::warn!(
                target: "EndpointContext",
                "{prefix}{shown} is marked as TIMEOUT and will be retried : {retries_left} more time/s after : {} \
                 until its marked SUSPENDED for failure", at(next_retry)
            ),
            Transition::LimitReached { current, next_retry } => log::warn!(
                target: "EndpointContext",
                "{prefix}{shown} will be marked SUSPENDED as it failed until the maximum failover retry limit. Current suspend \
                 duration is : {current}ms - Next retry after : {}", at(next_retry)
            ),
            Transition::Suspended { last, current, next_retry } => {
                log::warn!(target: "EndpointContext", "{prefix}{shown} will be marked SUSPENDED as it failed");
                let before =
                    last.map_or_else(|| " -".to_owned(), |last| format!(" - last suspend duration was : {last}ms and"));
                log::warn!(
                    target: "EndpointContext",
                    "{prefix}Suspending e{}{before} current suspend duration is : {current}ms - Next retry after : {}",
                    &shown[1..], at(next_retry)
                );
            }
        }
    }

    /// `Endpoint : NAME with address URI`, as MI's lines begin.
    fn shown(&self, endpoint: &Endpoint) -> String {
        match &self.address {
            Address::Fixed(fixed) => format!("Endpoint : {} with address {}", endpoint.name, masked(&fixed.uri)),
            _ => format!("Endpoint : {}", endpoint.name),
        }
    }

    fn not_ready(&self, name: &str) -> Fault {
        let state = self.state.state().label();
        let comma = if self.label == "HTTP endpoint" { "," } else { " ," };
        let text = format!("Currently{comma} {} : [ Name : {name} ] [ State : {state} ]", self.label);
        Fault { exception: text.clone(), ..Fault::coded(self.not_ready_code, text.clone(), text) }
    }

    /// Formats the message, sends it and waits for the head of the answer.
    async fn exchange(
        &self,
        endpoint: &Endpoint,
        cx: &mut Context,
        address: Arc<str>,
    ) -> Result<Option<Incoming>, Fault> {
        if let Some(method) = &self.method {
            cx.message.properties.put("HTTP_METHOD", method.as_str());
        }
        outgoing::apply_format(&mut cx.message, self.format, self.encoding.as_deref())?;
        let (format, method) = (self.format, self.method.clone());
        let shape = Shape { address, format, method, http2: self.http2, optimize: self.optimize };
        let address = match &self.address {
            // The path of the message is in it already.
            Address::Member(_) => shape.address.clone(),
            _ => outgoing::full_address(&cx.message, &shape),
        };
        cx.message.properties.put("ENDPOINT_PREFIX", shape.address.clone());
        let timeout = self.timeout(cx)?;
        if !outgoing::is_http(&address) {
            match tokio::time::timeout(timeout, other_transport(cx, &address)).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(answer))) => return Ok(answer),
                Ok(Err(fault)) => return Err(fault),
                Err(_) => return Err(self.timed_out(endpoint, timeout)),
            }
        }
        self.put_addressing(cx, &address)?;
        let known = match &self.address {
            Address::Fixed(fixed) if *fixed.uri == *address => fixed.target.as_ref(),
            _ => None,
        };
        let mut request = outgoing::request(cx, &shape, &address, known, self.addressing.is_some())?;
        request.timeout = Some(timeout);
        let (snapshot, follower) = (cx.snapshot.clone(), Follower::of(cx));
        let Some(authenticator) = &self.authenticator else {
            return self.transmit(endpoint, &snapshot, request, follower).await.map(Some);
        };
        let credentials = authenticator.credentials(cx)?;
        authenticator.authorize(&credentials, &snapshot, &mut request).await?;
        let again = if authenticator.may_renew() { request.replay() } else { None };
        let answer = self.transmit(endpoint, &snapshot, request, follower.clone()).await?;
        match again {
            Some(mut again) if answer.status == http::StatusCode::UNAUTHORIZED => {
                authenticator.forget();
                authenticator.authorize(&credentials, &snapshot, &mut again).await?;
                self.transmit(endpoint, &snapshot, again, follower).await.map(Some)
            }
            _ => Ok(Some(answer)),
        }
    }

    /// Puts WS-Addressing headers on a SOAP message. MI: `AddressingOutHandler`.
    fn put_addressing(&self, cx: &mut Context, address: &str) -> Result<(), Fault> {
        let Some(namespace) = self.addressing.filter(|_| !cx.message.rest) else { return Ok(()) };
        let mut addressing = cx.message.addressing.clone();
        addressing.to = Some(address.to_owned());
        addressing.message_id.get_or_insert_with(|| cx.snapshot.services.clock.new_id());
        crate::reply::remove_addressing(&mut cx.message);
        mi_message::soap::write_addressing(cx.message.body.envelope_mut()?, &addressing, namespace);
        Ok(())
    }

    async fn transmit(
        &self,
        endpoint: &Endpoint,
        snapshot: &Snapshot,
        mut request: Outgoing,
        follower: Option<Follower>,
    ) -> Result<Incoming, Fault> {
        let timeout = request.timeout.unwrap_or(snapshot.settings.global_timeout);
        let called = follower.map(|follower| follower.calls(&mut request));
        let sending = snapshot.services.http.send(request);
        // The client has the same deadline. This one is looked at first: only here is known what a time-out leads to.
        let answer = tokio::select! {
            biased;
            () = tokio::time::sleep(timeout) => None,
            answer = sending => Some(answer),
        };
        if let Some(called) = called {
            called.ended(answer.as_ref().map_or(Err("Send timeout"), trail::outcome));
        }
        match answer {
            Some(answer) => Ok(answer?),
            None => Err(self.timed_out(endpoint, timeout)),
        }
    }

    /// MI: `TimeoutHandler#processCallbacks`.
    fn timed_out(&self, endpoint: &Endpoint, timeout: Duration) -> Fault {
        let detail = format!("Send timeout: no answer of endpoint {} within {} ms", endpoint.name, timeout.as_millis());
        let mut fault = Fault::coded(codes::CONNECTION_TIMEOUT, "Send timeout", detail);
        fault.handled = !self.discard_on_timeout;
        fault
    }

    fn timeout(&self, cx: &Context) -> Result<Duration, Fault> {
        let global = cx.snapshot.settings.global_timeout;
        Ok(match &self.timeout {
            None => global,
            Some(TimeoutDuration::Millis(millis)) => Duration::from_millis(*millis),
            Some(TimeoutDuration::Expression(expression)) => {
                let text = expression.eval_string(&cx.message, &*cx.snapshot)?;
                match text.trim().parse() {
                    Ok(millis) => Duration::from_millis(millis).min(global),
                    Err(_) => global,
                }
            }
        })
    }

    fn address(&self, endpoint: &Endpoint, cx: &mut Context) -> Result<Arc<str>, Fault> {
        match &self.address {
            Address::Fixed(fixed) => Ok(fixed.uri.clone()),
            Address::Template(template) => {
                let message = &cx.message;
                let own = |name: &str| {
                    endpoint.properties.iter().find(|it| it.name == name).and_then(|it| match &it.value {
                        mi_config::endpoint::PropertyValue::Text(text) => Some(text.clone()),
                        _ => None,
                    })
                };
                let variable = |name: &str| {
                    own(name).or_else(|| message.properties.get(name).map(|value| value.to_text().into_owned()))
                };
                let is_variable = |name: &str| name.starts_with("uri.var.") || name.starts_with("query.param.");
                let any = message.properties.iter().any(|(name, _)| is_variable(name))
                    || endpoint.properties.iter().any(|it| is_variable(&it.name));
                let expanded = template.expand(any, &variable);
                cx.message.addressing.to = Some(expanded.clone());
                Ok(expanded.into())
            }
            Address::Message => match cx.message.addressing.to.clone() {
                Some(to) if to.contains(':') => Ok(to.into()),
                Some(to) => Err(Fault::new(format!(
                    "Unexpected error during sending message out. Unable to find the transport to send to the relative address {to}"
                ))),
                None => Err(Fault::new("Unexpected error during sending message out. The message has no To address")),
            },
            Address::Member(member) => {
                let address = member_address(member, cx)?;
                cx.message.addressing.to = Some(address.clone());
                Ok(address.into())
            }
            Address::Unresolved(why) => Err(Fault::new(why.clone())),
        }
    }

    /// Makes the answer the message.
    async fn accept(&self, cx: &mut Context, answer: Option<Incoming>, one_way: bool) -> Result<Sent, Fault> {
        let Some(answer) = answer else { return Ok(Sent::OneWay) };
        if one_way {
            return Ok(Sent::OneWay);
        }
        if cx.blocking
            && let Some(fault) = blocking::refusal(&cx.message, &answer)
        {
            return Err(fault);
        }
        let snapshot = cx.snapshot.clone();
        incoming::response(&mut cx.message, answer, &snapshot.settings);
        cx.response_received = true;
        rewrite_location(cx);
        if cx.message.properties.is_true(FORCE_ERROR_ON_SOAP_FAULT) {
            flow::build_body(cx).await?;
            if cx.message.body.envelope().is_ok_and(mi_message::Envelope::has_fault) {
                cx.message.properties.set("ERROR_CODE", Value::Int(codes::ENDPOINT_CUSTOM_ERROR as i32));
                let text = "A SOAP fault was received and FORCE_ERROR_ON_SOAP_FAULT is set";
                return Err(Fault::coded(codes::ENDPOINT_CUSTOM_ERROR, text, text));
            }
        }
        Ok(Sent::Answered)
    }
}

/// Keeps a claim on a streamed body, so that the fault flow still has it when nothing could be sent.
fn claim_body(cx: &mut Context) -> Option<Claim> {
    let received_type = cx.message.body.received_content_type().map(Arc::<str>::from);
    let options = cx.message.body.options().clone();
    let (stream, claim) = Claim::on(cx.message.body.take_stream()?);
    cx.message.body = Body::from_stream(stream, received_type);
    cx.message.body.set_options(options);
    Some(claim)
}

/// Hands the message to a transport other than HTTP, when the address names one. The inner option is its answer.
async fn other_transport(cx: &mut Context, address: &str) -> Result<Option<Option<Incoming>>, Fault> {
    let scheme = address.split(':').next().unwrap_or_default();
    if scheme == local::SCHEME {
        return local::send(cx, address).await.map(Some);
    }
    let Some(sender) = cx.snapshot.services.sender(scheme).cloned() else { return Ok(None) };
    let stream = if sender.takes_streams() { outgoing::streamed(&mut cx.message) } else { None };
    let (content_type, body) = match stream {
        Some((content_type, stream)) => (content_type, Payload::Stream(stream)),
        None if !sender.wants_body(&cx.message) => (None, Payload::Empty),
        None => {
            if !cx.message.body.is_built() {
                flow::build_body(cx).await?;
            }
            let formatted = mi_message::media::format(&cx.message)?;
            (formatted.content_type, Payload::Bytes(formatted.bytes))
        }
    };
    let message = OutMessage {
        address: address.to_owned(),
        content_type,
        headers: cx.message.headers.clone(),
        body,
        axis2: cx.message.axis2.clone(),
        origin: cx.exchange.request.clone(),
        responder: cx.exchange.responder().cloned(),
    };
    let reply = sender.send(message).await?;
    Ok(Some(reply.map(|reply| Incoming {
        status: reply.status,
        reason: reply.reason,
        version: http::Version::HTTP_11,
        headers: reply.headers,
        body: crate::serve::stream_of(reply.body),
    })))
}

/// A Location on an answer that is no redirect becomes an address of this server. MI: `ClientWorker`.
fn rewrite_location(cx: &mut Context) {
    let status = cx.message.axis2.get("HTTP_SC").map(|code| code.to_text().into_owned()).unwrap_or_default();
    if matches!(status.as_str(), "201" | "301" | "302" | "303" | "307") {
        return;
    }
    let preserved = cx.snapshot.settings.preserve_http_headers.iter().any(|it| it.eq_ignore_ascii_case("Location"));
    let Some(location) = cx.message.headers.get("Location").filter(|_| !preserved).map(str::to_owned) else { return };
    let Some(prefix) = service_prefix(&cx.exchange.request) else { return };
    let path = match location.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => &location,
    };
    let path = path.strip_prefix('/').unwrap_or(path);
    let rewritten = format!("{prefix}{path}");
    cx.message.headers.set("Location", rewritten);
}

/// The address of the request up to what stands behind the service; a slash at its end only where that is no proxy.
/// MI: `ServerWorker#processHttpRequestUri` (`SERVICE_PREFIX`).
fn service_prefix(request: &RequestInfo) -> Option<String> {
    let local = request.local?;
    let target = &request.target;
    let prefix = &target[..target.find(serve::rest_postfix(target)).unwrap_or_default()];
    if prefix.contains("://") {
        return Some(prefix.to_owned());
    }
    let scheme = if request.secure { "https" } else { "http" };
    Some(format!("{scheme}://{local}{prefix}"))
}

/// The address that a WSDL names; one that cannot be found is a warning, and a fault when a message comes.
fn wsdl_address(wsdl: &mi_config::endpoint::WsdlEndpoint, config: &EndpointConfig, cx: &mut BuildCx<'_>) -> Address {
    let known = super::wsdl::address(wsdl, &config.element, cx);
    known.map_or_else(Address::Unresolved, |address| Address::Fixed(Fixed::new(&address)))
}

/// Shares an endpoint's name in log lines.
pub(super) fn shown(endpoint: &Arc<Endpoint>) -> &str {
    &endpoint.name
}

fn unsigned(codes: &[i32]) -> Vec<u32> {
    codes.iter().filter_map(|code| u32::try_from(*code).ok()).collect()
}

/// What the endpoint says over what `deployment.toml` says, or the other way when that is to win.
fn suspension_policy(own: &Suspension, global: &GlobalSuspension) -> SuspensionPolicy {
    // A list of codes that are all below zero (`-1`, as people write to switch suspension off) must stay a list
    // that matches nothing.
    let listed = |codes: &[i32]| {
        let known = unsigned(codes);
        if known.is_empty() && !codes.is_empty() { vec![u32::MAX] } else { known }
    };
    let (initial, factor) = if global.wins { (None, None) } else { (own.initial_ms, own.progression_factor) };
    SuspensionPolicy {
        timeout_codes: listed(&own.timeout_codes),
        retries_before_suspension: own.retries_before_suspension,
        retry_delay: own.retry_delay_ms,
        suspend_codes: listed(&own.suspend_codes),
        initial_duration: initial.unwrap_or(global.initial_ms),
        progression_factor: factor.unwrap_or(global.progression_factor),
        maximum_duration: own.maximum_ms,
        failover: global.failover,
    }
}

#[cfg(test)]
mod tests {
    use mi_config::deployment::FailoverLimits;

    use super::*;

    #[test]
    fn an_endpoint_is_suspended_as_it_says_unless_the_server_overrules_it() {
        let own = Suspension { initial_ms: Some(100), suspend_codes: vec![-1], ..Suspension::default() };
        for (wins, initial, factor) in [(false, 100, 3.0), (true, 5000, 3.0)] {
            let global = GlobalSuspension {
                initial_ms: 5000,
                progression_factor: 3.0,
                wins,
                failover: FailoverLimits::default(),
            };
            let policy = suspension_policy(&own, &global);
            assert_eq!((policy.initial_duration, policy.progression_factor), (initial, factor));
            assert_eq!(policy.suspend_codes, [u32::MAX]);
            let doubling = Suspension { progression_factor: Some(2.0), ..own.clone() };
            let expected = if wins { 3.0 } else { 2.0 };
            assert_eq!(suspension_policy(&doubling, &global).progression_factor, expected);
        }
    }

    #[test]
    fn service_prefixes() {
        for (target, expected) in [
            ("/services/Echo", "http://127.0.0.1:1"),
            ("/services/Echo/op?x=1", "http://127.0.0.1:1/services/Echo"),
            ("/orders/7", "http://127.0.0.1:1/"),
        ] {
            let local = "127.0.0.1:1".parse().ok();
            let request = RequestInfo { target: target.into(), local, ..RequestInfo::default() };
            assert_eq!(service_prefix(&request).as_deref(), Some(expected), "{target}");
        }
    }
}
