//! Lock files of others, damaged or not.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    mi_transports::fuzz::lock(text);
});
