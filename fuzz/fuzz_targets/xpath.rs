//! `expression NUL document`: parsing and evaluating end with a value or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_expr::{Expr, Namespaces, NoLookup};
use mi_fuzz::{halves, message};

fuzz_target!(|bytes: &[u8]| {
    let Some((source, document)) = halves(bytes) else { return };
    let namespaces = Namespaces::new().with("s", "http://schemas.xmlsoap.org/soap/envelope/").with("m", "urn:m");
    let Ok(expr) = Expr::xpath(source, &namespaces) else { return };
    let document = if document.is_empty() { "<a x='1'><b>2</b><b>three</b></a>" } else { document };
    let Some(message) = message(document.as_bytes(), "application/xml") else { return };
    expr.eval(&message, &NoLookup).ok();
    expr.eval_string(&message, &NoLookup).ok();
    expr.eval_bool(&message, &NoLookup).ok();
});
