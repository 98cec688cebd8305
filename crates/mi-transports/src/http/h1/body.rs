//! The body of a back end's answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mi_message::BoxError;
use tokio::time::Instant;

use super::chunks::{Chunks, Step};
use super::exchange::Connection;
use super::request::Outbound;
use super::response::{Framing, Head};

/// Room that is made for one read of a body.
const READ: usize = 32 * 1024;

enum Rest {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Over,
}

/// A body read from its connection. `done` gets the connection when the body was read to its end and the connection can
/// be used again.
pub(crate) struct AnswerBody<D: FnOnce(Connection)> {
    connection: Option<Connection>,
    rest: Rest,
    keep_alive: bool,
    /// The rest of the request, where the answer began before it was sent: the two then go on side by side.
    outbound: Option<Box<Outbound>>,
    done: Option<D>,
    /// How long nothing may come.
    stall: Duration,
    /// When that time ends, while something is waited for.
    waiting_until: Option<Instant>,
}

impl<D: FnOnce(Connection)> AnswerBody<D> {
    /// `unsent` is the request if it is to be written on while the answer is read.
    pub(crate) fn new(connection: Connection, head: &Head, unsent: Option<Outbound>, stall: Duration, done: D) -> Self {
        let rest = match head.framing {
            Framing::Length(length) => Rest::Length(length),
            Framing::Chunked => Rest::Chunked(Chunks::new()),
            Framing::UntilClose => Rest::UntilClose,
        };
        let mut body = Self {
            connection: Some(connection),
            rest,
            keep_alive: head.keep_alive,
            outbound: unsent.map(Box::new),
            done: Some(done),
            stall,
            waiting_until: None,
        };
        if matches!(body.rest, Rest::Length(0)) {
            body.end();
        }
        body
    }

    /// The body if all of it is here, which ends the use of the connection.
    pub(crate) fn take_whole(&mut self) -> Option<Bytes> {
        match (&self.rest, &mut self.connection) {
            (Rest::Over, _) => Some(Bytes::new()),
            (Rest::Length(length), Some(connection)) if connection.buffer.len() as u64 >= *length => {
                let whole = connection.buffer.split_to(*length as usize).freeze();
                self.end();
                Some(whole)
            }
            _ => None,
        }
    }

    fn end(&mut self) {
        self.rest = Rest::Over;
        // A back end that has answered in full has no use for what it did not wait for.
        let sent = self.outbound.take().is_none();
        let (connection, done) = (self.connection.take(), self.done.take());
        if let (Some(mut connection), Some(done), true) = (connection, done, self.keep_alive && sent)
            && connection.buffer.is_empty()
        {
            connection.touch();
            done(connection);
        }
    }

    /// What the buffer gives. `None`: more must be read.
    fn take_data(&mut self) -> Option<Result<Option<Bytes>, &'static str>> {
        let Some(connection) = &mut self.connection else { return Some(Ok(None)) };
        let data = match &mut self.rest {
            Rest::Over => return Some(Ok(None)),
            Rest::Chunked(chunks) => match chunks.decode(&mut connection.buffer) {
                Ok(Step::Data(data)) => data,
                Ok(Step::More) => return None,
                Ok(Step::End) => {
                    self.end();
                    return Some(Ok(None));
                }
                Err(what) => return Some(Err(what)),
            },
            _ if connection.buffer.is_empty() => return None,
            Rest::UntilClose => connection.buffer.split().freeze(),
            Rest::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(connection.buffer.len());
                *left -= take as u64;
                let data = connection.buffer.split_to(take).freeze();
                if *left == 0 {
                    self.end();
                }
                data
            }
        };
        Some(Ok(Some(data)))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        loop {
            if let Some(found) = self.take_data() {
                return Poll::Ready(found.map_err(BoxError::from));
            }
            let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
            if let Some(outbound) = &mut self.outbound
                && let Poll::Ready(sent) = outbound.poll_write(cx, &mut connection.stream)
            {
                self.outbound = None;
                self.keep_alive &= sent.is_ok();
            }
            match connection.poll_fill(cx, READ) {
                Poll::Ready(Ok(0)) if matches!(self.rest, Rest::UntilClose) => {
                    self.end();
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err("the back end closed the connection within its answer".into()));
                }
                Poll::Ready(Ok(_)) => self.waiting_until = None,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => {
                    let until = *self.waiting_until.get_or_insert_with(|| Instant::now() + self.stall);
                    std::task::ready!(connection.poll_deadline(cx, until));
                    return Poll::Ready(Err("the back end stopped sending its answer".into()));
                }
            }
        }
    }
}

impl<D: FnOnce(Connection) + Unpin> Body for AnswerBody<D> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = std::task::ready!(self.poll_next(cx));
        if next.is_err() {
            // Nothing more comes, and the connection is not to be used again.
            self.rest = Rest::Over;
            self.connection = None;
        }
        Poll::Ready(next.map(|data| data.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Length(left) => SizeHint::with_exact(left),
            Rest::Over => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
