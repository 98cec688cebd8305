//! HTTP/1 on both sides.
//!
//! A request to a back end is written and its answer read by the task that wants the answer, and a client's request is
//! read, and its answer written, by the task of its connection; both straight on the socket, without channels between
//! tasks. That is worth a codec of its own, because every message that is relayed goes through here; HTTP/2 is hyper's.
//!
//! | piece | back ends | clients |
//! |---|---|---|
//! | head read | `response` | `received` |
//! | body read | `body` | `upload` |
//! | connection | `exchange`, and the pool | `serve` |
//! | shared | `outbound` (writing), `fields`, `rest`, `chunks` | the same |

mod body;
mod chunks;
mod date;
mod exchange;
mod fields;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
#[cfg(test)]
mod hostile;
mod outbound;
mod received;
mod response;
mod rest;
mod serve;
#[cfg(test)]
mod tests;
mod upload;

pub(crate) use body::AnswerBody;
pub(crate) use exchange::{Connection, Failure};
pub(crate) use fields::HeadLimits;
pub(crate) use outbound::{Outbound, RequestHead};
pub(crate) use response::Head;
pub(crate) use serve::serve;
