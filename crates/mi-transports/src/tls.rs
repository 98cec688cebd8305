//! TLS for listeners and back ends.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Key material of a listener; can be exchanged while it runs.
#[derive(Debug)]
pub struct ServerTls {
    http1: ArcSwap<rustls::ServerConfig>,
    http2: ArcSwap<rustls::ServerConfig>,
}

impl ServerTls {
    pub(crate) fn current(&self, http2: bool) -> Arc<rustls::ServerConfig> {
        if http2 { self.http2.load_full() } else { self.http1.load_full() }
    }
}

/// Trust and certificate of a client; can be exchanged while it runs.
#[derive(Debug)]
pub struct ClientTls {
    http1: ArcSwap<rustls::ClientConfig>,
    http2: ArcSwap<rustls::ClientConfig>,
}

impl ClientTls {
    pub(crate) fn current(&self, http2: bool) -> Arc<rustls::ClientConfig> {
        if http2 { self.http2.load_full() } else { self.http1.load_full() }
    }
}
