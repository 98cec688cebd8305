//! Moderate load for a long time: the flows in turns, each second of load followed by one of rest, and after it what the
//! server holds in memory and how many descriptors it has open.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use mi_benches::load::{self, Plan};
use mi_benches::process::Process;
use mi_benches::{Failure, payload};

use crate::Scenario;

const CONNECTIONS: usize = 20;
const LOAD: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(1);
/// This part of the samples, from the front, is the time in which caches and pools fill.
const WARM: f64 = 0.2;

struct Sample {
    minutes: f64,
    kilobytes: u64,
    files: usize,
}

/// # Errors
/// A wrong answer, or the server ends.
pub(crate) async fn run(
    server: &Process,
    port: u16,
    scenarios: &[Scenario],
    (size, minutes): (usize, f64),
    report: Option<&Path>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut samples = Vec::new();
    let mut requests = 0;
    while begun.elapsed().as_secs_f64() < minutes * 60.0 {
        for &(name, path, kind) in scenarios {
            let body = payload::make(kind, size);
            let outcome = load::run(&Plan { port, path, kind, body, connections: CONNECTIONS, time: LOAD }).await?;
            if outcome.errors > 0 {
                return Err(format!("{name}: {} wrong answers, first {:?}", outcome.errors, outcome.first_error).into());
            }
            requests += outcome.latencies.len();
            tokio::time::sleep(REST).await;
        }
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let sample = Sample { minutes, kilobytes: server.memory()?.now, files: server.files()? };
        writeln!(std::io::stdout(), "{minutes:>7.1} min {:>8} KB {:>5} files", sample.kilobytes, sample.files)?;
        samples.push(sample);
    }
    let text = table(&samples, requests)?;
    writeln!(std::io::stdout(), "{text}")?;
    if let Some(folder) = report {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("soak.md"), text)?;
        std::fs::write(folder.join("soak.svg"), picture(&samples)?)?;
    }
    Ok(())
}

/// Kilobytes a minute, by least squares over the samples after the warm part; none for fewer than three.
fn slope(samples: &[Sample]) -> Option<f64> {
    let late = &samples[(samples.len() as f64 * WARM) as usize..];
    if late.len() < 3 {
        return None;
    }
    let count = late.len() as f64;
    let middle = late.iter().map(|it| it.minutes).sum::<f64>() / count;
    let level = late.iter().map(|it| it.kilobytes as f64).sum::<f64>() / count;
    let (mut up, mut down) = (0.0, 0.0);
    for it in late {
        up += (it.minutes - middle) * (it.kilobytes as f64 - level);
        down += (it.minutes - middle) * (it.minutes - middle);
    }
    Some(up / down)
}

fn table(samples: &[Sample], requests: usize) -> Result<String, std::fmt::Error> {
    let mut text = String::from("| minutes | memory, KB | descriptors |\n|---|---|---|\n");
    // Some twenty lines say as much as a thousand.
    for it in samples.iter().step_by(samples.len().div_ceil(20).max(1)) {
        writeln!(text, "| {:.1} | {} | {} |", it.minutes, it.kilobytes, it.files)?;
    }
    let slope =
        slope(samples).map_or_else(|| "too short a run for a slope".to_owned(), |it| format!("{it:.1} KB a minute"));
    writeln!(text, "\n{requests} requests, no wrong answer; memory after the first fifth: {slope}.")?;
    Ok(text)
}

fn picture(samples: &[Sample]) -> Result<String, std::fmt::Error> {
    const WIDTH: f64 = 700.0;
    const HEIGHT: f64 = 240.0;
    let end = samples.last().map_or(1.0, |it| it.minutes);
    let top = samples.iter().map(|it| it.kilobytes).max().unwrap_or(1) as f64 * 1.2;
    let mut points = String::new();
    for it in samples {
        write!(points, "{:.1},{:.1} ", 60.0 + it.minutes / end * WIDTH, HEIGHT - it.kilobytes as f64 / top * HEIGHT)?;
    }
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"800\" height=\"280\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <title>Memory of the server under moderate load</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"4\" y=\"12\">{:.0} MB</text><text x=\"4\" y=\"{HEIGHT}\">0</text><text x=\"720\" y=\"270\">{end:.0} min</text>\n\
         <polyline points=\"{points}\" fill=\"none\" stroke=\"#3874b8\" stroke-width=\"2\"/>\n</svg>\n",
        top / 1024.0
    ))
}
