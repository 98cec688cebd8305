//! Doors for the fuzz targets of `fuzz/` to parts that have no public interface.

pub use crate::file::fuzz::lock;
pub use crate::http::h1::fuzz::{chunks, request, response};
