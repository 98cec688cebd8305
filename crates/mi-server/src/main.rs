//! The binary `micro-integrator`: command line, wiring, signals.

// Nothing outside reaches into a program; `pub` says here what other modules use.
#![allow(unreachable_pub)]

mod back_ends;
mod banner;
mod cli;
mod commands;
mod connectors;
mod coordination;
mod defaults;
mod following;
mod job;
mod logging;
mod management;
mod memory;
mod metrics;
mod probes;
mod proxies;
mod redeploy;
mod report;
mod server;
mod tls;
mod wire;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use cli::{Cli, Command};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        None => commands::run::run(&cli.run),
        Some(Command::Run(args)) => commands::run::run(&args),
        Some(Command::Check(args)) => commands::check::run(&args),
        Some(Command::Pack(args)) => commands::pack::run(&args),
        Some(Command::Plan(args)) => commands::plan::run(&args),
        Some(Command::Test(args)) => commands::test::run(&args),
        Some(Command::Probe(args)) => commands::probe::run(&args),
        Some(Command::Version) => commands::print(&format!(
            "micro-integrator {} (behaves as WSO2 Micro Integrator {})",
            env!("CARGO_PKG_VERSION"),
            probes::MI_VERSION
        )),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(shell, &mut Cli::command(), "micro-integrator", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            commands::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
