//! Where the entries of a durable store are: in memory, about a hundred bytes for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::sync::Arc;

use mi_engine::store::Key;

/// Where an entry's payload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) length: u32,
    pub(super) order: Option<i64>,
}

/// A file of the log.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) file: Arc<File>,
    pub(super) salt: u64,
    pub(super) length: u64,
    /// Entries in it that are not removed.
    pub(super) live: u64,
}

/// Everything that is known of the log.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) entries: BTreeMap<Key, Slot>,
    orders: BTreeSet<(i64, Key)>,
    pub(super) segments: BTreeMap<u64, Segment>,
    /// Bytes of the payloads of all entries.
    pub(super) bytes: u64,
    pub(super) next_key: Key,
    pub(super) last_order: Option<i64>,
}

impl Index {
    /// Notes an entry, or its new place.
    pub(super) fn put(&mut self, key: Key, slot: Slot) {
        self.forget(key);
        if let Some(segment) = self.segments.get_mut(&slot.segment) {
            segment.live += 1;
        }
        self.bytes += u64::from(slot.length);
        if let Some(order) = slot.order {
            self.orders.insert((order, key));
        }
        self.entries.insert(key, slot);
        self.next_key = self.next_key.max(key + 1);
    }

    /// Notes that an entry was removed.
    pub(super) fn remove(&mut self, key: Key) {
        if let Some(order) = self.forget(key).and_then(|slot| slot.order) {
            self.last_order = Some(order);
        }
    }

    /// Takes an entry out of the index only.
    pub(super) fn forget(&mut self, key: Key) -> Option<Slot> {
        let slot = self.entries.remove(&key)?;
        if let Some(segment) = self.segments.get_mut(&slot.segment) {
            segment.live -= 1;
        }
        self.bytes -= u64::from(slot.length);
        if let Some(order) = slot.order {
            self.orders.remove(&(order, key));
        }
        Some(slot)
    }

    /// The oldest entry that is not claimed.
    pub(super) fn oldest(&self, claimed: &[Key]) -> Option<Key> {
        self.entries.keys().copied().find(|key| !claimed.contains(key))
    }

    /// The entry whose number follows that of the one removed last (1 at the beginning); the one with the lowest number
    /// when that is missing and no longer waited for.
    pub(super) fn following(&self, gap_is_over: bool) -> Option<Key> {
        let next = self.last_order.unwrap_or(0).saturating_add(1);
        let following = self.orders.range((next, Key::MIN)..=(next, Key::MAX)).next();
        following.or_else(|| self.orders.first().filter(|_| gap_is_over)).map(|(_, key)| *key)
    }

    /// Bytes of all segments.
    pub(super) fn log_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.length).sum()
    }
}
