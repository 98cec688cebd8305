//! The journal of processed files (`transport.vfs.ProcessedJournal`): what was mediated once is not mediated again, whatever
//! happens between the mediation and the move, and whoever finds the file next.
//!
//! It is a folder that all servers on the files share, with an empty file for each `IDEMPOTENCY_KEY`, in one of 256
//! subfolders. Making a file is atomic on every mount, two servers can make the same one, and none is ever rewritten. An
//! entry goes after `ProcessedJournalHours`; each look that is due clears one of the subfolders, so that neither memory nor
//! time grow with the journal.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::listener::Worker;
use super::listing::Found;
use super::relocate;
use super::settings::Action;

/// Subfolders, by the first byte of a key.
const SHELVES: u32 = 256;
/// Time between two subfolders that are cleared.
const BETWEEN_SHELVES: Duration = Duration::from_secs(15);

/// The journal of a poller. Everything here blocks.
#[derive(Debug)]
pub(super) struct Journal {
    folder: PathBuf,
    keep: Duration,
    /// The subfolder that is cleared next, and since when.
    next: Mutex<(u32, SystemTime)>,
}

impl Journal {
    /// A journal in `folder`, whose entries stay for `keep`.
    pub(super) fn new(folder: PathBuf, keep: Duration) -> Self {
        Self { folder, keep, next: Mutex::new((0, SystemTime::UNIX_EPOCH)) }
    }

    fn shelf(&self, key: &str) -> PathBuf {
        self.folder.join(key.get(..2).unwrap_or("00"))
    }

    /// True for a key that was noted.
    pub(super) fn has(&self, key: &str) -> io::Result<bool> {
        match fs::symlink_metadata(self.shelf(key).join(key)) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Notes a key; it is on the disk afterwards.
    pub(super) fn note(&self, key: &str, now: SystemTime) -> io::Result<()> {
        let shelf = self.shelf(key);
        let path = shelf.join(key);
        let made = match File::create_new(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(&shelf)?;
                relocate::sync_folder(&self.folder);
                File::create_new(&path)
            }
            made => made,
        };
        match made {
            Ok(_) => relocate::sync_folder(&shelf),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        self.clear_one(now);
        Ok(())
    }

    /// Clears the next subfolder, when that is due. What cannot be removed is tried again in the next round.
    fn clear_one(&self, now: SystemTime) {
        let shelf = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            if now.duration_since(next.1).is_ok_and(|since| since < BETWEEN_SHELVES) {
                return;
            }
            let shelf = next.0;
            *next = ((shelf + 1) % SHELVES, now);
            shelf
        };
        let Ok(entries) = fs::read_dir(self.folder.join(format!("{shelf:02x}"))) else { return };
        for entry in entries.flatten() {
            let made = entry.metadata().and_then(|metadata| metadata.modified());
            let is_old = made.is_ok_and(|made| now.duration_since(made).is_ok_and(|age| age > self.keep));
            if is_old && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}

impl Worker {
    /// Does the journal say that this file was processed before?
    pub(super) async fn was_processed(&self, found: &Found, key: &str) -> io::Result<bool> {
        if self.settings.journal.is_none() {
            return Ok(false);
        }
        let (settings, sought) = (self.settings.clone(), key.to_owned());
        let look = move || settings.journal.as_ref().map_or(Ok(false), |journal| journal.has(&sought));
        let has = self.disk.run(look).await?;
        if has {
            // Files that are kept are seen in every pass.
            let level =
                if matches!(self.settings.after_process, Action::Keep) { log::Level::Debug } else { log::Level::Info };
            let path = found.path.display();
            log::log!(
                target: "VFSTransportListener", level,
                "{path} was processed before and is not processed again; its key in the journal: {key}"
            );
        }
        Ok(has)
    }

    /// Notes in the journal that a file was processed.
    pub(super) async fn note_processed(&self, found: &Found, key: &str) {
        if self.settings.journal.is_none() {
            return;
        }
        let (settings, noted, now) = (self.settings.clone(), key.to_owned(), self.now());
        let note = move || settings.journal.as_ref().map_or(Ok(()), |journal| journal.note(&noted, now));
        if let Err(error) = self.disk.run(note).await {
            let path = found.path.display();
            log::error!(target: "VFSTransportListener", "{path} was processed and cannot be noted in the journal: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn entries_are_kept_for_their_time() {
        let folder = Folder::new();
        let keep = Duration::from_hours(2);
        let (one, other) =
            (Journal::new(folder.path().join("journal"), keep), Journal::new(folder.path().join("journal"), keep));
        let now = SystemTime::now();
        let (key, new) = ("00aa", "00bb");
        assert!(!one.has(key).unwrap());
        one.note(key, now).unwrap();
        other.note(key, now).unwrap();
        assert!(one.has(key).unwrap() && other.has(key).unwrap() && !other.has(new).unwrap());
        // A round over all subfolders.
        let rounds = |from: SystemTime| {
            for round in 0..=SHELVES {
                one.note("ff", from + BETWEEN_SHELVES * round).unwrap();
            }
        };
        rounds(now + BETWEEN_SHELVES);
        assert!(one.has(key).unwrap(), "a round is shorter than two hours");
        one.note(new, now).unwrap();
        let path = folder.path().join("journal/00").join(new);
        File::options().write(true).open(path).unwrap().set_modified(now + keep * 3).unwrap();
        rounds(now + keep * 3);
        assert!(!one.has(key).unwrap() && one.has(new).unwrap());
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let folder = Folder::new();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let journal = Journal::new(file, Duration::from_secs(1));
        assert!(journal.note("00", SystemTime::now()).is_err() && journal.has("00").is_err());
    }
}
