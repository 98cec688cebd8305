//! `<fastXSLT>` transforms the payload by a stylesheet. In MI it works on the stream of the message; here it is
//! `<xslt>` without its options.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use super::xslt::{Logger, Stylesheets, keep_results, replace_payload, result_element, run};
use super::xslt_stream::{Streaming, Transforms};
use crate::payload;
use crate::resource::Resources;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("fastXSLT", parse).attributes(&["key"]).children(&[]);

#[derive(Clone, Debug)]
struct FastXslt(Arc<Stylesheets>);

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let key = el.resource_key("key")?;
    let key = key.ok_or_else(|| el.error("The 'key' attribute is required for the FastXSLT mediator"))?;
    let stylesheets = Stylesheets::new(key, Resources::default(), true);
    stylesheets.check(el, cx);
    Ok(Box::new(FastXslt(Arc::new(stylesheets))))
}

impl Mediator for FastXslt {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        if cx.message.body.is_built() { self.transform_built(cx) } else { Ok(Flow::wait(Streaming(self.clone()))) }
    }
}

impl Transforms for FastXslt {
    fn stylesheets(&self) -> &Stylesheets {
        &self.0
    }

    /// MI: `FastXSLTMediator#mediate`.
    fn transform_built(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let failed = |fault: Fault| Fault::new(format!("Error while transforming the Stream {}", fault.message));
        let stylesheet = self.0.current(cx)?;
        let envelope = cx.message.body.envelope()?;
        let payload = envelope.payload().ok_or_else(|| failed(Fault::new("the message has no payload")))?;
        let logger = Logger::keeping("FastXSLTMediator");
        let mut output = run(&stylesheet, envelope.document(), payload, &[], cx, logger).map_err(failed)?;
        keep_results(&mut output, cx).map_err(failed)?;
        if replace_payload(cx, payload, &output).map_err(failed)? {
            return Ok(Flow::Next);
        }
        let result = result_element(output).map_err(failed)?;
        if let Some(root) = result.nodes.first() {
            payload::set_element(&mut cx.message, &result.document, *root);
        }
        Ok(Flow::Next)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    const SHEET: &str = "<xsl:stylesheet version='1.0' xmlns:xsl='http://www.w3.org/1999/XSL/Transform'>\
        <xsl:template match='o'><r><xsl:value-of select='n'/></r></xsl:template></xsl:stylesheet>";

    #[test]
    fn the_payload_is_replaced() {
        let outcome = Flowing::of("<fastXSLT key='s'/>").local_entry("s", SHEET).xml("<o><n>1</n></o>").run();
        assert_eq!(outcome.fault(), None);
        assert_eq!(outcome.payload_xml(), "<r>1</r>");
    }

    #[test]
    fn failures_are_faults() {
        let outcome = Flowing::of("<fastXSLT key='none'/>").xml("<o/>").run();
        assert!(outcome.fault().is_some_and(|it| it.contains("none")));
        assert!(Flowing::error_of("<fastXSLT/>").contains("'key'"));
    }
}
