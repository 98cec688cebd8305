//! Decoding the chunked coding (RFC 9112, 7.1).

use bytes::{Buf, Bytes, BytesMut};

use super::super::headers::is_token;

/// Bytes of extensions and trailers that one body may have.
const MAX_EXTRA: usize = 16 * 1024;

/// Where a chunked body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a size; digits seen.
    Size(u8),
    /// In white space behind a size.
    Space,
    /// In extensions, up to the line's end.
    Extension,
    /// The line feed behind a size line.
    SizeEnd,
    /// In data.
    Data,
    /// Carriage return and line feed behind data.
    DataCr,
    DataLf,
    /// In the trailers: where a field or the empty line begins, in a name, in a value, at the line feed behind it.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    /// The line feed behind the empty line.
    LastLf,
    Over,
}

/// What decoding came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Data.
    Data(Bytes),
    /// The end; what is left in the buffer belongs to the next message.
    End,
    /// More bytes are needed.
    More,
}

/// A chunked body that is being read.
#[derive(Debug)]
pub(crate) struct Chunks {
    state: State,
    /// Bytes left of the chunk.
    left: u64,
    /// Extension and trailer bytes seen.
    extra: usize,
}

impl Chunks {
    pub(crate) fn new() -> Self {
        Self { state: State::Size(0), left: 0, extra: 0 }
    }

    /// Takes what is complete from `buffer`. `Err` says what is wrong.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        loop {
            if self.state == State::Over {
                return Ok(Step::End);
            }
            if self.state == State::Data {
                if buffer.is_empty() {
                    return Ok(Step::More);
                }
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step::Data(buffer.split_to(take).freeze()));
            }
            let Some(byte) = buffer.first().copied() else { return Ok(Step::More) };
            self.state = self.next(byte)?;
            buffer.advance(1);
        }
    }

    fn next(&mut self, byte: u8) -> Result<State, &'static str> {
        Ok(match (self.state, byte) {
            (State::Size(digits), _) if byte.is_ascii_hexdigit() => {
                if digits == 16 {
                    return Err("a chunk size has too many digits");
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self.left << 4 | u64::from(digit);
                State::Size(digits + 1)
            }
            (State::Size(0), _) => return Err("a chunk has no size"),
            (State::Size(_), b'\r') => State::SizeEnd,
            (State::Size(_) | State::Space, b' ' | b'\t') => self.extra(State::Space)?,
            (State::Size(_) | State::Space, b';') => self.extra(State::Extension)?,
            (State::Space | State::Extension, b'\r') => State::SizeEnd,
            (State::Space | State::Extension, b'\n') => return Err("a chunk size ends with a bare line feed"),
            (State::Extension, _) if is_text(byte) => self.extra(State::Extension)?,
            (State::SizeEnd, b'\n') if self.left == 0 => State::TrailerStart,
            (State::SizeEnd, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size(0),
            (State::TrailerStart, b'\r') => State::LastLf,
            // Other readers may take a line that is no field, or a bare end of a line, for the end of the request.
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => self.extra(State::TrailerName)?,
            (State::TrailerName, b':') => self.extra(State::TrailerValue)?,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, _) if is_text(byte) => self.extra(State::TrailerValue)?,
            (State::TrailerLf, b'\n') => self.extra(State::TrailerStart)?,
            (State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf, _) => {
                return Err("a trailer is no header field");
            }
            (State::LastLf, b'\n') => State::Over,
            _ => return Err("a chunk is not framed as it says"),
        })
    }

    fn extra(&mut self, next: State) -> Result<State, &'static str> {
        self.extra += 1;
        if self.extra > MAX_EXTRA { Err("chunk extensions or trailers are too long") } else { Ok(next) }
    }
}

/// What may stand in extensions and values: no control bytes but tabs.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
