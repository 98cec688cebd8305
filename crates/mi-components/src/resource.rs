//! What a key stands for: a local entry, else a resource of the registry. MI: `MessageContext#getEntry`.

use mi_engine::snapshot::Snapshot;
use mi_expr::Lookup;
use mi_message::Value;

use crate::xml;

/// The value behind `key`.
pub(crate) fn value(snapshot: &Snapshot, key: &str) -> Option<Value> {
    snapshot.local_entry(key).or_else(|| snapshot.registry(key))
}

/// The text behind `key` as it was stored; XML entries are written out.
pub(crate) fn text(snapshot: &Snapshot, key: &str, layout: Layout) -> Option<String> {
    if let Some(entry) = snapshot.local_entry(key) {
        return Some(match (entry, layout) {
            (Value::Xml(xml), Layout::Compact) => {
                xml.nodes.iter().map(|node| xml::without_indentation(&xml.document, *node)).collect()
            }
            (entry, _) => entry.to_text().into_owned(),
        });
    }
    let content = snapshot.services.registry.content(key)?;
    let text = String::from_utf8_lossy(&content).into_owned();
    if layout == Layout::Compact
        && text.trim_start().starts_with('<')
        && let Ok(parsed) = xml::parse(&text)
    {
        return Some(parsed.nodes.iter().map(|node| xml::without_indentation(&parsed.document, *node)).collect());
    }
    Some(text)
}

/// How [`text`] writes XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Without white space between elements.
    Compact,
    /// As it is.
    Verbatim,
}
