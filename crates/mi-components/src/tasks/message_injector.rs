//! `org.apache.synapse.startup.tasks.MessageInjector` hands a message to `main`, a sequence or a proxy.
//!
//! What is missing is found out when it runs, and logged each time, as in MI. Runs overlap when a mediation takes longer than
//! the interval, as in MI, up to a bound of the scheduler; with `sequential` one waits for the other.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::task::TaskPropertyValue;
use mi_config::{Diagnostic, Element, TaskConfig};
use mi_engine::build::BuildCx;
use mi_engine::inbound::{Injector, Route};
use mi_engine::scheduler::{Job, JobCx};
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::TaskSpec;
use mi_message::{Body, Envelope, Message, SoapVersion};
use mi_xml::{Document, NodeId};

use crate::resource::{self, Layout};

pub(super) const SPEC: TaskSpec = TaskSpec { class: "org.apache.synapse.startup.tasks.MessageInjector", parse };

/// Settings of a task of this class.
#[derive(Debug)]
struct MessageInjector {
    message: Option<Payload>,
    registry_key: Option<String>,
    target: Target,
    to: Option<String>,
    soap_action: Option<String>,
    format: Option<String>,
    /// A run ends when the mediation has, and the next one waits for it.
    sequential: bool,
}

#[derive(Debug)]
enum Payload {
    Xml(Element),
    Text(String),
}

/// `injectTo`; everything that is no proxy and no sequence is `main`.
#[derive(Debug)]
enum Target {
    Main,
    Sequence(Option<Arc<str>>),
    Proxy(Option<Arc<str>>),
}

const PROPERTIES: [&str; 11] = [
    "message",
    "injectTo",
    "sequenceName",
    "proxyName",
    "to",
    "soapAction",
    "format",
    "registryKey",
    "sequential",
    "isSequential",
    "invokeHandlers",
];

fn parse(config: &TaskConfig, cx: &mut BuildCx<'_>) -> Result<Box<dyn Job>, Diagnostic> {
    for property in config.properties.iter().filter(|it| !PROPERTIES.contains(&it.name.as_str())) {
        cx.report(config.element.warning(format!("the task has no property '{}'", property.name)));
    }
    let text = |name: &str| match config.property(name) {
        Some(TaskPropertyValue::Text(text)) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        _ => None,
    };
    let name = |property: &str| text(property).map(Arc::from);
    let inject_to = text("injectTo").unwrap_or_default();
    let target = if inject_to.eq_ignore_ascii_case("proxy") {
        Target::Proxy(name("proxyName"))
    } else if inject_to.eq_ignore_ascii_case("sequence") {
        Target::Sequence(name("sequenceName"))
    } else {
        Target::Main
    };
    let message = match config.property("message") {
        Some(TaskPropertyValue::Xml(element)) => Some(Payload::Xml(element.clone())),
        Some(TaskPropertyValue::Text(text)) if !text.trim().is_empty() => Some(Payload::Text(text.trim().to_owned())),
        _ => None,
    };
    Ok(Box::new(MessageInjector {
        message,
        registry_key: text("registryKey"),
        target,
        to: text("to"),
        soap_action: text("soapAction"),
        format: text("format").map(|format| format.to_ascii_lowercase()),
        sequential: ["sequential", "isSequential"]
            .iter()
            .any(|name| text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))),
    }))
}

impl Job for MessageInjector {
    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let snapshot = cx.engine.snapshot();
            let mut message = self.message(&snapshot)?;
            message.properties.set("task.name", cx.name.clone());
            let route = self.route()?;
            // A fault of the mediation was handled, or logged, by the flow.
            Injector::new(cx.engine.clone(), route).inject(message).await.map(drop).map_err(|error| error.to_string())
        })
    }

    /// MI gives the message to another thread, or leaves it at its first call of a back end.
    fn overlaps(&self) -> bool {
        !self.sequential
    }
}

impl MessageInjector {
    fn route(&self) -> Result<Route, String> {
        match &self.target {
            Target::Main => Ok(Route::Main),
            Target::Sequence(Some(name)) => Ok(Route::Sequence(name.clone())),
            Target::Proxy(Some(name)) => Ok(Route::Proxy(name.clone(), "local")),
            Target::Sequence(None) => Err("Sequence name not specified".to_owned()),
            Target::Proxy(None) => Err("Proxy service name not specified".to_owned()),
        }
    }

    /// A new message. MI: `MessageInjector#execute`.
    fn message(&self, snapshot: &Snapshot) -> Result<Message, String> {
        let version = match self.format.as_deref() {
            Some("soap11") => SoapVersion::Soap11,
            None | Some("soap12" | "pox" | "get" | "json") => SoapVersion::Soap12,
            Some(_) if matches!(self.target, Target::Proxy(_)) => return Err("incorrect format specified".to_owned()),
            Some(_) => SoapVersion::Soap12,
        };
        let mut message = Message::new();
        message.body = self.body(snapshot, version)?;
        message.body.set_options(snapshot.settings.convert.clone());
        // MI has no format of this name; what is sent of XML is then JSON, too.
        let json = message.body.is_json() || self.format.as_deref() == Some("json");
        message.rest = json || matches!(self.format.as_deref(), Some("pox" | "get"));
        if json {
            message.axis2.set("messageType", "application/json");
        }
        if self.format.as_deref() == Some("get") {
            message.axis2.set("HTTP_METHOD", "GET");
        }
        message.addressing.to.clone_from(&self.to);
        message.addressing.action.clone_from(&self.soap_action);
        message.addressing.message_id = Some(snapshot.services.clock.new_id());
        Ok(message)
    }

    fn body(&self, snapshot: &Snapshot, version: SoapVersion) -> Result<Body, String> {
        let missing = || "message or registry-key not set".to_owned();
        // MI: a proxy gets the configured message; a sequence gets that of the key, when there is one.
        let key = self.registry_key.as_deref().filter(|_| !matches!(self.target, Target::Proxy(_)));
        if let Some(key) = key {
            // MI strips blank text between elements from what is kept in the registry.
            let text = resource::text(snapshot, key, Layout::Compact);
            return of_text(&text.ok_or_else(|| format!("Key {key} not found "))?, version);
        }
        match self.message.as_ref().ok_or_else(missing)? {
            Payload::Xml(element) => Ok(enveloped(element.document(), element.node(), version)),
            Payload::Text(text) => of_text(text, version),
        }
    }
}

fn enveloped(document: &Document, node: NodeId, version: SoapVersion) -> Body {
    let mut envelope = Envelope::empty(version);
    envelope.set_payload(document, &[node]);
    Body::from_envelope(envelope)
}

/// XML, or JSON.
fn of_text(text: &str, version: SoapVersion) -> Result<Body, String> {
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        return Ok(Body::from_json_text(text.to_owned()));
    }
    let document = Document::parse(text.as_bytes().to_vec()).map_err(|error| {
        format!("Error parsing XML for JSON conversion, please check your property values return valid XML: {error}")
    })?;
    let root = document.root_element().ok_or("the message has no root element")?;
    Ok(enveloped(&document, root, version))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mi_config::{SourceFile, parse_artifact};
    use mi_engine::context::Context;
    use mi_engine::fault::Fault;
    use mi_engine::mediator::{Flow, Mediator};
    use mi_engine::snapshot::Settings;
    use mi_engine::spec::{MediatorSpec, Specs};
    use mi_engine::{Engine, build};

    use super::*;
    use crate::testing;

    std::thread_local! {
        /// What the sequences of this thread's test were given.
        static GIVEN: Mutex<Vec<String>> = const { Mutex::new(Vec::new()) };
    }

    #[derive(Debug)]
    struct Note;

    impl Mediator for Note {
        fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
            let message = &cx.message;
            let payload = if message.body.is_json() {
                message.body.json()?.to_string()
            } else {
                let envelope = message.body.envelope()?;
                let payload = envelope.payload().map(|payload| envelope.document().to_xml(payload));
                format!("{:?} {}", envelope.version(), payload.unwrap_or_default())
            };
            let text = |value: Option<&str>| value.unwrap_or("-").to_owned();
            let parts = [
                cx.artifact.log_prefix.to_string(),
                payload,
                if message.rest { "rest".to_owned() } else { "soap".to_owned() },
                text(message.axis2.get_str("HTTP_METHOD").or(message.axis2.get_str("messageType"))),
                text(message.addressing.to.as_deref()),
                text(message.addressing.action.as_deref()),
                text(message.properties.get_str("task.name")),
            ];
            GIVEN.with(|given| given.lock().unwrap().push(parts.join("|")));
            Ok(Flow::Next)
        }
    }

    fn note(_: &Element, _: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
        Ok(Box::new(Note))
    }

    /// Runs a task with these properties once; what arrived, or why nothing did.
    fn run(properties: &str) -> Result<String, String> {
        let class = SPEC.class;
        let task = format!("<task name='T' class='{class}'><trigger once='true'/>{properties}</task>");
        let artifacts: Vec<_> = [
            task.as_str(),
            "<sequence name='main'><note/></sequence>",
            "<sequence name='S'><note/></sequence>",
            "<proxy name='P'><target><inSequence><note/></inSequence></target></proxy>",
            "<localEntry key='xml'><a>\n  <b/>\n</a></localEntry>",
            "<localEntry key='text'>&lt;t/></localEntry>",
            "<localEntry key='bad'>&lt;t</localEntry>",
        ]
        .into_iter()
        .flat_map(|xml| parse_artifact(SourceFile::new("test.xml", xml.as_bytes().to_vec())).0)
        .collect();
        let mut services = Arc::into_inner(testing::services()).unwrap();
        services.specs = Arc::new(Specs::new(&[&[MediatorSpec::new("note", note)]]).with_tasks(super::super::TABLE));
        let built = build(&artifacts, Arc::new(services), Settings::default());
        assert!(built.failed.is_empty(), "{:?}", built.failed);
        let engine = Arc::new(Engine::new(built.snapshot));
        let task = engine.snapshot().tasks[0].clone();
        let cx = JobCx { name: "T".into(), engine };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ran = runtime.block_on(task.job.run(&cx));
        let given = GIVEN.with(|given| std::mem::take(&mut *given.lock().unwrap()));
        assert_eq!(given.len(), usize::from(ran.is_ok()), "{properties}");
        ran.map(|()| given.into_iter().next().unwrap_or_default())
    }

    fn text(name: &str, value: &str) -> String {
        format!("<property name='{name}' value='{value}'/>")
    }

    #[track_caller]
    fn check(properties: &[String], expected: &str) {
        let ran = run(&properties.concat());
        assert_eq!(ran.as_deref(), Ok(expected), "{properties:?}");
    }

    fn message() -> String {
        "<property name='message'><m xmlns='urn:m'><n/></m></property>".to_owned()
    }

    const MESSAGE: &str = "<m xmlns='urn:m'><n/></m>";

    #[test]
    fn targets_and_formats() {
        let soap12 = format!("|Soap12 {MESSAGE}|soap|-|-|-|T");
        check(&[message()], &soap12);
        check(&[message(), text("injectTo", "main"), text("format", "soap12")], &soap12);
        check(&[message(), text("injectTo", "Sequence"), text("sequenceName", "S")], &soap12);
        check(&[message(), text("format", "soap11")], &format!("|Soap11 {MESSAGE}|soap|-|-|-|T"));
        check(&[message(), text("format", "POX")], &format!("|Soap12 {MESSAGE}|rest|-|-|-|T"));
        check(&[message(), text("format", "get")], &format!("|Soap12 {MESSAGE}|rest|GET|-|-|T"));
        check(&[message(), text("format", "json")], &format!("|Soap12 {MESSAGE}|rest|application/json|-|-|T"));
        check(&[message(), text("format", "odd")], &soap12);
        let addressed = [message(), text("to", "http://h/x"), text("soapAction", "urn:go")];
        check(&addressed, &format!("|Soap12 {MESSAGE}|soap|-|http://h/x|urn:go|T"));
        let proxy = [message(), text("injectTo", "proxy"), text("proxyName", "P")];
        check(&proxy, &format!("{{proxy:P}} |Soap12 {MESSAGE}|soap|-|-|-|T"));
    }

    #[test]
    fn other_messages() {
        check(&[text("message", "{\"a\": 1}")], "|{\"a\":1}|rest|application/json|-|-|T");
        check(&["<property name='message' value='&lt;a/>'/>".to_owned()], "|Soap12 <a/>|soap|-|-|-|T");
        check(&[text("registryKey", "xml")], "|Soap12 <a><b/></a>|soap|-|-|-|T");
        check(&[text("registryKey", "text"), message()], "|Soap12 <t/>|soap|-|-|-|T");
    }

    #[test]
    fn what_is_missing_is_said_at_each_run() {
        for (properties, part) in [
            (String::new(), "message or registry-key not set"),
            (text("registryKey", "none"), "Key none not found"),
            (text("registryKey", "bad"), "Error parsing XML"),
            ([message(), text("injectTo", "sequence")].concat(), "Sequence name not specified"),
            ([message(), text("injectTo", "sequence"), text("sequenceName", "X")].concat(), "Sequence: X not found"),
            ([message(), text("injectTo", "proxy")].concat(), "Proxy service name not specified"),
            ([message(), text("injectTo", "proxy"), text("proxyName", "X")].concat(), "Proxy Service: X not found"),
            (
                [message(), text("injectTo", "proxy"), text("proxyName", "P"), text("format", "odd")].concat(),
                "incorrect format",
            ),
        ] {
            let why = run(&properties).expect_err(&properties);
            assert!(why.contains(part), "{properties}: {why}");
        }
    }
}
