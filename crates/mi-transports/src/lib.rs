//! Transports: how messages come in and go out. Today HTTP and what it needs (TLS, key stores).
//!
//! The types that the engine and a transport exchange are declared in `mi_engine::transport`; nothing here looks into
//! a message.

mod der;
pub mod http;
pub mod keystore;
pub mod tls;
