//! Heads of requests are read the same whether they come at once or byte by byte.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    mi_transports::fuzz::request(bytes);
});
