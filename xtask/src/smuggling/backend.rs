//! A back end that keeps every byte of every connection, and answers when its readers see a whole request.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::readers::{self, HABITS, Seen};

/// Closed after each answer: no front may find out by waiting what else the bytes could mean.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
/// Readers that disagree get so long to see more.
const QUIET: Duration = Duration::from_millis(40);
/// A connection lives so long.
const LIFE: Duration = Duration::from_millis(1500);
/// What a connection may send.
const MAX: usize = 256 * 1024;

#[derive(Debug, Default)]
struct Connection {
    bytes: Vec<u8>,
    over: bool,
}

type Shared = Arc<Mutex<Connection>>;

/// One recorder, for one front.
pub(super) struct Backend {
    pub(super) port: u16,
    connections: Arc<Mutex<Vec<Shared>>>,
}

/// What a front forwarded of one case.
#[derive(Debug, Default)]
pub(super) struct Forwarded {
    /// Complete requests, as the first reader counts them.
    pub(super) requests: usize,
    /// Why not everybody sees the same in it.
    pub(super) ambiguous: Option<String>,
    /// What the first reader saw.
    pub(super) lines: Vec<String>,
}

impl Backend {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a back end")?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(Mutex::new(Vec::new()));
        let all = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = Shared::default();
                lock(&all).push(connection.clone());
                std::thread::spawn(move || {
                    serve(stream, &connection);
                    lock(&connection).over = true;
                });
            }
        });
        Ok(Self { port, connections })
    }

    /// Forgets the connections so far, and whatever they may still bring.
    pub(super) fn clear(&self) {
        lock(&self.connections).clear();
    }

    /// Complete requests so far.
    pub(super) fn requests(&self) -> usize {
        lock(&self.connections).iter().map(|it| complete(&readers::read(&HABITS[0], &lock(it).bytes))).sum()
    }

    /// Whether all connections are over.
    pub(super) fn is_quiet(&self) -> bool {
        lock(&self.connections).iter().all(|it| lock(it).over)
    }

    pub(super) fn forwarded(&self) -> Forwarded {
        let mut forwarded = Forwarded::default();
        for connection in lock(&self.connections).iter() {
            let connection = lock(connection);
            let first = readers::read(&HABITS[0], &connection.bytes);
            forwarded.requests += complete(&first);
            forwarded.lines.extend(first.iter().map(|it| it.line.clone()));
            let other = HABITS.iter().find(|it| readers::read(it, &connection.bytes) != first);
            if let Some(other) = other {
                let sent = connection.bytes.escape_ascii();
                forwarded.ambiguous =
                    Some(format!("`{}` reads it otherwise than `{}`: {sent}", other.name, HABITS[0].name));
            } else if first.len() > 1 {
                // Each connection is closed after one answer, so a front that sends two took them for one.
                forwarded.ambiguous = Some(format!("more than one request: {}", connection.bytes.escape_ascii()));
            }
        }
        forwarded
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn complete(seen: &[Seen]) -> usize {
    seen.iter().filter(|it| it.complete).count()
}

/// Reads until the front closes or the time is over.
fn serve(mut stream: TcpStream, connection: &Mutex<Connection>) {
    let end = Instant::now() + LIFE;
    let (mut last, mut answered, mut all) = (Instant::now(), false, Vec::new());
    let mut buffer = [0; 16 * 1024];
    // A socket without a time-out would hold up this thread only.
    stream.set_read_timeout(Some(Duration::from_millis(10))).ok();
    while Instant::now() < end && all.len() < MAX {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                last = Instant::now();
                all.extend_from_slice(&buffer[..length]);
                lock(connection).bytes.clone_from(&all);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let seen: Vec<usize> = HABITS.iter().map(|it| complete(&readers::read(it, &all))).collect();
        let ready = seen.iter().all(|it| *it > 0) || (last.elapsed() > QUIET && seen.iter().any(|it| *it > 0));
        if ready && !answered {
            answered = true;
            // The front may be gone.
            if stream.write_all(ANSWER).is_err() || stream.shutdown(Shutdown::Write).is_err() {
                return;
            }
        }
    }
}
