//! Ports and the loops that accept connections on them.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol as SocketProtocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::connection::{self, Protocol};
use super::io::{Activity, Io, Stream};
use super::service::{Adapter, Listening};
use crate::tls::ServerTls;

const BACKLOG: i32 = 1024;

/// One thread's share of a listener.
pub(crate) struct Acceptor {
    pub(crate) socket: std::net::TcpListener,
    pub(crate) listening: Arc<Listening>,
    pub(crate) tls: Option<Arc<ServerTls>>,
    pub(crate) http2: bool,
    /// Connections that may still be opened.
    pub(crate) slots: Arc<Semaphore>,
}

/// Binds `address` once per thread. Another process on the same port is an error, although the sockets share it among
/// themselves.
pub(crate) fn bind(address: SocketAddr, threads: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let sole = listen(address, false)?;
    if threads == 1 {
        return Ok(vec![sole]);
    }
    let address = sole.local_addr()?;
    drop(sole);
    (0..threads).map(|_| listen(address, true)).collect()
}

fn listen(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(SocketProtocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    if address.is_ipv6() {
        // `::` serves IPv4 as well; systems without that say so and keep IPv6 alone.
        if let Err(error) = socket.set_only_v6(false) {
            log::debug!("{address}: {error}");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until the server stops accepting; the port is closed then.
pub(crate) async fn run(acceptor: Acceptor) {
    let Acceptor { socket, listening, tls, http2, slots } = acceptor;
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            log::error!("{}: {error}", listening.name);
            return;
        }
    };
    let progress = listening.progress.clone();
    let mut backoff = Backoff::default();
    loop {
        let next = async {
            let slot = slots.clone().acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            biased;
            // The semaphore never has permits: it ends when it is closed.
            _ = progress.accepting.acquire() => return,
            next = next => next,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                backoff.after(&listening.name, &error).await;
                continue;
            }
        };
        backoff = Backoff::default();
        let connection = Connection { listening: listening.clone(), tls: tls.clone(), http2, peer };
        tokio::spawn(async move {
            connection.serve(stream).await;
            drop(slot);
        });
    }
}

/// How long to wait after an accept that failed for want of descriptors or memory.
#[derive(Default)]
struct Backoff {
    wait: Option<Duration>,
}

impl Backoff {
    async fn after(&mut self, name: &str, error: &io::Error) {
        // These belong to the connection that was about to be accepted.
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
        ) {
            return;
        }
        let wait = self.wait.map_or(Duration::from_millis(20), |wait| (wait * 2).min(Duration::from_secs(1)));
        if self.wait.is_none() {
            log::error!("{name}: no connection can be accepted: {error}");
        }
        self.wait = Some(wait);
        tokio::time::sleep(wait).await;
    }
}

struct Connection {
    listening: Arc<Listening>,
    tls: Option<Arc<ServerTls>>,
    http2: bool,
    peer: SocketAddr,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let activity = Activity::new();
        let _registered = self.listening.progress.register(&activity);
        let (Ok(()), Ok(local)) = (stream.set_nodelay(true), stream.local_addr()) else { return };
        let adapter = Adapter {
            listening: self.listening.clone(),
            activity: activity.clone(),
            peer: self.peer,
            local,
            secure: self.tls.is_some(),
            client_certificate: None,
        };
        match self.tls.clone() {
            None => {
                let protocol = if self.http2 { Protocol::Sniff } else { Protocol::Http1 };
                connection::serve(Io::new(Stream::Plain(stream), activity, true), adapter, protocol).await;
            }
            // Has memory of its own, so that plain connections need not keep room for it.
            Some(tls) => Box::pin(self.serve_tls(&tls, stream, activity, adapter)).await,
        }
    }

    async fn serve_tls(&self, tls: &ServerTls, stream: TcpStream, activity: Arc<Activity>, mut adapter: Adapter) {
        let handshake = TlsAcceptor::from(tls.current(self.http2)).accept(stream);
        let stream = match tokio::time::timeout(self.listening.limits.header_timeout, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return log::debug!("{}: TLS handshake with {}: {error}", self.listening.name, self.peer),
            Err(_) => return log::debug!("{}: TLS handshake with {} took too long", self.listening.name, self.peer),
        };
        let session = stream.get_ref().1;
        adapter.client_certificate =
            session.peer_certificates().and_then(|chain| Some(Arc::from(chain.first()?.as_ref())));
        let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
        connection::serve(Io::new(Stream::Tls(Box::new(stream.into())), activity, true), adapter, protocol).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepting_pauses_longer_and_longer_without_descriptors_but_not_for_a_client_that_left() {
        let mut backoff = Backoff::default();
        backoff.after("test", &io::ErrorKind::ConnectionAborted.into()).await;
        assert_eq!(backoff.wait, None);
        let no_descriptors = io::Error::from_raw_os_error(rustix::io::Errno::MFILE.raw_os_error());
        for expected in [20, 40, 80] {
            let begin = std::time::Instant::now();
            backoff.after("test", &no_descriptors).await;
            assert_eq!(backoff.wait, Some(Duration::from_millis(expected)));
            assert!(begin.elapsed() >= Duration::from_millis(expected));
        }
    }
}
