//! Kills a process that stores and delivers messages, again and again, and counts by id what became of them: none is
//! lost, and none is delivered again after it was acknowledged.
//!
//! `DURABLE_ROUNDS=1000 cargo test -p mi-components --test durable_crash` does it for longer.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use mi_components::stores::DurableStore;
use mi_engine::store::{Backend, Entry, Limits};
use mi_message::convert::ConvertOptions;
use mi_message::{Body, Message};

const FOLDER: &str = "DURABLE_CHILD_FOLDER";
const ROUND: &str = "DURABLE_CHILD_ROUND";
/// Small, so that segments are begun, consumed and moved all the time.
const SEGMENT: u64 = 20_000;
const LIMITS: Limits = Limits { messages: 100_000, bytes: 1 << 30 };

fn open(folder: &Path) -> DurableStore {
    DurableStore::open(folder, SEGMENT, ConvertOptions::default()).expect("the store opens whatever happened to it")
}

/// Tells the parent what was done. One write for a line: a pipe takes short ones as a whole.
fn tell(what: char, id: &str) {
    std::io::stdout().write_all(format!("{what} {id}\n").as_bytes()).expect("the parent reads");
}

/// Stores and delivers until it is killed. `S`: the store has said that the message is safe. `D`: the message was
/// delivered. `A`: its delivery was acknowledged.
async fn child(folder: &Path, round: &str) {
    let store = Arc::new(open(folder));
    let mut tasks = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let (store, round) = (store.clone(), round.to_owned());
        tasks.spawn(async move {
            for number in 0_u32.. {
                let id = format!("{round}.{writer}.{number}");
                let mut message = Message::new();
                message.properties.set("id", id.as_str());
                message.body = Body::from_bytes(vec![b'x'; (number as usize * 37) % 3000], None);
                store.append(Entry { id: id.as_str().into(), order: None, message }, LIMITS).await.expect("stored");
                tell('S', &id);
            }
        });
    }
    tasks.spawn(async move {
        loop {
            let Some((key, entry)) = store.first(Vec::new()).await.expect("readable") else {
                tokio::task::yield_now().await;
                continue;
            };
            tell('D', &entry.id);
            store.remove(key).await.expect("removed");
            tell('A', &entry.id);
        }
    });
    while tasks.join_next().await.is_some() {}
}

#[derive(Default)]
struct Seen {
    stored: HashSet<String>,
    delivered: HashMap<String, u32>,
    acknowledged: HashSet<String>,
    again: Vec<String>,
}

impl Seen {
    fn line(&mut self, line: &str) {
        let Some((what, id)) = line.split_once(' ') else { return };
        let id = id.to_owned();
        match what {
            "S" => drop(self.stored.insert(id)),
            "D" => {
                if self.acknowledged.contains(&id) {
                    self.again.push(id.clone());
                }
                *self.delivered.entry(id).or_default() += 1;
            }
            "A" => drop(self.acknowledged.insert(id)),
            // What the test harness of the child prints.
            _ => {}
        }
    }
}

/// Starts a child, and kills it when it has said `lines` lines.
fn round(folder: &Path, number: u32, lines: usize, seen: &mut Seen) {
    let program = std::env::current_exe().expect("this test");
    let mut child = Command::new(program)
        .args(["--exact", "killed_at_any_time_it_loses_nothing", "--nocapture"])
        .env(FOLDER, folder)
        .env(ROUND, number.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut output = BufReader::new(child.stdout.take().expect("piped")).lines();
    for line in output.by_ref().take(lines) {
        seen.line(&line.expect("UTF-8"));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("it ended");
    // What was in the pipe when it was killed; the last line may be cut.
    let rest: Vec<String> = output.map_while(Result::ok).collect();
    for line in rest {
        seen.line(&line);
    }
}

#[tokio::test]
async fn killed_at_any_time_it_loses_nothing() {
    if let (Some(folder), Ok(round)) = (std::env::var_os(FOLDER), std::env::var(ROUND)) {
        return child(&PathBuf::from(folder), &round).await;
    }
    let folder = std::env::temp_dir().join(format!("durable-crash-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    let rounds: u32 = std::env::var("DURABLE_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(12);
    let mut seen = Seen::default();
    let mut draw = std::process::id();
    for number in 0..rounds {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        round(&folder, number, (draw >> 16) as usize % 400, &mut seen);
    }
    let store = open(&folder);
    let mut left = HashSet::new();
    while let Some((key, entry)) = store.first(Vec::new()).await.expect("readable") {
        assert_eq!(entry.message.properties.get_str("id"), Some(&*entry.id), "the message is the one of its id");
        assert!(!seen.acknowledged.contains(&*entry.id), "{} was acknowledged and is still there", entry.id);
        left.insert(entry.id.to_string());
        store.remove(key).await.expect("removed");
    }
    drop(store);
    drop(std::fs::remove_dir_all(&folder));
    let lost: Vec<_> =
        seen.stored.iter().filter(|id| !seen.delivered.contains_key(*id) && !left.contains(*id)).collect();
    let twice = seen.delivered.values().filter(|count| **count > 1).count();
    let summary = format!(
        "{rounds} kills, {} stored, {} delivered, {twice} of them more than once, {} left, {} lost\n",
        seen.stored.len(),
        seen.delivered.len(),
        left.len(),
        lost.len()
    );
    std::io::stderr().write_all(summary.as_bytes()).expect("standard error");
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(seen.again.is_empty(), "delivered again after the acknowledgement: {:?}", seen.again);
    assert!(seen.stored.len() > rounds as usize, "the children did store something");
}
