//! What a script may use up.

use std::time::Duration;

/// Limits of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest time that a script runs.
    pub time: Duration,
    /// Most bytes that an engine holds: code, objects and strings of one script.
    pub memory: usize,
    /// Most bytes of stack that calls nested into each other use.
    pub stack: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(10), memory: 128 << 20, stack: 512 << 10 }
    }
}
