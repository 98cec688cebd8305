//! Connections to back ends, kept per thread.
//!
//! A connection is in the pool or in use, never both, so taking one needs no lock. How many requests a host gets at a
//! time is counted for all threads together ([`Host::slots`]).

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use http::HeaderValue;
use hyper::client::conn::{http1, http2};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body::OutBody;
use super::io::{Activity, now_ms};

/// The body of a request to a back end; tells its connection when it was written.
pub(crate) type RequestBody = OutBody<SendingGuard>;

/// Hosts that a thread remembers before it forgets those without connections.
const HOSTS_BEFORE_PRUNING: usize = 256;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// The client that the pool belongs to.
    pub(crate) client: u64,
    pub(crate) secure: bool,
    pub(crate) http2: bool,
    pub(crate) port: u16,
    pub(crate) host: Arc<str>,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(
            self.client << 18 | u64::from(self.port) << 2 | u64::from(self.secure) << 1 | u64::from(self.http2),
        );
        state.write(self.host.as_bytes());
    }
}

/// What all threads know about a host.
#[derive(Debug)]
pub(crate) struct Host {
    /// Requests that may be on their way at a time.
    pub(crate) slots: Arc<Semaphore>,
    /// Held while an HTTP/2 connection is being made: one is enough for everybody who waits.
    pub(crate) connecting: tokio::sync::Mutex<()>,
    /// `Host` field for requests that have none.
    pub(crate) authority: HeaderValue,
}

/// The hosts of all threads.
#[derive(Debug, Default)]
pub(crate) struct Hosts(Mutex<HashMap<Key, Weak<Host>>>);

impl Hosts {
    fn get(&self, key: &Key, max_per_host: usize) -> Arc<Host> {
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(key).and_then(Weak::upgrade) {
            return host;
        }
        hosts.retain(|_, host| host.strong_count() > 0);
        let host = Arc::new(Host {
            slots: Arc::new(Semaphore::new(max_per_host.clamp(1, Semaphore::MAX_PERMITS))),
            connecting: tokio::sync::Mutex::default(),
            authority: authority(key),
        });
        hosts.insert(key.clone(), Arc::downgrade(&host));
        host
    }
}

/// host:port as a field value; the port is left out when it is the scheme's own.
fn authority(key: &Key) -> HeaderValue {
    let default_port = if key.secure { 443 } else { 80 };
    let bracketed = key.host.contains(':');
    let mut text = String::with_capacity(key.host.len() + 8);
    if bracketed {
        text.push('[');
    }
    text.push_str(&key.host);
    if bracketed {
        text.push(']');
    }
    if key.port != default_port {
        text.push(':');
        text.push_str(&key.port.to_string());
    }
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// What a connection to a back end is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Waits in the pool.
    Idle = 0,
    /// A request was given to it and the caller watches the time.
    Asking = 1,
    /// The answer's body is being read.
    Answering = 2,
    /// To be closed now.
    Abandoned = 3,
}

/// Shared by a connection's task and its user.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) activity: Arc<Activity>,
    doing: AtomicU8,
    /// A request body is still being written.
    sending: AtomicBool,
    /// The time-out between two bytes of an answer ran out.
    pub(crate) stalled: AtomicBool,
}

impl Link {
    pub(crate) fn new(activity: Arc<Activity>) -> Arc<Self> {
        Arc::new(Self {
            activity,
            doing: AtomicU8::new(0),
            sending: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
        })
    }

    pub(crate) fn doing(&self) -> Doing {
        match self.doing.load(Relaxed) {
            0 => Doing::Idle,
            1 => Doing::Asking,
            2 => Doing::Answering,
            _ => Doing::Abandoned,
        }
    }

    pub(crate) fn set(&self, doing: Doing) {
        self.doing.store(doing as u8, Relaxed);
    }

    /// Closes the connection, whatever it does.
    pub(crate) fn abandon(&self) {
        self.set(Doing::Abandoned);
        self.activity.wake();
    }

    /// To travel with a request body.
    pub(crate) fn sending(self: &Arc<Self>) -> SendingGuard {
        self.sending.store(true, Relaxed);
        SendingGuard(self.clone())
    }
}

/// A request body is being written while this lives.
pub(crate) struct SendingGuard(Arc<Link>);

impl Drop for SendingGuard {
    fn drop(&mut self) {
        self.0.sending.store(false, Relaxed);
    }
}

/// An HTTP/1 connection.
pub(crate) struct Connection {
    pub(crate) sender: http1::SendRequest<RequestBody>,
    pub(crate) link: Arc<Link>,
    /// When it was made, on the clock of `io::now_ms`.
    pub(crate) since: u64,
}

/// An HTTP/2 connection; everyone has a copy.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) sender: http2::SendRequest<RequestBody>,
    pub(crate) since: u64,
}

/// Ages of pooled connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ages {
    pub(crate) idle: Duration,
    pub(crate) lifetime: Duration,
    /// Idle connections kept per host and thread.
    pub(crate) max_idle: usize,
}

impl Ages {
    fn fresh(&self, connection: &Connection, now: u64) -> bool {
        !connection.sender.is_closed()
            && now.saturating_sub(connection.since) < self.lifetime.as_millis() as u64
            && now.saturating_sub(connection.link.activity.last()) < self.idle.as_millis() as u64
    }
}

struct Local {
    host: Arc<Host>,
    /// Most recently used last.
    idle: VecDeque<Connection>,
    shared: Option<Shared>,
}

/// FNV-1a: keys are short and come from the configuration or are capped in number by pruning.
#[derive(Clone, Copy)]
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x0100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

thread_local! {
    static POOL: RefCell<HashMap<Key, Local, BuildHasherDefault<Fnv>>> = RefCell::default();
}

/// The host of `key` with an idle connection to it, if this thread has one.
pub(crate) fn take(key: &Key, hosts: &Hosts, max_per_host: usize, ages: &Ages) -> (Arc<Host>, Option<Connection>) {
    POOL.with_borrow_mut(|pool| {
        if let Some(local) = pool.get_mut(key) {
            let connection = local.take(ages);
            return (local.host.clone(), connection);
        }
        if pool.len() >= HOSTS_BEFORE_PRUNING {
            let now = now_ms();
            pool.retain(|_, local| {
                local.idle.retain(|connection| ages.fresh(connection, now));
                !local.idle.is_empty() || local.shared.as_ref().is_some_and(|shared| !shared.sender.is_closed())
            });
        }
        let host = hosts.get(key, max_per_host);
        pool.insert(key.clone(), Local { host: host.clone(), idle: VecDeque::new(), shared: None });
        (host, None)
    })
}

impl Local {
    fn take(&mut self, ages: &Ages) -> Option<Connection> {
        if self.idle.is_empty() {
            return None;
        }
        let now = now_ms();
        // The oldest go first when they have aged, so a quiet host does not keep connections for ever.
        while self.idle.front().is_some_and(|oldest| !ages.fresh(oldest, now)) {
            self.idle.pop_front();
        }
        let mut at = self.idle.len();
        while at > 0 {
            at -= 1;
            let connection = &self.idle[at];
            if !ages.fresh(connection, now) {
                self.idle.remove(at);
            } else if connection.sender.is_ready() {
                return self.idle.remove(at);
            }
        }
        None
    }
}

/// Gives a connection back. It is dropped, and closes, when it is too old or there are enough.
pub(crate) fn give_back(key: &Key, connection: Connection, ages: &Ages) {
    // Fails only while the thread ends and its pool is gone.
    let kept = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        let Some(local) = pool.get_mut(key) else { return Some(connection) };
        if local.idle.len() >= ages.max_idle || !ages.fresh(&connection, now_ms()) {
            return Some(connection);
        }
        connection.link.set(Doing::Idle);
        connection.link.activity.touch();
        local.idle.push_back(connection);
        None
    });
    drop(kept);
}

/// The thread's HTTP/2 connection to a host.
pub(crate) fn shared(key: &Key, ages: &Ages) -> Option<Shared> {
    POOL.with_borrow_mut(|pool| {
        let local = pool.get_mut(key)?;
        let shared = local.shared.as_ref()?;
        let old = now_ms().saturating_sub(shared.since) >= ages.lifetime.as_millis() as u64;
        if shared.sender.is_closed() || old {
            // What still runs on it keeps a copy.
            local.shared = None;
        }
        local.shared.clone()
    })
}

/// Offers an HTTP/2 connection to the requests that follow.
pub(crate) fn share(key: &Key, connection: &Shared) {
    POOL.with_borrow_mut(|pool| {
        if let Some(local) = pool.get_mut(key) {
            local.shared = Some(connection.clone());
        }
    });
}

/// A connection in use for one request; goes back to the pool when the answer was read to its end.
pub(crate) struct Lease {
    pub(crate) key: Key,
    pub(crate) ages: Ages,
    pub(crate) connection: Option<Connection>,
    pub(crate) slot: Option<OwnedSemaphorePermit>,
    /// The connection may be used again.
    pub(crate) reusable: bool,
}

impl Lease {
    /// The answer was read to its end.
    pub(crate) fn finish(&mut self) {
        if let Some(connection) = self.connection.take() {
            // An answer that came before the request was written leaves the rest of the request unwanted.
            if connection.link.sending.load(Relaxed) {
                connection.link.abandon();
            } else if self.reusable {
                give_back(&self.key, connection, &self.ages);
            }
        }
        self.slot = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.link.abandon();
        }
    }
}
