//! Why a back end gave no answer, in the codes and words of MI.

use std::error::Error;
use std::fmt::Display;
use std::io;

use mi_engine::fault::codes;
use mi_engine::transport::SendError;

use super::h1::Failure;

/// MI's text for every failure after the connection was made.
const IN_SENDER: &str = "Error in Sender";
/// MI's text for every failure to make a connection.
const CONNECTING: &str = "Error connecting to the back end";

fn error(code: u32, message: &str, detail: impl Display) -> SendError {
    SendError { code, message: message.to_owned(), detail: detail.to_string() }
}

/// No connection: refused, unreachable, unknown name. MI: `ConnectCallback#failed`.
pub(crate) fn not_connected(detail: impl Display) -> SendError {
    error(codes::CONNECTION_FAILED, CONNECTING, detail)
}

/// No connection within the time. MI: `ConnectCallback#timeout`.
pub(crate) fn connect_timeout(detail: impl Display) -> SendError {
    error(codes::CONNECT_TIMEOUT, CONNECTING, detail)
}

/// All connections that are allowed are in use. MI: `TargetConnections#getConnection`.
pub(crate) fn no_connection_free(detail: impl Display) -> SendError {
    error(codes::CONNECTION_TIMEOUT, "No available connections to serve the request", detail)
}

/// No answer within the time that the caller gave (an endpoint's time-out) or the transport's own.
/// MI: `TimeoutHandler#processCallbacks`, `TargetHandler#timeout`.
pub(crate) fn no_answer(by_caller: bool, detail: impl Display) -> SendError {
    error(codes::CONNECTION_TIMEOUT, if by_caller { "Send timeout" } else { IN_SENDER }, detail)
}

/// The request could not be written, or its own body failed. MI: `TargetHandler#requestReady`.
pub(crate) fn not_sent(detail: impl Display) -> SendError {
    error(codes::SND_IO_SENDING, IN_SENDER, detail)
}

/// The answer is not HTTP as agreed. MI: `TargetHandler#exception`.
pub(crate) fn protocol_violation(detail: impl Display) -> SendError {
    error(codes::PROTOCOL_VIOLATION, IN_SENDER, detail)
}

/// The connection ended before the answer. MI: `TargetHandler#closed`.
pub(crate) fn connection_closed(detail: impl Display) -> SendError {
    error(codes::CONNECTION_CLOSED, IN_SENDER, detail)
}

/// What a connection reports for a request that got no answer; `by_caller` as in [`no_answer`].
pub(crate) fn from_exchange(failure: Failure, by_caller: bool, host: &str, port: u16) -> SendError {
    match failure {
        Failure::Timeout => no_answer(by_caller, format_args!("{host}:{port} did not answer in time")),
        Failure::Closed { .. } => {
            connection_closed(format_args!("{host}:{port} closed the connection before it answered"))
        }
        Failure::Io { error, .. } if error.kind() == io::ErrorKind::UnexpectedEof => {
            connection_closed(format_args!("{host}:{port}: {error}"))
        }
        Failure::Io { error, .. } => not_sent(format_args!("{host}:{port}: {error}")),
        Failure::Protocol(what) => protocol_violation(format_args!("{host}:{port}: {what}")),
        Failure::Body(error) => not_sent(format_args!("the request body could not be read: {error}")),
    }
}

/// What hyper reports for a request over HTTP/2 that got no answer.
pub(crate) fn from_hyper(failure: &hyper::Error) -> SendError {
    let detail = with_causes(failure);
    if failure.is_parse() || failure.is_parse_too_large() || failure.is_parse_status() {
        return protocol_violation(detail);
    }
    if failure.is_user() {
        return not_sent(detail);
    }
    match io_cause(failure) {
        Some(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => connection_closed(detail),
        Some(_) => not_sent(detail),
        None if is_h2_protocol_error(failure) => protocol_violation(detail),
        None => connection_closed(detail),
    }
}

fn is_h2_protocol_error(failure: &hyper::Error) -> bool {
    // hyper does not tell more about HTTP/2 than the text of the cause.
    failure.source().is_some_and(|cause| cause.to_string().contains("PROTOCOL_ERROR"))
}

fn io_cause(failure: &hyper::Error) -> Option<&io::Error> {
    let mut cause = failure.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        cause = error.source();
    }
    None
}

/// An error and its causes in one line.
pub(crate) fn with_causes(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut cause = failure.source();
    // The chain is as long as its maker made it; nobody reads more than a few.
    for _ in 0..8 {
        let Some(error) = cause else { break };
        let part = error.to_string();
        if !text.ends_with(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}
