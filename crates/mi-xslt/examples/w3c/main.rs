//! Runs the public test suites of W3C and prints pass rates by test set.
//!
//! `cargo run --release -p mi-xslt --example w3c -- qt3 PATH [FILTER]` runs `w3c/qt3tests`, `… xslt PATH [FILTER]` runs
//! `w3c/xslt30-test`. PATH is a checkout; FILTER narrows by the path of a test set or `set/case`. With `-v` each failure
//! is shown. Every test has a thread and ten seconds of its own: one that panics or hangs is counted as such.

// The output is for the person in front of the terminal.
#![allow(clippy::print_stdout)]

mod assertions;
mod catalogue;
mod qt3;
mod xslt;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    /// It failed as it should, with another code.
    OtherCode(String),
    Fail(String),
    /// It needs what is out of scope.
    Skip,
}

/// A test to run in a thread of its own.
pub(crate) type Job = Box<dyn FnOnce() -> Verdict + Send>;

/// Counts of a test set.
#[derive(Debug, Default, Clone)]
struct Count {
    pass: usize,
    other_code: usize,
    fail: usize,
    crash: usize,
}

/// The results by group and test set.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: BTreeMap<String, BTreeMap<String, Count>>,
    verbose: bool,
}

impl Report {
    /// Runs one test and counts it.
    pub(crate) fn run(&mut self, group: &str, set: &str, case: &str, job: Job) {
        let (sender, receiver) = mpsc::channel();
        let builder = std::thread::Builder::new().stack_size(16 << 20);
        let thread = builder.spawn(move || drop(sender.send(job())));
        let verdict = match thread {
            Ok(_) => receiver.recv_timeout(Duration::from_secs(10)),
            Err(_) => return,
        };
        if verdict == Ok(Verdict::Skip) {
            return;
        }
        let count = self.groups.entry(group.to_owned()).or_default().entry(set.to_owned()).or_default();
        let text = match verdict {
            Ok(Verdict::Pass | Verdict::Skip) => {
                count.pass += 1;
                return;
            }
            Ok(Verdict::OtherCode(text)) => {
                count.other_code += 1;
                format!("CODE {text}")
            }
            Ok(Verdict::Fail(text)) => {
                count.fail += 1;
                format!("FAIL {text}")
            }
            Err(error) => {
                count.crash += 1;
                format!("CRASH {error}")
            }
        };
        if self.verbose {
            println!("[{group}] {set}/{case}: {}", text.replace('\n', "\\n").chars().take(600).collect::<String>());
        }
    }

    fn print(&self) {
        for (group, sets) in &self.groups {
            let mut all = Count::default();
            println!(
                "\n## {group}\n\n| test set | tests | pass | other code | fail | crash | rate |\n|---|---|---|---|---|---|---|"
            );
            for (set, count) in sets {
                println!("{}", row(set, count));
                all.pass += count.pass;
                all.other_code += count.other_code;
                all.fail += count.fail;
                all.crash += count.crash;
            }
            println!("{}", row("all", &all));
        }
    }
}

fn row(name: &str, count: &Count) -> String {
    let Count { pass, other_code, fail, crash } = count;
    let all = pass + other_code + fail + crash;
    let rate = 100.0 * (pass + other_code) as f64 / all.max(1) as f64;
    format!("| {name} | {all} | {pass} | {other_code} | {fail} | {crash} | {rate:.1} |")
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let verbose = args.iter().any(|it| it == "-v");
    args.retain(|it| it != "-v");
    let filter = args.get(2).cloned().unwrap_or_default();
    let mut report = Report { verbose, ..Report::default() };
    let result = match args.as_slice() {
        [suite, path, ..] if suite == "qt3" => qt3::run(path, &filter, &mut report),
        [suite, path, ..] if suite == "xslt" => xslt::run(path, &filter, &mut report),
        _ => Err("usage: w3c (qt3|xslt) PATH [FILTER] [-v]".to_owned()),
    };
    report.print();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
