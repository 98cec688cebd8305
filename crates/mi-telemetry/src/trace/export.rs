//! The thread that sends spans in batches, so that no message waits for a collector. MI: `BatchSpanProcessor`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as blocking;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Version};
use mi_engine::transport::{HttpClient, Outgoing, Payload};
use mi_message::Headers;
use tokio::sync::mpsc;

use super::{SpanData, otlp};

/// What MI calls its instrumentation.
const SCOPE: &str = "org.wso2.synapse.tracing.telemetry";
const LOGGER: &str = "OTLPTelemetryManager";
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
        let sent = tokio::time::timeout(self.config.timeout, self.client.send(self.request(batch))).await;
        let trouble = match sent {
            Ok(Ok(answer)) if answer.status == StatusCode::OK => match answer.headers.get("grpc-status") {
                None | Some("0") => None,
                Some(code) => Some(format!("gRPC status {code}")),
            },
            Ok(Ok(answer)) => Some(format!("status {}", answer.status)),
            Ok(Err(error)) => Some(error.message),
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

    #[test]
    fn messages_of_grpc_tell_their_length() {
        assert_eq!(framed(b"abc"), [0, 0, 0, 0, 3, b'a', b'b', b'c']);
    }
}
