//! Micro benches and about a minute of load beside nginx: whether the programs of `benches/` work and no flow fails under load.
//!
//! What they print are ratios of one run, to be read by people. Times on a shared machine say too little to fail a check by.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

/// The step of CI.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    process::run(&mut workspace.cargo(&["bench", "--locked", "--quiet", "--package", "mi-benches"]))?;
    let binary = workspace.binary()?;
    let mut load = workspace.cargo(&[
        "run",
        "--release",
        "--locked",
        "--quiet",
        "--package",
        "mi-benches",
        "--example",
        "scenarios",
        "--",
    ]);
    // Each of the flows, and nginx in turn with it, for a second.
    load.arg("--server").arg(binary).args(["--sizes", "1000", "--seconds", "1", "--rounds", "1"]);
    process::run(&mut load)
}
