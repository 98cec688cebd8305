//! Whatever `deployment.toml` holds, there are settings.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mi_config::{Deployment, NoPlaceholders};

fuzz_target!(|text: &str| {
    let (deployment, _) = Deployment::parse("deployment.toml", text, &NoPlaceholders);
    deployment.http_port();
    deployment.https_port();
    deployment.internal_http_port();
});
