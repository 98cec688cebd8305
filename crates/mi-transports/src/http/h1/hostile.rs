//! Requests as nobody should send them: what becomes of each, and that it never depends on how the bytes arrive.

use bytes::BytesMut;

use super::chunks::Step;
use super::fields::HeadLimits;
use super::received::{RequestLimits, take_request};
use super::rest::Rest;

const LIMITS: RequestLimits = RequestLimits { head: HeadLimits { bytes: 2000, fields: 20 }, target: 500 };

/// Reads all requests of a connection whose bytes arrive in pieces: a line for each, and how it ends.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> String {
    let mut pieces = pieces.peekable();
    let mut buffer = BytesMut::new();
    let mut told = String::new();
    let mut seen = 0;
    loop {
        match take_request(&mut buffer, &mut seen, &LIMITS) {
            Err(status) => return told + status.as_str(),
            Ok(None) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return told + "more",
            },
            Ok(Some(head)) => {
                let fields: Vec<String> = head.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
                told.push_str(&format!("{} {} {}", head.method, head.target, fields.join(",")));
                match body(Rest::of(head.framing), &mut buffer, &mut pieces) {
                    Ok(data) => told.push_str(&format!(" [{}]", String::from_utf8_lossy(&data))),
                    Err(what) => return format!("{told} ({what})"),
                }
                if !head.keep_alive {
                    return told + " close";
                }
                told.push_str("; ");
            }
        }
    }
}

fn body<'a>(
    mut rest: Rest,
    buffer: &mut BytesMut,
    pieces: &mut impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, &'static str> {
    let mut data = Vec::new();
    loop {
        match rest.take(buffer)? {
            Step::Data(part) => data.extend_from_slice(&part),
            Step::End => return Ok(data),
            Step::More => buffer.extend_from_slice(pieces.next().ok_or("cut")?),
        }
    }
}

#[track_caller]
fn check(request: &str, expected: &str) {
    assert_eq!(read(std::iter::once(request.as_bytes())), expected, "{request:?}");
    assert_eq!(read(request.as_bytes().chunks(1)), expected, "{request:?} by bytes");
}

#[test]
fn every_request_has_one_meaning_or_none() {
    // Behind the head of each stands a body or a request, according to who reads it.
    let cases = [
        ("Host: h", "POST / Host=h []; GET /x  []; more"),
        ("Content-Length: 0", "POST / Content-Length=0 []; GET /x  []; more"),
        ("Content-Length: 19", "POST / Content-Length=19 [GET /x HTTP/1.1\r\n\r\n]; more"),
        (
            "Content-Length: 19\r\nContent-Length: 19",
            "POST / Content-Length=19,Content-Length=19 [GET /x HTTP/1.1\r\n\r\n]; more",
        ),
        ("content-length:\t19 ", "POST / content-length=19 [GET /x HTTP/1.1\r\n\r\n]; more"),
        ("Content-Length: 019", "POST / Content-Length=019 [GET /x HTTP/1.1\r\n\r\n]; more"),
        ("Content-Length: 19\r\nContent-Length: 0", "400"),
        ("Content-Length: 19\r\nContent-Length: 019", "400"),
        ("Content-Length: 19, 18", "400"),
        ("Content-Length: +18", "400"),
        ("Content-Length: -18", "400"),
        ("Content-Length: 0x13", "400"),
        ("Content-Length: 1_8", "400"),
        ("Content-Length: 19;", "400"),
        ("Content-Length: \"18\"", "400"),
        ("Content-Length: 1 8", "400"),
        ("Content-Length:", "400"),
        ("Content-Length: \u{661}", "400"),
        ("Content-Length: 18446744073709551634", "400"),
        ("Content-Length : 18", "400"),
        ("Content-Length\t: 18", "400"),
        (" Content-Length: 19", "400"),
        ("Content Length: 18", "400"),
        ("Content-Length: 19\r\n 5", "400"),
        ("Content-Length: 19\nX: y", "400"),
        ("Content-Length: 19\rX: y", "400"),
        ("X: y\0\r\nContent-Length: 19", "400"),
        ("Transfer-Encoding: chunked", "POST / Transfer-Encoding=chunked (a chunk has no size)"),
        ("Transfer-Encoding: CHUNKED", "POST / Transfer-Encoding=CHUNKED (a chunk has no size)"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 19", "POST / Transfer-Encoding=chunked (a chunk has no size)"),
        ("Transfer-Encoding: xchunked", "400"),
        ("Transfer-Encoding: chunkedx", "400"),
        ("Transfer-Encoding: chunked;q=1", "400"),
        ("Transfer-Encoding: \"chunked\"", "400"),
        ("Transfer-Encoding: chunked, identity", "400"),
        ("Transfer-Encoding: identity", "400"),
        ("Transfer-Encoding:", "400"),
        ("Transfer-Encoding: \u{b}chunked", "400"),
        ("Transfer-Encoding: gzip, chunked", "501"),
        ("Transfer-Encoding: chunked, chunked", "501"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "400"),
        ("Transfer-Encoding: chunked\r\ntransfer-encoding: x", "400"),
        ("Transfer-Encoding : chunked", "400"),
        ("Transfer-Encoding:\r\n chunked", "400"),
        ("Host: a\r\nHost: b", "400"),
        ("Host: a\r\nhost: a", "400"),
        ("Expect: 100-continue", "POST / Expect=100-continue []; GET /x  []; more"),
        ("Host: a/b", "400"),
        ("Host: a@b", "400"),
        ("Host: a b", "400"),
        ("Host: [::1]:80", "POST / Host=[::1]:80 []; GET /x  []; more"),
        ("Expect: 200-ok", "417"),
        ("Expect: 100-continue\r\nExpect: x", "417"),
        ("Connection: close", "POST / Connection=close [] close"),
        ("Connection: x, CLOSE", "POST / Connection=x, CLOSE [] close"),
        (": x", "400"),
        ("X", "400"),
        ("\u{e9}: x", "400"),
        ("X: \u{e9}", "POST / X=\u{c3}\u{a9} []; GET /x  []; more"),
    ];
    for (fields, expected) in cases {
        check(&format!("POST / HTTP/1.1\r\n{fields}\r\n\r\nGET /x HTTP/1.1\r\n\r\n"), expected);
    }
}

#[test]
fn request_lines() {
    let long = format!("GET /{} HTTP/1.1", "a".repeat(500));
    let endless = format!("GET /{} HTTP/1.1", "a".repeat(3000));
    let cases = [
        ("GET / HTTP/1.1", "GET /  []; more"),
        ("\r\n\r\nGET / HTTP/1.1", "GET /  []; more"),
        ("GET http://h:1/a?b#c HTTP/1.1", "GET http://h:1/a?b#c  []; more"),
        ("OPTIONS * HTTP/1.1", "OPTIONS *  []; more"),
        ("M-SEARCH /a HTTP/1.1", "501"),
        ("Get / HTTP/1.1", "GET /  []; more"),
        ("GET /{a}|\"b\"^ HTTP/1.1", "GET /{a}|\"b\"^  []; more"),
        ("GET a HTTP/1.1", "400"),
        ("GET ?a:b HTTP/1.1", "400"),
        ("GET / HTTP/1.0", "GET /  [] close"),
        ("GET / HTTP/1.2", "400"),
        ("GET / HTTP/2.0", "400"),
        ("GET / HTTP/11", "400"),
        ("GET / http/1.1", "400"),
        ("GET / HTTP/1.1 ", "400"),
        ("GET  / HTTP/1.1", "400"),
        (" GET / HTTP/1.1", "400"),
        ("GET /a b HTTP/1.1", "400"),
        ("GET /", "400"),
        ("GET / HTTP/1.1\r\n\0", "400"),
        ("G(T / HTTP/1.1", "400"),
        ("GET /\0 HTTP/1.1", "400"),
        ("GET /\u{7f} HTTP/1.1", "400"),
        ("\nGET / HTTP/1.1", "400"),
        ("CONNECT h:1 HTTP/1.1", "501"),
        (&long, "414"),
        (&endless, "414"),
    ];
    for (line, expected) in cases {
        check(&format!("{line}\r\n\r\n"), expected);
    }
    check(&format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(21)), "431");
    check(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(2000)), "431");
    check("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400");
    check("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / Connection=Keep-Alive []; more");
}

/// A small generator with the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit
    }
}

const SEEDS: [&str; 7] = [
    "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-One: 1\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
    "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
    "PUT /both HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HEAD /h HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "\r\nDELETE http://h/d HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxy",
    "GET /\u{e9} HTTP/1.1\r\nX: \u{e9}\r\nConnection: X, close\r\n\r\n",
];

/// Bytes that mean something to somebody.
const SHARP: &[u8] = b"\r\n\0 \t:;,0fFg\xff\x80\x0b\"+-";

fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    if bytes.is_empty() {
        return;
    }
    let at = numbers.below(bytes.len());
    let sharp = SHARP[numbers.below(SHARP.len())];
    match numbers.below(6) {
        0 => bytes[at] = sharp,
        1 => bytes.insert(at, sharp),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        4 => {
            let to = (at + numbers.below(40)).min(bytes.len());
            let part = bytes[at..to].to_vec();
            let place = numbers.below(bytes.len());
            bytes.splice(place..place, part);
        }
        _ => bytes[at] = numbers.below(256) as u8,
    }
}

#[test]
fn what_is_read_does_not_depend_on_how_it_arrives() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..6000 {
        let mut bytes = Vec::new();
        for _ in 0..=numbers.below(3) {
            bytes.extend_from_slice(SEEDS[numbers.below(SEEDS.len())].as_bytes());
        }
        for _ in 0..numbers.below(4) {
            mutate(&mut bytes, &mut numbers);
        }
        let whole = read(std::iter::once(&bytes[..]));
        accepted += usize::from(whole.contains(']'));
        refused += usize::from(whole.ends_with("400"));
        assert_eq!(read(bytes.chunks(1)), whole, "by bytes: {:?}", String::from_utf8_lossy(&bytes));
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + numbers.below(rest.len().min(30)));
            pieces.push(piece);
            rest = behind;
        }
        assert_eq!(read(pieces.iter().copied()), whole, "{pieces:?}");
    }
    assert!(accepted > 1000 && refused > 500, "{accepted} {refused}: the mutations are too tame or too wild");
}
