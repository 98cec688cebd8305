//! What the fuzz targets check of files.

use std::time::Duration;

use super::lock;
use super::settings::AutoRelease;

/// Judges the text of a lock file.
///
/// # Panics
/// The text of a lock file makes the judgement fail.
pub fn lock(text: &str) {
    let rules = AutoRelease { same_node: false, older_than: Some(Duration::from_secs(60)) };
    for rules in [None, Some(rules)] {
        lock::is_abandoned(text, Duration::from_secs(5), 1_900_000_000_000, rules);
    }
}
