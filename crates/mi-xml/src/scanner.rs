//! Byte level scanning: eight bytes at a time where runs are long, a table where they are short.
//!
//! Nothing here knows the grammar of a document; that is `parser` and `start_tag`.

use memchr::memmem;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks (in the high bit of each byte) the bytes of `word` that are zero. Bytes above a marked one may be marked
/// wrongly by the borrow, so only the lowest mark counts.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[inline]
const fn bytes_equal(word: u64, byte: u8) -> u64 {
    zero_bytes(word ^ (ONES * byte as u64))
}

/// Marks the bytes below `bound` (at most 128), with the same caveat as [`zero_bytes`].
#[inline]
const fn bytes_below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * bound as u64) & !word & HIGHS
}

/// The eight bytes at `at`, lowest first.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()).map(|chunk| u64::from_le_bytes(*chunk))
}

/// Finds the first byte from `at` on, but before `end`, for which `marks` (on words) and `stops` (on bytes) say so.
/// Returns `end` or a later offset when there is none.
#[inline]
fn find(bytes: &[u8], mut at: usize, end: usize, marks: impl Fn(u64) -> u64, stops: impl Fn(u8) -> bool) -> usize {
    while at < end
        && let Some(word) = word_at(bytes, at)
    {
        let found = marks(word);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < end && !stops(bytes[at]) {
        at += 1;
    }
    at
}

/// The first `<`, `&` or carriage return at or behind `at`, or the end.
#[inline]
pub(crate) fn text_stop(bytes: &[u8], at: usize) -> usize {
    find(
        bytes,
        at,
        bytes.len(),
        |word| bytes_equal(word, b'<') | bytes_equal(word, b'&') | bytes_equal(word, b'\r'),
        |byte| matches!(byte, b'<' | b'&' | b'\r'),
    )
}

/// The first byte of an attribute value at or behind `at` that ends it or needs a closer look: the quote, `<`, `&`
/// or a control character.
#[inline]
pub(crate) fn attribute_stop(bytes: &[u8], at: usize, quote: u8) -> usize {
    find(
        bytes,
        at,
        bytes.len(),
        |word| bytes_equal(word, quote) | bytes_equal(word, b'<') | bytes_equal(word, b'&') | bytes_below(word, b' '),
        |byte| byte == quote || byte == b'<' || byte == b'&' || byte < b' ',
    )
}

/// The first byte of plain text from `at` on that may have to be written differently: `& < > "`, control characters
/// and the lead byte of U+FFFE and U+FFFF. `end` or a later offset when there is none before `end`.
#[inline]
pub(crate) fn escape_stop(bytes: &[u8], at: usize, end: usize) -> usize {
    find(
        bytes,
        at,
        end,
        |word| {
            bytes_equal(word, b'<')
                | bytes_equal(word, b'&')
                | bytes_equal(word, b'>')
                | bytes_equal(word, b'"')
                | bytes_equal(word, 0xEF)
                | bytes_below(word, b' ')
        },
        |byte| matches!(byte, b'<' | b'&' | b'>' | b'"' | 0xEF) || byte < b' ',
    )
}

#[inline]
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] =
            byte >= 0x80 || (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b':' | b'_' | b'-' | b'.');
        byte += 1;
    }
    table
};

/// Whether `byte` may be part of a name; every byte of a multi-byte character counts until the name is checked.
#[inline]
pub(crate) const fn is_name_byte(byte: u8) -> bool {
    NAME_BYTES[byte as usize]
}

/// The end of the run of name bytes that starts at `at`.
#[inline]
pub(crate) fn name_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && is_name_byte(bytes[at]) {
        at += 1;
    }
    at
}

/// Whether `character` may stand in an XML 1.0 document at all.
pub const fn is_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..)
}

pub(crate) const fn is_name_start(character: char) -> bool {
    matches!(character,
        ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

pub(crate) const fn is_name_char(character: char) -> bool {
    is_name_start(character)
        || matches!(character,
            '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Whether `text` is an XML 1.0 `Name`; colons count as name characters.
pub fn is_name(text: &str) -> bool {
    text.starts_with(is_name_start) && text.chars().all(is_name_char)
}

/// Whether `text` is an `NCName`, that is a name without a colon: what a local name or a prefix must be.
#[inline]
pub fn is_ncname(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = bytes.first().is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'_');
    // Bytes of characters beyond ASCII pass the table, so names with such characters take the long way.
    let plain = bytes.iter().all(|&byte| is_name_byte(byte) && byte != b':' && byte < 0x80);
    (starts && plain) || (!text.is_ascii() && is_name(text) && !text.contains(':'))
}

/// The offset of the first character of `text` that XML 1.0 forbids, or its length.
pub fn first_illegal(text: &str) -> usize {
    let bytes = text.as_bytes();
    let control = first_control(bytes);
    let mut from = 0;
    if text.is_ascii() {
        return control;
    }
    while let Some(found) = memmem::find(&bytes[from..control], b"\xEF\xBF") {
        let at = from + found;
        if matches!(bytes.get(at + 2), Some(0xBE | 0xBF)) {
            return at;
        }
        from = at + 2;
    }
    control
}

/// The first control character XML forbids. Written so that the compiler checks a vector of bytes at a time, and looks
/// closer only where there is any control character, be it a line break.
fn first_control(bytes: &[u8]) -> usize {
    let forbidden = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
    let mut at = 0;
    for chunk in bytes.chunks(256) {
        let lowest = chunk.iter().fold(u8::MAX, |lowest, &byte| lowest.min(byte));
        if lowest < 0x20 {
            let mut any = 0u8;
            for &byte in chunk {
                any |=
                    u8::from(byte < 0x20) & u8::from(byte != b'\t') & u8::from(byte != b'\n') & u8::from(byte != b'\r');
            }
            if any == 0 {
                at += chunk.len();
                continue;
            }
            return at + chunk.iter().position(|&byte| forbidden(byte)).unwrap_or(0);
        }
        at += chunk.len();
    }
    at
}

/// The length of the reference at the start of `bytes` (which begins with `&`) and the character it stands for.
/// `None` when it is not one of the five predefined entities or a reference to a legal character.
pub(crate) fn reference(bytes: &[u8]) -> Option<(usize, char)> {
    // The longest legal reference has at most a few leading zeros; a longer one is not worth a longer search.
    let window = &bytes[..bytes.len().min(64)];
    let end = memchr::memchr(b';', window)?;
    let character = match &window[1..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x', digits @ ..] => code_point(digits, 16)?,
        [b'#', digits @ ..] => code_point(digits, 10)?,
        _ => return None,
    };
    Some((end + 1, character))
}

fn code_point(digits: &[u8], radix: u32) -> Option<char> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u32;
    for &digit in digits {
        value = value.checked_mul(radix)?.checked_add(char::from(digit).to_digit(radix)?)?;
    }
    char::from_u32(value).filter(|&character| is_char(character))
}
