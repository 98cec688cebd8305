//! Runs one mediator on one message: the harness of this crate's tests.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use mi_config::{SourceFile, parse_artifact};
use mi_engine::build::{self, Built};
use mi_engine::context::{ArtifactInfo, Context, SequenceTarget};
use mi_engine::exchange::{Exchange, RequestInfo};
use mi_engine::fault::Fault;
use mi_engine::flow::{self, Ended};
use mi_engine::keep::Keeper;
use mi_engine::services::{Clock, OutMessage, RegistryView, Sender, Services};
use mi_engine::snapshot::{Settings, Snapshot};
use mi_engine::spec::Specs;
use mi_engine::transport::{HttpClient, HttpReply, Incoming, Outgoing, Payload, SendError};
use mi_message::{Body, Envelope, Message, Native, SoapVersion};
use mi_xml::Document;

use crate::executors::Executors;

/// A mediator, what is deployed beside it, and the message that it gets.
pub(crate) struct Flowing {
    mediator: String,
    artifacts: Vec<String>,
    out_sequence: Option<String>,
    message: Message,
    /// Content type and body of what the back end answers.
    answer: Option<(String, String)>,
    /// The status of its answers.
    status: Option<u16>,
}

/// A request that the back end got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) url: String,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

/// What became of the message.
pub(crate) struct Outcome {
    cx: Context,
    ended: Ended,
    reply: Option<HttpReply>,
    received: Vec<Received>,
    tasks_left: usize,
}

/// Name of the sequence around the mediator.
const SUBJECT: &str = "subject-of-the-test";
/// Name of the handler that notes faults.
const NOTED: &str = "fault-of-the-test";

impl Flowing {
    /// A mediator with an empty message.
    pub(crate) fn of(mediator: &str) -> Self {
        Self {
            mediator: mediator.to_owned(),
            artifacts: Vec::new(),
            out_sequence: None,
            message: Message::new(),
            answer: None,
            status: None,
        }
    }

    /// An XML payload.
    pub(crate) fn xml(mut self, payload: &str) -> Self {
        let document = Document::parse(payload.as_bytes().to_vec()).expect("well-formed payload");
        self.message.body = Body::from_envelope(Envelope::from_document(document, SoapVersion::Soap11));
        self
    }

    /// A JSON payload.
    pub(crate) fn json(mut self, payload: &str) -> Self {
        self.message.body = Body::from_json_text(payload.to_owned());
        self
    }

    /// Anything else about the message.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Message)) -> Self {
        change(&mut self.message);
        self
    }

    /// A named sequence.
    pub(crate) fn sequence(self, name: &str, steps: &str) -> Self {
        self.artifact(format!("<sequence name='{name}'>{steps}</sequence>"))
    }

    /// A named endpoint.
    pub(crate) fn endpoint(self, xml: &str) -> Self {
        self.artifact(xml.to_owned())
    }

    /// A sequence template.
    pub(crate) fn template(self, xml: &str) -> Self {
        self.artifact(xml.to_owned())
    }

    /// A local entry that holds XML.
    pub(crate) fn local_entry(self, key: &str, xml: &str) -> Self {
        self.artifact(format!("<localEntry key='{key}'>{xml}</localEntry>"))
    }

    /// A local entry that holds text.
    pub(crate) fn text_entry(self, key: &str, text: &str) -> Self {
        self.artifact(format!("<localEntry key='{key}'><![CDATA[{text}]]></localEntry>"))
    }

    /// Where the artifact's answers go.
    pub(crate) fn out_sequence(mut self, steps: &str) -> Self {
        self.out_sequence = Some(format!("<sequence name='out-of-the-test'>{steps}</sequence>"));
        self
    }

    /// What every back end answers with status 200; without it none can be reached.
    pub(crate) fn answer(mut self, content_type: &str, body: &str) -> Self {
        self.answer = Some((content_type.to_owned(), body.to_owned()));
        self
    }

    /// The status of what every back end answers.
    pub(crate) fn answer_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Any artifact.
    pub(crate) fn artifact(mut self, xml: impl Into<String>) -> Self {
        self.artifacts.push(xml.into());
        self
    }

    fn build(&self, services: Arc<Services>) -> Built {
        let noted =
            format!("<sequence name='{NOTED}'><property name='noted' value='yes' scope='operation'/></sequence>");
        let subject = format!("<sequence name='{SUBJECT}' onError='{NOTED}'>{}</sequence>", self.mediator);
        // What a mediator refers to is deployed before it, as in a deployment.
        let files = self.artifacts.clone().into_iter().chain([subject, noted]).chain(self.out_sequence.clone());
        let artifacts: Vec<_> = files
            .flat_map(|xml| {
                let (artifacts, diagnostics) = parse_artifact(SourceFile::new("test.xml", xml.into_bytes()));
                assert!(!diagnostics.iter().any(mi_config::Diagnostic::is_error), "{diagnostics:?}");
                artifacts
            })
            .collect();
        let mut built = build::build(&artifacts, services, Settings::default());
        built.snapshot.shared.insert(Executors::of(&artifacts));
        built
    }

    /// The warnings of deployment.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.build(services()).warnings.iter().map(ToString::to_string).collect()
    }

    /// The errors of deployment.
    pub(crate) fn errors(&self) -> Vec<String> {
        self.build(services()).failed.iter().flat_map(|(_, found)| found).map(ToString::to_string).collect()
    }

    /// The artifacts that work in part only.
    pub(crate) fn degraded(&self) -> Vec<String> {
        self.build(services()).warnings.into_iter().filter_map(|warning| warning.artifact).collect()
    }

    /// The errors of a mediator that cannot be deployed.
    #[track_caller]
    pub(crate) fn error_of(mediator: &str) -> String {
        let built = Self::of(mediator).build(services());
        assert_eq!(built.failed.len(), 1, "{mediator} was deployed");
        built.failed[0].1.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    /// Runs it.
    #[track_caller]
    pub(crate) fn run(self) -> Outcome {
        self.run_for(Duration::from_millis(1))
    }

    /// Runs it, and what it leaves behind for `patience` more on a clock that does not wait.
    #[track_caller]
    pub(crate) fn run_for(mut self, patience: Duration) -> Outcome {
        let message = std::mem::take(&mut self.message);
        self.deploy().send_and_wait(message, patience)
    }

    /// Deploys it, for several messages.
    #[track_caller]
    pub(crate) fn deploy(self) -> Deployed {
        self.deploy_with(Arc::default())
    }

    /// Deploys it in the place of another deployment of the same server.
    #[track_caller]
    pub(crate) fn deploy_after(self, before: &Deployed) -> Deployed {
        self.deploy_with(before.snapshot.services.keeper.clone())
    }

    #[track_caller]
    fn deploy_with(self, keeper: Arc<Keeper>) -> Deployed {
        let backend = Arc::new(Backend { answer: self.answer.clone(), status: self.status, ..Backend::default() });
        let built = self.build(services_keeping(backend.clone(), keeper));
        assert!(built.failed.is_empty(), "{:?}", built.failed);
        let snapshot = Arc::new(built.snapshot);
        let out = self.out_sequence.as_ref().and_then(|_| snapshot.sequences.by_name("out-of-the-test").cloned());
        let artifact = ArtifactInfo { out_sequence: out.map(SequenceTarget::Inline), ..ArtifactInfo::default() };
        Deployed { snapshot, artifact: Arc::new(artifact), backend }
    }
}

/// A mediator that keeps what it has from one message to the next.
pub(crate) struct Deployed {
    snapshot: Arc<Snapshot>,
    artifact: Arc<ArtifactInfo>,
    backend: Arc<Backend>,
}

impl Deployed {
    /// What was deployed.
    pub(crate) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Writes a resource of the registry, or removes it.
    pub(crate) fn write_registry(&self, key: &str, text: Option<&str>) {
        let mut registry = self.backend.registry.lock().expect("no test holds it");
        match text {
            Some(text) => registry.insert(key.to_owned(), Bytes::copy_from_slice(text.as_bytes())),
            None => registry.remove(key),
        };
    }

    /// Runs it on a message.
    pub(crate) fn send(&self, message: Message) -> Outcome {
        self.send_and_wait(message, Duration::from_millis(1))
    }

    fn send_and_wait(&self, message: Message, patience: Duration) -> Outcome {
        let (sender, mut receiver) = tokio::sync::oneshot::channel();
        let exchange = Arc::new(Exchange::new(RequestInfo::default(), sender));
        let subject = self.snapshot.sequences.by_name(SUBJECT).cloned().expect("built with it");
        let mut cx = Context::new(message, self.snapshot.clone(), exchange, self.artifact.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let services = cx.snapshot.services.clone();
        let ended = runtime.block_on(async {
            let ended = flow::run(&mut cx, subject).await;
            // An answer that no step needed is built for the test to look at.
            if !cx.message.body.is_built() {
                flow::build_body(&mut cx).await.expect("a well-formed answer");
            }
            // Parts of a split message run beside it; the clock only moves when all of them wait.
            tokio::time::sleep(patience).await;
            while services.in_flight.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            ended
        });
        let received = std::mem::take(&mut *self.backend.received.lock().expect("no test holds it"));
        Outcome {
            cx,
            ended,
            reply: receiver.try_recv().ok(),
            received,
            tasks_left: runtime.metrics().num_alive_tasks(),
        }
    }
}

impl Outcome {
    /// The message of the fault that came out of the mediator.
    pub(crate) fn fault(&self) -> Option<String> {
        self.cx.message.operation.get("noted")?;
        Some(self.property("ERROR_MESSAGE").unwrap_or_default())
    }

    /// Did a step end the flow?
    pub(crate) fn stopped(&self) -> bool {
        self.ended == Ended::Stopped
    }

    /// The message as it is now.
    pub(crate) fn message(&self) -> &Message {
        &self.cx.message
    }

    /// The answer to the client.
    pub(crate) fn reply(&self) -> Option<&HttpReply> {
        self.reply.as_ref()
    }

    /// Tasks that still wait for something.
    pub(crate) fn tasks_left(&self) -> usize {
        self.tasks_left
    }

    /// What back ends got.
    pub(crate) fn received(&self) -> &[Received] {
        &self.received
    }

    /// A property of the default scope as text.
    pub(crate) fn property(&self, name: &str) -> Option<String> {
        self.cx.message.properties.get(name).map(|value| value.to_text().into_owned())
    }

    /// A variable as text.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        self.cx.message.variables.get(name).map(|value| value.to_text().into_owned())
    }

    /// The content of the SOAP Body.
    pub(crate) fn payload_xml(&self) -> String {
        let envelope = self.cx.message.body.envelope().expect("a body that can be XML");
        let document = envelope.document();
        document.children(envelope.body()).map(|node| document.to_xml(node)).collect()
    }

    /// JSON or text as it is.
    pub(crate) fn payload_text(&self) -> String {
        match self.cx.message.body.native().expect("a built body") {
            Native::Json(json) => String::from_utf8_lossy(json.text()).into_owned(),
            Native::Text(text) => text.to_string(),
            other => panic!("neither JSON nor text: {other:?}"),
        }
    }
}

/// A flow that has not begun, without a client.
pub(crate) fn context(snapshot: Arc<Snapshot>) -> Context {
    Context::new(Message::new(), snapshot, Arc::new(Exchange::detached()), Arc::default())
}

/// The services of an engine without a world around it.
pub(crate) fn services() -> Arc<Services> {
    services_with(Arc::default())
}

fn services_with(backend: Arc<Backend>) -> Arc<Services> {
    services_keeping(backend, Arc::default())
}

fn services_keeping(backend: Arc<Backend>, keeper: Arc<Keeper>) -> Arc<Services> {
    let specs = Specs::new(&[crate::mediators::UNSUPPORTED, crate::mediators::TABLE])
        .with_connector(crate::mediators::parse_operation)
        .with_stores(crate::stores::TABLE);
    let specs = Arc::new(specs);
    Arc::new(Services {
        http: backend.clone(),
        senders: ["smtp", "smtps", "imap", "imaps", "pop3", "pop3s"]
            .map(|scheme| (scheme, backend.clone() as Arc<dyn Sender>))
            .into(),
        clock: Arc::new(World),
        registry: backend.clone(),
        specs,
        keeper,
        ..Services::offline(Specs::new(&[]))
    })
}

/// One back end for all addresses, and a registry.
#[derive(Default)]
struct Backend {
    answer: Option<(String, String)>,
    status: Option<u16>,
    received: Mutex<Vec<Received>>,
    registry: Mutex<HashMap<String, Bytes>>,
}

impl HttpClient for Backend {
    fn send(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        let body = match request.body {
            Payload::Empty => String::new(),
            Payload::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Payload::Stream(_) => "a stream".to_owned(),
        };
        let content_type = request.headers.get("Content-Type").unwrap_or_default().to_owned();
        let url = format!("http://{}:{}{}", request.host, request.port, request.target);
        self.received.lock().expect("no test holds it").push(Received { url, content_type, body });
        let answer = match &self.answer {
            Some((content_type, body)) => Ok(Incoming {
                status: http::StatusCode::from_u16(self.status.unwrap_or(200)).expect("a status"),
                reason: None,
                version: http::Version::HTTP_11,
                headers: [("Content-Type", content_type.as_str())].into_iter().collect(),
                body: Full::new(body.clone().into()).map_err(|never| match never {}).boxed_unsync(),
            }),
            None => {
                Err(SendError { code: 101_503, message: "no back end".to_owned(), detail: "no back end".to_owned() })
            }
        };
        Box::pin(async { answer })
    }
}

/// A mail server that has no mailbox `refused@x`; one of mailboxes gives the answer of the back end.
impl Sender for Backend {
    fn send(&self, request: OutMessage) -> BoxFuture<'static, Result<Option<HttpReply>, Fault>> {
        let text = |name: &str| request.axis2.get_str(name).unwrap_or_default().to_owned();
        let recipients = text("mail.recipients").replace('\n', ",");
        let url = format!("{} {} -> {recipients}", request.address, text("mail.from"));
        let properties = request.axis2.iter().filter(|(name, _)| !["mail.from", "mail.recipients"].contains(name));
        let mut properties: Vec<String> =
            properties.map(|(name, value)| format!("{name}={}", value.to_text())).collect();
        properties.sort();
        let Payload::Bytes(bytes) = request.body else { panic!("a mail is bytes") };
        let body = String::from_utf8_lossy(&bytes).into_owned();
        self.received.lock().expect("no test holds it").push(Received {
            url,
            content_type: properties.join(" "),
            body,
        });
        let refused = recipients.contains("refused@x");
        let answer = self.answer.clone().filter(|_| !request.address.starts_with("smtp"));
        let reply = answer.map(|(_, body)| HttpReply {
            status: http::StatusCode::OK,
            reason: None,
            headers: mi_message::Headers::default(),
            body: Payload::Bytes(body.into()),
            close: false,
        });
        Box::pin(async move { if refused { Err(Fault::new("no such user")) } else { Ok(reply) } })
    }
}

/// The time stands still until [`set_clock`].
struct World;

impl Clock for World {
    fn now_millis(&self) -> i64 {
        NOW.get()
    }
    fn zone_offset_seconds(&self, _at_millis: i64) -> i32 {
        0
    }
    fn new_id(&self) -> String {
        "urn:uuid:test".to_owned()
    }
}

impl RegistryView for Backend {
    fn content(&self, key: &str) -> Option<Bytes> {
        self.registry.lock().expect("no test holds it").get(key).cloned()
    }
    fn media_type(&self, _key: &str) -> Option<String> {
        None
    }
    fn property(&self, _key: &str, _name: &str) -> Option<String> {
        None
    }
}

/// Sets the time of this thread's engines, in milliseconds.
pub(crate) fn set_clock(millis: i64) {
    NOW.set(millis);
}

thread_local! {
    static NOW: Cell<i64> = const { Cell::new(0) };
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The lines that the log mediators of this thread wrote while `run` ran.
pub(crate) fn log_lines(run: impl FnOnce()) -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_logger(&Capture).expect("the first logger of this process");
        log::set_max_level(log::LevelFilter::Info);
    });
    LINES.set(Some(Vec::new()));
    run();
    LINES.take().unwrap_or_default()
}

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        let name = record.target().rsplit('.').next().unwrap_or_default();
        if !name.starts_with("LogMediator") {
            return;
        }
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(format!("{} {name} {}", record.level(), record.args()));
            }
        });
    }

    fn flush(&self) {}
}
