//! Load on the flows of `benches/scenarios`: requests per second, latency, CPU of the server for each request, and that
//! CPU divided by what nginx needs to relay the same message (R), measured in turns in one run.
//!
//! `cargo run --release -p mi-benches --example scenarios -- [--server PATH] [--only TEXT] [--sizes 500,1000,…]
//! [--connections N] [--seconds N] [--rounds N] [--report FOLDER]`
//!
//! The proxies have core 0; this program is client and echo back end on core 1. Needs nginx and taskset. The round with the
//! least CPU counts: other work on the machine only ever adds.

mod echo;
mod report;

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use mi_benches::load::{self, Plan};
use mi_benches::process::{Folder, Nginx, Process};
use mi_benches::{Failure, numbers, payload, process};
use report::Row;

/// Port of the echo back end; the endpoint of the flows names it.
const BACK_END: u16 = 8688;
const NGINX: u16 = 18291;
const OFFSET: u16 = 10_010;

/// What is measured: name, path, payload, and the header fields that it needs.
const SCENARIOS: [(&str, &str, payload::Kind); 24] = {
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
    only: Option<String>,
    sizes: Vec<usize>,
    connections: usize,
    seconds: f64,
    rounds: usize,
    report: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options = Self {
            server: PathBuf::from("target/release/micro-integrator"),
            only: None,
            sizes: vec![500, 1_000, 10_000, 100_000],
            connections: 100,
            seconds: 2.0,
            rounds: 3,
            report: None,
        };
        mi_benches::options(|name, value| {
            match name {
                "--server" => options.server = value.into(),
                "--only" => options.only = Some(value),
                "--sizes" => options.sizes = numbers(&value)?,
                "--connections" => options.connections = value.parse()?,
                "--seconds" => options.seconds = value.parse()?,
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
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<(), Failure> {
    echo::start(BACK_END).await?;
    let folder = Folder::new()?;
    let nginx = Nginx::start(&folder, NGINX, BACK_END)?;
    let server = Process::server(&options.server, &folder, OFFSET)?;
    let port = 8280 + OFFSET;
    load::wait_for(port, "/echo/x").await?;
    load::wait_for(NGINX, "/service/EchoService").await?;
    let idle = server.memory()?;
    let mut rows = Vec::new();
    for &size in &options.sizes {
        for (name, path, kind) in SCENARIOS {
            if options.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
                continue;
            }
            let row = measure(options, &server, &nginx, port, (name, path, kind), size).await?;
            writeln!(std::io::stdout(), "{}", row.line())?;
            rows.push(row);
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
    nginx: &Nginx,
    port: u16,
    (name, path, kind): (&'static str, &'static str, payload::Kind),
    size: usize,
) -> Result<Row, Failure> {
    let message = payload::make(kind, size);
    let time = Duration::from_secs_f64(options.seconds);
    let plan = |port, path| Plan { port, path, kind, body: message.clone(), connections: options.connections, time };
    let mut row = Row::new(name, message.len());
    for _ in 0..options.rounds {
        let before = nginx.worker.cpu()?;
        let relayed = load::run(&plan(NGINX, "/service/EchoService")).await?;
        row.relayed(nginx.worker.cpu()?.saturating_sub(before), &relayed);
        let before = server.cpu()?;
        let answered = load::run(&plan(port, path)).await?;
        row.answered(server.cpu()?.saturating_sub(before), answered);
    }
    Ok(row)
}
