//! The thread that sends spans in batches, so that no message waits for a collector. MI: `BatchSpanProcessor`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::BodyExt;
use mi_engine::transport::{HttpClient, Incoming, Outgoing, Payload};
use mi_message::Headers;
use tokio::sync::mpsc;

use super::{SpanData, otlp};

/// What MI calls its instrumentation.
const SCOPE: &str = "org.wso2.synapse.tracing.telemetry";
const LOGGER: &str = "OTLPTelemetryManager";
/// Longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// How the collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over HTTP, as protobuf.
    Http,
    /// OTLP over gRPC.
    Grpc,
}

/// Where the collector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// https?
    pub secure: bool,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path.
    pub path: String,
}

impl Endpoint {
    /// Reads a URL. A path that is missing is that of the protocol.
    pub fn parse(url: &str, protocol: Protocol) -> Option<Self> {
        let uri: http::Uri = url.trim().parse().ok()?;
        let secure = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let path = match (protocol, uri.path()) {
            (Protocol::Grpc, _) => GRPC_PATH,
            (Protocol::Http, "" | "/") => "/v1/traces",
            (Protocol::Http, path) => path,
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Some(Self { secure, host: uri.host()?.to_owned(), port, path: path.to_owned() })
    }
}

/// `[opentelemetry]` of `deployment.toml`.
#[derive(Clone, Debug)]
pub struct TraceConfig {
    /// Collector.
    pub endpoint: Endpoint,
    /// Its protocol.
    pub protocol: Protocol,
    /// Header fields for the collector, such as a key.
    pub headers: Vec<(String, String)>,
    /// Attributes of this server; `service.name` among them.
    pub resource: Vec<(String, String)>,
    /// Header fields of requests that become attributes.
    pub tags: Vec<String>,
    /// Mediators that get no span.
    pub filtered: Vec<String>,
    /// Spans that may wait.
    pub queue: usize,
    /// Spans in one request.
    pub batch: usize,
    /// Longest time that a span waits for others.
    pub delay: Duration,
    /// Longest time that the collector may take.
    pub timeout: Duration,
}

enum Job {
    Span(SpanData),
    Flush(blocking::Sender<()>),
}

pub(super) struct Exporter {
    queue: mpsc::Sender<Job>,
    dropped: Arc<AtomicU64>,
}

impl Exporter {
    pub(super) fn start(config: TraceConfig, client: Arc<dyn HttpClient>) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(config.queue.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let worker = Worker { config, client, dropped: dropped.clone(), failing: false };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new()
            .name("otlp-exporter".to_owned())
            .spawn(move || runtime.block_on(worker.run(jobs)))?;
        Ok(Self { queue, dropped })
    }

    /// Never waits: what finds the queue full is counted and lost.
    pub(super) fn send(&self, span: SpanData) {
        if self.queue.try_send(Job::Span(span)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn flush(&self, within: Duration) {
        let (done, wait) = blocking::channel();
        if self.queue.try_send(Job::Flush(done)).is_ok() && wait.recv_timeout(within).is_err() {
            log::warn!(target: LOGGER, "The last spans were not sent within {} ms", within.as_millis());
        }
    }
}

struct Worker {
    config: TraceConfig,
    client: Arc<dyn HttpClient>,
    dropped: Arc<AtomicU64>,
    /// Did the last request fail? Only the first failure in a row is told.
    failing: bool,
}

impl Worker {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(self.config.batch);
        while let Some(first) = jobs.recv().await {
            let mut waiting = Vec::new();
            let full = tokio::time::Instant::now() + self.config.delay;
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Span(span) => batch.push(span),
                    Job::Flush(done) => waiting.push(done),
                }
                if batch.len() >= self.config.batch || !waiting.is_empty() {
                    break;
                }
                next = tokio::time::timeout_at(full, jobs.recv()).await.unwrap_or(None);
            }
            self.export(&batch).await;
            batch.clear();
            for done in waiting {
                // Nobody listens any more when the server has ended without waiting.
                done.send(()).ok();
            }
        }
    }

    async fn export(&mut self, batch: &[SpanData]) {
        if batch.is_empty() {
            return;
        }
        let exchange = async {
            match self.client.send(self.request(batch)).await {
                Ok(answer) => trouble_of(answer).await,
                Err(error) => Some(error.message),
            }
        };
        let trouble = match tokio::time::timeout(self.config.timeout, exchange).await {
            Ok(trouble) => trouble,
            Err(_) => Some(format!("no answer within {} ms", self.config.timeout.as_millis())),
        };
        let lost = self.dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            log::warn!(target: LOGGER, "{lost} spans are lost: more than {} were waiting", self.config.queue);
        }
        match trouble {
            Some(why) if !self.failing => {
                let Endpoint { host, port, path, .. } = &self.config.endpoint;
                log::warn!(target: LOGGER, "{} spans were not taken by {host}:{port}{path}: {why}", batch.len());
                self.failing = true;
            }
            Some(_) => {}
            None => self.failing = false,
        }
    }

    fn request(&self, batch: &[SpanData]) -> Outgoing {
        let message = otlp::request(&self.config.resource, SCOPE, batch);
        let mut headers = Headers::new();
        let (version, body) = match self.config.protocol {
            Protocol::Http => {
                headers.set("Content-Type", "application/x-protobuf");
                (Version::HTTP_11, message)
            }
            Protocol::Grpc => {
                headers.set("Content-Type", "application/grpc");
                headers.set("TE", "trailers");
                (Version::HTTP_2, framed(&message))
            }
        };
        for (name, value) in &self.config.headers {
            headers.set(name.as_str(), value.as_str());
        }
        let endpoint = &self.config.endpoint;
        Outgoing {
            method: Method::POST,
            secure: endpoint.secure,
            host: endpoint.host.as_str().into(),
            port: endpoint.port,
            target: endpoint.path.clone(),
            version,
            headers,
            body: Payload::Bytes(Bytes::from(body)),
            chunked: false,
            close: false,
            timeout: Some(self.config.timeout),
        }
    }
}

/// Why a collector did not take what it was sent. The answer is read to its end: gRPC says so behind the body, and a connection
/// whose answer is unread is of no further use.
async fn trouble_of(answer: Incoming) -> Option<String> {
    if !answer.status.is_success() {
        return Some(format!("status {}", answer.status));
    }
    let mut code = answer.headers.get("grpc-status").map(str::to_owned);
    let mut text = answer.headers.get("grpc-message").map(str::to_owned);
    let (mut body, mut read) = (answer.body, 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Some("the answer breaks off".to_owned()) };
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > MAX_ANSWER {
            break;
        }
        if let Some(fields) = frame.trailers_ref() {
            let field = |name: &str| fields.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned);
            code = field("grpc-status").or(code);
            text = field("grpc-message").or(text);
        }
    }
    let code = code.filter(|it| it != "0")?;
    // What stands there came from elsewhere, and goes into one line.
    let text: String = text.unwrap_or_default().chars().filter(|it| !it.is_control()).take(200).collect();
    Some(format!("gRPC status {code} {text}").trim_end().to_owned())
}

/// A message of gRPC: not compressed, its length, its bytes.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 5);
    out.push(0);
    out.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(message);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_the_path_of_their_protocol() {
        let parsed = |url: &str, protocol| Endpoint::parse(url, protocol).map(|it| (it.secure, it.port, it.path));
        for (url, protocol, expected) in [
            ("http://c:4318", Protocol::Http, Some((false, 4318, "/v1/traces"))),
            ("https://c/otlp/v1/traces", Protocol::Http, Some((true, 443, "/otlp/v1/traces"))),
            ("http://c:4317", Protocol::Grpc, Some((false, 4317, GRPC_PATH))),
            ("c:4317", Protocol::Grpc, None),
            ("ftp://c", Protocol::Http, None),
        ] {
            assert_eq!(parsed(url, protocol), expected.map(|(s, p, path)| (s, p, path.to_owned())), "{url}");
        }
    }

    #[tokio::test]
    async fn what_a_collector_says_is_heard() {
        type Fields<'f> = &'f [(&'f str, &'f str)];
        let cases: [(u16, Fields<'_>, Fields<'_>, Option<&str>); 6] = [
            (200, &[], &[], None),
            (202, &[], &[], None),
            (200, &[], &[("grpc-status", "0")], None),
            (200, &[("grpc-status", "16")], &[], Some("gRPC status 16")),
            (200, &[], &[("grpc-status", "8"), ("grpc-message", "it is full")], Some("gRPC status 8 it is full")),
            (503, &[], &[], Some("status 503 Service Unavailable")),
        ];
        for (status, fields, trailers, expected) in cases {
            let mut map = http::HeaderMap::new();
            for (name, value) in trailers {
                map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            let body = http_body_util::Full::new(Bytes::from_static(b"\0\0\0\0\0"));
            let body = body.with_trailers(std::future::ready(Some(Ok(map)))).map_err(|never| match never {});
            let answer = Incoming {
                status: http::StatusCode::from_u16(status).unwrap(),
                reason: None,
                version: Version::HTTP_2,
                headers: fields.iter().copied().collect(),
                body: body.boxed_unsync(),
            };
            assert_eq!(trouble_of(answer).await.as_deref(), expected, "{status} {fields:?} {trailers:?}");
        }
    }

    #[test]
    fn messages_of_grpc_tell_their_length() {
        assert_eq!(framed(b"abc"), [0, 0, 0, 0, 3, b'a', b'b', b'c']);
    }
}
