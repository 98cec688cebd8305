//! Stylesheets compile and run to an end: a result or an error, within the caps.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mi_fuzz::orders;
use mi_xml::Document;
use mi_xslt::{NoResolver, PlainHost, Stylesheet};

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse(bytes.to_vec()) else { return };
    let Ok(stylesheet) = Stylesheet::compile(Arc::new(document), "s.xsl", &NoResolver) else { return };
    stylesheet.transform(&orders(), Document::ROOT, &[], &PlainHost::default()).ok();
});
