//! Child processes that end: run to success, stop by a signal, give up at a deadline.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs a command with its output shown; a status other than 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// As [`run`], but kills the command when it takes longer than `limit`. The exit status is the caller's to judge.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| format!("cannot run {command:?}"))?;
    match wait(&mut child, limit)? {
        Some(status) => Ok(status),
        None => {
            kill(&mut child);
            bail!("`{}` did not end within {} s", shown(command), limit.as_secs());
        }
    }
}

/// Asks a child to end with SIGTERM and waits for it.
pub(crate) fn terminate(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    run(Command::new("kill").args(["-TERM", &child.id().to_string()]))?;
    match wait(child, limit)? {
        Some(status) => Ok(status),
        None => {
            kill(child);
            bail!("the process did not end within {} s of SIGTERM", limit.as_secs());
        }
    }
}

/// Ends a child at once; it may have ended already.
pub(crate) fn kill(child: &mut Child) {
    let _gone = child.kill();
    let _reaped = child.wait();
}

fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for a child process")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|it| it.to_string_lossy()));
    words.join(" ")
}
