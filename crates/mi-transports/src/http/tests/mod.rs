//! Listeners and client over real sockets of this machine. Raw bytes go in where a well-behaved peer could not send
//! them.

mod backends;
mod faults;
mod frames;
mod h2;
mod lifecycle;
mod listener;
mod malformed;
mod secure;
pub(crate) mod support;
