//! Switching a processor on and off. There is one way, for the management API and for a processor that switches itself
//! off, and what was said last holds after a restart. MI: `ScheduledMessageProcessor#activate`, `#deactivate`.

use std::sync::Arc;

use crate::inbound::{Phase, Switch};
use crate::serve::Engine;
use crate::services::RegistryView;

/// Where MI keeps the states of processors, as a property of a resource for each.
const STATES: &str = "gov:/repository/components/org.apache.synapse.message.processor/";
const PROPERTY: &str = "MESSAGE_PROCESSOR_STATE";
const RUNNING: &str = "RUNNING";
const PAUSED: &str = "PAUSED";
/// Nobody has said anything: the configuration decides.
const INITIAL: &str = "INITIAL";

/// The switch of one processor.
#[derive(Debug)]
pub struct Activation {
    name: Arc<str>,
    engine: Arc<Engine>,
    switch: Arc<Switch>,
}

impl Activation {
    pub(crate) fn new(name: Arc<str>, engine: Arc<Engine>, switch: Arc<Switch>) -> Self {
        Self { name, engine, switch }
    }

    /// Takes no more messages, also after a restart. A server that ends keeps what was said before.
    pub fn deactivate(&self) {
        if self.switch.phase() == Phase::Stopped {
            return;
        }
        self.switch.set(Phase::Paused);
        self.remember(PAUSED);
        log::info!(
            target: "ScheduledMessageProcessor", "Successfully deactivated the message processor [{}]", self.name
        );
    }

    /// Takes messages again.
    pub fn activate(&self) {
        if self.switch.phase() == Phase::Stopped {
            return;
        }
        self.switch.set(Phase::Running);
        self.remember(RUNNING);
        log::info!(
            target: "ScheduledMessageProcessor", "Successfully re-activated the message processor [{}]", self.name
        );
    }

    /// False once it was deactivated, or ends.
    pub fn is_active(&self) -> bool {
        self.switch.phase() == Phase::Running
    }

    fn remember(&self, state: &str) {
        remember(&*self.engine.snapshot().services.registry, &self.name, state);
    }
}

/// Does a processor start? What was said last counts, and the configuration when nothing was.
pub(crate) fn starts(registry: &dyn RegistryView, name: &str, configured: bool) -> bool {
    match registry.property(&key(name), PROPERTY).as_deref().map(str::trim) {
        Some(RUNNING) => true,
        Some(PAUSED) => false,
        _ => configured,
    }
}

/// Forgets the state of a processor that is no longer deployed.
pub(crate) fn forget(registry: &dyn RegistryView, name: &str) {
    let state = registry.property(&key(name), PROPERTY);
    if state.is_some_and(|state| state != INITIAL) {
        remember(registry, name, INITIAL);
    }
}

fn remember(registry: &dyn RegistryView, name: &str, state: &str) {
    if let Err(why) = registry.write(&key(name), Some(PROPERTY), state) {
        log::warn!(
            target: "ScheduledMessageProcessor",
            "The state {state} of the message processor [{name}] will be forgotten at the next start: {why}"
        );
    }
}

/// A name is one segment of a key, whatever is in it.
fn key(name: &str) -> String {
    let segment: String = name.chars().map(|letter| if matches!(letter, '/' | '\\') { '_' } else { letter }).collect();
    format!("{STATES}{segment}")
}
