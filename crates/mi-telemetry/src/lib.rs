//! What the server tells its operators. Log lines on stdout and in files in MI's format, and metrics.

pub mod log;
pub mod metrics;
