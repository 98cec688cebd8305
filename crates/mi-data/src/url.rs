//! JDBC URLs: which database, where, and with which settings. The driver class says nothing that the URL does not.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// Where a URL leads.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// `jdbc:postgresql:`
    Postgres(Server),
    /// `jdbc:mysql:`, `jdbc:mariadb:`
    MySql(Server),
    /// `jdbc:sqlite:` and the embedded databases of Java that SQLite stands in for.
    Sqlite(Embedded),
}

/// A database on a server.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Server {
    /// Host name or address, without the brackets of IPv6.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database; empty for the default one.
    pub database: String,
    /// What stands behind the `?`.
    pub settings: BTreeMap<String, String>,
}

/// A database in this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Embedded {
    /// Where it is kept.
    pub place: Place,
    /// The URL is one of H2, HSQLDB or Derby: results are given as they give them.
    pub stands_in: bool,
}

/// Where an embedded database is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A file; relative to the home folder.
    File(PathBuf),
    /// Memory, shared by all who use the name, for as long as the process lives.
    Memory(String),
}

impl fmt::Debug for Target {
    /// Leaves out the settings, which may hold passwords.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres(it) => write!(formatter, "postgresql://{}:{}/{}", it.host, it.port, it.database),
            Self::MySql(it) => write!(formatter, "mysql://{}:{}/{}", it.host, it.port, it.database),
            Self::Sqlite(it) => write!(formatter, "{it:?}"),
        }
    }
}

impl Target {
    /// Reads a URL. The error says what can be used in its place.
    pub fn parse(url: &str) -> Result<Self, String> {
        let Some(rest) = url.trim().strip_prefix("jdbc:") else {
            return Err(format!("'{}' is no JDBC URL; it begins with jdbc:", masked(url)));
        };
        let (kind, rest) = rest.split_once(':').unwrap_or((rest, ""));
        match kind {
            "postgresql" => Server::parse(rest, 5432).map(Self::Postgres),
            "mysql" | "mariadb" => Server::parse(rest, 3306).map(Self::MySql),
            "sqlite" => Ok(Self::Sqlite(sqlite(rest))),
            "h2" => h2(rest).map(Self::Sqlite),
            "hsqldb" => hsqldb(rest).map(Self::Sqlite),
            "derby" => derby(rest).map(Self::Sqlite),
            other => Err(format!(
                "databases of the kind '{other}' cannot be used; there are postgresql, mysql, mariadb and sqlite"
            )),
        }
    }
}

impl Server {
    /// `//host:port/database?key=value`, `//host/database`, `database`.
    fn parse(rest: &str, default_port: u16) -> Result<Self, String> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let settings = settings(query, '&');
        let (authority, database) = match place.strip_prefix("//") {
            Some(place) => place.split_once('/').unwrap_or((place, "")),
            None => ("", place.trim_start_matches('/')),
        };
        if authority.contains(',') {
            return Err("a list of hosts cannot be used; name one host, which may be a load balancer".to_owned());
        }
        let authority = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = match authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = match port.filter(|it| !it.is_empty()) {
            None => default_port,
            Some(text) => text.parse().map_err(|_| format!("'{text}' is no port"))?,
        };
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Self { host: host.to_owned(), port, database: decoded(database), settings })
    }

    /// A setting of the URL, found in any case.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn settings(text: &str, separator: char) -> BTreeMap<String, String> {
    let pairs = text.split(separator).filter(|it| !it.is_empty());
    pairs
        .map(|pair| pair.split_once('=').map_or((decoded(pair), String::new()), |(k, v)| (decoded(k), decoded(v))))
        .collect()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `sqlite:file`, `sqlite::memory:`, `sqlite:file:name?mode=memory&cache=shared`
fn sqlite(rest: &str) -> Embedded {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let path = path.strip_prefix("file:").unwrap_or(path);
    let in_memory =
        path.is_empty() || path == ":memory:" || settings(query, '&').get("mode").is_some_and(|it| it == "memory");
    let place = if in_memory { Place::Memory(path.to_owned()) } else { Place::File(path.into()) };
    Embedded { place, stands_in: false }
}

/// `h2:mem:name`, `h2:file:path`, `h2:path`, each with `;KEY=value`.
fn h2(rest: &str) -> Result<Embedded, String> {
    let path = rest.split(';').next().unwrap_or_default();
    if let Some((kind, _)) = path.split_once(':').filter(|(kind, _)| matches!(*kind, "tcp" | "ssl" | "zip")) {
        return Err(format!(
            "an H2 server (jdbc:h2:{kind}:) cannot be used; move the data to PostgreSQL, MySQL or SQLite"
        ));
    }
    Ok(stand_in(path, "mem:", "file:", "h2"))
}

/// `hsqldb:mem:name`, `hsqldb:file:path`
fn hsqldb(rest: &str) -> Result<Embedded, String> {
    let path = rest.split(';').next().unwrap_or_default();
    if path.starts_with("hsql") || path.starts_with("http") {
        return Err("an HSQLDB server cannot be used; move the data to PostgreSQL, MySQL or SQLite".to_owned());
    }
    Ok(stand_in(path, "mem:", "file:", "hsqldb"))
}

/// `derby:memory:name`, `derby:path;create=true`
fn derby(rest: &str) -> Result<Embedded, String> {
    let path = rest.split(';').next().unwrap_or_default();
    if path.starts_with("//") {
        return Err(
            "a Derby server (jdbc:derby://) cannot be used; move the data to PostgreSQL, MySQL or SQLite".to_owned()
        );
    }
    Ok(stand_in(path.strip_prefix("directory:").unwrap_or(path), "memory:", "file:", "derby"))
}

fn stand_in(path: &str, memory: &str, file: &str, kind: &str) -> Embedded {
    let place = match path.strip_prefix(memory) {
        Some(name) => Place::Memory(format!("{kind}-{name}")),
        None => {
            let path = path.strip_prefix(file).unwrap_or(path);
            Place::File(format!("{path}.{kind}.sqlite").into())
        }
    };
    Embedded { place, stands_in: true }
}

impl Embedded {
    /// The file in the file system: relative to `home`, `~` is the folder of the user.
    pub fn resolve(path: &Path, home: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(below) => std::env::var_os("HOME").map_or_else(|| home.to_owned(), PathBuf::from).join(below),
            Err(_) => home.join(path),
        }
    }

    /// The database of Java itself, where there is one that its SQLite counterpart cannot be: it has to be moved by hand.
    pub fn original(file: &Path) -> Option<PathBuf> {
        let text = file.to_str()?;
        let found = |candidates: &[String]| candidates.iter().map(PathBuf::from).find(|it| it.exists());
        if let Some(stem) = text.strip_suffix(".h2.sqlite") {
            return found(&[format!("{stem}.mv.db"), format!("{stem}.h2.db")]);
        }
        if let Some(stem) = text.strip_suffix(".derby.sqlite") {
            return found(&[format!("{stem}/service.properties")]);
        }
        found(&[format!("{}.script", text.strip_suffix(".hsqldb.sqlite")?)])
    }
}

/// A URL without what may be a password: settings called so, and what stands in front of an `@`.
pub fn masked(url: &str) -> String {
    let mut masked = String::with_capacity(url.len());
    for part in url.split_inclusive(['?', '&', ';']) {
        let lower = part.to_ascii_lowercase();
        match part.split_once('=') {
            Some((name, value))
                if lower.contains("password") || lower.contains("secret") || lower.contains("token") =>
            {
                masked.push_str(name);
                masked.push_str("=*****");
                masked.extend(value.chars().last().filter(|it| matches!(it, '?' | '&' | ';')));
            }
            _ => masked.push_str(part),
        }
    }
    match (masked.find("//"), masked.rfind('@')) {
        (Some(start), Some(end)) if start < end => format!("{}//*****{}", &masked[..start], &masked[end..]),
        _ => masked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &str) {
        let shown = match Target::parse(url) {
            Ok(target) => format!("{target:?}"),
            Err(error) => error,
        };
        assert!(shown.contains(expected), "{url}: {shown}");
    }

    #[test]
    fn servers() {
        check("jdbc:postgresql://db:15432/app?sslmode=require", "postgresql://db:15432/app");
        check("jdbc:postgresql:app", "postgresql://localhost:5432/app");
        check("jdbc:postgresql://[::1]/app", "postgresql://::1:5432/app");
        check("jdbc:mysql://127.0.0.1:3307/shop%20a?useSSL=false", "mysql://127.0.0.1:3307/shop a");
        check("jdbc:mariadb://db", "mysql://db:3306/");
        check("jdbc:mysql://db:no/x", "'no' is no port");
        check("jdbc:mysql://a,b/x", "list of hosts");
        check("jdbc:oracle:thin:@db:1521/x", "kind 'oracle' cannot be used");
        check("mysql://db/x", "is no JDBC URL");
        let Ok(Target::Postgres(server)) = Target::parse("jdbc:postgresql://db/app?sslMode=require&x=a%26b") else {
            panic!()
        };
        assert_eq!((server.setting("sslmode"), server.setting("X")), (Some("require"), Some("a&b")));
    }

    #[test]
    fn embedded_databases() {
        check("jdbc:sqlite:data/a.db", "File(\"data/a.db\"), stands_in: false");
        check("jdbc:sqlite::memory:", "Memory(\":memory:\")");
        check(
            "jdbc:h2:./repository/database/X;DB_CLOSE_ON_EXIT=FALSE",
            "File(\"./repository/database/X.h2.sqlite\"), stands_in: true",
        );
        check("jdbc:h2:file:~/test", "File(\"~/test.h2.sqlite\")");
        check("jdbc:h2:mem:test;DB_CLOSE_DELAY=-1", "Memory(\"h2-test\")");
        check("jdbc:h2:tcp://localhost/~/test", "an H2 server");
        check("jdbc:derby:memory:db;create=true", "Memory(\"derby-db\")");
        check("jdbc:derby://localhost:1527/db", "a Derby server");
        check("jdbc:hsqldb:file:a", "File(\"a.hsqldb.sqlite\")");
    }

    #[test]
    fn urls_are_shown_without_passwords() {
        assert_eq!(masked("jdbc:mysql://db/x?user=a&password=b&c=d"), "jdbc:mysql://db/x?user=a&password=*****&c=d");
        assert_eq!(masked("jdbc:postgresql://me:secret@db/x"), "jdbc:postgresql://*****@db/x");
        assert_eq!(masked("jdbc:h2:./a;PASSWORD=x;B=1"), "jdbc:h2:./a;PASSWORD=*****;B=1");
    }
}
