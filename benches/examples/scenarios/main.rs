//! Load on the flows of `benches/scenarios`: requests per second, latency, CPU of the server for each request, and that
//! CPU divided by what nginx needs to relay the same message (R), measured in turns in one run.
//!
//! `cargo run --release -p mi-benches --example scenarios -- [--server PATH] [--only TEXT,TEXT…] [--sizes 500,1000,…]
//! [--connections 10,100,…] [--seconds N] [--rounds N] [--soak MINUTES] [--peer PROGRAM] [--report FOLDER]`
//!
//! The proxies have core 0; this program is client and echo back end on core 1. Needs nginx and taskset; where haproxy is
//! installed, it relays the messages of the relays as well. The round with the least CPU counts: other work on the machine
//! only ever adds. With `--soak` the flows run in turns at moderate load, and memory and descriptors are what is looked at.
//! `--peer` names another program that has some of the flows under the same paths, such as `benches/peers/camel/run.sh`; it
//! is started with its port and that of the back end, and warmed up before its first round of each flow.
//! Wrong answers, and flows without a figure, are the failure of the whole.

mod echo;
mod report;
mod soak;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mi_benches::load::{self, Plan};
use mi_benches::process::{Folder, Haproxy, Nginx, Process};
use mi_benches::{Failure, numbers, payload, process};
use report::Row;

/// Port of the echo back end; the endpoint of the flows names it.
const BACK_END: u16 = 8688;
const NGINX: u16 = 18291;
const HAPROXY: u16 = 18292;
const PEER: u16 = 18293;
const OFFSET: u16 = 10_010;
/// A just-in-time compiler needs some time before it is at its best.
const WARM_UP: Duration = Duration::from_secs(10);

type Scenario = (&'static str, &'static str, payload::Kind);

/// What is measured: name, path, payload, and the header fields that it needs.
const SCENARIOS: [Scenario; 24] = {
    use payload::Kind::{Json, Orders, Soap};
    [
        ("DirectProxy", "/services/DirectProxy", Soap),
        ("DirectAPI", "/directApi", Soap),
        ("CBRTransportHeaderProxy", "/services/CBRTransportHeaderProxy", Soap),
        ("CBRSOAPHeaderProxy", "/services/CBRSOAPHeaderProxy", Soap),
        ("CBRProxy", "/services/CBRProxy", Soap),
        ("CBREarlyProxy", "/services/CBREarlyProxy", Soap),
        ("XSLTProxy", "/services/XSLTProxy", Soap),
        ("XSLTEnhancedProxy", "/services/XSLTEnhancedProxy", Soap),
        ("XSLTTransformProxy", "/services/XSLTTransformProxy", Orders),
        ("MessageBuildingProxy", "/services/MessageBuildingProxy", Soap),
        ("PayloadFactoryWith20ElementsProxy", "/services/PayloadFactoryWith20ElementsProxy", Orders),
        ("PayloadFactoryWith50ElementsProxy", "/services/PayloadFactoryWith50ElementsProxy", Orders),
        ("PayloadFactoryWith100ElementsProxy", "/services/PayloadFactoryWith100ElementsProxy", Orders),
        ("EnrichBackAndForthProxy", "/services/EnrichBackAndForthProxy", Soap),
        ("IterateAndAggregateProxy", "/services/IterateAndAggregateProxy", Orders),
        ("CloneAndAggregateWith2Proxy", "/services/CloneAndAggregateWith2Proxy", Soap),
        ("CloneAndAggregateWith4Proxy", "/services/CloneAndAggregateWith4Proxy", Soap),
        ("CloneAndAggregateWith8Proxy", "/services/CloneAndAggregateWith8Proxy", Soap),
        ("JsonToSOAPProxy", "/services/JsonToSOAPProxy", Json),
        ("JsonTemplateAPI", "/jsonTemplate", Json),
        ("ScriptAPI", "/script", Json),
        ("DatamapperProxy", "/services/DatamapperProxy", Orders),
        ("EchoAPI", "/echo/x", Soap),
        ("EchoAPI-JSON", "/echo/x", Json),
    ]
};

struct Options {
    server: PathBuf,
    only: Vec<String>,
    sizes: Vec<usize>,
    connections: Vec<usize>,
    seconds: f64,
    rounds: usize,
    soak: Option<f64>,
    peer: Option<PathBuf>,
    report: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options = Self {
            server: PathBuf::from("target/release/micro-integrator"),
            only: Vec::new(),
            sizes: vec![500, 1_000, 10_000, 100_000, 1_000_000],
            connections: vec![100],
            seconds: 2.0,
            rounds: 3,
            soak: None,
            peer: None,
            report: None,
        };
        mi_benches::options(|name, value| {
            match name {
                "--server" => options.server = value.into(),
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                "--sizes" => options.sizes = numbers(&value)?,
                "--connections" => options.connections = numbers(&value)?,
                "--seconds" => options.seconds = value.parse()?,
                "--rounds" => options.rounds = value.parse()?,
                "--soak" => options.soak = Some(value.parse()?),
                "--peer" => options.peer = Some(value.into()),
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
    runtime.block_on(run(&options))
}

/// Who relays beside the server.
struct Peers {
    nginx: Nginx,
    /// None where it is not installed.
    haproxy: Option<Haproxy>,
    /// What `--peer` names.
    other: Option<Process>,
}

impl Peers {
    async fn start(folder: &Folder, other: Option<&Path>) -> Result<Self, Failure> {
        let nginx = Nginx::start(folder, NGINX, BACK_END)?;
        let haproxy = Haproxy::start(folder, HAPROXY, BACK_END)?;
        let other = other.map(|program| Process::peer(program, PEER, BACK_END)).transpose()?;
        load::wait_for(NGINX, "/service/EchoService").await?;
        if other.is_some() {
            load::wait_for_listener(PEER, Duration::from_mins(3)).await?;
        }
        Ok(Self { nginx, haproxy, other })
    }

    /// The other program, if it has the flow: it is warm then.
    async fn other_with(&self, plan: &Plan) -> Result<Option<&Process>, Failure> {
        let Some(other) = &self.other else { return Ok(None) };
        let once = Plan { time: Duration::from_millis(200), connections: 1, ..plan.clone() };
        let outcome = load::run(&once).await?;
        if outcome.errors > 0 || outcome.latencies.is_empty() {
            return Ok(None);
        }
        load::run(&Plan { time: WARM_UP, ..plan.clone() }).await?;
        Ok(Some(other))
    }
}

async fn run(options: &Options) -> Result<(), Failure> {
    echo::start(BACK_END).await?;
    let folder = Folder::new()?;
    let peers = Peers::start(&folder, options.peer.as_deref()).await?;
    let server = Process::server(&options.server, &folder, OFFSET)?;
    let port = 8280 + OFFSET;
    load::wait_for(port, "/echo/x").await?;
    let chosen = |name: &str| options.only.is_empty() || options.only.iter().any(|it| name.contains(it.as_str()));
    let chosen: Vec<Scenario> = SCENARIOS.into_iter().filter(|(name, ..)| chosen(name)).collect();
    if chosen.is_empty() {
        return Err("no flow has such a name".into());
    }
    if let Some(minutes) = options.soak {
        let size = options.sizes.first().copied().unwrap_or(1_000);
        return soak::run(&server, port, &chosen, (size, minutes), options.report.as_deref()).await;
    }
    let idle = server.memory()?;
    let mut rows = Vec::new();
    for &connections in &options.connections {
        for &size in &options.sizes {
            for &scenario in &chosen {
                let row = measure(options, &server, &peers, scenario, (size, connections)).await?;
                writeln!(std::io::stdout(), "{}", row.line())?;
                rows.push(row);
            }
        }
    }
    let peak = server.memory()?;
    writeln!(std::io::stdout(), "memory: {} KB idle, {} KB after the load", idle.now, peak.now)?;
    if let Some(folder) = &options.report {
        report::write(folder, &rows, idle.now, peak.peak)?;
    }
    match rows.iter().find_map(Row::failure) {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

async fn measure(
    options: &Options,
    server: &Process,
    peers: &Peers,
    (name, path, kind): Scenario,
    (size, connections): (usize, usize),
) -> Result<Row, Failure> {
    let message = payload::make(kind, size);
    let time = Duration::from_secs_f64(options.seconds);
    let plan = |port, path| Plan { port, path, kind, body: message.clone(), connections, time };
    let mut row = Row::new(name, message.len(), connections);
    let other = peers.other_with(&plan(PEER, path)).await?;
    for _ in 0..options.rounds {
        let before = peers.nginx.worker.cpu()?;
        let relayed = load::run(&plan(NGINX, "/service/EchoService")).await?;
        row.nginx.relayed(peers.nginx.worker.cpu()?.saturating_sub(before), &relayed);
        if let Some(haproxy) = peers.haproxy.as_ref().filter(|_| name.starts_with("Direct")) {
            let before = haproxy.process.cpu()?;
            let relayed = load::run(&plan(HAPROXY, "/service/EchoService")).await?;
            row.haproxy.relayed(haproxy.process.cpu()?.saturating_sub(before), &relayed);
        }
        if let Some(other) = other {
            let before = other.cpu()?;
            let answered = load::run(&plan(PEER, path)).await?;
            row.other.relayed(other.cpu()?.saturating_sub(before), &answered);
        }
        let before = server.cpu()?;
        let answered = load::run(&plan(8280 + OFFSET, path)).await?;
        row.answered(server.cpu()?.saturating_sub(before), answered);
    }
    Ok(row)
}
