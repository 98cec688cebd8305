//! `org.apache.synapse.startup.tasks.MessageInjector` hands a message to `main`, a sequence or a proxy.
//!
//! What is missing is found out when it runs, and logged each time, as in MI. The mediation is part of the run, so that
//! a slow one delays the next instead of piling up.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::task::TaskPropertyValue;
use mi_config::{Diagnostic, Element, TaskConfig};
use mi_engine::build::BuildCx;
use mi_engine::inbound::{Injector, Route};
use mi_engine::scheduler::{Job, JobCx};
use mi_engine::snapshot::Snapshot;
use mi_engine::spec::TaskSpec;
use mi_expr::Lookup;
use mi_message::{Body, Envelope, Message, SoapVersion, Value};
use mi_xml::{Document, NodeId, NodeKind};

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

const PROPERTIES: [&str; 10] = [
    "message",
    "injectTo",
    "sequenceName",
    "proxyName",
    "to",
    "soapAction",
    "format",
    "registryKey",
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
            None | Some("soap12" | "pox" | "get") => SoapVersion::Soap12,
            Some(_) if matches!(self.target, Target::Proxy(_)) => return Err("incorrect format specified".to_owned()),
            Some(_) => SoapVersion::Soap12,
        };
        let mut message = Message::new();
        message.body = self.body(snapshot, version)?;
        message.body.set_options(snapshot.settings.convert.clone());
        message.rest = message.body.is_json() || matches!(self.format.as_deref(), Some("pox" | "get"));
        if message.body.is_json() {
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
            let entry = snapshot.local_entry(key).or_else(|| snapshot.registry(key));
            return match entry.ok_or_else(|| format!("Key {key} not found "))? {
                Value::Xml(value) => without_indentation(&value.to_xml(), version),
                other => of_text(&other.to_text(), version),
            };
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

/// MI strips blank text between elements from what is kept in the registry.
fn without_indentation(xml: &str, version: SoapVersion) -> Result<Body, String> {
    let mut document = Document::parse(xml.as_bytes().to_vec()).map_err(|error| error.to_string())?;
    let root = document.root_element().ok_or("the message has no root element")?;
    let blank: Vec<NodeId> = document
        .descendants(root)
        .filter(|node| document.kind(*node) == NodeKind::Text && document.string_value(*node).trim().is_empty())
        .collect();
    for node in blank {
        document.detach(node);
    }
    Ok(enveloped(&document, root, version))
}
