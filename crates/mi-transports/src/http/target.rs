//! Request targets as they go on the wire.

use std::borrow::Cow;

/// A request target that can be written: without a fragment, and never empty. Bytes that may not stand in one (blanks, control bytes, `<`, `>`, quotes of any kind) are
/// percent-encoded, so a target made from message content can neither break the request line nor be refused for it.
pub(crate) fn clean(target: &str) -> Cow<'_, str> {
    let target = target.split_once('#').map_or(target, |(target, _)| target);
    if target.is_empty() {
        return Cow::Borrowed("/");
    }
    if target.bytes().all(is_allowed) {
        return Cow::Borrowed(target);
    }
    let mut encoded = String::with_capacity(target.len() + 16);
    for byte in target.bytes() {
        if is_allowed(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Cow::Owned(encoded)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn is_allowed(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x24..=0x3B | 0x3D | 0x3F..=0x5F | 0x61..=0x7E)
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn targets_stay_as_they_are_unless_a_byte_may_not_be_there() {
        let cases = [
            ("/a/b?c=d&e=f", "/a/b?c=d&e=f"),
            ("/a%20b/%2e%2e//c;x=1", "/a%20b/%2e%2e//c;x=1"),
            ("", "/"),
            ("/a b\"c", "/a%20b%22c"),
            ("/a\r\nHost: x", "/a%0D%0AHost:%20x"),
            ("/é", "/%C3%A9"),
            ("/{x}|^`<>", "/{x}|^%60%3C%3E"),
            ("http://h:81/p?q", "http://h:81/p?q"),
            ("*", "*"),
            ("/a#b c", "/a"),
            ("#", "/"),
        ];
        for (target, expected) in cases {
            assert_eq!(clean(target), expected);
        }
    }
}
