//! Speed of polling a folder: `cargo run --release -p mi-benches --example files [FOLDER]`.
//!
//! Files of 1 KB are claimed, mediated (a property is set) and moved, by one poller; beside it a loop that only reads and
//! renames them and one that takes a lock for each, on the same disk in the same run. Then 100 000 files, and how much memory they took.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mi_config::{SourceFile, parse_artifact};
use mi_engine::inbound::RunningInbounds;
use mi_engine::services::Services;
use mi_engine::{Engine, Settings, Specs, build};

/// Rounds of each loop, one after the other; the best of each counts.
const ROUNDS: usize = 3;

/// Makes a folder with so many files.
fn fill(folder: &Path, count: usize) {
    drop(fs::remove_dir_all(folder));
    for name in ["in", "done"] {
        fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    let content = vec![b'x'; 1024];
    for number in 0..count {
        fs::write(folder.join(format!("in/{number}.txt")), &content).expect("written");
    }
}

/// Files a second of a loop that reads and renames.
fn plain(folder: &Path, count: usize) -> f64 {
    fill(folder, count);
    let began = Instant::now();
    for entry in fs::read_dir(folder.join("in")).expect("a folder") {
        let entry = entry.expect("an entry");
        let content = fs::read(entry.path()).expect("a file");
        assert_eq!(content.len(), 1024);
        fs::rename(entry.path(), folder.join("done").join(entry.file_name())).expect("renamed");
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// The same with MI's lock beside each file, which is all that other servers need to see.
fn locked(folder: &Path, count: usize) -> f64 {
    fill(folder, count);
    let began = Instant::now();
    for entry in fs::read_dir(folder.join("in")).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|it| it == "lock") {
            continue;
        }
        let lock = path.with_extension("txt.lock");
        let mut held = fs::File::create_new(&lock).expect("a lock");
        held.write_all(b"0123456789:bench/127.0.0.1:1700000000000").expect("written");
        drop(held);
        assert_eq!(fs::read(&path).expect("a file").len(), 1024);
        fs::rename(&path, folder.join("done").join(path.file_name().expect("a name"))).expect("renamed");
        fs::remove_file(lock).expect("given back");
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Files a second of an inbound endpoint with further parameters.
async fn polled(folder: &Path, count: usize, more: &[(&str, &str)]) -> f64 {
    fill(folder, count);
    let address = |name: &str| format!("file://{}", folder.join(name).display());
    let (source, target) = (address("in"), address("done"));
    let mut parameters = vec![
        ("interval", "10"),
        ("transport.vfs.FileURI", &source),
        ("transport.vfs.ContentType", "text/plain"),
        ("transport.vfs.ActionAfterProcess", "MOVE"),
        ("transport.vfs.MoveAfterProcess", &target),
    ];
    parameters.extend_from_slice(more);
    let xml: Vec<_> =
        parameters.iter().map(|(name, value)| format!("<parameter name='{name}'>{value}</parameter>")).collect();
    let inbound = format!(
        "<inboundEndpoint name='f' protocol='file' sequence='s'><parameters>{}</parameters></inboundEndpoint>",
        xml.concat()
    );
    let sequence = "<sequence name='s'><property name='p' value='v'/></sequence>";
    let artifacts: Vec<_> = [inbound.as_str(), sequence]
        .into_iter()
        .flat_map(|xml| parse_artifact(SourceFile::new("bench.xml", xml.as_bytes().to_vec())).0)
        .collect();
    let specs = Specs::new(&[mi_components::TABLE]).with_inbounds(mi_transports::INBOUNDS);
    let engine =
        Arc::new(Engine::new(build(&artifacts, Arc::new(Services::offline(specs)), Settings::default()).snapshot));
    let began = Instant::now();
    let running = RunningInbounds::start_all(&engine, Vec::new());
    // The folder is looked at so seldom that looking costs nothing.
    while fs::read_dir(folder.join("in")).expect("a folder").next().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    running.stop(Duration::from_secs(5)).await;
    assert_eq!(fs::read_dir(folder.join("done")).expect("a folder").count(), count);
    rate
}

/// Kilobytes of memory of this process: now, and at most.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("file-bench");
    let mut out = std::io::stdout();
    let mut say = |line: String| writeln!(out, "{line}").expect("standard output");
    let parallel = [("sequential", "false")];
    let unlocked = [("transport.vfs.Locking", "disable")];
    let loops: [(&str, &[(&str, &str)]); 3] =
        [("claim, mediate, move", &[]), ("the same, 20 at a time", &parallel), ("the same without locks", &unlocked)];
    let mut best = [0.0_f64; 4];
    let mut bare = 0.0_f64;
    for _ in 0..ROUNDS {
        bare = bare.max(locked(&folder, 10_000));
        best[0] = best[0].max(plain(&folder, 10_000));
        for (number, (_, more)) in loops.iter().enumerate() {
            best[number + 1] = best[number + 1].max(polled(&folder, 10_000, more).await);
        }
    }
    say(format!("read and rename        {:>8.0} files/s", best[0]));
    say(format!("lock, read and rename  {bare:>8.0} files/s"));
    for (number, (name, _)) in loops.iter().enumerate() {
        say(format!("{name:<22} {:>8.0} files/s", best[number + 1]));
    }
    let (before, _) = memory();
    let rate = polled(&folder, 100_000, &[]).await;
    let (after, most) = memory();
    say(format!("100000 files           {rate:>8.0} files/s, {before} KB before, {after} KB after, {most} KB at most"));
    drop(fs::remove_dir_all(&folder));
}
