//! One client and its one answer, shared by every flow that came out of its request.

use std::any::Any;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::StatusCode;
use mi_message::{Message, Text};
use tokio::sync::oneshot;

use crate::trail::Trail;
use crate::transport::HttpReply;

/// Takes the answers of flows where no HTTP client waits for one, as often as they answer: the other side of a WebSocket
/// connection. MI: `InboundResponseSender`.
pub trait Responder: Any + Send + Sync + std::fmt::Debug {
    /// True when the answer is the body of `message`, which is then built and formatted; false when its properties say
    /// all.
    fn wants_body(&self, message: &Message) -> bool;

    /// Takes an answer; `body` is its formatted body, if it was wanted.
    fn respond(&self, message: &Message, body: Option<Bytes>);
}

/// Where the answer goes. Only the first answer counts, as in MI (`Axis2Sender#preventMultipleResponses`).
#[derive(Debug)]
pub struct Exchange {
    /// Taken by the first answer. A lock because parts of a split message may answer from different tasks; it is
    /// taken once or twice a request and never held across a wait.
    reply: Mutex<Option<oneshot::Sender<HttpReply>>>,
    replied: AtomicBool,
    send_tried: AtomicBool,
    faulted: AtomicBool,
    refused: AtomicBool,
    held: Mutex<Vec<Box<dyn Any + Send>>>,
    responder: Option<Arc<dyn Responder>>,
    /// What the listener knew about the request.
    pub request: RequestInfo,
}

/// Facts about the request that answers depend on.
#[derive(Clone, Debug, Default)]
pub struct RequestInfo {
    /// Method of the request; empty when the flow was not started by HTTP.
    pub method: Text,
    /// Path and query as received.
    pub target: Arc<str>,
    /// True when the request came over HTTP/1.0.
    pub http10: bool,
    /// True on a TLS listener.
    pub secure: bool,
    /// Content type of the request.
    pub content_type: Option<Arc<str>>,
    /// SOAPAction of the request.
    pub soap_action: Option<String>,
    /// What accepted the connection; none without one.
    pub local: Option<SocketAddr>,
    /// Host field of the request.
    pub host: String,
    /// Accept-Encoding of the request.
    pub accept_encoding: Option<String>,
    /// How many proxies of this server handed the message on to each other (`local://`).
    pub hops: u32,
    /// Who follows what the request leads to.
    pub trail: Option<Arc<dyn Trail>>,
}

impl Exchange {
    /// An exchange whose answer goes to `reply`.
    pub fn new(request: RequestInfo, reply: oneshot::Sender<HttpReply>) -> Self {
        Self {
            reply: Mutex::new(Some(reply)),
            replied: AtomicBool::new(false),
            send_tried: AtomicBool::new(false),
            faulted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            held: Mutex::default(),
            responder: None,
            request,
        }
    }

    /// An exchange without a client, for tasks, processors and pollers.
    pub fn detached() -> Self {
        Self {
            reply: Mutex::new(None),
            replied: AtomicBool::new(false),
            send_tried: AtomicBool::new(false),
            faulted: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            held: Mutex::default(),
            responder: None,
            request: RequestInfo::default(),
        }
    }

    /// An exchange whose answers go to `responder`.
    pub fn with_responder(responder: Arc<dyn Responder>) -> Self {
        Self { responder: Some(responder), ..Self::detached() }
    }

    /// Who takes the answers in the place of a client.
    pub fn responder(&self) -> Option<&Arc<dyn Responder>> {
        self.responder.as_ref()
    }

    /// Answers the client. False when it has been answered before or there is none; the reply is dropped then.
    pub fn answer(&self, reply: HttpReply) -> bool {
        let sender = self.reply.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        self.replied.store(true, Ordering::Release);
        self.lock_held().clear();
        match sender {
            Some(sender) => sender.send(reply).is_ok(),
            None => false,
        }
    }

    /// Sends the client away, because there is no memory for its request: 503, and to come again. What the flow answers
    /// after that is dropped.
    pub fn refuse(&self) {
        if self.awaits_answer() {
            self.refused.store(true, Ordering::Relaxed);
            let mut reply = HttpReply::new(StatusCode::SERVICE_UNAVAILABLE);
            reply.headers.set("Retry-After", "1");
            self.answer(reply);
        }
    }

    /// True after [`Exchange::refuse`].
    pub fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Keeps `guard` until the client is answered, or until nobody is left who could answer it.
    pub fn hold(&self, guard: Box<dyn Any + Send>) {
        let mut held = self.lock_held();
        if !self.is_answered() {
            held.push(guard);
        }
    }

    fn lock_held(&self) -> std::sync::MutexGuard<'_, Vec<Box<dyn Any + Send>>> {
        self.held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// True once an answer was given.
    pub fn is_answered(&self) -> bool {
        self.replied.load(Ordering::Acquire)
    }

    /// True when a client waits for an answer.
    pub fn awaits_answer(&self) -> bool {
        self.reply.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
    }

    /// Notes that a message was sent on, or was handed to parts that may answer later: no 202 will be made up when
    /// the flow ends. MI: RESPONSE_WRITTEN = SKIP.
    pub fn note_send(&self) {
        self.send_tried.store(true, Ordering::Release);
    }

    /// Notes a fault of one of the flows; true for the first.
    pub fn note_fault(&self) -> bool {
        !self.faulted.swap(true, Ordering::Relaxed)
    }

    /// True after [`Exchange::note_send`].
    pub fn send_was_tried(&self) -> bool {
        self.send_tried.load(Ordering::Acquire)
    }
}
