//! What the engine and the transports hand each other: requests, replies, outgoing calls. No socket is opened here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Version};
use mi_message::{BodyStream, Headers};

/// A request as a listener received it; the body has not been read.
#[derive(Debug)]
pub struct HttpRequest {
    /// Method.
    pub method: Method,
    /// Request target as sent: path and query, or an absolute URI.
    pub target: String,
    /// Protocol version.
    pub version: Version,
    /// Header fields, with their names as they were spelled.
    pub headers: Headers,
    /// The body, unread.
    pub body: BodyStream,
    /// Client address.
    pub peer: SocketAddr,
    /// Address that accepted the connection.
    pub local: SocketAddr,
    /// True on a TLS listener.
    pub secure: bool,
    /// The client's certificate (DER), when it presented one that was verified.
    pub client_certificate: Option<Arc<[u8]>>,
}

/// The payload of a reply or of an outgoing call.
#[derive(Debug, Default)]
pub enum Payload {
    /// No body.
    #[default]
    Empty,
    /// A body whose length is known.
    Bytes(Bytes),
    /// A body that is relayed frame by frame.
    Stream(BodyStream),
}

/// An answer to a request.
#[derive(Debug)]
pub struct HttpReply {
    /// Status.
    pub status: StatusCode,
    /// Reason phrase when it is not the standard one (`HTTP_SC_DESC`).
    pub reason: Option<String>,
    /// Header fields, written as they are spelled here; framing fields (Content-Length, Transfer-Encoding, Connection) are
    /// the transport's, and what cannot stand in a head is left out.
    pub headers: Headers,
    /// Body.
    pub body: Payload,
    /// Close the connection after this answer (`NO_KEEPALIVE`).
    pub close: bool,
}

impl HttpReply {
    /// A reply without headers and body.
    pub fn new(status: StatusCode) -> Self {
        Self { status, reason: None, headers: Headers::new(), body: Payload::Empty, close: false }
    }
}

/// What a listener calls for each request. `None` leaves the client without an answer: the transport keeps the
/// connection open until its socket time-out and then closes it.
pub trait HttpService: Send + Sync + 'static {
    /// Handles one request on the runtime of the thread that accepted it.
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>>;
}

/// A request to a back end.
#[derive(Debug)]
pub struct Outgoing {
    /// Method.
    pub method: Method,
    /// True for https.
    pub secure: bool,
    /// Host name or address, without brackets.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
    /// Request target: path and query; an absolute URI when the caller wants that form (`POST_TO_URI`).
    pub target: String,
    /// HTTP/1.0 (`FORCE_HTTP_1.0`), HTTP/1.1, or HTTP/2 (`version="2.0"` of an http endpoint).
    pub version: Version,
    /// Header fields, with Host if the caller wants another than host:port. Framing is the transport's; what cannot stand
    /// in a head is left out.
    pub headers: Headers,
    /// Body.
    pub body: Payload,
    /// Send a streamed or known-length body chunked (MI's default) or with Content-Length (`DISABLE_CHUNKING`; a
    /// stream is then buffered up to a limit by the caller).
    pub chunked: bool,
    /// Ask the back end to close the connection afterwards.
    pub close: bool,
    /// How long the answer's header may take; `None` is the client's default.
    pub timeout: Option<Duration>,
}

impl Outgoing {
    /// The same request once more; `None` when its body is a stream, which exists once.
    pub fn replay(&self) -> Option<Self> {
        let body = match &self.body {
            Payload::Empty => Payload::Empty,
            Payload::Bytes(bytes) => Payload::Bytes(bytes.clone()),
            Payload::Stream(_) => return None,
        };
        Some(Self {
            method: self.method.clone(),
            secure: self.secure,
            host: self.host.clone(),
            port: self.port,
            target: self.target.clone(),
            version: self.version,
            headers: self.headers.clone(),
            body,
            chunked: self.chunked,
            close: self.close,
            timeout: self.timeout,
        })
    }
}

/// The answer of a back end; the body has not been read.
#[derive(Debug)]
pub struct Incoming {
    /// Status.
    pub status: StatusCode,
    /// Reason phrase, when it is not the standard one.
    pub reason: Option<String>,
    /// Protocol version.
    pub version: Version,
    /// Header fields, with their names as they were spelled.
    pub headers: Headers,
    /// The body, unread.
    pub body: BodyStream,
}

/// Why a back end gave no answer. `code` is one of Synapse's transport codes (`crate::fault::codes`).
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// Error code as in `ERROR_CODE`.
    pub code: u32,
    /// What happened, as in `ERROR_MESSAGE`.
    pub message: String,
    /// What happened in detail, as in `ERROR_DETAIL`.
    pub detail: String,
}

/// Sends requests to back ends. Implemented by the HTTP transport; tests use a fake.
pub trait HttpClient: Send + Sync + 'static {
    /// Sends `request`; resolves when the header of the answer is there.
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>>;
}
