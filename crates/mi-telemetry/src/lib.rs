//! What the server tells its operators. So far: log lines on stdout and in files, in MI's format.

pub mod log;
