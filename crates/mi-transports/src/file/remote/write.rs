//! Writes messages to files of a server. As on local file systems, a file appears whole and under a lock.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use mi_engine::transport::Payload;

use super::super::relocate;
use super::super::sender::inside;
use super::super::settings::Locking;
use super::claim::Claims;
use super::{Content, Remote, Server};

/// Servers whose connections are kept; with more, all begin anew.
const MAX_SERVERS: usize = 64;

/// Servers that were written to.
#[derive(Debug, Default)]
pub(in super::super) struct Servers(Mutex<HashMap<Arc<Server>, Arc<Remote>>>);

/// How a file is written.
#[derive(Debug)]
pub(in super::super) struct How {
    pub(in super::super) append: bool,
    pub(in super::super) creates_folder: bool,
    pub(in super::super) modified: Option<SystemTime>,
}

impl Servers {
    pub(in super::super) fn get(&self, server: &Arc<Server>) -> Arc<Remote> {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = servers.get(server) {
            return remote.clone();
        }
        if servers.len() >= MAX_SERVERS {
            servers.clear();
        }
        let remote = Arc::new(Remote::new(server.clone()));
        servers.insert(server.clone(), remote.clone());
        remote
    }
}

/// The file for a message, with the folders above it: `name` in a folder, or the file that the address names.
pub(in super::super) async fn target(remote: &Remote, path: &Path, how: &How, name: &str) -> io::Result<PathBuf> {
    let is_folder = remote.is_folder(path).await?;
    let file = if is_folder || how.creates_folder { path.join(inside(name)?) } else { path.to_owned() };
    match file.parent() {
        Some(folder) if folder.file_name().is_some() && !(is_folder && folder == path) => {
            remote.make_folders(folder).await?;
        }
        _ => {}
    }
    Ok(file)
}

/// Locks for the files of a server.
pub(in super::super) fn claims(remote: &Arc<Remote>) -> Claims {
    Claims::new(remote.clone(), Locking { auto_release: None })
}

/// Writes a file.
pub(in super::super) async fn put(remote: &Remote, target: &Path, how: &How, payload: Payload) -> io::Result<()> {
    let content = match payload {
        Payload::Bytes(bytes) => Content::Bytes(bytes),
        Payload::Stream(stream) => Content::Stream(stream),
        Payload::Empty => Content::Bytes(Bytes::new()),
    };
    if how.append {
        return remote.write(target, content, true).await;
    }
    let part = relocate::part_in(relocate::folder_of(target));
    let written = match remote.write(&part, content, false).await {
        Ok(()) => match how.modified {
            Some(modified) => remote.touch(&part, modified).await,
            None => Ok(()),
        },
        Err(error) => Err(error),
    };
    let put = match written {
        Ok(()) => replace(remote, &part, target).await,
        Err(error) => Err(error),
    };
    if put.is_err() {
        drop(remote.remove(&part).await);
    }
    put
}

/// Puts a part in the place of a file. Some servers do not replace: there the former file is removed first.
async fn replace(remote: &Remote, part: &Path, target: &Path) -> io::Result<()> {
    match remote.rename(part, target).await {
        Ok(()) => Ok(()),
        Err(error) => {
            remote.remove(target).await.map_err(|_| error)?;
            remote.rename(part, target).await
        }
    }
}
