//! How the server grows with what it is given: ready time and memory with more applications, the cost of dispatch with more
//! APIs, memory with more connections.
//!
//! `cargo run --release -p mi-benches --example growth -- [--server PATH] [--cars 0,10,…] [--apis 1,100,…]
//! [--connections 100,1000,…] [--rounds N] [--report FOLDER]`
//!
//! The server has core 0, this program core 1. Ready means that `/healthz` answers 200. Of every figure the best of the rounds
//! counts: other work on the machine only ever adds. Needs taskset.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mi_benches::load::{self, Plan};
use mi_benches::process::{self, Folder, Process};
use mi_benches::{Failure, numbers, payload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const OFFSET: u16 = 10_020;
const PORT: u16 = 8280 + OFFSET;
const PROBES: u16 = 9191 + OFFSET;

struct Options {
    server: PathBuf,
    cars: Vec<usize>,
    apis: Vec<usize>,
    connections: Vec<usize>,
    rounds: usize,
    report: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options = Self {
            server: PathBuf::from("target/release/micro-integrator"),
            cars: vec![0, 1, 10, 100, 1000],
            apis: vec![1, 10, 100, 1000, 10_000],
            connections: vec![100, 1000, 5000],
            rounds: 5,
            report: None,
        };
        mi_benches::options(|name, value| {
            match name {
                "--server" => options.server = value.into(),
                "--cars" => options.cars = numbers(&value)?,
                "--apis" => options.apis = numbers(&value)?,
                "--connections" => options.connections = numbers(&value)?,
                "--rounds" => options.rounds = value.parse()?,
                "--report" => options.report = Some(value.into()),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(options)
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    process::pin_to_last_core()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(run(&options))?;
    if let Some(folder) = &options.report {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("growth.md"), report)?;
    }
    Ok(())
}

async fn run(options: &Options) -> Result<String, Failure> {
    let mut report = Report::default();
    report.table("applications (CARs with an API each)", &["ready, ms", "memory, MB"])?;
    for &count in &options.cars {
        let (ready, memory) = start(options, |home| cars(home, count)).await?;
        report.row(count, &[millis(ready), megabytes(memory)])?;
    }
    report.table("APIs", &["ready, ms", "memory, MB", "CPU for a request to the last, us"])?;
    for &count in &options.apis {
        report.row(count, &apis_at_work(options, count).await?)?;
    }
    report.table("idle connections", &["memory, MB", "for each, KB"])?;
    let folder = Folder::new()?;
    apis(folder.path(), 1)?;
    for &count in &options.connections {
        let server = Process::started(&options.server, &folder, &[], OFFSET)?;
        ready(Instant::now()).await?;
        let before = server.memory()?.now;
        let open = connections(count).await?;
        let after = server.memory()?.now;
        drop(open);
        let each = after.saturating_sub(before) as f64 / count as f64;
        report.row(count, &[megabytes(after), format!("{each:.1}")])?;
    }
    Ok(report.text)
}

/// The tables, shown as they come.
#[derive(Default)]
struct Report {
    text: String,
}

impl Report {
    fn table(&mut self, first: &str, columns: &[&str]) -> Result<(), Failure> {
        self.line(&format!("\n| {first} | {} |", columns.join(" | ")))?;
        self.line(&format!("|---{}|", "|---".repeat(columns.len())))
    }

    fn row(&mut self, count: usize, figures: &[String]) -> Result<(), Failure> {
        self.line(&format!("| {count} | {} |", figures.join(" | ")))
    }

    fn line(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.text, "{line}")?;
        Ok(writeln!(std::io::stdout(), "{line}")?)
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

fn megabytes(kilobytes: u64) -> String {
    format!("{:.1}", kilobytes as f64 / 1024.0)
}

/// From the start of the program to the first 200 of `/healthz`, and the memory then; each the least of the rounds.
async fn start(options: &Options, fill: impl Fn(&Path) -> Result<(), Failure>) -> Result<(Duration, u64), Failure> {
    let folder = Folder::new()?;
    fill(folder.path())?;
    let mut best = (Duration::MAX, u64::MAX);
    for _ in 0..options.rounds {
        let begin = Instant::now();
        let server = Process::started(&options.server, &folder, &[], OFFSET)?;
        best.0 = best.0.min(ready(begin).await?);
        best.1 = best.1.min(server.memory()?.now);
    }
    Ok(best)
}

async fn apis_at_work(options: &Options, count: usize) -> Result<Vec<String>, Failure> {
    let (time, memory) = start(options, |home| apis(home, count)).await?;
    let folder = Folder::new()?;
    apis(folder.path(), count)?;
    let server = Process::started(&options.server, &folder, &[], OFFSET)?;
    ready(Instant::now()).await?;
    let path: &'static str = format!("/api{}/x", count - 1).leak();
    let mut least = f64::INFINITY;
    for _ in 0..options.rounds {
        let before = server.cpu()?;
        let plan = Plan {
            port: PORT,
            path,
            kind: payload::Kind::Json,
            body: Bytes::from_static(b"{\"symbol\":1}"),
            connections: 50,
            time: Duration::from_secs(1),
        };
        let answered = load::run(&plan).await?.latencies.len();
        least = least.min((server.cpu()?.saturating_sub(before)).as_secs_f64() * 1e6 / answered.max(1) as f64);
    }
    Ok(vec![millis(time), megabytes(memory), format!("{least:.1}")])
}

/// Waits for the first 200 of `/healthz`.
async fn ready(begin: Instant) -> Result<Duration, Failure> {
    while begin.elapsed() < Duration::from_mins(1) {
        if probe().await.unwrap_or(false) {
            return Ok(begin.elapsed());
        }
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    Err("the server was not ready within a minute".into())
}

async fn probe() -> Result<bool, Failure> {
    let mut stream = TcpStream::connect(address(PROBES)).await?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// As many connections, each with one request behind it.
async fn connections(count: usize) -> Result<Vec<TcpStream>, Failure> {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = TcpStream::connect(address(PORT)).await?;
        stream.write_all(b"GET /api0/x HTTP/1.1\r\nHost: h\r\n\r\n").await?;
        let mut answer = [0; 512];
        if stream.read(&mut answer).await? == 0 {
            return Err("a connection was closed".into());
        }
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(open)
}

fn api(number: usize) -> String {
    format!(
        "<api xmlns=\"http://ws.apache.org/ns/synapse\" name=\"Api{number}\" context=\"/api{number}\">\
         <resource methods=\"GET POST\" uri-template=\"/{{id}}\"><inSequence><respond/></inSequence></resource></api>"
    )
}

fn apis(home: &Path, count: usize) -> Result<(), Failure> {
    let folder = home.join("repository/deployment/server/synapse-configs/default/api");
    fs::create_dir_all(&folder)?;
    for number in 0..count {
        fs::write(folder.join(format!("Api{number}.xml")), api(number))?;
    }
    Ok(())
}

fn cars(home: &Path, count: usize) -> Result<(), Failure> {
    let folder = home.join("repository/deployment/server/carbonapps");
    fs::create_dir_all(&folder)?;
    for number in 0..count {
        let (name, version) = (format!("Car{number}"), "1.0.0");
        let car = |body: &str| format!("<artifacts>{body}</artifacts>");
        let files = [
            (
                "artifacts.xml".to_owned(),
                car(&format!(
                    "<artifact name=\"{name}\" version=\"{version}\" type=\"carbon/application\"><dependency artifact=\"Api{number}\" \
                     version=\"{version}\" include=\"true\" serverRole=\"EnterpriseIntegrator\"/></artifact>"
                )),
            ),
            (
                format!("Api{number}_{version}/artifact.xml"),
                format!(
                    "<artifact name=\"Api{number}\" version=\"{version}\" type=\"synapse/api\" \
                     serverRole=\"EnterpriseIntegrator\"><file>Api{number}-{version}.xml</file></artifact>"
                ),
            ),
            (format!("Api{number}_{version}/Api{number}-{version}.xml"), api(number)),
        ];
        fs::write(folder.join(format!("{name}_{version}.car")), zip(&files)?)?;
    }
    Ok(())
}

/// A zip archive of small files, deflated.
fn zip(files: &[(String, String)]) -> Result<Vec<u8>, Failure> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, text) in files {
        archive.start_file(path.as_str(), zip::write::SimpleFileOptions::default())?;
        archive.write_all(text.as_bytes())?;
    }
    Ok(archive.finish()?.into_inner())
}
