//! Which characters the received bytes stand for. Everything behind this file works on UTF-8.

use bytes::Bytes;

use crate::parser::shown;
use crate::scanner::is_space;

/// The encodings a document may be sent in.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Encoding {
    Utf8,
    Ascii,
    Latin1,
    Windows1252,
    Utf16Big,
    Utf16Little,
}

/// The characters windows-1252 has where ISO-8859-1 has control characters; unassigned bytes stay as they are.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// The document in UTF-8 (not yet validated). Only encodings other than UTF-8 are copied. A byte order mark decides,
/// then `charset`, then the first bytes, then the XML declaration.
pub(crate) fn to_utf8(bytes: Bytes, charset: Option<&str>) -> Result<Bytes, String> {
    let encoding = match bytes.as_ref() {
        [0xEF, 0xBB, 0xBF, ..] => Encoding::Utf8,
        [0xFE, 0xFF, ..] => Encoding::Utf16Big,
        [0xFF, 0xFE, ..] => Encoding::Utf16Little,
        start => match charset {
            Some(name) => by_name(name.trim_matches(['"', '\'', ' ']), start)?,
            None if start.starts_with(b"\0<\0?") => Encoding::Utf16Big,
            None if start.starts_with(b"<\0?\0") => Encoding::Utf16Little,
            None => match declared(start) {
                Some(name) => {
                    let encoding = by_name(name, start)?;
                    if matches!(encoding, Encoding::Utf16Big | Encoding::Utf16Little) {
                        return Err(format!("the XML declaration says {name}, but the bytes are not UTF-16"));
                    }
                    encoding
                }
                None => Encoding::Utf8,
            },
        },
    };
    match encoding {
        Encoding::Utf8 => Ok(bytes),
        Encoding::Ascii | Encoding::Latin1 | Encoding::Windows1252 if bytes.is_ascii() => Ok(bytes),
        Encoding::Ascii => Err("a byte above 127 in a document declared as US-ASCII".to_owned()),
        Encoding::Latin1 => Ok(single_bytes(&bytes, char::from)),
        Encoding::Windows1252 => Ok(single_bytes(&bytes, |byte| match byte {
            0x80..=0x9F => WINDOWS_1252[usize::from(byte) - 0x80],
            _ => char::from(byte),
        })),
        Encoding::Utf16Big => utf16(&bytes, u16::from_be_bytes),
        Encoding::Utf16Little => utf16(&bytes, u16::from_le_bytes),
    }
}

fn by_name(name: &str, bytes: &[u8]) -> Result<Encoding, String> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Encoding::Utf8,
        "us-ascii" | "ascii" => Encoding::Ascii,
        "iso-8859-1" | "iso8859-1" | "iso_8859-1" | "latin1" | "latin-1" => Encoding::Latin1,
        "windows-1252" | "cp1252" => Encoding::Windows1252,
        "utf-16" if bytes.starts_with(b"<\0") => Encoding::Utf16Little,
        "utf-16" | "utf-16be" => Encoding::Utf16Big,
        "utf-16le" => Encoding::Utf16Little,
        // Supersets of ASCII, so a document of ASCII characters is the same in all of them.
        other if (other.starts_with("iso-8859-") || other.starts_with("windows-125")) && bytes.is_ascii() => {
            Encoding::Ascii
        }
        _ => return Err(format!("the encoding '{}' is not supported: send UTF-8", shown(name))),
    })
}

/// The encoding the XML declaration names. Sloppy on purpose: the parser checks the declaration's grammar later.
fn declared(bytes: &[u8]) -> Option<&str> {
    // `<?xml-stylesheet` and the like are instructions.
    bytes.strip_prefix(b"<?xml").and_then(|rest| rest.first()).filter(|&&byte| is_space(byte))?;
    let declaration = &bytes[..memchr::memchr(b'>', bytes)?];
    let at = memchr::memmem::find(declaration, b"encoding")?;
    let value = declaration[at + "encoding".len()..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (&quote, value) = value.split_first()?;
    let end = memchr::memchr(quote, value)?;
    std::str::from_utf8(&value[..end]).ok()
}

fn single_bytes(bytes: &[u8], to_char: impl Fn(u8) -> char) -> Bytes {
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
    text.extend(bytes.iter().map(|&byte| to_char(byte)));
    Bytes::from(text)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Bytes, String> {
    let (units, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("the document is UTF-16 but has an odd number of bytes".to_owned());
    }
    let mut text = String::with_capacity(bytes.len());
    for character in char::decode_utf16(units.iter().map(|&pair| unit(pair))) {
        text.push(character.map_err(|error| format!("invalid UTF-16: {error}"))?);
    }
    Ok(Bytes::from(text))
}
