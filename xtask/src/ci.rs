//! The steps of CI, in order, each with its duration; `.ci/run` and a desk run the same table.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{
    advisories, bench, conformance, crash, demo, fuzz, hostile, image, kubernetes, licences, process, roll, sbom,
    smuggling, tidy,
};

/// One step: `cargo xtask NAME` runs it alone.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// A step whose failure leaves nothing for this one to work on.
    needs: Option<&'static str>,
    run: fn(&Workspace) -> Result<()>,
}

pub(crate) const STEPS: &[Step] = &[
    Step { name: "lock", about: "Cargo.lock fits the manifests", needs: None, run: lock },
    Step { name: "fmt", about: "rustfmt", needs: None, run: fmt },
    Step { name: "tidy", about: "crate arrows, file rules, component tables", needs: None, run: tidy::run },
    Step { name: "licences", about: "licences, bans and sources (deny.toml)", needs: None, run: licences::run },
    Step { name: "advisories", about: "no version that RustSec warns of", needs: None, run: advisories::run },
    Step { name: "sbom", about: "what the server is made of (CycloneDX)", needs: None, run: sbom::run },
    Step { name: "k8s", about: "the manifests fit their kinds and each other", needs: None, run: kubernetes::run },
    Step { name: "clippy", about: "clippy, warnings are errors", needs: None, run: clippy },
    Step { name: "test", about: "unit and integration tests", needs: None, run: test },
    Step { name: "doctest", about: "examples in the documentation", needs: None, run: doctest },
    Step { name: "doc", about: "rustdoc, warnings are errors", needs: None, run: doc },
    Step { name: "release", about: "release build of the server", needs: None, run: release },
    Step { name: "demo", about: "the sample applications answer as expected", needs: Some("release"), run: demo::run },
    Step { name: "crash", about: "a server that is killed loses nothing", needs: Some("release"), run: crash::short },
    Step {
        name: "roll",
        about: "rolling updates under load lose no request",
        needs: Some("release"),
        run: roll::short,
    },
    Step {
        name: "smuggling",
        about: "no request hides in another; nginx and haproxy beside us",
        needs: Some("release"),
        run: smuggling::short,
    },
    Step {
        name: "hostile",
        about: "what a whole server stands: floods, no descriptors, secrets",
        needs: Some("release"),
        run: hostile::short,
    },
    Step { name: "image", about: "the layout of the image under three users", needs: Some("release"), run: image::run },
    Step {
        name: "bench",
        about: "micro benches, and a minute of load beside nginx, as ratios",
        needs: Some("release"),
        run: bench::run,
    },
    Step { name: "fuzz", about: "the fuzz targets, some seconds each", needs: None, run: fuzz::short },
    Step {
        name: "conformance",
        about: "no known conformance case is lost",
        needs: Some("release"),
        run: conformance::run,
    },
];

/// Runs every step, shows what each took, and fails with the names of those that failed.
pub(crate) fn all(workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let mut verdicts: Vec<(&Step, &str, Duration)> = Vec::new();
    for step in STEPS {
        let blocked = verdicts.iter().any(|(it, verdict, _)| Some(it.name) == step.needs && *verdict != "ok");
        let (verdict, took) = if blocked { ("not run", Duration::ZERO) } else { timed(workspace, step) };
        verdicts.push((step, verdict, took));
    }
    println!("\n{:<13}{:<9}{:>8}", "step", "verdict", "seconds");
    for (step, verdict, took) in &verdicts {
        println!("{:<13}{verdict:<9}{:>8.1}", step.name, took.as_secs_f64());
    }
    println!("{:<13}{:<9}{:>8.1}", "all", "", start.elapsed().as_secs_f64());
    let failed: Vec<&str> =
        verdicts.iter().filter(|(_, verdict, _)| *verdict != "ok").map(|(it, ..)| it.name).collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs the step of that name, if there is one.
pub(crate) fn one(workspace: &Workspace, name: &str) -> Option<Result<()>> {
    STEPS.iter().find(|it| it.name == name).map(|it| (it.run)(workspace))
}

fn timed(workspace: &Workspace, step: &Step) -> (&'static str, Duration) {
    println!("\n=== {}: {}", step.name, step.about);
    let start = Instant::now();
    let verdict = match (step.run)(workspace) {
        Ok(()) => "ok",
        Err(error) => {
            println!("{error:#}");
            "FAILED"
        }
    };
    let took = start.elapsed();
    println!("=== {}: {verdict} after {:.1} s", step.name, took.as_secs_f64());
    (verdict, took)
}

fn lock(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["fetch", "--locked", "--target", "x86_64-unknown-linux-gnu"]))
}

fn fmt(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))
}

fn test(workspace: &Workspace) -> Result<()> {
    // Not --all-targets: that would run every benchmark once.
    process::run(&mut workspace.cargo(&[
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--locked",
        "--no-fail-fast",
    ]))
}

fn doctest(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["test", "--workspace", "--doc", "--locked", "--no-fail-fast"]))
}

fn doc(workspace: &Workspace) -> Result<()> {
    let mut command = workspace.cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    process::run(command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn release(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["build", "--release", "--package", "mi-server", "--locked"]))
}
