//! Message processors, one file each, listed in a table by the names of MI's classes.

mod failed;
mod failover;
mod forwarding;
mod sampling;
#[cfg(test)]
mod tests;

use mi_engine::spec::ProcessorSpec;

/// All message processors.
pub const TABLE: &[ProcessorSpec] = &[failover::SPEC, forwarding::SPEC, sampling::SPEC];
