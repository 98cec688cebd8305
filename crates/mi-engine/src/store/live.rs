//! An open store: its backend, and who has which message at the moment. It outlives deployments.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::{Backend, Claim, Key, StoreError, lock};

/// See the module.
#[derive(Debug)]
pub(super) struct Live {
    name: Arc<str>,
    pub(super) backend: Arc<dyn Backend>,
    /// Locked for moments only.
    claimed: Mutex<BTreeSet<Key>>,
    /// One look for the next message at a time, so that two workers never find the same one.
    looking: tokio::sync::Mutex<()>,
    arrivals: watch::Sender<u64>,
}

impl Live {
    pub(super) fn new(name: Arc<str>, backend: Arc<dyn Backend>) -> Self {
        Self {
            name,
            backend,
            claimed: Mutex::default(),
            looking: tokio::sync::Mutex::new(()),
            arrivals: watch::Sender::new(0),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.backend.size()
    }

    pub(super) fn arrivals(&self) -> watch::Receiver<u64> {
        self.arrivals.subscribe()
    }

    /// Tells everyone who waits for a message that there may be one.
    pub(super) fn announce(&self) {
        self.arrivals.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) async fn claim(self: &Arc<Self>) -> Result<Option<Claim>, StoreError> {
        let looking = self.looking.lock().await;
        let claimed: Vec<Key> = lock(&self.claimed).iter().copied().collect();
        let Some((key, entry)) = self.backend.first(claimed).await? else { return Ok(None) };
        lock(&self.claimed).insert(key);
        drop(looking);
        Ok(Some(Claim::new(self.clone(), key, entry)))
    }

    /// Lets somebody else have the message.
    pub(super) fn release(&self, key: Key) {
        self.backend.release(key);
        lock(&self.claimed).remove(&key);
        self.announce();
    }

    /// Takes the message out for good.
    pub(super) async fn remove(&self, key: Key) -> Result<(), StoreError> {
        self.backend.remove(key).await.inspect_err(|why| {
            log::error!(
                target: "MessageStore",
                "Store [{}]: a message that was delivered cannot be removed and will be delivered again: {why}", self.name
            );
        })
    }
}
