//! `${…}` and templates with it, on a JSON and on an XML message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_expr::{Expr, Namespaces, NoLookup, Template};
use mi_fuzz::{halves, message};
use mi_message::Value;

fuzz_target!(|bytes: &[u8]| {
    let Some((source, text)) = halves(bytes) else { return };
    let namespaces = Namespaces::new().with("m", "urn:m");
    let expr = Expr::synapse(source, &namespaces);
    let template = Template::parse(source, &namespaces);
    let inline = Template::parse_inline(source, &namespaces);
    let text = if text.is_empty() { r#"{"a":[1,2.5,{"b":"x"},null,true],"c":{"d":"e"}}"# } else { text };
    let content_type = if text.starts_with('<') { "application/xml" } else { "application/json" };
    let Some(mut message) = message(text.as_bytes(), content_type) else { return };
    message.variables.put("v", Value::from("1"));
    if let Ok(expr) = expr {
        expr.eval(&message, &NoLookup).ok();
        expr.eval_string(&message, &NoLookup).ok();
    }
    if let Ok(template) = template {
        template.eval(&message, &NoLookup).ok();
    }
    if let Ok(template) = inline {
        template.eval_inline(&message, &NoLookup).ok();
    }
});
