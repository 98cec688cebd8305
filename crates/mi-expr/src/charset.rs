//! The charsets that every Java runtime has: UTF-8, UTF-16 (three kinds), ISO-8859-1 and US-ASCII. Base64 and the two
//! ways in which MI writes text into URLs stand here too.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};

/// Accepts missing padding and stray bits at the end, as `java.util.Base64` does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A charset by one of its usual names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    Utf16,
    Utf16Be,
    Utf16Le,
    Latin1,
    Ascii,
}

impl Charset {
    /// Finds a charset, in any case. `None` for one that is not supported.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Self::Utf8,
            "UTF-16" | "UTF16" => Self::Utf16,
            "UTF-16BE" => Self::Utf16Be,
            "UTF-16LE" => Self::Utf16Le,
            "ISO-8859-1" | "ISO8859-1" | "ISO8859_1" | "LATIN1" => Self::Latin1,
            "US-ASCII" | "ASCII" => Self::Ascii,
            _ => return None,
        })
    }

    /// `String#getBytes`; what the charset has not becomes `?`.
    pub(crate) fn encode(self, text: &str) -> Vec<u8> {
        let narrow = |limit: u32| text.chars().map(|c| if (c as u32) < limit { c as u8 } else { b'?' }).collect();
        match self {
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Utf16 => {
                let mut bytes = vec![0xfe, 0xff];
                bytes.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
                bytes
            }
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Self::Latin1 => narrow(0x100),
            Self::Ascii => narrow(0x80),
        }
    }

    /// `new String(bytes, charset)`; what is malformed becomes the replacement character.
    pub(crate) fn decode(self, bytes: &[u8]) -> String {
        let wide = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
            let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| read(*pair)).collect();
            String::from_utf16_lossy(&units)
        };
        match self {
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
                [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
                _ => wide(bytes, u16::from_be_bytes),
            },
            Self::Utf16Be => wide(bytes, u16::from_be_bytes),
            Self::Utf16Le => wide(bytes, u16::from_le_bytes),
            Self::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Self::Ascii => {
                bytes.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect()
            }
        }
    }
}

/// Base64 in one line.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes base64 strictly, as `java.util.Base64#getDecoder` does. The error says what is wrong.
pub(crate) fn from_base64(text: &str) -> Result<Vec<u8>, String> {
    LENIENT.decode(text).map_err(|error| format!("Illegal base64: {error}"))
}

/// Decodes base64 and skips what does not belong to it, as commons-codec does.
pub(crate) fn from_base64_lenient(text: &str) -> Vec<u8> {
    let mut clean: Vec<u8> = text
        .bytes()
        .take_while(|byte| *byte != b'=')
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            other if other.is_ascii_alphanumeric() || other == b'+' || other == b'/' => Some(other),
            _ => None,
        })
        .collect();
    if clean.len() % 4 == 1 {
        clean.pop();
    }
    LENIENT.decode(clean).unwrap_or_default()
}

/// `URLEncoder#encode`: the form encoding, blanks as `+`.
pub(crate) fn form_encode(text: &str, charset: Charset) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '*' | '_' => out.push(c),
            ' ' => out.push('+'),
            other => push_percent(&mut out, &charset.encode(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out
}

/// `URLDecoder#decode`. The error is the message of Java.
pub(crate) fn form_decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = after.get(..2).ok_or("URLDecoder: Incomplete trailing escape (%) pattern")?;
                let code = std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
                bytes.push(code.ok_or("URLDecoder: Illegal hex characters in escape (%) pattern")?);
                rest = &after[2..];
            }
            other => bytes.push(*other),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Encodes what may not stand in a path and query, and leaves their delimiters. Commons-httpclient:
/// `URIUtil#encodePathQuery`.
pub(crate) fn path_query_encode(text: &str, charset: Charset) -> String {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let mut out = encode_except(path, "-_.!~*'():@&=$,/;", charset);
    if let Some(query) = query {
        out.push('?');
        out.push_str(&encode_except(query, "-_.!~*'();/?:@&=+$,", charset));
    }
    out
}

fn encode_except(text: &str, kept: &str, charset: Charset) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            out.push(c);
        } else {
            push_percent(&mut out, &charset.encode(c.encode_utf8(&mut [0; 4])));
        }
    }
    out
}

fn push_percent(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push_str(&format!("%{byte:02X}"));
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, form_decode, form_encode, from_base64, from_base64_lenient, path_query_encode};

    #[test]
    fn charsets_go_there_and_back() {
        for (name, bytes) in [
            ("utf-8", vec![0xc3, 0xa4]),
            ("UTF-16", vec![0xfe, 0xff, 0, 0xe4]),
            ("UTF-16LE", vec![0xe4, 0]),
            ("ISO-8859-1", vec![0xe4]),
        ] {
            let charset = Charset::named(name).expect("a charset");
            assert_eq!(charset.encode("ä"), bytes, "{name}");
            assert_eq!(charset.decode(&bytes), "ä", "{name}");
        }
        assert_eq!(Charset::named("UTF-99"), None);
        assert_eq!(Charset::Ascii.encode("aä"), b"a?");
    }

    #[test]
    fn urls() {
        assert_eq!(form_encode(" *~ä", Charset::Utf8), "+*%7E%C3%A4");
        assert_eq!(form_decode("a+%26").as_deref(), Ok("a &"));
        assert!(form_decode("%2").is_err() && form_decode("%zz").is_err());
        assert_eq!(path_query_encode("/a b?c=d e&f=?", Charset::Utf8), "/a%20b?c=d%20e&f=?");
    }

    #[test]
    fn base64_takes_what_java_takes() {
        assert_eq!(from_base64("YWI").as_deref(), Ok(&b"ab"[..]));
        assert!(from_base64("a b").is_err());
        assert_eq!(from_base64_lenient("Y W\nI="), b"ab");
    }
}
