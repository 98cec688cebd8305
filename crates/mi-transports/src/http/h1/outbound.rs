//! A message on its way out: a request to a back end or an answer to a client.

use std::cell::Cell;
use std::io::{self, IoSlice, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{Method, StatusCode, Version};
use http_body::Body;
use mi_engine::transport::Payload;
use mi_message::{BodyStream, BoxError, Headers};
use tokio::io::AsyncWrite;

use super::date;
use crate::http::headers::{self, is_hop_by_hop};

/// Body pieces up to this size are copied behind the head, which is cheaper than handing the system two pieces.
const COPIED: usize = 4 * 1024;
/// As much is collected before it is written, while more is at hand.
const COLLECTED: usize = 16 * 1024;
/// Room for the head and small bodies of a message.
const ROOM: usize = 2 * 1024;
/// Memory for heads that a thread keeps between two messages; connections that wait hold none.
const KEPT: usize = 16 * 1024;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What cannot be written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The connection.
    Io(io::Error),
    /// The body that was to be sent.
    Body(BoxError),
}

/// What a request consists of besides its body.
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a str,
    pub(crate) version: Version,
    pub(crate) headers: &'a Headers,
    /// `Host`, when the fields have none.
    pub(crate) authority: &'a str,
    /// Say that the connection will be closed.
    pub(crate) close: bool,
    /// `Proxy-Authorization`, for the proxy on the way.
    pub(crate) proxy_authorization: Option<&'a str>,
}

/// What is said about the connection behind an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Nothing: it stays open.
    Open,
    /// The same, to a client of HTTP/1.0, which wants to be told.
    KeepAlive,
    Close,
}

/// What an answer consists of besides its body.
pub(crate) struct AnswerHead<'a> {
    pub(crate) status: StatusCode,
    /// The phrase, when it is not the standard one.
    pub(crate) reason: Option<&'a str>,
    pub(crate) version: Version,
    pub(crate) headers: &'a Headers,
    /// `Server`, when the fields have none; nothing if empty.
    pub(crate) server: &'a str,
    pub(crate) after: After,
    /// The answer is for HEAD.
    pub(crate) to_head: bool,
}

/// How the end of an answer's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// Bytes that must still come from the stream.
    Length(u64),
    UntilClose,
}

/// The end of a chunk, and of a body whose last chunk it is.
const CHUNK_END: &[u8] = b"\r\n";
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
const CHUNK_END_AND_LAST: &[u8] = b"\r\n0\r\n\r\n";

/// A message being written: `text`, then `piece`, then `tail`; the stream gives more when all three are written.
pub(crate) struct Outbound {
    text: Vec<u8>,
    /// Bytes of `text` that are written.
    at: usize,
    /// A part of the body that is too large to be copied into `text`.
    piece: Bytes,
    tail: &'static [u8],
    stream: Option<BodyStream>,
    coding: Coding,
    /// The body came from a stream and cannot be had again.
    streamed: bool,
    /// `piece` and `tail` as they were at first.
    first: (Bytes, &'static [u8]),
    /// Bytes that the system has taken.
    written: u64,
}

impl Drop for Outbound {
    /// The memory is for the next message of this thread.
    fn drop(&mut self) {
        if self.text.capacity() <= KEPT {
            self.text.clear();
            SPARE.set(std::mem::take(&mut self.text));
        }
    }
}

impl Outbound {
    /// Writes the head and as much of the body as is at hand. `chunked` decides between the two framings; a stream that
    /// is not chunked must know its length.
    pub(crate) fn request(head: &RequestHead<'_>, payload: Payload, chunked: bool) -> Self {
        let coding = if chunked { Coding::Chunked } else { Coding::Length(0) };
        let mut outbound = Self::empty(coding);
        outbound.write_request_head(head);
        match payload {
            Payload::Empty => {
                let expects_body = matches!(*head.method, Method::POST | Method::PUT | Method::PATCH);
                outbound.text.extend_from_slice(if expects_body { b"Content-Length: 0\r\n\r\n" } else { b"\r\n" });
            }
            Payload::Bytes(bytes) => {
                outbound.write_framing(bytes.len() as u64);
                outbound.push(bytes);
                outbound.end();
                outbound.first = (outbound.piece.clone(), outbound.tail);
            }
            Payload::Stream(stream) => {
                outbound.write_framing(stream.size_hint().exact().unwrap_or_default());
                outbound.stream = Some(stream);
                outbound.streamed = true;
            }
        }
        outbound
    }

    /// An answer and as much of its body as is at hand. A body of known length is sent with it, any other chunked, or,
    /// to a client of HTTP/1.0, until the end of the connection: `after` must be [`After::Close`] then, which
    /// [`Outbound::answer_ends_connection`] tells. `before` goes out ahead of it.
    pub(crate) fn answer(before: &[u8], head: &AnswerHead<'_>, payload: Payload) -> Self {
        let mut outbound = Self::empty(Coding::UntilClose);
        outbound.text.extend_from_slice(before);
        outbound.write_answer_head(head);
        let bodiless = matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if bodiless || head.to_head {
            let length = head.headers.get("Content-Length").filter(|_| !bodiless);
            if let Some(length) = length.filter(|it| it.bytes().all(|digit| digit.is_ascii_digit())) {
                // What a GET would have had.
                headers::write_field(&mut outbound.text, "Content-Length", length);
            }
            outbound.text.extend_from_slice(b"\r\n");
            return outbound;
        }
        if let Some(length) = known_length(&payload) {
            outbound.coding = Coding::Length(length);
        } else if head.version == Version::HTTP_11 {
            outbound.coding = Coding::Chunked;
        }
        let length = known_length(&payload).unwrap_or_default();
        outbound.write_framing(length);
        match payload {
            Payload::Empty => {}
            Payload::Bytes(bytes) => outbound.push(bytes),
            Payload::Stream(stream) => {
                outbound.stream = Some(stream);
                outbound.streamed = true;
            }
        }
        outbound
    }

    /// True when only the end of the connection tells the end of such an answer.
    pub(crate) fn answer_ends_connection(version: Version, status: StatusCode, payload: &Payload) -> bool {
        version == Version::HTTP_10
            && !matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
            && known_length(payload).is_none()
    }

    fn empty(coding: Coding) -> Self {
        let mut text = SPARE.take();
        text.reserve(ROOM);
        Self {
            text,
            at: 0,
            piece: Bytes::new(),
            tail: b"",
            stream: None,
            coding,
            streamed: false,
            first: (Bytes::new(), b""),
            written: 0,
        }
    }

    fn write_framing(&mut self, length: u64) {
        match &mut self.coding {
            Coding::Chunked => self.text.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n"),
            Coding::Length(left) => {
                *left = length;
                self.text.extend_from_slice(b"Content-Length: ");
                headers::write_number(&mut self.text, length);
                self.text.extend_from_slice(b"\r\n\r\n");
            }
            Coding::UntilClose => self.text.extend_from_slice(b"\r\n"),
        }
    }

    fn write_answer_head(&mut self, head: &AnswerHead<'_>) {
        let text = &mut self.text;
        text.extend_from_slice(if head.version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        text.extend_from_slice(head.status.as_str().as_bytes());
        text.push(b' ');
        let standard = head.status.canonical_reason().unwrap_or_default();
        let fits = |reason: &&str| reason.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        text.extend_from_slice(head.reason.filter(fits).unwrap_or(standard).as_bytes());
        text.extend_from_slice(b"\r\n");
        let (mut has_date, mut has_server) = (false, head.server.is_empty());
        for (name, value) in head.headers.iter().filter(|(name, _)| !is_hop_by_hop(name)) {
            has_date |= name.eq_ignore_ascii_case("Date");
            has_server |= name.eq_ignore_ascii_case("Server");
            headers::write_field(text, name, value);
        }
        if !has_server {
            headers::write_field(text, "Server", head.server);
        }
        if !has_date {
            date::write(text);
        }
        match head.after {
            After::Open => {}
            After::KeepAlive => text.extend_from_slice(b"Connection: keep-alive\r\n"),
            After::Close => text.extend_from_slice(b"Connection: close\r\n"),
        }
    }

    fn write_request_head(&mut self, head: &RequestHead<'_>) {
        let text = &mut self.text;
        text.extend_from_slice(head.method.as_str().as_bytes());
        text.push(b' ');
        text.extend_from_slice(head.target.as_bytes());
        let version: &[u8] = if head.version == Version::HTTP_10 { b" HTTP/1.0\r\n" } else { b" HTTP/1.1\r\n" };
        text.extend_from_slice(version);
        let mut has_host = false;
        for (name, value) in head.headers.iter() {
            // The body is sent without waiting for leave.
            if is_hop_by_hop(name) || name.eq_ignore_ascii_case("Expect") {
                continue;
            }
            let written = headers::write_field(text, name, value);
            has_host |= written && name.eq_ignore_ascii_case("Host");
        }
        if !has_host {
            headers::write_field(text, "Host", head.authority);
        }
        if let Some(authorization) = head.proxy_authorization {
            headers::write_field(text, "Proxy-Authorization", authorization);
        }
        if head.close {
            text.extend_from_slice(b"Connection: close\r\n");
        }
    }

    /// Everything was written.
    pub(crate) fn is_done(&self) -> bool {
        self.stream.is_none() && !self.has_bytes()
    }

    fn has_bytes(&self) -> bool {
        self.at < self.text.len() || !self.piece.is_empty() || !self.tail.is_empty()
    }

    /// Begins anew, for another connection. False when a part of the body is gone.
    pub(crate) fn rewind(&mut self) -> bool {
        if self.written > 0 {
            if self.streamed {
                return false;
            }
            self.at = 0;
            (self.piece, self.tail) = self.first.clone();
            self.written = 0;
        }
        true
    }

    /// Nothing has left this machine.
    pub(crate) fn is_unsent(&self) -> bool {
        self.written == 0
    }

    /// Writes as much as the connection takes. Ready when the request is written.
    pub(crate) fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<Result<(), WriteFailure>> {
        loop {
            while self.stream.is_some() && self.piece.is_empty() && self.text.len() - self.at < COLLECTED {
                match self.poll_collect(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(WriteFailure::Body(error))),
                    Poll::Pending => break,
                }
            }
            if !self.has_bytes() {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(WriteFailure::Io)?;
                return if self.stream.is_none() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            let text = &self.text[self.at..];
            let wrote = if self.piece.is_empty() && self.tail.is_empty() {
                Pin::new(&mut *io).poll_write(cx, text)
            } else {
                let parts = [IoSlice::new(text), IoSlice::new(&self.piece), IoSlice::new(self.tail)];
                Pin::new(&mut *io).poll_write_vectored(cx, &parts)
            };
            match ready!(wrote) {
                Ok(0) => return Poll::Ready(Err(WriteFailure::Io(io::ErrorKind::WriteZero.into()))),
                Ok(count) => self.advance(count),
                Err(error) => return Poll::Ready(Err(WriteFailure::Io(error))),
            }
        }
    }

    fn advance(&mut self, count: usize) {
        self.written += count as u64;
        let of_text = count.min(self.text.len() - self.at);
        self.at += of_text;
        let of_piece = (count - of_text).min(self.piece.len());
        self.piece.advance(of_piece);
        self.tail = &self.tail[count - of_text - of_piece..];
        if self.streamed && self.at == self.text.len() && self.piece.is_empty() {
            self.text.clear();
            self.at = 0;
            self.text.extend_from_slice(std::mem::take(&mut self.tail));
        }
    }

    /// Takes the next part of the body from the stream.
    fn poll_collect(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(())) };
        let frame = ready!(Pin::new(&mut *stream).poll_frame(cx)).transpose()?;
        let ended = frame.is_none() || stream.is_end_stream();
        if let Some(data) = frame.and_then(|frame| frame.into_data().ok()) {
            if let Coding::Length(left) = &mut self.coding {
                *left = left.checked_sub(data.len() as u64).ok_or("the body is longer than it said")?;
            }
            self.push(data);
        }
        if ended {
            if matches!(self.coding, Coding::Length(left) if left > 0) {
                return Poll::Ready(Err("the body is shorter than it said".into()));
            }
            self.stream = None;
            self.end();
        }
        Poll::Ready(Ok(()))
    }

    /// Puts a part of the body behind what waits; there is no piece then.
    fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            // In the chunked coding an empty chunk would be the end.
            return;
        }
        let chunked = self.coding == Coding::Chunked;
        if chunked {
            write!(self.text, "{:x}\r\n", data.len()).unwrap_or_default();
        }
        if data.len() > COPIED {
            self.piece = data;
            self.tail = if chunked { CHUNK_END } else { b"" };
            return;
        }
        self.text.extend_from_slice(&data);
        if chunked {
            self.text.extend_from_slice(CHUNK_END);
        }
    }

    /// Ends the body.
    fn end(&mut self) {
        if self.coding != Coding::Chunked {
            return;
        }
        if self.piece.is_empty() {
            self.text.extend_from_slice(LAST_CHUNK);
        } else {
            self.tail = CHUNK_END_AND_LAST;
        }
    }
}

/// What can be told before the body is read.
fn known_length(payload: &Payload) -> Option<u64> {
    match payload {
        Payload::Empty => Some(0),
        Payload::Bytes(bytes) => Some(bytes.len() as u64),
        Payload::Stream(stream) => stream.size_hint().exact(),
    }
}
