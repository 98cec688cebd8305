//! Writes messages to files: endpoints with `vfs:` and `file:` addresses, and the answers of proxies on `vfs`.
//! MI: `VFSTransportSender`, `VFSOutTransportInfo`, `VFSUtils#getFileName`.
//!
//! A file appears whole: it is written beside its place and then put there, in the place of the former one as MI does
//! it. Only with `Append` is a file written to where it is.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use mi_engine::fault::{Fault, codes};
use mi_engine::services::{Clock, OutMessage, Sender};
use mi_engine::transport::{HttpReply, Payload};
use mi_expr::java::DatePattern;
use mi_message::BodyStream;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use crate::tls::ClientTls;

use super::address::{Address, AddressError};
use super::disk::Disk;
use super::lock::{Held, Locks};
use super::relocate;
use super::remote::claim::{Claim, Claims};
use super::remote::write::{self as remote_write, How, Servers};
use super::remote::{self, Server};
use super::settings::Locking;

/// Name of an answer that nobody named.
const DEFAULT_NAME: &str = "response.xml";
/// How often, and at what distance, a lock on the target is asked for.
const DEFAULT_RETRIES: u32 = 3;
const DEFAULT_DISTANCE: Duration = Duration::from_secs(30);
/// Time between two looks at a lock.
const LOOK: Duration = Duration::from_secs(1);

/// Sends to `vfs:` and `file:` addresses.
pub struct FileSender {
    writer: Arc<Writer>,
}

impl std::fmt::Debug for FileSender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("FileSender").finish_non_exhaustive()
    }
}

impl FileSender {
    /// A sender that takes dates from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { writer: Arc::new(Writer::new(clock)) }
    }

    /// The same one. FTP servers are trusted by `tls`, by pollers of this process, too, unless their address says otherwise.
    #[must_use]
    pub fn with_tls(self, tls: Arc<ClientTls>) -> Self {
        remote::trust(tls);
        self
    }
}

impl Sender for FileSender {
    fn send(&self, request: OutMessage) -> BoxFuture<'static, Result<Option<HttpReply>, Fault>> {
        let writer = self.writer.clone();
        Box::pin(async move {
            let OutMessage { address, headers, body, .. } = request;
            let header = |name: &str| headers.get(name).map(str::to_owned);
            match writer.write(&address, header, None, body).await {
                Ok(_) => Ok(None),
                Err(why) => {
                    let detail = format!("org.apache.axis2.AxisFault: {why}");
                    Err(Fault::coded(
                        codes::SND_IO_SENDING,
                        format!("Unexpected error during sending message out. {why}"),
                        detail,
                    ))
                }
            }
        })
    }

    fn takes_streams(&self) -> bool {
        true
    }

    fn refuses(&self, address: &str) -> Option<String> {
        match Address::parse(address) {
            Err(error @ AddressError::Scheme { .. }) => Some(format!("{error}; mount the share and name its path")),
            _ => None,
        }
    }
}

/// Writes files.
pub(super) struct Writer {
    disk: Disk,
    clock: Arc<dyn Clock>,
    locks: Locks,
    /// Files being written by this process: who wants the same one waits here and not for its lock.
    busy: Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
    /// Connections to servers of files.
    servers: Servers,
    /// Held by those who send one after the other (`SendFileSynchronously`).
    one_by_one: tokio::sync::Mutex<()>,
}

/// The options of an address.
#[derive(Debug)]
struct Options {
    append: bool,
    locking: bool,
    retries: u32,
    distance: Duration,
    modified: Option<SystemTime>,
}

impl Writer {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let disk = Disk::new();
        Self {
            locks: Locks::new(disk.clone(), Locking { auto_release: None }),
            disk,
            clock,
            busy: Mutex::default(),
            servers: Servers::default(),
            one_by_one: tokio::sync::Mutex::new(()),
        }
    }

    /// Writes `payload` to `address`. `header` gives the message's transport headers; `name` is that of the service for
    /// its answers. Gives the path of the file; the error says why there is none.
    pub(super) async fn write(
        &self,
        address: &str,
        header: impl Fn(&str) -> Option<String>,
        name: Option<&str>,
        payload: Payload,
    ) -> Result<PathBuf, String> {
        let address = Address::parse(address).map_err(|error| error.to_string())?;
        if let Some(server) = &address.server {
            return self.write_remote(server, &address, header, name, payload).await;
        }
        let failed = |error: io::Error| format!("Error while creating file {}: {error}", address.shown);
        let options = Options::of(&address, &header);
        let name = header("transport.vfs.ReplyFileName").or_else(|| name.map(str::to_owned));
        let creates = |text: Option<&str>| text.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        let creates_folder = creates(address.option("transport.vfs.CreateFolder"))
            || creates(header("transport.vfs.CreateFolder").as_deref());
        let folder = self.with_date(&address)?;
        let target = self
            .disk
            .run(move || target(folder, creates_folder, name.as_deref().unwrap_or(DEFAULT_NAME)))
            .await
            .map_err(failed)?;
        let _one_by_one = match address.option("transport.vfs.SendFileSynchronously") {
            Some(text) if text.eq_ignore_ascii_case("true") => Some(self.one_by_one.lock().await),
            _ => None,
        };
        let turn = self.turn(&target);
        let _turn = turn.lock().await;
        let held = if options.locking {
            Some(self.lock(AnyLocks::Local(&self.locks), &target, &options, &address).await?)
        } else {
            None
        };
        let written = self.put(&target, &options, payload).await.map_err(failed);
        if let Some(held) = held
            && let Err(error) = held.release(&self.disk).await
        {
            log::warn!(target: "VFSTransportSender", "The lock of {} cannot be removed: {error}", target.display());
        }
        written.map(|()| target)
    }

    /// The same on a server of files.
    async fn write_remote(
        &self,
        server: &Arc<Server>,
        address: &Address,
        header: impl Fn(&str) -> Option<String>,
        name: Option<&str>,
        payload: Payload,
    ) -> Result<PathBuf, String> {
        let failed = |error: io::Error| format!("Error while creating file {}: {error}", address.shown);
        let options = Options::of(address, &header);
        let is_true = |text: Option<&str>| text.is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        let how = How {
            append: options.append,
            creates_folder: is_true(address.option("transport.vfs.CreateFolder"))
                || is_true(header("transport.vfs.CreateFolder").as_deref()),
            modified: options.modified,
        };
        let name = header("transport.vfs.ReplyFileName").or_else(|| name.map(str::to_owned));
        let remote = self.servers.get(server);
        let path = self.with_date(address)?;
        let target = remote_write::target(&remote, &path, &how, name.as_deref().unwrap_or(DEFAULT_NAME)).await;
        let target = target.map_err(failed)?;
        let _one_by_one = if is_true(address.option("transport.vfs.SendFileSynchronously")) {
            Some(self.one_by_one.lock().await)
        } else {
            None
        };
        let turn = self.turn(Path::new(&server.uri(&target)));
        let _turn = turn.lock().await;
        let claims = remote_write::claims(&remote);
        let claim = if options.locking {
            Some(self.lock(AnyLocks::Remote(&claims), &target, &options, address).await?)
        } else {
            None
        };
        let written = remote_write::put(&remote, &target, &how, payload).await.map_err(failed);
        if let Some(claim) = claim
            && let Err(error) = claim.release(&self.disk).await
        {
            log::warn!(target: "VFSTransportSender", "The lock of {} cannot be removed: {error}", target.display());
        }
        written.map(|()| target)
    }

    /// The path of an address, with the date of `SubFolderTimestampFormat` behind it.
    fn with_date(&self, address: &Address) -> Result<PathBuf, String> {
        let mut path = address.path.clone().into_os_string();
        if let Some(pattern) = address.option("transport.vfs.SubFolderTimestampFormat") {
            let now = self.clock.now_millis();
            path.push(DatePattern::compile(pattern)?.format(now, self.clock.zone_offset_seconds(now)));
        }
        // Without the slash at the end that makes a missing file a missing folder.
        Ok(Path::new(&path).components().collect())
    }

    /// What those who write the same file wait for.
    fn turn(&self, target: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = busy.get(target).and_then(Weak::upgrade) {
            return turn;
        }
        busy.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        busy.insert(target.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Asks for a lock as often and as long as the address says.
    async fn lock(
        &self,
        locks: AnyLocks<'_>,
        target: &Path,
        options: &Options,
        address: &Address,
    ) -> Result<AnyLock, String> {
        let mut tries = 0;
        loop {
            let tried = locks.acquire(target, self.clock.now_millis()).await;
            if let Some(held) = tried.map_err(|error| format!("Cannot get the lock for {}: {error}", address.shown))? {
                return Ok(held);
            }
            if tries == options.retries {
                let text = "unable to acquire the lock even after";
                return Err(format!(
                    "Couldn't send the message to file : {}, {text} {} retries",
                    address.shown,
                    tries + 1
                ));
            }
            tries += 1;
            log::warn!(
                target: "VFSTransportSender",
                "Couldn't get the lock for the file : {}, retry : {tries} scheduled after : {} ms",
                address.shown, options.distance.as_millis()
            );
            // MI looks again at the end; looking now and then hands a lock over sooner.
            let until = Instant::now() + options.distance;
            while Instant::now() < until {
                tokio::time::sleep(LOOK.min(until - Instant::now())).await;
                if let Ok(Some(held)) = locks.acquire(target, self.clock.now_millis()).await {
                    return Ok(held);
                }
            }
        }
    }

    async fn put(&self, target: &Path, options: &Options, payload: Payload) -> io::Result<()> {
        let (path, modified) = (target.to_owned(), options.modified);
        match (payload, options.append) {
            (Payload::Stream(stream), true) => {
                let mut file = tokio::fs::OpenOptions::new().append(true).create(true).open(target).await?;
                copy(stream, &mut file).await?;
                let file = file.into_std().await;
                self.disk.run_for_long(move || settle(&file, modified)).await
            }
            (Payload::Stream(stream), false) => {
                let part = Part(relocate::part_in(relocate::folder_of(target)));
                copy(stream, &mut tokio::fs::File::create_new(&part.0).await?).await?;
                self.disk.run_for_long(move || relocate::replace(&part.0, &path, modified)).await
            }
            (payload, append) => {
                let bytes = match payload {
                    Payload::Bytes(bytes) => bytes,
                    Payload::Empty | Payload::Stream(_) => Bytes::new(),
                };
                self.disk.run_for_long(move || put_bytes(&path, &bytes, append, modified)).await
            }
        }
    }
}

impl Options {
    fn of(address: &Address, header: &impl Fn(&str) -> Option<String>) -> Self {
        let option = |name: &str| address.option(&format!("transport.vfs.{name}"));
        let is = |name: &str, wanted: &str| option(name).is_some_and(|text| text.eq_ignore_ascii_case(wanted));
        let modified = header("LAST_MODIFIED").and_then(|millis| millis.trim().parse().ok());
        let modified = modified.map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
        Self {
            append: is("Append", "true"),
            locking: !is("Locking", "disable"),
            retries: option("MaxRetryCount").and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_RETRIES),
            distance: option("ReconnectTimeout")
                .and_then(|text| text.parse().ok())
                .map_or(DEFAULT_DISTANCE, Duration::from_secs),
            modified: modified.filter(|_| !is("UpdateLastModified", "false")),
        }
    }
}

/// Locks of this machine's files, or of those of a server.
#[derive(Clone, Copy)]
enum AnyLocks<'l> {
    Local(&'l Locks),
    Remote(&'l Claims),
}

enum AnyLock {
    Local(Held),
    Remote(Claim),
}

impl AnyLocks<'_> {
    async fn acquire(self, target: &Path, now_millis: i64) -> io::Result<Option<AnyLock>> {
        Ok(match self {
            Self::Local(locks) => locks.acquire(target, now_millis).await?.map(AnyLock::Local),
            Self::Remote(claims) => claims.acquire(target, now_millis).await?.map(AnyLock::Remote),
        })
    }
}

impl AnyLock {
    async fn release(self, disk: &Disk) -> io::Result<()> {
        match self {
            Self::Local(held) => held.release(disk).await,
            Self::Remote(claim) => claim.release().await,
        }
    }
}

/// A part that is removed unless it was put into its place.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

async fn copy(mut stream: BodyStream, file: &mut tokio::fs::File) -> io::Result<()> {
    while let Some(frame) = stream.frame().await {
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            file.write_all(&data).await?;
        }
    }
    file.flush().await
}

/// The file for a message, with the folders above it. Blocks.
fn target(path: PathBuf, creates_folder: bool, name: &str) -> io::Result<PathBuf> {
    if creates_folder && !path.exists() {
        fs::create_dir_all(&path)?;
    }
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => {
            let file = path.join(inside(name)?);
            fs::create_dir_all(relocate::folder_of(&file))?;
            writable(file)
        }
        Ok(_) => writable(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(relocate::folder_of(&path))?;
            Ok(path)
        }
        Err(error) => Err(error),
    }
}

/// A name may lead into subfolders, but not out of the folder that the configuration names.
pub(super) fn inside(name: &str) -> io::Result<&Path> {
    let path = Path::new(name);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_)));
    if stays && path.file_name().is_some() && !name.contains('\0') {
        Ok(path)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, format!("'{name}' is no name of a file in the folder")))
    }
}

/// Refuses what is no regular file, and follows links, so that what they lead to is replaced and not they.
fn writable(path: PathBuf) -> io::Result<PathBuf> {
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_symlink() => {
            let target = fs::canonicalize(&path)?;
            if target.is_file() { Ok(target) } else { Err(unsupported(&path)) }
        }
        Ok(metadata) if metadata.is_file() => Ok(path),
        Ok(_) => Err(unsupported(&path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(path),
        Err(error) => Err(error),
    }
}

fn unsupported(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} is no regular file", path.display()))
}

fn put_bytes(target: &Path, bytes: &[u8], append: bool, modified: Option<SystemTime>) -> io::Result<()> {
    if append {
        let mut file = OpenOptions::new().append(true).create(true).open(target)?;
        file.write_all(bytes)?;
        return settle(&file, modified);
    }
    let part = Part(relocate::part_in(relocate::folder_of(target)));
    File::create_new(&part.0)?.write_all(bytes)?;
    relocate::replace(&part.0, target, modified)
}

/// Makes a written file durable and gives it its time.
fn settle(file: &File, modified: Option<SystemTime>) -> io::Result<()> {
    if let Some(modified) = modified {
        file.set_modified(modified)?;
    }
    file.sync_data()
}
