//! Queries compile and run to an end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_xslt::{PlainHost, XQuery};

fuzz_target!(|text: &str| {
    let Ok(query) = XQuery::compile(text, "q.xq") else { return };
    query.run(&[], &PlainHost::default()).ok();
});
