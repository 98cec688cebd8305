//! One request and the head of its answer on one connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use http::{Method, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::fields::HeadLimits;
use super::outbound::{Outbound, WriteFailure};
use super::response::{self, Head};
use crate::http::io::{Stream, now_ms};
use crate::http::pool::Ages;

/// Room that is made for one read.
const READ: usize = 8 * 1024;
/// Interim answers (1xx) that are skipped before the answer.
const MAX_INTERIM: usize = 32;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The time is over.
    Timeout,
    /// The connection ended; bytes of an answer had come or not.
    Closed { answered: bool },
    /// The connection broke.
    Io { error: io::Error, answered: bool },
    /// The answer is not what HTTP says.
    Protocol(&'static str),
    /// The request's body could not be read.
    Body(mi_message::BoxError),
}

/// A connection to a back end, in use or in the pool.
pub(crate) struct Connection {
    pub(super) stream: Stream,
    /// Bytes read and not taken yet.
    pub(super) buffer: BytesMut,
    /// When it was made and when it was last used, on the clock of `io::now_ms`.
    since: u64,
    used: u64,
    /// Kept between requests: setting a timer that already runs is cheaper than making one.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    pub(crate) fn new(stream: Stream) -> Self {
        let now = now_ms();
        Self { stream, buffer: BytesMut::new(), since: now, used: now, timer: None }
    }

    /// The socket of a connection that was not used yet.
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Notes the end of a use.
    pub(crate) fn touch(&mut self) {
        self.used = now_ms();
    }

    /// Neither too old nor unused for too long.
    pub(crate) fn is_fresh(&self, ages: &Ages, now: u64) -> bool {
        now.saturating_sub(self.since) < ages.lifetime.as_millis() as u64
            && now.saturating_sub(self.used) < ages.idle.as_millis() as u64
    }

    /// An unused connection on which something arrives, an end most of all, is of no use any more. Costs no system call
    /// while nothing came.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut self.stream).poll_read(&mut cx, &mut buffer).is_pending()
    }

    /// Sends a request and reads the head of its answer, which may come before the request is written. What of the
    /// request is left then is not written any more.
    pub(crate) async fn exchange(
        &mut self,
        outbound: &mut Outbound,
        method: &Method,
        limits: HeadLimits,
        deadline: Instant,
    ) -> Result<Head, Failure> {
        let mut reading = Reading { seen: 0, interim: 0, answered: false };
        // A write that fails is looked at after what can still be read: a server may answer and close while it is sent to.
        let mut broken = None;
        std::future::poll_fn(|cx| {
            if broken.is_none() {
                match outbound.poll_write(cx, &mut self.stream) {
                    Poll::Pending | Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(WriteFailure::Body(error))) => return Poll::Ready(Err(Failure::Body(error))),
                    Poll::Ready(Err(WriteFailure::Io(error))) => broken = Some(error),
                }
            }
            match self.poll_head(cx, &mut reading, method, limits) {
                Poll::Ready(Err(Failure::Closed { answered: false })) if broken.is_some() => {
                    let error = broken.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
                    Poll::Ready(Err(Failure::Io { error, answered: false }))
                }
                Poll::Ready(outcome) => Poll::Ready(outcome),
                Poll::Pending if broken.is_some() => {
                    let error = broken.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
                    Poll::Ready(Err(Failure::Io { error, answered: reading.answered }))
                }
                Poll::Pending => self.poll_deadline(cx, deadline).map(|()| Err(Failure::Timeout)),
            }
        })
        .await
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        reading: &mut Reading,
        method: &Method,
        limits: HeadLimits,
    ) -> Poll<Result<Head, Failure>> {
        loop {
            match self.poll_fill(cx, READ) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Failure::Closed { answered: reading.answered })),
                Poll::Ready(Ok(_)) => reading.answered = true,
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Failure::Io { error, answered: reading.answered }));
                }
            }
            loop {
                match response::take_head(&mut self.buffer, &mut reading.seen, method, limits) {
                    Err(what) => return Poll::Ready(Err(Failure::Protocol(what))),
                    Ok(None) => break,
                    Ok(Some(head)) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                        let what = "the back end switched protocols without being asked";
                        return Poll::Ready(Err(Failure::Protocol(what)));
                    }
                    Ok(Some(head)) if head.status.is_informational() => {
                        reading.seen = 0;
                        reading.interim += 1;
                        if reading.interim > MAX_INTERIM {
                            return Poll::Ready(Err(Failure::Protocol("the back end sends interim answers only")));
                        }
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                }
            }
        }
    }

    /// Reads into the buffer; the number of bytes, 0 at the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        self.buffer.reserve(room);
        std::pin::pin!(self.stream.read_buf(&mut self.buffer)).poll(cx)
    }

    /// Ready when `deadline` is over. The timer is left running from one request to the next and moved when it fires.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            std::task::ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

/// How far the head of an answer has come.
struct Reading {
    /// Bytes in which no end of a head was found.
    seen: usize,
    interim: usize,
    /// Something has arrived.
    answered: bool,
}
