//! `fuzz`: the targets of `fuzz/` under libFuzzer, for some seconds each, from the corpus that is committed.
//!
//! The coverage that libFuzzer needs comes from flags that the stable compiler has, so that neither a nightly toolchain nor
//! cargo-fuzz is needed. An input that breaks a target is kept in `fuzz/artifacts`; when it is mended it goes to the corpus.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// Seconds for each target in CI.
const SECONDS: u32 = 8;
/// Instrumentation for libFuzzer; overflow and debug checks are in the profile of `fuzz/`.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16";

/// The step of CI.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    run(workspace, &Options { seconds: SECONDS, targets: Vec::new() })
}

/// `cargo xtask fuzz [--seconds N] [TARGET…]`
pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let mut options = Options { seconds: SECONDS, targets: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--seconds" => {
                options.seconds = args.next().and_then(|it| it.parse().ok()).context("--seconds needs a number")?;
            }
            it if it.starts_with('-') => bail!("no option `{it}`; there is --seconds N"),
            it => options.targets.push(it.to_owned()),
        }
    }
    run(workspace, &options)
}

struct Options {
    seconds: u32,
    /// All, if there is none.
    targets: Vec<String>,
}

/// What became of a target.
struct Report {
    target: String,
    executions: u64,
    corpus: usize,
    failure: Option<String>,
}

fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.root.join("fuzz");
    let all = targets(&folder)?;
    if let Some(unknown) = options.targets.iter().find(|it| !all.contains(it)) {
        bail!("no target `{unknown}`; there are {}", all.join(", "));
    }
    let chosen: Vec<String> = if options.targets.is_empty() { all } else { options.targets.clone() };
    let programs = build(workspace, &folder)?;
    let queue = Mutex::new(chosen.into_iter());
    let reports = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, |it| it.get().min(4));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(target) = queue.lock().ok().and_then(|mut it| it.next()) else { return };
                    let report = fuzz(&folder, &programs, &target, options.seconds).unwrap_or_else(|error| Report {
                        target,
                        executions: 0,
                        corpus: 0,
                        failure: Some(format!("{error:#}")),
                    });
                    if let Ok(mut reports) = reports.lock() {
                        reports.push(report);
                    }
                }
            });
        }
    });
    conclude(reports.into_inner().unwrap_or_default())
}

fn conclude(mut reports: Vec<Report>) -> Result<()> {
    reports.sort_by(|a, b| a.target.cmp(&b.target));
    println!("{:<18}{:>12}{:>10}", "target", "executions", "inputs");
    for it in &reports {
        let verdict = if it.failure.is_some() { "  FAILED" } else { "" };
        println!("{:<18}{:>12}{:>10}{verdict}", it.target, it.executions, it.corpus);
    }
    let failures: Vec<String> =
        reports.into_iter().filter_map(|it| it.failure.map(|failure| format!("{}:\n{failure}", it.target))).collect();
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\n\n")) }
}

/// The names of the files in `fuzz_targets`.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join("fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "rs") {
            names.extend(path.file_stem().map(|it| it.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

/// Builds every target; the folder of the programs.
fn build(workspace: &Workspace, folder: &Path) -> Result<PathBuf> {
    // The same versions as the product has.
    std::fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let target_dir = workspace.target.join("fuzz");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(folder).args(["build", "--release", "--bins", "--target-dir"]).arg(&target_dir);
    // With a target given, the flags are not for build scripts and macros.
    let host = host()?;
    cargo.args(["--target", &host]).env("RUSTFLAGS", FLAGS).env("CARGO_INCREMENTAL", "0");
    process::run(&mut cargo)?;
    Ok(target_dir.join(host).join("release"))
}

fn host() -> Result<String> {
    let said = Command::new("rustc").arg("-vV").output().context("rustc")?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc -vV names no host")?;
    Ok(host.to_owned())
}

fn fuzz(folder: &Path, programs: &Path, target: &str, seconds: u32) -> Result<Report> {
    let artifacts = folder.join("artifacts").join(target);
    std::fs::create_dir_all(&artifacts)?;
    // What is found on the way is not for the checkout.
    let found = programs.join("found").join(target);
    std::fs::create_dir_all(&found)?;
    let seeds = folder.join("corpus").join(target);
    if !seeds.is_dir() {
        bail!("{} is absent: every target has a corpus", seeds.display());
    }
    let mut fuzzer = Command::new(programs.join(target));
    fuzzer.arg(&found).arg(&seeds).stdin(Stdio::null());
    fuzzer.arg(format!("-max_total_time={seconds}")).arg(format!("-artifact_prefix={}/", artifacts.display()));
    fuzzer.args(["-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-print_final_stats=1", "-verbosity=1"]);
    let dictionary = folder.join("dictionaries").join(format!("{target}.dict"));
    if dictionary.is_file() {
        fuzzer.arg(format!("-dict={}", dictionary.display()));
    }
    let output = fuzzer.output().with_context(|| format!("{target} does not start"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let executions = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let tail: Vec<&str> = said.lines().rev().take(30).collect();
    let failure = (!output.status.success()).then(|| tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    let corpus = std::fs::read_dir(&found)?.count() + std::fs::read_dir(&seeds)?.count();
    Ok(Report {
        target: target.to_owned(),
        executions: executions.and_then(|it| it.trim().parse().ok()).unwrap_or(0),
        corpus,
        failure,
    })
}
