//! What the targets share.

use std::sync::Arc;

use mi_message::{Body, Message};
use mi_xml::{Document, NodeKind};

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

/// Names, values and structure of a document, with texts that stand side by side joined.
pub fn said(doc: &Document) -> Vec<(NodeKind, String, String, String)> {
    let mut said: Vec<(NodeKind, String, String, String)> = Vec::new();
    for n in doc.descendants(Document::ROOT) {
        let kind = doc.kind(n);
        let is_element = kind == NodeKind::Element;
        let value = if is_element || kind == NodeKind::Document { String::new() } else { doc.value(n).into_owned() };
        match said.last_mut() {
            Some(last) if kind == NodeKind::Text && last.0 == NodeKind::Text => last.3.push_str(&value),
            _ => said.push((kind, doc.namespace(n).to_owned(), doc.local_name(n).to_owned(), value)),
        }
        for it in doc.attributes(n) {
            said.push((
                NodeKind::Attribute,
                doc.namespace(it).to_owned(),
                doc.local_name(it).to_owned(),
                doc.value(it).into_owned(),
            ));
        }
        if is_element && doc.first_child(n).is_none() {
            said.push((NodeKind::Document, String::new(), String::new(), String::new()));
        }
    }
    said
}
