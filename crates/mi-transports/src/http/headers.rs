//! Header fields: those that belong to one connection and must not travel on, and how fields are written.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, header};
use mi_message::Headers;

/// Fields that only have a meaning between two neighbours, and the framing, which each side makes anew.
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    // Told apart by their length first, so that most names cost one comparison.
    let candidates: &[&str] = match name.len() {
        2 => &["TE"],
        7 => &["Upgrade", "Trailer"],
        10 => &["Connection", "Keep-Alive"],
        14 => &["Content-Length", "HTTP2-Settings"],
        16 => &["Proxy-Connection"],
        17 => &["Transfer-Encoding"],
        _ => return false,
    };
    candidates.iter().any(|candidate| candidate.eq_ignore_ascii_case(name))
}

/// Fields that `Connection` cannot take away: the meaning of the message hangs on them.
const NOT_NOMINABLE: [&str; 6] = ["Close", "Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection"];

/// Removes the fields that a peer declared as its own by naming them in `Connection`. For messages that came in.
pub(crate) fn strip_nominated(headers: &mut Headers) {
    let mut names: Vec<String> = Vec::new();
    for value in headers.get_all("Connection") {
        if value.eq_ignore_ascii_case("keep-alive") || value.eq_ignore_ascii_case("close") {
            continue;
        }
        let tokens = value.split(',').map(str::trim).filter(|token| !token.is_empty());
        names.extend(tokens.filter(|it| !is_one_of(&NOT_NOMINABLE, it)).map(str::to_owned));
    }
    for name in names {
        headers.remove(&name);
    }
}

fn is_one_of(names: &[&str], name: &str) -> bool {
    names.iter().any(|it| it.eq_ignore_ascii_case(name))
}

/// Writes a field as it is spelled; characters beyond ISO-8859-1 become question marks. False, and nothing is written,
/// when name or value cannot stand in a head.
pub(crate) fn write_field(text: &mut Vec<u8>, name: &str, value: &str) -> bool {
    // Without a way out of the loops, so that they become a few wide instructions.
    let unfit_name = name.bytes().fold(0, |found, byte| found | u8::from(!IS_TOKEN[usize::from(byte)]));
    let is_forbidden = |byte: u8| (byte < b' ' && byte != b'\t') || byte == 0x7f;
    let unfit_value = value.bytes().fold(0, |found, byte| found | u8::from(is_forbidden(byte)));
    if name.is_empty() || unfit_name != 0 || unfit_value != 0 {
        return false;
    }
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b": ");
    if value.is_ascii() {
        text.extend_from_slice(value.as_bytes());
    } else {
        text.extend(value.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')));
    }
    text.extend_from_slice(b"\r\n");
    true
}

/// Writes a number as decimal digits.
pub(crate) fn write_number(text: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[at..]);
}

/// Bytes of a token (RFC 9110, 5.6.2).
const IS_TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
            || matches!(byte as u8, b'^' | b'_' | b'`' | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z');
        byte += 1;
    }
    table
};

pub(crate) fn is_token(byte: u8) -> bool {
    IS_TOKEN[usize::from(byte)]
}

/// Fields as hyper has them; what cannot stand in a head, and what the transport writes itself, is left out.
pub(crate) fn to_map(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| !is_hop_by_hop(name)) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(&latin(value)))
        {
            map.append(name, value);
        }
    }
    map
}

fn latin(value: &str) -> Vec<u8> {
    value.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')).collect()
}

/// Fields that hyper read. It knows names in lower case only; they get the spelling that MI's users see in logs and
/// header properties.
pub(crate) fn from_map(map: &HeaderMap) -> Headers {
    let mut headers = Headers::with_capacity(map.len() + 4);
    for (name, value) in map {
        let value = match value.to_str() {
            Ok(text) => text.to_owned(),
            Err(_) => value.as_bytes().iter().map(|byte| char::from(*byte)).collect(),
        };
        headers.append(title_case(name), value);
    }
    headers
}

/// `content-type` as `Content-Type`.
fn title_case(name: &HeaderName) -> String {
    if name.as_str() == "soapaction" {
        return "SOAPAction".to_owned();
    }
    let mut upper = true;
    let titled = |letter: char| {
        let cased = if upper { letter.to_ascii_uppercase() } else { letter };
        upper = letter == '-';
        cased
    };
    name.as_str().chars().map(titled).collect()
}

/// HTTP/2 may split a cookie field, HTTP/1 back ends want one (RFC 9113, 8.2.3).
pub(crate) fn join_cookies(map: &mut HeaderMap) {
    if map.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = map.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        map.insert(header::COOKIE, joined);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headers: &Headers) -> Vec<&str> {
        headers.iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn connection_removes_what_it_names_but_not_what_frames_the_message() {
        type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
        #[rustfmt::skip]
        let cases: [Case; 5] = [
            (&[("connection", "keep-alive"), ("x-auth", "a")], &["connection", "x-auth"]),
            (&[("connection", "X-Auth"), ("x-auth", "a")], &["connection"]),
            (&[("connection", "close, X-Auth , x-b"), ("x-auth", "a"), ("x-b", "b"), ("x-c", "c")], &["connection", "x-c"]),
            (&[("connection", "close"), ("connection", "x-b"), ("x-b", "b")], &["connection", "connection"]),
            (&[("connection", "host, content-length, content-type"), ("host", "h"), ("content-length", "1")], &["connection", "host", "content-length"]),
        ];
        for (fields, expected) in cases {
            let mut headers: Headers = fields.iter().copied().collect();
            strip_nominated(&mut headers);
            assert_eq!(names(&headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn framing_never_goes_out() {
        let headers: Headers = [
            ("connection", "x"),
            ("Keep-Alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("Content-Length", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("trailer", "x"),
            ("http2-settings", "x"),
            ("proxy-connection", "keep-alive"),
            ("content-type", "text/xml"),
        ]
        .into_iter()
        .collect();
        assert_eq!(to_map(&headers).keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["content-type"]);
    }

    #[test]
    fn fields_are_written_as_spelled_and_cannot_end_the_head() {
        for (name, value, expected) in [
            ("x-Trace_ID", "a b", &b"x-Trace_ID: a b\r\n"[..]),
            ("X", "", b"X: \r\n"),
            ("X", "\u{e9}\u{20ac}", b"X: \xe9?\r\n"),
            ("X", "a\r\nY: b", b""),
            ("X", "a\0", b""),
            ("X\r\nY", "a", b""),
            ("X Y", "a", b""),
            ("X:", "a", b""),
            ("\u{e9}", "a", b""),
            ("", "a", b""),
        ] {
            let mut text = Vec::new();
            assert_eq!(write_field(&mut text, name, value), !expected.is_empty(), "{name:?} {value:?}");
            assert_eq!(text, expected, "{name:?} {value:?}");
        }
    }

    #[test]
    fn hyper_gets_and_gives_the_same_fields() {
        let headers: Headers =
            [("SOAPAction", "a"), ("X-Two", "1"), ("X-Two", "\u{e9}"), ("bad name", "x")].into_iter().collect();
        let back = from_map(&to_map(&headers));
        assert_eq!(back.iter().collect::<Vec<_>>(), [("SOAPAction", "a"), ("X-Two", "1"), ("X-Two", "\u{e9}")]);
    }
}
