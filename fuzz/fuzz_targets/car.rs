//! Archives are read within their limits or refused, and no entry leaves the archive's root.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_deployer::{Bundle, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let Ok(bundle) = Bundle::from_zip(bytes, &limits) else { return };
    for (path, _) in bundle.iter() {
        assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path:?} leaves the archive");
    }
});
