//! What several resources do with deployed artifacts: find them by kind, show their source, switch their aspects.

use std::sync::Arc;

use http::StatusCode;
use mi_config::params::{Aspects, Parameter, ParameterValue};
use mi_config::{
    ApiConfig, Artifact, ArtifactKind, Diagnostic, Element, EndpointConfig, EndpointTemplateConfig, InboundConfig,
    LocalEntryConfig, MessageProcessorConfig, MessageStoreConfig, ProxyConfig, SequenceConfig, SequenceTemplateConfig,
    TaskConfig,
};
use mi_engine::transport::HttpReply;
use serde_json::{Map, Value, json};

use crate::answer;
use crate::audit;
use crate::context::{Deployed, DeployedArtifact, ManagementContext};
use crate::masks::mask;
use crate::request::{Request, text};

macro_rules! by_kind {
    ($($function:ident: $variant:ident($config:ty)),* $(,)?) => {
        impl Deployed {
            $(
                pub(crate) fn $function(&self) -> impl Iterator<Item = (&$config, &DeployedArtifact)> {
                    self.artifacts.iter().filter_map(|it| match &it.artifact {
                        Artifact::$variant(config) => Some((config, it)),
                        _ => None,
                    })
                }
            )*
        }
    };
}

by_kind! {
    apis: Api(ApiConfig),
    proxies: Proxy(ProxyConfig),
    endpoints: Endpoint(EndpointConfig),
    sequences: Sequence(SequenceConfig),
    sequence_templates: SequenceTemplate(SequenceTemplateConfig),
    endpoint_templates: EndpointTemplate(EndpointTemplateConfig),
    local_entries: LocalEntry(LocalEntryConfig),
    inbounds: InboundEndpoint(InboundConfig),
    tasks: Task(TaskConfig),
    stores: MessageStore(MessageStoreConfig),
    processors: MessageProcessor(MessageProcessorConfig),
}

/// The source of an artifact without its secrets.
pub(crate) fn configuration(artifact: &DeployedArtifact) -> String {
    mask(&artifact.artifact.source_text())
}

/// The application that brought an artifact; left out for a loose one. MI: `getArtifactContainerName`.
pub(crate) fn container(artifact: &DeployedArtifact) -> Value {
    artifact.application.as_deref().map_or(Value::Null, Value::from)
}

/// What a listing says of an artifact: `"degraded": true` is added where steps of it cannot run here.
pub(crate) fn mark(mut brief: Value, artifact: &DeployedArtifact) -> Value {
    if !artifact.degraded.is_empty() {
        brief["degraded"] = true.into();
    }
    brief
}

/// What is said of one artifact: `degraded` lists the steps (or the artifact itself) that cannot run here, with the class and its options where
/// the step names them, the reason, what to do, and the place in the source.
pub(crate) fn explain(mut whole: Value, artifact: &DeployedArtifact) -> Value {
    let steps: Vec<Value> = artifact.degraded.iter().map(|it| step(artifact.artifact.element(), it)).collect();
    if !steps.is_empty() {
        whole["degraded"] = steps.into();
    }
    whole
}

fn step(root: &Element, warning: &Diagnostic) -> Value {
    let found = at(root, (warning.line, warning.column));
    // What names a class on a step names the artifact itself at its root.
    let is_root = |it: &Element| it.position() == root.position();
    let class = |step: &Element| {
        let names: &[&str] = if is_root(step) { &["class"] } else { &["class", "name", "jndiName"] };
        names.iter().find_map(|name| Some(step.filled_attr(name)?.into_owned()))
    };
    let option = |it: Element| {
        let name = it.attr("name")?.into_owned();
        let value = it.attr("value").or_else(|| it.attr("expression")).unwrap_or_default().into_owned();
        let value = if crate::masks::is_secret_option(&name) { crate::masks::masked().to_owned() } else { value };
        Some((name, Value::from(value)))
    };
    let options = |step: &Element| step.children_named("property").filter_map(option).collect::<Map<String, Value>>();
    without_nulls(json!({
        "mediator": found.as_ref().filter(|it| !is_root(it)).map(Element::name),
        "class": found.as_ref().and_then(class),
        "options": found.as_ref().map(options).filter(|it| !it.is_empty()),
        "reason": warning.message,
        "hint": warning.hint,
        "line": warning.line,
        "column": warning.column,
    }))
}

/// The element that begins at a place.
fn at(root: &Element, place: (u32, u32)) -> Option<Element> {
    let mut open = vec![root.clone()];
    while let Some(element) = open.pop() {
        if element.position() == place {
            return Some(element);
        }
        open.extend(element.children());
    }
    None
}

/// An object without the members that are null, which MI's JSON library leaves out.
pub(crate) fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, value| !value.is_null());
    }
    value
}

/// Parameters by name as text; passwords are not shown.
pub(crate) fn parameters(parameters: &[Parameter]) -> Map<String, Value> {
    let shown = |parameter: &Parameter| {
        let value = match &parameter.value {
            _ if crate::masks::is_secret(&parameter.name) => crate::masks::masked().to_owned(),
            ParameterValue::Text(text) => mask(text),
            ParameterValue::Key(key) => key.clone(),
            ParameterValue::Expression(_) => parameter.element.attr("expression").unwrap_or_default().into_owned(),
            ParameterValue::Xml(element) => mask(&element.to_xml()),
        };
        (parameter.name.clone(), Value::from(value))
    };
    parameters.iter().map(shown).collect()
}

/// An artifact whose tracing or statistics a request is about.
pub(crate) struct Subject<'a> {
    pub(crate) kind: ArtifactKind,
    pub(crate) name: &'a str,
    pub(crate) configured: Aspects,
    /// Beginning of the type in the audit log, such as `api_`.
    pub(crate) audit: &'static str,
    pub(crate) info: Value,
}

/// Switches tracing or statistics. MI: `Utils#handleResourceStateChange`.
pub(crate) fn change_aspects(
    cx: &ManagementContext,
    request: &Request,
    payload: &Map<String, Value>,
    subject: Subject<'_>,
) -> HttpReply {
    let (member, what) = if payload.contains_key("trace") {
        ("trace", "tracing")
    } else if payload.contains_key("statistics") {
        ("statistics", "statistics")
    } else {
        return answer::bad("Invalid payload. Required parameter is missing.");
    };
    let wanted = text(payload, member).unwrap_or_default();
    let (on, done) = match wanted.to_ascii_lowercase().as_str() {
        "enable" => (true, "Enabled"),
        "disable" => (false, "Disabled"),
        _ => return answer::bad(format!("Invalid value for state {member}")),
    };
    let mut aspects = cx.switches.aspects(subject.kind, subject.name, subject.configured);
    if member == "trace" {
        aspects.trace = on;
        let kind = match subject.kind {
            ArtifactKind::Api => Some("api"),
            ArtifactKind::Proxy => Some("proxy"),
            _ => None,
        };
        if let Some(kind) = kind {
            cx.engine.snapshot().services.watch.set_traced(kind, subject.name, on);
        }
    } else {
        aspects.statistics = on;
    }
    cx.switches.set_aspects(subject.kind, subject.name, aspects);
    audit::change(request, &format!("{}{member}", subject.audit), answer::enabled(on), &subject.info);
    let message = format!("{done} {what} for ('{}')", subject.name);
    log::info!(target: "Utils", "{message}");
    answer::ok(&json!({"message": message}))
}

/// Something that can be started and stopped by a `status`.
pub(crate) struct Startable<'a> {
    pub(crate) kind: ArtifactKind,
    pub(crate) name: &'a str,
    pub(crate) audit: &'static str,
    pub(crate) info: Value,
}

/// Starts or stops an inbound endpoint, a task or a message processor.
pub(crate) fn change_state(cx: &ManagementContext, request: &Request, status: &str, it: Startable<'_>) -> HttpReply {
    let on = match status.to_ascii_lowercase().as_str() {
        "active" => true,
        "inactive" => false,
        _ => return answer::bad("Provided state is not valid"),
    };
    if let Some(Err(why)) = cx.run.set_active(it.kind, it.name, on) {
        return answer::error(StatusCode::INTERNAL_SERVER_ERROR, why);
    }
    cx.switches.set_running(it.kind, it.name, on);
    audit::change(request, it.audit, answer::enabled(on), &it.info);
    let done = if on { "activated" } else { "deactivated" };
    answer::message(format!("{} : is {done}", it.name))
}

/// Does it run? The server knows best, then what operators said, then the configuration.
pub(crate) fn is_active(cx: &ManagementContext, kind: ArtifactKind, name: &str, configured: bool) -> bool {
    cx.run.is_active(kind, name).or_else(|| cx.switches.running(kind, name)).unwrap_or(configured)
}

/// What is deployed at the moment.
pub(crate) fn deployed(cx: &ManagementContext) -> Arc<Deployed> {
    cx.deployed.load_full()
}
