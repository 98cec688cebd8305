//! Key stores (JKS, PKCS 12, PEM) that are damaged are refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_transports::keystore::KeyStore;

fuzz_target!(|bytes: &[u8]| {
    KeyStore::parse(bytes, "changeit", None).ok();
});
