//! The two directions of a client's connection, which may be used by different tasks, with the book-keeping that time-outs
//! need.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_rustls::TlsStream;

use super::io::{Activity, Io, Stream};

type Tls = Box<TlsStream<TcpStream>>;

enum Read {
    Plain(OwnedReadHalf),
    /// The halves of a TLS connection share its state behind a lock, which is free unless both are used at once.
    Tls(tokio::io::ReadHalf<Tls>),
}

enum Write {
    Plain(OwnedWriteHalf),
    Tls(tokio::io::WriteHalf<Tls>),
}

/// What the client sends, with what was read of it and not used yet.
pub(crate) struct ReadSide {
    half: Read,
    pub(crate) buffer: BytesMut,
    activity: Arc<Activity>,
}

/// What the client gets.
pub(crate) struct WriteSide {
    half: Write,
    activity: Arc<Activity>,
}

/// Takes a connection apart.
pub(crate) fn split(io: Io) -> (ReadSide, WriteSide) {
    let (stream, activity, ahead) = io.into_parts();
    let (read, write) = match stream {
        Stream::Plain(plain) => {
            let (read, write) = plain.into_split();
            (Read::Plain(read), Write::Plain(write))
        }
        Stream::Tls(tls) => {
            let (read, write) = tokio::io::split(tls);
            (Read::Tls(read), Write::Tls(write))
        }
        #[cfg(test)]
        Stream::Memory(_) => unreachable!("only the client has a network in memory"),
    };
    if !ahead.is_empty() {
        activity.note_read(ahead.len());
    }
    let buffer = BytesMut::from(ahead);
    (ReadSide { half: read, buffer, activity: activity.clone() }, WriteSide { half: write, activity })
}

impl ReadSide {
    /// Reads into the buffer; the number of bytes, 0 at the end. A connection that waits holds no buffer.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty()
            && let Read::Plain(plain) = &self.half
            && plain.as_ref().poll_read_ready(cx).is_pending()
        {
            self.buffer = BytesMut::new();
            return Poll::Pending;
        }
        self.buffer.reserve(room);
        let count = ready!(std::pin::pin!(self.half.read_buf(&mut self.buffer)).poll(cx))?;
        self.activity.note_read(count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncRead for Read {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(plain) => Pin::new(plain).poll_read(cx, buffer),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buffer),
        }
    }
}

macro_rules! on_half {
    ($half:expr, $inner:ident => $call:expr) => {
        match $half {
            Write::Plain(plain) => {
                let $inner = Pin::new(plain);
                $call
            }
            Write::Tls(tls) => {
                let $inner = Pin::new(tls);
                $call
            }
        }
    };
}

impl AsyncWrite for WriteSide {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(on_half!(&mut self.half, inner => inner.poll_write(cx, bytes)))?;
        self.activity.note_written(count);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(on_half!(&mut self.half, inner => inner.poll_write_vectored(cx, slices)))?;
        self.activity.note_written(count);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.half {
            Write::Plain(plain) => plain.is_write_vectored(),
            Write::Tls(tls) => tls.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_half!(&mut self.half, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_half!(&mut self.half, inner => inner.poll_shutdown(cx))
    }
}

/// Both directions as one, what was read ahead included.
pub struct Duplex {
    read: ReadSide,
    write: WriteSide,
}

impl std::fmt::Debug for Duplex {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Duplex").finish_non_exhaustive()
    }
}

impl Duplex {
    pub(crate) fn new(read: ReadSide, write: WriteSide) -> Self {
        Self { read, write }
    }
}

impl AsyncRead for Duplex {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let side = &mut self.read;
        if side.buffer.is_empty() {
            return Pin::new(&mut side.half).poll_read(cx, into);
        }
        let count = side.buffer.len().min(into.remaining());
        into.put_slice(&side.buffer.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Duplex {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.write).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.write).poll_shutdown(cx)
    }
}
