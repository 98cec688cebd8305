//! The client's side of SMTP (RFC 5321): greeting, STARTTLS (RFC 3207), signing in (RFC 4954), one mail, good-bye.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::wire::Wire;
use super::{Credentials, Mail, Secure, Server};

/// Longest answer of a server.
const MAX_ANSWER: usize = 64 * 1024;

struct Session {
    wire: Wire,
    /// What the server says that it can do, one a line.
    abilities: Vec<String>,
}

/// Sends one mail. It is sent when all recipients were taken.
pub(super) async fn send(server: &Server, mail: &Mail) -> io::Result<()> {
    let mut session = connect(server).await?;
    if let Some(credentials) = &server.credentials {
        session.sign_in(credentials).await?;
    }
    session.mail(mail).await?;
    // The server has the mail; how the connection ends does not matter any more.
    drop(session.command("QUIT", 2).await);
    Ok(())
}

async fn connect(server: &Server) -> io::Result<Session> {
    let mut session = Session { wire: Wire::open(server).await?, abilities: Vec::new() };
    session.answer("the greeting", 2).await?;
    session.hello().await?;
    if server.secure == Secure::StartTls {
        if !session.can("STARTTLS") {
            return Err(io::Error::other("the server has no STARTTLS"));
        }
        session.command("STARTTLS", 2).await?;
        session = Session { wire: session.wire.secured(server).await?, abilities: Vec::new() };
        session.hello().await?;
    }
    Ok(session)
}

impl Session {
    fn can(&self, ability: &str) -> bool {
        self.abilities.iter().any(|it| it.split(' ').next().is_some_and(|name| name.eq_ignore_ascii_case(ability)))
    }

    async fn hello(&mut self) -> io::Result<()> {
        let lines = match self.command("EHLO localhost", 2).await {
            Ok(lines) => lines,
            Err(_) => self.command("HELO localhost", 2).await?,
        };
        self.abilities = lines.into_iter().skip(1).collect();
        Ok(())
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> io::Result<()> {
        let Credentials { user, password, bearer } = credentials;
        // What a server says may hold any character.
        let ways = self.abilities.iter().filter_map(|it| it.split_once([' ', '=']));
        let ways = ways.filter(|(name, _)| name.eq_ignore_ascii_case("AUTH")).map(|(_, ways)| ways).next();
        let ways = ways.unwrap_or_default().to_ascii_uppercase();
        let has = |way: &str| ways.split_ascii_whitespace().any(|it| it == way);
        if *bearer {
            let token = BASE64.encode(format!("user={user}\u{1}auth=Bearer {password}\u{1}\u{1}"));
            return self.secret(&format!("AUTH XOAUTH2 {token}"), 2).await;
        }
        if has("LOGIN") && !has("PLAIN") {
            self.secret("AUTH LOGIN", 3).await?;
            self.secret(&BASE64.encode(user), 3).await?;
            return self.secret(&BASE64.encode(password), 2).await;
        }
        self.secret(&format!("AUTH PLAIN {}", BASE64.encode(format!("\0{user}\0{password}"))), 2).await
    }

    /// A command that no error may show.
    async fn secret(&mut self, command: &str, wanted: u8) -> io::Result<()> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.answer("signing in", wanted).await.map(drop)
    }

    async fn mail(&mut self, mail: &Mail) -> io::Result<()> {
        self.command(&format!("MAIL FROM:<{}>", mail.from), 2).await?;
        for recipient in &mail.recipients {
            self.command(&format!("RCPT TO:<{recipient}>"), 2).await?;
        }
        self.command("DATA", 3).await?;
        self.wire.write(&stuffed(&mail.text)).await?;
        self.answer("the mail", 2).await.map(drop)
    }

    /// Sends a command; the first digit of the answer's code has to be `wanted`.
    async fn command(&mut self, command: &str, wanted: u8) -> io::Result<Vec<String>> {
        self.wire.write(format!("{command}\r\n").as_bytes()).await?;
        self.answer(command, wanted).await
    }

    /// The lines of an answer without their codes.
    async fn answer(&mut self, to: &str, wanted: u8) -> io::Result<Vec<String>> {
        let (mut lines, mut left) = (Vec::new(), MAX_ANSWER);
        loop {
            let line = self.wire.line(left, to).await?;
            let read = line.len();
            left -= read;
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            let digits = text.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
            let Some(code) = digits.filter(|_| line.ends_with(b"\n")) else {
                let why = if read == 0 { "the server hung up".to_owned() } else { format!("not SMTP: {text:?}") };
                return Err(io::Error::other(format!("no answer to {to}: {why}")));
            };
            let good = code.as_bytes()[0] == b'0' + wanted;
            let more = text.as_bytes().get(3) == Some(&b'-');
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            if more {
                continue;
            }
            if good {
                return Ok(lines);
            }
            return Err(io::Error::other(format!("{to} was answered with {code} {}", lines.join(" "))));
        }
    }
}

/// The mail with CRLF at the ends of lines, a dot doubled at their beginnings, and the dot at the end.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        let bare = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        out.extend_from_slice(bare);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
