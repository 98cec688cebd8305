//! `check`: everything that `run` would deploy is read and compiled, and nothing is started.

use std::process::ExitCode;
use std::sync::Arc;

use mi_config::Severity;
use mi_engine::services::Nothing;

use crate::cli::{CheckArgs, RunArgs};
use crate::server::{self, Prepared};

pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let run = RunArgs { applications: args.applications.clone(), home: args.home.clone(), threads: None };
    let prepared = Prepared::read(&run)?;
    let services = server::services(&prepared, Arc::new(Nothing), Vec::new(), Arc::default());
    let databases = Arc::new(mi_data::Databases::new(&prepared.home.root));
    let deployed = prepared.deploy(services, &databases);
    let mut errors = 0;
    let mut warnings = 0;
    for diagnostic in &deployed.diagnostics {
        match diagnostic.severity {
            Severity::Error => errors += 1,
            Severity::Warning => warnings += 1,
        }
        let word = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
        super::print(&format!("{word}: {diagnostic}"))?;
    }
    let applications = deployed.applications.len();
    super::print(&format!("{applications} applications, {errors} errors, {warnings} warnings"))?;
    let failed = errors > 0 || (args.strict && warnings > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
