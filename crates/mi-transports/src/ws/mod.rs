//! WebSocket: the inbound endpoints `ws` and `wss`, and messages to `ws://` and `wss://` addresses.
//!
//! A frame is a message of its own; its answers go back on the connection that it came from, and a back end's frames go
//! through a sequence of their own (`ws.outflow.dispatch.sequence`) on that way. MI: `InboundWebsocketSourceHandler`,
//! `InboundWebsocketResponseSender`, `WebsocketTransportSender`.

mod handshake;
mod inbound;
mod sender;
mod session;

pub(crate) use inbound::{INBOUND, INBOUND_SECURE};
pub use sender::WebSocketSender;

/// Names of properties. MI: `InboundWebsocketConstants`, `WebsocketConstants`.
mod names {
    pub(super) const SOURCE_HANDSHAKE: &str = "source.handshake.present";
    pub(super) const WEBSOCKET_SOURCE_HANDSHAKE: &str = "websocket.source.handshake.present";
    pub(super) const TARGET_HANDSHAKE: &str = "websocket.target.handshake.present";
    pub(super) const CHANNEL: &str = "websocket.source.channel.identifier";
    pub(super) const BINARY_PRESENT: &str = "websocket.binary.frame.present";
    /// The bytes of a binary frame, each as the character of its number.
    pub(super) const BINARY: &str = "websocket.binary.frame";
    pub(super) const TEXT_PRESENT: &str = "websocket.text.frame.present";
    pub(super) const TEXT: &str = "websocket.text.frame";
    pub(super) const OUT_SEQUENCE: &str = "ws.outflow.dispatch.sequence";
    pub(super) const OUT_FAULT_SEQUENCE: &str = "ws.outflow.dispatch.fault.sequence";
    pub(super) const SUBSCRIBER_PATH: &str = "websocket.subscriber.path";
    pub(super) const TERMINATE: &str = "connection.terminate";
    pub(super) const CLIENT_ID: &str = "clientId";
    pub(super) const CLOSE_CODE: &str = "websocket.close.frame.status.code";
    pub(super) const CLOSE_REASON: &str = "websocket.close.frame.reason.text";
    /// Prefix of properties that become fields of a handshake with a back end.
    pub(super) const CUSTOM_HEADER: &str = "websocket.custom.header.";
    /// The content type to be agreed with a back end; the spelling is MI's.
    pub(super) const ACCEPT_TYPE: &str = "websocket.accept.contenType";
}

/// Bytes of a message, and of a frame.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Messages that wait to be written to one peer; a peer that is further behind is cut off.
const MAX_QUEUED: usize = 1024;
/// How long a peer may take to accept one message, and to answer a farewell.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

fn config() -> tokio_tungstenite::tungstenite::protocol::WebSocketConfig {
    tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE))
}
