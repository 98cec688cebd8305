//! What the tests share: a service with a path for each behaviour, raw peers, a client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use mi_engine::transport::{HttpClient, HttpReply, HttpRequest, HttpService, Incoming, Outgoing, Payload, SendError};
use mi_message::{BodyStream, BoxError, Headers};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::super::{Client, ClientConfig, Limits, ListenerConfig, Server};
use crate::tls::{ClientTls, ClientTlsConfig};

/// Nothing in these tests takes this long unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Waits, but not for ever.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("the test hangs")
}

pub(super) fn limits() -> Limits {
    Limits::default()
}

/// A service whose behaviour is chosen by the path.
#[derive(Default)]
pub(super) struct Demo {
    /// Told when a request to `/wait` has come.
    pub(super) arrived: Notify,
    /// Ends the requests to `/wait`.
    pub(super) go: Notify,
    /// Told when a request to `/wait` was worked off, answered or not.
    pub(super) finished: Notify,
}

pub(super) fn chunks(parts: Vec<Result<&'static str, BoxError>>) -> BodyStream {
    let frames = parts.into_iter().map(|part| part.map(|text| Frame::data(Bytes::from(text))));
    BodyStream::new(StreamBody::new(futures_util::stream::iter(frames)))
}

fn reply(body: Payload) -> HttpReply {
    HttpReply { body, ..HttpReply::new(StatusCode::OK) }
}

impl Demo {
    async fn answer(self: Arc<Self>, request: HttpRequest) -> Option<HttpReply> {
        let path = request.target.split('?').next().unwrap_or_default().to_owned();
        Some(match path.as_str() {
            "/echo" => reply(Payload::Stream(request.body)),
            "/collect" => match request.body.collect().await {
                Ok(body) => reply(Payload::Bytes(body.to_bytes())),
                Err(_) => HttpReply::new(StatusCode::BAD_REQUEST),
            },
            "/named" => {
                let mut named = reply(Payload::Bytes("x".into()));
                named.headers.append("server", "own");
                named
            }
            "/empty" => reply(Payload::Empty),
            "/status" => HttpReply::new(StatusCode::from_u16(299).unwrap()),
            "/interim" => HttpReply::new(StatusCode::CONTINUE),
            "/no-content" => HttpReply::new(StatusCode::NO_CONTENT),
            "/reason" => HttpReply { reason: Some("Very Fine".into()), ..reply(Payload::Empty) },
            "/bad-reason" => HttpReply { reason: Some("a\r\nb".into()), ..reply(Payload::Empty) },
            "/close" => HttpReply { close: true, ..reply(Payload::Bytes("bye".into())) },
            "/chunked" => reply(Payload::Stream(chunks(vec![Ok("one"), Ok("two")]))),
            "/cut" => reply(Payload::Stream(chunks(vec![Ok("one"), Err("cut".into())]))),
            "/panic" => panic!("as asked"),
            "/none" => return None,
            "/headers" => {
                let names: Vec<&str> = request.headers.iter().map(|(name, _)| name).collect();
                reply(Payload::Bytes(names.join(",").into()))
            }
            "/framed" => {
                let mut framed = reply(Payload::Bytes("x".into()));
                for (name, value) in
                    [("transfer-encoding", "gzip"), ("content-length", "99"), ("connection", "x-y"), ("x-kept", "1")]
                {
                    framed.headers.append(name, value);
                }
                framed
            }
            "/wait" => {
                self.arrived.notify_one();
                self.go.notified().await;
                self.finished.notify_one();
                reply(Payload::Bytes("waited".into()))
            }
            _ => reply(Payload::Bytes(format!("{} {} {:?}", request.method, request.target, request.version).into())),
        })
    }
}

/// The service as the listeners want it.
pub(super) struct Shared(pub(super) Arc<Demo>);

impl HttpService for Shared {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        assert!(request.target != "/panic-at-once", "as asked");
        Box::pin(self.0.clone().answer(request))
    }
}

/// A plain listener with the demonstration service.
pub(super) fn start(limits: Limits) -> (Server, SocketAddr, Arc<Demo>) {
    start_with(ListenerConfig { limits, ..ListenerConfig::new("test", ANY) }, 1)
}

pub(super) fn start_with(config: ListenerConfig, threads: usize) -> (Server, SocketAddr, Arc<Demo>) {
    let demo = Arc::new(Demo::default());
    let server = Server::start(vec![(config, Arc::new(Shared(demo.clone())))], threads).unwrap();
    let address = server.bound()[0];
    (server, address, demo)
}

/// Sends bytes and reads until the peer closes.
pub(crate) async fn raw(address: SocketAddr, request: &[u8]) -> String {
    within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    })
    .await
}

/// Reads until `end` was seen.
pub(super) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    within(async {
        let mut seen = Vec::new();
        while memchr::memmem::find(&seen, end.as_bytes()).is_none() {
            let read = stream.read_buf(&mut seen).await.unwrap();
            assert!(read > 0, "closed after {:?}", String::from_utf8_lossy(&seen));
        }
        String::from_utf8_lossy(&seen).into_owned()
    })
    .await
}

/// A back end that treats each connection with `serve`, told which connection it is.
pub(super) async fn backend<F, S>(serve: S) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
    S: Fn(usize, TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            tokio::spawn(serve(number, stream));
        }
    });
    address
}

/// A back end that answers every request of every connection with the same bytes, and then goes on or closes.
pub(super) async fn canned(answer: &'static str, close: bool) -> SocketAddr {
    backend(move |_, mut stream| async move {
        let mut seen = Vec::new();
        while stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
            if memchr::memmem::find(&seen, b"\r\n\r\n").is_some() {
                seen.clear();
                if stream.write_all(answer.as_bytes()).await.is_err() || close {
                    return;
                }
            }
        }
    })
    .await
}

pub(crate) fn client_config() -> ClientConfig {
    ClientConfig::new(Arc::new(ClientTls::new(&ClientTlsConfig::default()).unwrap()))
}

pub(super) fn client() -> Client {
    Client::new(client_config())
}

pub(super) fn request(method: Method, address: SocketAddr, target: &str, body: Payload) -> Outgoing {
    Outgoing {
        method,
        secure: false,
        host: address.ip().to_string().into(),
        port: address.port(),
        target: target.into(),
        version: Version::HTTP_11,
        headers: Headers::new(),
        body,
        chunked: true,
        close: false,
        timeout: Some(PATIENCE),
    }
}

pub(super) fn get(address: SocketAddr, target: &str) -> Outgoing {
    request(Method::GET, address, target, Payload::Empty)
}

pub(super) fn post(address: SocketAddr, target: &str, body: &'static str) -> Outgoing {
    request(Method::POST, address, target, Payload::Bytes(body.into()))
}

/// Sends and reads the answer's body.
pub(super) async fn fetch(client: &Client, request: Outgoing) -> Result<(StatusCode, String), SendError> {
    let answer = within(client.send(request)).await?;
    let status = answer.status;
    Ok((status, text(answer).await.expect("the body")))
}

pub(super) async fn text(answer: Incoming) -> Result<String, BoxError> {
    let bytes = within(answer.body.collect()).await?.to_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A request without fields and body.
pub(crate) fn plain_request(method: Method, target: &str) -> HttpRequest {
    HttpRequest {
        method,
        target: target.to_owned(),
        version: Version::HTTP_11,
        headers: Headers::new(),
        body: crate::http::body::empty_stream(),
        peer: ANY,
        local: ANY,
        secure: false,
        client_certificate: None,
    }
}
