//! Request targets as they go on the wire.

use http::Uri;
use http::uri::InvalidUri;

/// Parses a request target. Bytes that may not stand in one (blanks, control bytes, `<`, `>`, quotes of any kind) are
/// percent-encoded, so a target made from message content can neither break the request line nor be refused for it.
pub(crate) fn parse(target: &str) -> Result<Uri, InvalidUri> {
    if target.is_empty() {
        return Ok(Uri::from_static("/"));
    }
    if target.bytes().all(is_allowed) {
        return target.parse();
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
    encoded.parse()
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn is_allowed(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x3B | 0x3D | 0x3F..=0x5F | 0x61..=0x7E)
}

#[cfg(test)]
mod tests {
    use super::parse;

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
        ];
        for (target, expected) in cases {
            assert_eq!(parse(target).expect(target).to_string(), expected);
        }
        assert!(parse("no slash").is_err() || parse("no slash").is_ok_and(|uri| uri.path() != "no slash"));
    }
}
