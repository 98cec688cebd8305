//! Notices changes of the deployment folders by looking, which works on every file system.
//!
//! A change is reported once the folders have been quiet between two looks and every changed archive is
//! complete, so that a slow copy is never taken for a broken application. The caller decides how often to look.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::bundle::is_complete_archive;
use crate::home::Home;

/// What a look has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that are new or have changed.
    pub written: Vec<PathBuf>,
    /// Files that are gone.
    pub removed: Vec<PathBuf>,
}

impl Changes {
    /// Nothing has changed.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty() && self.removed.is_empty()
    }
}

type Fingerprint = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Files and folders below a watched folder; more are not told apart.
const MAX_FILES: usize = 200_000;
/// Folders of projects and the registry nest no deeper.
const MAX_DEPTH: usize = 16;
/// An archive stays unreadable for so many quiet looks before it is reported as it is.
const PATIENCE: u32 = 5;

/// Compares the folders of a home with what was there at the last report.
#[derive(Debug)]
pub struct Watcher {
    folders: Vec<PathBuf>,
    reported: Fingerprint,
    last: Fingerprint,
    waited: u32,
}

impl Watcher {
    /// Takes the present state as known.
    pub fn new(home: &Home) -> Self {
        let mut watcher =
            Self { folders: home.watched(), reported: Fingerprint::new(), last: Fingerprint::new(), waited: 0 };
        watcher.reported = watcher.look();
        watcher.last = watcher.reported.clone();
        watcher
    }

    /// Looks again. Changes are given out once, and only when nothing moves any more.
    pub fn poll(&mut self) -> Changes {
        let now = self.look();
        let quiet = now == self.last;
        self.last.clone_from(&now);
        if !quiet || now == self.reported {
            return Changes::default();
        }
        let changes = compare(&self.reported, &now);
        if self.waited < PATIENCE && changes.written.iter().any(|path| is_half(path)) {
            self.waited += 1;
            return Changes::default();
        }
        self.waited = 0;
        self.reported = now;
        changes
    }

    fn look(&self) -> Fingerprint {
        let mut found = Fingerprint::new();
        let mut open: Vec<(PathBuf, usize)> = self.folders.iter().map(|folder| (folder.clone(), 0)).collect();
        while let Some((path, depth)) = open.pop() {
            let Ok(metadata) = std::fs::metadata(&path) else { continue };
            if metadata.is_dir() {
                let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
                let visible = entries.filter(|it| !it.file_name().to_string_lossy().starts_with('.'));
                if depth < MAX_DEPTH {
                    open.extend(visible.map(|it| (it.path(), depth + 1)));
                }
            } else if found.len() < MAX_FILES {
                found.insert(path, (metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), metadata.len()));
            }
        }
        found
    }
}

fn compare(before: &Fingerprint, now: &Fingerprint) -> Changes {
    let written = now.iter().filter(|(path, stamp)| before.get(*path) != Some(stamp)).map(|(path, _)| path.clone());
    let removed = before.keys().filter(|path| !now.contains_key(*path)).cloned();
    Changes { written: written.collect(), removed: removed.collect() }
}

fn is_half(path: &std::path::Path) -> bool {
    let archive = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("car") || it.eq_ignore_ascii_case("zip"));
    archive && !std::fs::read(path).is_ok_and(|bytes| is_complete_archive(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::{TempDir, car};

    #[test]
    fn changes_are_reported_once_and_only_when_quiet() {
        let dir = TempDir::new();
        dir.write("carbonapps/a.car", car("A", &[]));
        let mut watcher = Watcher::new(&Home::locate(dir.path()));
        assert!(watcher.poll().is_empty());
        let path = dir.write("carbonapps/b.car", car("B", &[]));
        assert!(watcher.poll().is_empty(), "it may still be written");
        assert_eq!(watcher.poll().written, std::slice::from_ref(&path));
        assert!(watcher.poll().is_empty());
        std::fs::remove_file(&path).unwrap();
        watcher.poll();
        assert_eq!(watcher.poll(), Changes { written: Vec::new(), removed: vec![path] });
    }

    #[test]
    fn a_half_archive_is_waited_for_but_not_for_ever() {
        let dir = TempDir::new();
        let mut watcher = Watcher::new(&Home::locate(dir.path()));
        let whole = car("A", &[]);
        let path = dir.write("carbonapps/a.car", &whole[..whole.len() - 9]);
        let quiet = std::iter::repeat_with(|| watcher.poll()).take_while(Changes::is_empty).take(20).count();
        assert_eq!(quiet, PATIENCE as usize + 1);
        dir.write("carbonapps/a.car", &whole);
        watcher.poll();
        assert_eq!(watcher.poll().written, [path]);
    }
}
