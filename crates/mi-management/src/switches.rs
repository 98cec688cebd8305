//! What operators have switched, kept while the server runs: tracing and statistics of artifacts, and what is stopped.
//! A new deployment is given the same switches.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mi_config::ArtifactKind;
use mi_config::params::Aspects;

/// An artifact.
type Key = (ArtifactKind, String);

/// The switches. Locks are held for moments only.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    aspects: Mutex<HashMap<Key, Aspects>>,
    running: Mutex<HashMap<Key, bool>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Switches {
    /// Tracing and statistics of an artifact, which are as configured until they are switched.
    pub(crate) fn aspects(&self, kind: ArtifactKind, name: &str, configured: Aspects) -> Aspects {
        lock(&self.aspects).get(&(kind, name.to_owned())).copied().unwrap_or(configured)
    }

    /// Switches tracing or statistics.
    pub(crate) fn set_aspects(&self, kind: ArtifactKind, name: &str, aspects: Aspects) {
        lock(&self.aspects).insert((kind, name.to_owned()), aspects);
    }

    /// Was it started or stopped?
    pub(crate) fn running(&self, kind: ArtifactKind, name: &str) -> Option<bool> {
        lock(&self.running).get(&(kind, name.to_owned())).copied()
    }

    /// Remembers that it was started or stopped.
    pub(crate) fn set_running(&self, kind: ArtifactKind, name: &str, running: bool) {
        lock(&self.running).insert((kind, name.to_owned()), running);
    }

    /// Forgets what was started or stopped of a kind.
    pub(crate) fn forget(&self, kind: ArtifactKind) {
        lock(&self.running).retain(|(it, _), _| *it != kind);
    }

    /// Everything of a kind that was started or stopped.
    pub(crate) fn all_running(&self, kind: ArtifactKind) -> Vec<(String, bool)> {
        lock(&self.running)
            .iter()
            .filter(|((it, _), _)| *it == kind)
            .map(|((_, name), on)| (name.clone(), *on))
            .collect()
    }
}
