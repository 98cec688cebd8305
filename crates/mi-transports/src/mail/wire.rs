//! Connections to mail servers: plain or over TLS, line by line, with a cap and a deadline on everything.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Secure, Server};

/// A connection, plain or over TLS.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that is read by lines.
pub(super) struct Wire {
    stream: BufReader<Box<dyn Stream>>,
    timeout: Duration,
}

fn late(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what.into())
}

impl Wire {
    /// Connects, with TLS when the server wants it from the first byte.
    pub(super) async fn open(server: &Server) -> io::Result<Self> {
        let connecting = TcpStream::connect((server.host.as_str(), server.port));
        let stream = tokio::time::timeout(server.connect_timeout, connecting)
            .await
            .map_err(|_| late("no connection in time"))??;
        let stream: Box<dyn Stream> = match server.secure {
            Secure::Tls => Box::new(secured(server, stream).await?),
            Secure::No | Secure::StartTls => Box::new(stream),
        };
        Ok(Self { stream: BufReader::new(stream), timeout: server.timeout })
    }

    /// The same connection over TLS, after the server has agreed.
    pub(super) async fn secured(self, server: &Server) -> io::Result<Self> {
        // What came before the handshake was not protected and must not be taken for what comes after it.
        if !self.stream.buffer().is_empty() {
            return Err(io::Error::other("the server sent more than its answer to STARTTLS"));
        }
        let stream = secured(server, self.stream.into_inner()).await?;
        Ok(Self { stream: BufReader::new(Box::new(stream)), timeout: self.timeout })
    }

    /// The next line with its end; empty when the server has hung up. A line that is longer than `most` has no end.
    pub(super) async fn line(&mut self, most: usize, to: &str) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        let mut limited = (&mut self.stream).take(most as u64);
        tokio::time::timeout(self.timeout, limited.read_until(b'\n', &mut line))
            .await
            .map_err(|_| late(format!("no answer to {to} in time")))??;
        Ok(line)
    }

    /// The next `length` bytes; the caller has looked at the length.
    pub(super) async fn bytes(&mut self, length: usize, to: &str) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        while read.len() < length {
            let buffered = tokio::time::timeout(self.timeout, self.stream.fill_buf())
                .await
                .map_err(|_| late(format!("no answer to {to} in time")))??;
            if buffered.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("no answer to {to}: the server hung up"),
                ));
            }
            let taken = buffered.len().min(length - read.len());
            read.extend_from_slice(&buffered[..taken]);
            self.stream.consume(taken);
        }
        Ok(read)
    }

    /// Sends these bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream.get_mut();
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        tokio::time::timeout(self.timeout, writing).await.map_err(|_| late("the server takes nothing"))?
    }
}

async fn secured<S: AsyncRead + AsyncWrite + Send + Unpin>(
    server: &Server,
    stream: S,
) -> io::Result<tokio_rustls::client::TlsStream<S>> {
    let name = ServerName::try_from(server.host.clone()).map_err(io::Error::other)?;
    let connecting = TlsConnector::from(server.tls.current(false)).connect(name, stream);
    tokio::time::timeout(server.connect_timeout, connecting)
        .await
        .map_err(|_| late("no TLS in time"))?
        .map_err(|error| io::Error::other(format!("TLS: {error}")))
}
