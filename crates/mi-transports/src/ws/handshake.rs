//! The HTTP part of a WebSocket connection (RFC 6455, 4.2), and the sub-protocols that MI knows.

use http::{Method, StatusCode};
use mi_engine::transport::{HttpReply, HttpRequest};
use mi_message::Headers;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Content types that can be agreed as a sub-protocol. MI: `InboundWebsocketSourceHandler#contentTypes`.
const CONTENT_TYPES: [&str; 3] = ["application/xml", "application/json", "text/xml"];

/// What was agreed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Fields of the answer.
    pub(super) fields: Vec<(&'static str, String)>,
    /// The content type of all text frames, when the client asked for one.
    pub(super) content_type: Option<&'static str>,
}

/// Agrees with a client, or says why not.
pub(super) fn agree(request: &HttpRequest) -> Result<Agreed, HttpReply> {
    let headers = &request.headers;
    let holds = |name: &str, wanted: &str| {
        headers.get_all(name).flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(wanted))
    };
    if request.method != Method::GET || !holds("Upgrade", "websocket") || !holds("Connection", "upgrade") {
        return Err(HttpReply::new(StatusCode::BAD_REQUEST));
    }
    if headers.get("Sec-WebSocket-Version").map(str::trim) != Some("13") {
        return Err(other_version());
    }
    let mut keys = headers.get_all("Sec-WebSocket-Key").map(str::trim);
    let (Some(key), None) = (keys.next().filter(|key| is_key(key)), keys.next()) else {
        return Err(HttpReply::new(StatusCode::BAD_REQUEST));
    };
    let mut fields = vec![
        ("Upgrade", "websocket".to_owned()),
        ("Connection", "Upgrade".to_owned()),
        ("Sec-WebSocket-Accept", derive_accept_key(key.as_bytes())),
    ];
    let content_type = requested_type(headers);
    if let Some(content_type) = content_type {
        fields.push(("Sec-WebSocket-Protocol", protocol(content_type)));
    }
    Ok(Agreed { fields, content_type })
}

/// The answer to a client of another version, or of none.
pub(super) fn other_version() -> HttpReply {
    let mut reply = HttpReply::new(StatusCode::UPGRADE_REQUIRED);
    reply.headers.set("Sec-WebSocket-Version", "13");
    reply
}

/// 16 bytes in base64.
fn is_key(key: &str) -> bool {
    key.len() == 24 && key.ends_with("==") && key.bytes().all(|it| it.is_ascii_alphanumeric() || b"+/=".contains(&it))
}

/// The first sub-protocol of the client that is one of MI's.
fn requested_type(headers: &Headers) -> Option<&'static str> {
    let mut wanted = headers.get_all("Sec-WebSocket-Protocol").flat_map(|value| value.split(',')).map(str::trim);
    wanted.find_map(|wanted| CONTENT_TYPES.into_iter().find(|known| protocol(known) == wanted))
}

/// The sub-protocol for a content type. MI: `SubprotocolBuilderUtil#contentTypeToSyanapeSubprotocol`.
pub(super) fn protocol(content_type: &str) -> String {
    format!("synapse(contentType='{content_type}')")
}

/// The content type of a sub-protocol, when it is one of those.
pub(super) fn type_of(protocol: &str) -> Option<&str> {
    protocol.strip_prefix("synapse(contentType='")?.strip_suffix("')")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::support::plain_request;

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: Result<Option<&str>, u16>) {
        let mut request = plain_request(Method::GET, "/a");
        let usual = [
            ("Upgrade", "websocket"),
            ("Connection", "keep-alive, Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        for (name, value) in usual.iter().chain(fields) {
            request.headers.set(*name, *value);
        }
        match (agree(&request), expected) {
            (Ok(agreed), Ok(content_type)) => {
                assert_eq!(agreed.content_type, content_type, "{fields:?}");
                assert_eq!(agreed.fields[2].1, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
            }
            (Err(reply), Err(status)) => assert_eq!(reply.status.as_u16(), status, "{fields:?}"),
            (agreed, _) => panic!("{fields:?}: {agreed:?}"),
        }
    }

    #[test]
    fn clients_are_accepted_and_refused() {
        check(&[], Ok(None));
        check(&[("Upgrade", "WebSocket")], Ok(None));
        check(&[("Sec-WebSocket-Protocol", "mqtt")], Ok(None));
        check(
            &[("Sec-WebSocket-Protocol", "x, synapse(contentType='application/json')")],
            Ok(Some("application/json")),
        );
        check(&[("Sec-WebSocket-Protocol", "synapse(contentType='text/html')")], Ok(None));
        check(&[("Upgrade", "h2c")], Err(400));
        check(&[("Connection", "close")], Err(400));
        check(&[("Sec-WebSocket-Version", "12")], Err(426));
        check(&[("Sec-WebSocket-Key", "short")], Err(400));
        check(&[("Sec-WebSocket-Key", "")], Err(400));
    }

    #[test]
    fn content_types_of_sub_protocols() {
        for (text, expected) in [
            ("synapse(contentType='text/xml')", Some("text/xml")),
            ("synapse(contentType=text/xml)", None),
            ("mqtt", None),
        ] {
            assert_eq!(type_of(text), expected);
        }
    }
}
