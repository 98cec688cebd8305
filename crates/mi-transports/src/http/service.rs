//! From hyper's request to the engine's `HttpRequest` and back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use mi_engine::transport::{HttpReply, HttpRequest, HttpService, Payload};
use tokio::time::Sleep;

use super::body::{self, OutBody};
use super::headers::{self, strip_nominated};
use super::io::Activity;
use super::screen;
use super::server::{Limits, Progress, Running};
use super::upgrade::Upgrades;

/// What a service's answer is written from.
pub(crate) type ReplyBody = OutBody<RequestGuard>;

/// What all requests of a listener share.
pub(crate) struct Listening {
    pub(crate) name: String,
    pub(crate) service: Arc<dyn HttpService>,
    pub(crate) limits: Limits,
    pub(crate) progress: Arc<Progress>,
    /// Requests of this listener being answered.
    pub(crate) running: Running,
    /// What the server calls itself in answers that do not say; empty: nothing.
    pub(crate) server: &'static str,
    /// HTTP/1 is left to hyper.
    pub(crate) plain_codec: bool,
    pub(crate) upgrades: Option<Arc<dyn Upgrades>>,
}

impl Listening {
    /// More requests are being answered than allowed.
    pub(crate) fn is_full(&self) -> bool {
        self.running.count() > self.limits.max_requests
    }
}

/// Serves the requests of one connection.
pub(crate) struct Adapter {
    pub(crate) listening: Arc<Listening>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) secure: bool,
    pub(crate) client_certificate: Option<Arc<[u8]>>,
}

/// A request is being answered for as long as this lives.
pub(crate) struct RequestGuard {
    listening: Arc<Listening>,
    activity: Arc<Activity>,
}

impl RequestGuard {
    pub(crate) fn new(listening: &Arc<Listening>, activity: &Arc<Activity>) -> Self {
        activity.begin_request();
        listening.running.begin();
        listening.progress.running.begin();
        Self { listening: listening.clone(), activity: activity.clone() }
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.activity.end_request();
        self.listening.running.end();
        self.listening.progress.request_ended();
    }
}

/// The service chose not to answer and the socket time-out is over; hyper then closes the connection.
#[derive(Debug, thiserror::Error)]
#[error("the request was left without an answer")]
pub(crate) struct Unanswered;

impl From<Infallible> for Unanswered {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl hyper::service::Service<Request<Incoming>> for Adapter {
    type Response = Response<ReplyBody>;
    type Error = Unanswered;
    type Future = Replying;

    fn call(&self, request: Request<Incoming>) -> Replying {
        let guard = RequestGuard::new(&self.listening, &self.activity);
        let mut replying = Replying {
            state: State::Over,
            listening: self.listening.clone(),
            http1: request.version() < Version::HTTP_2,
            head: request.method() == Method::HEAD,
        };
        if !replying.http1 {
            self.activity.note_stream();
        }
        if let Some(status) = screen::refuse(&request, &self.listening.limits) {
            let reply = HttpReply { close: true, ..HttpReply::new(status) };
            replying.state = State::Refused(Some(replying.response(reply, Some(guard))));
            return replying;
        }
        if self.listening.is_full() {
            let mut reply = HttpReply::new(StatusCode::SERVICE_UNAVAILABLE);
            reply.headers.set("Retry-After", "1");
            replying.state = State::Refused(Some(replying.response(reply, Some(guard))));
            return replying;
        }
        replying.state = State::Running(Call::start(&self.listening, self.translate(request), guard));
        replying
    }
}

impl Adapter {
    fn translate(&self, request: Request<Incoming>) -> HttpRequest {
        let (parts, incoming) = request.into_parts();
        let mut fields = parts.headers;
        let uri = parts.uri;
        let http1 = parts.version < Version::HTTP_2;
        let target = if http1 {
            match (uri.scheme(), uri.path_and_query()) {
                (None, Some(path)) => path.as_str().to_owned(),
                _ => uri.to_string(),
            }
        } else {
            if let Some(authority) = uri.authority()
                && let Ok(host) = HeaderValue::from_str(authority.as_str())
            {
                fields.insert(HOST, host);
            }
            headers::join_cookies(&mut fields);
            uri.path_and_query().map_or_else(|| "/".to_owned(), |path| path.as_str().to_owned())
        };
        let mut headers = headers::from_map(&fields);
        if http1 {
            strip_nominated(&mut headers);
        }
        HttpRequest {
            method: parts.method,
            target,
            version: parts.version,
            headers,
            body: body::from_incoming(incoming),
            peer: self.peer,
            local: self.local,
            secure: self.secure,
            client_certificate: self.client_certificate.clone(),
        }
    }
}

/// A request that the service works on. A panic is an answer, too.
pub(crate) struct Call {
    state: CallState,
    listening: Arc<Listening>,
    /// Counts the request until it is answered, or its flow has ended without a client.
    guard: Option<RequestGuard>,
}

enum CallState {
    Running(BoxFuture<'static, Option<HttpReply>>),
    /// It never began.
    Failed(HttpReply),
    Over,
}

impl Call {
    pub(crate) fn start(listening: &Arc<Listening>, request: HttpRequest, guard: RequestGuard) -> Self {
        let started = catch_unwind(AssertUnwindSafe(|| listening.service.call(request)));
        let state = match started {
            Ok(future) => CallState::Running(future),
            Err(panic) => CallState::Failed(after_panic(&listening.name, &*panic)),
        };
        Self { state, listening: listening.clone(), guard: Some(guard) }
    }

    /// The answer; `None`: there will be none.
    pub(crate) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<HttpReply>> {
        if let CallState::Running(future) = &mut self.state {
            let reply = match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(reply)) => reply,
                Err(panic) => Some(after_panic(&self.listening.name, &*panic)),
            };
            self.state = CallState::Over;
            if reply.is_none() {
                self.guard = None;
            }
            return Poll::Ready(reply.map(|reply| self.checked(reply)));
        }
        match std::mem::replace(&mut self.state, CallState::Over) {
            CallState::Failed(reply) => Poll::Ready(Some(reply)),
            CallState::Running(_) | CallState::Over => Poll::Ready(None),
        }
    }

    fn checked(&self, reply: HttpReply) -> HttpReply {
        if reply.status.is_informational() {
            log::error!("{}: a service answered with the interim status {}", self.listening.name, reply.status);
            return HttpReply::new(StatusCode::INTERNAL_SERVER_ERROR);
        }
        reply
    }

    /// What counts the request while its answer is being written.
    pub(crate) fn take_guard(&mut self) -> Option<RequestGuard> {
        self.guard.take()
    }
}

impl Drop for Call {
    /// The client is gone. The flow goes on to its end all the same, as it does in MI: it may be half way through
    /// something that must not be left half done.
    fn drop(&mut self) {
        if let CallState::Running(future) = std::mem::replace(&mut self.state, CallState::Over)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let guard = self.guard.take();
            if let Some(guard) = &guard {
                guard.activity.note_abandoned();
            }
            runtime.spawn(async move {
                drop(future.await);
                drop(guard);
            });
        }
    }
}

fn after_panic(listener: &str, panic: &(dyn std::any::Any + Send)) -> HttpReply {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    log::error!("{listener}: a request ended in a panic: {text}");
    HttpReply { close: true, ..HttpReply::new(StatusCode::INTERNAL_SERVER_ERROR) }
}

enum State {
    Running(Call),
    Refused(Option<Response<ReplyBody>>),
    /// No answer will come; the connection stays until the socket time-out.
    Silent(Pin<Box<Sleep>>),
    Over,
}

/// The answer to one request, when it is there.
pub(crate) struct Replying {
    state: State,
    listening: Arc<Listening>,
    http1: bool,
    head: bool,
}

impl Future for Replying {
    type Output = Result<Response<ReplyBody>, Unanswered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match &mut this.state {
                State::Running(call) => match std::task::ready!(call.poll_reply(cx)) {
                    Some(reply) => {
                        let guard = call.take_guard();
                        this.state = State::Over;
                        return Poll::Ready(Ok(this.response(reply, guard)));
                    }
                    None => {
                        let wait = tokio::time::sleep(this.listening.limits.idle_timeout);
                        this.state = State::Silent(Box::pin(wait));
                    }
                },
                State::Refused(response) => {
                    return match response.take() {
                        Some(response) => Poll::Ready(Ok(response)),
                        None => Poll::Ready(Err(Unanswered)),
                    };
                }
                State::Silent(wait) => {
                    std::task::ready!(wait.as_mut().poll(cx));
                    this.state = State::Over;
                }
                State::Over => return Poll::Ready(Err(Unanswered)),
            }
        }
    }
}

impl Replying {
    fn response(&self, reply: HttpReply, guard: Option<RequestGuard>) -> Response<ReplyBody> {
        let HttpReply { status, reason, headers, body, close } = reply;
        let mut fields = headers::to_map(&headers);
        let length =
            headers.get("Content-Length").filter(|length| self.head && length.bytes().all(|it| it.is_ascii_digit()));
        if let Some(length) = length.and_then(|length| HeaderValue::from_str(length).ok()) {
            // What a GET would have had; hyper sends no body for HEAD.
            fields.insert(CONTENT_LENGTH, length);
        }
        if self.http1 && (close || self.listening.progress.is_draining()) {
            fields.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let body = if self.head { Payload::Empty } else { body };
        let mut response = Response::new(OutBody::new(body, false, guard));
        *response.status_mut() = status;
        *response.headers_mut() = fields;
        if self.http1
            && let Some(phrase) = reason_phrase(status, reason)
        {
            response.extensions_mut().insert(phrase);
        }
        response
    }
}

/// The phrase to write: the given one if it can be written, nothing for a status without a standard phrase.
fn reason_phrase(status: StatusCode, reason: Option<String>) -> Option<ReasonPhrase> {
    match reason.map(|text| ReasonPhrase::try_from(text.into_bytes())) {
        Some(Ok(phrase)) => Some(phrase),
        _ if status.canonical_reason().is_none() => Some(ReasonPhrase::from_static(b"")),
        _ => None,
    }
}
