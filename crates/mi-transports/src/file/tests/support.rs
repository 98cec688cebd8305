//! Folders that go away, and an engine that notes what it is given.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element, SourceFile, parse_artifact};
use mi_engine::inbound::{Control, Gauge, Injector, OpenCx, Phase, Poll, PollError, Source, Switch};
use mi_engine::services::{Clock, Sender, Services};
use mi_engine::spec::MediatorSpec;
use mi_engine::{BuildCx, Built, Context, Effect, Engine, Fault, Flow, Mediator, Settings, Specs, reply};
use tokio::time::Instant;

/// A folder of a test; it is removed with what is in it.
pub(in super::super) struct Folder(PathBuf);

impl Folder {
    pub(in super::super) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    pub(in super::super) fn below(parent: &Path) -> Self {
        let path = parent.join(format!("mi-file-test-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(in super::super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file, making the folders above it.
    pub(super) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(name)).ok()
    }

    /// All files below, in order.
    pub(super) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_dir() {
                    folders.push(entry.path());
                } else {
                    found.push(entry.path().strip_prefix(&self.0).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The real time of the start, going on with tokio's clock.
pub(in super::super) struct TestClock(SystemTime, Instant);

impl TestClock {
    pub(in super::super) fn new() -> Self {
        Self(SystemTime::now(), Instant::now())
    }
}

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        let now = self.0.duration_since(UNIX_EPOCH).unwrap() + self.1.elapsed();
        i64::try_from(now.as_millis()).unwrap()
    }

    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }

    fn new_id(&self) -> String {
        "urn:uuid:test".to_owned()
    }
}

std::thread_local! {
    static NOTES: Mutex<Vec<String>> = const { Mutex::new(Vec::new()) };
}

/// Takes the notes of the flows that ran on this thread.
pub(in super::super) fn notes() -> Vec<String> {
    NOTES.with(|notes| std::mem::take(&mut *notes.lock().unwrap()))
}

#[derive(Debug)]
enum Step {
    /// Notes the name and the content of a file.
    Note,
    /// Notes a transport header.
    Show(String),
    /// Notes a property of the default scope.
    Property(String),
    /// Notes whether the body is unread.
    Unread,
    Fail,
    Header(String, String),
    /// Sets a property of the default scope.
    Set(String, String),
    /// Sends to an address and ends.
    Send(String),
    Respond,
    Sleep(u64),
}

struct SendBack;
struct SendTo(String);
struct Sleeping(u64);

impl Effect for SendBack {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            reply::send_back(cx).await?;
            Ok(Flow::End)
        })
    }
}

impl Effect for SendTo {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            mi_engine::endpoint::for_address(&self.0).send(cx).await?;
            Ok(Flow::End)
        })
    }
}

impl Effect for Sleeping {
    fn perform(self: Box<Self>, _: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            tokio::time::sleep_until(Instant::now() + Duration::from_secs(self.0)).await;
            Ok(Flow::Next)
        })
    }
}

impl Mediator for Step {
    fn reads_body(&self) -> bool {
        matches!(self, Self::Note)
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let header = |name: &str| cx.message.headers.get(name).unwrap_or_default().to_owned();
        let note = match self {
            Self::Note => {
                let content = mi_message::media::format(&cx.message)?.bytes;
                format!("{}: {}", header("FILE_NAME"), String::from_utf8_lossy(&content))
            }
            Self::Show(name) => header(name),
            Self::Property(name) => format!("{:?}", cx.message.properties.get(name)),
            Self::Unread => format!("unread: {}", cx.message.body.is_unread()),
            Self::Fail => return Err(Fault::new("as told")),
            Self::Header(name, value) => {
                cx.message.headers.set(name.as_str(), value.as_str());
                return Ok(Flow::Next);
            }
            Self::Set(name, value) => {
                cx.message.properties.set(name.as_str(), value.as_str());
                return Ok(Flow::Next);
            }
            Self::Send(address) => return Ok(Flow::wait(SendTo(address.clone()))),
            Self::Respond => return Ok(Flow::wait(SendBack)),
            Self::Sleep(seconds) => return Ok(Flow::wait(Sleeping(*seconds))),
        };
        NOTES.with(|notes| notes.lock().unwrap().push(note));
        Ok(Flow::Next)
    }
}

fn parse(el: &Element, _: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let attr = |name: &str| el.attr(name).unwrap_or_default().into_owned();
    Ok(Box::new(match el.name() {
        "note" => Step::Note,
        "show" => Step::Show(attr("name")),
        "property" => Step::Property(attr("name")),
        "unread" => Step::Unread,
        "fail" => Step::Fail,
        "header" => Step::Header(attr("name"), attr("value")),
        "set" => Step::Set(attr("name"), attr("value")),
        "send" => Step::Send(attr("to")),
        "respond" => Step::Respond,
        _ => Step::Sleep(attr("seconds").parse().unwrap()),
    }))
}

fn services(senders: Vec<(&'static str, Arc<dyn Sender>)>) -> Arc<Services> {
    let mediators: Vec<MediatorSpec> =
        ["note", "show", "property", "unread", "fail", "header", "set", "send", "respond", "sleep"]
            .into_iter()
            .map(|tag| MediatorSpec::new(tag, parse))
            .collect();
    let specs =
        Specs::new(&[&mediators]).with_inbounds(crate::INBOUNDS).with_service_transports(crate::SERVICE_TRANSPORTS);
    Arc::new(Services { clock: Arc::new(TestClock::new()), senders, ..Services::offline(specs) })
}

/// What deploying an artifact gives.
pub(crate) fn deploy(xml: &str) -> Built {
    deploy_all(&[xml], Vec::new())
}

/// What deploying several gives, with senders for other schemes than http.
pub(crate) fn deploy_all(artifacts: &[&str], senders: Vec<(&'static str, Arc<dyn Sender>)>) -> Built {
    let mut parsed = Vec::new();
    for xml in artifacts {
        let (artifacts, diagnostics) = parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec()));
        assert!(!diagnostics.iter().any(Diagnostic::is_error), "{diagnostics:?}");
        parsed.extend(artifacts);
    }
    mi_engine::build(&parsed, services(senders), Settings::default())
}

/// `<parameter>` elements; names without a dot get MI's prefix, except for `interval` and `sequential`.
fn parameters(settings: &[(&str, &str)]) -> String {
    let full = |name: &str| match name {
        "interval" | "sequential" => name.to_owned(),
        name if name.contains('.') => name.to_owned(),
        name => format!("transport.vfs.{name}"),
    };
    let mut xml = String::new();
    for (name, value) in settings {
        xml.push_str(&format!("<parameter name='{}'>{value}</parameter>", full(name)));
    }
    xml
}

pub(super) fn inbound_xml(settings: &[(&str, &str)]) -> String {
    let parameters = parameters(settings);
    format!(
        "<inboundEndpoint name='F' protocol='file' sequence='in'><parameters>{parameters}</parameters></inboundEndpoint>"
    )
}

pub(super) fn proxy_xml(steps: &str, settings: &[(&str, &str)]) -> String {
    let parameters = parameters(settings);
    format!("<proxy name='F' transports='vfs'><target><inSequence>{steps}</inSequence></target>{parameters}</proxy>")
}

/// A poller of one endpoint, polled by hand.
pub(in super::super) struct Bench {
    poll: Box<dyn Poll>,
    pub(super) control: Control,
    pub(super) switch: Switch,
    pub(super) gauge: Arc<Gauge>,
}

impl Bench {
    /// An inbound endpoint whose sequence has these steps.
    pub(in super::super) fn inbound(steps: &str, settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("interval", "1000")];
        all.extend_from_slice(settings);
        Self::of(&[&inbound_xml(&all), &format!("<sequence name='in'>{steps}</sequence>")])
    }

    /// An inbound endpoint whose sequence is not deployed.
    pub(super) fn inbound_without_sequence(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![("interval", "1000")];
        all.extend_from_slice(settings);
        Self::of(&[&inbound_xml(&all)])
    }

    /// A proxy whose in sequence has these steps.
    pub(super) fn proxy(steps: &str, settings: &[(&str, &str)]) -> Self {
        Self::of(&[&proxy_xml(steps, settings), "<sequence name='fault'/>"])
    }

    fn of(artifacts: &[&str]) -> Self {
        let parsed: Vec<_> = artifacts
            .iter()
            .flat_map(|xml| parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec())).0)
            .collect();
        let built = mi_engine::build(&parsed, services(Vec::new()), Settings::default());
        assert!(built.failed.is_empty(), "{:?}", built.failed);
        let engine = Arc::new(Engine::new(built.snapshot));
        let intake = engine.snapshot().inbounds[0].clone();
        let (switch, control) = Switch::new(Phase::Running);
        let gauge = Arc::new(Gauge::new("test"));
        let cx = OpenCx {
            name: intake.name.clone(),
            route: intake.route.clone(),
            injector: Injector::new(engine, intake.route.clone()),
            control: control.clone(),
            gauge: gauge.clone(),
        };
        let Ok(Source::Poll(poll, _)) = intake.inbound.open(&cx) else { panic!("a poller is expected") };
        Self { poll, control, switch, gauge }
    }

    /// One pass.
    pub(in super::super) async fn pass(&mut self) -> Result<(), PollError> {
        self.poll.poll(&self.control).await
    }
}

/// The address of a path.
pub(super) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}
