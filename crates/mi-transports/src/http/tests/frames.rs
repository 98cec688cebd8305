//! HTTP/2 with frames that no library would send: what RFC 9113 forbids, and what it allows and nobody should do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::Limits;
use super::support::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A PING whose answer shows that all before it was read and the connection lives.
const MARK: [u8; 8] = *b"are-you?";

/// What a frame of the server says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Headers(u32, Vec<u8>),
    Reset(u32, u32),
    GoAway(u32),
    /// The answer to [`MARK`].
    Alive,
    Other,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK literals that leave no trace in the table.
fn literals(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    block
}

const GET: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":authority", "here"), (":path", "/x")];
const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":authority", "here"), (":path", "/collect")];

fn with<'a>(fields: &[(&'a str, &'a str)], more: &[(&'a str, &'a str)]) -> Vec<u8> {
    literals(&[fields, more].concat())
}

/// A whole request without body.
fn request(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &literals(fields))
}

/// A client that has sent its preface and no settings of interest.
struct Peer(TcpStream);

impl Peer {
    async fn connect(address: SocketAddr, settings: &[u8]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, 0, settings)).await.unwrap();
        Self(stream)
    }

    /// The next frame; `None` at the end of the connection, orderly or not.
    async fn next(&mut self) -> Option<Said> {
        let mut head = [0; 9];
        within(self.0.read_exact(&mut head)).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length];
        within(self.0.read_exact(&mut payload)).await.ok()?;
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        Some(match head[3] {
            HEADERS => Said::Headers(stream, payload),
            RST_STREAM => Said::Reset(stream, code(0)),
            GOAWAY => Said::GoAway(code(4)),
            PING if head[4] & ACK == ACK && payload == MARK => Said::Alive,
            _ => Said::Other,
        })
    }

    /// Sends, and tells what comes back until the mark does, or the connection ends. Failing writes are no news: the
    /// server may have left.
    async fn tell(&mut self, bytes: &[u8]) -> Vec<Said> {
        drop(within(self.0.write_all(bytes)).await);
        let mut said = Vec::new();
        // The answer to the first mark may overtake what is said of a stream.
        for _ in 0..2 {
            drop(within(self.0.write_all(&frame(PING, 0, 0, &MARK))).await);
            while let Some(next) = self.next().await {
                let last = next == Said::Alive;
                if next != Said::Other {
                    said.push(next);
                }
                if last {
                    break;
                }
            }
        }
        said
    }

    /// Reads on until something is said that `wanted` knows.
    async fn until(&mut self, wanted: impl Fn(&Said) -> bool) -> Said {
        loop {
            let said = self.next().await.expect("the connection ends too early");
            if wanted(&said) {
                return said;
            }
        }
    }
}

/// What must become of a connection.
#[derive(Clone, Debug)]
enum Fate {
    /// The frames mean nothing; the connection goes on.
    Ignored,
    /// The stream ends, or the connection with it. RFC 9113, 5.4.2 leaves the choice.
    Stream,
    /// The connection ends. With which code is up to the server (5.4).
    Connection,
}
use Fate::{Connection, Ignored, Stream};

/// RFC 9113, frame by frame. The cases follow the sections.
fn forbidden() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let get = literals(&GET);
    let headers = |stream: u32| frame(HEADERS, END_HEADERS, stream, &with(&POST, &[]));
    vec![
        // 4.1, 5.5: what is unknown is ignored; but a header block is not interrupted.
        ("unknown frame", frame(0x99, 0xff, 0, b"?"), Ignored),
        ("unknown flags of a PING", frame(PING, 0xfe, 0, &[7; 8]), Ignored),
        ("unknown setting", frame(SETTINGS, 0, 0, &[0xff, 0xff, 0, 0, 0, 1]), Ignored),
        (
            "unknown frame inside of a header block",
            [frame(HEADERS, END_STREAM, 1, &get), frame(0x99, 0, 1, b"?")].concat(),
            Connection,
        ),
        // 4.2
        ("frame above the size", frame(DATA, 0, 1, &[0; 16_385]), Connection),
        // 4.3
        ("block that is no HPACK", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xff; 12]), Connection),
        ("index beyond the table", frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0xfe]), Connection),
        (
            "table larger than allowed",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&[0x3f, 0xe1, 0xff, 0x03][..], &get].concat()),
            Connection,
        ),
        // 5.1
        ("DATA on an idle stream", frame(DATA, END_STREAM, 1, b"x"), Connection),
        ("RST_STREAM on an idle stream", frame(RST_STREAM, 0, 1, &[0; 4]), Connection),
        ("WINDOW_UPDATE on an idle stream", frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]), Connection),
        ("CONTINUATION without HEADERS", frame(CONTINUATION, END_HEADERS, 1, &get), Connection),
        // 5.1.1
        ("stream with an even number", frame(HEADERS, END_HEADERS | END_STREAM, 2, &get), Connection),
        // 6.1
        ("DATA on stream 0", frame(DATA, 0, 0, b"x"), Connection),
        ("padding longer than the frame", [headers(1), frame(DATA, PADDED, 1, &[9, 0])].concat(), Connection),
        // 6.2
        ("HEADERS on stream 0", frame(HEADERS, END_HEADERS | END_STREAM, 0, &get), Connection),
        (
            "another stream's HEADERS inside of a block",
            [frame(HEADERS, END_STREAM, 1, &get), frame(HEADERS, END_HEADERS | END_STREAM, 3, &get)].concat(),
            Connection,
        ),
        (
            "stream that depends on itself",
            frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &[&[0, 0, 0, 1, 16][..], &get].concat()),
            Stream,
        ),
        // 6.3
        ("PRIORITY on stream 0", frame(PRIORITY, 0, 0, &[0, 0, 0, 3, 1]), Connection),
        // 6.4
        ("RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, &[0; 4]), Connection),
        ("RST_STREAM of three bytes", [headers(1), frame(RST_STREAM, 0, 1, &[0; 3])].concat(), Connection),
        // 6.5
        ("SETTINGS on a stream", frame(SETTINGS, 0, 1, &[]), Connection),
        ("SETTINGS of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), Connection),
        ("SETTINGS that acknowledge and set", frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 9]), Connection),
        ("ENABLE_PUSH of 2", frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]), Connection),
        ("INITIAL_WINDOW_SIZE of 2^31", frame(SETTINGS, 0, 0, &[0, 4, 0x80, 0, 0, 0]), Connection),
        ("MAX_FRAME_SIZE of 1", frame(SETTINGS, 0, 0, &[0, 5, 0, 0, 0, 1]), Connection),
        // 6.6
        ("PUSH_PROMISE of a client", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Connection),
        // 6.7
        ("PING on a stream", frame(PING, 0, 1, &[0; 8]), Connection),
        ("PING of six bytes", frame(PING, 0, 0, &[0; 6]), Connection),
        // 6.8
        ("GOAWAY on a stream", frame(GOAWAY, 0, 1, &[0; 8]), Connection),
        // 6.9
        ("WINDOW_UPDATE of 0", frame(WINDOW_UPDATE, 0, 0, &[0; 4]), Connection),
        ("WINDOW_UPDATE of 0 on a stream", [headers(1), frame(WINDOW_UPDATE, 0, 1, &[0; 4])].concat(), Stream),
        ("WINDOW_UPDATE of three bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), Connection),
        ("connection window above 2^31-1", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), Connection),
        (
            "stream window above 2^31-1",
            [headers(1), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0xff, 0xff, 0xff])].concat(),
            Stream,
        ),
    ]
}

/// 8.2, 8.3: requests that HTTP/1 could be made to read otherwise.
fn misread() -> Vec<(&'static str, Vec<u8>, Fate)> {
    vec![
        ("upper case in a name", request(1, &[&GET[..], &[("X-Upper", "1")]].concat()), Stream),
        ("line end in a value", request(1, &[&GET[..], &[("x-a", "1\r\nx-b: 2")]].concat()), Stream),
        ("line end in a name", request(1, &[&GET[..], &[("x-a\r\nx-b", "1")]].concat()), Stream),
        ("colon in a name", request(1, &[&GET[..], &[("x:y", "1")]].concat()), Stream),
        ("empty name", request(1, &[&GET[..], &[("", "1")]].concat()), Stream),
        ("NUL in a value", request(1, &[&GET[..], &[("x-a", "1\0")]].concat()), Stream),
        ("line end in the path", request(1, &[&GET[..3], &[(":path", "/x HTTP/1.1\r\nx: y")]].concat()), Stream),
        ("space in the path", request(1, &[&GET[..3], &[(":path", "/x y")]].concat()), Stream),
        ("space in the method", request(1, &[&[(":method", "GET /y")], &GET[1..]].concat()), Stream),
        ("transfer-encoding", request(1, &[&POST[..], &[("transfer-encoding", "chunked")]].concat()), Stream),
        ("connection", request(1, &[&GET[..], &[("connection", "x-a")]].concat()), Stream),
        ("keep-alive", request(1, &[&GET[..], &[("keep-alive", "5")]].concat()), Stream),
        ("proxy-connection", request(1, &[&GET[..], &[("proxy-connection", "x")]].concat()), Stream),
        ("upgrade", request(1, &[&GET[..], &[("upgrade", "websocket")]].concat()), Stream),
        ("te other than trailers", request(1, &[&GET[..], &[("te", "gzip")]].concat()), Stream),
        ("pseudo-field of answers", request(1, &[&GET[..], &[(":status", "200")]].concat()), Stream),
        ("unknown pseudo-field", request(1, &[&GET[..], &[(":x", "1")]].concat()), Stream),
        ("pseudo-field after others", request(1, &[&[("x-a", "1")], &GET[..]].concat()), Stream),
        ("two methods", request(1, &[&GET[..], &[(":method", "PUT")]].concat()), Stream),
        ("two paths", request(1, &[&GET[..], &[(":path", "/y")]].concat()), Stream),
        ("no method", request(1, &GET[1..]), Stream),
        ("no path", request(1, &GET[..3]), Stream),
        ("empty path", request(1, &[&GET[..3], &[(":path", "")]].concat()), Stream),
        ("no scheme", request(1, &[&GET[..1], &GET[2..]].concat()), Stream),
        ("length that is no number", request(1, &[&POST[..], &[("content-length", "+0")]].concat()), Stream),
        ("length without a body", request(1, &[&POST[..], &[("content-length", "5")]].concat()), Stream),
        ("two lengths", request(1, &[&POST[..], &[("content-length", "0"), ("content-length", "5")]].concat()), Stream),
    ]
}

#[tokio::test]
async fn frames_that_are_forbidden_end_the_stream_or_the_connection() {
    let (server, address, _) = start(limits());
    let mut wrong = Vec::new();
    for (name, bytes, fate) in [forbidden(), misread()].concat() {
        let said = Peer::connect(address, &[]).await.tell(&bytes).await;
        let answered = said.iter().any(|it| matches!(it, Said::Headers(_, block) if block.first() == Some(&0x88)));
        let right = match fate {
            Ignored => said == [Said::Alive, Said::Alive],
            Stream => said.iter().any(|it| matches!(it, Said::Reset(1, 1..) | Said::GoAway(1..) | Said::Headers(1, _))),
            Connection => matches!(said.last(), Some(Said::GoAway(1..))),
        };
        if answered || !right {
            wrong.push(format!("{name}: {fate:?}: {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    server.shutdown();
}

/// A connection with the settings; those of the server were read.
async fn greeted(address: SocketAddr, settings: &[u8]) -> Peer {
    let mut peer = Peer::connect(address, settings).await;
    assert_eq!(peer.tell(&[]).await, [Said::Alive, Said::Alive]);
    peer
}

/// Sends the same again and again until the server has had enough, without reading. How often it went through.
async fn flood(peer: &mut Peer, bytes: &[u8], most: usize) -> usize {
    for count in 0..most {
        if within(peer.0.write_all(bytes)).await.is_err() {
            return count;
        }
    }
    panic!("{most} times, and the server still reads");
}

/// What the server says last, as far as it can still be read.
async fn farewell(peer: &mut Peer) -> Option<Said> {
    let mut last = None;
    while let Some(said) = peer.next().await {
        last = Some(said);
    }
    last
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    let (server, address, _) = start(limits());
    let mut peer = greeted(address, &[]).await;
    let pairs: Vec<u8> = (0..20_000)
        .flat_map(|it| [request(it * 2 + 1, &GET), frame(RST_STREAM, 0, it * 2 + 1, &[0, 0, 0, 8])].concat())
        .collect();
    let said = peer.tell(&pairs).await;
    assert!(!said.contains(&Said::Alive), "{said:?}");
    assert_eq!(fetch(&client(), get(address, "/x")).await.unwrap().1, "GET /x HTTP/1.1");
    server.shutdown();
}

#[tokio::test]
async fn requests_that_are_taken_back_when_they_are_worked_on_end_the_connection() {
    let (server, address, demo) = start(limits());
    let mut peer = greeted(address, &[]).await;
    let wait = [&GET[..3], &[(":path", "/wait")]].concat();
    let mut begun = 0;
    let ended = loop {
        let stream = begun * 2 + 1;
        begun += 1;
        assert!(begun < 1000, "a connection may begin as many flows as it likes");
        if peer.0.write_all(&request(stream, &wait)).await.is_err() {
            break begun;
        }
        // The flow runs, or the connection has ended.
        tokio::select! {
            () = demo.arrived.notified() => {}
            () = async { while peer.next().await.is_some() {} } => break begun,
        }
        drop(peer.0.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])).await);
    };
    assert!(ended > 200, "{ended} is too strict");
    // What was begun goes on to its end.
    while server.in_flight() > 0 {
        demo.go.notify_waiters();
        tokio::task::yield_now().await;
    }
    server.shutdown();
}

#[tokio::test]
async fn a_client_may_reset_some_of_its_requests() {
    let (server, address, demo) = start(limits());
    let mut peer = greeted(address, &[]).await;
    let wait = [&GET[..3], &[(":path", "/wait")]].concat();
    for turn in 0..300 {
        let stream = turn * 6 + 1;
        let wanted = [request(stream, &wait), request(stream + 2, &GET), request(stream + 4, &GET)].concat();
        peer.0.write_all(&wanted).await.unwrap();
        within(demo.arrived.notified()).await;
        for _ in 0..2 {
            peer.until(|it| matches!(it, Said::Headers(..))).await;
        }
        peer.0.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])).await.unwrap();
    }
    assert_eq!(peer.tell(&[]).await.last(), Some(&Said::Alive));
    while server.in_flight() > 0 {
        demo.go.notify_waiters();
        tokio::task::yield_now().await;
    }
    server.shutdown();
}

#[tokio::test]
async fn streams_above_the_limit_are_refused() {
    let (server, address, demo) = start(limits());
    let mut peer = greeted(address, &[]).await;
    let wait = [&GET[..3], &[(":path", "/wait")]].concat();
    let requests: Vec<u8> = (0..110).flat_map(|it| request(it * 2 + 1, &wait)).collect();
    let refused: Vec<Said> = (100..110).map(|it| Said::Reset(it * 2 + 1, REFUSED_STREAM)).collect();
    let mut said = peer.tell(&requests).await;
    said.retain(|it| *it != Said::Alive);
    assert_eq!(said, refused);
    while server.in_flight() > 0 {
        demo.go.notify_waiters();
        tokio::task::yield_now().await;
    }
    server.shutdown();
}

#[tokio::test]
async fn header_blocks_without_end_end_the_connection() {
    let (server, address, _) = start(limits());
    // Small ones, empty ones, and large ones.
    for block in [literals(&[("x-a", "1")]), Vec::new(), vec![0; 16_384]] {
        let mut peer = greeted(address, &[]).await;
        peer.0.write_all(&frame(HEADERS, END_STREAM, 1, &literals(&GET))).await.unwrap();
        flood(&mut peer, &frame(CONTINUATION, 0, 1, &block), 2_000_000).await;
    }
    server.shutdown();
}

#[tokio::test]
async fn small_blocks_of_large_fields_are_not_unpacked() {
    let (server, address, _) = start(limits());
    let mut peer = greeted(address, &[]).await;
    // 3,000 bytes that go into the table, then one byte for each time they are used again.
    let mut block = literals(&GET);
    block.extend([0x40, 3]);
    block.extend(b"x-a");
    block.extend([0x7f, 0xb9, 0x16]);
    block.extend([b'v'; 3000]);
    block.extend([0x80 | 0x3e; 10_000]);
    let said = peer.tell(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await;
    assert!(matches!(said.first(), Some(Said::GoAway(ENHANCE_YOUR_CALM) | Said::Reset(1, 1..))), "{said:?}");
    server.shutdown();
}

#[tokio::test]
async fn floods_whose_answers_nobody_reads_end_with_the_idle_time_out() {
    let quick = Limits { idle_timeout: Duration::from_millis(300), ..limits() };
    let (server, address, _) = start(quick);
    for bytes in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9])] {
        let mut peer = greeted(address, &[]).await;
        let thousand = bytes.repeat(1000);
        // What went through stays within the buffers of the two sockets.
        flood(&mut peer, &thousand, 100_000).await;
    }
    server.shutdown();
}

#[tokio::test]
async fn floods_of_empty_pieces_end_the_connection() {
    let (server, address, _) = start(limits());
    let mut peer = greeted(address, &[]).await;
    let wait = literals(&[&POST[..3], &[(":path", "/wait")]].concat());
    peer.0.write_all(&frame(HEADERS, END_HEADERS, 1, &wait)).await.unwrap();
    flood(&mut peer, &frame(DATA, 0, 1, &[]).repeat(100), 100_000).await;
    server.shutdown();
}

#[tokio::test]
async fn an_answer_that_is_not_wanted_ends_with_the_idle_time_out() {
    let quick = Limits { idle_timeout: Duration::from_millis(300), ..limits() };
    let (server, address, _) = start(quick);
    // INITIAL_WINDOW_SIZE of 0: no byte of a body may be sent.
    let mut peer = greeted(address, &[0, 4, 0, 0, 0, 0]).await;
    peer.0.write_all(&request(1, &GET)).await.unwrap();
    assert!(matches!(peer.until(|it| matches!(it, Said::Headers(..))).await, Said::Headers(1, _)));
    assert_eq!(server.in_flight(), 1);
    farewell(&mut peer).await;
    while server.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown();
}

#[tokio::test]
async fn a_body_must_have_the_length_it_names_and_stay_within_the_window() {
    let (server, address, _) = start(limits());
    let post = |length| frame(HEADERS, END_HEADERS, 1, &with(&POST, &[("content-length", length)]));
    for (length, pieces) in [
        ("5", frame(DATA, END_STREAM, 1, b"four")),
        ("5", [frame(DATA, 0, 1, b"thre"), frame(DATA, END_STREAM, 1, b"e+")].concat()),
        (
            "5",
            [frame(DATA, 0, 1, b"four"), frame(HEADERS, END_HEADERS | END_STREAM, 1, &literals(&[("x-t", "1")]))]
                .concat(),
        ),
    ] {
        let said = greeted(address, &[]).await.tell(&[post(length), pieces].concat()).await;
        assert!(said.contains(&Said::Reset(1, PROTOCOL_ERROR)), "{length}: {said:?}");
        assert!(!said.iter().any(|it| matches!(it, Said::Headers(1, block) if block[0] == 0x88)), "{said:?}");
    }
    // Nobody reads the body: more than the window is an error, not a buffer that grows.
    let wait = frame(HEADERS, END_HEADERS, 1, &literals(&[&POST[..3], &[(":path", "/wait")]].concat()));
    let said = greeted(address, &[]).await.tell(&[wait, frame(DATA, 0, 1, &[0; 16_384]).repeat(5)].concat()).await;
    assert!(
        said.iter().any(|it| matches!(it, Said::Reset(1, FLOW_CONTROL_ERROR) | Said::GoAway(FLOW_CONTROL_ERROR))),
        "{said:?}"
    );
    server.shutdown();
}
