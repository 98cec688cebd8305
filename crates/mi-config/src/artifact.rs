//! The closed list of artifact kinds and the one way from a file to artifacts.

use std::fmt;
use std::ops::Range;

use crate::api::ApiConfig;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::element::{Element, SYNAPSE_NAMESPACE};
use crate::endpoint::EndpointConfig;
use crate::inbound::InboundConfig;
use crate::local_entry::LocalEntryConfig;
use crate::misc::{ImportConfig, NamedConfig, PriorityExecutorConfig, ProviderConfig};
use crate::processor::MessageProcessorConfig;
use crate::proxy::ProxyConfig;
use crate::sequence::SequenceConfig;
use crate::source::SourceFile;
use crate::store::MessageStoreConfig;
use crate::task::TaskConfig;
use crate::template::{EndpointTemplateConfig, SequenceTemplateConfig};

/// An artifact that can be deployed.
#[derive(Clone, Debug)]
pub enum Artifact {
    /// `<sequence>`
    Sequence(SequenceConfig),
    /// `<api>`
    Api(ApiConfig),
    /// `<proxy>`
    Proxy(ProxyConfig),
    /// `<endpoint>`
    Endpoint(EndpointConfig),
    /// `<localEntry>`
    LocalEntry(LocalEntryConfig),
    /// `<template><sequence>`
    SequenceTemplate(SequenceTemplateConfig),
    /// `<template><endpoint>`
    EndpointTemplate(EndpointTemplateConfig),
    /// `<task>`
    Task(TaskConfig),
    /// `<inboundEndpoint>`
    InboundEndpoint(InboundConfig),
    /// `<messageStore>`
    MessageStore(MessageStoreConfig),
    /// `<messageProcessor>`
    MessageProcessor(MessageProcessorConfig),
    /// `<import>`
    Import(ImportConfig),
    /// `<priorityExecutor>`
    PriorityExecutor(PriorityExecutorConfig),
    /// `<eventSource>`
    EventSource(NamedConfig),
    /// `<registry>`
    Registry(ProviderConfig),
    /// `<taskManager>`
    TaskManager(ProviderConfig),
    /// `<data>`
    DataService(NamedConfig),
    /// `<datasource>`
    DataSource(NamedConfig),
}

/// The kind of an artifact. `Ord` is the order in which MI deploys: what is referred to comes first.
/// MI: `SynapseAppDeployer#getOrderedArtifactsMap`.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactKind {
    /// `<registry>`
    Registry,
    /// `<taskManager>`
    TaskManager,
    /// `<datasource>`
    DataSource,
    /// `<data>`
    DataService,
    /// `<import>`
    Import,
    /// `<localEntry>`
    LocalEntry,
    /// `<endpoint>`
    Endpoint,
    /// `<sequence>`
    Sequence,
    /// `<messageStore>`
    MessageStore,
    /// `<template>` of a sequence
    SequenceTemplate,
    /// `<template>` of an endpoint
    EndpointTemplate,
    /// `<priorityExecutor>`
    PriorityExecutor,
    /// `<proxy>`
    Proxy,
    /// `<task>`
    Task,
    /// `<eventSource>`
    EventSource,
    /// `<messageProcessor>`
    MessageProcessor,
    /// `<api>`
    Api,
    /// `<inboundEndpoint>`
    InboundEndpoint,
}

impl fmt::Display for ArtifactKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Registry => "registry",
            Self::TaskManager => "task manager",
            Self::DataSource => "data source",
            Self::DataService => "data service",
            Self::Import => "import",
            Self::LocalEntry => "local entry",
            Self::Endpoint => "endpoint",
            Self::Sequence => "sequence",
            Self::MessageStore => "message store",
            Self::SequenceTemplate => "sequence template",
            Self::EndpointTemplate => "endpoint template",
            Self::PriorityExecutor => "priority executor",
            Self::Proxy => "proxy",
            Self::Task => "task",
            Self::EventSource => "event source",
            Self::MessageProcessor => "message processor",
            Self::Api => "API",
            Self::InboundEndpoint => "inbound endpoint",
        })
    }
}

impl Artifact {
    /// Its kind.
    pub fn kind(&self) -> ArtifactKind {
        match self {
            Self::Sequence(_) => ArtifactKind::Sequence,
            Self::Api(_) => ArtifactKind::Api,
            Self::Proxy(_) => ArtifactKind::Proxy,
            Self::Endpoint(_) => ArtifactKind::Endpoint,
            Self::LocalEntry(_) => ArtifactKind::LocalEntry,
            Self::SequenceTemplate(_) => ArtifactKind::SequenceTemplate,
            Self::EndpointTemplate(_) => ArtifactKind::EndpointTemplate,
            Self::Task(_) => ArtifactKind::Task,
            Self::InboundEndpoint(_) => ArtifactKind::InboundEndpoint,
            Self::MessageStore(_) => ArtifactKind::MessageStore,
            Self::MessageProcessor(_) => ArtifactKind::MessageProcessor,
            Self::Import(_) => ArtifactKind::Import,
            Self::PriorityExecutor(_) => ArtifactKind::PriorityExecutor,
            Self::EventSource(_) => ArtifactKind::EventSource,
            Self::Registry(_) => ArtifactKind::Registry,
            Self::TaskManager(_) => ArtifactKind::TaskManager,
            Self::DataService(_) => ArtifactKind::DataService,
            Self::DataSource(_) => ArtifactKind::DataSource,
        }
    }

    /// Its full name; an endpoint at the top level always has one.
    pub fn name(&self) -> &str {
        match self {
            Self::Sequence(it) => &it.name,
            Self::Api(it) => &it.name,
            Self::Proxy(it) => &it.name,
            Self::Endpoint(it) => it.name.as_deref().unwrap_or_default(),
            Self::LocalEntry(it) => &it.name,
            Self::SequenceTemplate(it) => &it.name,
            Self::EndpointTemplate(it) => &it.name,
            Self::Task(it) => &it.name,
            Self::InboundEndpoint(it) => &it.name,
            Self::MessageStore(it) => &it.name,
            Self::MessageProcessor(it) => &it.name,
            Self::Import(it) => &it.name,
            Self::PriorityExecutor(it) => &it.name,
            Self::EventSource(it) | Self::DataService(it) | Self::DataSource(it) => &it.name,
            Self::Registry(it) | Self::TaskManager(it) => &it.provider,
        }
    }

    /// Its root element.
    pub fn element(&self) -> &Element {
        match self {
            Self::Sequence(it) => &it.element,
            Self::Api(it) => &it.element,
            Self::Proxy(it) => &it.element,
            Self::Endpoint(it) => &it.element,
            Self::LocalEntry(it) => &it.element,
            Self::SequenceTemplate(it) => &it.element,
            Self::EndpointTemplate(it) => &it.element,
            Self::Task(it) => &it.element,
            Self::InboundEndpoint(it) => &it.element,
            Self::MessageStore(it) => &it.element,
            Self::MessageProcessor(it) => &it.element,
            Self::Import(it) => &it.element,
            Self::PriorityExecutor(it) => &it.element,
            Self::EventSource(it) | Self::DataService(it) | Self::DataSource(it) => &it.element,
            Self::Registry(it) | Self::TaskManager(it) => &it.element,
        }
    }

    /// The file that it came from.
    pub fn source(&self) -> &SourceFile {
        self.element().source()
    }

    /// Its XML as it stands in the file, for the management API.
    pub fn source_text(&self) -> String {
        let element = self.element();
        let verbatim = element.document().source_range(element.node()).and_then(|range: Range<usize>| {
            let bytes = element.source().bytes.get(range)?;
            let text = std::str::from_utf8(bytes).ok()?;
            // A file in another encoding has other offsets than its UTF-8 form.
            (text.starts_with('<') && text.ends_with('>')).then(|| text.to_owned())
        });
        verbatim.unwrap_or_else(|| element.to_xml())
    }

    /// Line and column of its root element.
    pub fn position(&self) -> (u32, u32) {
        self.element().position()
    }
}

/// Reads a file: the artifacts that can be deployed, and everything that was found on the way.
///
/// The root element decides the kind; `<definitions>` yields all artifacts inside. An artifact with an
/// error is left out.
pub fn parse_artifact(source: SourceFile) -> (Vec<Artifact>, Vec<Diagnostic>) {
    let mut out = Diagnostics::new();
    let root = match Element::parse(source) {
        Ok((root, trailing)) => {
            out.extend(trailing);
            root
        }
        Err(error) => return (Vec::new(), vec![error]),
    };
    let mut artifacts = if root.name() == "definitions" && root.is_synapse() {
        let children = root.children().filter(|child| child.name() != "description");
        children.filter_map(|child| parse_element(&child, &mut out)).collect()
    } else {
        parse_element(&root, &mut out).into_iter().collect()
    };
    add_connections(&mut artifacts, &mut out);
    (artifacts, out.into_vec())
}

/// Adds the endpoints of connections behind their local entries.
fn add_connections(artifacts: &mut Vec<Artifact>, out: &mut Diagnostics) {
    let mut at = 0;
    while let Some(artifact) = artifacts.get(at) {
        at += 1;
        let Artifact::LocalEntry(entry) = artifact else { continue };
        let Some(source) = crate::connection::endpoint(entry) else { continue };
        let endpoint = Element::parse(source).map(|(root, _)| parse_element(&root, out));
        match endpoint {
            Ok(endpoint) => artifacts.splice(at..at, endpoint).for_each(drop),
            Err(error) => out.push(error),
        }
    }
}

/// Reads one artifact; `None` if it has an error.
pub fn parse_element(element: &Element, out: &mut Diagnostics) -> Option<Artifact> {
    let (from, errors) = (out.len(), out.errors());
    let artifact = parse_kind(element, out).filter(|_| out.errors() == errors);
    match &artifact {
        Some(artifact) => out.name_artifact(from, artifact.name()),
        None => {
            if let Some(name) = element.attr("name").or_else(|| element.attr("key")) {
                out.name_artifact(from, &name);
            }
        }
    }
    artifact
}

fn parse_kind(element: &Element, out: &mut Diagnostics) -> Option<Artifact> {
    if !element.is_synapse() && !matches!(element.name(), "data" | "datasource") {
        let error =
            element.error(format!("<{}> of the namespace '{}' is no artifact", element.name(), element.namespace()));
        out.push(error.hint(format!("the namespace of artifacts is {SYNAPSE_NAMESPACE}")));
        return None;
    }
    Some(match element.name() {
        "sequence" => Artifact::Sequence(SequenceConfig::parse(element, out)?),
        "api" => Artifact::Api(ApiConfig::parse(element, out)?),
        "proxy" => Artifact::Proxy(ProxyConfig::parse(element, out)?),
        "endpoint" => {
            let endpoint = EndpointConfig::parse(element, out)?;
            if endpoint.name.is_none() {
                out.push(element.error("an endpoint at the top level needs a name"));
            }
            Artifact::Endpoint(endpoint)
        }
        "localEntry" => Artifact::LocalEntry(LocalEntryConfig::parse(element, out)?),
        "template" if element.child("sequence").is_none() && element.child("endpoint").is_some() => {
            Artifact::EndpointTemplate(EndpointTemplateConfig::parse(element, out)?)
        }
        "template" => Artifact::SequenceTemplate(SequenceTemplateConfig::parse(element, out)?),
        "task" => Artifact::Task(TaskConfig::parse(element, out)?),
        "inboundEndpoint" => Artifact::InboundEndpoint(InboundConfig::parse(element, out)?),
        "messageStore" => Artifact::MessageStore(MessageStoreConfig::parse(element, out)?),
        "messageProcessor" => Artifact::MessageProcessor(MessageProcessorConfig::parse(element, out)?),
        "import" => Artifact::Import(ImportConfig::parse(element, out)?),
        "priorityExecutor" => Artifact::PriorityExecutor(PriorityExecutorConfig::parse(element, out)?),
        "eventSource" => Artifact::EventSource(NamedConfig::parse(element, out)?),
        "registry" => Artifact::Registry(ProviderConfig::parse(element, out)?),
        "taskManager" => Artifact::TaskManager(ProviderConfig::parse(element, out)?),
        "data" => Artifact::DataService(NamedConfig::parse_service(element, out)?),
        "datasource" => Artifact::DataSource(NamedConfig::parse_data_source(element, out)?),
        other => {
            out.push(element.error(format!("<{other}> is not a kind of artifact")));
            return None;
        }
    })
}

#[cfg(test)]
mod tests;
