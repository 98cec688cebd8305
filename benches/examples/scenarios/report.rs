//! What was measured, as a line, a table and a picture.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use mi_benches::Failure;
use mi_benches::load::Outcome;

/// One flow at one size.
pub(crate) struct Row {
    name: &'static str,
    bytes: usize,
    connections: usize,
    pub(crate) nginx: Peer,
    pub(crate) haproxy: Peer,
    /// What `--peer` names, with the same flow.
    pub(crate) other: Peer,
    /// Least CPU for a request, in microseconds; infinite while nothing was measured.
    server: f64,
    /// Of the round with the least CPU.
    best: Outcome,
    errors: u64,
    first_error: Option<String>,
}

/// Least CPU for a message that another program relays, in microseconds; infinite while nothing was measured.
pub(crate) struct Peer(f64);

impl Peer {
    /// A round of it.
    pub(crate) fn relayed(&mut self, cpu: Duration, outcome: &Outcome) {
        self.0 = self.0.min(micros(cpu, outcome));
    }

    /// For a table; a dash where it did not take part.
    fn ratio(&self, server: f64) -> String {
        if self.0.is_finite() { format!("{:.2}", server / self.0) } else { "-".to_owned() }
    }
}

fn micros(cpu: Duration, outcome: &Outcome) -> f64 {
    if outcome.latencies.is_empty() { f64::INFINITY } else { cpu.as_secs_f64() * 1e6 / outcome.latencies.len() as f64 }
}

impl Row {
    pub(crate) fn new(name: &'static str, bytes: usize, connections: usize) -> Self {
        Self {
            name,
            bytes,
            connections,
            nginx: Peer(f64::INFINITY),
            haproxy: Peer(f64::INFINITY),
            other: Peer(f64::INFINITY),
            server: f64::INFINITY,
            best: Outcome::default(),
            errors: 0,
            first_error: None,
        }
    }

    /// A round of the server.
    pub(crate) fn answered(&mut self, cpu: Duration, outcome: Outcome) {
        self.errors += outcome.errors;
        self.first_error = self.first_error.take().or_else(|| outcome.first_error.clone());
        let cost = micros(cpu, &outcome);
        if cost < self.server {
            self.server = cost;
            self.best = outcome;
        }
    }

    /// Why the figures mean nothing, if they do not.
    pub(crate) fn failure(&self) -> Option<String> {
        let Self { name, bytes, errors, .. } = self;
        if *errors > 0 {
            let first = self.first_error.as_deref().unwrap_or("no reason is known");
            return Some(format!("{name} with {bytes} bytes: {errors} requests failed, the first: {first}"));
        }
        (!self.ratio().is_finite()).then(|| format!("{name} with {bytes} bytes: nothing was answered"))
    }

    fn ratio(&self) -> f64 {
        self.server / self.nginx.0
    }

    fn percentile(&self, part: f64) -> f64 {
        let all = &self.best.latencies;
        let at = ((all.len() as f64 * part) as usize).min(all.len().saturating_sub(1));
        all.get(at).map_or(0.0, |it| f64::from(*it) / 1e3)
    }

    fn per_second(&self) -> f64 {
        self.best.latencies.len() as f64 / self.best.seconds.max(1e-9)
    }

    /// For the terminal.
    pub(crate) fn line(&self) -> String {
        let mut line = format!(
            "{:<36} {:>7} B {:>5} conn {:>8.0}/s {:>9.1} us CPU  R {:>7.2}  p50 {:>7.2} p99 {:>7.2} p99.9 {:>7.2} ms",
            self.name,
            self.bytes,
            self.connections,
            self.per_second(),
            self.server,
            self.ratio(),
            self.percentile(0.5),
            self.percentile(0.99),
            self.percentile(0.999)
        );
        if self.other.0.is_finite() {
            // Writing to a string cannot fail.
            write!(line, "  peer {:.1} us, R to it {}", self.other.0, self.other.ratio(self.server)).ok();
        }
        if self.errors > 0 {
            // Writing to a string cannot fail.
            write!(line, "  {} ERRORS, first: {}", self.errors, self.first_error.as_deref().unwrap_or("?")).ok();
        }
        line
    }
}

/// `scenarios.md` and `scenarios.svg` in the folder.
///
/// # Errors
/// They cannot be written.
pub(crate) fn write(folder: &Path, rows: &[Row], idle: u64, peak: u64) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let mut text = String::from(
        "| flow | bytes | connections | requests/s | us CPU | R | R to haproxy | R to the peer | p50 ms | p99 ms | p99.9 ms | errors |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.1} | {:.2} | {} | {} | {:.2} | {:.2} | {:.2} | {} |",
            row.name,
            row.bytes,
            row.connections,
            row.per_second(),
            row.server,
            row.ratio(),
            row.haproxy.ratio(row.server),
            row.other.ratio(row.server),
            row.percentile(0.5),
            row.percentile(0.99),
            row.percentile(0.999),
            row.errors
        )?;
    }
    writeln!(text, "\nMemory of the server: {idle} KB idle, {peak} KB at most.")?;
    std::fs::write(folder.join("scenarios.md"), text)?;
    std::fs::write(folder.join("scenarios.svg"), picture(rows)?)?;
    Ok(())
}

/// Bars of R on a logarithmic scale.
fn picture(rows: &[Row]) -> Result<String, std::fmt::Error> {
    const LINE: usize = 16;
    const LEFT: usize = 300;
    const DECADE: f64 = 160.0;
    let height = (rows.len() + 2) * LINE;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <title>CPU of the server for a request, divided by that of nginx for the same message</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for mark in [1.0_f64, 10.0, 100.0, 1000.0] {
        let x = LEFT as f64 + mark.log10() * DECADE;
        writeln!(
            svg,
            "<line x1=\"{x:.0}\" y1=\"{LINE}\" x2=\"{x:.0}\" y2=\"{height}\" stroke=\"#bbb\"/><text x=\"{x:.0}\" y=\"12\" text-anchor=\"middle\">{mark}</text>"
        )?;
    }
    for (number, row) in rows.iter().enumerate() {
        let top = (number + 1) * LINE;
        let width = (row.ratio().max(1.0).log10() * DECADE).clamp(1.0, 540.0);
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}, {} B</text><rect x=\"{LEFT}\" y=\"{}\" width=\"{width:.0}\" height=\"{}\" fill=\"#3874b8\"/><text x=\"{:.0}\" y=\"{}\">{:.2}</text>",
            LEFT - 6,
            top + LINE - 4,
            row.name,
            row.bytes,
            top + 3,
            LINE - 5,
            LEFT as f64 + width + 4.0,
            top + LINE - 4,
            row.ratio()
        )?;
    }
    Ok(svg + "</svg>\n")
}
