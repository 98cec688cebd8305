//! Who made a lock, when it was a process of this machine: then nobody needs to wait for the lease of a dead one.
//!
//! A process is known by the machine's boot, its process namespace, its number and the time it started. Another
//! container, another machine and the same machine after a restart differ in one of them; of those nothing is said, and
//! the lease decides.

use std::fmt;
use std::fs;
use std::sync::LazyLock;

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use sha1::{Digest, Sha1};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    /// Boot and process namespace.
    machine: String,
    process: i32,
    /// Ticks from the boot to its start.
    started: u64,
}

static THIS: LazyLock<Option<Holder>> = LazyLock::new(|| {
    let process = i32::try_from(std::process::id()).ok()?;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let digest =
        Sha1::new().chain_update(boot.trim()).chain_update(namespace.as_os_str().as_encoded_bytes()).finalize();
    let machine = hex(&digest[..8]);
    Some(Holder { machine, process, started: started(process)? })
});

/// Bytes as lower-case digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or_default());
        }
    }
    text
}

/// When a process started; `None` when that cannot be read.
fn started(process: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in brackets, may hold anything; the start is the 20th number behind it.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

impl Holder {
    /// This process; `None` where the system does not show processes.
    pub(super) fn this() -> Option<&'static Self> {
        THIS.as_ref()
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (machine, process, started) = (parts.next()?, parts.next()?, parts.next()?);
        // A negative number would be a group of processes.
        let process = process.parse().ok().filter(|process| *process > 0)?;
        Some(Self { machine: machine.to_owned(), process, started: started.parse().ok()? })
    }

    /// True for a process of this machine that is certainly gone.
    pub(super) fn is_dead(&self) -> bool {
        let Some(this) = Self::this() else { return false };
        let Some(process) = Pid::from_raw(self.process) else { return false };
        if this.machine != self.machine {
            return false;
        }
        match test_kill_process(process) {
            Err(Errno::SRCH) => true,
            // Another process may have its number by now. One that cannot be looked at counts as alive.
            _ => started(self.process).is_some_and(|started| started != self.started),
        }
    }

    /// A process that never was, of this machine.
    #[cfg(test)]
    pub(super) fn dead() -> Option<Self> {
        Self::this().map(|this| Self { started: this.started + 1, ..this.clone() })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.machine, self.process, self.started)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_living_and_the_dead() {
        let this = Holder::this().expect("tests run where /proc is");
        assert_eq!(Holder::parse(&this.to_string()).as_ref(), Some(this));
        assert!(!this.is_dead());
        assert!(Holder::dead().unwrap().is_dead(), "its number is another process's");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = i32::try_from(child.id()).unwrap();
        child.wait().unwrap();
        let gone = Holder { process, ..this.clone() };
        assert!(gone.is_dead());
        assert!(!Holder { machine: "elsewhere".to_owned(), ..gone }.is_dead(), "only its lease can tell");
        for text in ["", "a", "a.b.c", "a.1", "a.1.x", "a.-1.5", "a.0.5"] {
            assert_eq!(Holder::parse(text), None, "{text}");
        }
    }
}
