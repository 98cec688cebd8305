//! Requests that two servers could read differently, and requests over the limits. Nothing of them reaches the service.

use super::super::Limits;
use super::support::*;

/// Sends a request and, behind it, one that would be smuggled in.
async fn check(limits: Limits, request: &str, expected: &str) {
    let (server, address, _) = start(limits);
    let answer = raw(address, format!("{request}GET /smuggled HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let shown = &request[..request.len().min(120)];
    assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{shown:?}: {answer:?}");
    assert!(!answer.contains("smuggled"), "{shown:?}: {answer:?}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{shown:?}: {answer:?}");
    server.shutdown();
}

#[tokio::test]
async fn lengths_and_codings_that_are_not_plain_are_refused() {
    let head = "POST /collect HTTP/1.1\r\nHost: h\r\n";
    let cases = [
        ("Transfer-Encoding: xchunked\r\n", "400"),
        ("Transfer-Encoding: chunked, identity\r\n", "400"),
        ("Transfer-Encoding: gzip, chunked\r\n", "501"),
        ("Transfer-Encoding: identity, chunked\r\n", "501"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "400"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "400"),
        ("Transfer-Encoding : chunked\r\n", "400"),
        ("Transfer-Encoding\t: chunked\r\n", "400"),
        ("Transfer-Encoding:\r\n chunked\r\n", "400"),
        ("X: y\r\n folded\r\n", "400"),
        ("Transfer-Encoding: \"chunked\"\r\n", "400"),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "400"),
        ("Content-Length: 5, 5\r\n", "400"),
        ("Content-Length: +5\r\n", "400"),
        ("Content-Length: -1\r\n", "400"),
        ("Content-Length: 0x5\r\n", "400"),
        ("Content-Length:\r\n", "400"),
        ("Content-Length: 99999999999999999999\r\n", "400"),
        ("Content-Length: 18446744073709551615\r\n", "400"),
        ("Content-Length: 1 1\r\n", "400"),
        ("Content-Length: 1e1\r\n", "400"),
        ("Host: other\r\n", "400"),
    ];
    for (fields, expected) in cases {
        check(limits(), &format!("{head}{fields}\r\n"), expected).await;
    }
    check(limits(), "POST /collect HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "400").await;
}

#[tokio::test]
async fn length_and_coding_together_never_let_a_second_request_through() {
    for fields in
        ["Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"]
    {
        let (server, address, _) = start(limits());
        let request = format!("POST /collect HTTP/1.1\r\n{fields}\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n");
        let answer = raw(address, request.as_bytes()).await;
        assert!(!answer.contains("smuggled") && answer.matches("HTTP/1.1 ").count() == 1, "{fields:?}: {answer:?}");
        let seen = raw(address, format!("POST /headers HTTP/1.1\r\n{fields}\r\n0\r\n\r\n").as_bytes()).await;
        assert!(!seen.contains("content-length"), "{seen:?}");
        server.shutdown();
    }
}

#[tokio::test]
async fn broken_chunks_end_the_request() {
    let head = "POST /collect HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long_extension = format!("1;{}\r\na\r\n", "x".repeat(1 << 20));
    let long_trailer = format!("1\r\na\r\n0\r\nT: {}\r\n\r\n", "x".repeat(1 << 20));
    let cases = [
        "FFFFFFFFFFFFFFFFF\r\n",
        "11111111111111111\r\n",
        "-1\r\na\r\n",
        "0x1\r\na\r\n",
        "1\r\nab\r\n",
        "1\r\na0\r\n\r\n",
        "1\na\r\n",
        "\r\n",
        "g\r\n",
        &long_extension,
        &long_trailer,
    ];
    for chunks in cases {
        let (server, address, _) = start(limits());
        let answer = raw(address, format!("{head}{chunks}GET /smuggled HTTP/1.1\r\n\r\n").as_bytes()).await;
        let shown = &chunks[..chunks.len().min(40)];
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{shown:?}: {answer:?}");
        assert!(!answer.contains("smuggled"), "{shown:?}: {answer:?}");
        server.shutdown();
    }
}

#[tokio::test]
async fn control_bytes_are_refused() {
    let cases = [
        "GET /\0 HTTP/1.1\r\n\r\n",
        "GET /\x01 HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\n: empty\r\n\r\n",
        "GET / HTTP/1.1\r\nX Y: a\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET / HTTP/2.1\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\n\n",
        "GET /\r HTTP/1.1\r\n\r\n",
        "G@T / HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\r\n\r\n",
    ];
    for request in cases {
        check(limits(), request, "400").await;
    }
    check(limits(), "CONNECT host:1 HTTP/1.1\r\n\r\n", "501").await;
}

#[tokio::test]
async fn heads_over_the_limits_are_refused() {
    let small = Limits { max_uri: 1024, max_header_bytes: 4096, max_headers: 20, ..limits() };
    let cases = [
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(1100)), "414"),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)), "414"),
        (format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(5000)), "431"),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(21)), "431"),
        (format!("GET /{} HTTP/1.1\r\n{}\r\n", "a".repeat(1000), "X: y\r\n".repeat(20)), "200"),
    ];
    for (request, expected) in cases {
        let (server, address, _) = start(small);
        let answer = raw(address, format!("{request}GET /end HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{:?}: {answer:?}", &request[..40]);
        server.shutdown();
    }
}
