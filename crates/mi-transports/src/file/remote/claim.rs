//! Who works on a file of a server: the folder `NAME.lock` beside it, with one folder in it whose name says who has it.
//!
//! Of several who make a folder exactly one succeeds, with every server; of files that cannot be said of FTP. MI sees that
//! `NAME.lock` exists and leaves the file alone, and so does this server with the lock files of MI. The lease is that of
//! locks on local files: the holder renames the inner folder now and then, and who sees it unchanged for the whole lease
//! takes the file over.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::lock::{self, BEAT, is_lost};
use super::super::relocate;
use super::super::settings::Locking;
use super::Remote;

/// Locks of others that are remembered at a time; with more, the waiting for some begins again.
const MAX_SEEN: usize = 10_000;

/// How often a lock is asked for that can neither be made nor be seen.
const ATTEMPTS: u32 = 4;

/// Makes claims and knows how long those of others have stood unchanged.
#[derive(Debug)]
pub(in super::super) struct Claims {
    remote: Arc<Remote>,
    rules: Locking,
    seen: Mutex<HashMap<PathBuf, (String, Instant)>>,
}

/// A file that is claimed. It has to be released; one that is dropped is free when its lease ends.
#[derive(Debug)]
pub(in super::super) struct Claim {
    remote: Arc<Remote>,
    lock: PathBuf,
    text: String,
    beats: Arc<AtomicU64>,
    lost: Arc<AtomicBool>,
    beating: JoinHandle<()>,
}

impl Claims {
    pub(in super::super) fn new(remote: Arc<Remote>, rules: Locking) -> Self {
        Self { remote, rules, seen: Mutex::default() }
    }

    /// Claims `path`. `None` while somebody else has it.
    pub(in super::super) async fn acquire(&self, path: &Path, now_millis: i64) -> io::Result<Option<Claim>> {
        let lock = lock::lock_of(path);
        let mut attempt = 1;
        let text = loop {
            let refused = match self.remote.make_folder(&lock).await {
                Ok(()) => return self.hold(lock, now_millis).await.map(Some),
                Err(error) => error,
            };
            if let Some(text) = self.holder(&lock).await? {
                break text;
            }
            // There is no lock: somebody released his in between, with the file or without, or none can be made.
            match self.remote.stat(path).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                _ if attempt == ATTEMPTS => return Err(refused),
                _ => attempt += 1,
            }
        };
        if !self.is_abandoned(&lock, &text, now_millis) {
            return Ok(None);
        }
        log::warn!(target: "VFSUtils", "The lock {} was left behind and is removed: {text}", lock.display());
        if !self.remove_exactly(&lock, &text).await? || self.remote.make_folder(&lock).await.is_err() {
            return Ok(None);
        }
        self.hold(lock, now_millis).await.map(Some)
    }

    /// What stands in a lock: nothing when there is none, an empty text for a lock of somebody who does not say who he is.
    async fn holder(&self, lock: &Path) -> io::Result<Option<String>> {
        if self.remote.is_folder(lock).await? {
            let inside = match self.remote.list(lock).await {
                Ok(inside) => inside,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            return Ok(Some(inside.into_iter().map(|entry| entry.name).next().unwrap_or_default()));
        }
        match self.remote.stat(lock).await {
            Ok(entry) if entry.size <= 512 => {
                let mut text = Vec::new();
                match self.remote.read(lock, &mut text, 512).await {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                }
                Ok(Some(String::from_utf8_lossy(&text).into_owned()))
            }
            Ok(_) => Ok(Some(String::new())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_abandoned(&self, lock: &Path, text: &str, now_millis: i64) -> bool {
        let unchanged = self.unchanged(lock, text);
        // Somebody may have died between the folder and what is in it.
        (text.is_empty() && unchanged >= lock::LEASE)
            || lock::is_abandoned(&plain(text), unchanged, now_millis, self.rules.auto_release)
    }

    /// For how long a lock has been seen with this text.
    fn unchanged(&self, lock: &Path, text: &str) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(lock) {
            Some((known, since)) if known == text => since.elapsed(),
            _ => {
                if seen.len() >= MAX_SEEN {
                    seen.clear();
                }
                seen.insert(lock.to_owned(), (text.to_owned(), Instant::now()));
                Duration::ZERO
            }
        }
    }

    /// Removes a lock that is abandoned whose file is gone.
    pub(in super::super) async fn sweep(&self, lock: &Path) -> io::Result<()> {
        let Some(text) = self.holder(lock).await? else { return Ok(()) };
        let unchanged = self.unchanged(lock, &text);
        if lock::is_abandoned(&plain(&text), unchanged, 0, None) {
            self.remove_exactly(lock, &text).await?;
        }
        Ok(())
    }

    /// Removes a lock with this text, but no other that was made since. False when it was not there any more.
    async fn remove_exactly(&self, lock: &Path, text: &str) -> io::Result<bool> {
        let aside = relocate::part_in(relocate::folder_of(lock));
        if self.remote.rename(lock, &aside).await.is_err() {
            return Ok(false);
        }
        if self.holder(&aside).await?.as_deref() != Some(text) {
            // Somebody was faster and this is his; he gets it back.
            drop(self.remote.rename(&aside, lock).await);
            return Ok(false);
        }
        if self.remote.is_folder(&aside).await? {
            if !text.is_empty() {
                self.remote.remove_folder(&aside.join(text)).await?;
            }
            self.remote.remove_folder(&aside).await?;
        } else {
            self.remote.remove(&aside).await?;
        }
        Ok(true)
    }

    async fn hold(&self, lock: PathBuf, now_millis: i64) -> io::Result<Claim> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&lock);
        let text = lock::new_text(now_millis).replace(':', ";");
        let (beats, lost) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        if let Err(error) = self.remote.make_folder(&lock.join(beaten(&text, 0))).await {
            drop(self.remote.remove_folder(&lock).await);
            return Err(error);
        }
        let beating = tokio::spawn(beat(self.remote.clone(), lock.clone(), text.clone(), beats.clone(), lost.clone()));
        Ok(Claim { remote: self.remote.clone(), lock, text, beats, lost, beating })
    }
}

/// The name of the inner folder after some signs of life.
fn beaten(text: &str, beats: u64) -> String {
    format!("{text};{beats}")
}

/// The text of a lock as in a lock file: MI's own has it already.
fn plain(text: &str) -> String {
    match text.rsplit_once(';') {
        Some((text, _)) => text.replace(';', ":"),
        None => text.to_owned(),
    }
}

/// Shows that the holder lives. False when the lock is not his any more.
async fn renew(remote: &Remote, lock: &Path, text: &str, beats: &AtomicU64) -> io::Result<bool> {
    let now = beats.load(Ordering::Acquire);
    let renamed = remote.rename(&lock.join(beaten(text, now)), &lock.join(beaten(text, now + 1))).await;
    match renamed {
        Ok(()) => {
            beats.store(now + 1, Ordering::Release);
            Ok(true)
        }
        Err(error) => {
            // Refused: is it gone, or does the server not answer?
            let inside = remote.list(lock).await.unwrap_or_default();
            if inside.iter().any(|entry| plain(&entry.name) == plain(&beaten(text, now))) {
                Err(error)
            } else {
                Ok(false)
            }
        }
    }
}

async fn beat(remote: Arc<Remote>, lock: PathBuf, text: String, beats: Arc<AtomicU64>, lost: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(BEAT).await;
        let renewed = renew(&remote, &lock, &text, &beats).await;
        if is_lost(&lock, renewed, &lost) {
            return;
        }
    }
}

impl Claim {
    /// True while nobody else can have taken the file over. The signs of life end with it: it is asked at the end.
    pub(in super::super) async fn is_valid(&self) -> bool {
        self.beating.abort();
        !self.lost.load(Ordering::Acquire)
            && renew(&self.remote, &self.lock, &self.text, &self.beats).await.unwrap_or(false)
    }

    /// Gives the file back.
    pub(in super::super) async fn release(self) -> io::Result<()> {
        self.beating.abort();
        if self.lost.load(Ordering::Acquire) {
            return Ok(());
        }
        let inner = self.lock.join(beaten(&self.text, self.beats.load(Ordering::Acquire)));
        self.remote.remove_folder(&inner).await?;
        self.remote.remove_folder(&self.lock).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.beating.abort();
    }
}
