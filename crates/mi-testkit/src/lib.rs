//! What only tests need: a network in memory, with a fault proxy before each of its back ends.
//!
//! Nothing here waits for a socket. With tokio's paused clock a time-out of minutes passes in no time, at the millisecond
//! at which it is due: real sockets would let the clock run ahead while their bytes are under way.
//!
//! - `network`: hosts by name, connections to them and what they were asked.
//! - `proxy`: the way of the bytes between the two ends, with the [`Fault`] of the host.
//! - `link`: the client's end of a connection.
//! - `back_end`: the other end, which answers every request at once.

mod back_end;
mod link;
mod network;
mod proxy;

pub use back_end::Request;
pub use link::Link;
pub use network::Network;
pub use proxy::Fault;
