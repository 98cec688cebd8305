//! The life of a request: dispatch on the snapshot, the in flow, and what the client gets when nobody answered.
//! MI: `ServerWorker`, `SynapseMessageReceiver`, `RestRequestHandler`, `ProxyServiceMessageReceiver`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Full};
use mi_message::{BodyStream, Message, SoapVersion};
use tokio::sync::oneshot;

use crate::api::{Api, Cors, Found, Resource, openapi};
use crate::context::{ArtifactInfo, Context, SequenceTarget};
use crate::exchange::{Exchange, RequestInfo};
use crate::flow::{self, Ended};
use crate::inbound::HttpRoute;
use crate::incoming::{self, names};
use crate::mediator::Flow;
use crate::proxy::Proxy;
use crate::snapshot::Snapshot;
use crate::transport::{HttpReply, HttpRequest, HttpService, Payload};
use crate::{outflow, reply, wsdl};

/// Requests of the main listeners, served by whatever is deployed at the moment.
pub struct Engine {
    snapshot: ArcSwap<Snapshot>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that serves `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        snapshot.start_stores(None);
        Self { snapshot: ArcSwap::from_pointee(snapshot) }
    }

    /// What is deployed now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Swaps in a new deployment. Running messages keep the one they began with; messages in stores stay where they are.
    pub fn swap(&self, snapshot: Snapshot) {
        let former = self.snapshot();
        snapshot.start_stores(Some(&former));
        for (name, endpoint) in snapshot.endpoints.iter() {
            if let Some(former) = former.endpoints.by_name(name) {
                endpoint.take_over(former);
            }
        }
        self.snapshot.store(Arc::new(snapshot));
    }

    /// Serves a request that came through an inbound endpoint (`caller`) or the main listener.
    pub fn serve(&self, request: HttpRequest, caller: Option<Arc<str>>) -> BoxFuture<'static, Option<HttpReply>> {
        let snapshot = self.snapshot();
        let secure = request.secure;
        let (mut message, info) = received(request, &snapshot);
        let entry = dispatch(&snapshot, &mut message, &info, secure, caller.as_deref());
        follow(snapshot, message, info, entry)
    }

    /// Serves a request of an inbound endpoint that listens for HTTP by itself.
    pub fn serve_inbound(&self, request: HttpRequest, inbound: &HttpRoute) -> BoxFuture<'static, Option<HttpReply>> {
        let snapshot = self.snapshot();
        let secure = request.secure;
        let (mut message, info) = received(request, &snapshot);
        let entry = dispatch_inbound(&snapshot, &mut message, &info, secure, inbound);
        follow(snapshot, message, info, entry)
    }
}

/// A request as a message; from here on somebody may follow it.
fn received(mut request: HttpRequest, snapshot: &Snapshot) -> (Box<Message>, RequestInfo) {
    let trail = snapshot.services.watch.request(&mut request);
    let (message, mut info) = incoming::request(request, &snapshot.settings);
    info.trail = trail;
    (message, info)
}

/// [`begin`], telling whoever follows the request what becomes of it.
fn follow(
    snapshot: Arc<Snapshot>,
    message: Box<Message>,
    info: RequestInfo,
    entry: Entry,
) -> BoxFuture<'static, Option<HttpReply>> {
    let Some(trail) = info.trail.clone() else { return begin(snapshot, message, info, entry) };
    if let Entry::Flow { artifact, .. } = &entry {
        trail.dispatched(artifact);
    }
    let reply = begin(snapshot, message, info, entry);
    async move {
        let reply = reply.await;
        trail.answered(reply.as_ref());
        reply
    }
    .boxed()
}

/// Begins what dispatch found; resolves with its answer.
fn begin(
    snapshot: Arc<Snapshot>,
    message: Box<Message>,
    info: RequestInfo,
    entry: Entry,
) -> BoxFuture<'static, Option<HttpReply>> {
    match entry {
        Entry::Reply(reply) => futures_util::future::ready(Some(reply)).boxed(),
        Entry::Later(reply) => reply.map(Some).boxed(),
        Entry::Flow { artifact, first, then } => {
            let (sender, receiver) = oneshot::channel();
            let exchange = Arc::new(Exchange::new(info, sender));
            let guard = snapshot.services.begin_service(&artifact, exchange.request.secure);
            let mut cx = Context::new(message, snapshot, exchange, artifact);
            // A task of its own: the flow goes on when the client hangs up, and a thread does the same step for many messages
            // before the next one. In the task of the connection it is a fifth fewer instructions and a quarter more CPU time.
            // Boxed: the runtime moves a future several times on its way into a task, and its whole room again at the end.
            tokio::spawn(Box::pin(async move {
                run_request(&mut cx, first, then).await;
                drop(guard);
            }));
            async move { receiver.await.ok() }.boxed()
        }
    }
}

/// Gives a message to a proxy, past its listeners.
pub(crate) fn call_proxy(
    snapshot: Arc<Snapshot>,
    proxy: &Proxy,
    mut message: Box<Message>,
    info: RequestInfo,
) -> BoxFuture<'static, Option<HttpReply>> {
    message.axis2.put(names::REST_URL_POSTFIX, rest_postfix(&info.target));
    let entry = start_proxy(proxy, &mut message);
    begin(snapshot, message, info, entry)
}

impl HttpService for Engine {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        self.serve(request, None)
    }
}

/// What dispatch found.
enum Entry {
    /// An answer without a flow.
    Reply(HttpReply),
    /// An answer without a flow that needs something fetched first.
    Later(BoxFuture<'static, HttpReply>),
    /// A flow of an artifact.
    Flow { artifact: Arc<ArtifactInfo>, first: Option<SequenceTarget>, then: Then },
}

/// What happens when the in sequence ends without having sent the message.
enum Then {
    Nothing,
    Send(Arc<crate::endpoint::Endpoint>),
}

async fn run_request(cx: &mut Context, first: Option<SequenceTarget>, then: Then) {
    cx.reset_fault_handlers();
    let endpoint = match then {
        Then::Nothing => None,
        Then::Send(endpoint) => Some(endpoint),
    };
    run_flow(cx, first, endpoint).await;
    finish(cx);
}

/// Runs `first`, and sends the message to `endpoint` when the sequence ended without having sent it elsewhere.
pub(crate) async fn run_flow(
    cx: &mut Context,
    first: Option<SequenceTarget>,
    endpoint: Option<Arc<crate::endpoint::Endpoint>>,
) -> Ended {
    let ended = match first.map(|target| cx.resolve(&target)) {
        None => Ended::Completed,
        Some(Ok(sequence)) => flow::run(cx, sequence).await,
        Some(Err(fault)) => flow::drive(cx, Err(fault)).await,
    };
    match endpoint {
        Some(endpoint) if ended == Ended::Completed => {
            let sent = outflow::send_and_follow(cx, endpoint, None).await;
            flow::drive(cx, sent).await
        }
        _ => ended,
    }
}

/// Answers 202 when the flow has ended and nobody answered or will. MI: `ServerWorker#sendAck`.
fn finish(cx: &Context) {
    let forced = cx.message.axis2.is_true("FORCE_SC_ACCEPTED");
    if cx.exchange.awaits_answer()
        && (forced || cx.one_way || !(cx.exchange.send_was_tried() || cx.message.properties.contains("RESPONSE")))
    {
        cx.exchange.answer(reply::accepted());
    } else if cx.exchange.awaits_answer() && Arc::strong_count(&cx.exchange) == 1 {
        log::warn!(
            target: "ServerWorker",
            "{}The flow ended and left the client without an answer; its connection is kept until the socket time-out",
            cx.artifact.log_prefix
        );
    }
}

fn dispatch(
    snapshot: &Arc<Snapshot>,
    message: &mut Message,
    info: &RequestInfo,
    secure: bool,
    caller: Option<&str>,
) -> Entry {
    let target = path_text(&info.target);
    if let Some(name) = service_name(&target)
        && let Some(proxy) = find_proxy(snapshot, name)
    {
        message.axis2.put(names::REST_URL_POSTFIX, rest_postfix(&target));
        return enter_proxy(snapshot, proxy, message, info, &target, secure);
    }
    if info.method == "GET"
        && let Some(contract) = openapi::answer(snapshot, &target)
    {
        return Entry::Reply(contract);
    }
    if &*target == "/favicon.ico" {
        return Entry::Reply(HttpReply::new(StatusCode::NOT_FOUND));
    }
    if let Some(api) = snapshot.apis.find(&target, &info.host, secure, caller) {
        return enter_api(snapshot, api, message, info, target, secure, caller);
    }
    message.axis2.put(names::REST_URL_POSTFIX, rest_postfix(&target));
    match snapshot.main_sequence() {
        Some(main) => Entry::Flow {
            artifact: Arc::new(ArtifactInfo::default()),
            first: Some(SequenceTarget::Inline(main)),
            then: Then::Nothing,
        },
        None => Entry::Reply(HttpReply::new(StatusCode::NOT_FOUND)),
    }
}

/// Where a request of an inbound endpoint goes: to an API bound to it; then, without a dispatch pattern, to its sequence,
/// and with one that fits to whatever the main listener would choose. MI: `InboundHttpServerWorker#run`.
fn dispatch_inbound(
    snapshot: &Arc<Snapshot>,
    message: &mut Message,
    info: &RequestInfo,
    secure: bool,
    inbound: &HttpRoute,
) -> Entry {
    inbound.route.describe(message);
    let target = path_text(&info.target);
    let caller = Some(&*inbound.route.name);
    if let Some(api) = snapshot.apis.find(&target, &info.host, secure, caller) {
        return enter_api(snapshot, api, message, info, target, secure, caller);
    }
    let sequence = match &inbound.pattern {
        Some(pattern) if pattern.is_match(&info.target) => {
            match dispatch(snapshot, message, info, secure, None) {
                // What nobody takes goes to `main`, with the fault handler of the inbound endpoint.
                Entry::Flow { artifact, .. } if artifact.kind.is_empty() => None,
                found => return found,
            }
        }
        Some(_) => None,
        None => inbound.route.sequence.as_deref().and_then(|key| snapshot.sequence_by_key(key)),
    };
    message.axis2.put(names::REST_URL_POSTFIX, rest_postfix(&target));
    match sequence.or_else(|| snapshot.main_sequence()) {
        Some(sequence) => Entry::Flow {
            artifact: Arc::new(inbound.route.artifact(snapshot)),
            first: Some(SequenceTarget::Inline(sequence)),
            then: Then::Nothing,
        },
        None => Entry::Reply(HttpReply::new(StatusCode::NOT_FOUND)),
    }
}

/// Path and query of a request target, which may be an absolute URI.
fn path_of(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    match target.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    }
}

/// [`path_of`], shared where it is the whole target.
fn path_text(target: &Arc<str>) -> Arc<str> {
    let path = path_of(target);
    if path.len() == target.len() { target.clone() } else { path.into() }
}

/// What stands behind the service. MI looks for the slash in the query, too. MI: `NhttpUtil#getRestUrlPostfix`.
pub(crate) fn rest_postfix(target: &str) -> &str {
    let Some(rest) = target.strip_prefix("/services") else { return target.strip_prefix('/').unwrap_or(target) };
    let path = rest.split('?').next().unwrap_or_default();
    match path.get(1..).and_then(|it| it.find('/')) {
        Some(at) => &rest[at + 1..],
        None => &rest[path.len()..],
    }
}

/// The service that `/services/NAME…` names.
pub(crate) fn service_name(target: &str) -> Option<&str> {
    let rest = target.strip_prefix("/services/")?;
    let name = rest.split(['/', '?']).next()?;
    (!name.is_empty()).then_some(name)
}

/// The proxy by name, or by name and port (`NAME.NAMEHttpSoap11Endpoint`).
pub(crate) fn find_proxy<'a>(snapshot: &'a Snapshot, name: &str) -> Option<&'a Arc<Proxy>> {
    snapshot.proxies.get(name).or_else(|| {
        name.match_indices('.').map(|(at, _)| &name[..at]).filter_map(|it| snapshot.proxies.get(it)).next_back()
    })
}

fn enter_proxy(
    snapshot: &Arc<Snapshot>,
    proxy: &Arc<Proxy>,
    message: &mut Message,
    info: &RequestInfo,
    target: &str,
    secure: bool,
) -> Entry {
    if !proxy.serves(secure) {
        return Entry::Reply(not_served(proxy, info, secure));
    }
    if info.method == "GET" && wsdl::is_asked(target) {
        return Entry::Later(Box::pin(wsdl::answer(snapshot.clone(), proxy.clone(), info.clone())));
    }
    start_proxy(proxy, message)
}

fn start_proxy(proxy: &Proxy, message: &mut Message) -> Entry {
    message.properties.put("proxy.name", proxy.name.clone());
    message.properties.put("ARTIFACT_NAME", proxy.artifact_name.clone());
    let then = proxy.endpoint.clone().map_or(Then::Nothing, Then::Send);
    Entry::Flow { artifact: proxy.info.clone(), first: proxy.in_sequence.clone(), then }
}

/// MI answers a service that is stopped or not exposed on a transport with a SOAP fault of Axis2.
fn not_served(proxy: &Proxy, info: &RequestInfo, secure: bool) -> HttpReply {
    let version = match info.content_type.as_deref() {
        Some(received) if received.contains("application/soap+xml") => SoapVersion::Soap12,
        _ => SoapVersion::Soap11,
    };
    let transport = if secure { "https" } else { "http" };
    let text = if proxy.is_running() {
        format!("The service cannot be found for the endpoint reference (EPR) {} over {transport}", info.target)
    } else {
        format!("The service {} is inactive", proxy.name)
    };
    reply::soap_fault(version, &text)
}

fn enter_api(
    snapshot: &Arc<Snapshot>,
    api: &Arc<Api>,
    message: &mut Message,
    info: &RequestInfo,
    target: Arc<str>,
    secure: bool,
    caller: Option<&str>,
) -> Entry {
    let sub_path = sub_path(api, &target).to_owned();
    set_api_properties(api, message, info, &target, &sub_path, secure);
    let found = crate::api::find_resource(&api.resources, &sub_path, &info.method, message, secure, caller);
    let (resource, variables) = match found {
        Found::Resource(resource, variables) => (resource, variables),
        Found::NotFound => {
            return unmatched(snapshot, "_resource_mismatch_handler_", StatusCode::NOT_FOUND, api, secure);
        }
        Found::MethodNotAllowed => {
            return unmatched(snapshot, "_method_not_allowed_handler_", StatusCode::METHOD_NOT_ALLOWED, api, secure);
        }
        Found::BadRequest => return answered(api, secure, HttpReply::new(StatusCode::BAD_REQUEST)),
    };
    for (name, value) in variables {
        message.properties.set(format!("uri.var.{name}"), value);
    }
    let cors = api.cors.as_ref().unwrap_or(&snapshot.settings.cors);
    if info.method == "OPTIONS" && answers_options(resource, message) {
        return answered(api, secure, options_reply(snapshot, cors, resource, message));
    }
    cors.remember(&message.headers, &mut message.properties, resource);
    if let Some(pattern) = resource.pattern() {
        message.properties.put("REST_URL_PATTERN", pattern);
    }
    if !set_query_parameters(message, &target) {
        return answered(api, secure, HttpReply::new(StatusCode::BAD_REQUEST));
    }
    Entry::Flow { artifact: resource.info.clone(), first: resource.in_sequence.clone(), then: Then::Nothing }
}

/// The path below the context, with the query; `/` when there is none. MI: `API#process`.
fn sub_path<'a>(api: &Api, target: &'a str) -> &'a str {
    let context = if &*api.context == "/" { "" } else { &*api.context };
    match target.get(context.len()..) {
        Some("") | None => "/",
        Some(rest) => rest,
    }
}

fn set_api_properties(
    api: &Api,
    message: &mut Message,
    info: &RequestInfo,
    target: &Arc<str>,
    sub_path: &str,
    secure: bool,
) {
    let properties = &mut message.properties;
    properties.put("REST_FULL_REQUEST_PATH", target.clone());
    properties.put("SYNAPSE_REST_API", api.name.clone());
    properties.put("SYNAPSE_REST_API_VERSION", api.version.clone());
    properties.put("REST_API_CONTEXT", api.base_context.clone());
    properties.put("SYNAPSE_REST_API_VERSION_STRATEGY", api.version_type);
    properties.put("REST_SUB_REQUEST_PATH", sub_path);
    properties.put("REST_METHOD", info.method.clone());
    if !info.host.is_empty() {
        let scheme = if secure { "https" } else { "http" };
        properties.put("REST_URL_PREFIX", [scheme, "://", &info.host].concat());
    }
    let postfix = target.get(if &*api.context == "/" { 1 } else { api.context.len() }..).unwrap_or_default();
    message.axis2.put(names::REST_URL_POSTFIX, postfix);
}

/// `query.param.*`; an entry without `=` belongs to the value before it. False when a value is badly encoded.
/// MI: `ApiUtils#populateQueryParamsToMessageContext`.
fn set_query_parameters(message: &mut Message, target: &str) -> bool {
    let Some((_, query)) = target.split_once('?') else { return true };
    let mut last: Option<String> = None;
    for entry in query.split('&') {
        match entry.split_once('=') {
            Some((name, value)) => {
                let Some(value) = decode(value) else { return false };
                let name = format!("query.param.{name}");
                message.properties.set(name.as_str(), value);
                last = Some(name);
            }
            None => {
                let name = last.clone().unwrap_or_else(|| "query.param.null".to_owned());
                let before = message.properties.get_str(&name).unwrap_or("null").to_owned();
                message.properties.set(name.as_str(), format!("{before}&{entry}"));
            }
        }
    }
    true
}

/// `java.net.URLDecoder`: `+` is a blank; a bad escape is an error.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Does the server answer an OPTIONS request itself? MI: `Resource#sendOptions`.
fn answers_options(resource: &Resource, message: &mut Message) -> bool {
    if !resource.methods.iter().any(|method| method == "OPTIONS") {
        return true;
    }
    match message.headers.get("Max-Forwards").and_then(|count| count.trim().parse::<u32>().ok()) {
        Some(0) => true,
        Some(count) => {
            message.headers.set("Max-Forwards", (count - 1).to_string());
            false
        }
        None => false,
    }
}

fn options_reply(snapshot: &Snapshot, cors: &Cors, resource: &Resource, message: &mut Message) -> HttpReply {
    message.headers.set("Allow", resource.allow.clone());
    let granted = cors.answer_preflight(&mut message.headers, resource);
    let mut answer = HttpReply::new(if granted { StatusCode::OK } else { StatusCode::FORBIDDEN });
    message.headers.remove("Content-Type");
    answer.headers = reply::outgoing_headers(&message.headers, &snapshot.settings);
    answer
}

/// 404 and 405, by the handler sequence when one is deployed. MI: `API#handleResourceNotFound`.
fn unmatched(snapshot: &Snapshot, handler: &str, status: StatusCode, api: &Api, secure: bool) -> Entry {
    match snapshot.sequences.by_name(handler) {
        Some(sequence) => Entry::Flow {
            artifact: Arc::new(ArtifactInfo {
                kind: "api",
                name: api.name.clone(),
                log_prefix: format!("{{api:{}}} ", api.name).into(),
                meters: Some(api.meters.clone()),
                ..ArtifactInfo::default()
            }),
            first: Some(SequenceTarget::Inline(sequence.clone())),
            then: Then::Nothing,
        },
        None => answered(api, secure, HttpReply::new(status)),
    }
}

/// An answer of an API without a flow, which would count it.
fn answered(api: &Api, secure: bool, reply: HttpReply) -> Entry {
    drop(api.meters.begin(secure));
    Entry::Reply(reply)
}

/// Runs `sequence` for a message that no client waits for.
pub async fn run_detached(
    snapshot: Arc<Snapshot>,
    message: Message,
    sequence: Arc<crate::mediator::Sequence>,
) -> Ended {
    let guard = snapshot.services.begin_flow();
    let artifact = Arc::new(ArtifactInfo::default());
    let mut cx = Context::new(message, snapshot, Arc::new(Exchange::detached()), artifact);
    cx.reset_fault_handlers();
    let first = cx.enter(sequence, None).map(|()| Flow::Next);
    let ended = flow::drive(&mut cx, first).await;
    drop(guard);
    ended
}

/// A payload as a stream.
pub fn stream_of(payload: Payload) -> BodyStream {
    match payload {
        Payload::Empty => Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync(),
        Payload::Bytes(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed_unsync(),
        Payload::Stream(stream) => stream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postfixes_and_names() {
        for (target, postfix, name) in [
            ("/services/Echo", "", Some("Echo")),
            ("/services/Echo/op?x=1", "/op?x=1", Some("Echo")),
            ("/services/Echo?x=1/2", "?x=1/2", Some("Echo")),
            ("/orders/7", "orders/7", None),
        ] {
            assert_eq!(rest_postfix(target), postfix, "{target}");
            assert_eq!(service_name(target), name, "{target}");
        }
    }

    #[test]
    fn entries_without_a_value_belong_to_the_one_before() {
        let mut message = Message::new();
        assert!(set_query_parameters(&mut message, "/x?a=1&b=2&floor&c=a+b%21"));
        let value = |name: &str| message.properties.get_str(name).map(str::to_owned);
        assert_eq!(value("query.param.b").as_deref(), Some("2&floor"));
        assert_eq!(value("query.param.c").as_deref(), Some("a b!"));
        assert!(!set_query_parameters(&mut message, "/x?a=%zz"));
    }

    #[test]
    fn absolute_targets_lose_their_authority() {
        assert_eq!(path_of("http://h:1/a?b"), "/a?b");
        assert_eq!(path_of("/a?u=http://x"), "/a?u=http://x");
    }
}
