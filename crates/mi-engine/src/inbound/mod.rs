//! What takes messages in beside the main HTTP listeners: inbound endpoints, proxies on other transports, tasks.
//!
//! The engine names no protocol. Tables ([`crate::spec`]) say how a protocol is read from its parameters; what comes out
//! is an [`Inbound`], kept in the snapshot. [`RunningInbounds`] starts them, keeps them running over a new deployment
//! where nothing changed for them, and ends them without losing what they have begun.

mod control;
mod gauge;
mod injector;
mod parameters;
mod poller;
mod running;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, InboundConfig, TaskConfig};

use crate::build::BuildCx;
use crate::proxy::Proxy;
use crate::scheduler::{Job, Schedule};

pub use control::{Control, Phase, Switch};
pub use gauge::Gauge;
pub use injector::{HttpRoute, InboundRoute, InjectError, Injected, Injector, Route};
pub use parameters::Parameters;
pub use poller::{MIN_INTERVAL, Poll, PollError};
pub use running::{RunningInbounds, Status};

/// Takes messages in by one protocol. It is built at deployment, when nothing is opened yet.
pub trait Inbound: Send + Sync + fmt::Debug {
    /// Opens what it needs. An error is logged and tried again, with growing pauses.
    fn open(&self, cx: &OpenCx) -> Result<Source, String>;
}

/// What an inbound is given when it starts.
#[derive(Clone, Debug)]
pub struct OpenCx {
    /// Name of the inbound endpoint or proxy.
    pub name: Arc<str>,
    /// Where the messages go.
    pub route: Route,
    /// Hands them there.
    pub injector: Injector,
    /// Says when to end.
    pub control: Control,
    /// Counts.
    pub gauge: Arc<Gauge>,
}

/// Something that takes messages in and runs.
pub enum Source {
    /// Looked at by the engine again and again.
    Poll(Box<dyn Poll>, Duration),
    /// Runs by itself until [`OpenCx::control`] no longer says to take messages in, and resolves when the messages begun
    /// are finished. An error says why it ended before.
    Listen(BoxFuture<'static, Result<(), String>>),
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll(_, interval) => formatter.debug_tuple("Poll").field(interval).finish(),
            Self::Listen(_) => formatter.write_str("Listen"),
        }
    }
}

/// An inbound of a snapshot.
#[derive(Debug)]
pub struct Intake {
    /// `inboundendpoint` or `proxy`, as in log prefixes.
    pub kind: &'static str,
    /// Name of the artifact.
    pub name: Arc<str>,
    /// Where the messages go.
    pub route: Route,
    /// What takes them in.
    pub inbound: Box<dyn Inbound>,
    /// False for one that is deployed and waits to be started (`suspend`).
    pub starts: bool,
    /// One server polls where several could (`coordination`, true unless it says otherwise).
    pub coordinated: bool,
    /// Servers that it is limited to; empty is all.
    pub pinned_servers: Vec<String>,
    /// The same for the same configuration.
    pub(crate) fingerprint: String,
}

/// A task of a snapshot.
#[derive(Debug)]
pub struct Task {
    /// Name.
    pub name: Arc<str>,
    /// When it runs.
    pub schedule: Schedule,
    /// What runs.
    pub job: Arc<dyn Job>,
    /// The configuration.
    pub config: TaskConfig,
    pub(crate) fingerprint: String,
}

/// Reads an inbound endpoint. `None`, with a warning, for a protocol that this build does not know.
pub(crate) fn build(
    config: &InboundConfig,
    resolve: impl Fn(&str) -> Option<String>,
    cx: &mut BuildCx<'_>,
) -> Result<Option<Intake>, Diagnostic> {
    let Some(protocol) = config.protocol.as_deref() else {
        let class = config.class.as_deref().unwrap_or_default();
        let text = format!("the inbound endpoint of class '{class}' does not start: Java classes are not loaded");
        let hint = "use the inbound endpoint of a protocol, or a task with a sequence";
        cx.report_degraded(config.element.warning(text).hint(hint));
        return Ok(None);
    };
    let Some(parse) = cx.specs().inbound(protocol) else {
        cx.report_degraded(config.element.warning(format!(
            "the inbound endpoint does not start: the protocol '{protocol}' is not supported by this version"
        )));
        return Ok(None);
    };
    let parameters = Parameters::new(&config.parameters, &config.element, resolve);
    let Some(inbound) = parse(&parameters, cx)? else { return Ok(None) };
    let name = |key: &Option<String>| key.as_deref().map(str::trim).filter(|key| !key.is_empty()).map(Arc::from);
    let pinned = parameters.text("pinnedServers").unwrap_or_default();
    Ok(Some(Intake {
        kind: "inboundendpoint",
        name: config.name.clone(),
        route: Route::Inbound(InboundRoute {
            meters: Some(cx.metrics.inbound(&config.name)),
            name: config.name.clone(),
            sequence: name(&config.sequence),
            on_error: name(&config.on_error),
        }),
        inbound,
        starts: !config.suspend,
        coordinated: parameters.text("coordination").is_none_or(|text| text.eq_ignore_ascii_case("true")),
        pinned_servers: pinned.split([' ', ',']).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        fingerprint: format!("{}\n{}", config.element.to_xml(), parameters.fingerprint()),
    }))
}

/// Reads what a proxy's transports other than HTTP need. MI: the listeners' `startEndpoint`.
pub(crate) fn build_transports(
    proxy: &Proxy,
    resolve: impl Fn(&str) -> Option<String>,
    cx: &mut BuildCx<'_>,
) -> Result<Vec<Intake>, Diagnostic> {
    let config = &proxy.config;
    let parameters = Parameters::new(&config.parameters, &config.element, resolve);
    let mut intakes = Vec::new();
    for transport in &proxy.transports {
        let Some(spec) = cx.specs().service_transport(transport) else {
            if !matches!(transport.as_str(), "http" | "https" | "local") {
                let text = format!("the proxy is not served over '{transport}': this version has no such listener");
                cx.report_degraded(config.element.warning(text));
            }
            continue;
        };
        let Some(inbound) = (spec.parse)(&parameters, cx)? else { continue };
        intakes.push(Intake {
            kind: "proxy",
            name: config.name.clone(),
            route: Route::Proxy(config.name.clone(), spec.transport),
            inbound,
            starts: true,
            // Proxies claim each file by itself.
            coordinated: false,
            pinned_servers: config.pinned_servers.clone(),
            fingerprint: format!("{transport}\n{}", parameters.fingerprint()),
        });
    }
    Ok(intakes)
}

/// Reads a task. `None`, with a warning, for a class that this build does not know.
pub(crate) fn build_task(config: &TaskConfig, cx: &mut BuildCx<'_>) -> Result<Option<Task>, Diagnostic> {
    let class = config.class.as_deref().unwrap_or_default().trim();
    let schedule = Schedule::of(&config.trigger).map_err(|why| config.element.error(why))?;
    let Some(parse) = cx.specs().task(class) else {
        let text = format!(
            "the task does not run: Java classes are not loaded, and '{class}' is none that this version brings"
        );
        let hint = "use class=\"org.apache.synapse.startup.tasks.MessageInjector\" with a sequence that does the work";
        cx.report_degraded(config.element.warning(text).hint(hint));
        return Ok(None);
    };
    Ok(Some(Task {
        name: config.name.clone(),
        schedule,
        job: Arc::from(parse(config, cx)?),
        config: config.clone(),
        fingerprint: format!("{}\n{config:?}", config.element.to_xml()),
    }))
}
