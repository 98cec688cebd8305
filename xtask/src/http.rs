//! The few lines of HTTP/1.1 that the demo check needs: one request on one connection, the whole answer read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const TIMEOUT: Duration = Duration::from_secs(20);
/// No answer of the samples comes near this.
const MAX_ANSWER: u64 = 4 << 20;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// The first header of that name, in any case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Sends a request to a port of this machine and reads the answer.
pub(crate) fn request(port: u16, method: &str, path: &str, headers: &[(String, String)], body: &str) -> Result<Answer> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream =
        TcpStream::connect_timeout(&address, TIMEOUT).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body);
    stream.write_all(text.as_bytes()).context("cannot send the request")?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut bytes).context("cannot read the answer")?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<Answer> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("the answer has no end of its headers")?;
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|it| it.split(' ').nth(1)).and_then(|it| it.parse().ok()).context("no status line")?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|it| it.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    let answer = Answer { status, headers, body: body.to_owned() };
    match answer.header("transfer-encoding") {
        Some(coding) if coding.eq_ignore_ascii_case("chunked") => Ok(Answer { body: unchunk(body)?, ..answer }),
        _ => Ok(answer),
    }
}

fn unchunk(mut rest: &str) -> Result<String> {
    let mut body = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n").context("the answer ends within a chunk")?;
        let size =
            usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16).context("bad chunk size")?;
        if size == 0 {
            return Ok(body);
        }
        let (Some(chunk), Some(next)) = (behind.get(..size), behind.get(size + 2..)) else {
            bail!("the answer ends within a chunk");
        };
        body.push_str(chunk);
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: Option<(u16, &str)>) {
        let answer = parse(bytes.as_bytes()).ok();
        assert_eq!(
            answer.map(|it| (it.status, it.body)),
            expected.map(|(status, body)| (status, body.to_owned())),
            "{bytes}"
        );
    }

    #[test]
    fn answers() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some((200, "hi")));
        check("HTTP/1.1 202 Accepted\r\n\r\n", Some((202, "")));
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n",
            Some((200, "hi!")),
        );
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi", None);
        check("HTTP/1.1", None);
    }
}
