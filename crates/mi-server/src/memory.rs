//! How much memory there is, and what part of it bodies may take.

use std::sync::Arc;
use std::time::Duration;

use mi_config::deployment::HttpSettings;
use mi_engine::room::BodyMemory;

/// Where a container's limit stands, in the two versions of control groups.
const LIMITS: [&str; 2] = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];

/// The machine's memory.
const MACHINE: &str = "/proc/meminfo";

/// When nothing says how much there is.
const ASSUMED: u64 = 1 << 30;

/// Requests and answers may take a quarter each; the rest is for what the messages are made into and for everything
/// else.
const PART: u64 = 4;

/// The memory for bodies: what is configured, else a part of the container's limit or of the machine.
pub fn for_bodies(http: &HttpSettings) -> Arc<BodyMemory> {
    let bytes = match http.body_memory_mb {
        Some(megabytes) => megabytes.saturating_mul(1 << 20),
        None => available(|path| std::fs::read_to_string(path).ok()) / PART,
    };
    Arc::new(BodyMemory::new(bytes, Duration::from_millis(http.body_memory_wait_ms)))
}

/// Bytes that this process may have. A container without a limit says `max`, or a number beyond any machine.
fn available(read: impl Fn(&str) -> Option<String>) -> u64 {
    let limit = LIMITS.iter().find_map(|path| read(path)?.trim().parse::<u64>().ok());
    let machine = read(MACHINE).and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    });
    match (limit, machine) {
        (Some(limit), Some(machine)) => limit.min(machine),
        (Some(bytes), None) | (None, Some(bytes)) => bytes,
        (None, None) => ASSUMED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemFree:  1 kB\nMemTotal:       16384 kB\nBuffers: 2 kB\n";

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: u64) {
        let found = available(|path| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned()));
        assert_eq!(found, expected, "{files:?}");
    }

    #[test]
    fn the_smaller_of_container_and_machine_counts() {
        check(&[], ASSUMED);
        check(&[(MACHINE, MEMINFO)], 16 << 20);
        check(&[(MACHINE, MEMINFO), (LIMITS[0], "8388608\n")], 8 << 20);
        check(&[(MACHINE, MEMINFO), (LIMITS[0], "max\n")], 16 << 20);
        check(&[(MACHINE, MEMINFO), (LIMITS[1], "9223372036854771712\n")], 16 << 20);
        check(&[(MACHINE, "garbage"), (LIMITS[1], "4194304")], 4 << 20);
    }
}
