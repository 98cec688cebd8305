//! Synapse XML is compiled as a deployment compiles it, or refused with diagnostics that have a place.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use mi_config::{SourceFile, parse_artifact};
use mi_engine::{Services, Settings, Specs, build};

static SERVICES: LazyLock<Arc<Services>> = LazyLock::new(|| {
    let specs = Specs::new(&[mi_components::mediators::UNSUPPORTED, mi_components::TABLE]);
    Arc::new(Services::offline(specs))
});

fuzz_target!(|bytes: &[u8]| {
    let (artifacts, _) = parse_artifact(SourceFile::new("a.xml", bytes.to_vec()));
    let built = build(&artifacts, SERVICES.clone(), Settings::default());
    for (_, diagnostics) in &built.failed {
        assert!(!diagnostics.is_empty(), "an artifact failed without a reason");
    }
});
