//! The codec piece by piece; whole exchanges are in `crate::http::tests`.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::{Method, Version};
use http_body::Frame;
use http_body_util::StreamBody;
use mi_engine::transport::Payload;
use mi_message::{BodyStream, BoxError, Headers};
use tokio::io::AsyncWrite;

use super::chunks::{Chunks, Step};
use super::fields::HeadLimits;
use super::outbound::{Outbound, RequestHead};
use super::response::{Framing, take_head};

/// Decodes `input` given in pieces of `step` bytes: the data, or what is wrong; and what is left behind the end.
fn decode(input: &str, step: usize) -> (Result<String, &'static str>, String) {
    let mut chunks = Chunks::new();
    let mut buffer = BytesMut::new();
    let mut data = Vec::new();
    let mut pieces = input.as_bytes().chunks(step);
    loop {
        match chunks.decode(&mut buffer) {
            Ok(Step::Data(bytes)) => data.extend_from_slice(&bytes),
            Ok(Step::End) => {
                buffer.extend(pieces.flatten());
                return (Ok(String::from_utf8(data).unwrap()), String::from_utf8(buffer.to_vec()).unwrap());
            }
            Ok(Step::More) => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return (Err("more"), String::new()),
            },
            Err(what) => return (Err(what), String::new()),
        }
    }
}

#[test]
fn chunks_are_joined_wherever_they_are_cut() {
    let cases = [
        ("3\r\nabc\r\n0\r\n\r\n", "abc", ""),
        ("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nnext", "abcde", "next"),
        ("0\r\n\r\n", "", ""),
        ("000A;x=\"y\"\r\n0123456789\r\n00\r\nTrailer: 1\r\nOther: 2\r\n\r\nn", "0123456789", "n"),
        ("3 \r\nabc\r\n0\r\n\r\n", "abc", ""),
    ];
    for (input, expected, left) in cases {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(decode(input, step), (Ok(expected.to_owned()), left.to_owned()), "{input:?} by {step}");
        }
    }
}

#[test]
fn chunks_that_are_not_framed_are_refused() {
    let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(20_000));
    let trailer = format!("0\r\nT: {}\r\n\r\n", "x".repeat(20_000));
    let cases = [
        "",
        "3",
        "3\r\nab",
        "3\r\nabc\r\n",
        "3\r\nabc\r\n0\r\n", // cut
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "0x1\r\n",
        ";a\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "11111111111111111\r\n",
        "0\r\n\rx",
        "3 4\r\nabc\r\n0\r\n\r\n",
        "3;a\0\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "0\r\n\n\r\n\r\n",
        "0\r\nT: 1\n\r\n\r\n",
        "0\r\nT: 1\rU: 2\r\n\r\n",
        "0\r\nT: \0\r\n\r\n",
        "0\r\nT : 1\r\n\r\n",
        "0\r\n T: 1\r\n\r\n",
        "0\r\n: 1\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
        &extension,
        &trailer,
    ];
    for input in cases {
        assert!(decode(input, 1000).0.is_err(), "{:?}", &input[..input.len().min(40)]);
        assert!(decode(input, 1).0.is_err(), "{:?}", &input[..input.len().min(40)]);
    }
}

const LIMITS: HeadLimits = HeadLimits { bytes: 1000, fields: 10 };

/// `None`: incomplete.
fn head(input: &str, method: &Method) -> Option<Result<(Framing, bool), &'static str>> {
    let mut buffer = BytesMut::from(input);
    take_head(&mut buffer, &mut 0, method, LIMITS)
        .map(|head| head.map(|head| (head.framing, head.keep_alive)))
        .transpose()
}

#[test]
fn the_end_of_a_body_is_known_from_the_head() {
    let (chunked, close) = (Framing::Chunked, Framing::UntilClose);
    #[rustfmt::skip]
    let cases = [
        ("200 OK\r\nContent-Length: 5", Framing::Length(5), true),
        ("200 OK\r\nContent-Length: 5\r\nContent-Length: 5", Framing::Length(5), true),
        ("200 OK\r\nContent-Length: 5\r\nConnection: x, Close", Framing::Length(5), false),
        ("200 OK\r\nTransfer-Encoding: Chunked", chunked, true),
        ("200 OK", close, false),
        ("204 No\r\nContent-Length: 5", Framing::Length(0), true),
        ("304 No\r\nTransfer-Encoding: chunked", Framing::Length(0), true),
        ("200 OK\r\nX: y\r\nConnection: keep-alive", close, false),
    ];
    for (rest, framing, keep_alive) in cases {
        let text = format!("HTTP/1.1 {rest}\r\n\r\n");
        assert_eq!(head(&text, &Method::GET), Some(Ok((framing, keep_alive))), "{text:?}");
        for cut in 0..text.len() {
            assert_eq!(head(&text[..cut], &Method::GET), None, "{:?}", &text[..cut]);
        }
    }
    assert_eq!(
        head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &Method::HEAD),
        Some(Ok((Framing::Length(0), true)))
    );
    assert_eq!(
        head("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", &Method::GET),
        Some(Ok((Framing::Length(5), false)))
    );
    let kept = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\n";
    assert_eq!(head(kept, &Method::GET), Some(Ok((Framing::Length(5), true))));
}

#[test]
fn heads_that_can_be_read_in_two_ways_are_refused() {
    let many = "X: y\r\n".repeat(11);
    let long = format!("X: {}\r\n", "y".repeat(1000));
    let cases = [
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Bad Name: x\r\n",
        "X: a\0b\r\n",
        ": x\r\n",
        &many,
        &long,
    ];
    for fields in cases {
        let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
        assert!(matches!(head(&text, &Method::GET), Some(Err(_))), "{:?}", &fields[..fields.len().min(60)]);
    }
    for text in [
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "200 OK\r\n\r\n",
        "HTTP/1.1 42 X\r\n\r\n",
    ] {
        assert!(matches!(head(text, &Method::GET), Some(Err(_))), "{text:?}");
    }
    assert!(matches!(head(&"x".repeat(1001), &Method::GET), Some(Err(_))), "no end in sight");
}

/// Takes at most `step` bytes at a time.
struct Narrow {
    step: usize,
    taken: Vec<u8>,
}

impl AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let count = self.step.min(bytes.len());
        self.taken.extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(self.step).collect();
        self.taken.extend_from_slice(&all);
        Poll::Ready(Ok(all.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn outbound(payload: Payload, chunked: bool) -> Outbound {
    let headers = Headers::new();
    let head = RequestHead {
        method: &Method::POST,
        target: "/",
        version: Version::HTTP_11,
        headers: &headers,
        authority: "h",
        close: false,
        proxy_authorization: None,
    };
    Outbound::request(&head, payload, chunked)
}

fn write_all(outbound: &mut Outbound, step: usize) -> Result<String, String> {
    let mut narrow = Narrow { step, taken: Vec::new() };
    match outbound.poll_write(&mut Context::from_waker(Waker::noop()), &mut narrow) {
        Poll::Ready(Ok(())) => Ok(String::from_utf8(narrow.taken).unwrap()),
        other => Err(format!("{other:?}")),
    }
}

fn stream(parts: &[&str]) -> Payload {
    let frames: Vec<Result<Frame<Bytes>, BoxError>> =
        parts.iter().map(|part| Ok(Frame::data(Bytes::copy_from_slice(part.as_bytes())))).collect();
    Payload::Stream(BodyStream::new(StreamBody::new(futures_util::stream::iter(frames))))
}

#[test]
fn bodies_of_any_size_and_cut_are_framed() {
    let large = "x".repeat(5000);
    let (chunked, length) = (
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ",
    );
    let bytes = |text: &str| Payload::Bytes(Bytes::copy_from_slice(text.as_bytes()));
    type Case<'a> = (&'a dyn Fn() -> Payload, bool, String);
    let cases: [Case<'_>; 7] = [
        (&|| Payload::Empty, true, format!("{length}0\r\n\r\n")),
        (&|| bytes("abc"), true, format!("{chunked}3\r\nabc\r\n0\r\n\r\n")),
        (&|| bytes("abc"), false, format!("{length}3\r\n\r\nabc")),
        (&|| bytes(&large), true, format!("{chunked}1388\r\n{large}\r\n0\r\n\r\n")),
        (&|| bytes(&large), false, format!("{length}5000\r\n\r\n{large}")),
        (&|| stream(&["ab", "", "c"]), true, format!("{chunked}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")),
        (
            &|| stream(&["ab", &large, "c", &large, &large]),
            true,
            format!("{chunked}2\r\nab\r\n1388\r\n{large}\r\n1\r\nc\r\n1388\r\n{large}\r\n1388\r\n{large}\r\n0\r\n\r\n"),
        ),
    ];
    for (number, (payload, chunked, expected)) in cases.iter().enumerate() {
        for step in [1, 7, 4096, 1_000_000] {
            let mut outbound = outbound(payload(), *chunked);
            assert_eq!(write_all(&mut outbound, step).as_ref(), Ok(expected), "{number} by {step}");
            assert!(outbound.is_done());
            // What is in memory can be sent once more.
            let again = outbound.rewind();
            assert_eq!(again, number < 5, "{number}");
            if again {
                assert_eq!(write_all(&mut outbound, step).as_ref(), Ok(expected), "{number} by {step}, again");
            }
        }
    }
}

#[test]
fn a_stream_must_be_as_long_as_it_says() {
    use http_body_util::BodyExt;
    /// Says 3.
    struct Says(BodyStream);
    impl http_body::Body for Says {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Pin::new(&mut self.0).poll_frame(cx)
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(3)
        }
    }
    for (parts, good) in
        [(vec!["abc"], true), (vec!["ab", "c"], true), (vec!["ab"], false), (vec!["ab", "cd"], false), (vec![], false)]
    {
        let Payload::Stream(inner) = stream(&parts) else { unreachable!() };
        let mut outbound = outbound(Payload::Stream(Says(inner).boxed_unsync()), false);
        assert_eq!(write_all(&mut outbound, 1000).is_ok(), good, "{parts:?}");
    }
}
