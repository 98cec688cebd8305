//! The mediators: one file each, named as its element is, with parsing, behaviour and tests; and their table.

use mi_engine::spec::MediatorSpec;

mod branch;
mod builder;
mod cache;
mod call_template;
mod conditional_router;
mod drop;
mod enrich;
mod filter;
mod foreach;
mod header;
mod in_out;
mod jsontransform;
mod log;
mod loopback;
mod makefault;
mod payload_factory;
mod property;
mod property_group;
mod respond;
mod rewrite;
mod rules;
mod sequence;
mod switch;
mod target;
mod throttle;
mod throw_error;
mod call;
mod callout;
mod send;
mod transaction;
mod unsupported;
mod validate;
mod variable;

/// Every mediator with a file of its own.
pub const TABLE: &[MediatorSpec] = &[
    builder::SPEC,
    cache::SPEC,
    call_template::SPEC,
    conditional_router::SPEC,
    drop::SPEC,
    enrich::SPEC,
    filter::SPEC,
    foreach::SPEC,
    header::SPEC,
    in_out::IN,
    in_out::OUT,
    jsontransform::SPEC,
    log::SPEC,
    loopback::SPEC,
    makefault::SPEC,
    payload_factory::SPEC,
    property::SPEC,
    property_group::SPEC,
    respond::SPEC,
    rewrite::SPEC,
    rules::SPEC,
    sequence::SPEC,
    switch::SPEC,
    throttle::SPEC,
    throw_error::SPEC,
    transaction::SPEC,
    validate::SPEC,
    call::SPEC,
    callout::SPEC,
    send::SPEC,
    variable::SPEC,
];

/// Mediators that parse but cannot run here; a real one with the same tag must be taken out of this table.
pub use unsupported::TABLE as UNSUPPORTED;
