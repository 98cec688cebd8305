//! What the server tells its operators. Log lines on stdout and in files in MI's format, metrics, and what follows
//! messages: access log, correlation log, traces.

mod access;
pub mod follow;
pub mod log;
pub mod metrics;
pub mod trace;

pub use access::AccessPattern;
