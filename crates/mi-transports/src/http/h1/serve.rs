//! A client's connection: its requests one after the other.
//!
//! Requests that were sent ahead wait in the buffer until their turn. An answer may come before the request has been read;
//! what is left of the request is then read and thrown away, within limits, or the connection is closed.

use std::pin::Pin;
use std::task::Poll;

use http::{Method, StatusCode, Version};
use mi_engine::transport::{HttpReply, HttpRequest, Payload};
use mi_message::Headers;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::chunks::Step;
use super::fields::HeadLimits;
use super::outbound::{After, AnswerHead, Outbound};
use super::received::{Received, RequestLimits, take_request};
use super::response::Framing;
use super::upload::{self, Left, Terms};
use crate::http::body::empty_stream;
use crate::http::connection::{Event, Watch};
use crate::http::halves::{self, Duplex, ReadSide, WriteSide};
use crate::http::headers::{strip_nominated, write_field};
use crate::http::io::{Io, LINGER_BYTES, LINGER_TIME};
use crate::http::service::{Adapter, Call, RequestGuard};

/// Room that is made for the read of a head.
const READ: usize = 8 * 1024;
/// How much of a body that nobody wants is read and thrown away so that the connection can be used again.
const MAX_DISCARDED: u64 = 256 * 1024;
const LEAVE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Serves the requests of a connection until it ends.
pub(crate) async fn serve(io: Io, adapter: Adapter) {
    let listening = adapter.listening.clone();
    let activity = adapter.activity.clone();
    let mut watch = Watch::new(&listening, &activity, true);
    let (mut side, writer) = halves::split(io);
    let mut server = Server { adapter, writer };
    loop {
        match server.read_head(&mut side, &mut watch).await {
            // What happens once has memory of its own, so that a connection that waits keeps no room for it.
            Next::Request(received) if server.is_upgrade(&received) => {
                return Box::pin(server.upgrade(side, received, &mut watch)).await;
            }
            Next::Request(received) => match server.answer(side, received, &mut watch).await {
                Some(back) => side = back,
                None => return,
            },
            Next::Refused(status) => return Box::pin(server.refuse(side, status)).await,
            Next::End => return Box::pin(server.end(Some(side))).await,
        }
    }
}

struct Server {
    adapter: Adapter,
    writer: WriteSide,
}

enum Next {
    Request(Received),
    /// A request that is not accepted; the connection ends.
    Refused(StatusCode),
    /// No request will come.
    End,
}

/// What became of a request.
enum Outcome {
    Reply(HttpReply),
    /// No answer, and the connection has stood still for long enough.
    Nothing,
}

impl Server {
    async fn read_head(&mut self, side: &mut ReadSide, watch: &mut Watch<'_>) -> Next {
        let limits = &self.adapter.listening.limits;
        let head = HeadLimits { bytes: limits.max_header_bytes, fields: limits.max_headers };
        let limits = RequestLimits { head, target: limits.max_uri };
        self.adapter.activity.await_head(!side.buffer.is_empty());
        let mut seen = 0;
        let mut fresh = !side.buffer.is_empty();
        std::future::poll_fn(|cx| {
            loop {
                if std::mem::replace(&mut fresh, false) {
                    match take_request(&mut side.buffer, &mut seen, &limits) {
                        Ok(Some(received)) => return Poll::Ready(Next::Request(received)),
                        Ok(None) => {}
                        Err(status) => return Poll::Ready(Next::Refused(status)),
                    }
                }
                match side.poll_fill(cx, READ) {
                    Poll::Ready(Ok(count)) if count > 0 => fresh = true,
                    Poll::Ready(_) => return Poll::Ready(Next::End),
                    Poll::Pending => {
                        return watch.poll_event(cx).map(|event| match event {
                            Event::SlowHead => Next::Refused(StatusCode::REQUEST_TIMEOUT),
                            Event::Close | Event::Idle => Next::End,
                        });
                    }
                }
            }
        })
        .await
    }

    /// Answers one request. Gives the reading side back when another request may follow.
    async fn answer(&mut self, side: ReadSide, received: Received, watch: &mut Watch<'_>) -> Option<ReadSide> {
        let listening = self.adapter.listening.clone();
        let guard = RequestGuard::new(&listening, &self.adapter.activity);
        let stall = listening.limits.idle_timeout;
        let terms = Terms { stall, expects_leave: received.expects_leave, activity: self.adapter.activity.clone() };
        let (body, mut reading) = upload::body(side, received.framing, terms);
        let Received { method, target, version, mut headers, mut keep_alive, expects_leave, .. } = received;
        strip_nominated(&mut headers);
        let to_head = method == Method::HEAD;
        let mut leave: &[u8] = if expects_leave { LEAVE } else { b"" };
        let (outcome, guard) = if listening.is_full() {
            (Outcome::Reply(too_many_requests()), Some(guard))
        } else {
            let request = self.request(method, target, version, headers, body);
            let mut call = Call::start(&listening, request, guard);
            let outcome = self.run(&mut call, &mut leave, watch).await;
            // Without an answer the flow goes on, counted, and the client does not see its end.
            let guard = if matches!(outcome, Outcome::Reply(_)) { call.take_guard() } else { None };
            (outcome, guard)
        };
        let (Outcome::Reply(reply), false) = (outcome, self.adapter.activity.has_stalled()) else {
            Box::pin(self.end(reading.take_back().map(|left| left.side))).await;
            return None;
        };
        keep_alive &= !reply.close && !listening.progress.is_draining();
        keep_alive &= !Outbound::answer_ends_connection(version, reply.status, &reply.body);
        // A client that still waits for leave may send its body or not, and nobody could tell.
        let mut left = reading.take_back();
        keep_alive &= leave.len() != LEAVE.len() || left.as_ref().is_some_and(|left| left.rest.is_over());
        keep_alive &= left.as_ref().is_none_or(Left::is_worth_discarding);
        let after = match (keep_alive, version) {
            (false, _) => After::Close,
            (true, Version::HTTP_10) => After::KeepAlive,
            (true, _) => After::Open,
        };
        let unfinished_leave = if leave.len() == LEAVE.len() { &b""[..] } else { leave };
        let written = self.write(reply, Shape { version, after, to_head }, unfinished_leave, watch).await;
        drop(guard);
        if !written {
            return None;
        }
        if left.is_none() {
            left = reading.take_back();
        }
        match left {
            Some(left) if keep_alive && left.rest.is_over() => Some(left.side),
            Some(left) if keep_alive => match Box::pin(discard(left)).await {
                Ok(side) => Some(side),
                Err(side) => {
                    Box::pin(self.end(Some(side))).await;
                    None
                }
            },
            left => {
                Box::pin(self.end(left.map(|left| left.side))).await;
                None
            }
        }
    }

    fn request(
        &self,
        method: Method,
        target: String,
        version: Version,
        headers: Headers,
        body: mi_message::BodyStream,
    ) -> HttpRequest {
        let Adapter { peer, local, secure, client_certificate, .. } = &self.adapter;
        HttpRequest {
            method,
            target,
            version,
            headers,
            body,
            peer: *peer,
            local: *local,
            secure: *secure,
            client_certificate: client_certificate.clone(),
        }
    }

    fn is_upgrade(&self, received: &Received) -> bool {
        self.adapter.listening.upgrades.is_some()
            && received.headers.contains("Upgrade")
            && received.version == Version::HTTP_11
            && matches!(received.framing, Framing::Length(0))
    }

    /// Hands the connection over, or says why not and ends it.
    async fn upgrade(mut self, side: ReadSide, received: Received, watch: &mut Watch<'_>) {
        let Received { method, target, version, headers, .. } = received;
        let request = self.request(method, target, version, headers, empty_stream());
        let granted = match &self.adapter.listening.upgrades {
            Some(upgrades) => upgrades.accept(request),
            None => Err(HttpReply::new(StatusCode::NOT_IMPLEMENTED)),
        };
        match granted {
            Ok(upgrade) => {
                let mut head = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
                for (name, value) in upgrade.headers.iter() {
                    write_field(&mut head, name, value);
                }
                head.extend_from_slice(b"\r\n");
                let written = tokio::time::timeout(LINGER_TIME, self.writer.write_all(&head)).await;
                if matches!(written, Ok(Ok(()))) {
                    (upgrade.run)(Duplex::new(side, self.writer)).await;
                }
            }
            Err(reply) => {
                let shape = Shape { version, after: After::Close, to_head: false };
                if self.write(reply, shape, b"", watch).await {
                    self.end(Some(side)).await;
                }
            }
        }
    }

    /// Waits for the answer, and gives leave to send the body when it is read. What of the leave could not be written yet
    /// stays in `leave`.
    async fn run(&mut self, call: &mut Call, leave: &mut &[u8], watch: &mut Watch<'_>) -> Outcome {
        let (writer, activity) = (&mut self.writer, &self.adapter.activity);
        let mut silent = false;
        std::future::poll_fn(|cx| {
            if !silent {
                match call.poll_reply(cx) {
                    Poll::Ready(Some(reply)) => return Poll::Ready(Outcome::Reply(reply)),
                    // The connection stays until the socket time-out.
                    Poll::Ready(None) => silent = true,
                    Poll::Pending => {}
                }
            }
            while !leave.is_empty() && activity.wants_body() {
                match Pin::new(&mut *writer).poll_write(cx, leave) {
                    Poll::Ready(Ok(count)) if count > 0 => *leave = &leave[count..],
                    // The answer will meet the same error.
                    Poll::Ready(_) => *leave = b"",
                    Poll::Pending => break,
                }
            }
            match watch.poll_event(cx) {
                Poll::Ready(Event::Idle) => Poll::Ready(Outcome::Nothing),
                Poll::Ready(Event::Close) if silent => Poll::Ready(Outcome::Nothing),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Writes an answer; false when the connection is of no use any more.
    async fn write(&mut self, reply: HttpReply, shape: Shape, before: &[u8], watch: &mut Watch<'_>) -> bool {
        let name = &self.adapter.listening.name;
        let HttpReply { status, reason, headers, body, .. } = reply;
        let head = AnswerHead {
            status,
            reason: reason.as_deref(),
            version: shape.version,
            headers: &headers,
            server: self.adapter.listening.server,
            after: shape.after,
            to_head: shape.to_head,
        };
        let mut outbound = Outbound::answer(before, &head, body);
        let writer = &mut self.writer;
        let written = std::future::poll_fn(|cx| match outbound.poll_write(cx, writer) {
            Poll::Ready(result) => Poll::Ready(result.map_err(Some)),
            Poll::Pending => match watch.poll_event(cx) {
                Poll::Ready(Event::Idle) => Poll::Ready(Err(None)),
                _ => Poll::Pending,
            },
        })
        .await;
        match written {
            Ok(()) => true,
            Err(Some(failure)) => {
                log::debug!("{name}: an answer was not written to its end: {failure:?}");
                false
            }
            Err(None) => {
                log::debug!("{name}: a client stopped reading its answer");
                false
            }
        }
    }

    /// Answers what is no request.
    async fn refuse(mut self, side: ReadSide, status: StatusCode) {
        let reason = (status == StatusCode::BAD_REQUEST).then_some("Bad request");
        let head = AnswerHead {
            status,
            reason,
            version: Version::HTTP_11,
            headers: &Headers::new(),
            server: self.adapter.listening.server,
            after: After::Close,
            to_head: false,
        };
        let mut outbound = Outbound::answer(b"", &head, Payload::Empty);
        let writer = &mut self.writer;
        let written = std::future::poll_fn(|cx| outbound.poll_write(cx, writer));
        if let Ok(Ok(())) = tokio::time::timeout(LINGER_TIME, written).await {
            self.end(Some(side)).await;
        }
    }

    /// Closes the sending side, then reads and throws away what the client still sends, so that it reads the answer instead
    /// of a reset.
    async fn end(&mut self, side: Option<ReadSide>) {
        let writer = &mut self.writer;
        let activity = &self.adapter.activity;
        let farewell = async {
            writer.shutdown().await?;
            let Some(mut side) = side else { return Ok(()) };
            let mut seen = 0;
            while !activity.has_ended() && seen < LINGER_BYTES {
                seen += std::future::poll_fn(|cx| side.poll_fill(cx, READ)).await?;
                side.buffer.clear();
            }
            std::io::Result::Ok(())
        };
        // Whatever goes wrong here, the connection ends.
        drop(tokio::time::timeout(LINGER_TIME, farewell).await);
    }
}

/// What an answer depends on besides itself.
struct Shape {
    version: Version,
    after: After,
    to_head: bool,
}

fn too_many_requests() -> HttpReply {
    let mut reply = HttpReply::new(StatusCode::SERVICE_UNAVAILABLE);
    reply.headers.set("Retry-After", "1");
    reply
}

/// Reads what is left of a body, within limits; `Err` gives the side back when the connection cannot be used again.
async fn discard(mut left: Left) -> Result<ReadSide, ReadSide> {
    let discarding = async {
        let mut seen = 0;
        loop {
            match left.rest.take(&mut left.side.buffer) {
                Ok(Step::Data(data)) => seen += data.len() as u64,
                Ok(Step::End) => return true,
                Ok(Step::More) => match std::future::poll_fn(|cx| left.side.poll_fill(cx, READ)).await {
                    Ok(count) if count > 0 => {}
                    _ => return false,
                },
                Err(_) => return false,
            }
            if seen > MAX_DISCARDED {
                return false;
            }
        }
    };
    let done = tokio::time::timeout(LINGER_TIME, discarding).await;
    if done == Ok(true) { Ok(left.side) } else { Err(left.side) }
}

impl Left {
    /// Something else than closing the connection may be done about it.
    fn is_worth_discarding(&self) -> bool {
        !self.broken && self.rest.size_hint().lower() <= MAX_DISCARDED
    }
}
