//! Spans, sent to a collector in the protocol of OpenTelemetry. MI: `OTLPTelemetryManager`.

mod export;
mod otlp;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use export::{Endpoint, Protocol, TraceConfig};
use mi_engine::transport::HttpClient;

/// Sends spans. Copies send to the same collector.
#[derive(Clone)]
pub struct Tracer {
    shared: Arc<Shared>,
}

struct Shared {
    exporter: export::Exporter,
    /// Header fields of requests that become attributes. MI: `oltp.custom.span.header.tags`.
    tags: Vec<String>,
    /// Mediators without spans. MI: `oltp.filtered.mediator.names`.
    filtered: Vec<String>,
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanData {
    /// Trace.
    pub trace: u128,
    /// Own id.
    pub id: u64,
    /// Id of the span around it; 0 for none.
    pub parent: u64,
    /// Name.
    pub name: String,
    /// Role.
    pub kind: Kind,
    /// Begin in nanoseconds since 1970.
    pub began: u64,
    /// End in nanoseconds since 1970.
    pub ended: u64,
    /// Attributes.
    pub attributes: Vec<(String, Attribute)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// The role of a span, by its number in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A step within.
    Internal = 1,
    /// A request that is served.
    Server = 2,
    /// A request to a back end.
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A number.
    Int(i64),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Tracer {
    /// Starts the thread that sends.
    pub fn start(config: TraceConfig, client: Arc<dyn HttpClient>) -> std::io::Result<Self> {
        let (tags, filtered) = (config.tags.clone(), config.filtered.clone());
        let exporter = export::Exporter::start(config, client)?;
        Ok(Self { shared: Arc::new(Shared { exporter, tags, filtered }) })
    }

    /// Sends what has ended, and waits for that as long as `within`.
    pub fn flush(&self, within: Duration) {
        self.shared.exporter.flush(within);
    }

    pub(crate) fn send(&self, span: SpanData) {
        self.shared.exporter.send(span);
    }

    pub(crate) fn tags(&self) -> &[String] {
        &self.shared.tags
    }

    pub(crate) fn is_filtered(&self, mediator: &str) -> bool {
        self.shared.filtered.iter().any(|it| it == mediator)
    }
}

/// Where a request belongs according to its `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
    pub(crate) sampled: bool,
}

impl Parent {
    /// Reads a `traceparent`; `None` for one that does not follow the rules of W3C.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let plain = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|it| it.is_ascii_digit() || (b'a'..=b'f').contains(&it))
        };
        let shaped = plain(version, 2) && plain(trace, 32) && plain(span, 16) && plain(flags, 2);
        if !shaped || version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }

    /// The header field for a back end.
    pub(crate) fn header(&self) -> String {
        format!("00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// A number that is not 0 and that nobody can foresee from outside.
pub(crate) fn random() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static SEED: RandomState = RandomState::new();
    }
    let number = SEED.with(|seed| seed.hash_one(NEXT.fetch_add(1, Ordering::Relaxed)));
    number.max(1)
}

/// A random UUID.
pub(crate) fn uuid() -> String {
    let bits = (u128::from(random()) << 64) | u128::from(random());
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string()
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_follow_the_rules() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = Parent::parse(good).expect("valid");
        assert_eq!((parent.span, parent.sampled), (0xb7ad_6b71_6920_3331, true));
        assert_eq!(parent.header(), good);
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert_eq!(Parent::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_are_of_their_form_and_differ() {
        let (one, other) = (uuid(), uuid());
        assert_ne!(one, other);
        assert!(one.len() == 36 && &one[14..15] == "4" && "89ab".contains(&one[19..20]), "{one}");
    }
}
