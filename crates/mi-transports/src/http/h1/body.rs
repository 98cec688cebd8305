//! The body of a back end's answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use mi_message::BoxError;
use tokio::time::Instant;

use super::chunks::Step;
use super::exchange::Connection;
use super::outbound::Outbound;
use super::response::Head;
use super::rest::Rest;

/// Room that is made for one read of a body.
const READ: usize = 32 * 1024;

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
        let mut body = Self {
            connection: Some(connection),
            rest: Rest::of(head.framing),
            keep_alive: head.keep_alive,
            outbound: unsent.map(Box::new),
            done: Some(done),
            stall,
            waiting_until: None,
        };
        if body.rest.is_over() {
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
        let step = match self.rest.take(&mut connection.buffer) {
            Ok(Step::More) => return None,
            Ok(step) => step,
            Err(what) => return Some(Err(what)),
        };
        if self.rest.is_over() {
            self.end();
        }
        match step {
            Step::Data(data) => Some(Ok(Some(data))),
            Step::More | Step::End => Some(Ok(None)),
        }
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
        self.rest.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}
