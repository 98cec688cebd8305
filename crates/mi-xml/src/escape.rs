//! Writing plain text as XML.
//!
//! Characters XML cannot hold at all become U+FFFD: a written document is always well formed.

use crate::scanner::{escape_stop, first_illegal};

const REPLACEMENT: &str = "\u{FFFD}";

/// Writes `text` as element content: `& < >` and carriage returns as references.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'"' | b'\n' | b'\t' => None,
        b'\r' => Some("&#xD;"),
        _ => Some(REPLACEMENT),
    });
}

/// Writes `text` as the inside of a double quoted attribute value.
pub(crate) fn attribute(out: &mut Vec<u8>, text: &str) {
    escape(out, text, |byte| match byte {
        b'"' => Some("&quot;"),
        b'\n' => Some("&#xA;"),
        b'\t' => Some("&#x9;"),
        b'\r' => Some("&#xD;"),
        b'>' => None,
        _ => Some(REPLACEMENT),
    });
}

#[inline]
fn escape(out: &mut Vec<u8>, text: &str, other: impl Fn(u8) -> Option<&'static str>) {
    let bytes = text.as_bytes();
    let (mut copied, mut at) = (0, 0);
    loop {
        at = escape_stop(bytes, at);
        let Some(&byte) = bytes.get(at) else { break };
        let (instead, len) = match byte {
            b'&' => (Some("&amp;"), 1),
            b'<' => (Some("&lt;"), 1),
            0xEF if matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])) => (Some(REPLACEMENT), 3),
            0xEF => (None, 3),
            b'>' => (other(byte).map(|_| "&gt;"), 1),
            byte => (other(byte), 1),
        };
        if let Some(instead) = instead {
            out.extend_from_slice(&bytes[copied..at]);
            out.extend_from_slice(instead.as_bytes());
            copied = at + len;
        }
        at += len;
    }
    out.extend_from_slice(&bytes[copied..]);
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
