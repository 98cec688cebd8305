//! FTP, plain and over TLS.

use std::io;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use suppaftp::list::ListParser;
use suppaftp::tokio::{AsyncRustlsConnector, AsyncRustlsFtpStream, AsyncRustlsStream, TransferStream};
use suppaftp::types::FileType;
use suppaftp::{FtpError, Mode, Status};
use tokio::net::TcpStream;

use super::server::{Scheme, Server};
use super::{Entry, Refusal};
use crate::keystore::KeyStore;
use crate::tls::{ClientTls, ClientTlsConfig};

/// Whom to trust where an address does not say it: what the server's own calls over https trust.
static TRUST: OnceLock<Arc<ClientTls>> = OnceLock::new();

/// Says whom to trust, once for the process: its settings are exchanged in place.
pub(in super::super) fn trust(tls: Arc<ClientTls>) {
    TRUST.get_or_init(|| tls);
}

/// A connection that is logged in.
pub(super) struct Ftp {
    stream: AsyncRustlsFtpStream,
    lists_by_machine: bool,
    /// The folder of the login, which paths begin at.
    home: String,
}

/// Content that is being sent or read.
pub(super) type Transfer = TransferStream<AsyncRustlsStream>;

impl Ftp {
    pub(super) async fn connect(server: &Server) -> io::Result<Self> {
        let address = (server.host.as_str(), server.port);
        let mut stream = match (server.scheme, server.implicit) {
            (Scheme::Ftps, true) => {
                let connector = connector(server)?;
                AsyncRustlsFtpStream::connect_secure_implicit(address, connector, &server.host).await.map_err(plain)?
            }
            (scheme, _) => {
                let tcp = TcpStream::connect(address).await?;
                tcp.set_nodelay(true)?;
                let stream = AsyncRustlsFtpStream::connect_with_stream(tcp).await.map_err(plain)?;
                match scheme {
                    Scheme::Ftps => stream.into_secure(connector(server)?, &server.host).await.map_err(plain)?,
                    Scheme::Ftp | Scheme::Sftp => stream,
                }
            }
        };
        stream.login(&server.user, &server.password).await.map_err(plain)?;
        stream.transfer_type(FileType::Binary).await.map_err(plain)?;
        if !server.passive {
            stream = stream.active_mode(server.timeout);
        } else if stream.get_ref().await.peer_addr().is_ok_and(|peer| peer.is_ipv6()) {
            stream.set_mode(Mode::ExtendedPassive);
        } else {
            // Servers behind an address translation name an address that leads nowhere.
            stream.set_passive_nat_workaround(true);
        }
        let features = stream.feat().await.unwrap_or_default();
        let lists_by_machine = features.keys().any(|feature| feature.eq_ignore_ascii_case("MLST"));
        let home = stream.pwd().await.map_err(plain)?;
        Ok(Self { stream, lists_by_machine, home })
    }

    pub(super) async fn list(&mut self, path: &str) -> Result<Vec<Entry>, Refusal> {
        if self.lists_by_machine {
            let lines = self.stream.mlsd(Some(path)).await.map_err(refusal)?;
            return Ok(lines.iter().filter_map(|line| entry(ListParser::parse_mlsd(line).ok()?)).collect());
        }
        // Many servers take a path behind LIST for options and patterns; in the folder itself there is none.
        self.stream.cwd(path).await.map_err(refusal)?;
        let mut listed = self.stream.list(Some("-a")).await.map_err(refusal);
        if let Err(Refusal::Refused(_)) = listed {
            // It takes the option for a name.
            listed = self.stream.list(None).await.map_err(refusal);
        }
        self.stream.cwd(&self.home).await.map_err(refusal)?;
        Ok(listed?.iter().filter_map(|line| entry(suppaftp::list::File::from_str(line).ok()?)).collect())
    }

    /// Size and time of a file.
    pub(super) async fn stat(&mut self, path: &str) -> Result<Entry, Refusal> {
        let size = self.stream.size(path).await.map_err(refusal)? as u64;
        let modified = match self.stream.mdtm(path).await {
            Ok(modified) => {
                let seconds = u64::try_from(modified.and_utc().timestamp()).unwrap_or_default();
                UNIX_EPOCH + std::time::Duration::from_secs(seconds)
            }
            // It does not know the command; then the size alone tells.
            Err(FtpError::UnexpectedResponse(_)) => UNIX_EPOCH,
            Err(error) => return Err(refusal(error)),
        };
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Ok(Entry { name, is_folder: false, is_file: true, size, modified })
    }

    pub(super) async fn is_folder(&mut self, path: &str) -> Result<bool, Refusal> {
        match self.stream.cwd(path).await.map_err(refusal) {
            Ok(()) => self.stream.cwd(&self.home).await.map_err(refusal).map(|()| true),
            Err(Refusal::Refused(_)) => Ok(false),
            Err(broken) => Err(broken),
        }
    }

    pub(super) async fn reader(&mut self, path: &str) -> Result<Transfer, Refusal> {
        self.stream.retr_as_stream(path).await.map_err(refusal)
    }

    pub(super) async fn writer(&mut self, path: &str, append: bool) -> Result<Transfer, Refusal> {
        if append {
            self.stream.append_with_stream(path).await.map_err(refusal)
        } else {
            self.stream.put_with_stream(path).await.map_err(refusal)
        }
    }

    pub(super) async fn rename(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        self.stream.rename(from, to).await.map_err(refusal)
    }

    pub(super) async fn remove(&mut self, path: &str) -> Result<(), Refusal> {
        self.stream.rm(path).await.map_err(refusal)
    }

    pub(super) async fn make_folder(&mut self, path: &str) -> Result<(), Refusal> {
        self.stream.mkdir(path).await.map_err(refusal)
    }

    pub(super) async fn remove_folder(&mut self, path: &str) -> Result<(), Refusal> {
        self.stream.rmdir(path).await.map_err(refusal)
    }
}

/// `None` for what names no entry of the folder.
fn entry(file: suppaftp::list::File) -> Option<Entry> {
    let name = file.name();
    // MLSD may give paths.
    let name = name.rsplit('/').next().unwrap_or(name);
    let modified: SystemTime = file.modified();
    (!matches!(name, "" | "." | "..")).then(|| Entry {
        name: name.to_owned(),
        is_folder: file.is_directory(),
        is_file: file.is_file(),
        size: file.size() as u64,
        modified,
    })
}

/// A server that answered is there and may be asked again; anything else ends the connection.
pub(super) fn refusal(error: FtpError) -> Refusal {
    match error {
        FtpError::UnexpectedResponse(response) if response.status != Status::NotAvailable => {
            let kind = match response.status {
                Status::FileUnavailable => io::ErrorKind::NotFound,
                Status::ExceededStorage => io::ErrorKind::StorageFull,
                _ if response.status.code() == 452 => io::ErrorKind::StorageFull,
                _ => io::ErrorKind::Other,
            };
            Refusal::Refused(io::Error::new(kind, response.to_string()))
        }
        other => Refusal::Broken(plain(other)),
    }
}

fn plain(error: FtpError) -> io::Error {
    match error {
        FtpError::ConnectionError(error) => error,
        other => io::Error::other(other.to_string()),
    }
}

fn connector(server: &Server) -> io::Result<AsyncRustlsConnector> {
    let config: Arc<ClientConfig> = match &server.trust {
        Some((path, password)) => {
            let store = KeyStore::load(path, password, None).map_err(io::Error::other)?;
            let trusted = store.anchors().cloned().collect();
            let config = ClientTlsConfig { trusted, ..ClientTlsConfig::default() };
            ClientTls::new(&config).map_err(io::Error::other)?.current(false)
        }
        None => match TRUST.get() {
            Some(tls) => tls.current(false),
            None => {
                let config = ClientTlsConfig { public_roots: true, ..ClientTlsConfig::default() };
                ClientTls::new(&config).map_err(io::Error::other)?.current(false)
            }
        },
    };
    Ok(tokio_rustls::TlsConnector::from(config).into())
}
