//! The byte stream below a connection, plain or TLS, with the book-keeping that time-outs need.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::TlsStream;

/// How much is read and thrown away after an answer that closed the connection, so that the client reads the answer
/// instead of a reset.
pub(crate) const LINGER_BYTES: usize = 256 * 1024;
/// How long that may take.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);

/// Milliseconds on the clock that [`Activity`] uses: the system's coarse one, which is a few milliseconds behind and
/// costs next to nothing to read, as it must be several times per request. Never 0.
pub(crate) fn now_ms() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000 + 1
}

/// What is left of `wait` since a moment of [`now_ms`]; zero when it is over.
pub(crate) fn left_of(wait: Duration, since: u64) -> Duration {
    wait.saturating_sub(Duration::from_millis(now_ms().saturating_sub(since)))
}

/// What happened on a connection. One task writes, everything is read by the same task or for statistics, hence the
/// relaxed order.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// When bytes last moved, either way.
    last: AtomicU64,
    /// When the first byte of the request head being read came; 0 between heads.
    head_since: AtomicU64,
    /// Requests being answered.
    running: AtomicU32,
    /// Any byte came.
    received: AtomicBool,
    /// The peer has finished sending.
    eof: AtomicBool,
    /// Somebody reads a body that the client sends only when it is told to.
    body_wanted: AtomicBool,
    /// A body came to a halt for longer than it may.
    stalled: AtomicBool,
    /// HTTP/2: requests that came.
    streams: AtomicU32,
    /// HTTP/2: requests that the client reset before their answer.
    abandoned: AtomicU32,
    /// Wakes the connection's task.
    task: OnceLock<Waker>,
}

impl Activity {
    /// A connection that was made now.
    pub(crate) fn new() -> Arc<Self> {
        let activity = Self::default();
        activity.touch();
        Arc::new(activity)
    }

    /// Notes the task that serves the connection. A task keeps its waker, so the first one is enough.
    pub(crate) fn remember_task(&self, cx: &Context<'_>) {
        if self.task.get().is_none() {
            self.task.get_or_init(|| cx.waker().clone());
        }
    }

    /// Has the connection look at its surroundings.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.task.get() {
            waker.wake_by_ref();
        }
    }

    /// Notes that something happened now.
    pub(crate) fn touch(&self) {
        self.last.store(now_ms(), Relaxed);
    }

    /// When something last happened.
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Relaxed)
    }

    /// When the head being read began; `None` between heads and while requests are answered.
    pub(crate) fn head_since(&self) -> Option<u64> {
        match self.head_since.load(Relaxed) {
            0 => None,
            since => Some(since),
        }
    }

    /// The next request is waited for, of which something came already or nothing.
    pub(crate) fn await_head(&self, begun: bool) {
        self.head_since.store(if begun { now_ms() } else { 0 }, Relaxed);
    }

    /// Has the client told to send its body.
    pub(crate) fn ask_for_body(&self) {
        self.body_wanted.store(true, Relaxed);
        self.wake();
    }

    /// See [`Self::ask_for_body`].
    pub(crate) fn wants_body(&self) -> bool {
        self.body_wanted.load(Relaxed)
    }

    /// Notes that a client stopped in the middle of a body.
    pub(crate) fn note_stall(&self) {
        self.stalled.store(true, Relaxed);
    }

    /// See [`Self::note_stall`].
    pub(crate) fn has_stalled(&self) -> bool {
        self.stalled.load(Relaxed)
    }

    /// An HTTP/2 request came.
    pub(crate) fn note_stream(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    /// An HTTP/2 request was reset, by the client or because of what it sent, while it was worked on.
    pub(crate) fn note_abandoned(&self) {
        self.abandoned.fetch_add(1, Relaxed);
        self.wake();
    }

    /// The client asks in order to take back: more than `allowed` requests were reset, and most of those that came. Each
    /// may still occupy a flow, which no limit of streams counts any more.
    pub(crate) fn resets_too_much(&self, allowed: u32) -> bool {
        let abandoned = self.abandoned.load(Relaxed);
        abandoned > allowed && abandoned > self.streams.load(Relaxed) / 2
    }

    /// The peer has finished sending.
    pub(crate) fn has_ended(&self) -> bool {
        self.eof.load(Relaxed)
    }

    /// A head was read and its request begins.
    pub(crate) fn begin_request(&self) {
        self.head_since.store(0, Relaxed);
        self.body_wanted.store(false, Relaxed);
        self.running.fetch_add(1, Relaxed);
    }

    /// An answer was written or given up.
    pub(crate) fn end_request(&self) {
        self.running.fetch_sub(1, Relaxed);
        self.touch();
    }

    /// True when any byte came.
    pub(crate) fn has_received(&self) -> bool {
        self.received.load(Relaxed)
    }

    /// Notes bytes that came; none: the end.
    pub(crate) fn note_read(&self, bytes: usize) {
        if bytes == 0 {
            self.eof.store(true, Relaxed);
            return;
        }
        let now = now_ms();
        self.last.store(now, Relaxed);
        self.received.store(true, Relaxed);
        if self.running.load(Relaxed) == 0 && self.head_since.load(Relaxed) == 0 {
            self.head_since.store(now, Relaxed);
        }
    }

    /// Notes bytes that the system took.
    pub(crate) fn note_written(&self, bytes: usize) {
        if bytes > 0 {
            self.touch();
        }
    }
}

enum Closing {
    No,
    Lingering { left: usize, until: Pin<Box<Sleep>> },
    Done,
}

/// The bytes of a connection, plain or in TLS.
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    #[cfg(test)]
    Memory(mi_testkit::Link),
}

macro_rules! on_stream {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Plain(plain) => {
                let $inner = Pin::new(plain);
                $call
            }
            Stream::Tls(tls) => {
                let $inner = Pin::new(tls.as_mut());
                $call
            }
            #[cfg(test)]
            Stream::Memory(link) => {
                let $inner = Pin::new(link);
                $call
            }
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, inner => inner.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_stream!(&mut *self, inner => inner.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut *self, inner => inner.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(plain) => plain.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            #[cfg(test)]
            Self::Memory(link) => link.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, inner => inner.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut *self, inner => inner.poll_shutdown(cx))
    }
}

/// A connection's stream with its book-keeping, for hyper.
pub(crate) struct Io {
    stream: Stream,
    activity: Arc<Activity>,
    /// Bytes that were read ahead to find out the protocol.
    ahead: Bytes,
    linger: bool,
    closing: Closing,
}

impl Io {
    /// `linger` is for servers: see [`LINGER_BYTES`].
    pub(crate) fn new(stream: Stream, activity: Arc<Activity>, linger: bool) -> Self {
        Self { stream, activity, ahead: Bytes::new(), linger, closing: Closing::No }
    }

    /// The stream, the book-keeping and the bytes that were read ahead.
    pub(crate) fn into_parts(self) -> (Stream, Arc<Activity>, Bytes) {
        (self.stream, self.activity, self.ahead)
    }

    /// Puts bytes back that were read ahead.
    pub(crate) fn unread(&mut self, bytes: Bytes) {
        self.ahead = bytes;
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let Closing::Lingering { left, until } = &mut self.closing else { return Poll::Ready(Ok(())) };
            let expired = until.as_mut().poll(cx).is_ready();
            let mut scratch = [0u8; 4096];
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
            let over = match read {
                Poll::Pending if expired => true,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => true,
                Poll::Ready(Ok(())) => {
                    let bytes = buffer.filled().len();
                    *left = left.saturating_sub(bytes);
                    bytes == 0 || *left == 0 || expired
                }
            };
            if over {
                self.closing = Closing::Done;
            }
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.ahead.is_empty() {
            let take = this.ahead.len().min(buffer.remaining());
            buffer.put_slice(&this.ahead[..take]);
            this.ahead.advance(take);
            this.activity.note_read(take);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        this.activity.note_read(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.activity.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.activity.note_written(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes the sending side; a server then reads the rest of what the client still sends, within limits.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if matches!(this.closing, Closing::No) {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            this.closing = if this.linger && !this.activity.eof.load(Relaxed) {
                Closing::Lingering { left: LINGER_BYTES, until: Box::pin(tokio::time::sleep(LINGER_TIME)) }
            } else {
                Closing::Done
            };
        }
        this.poll_linger(cx)
    }
}
