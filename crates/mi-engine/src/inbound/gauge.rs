//! Counts and the last error of one intake, for the management API, metrics and log lines that are not repeated.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What is known of one running intake.
#[derive(Debug)]
pub struct Gauge {
    name: Arc<str>,
    messages: AtomicU64,
    failed_messages: AtomicU64,
    ignored_faults: AtomicU64,
    passes: AtomicU64,
    failed_passes: AtomicU64,
    last_error: Mutex<Option<String>>,
    began: Instant,
    /// Milliseconds from `began` to the end of the last good pass, and one more; 0 before the first.
    passed: AtomicU64,
}

impl Gauge {
    /// Nothing has happened yet.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            messages: AtomicU64::new(0),
            failed_messages: AtomicU64::new(0),
            ignored_faults: AtomicU64::new(0),
            passes: AtomicU64::new(0),
            failed_passes: AtomicU64::new(0),
            last_error: Mutex::new(None),
            began: Instant::now(),
            passed: AtomicU64::new(0),
        }
    }

    /// Counts a message that was taken in and worked off.
    pub fn message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a message that could not be taken in, or whose mediation failed.
    pub fn message_failed(&self) {
        self.failed_messages.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a fault of the mediation that MI takes for a success; true for the first one.
    pub fn fault_ignored(&self) -> bool {
        self.ignored_faults.fetch_add(1, Ordering::Relaxed) == 0
    }

    pub(crate) fn pass_succeeded(&self) {
        self.passes.fetch_add(1, Ordering::Relaxed);
        self.passed.store(self.began.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
        if self.lock().take().is_some() {
            log::info!(target: "InboundPoller", "{} works again", self.name);
        }
    }

    /// Notes a failed pass. The same error is logged once, not once a pass.
    pub(crate) fn pass_failed(&self, error: &str) {
        self.failed_passes.fetch_add(1, Ordering::Relaxed);
        let mut last = self.lock();
        if last.as_deref() != Some(error) {
            log::error!(target: "InboundPoller", "{}: {error}", self.name);
            *last = Some(error.to_owned());
        }
    }

    /// Messages worked off, messages failed, faults that count as success, passes, failed passes.
    pub fn counts(&self) -> [u64; 5] {
        [&self.messages, &self.failed_messages, &self.ignored_faults, &self.passes, &self.failed_passes]
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// How long ago the last good pass of a poller ended; `None` before the first.
    pub fn since_pass(&self) -> Option<Duration> {
        let passed = self.passed.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.began.elapsed().saturating_sub(Duration::from_millis(passed)))
    }

    /// Why the last pass failed; nothing after one that did not.
    pub fn last_error(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
