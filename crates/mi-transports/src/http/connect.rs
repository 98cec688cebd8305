//! Making connections to back ends: names, addresses, TLS, protocol. An HTTP/2 connection gets its task here.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use mi_engine::transport::SendError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::client::ClientConfig;
use super::failure;
use super::h1::Connection;
use super::io::{Activity, Io, Stream, left_of, now_ms};
use super::pool::{Key, RequestBody, Shared};
use super::proxy::Proxy;

/// How long an address may take before the next one is tried beside it (RFC 8305).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// A new connection, by the protocol that was agreed.
pub(crate) enum Connected {
    Http1(Connection),
    Http2(Shared),
}

/// Connects to the host of `key`, or to the proxy on the way, until `deadline` or the connect time-out, whichever comes first.
pub(crate) async fn connect(
    key: &Key,
    proxy: Option<&Proxy>,
    config: &ClientConfig,
    deadline: Instant,
) -> Result<Connected, SendError> {
    let limit = deadline.min(Instant::now() + config.connect_timeout);
    match tokio::time::timeout_at(limit, attempt(key, proxy, config)).await {
        Ok(connected) => connected,
        Err(_) => Err(failure::connect_timeout(format_args!("no connection to {}:{} in time", key.host, key.port))),
    }
}

async fn attempt(key: &Key, proxy: Option<&Proxy>, config: &ClientConfig) -> Result<Connected, SendError> {
    let (host, port) = proxy.map_or((&*key.host, key.port), |proxy| (&*proxy.host, proxy.port));
    let unreachable = |error: io::Error| failure::not_connected(format_args!("{host}:{port}: {error}"));
    #[cfg(test)]
    if let Some(network) = &config.network {
        let link = network.connect(host).await.map_err(unreachable)?;
        return handshake(Stream::Memory(link), key.http2, config).await;
    }
    let addresses = resolve(host, port).await.map_err(unreachable)?;
    let mut stream = race(addresses).await.map_err(unreachable)?;
    if let Some(proxy) = proxy.filter(|_| key.secure) {
        proxy.tunnel(&mut stream, &key.host, key.port).await.map_err(unreachable)?;
    }
    if let Err(error) = tune(&stream) {
        log::debug!("{}:{}: {error}", key.host, key.port);
    }
    if !key.secure {
        return handshake(Stream::Plain(stream), key.http2, config).await;
    }
    let name = ServerName::try_from(key.host.to_string())
        .map_err(|error| failure::not_connected(format_args!("{}: {error}", key.host)))?;
    let stream = TlsConnector::from(config.tls.current(key.http2))
        .connect(name, stream)
        .await
        .map_err(|error| failure::not_sent(format_args!("TLS with {}:{}: {error}", key.host, key.port)))?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    handshake(Stream::Tls(Box::new(stream.into())), http2, config).await
}

/// Asks the system's resolver each time: a name whose addresses change is followed as soon as a new connection is made.
async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(addresses)
}

/// Tries all addresses in their order; slow ones are overtaken by the next, the first connection wins.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut last_error = None;
    while let Some(address) = waiting.next() {
        attempts.push(TcpStream::connect(address));
        if waiting.len() == 0 {
            break;
        }
        if let Ok(Some(outcome)) = tokio::time::timeout(NEXT_ADDRESS, attempts.next()).await {
            match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => last_error = Some(error),
            }
        }
    }
    while let Some(outcome) = attempts.next().await {
        match outcome {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| io::Error::from(io::ErrorKind::NotFound)))
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A peer that vanished without a word is noticed after about two minutes.
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(20));
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

async fn handshake(stream: Stream, http2: bool, config: &ClientConfig) -> Result<Connected, SendError> {
    if !http2 {
        return Ok(Connected::Http1(Connection::new(stream)));
    }
    let activity = Activity::new();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(config.idle_timeout / 3))
        .keep_alive_timeout(config.idle_timeout / 3)
        .max_header_list_size(config.max_header_bytes as u32)
        .handshake(TokioIo::new(Io::new(stream, activity.clone(), false)))
        .await
        .map_err(|error| failure::from_hyper(&error))?;
    tokio::spawn(drive_h2(connection, activity, config.idle_timeout));
    Ok(Connected::Http2(Shared { sender, since: now_ms() }))
}

/// Runs an HTTP/2 connection until it closes or has been idle for too long. While it has streams it is kept busy by
/// pings, so no byte for the idle time means that there are none.
async fn drive_h2(
    connection: http2::Connection<TokioIo<Io>, RequestBody, TokioExecutor>,
    activity: Arc<Activity>,
    idle: Duration,
) {
    let mut connection = pin!(connection);
    let mut timer = pin!(tokio::time::sleep(idle));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                log::debug!("connection to a back end ended: {error}");
            }
            return Poll::Ready(());
        }
        while timer.as_mut().poll(cx).is_ready() {
            let left = left_of(idle, activity.last());
            if left.is_zero() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(Instant::now() + left);
        }
        Poll::Pending
    })
    .await;
}
