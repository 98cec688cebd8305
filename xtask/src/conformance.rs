//! The ratchet on the conformance suites: a case that once passed must keep passing.
//!
//! The suites (real fixtures with the answers the original gives) lie beside the checkout or where `MI_CONFORMANCE`
//! points. They use fixed ports, so they run one after another, and no case is run a second time to make it pass.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::{Workspace, array, text};

const DEFAULT_FOLDER: &str = "../shared/conformance";
const LIST: &str = "tests/conformance-passing.txt";
/// All suites together; a hanging server must not hang the build.
const LIMIT: Duration = Duration::from_mins(25);

/// `suite/case-id`.
type Case = String;

struct Options {
    update: bool,
    allow_shrink: bool,
    suites: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    execute(workspace, &Options { update: false, allow_shrink: false, suites: Vec::new() })
}

pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let mut options = Options { update: false, allow_shrink: false, suites: Vec::new() };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match *arg {
            "--update" => options.update = true,
            "--allow-shrink" => options.allow_shrink = true,
            "--suite" => options.suites.push((*rest.next().context("--suite needs a name")?).to_owned()),
            other => bail!("conformance does not know `{other}`"),
        }
    }
    execute(workspace, &options)
}

fn execute(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = std::env::var_os("MI_CONFORMANCE").map_or_else(|| workspace.root.join(DEFAULT_FOLDER), PathBuf::from);
    let runner = folder.join("run.py");
    if !runner.is_file() {
        println!("NOT RUN: no suites at {}; set MI_CONFORMANCE to their folder", folder.display());
        return Ok(());
    }
    let list = workspace.root.join(LIST);
    let listed = read_list(&std::fs::read_to_string(&list).with_context(|| format!("cannot read {LIST}"))?);
    // Cases that never passed cost their time-outs and can tell the ratchet nothing: only `--update` runs them.
    let only = if options.update { None } else { Some(list_cases(workspace, &folder, &list)?) };
    let results = run_suites(workspace, &runner, &options.suites, only.as_deref())?;
    let in_scope =
        |case: &Case| options.suites.is_empty() || options.suites.iter().any(|it| case.starts_with(&format!("{it}/")));
    let verdict = Verdict::new(&listed.iter().filter(|it| in_scope(it)).cloned().collect(), &results);
    verdict.print(&results);
    if options.update {
        let mut kept: BTreeSet<Case> = listed.union(&verdict.passed).cloned().collect();
        if options.allow_shrink {
            kept.retain(|case| !verdict.lost.contains_key(case));
        }
        std::fs::write(&list, write_list(&kept)).with_context(|| format!("cannot write {LIST}"))?;
        println!("{LIST}: {} cases, {} before", kept.len(), listed.len());
    }
    if verdict.lost.is_empty() || (options.update && options.allow_shrink) {
        return Ok(());
    }
    bail!("{} cases that passed before fail", verdict.lost.len());
}

/// Runs the suites once and reads their results; a failing case is a result, not an error.
fn run_suites(
    workspace: &Workspace,
    runner: &Path,
    suites: &[String],
    cases: Option<&Path>,
) -> Result<BTreeMap<Case, Option<String>>> {
    let python = python(workspace)?;
    let report = workspace.target.join("conformance.json");
    if report.exists() {
        std::fs::remove_file(&report).context("cannot remove the last report")?;
    }
    let mut command = Command::new(python);
    command.arg(runner).arg("--bin").arg(workspace.binary()?).arg("--json").arg(&report);
    // The suites may lie in a folder that is not ours to write to.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    for suite in suites {
        command.args(["--suite", suite]);
    }
    if let Some(cases) = cases {
        command.arg("--cases-dir").arg(cases);
    }
    process::run_within(&mut command, LIMIT)?;
    let report = std::fs::read_to_string(&report).context("the suites left no report")?;
    let cases: Value = serde_json::from_str(&report).context("the report is not JSON")?;
    let results: BTreeMap<Case, Option<String>> = array(&cases).map(result).collect();
    if results.is_empty() {
        bail!("the suites have no case");
    }
    Ok(results)
}

/// Copies the listed cases of all suites into a folder that the runner takes its cases from.
fn list_cases(workspace: &Workspace, folder: &Path, list: &Path) -> Result<PathBuf> {
    const FILTER: &str = "
import pathlib, sys, yaml
suites, listed, out = pathlib.Path(sys.argv[1]), set(pathlib.Path(sys.argv[2]).read_text().split()), pathlib.Path(sys.argv[3])
for suite in sorted(suites.iterdir()):
    for file in sorted((suite / 'cases').glob('*.yaml')):
        cases = [case for case in yaml.safe_load(file.read_text(encoding='utf-8')) or [] if suite.name + '/' + case['id'] in listed]
        if cases:
            target = out / suite.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(yaml.safe_dump(cases, allow_unicode=True, sort_keys=False), encoding='utf-8')
";
    let out = workspace.target.join("conformance-cases");
    if out.exists() {
        std::fs::remove_dir_all(&out).context("cannot remove the last selection of cases")?;
    }
    std::fs::create_dir_all(&out).context("cannot make a folder for the selected cases")?;
    let python = python(workspace)?;
    process::run(Command::new(python).args(["-c", FILTER]).arg(folder.join("suites")).arg(list).arg(&out))?;
    Ok(out)
}

fn result(value: &Value) -> (Case, Option<String>) {
    (format!("{}/{}", text(&value["suite"]), text(&value["case"])), value["reason"].as_str().map(str::to_owned))
}

/// A Python that has what the runner imports; made once, in the target folder.
fn python(workspace: &Workspace) -> Result<PathBuf> {
    let venv = workspace.target.join("venv");
    let python = venv.join("bin/python");
    let ready = Command::new(&python).args(["-c", "import yaml, lxml"]).output().is_ok_and(|it| it.status.success());
    if !ready {
        process::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        process::run(Command::new(&python).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "pyyaml",
            "lxml",
        ]))?;
    }
    Ok(python)
}

struct Verdict {
    passed: BTreeSet<Case>,
    /// Listed cases that did not pass, with the reason.
    lost: BTreeMap<Case, String>,
    gained: Vec<Case>,
}

impl Verdict {
    fn new(listed: &BTreeSet<Case>, results: &BTreeMap<Case, Option<String>>) -> Self {
        let passed: BTreeSet<Case> =
            results.iter().filter(|(_, reason)| reason.is_none()).map(|(case, _)| case.clone()).collect();
        let reason = |case: &Case| match results.get(case) {
            Some(reason) => reason.clone().unwrap_or_default(),
            None => "the suites have no such case".to_owned(),
        };
        let lost = listed.difference(&passed).map(|case| (case.clone(), reason(case))).collect();
        let gained = passed.difference(listed).cloned().collect();
        Self { passed, lost, gained }
    }

    fn print(&self, results: &BTreeMap<Case, Option<String>>) {
        let mut table: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for (case, reason) in results {
            let suite = case.split('/').next().unwrap_or_default();
            for name in [suite, "~ all"] {
                let row = table.entry(name).or_default();
                row.0 += usize::from(reason.is_none());
                row.1 += 1;
            }
        }
        println!("\n{:<14}{:>8}{:>8}", "suite", "passed", "cases");
        for (suite, (passed, cases)) in &table {
            println!("{:<14}{passed:>8}{cases:>8}", suite.trim_start_matches("~ "));
        }
        if !self.gained.is_empty() {
            println!("\n{} new passes (`cargo xtask conformance --update` keeps them):", self.gained.len());
            println!("  {}", self.gained.join("\n  "));
        }
        if !self.lost.is_empty() {
            println!("\n{} LOST:", self.lost.len());
            for (case, reason) in &self.lost {
                println!("  {case}: {}", reason.lines().next().unwrap_or_default());
            }
        }
    }
}

fn read_list(text: &str) -> BTreeSet<Case> {
    text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#')).map(str::to_owned).collect()
}

fn write_list(cases: &BTreeSet<Case>) -> String {
    let mut text =
        "# Conformance cases that must keep passing, as suite/case. `cargo xtask conformance --update` adds to it.\n"
            .to_owned();
    for case in cases {
        text.push_str(case);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listed: &[&str], results: &[(&str, Option<&str>)], lost: &[&str], gained: &[&str]) {
        let listed = listed.iter().map(|it| (*it).to_owned()).collect();
        let results = results.iter().map(|(case, reason)| ((*case).to_owned(), reason.map(str::to_owned))).collect();
        let verdict = Verdict::new(&listed, &results);
        assert_eq!(verdict.lost.keys().collect::<Vec<_>>(), lost);
        assert_eq!(verdict.gained, gained);
    }

    #[test]
    fn a_listed_case_must_pass() {
        check(&["a/1"], &[("a/1", None), ("a/2", Some("no"))], &[], &[]);
        check(&["a/1"], &[("a/1", Some("no")), ("a/2", None)], &["a/1"], &["a/2"]);
        check(&["a/gone"], &[("a/1", None)], &["a/gone"], &["a/1"]);
    }

    #[test]
    fn the_list_reads_as_it_was_written() {
        let cases = ["b/2", "a/1"].map(str::to_owned).into();
        let text = write_list(&cases);
        assert!(text.ends_with("\na/1\nb/2\n"));
        assert_eq!(read_list(&text), cases);
    }
}
