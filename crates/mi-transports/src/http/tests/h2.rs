//! HTTP/2: both sides of the transport against each other.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Version};
use mi_engine::transport::{HttpClient, Outgoing, Payload};

use super::super::{Client, ListenerConfig};
use super::support::*;

fn h2(request: Outgoing) -> Outgoing {
    Outgoing { version: Version::HTTP_2, ..request }
}

#[tokio::test]
async fn prior_knowledge_is_understood_on_both_sides() {
    let (server, address, _) = start(limits());
    let client = client();
    let (status, body) = fetch(&client, h2(get(address, "/a?b"))).await.unwrap();
    assert_eq!((status, body.as_str()), (StatusCode::OK, "GET /a?b HTTP/2.0"));
    let (_, body) = fetch(&client, h2(post(address, "/echo", "abc"))).await.unwrap();
    assert_eq!(body, "abc");
    let stream = Payload::Stream(chunks(vec![Ok("one"), Ok("two")]));
    let (_, body) = fetch(&client, h2(request(Method::POST, address, "/echo", stream))).await.unwrap();
    assert_eq!(body, "onetwo");
    let (_, names) = fetch(&client, h2(get(address, "/headers"))).await.unwrap();
    assert_eq!(names, "Host");
    let (status, _) = fetch(&client, h2(get(address, "/panic"))).await.unwrap();
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let cut = within(client.send(h2(get(address, "/cut")))).await;
    if let Ok(answer) = cut {
        assert!(text(answer).await.is_err());
    }
    server.shutdown();
}

#[tokio::test]
async fn requests_share_one_connection() {
    let (server, address, demo) = start(limits());
    let client = client();
    let running: Vec<_> = (0..20)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { fetch(&client, h2(get(address, "/wait"))).await })
        })
        .collect();
    while server.in_flight() < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.connections(), 1);
    // A request may be counted a moment before it waits.
    while server.in_flight() > 0 {
        demo.go.notify_waiters();
        tokio::task::yield_now().await;
    }
    for task in running {
        assert_eq!(within(task).await.unwrap().unwrap().1, "waited");
    }
    server.shutdown();
}

#[tokio::test]
async fn draining_ends_a_connection_after_its_requests() {
    let (server, address, demo) = start(limits());
    let client = client();
    let running = tokio::spawn({
        let client = client.clone();
        async move { fetch(&client, h2(get(address, "/wait"))).await }
    });
    within(demo.arrived.notified()).await;
    server.drain();
    // The old connection takes no more requests, a new one does.
    while fetch(&client, h2(get(address, "/x"))).await.unwrap().1 != "GET /x HTTP/2.0" {}
    demo.go.notify_one();
    assert_eq!(within(running).await.unwrap().unwrap().1, "waited");
    assert_eq!(within(server.wait_idle(PATIENCE)).await, 0);
    server.shutdown();
}

#[tokio::test]
async fn an_unanswered_stream_is_reset_after_the_socket_time_out() {
    let quick = super::super::Limits { idle_timeout: Duration::from_millis(200), ..limits() };
    let (server, address, _) = start(quick);
    assert!(fetch(&client(), h2(get(address, "/none"))).await.is_err());
    server.shutdown();
}

#[tokio::test]
async fn a_back_end_without_http2_is_an_error_that_ends() {
    let address = canned("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", true).await;
    let error = fetch(&client(), h2(get(address, "/"))).await.unwrap_err();
    assert!(error.code >= 101_500 && error.message == "Error in Sender", "{error:?}");
}

#[tokio::test]
async fn a_listener_without_http2_speaks_http1_only() {
    let config = ListenerConfig { http2: false, ..ListenerConfig::new("test", ANY) };
    let (server, address, _) = start_with(config, 1);
    let answer = raw(address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer:?}");
    server.shutdown();
}

#[tokio::test]
async fn clients_do_not_share_their_pools() {
    let (server, address, _) = start(limits());
    for _ in 0..2 {
        let client: Arc<dyn HttpClient> = Arc::new(Client::new(client_config()));
        within(client.send(h2(get(address, "/x")))).await.unwrap();
    }
    assert_eq!(server.connections(), 2);
    server.shutdown();
}
