//! Writing plain text as XML.
//!
//! Characters XML cannot hold at all become U+FFFD: a written document is always well formed.

use std::ops::Range;

use crate::scanner::{escape_stop, first_illegal};

const REPLACEMENT: &str = "\u{FFFD}";

/// Writes a range of `bytes`, which is text, as element content: `& < >` and carriage returns as references.
pub(crate) fn text(out: &mut Vec<u8>, bytes: &[u8], range: Range<usize>) {
    escape(out, bytes, range, |byte| match byte {
        b'>' => Some("&gt;"),
        b'"' | b'\n' | b'\t' => None,
        b'\r' => Some("&#xD;"),
        _ => Some(REPLACEMENT),
    });
}

/// Writes `plain` as element content, as a document writes it.
pub fn escape_text(out: &mut Vec<u8>, plain: &str) {
    text(out, plain.as_bytes(), 0..plain.len());
}

/// Writes a range of `bytes`, which is text, as the inside of a double quoted attribute value.
pub(crate) fn attribute(out: &mut Vec<u8>, bytes: &[u8], range: Range<usize>) {
    escape(out, bytes, range, |byte| match byte {
        b'"' => Some("&quot;"),
        b'\n' => Some("&#xA;"),
        b'\t' => Some("&#x9;"),
        b'\r' => Some("&#xD;"),
        b'>' => None,
        _ => Some(REPLACEMENT),
    });
}

/// Writes `plain` as the inside of a double quoted attribute value, as a document writes it.
pub fn escape_attribute(out: &mut Vec<u8>, plain: &str) {
    attribute_str(out, plain);
}

/// Writes `text` as the inside of a double quoted attribute value.
pub(crate) fn attribute_str(out: &mut Vec<u8>, text: &str) {
    attribute(out, text.as_bytes(), 0..text.len());
}

/// Writes a range and asks `replacement` about the bytes that mean different things in text and attributes.
#[inline]
fn escape(out: &mut Vec<u8>, bytes: &[u8], range: Range<usize>, replacement: impl Fn(u8) -> Option<&'static str>) {
    let Range { mut start, end } = range;
    let mut at = start;
    loop {
        // The search may look at bytes behind the range: whole words are faster.
        at = escape_stop(bytes, at, end);
        if at >= end {
            break;
        }
        let (instead, len) = match bytes[at] {
            b'&' => (Some("&amp;"), 1),
            b'<' => (Some("&lt;"), 1),
            0xEF if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => (Some(REPLACEMENT), 3),
            0xEF => (None, 3),
            byte => (replacement(byte), 1),
        };
        if let Some(instead) = instead {
            put_range(out, bytes, start..at);
            out.extend_from_slice(instead.as_bytes());
            start = at + len;
        }
        at += len;
    }
    put_range(out, bytes, start..end);
}

/// Writes `text` without any escaping, for places that know none, but without the characters XML cannot hold.
pub(crate) fn verbatim(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    loop {
        let at = first_illegal(rest);
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut behind = rest[at..].chars();
        if behind.next().is_none() {
            return;
        }
        out.extend_from_slice(REPLACEMENT.as_bytes());
        rest = behind.as_str();
    }
}

/// Writes a CDATA section; `]]>` inside is split over two sections. Only `plain` text has carriage returns that count.
pub(crate) fn cdata(out: &mut Vec<u8>, text: &str, plain: bool) {
    out.extend_from_slice(b"<![CDATA[");
    for (index, part) in text.split("]]>").enumerate() {
        if index > 0 {
            out.extend_from_slice(b"]]]]><![CDATA[>");
        }
        // A section has no way to write a carriage return that a reader would keep.
        for (index, line) in part.split(|c| plain && c == '\r').enumerate() {
            if index > 0 {
                out.extend_from_slice(b"]]>&#xD;<![CDATA[");
            }
            verbatim(out, line);
        }
    }
    out.extend_from_slice(b"]]>");
}

/// Writes a comment. A space parts hyphens that would end it.
pub(crate) fn comment(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"<!--");
    let parted = if text.contains("--") || text.ends_with('-') {
        let mut parted = text.replace("--", "- -").replace("--", "- -");
        if parted.ends_with('-') {
            parted.push(' ');
        }
        std::borrow::Cow::Owned(parted)
    } else {
        std::borrow::Cow::Borrowed(text)
    };
    verbatim(out, &parted);
    out.extend_from_slice(b"-->");
}

/// Writes a processing instruction. A space parts a `?>` in its data.
pub(crate) fn pi(out: &mut Vec<u8>, raw: &str) {
    out.extend_from_slice(b"<?");
    verbatim(out, &raw.replace("?>", "? >"));
    out.extend_from_slice(b"?>");
}

/// Bytes that are copied at once when a short range is asked for.
const SHORT: usize = 32;

/// Appends a range of `bytes`. Most are short, and copying a fixed number of bytes and cutting off the rest is much
/// faster than copying the exact number.
#[inline]
pub(crate) fn put_range(out: &mut Vec<u8>, bytes: &[u8], range: Range<usize>) {
    if range.len() <= SHORT
        && let Some(chunk) = bytes.get(range.start..).and_then(|rest| rest.first_chunk::<SHORT>())
    {
        let end = out.len() + range.len();
        out.extend_from_slice(chunk);
        out.truncate(end);
    } else {
        out.extend_from_slice(bytes.get(range).unwrap_or_default());
    }
}
