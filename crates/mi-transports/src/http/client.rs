//! The client side: one request to a back end, over a pooled or new connection.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming as HyperBody;
use hyper::ext::ReasonPhrase;
use mi_engine::transport::{HttpClient, Incoming, Outgoing, Payload, SendError};
use mi_message::{BodyStream, BoxError};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::{Instant, Sleep};

use super::body::{self, OutBody};
use super::connect::{self, Connected};
use super::failure;
use super::headers::{strip_hop_by_hop, strip_nominated};
use super::pool::{self, Ages, Connection, Doing, Host, Hosts, Key, Lease, RequestBody, Shared};
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
    /// Bytes of a streamed request body that is held in memory because its length must be told first.
    pub max_buffered: usize,
    /// Whom to trust and which certificate to show.
    pub tls: Arc<ClientTls>,
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
            max_buffered: 16 * 1024 * 1024,
            tls,
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
        Self { inner: Arc::new(Inner { id: NEXT.fetch_add(1, Relaxed), config, ages, hosts: Hosts::default() }) }
    }
}

impl HttpClient for Client {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        let inner = self.inner.clone();
        Box::pin(async move { inner.send(request).await })
    }
}

/// A request in the form that can be put on any connection.
struct Message {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    payload: Payload,
    chunked: bool,
}

/// Until when, and whose idea that was.
#[derive(Clone, Copy)]
struct Deadline {
    at: Instant,
    by_caller: bool,
}

/// What came of one attempt.
enum Attempt {
    Answered(Incoming),
    /// Nothing of the request left this machine, or repeating it does no harm.
    Again(Message),
    Failed(SendError),
}

impl Inner {
    async fn send(&self, request: Outgoing) -> Result<Incoming, SendError> {
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
        let mut slot = match host.slots.clone().try_acquire_owned() {
            Ok(slot) => Some(slot),
            Err(TryAcquireError::Closed | TryAcquireError::NoPermits) => {
                if let Some(connection) = pooled.take() {
                    // Somebody else may have a slot and no connection.
                    pool::give_back(&key, connection, &self.ages);
                }
                Some(wait_for_slot(&key, &host, deadline).await?)
            }
        };
        let mut message = self.message(request, &host).await?;
        for _ in 0..STALE_ATTEMPTS {
            if let Some(shared) = key.http2.then(|| pool::shared(&key, &self.ages)).flatten() {
                match self.exchange_h2(&key, shared, message, deadline, &mut slot).await {
                    Attempt::Answered(answer) => return Ok(answer),
                    Attempt::Failed(error) => return Err(error),
                    Attempt::Again(again) => message = again,
                }
                continue;
            }
            let connection = match pooled.take() {
                Some(connection) => Some(connection),
                None => pool::take(&key, &self.hosts, self.config.max_per_host, &self.ages).1,
            };
            let Some(connection) = connection else { break };
            match self.exchange_h1(&key, connection, message, true, deadline, &mut slot).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again(again) => message = again,
            }
        }
        match self.send_on_new(&key, &host, message, deadline, &mut slot).await {
            Attempt::Answered(answer) => Ok(answer),
            Attempt::Failed(error) => Err(error),
            Attempt::Again(_) => {
                Err(failure::connection_closed(format_args!("{}:{} closed a new connection", key.host, key.port)))
            }
        }
    }

    async fn send_on_new(
        &self,
        key: &Key,
        host: &Host,
        message: Message,
        deadline: Deadline,
        slot: &mut Option<OwnedSemaphorePermit>,
    ) -> Attempt {
        let mut one_at_a_time = None;
        if key.http2 {
            match tokio::time::timeout_at(deadline.at, host.connecting.lock()).await {
                Ok(guard) => one_at_a_time = Some(guard),
                Err(_) => return Attempt::Failed(no_answer(key, deadline)),
            }
            if let Some(shared) = pool::shared(key, &self.ages) {
                drop(one_at_a_time);
                return self.exchange_h2(key, shared, message, deadline, slot).await;
            }
        }
        match connect::connect(key, &self.config, deadline.at).await {
            Err(error) => Attempt::Failed(error),
            Ok(Connected::Http1(connection)) => {
                drop(one_at_a_time);
                self.exchange_h1(key, connection, message, false, deadline, slot).await
            }
            Ok(Connected::Http2(shared)) => {
                pool::share(key, &shared);
                drop(one_at_a_time);
                self.exchange_h2(key, shared, message, deadline, slot).await
            }
        }
    }

    async fn exchange_h1(
        &self,
        key: &Key,
        mut connection: Connection,
        mut message: Message,
        reused: bool,
        deadline: Deadline,
        slot: &mut Option<OwnedSemaphorePermit>,
    ) -> Attempt {
        if message.version == Version::HTTP_2 {
            // The back end does not speak it.
            message.version = Version::HTTP_11;
        }
        let spare = if reused { message.repeatable() } else { None };
        let version = message.version;
        let link = connection.link.clone();
        link.activity.begin_exchange();
        link.set(Doing::Asking);
        let guard = (!matches!(message.payload, Payload::Empty)).then(|| link.sending());
        let request = message.into_request(guard);
        let head = request.method() == Method::HEAD;
        let reusable = !request.headers().contains_key(CONNECTION);
        let sent = connection.sender.try_send_request(request);
        // Dropped before the end of the answer, the lease closes the connection.
        let mut lease = Lease { key: key.clone(), ages: self.ages, connection: Some(connection), slot: None, reusable };
        let failed = match tokio::time::timeout_at(deadline.at, sent).await {
            Err(_) => return Attempt::Failed(no_answer(key, deadline)),
            Ok(Ok(response)) => {
                link.set(Doing::Answering);
                lease.slot = slot.take();
                return match receive(response, lease, head) {
                    Ok(answer) => Attempt::Answered(answer),
                    Err(error) => Attempt::Failed(error),
                };
            }
            Ok(Err(failed)) => failed,
        };
        drop(lease);
        let mut failed = failed;
        if let Some(request) = failed.take_message() {
            return Attempt::Again(Message::from_request(request, version));
        }
        match spare {
            Some(spare) if !link.activity.has_received() => Attempt::Again(spare),
            _ => Attempt::Failed(failure::from_hyper(failed.error())),
        }
    }

    async fn exchange_h2(
        &self,
        key: &Key,
        mut shared: Shared,
        message: Message,
        deadline: Deadline,
        slot: &mut Option<OwnedSemaphorePermit>,
    ) -> Attempt {
        let version = message.version;
        let request = match message.into_h2_request(key.secure) {
            Ok(request) => request,
            Err(error) => return Attempt::Failed(error),
        };
        let sent = shared.sender.try_send_request(request);
        match tokio::time::timeout_at(deadline.at, sent).await {
            Err(_) => Attempt::Failed(no_answer(key, deadline)),
            Ok(Ok(response)) => {
                let (parts, body) = response.into_parts();
                let body = if body.is_end_stream() {
                    body::empty_stream()
                } else {
                    let timer = Box::pin(tokio::time::sleep(self.config.socket_timeout));
                    let stall = self.config.socket_timeout;
                    BodyStream::new(StreamBody { body, timer, stall, _slot: slot.take() })
                };
                Attempt::Answered(incoming(parts, body))
            }
            Ok(Err(mut failed)) => match failed.take_message() {
                Some(request) => Attempt::Again(Message::from_request(request, version)),
                None => Attempt::Failed(failure::from_hyper(failed.error())),
            },
        }
    }

    /// Brings a request into the form that goes on the wire.
    async fn message(&self, request: Outgoing, host: &Host) -> Result<Message, SendError> {
        let Outgoing { method, target, version, mut headers, mut body, chunked, close, .. } = request;
        strip_hop_by_hop(&mut headers);
        // The body is sent without waiting for leave.
        headers.remove(EXPECT);
        if !headers.contains_key(HOST) {
            headers.insert(HOST, host.authority.clone());
        }
        if close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let chunked = chunked && version == Version::HTTP_11;
        let mut length_needed = false;
        match &body {
            Payload::Empty if matches!(method, Method::POST | Method::PUT | Method::PATCH) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            Payload::Empty => {}
            _ if version == Version::HTTP_2 => {}
            _ if chunked => {
                headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            }
            _ => length_needed = true,
        }
        if length_needed {
            body = self.with_length(body).await?;
        }
        let uri = target::parse(&target)
            .map_err(|error| failure::not_sent(format_args!("{target} is no request target: {error}")))?;
        Ok(Message { method, uri, version, headers, payload: body, chunked })
    }

    /// Reads a body whose length must be known before it is sent.
    async fn with_length(&self, payload: Payload) -> Result<Payload, SendError> {
        let mut stream = match payload {
            Payload::Stream(stream) if stream.size_hint().exact().is_none() => stream,
            known => return Ok(known),
        };
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

async fn wait_for_slot(key: &Key, host: &Host, deadline: Deadline) -> Result<OwnedSemaphorePermit, SendError> {
    match tokio::time::timeout_at(deadline.at, host.slots.clone().acquire_owned()).await {
        Ok(Ok(slot)) => Ok(slot),
        _ => Err(failure::no_connection_free(format_args!("all connections to {}:{} are in use", key.host, key.port))),
    }
}

fn no_answer(key: &Key, deadline: Deadline) -> SendError {
    failure::no_answer(deadline.by_caller, format_args!("{}:{} did not answer in time", key.host, key.port))
}

impl Message {
    /// A copy to send again if the pooled connection turns out dead, where that can do no harm: the method says that
    /// twice is the same as once, and the body is at hand.
    fn repeatable(&self) -> Option<Self> {
        let idempotent = matches!(
            self.method,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE | Method::PUT | Method::DELETE
        );
        let payload = match &self.payload {
            Payload::Empty => Payload::Empty,
            Payload::Bytes(bytes) => Payload::Bytes(bytes.clone()),
            Payload::Stream(_) => return None,
        };
        idempotent.then(|| Self {
            method: self.method.clone(),
            uri: self.uri.clone(),
            version: self.version,
            headers: self.headers.clone(),
            payload,
            chunked: self.chunked,
        })
    }

    fn into_request(self, guard: Option<pool::SendingGuard>) -> Request<RequestBody> {
        let mut request = Request::new(OutBody::new(self.payload, self.chunked, guard));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        request
    }

    fn into_h2_request(mut self, secure: bool) -> Result<Request<RequestBody>, SendError> {
        let mut parts = self.uri.into_parts();
        let host = self.headers.remove(HOST);
        if parts.authority.is_none() {
            let host = host.as_ref().map_or(&b""[..], HeaderValue::as_bytes);
            let authority = host.try_into().map_err(failure::not_sent)?;
            parts.authority = Some(authority);
            parts.scheme = Some(if secure { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
        }
        self.uri = Uri::from_parts(parts).map_err(failure::not_sent)?;
        self.headers.remove(CONNECTION);
        self.headers.remove(TRANSFER_ENCODING);
        self.chunked = false;
        Ok(self.into_request(None))
    }

    fn from_request(request: Request<RequestBody>, version: Version) -> Self {
        let (mut parts, body) = request.into_parts();
        if version == Version::HTTP_2 {
            // Back to the form in which every protocol starts.
            let mut uri = parts.uri.into_parts();
            if let Some(authority) = uri.authority.take()
                && let Ok(host) = HeaderValue::from_str(authority.as_str())
            {
                parts.headers.insert(HOST, host);
            }
            uri.scheme = None;
            parts.uri = Uri::from_parts(uri).unwrap_or_default();
        }
        let chunked = parts.headers.contains_key(TRANSFER_ENCODING);
        Self {
            method: parts.method,
            uri: parts.uri,
            version,
            headers: parts.headers,
            payload: body.into_payload(),
            chunked,
        }
    }
}

/// Takes an HTTP/1 answer. An answer whose framing another server could read differently is refused.
fn receive(response: Response<HyperBody>, mut lease: Lease, head: bool) -> Result<Incoming, SendError> {
    let (mut parts, body) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(failure::protocol_violation("the back end switched protocols without being asked"));
    }
    if let Some(coding) = parts.headers.get(TRANSFER_ENCODING) {
        let chunked = coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
        if !chunked || parts.headers.get_all(TRANSFER_ENCODING).iter().nth(1).is_some() {
            return Err(failure::protocol_violation("the answer has a Transfer-Encoding that is not understood"));
        }
        if parts.headers.contains_key(CONTENT_LENGTH) && !head {
            return Err(failure::protocol_violation("the answer has both Content-Length and Transfer-Encoding"));
        }
    }
    strip_nominated(&mut parts.headers);
    let body = if body.is_end_stream() {
        lease.finish();
        body::empty_stream()
    } else {
        BodyStream::new(LeasedBody { body, lease })
    };
    Ok(incoming(parts, body))
}

fn incoming(parts: http::response::Parts, body: BodyStream) -> Incoming {
    let reason =
        parts.extensions.get::<ReasonPhrase>().map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
    Incoming { status: parts.status, reason, version: parts.version, headers: parts.headers, body }
}

/// The body of an HTTP/1 answer; gives its connection back at the end.
struct LeasedBody {
    body: HyperBody,
    lease: Lease,
}

impl Body for LeasedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match frame {
            Some(Ok(frame)) => {
                if this.body.is_end_stream() {
                    this.lease.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            None => {
                this.lease.finish();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                let stalled =
                    this.lease.connection.as_ref().is_some_and(|connection| connection.link.stalled.load(Relaxed));
                if stalled {
                    return Poll::Ready(Some(Err("the back end stopped sending its answer".into())));
                }
                Poll::Ready(Some(Err(failure::with_causes(&error).into())))
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
