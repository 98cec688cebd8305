//! Request smuggling: does anything that a front forwards mean two things to two back ends?
//!
//! Each case of the corpus is sent, with a second request behind it, through our server, nginx and haproxy to back ends that record
//! every byte. Readers of different habits go over what was forwarded; all must see the same requests. Our verdicts are fixed in
//! the corpus. What nginx and haproxy do otherwise is shown, and is nothing that fails.

mod backend;
mod corpus;
mod fronts;
mod readers;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::workspace::Workspace;
use corpus::{Case, Verdict};
use fronts::Front;

const CORPUS: &str = "tests/http-corpus/requests.txt";
/// Stands behind each case: 54 bytes, in hexadecimal 36. The front closes when it has read it as a request.
const BEHIND: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
/// How long our server may take for what it must do.
const LIMIT: Duration = Duration::from_secs(5);
/// Nothing more is expected of a front that said nothing for so long, before its first answer and behind one.
const SILENT: Duration = Duration::from_millis(250);
const QUIET: Duration = Duration::from_millis(120);
/// Connections to the back end get so long to end behind a case.
const SETTLE: Duration = Duration::from_millis(300);

/// What became of a case at a front.
#[derive(Debug)]
struct Outcome {
    verdict: Verdict,
    /// Why what was forwarded has more than one meaning.
    ambiguous: Option<String>,
    lines: Vec<String>,
}

/// The step of CI.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    run(workspace, &workspace.binary()?, false)
}

/// `cargo xtask smuggling [--binary PATH] [--all]`
pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let (mut binary, mut all) = (None, false);
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        match *option {
            "--all" => all = true,
            "--binary" => binary = Some(PathBuf::from(rest.next().context("`--binary` needs a value")?)),
            other => bail!("no option `{other}`; there are --binary and --all"),
        }
    }
    let binary = binary.map_or_else(|| workspace.binary(), Ok)?;
    run(workspace, &binary, all)
}

fn run(workspace: &Workspace, binary: &std::path::Path, all: bool) -> Result<()> {
    let cases = corpus::load(&workspace.root.join(CORPUS))?;
    let begun = Instant::now();
    let fronts = [fronts::ours(workspace, binary)?, fronts::nginx(workspace)?, fronts::haproxy(workspace)?];
    let outcomes: Vec<Result<Vec<Outcome>>> = std::thread::scope(|scope| {
        let cases = &cases;
        let threads: Vec<_> = fronts
            .iter()
            .enumerate()
            .map(|(number, front)| scope.spawn(move || send_all(front, cases, number == 0)))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap_or_else(|_| Err(anyhow!("a thread broke off")))).collect()
    });
    let outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    let faults = report(&cases, &fronts, &outcomes, all);
    println!("{} cases, {:.1} s", cases.len(), begun.elapsed().as_secs_f64());
    if !faults.is_empty() {
        bail!("our server does not keep to its verdicts:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

/// Shows what differs, and returns what is wrong with our server.
fn report(cases: &[Case], fronts: &[Front], outcomes: &[Vec<Outcome>], all: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut differ = vec![0; fronts.len()];
    for (at, case) in cases.iter().enumerate() {
        let ours = &outcomes[0][at];
        if ours.verdict != case.verdict {
            faults.push(format!("{}: {}, not {}; forwarded {:?}", case.name, ours.verdict, case.verdict, ours.lines));
        }
        if let Some(why) = &ours.ambiguous {
            faults.push(format!("{}: {why}", case.name));
        }
        let differs: Vec<bool> = outcomes.iter().map(|it| it[at].differs(ours)).collect();
        for (count, differs) in differ.iter_mut().zip(&differs) {
            *count += usize::from(*differs);
        }
        if all || differs.contains(&true) {
            let told: Vec<String> = outcomes.iter().map(|it| it[at].told()).collect();
            row(&case.name, &told);
        }
    }
    row("", &fronts.iter().map(|it| it.name.as_str()).collect::<Vec<_>>());
    let count = |name: &str, holds: fn(&Outcome) -> bool| {
        let counts: Vec<usize> = outcomes.iter().map(|it| it.iter().filter(|it| holds(it)).count()).collect();
        row(name, &counts);
    };
    count("nothing forwarded", |it| it.verdict.forwarded == 0);
    count("one request forwarded", |it| it.verdict.forwarded == 1);
    count("two or more forwarded", |it| it.verdict.forwarded > 1);
    count("forwarded with more than one meaning", |it| it.ambiguous.is_some());
    row("other than ours", &differ);
    faults
}

fn row(name: &str, cells: &[impl std::fmt::Display]) {
    print!("{name:<44}");
    for cell in cells {
        print!("{:<18}", cell.to_string());
    }
    println!();
}

impl Outcome {
    /// Whether another front forwarded something else. Its words of refusal are its own.
    fn differs(&self, ours: &Self) -> bool {
        self.verdict.forwarded != ours.verdict.forwarded || self.ambiguous.is_some() != ours.ambiguous.is_some()
    }

    fn told(&self) -> String {
        format!("{}{}", self.verdict, if self.ambiguous.is_some() { " ambig." } else { "" })
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            0 => write!(formatter, "none/{}", self.forwarded),
            status => write!(formatter, "{status}/{}", self.forwarded),
        }
    }
}

/// Sends the cases one after the other. Our server is waited for until it did what it must do.
fn send_all(front: &Front, cases: &[Case], is_ours: bool) -> Result<Vec<Outcome>> {
    cases
        .iter()
        .map(|case| {
            let awaited = is_ours.then_some(case.verdict);
            send(front, &case.bytes, awaited).with_context(|| format!("{} at {}", case.name, front.name))
        })
        .collect()
}

fn send(front: &Front, bytes: &[u8], awaited: Option<Verdict>) -> Result<Outcome> {
    front.backend.clear();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, front.port)).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(10)))?;
    // One write, so that nothing depends on the pieces. A front that has refused already may reset the connection.
    let written = stream.write_all(&[bytes, BEHIND].concat());
    let mut answer = Vec::new();
    if written.is_ok() {
        receive(front, &mut stream, &mut answer, awaited);
    }
    drop(stream);
    let settled = Instant::now() + SETTLE;
    while !front.backend.is_quiet() && Instant::now() < settled {
        std::thread::sleep(Duration::from_millis(2));
    }
    let forwarded = front.backend.forwarded();
    let verdict = Verdict { status: status(&answer), forwarded: forwarded.requests };
    Ok(Outcome { verdict, ambiguous: forwarded.ambiguous, lines: forwarded.lines })
}

/// Reads until the front closes, or has nothing more to say.
fn receive(front: &Front, stream: &mut TcpStream, answer: &mut Vec<u8>, awaited: Option<Verdict>) {
    let (begun, mut last) = (Instant::now(), Instant::now());
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                last = Instant::now();
                answer.extend_from_slice(&buffer[..length]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        let told = status(answer);
        let patience = if told == 0 { SILENT } else { QUIET };
        let done = match awaited {
            // What must come may take its time on a busy machine.
            Some(verdict) => {
                begun.elapsed() > LIMIT || (verdict.status == told && front.backend.requests() >= verdict.forwarded)
            }
            None => true,
        };
        if done && last.elapsed() > patience {
            return;
        }
    }
}

/// The first final status; 0 when there is none.
fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    let mut statuses = text.split("HTTP/1.").skip(1).filter_map(|it| it.get(2..5)?.parse::<u16>().ok());
    statuses.find(|it| *it >= 200 || *it == 101).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        let cases = [
            ("", 0),
            ("HTTP/1.1 100 Continue\r\n\r\n", 0),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204),
            ("HTTP/1.0 400 Bad request\r\n\r\n", 400),
            ("<html>", 0),
        ];
        for (answer, expected) in cases {
            assert_eq!(status(answer.as_bytes()), expected, "{answer}");
        }
    }

    #[test]
    fn the_request_behind_has_the_length_that_the_corpus_counts_on() {
        assert_eq!(BEHIND.len(), 54);
    }
}
