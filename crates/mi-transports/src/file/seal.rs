//! A lock text in a file of its own, which becomes the lock of one file after the other by a link: one step, where a lock
//! that is written takes four.
//!
//! All locks of a seal are one file with several names. So one sign of life is one for all of them, and whether a lock is
//! still ours shows by the number of its file. A seal is used for a short time only: who watches a lock must not take a
//! second one of this holder for the first. What a dead process leaves of it is swept like any file that nobody goes on
//! writing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use super::disk::Disk;
use super::lock::{BEAT, HeldState, is_lost};
use super::relocate;

/// How long new locks are made of a seal; far less than any lease.
const USE: Duration = Duration::from_secs(5);

/// Makes locks that share a file.
#[derive(Debug)]
pub(super) struct Seal {
    path: PathBuf,
    text: String,
    file: File,
    /// Device and number of the file.
    number: (u64, u64),
    /// When it was made.
    made: Duration,
    held: Mutex<HashMap<PathBuf, Arc<HeldState>>>,
    beating: OnceLock<JoinHandle<()>>,
    /// No more locks are made of it, and its own file is gone.
    retired: AtomicBool,
}

/// What came of an attempt to make a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    Made,
    /// There is a lock.
    Taken,
    /// It cannot be done this way: the file is on another file system, or links are not to be had.
    Impossible,
}

impl Seal {
    /// A seal in a folder, or beside a file. Blocks.
    pub(super) fn new(place: &Path, text: String) -> io::Result<Self> {
        let made = awake();
        let folder = if place.is_dir() { place } else { relocate::folder_of(place) };
        let path = relocate::part_in(folder);
        let mut file = File::create_new(&path)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.metadata());
        let metadata = written.inspect_err(|_| drop(fs::remove_file(&path)))?;
        Ok(Self {
            path,
            text,
            file,
            number: (metadata.dev(), metadata.ino()),
            made,
            held: Mutex::default(),
            beating: OnceLock::new(),
            retired: AtomicBool::new(false),
        })
    }

    /// What stands in its locks.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// True while more locks may be made of it.
    pub(super) fn is_fresh(&self) -> bool {
        self.age() < USE
    }

    /// True while nobody can have found one of its locks unchanged for as long as a lease.
    pub(super) fn is_young(&self) -> bool {
        self.age() < BEAT
    }

    fn age(&self) -> Duration {
        awake().saturating_sub(self.made)
    }

    /// Ends its use; its locks stay what they are. Blocks.
    pub(super) fn retire(&self) -> io::Result<()> {
        if self.retired.swap(true, Ordering::AcqRel) { Ok(()) } else { relocate::remove(&self.path) }
    }

    /// Makes a lock. Blocks.
    pub(super) fn lock(&self, lock: &Path) -> io::Result<Sealed> {
        match fs::hard_link(&self.path, lock) {
            Ok(()) => Ok(Sealed::Made),
            Err(error) => match error.kind() {
                io::ErrorKind::AlreadyExists => Ok(Sealed::Taken),
                io::ErrorKind::PermissionDenied
                | io::ErrorKind::Unsupported
                | io::ErrorKind::CrossesDevices
                | io::ErrorKind::TooManyLinks
                | io::ErrorKind::NotFound => Ok(Sealed::Impossible),
                _ => Err(error),
            },
        }
    }

    /// True for a lock that is certainly one of this seal. Where the names of a file have numbers of their own it never is,
    /// and the text has to tell. Blocks.
    pub(super) fn is_at(&self, lock: &Path) -> bool {
        fs::symlink_metadata(lock).is_ok_and(|found| (found.dev(), found.ino()) == self.number)
    }

    /// Keeps a lock alive until it is [left](Self::leave).
    pub(super) fn keep(self: &Arc<Self>, disk: &Disk, lock: &Path, state: Arc<HeldState>) {
        self.held().insert(lock.to_owned(), state);
        self.beating.get_or_init(|| {
            let (seal, disk) = (Arc::downgrade(self), disk.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(BEAT).await;
                    let Some(seal) = seal.upgrade() else { return };
                    seal.beat(&disk).await;
                }
            })
        });
    }

    /// A lock is given back, or lost.
    pub(super) fn leave(&self, lock: &Path) {
        self.held().remove(lock);
    }

    /// Shows that the holder lives, and finds out which locks somebody else has by now.
    async fn beat(self: Arc<Self>, disk: &Disk) {
        let held: Vec<_> = self.held().iter().map(|(lock, state)| (lock.clone(), state.clone())).collect();
        let seal = self.clone();
        let touched = disk.run(move || {
            seal.file.set_modified(SystemTime::now())?;
            Ok(held.into_iter().map(|(lock, state)| (seal.has(&lock), lock, state)).collect::<Vec<_>>())
        });
        match touched.await {
            Ok(found) => {
                for (has, lock, state) in found {
                    if !state.is_released() && is_lost(&lock, has, &state.lost) {
                        self.leave(&lock);
                    }
                }
            }
            Err(error) => drop(is_lost(&self.path, Err(error), &HeldState::default().lost)),
        }
    }

    fn has(&self, lock: &Path) -> io::Result<bool> {
        if self.is_at(lock) {
            return Ok(true);
        }
        Ok(super::lock::read(lock)?.is_some_and(|(text, _)| text == self.text))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, Arc<HeldState>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seal {
    fn drop(&mut self) {
        if let Some(beating) = self.beating.get() {
            beating.abort();
        }
        if let Err(error) = self.retire() {
            log::warn!(target: "VFSUtils", "{} cannot be removed: {error}", self.path.display());
        }
    }
}

/// Time since the machine was started; it goes on while the machine sleeps.
fn awake() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    #[test]
    fn locks_are_names_of_one_file() {
        let folder = Folder::new();
        let at = |name: &str| folder.path().join(name);
        let seal = Seal::new(&at("a.txt"), "mine".to_owned()).unwrap();
        let (one, two) = (at("a.lock"), at("b.lock"));
        assert_eq!((seal.lock(&one).unwrap(), seal.lock(&two).unwrap()), (Sealed::Made, Sealed::Made));
        assert_eq!(seal.lock(&one).unwrap(), Sealed::Taken);
        assert_eq!(seal.lock(&at("no/c.lock")).unwrap(), Sealed::Impossible);
        assert_eq!(fs::read_to_string(&two).unwrap(), "mine");
        assert!(seal.is_at(&one) && seal.has(&one).unwrap());
        fs::remove_file(&one).unwrap();
        assert!(!seal.is_at(&one) && !seal.has(&one).unwrap());
        fs::write(&one, "mine").unwrap();
        assert!(!seal.is_at(&one) && seal.has(&one).unwrap(), "the text tells");
        fs::write(&one, "yours").unwrap();
        assert!(!seal.has(&one).unwrap());
        drop(seal);
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a.lock", "b.lock"]);
    }
}
