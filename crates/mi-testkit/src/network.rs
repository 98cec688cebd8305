//! Hosts by name and the connections to them.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::DuplexStream;
use tokio::sync::watch;

use crate::back_end::{self, Request};
use crate::link::{Broken, Link};
use crate::proxy::{Fault, Proxy};

/// Bytes that wait between two ends of a connection before the writer has to.
const ROOM: usize = 64 * 1024;

/// A network in memory. Every name is a host in it; clones are the same network.
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    answer: Box<dyn Fn(&Request) -> String + Send + Sync>,
    hosts: Mutex<HashMap<String, Host>>,
    seen: Mutex<Vec<Request>>,
}

struct Host {
    fault: watch::Sender<Fault>,
    /// Connections that were made, those that have ended included.
    links: Vec<Broken>,
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Network").field("seen", &*locked(&self.inner.seen)).finish_non_exhaustive()
    }
}

impl Network {
    /// A network whose back ends give this answer, head and body, to a request.
    pub fn new(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        let inner = Inner { answer: Box::new(answer), hosts: Mutex::default(), seen: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// From now on this goes wrong at a host, also on connections that are open.
    pub fn set(&self, host: &str, fault: Fault) {
        self.with(host, |host| {
            if fault.is_down() {
                for broken in &host.links {
                    broken.store(true, Ordering::Release);
                }
            }
            host.fault.send_replace(fault);
        });
    }

    /// A new connection.
    ///
    /// # Errors
    ///
    /// When the host refuses it.
    pub async fn connect(&self, host: &str) -> io::Result<Link> {
        let mut fault = self.with(host, |host| host.fault.subscribe());
        let silent = fault.wait_for(|fault| *fault != Fault::Silent).await.map(|fault| *fault);
        if silent.map_err(io::Error::other)? == Fault::Refuses {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, client) = tokio::io::duplex(ROOM);
        let (back_end, far) = tokio::io::duplex(ROOM);
        let broken = Broken::default();
        self.with(host, |it| it.links.push(broken.clone()));
        self.serve(host, far);
        tokio::spawn(Proxy { client, back_end, fault, broken: broken.clone() }.run());
        Ok(Link::new(near, broken))
    }

    fn serve(&self, host: &str, pipe: DuplexStream) {
        let inner = self.inner.clone();
        tokio::spawn(back_end::serve(host.to_owned(), pipe, move |request| {
            let answer = (inner.answer)(&request);
            locked(&inner.seen).push(request);
            answer
        }));
    }

    /// The requests that arrived since the last look.
    pub fn seen(&self) -> Vec<Request> {
        std::mem::take(&mut *locked(&self.inner.seen))
    }

    /// How many connections to a host were made.
    pub fn connections(&self, host: &str) -> usize {
        self.with(host, |host| host.links.len())
    }

    fn with<T>(&self, host: &str, work: impl FnOnce(&mut Host) -> T) -> T {
        let mut hosts = locked(&self.inner.hosts);
        let host = hosts
            .entry(host.to_owned())
            .or_insert_with(|| Host { fault: watch::Sender::new(Fault::None), links: Vec::new() });
        work(host)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::Instant;

    use super::*;

    const ASKED: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    /// What a client reads of an answer of ten bytes, how that ends, and after how many milliseconds.
    async fn check(fault: Fault, expected: (&str, Result<(), io::ErrorKind>, u128)) {
        let network = Network::new(|_| "0123456789".to_owned());
        let began = Instant::now();
        let mut link = network.connect("a").await.unwrap();
        // Faults meet connections that are open, too.
        network.set("a", fault);
        let mut read = Vec::new();
        let exchange = async {
            link.write_all(ASKED).await?;
            while read.len() < 10 {
                if link.read_buf(&mut read).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Ok(())
        };
        let ended = tokio::time::timeout(Duration::from_mins(1), exchange).await;
        let ended =
            ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(|error: io::Error| error.kind());
        let read = String::from_utf8(read).unwrap();
        assert_eq!((&*read, ended, began.elapsed().as_millis()), expected, "{fault:?}");
        assert_eq!(network.seen().len(), usize::from(!fault.is_down()));
    }

    #[tokio::test(start_paused = true)]
    async fn every_fault_is_what_it_says() {
        use io::ErrorKind::{ConnectionReset, TimedOut, UnexpectedEof};
        check(Fault::None, ("0123456789", Ok(()), 0)).await;
        check(Fault::Refuses, ("", Err(ConnectionReset), 0)).await;
        check(Fault::Silent, ("", Err(ConnectionReset), 0)).await;
        check(Fault::Delay(Duration::from_secs(3)), ("0123456789", Ok(()), 3000)).await;
        check(Fault::Reset { after: 0 }, ("", Err(ConnectionReset), 0)).await;
        check(Fault::Reset { after: 4 }, ("0123", Err(ConnectionReset), 0)).await;
        check(Fault::Partial { after: 4 }, ("0123", Err(UnexpectedEof), 0)).await;
        check(Fault::HalfOpen { after: 4 }, ("0123", Err(TimedOut), 60_000)).await;
        let slow = Fault::Slow { bytes: 3, every: Duration::from_secs(2) };
        check(slow, ("0123456789", Ok(()), 8000)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_is_down_takes_no_connections() {
        let network = Network::new(|_| String::new());
        network.set("a", Fault::Refuses);
        assert_eq!(network.connect("a").await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        network.set("a", Fault::Silent);
        assert!(tokio::time::timeout(Duration::from_mins(1), network.connect("a")).await.is_err());
        network.set("a", Fault::None);
        assert!(network.connect("a").await.is_ok() && network.connect("b").await.is_ok());
        assert_eq!((network.connections("a"), network.connections("b")), (1, 1));
    }
}
