//! `<propertyGroup>` holds several `<property>` elements and nothing else.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use super::property::{Property, parse_property};

pub(super) const SPEC: MediatorSpec = MediatorSpec { tag: "propertyGroup", parse };

#[derive(Debug)]
struct PropertyGroup(Vec<Property>);

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    cx.report_all(el.unknown_children(&["property"]));
    let properties = el.children_named("property").map(|it| parse_property(&it, cx)).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(PropertyGroup(properties)))
}

impl Mediator for PropertyGroup {
    fn reads_body(&self) -> bool {
        self.0.iter().any(Mediator::reads_body)
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        for property in &self.0 {
            property.apply(cx)?;
        }
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[test]
    fn sets_all_in_order() {
        let outcome = Flowing::of(
            "<propertyGroup><property name='a' value='1'/><property name='b' expression='$ctx:a'/></propertyGroup>",
        )
        .run();
        assert_eq!(outcome.property("b").as_deref(), Some("1"));
    }
}
