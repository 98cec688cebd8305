//! `durable`: messages in files of this server, for one node without a data base or broker.
//!
//! A log of segments below the data folder: entries and removals are appended with checksums, several at once with one
//! wait for the disk. A message counts as stored when it is on the disk. Killing the process loses and repeats nothing; a
//! power failure may repeat a message that was delivered shortly before. Segments go when all in them is consumed.
//! MI has no such store.

mod index;
mod record;
mod recover;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::{File, TryLockError};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, MessageStoreConfig};
use mi_engine::BuildCx;
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::StoreSpec;
use mi_engine::store::{Backend, Entry, Key, Limits, StoreError, StoreKind};
use mi_message::archive;
use mi_message::convert::ConvertOptions;
use tokio::sync::{mpsc, oneshot};

use super::{limits, warn_unknown};
use index::{Index, Slot};
use record::RECORD_HEADER;
use writer::{Job, Writer, lock};

pub(super) const SPEC: StoreSpec = StoreSpec { class: "durable", parse };

/// Default bounds.
pub(super) const DEFAULT: Limits = Limits { messages: 1_000_000, bytes: 4 << 30 };
/// Bytes after which a new segment is begun.
pub const DEFAULT_SEGMENT: u64 = 16 << 20;
/// Jobs that wait for the writer; more have to wait outside.
const QUEUE: usize = 1024;

fn parse(config: &MessageStoreConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn StoreKind>, Diagnostic> {
    warn_unknown(config, &[], cx);
    Ok(Box::new(Durable {
        folder: folder_of(config, cx)?,
        limits: limits(config, DEFAULT)?,
        convert: cx.settings.convert.clone(),
    }))
}

/// The folder of a store.
pub(super) fn folder_of(config: &MessageStoreConfig, cx: &BuildCx<'_>) -> Result<PathBuf, Diagnostic> {
    let data = cx.settings.data_folder.as_ref();
    let data = data.ok_or_else(|| config.element.error("this server has no folder to keep messages in"))?;
    Ok(data.join("message-stores").join(file_name(&config.name)))
}

/// The name of a store as that of a folder, whatever is in it.
fn file_name(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[derive(Debug)]
struct Durable {
    folder: PathBuf,
    limits: Limits,
    convert: ConvertOptions,
}

impl StoreKind for Durable {
    fn place(&self, _: &Snapshot) -> String {
        format!("durable {}", self.folder.display())
    }

    fn open(&self, _: &Snapshot) -> Result<Arc<dyn Backend>, StoreError> {
        Ok(Arc::new(DurableStore::open(&self.folder, DEFAULT_SEGMENT, self.convert.clone())?))
    }

    fn limits(&self) -> Limits {
        self.limits
    }
}

/// An open log.
#[derive(Debug)]
pub struct DurableStore {
    folder: PathBuf,
    convert: ConvertOptions,
    /// Locked for moments only.
    index: Arc<Mutex<Index>>,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    /// Keeps other processes out while it is open.
    _lock: File,
}

impl DurableStore {
    /// Opens the log in `folder`, which is made when it is not there. `segment` is the number of bytes after which a new
    /// file is begun. An error says what is wrong with the folder, or that another process has it open.
    pub fn open(folder: &Path, segment: u64, convert: ConvertOptions) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| {
            StoreError::Unavailable(format!("the folder {} cannot be used: {error}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let held = File::create(folder.join("lock")).map_err(failed)?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why =
                    format!("the folder {} is in use, by another server or by an undeployed store", folder.display());
                return Err(StoreError::Unavailable(why));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let index = Arc::new(Mutex::new(recover::recover(folder).map_err(failed)?));
        let writer = Writer::start(folder.to_owned(), index.clone(), segment).map_err(failed)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("durable-store".to_owned()).spawn(move || writer.run(queue));
        Ok(Self {
            folder: folder.to_owned(),
            convert,
            index,
            jobs: Some(jobs),
            writer: Some(thread.map_err(failed)?),
            _lock: held,
        })
    }

    /// Asks the writer for something and waits until it is done.
    async fn ask(&self, job: impl FnOnce(writer::Done) -> Job) -> Result<(), StoreError> {
        let ended = || StoreError::Unavailable(format!("the writer of {} has ended", self.folder.display()));
        let (done, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job(done)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// The entry that `pick` chooses. One that turns out to be damaged is put aside, and the choice is made again.
    async fn fetch(&self, pick: impl Fn(&Index) -> Option<Key> + Send) -> Result<Option<(Key, Entry)>, StoreError> {
        loop {
            let found = {
                let index = lock(&self.index);
                pick(&index).and_then(|key| {
                    let slot = *index.entries.get(&key)?;
                    let segment = index.segments.get(&slot.segment)?;
                    Some((key, slot, segment.file.clone(), segment.salt))
                })
            };
            let Some((key, slot, file, salt)) = found else { return Ok(None) };
            let read = tokio::task::spawn_blocking(move || record_of(&file, slot)).await;
            let read = read.map_err(|error| StoreError::Unavailable(error.to_string()))?;
            let bytes = read.map_err(|error| StoreError::Unavailable(format!("{}: {error}", self.folder.display())))?;
            match self.entry(&bytes, salt) {
                Ok(entry) => return Ok(Some((key, entry))),
                Err(why) => {
                    log::error!(target: "DurableStore", "A message of {} cannot be read: {why}", self.folder.display());
                    let start = slot.offset as usize - RECORD_HEADER;
                    let aside = recover::put_aside(&self.folder, slot.segment, &bytes, &(start..start + bytes.len()));
                    aside.map_err(|error| StoreError::Unavailable(error.to_string()))?;
                    self.ask(|done| Job::Remove { key, done }).await?;
                }
            }
        }
    }

    fn entry(&self, bytes: &Bytes, salt: u64) -> Result<Entry, String> {
        let record = record::read(bytes, 0, salt).ok_or("its checksum is wrong")?;
        let (payload, order) = (bytes.slice(record.payload), record.order);
        let length = payload.get(..4).and_then(|it| it.try_into().ok()).map(u32::from_le_bytes);
        let end = 4 + length.ok_or("it has no id")? as usize;
        let id = payload.get(4..end).and_then(|id| std::str::from_utf8(id).ok()).ok_or("its id is damaged")?;
        let message = archive::decode(&payload.slice(end..), &self.convert).map_err(|error| error.to_string())?;
        Ok(Entry { id: id.into(), order, message })
    }

    /// The entry that follows the one removed last; see [`Index::following`].
    pub(super) async fn following(&self, gap_is_over: bool) -> Result<Option<(Key, Entry)>, StoreError> {
        self.fetch(move |index| index.following(gap_is_over)).await
    }
}

/// The record of a slot.
fn record_of(file: &File, slot: Slot) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; RECORD_HEADER + slot.length as usize];
    file.read_exact_at(&mut bytes, slot.offset - RECORD_HEADER as u64)?;
    Ok(bytes.into())
}

fn to_payload(entry: &Entry) -> Result<Vec<u8>, StoreError> {
    let message = archive::encode(&entry.message).map_err(|error| StoreError::Refused(error.to_string()))?;
    let mut payload = Vec::with_capacity(4 + entry.id.len() + message.len());
    payload.extend_from_slice(&(entry.id.len() as u32).to_le_bytes());
    payload.extend_from_slice(entry.id.as_bytes());
    payload.extend_from_slice(&message);
    if u32::try_from(payload.len()).is_err() {
        return Err(StoreError::Refused("the message is larger than 4 GiB".to_owned()));
    }
    Ok(payload)
}

impl Backend for DurableStore {
    fn append(&self, entry: Entry, limits: Limits) -> BoxFuture<'_, Result<(), StoreError>> {
        let payload = to_payload(&entry);
        let order = entry.order;
        Box::pin(async move {
            let payload = payload?;
            self.ask(|done| Job::Append { payload, order, limits, done }).await
        })
    }

    fn first(&self, claimed: Vec<Key>) -> BoxFuture<'_, Result<Option<(Key, Entry)>, StoreError>> {
        Box::pin(self.fetch(move |index| index.oldest(&claimed)))
    }

    fn remove(&self, key: Key) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.ask(move |done| Job::Remove { key, done }))
    }

    fn size(&self) -> u64 {
        lock(&self.index).entries.len() as u64
    }
}

impl Drop for DurableStore {
    fn drop(&mut self) {
        // The writer ends when nobody can ask any more; the folder is free when it has.
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            log::error!(target: "DurableStore", "The writer of {} ended in a panic", self.folder.display());
        }
    }
}
