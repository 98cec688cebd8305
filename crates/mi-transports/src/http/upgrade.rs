//! Connections that go on in another protocol than HTTP (`Upgrade`).

use std::fmt;

use futures_util::future::BoxFuture;
use mi_engine::transport::{HttpReply, HttpRequest};
use mi_message::Headers;

pub use super::halves::Duplex;

/// Decides on the requests of a listener that ask for another protocol.
pub trait Upgrades: Send + Sync + fmt::Debug {
    /// What happens to the connection of `request`, which has an `Upgrade` field and no body; or the answer to a request
    /// that is not granted.
    fn accept(&self, request: HttpRequest) -> Result<Upgrade, HttpReply>;
}

/// A granted upgrade.
pub struct Upgrade {
    /// Fields of the 101 answer, `Upgrade` and `Connection` among them.
    pub headers: Headers,
    /// Uses the connection until it ends. It has to watch the end of the server itself.
    pub run: Box<dyn FnOnce(Duplex) -> BoxFuture<'static, ()> + Send>,
}

impl fmt::Debug for Upgrade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upgrade").field("headers", &self.headers).finish_non_exhaustive()
    }
}
