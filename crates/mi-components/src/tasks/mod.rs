//! What scheduled tasks do, one file each, listed in a table by the names of MI's classes.

mod message_injector;

use mi_engine::spec::TaskSpec;

/// All tasks.
pub const TABLE: &[TaskSpec] = &[message_injector::SPEC];
