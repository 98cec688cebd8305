//! The thread that writes a log. It takes what is waiting as one group, writes it at once and waits for the disk once;
//! whoever waits for one of the group's entries is told after that.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mi_engine::store::{Key, Limits, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::super::{MAX_BYTES, MAX_MESSAGES, full};
use super::index::{Index, Segment, Slot};
use super::record::{self, Kind, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader};

/// Most jobs, and most bytes, of a group.
const MAX_GROUP: usize = 512;
const MAX_GROUP_BYTES: usize = 8 << 20;

/// What the writer is asked for.
pub(super) enum Job {
    /// To put an entry in; done when it is on the disk.
    Append { payload: Vec<u8>, order: Option<i64>, limits: Limits, done: Done },
    /// To take an entry out. It is written at once, and on the disk with the next entry: a power failure may bring a
    /// message back that was delivered, a killed process does not.
    Remove { key: Key, done: Done },
}

pub(super) type Done = oneshot::Sender<Result<(), StoreError>>;

/// See the module.
pub(super) struct Writer {
    folder: PathBuf,
    index: Arc<Mutex<Index>>,
    /// A segment that is longer is followed by a new one.
    segment_size: u64,
    active: u64,
    file: Arc<File>,
    salt: u64,
    length: u64,
}

/// A group's entry or removal, to be noted when it is written.
enum Change {
    Put(Key, Slot, Done),
    Remove(Key, Done),
}

impl Writer {
    /// Begins a new segment behind those in `index`.
    pub(super) fn start(folder: PathBuf, index: Arc<Mutex<Index>>, segment_size: u64) -> io::Result<Self> {
        let active = lock(&index).segments.keys().next_back().map_or(1, |last| last + 1);
        let (file, salt) = begin(&folder, &index, active)?;
        let writer = Self { folder, index, segment_size, active, file, salt, length: SEGMENT_HEADER as u64 };
        writer.drop_consumed();
        Ok(writer)
    }

    /// Works until nobody can ask for anything any more.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut bytes = size_of_job(&first);
            let mut group = vec![first];
            while group.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
                let Ok(job) = jobs.try_recv() else { break };
                bytes += size_of_job(&job);
                group.push(job);
            }
            self.write(group);
            self.tidy();
        }
        if let Err(error) = self.file.sync_data() {
            log::error!(target: "DurableStore", "{} could not be written to the disk: {error}", self.folder.display());
        }
    }

    fn write(&mut self, group: Vec<Job>) {
        let mut out = Vec::new();
        let mut changes = Vec::with_capacity(group.len());
        let (mut next_key, mut messages, mut bytes) = {
            let index = lock(&self.index);
            (index.next_key, index.entries.len() as u64, index.bytes)
        };
        let mut appends = false;
        for job in group {
            match job {
                Job::Append { payload, order, limits, done } => {
                    let length = payload.len() as u64;
                    if let Some(refused) = refusal(messages, bytes + length, limits) {
                        drop(done.send(Err(refused)));
                        continue;
                    }
                    (messages, bytes) = (messages + 1, bytes + length);
                    let start = record::write(&mut out, self.salt, Kind::Entry, next_key, order, &payload);
                    let offset = self.length + start as u64;
                    let slot = Slot { segment: self.active, offset, length: length as u32, order };
                    changes.push(Change::Put(next_key, slot, done));
                    next_key += 1;
                    appends = true;
                }
                Job::Remove { key, done } => {
                    let order = lock(&self.index).entries.get(&key).map(|slot| slot.order);
                    if let Some(order) = order {
                        record::write(&mut out, self.salt, Kind::Removed, key, order, &[]);
                    }
                    changes.push(Change::Remove(key, done));
                }
            }
        }
        match self.put_down(&out, appends) {
            Ok(()) => self.note(changes),
            Err(error) => {
                let why = format!("the store {} cannot be written: {error}", self.folder.display());
                log::error!(target: "DurableStore", "{why}");
                for change in changes {
                    let (Change::Put(_, _, done) | Change::Remove(_, done)) = change;
                    drop(done.send(Err(StoreError::Unavailable(why.clone()))));
                }
            }
        }
    }

    /// Writes at the end of the segment. What could not be written as a whole is taken back.
    fn put_down(&mut self, out: &[u8], sync: bool) -> io::Result<()> {
        let written =
            self.file.write_all_at(out, self.length).and_then(|()| if sync { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => {
                self.length += out.len() as u64;
                Ok(())
            }
            Err(error) => {
                // After a failed sync nobody knows what is on the disk; what comes next goes into another file.
                if let Err(also) = self.file.set_len(self.length).and_then(|()| self.rotate()) {
                    log::error!(target: "DurableStore", "{} has no room for a new segment: {also}", self.folder.display());
                }
                Err(error)
            }
        }
    }

    fn note(&self, changes: Vec<Change>) {
        let mut answers = Vec::with_capacity(changes.len());
        {
            let mut index = lock(&self.index);
            for change in changes {
                match change {
                    Change::Put(key, slot, done) => {
                        index.put(key, slot);
                        answers.push(done);
                    }
                    Change::Remove(key, done) => {
                        index.remove(key);
                        answers.push(done);
                    }
                }
            }
            if let Some(segment) = index.segments.get_mut(&self.active) {
                segment.length = self.length;
            }
        }
        for done in answers {
            // Whoever asked may have given up waiting.
            drop(done.send(Ok(())));
        }
    }

    /// Keeps the log short: begins a new segment, removes consumed ones, moves the rest out of old ones.
    fn tidy(&mut self) {
        let idle = lock(&self.index).entries.is_empty() && self.length > self.segment_size / 4;
        if (self.length >= self.segment_size || idle)
            && let Err(error) = self.rotate()
        {
            log::error!(target: "DurableStore", "No new segment in {}: {error}", self.folder.display());
            return;
        }
        self.drop_consumed();
        if let Err(error) = self.move_oldest() {
            log::error!(target: "DurableStore", "{} is not compacted: {error}", self.folder.display());
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        let next = self.active + 1;
        let (file, salt) = begin(&self.folder, &self.index, next)?;
        (self.active, self.file, self.salt, self.length) = (next, file, salt, SEGMENT_HEADER as u64);
        Ok(())
    }

    /// Removes segments from the oldest on in which nothing is left. Removals that stand in them are of entries in them
    /// or in older ones, so that nothing comes back.
    fn drop_consumed(&self) {
        let mut index = lock(&self.index);
        let mut dropped = false;
        while let Some((number, segment)) = index.segments.first_key_value() {
            let number = *number;
            if number == self.active || segment.live > 0 {
                break;
            }
            if let Err(error) = std::fs::remove_file(path(&self.folder, number)) {
                log::error!(target: "DurableStore", "A consumed segment of {} stays: {error}", self.folder.display());
                break;
            }
            index.segments.remove(&number);
            dropped = true;
        }
        if dropped && let Err(error) = sync_folder(&self.folder) {
            log::error!(target: "DurableStore", "{} cannot be synchronised: {error}", self.folder.display());
        }
    }

    /// When more than half of the log, and more than four segments of it, is consumed, the entries that are left in the
    /// oldest segment move to the end, where their keys keep their place in the order.
    fn move_oldest(&mut self) -> io::Result<()> {
        let (number, file, entries) = {
            let index = lock(&self.index);
            let consumed = index.log_bytes().saturating_sub(index.bytes);
            if consumed <= index.bytes.max(4 * self.segment_size) {
                return Ok(());
            }
            let Some((number, segment)) = index.segments.first_key_value() else { return Ok(()) };
            if *number == self.active {
                return Ok(());
            }
            let of_it = |(key, slot): (&Key, &Slot)| (slot.segment == *number).then_some((*key, *slot));
            let entries: Vec<(Key, Slot)> = index.entries.iter().filter_map(of_it).collect();
            (*number, segment.file.clone(), entries)
        };
        let mut out = Vec::new();
        let mut moved = Vec::with_capacity(entries.len());
        for (key, slot) in entries {
            let mut payload = vec![0; slot.length as usize];
            file.read_exact_at(&mut payload, slot.offset)?;
            let start = record::write(&mut out, self.salt, Kind::Entry, key, slot.order, &payload);
            moved.push((key, Slot { segment: self.active, offset: self.length + start as u64, ..slot }));
        }
        self.put_down(&out, true)?;
        let mut index = lock(&self.index);
        for (key, slot) in moved {
            index.put(key, slot);
        }
        if let Some(segment) = index.segments.get_mut(&self.active) {
            segment.length = self.length;
        }
        drop(index);
        log::debug!(target: "DurableStore", "Moved what was left of segment {number} of {}", self.folder.display());
        self.drop_consumed();
        Ok(())
    }
}

fn size_of_job(job: &Job) -> usize {
    match job {
        Job::Append { payload, .. } => payload.len() + RECORD_HEADER,
        Job::Remove { .. } => RECORD_HEADER,
    }
}

/// Why an entry may not be put in that would bring the store to `bytes`.
fn refusal(messages: u64, bytes: u64, limits: Limits) -> Option<StoreError> {
    if messages >= limits.messages {
        return Some(full(MAX_MESSAGES, limits.messages));
    }
    (bytes > limits.bytes).then(|| full(MAX_BYTES, limits.bytes))
}

/// Makes a segment and enters it into the index.
fn begin(folder: &Path, index: &Mutex<Index>, number: u64) -> io::Result<(Arc<File>, u64)> {
    let salt = draw_salt(number);
    let mut index = lock(index);
    let header = SegmentHeader { salt, next_key: index.next_key, last_order: index.last_order };
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path(folder, number))?;
    file.write_all_at(&header.to_bytes(), 0)?;
    file.sync_data()?;
    sync_folder(folder)?;
    let file = Arc::new(file);
    index.segments.insert(number, Segment { file: file.clone(), salt, length: SEGMENT_HEADER as u64, live: 0 });
    Ok((file, salt))
}

/// A number that nobody outside can know: the keys of a standard hasher are random.
fn draw_salt(number: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(number)
}

/// The file of a segment.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.log"))
}

/// Makes names of new and removed files last.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

pub(super) fn lock(index: &Mutex<Index>) -> MutexGuard<'_, Index> {
    index.lock().unwrap_or_else(PoisonError::into_inner)
}
