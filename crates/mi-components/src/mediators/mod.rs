//! The mediators: one file each, named as its element is, with parsing, behaviour and tests; and their table.

use mi_engine::spec::MediatorSpec;

mod aggregate;
mod blocking;
mod branch;
mod builder;
mod cache;
mod call;
mod call_template;
mod callout;
mod class;
mod clone;
mod conditional_router;
mod connector;
mod datamapper;
mod drop;
mod enqueue;
mod enrich;
mod entitlement_service;
mod fast_xslt;
mod filter;
mod foreach;
mod gather;
mod header;
mod in_out;
mod iterate;
mod jsontransform;
mod log;
mod loopback;
mod makefault;
mod oauth_service;
mod opa;
pub(crate) mod payload_factory;
mod property;
mod property_group;
mod respond;
mod rewrite;
mod rules;
mod sampler;
mod scatter_gather;
mod script;
mod send;
mod sequence;
mod smooks;
mod split;
mod store;
mod switch;
mod target;
mod throttle;
mod throw_error;
mod unsupported;
mod validate;
mod variable;
mod xquery;
mod xslt;
mod xslt_stream;

/// Every mediator with a file of its own.
pub const TABLE: &[MediatorSpec] = &[
    aggregate::SPEC,
    builder::SPEC,
    cache::SPEC,
    call::SPEC,
    call_template::SPEC,
    callout::SPEC,
    class::SPEC,
    clone::SPEC,
    conditional_router::SPEC,
    datamapper::SPEC,
    drop::SPEC,
    enqueue::SPEC,
    enrich::SPEC,
    entitlement_service::SPEC,
    fast_xslt::SPEC,
    filter::SPEC,
    foreach::SPEC,
    header::SPEC,
    in_out::IN,
    in_out::OUT,
    iterate::SPEC,
    jsontransform::SPEC,
    log::SPEC,
    loopback::SPEC,
    makefault::SPEC,
    oauth_service::SPEC,
    opa::SPEC,
    payload_factory::SPEC,
    property::SPEC,
    property_group::SPEC,
    respond::SPEC,
    rewrite::SPEC,
    rules::SPEC,
    sampler::SPEC,
    scatter_gather::SPEC,
    script::SPEC,
    send::SPEC,
    sequence::SPEC,
    smooks::SPEC,
    store::SPEC,
    switch::SPEC,
    throttle::SPEC,
    throw_error::SPEC,
    validate::SPEC,
    variable::SPEC,
    xquery::SPEC,
    xslt::SPEC,
];

/// Reads operations of connectors.
pub use connector::parse as parse_operation;
/// Mediators that parse but cannot run here; a real one with the same tag must be taken out of this table.
pub use unsupported::TABLE as UNSUPPORTED;

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    /// What an element may not hold is reported, whatever the mediator.
    #[test]
    fn what_has_no_effect_is_reported() {
        for (xml, part) in [
            ("<drop><log/></drop>", "<log> inside <drop> has no effect"),
            ("<respond to='a'/>", "attribute 'to' of <respond> has no effect"),
            ("<log><propert name='a' value='1'/></log>", "did you mean 'property'?"),
            ("<property name='a' value='1' scop='axis2'/>", "did you mean 'scope'?"),
            ("<propertyGroup><property name='a' value='1' scop='axis2'/></propertyGroup>", "did you mean 'scope'?"),
            ("<filter xpath='1' rege='a'><then/></filter>", "did you mean 'regex'?"),
            ("<rules policy='a'><drop/></rules>", "attribute 'policy' of <rules>"),
            ("<in sequence='a'/>", "attribute 'sequence' of <in>"),
            ("<sequence key='a'><drop/></sequence>", "<drop> inside <sequence> has no effect"),
            ("<loopback>text</loopback>", "text 'text' inside <loopback> has no effect"),
            ("<foreach expression='//a' sequence='b'><target/></foreach>", "<target> inside <foreach>"),
            ("<xslt key='a'><feature name='f' value='true'/></xslt>", "the feature 'f' is one of MI's XML library"),
            ("<xslt key='a'><attribute name='f' value='true'/></xslt>", "the attribute 'f' is one of MI's XSLT"),
            (
                "<validate><schema key='a'/><property name='p' value='true'/><on-fail><drop/></on-fail></validate>",
                "the property 'p' is one of MI's XML library",
            ),
        ] {
            let warnings = Flowing::of(xml).warnings();
            assert!(warnings.iter().any(|it| it.contains(part)), "{xml}: {warnings:?}");
        }
        for xml in ["<drop description='d' trace='enable'><description>d</description></drop>", "<rules><log/></rules>"]
        {
            assert_eq!(Flowing::of(xml).warnings(), Vec::<String>::new(), "{xml}");
        }
    }
}
