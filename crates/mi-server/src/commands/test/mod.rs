//! `test`: runs the unit tests of projects, as WSO2's tools write them to `src/test/wso2mi`, inside of this process.
//!
//! Only what a suite names is deployed, and no port is opened: requests go straight to the engine, and mock services answer
//! in place of the back ends. MI: `synapse-unit-test`, `RequestHandler`, `TestingAgent`.

mod compare;
mod mocks;
mod report;
mod runner;
mod suite;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::cli::TestArgs;
use report::Tally;
use suite::Suite;

/// Where a project keeps its suites.
const SUITES: &str = "src/test";
/// Folders in a project that are looked at for suites, one in the other.
const MAX_DEPTH: usize = 8;

pub fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let files = suites(args)?;
    if args.log {
        mi_telemetry::log::init(&mi_telemetry::log::LogConfig::default()).context("cannot start the log")?;
    }
    let mut tally = Tally::default();
    for (project, file) in files {
        let name = file.strip_prefix(&project).unwrap_or(&file).display().to_string();
        let cases = Suite::read(&project, &file).and_then(|suite| runner::run(&suite, &args.define));
        for line in tally.add(&name, cases) {
            super::print(&line)?;
        }
    }
    super::print(&tally.summary())?;
    if let Some(path) = &args.junit {
        std::fs::write(path, tally.junit()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if tally.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Projects with their suites.
fn suites(args: &TestArgs) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    let here = [PathBuf::from(".")];
    let projects = if args.projects.is_empty() { &here[..] } else { &args.projects };
    let mut files = Vec::new();
    for project in projects {
        let project = project.canonicalize().with_context(|| format!("cannot read {}", project.display()))?;
        if project.is_file() {
            files.push((project_of(&project), project));
            continue;
        }
        let before = files.len();
        let mut found = Vec::new();
        collect(&project.join(SUITES), 0, &mut found)?;
        found.sort();
        files.extend(found.into_iter().map(|file| (project.clone(), file)));
        if files.len() == before {
            bail!("{} has no unit tests: there is no <unit-test> below {SUITES}", project.display());
        }
    }
    Ok(files)
}

/// The project that a suite belongs to: the folder above `src`.
fn project_of(suite: &Path) -> PathBuf {
    let above = suite.ancestors().find(|it| it.join(SUITES).is_dir());
    above.or_else(|| suite.parent()).unwrap_or(suite).to_path_buf()
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if depth > MAX_DEPTH || !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, depth + 1, found)?;
        } else if path.extension().is_some_and(|it| it == "xml") && suite::is_suite(&path) {
            found.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
