//! Synapse configuration as a typed model: artifacts, CAR descriptors, `deployment.toml`, property files.
//!
//! A file is parsed once into an [`Element`] tree that knows its lines and columns; from that tree come
//! the closed enum [`Artifact`] and, for what is wrong, any number of [`Diagnostic`]s. Mediators are not
//! known here: a sequence keeps the [`Element`] of its body and the engine compiles it with its own table.
//! Nothing in this crate opens a file or a socket; whoever reads the files hands their bytes in.

pub mod api;
pub mod artifact;
pub mod capp;
mod connection;
pub mod deployment;
pub mod diagnostic;
pub mod element;
pub mod endpoint;
pub mod inbound;
pub mod local_entry;
pub mod misc;
pub mod params;
pub mod processor;
pub mod properties;
pub mod proxy;
pub mod scope;
pub mod sequence;
pub mod source;
pub mod store;
pub mod task;
pub mod template;
pub mod uri_template;

pub use api::{ApiConfig, ResourceConfig};
pub use artifact::{Artifact, ArtifactKind, parse_artifact, parse_element};
pub use deployment::Deployment;
pub use diagnostic::{Diagnostic, Diagnostics, Severity, nearest};
pub use element::{Element, SYNAPSE_NAMESPACE};
pub use endpoint::{EndpointConfig, EndpointKind, EndpointRef};
pub use inbound::InboundConfig;
pub use local_entry::{LocalEntryConfig, LocalEntryValue};
pub use params::{Parameter, ParameterValue};
pub use processor::MessageProcessorConfig;
pub use proxy::ProxyConfig;
pub use scope::{NoPlaceholders, Placeholders, Scope, VersionedApplication};
pub use sequence::{SequenceBody, SequenceConfig, SequenceRef};
pub use source::SourceFile;
pub use store::MessageStoreConfig;
pub use task::{TaskConfig, Trigger};
pub use template::{EndpointTemplateConfig, SequenceTemplateConfig};
