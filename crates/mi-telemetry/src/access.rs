//! Lines of the access log by a pattern of Apache's. MI: `AccessHandler`, `conf/access-log.properties`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Local};
use http::{Method, Version};
use mi_engine::transport::{HttpReply, HttpRequest, Payload};

/// MI: `AccessConstants#LOG_PATTERN`.
const DEFAULT: &str = "%{X-Forwarded-For}i %h %l %u %t \"%r\" %s %b \"%{Referer}i\" \"%{User-Agent}i\"";

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessPattern {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Field(char),
    /// A header field of the request.
    Incoming(String),
    /// A header field of the answer.
    Outgoing(String),
}

/// What a line says of a request.
#[derive(Debug)]
pub(crate) struct Request {
    began: DateTime<Local>,
    method: Method,
    target: String,
    version: Version,
    peer: SocketAddr,
    local: SocketAddr,
    /// The fields that the pattern names, in its order.
    fields: Vec<Option<String>>,
}

impl Default for AccessPattern {
    fn default() -> Self {
        Self::parse(DEFAULT).0
    }
}

impl AccessPattern {
    /// Compiles a pattern, and gives back what of it is not known; that stays in the lines as it is.
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let (mut parts, mut unknown) = (Vec::new(), Vec::new());
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            let (part, length) = read(&rest[at..]);
            match part {
                Some(part) => {
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(part);
                }
                None => {
                    let verbatim = &rest[at..at + length];
                    if verbatim == "%%" {
                        literal.push('%');
                    } else {
                        literal.push_str(verbatim);
                        unknown.push(verbatim.to_owned());
                    }
                }
            }
            rest = &rest[at + length..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        (Self { parts }, unknown)
    }

    /// Keeps what lines need of a request.
    pub(crate) fn request(&self, request: &HttpRequest) -> Request {
        let fields = self.parts.iter().filter_map(|part| match part {
            Part::Incoming(name) => Some(request.headers.get(name).map(str::to_owned)),
            _ => None,
        });
        Request {
            began: Local::now(),
            method: request.method.clone(),
            target: request.target.clone(),
            version: request.version,
            peer: request.peer,
            local: request.local,
            fields: fields.collect(),
        }
    }

    /// The line of a request and its answer; without an answer status and size are `-`.
    pub(crate) fn line(&self, request: &Request, reply: Option<&HttpReply>, took: Duration) -> String {
        let mut out = String::with_capacity(160);
        let mut fields = request.fields.iter();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field(letter) => push_field(&mut out, *letter, request, reply, took),
                Part::Incoming(_) => push_text(&mut out, fields.next().and_then(Option::as_deref)),
                Part::Outgoing(name) => push_text(&mut out, reply.and_then(|reply| reply.headers.get(name))),
            }
        }
        out
    }
}

/// The part that `text` begins with, which is a `%`, and its length.
fn read(text: &str) -> (Option<Part>, usize) {
    if let Some((name, behind)) = text.strip_prefix("%{").and_then(|rest| rest.split_once('}')) {
        let length = name.len() + 4;
        return match behind.chars().next() {
            Some('i') => (Some(Part::Incoming(name.to_owned())), length),
            Some('o') => (Some(Part::Outgoing(name.to_owned())), length),
            other => (None, name.len() + 3 + other.map_or(0, char::len_utf8)),
        };
    }
    match text[1..].chars().next() {
        Some(letter) if "aAbBDhHlmpqrsStTuUv".contains(letter) => (Some(Part::Field(letter)), 2),
        other => (None, 1 + other.map_or(0, char::len_utf8)),
    }
}

/// Text that a client sent, so that it stays within its line and its quotes.
fn push_text(out: &mut String, text: Option<&str>) {
    match text {
        None | Some("") => out.push('-'),
        Some(text) => out.extend(text.chars().map(|it| if it.is_control() || it == '"' { '?' } else { it })),
    }
}

fn push_field(out: &mut String, letter: char, request: &Request, reply: Option<&HttpReply>, took: Duration) {
    let (path, query) = match request.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (request.target.as_str(), None),
    };
    let written = match letter {
        'a' | 'h' => write!(out, "{}", request.peer.ip()),
        'A' | 'v' => write!(out, "{}", request.local.ip()),
        'p' => write!(out, "{}", request.local.port()),
        'm' => write!(out, "{}", request.method),
        'H' => write!(out, "{:?}", request.version),
        'U' => return push_text(out, Some(path)),
        'q' => return query.map_or((), |query| push_text(out, Some(&format!("?{query}")))),
        'r' => {
            out.push_str(request.method.as_str());
            out.push(' ');
            push_text(out, Some(&request.target));
            write!(out, " {:?}", request.version)
        }
        's' => match reply {
            Some(reply) => write!(out, "{}", reply.status.as_u16()),
            None => out.write_char('-'),
        },
        'b' | 'B' => match reply.and_then(size) {
            Some(0) | None => out.write_char(if letter == 'B' { '0' } else { '-' }),
            Some(bytes) => write!(out, "{bytes}"),
        },
        't' => write!(out, "[{}]", request.began.format("%d/%b/%Y:%H:%M:%S %z")),
        'D' => write!(out, "{}", took.as_millis()),
        'T' => write!(out, "{:.3}", took.as_secs_f64()),
        // Nobody is known by name, and sessions there are none.
        _ => out.write_char('-'),
    };
    written.expect("a String takes everything");
}

/// Bytes of the body, where they are known before it is sent.
fn size(reply: &HttpReply) -> Option<u64> {
    match &reply.body {
        Payload::Empty => Some(0),
        Payload::Bytes(bytes) => Some(bytes.len() as u64),
        Payload::Stream(_) => reply.headers.get("Content-Length").and_then(header_number),
    }
}

fn header_number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Header fields for tests of this crate.
#[cfg(test)]
pub(crate) fn request(target: &str, fields: &[(&'static str, &str)]) -> HttpRequest {
    let mut headers = mi_message::Headers::new();
    for (name, value) in fields {
        headers.set(*name, *value);
    }
    HttpRequest {
        method: Method::GET,
        target: target.to_owned(),
        version: Version::HTTP_11,
        headers,
        body: http_body_util::BodyExt::boxed_unsync(http_body_util::BodyExt::map_err(
            http_body_util::Empty::<bytes::Bytes>::new(),
            |never| match never {},
        )),
        peer: ([10, 0, 0, 9], 5000).into(),
        local: ([127, 0, 0, 1], 8290).into(),
        secure: false,
        client_certificate: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn lines_say_what_the_pattern_names() {
        let asked = request("/a?b=\"c\"", &[("User-Agent", "curl/8\n"), ("X-A", "1")]);
        let mut reply = HttpReply::new(StatusCode::CREATED);
        reply.body = Payload::Bytes("hello".into());
        reply.headers.set("X-B", "2");
        for (pattern, expected) in [
            ("%h %l %u \"%r\" %s %b", "10.0.0.9 - - \"GET /a?b=?c? HTTP/1.1\" 201 5"),
            ("%{X-A}i %{X-B}o %{None}i \"%{User-Agent}i\"", "1 2 - \"curl/8?\""),
            ("%a %A %p %m %H %U%q %D %T %%", "10.0.0.9 127.0.0.1 8290 GET HTTP/1.1 /a?b=?c? 15 0.015 %"),
            ("%x %{y", "%x %{y"),
        ] {
            let (pattern, _) = AccessPattern::parse(pattern);
            let line = pattern.line(&pattern.request(&asked), Some(&reply), Duration::from_millis(15));
            assert_eq!(line, expected);
        }
        assert_eq!(AccessPattern::parse("%x %{y}z %").1, ["%x", "%{y}z", "%"]);
    }
}
