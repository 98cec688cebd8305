//! A back end that speaks as much HTTP/1.1 as a test needs: it reads whole requests and answers each.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// A request as it arrived, and the host that it was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The host that was connected to.
    pub host: String,
    /// Request line and header fields.
    pub head: String,
    /// The body, with the framing of chunks in it.
    pub body: String,
}

impl Request {
    /// The value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The request as soon as all of it is there, and how many bytes it has.
    fn take(host: &str, bytes: &[u8]) -> Option<(Self, usize)> {
        let text = String::from_utf8_lossy(bytes);
        let (head, rest) = text.split_once("\r\n\r\n")?;
        let request = Self { host: host.to_owned(), head: head.to_owned(), body: String::new() };
        let length = match request.header("Content-Length") {
            Some(length) => length.parse().ok()?,
            None if request.header("Transfer-Encoding").is_some() => rest.find("0\r\n\r\n")? + 5,
            None => 0,
        };
        let body = rest.get(..length)?.to_owned();
        Some((Self { body, ..request }, head.len() + 4 + length))
    }
}

/// Answers until the client has gone.
pub(crate) async fn serve(
    host: String,
    mut pipe: DuplexStream,
    mut answer: impl FnMut(Request) -> String,
) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        while let Some((request, length)) = Request::take(&host, &bytes) {
            bytes.drain(..length);
            pipe.write_all(answer(request).as_bytes()).await?;
        }
        if pipe.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_when_all_of_it_is_there() {
        let all = "POST /a HTTP/1.1\r\nHost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        let (request, length) = Request::take("x", all.as_bytes()).unwrap();
        assert_eq!((request.header("host"), &*request.body), (Some("x"), "3\r\nabc\r\n0\r\n\r\n"));
        for end in 0..length {
            assert_eq!(Request::take("x", &all.as_bytes()[..end]), None, "{end}");
        }
        let (next, _) = Request::take("x", &all.as_bytes()[length..]).unwrap();
        assert_eq!((&*next.head, &*next.body), ("GET / HTTP/1.1", ""));
    }
}
