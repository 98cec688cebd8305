//! Locks on files: `NAME.lock` beside the file, as MI makes and honours them, with a lease.
//!
//! A lock of MI is a text of four parts, `random:host:address:millis`; any other `NAME.lock`, such as that of a program
//! which is still writing the file, keeps the file from being read, too. Locks made here have the same four parts, and
//! the first one says for how long the lock holds without a sign of life. Its holder touches it a few times in that
//! time. Somebody who sees it unchanged for all of it, by a clock of his own, knows that the holder is gone, removes it
//! and takes the file over. Nobody's clock is compared with anybody else's. A holder that was a process of this machine
//! need not be waited for: whether it lives can be asked (`super::holder`).

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::disk::Disk;
use super::holder::Holder;
use super::relocate;
use super::seal::{Seal, Sealed};
use super::settings::{AutoRelease, Locking};

/// How long a lock holds without a sign of life.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// Time between two signs of life.
pub(super) const BEAT: Duration = Duration::from_secs(10);
/// How long a file that is being written may stand still.
const PART_LIFE: Duration = Duration::from_hours(1);
/// Bytes of a lock that are looked at.
const MAX_CONTENT: u64 = 512;
/// Locks of others that are remembered at a time; with more, the waiting for some begins again.
const MAX_SEEN: usize = 10_000;

/// Name and address of this machine, as they stand in locks. MI: `InetAddress#getLocalHost`.
static NODE: LazyLock<(String, String)> = LazyLock::new(|| {
    let name = rustix::system::uname().nodename().to_string_lossy().replace(':', "-");
    let address = (name.as_str(), 0).to_socket_addrs().ok().and_then(|mut found| {
        found.find_map(|address| match address.ip() {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
    });
    (name, address.unwrap_or(Ipv4Addr::LOCALHOST).to_string())
});

/// The lock file of a file.
pub(super) fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// What stands in a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LockText {
    /// How long it holds without a sign of life; `None` for MI's own.
    lease: Option<Duration>,
    /// The process that made it, where it says so.
    holder: Option<Holder>,
    host: String,
    address: String,
    created_millis: i64,
}

impl LockText {
    /// `None` for what is no lock of this server or of MI.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim_end().split(':');
        let (random, host, address, created) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let ours = random.strip_prefix('L').and_then(|rest| rest.split_once('-'));
        let lease = ours.and_then(|(seconds, _)| seconds.parse().ok());
        Some(Self {
            lease: lease.map(Duration::from_secs),
            holder: ours.and_then(|(_, rest)| Holder::parse(rest.split_once('-')?.1)),
            host: host.to_owned(),
            address: address.to_owned(),
            created_millis: created.parse().ok()?,
        })
    }
}

/// A new text, unlike any other.
pub(super) fn new_text(now_millis: i64) -> String {
    text_of(Holder::this(), now_millis)
}

pub(super) fn text_of(holder: Option<&Holder>, now_millis: i64) -> String {
    let (host, address) = &*NODE;
    let holder = holder.map(|holder| format!("-{holder}")).unwrap_or_default();
    format!("L{}-{}{holder}:{host}:{address}:{now_millis}", LEASE.as_secs(), uuid::Uuid::new_v4().simple())
}

/// May a lock that did not change for some time be removed?
pub(super) fn is_abandoned(text: &str, unchanged: Duration, now_millis: i64, rules: Option<AutoRelease>) -> bool {
    let Some(lock) = LockText::parse(text) else { return false };
    if let Some(lease) = lock.lease {
        return unchanged >= lease || lock.holder.is_some_and(|holder| holder.is_dead());
    }
    let Some(rules) = rules else { return false };
    let here = (&lock.host, &lock.address) == (&NODE.0, &NODE.1);
    let age = Duration::from_millis(u64::try_from(now_millis.saturating_sub(lock.created_millis)).unwrap_or(0));
    (!rules.same_node || here) && rules.older_than.is_none_or(|limit| age >= limit)
}

/// Makes locks and knows how long those of others have stood unchanged.
#[derive(Debug)]
pub(super) struct Locks {
    disk: Disk,
    rules: Locking,
    seen: Mutex<HashMap<PathBuf, Seen>>,
    seals: Option<Arc<Seals>>,
}

/// The seal that locks are made of now.
#[derive(Debug)]
struct Seals {
    /// A folder, or a file in it.
    place: PathBuf,
    now: Mutex<Option<Arc<Seal>>>,
}

impl Seals {
    /// The seal that is in use, or a new one. Blocks.
    fn seal(&self, now_millis: i64) -> io::Result<Arc<Seal>> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seal) = now.as_ref().filter(|seal| seal.is_fresh()) {
            return Ok(seal.clone());
        }
        let seal = Arc::new(Seal::new(&self.place, new_text(now_millis))?);
        if let Some(former) = now.replace(seal.clone()) {
            former.retire()?;
        }
        Ok(seal)
    }
}

/// A lock of somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    text: String,
    touched: Option<SystemTime>,
    since: Instant,
}

/// What trying to make a lock found.
enum Attempt<T> {
    Made(Made, T),
    Taken { text: String, touched: Option<SystemTime> },
}

/// How a lock was made.
#[derive(Debug)]
enum Made {
    /// By itself, with this text.
    Alone(String),
    Sealed(Arc<Seal>),
}

impl Locks {
    pub(super) fn new(disk: Disk, rules: Locking) -> Self {
        Self { disk, rules, seen: Mutex::default(), seals: None }
    }

    /// The same for many locks below `place` in short time. [`Self::rest`] says that there will be no more for now.
    pub(super) fn for_many(mut self, place: PathBuf) -> Self {
        self.seals = Some(Arc::new(Seals { place, now: Mutex::default() }));
        self
    }

    /// Removes what is only needed to make locks.
    pub(super) async fn rest(&self) {
        let Some(seals) = &self.seals else { return };
        let seal = seals.now.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(seal) = seal
            && let Err(error) = self.disk.run(move || seal.retire()).await
        {
            log::debug!(target: "VFSUtils", "{}: {error}", seals.place.display());
        }
    }

    /// Locks `path`. `None` while somebody else has it.
    pub(super) async fn acquire(&self, path: &Path, now_millis: i64) -> io::Result<Option<Held>> {
        Ok(self.acquire_and(path, now_millis, || ()).await?.map(|(held, ())| held))
    }

    /// Locks `path` and does `first` with it, in one go to the disk.
    pub(super) async fn acquire_and<T: Send + 'static>(
        &self,
        path: &Path,
        now_millis: i64,
        first: impl Fn() -> T + Clone + Send + 'static,
    ) -> io::Result<Option<(Held, T)>> {
        let lock = lock_of(path);
        let (text, touched) = match self.attempt(&lock, now_millis, first.clone()).await? {
            Attempt::Made(made, done) => return Ok(Some((self.hold(lock, made), done))),
            Attempt::Taken { text, touched } => (text, touched),
        };
        let unchanged = self.unchanged(&lock, &text, touched);
        if !is_abandoned(&text, unchanged, now_millis, self.rules.auto_release) {
            return Ok(None);
        }
        log::warn!(target: "VFSUtils", "The lock {} was left behind and is removed: {text}", lock.display());
        let removing = lock.clone();
        if !self.disk.run(move || remove_exactly(&removing, &text)).await? {
            return Ok(None);
        }
        match self.attempt(&lock, now_millis, first).await? {
            Attempt::Made(made, done) => Ok(Some((self.hold(lock, made), done))),
            Attempt::Taken { .. } => Ok(None),
        }
    }

    /// Removes what a dead process left: locks whose file is gone, and files that nobody goes on writing. Locks that
    /// were not made by this server stay, since a file may be about to follow them.
    pub(super) async fn sweep(&self, left: Vec<PathBuf>) -> io::Result<()> {
        let found = self
            .disk
            .run(move || {
                let is_part = |path: &Path| path.file_name().is_some_and(relocate::is_part);
                let orphaned = left.into_iter().filter(|path| is_part(path) || !path.with_extension("").exists());
                let looked = orphaned.filter_map(|path| {
                    let (text, touched) = read(&path).ok()??;
                    // The content of a part is not looked at, only its time.
                    let text = if is_part(&path) { None } else { Some(text) };
                    Some((path, text, touched))
                });
                Ok(looked.collect::<Vec<_>>())
            })
            .await?;
        for (path, text, touched) in found {
            let unchanged = self.unchanged(&path, text.as_deref().unwrap_or_default(), touched);
            match text {
                Some(text) if is_abandoned(&text, unchanged, 0, None) => {
                    self.disk.run(move || remove_exactly(&path, &text)).await?;
                }
                None if unchanged >= PART_LIFE => self.disk.run(move || relocate::remove(&path)).await?,
                _ => {}
            }
        }
        Ok(())
    }

    async fn attempt<T: Send + 'static>(
        &self,
        lock: &Path,
        now_millis: i64,
        first: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Attempt<T>> {
        let (lock, seals) = (lock.to_owned(), self.seals.clone());
        self.disk.run(move || attempt(&lock, seals.as_deref(), now_millis, first)).await
    }

    fn hold(&self, lock: PathBuf, made: Made) -> Held {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&lock);
        let state = Arc::new(HeldState::default());
        let beating = match &made {
            Made::Alone(text) => Some(tokio::spawn(beat(self.disk.clone(), lock.clone(), text.clone(), state.clone()))),
            Made::Sealed(seal) => {
                seal.keep(&self.disk, &lock, state.clone());
                None
            }
        };
        Held { lock, made, state, beating, released: false }
    }

    /// For how long a lock has been seen with this text and time.
    fn unchanged(&self, lock: &Path, text: &str, touched: Option<SystemTime>) -> Duration {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(lock) {
            Some(known) if known.text == text && known.touched == touched => known.since.elapsed(),
            _ => {
                if seen.len() >= MAX_SEEN {
                    seen.clear();
                }
                seen.insert(lock.to_owned(), Seen { text: text.to_owned(), touched, since: Instant::now() });
                Duration::ZERO
            }
        }
    }
}

/// Makes a lock, unless there is one, and does `first` with it. Blocks.
fn attempt<T>(
    lock: &Path,
    seals: Option<&Seals>,
    now_millis: i64,
    first: impl FnOnce() -> T,
) -> io::Result<Attempt<T>> {
    let taken = || Ok(read(lock)?.unwrap_or_default());
    if let Some(seals) = seals {
        let seal = seals.seal(now_millis)?;
        match seal.lock(lock)? {
            Sealed::Made => return Ok(Attempt::Made(Made::Sealed(seal), first())),
            Sealed::Taken => return taken().map(|(text, touched)| Attempt::Taken { text, touched }),
            Sealed::Impossible => {}
        }
    }
    // Most locks of others are seen here, without writing anything.
    if let Some((text, touched)) = read(lock)? {
        return Ok(Attempt::Taken { text, touched });
    }
    let text = new_text(now_millis);
    if relocate::create_whole(lock, text.as_bytes())? {
        return Ok(Attempt::Made(Made::Alone(text), first()));
    }
    taken().map(|(text, touched)| Attempt::Taken { text, touched })
}

/// Text and time of a lock; `None` when there is none.
pub(super) fn read(lock: &Path) -> io::Result<Option<(String, Option<SystemTime>)>> {
    let metadata = match fs::symlink_metadata(lock) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    // What cannot be read, or is no file, is somebody's lock all the same.
    if metadata.is_file()
        && let Ok(file) = File::open(lock)
    {
        file.take(MAX_CONTENT).read_to_end(&mut bytes)?;
    }
    Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), metadata.modified().ok())))
}

/// Removes a lock, but only that with this text: another one may have been made since it was read. False when it was
/// not there any more.
fn remove_exactly(lock: &Path, text: &str) -> io::Result<bool> {
    let aside = relocate::part_in(relocate::folder_of(lock));
    match fs::rename(lock, &aside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let taken = read(&aside)?.map(|(taken, _)| taken);
    if taken.as_deref() == Some(text) {
        relocate::remove(&aside)?;
        return Ok(true);
    }
    // Somebody was faster and this is his lock; he gets it back. When yet another one has come in between, he finds
    // out by his next sign of life that he has lost it.
    drop(fs::hard_link(&aside, lock));
    relocate::remove(&aside)?;
    Ok(false)
}

/// Shows that the holder lives, until the lock is gone.
async fn beat(disk: Disk, lock: PathBuf, text: String, state: Arc<HeldState>) {
    loop {
        tokio::time::sleep(BEAT).await;
        let (path, text) = (lock.clone(), text.clone());
        let touched = disk.run(move || {
            if read(&path)?.is_none_or(|(found, _)| found != text) {
                return Ok(false);
            }
            OpenOptions::new().append(true).open(&path)?.set_modified(SystemTime::now())?;
            Ok(true)
        });
        let touched = touched.await;
        if state.is_released() || is_lost(&lock, touched, &state.lost) {
            return;
        }
    }
}

/// What a sign of life found: the lock is lost when somebody else has it, and not when the sign could not be given.
pub(super) fn is_lost(lock: &Path, renewed: io::Result<bool>, lost: &AtomicBool) -> bool {
    match renewed {
        Ok(true) => false,
        Ok(false) => {
            lost.store(true, Ordering::Release);
            log::error!(target: "VFSUtils", "The lock {} was taken by somebody else", lock.display());
            true
        }
        Err(error) => {
            log::warn!(target: "VFSUtils", "The lock {} cannot be renewed: {error}", lock.display());
            false
        }
    }
}

/// What a lock and its signs of life tell each other.
#[derive(Debug, Default)]
pub(super) struct HeldState {
    /// Somebody else has it.
    pub(super) lost: AtomicBool,
    /// It is about to be given back.
    released: AtomicBool,
}

impl HeldState {
    pub(super) fn is_released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }
}

/// A lock that is held. Dropping it gives the file back.
#[derive(Debug)]
pub(super) struct Held {
    lock: PathBuf,
    made: Made,
    state: Arc<HeldState>,
    /// Its own signs of life, unless they are those of a seal.
    beating: Option<JoinHandle<()>>,
    released: bool,
}

/// What it takes to see whether a lock is still that which was made.
#[derive(Clone, Debug)]
struct Proof {
    lock: PathBuf,
    text: String,
    /// The seal of a lock that is too young to have been taken over by the rules.
    seal: Option<Arc<Seal>>,
}

impl Proof {
    /// True for a lock that is ours. Blocks.
    fn holds(&self) -> io::Result<bool> {
        if self.seal.as_ref().is_some_and(|seal| seal.is_at(&self.lock)) {
            return Ok(true);
        }
        Ok(read(&self.lock)?.is_some_and(|(found, _)| found == self.text))
    }

    /// Removes the lock if it is ours. Blocks.
    fn unlock(&self) -> io::Result<()> {
        if self.holds()? { relocate::remove(&self.lock) } else { Ok(()) }
    }
}

/// How the last work on a locked file ended.
#[derive(Debug)]
pub(super) enum Parted {
    /// It is done, and the file was given back, which may have failed.
    Done(io::Result<()>),
    /// It was not done: somebody else has the file.
    Lost,
    /// It failed. The file is still locked.
    Failed(io::Error, Held),
}

impl Held {
    /// Does `last` with the file unless somebody else may have it, and gives it back, in one go to the disk.
    pub(super) async fn part_with(
        mut self,
        disk: &Disk,
        last: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Parted {
        if self.state.lost.load(Ordering::Acquire) {
            self.released = true;
            return Parted::Lost;
        }
        let (proof, state) = (self.proof(), self.state.clone());
        let done = disk.run_for_long(move || {
            // A holder that was stopped for longer than the lease learns it here, before it touches the file again.
            if !proof.holds().unwrap_or(false) {
                return Ok(None);
            }
            let began = std::time::Instant::now();
            last()?;
            state.released.store(true, Ordering::Release);
            // Nobody takes a lock over that was seen to be ours a moment ago.
            let unlocked = if began.elapsed() < BEAT { relocate::remove(&proof.lock) } else { proof.unlock() };
            Ok(Some(unlocked))
        });
        match done.await {
            Ok(Some(unlocked)) => {
                self.released = true;
                Parted::Done(unlocked)
            }
            Ok(None) => {
                self.released = true;
                Parted::Lost
            }
            Err(error) => Parted::Failed(error, self),
        }
    }

    /// Gives the file back.
    pub(super) async fn release(mut self, disk: &Disk) -> io::Result<()> {
        self.end_signs();
        self.released = true;
        let proof = self.proof();
        disk.run(move || proof.unlock()).await
    }

    fn proof(&self) -> Proof {
        let (text, seal) = match &self.made {
            Made::Alone(text) => (text.clone(), None),
            Made::Sealed(seal) => (seal.text().to_owned(), Some(seal.clone())),
        };
        let seal = seal.filter(|seal| seal.is_young());
        Proof { lock: self.lock.clone(), text, seal }
    }

    fn end_signs(&self) {
        match &self.made {
            Made::Alone(_) => {}
            Made::Sealed(seal) => seal.leave(&self.lock),
        }
        if let Some(beating) = &self.beating {
            beating.abort();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end_signs();
        // Only a flow that was given up comes here: the process is about to end, or the poller is.
        if !self.released
            && let Err(error) = self.proof().unlock()
        {
            log::warn!(target: "VFSUtils", "The lock {} cannot be removed: {error}", self.lock.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Folder;
    use super::*;

    fn mi_lock(host: &str, address: &str, created: i64) -> String {
        format!("-123456789:{host}:{address}:{created}")
    }

    /// A lock of MI at 1000 s after the epoch, seen at 1100 s.
    #[track_caller]
    fn check(text: &str, unchanged: u64, rules: Option<AutoRelease>, expected: bool) {
        assert_eq!(is_abandoned(text, Duration::from_secs(unchanged), 1_100_000, rules), expected, "{text} {rules:?}");
    }

    #[test]
    fn locks_of_others_are_honoured() {
        let here = mi_lock(&NODE.0, &NODE.1, 1_000_000);
        let there = mi_lock("elsewhere", "10.0.0.1", 1_000_000);
        let rules = |same_node, seconds: Option<u64>| {
            Some(AutoRelease { same_node, older_than: seconds.map(Duration::from_secs) })
        };
        for text in [here.as_str(), &there, "held", "", "a:b:c", "a:b:c:d", "1:2:3:4:5"] {
            check(text, 1_000_000, None, false);
        }
        check(&here, 0, rules(true, None), true);
        check(&there, 0, rules(true, None), false);
        check(&there, 0, rules(false, None), true);
        check(&here, 0, rules(true, Some(100)), true);
        check(&here, 0, rules(true, Some(101)), false);
        check("held", 1_000_000, rules(false, None), false);
        check("", 1_000_000, rules(false, None), false);
        let ours = new_text(0);
        check(&ours, 29, rules(false, None), false);
        check(&text_of(None, 0), 29, None, false);
        check(&text_of(Holder::dead().as_ref(), 0), 0, None, true);
        check(&ours, 30, None, true);
        assert_eq!(ours.split(':').count(), 4, "MI reads four parts");
    }

    fn locks() -> Locks {
        Locks::new(Disk::new(), Locking { auto_release: None })
    }

    /// Locks that are made one by one, and such that are made of a seal.
    fn both(folder: &Folder) -> [(Locks, Locks); 2] {
        let sealed = || locks().for_many(folder.path().to_owned());
        [(locks(), locks()), (sealed(), sealed())]
    }

    fn names(folder: &Folder) -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time() {
        let folder = Folder::new();
        let file = folder.path().join("a.txt");
        for (one, other) in both(&folder) {
            let held = one.acquire(&file, 0).await.unwrap().unwrap();
            assert!(lock_of(&file).exists());
            assert!(other.acquire(&file, 0).await.unwrap().is_none() && one.acquire(&file, 0).await.unwrap().is_none());
            let refused = held.part_with(&one.disk, || Err(io::Error::other("no"))).await;
            let Parted::Failed(_, held) = refused else { panic!("{refused:?}") };
            assert!(lock_of(&file).exists(), "what failed is still locked");
            assert!(matches!(held.part_with(&one.disk, || Ok(())).await, Parted::Done(Ok(()))));
            assert!(!lock_of(&file).exists());
            let held = one.acquire(&file, 0).await.unwrap().unwrap();
            held.release(&one.disk).await.unwrap();
            assert!(!lock_of(&file).exists());
            drop(other.acquire(&file, 0).await.unwrap().unwrap());
            assert!(!lock_of(&file).exists(), "dropping gives it back");
            let held = one.acquire(&file, 0).await.unwrap().unwrap();
            one.rest().await;
            other.rest().await;
            assert!(matches!(held.part_with(&one.disk, || Ok(())).await, Parted::Done(Ok(()))));
            assert!(names(&folder).is_empty(), "{:?}", names(&folder));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_dead_process_left_is_taken_over() {
        let folder = Folder::new();
        let file = folder.path().join("a.txt");
        for (locks, _) in both(&folder) {
            fs::write(lock_of(&file), new_text(0)).unwrap();
            assert!(locks.acquire(&file, 0).await.unwrap().is_none());
            tokio::time::sleep(Duration::from_secs(29)).await;
            assert!(locks.acquire(&file, 0).await.unwrap().is_none());
            tokio::time::sleep(Duration::from_secs(1)).await;
            let held = locks.acquire(&file, 0).await.unwrap().unwrap();
            assert!(matches!(held.part_with(&locks.disk, || Ok(())).await, Parted::Done(Ok(()))));
            locks.rest().await;
            assert!(names(&folder).is_empty(), "nothing is left aside: {:?}", names(&folder));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_dead_process_left_is_swept() {
        let folder = Folder::new();
        let lock = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let all = vec![
            lock("gone.txt.lock", &new_text(0)),
            lock("there.txt.lock", &new_text(0)),
            lock("of-mi.txt.lock", &mi_lock("h", "a", 0)),
            lock("upload.txt.lock", ""),
            lock(".mi-left.part", "half a file"),
        ];
        fs::write(folder.path().join("there.txt"), "x").unwrap();
        let locks = locks();
        locks.sweep(all.clone()).await.unwrap();
        tokio::time::sleep(LEASE).await;
        assert!(all.iter().all(|lock| lock.exists()));
        locks.sweep(all.clone()).await.unwrap();
        assert_eq!(all.iter().map(|lock| lock.exists()).collect::<Vec<_>>(), [false, true, true, true, true]);
        tokio::time::sleep(PART_LIFE).await;
        locks.sweep(all.clone()).await.unwrap();
        assert_eq!(all.iter().map(|lock| lock.exists()).collect::<Vec<_>>(), [false, true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_living_holder_keeps_its_lock() {
        let folder = Folder::new();
        let file = folder.path().join("a.txt");
        for (one, other) in both(&folder) {
            let held = one.acquire(&file, 0).await.unwrap().unwrap();
            one.rest().await;
            let before = SystemTime::UNIX_EPOCH;
            for _ in 0..10 {
                // So that a sign of life shows whatever the resolution of the file system's clock is.
                File::options().append(true).open(lock_of(&file)).unwrap().set_modified(before).unwrap();
                assert!(other.acquire(&file, 0).await.unwrap().is_none());
                tokio::time::sleep(Duration::from_secs(15)).await;
                assert_ne!(fs::metadata(lock_of(&file)).unwrap().modified().unwrap(), before);
                assert!(other.acquire(&file, 0).await.unwrap().is_none());
            }
            drop(held);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lock_that_changed_hands_is_noticed() {
        let folder = Folder::new();
        let file = folder.path().join("a.txt");
        for (one, _) in both(&folder) {
            for notices in ["at the end", "by a sign of life"] {
                let held = one.acquire(&file, 0).await.unwrap().unwrap();
                let theirs = new_text(1);
                fs::remove_file(lock_of(&file)).unwrap();
                fs::write(lock_of(&file), &theirs).unwrap();
                if notices == "by a sign of life" {
                    tokio::time::sleep(BEAT + Duration::from_secs(1)).await;
                    assert!(held.state.lost.load(Ordering::Acquire));
                }
                let touched = || panic!("the file is not ours to touch");
                assert!(matches!(held.part_with(&one.disk, touched).await, Parted::Lost));
                assert_eq!(fs::read_to_string(lock_of(&file)).unwrap(), theirs, "it is not ours to remove");
                assert!(!remove_exactly(&lock_of(&file), "another text").unwrap());
                assert_eq!(fs::read_to_string(lock_of(&file)).unwrap(), theirs);
                fs::remove_file(lock_of(&file)).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn of_many_exactly_one_gets_it() {
        let folder = Folder::new();
        for round in 0..50 {
            let file = folder.path().join(format!("{round}.txt"));
            let sealed = |locks: Locks| locks.for_many(folder.path().to_owned());
            let everybody: Vec<Locks> =
                (0..8).map(|number| if number % 2 == 0 { locks() } else { sealed(locks()) }).collect();
            let tried = futures_util::future::join_all(everybody.iter().map(|locks| locks.acquire(&file, 0))).await;
            assert_eq!(tried.iter().filter(|held| held.as_ref().unwrap().is_some()).count(), 1);
        }
    }
}
