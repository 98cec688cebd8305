//! Connections to back ends, kept per thread.
//!
//! A connection is in the pool or in use, never both, so taking one needs no lock. How many requests a host gets at a
//! time is counted for all threads together ([`Host::slots`]).

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http2;
use tokio::sync::Semaphore;

use super::body::OutBody;
use super::h1::Connection;
use super::io::now_ms;
use super::proxy::{Proxies, Proxy};

/// The body of a request over HTTP/2.
pub(crate) type RequestBody = OutBody<()>;

/// Hosts that a thread remembers before it forgets those without connections.
const HOSTS_BEFORE_PRUNING: usize = 256;

/// How often idle connections are looked at.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

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
    pub(crate) authority: Box<str>,
    /// The proxy on the way.
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// Requests that wait for a slot.
    pub(crate) waiting: AtomicUsize,
    /// What `slots` began with.
    limit: usize,
    /// Idle connections, as each thread that has any tells.
    idle: Mutex<Vec<Weak<AtomicUsize>>>,
}

/// What a host's connections are at, at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUse {
    /// `http://host:port` or `https://host:port`.
    pub address: String,
    /// Requests on their way. Over HTTP/1 each has a connection.
    pub requests: usize,
    /// Requests that wait because as many as allowed are on their way.
    pub waiting: usize,
    /// Connections of HTTP/1 that nobody uses.
    pub idle: usize,
}

impl Host {
    /// A place where a thread tells how many idle connections it has: a store of its own, so that no request waits for another
    /// thread.
    fn gauge(&self) -> Arc<AtomicUsize> {
        let gauge = Arc::new(AtomicUsize::new(0));
        let mut all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| it.strong_count() > 0);
        all.push(Arc::downgrade(&gauge));
        gauge
    }

    fn idle(&self) -> usize {
        let all = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(Weak::upgrade).map(|gauge| gauge.load(Relaxed)).sum()
    }
}

/// The hosts of all threads.
#[derive(Debug)]
pub(crate) struct Hosts {
    known: Mutex<HashMap<Key, Weak<Host>>>,
    proxies: Proxies,
}

impl Hosts {
    pub(crate) fn new(proxies: Proxies) -> Self {
        Self { known: Mutex::default(), proxies }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<Host>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts that a thread remembers; HTTP/1 and HTTP/2 to one address count together.
    pub(crate) fn in_use(&self) -> Vec<HostUse> {
        let mut all: Vec<HostUse> = Vec::new();
        for (key, host) in self.lock().iter().filter_map(|(key, host)| Some((key, host.upgrade()?))) {
            let scheme = if key.secure { "https" } else { "http" };
            let bracketed = if key.host.contains(':') { format!("[{}]", key.host) } else { key.host.to_string() };
            let address = format!("{scheme}://{bracketed}:{}", key.port);
            let requests = host.limit.saturating_sub(host.slots.available_permits());
            let (waiting, idle) = (host.waiting.load(Relaxed), host.idle());
            match all.iter_mut().find(|it| it.address == address) {
                Some(known) => {
                    known.requests += requests;
                    known.waiting += waiting;
                    known.idle += idle;
                }
                None => all.push(HostUse { address, requests, waiting, idle }),
            }
        }
        all
    }

    fn get(&self, key: &Key, max_per_host: usize) -> Arc<Host> {
        let mut hosts = self.lock();
        if let Some(host) = hosts.get(key).and_then(Weak::upgrade) {
            return host;
        }
        hosts.retain(|_, host| host.strong_count() > 0);
        let limit = max_per_host.clamp(1, Semaphore::MAX_PERMITS);
        let host = Arc::new(Host {
            slots: Arc::new(Semaphore::new(limit)),
            waiting: AtomicUsize::new(0),
            limit,
            idle: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            authority: authority(key),
            proxy: self.proxies.select(key.secure, &key.host).cloned(),
        });
        hosts.insert(key.clone(), Arc::downgrade(&host));
        host
    }
}

/// host:port as a field value; the port is left out when it is the scheme's own.
fn authority(key: &Key) -> Box<str> {
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
    text.into()
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

struct Local {
    host: Arc<Host>,
    ages: Ages,
    /// Most recently used last.
    idle: VecDeque<Connection>,
    /// How many of those there are, for whoever asks from outside.
    gauge: Arc<AtomicUsize>,
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

#[derive(Default)]
struct Pool {
    hosts: HashMap<Key, Local, BuildHasherDefault<Fnv>>,
    /// A task looks after the idle connections.
    swept: bool,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// The host of `key` with an idle connection to it, if this thread has one.
pub(crate) fn take(key: &Key, hosts: &Hosts, max_per_host: usize, ages: &Ages) -> (Arc<Host>, Option<Connection>) {
    POOL.with_borrow_mut(|pool| {
        if let Some(local) = pool.hosts.get_mut(key) {
            let connection = local.take();
            return (local.host.clone(), connection);
        }
        if pool.hosts.len() >= HOSTS_BEFORE_PRUNING {
            pool.hosts.retain(|_, local| local.sweep());
        }
        let host = hosts.get(key, max_per_host);
        let gauge = host.gauge();
        let local = Local { host: host.clone(), ages: *ages, idle: VecDeque::new(), gauge, shared: None };
        pool.hosts.insert(key.clone(), local);
        (host, None)
    })
}

impl Local {
    /// The connection that was used last, if it is still good; those that are not are dropped on the way.
    fn take(&mut self) -> Option<Connection> {
        let now = now_ms();
        let mut found = None;
        while let Some(mut connection) = self.idle.pop_back() {
            if connection.is_fresh(&self.ages, now) && connection.is_quiet() {
                found = Some(connection);
                break;
            }
        }
        self.tell();
        found
    }

    fn tell(&self) {
        self.gauge.store(self.idle.len(), Relaxed);
    }

    /// Drops what is too old or was closed by the other side. False when nothing is left.
    fn sweep(&mut self) -> bool {
        let now = now_ms();
        let ages = self.ages;
        self.idle.retain_mut(|connection| connection.is_fresh(&ages, now) && connection.is_quiet());
        self.tell();
        !self.idle.is_empty() || self.shared.as_ref().is_some_and(|shared| !shared.sender.is_closed())
    }
}

/// Gives a connection back. It is dropped, and closes, when there are enough.
pub(crate) fn give_back(key: &Key, connection: Connection) {
    // Fails only while the thread ends and its pool is gone; the connection is dropped outside the borrow.
    let (refused, sweep) = POOL
        .try_with(|pool| {
            let mut pool = pool.borrow_mut();
            let Some(local) = pool.hosts.get_mut(key) else { return (Some(connection), false) };
            if local.idle.len() >= local.ages.max_idle {
                return (Some(connection), false);
            }
            local.idle.push_back(connection);
            local.tell();
            (None, !std::mem::replace(&mut pool.swept, true))
        })
        .unwrap_or((None, false));
    drop(refused);
    if sweep {
        tokio::spawn(sweep_idle(Sweeping));
    }
}

/// Says that the thread's pool is looked after, until it is dropped.
struct Sweeping;

impl Drop for Sweeping {
    fn drop(&mut self) {
        // Fails only while the thread ends.
        POOL.try_with(|pool| pool.borrow_mut().swept = false).unwrap_or_default();
    }
}

/// Closes idle connections in time; ends when there are none.
async fn sweep_idle(sweeping: Sweeping) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        let idle = POOL.with_borrow_mut(|pool| {
            pool.hosts.values_mut().for_each(|local| {
                local.sweep();
            });
            pool.hosts.values().any(|local| !local.idle.is_empty())
        });
        if !idle {
            break;
        }
    }
    drop(sweeping);
}

/// The thread's HTTP/2 connection to a host.
pub(crate) fn shared(key: &Key, ages: &Ages) -> Option<Shared> {
    POOL.with_borrow_mut(|pool| {
        let local = pool.hosts.get_mut(key)?;
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
        if let Some(local) = pool.hosts.get_mut(key) {
            local.shared = Some(connection.clone());
        }
    });
}
