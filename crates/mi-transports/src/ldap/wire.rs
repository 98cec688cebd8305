//! A connection to a directory: bind, search, and changes, one after the other. RFC 4511.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET, length, list, number, tlv};
use crate::tls::ClientTls;

/// Longest message that is read.
const MAX_MESSAGE: usize = 4 << 20;
/// Entries of one search that are kept, whatever the server sends.
const MAX_ENTRIES: usize = 10_000;
/// Object id of StartTLS. RFC 4511, 4.14.
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

const SUCCESS: u32 = 0;
const TIME_LIMIT: u32 = 3;
const SIZE_LIMIT: u32 = 4;
const REFERRAL: u32 = 10;
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_CREDENTIALS: u32 = 49;

/// Where a directory is and how it is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
    pub(super) start_tls: bool,
}

impl Address {
    /// Can somebody on the way read what is sent?
    pub(super) fn is_open(&self) -> bool {
        let near = self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|it| it.to_canonical().is_loopback());
        !self.tls && !self.start_tls && !near
    }

    /// `ldap://host:port`, `ldaps://host:port`; what follows the port has no meaning.
    pub(super) fn parse(url: &str, start_tls: bool) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ldap" => false,
            "ldaps" => true,
            _ => return None,
        };
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
            _ => (authority, if tls { 636 } else { 389 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port, tls, start_tls: start_tls && !tls })
    }
}

/// What a server said, or that it said nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It answered with this code and text.
    Code(u32, String),
    /// It cannot be reached or understood.
    Broken(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code, text) if text.is_empty() => write!(f, "LDAP result code {code}"),
            Self::Code(code, text) => write!(f, "LDAP result code {code}: {text}"),
            Self::Broken(error) => write!(f, "{error}"),
        }
    }
}

/// An entry with the attributes that were asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    pub(super) dn: String,
    attributes: Vec<(String, Vec<String>)>,
}

impl Entry {
    /// Values of an attribute; names have no case.
    pub(super) fn values(&self, name: &str) -> &[String] {
        let found = self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values)
    }

    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.values(name).first().map(String::as_str)
    }
}

/// How far a search looks below its base.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reach {
    Base,
    Subtree,
}

/// What is done to an attribute.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edit {
    Add,
    Delete,
    Replace,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection; every wait on it ends with its deadline.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Message ids.
    last: u32,
    deadline: Instant,
}

impl Connection {
    /// Connects within `patience`; everything on the connection ends `whole` from now.
    pub(super) async fn open(
        address: &Address,
        tls: &Arc<ClientTls>,
        patience: Duration,
        whole: Duration,
    ) -> Result<Self, Refusal> {
        let deadline = Instant::now() + whole;
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = timeout(patience, connecting).await.map_err(|_| late("no connection in time"))??;
        drop(stream.set_nodelay(true));
        let mut connection = Self { stream: Box::new(stream), last: 0, deadline };
        if address.start_tls {
            let request = list(0x77, &[tlv(0x80, START_TLS)]);
            connection.ask(request, 0x78).await?;
        }
        if address.tls || address.start_tls {
            let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            let handshake = TlsConnector::from(tls.current(false)).connect(name, connection.stream);
            let secured = timeout(patience, handshake).await.map_err(|_| late("no TLS in time"))?;
            connection.stream = Box::new(secured.map_err(|error| io::Error::other(format!("TLS: {error}")))?);
        }
        Ok(connection)
    }

    /// Names the user of the connection. False when name and password do not fit.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<bool, Refusal> {
        let request = list(0x60, &[number(INTEGER, 3), tlv(OCTETS, dn), tlv(0x80, password)]);
        match self.ask(request, 0x61).await {
            Ok(()) => Ok(true),
            // Directories say the one or the other of a name that they do not know.
            Err(Refusal::Code(INVALID_CREDENTIALS | NO_SUCH_OBJECT, _)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Entries below `base`, `most` at most. A base that is not there holds none.
    pub(super) async fn search(
        &mut self,
        (base, reach): (&str, Reach),
        filter: &[u8],
        attributes: &[&str],
        most: usize,
    ) -> Result<Vec<Entry>, Refusal> {
        let most = most.clamp(1, MAX_ENTRIES);
        let wanted: Vec<Vec<u8>> = attributes.iter().map(|name| tlv(OCTETS, name)).collect();
        let scope = match reach {
            Reach::Base => 0,
            Reach::Subtree => 2,
        };
        let left = self.deadline.saturating_duration_since(Instant::now()).as_secs().max(1);
        let request = list(
            0x63,
            &[
                tlv(OCTETS, base),
                number(ENUMERATED, scope),
                // Aliases are followed, as Java does.
                number(ENUMERATED, 3),
                number(INTEGER, u32::try_from(most).unwrap_or(u32::MAX)),
                number(INTEGER, u32::try_from(left).unwrap_or(u32::MAX)),
                tlv(BOOLEAN, [0]),
                filter.to_vec(),
                list(SEQUENCE, &wanted),
            ],
        );
        let id = self.send(request).await?;
        let mut entries = Vec::new();
        loop {
            let message = self.receive(id).await?;
            match Reader(&message).next() {
                Some((0x64, entry)) if entries.len() < most => {
                    entries.push(entry_of(entry).ok_or_else(unreadable)?);
                }
                // More than was asked for; references to other servers, as a forest has them.
                Some((0x64 | 0x73, _)) => {}
                Some((0x65, result)) => match result_of(result).ok_or_else(unreadable)? {
                    (SUCCESS | SIZE_LIMIT | TIME_LIMIT | REFERRAL | NO_SUCH_OBJECT, _) => return Ok(entries),
                    (code, text) => return Err(Refusal::Code(code, text)),
                },
                _ => return Err(unreadable()),
            }
        }
    }

    /// A new entry.
    pub(super) async fn add(&mut self, dn: &str, attributes: &[(&str, Vec<&[u8]>)]) -> Result<(), Refusal> {
        let all: Vec<Vec<u8>> = attributes.iter().map(|(name, values)| attribute(name, values)).collect();
        self.ask(list(0x68, &[tlv(OCTETS, dn), list(SEQUENCE, &all)]), 0x69).await
    }

    /// Changes one attribute of an entry.
    pub(super) async fn modify(&mut self, dn: &str, edit: Edit, name: &str, value: &[u8]) -> Result<(), Refusal> {
        let kind = match edit {
            Edit::Add => 0,
            Edit::Delete => 1,
            Edit::Replace => 2,
        };
        let change = list(SEQUENCE, &[number(ENUMERATED, kind), attribute(name, &[value])]);
        self.ask(list(0x66, &[tlv(OCTETS, dn), list(SEQUENCE, &[change])]), 0x67).await
    }

    /// Removes an entry.
    pub(super) async fn delete(&mut self, dn: &str) -> Result<(), Refusal> {
        self.ask(tlv(0x4a, dn), 0x6b).await
    }

    /// Says goodbye; nobody answers.
    pub(super) async fn close(mut self) {
        drop(self.send(tlv(0x42, [])).await);
    }

    /// Sends a request whose answer is a result.
    async fn ask(&mut self, request: Vec<u8>, answer: u8) -> Result<(), Refusal> {
        let id = self.send(request).await?;
        let message = self.receive(id).await?;
        let result = Reader(&message).expect(answer).and_then(result_of);
        match result.ok_or_else(unreadable)? {
            (SUCCESS, _) => Ok(()),
            (code, text) => Err(Refusal::Code(code, text)),
        }
    }

    async fn send(&mut self, request: Vec<u8>) -> Result<u32, Refusal> {
        self.last += 1;
        let message = list(SEQUENCE, &[number(INTEGER, self.last), request]);
        let sending = async {
            self.stream.write_all(&message).await?;
            self.stream.flush().await
        };
        timeout_at(self.deadline, sending).await.map_err(|_| late("the directory takes nothing in time"))??;
        Ok(self.last)
    }

    /// What the next message of an id holds. Others, such as the notice that the server is about to close, end the talk.
    async fn receive(&mut self, id: u32) -> Result<Vec<u8>, Refusal> {
        let reading = read_message(&mut self.stream);
        let message = timeout_at(self.deadline, reading).await.map_err(|_| late("no answer in time"))??;
        let mut reader = Reader(&message);
        match reader.number(INTEGER) {
            Some(found) if found == id => Ok(reader.0.to_vec()),
            _ => Err(unreadable()),
        }
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

fn unreadable() -> Refusal {
    Refusal::Broken(io::Error::new(io::ErrorKind::InvalidData, "the answer is not one of LDAP"))
}

/// The content of the next message.
async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, Refusal> {
    let mut head = vec![stream.read_u8().await?];
    if head[0] != SEQUENCE {
        return Err(unreadable());
    }
    head.clear();
    let size = loop {
        head.push(stream.read_u8().await?);
        match length(&head) {
            Some((_, size)) => break size,
            None if head.len() < 5 && (0x81..=0x84).contains(&head[0]) => {}
            None => return Err(unreadable()),
        }
    };
    if size > MAX_MESSAGE {
        return Err(io::Error::other(format!("an answer is longer than {MAX_MESSAGE} bytes")).into());
    }
    let mut message = vec![0; size];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

fn attribute(name: &str, values: &[&[u8]]) -> Vec<u8> {
    let values: Vec<Vec<u8>> = values.iter().map(|value| tlv(OCTETS, value)).collect();
    list(SEQUENCE, &[tlv(OCTETS, name), list(SET, &values)])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Code and text of a result.
fn result_of(content: &[u8]) -> Option<(u32, String)> {
    let mut reader = Reader(content);
    let code = reader.number(ENUMERATED)?;
    reader.expect(OCTETS)?;
    Some((code, text(reader.expect(OCTETS)?)))
}

fn entry_of(content: &[u8]) -> Option<Entry> {
    let mut reader = Reader(content);
    let mut entry = Entry { dn: text(reader.expect(OCTETS)?), attributes: Vec::new() };
    let mut attributes = Reader(reader.expect(SEQUENCE)?);
    while let Some((SEQUENCE, content)) = attributes.next() {
        let mut reader = Reader(content);
        let name = text(reader.expect(OCTETS)?);
        let (mut set, mut values) = (Reader(reader.expect(SET)?), Vec::new());
        while let Some((OCTETS, value)) = set.next() {
            values.push(text(value));
        }
        // Options such as `;range=0-1499` are no part of the name.
        let name = name.split(';').next().unwrap_or_default().to_owned();
        entry.attributes.push((name, values));
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let parsed = |url: &str| Address::parse(url, true).map(|it| (it.host, it.port, it.tls, it.start_tls));
        assert_eq!(parsed("ldap://h"), Some(("h".to_owned(), 389, false, true)));
        assert_eq!(parsed("LDAPS://h/dc=x"), Some(("h".to_owned(), 636, true, false)));
        assert_eq!(parsed("ldap://[::1]:10389"), Some(("::1".to_owned(), 10389, false, true)));
        assert_eq!(parsed("ldap://[::1]"), Some(("::1".to_owned(), 389, false, true)));
        let open = |url: &str, start_tls| Address::parse(url, start_tls).is_some_and(|it| it.is_open());
        assert!(open("ldap://h", false) && open("ldap://192.0.2.1", false));
        for (url, start_tls) in
            [("ldap://h", true), ("ldaps://h", false), ("ldap://localhost", false), ("ldap://[::1]", false)]
        {
            assert!(!open(url, start_tls), "{url}");
        }
        for wrong in ["", "h", "http://h", "ldap://", "ldap://h:x", "ldap://h:70000"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_is_no_message_ends_the_talk() {
        use io::ErrorKind::{InvalidData, Other, UnexpectedEof};
        for (sent, expected) in [
            (&b""[..], UnexpectedEof),
            (b"HTTP/1.1 400", InvalidData),
            (b"\x30\x80\x00\x00", InvalidData),
            (b"\x30\x85\x01\x01\x01\x01\x01", InvalidData),
            // Longer than any message may be.
            (b"\x30\x84\x7f\xff\xff\xff", Other),
            (b"\x30\x02\x02", UnexpectedEof),
        ] {
            let mut stream = sent;
            match read_message(&mut stream).await {
                Err(Refusal::Broken(error)) => assert_eq!(error.kind(), expected, "{sent:?}"),
                other => panic!("{sent:?}: {other:?}"),
            }
        }
        let mut good = &b"\x30\x03\x02\x01\x05"[..];
        assert_eq!(read_message(&mut good).await.expect("a message"), [2, 1, 5]);
    }
}
