//! `run`: the server, from reading its home to exit code 0 after SIGTERM.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use crate::cli::RunArgs;
use crate::management::RESTART;
use crate::server;

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    // Where the system gives huge pages to everybody, a thread that needs some kilobytes holds megabytes. Where it does not
    // know of them, there is nothing to switch off.
    #[cfg(target_os = "linux")]
    rustix::thread::disable_transparent_huge_pages(true).unwrap_or_default();
    let code = server::start(args)?.wait()?;
    if code == ExitCode::from(RESTART) {
        again();
    }
    Ok(code)
}

/// Begins anew in the place of this process, which keeps its number: so it restarts without a launcher, too, and as the first process of a
/// container. Returns only when that fails; then the exit code tells the launcher. MI: `SystemRestarter`.
fn again() {
    let Ok(program) = std::env::current_exe() else { return };
    let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
    super::complain(&format!("cannot start again: {error}"));
}
