//! Files: the inbound endpoint `file`, proxies on the transport `vfs`, and endpoints with `vfs:` or `file:` addresses, on
//! local file systems (mounted ones, too) and on FTP, FTPS and SFTP servers.
//!
//! - `settings`, `address`: what the parameters mean.
//! - `listener`: a pass over a folder; `listing`, `watch` and `lock` say which files it may take, `message` makes a
//!   message of one, `after` does with it what is to be done afterwards.
//! - `journal`: remembers what was processed, where that is asked for.
//! - `sender`: writing.
//! - `disk`, `relocate`: what touches the file system.
//! - `remote`: the same on servers.
//!
//! Absent: SMB. Its addresses are reported at deployment, with what to do: mount the share.

mod address;
mod after;
mod disk;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod holder;
mod journal;
mod known;
mod listener;
mod listing;
mod lock;
mod message;
mod relocate;
mod remote;
mod seal;
mod sender;
mod settings;
#[cfg(test)]
pub(crate) mod tests;
mod watch;

use std::sync::Arc;

use mi_config::Diagnostic;
use mi_engine::BuildCx;
use mi_engine::inbound::{Inbound, OpenCx, Parameters, Poll, Source};
use mi_engine::spec::{InboundSpec, ServiceTransportSpec};

use listener::FilePoll;
use remote::poll::RemotePoll;
use settings::{Flavour, Settings};

pub use sender::FileSender;

/// `<inboundEndpoint protocol="file">`
pub(crate) const INBOUND: InboundSpec = InboundSpec { protocol: "file", parse: parse_inbound };
/// `<proxy transports="vfs">`
pub(crate) const SERVICE_TRANSPORT: ServiceTransportSpec =
    ServiceTransportSpec { transport: "vfs", parse: parse_proxy };

/// A folder or file that is polled.
#[derive(Debug)]
struct Files(Arc<Settings>);

fn parse_inbound(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    parse(Flavour::Inbound, parameters, cx)
}

fn parse_proxy(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    parse(Flavour::Proxy, parameters, cx)
}

fn parse(
    flavour: Flavour,
    parameters: &Parameters,
    cx: &mut BuildCx<'_>,
) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    let settings = Settings::read(flavour, parameters, cx)?;
    Ok(settings.map(|settings| Box::new(Files(Arc::new(settings))) as Box<dyn Inbound>))
}

impl Inbound for Files {
    fn open(&self, cx: &OpenCx) -> Result<Source, String> {
        let interval = self.0.interval;
        log::info!(
            target: "VFSTransportListener",
            "{} polls {} every {} ms", cx.name, self.0.source.shown, interval.as_millis()
        );
        let poll: Box<dyn Poll> = match &self.0.source.server {
            Some(server) => Box::new(RemotePoll::new(self.0.clone(), server.clone(), cx.clone())),
            None => Box::new(FilePoll::new(self.0.clone(), cx.clone())),
        };
        Ok(Source::Poll(poll, interval))
    }
}
