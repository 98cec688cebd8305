//! A server of stores and processors on a clock of virtual time, with a back end that does as it is told.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{StatusCode, Version};
use http_body_util::{BodyExt, Full};
use mi_config::{SourceFile, parse_artifact};
use mi_engine::inbound::{Phase, RunningInbounds};
use mi_engine::services::{Clock, RegistryView, Services};
use mi_engine::snapshot::{Settings, Snapshot};
use mi_engine::spec::Specs;
use mi_engine::transport::{HttpClient, Incoming, Outgoing, Payload, SendError};
use mi_engine::{Engine, build};
use mi_message::{Body, Headers, Message};
use tokio::time::Instant;

/// What the back end does with a request; without more of them it answers 200.
#[derive(Clone, Copy, Debug)]
pub(super) enum Does {
    Answer(u16),
    Refuse,
    /// Answers 200 after so many milliseconds.
    Late(u64),
}

/// Everything around the engine.
pub(super) struct World {
    start: Instant,
    script: Mutex<VecDeque<Does>>,
    /// Milliseconds, host and body of each request; those to the host `b` follow the script.
    seen: Mutex<Vec<(u64, String, String)>>,
    registry: Mutex<HashMap<(String, String), String>>,
    ids: Mutex<u32>,
}

impl HttpClient for World {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        let body = match &request.body {
            Payload::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Payload::Empty => String::new(),
            Payload::Stream(_) => "(a stream)".to_owned(),
        };
        let host = request.host.to_string();
        let does = if host == "b" { self.script.lock().unwrap().pop_front() } else { None };
        self.seen.lock().unwrap().push((self.start.elapsed().as_millis() as u64, host, body));
        Box::pin(async move {
            let status = match does.unwrap_or(Does::Answer(200)) {
                Does::Answer(status) => status,
                Does::Late(millis) => {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    200
                }
                Does::Refuse => {
                    let (message, detail) = ("Connection refused".to_owned(), String::new());
                    return Err(SendError { code: 101_503, message, detail });
                }
            };
            let mut headers = Headers::new();
            headers.append("Content-Type", "application/xml");
            let body = Full::new("<answer/>".into()).map_err(|never| match never {}).boxed_unsync();
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Incoming { status, reason: None, version: Version::HTTP_11, headers, body })
        })
    }
}

impl Clock for World {
    fn now_millis(&self) -> i64 {
        self.start.elapsed().as_millis() as i64
    }
    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn new_id(&self) -> String {
        let mut ids = self.ids.lock().unwrap();
        *ids += 1;
        format!("urn:uuid:{ids}")
    }
}

impl RegistryView for World {
    fn content(&self, _: &str) -> Option<Bytes> {
        None
    }
    fn media_type(&self, _: &str) -> Option<String> {
        None
    }
    fn property(&self, key: &str, name: &str) -> Option<String> {
        self.registry.lock().unwrap().get(&(key.to_owned(), name.to_owned())).cloned()
    }
    fn write(&self, key: &str, property: Option<&str>, value: &str) -> Result<(), String> {
        let name = property.ok_or("only properties")?.to_owned();
        self.registry.lock().unwrap().insert((key.to_owned(), name), value.to_owned());
        Ok(())
    }
}

/// A running server. The endpoint `e` leads to the back end; `note NAME` sequences tell the host `note`.
pub(super) struct Lab {
    pub(super) world: Arc<World>,
    services: Arc<Services>,
    pub(super) engine: Arc<Engine>,
    pub(super) running: RunningInbounds,
    data: Option<PathBuf>,
}

const COMMON: [&str; 5] = [
    "<endpoint name='e'><address uri='http://b/'><suspendOnFailure><errorCodes>-1</errorCodes></suspendOnFailure>\
     </address></endpoint>",
    "<sequence name='reply'><call><endpoint><address uri='http://reply/'/></endpoint></call></sequence>",
    "<sequence name='failed'><call><endpoint><address uri='http://failed/'/></endpoint></call></sequence>",
    "<sequence name='off'><call><endpoint><address uri='http://off/'/></endpoint></call></sequence>",
    "<messageStore name='s'/>",
];

impl Lab {
    /// Starts these artifacts, with a store `s`, an endpoint `e` and sequences that send to the hosts `reply`, `failed`
    /// and `off`.
    pub(super) fn start(artifacts: &[&str]) -> Self {
        Self::start_with(artifacts, None)
    }

    pub(super) fn start_with(artifacts: &[&str], data: Option<PathBuf>) -> Self {
        let world = Arc::new(World {
            start: Instant::now(),
            script: Mutex::default(),
            seen: Mutex::default(),
            registry: Mutex::default(),
            ids: Mutex::default(),
        });
        Self::in_world(world, artifacts, data)
    }

    fn in_world(world: Arc<World>, artifacts: &[&str], data: Option<PathBuf>) -> Self {
        let specs = Specs::new(&[crate::mediators::TABLE])
            .with_stores(crate::stores::TABLE)
            .with_processors(crate::processors::TABLE);
        let services = Arc::new(Services {
            http: world.clone(),
            clock: world.clone(),
            registry: world.clone(),
            ..Services::offline(specs)
        });
        let (snapshot, _) = snapshot_of(artifacts, &services, data.clone());
        let engine = Arc::new(Engine::new(snapshot));
        let running = RunningInbounds::start_all(&engine, Vec::new());
        Self { world, services, engine, running, data }
    }

    /// The same server after a restart: what was in memory is gone.
    pub(super) async fn restart(self, artifacts: &[&str]) -> Self {
        self.running.stop(Duration::ZERO).await;
        let Self { world, data, services, engine, running } = self;
        drop((services, engine, running));
        Self::in_world(world, artifacts, data)
    }

    /// A new deployment.
    pub(super) fn redeploy(&self, artifacts: &[&str]) {
        self.engine.swap(snapshot_of(artifacts, &self.services, self.data.clone()).0);
        self.running.apply();
    }

    /// What the back end does with the next requests.
    pub(super) fn script(&self, does: &[Does]) {
        self.world.script.lock().unwrap().extend(does);
    }

    /// Puts messages into a store, each an XML element of that name.
    pub(super) async fn put(&self, store: &str, names: &[&str]) {
        for name in names {
            self.put_with(store, name, |_| {}).await;
        }
    }

    pub(super) async fn put_with(&self, store: &str, name: &str, change: impl FnOnce(&mut Message)) {
        let mut message = Message::new();
        message.rest = true;
        message.axis2.set("messageType", "application/xml");
        message.body = Body::from_bytes(format!("<{name}/>"), Some("application/xml".into()));
        message.build().unwrap();
        change(&mut message);
        let snapshot = self.engine.snapshot();
        let store = snapshot.stores.by_name(store).unwrap().clone();
        store.put(message, None, &snapshot).await.unwrap();
    }

    pub(super) fn size(&self, store: &str) -> u64 {
        self.engine.snapshot().stores.by_name(store).unwrap().size().unwrap()
    }

    pub(super) fn is_active(&self, processor: &str) -> bool {
        let found = self.running.list().into_iter().find(|it| &*it.name == processor);
        found.unwrap().phase == Phase::Running
    }

    pub(super) fn switch(&self, processor: &str, phase: Phase) {
        assert!(self.running.set_running("messageprocessor", processor, phase));
    }

    /// Requests so far to a host, as `milliseconds body`.
    pub(super) fn seen(&self, host: &str) -> Vec<String> {
        let seen = self.world.seen.lock().unwrap();
        let of_host = seen.iter().filter(|(_, it, _)| it == host);
        of_host.map(|(at, _, body)| format!("{at} {}", body.trim_matches(['<', '/', '>']))).collect()
    }
}

/// Compiles artifacts; their warnings.
pub(super) fn snapshot_of(
    artifacts: &[&str],
    services: &Arc<Services>,
    data: Option<PathBuf>,
) -> (Snapshot, Vec<String>) {
    // Of two with one name the first counts.
    let parsed: Vec<_> = artifacts
        .iter()
        .chain(
            COMMON
                .iter()
                .filter(|it| !(it.contains("messageStore") && artifacts.iter().any(|own| own.contains("name='s'")))),
        )
        .flat_map(|xml| {
            let (parsed, diagnostics) = parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec()));
            assert!(!diagnostics.iter().any(mi_config::Diagnostic::is_error), "{diagnostics:?}");
            parsed
        })
        .collect();
    let settings = Settings { data_folder: data, ..Settings::default() };
    let built = build(&parsed, services.clone(), settings);
    assert!(built.failed.is_empty(), "{:?}", built.failed);
    (built.snapshot, built.warnings.iter().map(ToString::to_string).collect())
}

/// A forwarding processor `p` of the store `s` with parameters given as `name=value`.
pub(super) fn forwarding(parameters: &[&str]) -> String {
    processor("forwarder.ScheduledMessageForwardingProcessor", "targetEndpoint='e'", parameters)
}

/// A processor `p` of the store `s`.
pub(super) fn processor(class: &str, attributes: &str, parameters: &[&str]) -> String {
    let of = |(name, value): (&str, &str)| format!("<parameter name='{name}'>{value}</parameter>");
    let parameters = parameters.iter().filter_map(|it| it.split_once('=')).map(of).collect::<Vec<_>>().concat();
    format!(
        "<messageProcessor name='p' class='org.apache.synapse.message.processor.impl.{class}' messageStore='s' \
         {attributes}>{parameters}</messageProcessor>"
    )
}

/// Lets time pass.
pub(super) async fn after(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}
