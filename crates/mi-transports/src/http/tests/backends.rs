//! The client against back ends, good and bad.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Version};
use http_body_util::BodyExt;
use mi_engine::fault::codes;
use mi_engine::transport::{HttpClient, Outgoing, Payload, SendError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use super::super::{Client, ClientConfig, HostUse, Proxies};
use super::support::*;

/// What arrives at a back end when `outgoing` is sent, up to `end`.
async fn seen(outgoing: impl FnOnce(std::net::SocketAddr) -> Outgoing, end: &'static str) -> String {
    let (tell, mut told) = mpsc::unbounded_channel();
    let address = backend(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            let request = read_until(&mut stream, end).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
            tell.send(request).unwrap();
        }
    })
    .await;
    fetch(&client(), outgoing(address)).await.unwrap();
    within(told.recv()).await.unwrap().replace(&address.to_string(), "ADDRESS")
}

#[tokio::test]
async fn requests_are_written_as_asked() {
    let stream = || Payload::Stream(chunks(vec![Ok("one"), Ok("two")]));
    let asked = seen(|at| get(at, "/a?b=c"), "\r\n\r\n").await;
    assert_eq!(asked, "GET /a?b=c HTTP/1.1\r\nHost: ADDRESS\r\n\r\n");

    let asked = seen(|at| post(at, "/p", "abc"), "0\r\n\r\n").await;
    assert_eq!(asked, "POST /p HTTP/1.1\r\nHost: ADDRESS\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");

    let asked = seen(|at| Outgoing { chunked: false, ..post(at, "/p", "abc") }, "abc").await;
    assert_eq!(asked, "POST /p HTTP/1.1\r\nHost: ADDRESS\r\nContent-Length: 3\r\n\r\nabc");

    let asked = seen(|at| request(Method::GET, at, "/g", Payload::Bytes("abc".into())), "0\r\n\r\n").await;
    assert!(asked.ends_with("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), "{asked:?}");

    let asked = seen(|at| request(Method::POST, at, "/s", stream()), "0\r\n\r\n").await;
    assert!(asked.contains("\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), "{asked:?}");

    let asked = seen(|at| Outgoing { chunked: false, ..request(Method::POST, at, "/s", stream()) }, "two").await;
    assert!(asked.ends_with("Content-Length: 6\r\n\r\nonetwo"), "{asked:?}");

    let asked =
        seen(|at| Outgoing { version: Version::HTTP_10, ..request(Method::POST, at, "/s", stream()) }, "two").await;
    assert!(
        asked.starts_with("POST /s HTTP/1.0\r\n") && asked.ends_with("Content-Length: 6\r\n\r\nonetwo"),
        "{asked:?}"
    );

    let asked = seen(|at| request(Method::POST, at, "/e", Payload::Empty), "\r\n\r\n").await;
    assert!(asked.contains("Content-Length: 0\r\n"), "{asked:?}");

    let asked = seen(|at| Outgoing { close: true, ..get(at, "/c") }, "\r\n\r\n").await;
    assert!(asked.contains("Connection: close\r\n"), "{asked:?}");

    let asked = seen(|at| Outgoing { target: format!("http://{at}/full?x"), ..get(at, "") }, "\r\n\r\n").await;
    assert!(asked.starts_with("GET http://ADDRESS/full?x HTTP/1.1\r\n"), "{asked:?}");
}

#[tokio::test]
async fn fields_go_out_as_spelled_and_the_framing_is_the_transports() {
    let asked = seen(
        |at| {
            let mut outgoing = post(at, "/", "abc");
            for (name, value) in [
                ("host", "other:1"),
                ("soapAction", "\"a\""),
                ("content-length", "99"),
                ("transfer-encoding", "gzip"),
                ("connection", "x"),
                ("keep-alive", "1"),
                ("te", "trailers"),
                ("upgrade", "h2c"),
                ("expect", "100-continue"),
                ("x-two", "1"),
                ("X-Two", "2"),
            ] {
                outgoing.headers.append(name, value);
            }
            outgoing
        },
        "0\r\n\r\n",
    )
    .await;
    let head = asked.split("\r\n\r\n").next().unwrap();
    let mut fields: Vec<&str> = head.split("\r\n").skip(1).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["Transfer-Encoding: chunked", "X-Two: 2", "host: other:1", "soapAction: \"a\"", "x-two: 1"]);
}

#[tokio::test]
async fn answers_are_read_as_framed() {
    // (bytes, the back end closes behind them, status and body or the error code)
    type Case = (&'static str, bool, Result<(u16, &'static str), u32>);
    #[rustfmt::skip]
    let cases: [Case; 22] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, Ok((200, "abc"))),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false, Ok((200, "abc"))),
        ("HTTP/1.1 200 OK\r\n\r\nabc", true, Ok((200, "abc"))),
        ("HTTP/1.0 200 OK\r\n\r\nabc", true, Ok((200, "abc"))),
        ("HTTP/1.1 204 No Content\r\n\r\n", false, Ok((204, ""))),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, Ok((304, ""))),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", false, Ok((202, ""))),
        ("HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nfail", false, Ok((500, "fail"))),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", true, Err(0)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", true, Err(0)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", true, Err(0)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", true, Err(0)),
        ("", true, Err(codes::CONNECTION_CLOSED)),
        ("HTTP/1.1 200 OK\r\nContent-Le", true, Err(codes::CONNECTION_CLOSED)),
        ("nonsense\r\n\r\n", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.1 99999 OK\r\n\r\n", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false, Err(codes::PROTOCOL_VIOLATION)),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false, Err(codes::PROTOCOL_VIOLATION)),
    ];
    for (answer, close, expected) in cases {
        let address = canned(answer, close).await;
        let outcome = within(client().send(get(address, "/"))).await;
        match (outcome, expected) {
            (Ok(incoming), Ok((status, body))) => {
                assert_eq!(incoming.status, status, "{answer:?}");
                assert_eq!(text(incoming).await.expect(answer), body);
            }
            // 0: the head is good and the body breaks off.
            (Ok(incoming), Err(0)) => assert!(text(incoming).await.is_err(), "{answer:?}"),
            (Err(error), Err(code)) => assert_eq!(error.code, code, "{answer:?}: {error:?}"),
            (Ok(_), Err(_)) => panic!("{answer:?} was accepted"),
            (Err(error), Ok(_)) => panic!("{answer:?}: {error:?}"),
        }
    }
}

#[tokio::test]
async fn heads_of_answers_have_limits() {
    for answer in [
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(70_000)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(101)),
    ] {
        let address = canned(answer.leak(), false).await;
        let error = fetch(&client(), get(address, "/")).await.unwrap_err();
        assert_eq!(error.code, codes::PROTOCOL_VIOLATION, "{error:?}");
    }
}

#[tokio::test]
async fn reason_and_fields_are_handed_on_but_not_what_belongs_to_the_connection() {
    let address = canned(
        "HTTP/1.1 200 Fine\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n",
        false,
    )
    .await;
    let incoming = within(client().send(get(address, "/"))).await.unwrap();
    assert_eq!(incoming.reason.as_deref(), Some("Fine"));
    assert_eq!(incoming.headers.get("x-end"), Some("2"));
    assert!(!incoming.headers.contains("x-hop"));
}

#[tokio::test]
async fn failures_have_the_codes_and_words_of_mi() {
    // Refused.
    let gone = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let error = fetch(&client(), get(gone, "/")).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (codes::CONNECTION_FAILED, "Error connecting to the back end"));
    assert!(error.detail.contains(&gone.to_string()), "{error:?}");
    // A name that cannot exist: labels have at most 63 characters, so no name server is asked.
    let unknown = Outgoing { host: "a".repeat(64).into(), ..get(gone, "/") };
    let error = fetch(&client(), unknown).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (codes::CONNECTION_FAILED, "Error connecting to the back end"));
    // No answer in the caller's time and in the client's own.
    let silent = backend(|_, stream| async move {
        tokio::time::sleep(PATIENCE).await;
        drop(stream);
    })
    .await;
    let short = Duration::from_millis(100);
    let error = fetch(&client(), Outgoing { timeout: Some(short), ..get(silent, "/") }).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (codes::CONNECTION_TIMEOUT, "Send timeout"));
    let hasty = Client::new(ClientConfig { response_timeout: short, ..client_config() });
    let error = fetch(&hasty, Outgoing { timeout: None, ..get(silent, "/") }).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (codes::CONNECTION_TIMEOUT, "Error in Sender"));
    // The request's own body breaks off.
    let broken = request(Method::POST, silent, "/", Payload::Stream(chunks(vec![Ok("a"), Err("gone".into())])));
    let error = fetch(&client(), broken).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (codes::SND_IO_SENDING, "Error in Sender"));
}

#[tokio::test]
async fn connecting_takes_at_most_its_time() {
    // A backlog of one that nobody empties: further connections get no answer.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&ANY.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(stream);
        assert!(waiting.len() < 64, "the backlog never fills");
    }
    let hasty = Client::new(ClientConfig { connect_timeout: Duration::from_millis(100), ..client_config() });
    let error = fetch(&hasty, get(address, "/")).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (codes::CONNECT_TIMEOUT, "Error connecting to the back end"));
}

/// A back end that counts its connections and answers every request.
async fn counting(answer: &'static str) -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = connections.clone();
    let address = backend(move |_, mut stream| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move {
            let mut seen = Vec::new();
            while stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {
                while let Some(end) = memchr::memmem::find(&seen, b"\r\n\r\n") {
                    seen.drain(..end + 4);
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    })
    .await;
    (address, connections)
}

const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

#[tokio::test]
async fn connections_are_used_again_when_the_answer_was_read() {
    let (address, connections) = counting(SHORT).await;
    let client = client();
    for _ in 0..5 {
        assert_eq!(fetch(&client, get(address, "/")).await.unwrap().1, "abc");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // The caller asked to close it.
    fetch(&client, Outgoing { close: true, ..get(address, "/") }).await.unwrap();
    fetch(&client, get(address, "/")).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    // So did the back end, or its answer is still under way, or it sends more than its answer.
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
        "HTTP/1.1 204 No Content\r\n\r\nabc",
    ] {
        let (address, connections) = counting(answer).await;
        for _ in 0..2 {
            drop(within(client.send(get(address, "/"))).await.unwrap());
        }
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{answer:?}");
    }
}

#[tokio::test]
async fn connections_are_given_up_when_they_are_old_or_idle_for_long() {
    for (idle, lifetime) in
        [(Duration::from_millis(50), Duration::from_mins(1)), (Duration::from_mins(1), Duration::from_millis(50))]
    {
        let (address, connections) = counting(SHORT).await;
        let client = Client::new(ClientConfig { idle_timeout: idle, max_lifetime: lifetime, ..client_config() });
        fetch(&client, get(address, "/")).await.unwrap();
        // Real time: the pool measures ages with the clock of the machine.
        tokio::time::sleep(Duration::from_millis(120)).await;
        fetch(&client, get(address, "/")).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{idle:?} {lifetime:?}");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let address = backend(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(SHORT.as_bytes()).await.unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
            tell.send(()).unwrap();
        }
    })
    .await;
    let client = Client::new(ClientConfig { idle_timeout: Duration::from_millis(100), ..client_config() });
    fetch(&client, get(address, "/")).await.unwrap();
    within(told.recv()).await.unwrap();
}

#[tokio::test]
async fn no_more_requests_than_allowed_are_under_way_to_a_host() {
    let go = Arc::new(Notify::new());
    let (tell, mut told) = mpsc::unbounded_channel();
    let wait = go.clone();
    let address = backend(move |_, mut stream| {
        let (wait, tell) = (wait.clone(), tell.clone());
        async move {
            loop {
                read_until(&mut stream, "\r\n\r\n").await;
                tell.send(()).unwrap();
                wait.notified().await;
                stream.write_all(SHORT.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let client = Client::new(ClientConfig { max_per_host: 2, ..client_config() });
    let running: Vec<_> = (0..4)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { fetch(&client, get(address, "/")).await })
        })
        .collect();
    within(told.recv()).await;
    within(told.recv()).await;
    let expected =
        |requests, waiting, idle| [HostUse { address: format!("http://{address}"), requests, waiting, idle }];
    // The two that are on their way are known; the others come to their wait when they are polled.
    while client.in_use()[0].waiting < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.in_use(), expected(2, 2, 0));
    let impatient = Outgoing { timeout: Some(Duration::from_millis(100)), ..get(address, "/") };
    let error = fetch(&client, impatient).await.unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (codes::CONNECTION_TIMEOUT, "No available connections to serve the request")
    );
    assert!(told.try_recv().is_err(), "a third request was sent");
    for _ in 0..4 {
        go.notify_one();
        // The next one may only come now.
        drop(tokio::time::timeout(Duration::from_millis(200), told.recv()).await);
    }
    for task in running {
        assert_eq!(within(task).await.unwrap().unwrap().1, "abc");
    }
    assert_eq!(client.in_use(), expected(0, 0, 2));
    // Another host is not affected.
    let (other, _) = counting(SHORT).await;
    fetch(&client, get(other, "/")).await.unwrap();
}

/// A back end whose first connection answers once, takes the next request and closes without a word; it counts the
/// requests and tells when it has closed.
async fn closes_on_second(read_first: bool) -> (std::net::SocketAddr, Arc<AtomicUsize>, Arc<Notify>) {
    let (requests, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let (counter, tell) = (requests.clone(), closed.clone());
    let address = backend(move |number, mut stream| {
        let (counter, tell) = (counter.clone(), tell.clone());
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            counter.fetch_add(1, Ordering::SeqCst);
            stream.write_all(SHORT.as_bytes()).await.unwrap();
            if number == 0 {
                if read_first {
                    read_until(&mut stream, "\r\n\r\n").await;
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                drop(stream);
                tell.notify_one();
                return;
            }
            within(stream.read(&mut [0; 1])).await.ok();
        }
    })
    .await;
    (address, requests, closed)
}

#[tokio::test]
async fn a_request_on_a_stale_connection_is_repeated_only_where_that_does_no_harm() {
    let plain = |method: Method| {
        move |at| Outgoing { chunked: false, ..request(method.clone(), at, "/", Payload::Bytes("x".into())) }
    };
    // (second request, the back end saw it before it closed, whether it is answered)
    type Make = Box<dyn Fn(std::net::SocketAddr) -> Outgoing>;
    let cases: Vec<(Make, bool, bool)> = vec![
        (Box::new(|at| get(at, "/")), true, true),
        (Box::new(plain(Method::PUT)), true, true),
        (Box::new(|at| post(at, "/", "x")), true, false),
        (Box::new(|at| request(Method::PUT, at, "/", Payload::Stream(chunks(vec![Ok("x")])))), true, false),
        // Closed while idle, which shows before anything is sent: any request goes to a new connection.
        (Box::new(|at| post(at, "/", "x")), false, true),
        (Box::new(|at| request(Method::POST, at, "/", Payload::Stream(chunks(vec![Ok("x")])))), false, true),
    ];
    for (number, (make, seen_first, answered)) in cases.into_iter().enumerate() {
        let (address, requests, closed) = closes_on_second(seen_first).await;
        let client = client();
        fetch(&client, get(address, "/")).await.unwrap();
        if !seen_first {
            // On this machine it has arrived then; the runtime hears of it before the test goes on.
            within(closed.notified()).await;
            tokio::task::yield_now().await;
        }
        let outcome = fetch(&client, make(address)).await;
        assert_eq!(outcome.is_ok(), answered, "{number}: {outcome:?}");
        if let Err(error) = outcome {
            assert_eq!(error.code, codes::CONNECTION_CLOSED, "{number}: {error:?}");
        }
        let total = requests.load(Ordering::SeqCst);
        assert_eq!(total, if seen_first && answered { 3 } else { 2 }, "{number}");
    }
}

/// A request body to which pieces are given one by one.
fn piecemeal() -> (mpsc::UnboundedSender<&'static str>, Payload) {
    let (sender, receiver) = mpsc::unbounded_channel::<&'static str>();
    let frames = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let text = receiver.recv().await?;
        Some((Ok(http_body::Frame::data(bytes::Bytes::from(text))), receiver))
    });
    (sender, Payload::Stream(mi_message::BodyStream::new(http_body_util::StreamBody::new(Box::pin(frames)))))
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_is_handed_on_and_the_rest_not_sent() {
    for (answer, status, body) in [
        ("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig", 413, "big"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine", 200, "fine"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
    ] {
        let (address, connections) = counting(answer).await;
        let client = client();
        for _ in 0..2 {
            let (sender, payload) = piecemeal();
            sender.send("first").unwrap();
            let answer = within(client.send(request(Method::POST, address, "/", payload))).await.unwrap();
            assert_eq!(answer.status, status);
            assert_eq!(text(answer).await.unwrap(), body);
            // The body that nobody wants is dropped.
            within(sender.closed()).await;
        }
        assert_eq!(connections.load(Ordering::SeqCst), 2, "{status}: half a request spoils the connection");
    }
}

#[tokio::test]
async fn an_answer_can_begin_while_the_request_is_still_sent() {
    let (server, address, _) = start(limits());
    let client = client();
    for _ in 0..2 {
        let (sender, body) = piecemeal();
        sender.send("one").unwrap();
        let mut answer = within(client.send(request(Method::POST, address, "/echo", body))).await.unwrap();
        for next in ["two", "three"] {
            assert!(within(answer.body.frame()).await.unwrap().unwrap().is_data());
            sender.send(next).unwrap();
        }
        drop(sender);
        assert_eq!(within(answer.body.collect()).await.unwrap().to_bytes(), "three");
    }
    assert_eq!(server.connections(), 1, "the connection is used again");
    server.shutdown();
}

#[tokio::test]
async fn an_answer_that_stands_still_breaks_off() {
    let address = backend(|_, mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
        within(stream.read(&mut [0; 1])).await.ok();
    })
    .await;
    let client = Client::new(ClientConfig { socket_timeout: Duration::from_millis(150), ..client_config() });
    let answer = within(client.send(get(address, "/"))).await.unwrap();
    assert!(text(answer).await.is_err());
}

#[tokio::test]
async fn bodies_are_relayed_piece_by_piece() {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let address = backend(move |_, mut stream| {
        let wait = wait.clone();
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
            wait.notified().await;
            stream.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        }
    })
    .await;
    let mut answer = within(client().send(get(address, "/"))).await.unwrap();
    let first = within(answer.body.frame()).await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "one");
    go.notify_one();
    let rest = within(answer.body.collect()).await.unwrap().to_bytes();
    assert_eq!(rest, "two");
}

#[tokio::test]
async fn a_request_finds_the_address_of_a_name_that_works() {
    let (address, _) = counting(SHORT).await;
    // localhost is 127.0.0.1 and often ::1 as well, where nobody listens.
    let named = Outgoing { host: "localhost".into(), ..get(address, "/") };
    assert_eq!(fetch(&client(), named).await.unwrap().1, "abc");
}

/// What a proxy is sent, and what comes of it when the proxy answers like this.
async fn through_proxy(secure: bool, answer: &'static str) -> (String, Result<(http::StatusCode, String), SendError>) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let proxy = backend(move |_, mut stream| {
        let tell = tell.clone();
        async move {
            tell.send(read_until(&mut stream, "\r\n\r\n").await).unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut sender = mi_config::Deployment::default().http.sender;
    let outbound = mi_config::deployment::OutboundProxy {
        host: proxy.ip().to_string(),
        port: proxy.port(),
        username: Some("u".to_owned()),
        password: Some("p".to_owned()),
        target_hosts: Vec::new(),
        bypass_hosts: Vec::new(),
    };
    (sender.proxy, sender.secured_proxy) = (Some(outbound.clone()), Some(outbound));
    let (proxies, _) = Proxies::new(&sender);
    let client = Client::new(ClientConfig { proxies, ..client_config() });
    let request = Outgoing { host: "back.example".into(), port: 81, secure, ..get(proxy, "/a?b") };
    let outcome = fetch(&client, request).await;
    (within(told.recv()).await.unwrap(), outcome)
}

#[tokio::test]
async fn requests_go_through_a_proxy_where_there_is_one() {
    let (asked, outcome) = through_proxy(false, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").await;
    assert_eq!(
        asked,
        "GET http://back.example:81/a?b HTTP/1.1\r\nHost: back.example:81\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    );
    assert_eq!(outcome.unwrap().1, "abc");
    let (asked, outcome) = through_proxy(true, "HTTP/1.1 407 Not You\r\n\r\n").await;
    assert_eq!(
        asked,
        "CONNECT back.example:81 HTTP/1.1\r\nHost: back.example:81\r\nProxy-Authorization: Basic dTpw\r\n\r\n"
    );
    let error = outcome.unwrap_err();
    assert!(error.code == codes::CONNECTION_FAILED && error.detail.contains("407 Not You"), "{error:?}");
    // A tunnel that is there leads to what is no TLS here.
    let (_, outcome) = through_proxy(true, "HTTP/1.1 200 OK\r\n\r\nnonsense").await;
    assert!(outcome.unwrap_err().detail.contains("TLS with back.example:81"));
}
