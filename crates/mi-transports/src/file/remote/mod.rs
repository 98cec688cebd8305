//! Files on FTP, FTPS and SFTP servers: a pool of connections with the few operations that polling and writing need.
//!
//! - `server`: the address of a server.
//! - `ftp`, `sftp`: one connection.
//! - `claim`: who works on a file. `poll`: a pass over a folder. `write`: endpoints and answers.

pub(super) mod claim;
mod ftp;
pub(super) mod poll;
mod server;
mod sftp;
#[cfg(test)]
mod tests;
pub(super) mod write;

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::BodyExt;
use mi_message::BodyStream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

pub(super) use ftp::trust;
pub(super) use server::Server;

/// Connections to one server that one poller or sender has at a time.
const CONNECTIONS: usize = 8;
/// A connection that was not used for longer is not used again: servers end such.
const IDLE: Duration = Duration::from_secs(20);
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_folder: bool,
    /// False for links and devices, too.
    pub(super) is_file: bool,
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

/// Why something was not done.
#[derive(Debug)]
enum Refusal {
    /// The server said no; it can be asked for other things.
    Refused(io::Error),
    /// The connection is of no more use.
    Broken(io::Error),
}

enum Connection {
    Ftp(Box<ftp::Ftp>),
    Sftp(Box<sftp::Sftp>),
}

/// Calls the same operation of either connection.
macro_rules! either {
    ($connection:expr, $operation:ident($($argument:expr),*)) => {
        match $connection {
            Connection::Ftp(ftp) => ftp.$operation($($argument),*).await,
            Connection::Sftp(sftp) => sftp.$operation($($argument),*).await,
        }
    };
}

/// The files of a server.
pub(super) struct Remote {
    pub(super) server: Arc<Server>,
    idle: Mutex<Vec<(Connection, Instant)>>,
    slots: Arc<Semaphore>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.server.fmt(formatter)
    }
}

/// A connection in use.
struct Lease<'r> {
    remote: &'r Remote,
    connection: Connection,
    _slot: OwnedSemaphorePermit,
}

impl Lease<'_> {
    /// Gives the connection back unless it is broken.
    fn settle<T>(self, done: Result<T, Refusal>) -> io::Result<T> {
        let done = match done {
            Err(Refusal::Broken(error)) => return Err(error),
            Err(Refusal::Refused(error)) => Err(error),
            Ok(done) => Ok(done),
        };
        let mut idle = self.remote.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((self.connection, Instant::now()));
        done
    }
}

/// What is written.
pub(super) enum Content {
    Bytes(Bytes),
    Stream(BodyStream),
}

impl Remote {
    pub(super) fn new(server: Arc<Server>) -> Self {
        Self { server, idle: Mutex::default(), slots: Arc::new(Semaphore::new(CONNECTIONS)) }
    }

    async fn lease(&self) -> io::Result<Lease<'_>> {
        let slot = self.slots.clone().acquire_owned().await.map_err(io::Error::other)?;
        let usable = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|(_, used)| used.elapsed() < IDLE);
            idle.pop()
        };
        let connection = match usable {
            Some((connection, _)) => connection,
            None => {
                let connecting = async {
                    Ok(match self.server.scheme {
                        server::Scheme::Sftp => Connection::Sftp(Box::new(sftp::Sftp::connect(&self.server).await?)),
                        _ => Connection::Ftp(Box::new(ftp::Ftp::connect(&self.server).await?)),
                    })
                };
                let connected: io::Result<Connection> =
                    timeout(self.server.timeout, connecting).await.unwrap_or_else(|_| Err(self.silent()));
                connected.map_err(|error| {
                    io::Error::new(error.kind(), format!("cannot connect to {:?}: {error}", self.server))
                })?
            }
        };
        Ok(Lease { remote: self, connection, _slot: slot })
    }

    /// What the server is asked for. Line ends would be commands of their own.
    fn path(&self, path: &Path) -> io::Result<String> {
        let path = self.server.path(path);
        if path.contains(['\r', '\n', '\0']) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{path:?} is no name that a server takes"),
            ));
        }
        Ok(path)
    }

    fn silent(&self) -> io::Error {
        let text = format!("{:?} did not answer within {} ms", self.server, self.server.timeout.as_millis());
        io::Error::new(io::ErrorKind::TimedOut, text)
    }

    /// Waits for one step.
    async fn within<T>(&self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        timeout(self.server.timeout, work).await.unwrap_or_else(|_| Err(Refusal::Broken(self.silent())))
    }

    pub(super) async fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, list(&path)) }).await;
        lease.settle(done)
    }

    /// Size and time; `NotFound` when there is no such file.
    pub(super) async fn stat(&self, path: &Path) -> io::Result<Entry> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, stat(&path)) }).await;
        lease.settle(done)
    }

    /// False for files and for what is not there.
    pub(super) async fn is_folder(&self, path: &Path) -> io::Result<bool> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, is_folder(&path)) }).await;
        lease.settle(done)
    }

    pub(super) async fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.path(from)?, self.path(to)?);
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, rename(&from, &to)) }).await;
        lease.settle(done)
    }

    pub(super) async fn remove(&self, path: &Path) -> io::Result<()> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, remove(&path)) }).await;
        lease.settle(done)
    }

    pub(super) async fn make_folder(&self, path: &Path) -> io::Result<()> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, make_folder(&path)) }).await;
        lease.settle(done)
    }

    pub(super) async fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = self.within(async { either!(&mut lease.connection, remove_folder(&path)) }).await;
        lease.settle(done)
    }

    /// Makes a folder and those above it.
    pub(super) async fn make_folders(&self, path: &Path) -> io::Result<()> {
        if self.is_folder(path).await? {
            return Ok(());
        }
        let mut missing: Vec<&Path> = path.ancestors().filter(|it| it.file_name().is_some()).collect();
        if missing.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the first folder of the server is not there"));
        }
        let last = missing.remove(0);
        for folder in missing.into_iter().rev() {
            if !self.is_folder(folder).await? {
                // Somebody else may make it at the same time; the last one tells.
                drop(self.make_folder(folder).await);
            }
        }
        match self.make_folder(last).await {
            Err(_) if self.is_folder(last).await? => Ok(()),
            made => made,
        }
    }

    /// Copies a file out. Ends with an error when it is longer than `most`.
    pub(super) async fn read(&self, path: &Path, to: &mut (impl AsyncWrite + Unpin), most: u64) -> io::Result<u64> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = match &mut lease.connection {
            Connection::Ftp(ftp) => match self.within(ftp.reader(&path)).await {
                Ok(mut content) => match self.copy_out(&mut content, to, most).await {
                    Ok(copied) => {
                        self.within(async { content.finish().await.map_err(ftp::refusal) }).await.map(|()| copied)
                    }
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
            Connection::Sftp(sftp) => match self.within(sftp.reader(&path)).await {
                Ok(mut content) => self.copy_out(&mut content, to, most).await,
                Err(error) => Err(error),
            },
        };
        lease.settle(done)
    }

    async fn copy_out(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        most: u64,
    ) -> Result<u64, Refusal> {
        let mut chunk = vec![0; CHUNK];
        let mut copied = 0;
        loop {
            let read = timeout(self.server.timeout, from.read(&mut chunk)).await.unwrap_or_else(|_| Err(self.silent()));
            let read = read.map_err(Refusal::Broken)?;
            if read == 0 {
                break;
            }
            copied += read as u64;
            if copied > most {
                return Err(Refusal::Broken(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than expected")));
            }
            to.write_all(&chunk[..read]).await.map_err(Refusal::Broken)?;
        }
        to.flush().await.map_err(Refusal::Broken)?;
        Ok(copied)
    }

    /// Writes a file, or behind what is in it.
    pub(super) async fn write(&self, path: &Path, content: Content, append: bool) -> io::Result<()> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = match &mut lease.connection {
            Connection::Ftp(ftp) => match self.within(ftp.writer(&path, append)).await {
                Ok(mut to) => match self.copy_in(content, Pin::new(&mut to)).await {
                    Ok(()) => self.within(async { to.finish().await.map_err(ftp::refusal) }).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
            Connection::Sftp(sftp) => match self.within(sftp.writer(&path, append)).await {
                Ok(mut to) => match self.copy_in(content, Pin::new(&mut to)).await {
                    Ok(()) => self.within(async { to.close().await.map_err(Refusal::Broken) }).await,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error),
            },
        };
        lease.settle(done)
    }

    async fn copy_in(&self, content: Content, mut to: Pin<&mut impl AsyncWrite>) -> Result<(), Refusal> {
        match content {
            Content::Bytes(bytes) => self.put(&mut to, &bytes).await?,
            Content::Stream(mut stream) => {
                while let Some(frame) = stream.frame().await {
                    let frame = frame.map_err(|error| Refusal::Broken(io::Error::other(error)))?;
                    if let Ok(data) = frame.into_data() {
                        self.put(&mut to, &data).await?;
                    }
                }
            }
        }
        self.within(async { to.flush().await.map_err(Refusal::Broken) }).await
    }

    async fn put(&self, to: &mut Pin<&mut impl AsyncWrite>, data: &[u8]) -> Result<(), Refusal> {
        for part in data.chunks(CHUNK) {
            let written = timeout(self.server.timeout, to.write_all(part)).await;
            written.unwrap_or_else(|_| Err(self.silent())).map_err(Refusal::Broken)?;
        }
        Ok(())
    }

    /// Gives a file its time, where the protocol can do that.
    pub(super) async fn touch(&self, path: &Path, modified: SystemTime) -> io::Result<()> {
        let path = self.path(path)?;
        let mut lease = self.lease().await?;
        let done = match &mut lease.connection {
            Connection::Ftp(_) => Ok(()),
            Connection::Sftp(sftp) => self.within(sftp.touch(&path, modified)).await,
        };
        lease.settle(done)
    }
}
