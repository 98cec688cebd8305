//! A tiny deployment for tests: mediators that note, fail, answer and wait, on a clock of virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use mi_config::task::TaskPropertyValue;
use mi_config::{Diagnostic, Element, SourceFile, TaskConfig, parse_artifact};
use tokio::time::Instant;

use super::{Control, Inbound, OpenCx, Parameters, Poll, PollError, Source};
use crate::build::{BuildCx, build};
use crate::context::Context;
use crate::fault::Fault;
use crate::mediator::{Effect, Flow, Mediator};
use crate::reply;
use crate::scheduler::{Job, JobCx};
use crate::serve::Engine;
use crate::services::{Clock, RegistryView, Services};
use crate::snapshot::{Settings, Snapshot};
use crate::spec::{InboundSpec, MediatorSpec, Specs, TaskSpec};

/// A clock that goes with tokio's, in a zone whose offset changes at given moments.
pub(crate) struct TestClock {
    base: i64,
    start: Instant,
    /// Offset in seconds from a moment on, in order.
    offsets: Vec<(i64, i32)>,
    /// Milliseconds by which somebody set the clock forward.
    pub(crate) jumped: Mutex<i64>,
}

impl TestClock {
    pub(crate) fn at(base: i64, offsets: &[(i64, i32)]) -> Self {
        Self { base, start: Instant::now(), offsets: offsets.to_vec(), jumped: Mutex::new(0) }
    }
}

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        self.base + *self.jumped.lock().unwrap() + i64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    fn zone_offset_seconds(&self, at: i64) -> i32 {
        self.offsets.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, offset)| *offset)
    }

    fn new_id(&self) -> String {
        "urn:uuid:test".to_owned()
    }
}

/// The registry: one sequence.
struct Dynamic;

impl RegistryView for Dynamic {
    fn content(&self, key: &str) -> Option<Bytes> {
        (key == "gov:/dynamic.xml")
            .then(|| Bytes::from_static(b"<sequence name='dynamic'><note name='dynamic'/></sequence>"))
    }
    fn media_type(&self, _: &str) -> Option<String> {
        None
    }
    fn property(&self, _: &str, _: &str) -> Option<String> {
        None
    }
}

std::thread_local! {
    /// What the `note` mediators of this thread's test were called with.
    static NOTES: Mutex<Vec<String>> = const { Mutex::new(Vec::new()) };
}

/// The notes so far, of flows run on this thread.
pub(crate) fn notes() -> Vec<String> {
    NOTES.with(|notes| notes.lock().unwrap().clone())
}

pub(crate) fn note(text: impl Into<String>) {
    NOTES.with(|notes| notes.lock().unwrap().push(text.into()));
}

#[derive(Debug)]
enum Step {
    Note(String),
    Fail,
    Panic,
    Header(String, String),
    Axis2(String, String),
    Respond,
    Sleep(Duration),
}

struct SendBack;
struct Sleeping(Duration);

impl Effect for SendBack {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            reply::send_back(cx).await?;
            Ok(Flow::End)
        })
    }
}

impl Effect for Sleeping {
    fn perform(self: Box<Self>, _: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            tokio::time::sleep(self.0).await;
            Ok(Flow::Next)
        })
    }
}

impl Mediator for Step {
    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        match self {
            Self::Note(text) => note(format!("{}{text}", cx.artifact.log_prefix)),
            Self::Fail => return Err(Fault::new("as told")),
            Self::Panic => panic!("as told"),
            Self::Header(name, value) => cx.message.headers.set(name.as_str(), value.as_str()),
            Self::Axis2(name, value) => cx.message.axis2.set(name.as_str(), value.as_str()),
            Self::Respond => return Ok(Flow::wait(SendBack)),
            Self::Sleep(time) => return Ok(Flow::wait(Sleeping(*time))),
        }
        Ok(Flow::Next)
    }
}

fn parse(el: &Element, _: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let attr = |name: &str| el.attr(name).unwrap_or_default().into_owned();
    Ok(Box::new(match el.name() {
        "note" => Step::Note(attr("name")),
        "fail" => Step::Fail,
        "panic" => Step::Panic,
        "header" => Step::Header(attr("name"), attr("value")),
        "axis2" => Step::Axis2(attr("name"), attr("value")),
        "respond" => Step::Respond,
        _ => Step::Sleep(Duration::from_secs(attr("seconds").parse().unwrap())),
    }))
}

/// An inbound that notes its passes, or says that it cannot be opened.
#[derive(Debug)]
struct Probe {
    interval: Duration,
    takes: Duration,
    broken: bool,
}

struct Probing {
    name: Arc<str>,
    takes: Duration,
}

impl Poll for Probing {
    fn poll<'a>(&'a mut self, _: &'a Control) -> BoxFuture<'a, Result<(), PollError>> {
        Box::pin(async move {
            note(format!("{} begins", self.name));
            let _ended = Ended(self.name.clone());
            tokio::time::sleep(self.takes).await;
            Ok(())
        })
    }
}

/// Notes the end of a pass, also when it is cut off.
struct Ended(Arc<str>);

impl Drop for Ended {
    fn drop(&mut self) {
        note(format!("{} ends", self.0));
    }
}

impl Inbound for Probe {
    fn open(&self, cx: &OpenCx) -> Result<Source, String> {
        if self.broken {
            note(format!("{} fails", cx.name));
            return Err("as told".to_owned());
        }
        Ok(Source::Poll(Box::new(Probing { name: cx.name.clone(), takes: self.takes }), self.interval))
    }
}

fn probe(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    let mut seconds = |name: &str| match parameters.number(name) {
        Ok(number) => Duration::from_secs(number.unwrap_or(0)),
        Err(warning) => {
            cx.report(warning);
            Duration::ZERO
        }
    };
    let (interval, takes) = (seconds("interval"), seconds("takes"));
    Ok(Some(Box::new(Probe { interval, takes, broken: parameters.is_true("broken") })))
}

#[derive(Debug)]
struct Counting(Duration, bool);

impl Job for Counting {
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            note(format!("{} runs", cx.name));
            tokio::time::sleep(self.0).await;
            Ok(())
        })
    }

    fn overlaps(&self) -> bool {
        self.1
    }
}

fn counting(config: &TaskConfig, _: &mut BuildCx<'_>) -> Result<Box<dyn Job>, Diagnostic> {
    let takes = match config.property("takes") {
        Some(TaskPropertyValue::Text(text)) => text.parse().unwrap(),
        _ => 0,
    };
    let overlaps = config.property("overlaps").is_some();
    Ok(Box::new(Counting(Duration::from_secs(takes), overlaps)))
}

/// Services without a network, on `clock`.
pub(crate) fn services(clock: Arc<dyn Clock>) -> Arc<Services> {
    let mediators: Vec<MediatorSpec> = ["note", "fail", "panic", "header", "axis2", "respond", "sleep"]
        .into_iter()
        .map(|tag| MediatorSpec::new(tag, parse))
        .collect();
    let specs = Specs::new(&[&mediators])
        .with_inbounds(&[InboundSpec { protocol: "probe", parse: probe }])
        .with_tasks(&[TaskSpec { class: "counting", parse: counting }]);
    Arc::new(Services { clock, registry: Arc::new(Dynamic), ..Services::offline(specs) })
}

/// A snapshot of artifacts, each a document of its own, and its warnings.
pub(crate) fn snapshot_of(artifacts: &[&str], services: Arc<Services>) -> (Snapshot, Vec<String>) {
    let parsed: Vec<_> = artifacts
        .iter()
        .flat_map(|xml| {
            let (parsed, diagnostics) = parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec()));
            assert!(!diagnostics.iter().any(mi_config::Diagnostic::is_error), "{diagnostics:?}");
            parsed
        })
        .collect();
    let built = build(&parsed, services, Settings::default());
    assert!(built.failed.is_empty(), "{:?}", built.failed);
    (built.snapshot, built.warnings.iter().map(ToString::to_string).collect())
}

/// An engine of artifacts.
pub(crate) fn engine_of(artifacts: &[&str]) -> Arc<Engine> {
    let services = services(Arc::new(TestClock::at(0, &[])));
    Arc::new(Engine::new(snapshot_of(artifacts, services).0))
}
