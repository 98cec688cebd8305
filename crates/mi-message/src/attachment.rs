//! Attachments of a message (SOAP with attachments, MTOM, multipart parts that are not the root).

use bytes::Bytes;

/// One attachment, held as received.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// Content id without angle brackets, or the field name of a form part.
    pub id: String,
    /// Content type as received.
    pub content_type: String,
    /// File name, when the part carried one.
    pub file_name: Option<String>,
    /// The bytes, already decoded from any transfer encoding.
    pub data: Bytes,
}
