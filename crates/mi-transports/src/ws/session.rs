//! One WebSocket connection of a client: its frames become messages, answers become frames.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use mi_engine::Responder;
use mi_engine::inbound::{Control, InboundRoute, Injector, Route};
use mi_message::{Body, Headers, Message, Properties};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::names;
use super::{MAX_QUEUED, PATIENCE};

/// Who gets an answer. MI: `ws.client.side.broadcast.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The client whose frame it answers.
    Own,
    /// All clients on the same path.
    Path,
    /// All of them but that one.
    Others,
}

/// What the connections of an inbound endpoint share.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) route: InboundRoute,
    pub(super) audience: Audience,
    /// Content type of frames, without an agreed sub-protocol.
    pub(super) default_type: Option<Arc<str>>,
    pub(super) out_sequence: Option<Arc<str>>,
    pub(super) out_fault_sequence: Option<Arc<str>>,
    /// Sequences are chosen by path, where there is one of that name.
    pub(super) sequence_by_path: bool,
    /// Status and text that clients get when the endpoint ends.
    pub(super) farewell: (u16, String),
    /// How long a client may be silent before it is asked whether it is there.
    pub(super) silence: Duration,
    pub(super) secure: bool,
    /// By path. A lock, because connections come and go on all threads; held only to copy a list.
    pub(super) subscribers: Mutex<HashMap<String, Vec<Weak<Session>>>>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    /// Target of the handshake.
    target: String,
    path: String,
    content_type: Option<&'static str>,
    handshake: Headers,
    hub: Arc<Hub>,
    injector: Injector,
    queue: mpsc::Sender<Frame>,
    closing: AtomicBool,
    /// True when the connection ends.
    ended: watch::Sender<bool>,
}

/// What a client said when it connected.
pub(super) struct Hello {
    pub(super) id: String,
    pub(super) target: String,
    pub(super) content_type: Option<&'static str>,
    pub(super) headers: Headers,
}

impl Session {
    /// A session and the frames that are to be written to its client.
    pub(super) fn new(hello: Hello, hub: Arc<Hub>, injector: Injector) -> (Arc<Self>, mpsc::Receiver<Frame>) {
        let (queue, frames) = mpsc::channel(MAX_QUEUED);
        let path = hello.target.split('?').next().unwrap_or_default().to_owned();
        let session = Arc::new(Self {
            id: hello.id,
            path,
            target: hello.target,
            content_type: hello.content_type,
            handshake: hello.headers,
            hub,
            injector,
            queue,
            closing: AtomicBool::new(false),
            ended: watch::Sender::new(false),
        });
        let mut subscribers = session.hub.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.entry(session.path.clone()).or_default().push(Arc::downgrade(&session));
        drop(subscribers);
        (session, frames)
    }

    /// Name of the connection.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Becomes true when the connection ends.
    pub(super) fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// Says goodbye to the client.
    pub(super) fn close(&self, code: u16, reason: &str) {
        if !self.closing.swap(true, Ordering::AcqRel) {
            // A reason has at most 123 bytes.
            let end = (0..=reason.len().min(123)).rev().find(|at| reason.is_char_boundary(*at)).unwrap_or(0);
            self.put(Frame::Close(Some(CloseFrame { code: code.into(), reason: reason[..end].to_owned().into() })));
            self.ended.send_replace(true);
        }
    }

    /// Queues a frame for this client. One that does not read is cut off.
    fn put(&self, frame: Frame) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(frame) {
            log::warn!(target: "InboundWebsocketChannelContext", "The client {} reads too slowly; its connection is closed", self.id);
            self.closing.store(true, Ordering::Release);
            self.ended.send_replace(true);
        }
    }

    /// Queues a frame for those whom it concerns.
    fn deliver(&self, frame: &Frame) {
        if self.hub.audience == Audience::Own {
            return self.put(frame.clone());
        }
        let on_path: Vec<Arc<Self>> = {
            let subscribers = self.hub.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
            subscribers.get(&self.path).into_iter().flatten().filter_map(Weak::upgrade).collect()
        };
        for session in on_path {
            if self.hub.audience == Audience::Path || session.id != self.id {
                session.put(frame.clone());
            }
        }
    }

    fn leave(&self) {
        self.ended.send_replace(true);
        let mut subscribers = self.hub.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(on_path) = subscribers.get_mut(&self.path) {
            on_path.retain(|session| session.upgrade().is_some_and(|session| session.id != self.id));
            if on_path.is_empty() {
                subscribers.remove(&self.path);
            }
        }
    }

    /// A message with what all messages of the connection have, in both scopes where MI has it in both.
    fn message(&self) -> Message {
        let mut message = Message::new();
        let both = [
            (names::CHANNEL, Some(self.id.as_str())),
            (names::OUT_SEQUENCE, self.hub.out_sequence.as_deref()),
            (names::OUT_FAULT_SEQUENCE, self.hub.out_fault_sequence.as_deref()),
        ];
        for (name, value) in both.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            message.properties.set(name, value);
            message.axis2.set(name, value);
        }
        message.axis2.set("isInbound", true);
        message.axis2.set(names::CLIENT_ID, self.id.as_str());
        message.axis2.set("TransportInURL", self.target.as_str());
        message.properties.set(names::SUBSCRIBER_PATH, self.target.as_str());
        message.properties.set("TRANSPORT_IN_NAME", if self.hub.secure { "wss" } else { "ws" });
        message
    }

    /// MI injects the handshake as a message, too.
    fn handshake_message(&self) -> Message {
        let mut message = self.message();
        for (name, value) in self.handshake.iter() {
            message.properties.set(name, value);
            message.axis2.set(name, value);
        }
        flag(&mut message, names::SOURCE_HANDSHAKE);
        flag(&mut message, names::WEBSOCKET_SOURCE_HANDSHAKE);
        message
    }

    fn end_message(&self) -> Message {
        let mut message = self.message();
        flag(&mut message, names::TERMINATE);
        message
    }

    /// A client's frame as a message. With an agreed content type it is the body; else it is a property and, where there
    /// is a default content type, the body as well.
    fn frame_message(&self, frame: &Frame) -> Option<Message> {
        let mut message = self.message();
        match self.content_type {
            Some(content_type) => fill(&mut message, frame.clone().into_data(), content_type),
            None => {
                let plain = put_frame(&mut message, frame)?;
                if let Some(content_type) = self.hub.default_type.as_deref() {
                    fill(&mut message, frame.clone().into_data(), content_type);
                    // What was parsed is answered as it is then, what was not as it came.
                    let as_it_came = content_type.starts_with(plain);
                    let present = if plain == "text/" { names::TEXT_PRESENT } else { names::BINARY_PRESENT };
                    message.properties.set(present, as_it_came);
                }
            }
        }
        Some(message)
    }

    /// A back end's frame as a message for the outflow sequence. MI: `WebSocketClientHandler#handleWebSocketFrame`.
    pub(super) fn back_end_message(&self, frame: &Frame, content_type: Option<&str>) -> Option<Message> {
        let mut message = Message::new();
        message.properties.set(names::SUBSCRIBER_PATH, self.target.as_str());
        match content_type {
            Some(content_type) => fill(&mut message, frame.clone().into_data(), content_type),
            None => drop(put_frame(&mut message, frame)?),
        }
        Some(message)
    }

    /// Tells the outflow sequence that the back end is there. MI: `WebSocketClientHandler#acknowledgeHandshake`.
    pub(super) fn back_end_handshake(&self) -> Message {
        let mut message = Message::new();
        message.properties.set(names::SUBSCRIBER_PATH, self.target.as_str());
        message.properties.set(names::TARGET_HANDSHAKE, true);
        message
    }

    /// Hands a back end's message to the outflow sequence.
    pub(super) async fn inject_outflow(self: Arc<Self>, message: Message) {
        let snapshot = self.injector.snapshot();
        let deployed = |key: &Option<Arc<str>>| key.clone().filter(|key| snapshot.sequence_by_key(key).is_some());
        let sequence = deployed(&self.hub.out_sequence).or_else(|| Some("main".into()));
        let on_error = deployed(&self.hub.out_fault_sequence).or_else(|| Some("fault".into()));
        let route = InboundRoute { sequence, on_error, ..self.hub.route.clone() };
        self.inject(Route::Inbound(route), message).await;
    }

    async fn inject_inflow(self: Arc<Self>, message: Message) {
        let snapshot = self.injector.snapshot();
        let deployed = |key: Option<&Arc<str>>| key.filter(|key| snapshot.sequence_by_key(key).is_some()).cloned();
        let by_path = self.hub.sequence_by_path.then(|| Arc::from(self.path.trim_start_matches('/').replace('/', "-")));
        let sequence = deployed(by_path.as_ref())
            .or_else(|| deployed(self.hub.route.sequence.as_ref()))
            .or_else(|| Some("main".into()));
        let route = InboundRoute { sequence, ..self.hub.route.clone() };
        self.inject(Route::Inbound(route), message).await;
    }

    async fn inject(self: Arc<Self>, route: Route, message: Message) {
        let name = self.hub.route.name.clone();
        let injector = Injector::new(self.injector.engine().clone(), route).with_responder(self);
        if let Err(error) = injector.inject(message).await {
            log::error!(target: "InboundWebsocketSourceHandler", "{name}: {error}");
        }
    }

    /// Reads and writes until either side has had enough, or the endpoint ends.
    pub(super) async fn run<S>(self: Arc<Self>, io: S, frames: mpsc::Receiver<Frame>, control: Control)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let stream = WebSocketStream::from_raw_socket(io, Role::Server, Some(super::config())).await;
        let (sink, mut stream) = stream.split();
        let writer = tokio::spawn(write(sink, frames));
        self.clone().inject_inflow(self.handshake_message()).await;
        let mut ended = self.ended();
        let mut asked = false;
        loop {
            let frame = tokio::select! {
                frame = tokio::time::timeout(self.hub.silence, stream.next()) => frame,
                () = control.halted() => break self.close(self.hub.farewell.0, &self.hub.farewell.1),
                _ = ended.wait_for(|ended| *ended) => break,
            };
            match frame {
                Ok(Some(Ok(frame @ (Frame::Text(_) | Frame::Binary(_))))) => {
                    if let Some(message) = self.frame_message(&frame) {
                        self.clone().inject_inflow(message).await;
                    }
                }
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => break log::debug!("{}: {error}", self.id),
                Ok(None) => break,
                Err(_) if asked => break log::debug!("{}: the client is gone", self.id),
                Err(_) => {
                    asked = true;
                    self.put(Frame::Ping(Bytes::new()));
                    continue;
                }
            }
            asked = false;
        }
        if self.closing.load(Ordering::Acquire) {
            // The client answers the farewell.
            let farewell = async { while let Some(Ok(_)) = stream.next().await {} };
            drop(tokio::time::timeout(PATIENCE.min(Duration::from_secs(2)), farewell).await);
        }
        self.leave();
        self.clone().inject_inflow(self.end_message()).await;
        writer.abort();
    }
}

/// Writes frames until a farewell is among them or the peer does not take them.
pub(super) async fn write<S>(mut sink: S, mut frames: mpsc::Receiver<Frame>)
where
    S: futures_util::Sink<Frame> + Unpin,
{
    while let Some(frame) = frames.recv().await {
        let last = frame.is_close();
        let written = tokio::time::timeout(PATIENCE, sink.send(frame)).await;
        if last || !matches!(written, Ok(Ok(()))) {
            break;
        }
    }
}

fn flag(message: &mut Message, name: &str) {
    message.properties.set(name, true);
    message.axis2.set(name, true);
}

/// Puts a frame into properties. Gives the beginning of the content types that leave such a frame as it is.
fn put_frame(message: &mut Message, frame: &Frame) -> Option<&'static str> {
    let (present, name, value, plain) = match frame {
        Frame::Text(text) => (names::TEXT_PRESENT, names::TEXT, text.to_string(), "text/"),
        Frame::Binary(bytes) => {
            let text = bytes.iter().map(|byte| char::from(*byte)).collect();
            (names::BINARY_PRESENT, names::BINARY, text, "binary")
        }
        _ => return None,
    };
    let value: Arc<str> = value.into();
    flag(message, present);
    message.properties.set(name, value.clone());
    message.axis2.set(name, value);
    Some(plain)
}

/// Makes the bytes of a frame the body.
fn fill(message: &mut Message, bytes: Bytes, content_type: &str) {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    message.axis2.set("messageType", essence);
    message.axis2.set("ContentType", content_type);
    message.rest = mi_engine::incoming::is_rest(Some(content_type));
    message.body = Body::from_bytes(bytes, Some(content_type.into()));
}

/// The frame in the properties of a message.
pub(super) fn frame_of(properties: &Properties) -> Option<Frame> {
    let text = |name: &str| properties.get(name).map(|value| value.to_text().into_owned()).unwrap_or_default();
    if properties.is_true(names::BINARY_PRESENT) {
        let bytes: Vec<u8> =
            text(names::BINARY).chars().map(|it| u8::try_from(u32::from(it)).unwrap_or(b'?')).collect();
        return Some(Frame::Binary(bytes.into()));
    }
    properties.is_true(names::TEXT_PRESENT).then(|| Frame::Text(text(names::TEXT).into()))
}

fn number(properties: &Properties, name: &str) -> Option<u16> {
    properties.get(name)?.to_text().trim().parse().ok()
}

/// A farewell that a flow asked for.
fn farewell(properties: &Properties) -> Option<(u16, String)> {
    let text = |name: &str| properties.get(name).map(|value| value.to_text().into_owned());
    match (number(properties, "errorCode"), text("ERROR_MESSAGE")) {
        (Some(code), Some(reason)) => Some((code, reason)),
        _ => Some((number(properties, names::CLOSE_CODE)?, text(names::CLOSE_REASON)?)),
    }
}

/// MI: `InboundWebsocketResponseSender#sendBack`.
impl Responder for Session {
    fn wants_body(&self, message: &Message) -> bool {
        let properties = &message.properties;
        let silent = properties.is_true(names::SOURCE_HANDSHAKE) || properties.is_true(names::TARGET_HANDSHAKE);
        !silent && farewell(properties).is_none() && frame_of(properties).is_none()
    }

    fn respond(&self, message: &Message, body: Option<Bytes>) {
        let properties = &message.properties;
        if let Some((code, reason)) = farewell(properties) {
            return self.close(code, &reason);
        }
        if properties.is_true(names::SOURCE_HANDSHAKE) || properties.is_true(names::TARGET_HANDSHAKE) {
            return;
        }
        if let Some(frame) = frame_of(properties) {
            self.deliver(&frame);
        } else if let Some(body) = body {
            self.deliver(&Frame::Text(String::from_utf8_lossy(&body).into_owned().into()));
        }
    }
}
