//! A message in somebody's hands. It leaves the store when it is acknowledged, and goes back to its place otherwise.

use std::sync::Arc;

use mi_message::Message;

use super::live::Live;
use super::{Entry, Key, StoreError};

/// A claimed message. Dropping it gives it back.
#[derive(Debug)]
pub struct Claim {
    live: Arc<Live>,
    key: Key,
    id: Arc<str>,
    message: Message,
}

impl Claim {
    pub(super) fn new(live: Arc<Live>, key: Key, entry: Entry) -> Self {
        Self { live, key, id: entry.id, message: entry.message }
    }

    /// Id of the message, the same for every delivery.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The message as it was stored.
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Takes the message out of the store for good: it was delivered, or given up on purpose. An error was logged; the
    /// message will be delivered again.
    pub async fn acknowledge(self) -> Result<(), StoreError> {
        // The claim is dropped behind this, so that nobody else finds the message before it is out.
        self.live.remove(self.key).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.live.release(self.key);
    }
}
