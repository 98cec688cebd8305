//! What the targets share.

use std::sync::Arc;

use mi_message::{Body, Message};
use mi_xml::Document;

/// The text before and after the first NUL, for targets that need two inputs. `None` for what is not UTF-8.
pub fn halves(bytes: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(bytes).ok()?;
    Some(text.split_once('\0').unwrap_or((text, "")))
}

/// A message whose body was read as `content_type` says; `None` if it is not that.
pub fn message(bytes: &[u8], content_type: &str) -> Option<Message> {
    let mut message = Message::new();
    message.body = Body::from_bytes(bytes.to_vec(), Some(content_type.into()));
    message.build().ok()?;
    Some(message)
}

/// A small document of orders for expressions and stylesheets to look at.
pub fn orders() -> Arc<Document> {
    let text = "<o:orders xmlns:o='urn:o'><order id='1'>IBM<!--c--></order><order id='2' n='3.5'>MSFT<x/></order><?p i?></o:orders>";
    Arc::new(Document::parse(text).expect("well formed"))
}
