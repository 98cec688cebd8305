//! A whole message as bytes, for stores that outlive the process: body in its own form, headers, properties of every
//! scope with their types, variables, addressing fields and attachments.
//!
//! Not in it: parameters of running templates, which belong to a flow and not to a message, and the switches of the
//! conversion between XML and JSON, which belong to the server that reads the message back.

mod read;
mod write;

#[cfg(test)]
mod tests;

pub use read::decode;
pub use write::encode;

/// First byte of an archive; another layout gets another number.
const VERSION: u8 = 1;
/// Deepest nesting of maps in a value.
const MAX_DEPTH: usize = 200;

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// They were written by another version.
    #[error("the stored message has layout {0}, which this version does not read")]
    Version(u8),
    /// They end too early, or hold something that was never written.
    #[error("the stored message is damaged: {0}")]
    Damaged(String),
    /// The message holds something that cannot be stored.
    #[error("the message cannot be stored: {0}")]
    Unstorable(String),
}

/// What stands before a value or a body. The numbers are part of the layout.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const STRING: u8 = 1;
    pub(super) const FALSE: u8 = 2;
    pub(super) const TRUE: u8 = 3;
    pub(super) const INT: u8 = 4;
    pub(super) const LONG: u8 = 5;
    pub(super) const FLOAT: u8 = 6;
    pub(super) const DOUBLE: u8 = 7;
    pub(super) const JSON: u8 = 8;
    pub(super) const XML: u8 = 9;
    pub(super) const MAP: u8 = 10;

    pub(super) const NODE_ELEMENT: u8 = 0;
    pub(super) const NODE_TEXT: u8 = 1;
    pub(super) const NODE_COMMENT: u8 = 2;
    pub(super) const NODE_PI: u8 = 3;
    pub(super) const NODE_ATTRIBUTE: u8 = 4;

    pub(super) const BODY_EMPTY: u8 = 0;
    pub(super) const BODY_XML: u8 = 1;
    pub(super) const BODY_JSON: u8 = 2;
    pub(super) const BODY_TEXT: u8 = 3;
    pub(super) const BODY_BINARY: u8 = 4;
    pub(super) const BODY_RAW: u8 = 5;
}
