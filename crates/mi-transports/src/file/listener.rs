//! Polls a folder or a file: which files are ready, one message for each, and what happens to them afterwards.
//! MI: `FilePollingConsumer#poll`, `VFSTransportListener#scanFileOrDirectory`.
//!
//! A file is claimed by its lock, mediated, and only then deleted or moved. Whatever ends the process in between leaves
//! the file where it was, with a lock whose lease runs out; it is then taken again.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use mi_engine::flow::Ended;
use mi_engine::inbound::{Control, OpenCx, Poll, PollError};
use mi_engine::services::Clock;
use mi_message::Message;
use tokio::time::Instant;

use super::after::{self, Outcome};
use super::disk::{self, Disk};
use super::listing::{self, Found, Given, Listing, Notice, Portion};
use super::lock::{Held, Locks, Parted};
use super::message::{self, Content, Refused};
use super::sender::Writer;
use super::settings::{Flavour, Settings};
use super::watch::{Readiness, Watched};

/// Files whose end failed that are remembered; the marks on disk know all of them.
const MAX_MARKED: usize = 10_000;
/// Files that are looked at a second time in a pass (`CheckSizeInterval`).
const MAX_SECOND_LOOKS: usize = 4096;

/// A poller of files.
pub(super) struct FilePoll {
    worker: Worker,
}

/// What all files of a poller share.
pub(super) struct Worker {
    pub(super) settings: Arc<Settings>,
    pub(super) cx: OpenCx,
    pub(super) disk: Disk,
    pub(super) clock: Arc<dyn Clock>,
    locks: Option<Locks>,
    /// Writes answers.
    writer: Writer,
    /// Locked for moments only, never across a wait.
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    given: Given,
    pub(super) watched: Watched,
    marked: HashMap<PathBuf, Marked>,
    /// True once it was said that the source is not there.
    pub(super) missing: bool,
}

/// A file that is worked off and could not be deleted or moved.
#[derive(Clone)]
struct Marked {
    found: Found,
    outcome: Outcome,
    due: Instant,
}

/// What there is to poll.
enum Source {
    Missing,
    File(Result<Found, Option<Notice>>),
    Folder(Listing),
}

impl FilePoll {
    pub(super) fn new(settings: Arc<Settings>, cx: OpenCx) -> Self {
        Self { worker: Worker::new(settings, cx) }
    }
}

impl Poll for FilePoll {
    fn poll<'a>(&'a mut self, control: &'a Control) -> BoxFuture<'a, Result<(), PollError>> {
        Box::pin(self.worker.pass(control))
    }
}

impl Worker {
    pub(super) fn new(settings: Arc<Settings>, cx: OpenCx) -> Self {
        let disk = Disk::new();
        let clock = cx.injector.snapshot().services.clock.clone();
        let locks =
            settings.locking.map(|rules| Locks::new(disk.clone(), rules).for_many(settings.source.path.clone()));
        let mut cx = cx;
        if settings.reply.is_some() {
            cx.injector = cx.injector.with_replies();
        }
        let writer = Writer::new(clock.clone());
        Self { settings, cx, disk, clock, locks, writer, state: Mutex::default() }
    }

    pub(super) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the source once.
    async fn pass(&self, control: &Control) -> Result<(), PollError> {
        let passed = self.look_around(control).await;
        if let Some(locks) = &self.locks {
            locks.rest().await;
        }
        passed
    }

    async fn look_around(&self, control: &Control) -> Result<(), PollError> {
        self.end_marked(control).await?;
        match self.source(control).await? {
            Source::Missing => self.say_missing(),
            Source::File(found) => {
                self.state().missing = false;
                match found {
                    Ok(found) => drop(self.one(found, control).await?),
                    Err(notice) => self.notice(notice),
                }
            }
            Source::Folder(listing) => {
                self.state().missing = false;
                self.folder(listing, control).await?;
            }
        }
        Ok(())
    }

    /// Finds out what the address leads to; an error is tried again as often as the configuration says.
    async fn source(&self, control: &Control) -> Result<Source, PollError> {
        let mut attempt = 1;
        loop {
            let settings = self.settings.clone();
            let looked = self.disk.run(move || {
                let root = &settings.source.path;
                match fs::metadata(root) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Source::Missing),
                    Err(error) => Err(error),
                    Ok(metadata) if metadata.is_dir() => Ok(Source::Folder(Listing::open(settings.clone())?)),
                    Ok(_) => {
                        let folder = super::relocate::folder_of(root);
                        Ok(Source::File(listing::examine(&settings, folder, root.clone(), PathBuf::new())))
                    }
                }
            });
            let error = match looked.await {
                Ok(source) => return Ok(source),
                Err(error) => error,
            };
            let shown = &self.settings.source.shown;
            if attempt >= self.settings.attempts || !control.is_running() {
                return Err(PollError(format!("Repeatedly failed to resolve the file URI: {shown}: {error}")));
            }
            log::warn!(
                target: "VFSTransportListener",
                "Failed to resolve the file URI: {shown}, in attempt {attempt}, {error} Retrying in {} milliseconds.",
                self.settings.between_attempts.as_millis()
            );
            attempt += 1;
            control.sleep(self.settings.between_attempts).await;
        }
    }

    pub(super) fn say_missing(&self) {
        let said = std::mem::replace(&mut self.state().missing, true);
        let shown = &self.settings.source.shown;
        match self.settings.flavour {
            _ if said => {}
            Flavour::Proxy => log::warn!(
                target: "VFSTransportListener",
                "Provided file uri: {shown} is invalid. File does not exists"
            ),
            Flavour::Inbound => log::warn!(
                target: "FilePollingConsumer",
                "Unable to access or read file or directory : {shown}. Reason: The file does not exists!"
            ),
        }
    }

    pub(super) fn notice(&self, notice: Option<Notice>) {
        if let Some(notice) = notice
            && self.state().given.is_new(&notice)
        {
            log::warn!(
                target: "VFSTransportListener",
                "{}: {} is skipped: {}", self.cx.name, notice.path.display(), notice.why
            );
        }
    }

    /// The source is a single file.
    async fn one(&self, found: Found, control: &Control) -> Result<bool, PollError> {
        match self.readiness(&found) {
            Readiness::Ready => self.work(found).await,
            Readiness::Later => Ok(false),
            Readiness::After(wait) => self.second_looks(vec![found], wait, control).await.map(|taken| taken > 0),
        }
    }

    async fn folder(&self, listing: Listing, control: &Control) -> Result<(), PollError> {
        let mut listing = listing;
        let mut taken = 0;
        let mut again = Vec::new();
        let mut longest = Duration::ZERO;
        loop {
            let (read, portion) = self
                .disk
                .run(move || {
                    let portion = listing.next()?;
                    Ok((listing, portion))
                })
                .await?;
            listing = read;
            let Portion { files, notices, left, more } = portion;
            if let (Some(locks), false) = (&self.locks, left.is_empty()) {
                locks.sweep(left).await?;
            }
            for notice in notices {
                self.notice(Some(notice));
            }
            let mut ready = Vec::new();
            for found in files {
                match self.readiness(&found) {
                    Readiness::Ready => ready.push(found),
                    Readiness::After(wait) if again.len() < MAX_SECOND_LOOKS => {
                        longest = longest.max(wait);
                        again.push(found);
                    }
                    Readiness::After(_) | Readiness::Later => {}
                }
            }
            taken += self.several(ready, taken, control).await?;
            if !more || !control.is_running() || self.is_enough(taken) {
                break;
            }
        }
        if !again.is_empty() && !self.is_enough(taken) {
            self.second_looks(again, longest, control).await?;
        }
        Ok(())
    }

    /// True when a pass has taken as many files as it may.
    pub(super) fn is_enough(&self, taken: usize) -> bool {
        self.settings.between_files.is_none() && self.settings.files_in_a_pass.is_some_and(|most| taken >= most)
    }

    /// Works on files, one after the other or some at a time. Gives how many were taken.
    async fn several(&self, files: Vec<Found>, before: usize, control: &Control) -> Result<usize, PollError> {
        let mut running = FuturesUnordered::new();
        let mut taken = 0;
        let mut failure = None;
        for found in files {
            if !control.is_running() || failure.is_some() || self.is_enough(before + taken + running.len()) {
                // Those that run may turn out to be somebody else's; then there is room for this one.
                while let Some(outcome) = running.next().await {
                    count(outcome, &mut taken, &mut failure);
                }
                if !control.is_running() || failure.is_some() || self.is_enough(before + taken) {
                    break;
                }
            }
            running.push(self.work(found));
            while running.len() >= self.settings.at_a_time {
                let Some(outcome) = running.next().await else { break };
                let took = count(outcome, &mut taken, &mut failure);
                if let Some(pause) = self.settings.between_files.filter(|_| took) {
                    control.sleep(pause).await;
                }
            }
        }
        while let Some(outcome) = running.next().await {
            count(outcome, &mut taken, &mut failure);
        }
        failure.map_or(Ok(taken), Err)
    }

    /// Waits, and takes those files that did not change in the meantime. MI does it one file at a time.
    async fn second_looks(&self, files: Vec<Found>, wait: Duration, control: &Control) -> Result<usize, PollError> {
        control.sleep(wait).await;
        let settings = self.settings.clone();
        let unchanged = self
            .disk
            .run(move || {
                let root = &settings.source.path;
                let same = |found: &Found| {
                    let again = listing::examine(&settings, root, found.path.clone(), found.subfolder.clone());
                    again.is_ok_and(|again| again == *found)
                };
                Ok(files.into_iter().filter(same).collect::<Vec<_>>())
            })
            .await?;
        let ready = unchanged.into_iter().filter(|found| self.readiness(found) == Readiness::Ready).collect();
        self.several(ready, 0, control).await
    }

    pub(super) fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(self.clock.now_millis()).unwrap_or(0))
    }

    pub(super) fn readiness(&self, found: &Found) -> Readiness {
        let now = self.now();
        self.state().watched.readiness(found, &self.settings, now)
    }

    /// Claims a file and works it off. True when it was taken, false when it is not ours to take.
    async fn work(&self, found: Found) -> Result<bool, PollError> {
        let looking = found.clone();
        let look = move || look(&looking);
        let (held, looked) = match &self.locks {
            None => (None, self.disk.run(move || Ok(look())).await?),
            Some(locks) => match locks.acquire_and(&found.path, self.clock.now_millis(), look).await {
                Ok(Some((held, looked))) => (Some(held), looked),
                Ok(None) => return Ok(false),
                Err(error) => {
                    let path = found.path.display();
                    return Err(PollError(format!(
                        "Cannot get the lock for the file : {path} before processing: {error}"
                    )));
                }
            },
        };
        match self.process(&found, looked).await {
            Ok(Some(outcome)) => self.end(&found, outcome, held).await.map(|()| true),
            other => {
                self.give_back(&found, held).await;
                other.map(|_| false)
            }
        }
    }

    /// Gives a file back that was not taken, or whose end failed.
    async fn give_back(&self, found: &Found, held: Option<Held>) {
        if let Some(held) = held {
            said(found, held.release(&self.disk).await);
        }
    }

    /// Runs the flow of a claimed file. `None` when it is not to be taken.
    async fn process(&self, found: &Found, looked: io::Result<Looked>) -> Result<Option<Outcome>, PollError> {
        let content = match looked? {
            Looked::Changed => return Ok(None),
            Looked::Marked(outcome) => {
                self.remember(found, outcome, Instant::now());
                return Ok(None);
            }
            Looked::Unreadable(error) => {
                let why = error.to_string();
                // Other errors may be over with the next pass.
                if error.kind() == io::ErrorKind::PermissionDenied && self.settings.sets_aside() {
                    return Ok(Some(self.set_aside(found, &why)));
                }
                self.notice(Some(Notice { path: found.path.clone(), why }));
                return Ok(None);
            }
            Looked::Content(content) => content,
        };
        if let Some(why) = self.settings.beyond_limit(found.size) {
            return Ok(Some(self.set_aside(found, &why)));
        }
        let key = message::idempotency_key(&self.cx.name, found);
        if self.was_processed(found, &key).await? {
            return Ok(Some(Outcome::Processed));
        }
        let snapshot = self.cx.injector.snapshot();
        match message::of_content(content, found, &key, &self.settings, &snapshot.settings).await {
            Ok(message) => self.mediate(found, message, &key).await.map(Some),
            Err(Refused::Malformed(why)) => Ok(Some(self.set_aside(found, &why))),
            Err(Refused::TooLarge(why)) if self.settings.sets_aside() => Ok(Some(self.set_aside(found, &why))),
            Err(Refused::TooLarge(why) | Refused::Unreadable(why)) => {
                self.notice(Some(Notice { path: found.path.clone(), why }));
                Ok(None)
            }
        }
    }

    /// Counts a file that fails before any flow sees it, with the reason in the log.
    pub(super) fn set_aside(&self, found: &Found, why: &str) -> Outcome {
        self.cx.gauge.message_failed();
        log::error!(target: "VFSTransportListener", "Error processing File URI : {}: {why}", found.path.display());
        Outcome::Failed
    }

    /// Runs the flow of a file.
    pub(super) async fn mediate(&self, found: &Found, message: Message, key: &str) -> Result<Outcome, PollError> {
        let injected = match self.cx.injector.inject(message).await {
            Ok(injected) => injected,
            Err(error) => return Err(PollError(format!("{error}; files stay where they are"))),
        };
        let path = found.path.display();
        let mut failed = match self.settings.flavour {
            Flavour::Inbound => injected.unhandled,
            Flavour::Proxy => injected.error_code.is_some(),
        };
        if failed {
            log::error!(target: "VFSTransportListener", "Error processing File URI : {path}");
        } else if injected.ended == Ended::Faulted && self.cx.gauge.fault_ignored() {
            // MI: only a transport property ERROR_CODE makes a file of a proxy fail, only a fault without a handler one
            // of an inbound endpoint.
            log::warn!(
                target: "VFSTransportListener",
                "{}: the mediation of {path} ended in a fault and counts as a success all the same; set the property \
                 ERROR_CODE with scope transport in the fault sequence of a proxy to make such files fail. This is said once",
                self.cx.name
            );
        }
        if let (Some(target), Some(reply)) = (&self.settings.reply, injected.reply) {
            let header =
                |name: &str| reply.headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
            if let Err(why) = self.writer.write(&target.address, header, target.name.as_deref(), reply.body).await {
                log::error!(target: "VFSTransportSender", "The answer to {path} is not written: {why}");
                failed = true;
            }
        }
        if failed {
            self.cx.gauge.message_failed();
            Ok(Outcome::Failed)
        } else {
            self.note_processed(found, key).await;
            self.cx.gauge.message();
            Ok(Outcome::Processed)
        }
    }

    /// Deletes or moves a file that is worked off and gives it back; marks it when that fails.
    async fn end(&self, found: &Found, outcome: Outcome, held: Option<Held>) -> Result<(), PollError> {
        self.state().watched.forget(&found.path);
        let (file, settings, clock) = (found.clone(), self.settings.clone(), self.clock.clone());
        let finish = move || after::finish(&file, outcome, &settings, &*clock).map(drop);
        let (error, held) = match held {
            None => match self.disk.run_for_long(finish).await {
                Ok(()) => return Ok(()),
                Err(error) => (error, None),
            },
            Some(held) => match held.part_with(&self.disk, finish).await {
                Parted::Done(unlocked) => {
                    said(found, unlocked);
                    return Ok(());
                }
                Parted::Lost => {
                    log::warn!(
                        target: "VFSTransportListener",
                        "{} was taken over by somebody else while it was processed; it may be processed twice",
                        found.path.display()
                    );
                    return Ok(());
                }
                Parted::Failed(error, held) => (error, Some(held)),
            },
        };
        let ended = self.end_failed(found, outcome, &error).await;
        self.give_back(found, held).await;
        ended
    }

    /// Marks a file whose end failed.
    async fn end_failed(&self, found: &Found, outcome: Outcome, error: &io::Error) -> Result<(), PollError> {
        let path = found.path.display();
        log::error!(
            target: "VFSTransportListener",
            "File object '{path}' could not be moved or deleted; it is marked and not processed again: {error}"
        );
        self.remember(found, outcome, Instant::now() + self.before_next_try(error));
        let (file, settings, clock) = (found.clone(), self.settings.clone(), self.clock.clone());
        if let Err(error) = self.disk.run(move || after::mark(&file, outcome, &settings, &*clock)).await {
            log::error!(target: "VFSUtils", "Could not create the failure record for file: {path}: {error}");
        }
        if disk::is_full(error) {
            return Err(PollError(format!(
                "no more files are taken before this one can be moved or deleted: {path}: {error}"
            )));
        }
        Ok(())
    }

    /// Time before a failed move is tried again. While a disk is full every pass begins with it, and goes no further.
    fn before_next_try(&self, error: &io::Error) -> Duration {
        if disk::is_full(error) { Duration::ZERO } else { self.settings.retry_moves_after }
    }

    fn remember(&self, found: &Found, outcome: Outcome, due: Instant) {
        let mut state = self.state();
        if state.marked.len() < MAX_MARKED {
            state.marked.entry(found.path.clone()).or_insert(Marked { found: found.clone(), outcome, due });
        }
    }

    /// Deletes or moves files for which that failed before.
    async fn end_marked(&self, control: &Control) -> Result<(), PollError> {
        let now = Instant::now();
        let due: Vec<Marked> = self.state().marked.values().filter(|marked| marked.due <= now).cloned().collect();
        for marked in due {
            if !control.is_running() {
                break;
            }
            let path = marked.found.path.clone();
            let held = match &self.locks {
                None => None,
                Some(locks) => match locks.acquire(&path, self.clock.now_millis()).await? {
                    Some(held) => Some(held),
                    None => continue,
                },
            };
            let (settings, clock) = (self.settings.clone(), self.clock.clone());
            let Marked { found, outcome, .. } = marked;
            let ended = self.disk.run_for_long(move || {
                if !found.path.exists() {
                    return super::relocate::remove(&after::mark_of(&found.path));
                }
                after::finish_again(&found, outcome, &settings, &*clock)
            });
            let ended = ended.await;
            if let Some(held) = held {
                held.release(&self.disk).await?;
            }
            let mut state = self.state();
            match ended {
                Ok(()) => {
                    state.marked.remove(&path);
                    log::info!(target: "VFSTransportListener", "{} could be moved or deleted now", path.display());
                }
                Err(error) => {
                    if let Some(marked) = state.marked.get_mut(&path) {
                        marked.due = now + self.before_next_try(&error);
                    }
                    drop(state);
                    if disk::is_full(&error) {
                        let path = path.display();
                        return Err(PollError(format!("{path} cannot be moved or deleted: {error}")));
                    }
                    log::debug!(target: "VFSTransportListener", "{} cannot be moved yet: {error}", path.display());
                }
            }
        }
        Ok(())
    }
}

/// What the first look at a claimed file finds.
enum Looked {
    /// Between the listing and the lock somebody finished the file, or went on writing it.
    Changed,
    /// Its message was worked off before.
    Marked(Outcome),
    Unreadable(io::Error),
    Content(Content),
}

/// Looks at a file that was claimed. Blocks.
fn look(found: &Found) -> io::Result<Looked> {
    let content = match Content::of(found) {
        Ok(Some(content)) => content,
        Ok(None) => return Ok(Looked::Changed),
        Err(error) => return Ok(Looked::Unreadable(error)),
    };
    Ok(after::marked(found)?.map_or(Looked::Content(content), Looked::Marked))
}

/// Logs that a lock could not be given back.
fn said(found: &Found, unlocked: io::Result<()>) {
    if let Err(error) = unlocked {
        log::error!(target: "VFSUtils", "Couldn't release the lock for the file : {}: {error}", found.path.display());
    }
}

/// Counts a file that was taken; keeps the first error. True when it was taken.
pub(super) fn count(outcome: Result<bool, PollError>, taken: &mut usize, failure: &mut Option<PollError>) -> bool {
    match outcome {
        Ok(took) => {
            *taken += usize::from(took);
            took
        }
        Err(error) => {
            failure.get_or_insert(error);
            false
        }
    }
}
