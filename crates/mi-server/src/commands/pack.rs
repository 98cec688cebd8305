//! `pack`: CAR files out of project folders.

use std::process::ExitCode;

use anyhow::Context;

use crate::cli::PackArgs;

pub fn run(args: &PackArgs) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("cannot make the folder {}", args.output.display()))?;
    for project in &args.projects {
        let car =
            mi_deployer::pack(project, &args.output).with_context(|| format!("cannot pack {}", project.display()))?;
        super::print(&format!("{}", car.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
