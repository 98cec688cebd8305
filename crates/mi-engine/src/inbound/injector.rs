//! Hands a message that no HTTP client waits for to what is deployed, and says how its mediation ended.
//! MI: `Axis2SynapseEnvironment#injectInbound`, `#injectMessage`, `AxisEngine#receive` for polling transports.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use mi_message::Message;
use tokio::sync::oneshot;

use crate::context::{ArtifactInfo, Context, SequenceTarget};
use crate::endpoint::Endpoint;
use crate::exchange::{Exchange, RequestInfo, Responder};
use crate::flow::Ended;
use crate::metrics::Meters;
use crate::serve::{self, Engine};
use crate::snapshot::Snapshot;
use crate::transport::HttpReply;

/// Where messages go.
#[derive(Clone, Debug)]
pub enum Route {
    /// To the sequence of an inbound endpoint.
    Inbound(InboundRoute),
    /// To a proxy service; the text is the name of the transport.
    Proxy(Arc<str>, &'static str),
    /// To a sequence, by name or registry key.
    Sequence(Arc<str>),
    /// To `main`.
    Main,
}

/// Where messages of an inbound endpoint go.
#[derive(Clone, Debug)]
pub struct InboundRoute {
    /// Name of the inbound endpoint.
    pub name: Arc<str>,
    /// Name or key of its sequence.
    pub sequence: Option<Arc<str>>,
    /// Name or key of the sequence that handles faults.
    pub on_error: Option<Arc<str>>,
    /// What counts its messages.
    pub meters: Option<Meters>,
}

/// Where requests of an inbound endpoint for HTTP go.
#[derive(Clone, Debug)]
pub struct HttpRoute {
    /// Its sequences.
    pub route: InboundRoute,
    /// `dispatch.filter.pattern`: requests whose target fits go to APIs and proxies as those of the main listener do, the
    /// others to `main`. Matched against the whole target.
    pub pattern: Option<regex::Regex>,
}

impl InboundRoute {
    /// What log lines, faults and answers of its flows go by.
    pub(crate) fn artifact(&self, snapshot: &Snapshot) -> ArtifactInfo {
        let on_error = self.on_error.as_deref().and_then(|key| snapshot.sequence_by_key(key));
        ArtifactInfo {
            kind: "inboundendpoint",
            name: self.name.clone(),
            log_prefix: format!("{{inboundendpoint:{}}} ", self.name).into(),
            out_sequence: None,
            fault_sequence: on_error.map(SequenceTarget::Inline),
            meters: self.meters.clone(),
            ..ArtifactInfo::default()
        }
    }

    /// The properties that MI gives each message of an inbound endpoint.
    pub(crate) fn describe(&self, message: &mut Message) {
        message.properties.set("inbound.endpoint.name", self.name.clone());
        message.properties.set("ARTIFACT_NAME", format!("inboundendpoint{}", self.name));
        message.properties.set("isInbound", true);
    }
}

/// How the mediation of an injected message ended.
#[derive(Debug)]
pub struct Injected {
    /// How the flow ended. A fault that a handler took is [`Ended::Faulted`], too.
    pub ended: Ended,
    /// True when no handler took the fault.
    pub unhandled: bool,
    /// True when the flow asked for the message to be given back to where it came from (axis2 `SET_ROLLBACK_ONLY`).
    pub rollback: bool,
    /// The transport property `ERROR_CODE`, by which flows tell the VFS transport that a file failed.
    pub error_code: Option<String>,
    /// What the flow answered, when the injector was asked for answers.
    pub reply: Option<HttpReply>,
}

/// Why a message could not be handed in. It was not touched; the same message may be handed in later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The sequence is not deployed.
    #[error("Sequence: {0} not found")]
    NoSequence(Arc<str>),
    /// The proxy is not deployed.
    #[error("Proxy Service: {0} not found")]
    NoProxy(Arc<str>),
    /// The inbound endpoint names no sequence.
    #[error("Sequence name not specified")]
    Unnamed,
}

/// Hands messages in. Each one meets what is deployed at that moment.
#[derive(Clone, Debug)]
pub struct Injector {
    engine: Arc<Engine>,
    route: Route,
    wants_reply: bool,
    responder: Option<Arc<dyn Responder>>,
}

/// What a route leads to in one snapshot.
struct Entered {
    artifact: Arc<ArtifactInfo>,
    first: Option<SequenceTarget>,
    endpoint: Option<Arc<Endpoint>>,
    /// Faults that reach no handler of the route itself go to the `fault` sequence.
    default_fault: bool,
}

impl Injector {
    /// An injector that drops the flows' answers.
    pub fn new(engine: Arc<Engine>, route: Route) -> Self {
        Self { engine, route, wants_reply: false, responder: None }
    }

    /// The same one, keeping answers ([`Injected::reply`]). It then waits for parts of a split message, too.
    pub fn with_replies(mut self) -> Self {
        self.wants_reply = true;
        self
    }

    /// The same one; the flows' answers go to `responder`.
    pub fn with_responder(mut self, responder: Arc<dyn Responder>) -> Self {
        self.responder = Some(responder);
        self
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// What is deployed now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.engine.snapshot()
    }

    /// False while the proxy is stopped or no longer there: then nothing is to be polled for it.
    pub fn is_active(&self) -> bool {
        match &self.route {
            Route::Proxy(name, _) => self.engine.snapshot().proxies.get(name).is_some_and(|proxy| proxy.is_running()),
            _ => true,
        }
    }

    /// Runs the flow of `message` to its end.
    pub async fn inject(&self, mut message: Message) -> Result<Injected, InjectError> {
        let snapshot = self.engine.snapshot();
        let entered = self.enter(&snapshot, &mut message)?;
        let guard = snapshot.services.begin_service(&entered.artifact, false);
        let patience = snapshot.settings.global_timeout;
        let (sender, mut receiver) = oneshot::channel();
        let exchange = match &self.responder {
            Some(responder) => Exchange::with_responder(responder.clone()),
            None if self.wants_reply => Exchange::new(RequestInfo::default(), sender),
            None => Exchange::detached(),
        };
        let mut cx = Context::new(message, snapshot, Arc::new(exchange), entered.artifact);
        cx.reset_fault_handlers();
        if !entered.default_fault && cx.artifact.fault_sequence.is_none() {
            cx.handlers.clear();
        }
        let flow = serve::run_flow(&mut cx, entered.first, entered.endpoint);
        // A panic is a fault of this message. Whoever hands messages in goes on with the next one.
        let ended = match AssertUnwindSafe(flow).catch_unwind().await {
            Ok(ended) => ended,
            Err(_) => {
                log::error!(target: "Injector", "{}The flow ended in a panic", cx.artifact.log_prefix);
                cx.unhandled = true;
                Ended::Faulted
            }
        };
        let mut injected = Injected {
            ended,
            unhandled: cx.unhandled,
            rollback: cx.message.axis2.is_true("SET_ROLLBACK_ONLY"),
            error_code: cx.message.headers.get("ERROR_CODE").filter(|code| !code.is_empty()).map(str::to_owned),
            reply: None,
        };
        if self.wants_reply {
            injected.reply = receiver.try_recv().ok();
            let parts_are_left = Arc::strong_count(&cx.exchange) > 1;
            drop(cx);
            if injected.reply.is_none() && parts_are_left {
                // It ends with the last part, which has let go of the other side then.
                injected.reply = tokio::time::timeout(patience, receiver).await.ok().and_then(Result::ok);
            }
        }
        drop(guard);
        Ok(injected)
    }

    fn enter(&self, snapshot: &Arc<Snapshot>, message: &mut Message) -> Result<Entered, InjectError> {
        let found = |key: &Arc<str>| snapshot.sequence_by_key(key).ok_or_else(|| InjectError::NoSequence(key.clone()));
        Ok(match &self.route {
            Route::Inbound(route) => {
                let sequence = found(route.sequence.as_ref().ok_or(InjectError::Unnamed)?)?;
                route.describe(message);
                Entered {
                    artifact: Arc::new(route.artifact(snapshot)),
                    first: Some(SequenceTarget::Inline(sequence)),
                    endpoint: None,
                    default_fault: false,
                }
            }
            Route::Proxy(name, transport) => {
                let proxy = snapshot.proxies.get(name).ok_or_else(|| InjectError::NoProxy(name.clone()))?;
                message.properties.set("proxy.name", proxy.name.clone());
                message.properties.put("ARTIFACT_NAME", proxy.artifact_name.clone());
                message.properties.set("TRANSPORT_IN_NAME", *transport);
                Entered {
                    artifact: proxy.info.clone(),
                    first: proxy.in_sequence.clone(),
                    endpoint: proxy.endpoint.clone(),
                    default_fault: true,
                }
            }
            Route::Sequence(key) => Self::plain(found(key)?),
            Route::Main => Self::plain(found(&"main".into())?),
        })
    }

    fn plain(sequence: Arc<crate::mediator::Sequence>) -> Entered {
        Entered {
            artifact: Arc::new(ArtifactInfo::default()),
            first: Some(SequenceTarget::Inline(sequence)),
            endpoint: None,
            default_fault: true,
        }
    }
}
