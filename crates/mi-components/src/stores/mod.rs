//! Message stores, one file or folder each, listed in a table by the names of their classes.

mod durable;
mod memory;
mod resequence;

use mi_config::{Diagnostic, MessageStoreConfig};
use mi_engine::BuildCx;
use mi_engine::spec::StoreSpec;
use mi_engine::store::Limits;

pub use durable::{DEFAULT_SEGMENT, DurableStore};

/// All message stores.
pub const TABLE: &[StoreSpec] = &[durable::SPEC, memory::SPEC, resequence::SPEC];

/// Parameters that every store has. The first two are this server's, the others MI's.
const COMMON: [&str; 4] =
    [MAX_MESSAGES, MAX_BYTES, "store.producer.guaranteed.delivery.enable", "store.failover.message.store.name"];
const MAX_MESSAGES: &str = "store.max.messages";
const MAX_BYTES: &str = "store.max.bytes";

/// The bounds of a store.
fn limits(config: &MessageStoreConfig, default: Limits) -> Result<Limits, Diagnostic> {
    Ok(Limits {
        messages: positive(config, MAX_MESSAGES)?.unwrap_or(default.messages),
        bytes: positive(config, MAX_BYTES)?.unwrap_or(default.bytes),
    })
}

/// A parameter that is a whole number above zero.
fn positive(config: &MessageStoreConfig, name: &str) -> Result<Option<u64>, Diagnostic> {
    let Some(text) = config.parameter(name).map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => {
            let at =
                config.parameters.iter().rev().find(|it| it.name == name).map_or(&config.element, |it| &it.element);
            Err(at.error(format!("the parameter '{name}' must be a whole number above 0, not '{text}'")))
        }
    }
}

/// Warns of parameters that a store does not have.
fn warn_unknown(config: &MessageStoreConfig, known: &[&str], cx: &mut BuildCx<'_>) {
    for parameter in &config.parameters {
        let name = parameter.name.as_str();
        if !known.contains(&name) && !COMMON.contains(&name) {
            let warning =
                parameter.element.warning(format!("the message store has no parameter '{name}'; it is ignored"));
            let candidates: Vec<&str> = known.iter().chain(&COMMON).copied().collect();
            cx.report(match mi_config::diagnostic::nearest(name, &candidates) {
                Some(meant) => warning.hint(format!("did you mean '{meant}'?")),
                None => warning,
            });
        }
    }
}

/// What a store says when it is full. `held` is what it has of what the parameter counts.
fn full(parameter: &str, bound: u64) -> mi_engine::store::StoreError {
    mi_engine::store::StoreError::Full(format!("the store is full: {parameter} is {bound}"))
}
