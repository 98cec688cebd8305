//! The listeners of a process: threads, runtimes, ports, draining.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mi_engine::transport::HttpService;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};

use super::accept::{self, Acceptor};
use super::io::Activity;
use super::service::Listening;
use super::upgrade::Upgrades;
use crate::tls::ServerTls;

/// How long connections without a request may take to close when the server ends.
const CLOSE_TIME: Duration = Duration::from_secs(3);

/// Limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long a request head may take from its first byte; also a TLS handshake. 408 afterwards.
    pub header_timeout: Duration,
    /// How long a connection may stand still, idle or not. MI: `http.socket.timeout`.
    pub idle_timeout: Duration,
    /// Bytes of a request head; 431 above.
    pub max_header_bytes: usize,
    /// Fields of a request head; 431 above. With the default of 100 the parser needs no memory of its own.
    pub max_headers: usize,
    /// Bytes of a request target; 414 above.
    pub max_uri: usize,
    /// Connections at a time; more wait in the system's queue.
    pub max_connections: usize,
    /// Requests being answered at a time; 503 above.
    pub max_requests: usize,
    /// HTTP/2 streams of one connection.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(3),
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_uri: 16 * 1024,
            max_connections: 16 * 1024,
            max_requests: 16 * 1024,
            max_streams: 100,
        }
    }
}

/// A port to listen on.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Name in the log.
    pub name: String,
    /// Address; port 0 takes any free one ([`Server::bound`]).
    pub address: SocketAddr,
    /// Key material of an https listener.
    pub tls: Option<Arc<ServerTls>>,
    /// Limits.
    pub limits: Limits,
    /// Offer HTTP/2: by ALPN with TLS, by prior knowledge without.
    pub http2: bool,
    /// What the server calls itself in answers that do not say (`Server`); empty: nothing.
    pub server: &'static str,
    /// Leave HTTP/1 to hyper: for listeners where neither the spelling of header fields nor speed matters.
    pub plain_codec: bool,
    /// What becomes of requests that ask for another protocol; without it they are served like others. Not with
    /// `plain_codec`.
    pub upgrades: Option<Arc<dyn Upgrades>>,
}

impl ListenerConfig {
    /// A plain listener with the default limits.
    pub fn new(name: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            name: name.into(),
            address,
            tls: None,
            limits: Limits::default(),
            http2: true,
            server: "",
            plain_codec: false,
            upgrades: None,
        }
    }
}

/// A count of things going on.
#[derive(Debug, Default)]
pub(crate) struct Running(AtomicUsize);

impl Running {
    pub(crate) fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn end(&self) -> usize {
        self.0.fetch_sub(1, Ordering::Release) - 1
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Where a server is between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Serving = 0,
    /// Answers ask the clients to go away.
    Draining = 1,
    /// Connections end as soon as they have nothing to answer.
    Closing = 2,
}

/// What all threads of a server know about it.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: AtomicU8,
    /// Requests being answered.
    pub(crate) running: Running,
    connections: Mutex<HashMap<u64, Arc<Activity>>>,
    next_connection: std::sync::atomic::AtomicU64,
    /// Told when a request or a connection ended while the server is not simply serving.
    ended: Notify,
    /// Closed when no more connections are to be accepted.
    pub(crate) accepting: Semaphore,
}

impl Progress {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            phase: AtomicU8::new(Phase::Serving as u8),
            running: Running::default(),
            connections: Mutex::default(),
            next_connection: 0.into(),
            ended: Notify::new(),
            accepting: Semaphore::new(0),
        })
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Closing,
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.phase() != Phase::Serving
    }

    fn advance(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        let connections: Vec<Arc<Activity>> = self.lock().values().cloned().collect();
        for connection in connections {
            connection.wake();
        }
    }

    pub(crate) fn request_ended(&self) {
        if self.running.end() == 0 && self.is_draining() {
            self.ended.notify_waiters();
        }
    }

    /// Counts a connection until the guard is dropped.
    pub(crate) fn register(self: &Arc<Self>, activity: &Arc<Activity>) -> Registered {
        let id = self.next_connection.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(id, activity.clone());
        Registered { progress: self.clone(), id }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Activity>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> usize {
        self.lock().len()
    }

    /// Waits until `done`, which may become true when a request or connection ends.
    async fn wait_until(&self, done: impl Fn(&Self) -> bool) {
        loop {
            let ended = self.ended.notified();
            let mut ended = std::pin::pin!(ended);
            ended.as_mut().enable();
            if done(self) {
                return;
            }
            ended.await;
        }
    }
}

/// A connection in the server's list.
pub(crate) struct Registered {
    progress: Arc<Progress>,
    id: u64,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let left = {
            let mut connections = self.progress.lock();
            connections.remove(&self.id);
            connections.len()
        };
        if left == 0 && self.progress.is_draining() {
            self.progress.ended.notify_waiters();
        }
    }
}

/// The listeners of a process and the threads that serve them. Dropping it stops everything at once; see
/// [`Server::drain`], [`Server::stop_accepting`], [`Server::wait_idle`] for an end without lost requests.
pub struct Server {
    bound: Vec<SocketAddr>,
    handles: Vec<Handle>,
    progress: Arc<Progress>,
    listening: Vec<Arc<Listening>>,
    /// Closed when the threads are to end.
    stop: Arc<Semaphore>,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("bound", &self.bound)
            .field("threads", &self.threads.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Binds all ports, then starts `threads` threads (at least one) that serve them. Fails when a port cannot be bound;
    /// nothing is left running then.
    pub fn start(listeners: Vec<(ListenerConfig, Arc<dyn HttpService>)>, threads: usize) -> io::Result<Self> {
        let mut server = Self::idle(threads)?;
        server.listen(listeners)?;
        Ok(server)
    }

    /// `threads` threads (at least one) that serve nothing yet.
    pub fn idle(threads: usize) -> io::Result<Self> {
        let mut server = Self {
            bound: Vec::new(),
            handles: Vec::new(),
            progress: Progress::new(),
            listening: Vec::new(),
            stop: Arc::new(Semaphore::new(0)),
            threads: Vec::new(),
        };
        for index in 0..threads.max(1) {
            server.spawn(index)?;
        }
        Ok(server)
    }

    /// Binds all ports, then serves them. When one cannot be bound, none is served.
    pub fn listen(&mut self, listeners: Vec<(ListenerConfig, Arc<dyn HttpService>)>) -> io::Result<()> {
        let mut acceptors: Vec<(Handle, Acceptor)> = Vec::new();
        for (config, service) in listeners {
            let sockets = accept::bind(config.address, self.handles.len()).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {}: {error}", config.name, config.address))
            })?;
            let local = sockets[0].local_addr()?;
            log::info!("{} listens on {local}", config.name);
            self.bound.push(local);
            let shared = Arc::new(Listening {
                name: config.name,
                service,
                limits: config.limits,
                progress: self.progress.clone(),
                running: Running::default(),
                server: config.server,
                plain_codec: config.plain_codec,
                upgrades: config.upgrades,
            });
            self.listening.push(shared.clone());
            let slots = Arc::new(Semaphore::new(config.limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
            for (handle, socket) in self.handles.iter().zip(sockets) {
                let acceptor = Acceptor {
                    socket,
                    listening: shared.clone(),
                    tls: config.tls.clone(),
                    http2: config.http2,
                    slots: slots.clone(),
                };
                acceptors.push((handle.clone(), acceptor));
            }
        }
        for (handle, acceptor) in acceptors {
            handle.spawn(accept::run(acceptor));
        }
        Ok(())
    }

    fn spawn(&mut self, index: usize) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        self.handles.push(runtime.handle().clone());
        let stop = self.stop.clone();
        let thread = std::thread::Builder::new().name(format!("http-{index}")).spawn(move || {
            // There are no permits: this ends when the semaphore is closed.
            drop(runtime.block_on(stop.acquire()));
            // Tasks that block for long are left behind rather than waited for.
            runtime.shutdown_timeout(Duration::from_secs(1));
        })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The addresses listened on, in the order of the listeners.
    pub fn bound(&self) -> Vec<SocketAddr> {
        self.bound.clone()
    }

    /// The runtimes of the threads.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Requests being answered.
    pub fn in_flight(&self) -> usize {
        self.progress.running.count()
    }

    /// Requests being answered, by the listener's place in the list given to [`Server::start`].
    pub fn in_flight_of(&self, listener: usize) -> usize {
        self.listening.get(listener).map_or(0, |listening| listening.running.count())
    }

    /// Open connections.
    pub fn connections(&self) -> usize {
        self.progress.connections()
    }

    /// From now on answers carry `Connection: close` (HTTP/2: GOAWAY), so that clients go elsewhere. New connections are
    /// still served.
    pub fn drain(&self) {
        self.progress.advance(Phase::Draining);
    }

    /// Closes the listening ports.
    pub fn stop_accepting(&self) {
        self.progress.accepting.close();
    }

    /// Waits until no request is being answered and the connections are closed, at most `grace`. Returns the number of
    /// requests still running then. Implies [`Server::drain`] and [`Server::stop_accepting`].
    pub async fn wait_idle(&self, grace: Duration) -> usize {
        self.drain();
        self.stop_accepting();
        let answered = self.progress.wait_until(|progress| progress.running.count() == 0);
        // Past the time the connections are told to close all the same.
        let late = tokio::time::timeout(grace, answered).await.is_err();
        self.progress.advance(Phase::Closing);
        if !late {
            // Last bytes, and clients that have not closed their side. Connections that say nothing end with the process.
            let closed = self.progress.wait_until(|progress| progress.connections() == 0);
            drop(tokio::time::timeout(CLOSE_TIME.min(grace), closed).await);
        }
        self.in_flight()
    }

    /// Stops the threads, whatever they do, and waits for them. Not to be called on one of the server's own threads.
    pub fn shutdown(mut self) {
        self.stop_threads();
        for thread in std::mem::take(&mut self.threads) {
            if thread.join().is_err() {
                log::error!("a listener thread ended in a panic");
            }
        }
    }

    fn stop_threads(&self) {
        self.progress.accepting.close();
        self.stop.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_threads();
    }
}
