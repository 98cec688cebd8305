//! What the engine reaches outside of messages: clock, registry, transports. Handed in at start-up, so that the same
//! engine runs in production and in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::context::ArtifactInfo;
use crate::exchange::{RequestInfo, Responder};
use crate::fault::{Fault, codes};
use crate::keep::Keeper;
use crate::metrics::{Measured, Metrics};
use crate::room::BodyMemory;
use crate::spec::Specs;
use crate::trail::Watch;
use crate::transport::{HttpClient, HttpReply, Incoming, Outgoing, Payload, SendError};

/// Time of day and identifiers.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_millis(&self) -> i64;
    /// Offset of the local time zone from UTC at a moment.
    fn zone_offset_seconds(&self, at_millis: i64) -> i32;
    /// A new `urn:uuid:` identifier.
    fn new_id(&self) -> String;
}

/// Read access to the registry.
pub trait RegistryView: Send + Sync {
    /// The bytes behind a key (`conf:/x`, `gov:x`, `resources:x`, `file:…`), when there are any.
    fn content(&self, key: &str) -> Option<Bytes>;
    /// The media type of the resource.
    fn media_type(&self, key: &str) -> Option<String>;
    /// A property of the resource.
    fn property(&self, key: &str, name: &str) -> Option<String>;
    /// Writes a text resource, or a property of a resource. The error says why that cannot be done.
    fn write(&self, key: &str, property: Option<&str>, value: &str) -> Result<(), String> {
        let _ = (key, property, value);
        Err("the registry is read-only".to_owned())
    }
}

/// Sends messages over a transport that is not HTTP (`local`, `vfs`, `jms`, …), by URI scheme.
pub trait Sender: Send + Sync {
    /// Sends; resolves with the answer when the transport has one.
    fn send(&self, request: OutMessage) -> BoxFuture<'static, Result<Option<HttpReply>, Fault>>;

    /// True when the body of `message` is to be formatted and sent; others get an empty one.
    fn wants_body(&self, message: &mi_message::Message) -> bool {
        let _ = message;
        true
    }

    /// Why nothing can ever be sent to an address; it is said at deployment.
    fn refuses(&self, address: &str) -> Option<String> {
        let _ = address;
        None
    }

    /// True when a body may be handed over that nobody has read. Others get bytes.
    fn takes_streams(&self) -> bool {
        false
    }
}

/// A formatted message for a [`Sender`].
#[derive(Debug)]
pub struct OutMessage {
    /// Full address.
    pub address: String,
    /// Content type.
    pub content_type: Option<String>,
    /// Transport headers.
    pub headers: mi_message::Headers,
    /// Body.
    pub body: Payload,
    /// Properties of the axis2 scope.
    pub axis2: mi_message::Properties,
    /// The request that the message came from.
    pub origin: RequestInfo,
    /// Who takes answers of the flow in the place of an HTTP client.
    pub responder: Option<Arc<dyn Responder>>,
}

/// What all snapshots share.
pub struct Services {
    /// Back ends over HTTP.
    pub http: Arc<dyn HttpClient>,
    /// Clock and identifiers.
    pub clock: Arc<dyn Clock>,
    /// Registry.
    pub registry: Arc<dyn RegistryView>,
    /// Environment, system properties and `file.properties`.
    pub environment: Arc<dyn Environment>,
    /// Mediators, for sequences that are read from the registry while messages run.
    pub specs: Arc<Specs>,
    /// Senders by scheme.
    pub senders: Vec<(&'static str, Arc<dyn Sender>)>,
    /// Flows being run, for draining.
    pub in_flight: AtomicU64,
    /// Counters of services.
    pub metrics: Arc<Metrics>,
    /// Who follows messages.
    pub watch: Arc<Watch>,
    /// State that outlasts deployments.
    pub keeper: Arc<Keeper>,
    /// The memory for bodies.
    pub bodies: Arc<BodyMemory>,
}

/// Values that come from the process.
pub trait Environment: Send + Sync {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// A `-D` system property.
    fn system_property(&self, name: &str) -> Option<String>;
    /// Sets a system property for expressions that read it later; without effect where there are none.
    fn set_system_property(&self, name: &str, value: &str) {
        let _ = (name, value);
    }
    /// An entry of `conf/file.properties`.
    fn file_property(&self, name: &str) -> Option<String>;
    /// A secret by alias. `kind` is ENV, FILE, DOCKER or empty.
    fn secret(&self, alias: &str, kind: &str) -> Option<String>;
}

/// A world in which there is nothing: no back end answers, the registry and the environment are empty, the clock stands.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl HttpClient for Nothing {
    fn send(&self, _: Outgoing) -> BoxFuture<'static, Result<Incoming, SendError>> {
        let (code, message) = (codes::CONNECTION_FAILED, "there is no network".to_owned());
        Box::pin(futures_util::future::ready(Err(SendError { code, message, detail: String::new() })))
    }
}

impl Clock for Nothing {
    fn now_millis(&self) -> i64 {
        0
    }

    fn zone_offset_seconds(&self, _: i64) -> i32 {
        0
    }

    fn new_id(&self) -> String {
        "urn:uuid:00000000-0000-0000-0000-000000000000".to_owned()
    }
}

impl RegistryView for Nothing {
    fn content(&self, _: &str) -> Option<Bytes> {
        None
    }

    fn media_type(&self, _: &str) -> Option<String> {
        None
    }

    fn property(&self, _: &str, _: &str) -> Option<String> {
        None
    }
}

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn system_property(&self, _: &str) -> Option<String> {
        None
    }

    fn file_property(&self, _: &str) -> Option<String> {
        None
    }

    fn secret(&self, _: &str, _: &str) -> Option<String> {
        None
    }
}

impl Services {
    /// Services with [`Nothing`] behind them, to check configurations and to be filled in.
    pub fn offline(specs: Specs) -> Self {
        Self {
            http: Arc::new(Nothing),
            clock: Arc::new(Nothing),
            registry: Arc::new(Nothing),
            environment: Arc::new(Nothing),
            specs: Arc::new(specs),
            senders: Vec::new(),
            in_flight: AtomicU64::new(0),
            metrics: Arc::default(),
            watch: Arc::default(),
            keeper: Arc::default(),
            bodies: Arc::default(),
        }
    }

    /// The sender for a URI scheme.
    pub fn sender(&self, scheme: &str) -> Option<&Arc<dyn Sender>> {
        self.senders.iter().find(|(known, _)| *known == scheme).map(|(_, sender)| sender)
    }

    /// Counts a flow that belongs to no service until the guard is dropped.
    pub fn begin_flow(self: &Arc<Self>) -> FlowGuard {
        self.begin(None)
    }

    /// Counts a flow of a service until the guard is dropped.
    pub fn begin_service(self: &Arc<Self>, artifact: &ArtifactInfo, secure: bool) -> FlowGuard {
        self.begin(artifact.meters.as_ref().map(|meters| meters.begin(secure)))
    }

    fn begin(self: &Arc<Self>, measured: Option<Measured>) -> FlowGuard {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        FlowGuard { services: self.clone(), _measured: measured }
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Services").finish_non_exhaustive()
    }
}

/// Counts one running flow.
#[derive(Debug)]
pub struct FlowGuard {
    services: Arc<Services>,
    /// Takes the time when it is dropped.
    _measured: Option<Measured>,
}

impl Drop for FlowGuard {
    fn drop(&mut self) {
        self.services.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
