//! What is written about messages as they pass: the access log, the correlation log, the id on their log lines, and
//! spans. Everything is made by the thread that serves the message and written by others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use http::StatusCode;
use mi_engine::ArtifactInfo;
use mi_engine::trail::{Called, Observer, Span, Trail};
use mi_engine::transport::{HttpReply, HttpRequest, Outgoing};

use crate::access::{self, AccessPattern};
use crate::log::with_context;
use crate::trace::{self, Attribute, Kind, Parent, SpanData, Tracer};

/// Logger of the access log. MI: `AccessHandler`.
pub const ACCESS: &str = "org.apache.synapse.transport.http.access.logs";
/// Logger of the correlation log. MI: `PassThroughConstants#CORRELATION_LOGGER`.
pub const CORRELATION: &str = "correlation";
/// What `%X{…}` of a pattern calls the id of a message.
pub const CORRELATION_ID: &str = "Correlation-ID";
/// Longest id that is taken from a client.
const ID_LENGTH: usize = 128;

/// What is to be written.
#[derive(Clone, Default)]
pub struct Settings {
    /// Lines of the access log.
    pub access: Option<AccessPattern>,
    /// Is the correlation log written? Switched while the server runs.
    pub correlation: Arc<AtomicBool>,
    /// Header field that carries the id of a message from system to system; `activityid` in MI.
    pub header: String,
    /// Do log lines show ids of messages?
    pub ids: bool,
    /// Where spans go.
    pub tracer: Option<Tracer>,
}

/// Follows requests as the settings say.
pub struct Follow(Arc<Settings>);

impl Follow {
    /// Follows from now on.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }
}

impl Observer for Follow {
    fn request(&self, request: &mut HttpRequest) -> Option<Arc<dyn Trail>> {
        let settings = &self.0;
        let correlates = settings.correlation.load(Ordering::Relaxed);
        if !correlates && !settings.ids && settings.access.is_none() && settings.tracer.is_none() {
            return None;
        }
        let given = request.headers.get(&settings.header).filter(|id| usable(id)).map(Arc::<str>::from);
        let id = given.clone().unwrap_or_else(|| trace::uuid().into());
        if correlates && given.is_none() {
            request.headers.set(settings.header.as_str(), id.clone());
        }
        let access = settings.access.as_ref().map(|pattern| pattern.request(request));
        let correlated = correlates.then(|| {
            let peer = request.peer.port();
            format!("http-incoming-{peer}|{}|{}", request.method, one_line(&request.target))
        });
        let traced = settings.tracer.clone().and_then(|tracer| Traced::begin(tracer, request));
        let trail = Followed {
            settings: settings.clone(),
            id,
            began: Instant::now(),
            access,
            correlated,
            traced,
            ended: AtomicBool::new(false),
        };
        Some(Arc::new(trail))
    }
}

/// Can the id stand in log lines and header fields?
fn usable(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_LENGTH && id.bytes().all(|it| it.is_ascii_graphic() && it != b'|')
}

/// What a client sent, so that it stays within its line and its column.
fn one_line(text: &str) -> String {
    text.chars().map(|it| if it.is_control() || it == '|' { '?' } else { it }).collect()
}

struct Followed {
    settings: Arc<Settings>,
    id: Arc<str>,
    began: Instant,
    access: Option<access::Request>,
    /// Connection, method and target, when the correlation log was on.
    correlated: Option<String>,
    traced: Option<Arc<Traced>>,
    ended: AtomicBool,
}

impl Followed {
    fn correlate(&self, line: std::fmt::Arguments<'_>) {
        with_context(CORRELATION_ID, self.id.to_string(), || log::info!(target: CORRELATION, "{line}"));
    }

    fn end(&self, reply: Option<&HttpReply>) {
        if self.ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let took = self.began.elapsed();
        if let Some((pattern, request)) = self.settings.access.as_ref().zip(self.access.as_ref()) {
            log::info!(target: ACCESS, "{}", pattern.line(request, reply, took));
        }
        if let Some(what) = &self.correlated {
            let outcome = if reply.is_some() { "ROUND-TRIP LATENCY" } else { "TIMEOUT" };
            self.correlate(format_args!("{}|HTTP|{what}|{outcome}", took.as_millis()));
        }
        if let Some(traced) = &self.traced {
            traced.end(&self.id, reply.map(|reply| reply.status));
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.end(None);
    }
}

impl Trail for Followed {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn dispatched(&self, artifact: &ArtifactInfo) {
        if let Some(traced) = &self.traced {
            // A second flow of the same request belongs to the first.
            traced.artifact.get_or_init(|| (artifact.kind, artifact.name.clone()));
        }
    }

    fn answered(&self, reply: Option<&HttpReply>) {
        self.end(reply);
    }

    fn calls(&self, request: &mut Outgoing, parent: Option<u64>) -> Box<dyn Called> {
        let scheme = if request.secure { "https" } else { "http" };
        let url = format!("{scheme}://{}:{}{}", request.host, request.port, one_line(&request.target));
        if self.correlated.is_some() && !request.headers.contains(&self.settings.header) {
            request.headers.set(self.settings.header.as_str(), self.id.clone());
        }
        let span = self.traced.as_ref().map(|traced| {
            let method = request.method.as_str();
            let mut span = traced.child(method, Kind::Client, parent);
            let header = Parent { trace: span.trace, span: span.id, sampled: true }.header();
            request.headers.set("traceparent", header);
            span.attributes = vec![
                ("http.request.method".to_owned(), method.into()),
                ("url.full".to_owned(), Attribute::Text(url.clone())),
                ("server.address".to_owned(), Attribute::Text(request.host.to_string())),
                ("server.port".to_owned(), Attribute::Int(i64::from(request.port))),
            ];
            (traced.clone(), span)
        });
        let correlates = self.correlated.is_some().then(|| (self.id.clone(), url));
        Box::new(Call { began: Instant::now(), correlates, span })
    }

    fn step(&self, name: &'static str, parent: Option<u64>) -> Option<Box<dyn Span>> {
        let traced = self.traced.as_ref()?;
        let name = mediator_name(name);
        if traced.tracer.is_filtered(&name) {
            return None;
        }
        let mut span = traced.child(&name, Kind::Internal, parent);
        span.attributes =
            vec![("componentName".to_owned(), Attribute::Text(name)), ("componentType".to_owned(), "Mediator".into())];
        Some(Box::new(Step { tracer: traced.tracer.clone(), span: Some(span) }))
    }
}

/// Steps whose class in MI is not called after them.
const CLASSES: &[(&str, &str)] = &[
    ("CallTemplate", "InvokeMediator"),
    ("DbLookup", "DBLookupMediator"),
    ("DbReport", "DBReportMediator"),
    ("FastXslt", "FastXSLTMediator"),
    ("ForEachCollection", "ForEachMediatorV2"),
    ("Guarded", "InvokeMediator"),
    ("JsonTransform", "JSONTransformMediator"),
    ("MakeFault", "FaultMediator"),
    ("Mediating", "XSLTMediator"),
    ("OAuthService", "OAuthMediator"),
    ("Operation", "InvokeMediator"),
    ("Rewrite", "URLRewriteMediator"),
    ("Rules", "RuleMediator"),
    ("ScatterGather", "ScatterGather"),
    ("SequenceStep", "SequenceMediator"),
    ("StoreMediator", "MessageStoreMediator"),
    ("ThrowError", "ThrowError"),
];

/// As MI calls mediators, such as `LogMediator`. MI: `AbstractMediator#getMediatorName`.
fn mediator_name(name: &str) -> String {
    if let Some((_, class)) = CLASSES.iter().find(|(known, _)| *known == name) {
        return (*class).to_owned();
    }
    if name.ends_with("Mediator") { name.to_owned() } else { format!("{name}Mediator") }
}

/// A request that is part of a trace.
struct Traced {
    tracer: Tracer,
    root: Mutex<Option<SpanData>>,
    trace: u128,
    id: u64,
    artifact: OnceLock<(&'static str, Arc<str>)>,
}

impl Traced {
    /// `None` when whoever sent the request does not want it recorded.
    fn begin(tracer: Tracer, request: &mut HttpRequest) -> Option<Arc<Self>> {
        let parent = request.headers.get("traceparent").and_then(Parent::parse);
        if parent.is_some_and(|parent| !parent.sampled) {
            return None;
        }
        let random = || (u128::from(trace::random()) << 64) | u128::from(trace::random());
        let trace = parent.map_or_else(random, |parent| parent.trace);
        let id = trace::random();
        let path = request.target.split('?').next().unwrap_or_default();
        let mut attributes = vec![
            ("http.request.method".to_owned(), request.method.as_str().into()),
            ("url.path".to_owned(), path.into()),
            ("client.address".to_owned(), Attribute::Text(request.peer.ip().to_string())),
        ];
        for tag in tracer.tags() {
            if let Some(value) = request.headers.get(tag) {
                attributes.push((tag.clone(), value.into()));
            }
        }
        request.headers.set("traceparent", Parent { trace, span: id, sampled: true }.header());
        let span = SpanData {
            trace,
            id,
            parent: parent.map_or(0, |parent| parent.span),
            name: format!("{} {path}", request.method),
            kind: Kind::Server,
            began: trace::now(),
            ended: 0,
            attributes,
            error: None,
        };
        Some(Arc::new(Self { tracer, root: Mutex::new(Some(span)), trace, id, artifact: OnceLock::new() }))
    }

    fn child(&self, name: &str, kind: Kind, parent: Option<u64>) -> SpanData {
        SpanData {
            trace: self.trace,
            id: trace::random(),
            parent: parent.unwrap_or(self.id),
            name: name.to_owned(),
            kind,
            began: trace::now(),
            ended: 0,
            attributes: Vec::new(),
            error: None,
        }
    }

    fn end(&self, id: &str, status: Option<StatusCode>) {
        let Some(mut span) = self.root.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Some((kind, name)) = self.artifact.get() {
            span.name = name.to_string();
            let kind = match *kind {
                "api" => "API",
                "proxy" => "Proxy Service",
                "inboundendpoint" => "Inbound EndPoint",
                other => other,
            };
            span.attributes.push(("componentName".to_owned(), (&**name).into()));
            span.attributes.push(("componentType".to_owned(), kind.into()));
        }
        span.attributes.push(("CorrelationId".to_owned(), id.into()));
        match status {
            Some(status) => {
                let code = Attribute::Int(i64::from(status.as_u16()));
                span.attributes.push(("http.response.status_code".to_owned(), code));
                span.error = status.is_server_error().then(|| status.to_string());
            }
            None => span.error = Some("no answer".to_owned()),
        }
        span.ended = trace::now();
        self.tracer.send(span);
    }
}

struct Step {
    tracer: Tracer,
    span: Option<SpanData>,
}

impl Span for Step {
    fn id(&self) -> u64 {
        self.span.as_ref().map_or(0, |span| span.id)
    }

    fn failed(&mut self, why: &str) {
        if let Some(span) = &mut self.span {
            span.error = Some(why.to_owned());
            span.attributes.push(("error.message".to_owned(), why.into()));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.ended = trace::now();
            self.tracer.send(span);
        }
    }
}

struct Call {
    began: Instant,
    /// Id of the message and URL.
    correlates: Option<(Arc<str>, String)>,
    span: Option<(Arc<Traced>, SpanData)>,
}

impl Called for Call {
    fn ended(self: Box<Self>, outcome: Result<StatusCode, &str>) {
        if let Some((id, url)) = self.correlates {
            let what = if outcome.is_ok() { "BACKEND LATENCY" } else { "BACKEND FAILURE" };
            let took = self.began.elapsed().as_millis();
            with_context(CORRELATION_ID, id.to_string(), || {
                log::info!(target: CORRELATION, "{took}|HTTP|{url}|{what}");
            });
        }
        let Some((traced, mut span)) = self.span else { return };
        match outcome {
            Ok(status) => {
                let code = Attribute::Int(i64::from(status.as_u16()));
                span.attributes.push(("http.response.status_code".to_owned(), code));
                span.error = status.is_server_error().then(|| status.to_string());
            }
            Err(why) => span.error = Some(why.to_owned()),
        }
        span.ended = trace::now();
        traced.tracer.send(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(settings: Settings, fields: &[(&'static str, &str)]) -> (HttpRequest, Option<Arc<dyn Trail>>) {
        let mut request = access::request("/a", fields);
        let trail = Follow::new(settings).request(&mut request);
        (request, trail)
    }

    fn correlating() -> Settings {
        let header = "activityid".to_owned();
        Settings { correlation: Arc::new(AtomicBool::new(true)), header, ..Settings::default() }
    }

    #[test]
    fn mediators_are_called_as_in_mi() {
        for (step, expected) in [
            ("Log", "LogMediator"),
            ("CacheMediator", "CacheMediator"),
            ("SequenceStep", "SequenceMediator"),
            ("Mediating", "XSLTMediator"),
            ("ThrowError", "ThrowError"),
        ] {
            assert_eq!(mediator_name(step), expected);
        }
    }

    #[test]
    fn nothing_is_followed_unless_somebody_wants_to_know() {
        assert!(follow(Settings::default(), &[]).1.is_none());
        assert!(follow(Settings { ids: true, ..Settings::default() }, &[]).1.is_some());
    }

    #[test]
    fn ids_go_from_system_to_system() {
        let (request, trail) = follow(correlating(), &[("activityid", "abc")]);
        assert_eq!(&**trail.expect("followed").id(), "abc");
        assert_eq!(request.headers.get("activityid"), Some("abc"));
        for forged in ["", "a|b", "a b", "a\u{e9}"] {
            let (request, trail) = follow(correlating(), &[("activityid", forged)]);
            let trail = trail.expect("followed");
            assert_eq!(trail.id().len(), 36, "{forged}");
            assert_eq!(request.headers.get("activityid"), Some(&**trail.id()));
        }
    }
}
