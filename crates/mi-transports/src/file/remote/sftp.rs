//! SFTP: files over SSH.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use russh::client::{self, Handle};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key, known_hosts};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error;
use russh_sftp::client::fs::File;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};

use super::server::Server;
use super::{Entry, Refusal};

/// Signs of life on a connection that waits.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Keys that hosts showed to this process, by host and port: another one later is refused.
static SHOWN: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);
/// Hosts that are remembered.
const MAX_SHOWN: usize = 1000;

/// A connection that is logged in.
pub(super) struct Sftp {
    session: SftpSession,
    /// Kept for its end, which ends the session.
    _connection: Handle<HostKeys>,
}

/// Judges the key of a host.
struct HostKeys {
    host: String,
    port: u16,
}

impl client::Handler for HostKeys {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            log::error!(target: "VFSUtils", "{}:{} shows a certificate of a host, which is not supported", self.host, self.port);
            return Ok(false);
        };
        let (host, port, key) = (self.host.clone(), self.port, key.clone());
        let judged = tokio::task::spawn_blocking(move || judge(&host, port, &key)).await;
        Ok(judged.unwrap_or(false))
    }
}

/// A key that `~/.ssh/known_hosts` has for the host is the only good one. Without one there, any key is, once: MI accepts any
/// at any time.
fn judge(host: &str, port: u16, key: &russh::keys::PublicKey) -> bool {
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let known = known_hosts::known_host_keys(host, port).unwrap_or_default();
    if !known.is_empty() {
        let good = known.iter().any(|(_, known)| known.key_data() == key.key_data());
        if !good {
            log::error!(
                target: "VFSUtils",
                "The key of {host}:{port} ({fingerprint}) is none of those that known_hosts has for it; nothing is sent there"
            );
        }
        return good;
    }
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let name = format!("{host}:{port}");
    match shown.get(&name) {
        Some(before) if *before == fingerprint => true,
        Some(before) => {
            log::error!(
                target: "VFSUtils",
                "The key of {name} changed from {before} to {fingerprint}; put the right one into ~/.ssh/known_hosts and \
                 start the server again"
            );
            false
        }
        None => {
            log::warn!(
                target: "VFSUtils",
                "The key of {name} is taken unseen ({fingerprint}): ~/.ssh/known_hosts has none for it"
            );
            if shown.len() < MAX_SHOWN {
                shown.insert(name, fingerprint);
            }
            true
        }
    }
}

impl Sftp {
    pub(super) async fn connect(server: &Server) -> io::Result<Self> {
        let config =
            client::Config { keepalive_interval: Some(KEEP_ALIVE), nodelay: true, ..client::Config::default() };
        let keys = HostKeys { host: server.host.clone(), port: server.port };
        let address = (server.host.as_str(), server.port);
        let mut connection = client::connect(Arc::new(config), address, keys).await.map_err(io::Error::other)?;
        log_in(&mut connection, server).await?;
        let channel = connection.channel_open_session().await.map_err(io::Error::other)?;
        channel.request_subsystem(true, "sftp").await.map_err(io::Error::other)?;
        let session = SftpSession::new(channel.into_stream()).await.map_err(io::Error::other)?;
        session.set_timeout(server.timeout.as_secs().max(1));
        Ok(Self { session, _connection: connection })
    }

    pub(super) async fn list(&mut self, path: &str) -> Result<Vec<Entry>, Refusal> {
        let listed = self.session.read_dir(path).await.map_err(refusal)?;
        Ok(listed.map(|it| entry(it.file_name(), &it.metadata())).collect())
    }

    pub(super) async fn stat(&mut self, path: &str) -> Result<Entry, Refusal> {
        let attributes = self.session.metadata(path).await.map_err(refusal)?;
        Ok(entry(path.rsplit('/').next().unwrap_or(path).to_owned(), &attributes))
    }

    pub(super) async fn is_folder(&mut self, path: &str) -> Result<bool, Refusal> {
        match self.stat(path).await {
            Ok(entry) => Ok(entry.is_folder),
            Err(Refusal::Refused(error)) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn reader(&mut self, path: &str) -> Result<File, Refusal> {
        self.session.open(path).await.map_err(refusal)
    }

    pub(super) async fn writer(&mut self, path: &str, append: bool) -> Result<File, Refusal> {
        let how = if append { OpenFlags::APPEND } else { OpenFlags::TRUNCATE };
        self.session.open_with_flags(path, OpenFlags::WRITE | OpenFlags::CREATE | how).await.map_err(refusal)
    }

    /// Gives a file its time.
    pub(super) async fn touch(&mut self, path: &str, modified: SystemTime) -> Result<(), Refusal> {
        let seconds = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as u32;
        let attributes = FileAttributes { atime: Some(seconds), mtime: Some(seconds), ..FileAttributes::empty() };
        self.session.set_metadata(path, attributes).await.map_err(refusal)
    }

    /// Servers refuse it when the new name is taken.
    pub(super) async fn rename(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        self.session.rename(from, to).await.map_err(refusal)
    }

    pub(super) async fn remove(&mut self, path: &str) -> Result<(), Refusal> {
        self.session.remove_file(path).await.map_err(refusal)
    }

    pub(super) async fn make_folder(&mut self, path: &str) -> Result<(), Refusal> {
        self.session.create_dir(path).await.map_err(refusal)
    }

    pub(super) async fn remove_folder(&mut self, path: &str) -> Result<(), Refusal> {
        self.session.remove_dir(path).await.map_err(refusal)
    }
}

/// By the keys, then by the password.
async fn log_in(connection: &mut Handle<HostKeys>, server: &Server) -> io::Result<()> {
    let user = &server.user;
    for identity in &server.identities {
        let key = read_key(identity.clone(), server.pass_phrase.clone()).await?;
        let hash = connection.best_supported_rsa_hash().await.map_err(io::Error::other)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        if connection.authenticate_publickey(user, key).await.map_err(io::Error::other)?.success() {
            return Ok(());
        }
    }
    if !server.password.is_empty()
        && connection.authenticate_password(user, &server.password).await.map_err(io::Error::other)?.success()
    {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("the server does not let {user} in")))
}

async fn read_key(path: PathBuf, pass_phrase: Option<String>) -> io::Result<russh::keys::PrivateKey> {
    let text = tokio::fs::read_to_string(&path).await;
    let text = text.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    decode_secret_key(&text, pass_phrase.as_deref())
        .map_err(|error| io::Error::other(format!("{} is no key that can be used: {error}", path.display())))
}

fn entry(name: String, attributes: &FileAttributes) -> Entry {
    let modified = UNIX_EPOCH + Duration::from_secs(u64::from(attributes.mtime.unwrap_or_default()));
    Entry {
        name,
        is_folder: attributes.is_dir(),
        is_file: attributes.is_regular(),
        size: attributes.size.unwrap_or_default(),
        modified,
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Status(status) => {
            let kind = match status.status_code {
                StatusCode::NoSuchFile => io::ErrorKind::NotFound,
                StatusCode::PermissionDenied => io::ErrorKind::PermissionDenied,
                StatusCode::ConnectionLost | StatusCode::NoConnection => {
                    return Refusal::Broken(io::Error::new(io::ErrorKind::ConnectionReset, status.error_message));
                }
                _ => io::ErrorKind::Other,
            };
            Refusal::Refused(io::Error::new(kind, format!("{}: {}", status.status_code, status.error_message)))
        }
        other => Refusal::Broken(io::Error::other(other.to_string())),
    }
}
