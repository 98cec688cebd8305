//! The mediation engine: flows, fault handling, dispatch, endpoints, and the snapshot of what is deployed.
//!
//! It names no concrete mediator and opens no socket: components come in through tables ([`spec`]), transports and
//! the clock through traits ([`services`], [`transport`]).

pub mod api;
pub mod build;
pub mod context;
pub mod coordination;
pub mod endpoint;
pub mod exchange;
pub mod fault;
pub mod flow;
mod gzip;
pub mod inbound;
pub mod incoming;
pub mod keep;
mod local;
pub mod lookup;
pub mod mediator;
pub mod metrics;
pub mod outflow;
pub mod processor;
pub mod proxy;
pub mod reply;
pub mod room;
pub mod scheduler;
pub mod serve;
pub mod services;
pub mod shared;
pub mod snapshot;
pub mod spec;
pub mod store;
pub mod template;
pub mod trail;
pub mod transport;
pub mod users;
mod wsdl;

pub use build::{BuildCx, Built, build};
pub use context::{ArtifactInfo, Context, SequenceTarget};
pub use endpoint::{Endpoint, Sent};
pub use exchange::{Exchange, Responder};
pub use fault::{Fault, codes};
pub use mediator::{Effect, Flow, Mediator, Resume, Sequence};
pub use serve::Engine;
pub use services::Services;
pub use shared::Shared;
pub use snapshot::{SequenceRef, Settings, Snapshot};
pub use spec::{MediatorSpec, Specs};
