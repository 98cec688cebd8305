//! `<propertyGroup>` holds several `<property>` elements and nothing else.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("propertyGroup", parse).attributes(&[]).children(&["property"]);

#[derive(Debug)]
struct PropertyGroup(Vec<Box<dyn Mediator>>);

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let properties = el.children_named("property").map(|it| cx.mediator(&it)).collect::<Result<Vec<_>, _>>()?;
    Ok(Box::new(PropertyGroup(properties)))
}

impl Mediator for PropertyGroup {
    fn reads_body(&self) -> bool {
        self.0.iter().any(|property| property.reads_body())
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        for property in &self.0 {
            property.mediate(cx)?;
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
