//! Header fields that belong to one connection and must not travel on.

use http::HeaderMap;
use http::header::{self, HeaderName};

/// Fields that only have a meaning between two neighbours, and the framing, which each side makes anew.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    // Comparing with the standard names costs nothing; the others are told apart by their length first.
    *name == header::CONNECTION
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONTENT_LENGTH
        || *name == header::UPGRADE
        || *name == header::TE
        || *name == header::TRAILER
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "http2-settings")
}

/// Fields that `Connection` cannot take away: the meaning of the message hangs on them.
const NOT_NOMINABLE: [HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::TRANSFER_ENCODING, header::CONNECTION];

/// Removes what the transport writes itself or what must not leave this hop. For messages that go out.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // Usually there is one such field or none, and a look at each name is cheaper than a search for each candidate.
    while let Some(name) = headers.keys().find(|name| is_hop_by_hop(name)).cloned() {
        headers.remove(name);
    }
}

/// Removes the fields that a peer declared as its own by naming them in `Connection`. For messages that came in.
pub(crate) fn strip_nominated(headers: &mut HeaderMap) {
    if !headers.contains_key(header::CONNECTION) {
        return;
    }
    let mut names: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let value = value.as_bytes();
        if value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close") {
            continue;
        }
        for token in value.split(|byte| *byte == b',') {
            if let Ok(name) = HeaderName::from_bytes(token.trim_ascii())
                && name.as_str() != "close"
                && !NOT_NOMINABLE.contains(&name)
            {
                names.push(name);
            }
        }
    }
    for name in names {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn connection_removes_what_it_names_but_not_what_frames_the_message() {
        type Case = (&'static [(&'static str, &'static str)], &'static [&'static str]);
        #[rustfmt::skip]
        let cases: [Case; 5] = [
            (&[("connection", "keep-alive"), ("x-auth", "a")], &["connection", "x-auth"]),
            (&[("connection", "X-Auth"), ("x-auth", "a")], &["connection"]),
            (&[("connection", "close, X-Auth , x-b"), ("x-auth", "a"), ("x-b", "b"), ("x-c", "c")], &["connection", "x-c"]),
            (&[("connection", "close"), ("connection", "x-b"), ("x-b", "b")], &["connection"]),
            (&[("connection", "host, content-length, content-type"), ("host", "h"), ("content-length", "1")], &["connection", "host", "content-length"]),
        ];
        for (fields, expected) in cases {
            let mut headers = map(fields);
            strip_nominated(&mut headers);
            assert_eq!(names(&headers), expected, "{fields:?}");
        }
    }

    #[test]
    fn framing_never_goes_out() {
        let mut headers = map(&[
            ("connection", "x"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("content-length", "5"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
            ("proxy-connection", "keep-alive"),
            ("content-type", "text/xml"),
        ]);
        strip_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), ["content-type"]);
    }
}
