//! The body of a client's request.
//!
//! Whoever reads the body reads the socket: the reading side of the connection goes with the body and comes back when it
//! was read or dropped. A body that came with its head needs none of this.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use mi_message::{BodyStream, BoxError};
use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::chunks::Step;
use super::response::Framing;
use super::rest::Rest;
use crate::http::body::empty_stream;
use crate::http::halves::ReadSide;
use crate::http::io::Activity;

/// Room that is made for one read of a body.
const READ: usize = 32 * 1024;

/// The reading side when nobody reads the body any more.
pub(super) struct Left {
    pub(super) side: ReadSide,
    pub(super) rest: Rest,
    /// What comes next cannot be told.
    pub(super) broken: bool,
}

/// Where the reading side of the connection is.
pub(super) enum Reading {
    /// The body was here as a whole.
    Here(ReadSide),
    /// With the body.
    Lent(oneshot::Receiver<Left>),
    TakenBack,
}

impl Reading {
    /// The reading side, unless somebody still reads.
    pub(super) fn take_back(&mut self) -> Option<Left> {
        match std::mem::replace(self, Self::TakenBack) {
            Self::Here(side) => Some(Left { side, rest: Rest::Over, broken: false }),
            Self::Lent(mut lent) => match lent.try_recv() {
                Ok(left) => Some(left),
                Err(_) => {
                    *self = Self::Lent(lent);
                    None
                }
            },
            Self::TakenBack => None,
        }
    }
}

/// On what terms a body is read.
pub(super) struct Terms {
    /// How long nothing may come.
    pub(super) stall: Duration,
    /// The client waits for leave to send it.
    pub(super) expects_leave: bool,
    pub(super) activity: Arc<Activity>,
}

/// A body that is read from the connection.
struct Upload {
    /// What was read before.
    ahead: VecDeque<Bytes>,
    left: Option<Left>,
    back: Option<oneshot::Sender<Left>>,
    terms: Terms,
    timer: Option<Pin<Box<Sleep>>>,
}

/// The body that `framing` announces.
pub(super) fn body(mut side: ReadSide, framing: Framing, terms: Terms) -> (BodyStream, Reading) {
    let mut rest = Rest::of(framing);
    let mut ahead = VecDeque::new();
    while !rest.is_over()
        && let Ok(Step::Data(data)) = rest.take(&mut side.buffer)
    {
        ahead.push_back(data);
    }
    if rest.is_over() && ahead.len() <= 1 {
        let stream = ahead
            .pop_front()
            .map_or_else(empty_stream, |whole| BodyStream::new(Full::new(whole).map_err(|never| match never {})));
        return (stream, Reading::Here(side));
    }
    let (back, returned) = oneshot::channel();
    let left = Some(Left { side, rest, broken: false });
    let upload = Upload { ahead, left, back: Some(back), terms, timer: None };
    (BodyStream::new(upload), Reading::Lent(returned))
}

impl Upload {
    fn give_back(&mut self) {
        if let (Some(left), Some(back)) = (self.left.take(), self.back.take()) {
            // Fails when the connection has been given up; its reading side ends here then.
            drop(back.send(left));
        }
    }

    fn fail(&mut self, error: impl Into<BoxError>) -> Poll<Result<Option<Bytes>, BoxError>> {
        if let Some(left) = &mut self.left {
            left.broken = true;
        }
        self.give_back();
        Poll::Ready(Err(error.into()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BoxError>> {
        if let Some(data) = self.ahead.pop_front() {
            return Poll::Ready(Ok(Some(data)));
        }
        loop {
            let Some(left) = &mut self.left else { return Poll::Ready(Ok(None)) };
            match left.rest.take(&mut left.side.buffer) {
                Ok(Step::Data(data)) => {
                    if left.rest.is_over() {
                        self.give_back();
                    }
                    return Poll::Ready(Ok(Some(data)));
                }
                Ok(Step::End) => {
                    self.give_back();
                    return Poll::Ready(Ok(None));
                }
                Ok(Step::More) => {}
                Err(what) => return self.fail(what),
            }
            if std::mem::replace(&mut self.terms.expects_leave, false) {
                self.terms.activity.ask_for_body();
            }
            match left.side.poll_fill(cx, READ) {
                Poll::Ready(Ok(0)) => return self.fail("the client closed the connection within its request"),
                Poll::Ready(Ok(_)) => self.timer = None,
                Poll::Ready(Err(error)) => return self.fail(error),
                Poll::Pending => {
                    let stall = self.terms.stall;
                    let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
                    std::task::ready!(timer.as_mut().poll(cx));
                    self.terms.activity.note_stall();
                    return self.fail("the client stopped sending its request");
                }
            }
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.poll_next(cx).map(|next| next.map(|data| data.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && self.left.as_ref().is_none_or(|left| left.rest.is_over())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead: u64 = self.ahead.iter().map(|data| data.len() as u64).sum();
        let rest = self.left.as_ref().map_or_else(|| SizeHint::with_exact(0), |left| left.rest.size_hint());
        rest.exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(rest + ahead))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.give_back();
    }
}
