//! Character sets by their names on the wire.

use std::borrow::Cow;

use encoding_rs::Encoding;

use crate::body::BodyError;

/// What stands for a character that the target character set does not have.
#[derive(Copy, Clone, Debug)]
pub enum Missing {
    /// `?`, as Java does in text.
    QuestionMark,
    /// A numeric character reference, for markup.
    Reference,
}

enum Charset {
    Utf8,
    Ascii,
    Latin1,
    Utf16,
    Utf16Big,
    Utf16Little,
    Other(&'static Encoding),
}

/// True for UTF-8 in any spelling, and for no name at all.
pub fn is_utf8(label: &str) -> bool {
    matches!(label.trim().to_ascii_lowercase().as_str(), "utf-8" | "utf8" | "")
}

fn find(label: &str) -> Result<Charset, BodyError> {
    Ok(match label.trim().to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" | "" => Charset::Utf8,
        "us-ascii" | "ascii" => Charset::Ascii,
        "iso-8859-1" | "iso8859-1" | "iso8859_1" | "iso_8859-1" | "latin1" | "latin-1" => Charset::Latin1,
        "utf-16" | "utf16" => Charset::Utf16,
        "utf-16be" => Charset::Utf16Big,
        "utf-16le" => Charset::Utf16Little,
        name => match Encoding::for_label(name.as_bytes()) {
            Some(encoding) => Charset::Other(encoding),
            None => return Err(BodyError::Malformed(format!("The character set {label} is not supported"))),
        },
    })
}

/// Decodes bytes. Sequences that stand for nothing become U+FFFD. Errors: an unknown character set.
pub fn decode<'b>(bytes: &'b [u8], label: &str) -> Result<Cow<'b, str>, BodyError> {
    Ok(match find(label)? {
        Charset::Utf8 => String::from_utf8_lossy(bytes),
        Charset::Ascii => match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => Cow::Borrowed(text),
            _ => bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect(),
        },
        Charset::Latin1 => match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => Cow::Borrowed(text),
            _ => bytes.iter().map(|byte| char::from(*byte)).collect(),
        },
        Charset::Utf16 => match bytes {
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            _ => utf16(bytes, u16::from_be_bytes),
        }
        .into(),
        Charset::Utf16Big => utf16(bytes, u16::from_be_bytes).into(),
        Charset::Utf16Little => utf16(bytes, u16::from_le_bytes).into(),
        Charset::Other(encoding) => encoding.decode_without_bom_handling(bytes).0,
    })
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> String {
    let units = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]]));
    let mut text: String =
        char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    if bytes.len() % 2 == 1 {
        text.push(char::REPLACEMENT_CHARACTER);
    }
    text
}

/// Encodes text; `None` when the bytes of `text` are right as they are. `UTF-16` gets a byte order mark, as in Java.
/// Errors: an unknown character set.
pub fn encode(text: &str, label: &str, missing: Missing) -> Result<Option<Vec<u8>>, BodyError> {
    Ok(match find(label)? {
        Charset::Utf8 => None,
        Charset::Ascii | Charset::Latin1 | Charset::Other(_) if text.is_ascii() => None,
        Charset::Ascii => Some(single_byte(text, 0x7f, missing)),
        Charset::Latin1 => Some(single_byte(text, 0xff, missing)),
        Charset::Utf16 => {
            let units = std::iter::once(0xfeff).chain(text.encode_utf16());
            Some(units.flat_map(u16::to_be_bytes).collect())
        }
        Charset::Utf16Big => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Charset::Utf16Little => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Charset::Other(encoding) => Some(other(text, encoding, missing)),
    })
}

fn single_byte(text: &str, last: u32, missing: Missing) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u8::try_from(u32::from(character)) {
            Ok(byte) if u32::from(byte) <= last => out.push(byte),
            _ => replace(&mut out, character, missing),
        }
    }
    out
}

fn other(text: &str, encoding: &'static Encoding, missing: Missing) -> Vec<u8> {
    let mut encoder = encoding.new_encoder();
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let need = encoder.max_buffer_length_from_utf8_without_replacement(rest.len());
        out.reserve(need.unwrap_or(rest.len().saturating_mul(4)) + 16);
        let (result, read) = encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, true);
        rest = &rest[read..];
        match result {
            encoding_rs::EncoderResult::InputEmpty => return out,
            encoding_rs::EncoderResult::OutputFull => {}
            encoding_rs::EncoderResult::Unmappable(character) => replace(&mut out, character, missing),
        }
    }
}

fn replace(out: &mut Vec<u8>, character: char, missing: Missing) {
    match missing {
        Missing::QuestionMark => out.push(b'?'),
        Missing::Reference => out.extend_from_slice(format!("&#{};", u32::from(character)).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Missing, decode, encode};

    #[track_caller]
    fn check(label: &str, text: &str, bytes: &[u8]) {
        assert_eq!(decode(bytes, label).unwrap(), text, "{label}");
        let encoded = encode(text, label, Missing::QuestionMark).unwrap().unwrap_or_else(|| text.as_bytes().to_vec());
        assert_eq!(encoded, bytes, "{label}");
    }

    #[test]
    fn both_ways() {
        check("UTF-8", "é€", "é€".as_bytes());
        check("ISO-8859-1", "é\u{80}", &[0xe9, 0x80]);
        check("windows-1252", "é€", &[0xe9, 0x80]);
        check("ISO-8859-15", "é€", &[0xe9, 0xa4]);
        check("US-ASCII", "abc", b"abc");
        check("UTF-16", "a€", &[0xfe, 0xff, 0, b'a', 0x20, 0xac]);
        check("utf-16le", "a", b"a\0");
        check("UTF-16BE", "a", b"\0a");
        check("Shift_JIS", "日本", &[0x93, 0xfa, 0x96, 0x7b]);
        check("GBK", "中", &[0xd6, 0xd0]);
    }

    #[test]
    fn what_does_not_fit_is_replaced() {
        assert_eq!(encode("a€b", "ISO-8859-1", Missing::QuestionMark).unwrap().unwrap(), b"a?b");
        assert_eq!(encode("a€b", "US-ASCII", Missing::Reference).unwrap().unwrap(), b"a&#8364;b");
        assert_eq!(encode("a€日b", "windows-1252", Missing::Reference).unwrap().unwrap(), b"a\x80&#26085;b");
        assert_eq!(decode(b"a\xff", "utf-8").unwrap(), "a\u{fffd}");
        assert_eq!(decode(b"\0a\0", "utf-16be").unwrap(), "a\u{fffd}");
        assert_eq!(decode(b"\xff\xfea\0", "utf-16").unwrap(), "a");
        assert!(decode(b"", "klingon").is_err());
    }
}
