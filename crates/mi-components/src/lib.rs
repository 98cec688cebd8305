//! Components that need no outside client: the mediators, one file each, listed in plain tables.
//!
//! A mediator only decides; branches, waits and faults are run by `mi_engine::flow`. What several mediators share
//! (typed values, payload changes, resources) stands beside the folder.

pub mod connectors;
mod evaluator;
pub mod executors;
mod json;
pub mod mediators;
mod payload;
pub mod processors;
mod resource;
mod scripting;
pub mod stores;
pub mod tasks;
mod typed;
mod xml;
mod xsd;

#[cfg(test)]
mod testing;

pub use mediators::TABLE;
