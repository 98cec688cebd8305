//! The client's side of IMAP4rev1 (RFC 3501), as far as mailboxes are searched, read and flagged.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::command::Search;
use super::wire::Wire;
use super::{Credentials, MAX_MAIL, Secure, Server};

/// Longest line of an answer, without the literals in it.
const MAX_LINE: usize = 1024 * 1024;
/// Most lines that one command may be answered with.
const MAX_LINES: usize = 200_000;

/// A connection that has signed in.
pub(super) struct Imap {
    wire: Wire,
    tag: u32,
}

/// A part of a command.
enum Part<'a> {
    /// As it is.
    Plain(&'a str),
    /// A string that may hold anything.
    Text(&'a str),
}

use Part::{Plain, Text};

/// A line of an answer with the literals in it.
#[derive(Default)]
struct Line {
    text: String,
    literal: Option<Vec<u8>>,
}

impl Imap {
    /// Connects and signs in.
    pub(super) async fn open(server: &Server) -> io::Result<Self> {
        let mut imap = Self { wire: Wire::open(server).await?, tag: 0 };
        let greeting = imap.line("the greeting").await?.text;
        let known = greeting.starts_with("* PREAUTH");
        if !known && !greeting.starts_with("* OK") {
            return Err(io::Error::other(format!("the server does not want to talk: {greeting}")));
        }
        if server.secure == Secure::StartTls {
            imap.command("STARTTLS", &[]).await?;
            imap.wire = imap.wire.secured(server).await?;
        }
        match &server.credentials {
            Some(credentials) if !known => imap.sign_in(credentials).await?,
            _ => {}
        }
        Ok(imap)
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> io::Result<()> {
        let Credentials { user, password, bearer } = credentials;
        if !bearer {
            return self.command("LOGIN", &[Text(user), Plain(" "), Text(password)]).await.map(drop);
        }
        let token = BASE64.encode(format!("user={user}\u{1}auth=Bearer {password}\u{1}\u{1}"));
        self.command("AUTHENTICATE", &[Plain("XOAUTH2 "), Plain(&token)]).await.map(drop)
    }

    /// Opens a folder.
    pub(super) async fn select(&mut self, folder: &str, read_only: bool) -> io::Result<Vec<String>> {
        let command = if read_only { "EXAMINE" } else { "SELECT" };
        let lines = self.command(command, &[Text(&modified_utf7(folder))]).await?;
        Ok(lines.into_iter().map(|it| it.text).collect())
    }

    /// Unique ids of the mails that are wanted, oldest first.
    pub(super) async fn search(&mut self, wanted: &Search) -> io::Result<Vec<u32>> {
        let texts = [&wanted.subject, &wanted.from, &wanted.id];
        let ascii = texts.into_iter().flatten().all(|text| text.is_ascii());
        let mut parts = vec![Plain(if ascii { "SEARCH ALL" } else { "SEARCH CHARSET UTF-8 ALL" })];
        for (flag, yes, no) in [
            (wanted.deleted, " DELETED", " UNDELETED"),
            (wanted.seen, " SEEN", " UNSEEN"),
            (wanted.answered, " ANSWERED", " UNANSWERED"),
            (wanted.recent, " RECENT", " OLD"),
        ] {
            match flag {
                Some(true) => parts.push(Plain(yes)),
                Some(false) => parts.push(Plain(no)),
                None => {}
            }
        }
        for (key, text) in
            [(" SUBJECT ", &wanted.subject), (" FROM ", &wanted.from), (" HEADER Message-ID ", &wanted.id)]
        {
            if let Some(text) = text {
                parts.extend([Plain(key), Text(text)]);
            }
        }
        let dates: Vec<String> = wanted
            .after
            .iter()
            .map(|day| format!(" SINCE {0} NOT ON {0}", imap_day(day)))
            .chain(wanted.before.iter().map(|day| format!(" BEFORE {}", imap_day(day))))
            .collect();
        parts.extend(dates.iter().map(|it| Plain(it)));
        let lines = self.command("UID", &parts).await?;
        let found = lines.iter().filter_map(|line| line.text.strip_prefix("* SEARCH"));
        let mut ids: Vec<u32> = found.flat_map(str::split_ascii_whitespace).filter_map(|id| id.parse().ok()).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// A mail as it is. None when it has gone.
    pub(super) async fn mail(&mut self, id: u32) -> io::Result<Option<Vec<u8>>> {
        let lines = self.command("UID", &[Plain(&format!("FETCH {id} (BODY.PEEK[])"))]).await?;
        Ok(lines.into_iter().find_map(|line| {
            let body = line.text.find("BODY[]").filter(|_| line.text.contains(" FETCH "))?;
            let rest = line.text.get(body + "BODY[]".len()..).unwrap_or_default().trim_start();
            match line.literal {
                Some(bytes) => Some(bytes),
                None => rest.strip_prefix('"').map(unquoted),
            }
        }))
    }

    /// Sets a flag such as `\Seen`.
    pub(super) async fn flag(&mut self, id: u32, flag: &str) -> io::Result<()> {
        self.command("UID", &[Plain(&format!("STORE {id} +FLAGS.SILENT ({flag})"))]).await.map(drop)
    }

    /// Takes what is marked as deleted out of the open folder.
    pub(super) async fn expunge(&mut self) -> io::Result<()> {
        self.command("EXPUNGE", &[]).await.map(drop)
    }

    /// Says good-bye; how the connection ends does not matter any more.
    pub(super) async fn leave(mut self) {
        drop(self.command("LOGOUT", &[]).await);
    }

    /// Sends a command; the lines before its OK.
    async fn command(&mut self, name: &str, parts: &[Part<'_>]) -> io::Result<Vec<Line>> {
        self.tag = self.tag.wrapping_add(1);
        let tag = format!("a{}", self.tag);
        let mut written = format!("{tag} {name}").into_bytes();
        if !parts.is_empty() {
            written.push(b' ');
        }
        for part in parts {
            match part {
                Plain(text) => written.extend_from_slice(text.as_bytes()),
                Text(text) if text.bytes().all(|it| (b' '..=b'~').contains(&it)) => {
                    let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
                    written.extend_from_slice(format!("\"{quoted}\"").as_bytes());
                }
                Text(text) => {
                    written.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
                    self.wire.write(&written).await?;
                    self.go_on(&tag, name).await?;
                    written = text.as_bytes().to_vec();
                }
            }
        }
        written.extend_from_slice(b"\r\n");
        self.wire.write(&written).await?;
        self.answer(&tag, name).await
    }

    /// Waits until the server wants a literal.
    async fn go_on(&mut self, tag: &str, name: &str) -> io::Result<()> {
        for _ in 0..MAX_LINES {
            let line = self.line(name).await?.text;
            if line.starts_with('+') {
                return Ok(());
            }
            if let Some(rest) = line.strip_prefix(tag) {
                return Err(io::Error::other(format!("{name} was answered with {}", rest.trim())));
            }
        }
        Err(io::Error::other(format!("the server says too much to {name}")))
    }

    async fn answer(&mut self, tag: &str, name: &str) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut bytes = 0_usize;
        for _ in 0..MAX_LINES {
            let line = self.line(name).await?;
            if let Some(rest) = line.text.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                let status = rest.split(' ').next().unwrap_or_default();
                if status.eq_ignore_ascii_case("OK") {
                    return Ok(lines);
                }
                return Err(io::Error::other(format!("{name} was answered with {}", rest.trim())));
            }
            if line.text.starts_with('+') {
                // A refused token is explained first; an empty line asks for the verdict.
                self.wire.write(b"\r\n").await?;
                continue;
            }
            bytes += line.text.len() + line.literal.as_ref().map_or(0, Vec::len);
            lines.push(line);
            if bytes > MAX_MAIL + MAX_LINE {
                break;
            }
        }
        Err(io::Error::other(format!("the server says too much to {name}")))
    }

    /// A line with its literals; the last of several is kept.
    async fn line(&mut self, to: &str) -> io::Result<Line> {
        let mut whole = Line::default();
        let mut literals = 0;
        loop {
            let line = self.wire.line(MAX_LINE, to).await?;
            if !line.ends_with(b"\n") {
                let why = if line.is_empty() { "the server hung up" } else { "its line is too long" };
                return Err(io::Error::other(format!("no answer to {to}: {why}")));
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            whole.text.push_str(text);
            if whole.text.len() > MAX_LINE {
                return Err(io::Error::other(format!("no answer to {to}: its line is too long")));
            }
            let Some(length) = literal(text) else { return Ok(whole) };
            literals += length;
            if literals > MAX_MAIL {
                return Err(io::Error::other(format!(
                    "a mail of {literals} bytes is larger than {MAX_MAIL}, which is the limit"
                )));
            }
            whole.literal = Some(self.wire.bytes(length, to).await?);
        }
    }
}

/// The length of the literal that a line ends with.
fn literal(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}

/// A quoted string up to its end.
fn unquoted(text: &str) -> Vec<u8> {
    let mut out = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => out.extend(letters.next()),
            other => out.push(other),
        }
    }
    out.into_bytes()
}

/// `23-Nov-2026` of `2026-11-23`.
fn imap_day(day: &chrono::NaiveDate) -> String {
    day.format("%-d-%b-%Y").to_string()
}

/// Names of folders on the wire (RFC 3501, 5.1.3).
fn modified_utf7(name: &str) -> String {
    let mut out = String::new();
    let mut pending = Vec::new();
    let flush = |pending: &mut Vec<u8>, out: &mut String| {
        if !pending.is_empty() {
            out.push('&');
            out.push_str(&BASE64.encode(&*pending).trim_end_matches('=').replace('/', ","));
            out.push('-');
            pending.clear();
        }
    };
    for letter in name.chars() {
        if (' '..='~').contains(&letter) {
            flush(&mut pending, &mut out);
            out.push(letter);
            if letter == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            pending.extend(letter.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut pending, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders() {
        for (name, wire) in [("INBOX", "INBOX"), ("A&B", "A&-B"), ("Entwürfe", "Entw&APw-rfe"), ("台北", "&U,BTFw-")]
        {
            assert_eq!(modified_utf7(name), wire);
        }
    }

    #[test]
    fn parts_of_answers() {
        assert_eq!(literal("* 1 FETCH (BODY[] {12}"), Some(12));
        assert_eq!(literal("* OK {x}"), None);
        assert_eq!(unquoted(r#"a\"b" UID 7)"#), b"a\"b");
        let day = chrono::NaiveDate::from_ymd_opt(2026, 11, 3).unwrap();
        assert_eq!(imap_day(&day), "3-Nov-2026");
    }
}
