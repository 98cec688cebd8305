//! Transports: how messages come in and go out. HTTP and what it needs (TLS, key stores), WebSocket, files, mails, and
//! users in a directory.
//!
//! The types that the engine and a transport exchange are declared in `mi_engine::transport`; nothing here looks into
//! a message.

mod der;
pub mod file;
#[cfg(feature = "fuzz")]
#[doc(hidden)]
pub mod fuzz;
pub mod http;
pub mod keystore;
pub mod kubernetes;
pub mod ldap;
pub mod mail;
pub mod tls;
pub mod ws;

use mi_engine::spec::{InboundSpec, ServiceTransportSpec};

/// Inbound endpoints by protocol.
pub const INBOUNDS: &[InboundSpec] =
    &[file::INBOUND, http::INBOUND, http::INBOUND_SECURE, ws::INBOUND, ws::INBOUND_SECURE];
/// Transports of proxies beside HTTP.
pub const SERVICE_TRANSPORTS: &[ServiceTransportSpec] = &[file::SERVICE_TRANSPORT];
