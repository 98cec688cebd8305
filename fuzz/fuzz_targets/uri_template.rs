//! `template NUL path`: what matches gives variables, whatever both are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_config::uri_template::UriTemplate;
use mi_fuzz::halves;

fuzz_target!(|bytes: &[u8]| {
    let Some((source, path)) = halves(bytes) else { return };
    let Ok(template) = UriTemplate::compile(source) else { return };
    template.matches(path).ok();
});
