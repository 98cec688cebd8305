//! Start, draining, end; and what happens to requests whose client leaves.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Limits, ListenerConfig};
use super::support::*;

#[tokio::test]
async fn draining_asks_clients_to_leave_and_loses_no_request() {
    let (server, address, demo) = start(limits());
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(!read_until(&mut idle, "GET /x").await.contains("Connection: close"));
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    within(demo.arrived.notified()).await;
    assert_eq!((server.in_flight(), server.in_flight_of(0), server.connections()), (1, 1, 2));

    server.drain();
    // Old and new connections are served, and told to go.
    idle.write_all(b"GET /y HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(read_until(&mut idle, "GET /y").await.contains("Connection: close\r\n"));
    assert!(raw(address, b"GET /z HTTP/1.1\r\n\r\n").await.contains("Connection: close\r\n"));

    let mut unused = TcpStream::connect(address).await.unwrap();
    unused.write_all(b"G").await.unwrap();
    let waiting = server.wait_idle(PATIENCE);
    let mut waiting = Box::pin(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err(), "a request is running");
    assert!(TcpStream::connect(address).await.is_err(), "the port is still open");
    demo.go.notify_one();
    assert!(read_until(&mut busy, "waited").await.contains("Connection: close\r\n"));
    assert_eq!(within(waiting).await, 0);
    drop(unused);
    server.shutdown();
}

#[tokio::test]
async fn waiting_for_the_end_has_an_end() {
    let (server, address, demo) = start(limits());
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    within(demo.arrived.notified()).await;
    assert_eq!(within(server.wait_idle(Duration::from_millis(100))).await, 1);
    server.shutdown();
    assert_eq!(busy.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn idle_connections_are_closed_at_the_end() {
    let (server, address, _) = start(limits());
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /x HTTP/1.1\r\n\r\n").await.unwrap();
    read_until(&mut idle, "GET /x").await;
    let (left, end) = tokio::join!(within(server.wait_idle(PATIENCE)), async {
        let end = within(idle.read(&mut [0; 1])).await;
        drop(idle);
        end
    });
    assert_eq!((left, end.unwrap()), (0, 0));
    assert_eq!(server.connections(), 0);
    server.shutdown();
}

#[tokio::test]
async fn the_flow_goes_on_when_the_client_leaves() {
    // The listener gives the connection up when its socket time-out is over.
    let (server, address, demo) = start(Limits { idle_timeout: Duration::from_millis(150), ..limits() });
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    within(demo.arrived.notified()).await;
    assert_eq!(within(client.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(server.in_flight(), 1);
    demo.go.notify_one();
    within(demo.finished.notified()).await;
    while server.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    server.shutdown();
}

#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answer() {
    let (server, address, demo) = start(limits());
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /wait HTTP/1.1\r\n\r\n").await.unwrap();
    client.shutdown().await.unwrap();
    within(demo.arrived.notified()).await;
    demo.go.notify_one();
    assert!(read_until(&mut client, "waited").await.starts_with("HTTP/1.1 200 OK"));
    server.shutdown();
}

#[tokio::test]
async fn every_thread_serves_every_port() {
    let (server, address, _) = start_with(ListenerConfig::new("test", ANY), 3);
    assert_eq!(server.handles().len(), 3);
    for number in 0..30 {
        let answer = raw(address, format!("GET /{number} HTTP/1.1\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.contains(&format!("GET /{number} ")), "{answer:?}");
    }
    server.shutdown();
}

#[tokio::test]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    let (server, address, _) = start(limits());
    let mut client = TcpStream::connect(address).await.unwrap();
    let body = vec![b'a'; 200_000];
    client.write_all(b"POST /close HTTP/1.1\r\nContent-Length: 200000\r\n\r\n").await.unwrap();
    client.write_all(&body).await.unwrap();
    let mut answer = String::new();
    within(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("bye"), "{answer:?}");
    server.shutdown();
}
