//! Names between JSON, where any text is one, and XML.
//!
//! MI escapes a digit in front by `_JsonReader_PD_`, a dollar in front by `_JsonReader_PS_`, and, when told to
//! (`buildValidNCNames`), each character that no name may hold by `_JsonReader_<code>_`. Without being told it builds
//! elements whose names break the markup as soon as they are written; here those characters are always escaped, and
//! always come back.

use std::borrow::Cow;

const MARK: &str = "_JsonReader_";
const DIGIT_MARK: &str = "_JsonReader_PD_";
const DOLLAR_MARK: &str = "_JsonReader_PS_";
/// Stands for the empty name; no character has this code.
const EMPTY: &str = "_JsonReader_0_";

/// The XML name for a JSON name. MI: `JsonReaderDelegate#getName`.
pub fn to_xml(name: &str) -> Cow<'_, str> {
    let bytes = name.as_bytes();
    let simple = bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if simple {
        return Cow::Borrowed(name);
    }
    let Some(first) = name.chars().next() else { return Cow::Borrowed(EMPTY) };
    let mut out = String::with_capacity(name.len() + DIGIT_MARK.len());
    let rest = if first.is_ascii_digit() {
        out.push_str(DIGIT_MARK);
        name
    } else if first == '$' {
        out.push_str(DOLLAR_MARK);
        &name[1..]
    } else {
        name
    };
    for character in rest.chars() {
        let fits = if out.is_empty() { is_start(character) } else { is_char(character) };
        if fits {
            out.push(character);
        } else {
            out.push_str(&format!("{MARK}{}_", u32::from(character)));
        }
    }
    Cow::Owned(out)
}

/// The JSON name for an XML name. MI: `XmlReaderDelegate#getName`.
pub fn to_json(name: &str) -> Cow<'_, str> {
    if !name.contains(MARK) {
        return Cow::Borrowed(name);
    }
    if name == EMPTY {
        return Cow::Borrowed("");
    }
    if let Some(rest) = name.strip_prefix(DIGIT_MARK) {
        return unescape(rest);
    }
    if let Some(rest) = name.strip_prefix(DOLLAR_MARK) {
        return Cow::Owned(format!("${}", unescape(rest)));
    }
    unescape(name)
}

fn unescape(name: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut rest = name;
    // MI escapes UTF-16 units one by one, so a character outside of the basic plane comes as two.
    let mut high = None;
    let mut found = false;
    while let Some(at) = rest.find(MARK) {
        let code = rest[at + MARK.len()..].split_once('_').and_then(|(digits, after)| {
            let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>().ok())??;
            (number > 0).then_some((number, after))
        });
        out.push_str(&rest[..at]);
        let Some((number, after)) = code else {
            out.push_str(MARK);
            rest = &rest[at + MARK.len()..];
            continue;
        };
        found = true;
        match (high.take(), number) {
            (None, 0xd800..=0xdbff) => high = Some(number),
            (Some(first), 0xdc00..=0xdfff) => {
                out.push(char::from_u32(0x10000 + ((first - 0xd800) << 10) + (number - 0xdc00)).unwrap_or('\u{fffd}'));
            }
            _ => out.push(char::from_u32(number).unwrap_or('\u{fffd}')),
        }
        rest = after;
    }
    if !found {
        return Cow::Borrowed(name);
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn is_start(character: char) -> bool {
    matches!(character, 'A'..='Z' | '_' | 'a'..='z' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn is_char(character: char) -> bool {
    is_start(character)
        || matches!(character, '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::{to_json, to_xml};

    #[track_caller]
    fn check(name: &str, expected: &str) {
        let xml = to_xml(name);
        assert_eq!(xml, expected);
        assert_eq!(to_json(&xml), name, "comes back");
    }

    #[test]
    fn names_survive_xml() {
        check("stock", "stock");
        check("stock quote", "stock_JsonReader_32_quote");
        check("12X12", "_JsonReader_PD_12X12");
        check("0", "_JsonReader_PD_0");
        check("$schema", "_JsonReader_PS_schema");
        check("1 a", "_JsonReader_PD_1_JsonReader_32_a");
        check("-a", "_JsonReader_45_a");
        check("", "_JsonReader_0_");
        check("größe", "größe");
        check("a:b", "a_JsonReader_58_b");
        check(":a", "_JsonReader_58_a");
        check("a:b:c", "a_JsonReader_58_b_JsonReader_58_c");
        check("a><evil", "a_JsonReader_62__JsonReader_60_evil");
    }

    #[test]
    fn marks_that_are_none_stay() {
        for name in ["_JsonReader_x_", "a_JsonReader_", "_JsonReader_12", "_JsonReader_-1_"] {
            assert_eq!(to_json(name), name);
        }
        assert_eq!(to_json("_JsonReader_55357__JsonReader_56832_"), "\u{1f600}");
    }
}
