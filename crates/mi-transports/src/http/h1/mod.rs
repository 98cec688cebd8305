//! HTTP/1 towards back ends.
//!
//! A request is written and its answer read by the task that wants the answer, straight on the socket: no task per
//! connection, no channels between them. That is worth a codec of its own, because every message that is relayed goes
//! through here; listeners and HTTP/2 use hyper.

mod body;
mod chunks;
mod exchange;
mod fields;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub(crate) use body::AnswerBody;
pub(crate) use exchange::{Connection, Failure};
pub(crate) use fields::HeadLimits;
pub(crate) use request::{Outbound, RequestHead};
pub(crate) use response::Head;
