//! Deploys what a suite names and runs its cases. MI: `TestingAgent`, `TestCasesMediator`, `Assertor`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use http::{Method, Version};
use http_body_util::{BodyExt, Full};
use mi_config::{Artifact, Element};
use mi_data::Databases;
use mi_deployer::{Deployed, Origin, RegistryResource};
use mi_engine::exchange::RequestInfo;
use mi_engine::transport::{HttpReply, HttpRequest, Payload};
use mi_engine::{ArtifactInfo, Context, Engine, Exchange, flow};
use mi_message::{Body, Headers, Message, Native, Text};

use super::compare::normal;
use super::mocks::{Mock, Mocked};
use super::suite::{Assertion, Case, Suite};
use crate::back_ends;
use crate::cli::{HomeArgs, RunArgs};
use crate::server::{self, Prepared};

/// Longest that a case may take; MI waits for its client without end.
const PATIENCE: Duration = Duration::from_mins(3);
/// Most bytes of an answer that are compared.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// What became of a case.
pub(super) struct Verdict {
    pub(super) name: String,
    pub(super) took: Duration,
    /// What did not hold, with its place; empty when it passed.
    pub(super) failures: Vec<String>,
}

/// A folder that goes away with the value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("micro-integrator-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// # Errors
/// Something of the suite cannot be deployed.
pub(super) fn run(suite: &Suite, define: &[String]) -> anyhow::Result<Vec<Verdict>> {
    let folder = Folder::new()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = deploy(suite, define, &folder.0)?;
        let mut verdicts = Vec::new();
        for case in &suite.cases {
            let began = std::time::Instant::now();
            let failures = match tokio::time::timeout(PATIENCE, run_case(suite, case, &engine)).await {
                Ok(Ok(failures)) => failures,
                Ok(Err(error)) => vec![format!("{error:#}")],
                Err(_) => vec![format!("there was no answer within {} s", PATIENCE.as_secs())],
            };
            verdicts.push(Verdict { name: case.name.clone(), took: began.elapsed(), failures });
        }
        Ok(verdicts)
    })
}

fn deploy(suite: &Suite, define: &[String], folder: &Path) -> anyhow::Result<Engine> {
    let libraries = folder.join("repository/deployment/server/synapse-libs");
    std::fs::create_dir_all(&libraries)?;
    for connector in &suite.connectors {
        let name = connector.file_name().ok_or_else(|| anyhow!("{} is no file", connector.display()))?;
        std::fs::copy(connector, libraries.join(name))
            .with_context(|| format!("cannot read {}", connector.display()))?;
    }
    let home = HomeArgs { home: Some(folder.to_path_buf()), define: define.to_vec() };
    let args = RunArgs { home, ..RunArgs::default() };
    let mut prepared = Prepared::read(&args)?;
    for resource in &suite.resources {
        let entry = RegistryResource {
            bytes: Some(resource.bytes.clone()),
            media_type: resource.media_type.clone(),
            ..RegistryResource::default()
        };
        let put = prepared.loaded.registry.put(&resource.key, entry);
        put.map_err(|error| anyhow!("cannot put the resource {} into the registry: {error}", resource.key))?;
    }
    // What is referred to stands before what refers to it.
    for artifact in suite.supporting.iter().chain([&suite.subject]) {
        let origin = Origin::File(PathBuf::from(&*artifact.source().name));
        prepared.loaded.artifacts.push(Deployed { artifact: artifact.clone(), origin });
    }
    let (client, senders) = back_ends::both(&args, &prepared)?;
    let client = Arc::new(Mocked { mocks: placed(suite), inner: client });
    let services = server::services(&prepared, client, senders, server::Lasting::default());
    let databases = Arc::new(Databases::new(folder));
    let deployed = prepared.deploy(services, &databases);
    let errors: Vec<String> = deployed.diagnostics.iter().filter(|it| it.is_error()).map(ToString::to_string).collect();
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(Engine::new(deployed.snapshot))
}

/// The mock services with the addresses of the endpoints that they stand for.
fn placed(suite: &Suite) -> Vec<Arc<Mock>> {
    let roots: Vec<&Element> = suite.supporting.iter().chain([&suite.subject]).map(Artifact::element).collect();
    let place = |mock: &Mock| {
        let authority = roots.iter().find_map(|root| endpoint(root, &mock.service)).and_then(|it| authority(&it));
        Arc::new(mock.at(authority))
    };
    suite.mocks.iter().map(place).collect()
}

/// The endpoint of that name, wherever it is defined.
fn endpoint(element: &Element, name: &str) -> Option<Element> {
    if element.name() == "endpoint" && element.attr("name").as_deref() == Some(name) {
        return Some(element.clone());
    }
    element.children().find_map(|child| endpoint(&child, name))
}

/// `host:port` of an endpoint, unless it is made for each message.
fn authority(endpoint: &Element) -> Option<String> {
    let leaf = endpoint.first_child()?;
    let address = leaf.attr("uri").or_else(|| leaf.attr("uri-template"))?;
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?']).next().filter(|it| !it.is_empty() && !it.contains(['{', '$']))?;
    let port = if scheme == "https" { 443 } else { 80 };
    let has_port = authority.rsplit(']').next().is_some_and(|it| it.contains(':'));
    Some(if has_port { authority.to_owned() } else { format!("{authority}:{port}") })
}

async fn run_case(suite: &Suite, case: &Case, engine: &Engine) -> anyhow::Result<Vec<String>> {
    match &suite.subject {
        Artifact::Api(api) => {
            let context = api.context.trim_end_matches('/');
            let target = match case.path.as_deref() {
                None | Some("/") => context.to_owned(),
                Some(path) if path.starts_with('/') => format!("{context}{path}"),
                Some(path) => format!("{context}/{path}"),
            };
            let method = case.method.as_deref().unwrap_or("GET");
            answered(case, engine, method, if target.is_empty() { "/".to_owned() } else { target }).await
        }
        Artifact::Proxy(proxy) => answered(case, engine, "POST", format!("/services/{}", proxy.name)).await,
        Artifact::Sequence(sequence) => mediated(case, engine, &sequence.name).await,
        other => bail!("only APIs, proxies and sequences can be tested, not `{}`", other.name()),
    }
}

/// A request to an API or a proxy.
async fn answered(case: &Case, engine: &Engine, method: &str, target: String) -> anyhow::Result<Vec<String>> {
    let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes()).context("the request method")?;
    let has_body = matches!(method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    let payload = case.payload.clone().filter(|_| has_body).unwrap_or_default();
    let mut headers = Headers::new();
    headers.set("Host", "localhost:8290");
    for (name, scope, value) in &case.properties {
        if scope == "transport" {
            headers.set(name.as_str(), value.as_str());
        }
    }
    if has_body {
        headers.set("Content-Length", payload.len().to_string());
        if !headers.contains("Content-Type") {
            headers.set("Content-Type", "text/plain; charset=UTF-8");
        }
    }
    let port = if case.secure { 8253 } else { 8290 };
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let request = HttpRequest {
        method,
        target: target.clone(),
        version: Version::HTTP_11,
        headers,
        body: Full::new(Bytes::from(payload)).map_err(|never| match never {}).boxed_unsync(),
        peer: here,
        local: here,
        secure: case.secure,
        client_certificate: None,
    };
    let reply = engine
        .serve(request, None)
        .await
        .ok_or_else(|| anyhow!("there was no answer for {target}; with --log the server says why"))?;
    let reply = Answer::read(reply).await?;
    Ok(case.assertions.iter().filter_map(|it| judge(it, reply.value(&it.actual))).collect())
}

/// An answer that was read to its end.
struct Answer {
    status: u16,
    headers: Headers,
    body: String,
}

impl Answer {
    async fn read(reply: HttpReply) -> anyhow::Result<Self> {
        let body = match reply.body {
            Payload::Empty => Bytes::new(),
            Payload::Bytes(bytes) => bytes,
            Payload::Stream(stream) => http_body_util::Limited::new(stream, MAX_ANSWER)
                .collect()
                .await
                .map_err(|cause| anyhow!("the answer broke off: {cause}"))?
                .to_bytes(),
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Self { status: reply.status.as_u16(), headers: reply.headers, body })
    }

    fn value(&self, expression: &str) -> Result<Option<String>, String> {
        match expression.split_once(':').unwrap_or((expression, "")) {
            ("$body", _) => Ok(Some(self.body.clone()).filter(|it| !it.is_empty())),
            ("$statusCode", _) => Ok(Some(self.status.to_string())),
            ("$httpVersion", _) => Ok(Some("HTTP/1.1".to_owned())),
            ("$trp", name) => Ok(self.headers.get(name).map(str::to_owned)),
            _ => Err(format!(
                "`{expression}` is nothing that an answer has: $body, $statusCode, $httpVersion, $trp:NAME"
            )),
        }
    }
}

/// A message through a sequence.
async fn mediated(case: &Case, engine: &Engine, name: &str) -> anyhow::Result<Vec<String>> {
    let snapshot = engine.snapshot();
    let sequence = snapshot.sequences.by_name(name).cloned().ok_or_else(|| anyhow!("there is no sequence {name}"))?;
    let (sender, mut receiver) = tokio::sync::oneshot::channel();
    let exchange = Arc::new(Exchange::new(RequestInfo::default(), sender));
    let mut cx = Context::new(message(case), snapshot, exchange, Arc::new(ArtifactInfo::default()));
    flow::run(&mut cx, sequence).await;
    if !cx.message.body.is_built() {
        flow::build_body(&mut cx).await.map_err(|fault| anyhow!("{}", fault.message))?;
    }
    // What was sent back left the message without its body.
    let reply = match receiver.try_recv() {
        Ok(reply) => Some(Answer::read(reply).await?),
        Err(_) => None,
    };
    let value = |expression: &str| match (&reply, expression) {
        (Some(reply), "$body") => reply.value("$body"),
        _ => value_of(&cx, expression),
    };
    Ok(case.assertions.iter().filter_map(|it| judge(it, value(&it.actual))).collect())
}

/// The message of a case: XML, JSON or text, whatever the payload can be read as.
fn message(case: &Case) -> Message {
    let mut message = Message::new();
    if let Some(payload) = &case.payload {
        let text = payload.trim();
        let text = text.strip_prefix("<![CDATA[").and_then(|it| it.strip_suffix("]]>")).unwrap_or(text);
        let is_json =
            || serde_json::from_str::<serde_json::Value>(text).is_ok_and(|it| it.is_object() || it.is_array());
        let content_type = if mi_xml::Document::parse(text.to_owned()).is_ok() {
            "application/xml"
        } else if is_json() {
            "application/json"
        } else {
            "text/plain"
        };
        message.body = Body::from_bytes(text.to_owned(), Some(content_type.into()));
        message.axis2.put("messageType", Text::Fixed(content_type));
        message.axis2.put("ContentType", Text::Fixed(content_type));
        message.rest = true;
    }
    for (name, scope, value) in &case.properties {
        match scope.as_str() {
            "axis2" => message.axis2.set(name.as_str(), value.as_str()),
            "transport" => message.headers.set(name.as_str(), value.as_str()),
            _ => message.properties.set(name.as_str(), value.as_str()),
        }
    }
    message
}

fn value_of(cx: &Context, expression: &str) -> Result<Option<String>, String> {
    let text = |value: Option<&mi_message::Value>| Ok(value.map(|it| it.to_text().to_string()));
    match expression.split_once(':').unwrap_or((expression, "")) {
        ("$body", _) => body(cx),
        ("$ctx", name) => text(cx.message.properties.get(name)),
        ("$axis2", name) => text(cx.message.axis2.get(name)),
        ("$trp", name) => Ok(cx.message.headers.get(name).map(str::to_owned)),
        _ if expression.starts_with("${") && expression.ends_with('}') => {
            let inner = &expression[2..expression.len() - 1];
            let parsed = mi_expr::Expr::synapse(inner, &mi_expr::Namespaces::new()).map_err(|it| it.to_string())?;
            let found = parsed.eval_text(&cx.message, &*cx.snapshot).map_err(|it| it.to_string())?;
            Ok(found.map(|it| it.to_string()))
        }
        _ => Err(format!(
            "`{expression}` is nothing that a message has: $body, $ctx:NAME, $axis2:NAME, $trp:NAME, ${{…}}"
        )),
    }
}

fn body(cx: &Context) -> Result<Option<String>, String> {
    match cx.message.body.native().map_err(|error| error.to_string())? {
        Native::Empty => Ok(None),
        Native::Json(json) => Ok(Some(String::from_utf8_lossy(json.text()).into_owned())),
        Native::Text(text) => Ok(Some(text.to_string())),
        Native::Binary(bytes) => Ok(Some(mi_message::convert::encode_base64(bytes))),
        Native::Xml(envelope) => Ok(envelope.payload().map(|payload| {
            let document = envelope.document();
            document.to_xml(payload)
        })),
    }
}

/// What is wrong; `None`: it holds.
fn judge(assertion: &Assertion, actual: Result<Option<String>, String>) -> Option<String> {
    let Assertion { expected, message, place, actual: expression } = assertion;
    let say = |what: String| {
        let note = if message.is_empty() { String::new() } else { format!("\n{message}") };
        Some(format!("{place}: {what}{note}"))
    };
    match (actual, expected) {
        (Err(error), _) => say(error),
        (Ok(Some(_)), None) => None,
        (Ok(None), None) => say(format!("{expression} is not there")),
        (Ok(actual), Some(expected)) => {
            let actual = actual.unwrap_or_default();
            if normal(&actual) == normal(expected) {
                return None;
            }
            say(format!(
                "{expression} is not what was expected\n  expected: {}\n  actual:   {}",
                expected.trim(),
                actual.trim()
            ))
        }
    }
}
