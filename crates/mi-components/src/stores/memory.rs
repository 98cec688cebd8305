//! `org.apache.synapse.message.store.impl.memory.InMemoryStore`: messages in the memory of the process, gone when it
//! ends. What a store without a class is. It is bounded by number and by bytes, which MI's is not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use mi_config::{Diagnostic, MessageStoreConfig};
use mi_engine::BuildCx;
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::StoreSpec;
use mi_engine::store::{Backend, Entry, Key, Limits, StoreError, StoreKind};
use mi_message::{Message, Native, Properties, Value};
use mi_xml::Document;

use super::{MAX_BYTES, MAX_MESSAGES, full, limits, warn_unknown};

pub(super) const SPEC: StoreSpec = StoreSpec { class: mi_config::store::IN_MEMORY_STORE, parse };

const DEFAULT: Limits = Limits { messages: 1_000_000, bytes: 256 << 20 };

fn parse(config: &MessageStoreConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn StoreKind>, Diagnostic> {
    warn_unknown(config, &[], cx);
    Ok(Box::new(InMemory { limits: limits(config, DEFAULT)? }))
}

#[derive(Debug)]
struct InMemory {
    limits: Limits,
}

impl StoreKind for InMemory {
    fn place(&self, _: &Snapshot) -> String {
        "memory".to_owned()
    }

    fn open(&self, _: &Snapshot) -> Result<Arc<dyn Backend>, StoreError> {
        Ok(Arc::new(MemoryStore::default()))
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

/// Messages in memory.
#[derive(Debug, Default)]
struct MemoryStore {
    /// Locked for moments only; the longest is the copy of one message.
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    entries: BTreeMap<Key, (Entry, u64)>,
    bytes: u64,
    next: Key,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, entry: Entry, limits: Limits) -> Result<(), StoreError> {
        let weight = weight(&entry.message);
        let mut held = self.lock();
        if held.entries.len() as u64 >= limits.messages {
            return Err(full(MAX_MESSAGES, limits.messages));
        }
        if held.bytes + weight > limits.bytes {
            return Err(full(MAX_BYTES, limits.bytes));
        }
        held.bytes += weight;
        let key = held.next;
        held.next += 1;
        held.entries.insert(key, (entry, weight));
        Ok(())
    }
}

impl Backend for MemoryStore {
    fn append(&self, entry: Entry, limits: Limits) -> BoxFuture<'_, Result<(), StoreError>> {
        ready(self.put(entry, limits)).boxed()
    }

    fn first(&self, claimed: Vec<Key>) -> BoxFuture<'_, Result<Option<(Key, Entry)>, StoreError>> {
        let held = self.lock();
        let found = held.entries.iter().find(|(key, _)| !claimed.contains(key));
        let copied = found.map(|(key, (entry, _))| {
            (*key, Entry { id: entry.id.clone(), order: entry.order, message: entry.message.copy() })
        });
        ready(Ok(copied)).boxed()
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        let mut held = self.lock();
        if let Some((_, weight)) = held.entries.remove(&key) {
            held.bytes -= weight;
        }
        ready(Ok(())).boxed()
    }

    fn size(&self) -> u64 {
        self.lock().entries.len() as u64
    }

    fn is_volatile(&self) -> bool {
        true
    }
}

/// About how many bytes a message takes: its payload as it would be written, and its texts.
fn weight(message: &Message) -> u64 {
    let body = match (message.body.raw(), message.body.native()) {
        (Some(raw), _) => raw.len(),
        (None, Ok(Native::Json(json))) => json.text().len(),
        (None, Ok(Native::Text(text))) => text.len(),
        (None, Ok(Native::Binary(bytes))) => bytes.len(),
        (None, Ok(Native::Xml(envelope))) => {
            let mut out = Vec::new();
            envelope.document().write(Document::ROOT, &mut out);
            out.len()
        }
        (None, Ok(Native::Empty) | Err(_)) => 0,
    };
    let headers: usize = message.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let scopes = [&message.properties, &message.axis2, &message.operation, &message.variables];
    let properties: usize = scopes.into_iter().map(properties_weight).sum();
    let attachments: usize = message.attachments.iter().map(|it| it.data.len()).sum();
    (512 + body + headers + properties + attachments) as u64
}

fn properties_weight(properties: &Properties) -> usize {
    let of = |value: &Value| match value {
        Value::String(text) => text.len(),
        Value::Json(_) | Value::Xml(_) | Value::Map(_) => value.to_text().len(),
        _ => 8,
    };
    properties.iter().map(|(name, value)| name.len() + of(value)).sum()
}

#[cfg(test)]
mod tests {
    use mi_message::Body;

    use super::*;

    fn entry(id: &str, bytes: usize) -> Entry {
        let mut message = Message::new();
        message.body = Body::from_bytes(vec![b'x'; bytes], None);
        Entry { id: id.into(), order: None, message }
    }

    fn next(store: &MemoryStore, claimed: &[Key]) -> Option<(Key, String)> {
        let found = store.first(claimed.to_vec()).now_or_never().unwrap().unwrap();
        found.map(|(key, entry)| (key, entry.id.to_string()))
    }

    #[test]
    fn first_in_is_first_out() {
        let store = MemoryStore::default();
        for id in ["a", "b", "c"] {
            store.put(entry(id, 1), DEFAULT).unwrap();
        }
        let (a, _) = next(&store, &[]).unwrap();
        let (b, id) = next(&store, &[a]).unwrap();
        assert_eq!(id, "b");
        store.remove(b).now_or_never().unwrap().unwrap();
        assert_eq!(next(&store, &[]).unwrap().1, "a", "it is still there until it is removed");
        store.remove(a).now_or_never().unwrap().unwrap();
        assert_eq!((next(&store, &[]).unwrap().1.as_str(), store.size()), ("c", 1));
    }

    #[test]
    fn it_is_bounded_by_number_and_by_bytes() {
        let store = MemoryStore::default();
        let limits = Limits { messages: 2, bytes: 4000 };
        store.put(entry("a", 1000), limits).unwrap();
        assert_eq!(store.put(entry("b", 3000), limits), Err(full(MAX_BYTES, 4000)));
        store.put(entry("c", 1000), limits).unwrap();
        assert_eq!(store.put(entry("d", 1), limits), Err(full(MAX_MESSAGES, 2)));
        let (key, _) = next(&store, &[]).unwrap();
        store.remove(key).now_or_never().unwrap().unwrap();
        store.put(entry("d", 1000), limits).unwrap();
    }
}
