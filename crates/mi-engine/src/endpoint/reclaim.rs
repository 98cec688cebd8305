//! A streamed body that can be had back when nothing of it was sent, as after a refused connection: the fault flow
//! finds the message as it was.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use mi_message::{BodyStream, BoxError};

/// What is left of a body that was handed out for sending.
#[derive(Debug)]
pub(super) struct Claim {
    slot: Arc<Mutex<Option<BodyStream>>>,
}

impl Claim {
    /// Hands out `stream` and keeps a claim on it.
    pub(super) fn on(stream: BodyStream) -> (BodyStream, Self) {
        let slot = Arc::new(Mutex::new(Some(stream)));
        (Lent { slot: slot.clone(), taken: None }.boxed_unsync(), Self { slot })
    }

    /// The body, when nobody has begun to read it.
    pub(super) fn take_back(self) -> Option<BodyStream> {
        take(&self.slot)
    }
}

fn take(slot: &Mutex<Option<BodyStream>>) -> Option<BodyStream> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// The body as it is sent. The lock is taken for the first frame only.
struct Lent {
    slot: Arc<Mutex<Option<BodyStream>>>,
    taken: Option<BodyStream>,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.taken.is_none() {
            self.taken = take(&self.slot);
        }
        match &mut self.taken {
            Some(stream) => Pin::new(stream).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.taken {
            Some(stream) => stream.is_end_stream(),
            None => self.slot.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.taken {
            Some(stream) => stream.size_hint(),
            None => {
                let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
                slot.as_ref().map_or_else(SizeHint::default, Body::size_hint)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    fn stream() -> BodyStream {
        Full::new(Bytes::from_static(b"abc")).map_err(|never| match never {}).boxed_unsync()
    }

    #[tokio::test]
    async fn a_body_comes_back_until_it_is_read() {
        let (lent, claim) = Claim::on(stream());
        assert_eq!(lent.size_hint().exact(), Some(3));
        drop(lent);
        assert!(claim.take_back().is_some());

        let (lent, claim) = Claim::on(stream());
        assert_eq!(lent.collect().await.expect("whole").to_bytes(), "abc");
        assert!(claim.take_back().is_none());
    }
}
