//! What a listener answers to well-formed requests, byte for byte where it matters.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Limits, ListenerConfig};
use super::support::*;

/// The answer to the last of the requests on one connection must hold all of `parts`; a part with `!` must be absent.
async fn check(request: &str, parts: &[&str]) {
    let (server, address, _) = start(limits());
    let answer = raw(address, request.as_bytes()).await;
    for part in parts {
        match part.strip_prefix('!') {
            Some(absent) => assert!(!answer.contains(absent), "{request:?}: {absent:?} in {answer:?}"),
            None => assert!(answer.contains(part), "{request:?}: no {part:?} in {answer:?}"),
        }
    }
    server.shutdown();
}

#[tokio::test]
async fn answers_are_framed_as_the_client_can_read_them() {
    let last = "Connection: close\r\n\r\n";
    let cases: &[(&str, &[&str])] = &[
        (
            "GET /a?b=c HTTP/1.1\r\nHost: h\r\n{}",
            &["HTTP/1.1 200 OK\r\n", "Connection: close\r\n", "\r\n\r\nGET /a?b=c HTTP/1.1"],
        ),
        ("GET /a%2Fb/../c;x=%00 HTTP/1.1\r\n{}", &["GET /a%2Fb/../c;x=%00 HTTP/1.1"]),
        ("GET http://other:1/p?q HTTP/1.1\r\nHost: h\r\n{}", &["GET http://other:1/p?q HTTP/1.1"]),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n{}", &["OPTIONS * HTTP/1.1"]),
        ("PURGE /x HTTP/1.1\r\nHost: h\r\n{}", &["HTTP/1.1 501 Not Implemented\r\n", "Connection: close\r\n"]),
        ("GET /x HTTP/1.0\r\n\r\n", &["HTTP/1.0 200 OK\r\n", "GET /x HTTP/1.0", "!Transfer-Encoding"]),
        ("GET /chunked HTTP/1.0\r\n\r\n", &["HTTP/1.0 200 OK\r\n", "\r\n\r\nonetwo", "!chunked"]),
        (
            "GET /chunked HTTP/1.1\r\n{}",
            &["Transfer-Encoding: chunked\r\n", "3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"],
        ),
        ("GET /empty HTTP/1.1\r\n{}", &["Content-Length: 0\r\n", "!chunked"]),
        ("GET /no-content HTTP/1.1\r\n{}", &["HTTP/1.1 204 No Content\r\n", "!Content-Length", "!chunked"]),
        ("HEAD /chunked HTTP/1.1\r\n{}", &["HTTP/1.1 200 OK\r\n", "!one"]),
        ("GET /status HTTP/1.1\r\n{}", &["HTTP/1.1 299 \r\n"]),
        ("GET /interim HTTP/1.1\r\n{}", &["HTTP/1.1 500 Internal Server Error\r\n"]),
        ("GET /reason HTTP/1.1\r\n{}", &["HTTP/1.1 200 Very Fine\r\n"]),
        ("GET /bad-reason HTTP/1.1\r\n{}", &["HTTP/1.1 200 OK\r\n", "!a\r\nb"]),
        ("GET /framed HTTP/1.1\r\n{}", &["Content-Length: 1\r\n", "x-kept: 1\r\n", "!gzip", "!99", "!x-y"]),
        ("POST /echo HTTP/1.1\r\nContent-Length: 3\r\n{}abc", &["Content-Length: 3\r\n", "\r\n\r\nabc"]),
        (
            "POST /collect HTTP/1.1\r\nTransfer-Encoding: chunked\r\n{}2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n",
            &["\r\n\r\nabc"],
        ),
        ("POST /collect HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", &["HTTP/1.0 200 OK\r\n", "\r\n\r\nabc"]),
        ("GET /headers HTTP/1.1\r\nX-Auth: a\r\nX-B: b\r\nConnection: X-Auth, close\r\n\r\n", &["X-B", "!X-Auth"]),
    ];
    for (request, parts) in cases {
        check(&request.replace("{}", last), parts).await;
    }
}

#[tokio::test]
async fn hyper_answers_the_same_where_it_is_asked_for() {
    let config = ListenerConfig { plain_codec: true, ..ListenerConfig::new("test", ANY) };
    let (server, address, _) = start_with(config, 1);
    let answer = raw(address, b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nabc"), "{answer:?}");
    let answer = raw(address, b"GET /x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    assert!(raw(address, b"GET /panic HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 500 "));
    server.shutdown();
}

#[tokio::test]
async fn the_server_says_its_name_unless_the_answer_does() {
    let config = ListenerConfig { server: "MI", ..ListenerConfig::new("test", ANY) };
    let (server, address, _) = start_with(config, 1);
    for (path, name) in [("/x", "Server: MI\r\n"), ("/named", "server: own\r\n")] {
        let answer = raw(address, format!("GET {path} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.contains(name) && answer.to_lowercase().matches("server:").count() == 1, "{answer:?}");
        assert_eq!(answer.matches("Date: ").count(), 1, "{answer:?}");
    }
    server.shutdown();
}

#[tokio::test]
async fn clients_of_http_1_0_keep_their_connection_when_they_ask_and_the_length_is_known() {
    let (server, address, _) = start(limits());
    let mut stream = TcpStream::connect(address).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /k HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await.unwrap();
        let answer = read_until(&mut stream, "GET /k HTTP/1.0").await;
        assert!(
            answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.contains("Connection: keep-alive\r\n"),
            "{answer:?}"
        );
    }
    let answer = raw(address, b"GET /chunked HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").await;
    assert!(answer.contains("Connection: close\r\n") && answer.ends_with("\r\n\r\nonetwo"), "{answer:?}");
    server.shutdown();
}

#[tokio::test]
async fn what_is_left_of_a_body_is_thrown_away_when_it_is_little() {
    let (server, address, _) = start(limits());
    // Nobody reads the first body; the second request is read behind it.
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /empty HTTP/1.1\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    stream.write_all(&vec![b'a'; 100_000]).await.unwrap();
    stream.write_all(b"GET /second HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_until(&mut stream, "GET /second").await.starts_with("HTTP/1.1 200 OK\r\n"));
    // A long one is not waited for, and the client is told.
    let answer = raw(address, b"POST /empty HTTP/1.1\r\nContent-Length: 9000000\r\n\r\nabc").await;
    assert!(answer.contains("Connection: close\r\n"), "{answer:?}");
    // A client that waits for leave must not have its next request taken for a body.
    let answer = raw(address, b"POST /empty HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("Connection: close\r\n"), "{answer:?}");
    server.shutdown();
}

#[tokio::test]
async fn large_bodies_stream_through() {
    let (server, address, _) = start(limits());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let part = vec![b'x'; 64 * 1024];
    for chunked in [true, false] {
        let framing = if chunked { "Transfer-Encoding: chunked" } else { "Content-Length: 6553600" };
        let send = async {
            writer.write_all(format!("POST /echo HTTP/1.1\r\n{framing}\r\n\r\n").as_bytes()).await.unwrap();
            for _ in 0..100 {
                if chunked {
                    writer.write_all(b"10000\r\n").await.unwrap();
                }
                writer.write_all(&part).await.unwrap();
                if chunked {
                    writer.write_all(b"\r\n").await.unwrap();
                }
            }
            if chunked {
                writer.write_all(b"0\r\n\r\n").await.unwrap();
            }
        };
        let receive = async {
            let (mut seen, mut count) = (Vec::with_capacity(64 * 1024), 0);
            while count < 6_553_600 {
                seen.clear();
                reader.read_buf(&mut seen).await.unwrap();
                count += memchr::memchr_iter(b'x', &seen).count();
            }
            if chunked {
                let mut last = Vec::new();
                while !last.ends_with(b"0\r\n\r\n") && !seen.ends_with(b"0\r\n\r\n") {
                    reader.read_buf(&mut last).await.unwrap();
                }
            }
            count
        };
        let ((), count) = within(async { tokio::join!(send, receive) }).await;
        assert_eq!(count, 6_553_600);
    }
    server.shutdown();
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_waited_for() {
    for body in ["5\r\nab", "zz\r\n", ""] {
        let request = format!("GET /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let (server, address, _) = start(limits());
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = read_until(&mut stream, "GET /x").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{body:?}: {answer:?}");
        server.shutdown();
    }
}

#[tokio::test]
async fn bodies_around_the_sizes_of_buffers_arrive_whole() {
    let (server, address, _) = start(limits());
    for size in [16_383, 16_384, 16_385, 65_535, 65_536, 65_537] {
        let body: Vec<u8> = (0..size).map(|at: u32| b'a' + (at % 26) as u8).collect();
        let chunked = [format!("{size:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        let plain = format!("Content-Length: {size}\r\n");
        for (framing, sent) in [(&*plain, &body), ("Transfer-Encoding: chunked\r\n", &chunked)] {
            // The pieces that it comes in are others each time, and none fits a buffer.
            for piece in [size as usize + 1, 16_384, 7_919] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let head = format!("POST /collect HTTP/1.1\r\n{framing}Connection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                for part in sent.chunks(piece) {
                    stream.write_all(part).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
                let mut answer = Vec::new();
                within(stream.read_to_end(&mut answer)).await.unwrap();
                assert!(answer.ends_with(&body), "{size} {framing} {piece}: {} bytes", answer.len());
            }
        }
    }
    server.shutdown();
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (server, address, _) = start(limits());
    let mut requests = String::new();
    for number in 0..1000 {
        requests.push_str(&format!("GET /{number} HTTP/1.1\r\nHost: h\r\n\r\n"));
    }
    requests.push_str("GET /last HTTP/1.1\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n\r\n");
    let answer = raw(address, requests.as_bytes()).await;
    let mut at = 0;
    for number in (0..1000).map(|number| number.to_string()).chain(["last".to_owned()]) {
        let wanted = format!("GET /{number} HTTP");
        at += answer[at..].find(&wanted).unwrap_or_else(|| panic!("{wanted} is missing or out of order"));
    }
    assert!(!answer.contains("/never"));
    server.shutdown();
}

#[tokio::test]
async fn leave_to_send_the_body_is_given_when_the_body_is_read() {
    let (server, address, _) = start(limits());
    for (path, leave) in [("/collect", true), ("/empty", false)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let first = read_until(&mut stream, "\r\n\r\n").await;
        assert_eq!(first.starts_with("HTTP/1.1 100 Continue"), leave, "{path}: {first:?}");
        if leave {
            stream.write_all(b"abc").await.unwrap();
            assert!(read_until(&mut stream, "abc").await.starts_with("HTTP/1.1 200 OK"));
        }
    }
    let answer = raw(address, b"POST /collect HTTP/1.1\r\nExpect: a-miracle\r\nContent-Length: 3\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer:?}");
    server.shutdown();
}

#[tokio::test]
async fn a_panic_ends_one_request() {
    let (server, address, _) = start(limits());
    for path in ["/panic", "/panic-at-once"] {
        let answer = raw(address, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer:?}");
    }
    let answer = raw(address, b"GET /on HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("GET /on"), "{answer:?}");
    assert_eq!(server.in_flight(), 0);
    server.shutdown();
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_ended_cleanly() {
    let (server, address, _) = start(limits());
    let answer = raw(address, b"GET /cut HTTP/1.1\r\n\r\n").await;
    // hyper may drop what it has not written yet, the head included.
    assert!(!answer.contains("0\r\n\r\n") && !answer.contains("Content-Length"), "{answer:?}");
    server.shutdown();
}

#[tokio::test]
async fn without_an_answer_the_connection_stays_until_the_socket_time_out() {
    let quick = Limits { idle_timeout: Duration::from_millis(300), ..limits() };
    let (server, address, _) = start(quick);
    let begin = std::time::Instant::now();
    assert_eq!(raw(address, b"GET /none HTTP/1.1\r\n\r\n").await, "");
    assert!(begin.elapsed() >= Duration::from_millis(290), "{:?}", begin.elapsed());
    assert_eq!(server.in_flight(), 0);
    server.shutdown();
}

#[tokio::test]
async fn slow_heads_get_408_and_idle_connections_are_closed() {
    let quick =
        Limits { header_timeout: Duration::from_millis(200), idle_timeout: Duration::from_millis(600), ..limits() };
    let (server, address, _) = start(quick);
    // (what is sent, the answer's beginning)
    let cases = [
        ("", ""),
        ("GET / HT", "HTTP/1.1 408 Request Timeout\r\n"),
        ("PRI * HTT", ""),
        ("GET /a HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("GET /a HTTP/1.1\r\n\r\nGET /b", "HTTP/1.1 200 OK\r\n"),
        ("POST /collect HTTP/1.1\r\nContent-Length: 5\r\n\r\na", ""),
    ];
    for (sent, expected) in cases {
        let answer = raw(address, sent.as_bytes()).await;
        assert!(answer.starts_with(expected) && (answer.is_empty() == expected.is_empty()), "{sent:?}: {answer:?}");
    }
    server.shutdown();
}

#[tokio::test]
async fn a_drip_of_header_bytes_does_not_prolong_the_time() {
    let quick = Limits { header_timeout: Duration::from_millis(300), ..limits() };
    let (server, address, _) = start(quick);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let begin = std::time::Instant::now();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        for byte in "GET / HTTP/1.1\r\nX-Long: ".bytes().chain(std::iter::repeat(b'a')) {
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
            // Real time: a client that drips.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut answer = [0; 12];
    tokio::select! {
        () = drip => panic!("closed without a word"),
        read = within(reader.read_exact(&mut answer)) => { read.unwrap(); }
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(begin.elapsed() < Duration::from_secs(5));
    server.shutdown();
}

#[tokio::test]
async fn too_many_requests_are_refused_and_too_many_connections_wait() {
    let (server, address, demo) = start(Limits { max_requests: 1, max_connections: 2, ..limits() });
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    within(demo.arrived.notified()).await;
    let refused = raw(address, b"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("Retry-After: 1\r\n"), "{refused:?}");
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.unwrap();
    read_until(&mut second, "503").await;
    let mut third = TcpStream::connect(address).await.unwrap();
    third.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(server.connections(), 2);
    drop(second);
    read_until(&mut third, "503").await;
    demo.go.notify_one();
    read_until(&mut first, "waited").await;
    server.shutdown();
}

#[tokio::test]
async fn a_port_in_use_is_an_error_also_between_processes_that_share_ports_among_their_threads() {
    let (server, address, _) = start_with(ListenerConfig::new("first", ANY), 2);
    let second = super::super::Server::start(
        vec![(ListenerConfig::new("second", address), std::sync::Arc::new(Shared(Default::default())))],
        2,
    );
    let error = second.expect_err("the port is in use").to_string();
    assert!(error.starts_with("second: 127.0.0.1:"), "{error}");
    server.shutdown();
}
