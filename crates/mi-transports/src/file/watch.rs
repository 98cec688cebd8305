//! Whether a file is old and quiet enough to be read: `MinimumAge`, `MaximumAge`, `waitTimeBeforeRead`,
//! `CheckSizeInterval`.
//!
//! The clock of a file server may differ from ours. A file that did not change for as long as we have watched it is at
//! least that old, whatever its time says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::listing::Found;
use super::settings::Settings;

/// Files that are watched at a time; with more, the watching begins again.
const MAX_WATCHED: usize = 100_000;

/// May a file be read?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// Not in this pass.
    Later,
    /// When it does not change for this long.
    After(Duration),
}

/// Files that were seen and not taken yet.
#[derive(Debug, Default)]
pub(super) struct Watched(HashMap<PathBuf, (u64, SystemTime, Instant)>);

impl Watched {
    /// Looks at a file at a time.
    pub(super) fn readiness(&mut self, found: &Found, settings: &Settings, now: SystemTime) -> Readiness {
        let watches = settings.minimum_age.is_some() || settings.quiet_for.is_some() || settings.stable_for.is_some();
        if settings.skip_empty && found.size == 0 {
            return Readiness::Later;
        }
        let shown_age = now.duration_since(found.modified).unwrap_or_default();
        // MI compares whole seconds.
        if settings.maximum_age.is_some_and(|most| shown_age.as_secs() >= most.as_secs()) {
            return Readiness::Later;
        }
        if !watches {
            return Readiness::Ready;
        }
        let unchanged = self.unchanged(found);
        let age = shown_age.max(unchanged);
        if settings.minimum_age.is_some_and(|least| age.as_secs() <= least.as_secs())
            || settings.quiet_for.is_some_and(|quiet| age <= quiet)
        {
            return Readiness::Later;
        }
        match settings.stable_for {
            Some(stable) if unchanged < stable => Readiness::After(stable.saturating_sub(unchanged)),
            _ => Readiness::Ready,
        }
    }

    fn unchanged(&mut self, found: &Found) -> Duration {
        match self.0.get(&found.path) {
            Some((size, modified, since)) if *size == found.size && *modified == found.modified => since.elapsed(),
            _ => {
                if self.0.len() >= MAX_WATCHED {
                    self.0.clear();
                }
                self.0.insert(found.path.clone(), (found.size, found.modified, Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Forgets a file that was taken.
    pub(super) fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }
}
