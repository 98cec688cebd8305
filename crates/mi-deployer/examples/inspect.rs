//! Loads a home folder and prints what a server would deploy: `cargo run -p mi-deployer --example inspect -- DIR…`

#![allow(clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Instant;

use mi_deployer::{Environment, Home, load, read_deployment};

fn main() -> Result<(), std::io::Error> {
    for dir in std::env::args().skip(1) {
        let start = Instant::now();
        let home = Home::locate(dir.as_ref());
        let environment = Environment::new(&home, std::env::vars().collect(), BTreeMap::new());
        let (deployment, findings) = read_deployment(&home, &environment)?;
        let loaded = load(&home, &deployment, &environment);
        let took = start.elapsed();
        println!("== {dir}: {} artifacts in {took:?}, HTTP port {}", loaded.artifacts.len(), deployment.http_port());
        let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
        for it in &loaded.artifacts {
            *kinds.entry(it.artifact.kind().to_string()).or_default() += 1;
        }
        println!("   {kinds:?}");
        for it in &loaded.applications {
            println!("   application {} with {} artifacts from {}", it.id, it.artifacts.len(), it.file);
        }
        for it in &loaded.libraries {
            println!("   connector {} with {} operations, Java: {}", it.name, it.operations.len(), it.has_java);
        }
        for it in &loaded.faulty {
            println!("   FAULTY {} {:?}", it.file, it.version);
            for reason in &it.reasons {
                println!("      {reason}");
            }
        }
        for it in findings.iter().chain(&loaded.diagnostics) {
            println!("   {:?} {it}", it.severity);
        }
    }
    Ok(())
}
