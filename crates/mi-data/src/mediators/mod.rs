//! The mediators on databases: one file each, and their table.

use mi_engine::spec::MediatorSpec;

pub(crate) mod connection;
mod dblookup;
mod dbreport;
mod statement;
mod transaction;

/// Every mediator of this crate.
pub const TABLE: &[MediatorSpec] = &[dblookup::SPEC, dbreport::SPEC, transaction::SPEC];
