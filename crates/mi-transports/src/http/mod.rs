//! The HTTP and HTTPS transport: listeners ([`Server`]) and the client with its connection pool ([`Client`]).
//!
//! One thread runs one single-threaded runtime. Each thread accepts for every listener (`SO_REUSEPORT`), serves what it
//! accepted and keeps its own pool of back-end connections, so a request is relayed without leaving its thread.
//! Framing, protocol versions and hop-by-hop fields are handled here; what a request means is decided by the
//! `HttpService` behind the listener.

mod accept;
mod body;
mod client;
mod connect;
mod connection;
mod failure;
pub(crate) mod h1;
mod halves;
mod headers;
mod inbound;
pub(crate) mod io;
mod pool;
mod proxy;
mod screen;
mod server;
mod service;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod upgrade;

pub use client::{Client, ClientConfig};
pub(crate) use inbound::{INBOUND, INBOUND_SECURE};
pub use pool::HostUse;
pub use proxy::Proxies;
pub use server::{Limits, ListenerConfig, Server};
pub use upgrade::{Duplex, Upgrade, Upgrades};

/// What MI calls itself in answers. MI: `BaseConfiguration#buildHttpParams`.
pub const SERVER: &str = "WSO2-PassThrough-HTTP";
