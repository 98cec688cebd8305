//! `<class>` runs Java in MI. Here it runs what stands in for the classes of well-known connectors; others are reported at
//! deployment and give a fault when reached.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::mediator::Mediator;
use mi_engine::spec::MediatorSpec;

use super::unsupported;
use crate::connectors;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("class", parse);

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    match el.filled_attr("name").and_then(|name| connectors::class(name.trim())) {
        Some(parse) => parse(el, cx),
        None => unsupported::parse_java(el, cx),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn the_artifact_deploys_and_the_message_faults() {
        let flowing = Flowing::of("<class name='org.acme.Audit'><property name='level' value='high'/></class>");
        assert!(flowing.warnings().iter().any(|text| text.contains("'org.acme.Audit' (level=high) is Java code")));
        let fault = flowing.run().fault().unwrap_or_default();
        assert!(fault.contains("'org.acme.Audit'") && fault.contains("level=high"), "{fault}");
    }
}
