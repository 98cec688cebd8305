//! Mediators that a configuration may name but that cannot run here: those written in Java, and those that this version
//! does not have. The artifact is deployed with a warning; a message that reaches the step gets a fault.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

/// The table; a mediator that arrives leaves it.
pub const TABLE: &[MediatorSpec] = &[
    java("class"),
    java("pojoCommand"),
    java("annotatedCommand"),
    java("spring"),
    java("bean"),
    java("ejb"),
    missing("dataServiceCall"),
    missing("datamapper"),
    missing("enqueue"),
    missing("entitlementService"),
    missing("event"),
    missing("eventPublisher"),
    missing("NTLM"),
    missing("oauthService"),
    missing("opa"),
    missing("publishEvent"),
    missing("sampler"),
    missing("script"),
    missing("smooks"),
    missing("store"),
    missing("xquery"),
];

const fn java(tag: &'static str) -> MediatorSpec {
    MediatorSpec::new(tag, parse_java)
}

const fn missing(tag: &'static str) -> MediatorSpec {
    MediatorSpec::new(tag, parse_missing)
}

#[derive(Debug)]
struct Unsupported {
    reason: String,
}

fn parse_java(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let class = ["name", "class", "jndiName", "beanstalk"].into_iter().find_map(|attr| el.filled_attr(attr));
    let named = class.map_or(String::new(), |class| format!(" '{class}'"));
    let reason = format!("the {} mediator{named} is Java code, which this server does not run", el.name());
    cx.report(el.warning(reason.as_str()).hint(
        "put the logic into a sequence, a script mediator or a service of its own; messages that reach it get a fault",
    ));
    Ok(Box::new(Unsupported { reason }))
}

fn parse_missing(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let reason = format!("{} is not supported by this version", el.name());
    cx.report(el.warning(reason.as_str()).hint("messages that reach it get a fault"));
    Ok(Box::new(Unsupported { reason }))
}

impl Mediator for Unsupported {
    fn mediate(&self, _cx: &mut Context) -> Result<Flow, Fault> {
        Err(Fault::new(self.reason.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn the_artifact_deploys_and_the_message_faults() {
        let flowing = Flowing::of("<class name='org.acme.Audit'/>");
        assert!(flowing.warnings().iter().any(|text| text.contains("'org.acme.Audit' is Java code")));
        assert!(flowing.run().fault().is_some_and(|text| text.contains("'org.acme.Audit'")));
    }

    #[test]
    fn no_tag_stands_in_both_tables() {
        for spec in super::TABLE {
            assert!(!super::super::TABLE.iter().any(|real| real.tag == spec.tag), "{}", spec.tag);
        }
    }
}
