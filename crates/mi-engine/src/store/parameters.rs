//! The `<parameter>`s of a message store: the bounds that every store has, and warnings for what a store does not have.

use mi_config::{Diagnostic, MessageStoreConfig};

use super::{Limits, StoreError};
use crate::build::BuildCx;

/// Most messages. This server's own parameter.
pub const MAX_MESSAGES: &str = "store.max.messages";
/// Most bytes. This server's own parameter.
pub const MAX_BYTES: &str = "store.max.bytes";
/// Parameters that every store has.
const COMMON: [&str; 4] =
    [MAX_MESSAGES, MAX_BYTES, "store.producer.guaranteed.delivery.enable", "store.failover.message.store.name"];

/// The bounds of a store. An error stands at the parameter that is no whole number above zero.
pub fn limits(config: &MessageStoreConfig, default: Limits) -> Result<Limits, Diagnostic> {
    Ok(Limits {
        messages: positive(config, MAX_MESSAGES)?.unwrap_or(default.messages),
        bytes: positive(config, MAX_BYTES)?.unwrap_or(default.bytes),
    })
}

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

/// Warns of parameters that are neither `known` to a store nor had by every store.
pub fn warn_unknown(config: &MessageStoreConfig, known: &[&str], cx: &mut BuildCx<'_>) {
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

/// What a store says that holds as much as `parameter` lets it.
pub fn full(parameter: &str, bound: u64) -> StoreError {
    StoreError::Full(format!("the store is full: {parameter} is {bound}"))
}
