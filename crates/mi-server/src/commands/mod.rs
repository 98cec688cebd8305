//! The subcommands, one file each.

pub mod check;
pub mod pack;
pub mod plan;
pub mod probe;
pub mod run;
pub mod test;

use std::io::Write;
use std::process::ExitCode;

/// Writes a line to stdout. A reader that has gone away ends the command quietly.
pub fn print(text: &str) -> anyhow::Result<ExitCode> {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

/// Writes a line to stderr.
pub fn complain(text: &str) {
    // Nobody can be told when stderr itself is closed.
    drop(writeln!(std::io::stderr(), "{text}"));
}
