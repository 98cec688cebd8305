//! Message stores, one file or folder each, listed in a table by the names of their classes.

mod durable;
mod memory;
mod resequence;

use mi_engine::spec::StoreSpec;
use mi_engine::store::parameters::{MAX_BYTES, MAX_MESSAGES, full, limits, warn_unknown};

pub use durable::{DEFAULT_SEGMENT, DurableStore};

/// All message stores.
pub const TABLE: &[StoreSpec] = &[durable::SPEC, memory::SPEC, resequence::SPEC];
