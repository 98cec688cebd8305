//! `check`: everything that `run` would deploy is read and compiled, and nothing is started.

use std::process::ExitCode;
use std::sync::Arc;

use mi_config::Severity;

use crate::cli::{CheckArgs, RunArgs};
use crate::server::{self, Prepared};

pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let run = RunArgs { applications: args.applications.clone(), home: args.home.clone(), threads: None };
    let prepared = Prepared::read(&run)?;
    let services = server::services(&prepared, Arc::new(NoBackEnds), Vec::new(), Arc::default());
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

/// Checking sends nothing.
#[derive(Debug)]
struct NoBackEnds;

impl mi_engine::transport::HttpClient for NoBackEnds {
    fn send(
        &self,
        _: mi_engine::transport::Outgoing,
    ) -> futures_util::future::BoxFuture<'static, Result<mi_engine::transport::Incoming, mi_engine::transport::SendError>>
    {
        let error = mi_engine::transport::SendError {
            code: mi_engine::codes::SND_IO_SENDING,
            message: "nothing is sent while checking".to_owned(),
            detail: String::new(),
        };
        Box::pin(futures_util::future::ready(Err(error)))
    }
}
