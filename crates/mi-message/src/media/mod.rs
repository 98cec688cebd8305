//! Builders and formatters by content type.

use bytes::Bytes;

use crate::Native;
use crate::body::BodyError;

/// Builds the native form.
pub fn build(bytes: &Bytes, _content_type: Option<&str>) -> Result<Native, BodyError> {
    Ok(Native::Binary(bytes.clone()))
}

/// Content types.
#[derive(Debug, Default)]
pub struct MediaTypes {}
