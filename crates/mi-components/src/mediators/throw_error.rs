//! `<throwError>` raises a fault of one's own; the nearest fault handler finds its type in `ERROR_CODE`.

use std::sync::Arc;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Dynamic;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("throwError", parse).attributes(&["type", "errorMessage"]).children(&[]);

#[derive(Debug)]
struct ThrowError {
    kind: Arc<str>,
    message: Option<Dynamic>,
}

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let kind = el.attr("type").filter(|kind| !kind.is_empty()).map_or("ANY".into(), Arc::from);
    let message = match el.attr("errorMessage") {
        Some(text) if !text.is_empty() => el.dynamic("errorMessage")?,
        _ => None,
    };
    Ok(Box::new(ThrowError { kind, message }))
}

impl Mediator for ThrowError {
    fn reads_body(&self) -> bool {
        self.message.as_ref().is_some_and(Dynamic::reads_body)
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let message: Arc<str> = match &self.message {
            Some(message) => message.eval_string(&cx.message, &*cx.snapshot)?,
            None => "Error occurred in the mediation flow".into(),
        };
        cx.message.properties.set("ERROR_CODE", self.kind.clone());
        cx.message.properties.set("ERROR_MESSAGE", message.clone());
        Err(Fault::new(&*message))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Flowing;

    #[track_caller]
    fn check(attrs: &str, code: &str, message: &str) {
        let outcome = Flowing::of(&format!("<throwError {attrs}/>")).json("{\"a\":\"b\"}").run();
        assert_eq!(outcome.fault().as_deref(), Some(message));
        assert_eq!(outcome.property("ERROR_CODE").as_deref(), Some(code));
        assert_eq!(outcome.property("ERROR_MESSAGE").as_deref(), Some(message));
    }

    #[test]
    fn type_and_message() {
        check("type='TRANSFORM' errorMessage='broken'", "TRANSFORM", "broken");
        check("errorMessage='{${payload.a}}'", "ANY", "b");
        check("", "ANY", "Error occurred in the mediation flow");
    }
}
