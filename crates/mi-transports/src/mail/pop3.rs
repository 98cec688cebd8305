//! The client's side of POP3 (RFC 1939): a mailbox that can be listed, read and emptied, without folders and flags.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::wire::Wire;
use super::{Credentials, MAX_MAIL, Secure, Server};

const MAX_LINE: usize = 64 * 1024;
/// Most mails of a mailbox.
const MAX_MAILS: usize = 1_000_000;

/// A connection that has signed in.
pub(super) struct Pop3 {
    wire: Wire,
}

impl Pop3 {
    /// Connects and signs in.
    pub(super) async fn open(server: &Server) -> io::Result<Self> {
        let mut pop = Self { wire: Wire::open(server).await? };
        pop.answer("the greeting").await?;
        if server.secure == Secure::StartTls {
            pop.command("STLS").await?;
            pop.wire = pop.wire.secured(server).await?;
        }
        if let Some(credentials) = &server.credentials {
            pop.sign_in(credentials).await?;
        }
        Ok(pop)
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> io::Result<()> {
        let Credentials { user, password, bearer } = credentials;
        if [user, password].into_iter().any(|it| it.contains(['\r', '\n', '\0'])) {
            return Err(io::Error::other("user name and password are one line each"));
        }
        if *bearer {
            let token = BASE64.encode(format!("user={user}\u{1}auth=Bearer {password}\u{1}\u{1}"));
            return self.secret(&format!("AUTH XOAUTH2 {token}")).await;
        }
        self.secret(&format!("USER {user}")).await?;
        self.secret(&format!("PASS {password}")).await
    }

    /// Numbers of the mails, oldest first.
    pub(super) async fn numbers(&mut self) -> io::Result<Vec<u32>> {
        self.command("LIST").await?;
        let lines = self.lines("LIST", MAX_MAILS * 16).await?;
        let lines = String::from_utf8_lossy(&lines).into_owned();
        Ok(lines.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect())
    }

    /// A mail as it is, or its header only.
    pub(super) async fn mail(&mut self, number: u32, header_only: bool) -> io::Result<Vec<u8>> {
        if header_only && self.command(&format!("TOP {number} 0")).await.is_ok() {
            return self.lines("TOP", MAX_MAIL).await;
        }
        self.command(&format!("RETR {number}")).await?;
        self.lines("RETR", MAX_MAIL).await
    }

    /// Marks a mail; it goes when the connection ends in order.
    pub(super) async fn delete(&mut self, number: u32) -> io::Result<()> {
        self.command(&format!("DELE {number}")).await
    }

    /// Ends the connection in order, which takes what is marked out of the mailbox.
    pub(super) async fn quit(mut self) -> io::Result<()> {
        self.command("QUIT").await
    }

    async fn command(&mut self, command: &str) -> io::Result<()> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.answer(command).await
    }

    /// A command that no error may show.
    async fn secret(&mut self, command: &str) -> io::Result<()> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.answer("signing in").await
    }

    async fn answer(&mut self, to: &str) -> io::Result<()> {
        let line = self.wire.line(MAX_LINE, to).await?;
        let text = String::from_utf8_lossy(&line);
        if text.starts_with("+OK") {
            return Ok(());
        }
        let why = if line.is_empty() { "the server hung up" } else { text.trim_end() };
        Err(io::Error::other(format!("{to} was answered with {why}")))
    }

    /// The lines up to the dot.
    async fn lines(&mut self, to: &str, most: usize) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        loop {
            let line = self.wire.line(most.saturating_sub(lines.len()).max(3), to).await?;
            if line == b".\r\n" || line == b".\n" {
                return Ok(lines);
            }
            if !line.ends_with(b"\n") {
                let why = if line.is_empty() { "the server hung up" } else { "it is longer than the limit" };
                return Err(io::Error::other(format!("no answer to {to}: {why} ({most} bytes)")));
            }
            lines.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}
