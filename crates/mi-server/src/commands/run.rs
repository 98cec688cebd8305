//! `run`: the server, from reading its home to exit code 0 after SIGTERM.

use std::process::ExitCode;

use crate::cli::RunArgs;
use crate::server;

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let server = server::start(args)?;
    server.wait()
}
