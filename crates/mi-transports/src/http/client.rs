//! The client side: one request to a back end, over a pooled or new connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, EXPECT, HOST, HeaderValue, TE};
use http::{Method, Request, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming as HyperBody;
use mi_engine::transport::{HttpClient, Incoming, Outgoing, Payload, SendError};
use mi_message::{BodyStream, BoxError};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::{Instant, Sleep};

use super::body::{self, OutBody};
use super::connect::{self, Connected};
use super::failure;
use super::h1::{AnswerBody, Connection, Failure, Head, HeadLimits, Outbound, RequestHead};
use super::headers::{self, strip_nominated};
use super::io::Stream;
use super::pool::{self, Ages, Host, HostUse, Hosts, Key, RequestBody, Shared};
use super::proxy::Proxies;
use super::target;
use crate::tls::ClientTls;

/// Pooled connections that are tried before a new one is made: several can have gone stale at the same moment.
const STALE_ATTEMPTS: usize = 4;

/// How the client behaves.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Time for a new connection, TLS included. MI: `http.connection.timeout`.
    pub connect_timeout: Duration,
    /// Time for the answer's head when the request does not say. MI: `http.socket.timeout`.
    pub response_timeout: Duration,
    /// How long an answer's body may stand still. MI: `http.socket.timeout`.
    pub socket_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How long a connection is used; the name is resolved again for the next one.
    pub max_lifetime: Duration,
    /// Requests under way to one host and port, of all threads. MI: `http.max.connection.per.host.port`.
    pub max_per_host: usize,
    /// Unused connections kept per host and thread.
    pub max_idle_per_host: usize,
    /// Bytes of an answer's head.
    pub max_header_bytes: usize,
    /// Fields of an answer's head.
    pub max_headers: usize,
    /// Bytes of a streamed request body that is held in memory because its length must be told first; as many as the
    /// engine builds.
    pub max_buffered: usize,
    /// Whom to trust and which certificate to show.
    pub tls: Arc<ClientTls>,
    /// Proxies on the way.
    pub proxies: Proxies,
    /// A network in memory in place of the machine's.
    #[cfg(test)]
    pub(crate) network: Option<mi_testkit::Network>,
}

impl ClientConfig {
    /// MI's defaults, with the given trust.
    pub fn new(tls: Arc<ClientTls>) -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            response_timeout: Duration::from_mins(3),
            socket_timeout: Duration::from_mins(3),
            idle_timeout: Duration::from_mins(1),
            max_lifetime: Duration::from_mins(5),
            max_per_host: 32_767,
            max_idle_per_host: 512,
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_buffered: 512 * 1024 * 1024,
            tls,
            proxies: Proxies::default(),
            #[cfg(test)]
            network: None,
        }
    }
}

/// Sends requests to back ends. Cheap to clone. Each thread has its own connections; a request may be sent from any
/// tokio runtime and its connection lives on that runtime.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    id: u64,
    config: ClientConfig,
    ages: Ages,
    hosts: Hosts,
}

impl Client {
    /// A client with its own pool.
    pub fn new(config: ClientConfig) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let ages =
            Ages { idle: config.idle_timeout, lifetime: config.max_lifetime, max_idle: config.max_idle_per_host };
        let hosts = Hosts::new(config.proxies.clone());
        Self { inner: Arc::new(Inner { id: NEXT.fetch_add(1, Relaxed), config, ages, hosts }) }
    }
}

impl Client {
    /// What the connections to each back end are at. A back end that nobody has called for a while is not spoken of.
    pub fn in_use(&self) -> Vec<HostUse> {
        self.inner.hosts.in_use()
    }

    /// A new connection for another protocol than HTTP.
    pub(crate) async fn open(&self, secure: bool, host: Arc<str>, port: u16) -> Result<Stream, SendError> {
        let key = Key { client: self.inner.id, secure, http2: false, port, host };
        let deadline = Instant::now() + self.inner.config.connect_timeout;
        // Only a tunnel lets another protocol through.
        let proxy = self.inner.config.proxies.select(secure, &key.host).filter(|_| secure).map(|proxy| &**proxy);
        match connect::connect(&key, proxy, &self.inner.config, deadline).await? {
            Connected::Http1(connection) => Ok(connection.into_stream()),
            Connected::Http2(_) => Err(failure::protocol_violation("the back end insists on HTTP/2")),
        }
    }

    /// How long a connection may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.inner.config.connect_timeout
    }
}

impl HttpClient for Client {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        Box::pin(self.inner.clone().send(request))
    }
}

/// Until when, and whose idea that was.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    by_caller: bool,
}

/// Where a request goes and what it holds while it is under way.
struct Route {
    key: Key,
    host: Arc<Host>,
    slot: Option<OwnedSemaphorePermit>,
    deadline: Deadline,
}

/// What came of one attempt over HTTP/2.
enum Attempt {
    Answered(Incoming),
    /// The request never left this machine.
    Again(Request<RequestBody>),
    Failed(SendError),
}

impl Inner {
    async fn send(self: Arc<Self>, request: Outgoing) -> Result<Incoming, SendError> {
        let deadline = Deadline {
            at: Instant::now() + request.timeout.unwrap_or(self.config.response_timeout),
            by_caller: request.timeout.is_some(),
        };
        let key = Key {
            client: self.id,
            secure: request.secure,
            http2: request.version == Version::HTTP_2,
            port: request.port,
            host: request.host.clone(),
        };
        let (host, mut pooled) = pool::take(&key, &self.hosts, self.config.max_per_host, &self.ages);
        let slot = match host.slots.clone().try_acquire_owned() {
            Ok(slot) => slot,
            Err(TryAcquireError::Closed | TryAcquireError::NoPermits) => {
                if let Some(connection) = pooled.take() {
                    // For whoever has a slot and looks for a connection.
                    pool::give_back(&key, connection);
                }
                let slot = wait_for_slot(&key, &host, deadline).await?;
                // Whoever gave the slot back gave its connection back before.
                pooled = pool::take(&key, &self.hosts, self.config.max_per_host, &self.ages).1;
                slot
            }
        };
        let route = Route { key, host, slot: Some(slot), deadline };
        // What is rare lives in boxes, so that the common way has little to carry.
        if route.key.http2 && pooled.is_none() {
            return Box::pin(self.send_h2(route, request)).await;
        }
        self.send_h1(route, request, pooled).await
    }

    async fn send_h1(
        &self,
        mut route: Route,
        mut request: Outgoing,
        mut pooled: Option<Connection>,
    ) -> Result<Incoming, SendError> {
        let chunked = request.chunked && request.version != Version::HTTP_10;
        let mut payload = std::mem::take(&mut request.body);
        if !chunked && length_unknown(&payload) {
            payload = Box::pin(self.with_length(payload)).await?;
        }
        let mut target = target::clean(&request.target);
        // The end of a tunnel is the back end itself.
        let proxy = route.host.proxy.as_deref().filter(|_| !request.secure);
        if proxy.is_some() && target.starts_with('/') {
            target = format!("http://{}{target}", route.host.authority).into();
        }
        let head = RequestHead {
            method: &request.method,
            target: &target,
            version: request.version,
            headers: &request.headers,
            authority: &route.host.authority,
            close: request.close,
            proxy_authorization: proxy.and_then(|proxy| proxy.authorization.as_deref()),
        };
        let mut outbound = Outbound::request(&head, payload, chunked);
        let limits = HeadLimits { bytes: self.config.max_header_bytes, fields: self.config.max_headers };
        let mut stale = 0;
        loop {
            let (mut connection, reused) = match pooled.take() {
                Some(connection) => (connection, true),
                None => (Box::pin(self.connect_h1(&route)).await?, false),
            };
            let at = route.deadline.at;
            match connection.exchange(&mut outbound, &request.method, limits, at).await {
                Ok(mut head) => {
                    head.keep_alive &= !request.close;
                    let unsent = (!outbound.is_done()).then_some(outbound);
                    return Ok(self.receive(&mut route, connection, head, unsent));
                }
                Err(failure) if reused && may_repeat(&failure, &mut outbound, &request.method) => {
                    stale += 1;
                    if stale < STALE_ATTEMPTS {
                        pooled = pool::take(&route.key, &self.hosts, self.config.max_per_host, &self.ages).1;
                    }
                }
                Err(failure) => {
                    let by_caller = route.deadline.by_caller;
                    return Err(failure::from_exchange(failure, by_caller, &route.key.host, route.key.port));
                }
            }
        }
    }

    async fn connect_h1(&self, route: &Route) -> Result<Connection, SendError> {
        match connect::connect(&route.key, route.host.proxy.as_deref(), &self.config, route.deadline.at).await? {
            Connected::Http1(connection) => Ok(connection),
            // Nobody else offers it, so this is a back end that changed its mind about the protocol.
            Connected::Http2(_) => Err(failure::protocol_violation("the back end insists on HTTP/2")),
        }
    }

    /// Takes an answer. `unsent` is the request where it is not written to its end: an answer that accepts it goes on
    /// beside it, any other ends it.
    fn receive(&self, route: &mut Route, connection: Connection, mut head: Head, unsent: Option<Outbound>) -> Incoming {
        let (key, slot) = (route.key.clone(), route.slot.take());
        let give_back = move |connection| {
            pool::give_back(&key, connection);
            drop(slot);
        };
        if unsent.is_some() && !head.status.is_success() {
            head.keep_alive = false;
        }
        let unsent = unsent.filter(|_| head.status.is_success());
        let mut body = AnswerBody::new(connection, &head, unsent, self.config.socket_timeout, give_back);
        let body = match body.take_whole() {
            Some(bytes) if bytes.is_empty() => body::empty_stream(),
            Some(bytes) => BodyStream::new(Full::new(bytes).map_err(|never| match never {})),
            None => BodyStream::new(body),
        };
        let Head { status, reason, version, mut headers, .. } = head;
        strip_nominated(&mut headers);
        Incoming { status, reason, version, headers, body }
    }

    async fn send_h2(self: Arc<Self>, route: Route, request: Outgoing) -> Result<Incoming, SendError> {
        let mut route = route;
        let mut prepared = None;
        let mut request = Some(request);
        for _ in 0..STALE_ATTEMPTS {
            let shared = match self.shared(&route).await? {
                Ok(shared) => shared,
                Err(connection) => {
                    // The back end does not speak it.
                    let Some(request) = request.take() else { break };
                    let request = Outgoing { version: Version::HTTP_11, ..request };
                    return self.send_h1(route, request, Some(connection)).await;
                }
            };
            let message = match prepared.take() {
                Some(message) => message,
                None => {
                    let Some(request) = request.take() else { break };
                    h2_request(request, &route.host.authority)?
                }
            };
            match self.exchange_h2(&mut route, shared, message).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again(message) => prepared = Some(message),
            }
        }
        Err(failure::connection_closed(format_args!("{}:{} takes no requests", route.key.host, route.key.port)))
    }

    /// The thread's HTTP/2 connection, or a new one; `Err` with an HTTP/1 connection where the back end wants that.
    async fn shared(&self, route: &Route) -> Result<Result<Shared, Connection>, SendError> {
        let Route { key, host, deadline, .. } = route;
        if let Some(shared) = pool::shared(key, &self.ages) {
            return Ok(Ok(shared));
        }
        let Ok(one_at_a_time) = tokio::time::timeout_at(deadline.at, host.connecting.lock()).await else {
            return Err(no_answer(key, *deadline));
        };
        if let Some(shared) = pool::shared(key, &self.ages) {
            return Ok(Ok(shared));
        }
        let connected = connect::connect(key, host.proxy.as_deref(), &self.config, deadline.at).await?;
        drop(one_at_a_time);
        Ok(match connected {
            Connected::Http1(connection) => Err(connection),
            Connected::Http2(shared) => {
                pool::share(key, &shared);
                Ok(shared)
            }
        })
    }

    async fn exchange_h2(&self, route: &mut Route, mut shared: Shared, message: Request<RequestBody>) -> Attempt {
        let sent = shared.sender.try_send_request(message);
        match tokio::time::timeout_at(route.deadline.at, sent).await {
            Err(_) => Attempt::Failed(no_answer(&route.key, route.deadline)),
            Ok(Ok(response)) => {
                let (parts, body) = response.into_parts();
                let body = if body.is_end_stream() {
                    body::empty_stream()
                } else {
                    let timer = Box::pin(tokio::time::sleep(self.config.socket_timeout));
                    let stall = self.config.socket_timeout;
                    BodyStream::new(StreamBody { body, timer, stall, _slot: route.slot.take() })
                };
                let (status, version, headers) = (parts.status, parts.version, headers::from_map(&parts.headers));
                Attempt::Answered(Incoming { status, reason: None, version, headers, body })
            }
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(message) => Attempt::Again(message),
                None => Attempt::Failed(failure::from_hyper(failed.error())),
            },
        }
    }

    /// Reads a body whose length must be known before it is sent.
    async fn with_length(&self, payload: Payload) -> Result<Payload, SendError> {
        let Payload::Stream(mut stream) = payload else { return Ok(payload) };
        let mut held = BytesMut::new();
        while let Some(frame) = stream.frame().await {
            let frame = frame
                .map_err(|error| failure::not_sent(format_args!("the request body could not be read: {error}")))?;
            let Ok(data) = frame.into_data() else { continue };
            if held.len() + data.len() > self.config.max_buffered {
                let limit = self.config.max_buffered;
                return Err(failure::not_sent(format_args!("more than {limit} bytes to be sent with Content-Length")));
            }
            held.extend_from_slice(&data);
        }
        Ok(Payload::Bytes(held.freeze()))
    }
}

fn length_unknown(payload: &Payload) -> bool {
    matches!(payload, Payload::Stream(stream) if stream.size_hint().exact().is_none())
}

/// A request on a pooled connection that turned out dead is sent again where that can do no harm: nothing of it left
/// this machine, or the method says that twice is the same as once and the body is at hand.
fn may_repeat(failure: &Failure, outbound: &mut Outbound, method: &Method) -> bool {
    if !matches!(failure, Failure::Closed { answered: false } | Failure::Io { answered: false, .. }) {
        return false;
    }
    let idempotent =
        matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE);
    (outbound.is_unsent() || idempotent) && outbound.rewind()
}

/// Counts a request that waits, also when whoever sends it gives up.
struct Waiting<'h>(&'h AtomicUsize);

impl<'h> Waiting<'h> {
    fn begin(count: &'h AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

async fn wait_for_slot(key: &Key, host: &Host, deadline: Deadline) -> Result<OwnedSemaphorePermit, SendError> {
    let _waiting = Waiting::begin(&host.waiting);
    match tokio::time::timeout_at(deadline.at, host.slots.clone().acquire_owned()).await {
        Ok(Ok(slot)) => Ok(slot),
        _ => Err(failure::no_connection_free(format_args!("all connections to {}:{} are in use", key.host, key.port))),
    }
}

fn no_answer(key: &Key, deadline: Deadline) -> SendError {
    failure::no_answer(deadline.by_caller, format_args!("{}:{} did not answer in time", key.host, key.port))
}

/// A request as HTTP/2 has it: the host is a part of the target.
fn h2_request(request: Outgoing, authority: &str) -> Result<Request<RequestBody>, SendError> {
    let Outgoing { method, secure, target, headers, body, .. } = request;
    let mut headers = headers::to_map(&headers);
    headers.remove(EXPECT);
    // Servers of gRPC insist on it, and it has no meaning that would end here: what comes behind a body is passed on.
    if headers.get(CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"application/grpc")) {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let host = headers.remove(HOST);
    let host = host.as_ref().map_or(authority.as_bytes(), |host| host.as_bytes());
    let mut parts = target::clean(&target).parse::<Uri>().map_err(failure::not_sent)?.into_parts();
    if parts.authority.is_none() {
        parts.authority = Some(host.try_into().map_err(failure::not_sent)?);
        parts.scheme = Some(if secure { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    }
    let mut message = Request::new(OutBody::new(body, false, None));
    *message.method_mut() = method;
    *message.uri_mut() = Uri::from_parts(parts).map_err(failure::not_sent)?;
    *message.version_mut() = Version::HTTP_2;
    *message.headers_mut() = headers;
    Ok(message)
}

/// The body of an HTTP/2 answer.
struct StreamBody {
    body: HyperBody,
    timer: Pin<Box<Sleep>>,
    stall: Duration,
    /// The request counts as under way until here.
    _slot: Option<OwnedSemaphorePermit>,
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.timer.as_mut().reset(Instant::now() + this.stall);
                Poll::Ready(frame.map(|frame| frame.map_err(|error| failure::with_causes(&error).into())))
            }
            Poll::Pending => {
                ready!(this.timer.as_mut().poll(cx));
                Poll::Ready(Some(Err("the back end stopped sending its answer".into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_grpc_asks_for_trailers() {
        for (kind, given, expected) in [
            ("application/grpc", None, Some("trailers")),
            ("application/grpc+proto", Some("gzip"), Some("trailers")),
            ("text/xml", Some("trailers"), None),
        ] {
            let mut headers = mi_message::Headers::new();
            headers.set("Content-Type", kind);
            if let Some(given) = given {
                headers.set("TE", given);
            }
            let request = Outgoing {
                method: Method::POST,
                secure: false,
                host: "h".into(),
                port: 80,
                target: "/".to_owned(),
                version: Version::HTTP_2,
                headers,
                body: Payload::Empty,
                chunked: false,
                close: false,
                timeout: None,
            };
            let sent = h2_request(request, "h").expect("a request");
            let te: Vec<&str> = sent.headers().get_all(TE).iter().filter_map(|it| it.to_str().ok()).collect();
            assert_eq!(te, expected.into_iter().collect::<Vec<_>>(), "{kind}");
        }
    }
}
