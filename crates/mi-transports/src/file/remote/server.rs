//! A server of files: its address and how to log in. MI: the URI of a file with the options of `VFSUtils#attachFileSystemOptions`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// What a path in a URI does not hold as it is.
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'#').add(b'%').add(b'?');
/// How long connecting and each step after it may take, unless the address says otherwise.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How files are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in super::super) enum Scheme {
    Ftp,
    Ftps,
    Sftp,
}

impl Scheme {
    fn named(name: &str) -> Option<Self> {
        match name {
            "ftp" => Some(Self::Ftp),
            "ftps" => Some(Self::Ftps),
            "sftp" => Some(Self::Sftp),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ftp => "ftp",
            Self::Ftps => "ftps",
            Self::Sftp => "sftp",
        }
    }

    fn port(self, implicit: bool) -> u16 {
        match self {
            Self::Sftp => 22,
            Self::Ftps if implicit => 990,
            Self::Ftp | Self::Ftps => 21,
        }
    }
}

/// A server, a user and the ways of talking.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in super::super) struct Server {
    pub(in super::super) scheme: Scheme,
    pub(in super::super) host: String,
    pub(in super::super) port: u16,
    pub(in super::super) user: String,
    pub(super) password: String,
    /// `vfs.passive`: the client opens data connections. MI's default is the other way round.
    pub(super) passive: bool,
    /// `vfs.implicit`: TLS from the first byte.
    pub(super) implicit: bool,
    /// `vfs.ssl.truststore` with its password: issuers in place of those of the server's own configuration.
    pub(super) trust: Option<(PathBuf, String)>,
    /// Paths begin at the user's folder.
    root_is_home: bool,
    /// `SFTPIdentities`: files with keys.
    pub(super) identities: Vec<PathBuf>,
    /// `SFTPIdentityPassPhrase`.
    pub(super) pass_phrase: Option<String>,
    /// Time for one step.
    pub(super) timeout: Duration,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.shown())
    }
}

impl Server {
    /// Reads `//user:password@host:port/path` and its options. Gives the server and the path behind it. `None` for a scheme
    /// that is none of a server known here; the error says what is wrong.
    pub(in super::super) fn parse(
        scheme: &str,
        rest: &str,
        options: &[(String, String)],
    ) -> Option<Result<(Self, String), String>> {
        Scheme::named(scheme).map(|scheme| Self::read(scheme, rest, options))
    }

    fn read(scheme: Scheme, rest: &str, options: &[(String, String)]) -> Result<(Self, String), String> {
        let option = |name: &str| options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.trim());
        let is = |name: &str| option(name).map(|value| value.eq_ignore_ascii_case("true"));
        let rest = rest.trim_start_matches('/');
        // A password may hold a slash or an at sign that nobody escaped; the last at sign ends it.
        let (login, rest) = rest.rsplit_once('@').map_or(("", rest), |(login, rest)| (login, rest));
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let implicit = is("vfs.implicit").unwrap_or(false);
        let (host, port) = split_port(host)?;
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let anonymous = user.is_empty() && scheme != Scheme::Sftp;
        let root_is_home = match (is("sftpPathFromRoot"), option("transport.vfs.SFTPUserDirIsRoot")) {
            (Some(true), _) => false,
            (_, Some(value)) => value.eq_ignore_ascii_case("true"),
            _ => true,
        };
        let identities = option("transport.vfs.SFTPIdentities").unwrap_or_default();
        let server = Self {
            scheme,
            host: host.to_owned(),
            port: port.unwrap_or_else(|| scheme.port(implicit)),
            user: if anonymous { "anonymous".to_owned() } else { decoded(user) },
            password: if anonymous { "anonymous".to_owned() } else { decoded(password) },
            passive: is("vfs.passive").unwrap_or(true),
            implicit,
            trust: option("vfs.ssl.truststore")
                .map(|path| (PathBuf::from(path), option("vfs.ssl.tspassword").unwrap_or_default().to_owned())),
            root_is_home,
            identities: identities.split(',').map(str::trim).filter(|it| !it.is_empty()).map(PathBuf::from).collect(),
            pass_phrase: option("transport.vfs.SFTPIdentityPassPhrase").map(str::to_owned),
            timeout: option("vfs.timeout")
                .or_else(|| option("vfs.connectTimeout"))
                .and_then(|millis| millis.parse().ok())
                .map_or(TIMEOUT, Duration::from_millis),
        };
        Ok((server, path.to_owned()))
    }

    /// The path that the server is asked for.
    pub(super) fn path(&self, path: &Path) -> String {
        let path = path.to_string_lossy();
        let path = path.trim_matches('/');
        match (self.scheme, self.root_is_home) {
            (Scheme::Sftp, false) => format!("/{path}"),
            _ if path.is_empty() => ".".to_owned(),
            _ => path.to_owned(),
        }
    }

    /// The address of a path, without the password.
    pub(in super::super) fn uri(&self, path: &Path) -> String {
        let path = path.to_string_lossy();
        let path = percent_encode(path.trim_start_matches('/').as_bytes(), RESERVED);
        format!("{}/{path}", self.shown())
    }

    /// True for the same files: there a rename is enough.
    pub(in super::super) fn is_same(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port, &self.user, self.root_is_home)
            == (other.scheme, &other.host, other.port, &other.user, other.root_is_home)
    }

    fn shown(&self) -> String {
        format!("{}://{}@{}:{}", self.scheme.name(), self.user, self.host, self.port)
    }
}

/// `host`, `host:22`, `[::1]:22`.
fn split_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    match port {
        None => Ok((host, None)),
        Some(port) => port.parse().map(|port| (host, Some(port))).map_err(|_| format!("'{port}' is no port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(scheme: &str, rest: &str, options: &[(&str, &str)]) -> (Server, String) {
        let options: Vec<_> = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Server::parse(scheme, rest, &options).unwrap().unwrap()
    }

    #[test]
    fn addresses() {
        let (server, path) = read("sftp", "//u:p%40ss@h:2222/a/b", &[]);
        assert_eq!((&*server.user, &*server.password, &*server.host, server.port), ("u", "p@ss", "h", 2222));
        assert_eq!((&*path, &*server.path(Path::new("/a/b"))), ("a/b", "a/b"));
        assert_eq!(server.uri(Path::new("/a b")), "sftp://u@h:2222/a%20b");
        assert!(!format!("{server:?}").contains("ss"), "no password");
        let (server, _) = read("sftp", "//u:p/w@x@h/a", &[("sftpPathFromRoot", "true")]);
        assert_eq!((&*server.password, &*server.path(Path::new("/a")), server.port), ("p/w@x", "/a", 22));
        let (server, path) = read("ftp", "//h", &[]);
        assert_eq!((&*server.user, server.port, &*path, &*server.path(Path::new("/"))), ("anonymous", 21, "", "."));
        assert!(server.passive && !server.implicit);
        let (server, _) = read("ftps", "//u@[::1]/", &[("vfs.implicit", "true"), ("vfs.passive", "false")]);
        assert_eq!((&*server.host, server.port, server.passive), ("::1", 990, false));
        for wrong in ["//u@h:x/", "//u@/a", "//"] {
            assert!(Server::parse("ftp", wrong, &[]).unwrap().is_err(), "{wrong}");
        }
        assert!(Server::parse("smb", "//h/a", &[]).is_none());
    }
}
