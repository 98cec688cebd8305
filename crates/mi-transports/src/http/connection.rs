//! Serving one accepted connection: protocol, time-outs, end.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, Sleep};

use super::h1;
use super::io::{Activity, Io, left_of};
use super::server::{Limits, Phase};
use super::service::{Adapter, Listening};

/// How an HTTP/2 client begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The number of fields for which hyper's parser has room without allocating it for each message.
const PARSER_HEADERS: usize = 100;

/// Requests of one HTTP/2 connection that may be reset before their answer, whatever the others do.
const RESETS: u32 = 200;

/// What a client that does not finish its request head is told.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
    /// To be found out from the first bytes.
    Sniff,
}

/// Serves a connection until it ends. Errors are the client's business and only logged at debug level.
pub(crate) async fn serve(mut io: Io, adapter: Adapter, protocol: Protocol) {
    let limits = adapter.listening.limits;
    let protocol = match protocol {
        Protocol::Sniff => match tokio::time::timeout(limits.header_timeout, sniff(&mut io)).await {
            Ok(Some(found)) => found,
            _ => return,
        },
        known => known,
    };
    // What few connections need has memory of its own, so that the others need not keep room for it.
    match protocol {
        Protocol::Http2 => Box::pin(serve_h2(io, adapter)).await,
        _ if adapter.listening.plain_codec => Box::pin(serve_hyper(io, adapter)).await,
        _ => h1::serve(io, adapter).await,
    }
}

/// Reads until the bytes differ from the HTTP/2 preface or hold all of it. `None`: the client said nothing.
async fn sniff(io: &mut Io) -> Option<Protocol> {
    let mut ahead = BytesMut::with_capacity(8 * 1024);
    loop {
        if io.read_buf(&mut ahead).await.ok()? == 0 {
            return None;
        }
        let compared = ahead.len().min(PREFACE.len());
        let differs = ahead[..compared] != PREFACE[..compared];
        if differs || compared == PREFACE.len() {
            io.unread(Bytes::from(ahead));
            return Some(if differs { Protocol::Http1 } else { Protocol::Http2 });
        }
    }
}

enum Ended {
    /// By the protocol; everything was written.
    Done(hyper::Result<()>),
    /// The head of a request took too long.
    SlowHead,
    /// Nothing moved for the idle time-out, or the server goes away.
    Cut,
}

async fn serve_hyper(io: Io, adapter: Adapter) {
    let listening = adapter.listening.clone();
    let activity = adapter.activity.clone();
    let limits = &listening.limits;
    let mut builder = http1::Builder::new();
    builder
        .title_case_headers(true)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(limits.max_header_bytes + 16 * 1024)
        .half_close(true);
    if limits.max_headers != PARSER_HEADERS {
        builder.max_headers(limits.max_headers);
    }
    let mut connection = builder.serve_connection(TokioIo::new(io), adapter);
    let mut watch = Watch::new(&listening, &activity, true);
    let ended = std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(Ended::Done(result));
        }
        match watch.poll_event(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Event::Close) => {
                // Ends at once when idle, else after the answer that is being written.
                Pin::new(&mut connection).graceful_shutdown();
                match Pin::new(&mut connection).poll(cx) {
                    Poll::Ready(result) => Poll::Ready(Ended::Done(result)),
                    Poll::Pending => Poll::Pending,
                }
            }
            Poll::Ready(Event::SlowHead) => Poll::Ready(Ended::SlowHead),
            Poll::Ready(Event::Idle) => Poll::Ready(Ended::Cut),
        }
    })
    .await;
    match ended {
        Ended::Done(Ok(())) | Ended::Cut => {}
        Ended::Done(Err(error)) => log::debug!("{}: connection ended: {error}", listening.name),
        Ended::SlowHead => {
            let mut io = connection.into_parts().io.into_inner();
            let farewell = async {
                io.write_all(TIMED_OUT).await?;
                io.shutdown().await
            };
            if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(5), farewell).await {
                log::debug!("{}: {error}", listening.name);
            }
        }
    }
}

async fn serve_h2(io: Io, adapter: Adapter) {
    let listening = adapter.listening.clone();
    let activity = adapter.activity.clone();
    let peer = adapter.peer;
    let limits = &listening.limits;
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(limits.max_header_bytes as u32)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(64 * 1024)
        .keep_alive_interval(Some(limits.idle_timeout / 2))
        .keep_alive_timeout(limits.header_timeout)
        .serve_connection(TokioIo::new(io), adapter);
    let mut connection = pin!(connection);
    let mut watch = Watch::new(&listening, &activity, false);
    let ended = std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Ended::Done(result));
        }
        if activity.resets_too_much(RESETS) {
            log::warn!("{}: {peer} resets most of its requests: the connection is closed", listening.name);
            return Poll::Ready(Ended::Cut);
        }
        match watch.poll_event(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Event::Close) => {
                connection.as_mut().graceful_shutdown();
                match connection.as_mut().poll(cx) {
                    Poll::Ready(result) => Poll::Ready(Ended::Done(result)),
                    Poll::Pending => Poll::Pending,
                }
            }
            Poll::Ready(_) => Poll::Ready(Ended::Cut),
        }
    })
    .await;
    if let Ended::Done(Err(error)) = ended {
        log::debug!("{}: connection ended: {error}", listening.name);
    }
}

pub(crate) enum Event {
    /// Finish what is being answered, then close.
    Close,
    /// The head of a request takes too long.
    SlowHead,
    /// Nothing has moved for too long.
    Idle,
}

/// Watches a connection's deadlines and the server's phase beside the protocol.
pub(crate) struct Watch<'a> {
    listening: &'a Listening,
    activity: &'a Activity,
    http1: bool,
    timer: Pin<Box<Sleep>>,
    /// The connection was told to close.
    told: bool,
    /// The beginning of the head whose deadline the timer knows.
    head_watched: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(listening: &'a Listening, activity: &'a Activity, http1: bool) -> Self {
        let timer = Box::pin(tokio::time::sleep(first_wait(&listening.limits)));
        Self { listening, activity, http1, timer, told: false, head_watched: 0 }
    }

    /// What is to be done about the connection.
    pub(crate) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        // Before the phase is read: whoever changes it wakes the connection through this waker afterwards.
        self.activity.remember_task(cx);
        if !self.told {
            let phase = self.listening.progress.phase();
            // HTTP/2 can say goodbye without losing a request; an HTTP/1 client may be sending one just now.
            if phase == Phase::Closing || (phase == Phase::Draining && !self.http1) {
                self.told = true;
                return Poll::Ready(Event::Close);
            }
        }
        // A head that has begun brings the deadline forward; nothing else does.
        if self.http1
            && let Some(since) = self.activity.head_since()
            && self.head_watched != since
        {
            self.head_watched = since;
            self.timer.as_mut().reset(Instant::now() + left_of(self.listening.limits.header_timeout, since));
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let (left, event) = next_event(self.activity, &self.listening.limits, self.http1);
            if left.is_zero() {
                return Poll::Ready(event);
            }
            self.timer.as_mut().reset(Instant::now() + left);
        }
        Poll::Pending
    }
}

fn first_wait(limits: &Limits) -> Duration {
    limits.header_timeout.min(limits.idle_timeout)
}

/// What happens next when nothing moves, and when.
fn next_event(activity: &Activity, limits: &Limits, http1: bool) -> (Duration, Event) {
    match activity.head_since() {
        Some(since) if http1 => (left_of(limits.header_timeout, since), Event::SlowHead),
        None if !activity.has_received() => (left_of(limits.header_timeout, activity.last()), Event::Idle),
        _ => (left_of(limits.idle_timeout, activity.last()), Event::Idle),
    }
}
