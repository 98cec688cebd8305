//! A failure of one message, and the error codes that flows test for.

use mi_message::BodyError;

/// Synapse's error codes. MI: `SynapseConstants`, `NhttpConstants`, `ErrorConstants`.
pub mod codes {
    /// An exception in a mediator.
    pub const DEFAULT: u32 = 0;
    /// The request could not be sent.
    pub const SND_IO_SENDING: u32 = 101_500;
    /// The answer could not be received.
    pub const SND_IO_RECEIVING: u32 = 101_501;
    /// Connection refused, or the host is unknown.
    pub const CONNECTION_FAILED: u32 = 101_503;
    /// No answer in time.
    pub const CONNECTION_TIMEOUT: u32 = 101_504;
    /// The back end closed the connection.
    pub const CONNECTION_CLOSED: u32 = 101_505;
    /// The back end spoke no HTTP.
    pub const PROTOCOL_VIOLATION: u32 = 101_506;
    /// The attempt to connect was cancelled.
    pub const CONNECT_CANCEL: u32 = 101_507;
    /// Connecting took too long.
    pub const CONNECT_TIMEOUT: u32 = 101_508;
    /// No member of a group can take the message.
    pub const GROUP_NONE_READY: u32 = 303_000;
    /// The endpoint is suspended or switched off.
    pub const ENDPOINT_NOT_READY: u32 = 303_001;
    /// The wsdl endpoint is suspended or switched off.
    pub const WSDL_ENDPOINT_NOT_READY: u32 = 303_002;
    /// Credentials for an endpoint could not be had.
    pub const ENDPOINT_AUTH_FAILURE: u32 = 303_003;
    /// The endpoint that a session is bound to takes no messages.
    pub const SESSION_NOT_READY: u32 = 309_001;
    /// A session is bound to an endpoint that is not there.
    pub const SESSION_INVALID_PATH: u32 = 309_002;
    /// A referenced endpoint is not ready, or does not exist.
    pub const INDIRECT_NOT_READY: u32 = 305_100;
    /// A blocking `call` or a `callout` failed.
    pub const BLOCKING_SENDER_FAILED: u32 = 401_002;
    /// A `call` could not give its message to a transport.
    pub const CALL_FAILED: u32 = 401_003;
    /// The back end answered with a SOAP fault and `FORCE_ERROR_ON_SOAP_FAULT` is set.
    pub const ENDPOINT_CUSTOM_ERROR: u32 = 500_000;
    /// The payload is not what its content type says.
    pub const MESSAGE_PARSING: u32 = 601_000;
}

/// The only error that a running message sees. It unwinds to the nearest fault handler, which finds it in the
/// properties `ERROR_CODE`, `ERROR_MESSAGE`, `ERROR_DETAIL` and `ERROR_EXCEPTION`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// Error code. A mediator's exception has none: it then counts as 0, and only where no code was set before.
    /// MI: `FaultHandler#handleFault`.
    pub code: Option<u32>,
    /// One line, as in `ERROR_MESSAGE`.
    pub message: String,
    /// More, as in `ERROR_DETAIL`.
    pub detail: String,
    /// Name of the exception in MI, for `ERROR_EXCEPTION`.
    pub exception: String,
    /// False when no fault sequence may run (`responseAction` discard).
    pub handled: bool,
}

impl Fault {
    /// True when an endpoint took no messages, so that none was sent.
    pub fn is_not_ready(&self) -> bool {
        use codes::{
            ENDPOINT_NOT_READY, GROUP_NONE_READY, INDIRECT_NOT_READY, SESSION_NOT_READY, WSDL_ENDPOINT_NOT_READY,
        };
        const CODES: [u32; 5] =
            [SESSION_NOT_READY, GROUP_NONE_READY, ENDPOINT_NOT_READY, WSDL_ENDPOINT_NOT_READY, INDIRECT_NOT_READY];
        self.code.is_some_and(|code| CODES.contains(&code))
    }

    /// The exception of a mediator.
    pub fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code: None,
            detail: format!("org.apache.synapse.SynapseException: {message}"),
            exception: format!("org.apache.synapse.SynapseException: {message}"),
            message,
            handled: true,
        }
    }

    /// A failure with a code of its own.
    pub fn coded(code: u32, message: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code: Some(code), detail: detail.into(), ..Self::new(message) }
    }
}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Transport(cause) => {
                Self::coded(codes::SND_IO_RECEIVING, "Error while reading the message", cause.to_string())
            }
            BodyError::NoRoom => {
                Self::coded(codes::SND_IO_RECEIVING, "Error while reading the message", BodyError::NoRoom.to_string())
            }
            other => Self::new(format!("Error while building message. {other}")),
        }
    }
}

impl From<mi_expr::EvalError> for Fault {
    fn from(error: mi_expr::EvalError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<crate::transport::SendError> for Fault {
    fn from(error: crate::transport::SendError) -> Self {
        Self::coded(error.code, error.message, error.detail)
    }
}
