//! Messages to `ws://` and `wss://` addresses. Each client of a WebSocket inbound endpoint has back-end connections of
//! its own; all other flows share theirs. MI: `WebsocketTransportSender`, `WebsocketConnectionFactory`.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use http::header::{HeaderName, HeaderValue};
use mi_engine::endpoint::Target;
use mi_engine::services::{OutMessage, Sender};
use mi_engine::transport::{HttpReply, Payload};
use mi_engine::{Fault, codes};
use mi_message::{Message, Properties};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;

use super::handshake;
use super::session::{self, Session};
use super::{MAX_QUEUED, names};
use crate::http::Client;
use crate::http::io::Stream;

/// Connections to back ends at a time.
const MAX_CONNECTIONS: usize = 16 * 1024;
/// What a client is told when its back end cannot be reached. MI: `WEBSOCKET_UPSTREAM_ERROR_SC`.
const UPSTREAM_ERROR: u16 = 1014;

/// Sends messages as frames. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct WebSocketSender {
    client: Client,
    pool: Arc<Pool>,
}

/// Connections by client and address. A lock, held only to look up and to put in.
type Pool = Mutex<HashMap<Key, mpsc::Sender<Frame>>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    /// The client's connection; empty for flows of other origin.
    source: String,
    authority: String,
    path: String,
}

impl WebSocketSender {
    /// A sender that connects as `client` does.
    pub fn new(client: Client) -> Self {
        Self { client, pool: Arc::default() }
    }
}

impl std::fmt::Debug for WebSocketSender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("WebSocketSender").finish_non_exhaustive()
    }
}

impl Sender for WebSocketSender {
    fn send(&self, request: OutMessage) -> BoxFuture<'static, Result<Option<HttpReply>, Fault>> {
        let this = self.clone();
        Box::pin(async move { this.send(request).await.map(|()| None) })
    }

    fn wants_body(&self, message: &Message) -> bool {
        let axis2 = &message.axis2;
        session::frame_of(axis2).is_none()
            && !axis2.is_true(names::WEBSOCKET_SOURCE_HANDSHAKE)
            && !axis2.is_true(names::TERMINATE)
    }
}

/// The client's connection that a message belongs to.
fn session_of(request: &OutMessage) -> Option<Arc<Session>> {
    let responder = request.responder.clone()?;
    let responder: Arc<dyn Any + Send + Sync> = responder;
    responder.downcast::<Session>().ok()
}

impl WebSocketSender {
    async fn send(&self, request: OutMessage) -> Result<(), Fault> {
        let address = request.address.strip_prefix("ws").unwrap_or_default();
        let target = Target::parse(&format!("http{address}"))
            .ok_or_else(|| failed(format!("'{}' is no WebSocket address", request.address)))?;
        let session = session_of(&request);
        let key = Key {
            source: session.as_ref().map(|session| session.id().to_owned()).unwrap_or_default(),
            authority: target.authority.to_string(),
            path: target.path_and_query.split('?').next().unwrap_or_default().to_owned(),
        };
        let axis2 = &request.axis2;
        let ends = axis2.is_true(names::TERMINATE);
        let queue = match self.open_connection(&key) {
            Some(queue) => queue,
            None if ends => return Ok(()),
            None => match self.connect(&key, &target, axis2, session.clone()).await {
                Ok(queue) => queue,
                Err(fault) => {
                    let Some(session) = session else { return Err(fault) };
                    log::error!(target: "WebsocketTransportSender", "Error writing to the websocket channel: {}", fault.detail);
                    session.close(UPSTREAM_ERROR, &fault.detail);
                    return Ok(());
                }
            },
        };
        let frame = if let Some(frame) = session::frame_of(axis2) {
            frame
        } else if ends {
            Frame::Close(None)
        } else if axis2.is_true(names::WEBSOCKET_SOURCE_HANDSHAKE) {
            if let Some(session) = session {
                let message = session.back_end_handshake();
                // Beside this flow, which the outflow sequence may be waited for by otherwise.
                tokio::spawn(session.inject_outflow(message));
            }
            return Ok(());
        } else {
            let Payload::Bytes(bytes) = request.body else { return Err(failed("the message has no body".to_owned())) };
            Frame::Text(String::from_utf8_lossy(&bytes).into_owned().into())
        };
        queue.try_send(frame).map_err(|error| failed(format!("{}: {error}", request.address)))
    }

    fn open_connection(&self, key: &Key) -> Option<mpsc::Sender<Frame>> {
        let pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.get(key).filter(|queue| !queue.is_closed()).cloned()
    }

    async fn connect(
        &self,
        key: &Key,
        target: &Target,
        axis2: &Properties,
        session: Option<Arc<Session>>,
    ) -> Result<mpsc::Sender<Frame>, Fault> {
        let handshake = handshake_request(target, axis2)?;
        let connecting = async {
            let stream = self.client.open(target.secure, target.host.clone(), target.port).await?;
            let config = Some(super::config());
            let connected = tokio_tungstenite::client_async_with_config(handshake, stream, config).await;
            connected.map_err(|error| failed(format!("{}: {error}", target.authority)))
        };
        let connected = tokio::time::timeout(self.client.connect_timeout(), connecting).await;
        let (stream, answer) =
            connected.unwrap_or_else(|_| Err(failed(format!("{} did not answer in time", target.authority))))?;
        let agreed = answer.headers().get("Sec-WebSocket-Protocol").and_then(|agreed| agreed.to_str().ok());
        let content_type = agreed.and_then(handshake::type_of).map(str::to_owned);
        let (queue, frames) = mpsc::channel(MAX_QUEUED);
        {
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() >= MAX_CONNECTIONS {
                pool.retain(|_, queue| !queue.is_closed());
            }
            if pool.len() >= MAX_CONNECTIONS {
                return Err(failed(format!("more than {MAX_CONNECTIONS} WebSocket connections to back ends")));
            }
            if let Some(other) = pool.get(key).filter(|queue| !queue.is_closed()) {
                // Somebody else was faster; this one is closed again.
                return Ok(other.clone());
            }
            pool.insert(key.clone(), queue.clone());
        }
        let (pool, key) = (self.pool.clone(), key.clone());
        tokio::spawn(async move {
            serve(stream, frames, session, content_type).await;
            let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.get(&key).is_some_and(mpsc::Sender::is_closed) {
                pool.remove(&key);
            }
        });
        Ok(queue)
    }
}

/// Runs a back end's connection until either side, or the client that it is for, has ended.
async fn serve(
    stream: tokio_tungstenite::WebSocketStream<Stream>,
    frames: mpsc::Receiver<Frame>,
    session: Option<Arc<Session>>,
    content_type: Option<String>,
) {
    let (sink, mut stream) = stream.split();
    let mut ended = session.as_ref().map_or_else(|| watch::Sender::new(false).subscribe(), |session| session.ended());
    let client_ends = async {
        match &session {
            Some(_) => drop(ended.wait_for(|ended| *ended).await),
            None => std::future::pending().await,
        }
    };
    let read = async {
        while let Some(Ok(frame)) = stream.next().await {
            if let Some(session) = &session
                && let Some(message) = session.back_end_message(&frame, content_type.as_deref())
            {
                session.clone().inject_outflow(message).await;
            }
        }
    };
    tokio::select! {
        () = session::write(sink, frames) => {}
        () = read => {}
        () = client_ends => {}
    }
}

/// What a back end is asked.
fn handshake_request(target: &Target, axis2: &Properties) -> Result<Request, Fault> {
    let scheme = if target.secure { "wss" } else { "ws" };
    let url = format!("{scheme}://{}{}", target.authority, target.path_and_query);
    let mut request = url.as_str().into_client_request().map_err(|error| failed(format!("{url}: {error}")))?;
    let headers = request.headers_mut();
    for (name, value) in axis2.iter() {
        let Some(name) = name.strip_prefix(names::CUSTOM_HEADER).filter(|name| !name.is_empty()) else { continue };
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value.to_text())) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            _ => log::warn!(target: "WebsocketTransportSender", "The header '{name}' cannot be sent and is left out"),
        }
    }
    if let Some(content_type) = axis2.get_str(names::ACCEPT_TYPE)
        && let Ok(value) = HeaderValue::from_str(&handshake::protocol(content_type))
    {
        headers.insert("Sec-WebSocket-Protocol", value);
    }
    Ok(request)
}

fn failed(detail: String) -> Fault {
    Fault::coded(codes::SND_IO_SENDING, "Error in Sender", detail)
}
