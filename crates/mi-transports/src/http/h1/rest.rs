//! What is left of a body that is being read.

use bytes::BytesMut;
use http_body::SizeHint;

use super::chunks::{Chunks, Step};
use super::response::Framing;

/// How much of a body must still come.
#[derive(Debug)]
pub(super) enum Rest {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Over,
}

impl Rest {
    /// All of a body.
    pub(super) fn of(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::Over,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::new()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// Takes what the buffer has of the body. `Err` says what is wrong with the body, and does so again.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        let step = match self {
            Self::Over => return Ok(Step::End),
            Self::Chunked(chunks) => chunks.decode(buffer)?,
            _ if buffer.is_empty() => return Ok(Step::More),
            Self::UntilClose => Step::Data(buffer.split().freeze()),
            Self::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= take as u64;
                if *left == 0 {
                    *self = Self::Over;
                }
                Step::Data(buffer.split_to(take).freeze())
            }
        };
        if step == Step::End {
            *self = Self::Over;
        }
        Ok(step)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Over => SizeHint::with_exact(0),
            _ => SizeHint::default(),
        }
    }
}
