//! Header fields of a received head, and what they say about its framing.

use http::Version;
use mi_message::Headers;

/// Room for as many fields without allocating.
pub(super) const FIELDS: usize = 100;

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
}

/// Where the first empty line among the bytes ends.
pub(super) fn find_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// True when every line feed stands behind a carriage return: a bare one is the end of a line to some readers only.
pub(super) fn ends_lines_in_full(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).all(|at| at > 0 && head[at - 1] == b'\r')
}

/// The fields that httparse found in `head`. Bytes that are not ASCII are read as ISO-8859-1, as MI does, and are
/// written back as they came.
pub(super) fn collect(head: &[u8], fields: &[httparse::Header<'_>]) -> Headers {
    let from = fields.first().map_or(head.len(), |first| place(head, first.name.as_bytes()).0 as usize);
    match std::str::from_utf8(&head[from..]) {
        Ok(text) if text.is_ascii() => {
            let head = text.as_bytes();
            let places = fields.iter().map(|field| [place(head, field.name.as_bytes()), place(head, field.value)]);
            Headers::of_head(text, places)
        }
        _ => {
            let latin = |value: &[u8]| value.iter().map(|byte| char::from(*byte)).collect::<String>();
            fields.iter().map(|field| (field.name, latin(field.value))).collect()
        }
    }
}

/// Where a part of `head` begins and ends in it.
fn place(head: &[u8], part: &[u8]) -> (u32, u32) {
    // An empty value may point anywhere.
    let from = if part.is_empty() { 0 } else { part.as_ptr() as usize - head.as_ptr() as usize };
    (from as u32, (from + part.len()) as u32)
}

/// Content-Length, which may stand more than once if it always says the same. `Err`: not a plain number.
pub(super) fn content_length(headers: &Headers) -> Result<Option<u64>, ()> {
    let mut values = headers.get_all("Content-Length");
    let Some(first) = values.next() else { return Ok(None) };
    let digits = first.as_bytes();
    if digits.is_empty() || digits.len() > 19 || !digits.iter().all(u8::is_ascii_digit) || values.any(|it| it != first)
    {
        return Err(());
    }
    Ok(Some(digits.iter().fold(0u64, |length, digit| length * 10 + u64::from(digit - b'0'))))
}

/// The connection can be used again, as far as version and `Connection` say.
pub(super) fn keeps_alive(version: Version, headers: &Headers) -> bool {
    let mut keep = version == Version::HTTP_11;
    for value in headers.get_all("Connection") {
        if value.eq_ignore_ascii_case("keep-alive") {
            keep = true;
            continue;
        }
        for token in value.split(',').map(str::trim) {
            if token.eq_ignore_ascii_case("close") {
                return false;
            }
            keep |= token.eq_ignore_ascii_case("keep-alive");
        }
    }
    keep
}
