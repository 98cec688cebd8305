//! Message processors: they take messages from a store, at a pace, and deliver them.
//!
//! The engine names no kind of processor. Tables ([`crate::spec`]) say how a class is read; what comes out is [`Work`],
//! which handles one claimed message. The engine does what all of them need: the pace, several members, reaching the
//! store, being switched on and off ([`Activation`]), and ending without losing a message. MI: `ScheduledMessageProcessor`.

mod activation;
mod delivery;
mod parameters;
mod run;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, MessageProcessorConfig};

use crate::build::BuildCx;
use crate::inbound::Control;
use crate::scheduler::{Cron, Schedule};
use crate::serve::Engine;
use crate::store::Claim;

pub use activation::Activation;
pub(crate) use activation::{forget, starts};
pub use delivery::Flown;
pub use parameters::ProcessorParameters;
pub(crate) use run::run;

/// Delivers messages in one way.
pub trait Work: Send + Sync + fmt::Debug {
    /// Handles a message to its end: acknowledges the claim when the message is delivered, and drops it otherwise. It
    /// looks at [`WorkCx::control`] between two attempts and gives up when no more messages are to be taken.
    fn handle<'a>(&'a self, claim: Claim, cx: &'a WorkCx) -> BoxFuture<'a, ()>;

    /// How many messages a run takes, to be handled side by side while the next run may begin already; `None` for one
    /// message a run, which is over when the message is handled.
    fn side_by_side(&self) -> Option<usize> {
        None
    }
}

/// What a worker is given.
#[derive(Clone, Debug)]
pub struct WorkCx {
    /// Name of the processor.
    pub name: Arc<str>,
    /// What is deployed.
    pub engine: Arc<Engine>,
    /// Says whether messages are to be taken.
    pub control: Control,
    /// Switches the processor on and off.
    pub activation: Arc<Activation>,
}

/// When messages are taken.
#[derive(Clone, Debug)]
enum Pace {
    /// One message (or one batch) after each interval, which is a second at least.
    Every(Schedule),
    /// The same with a shorter pause between two messages. MI's scheduler has no such intervals, and waits after a message.
    Pausing(Duration),
    /// At the times of a cron expression all messages that are there, with a pause between them.
    Cron(Schedule, Duration),
}

/// A message processor of a snapshot.
#[derive(Debug)]
pub struct Processor {
    /// Name.
    pub name: Arc<str>,
    /// Name of its store.
    pub store: Arc<str>,
    /// Does it start when nobody has switched it by hand? (`is.active`)
    pub active: bool,
    /// Servers that it is limited to; empty is all.
    pub pinned_servers: Vec<String>,
    /// The configuration.
    pub config: MessageProcessorConfig,
    pace: Pace,
    members: usize,
    /// How often the store is asked while it cannot be reached; `None` is without end.
    store_attempts: Option<u64>,
    store_pause: Duration,
    work: Box<dyn Work>,
    pub(crate) fingerprint: String,
}

/// Shorter intervals are pauses. MI: `MessageProcessorConstants#THRESHOULD_INTERVAL`.
const SCHEDULED: Duration = Duration::from_secs(1);
/// Most members of one processor.
const MAX_MEMBERS: i64 = 1000;

/// Reads a message processor. `None`, with a warning, for a class that this version does not have.
pub(crate) fn build(config: &MessageProcessorConfig, cx: &mut BuildCx<'_>) -> Result<Option<Processor>, Diagnostic> {
    let Some(parse) = cx.specs().processor(&config.class) else {
        let text =
            format!("the message processor does not run: this version does not have the class '{}'", config.class);
        let hint = "use the forwarding, failover or sampling processor, with a sequence for what the class does";
        cx.report_degraded(config.element.warning(text).hint(hint));
        return Ok(None);
    };
    let parameters = ProcessorParameters::new(config);
    let millis = |name: &str, default: u64| -> Result<Duration, Diagnostic> {
        Ok(Duration::from_millis(parameters.positive(name)?.unwrap_or(default)))
    };
    let interval = millis("interval", 1000)?;
    let pace = match parameters.text("cronExpression") {
        Some(text) => {
            let cron = Cron::parse(text).map_err(|why| parameters.error("cronExpression", why))?;
            Pace::Cron(Schedule::Cron(Box::new(cron)), interval)
        }
        None if interval < SCHEDULED => Pace::Pausing(interval),
        None => Pace::Every(Schedule::Interval { every: interval, count: None }),
    };
    let members = parameters.number("member.count")?.unwrap_or(1);
    if !(1..=MAX_MEMBERS).contains(&members) {
        return Err(parameters.error("member.count", format!("it must be between 1 and {MAX_MEMBERS}")));
    }
    let pinned = parameters.text("pinnedServers").unwrap_or_default();
    let processor = Processor {
        name: config.name.clone(),
        store: config.store.as_str().into(),
        active: parameters.flag("is.active", true),
        pinned_servers: pinned.split([' ', ',']).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        pace,
        members: members as usize,
        store_attempts: parameters
            .number("max.store.connection.attempts")?
            .and_then(|count| u64::try_from(count).ok())
            .filter(|count| *count > 0),
        store_pause: millis("store.connection.retry.interval", 1000)?,
        work: parse(&parameters, cx)?,
        fingerprint: format!("{}\n{:?}", config.element.to_xml(), config.parameters),
        config: config.clone(),
    };
    Ok(Some(processor))
}
