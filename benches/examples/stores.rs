//! Speed of message stores and of forwarding: `cargo run --release -p mi-benches --example stores [FOLDER]`.
//!
//! The first table is about the durable store: messages of 1 KB put in by so many tasks at once, each of which waits
//! until its message is on the disk. The second counts messages that a forwarding processor (interval 0) takes from a
//! store and sends to a back end that answers at once, without a network.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use mi_components::stores::{DEFAULT_SEGMENT, DurableStore};
use mi_config::{SourceFile, parse_artifact};
use mi_engine::inbound::RunningInbounds;
use mi_engine::services::{Clock, Services};
use mi_engine::store::{Backend, Entry, Limits};
use mi_engine::transport::{HttpClient, Incoming, Outgoing, SendError};
use mi_engine::{Engine, Settings, Specs, build};
use mi_message::convert::ConvertOptions;
use mi_message::{Body, Headers, Message};

const LIMITS: Limits = Limits { messages: 10_000_000, bytes: 8 << 30 };

fn message(number: usize) -> Message {
    let mut message = Message::new();
    message.rest = true;
    message.headers.set("Content-Type", "application/json");
    message.axis2.set("messageType", "application/json");
    message.properties.set("OUT_ONLY", "true");
    let text = format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(980));
    message.body = Body::from_json_text(text);
    message
}

/// The answer of every back end.
struct Nowhere;

impl HttpClient for Nowhere {
    fn send(&self, _: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        Box::pin(async {
            Ok(Incoming {
                status: http::StatusCode::ACCEPTED,
                reason: None,
                version: http::Version::HTTP_11,
                headers: Headers::new(),
                body: mi_engine::serve::stream_of(mi_engine::transport::Payload::Empty),
            })
        })
    }
}

impl Clock for Nowhere {
    fn now_millis(&self) -> i64 {
        chrono::Utc::now().timestamp_millis()
    }
    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn new_id(&self) -> String {
        "urn:uuid:00000000-0000-0000-0000-000000000000".to_owned()
    }
}

/// Messages a second that `tasks` put in, each waiting for its own.
async fn appends(folder: &Path, tasks: usize, count: usize) -> f64 {
    drop(std::fs::remove_dir_all(folder));
    let store = Arc::new(DurableStore::open(folder, DEFAULT_SEGMENT, ConvertOptions::default()).expect("a folder"));
    let began = Instant::now();
    let mut running = Vec::new();
    for _ in 0..tasks {
        let store = store.clone();
        running.push(tokio::spawn(async move {
            for number in 0..count / tasks {
                let entry = Entry { id: "id".into(), order: None, message: message(number) };
                store.append(entry, LIMITS).await.expect("stored");
            }
        }));
    }
    for task in running {
        task.await.expect("no panic");
    }
    (count / tasks * tasks) as f64 / began.elapsed().as_secs_f64()
}

/// Messages a second that a processor forwards.
async fn forwards(store: &str, folder: &Path, count: usize) -> f64 {
    drop(std::fs::remove_dir_all(folder));
    let specs = Specs::new(&[mi_components::TABLE])
        .with_stores(mi_components::stores::TABLE)
        .with_processors(mi_components::processors::TABLE);
    let world = Arc::new(Nowhere);
    let services = Arc::new(Services { http: world.clone(), clock: world, ..Services::offline(specs) });
    let processor = "<messageProcessor name='p' messageStore='s' targetEndpoint='e' class='org.apache.synapse.message.\
        processor.impl.forwarder.ScheduledMessageForwardingProcessor'><parameter name='interval'>0</parameter>\
        </messageProcessor>";
    let artifacts: Vec<_> = [store, processor, "<endpoint name='e'><address uri='http://b/'/></endpoint>"]
        .into_iter()
        .flat_map(|xml| parse_artifact(SourceFile::new("bench.xml", xml.as_bytes().to_vec())).0)
        .collect();
    let settings = Settings { data_folder: Some(folder.to_owned()), ..Settings::default() };
    let engine = Arc::new(Engine::new(build(&artifacts, services, settings).snapshot));
    let snapshot = engine.snapshot();
    let queue = snapshot.stores.by_name("s").expect("deployed").clone();
    let fill: Vec<_> = (0..count).map(|number| queue.put(message(number), None, &snapshot)).collect();
    for stored in futures_util::future::join_all(fill).await {
        stored.expect("stored");
    }
    let mut arrivals = queue.arrivals().expect("open");
    let began = Instant::now();
    let running = RunningInbounds::start_all(&engine, Vec::new());
    while queue.size() != Some(0) {
        // Every acknowledgement is announced.
        arrivals.changed().await.expect("open");
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    running.stop(std::time::Duration::from_secs(5)).await;
    rate
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from).join("store-bench");
    let mut out = std::io::stdout();
    let mut say = |line: String| writeln!(out, "{line}").expect("standard output");
    for (tasks, count) in [(1, 500), (16, 4000), (256, 40_000)] {
        let rate = appends(&folder, tasks, count).await;
        say(format!("durable, {tasks:>3} at once: {rate:>8.0} messages/s stored"));
    }
    let memory = forwards("<messageStore name='s'/>", &folder, 50_000).await;
    say(format!("memory:                {memory:>8.0} messages/s forwarded"));
    let durable = forwards("<messageStore name='s' class='durable'/>", &folder, 20_000).await;
    say(format!("durable:               {durable:>8.0} messages/s forwarded"));
    drop(std::fs::remove_dir_all(&folder));
}
