//! Bodies between hyper and `mi_message::BodyStream`: nothing is copied on the way.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use mi_engine::transport::Payload;
use mi_message::{BodyStream, BoxError};

/// A body without bytes as a stream; allocates nothing.
pub(crate) fn empty_stream() -> BodyStream {
    BodyStream::new(Empty::new().map_err(|never: std::convert::Infallible| match never {}))
}

/// The body of a request as the service gets it.
pub(crate) fn from_incoming(incoming: Incoming) -> BodyStream {
    if incoming.is_end_stream() { empty_stream() } else { BodyStream::new(incoming.map_err(BoxError::from)) }
}

/// A body on its way out. `W` is dropped when the body has been written or given up.
pub(crate) struct OutBody<W> {
    kind: Kind,
    /// Hide the length, so that a body of known length is sent chunked.
    chunked: bool,
    witness: Option<W>,
}

enum Kind {
    Bytes(Bytes),
    Stream(BodyStream),
}

impl<W> OutBody<W> {
    pub(crate) fn new(payload: Payload, chunked: bool, witness: Option<W>) -> Self {
        let kind = match payload {
            Payload::Empty => Kind::Bytes(Bytes::new()),
            Payload::Bytes(bytes) => Kind::Bytes(bytes),
            Payload::Stream(stream) => Kind::Stream(stream),
        };
        Self { kind, chunked, witness }
    }
}

impl<W: Unpin> Body for OutBody<W> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = match &mut self.kind {
            Kind::Bytes(bytes) if bytes.is_empty() => None,
            Kind::Bytes(bytes) => Some(Ok(Frame::data(std::mem::take(bytes)))),
            Kind::Stream(stream) => ready!(Pin::new(stream).poll_frame(cx)),
        };
        if !matches!(frame, Some(Ok(_))) {
            self.witness = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Bytes(bytes) => bytes.is_empty(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Bytes(bytes) if bytes.is_empty() => SizeHint::with_exact(0),
            _ if self.chunked => SizeHint::default(),
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(stream) => stream.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(payload: Payload, chunked: bool) -> Option<u64> {
        OutBody::<()>::new(payload, chunked, None).size_hint().exact()
    }

    #[test]
    fn the_length_is_told_unless_the_body_is_to_be_chunked() {
        let stream =
            || Payload::Stream(BodyStream::new(http_body_util::Full::from("abc").map_err(|never| match never {})));
        assert_eq!(hint(Payload::Empty, false), Some(0));
        assert_eq!(hint(Payload::Empty, true), Some(0));
        assert_eq!(hint(Payload::Bytes(Bytes::from_static(b"abc")), false), Some(3));
        assert_eq!(hint(Payload::Bytes(Bytes::from_static(b"abc")), true), None);
        assert_eq!(hint(stream(), false), Some(3));
        assert_eq!(hint(stream(), true), None);
    }
}
