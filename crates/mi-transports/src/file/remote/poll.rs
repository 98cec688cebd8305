//! A pass over a folder of a server: what `listener` does on local file systems, in the same order. A file is claimed,
//! copied to a nameless file of this machine, mediated, and only then deleted or moved.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mi_engine::inbound::{Control, OpenCx, Poll, PollError};
use tokio::io::AsyncSeekExt;

use super::super::after::{self, Outcome};
use super::super::disk;
use super::super::listener::{Worker, count};
use super::super::listing::{self, Found, Notice};
use super::super::message::{self, Refused};
use super::super::relocate;
use super::super::settings::{Action, Settings, Target};
use super::super::watch::Readiness;
use super::claim::{Claim, Claims};
use super::{Content, Entry, Remote, Server};

/// Deepest subfolder that is looked into.
const MAX_DEPTH: usize = 64;
/// Files of a pass; the others are there in the next one.
const MAX_FILES: usize = 100_000;
/// Bytes of a mark.
const MAX_MARK: u64 = 512;
/// Numbers that are tried for a name that is taken.
const MAX_NUMBER: u32 = 32;

/// A poller of files on a server.
pub(in super::super) struct RemotePoll {
    worker: Worker,
    remote: Arc<Remote>,
    claims: Option<Claims>,
}

/// What a look at the folder found.
#[derive(Default)]
struct Seen {
    files: Vec<Found>,
    /// Files that are marked as worked off.
    marked: HashSet<PathBuf>,
    /// Locks whose file is gone.
    orphans: Vec<PathBuf>,
}

enum Source {
    Missing,
    Seen(Seen),
}

impl RemotePoll {
    pub(in super::super) fn new(settings: Arc<Settings>, server: Arc<Server>, cx: OpenCx) -> Self {
        let remote = Arc::new(Remote::new(server));
        let claims = settings.locking.map(|rules| Claims::new(remote.clone(), rules));
        Self { worker: Worker::new(settings, cx), remote, claims }
    }
}

impl Poll for RemotePoll {
    fn poll<'a>(&'a mut self, control: &'a Control) -> BoxFuture<'a, Result<(), PollError>> {
        Box::pin(self.pass(control))
    }
}

impl RemotePoll {
    fn settings(&self) -> &Settings {
        &self.worker.settings
    }

    async fn pass(&self, control: &Control) -> Result<(), PollError> {
        let seen = match self.source(control).await? {
            Source::Missing => {
                self.worker.say_missing();
                return Ok(());
            }
            Source::Seen(seen) => seen,
        };
        self.worker.state().missing = false;
        if let Some(claims) = &self.claims {
            for lock in seen.orphans.iter().take(100) {
                claims.sweep(lock).await?;
            }
        }
        let (mut ready, mut again, mut longest) = (Vec::new(), Vec::new(), Duration::ZERO);
        for found in seen.files {
            match self.worker.readiness(&found) {
                Readiness::Ready => ready.push(found),
                Readiness::After(wait) => {
                    longest = longest.max(wait);
                    again.push(found);
                }
                Readiness::Later => {}
            }
        }
        let taken = self.several(ready, &seen.marked, 0, control).await?;
        if !again.is_empty() && !self.worker.is_enough(taken) {
            control.sleep(longest).await;
            let Source::Seen(now) = self.source(control).await? else { return Ok(()) };
            let still = now
                .files
                .into_iter()
                .filter(|found| again.contains(found) && self.worker.readiness(found) == Readiness::Ready);
            self.several(still.collect(), &now.marked, taken, control).await?;
        }
        Ok(())
    }

    /// Looks at the source; an error is tried again as often as the configuration says.
    async fn source(&self, control: &Control) -> Result<Source, PollError> {
        let mut attempt = 1;
        loop {
            let error = match self.look().await {
                Ok(source) => return Ok(source),
                Err(error) => error,
            };
            let (settings, shown) = (self.settings(), &self.settings().source.shown);
            if attempt >= settings.attempts || !control.is_running() {
                return Err(PollError(format!("Repeatedly failed to resolve the file URI: {shown}: {error}")));
            }
            log::warn!(
                target: "VFSTransportListener",
                "Failed to resolve the file URI: {shown}, in attempt {attempt}, {error} Retrying in {} milliseconds.",
                settings.between_attempts.as_millis()
            );
            attempt += 1;
            control.sleep(settings.between_attempts).await;
        }
    }

    async fn look(&self) -> io::Result<Source> {
        let root = &self.settings().source.path;
        if self.remote.is_folder(root).await? {
            return self.walk(root).await.map(Source::Seen);
        }
        let entry = match self.remote.stat(root).await {
            Ok(entry) => entry,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Source::Missing),
            Err(error) => return Err(error),
        };
        let mut seen = Seen::default();
        if let Some(done) = self.settings().done_of(root)
            && self.remote.stat(&done).await.is_err()
        {
            return Ok(Source::Seen(seen));
        }
        let mark = after::mark_of(root);
        if self.remote.stat(&mark).await.is_ok() {
            seen.marked.insert(root.clone());
        }
        seen.files.extend(self.examine(&entry, root.clone(), PathBuf::new()));
        Ok(Source::Seen(seen))
    }

    async fn walk(&self, root: &Path) -> io::Result<Seen> {
        let settings = self.settings();
        let mut seen = Seen::default();
        let mut folders = vec![PathBuf::new()];
        while let Some(subfolder) = folders.pop() {
            let folder = root.join(&subfolder);
            let entries = self.remote.list(&folder).await?;
            let names: HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            for entry in &entries {
                let (name, path) = (OsString::from(&entry.name), folder.join(&entry.name));
                if let Some(locked) = entry.name.strip_suffix(".lock") {
                    if !names.contains(locked) {
                        seen.orphans.push(path);
                    }
                } else if entry.is_folder {
                    let inner = subfolder.join(&entry.name);
                    if settings.source.recursive && !relocate::is_part(&name) && inner.iter().count() <= MAX_DEPTH {
                        folders.push(inner);
                    }
                } else if entry.is_file && listing::wants(settings, &name) && seen.files.len() < MAX_FILES {
                    let done = settings.done_suffix.as_ref().map(|suffix| format!("{}{suffix}", entry.name));
                    if done.is_some_and(|done| !names.contains(done.as_str())) {
                        continue;
                    }
                    if names.contains(format!("{}.fail", entry.name).as_str()) {
                        seen.marked.insert(path.clone());
                    }
                    seen.files.extend(self.examine(entry, path, subfolder.clone()));
                }
            }
        }
        listing::put_in_order(&mut seen.files, settings);
        Ok(seen)
    }

    fn examine(&self, entry: &Entry, path: PathBuf, subfolder: PathBuf) -> Option<Found> {
        let settings = self.settings();
        if let Some(why) = settings.beyond_limit(entry.size).filter(|_| !settings.sets_aside()) {
            self.worker.notice(Some(Notice { path, why }));
            return None;
        }
        Some(Found { path, subfolder, size: entry.size, modified: entry.modified })
    }

    /// Works on files. Gives how many were taken.
    async fn several(
        &self,
        files: Vec<Found>,
        marked: &HashSet<PathBuf>,
        before: usize,
        control: &Control,
    ) -> Result<usize, PollError> {
        let mut running = FuturesUnordered::new();
        let (mut taken, mut failure) = (0, None);
        for found in files {
            if !control.is_running() || failure.is_some() || self.worker.is_enough(before + taken + running.len()) {
                break;
            }
            let is_marked = marked.contains(&found.path);
            running.push(self.work(found, is_marked));
            while running.len() >= self.settings().at_a_time {
                let Some(outcome) = running.next().await else { break };
                let took = count(outcome, &mut taken, &mut failure);
                if let Some(pause) = self.settings().between_files.filter(|_| took) {
                    control.sleep(pause).await;
                }
            }
        }
        while let Some(outcome) = running.next().await {
            count(outcome, &mut taken, &mut failure);
        }
        failure.map_or(Ok(taken), Err)
    }

    /// Claims a file and works it off. True when it was taken.
    async fn work(&self, found: Found, is_marked: bool) -> Result<bool, PollError> {
        let claim = match &self.claims {
            None => None,
            Some(claims) => match claims.acquire(&found.path, self.worker.clock.now_millis()).await {
                Ok(Some(claim)) => Some(claim),
                Ok(None) => return Ok(false),
                Err(error) => {
                    let path = found.path.display();
                    return Err(PollError(format!(
                        "Cannot get the lock for the file : {path} before processing: {error}; a user who may not make \
                         folders needs transport.vfs.Locking=disable"
                    )));
                }
            },
        };
        let path = found.path.clone();
        let worked = self.work_claimed(found, claim.as_ref(), is_marked).await;
        if let Some(claim) = claim
            && let Err(error) = claim.release().await
        {
            log::error!(target: "VFSUtils", "Couldn't release the lock for the file : {}: {error}", path.display());
        }
        worked
    }

    async fn work_claimed(&self, found: Found, claim: Option<&Claim>, is_marked: bool) -> Result<bool, PollError> {
        // Between the listing and the lock somebody may have finished the file, or gone on writing it.
        let mut found = found;
        match self.remote.stat(&found.path).await {
            Ok(entry) if entry.size == found.size => {
                // Listings round times, and not always the same way.
                if entry.modified != UNIX_EPOCH {
                    found.modified = entry.modified;
                }
            }
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if is_marked && let Some(outcome) = self.marked(&found).await? {
            return self.end_again(&found, outcome).await.map(|()| false);
        }
        let key = message::idempotency_key(&self.worker.cx.name, &found);
        if self.worker.was_processed(&found, &key).await? {
            return self.end(&found, Outcome::Processed).await.map(|()| true);
        }
        if let Some(why) = self.settings().beyond_limit(found.size) {
            let outcome = self.worker.set_aside(&found, &why);
            return self.end(&found, outcome).await.map(|()| true);
        }
        let snapshot = self.worker.cx.injector.snapshot();
        let file = match self.copy(&found).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let content = message::Content::Open(file);
        let read = message::of_content(content, &found, &key, self.settings(), &snapshot.settings).await;
        let outcome = match read {
            Ok(message) => self.worker.mediate(&found, message, &key).await?,
            Err(Refused::Malformed(why)) => self.worker.set_aside(&found, &why),
            Err(Refused::TooLarge(why)) if self.settings().sets_aside() => self.worker.set_aside(&found, &why),
            Err(Refused::TooLarge(why) | Refused::Unreadable(why)) => {
                self.worker.notice(Some(Notice { path: found.path.clone(), why }));
                return Ok(false);
            }
        };
        if let Some(claim) = claim
            && !claim.is_valid().await
        {
            log::warn!(
                target: "VFSTransportListener",
                "{} was taken over by somebody else while it was processed; it may be processed twice", found.path.display()
            );
            return Ok(true);
        }
        self.end(&found, outcome).await?;
        Ok(true)
    }

    /// The content, in a file of this machine that goes away with the message.
    async fn copy(&self, found: &Found) -> io::Result<tokio::fs::File> {
        let part = relocate::part_in(&std::env::temp_dir());
        let mut file =
            tokio::fs::File::options().read(true).write(true).create_new(true).mode(0o600).open(&part).await?;
        tokio::fs::remove_file(&part).await?;
        // One that grew since it was looked at is still being written.
        self.remote.read(&found.path, &mut file, found.size).await?;
        file.seek(SeekFrom::Start(0)).await?;
        Ok(file)
    }

    /// Deletes or moves a file that is worked off; marks it when that fails.
    async fn end(&self, found: &Found, outcome: Outcome) -> Result<(), PollError> {
        self.worker.state().watched.forget(&found.path);
        let Err(error) = self.finish(found, outcome).await else { return Ok(()) };
        let path = found.path.display();
        log::error!(
            target: "VFSTransportListener",
            "File object '{path}' could not be moved or deleted; it is marked and not processed again: {error}"
        );
        let mark = after::mark_text(found, outcome, &*self.worker.clock);
        if let Err(error) = self.remote.write(&after::mark_of(&found.path), Content::Bytes(mark.into()), false).await {
            log::error!(target: "VFSUtils", "Could not create the failure record for file: {path}: {error}");
        }
        let (file, settings, clock) = (found.clone(), self.worker.settings.clone(), self.worker.clock.clone());
        let noted = self.worker.disk.run(move || after::note(&file, &settings, &*clock)).await;
        if let Err(error) = noted {
            log::error!(target: "VFSUtils", "Could not create the failure record for file: {path}: {error}");
        }
        if disk::is_full(&error) {
            return Err(PollError(format!(
                "no more files are taken before this one can be moved or deleted: {path}: {error}"
            )));
        }
        Ok(())
    }

    async fn finish(&self, found: &Found, outcome: Outcome) -> io::Result<()> {
        let action = match outcome {
            Outcome::Processed => &self.settings().after_process,
            Outcome::Failed => &self.settings().after_failure,
        };
        match action {
            Action::Keep => {}
            Action::Delete => self.remote.remove(&found.path).await?,
            Action::Move(target) => self.move_to(found, target).await?,
        }
        self.remove_done(found).await
    }

    /// Removes the file that said that this one is whole.
    async fn remove_done(&self, found: &Found) -> io::Result<()> {
        let Some(done) = self.settings().done_of(&found.path) else { return Ok(()) };
        match self.remote.remove(&done).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Does it again for a file that is marked: to the folder for such files where there is one.
    async fn end_again(&self, found: &Found, outcome: Outcome) -> Result<(), PollError> {
        let ended = match &self.settings().after_failed_move {
            Some(target) => match self.move_to(found, target).await {
                Ok(()) => self.remove_done(found).await,
                failed => failed,
            },
            None => self.finish(found, outcome).await,
        };
        match ended {
            Ok(()) => Ok(self.remote.remove(&after::mark_of(&found.path)).await?),
            Err(error) if disk::is_full(&error) => {
                Err(PollError(format!("{} cannot be moved or deleted: {error}", found.path.display())))
            }
            Err(error) => {
                let path = found.path.display();
                log::debug!(target: "VFSTransportListener", "{path} cannot be moved yet: {error}");
                Ok(())
            }
        }
    }

    /// What a mark says, if it is for this file and not for a former one of the name.
    async fn marked(&self, found: &Found) -> io::Result<Option<Outcome>> {
        let mark = after::mark_of(&found.path);
        let mut text = Vec::new();
        self.remote.read(&mark, &mut text, MAX_MARK).await?;
        let outcome = after::mark_says(&String::from_utf8_lossy(&text), found);
        if outcome.is_none() {
            self.remote.remove(&mark).await?;
        }
        Ok(outcome)
    }

    /// Moves a file on its server. Nothing is overwritten: the later one gets a number.
    async fn move_to(&self, found: &Found, target: &Target) -> io::Result<()> {
        let (folder, name) = after::place(found, target, &*self.worker.clock);
        if target.create {
            self.remote.make_folders(&folder).await?;
        }
        for number in 0..=MAX_NUMBER + 1 {
            let path = folder.join(relocate::numbered(&name, number));
            match self.remote.stat(&path).await {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return self.remote.rename(&found.path, &path).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("all names like {} are taken", name.display())))
    }
}
