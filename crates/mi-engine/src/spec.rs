//! The tables through which components make themselves known. The engine names none of them.

use std::collections::HashMap;

use mi_config::{Diagnostic, Element, MessageStoreConfig, TaskConfig};

use crate::build::BuildCx;
use crate::inbound::{Inbound, Parameters};
use crate::mediator::Mediator;
use crate::processor::{ProcessorParameters, Work};
use crate::scheduler::Job;
use crate::store::StoreKind;

/// How a mediator is read from its element. Names are resolved to slots of the snapshot on the way, so what comes
/// out is what runs.
pub type ParseMediator = fn(&Element, &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic>;

/// One mediator: its tag, how it is read, and what its element may hold. What it may not hold is reported before it is
/// read.
#[derive(Clone, Copy, Debug)]
pub struct MediatorSpec {
    /// Local name of its element.
    pub tag: &'static str,
    /// Reads it.
    pub parse: ParseMediator,
    /// Names without [`COMMON_ATTRIBUTES`]; `None` when `parse` looks itself.
    attributes: Option<&'static [&'static str]>,
    /// Names without `description`; `None` when `parse` looks itself, or anything goes.
    children: Option<&'static [&'static str]>,
}

/// Attributes of all mediators. MI: `AbstractMediatorFactory#processAuditStatus`.
const COMMON_ATTRIBUTES: [&str; 4] = ["description", "statistics", "trace", "traceFilter"];

impl MediatorSpec {
    /// A mediator that looks itself at what its element holds.
    pub const fn new(tag: &'static str, parse: ParseMediator) -> Self {
        Self { tag, parse, attributes: None, children: None }
    }

    /// The attributes that it has beside those of all mediators; others are reported.
    pub const fn attributes(self, names: &'static [&'static str]) -> Self {
        Self { attributes: Some(names), ..self }
    }

    /// The children that it has beside `<description>`; others, and text, are reported.
    pub const fn children(self, names: &'static [&'static str]) -> Self {
        Self { children: Some(names), ..self }
    }

    /// Warnings for what has no effect.
    pub(crate) fn without_effect(&self, el: &Element) -> Vec<Diagnostic> {
        let attributes = self.attributes.map(|own| el.unknown_attrs(&[own, &COMMON_ATTRIBUTES].concat()));
        let children = self.children.map(|own| el.unknown_children(&[own, &["description"]].concat()));
        attributes.into_iter().chain(children).flatten().collect()
    }
}

/// How an inbound endpoint, or the listener of a proxy, is read from its parameters. Nothing is opened yet. `None`, with
/// a diagnostic, when they name nothing that can be listened to.
pub type ParseInbound = fn(&Parameters, &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic>;

/// One protocol of inbound endpoints.
#[derive(Clone, Copy, Debug)]
pub struct InboundSpec {
    /// Value of the attribute `protocol`.
    pub protocol: &'static str,
    /// Reads it.
    pub parse: ParseInbound,
}

/// One transport that proxies can be served over beside HTTP.
#[derive(Clone, Copy, Debug)]
pub struct ServiceTransportSpec {
    /// Its name in the attribute `transports`.
    pub transport: &'static str,
    /// Reads it.
    pub parse: ParseInbound,
}

/// How a task is read from its properties.
pub type ParseTask = fn(&TaskConfig, &mut BuildCx<'_>) -> Result<Box<dyn Job>, Diagnostic>;

/// One kind of task.
#[derive(Clone, Copy, Debug)]
pub struct TaskSpec {
    /// Name of its class in MI.
    pub class: &'static str,
    /// Reads it.
    pub parse: ParseTask,
}

/// How a message store is read from its parameters. Nothing is opened yet.
pub type ParseStore = fn(&MessageStoreConfig, &mut BuildCx<'_>) -> Result<Box<dyn StoreKind>, Diagnostic>;

/// One kind of message store.
#[derive(Clone, Copy, Debug)]
pub struct StoreSpec {
    /// Value of the attribute `class`.
    pub class: &'static str,
    /// Reads it.
    pub parse: ParseStore,
}

/// How a message processor is read from its parameters.
pub type ParseProcessor = fn(&ProcessorParameters<'_>, &mut BuildCx<'_>) -> Result<Box<dyn Work>, Diagnostic>;

/// One kind of message processor.
#[derive(Clone, Copy, Debug)]
pub struct ProcessorSpec {
    /// Value of the attribute `class`.
    pub class: &'static str,
    /// Reads it.
    pub parse: ParseProcessor,
}

/// All components that a build knows.
#[derive(Debug, Default)]
pub struct Specs {
    mediators: HashMap<&'static str, MediatorSpec>,
    /// Asked for tags of the form `library.operation`.
    connector: Option<ParseMediator>,
    inbounds: Vec<InboundSpec>,
    service_transports: Vec<ServiceTransportSpec>,
    tasks: Vec<TaskSpec>,
    stores: Vec<StoreSpec>,
    processors: Vec<ProcessorSpec>,
}

impl Specs {
    /// A registry of `tables`.
    pub fn new(tables: &[&[MediatorSpec]]) -> Self {
        let mediators = tables.iter().flat_map(|table| table.iter()).map(|spec| (spec.tag, *spec)).collect();
        Self { mediators, ..Self::default() }
    }

    /// Sets what reads connector operations.
    pub fn with_connector(mut self, parse: ParseMediator) -> Self {
        self.connector = Some(parse);
        self
    }

    /// Adds protocols of inbound endpoints.
    pub fn with_inbounds(mut self, table: &[InboundSpec]) -> Self {
        self.inbounds.extend_from_slice(table);
        self
    }

    /// Adds transports of proxies.
    pub fn with_service_transports(mut self, table: &[ServiceTransportSpec]) -> Self {
        self.service_transports.extend_from_slice(table);
        self
    }

    /// Adds kinds of tasks.
    pub fn with_tasks(mut self, table: &[TaskSpec]) -> Self {
        self.tasks.extend_from_slice(table);
        self
    }

    /// Adds kinds of message stores.
    pub fn with_stores(mut self, table: &[StoreSpec]) -> Self {
        self.stores.extend_from_slice(table);
        self
    }

    /// Adds kinds of message processors.
    pub fn with_processors(mut self, table: &[ProcessorSpec]) -> Self {
        self.processors.extend_from_slice(table);
        self
    }

    /// The inbound endpoint for `protocol`.
    pub fn inbound(&self, protocol: &str) -> Option<ParseInbound> {
        self.inbounds.iter().find(|spec| spec.protocol.eq_ignore_ascii_case(protocol)).map(|spec| spec.parse)
    }

    /// The listener of proxies for `transport`.
    pub fn service_transport(&self, transport: &str) -> Option<ServiceTransportSpec> {
        self.service_transports.iter().find(|spec| spec.transport == transport).copied()
    }

    /// The task for `class`.
    pub fn task(&self, class: &str) -> Option<ParseTask> {
        self.tasks.iter().find(|spec| spec.class == class).map(|spec| spec.parse)
    }

    /// The message store for `class`.
    pub fn store(&self, class: &str) -> Option<ParseStore> {
        self.stores.iter().find(|spec| spec.class == class).map(|spec| spec.parse)
    }

    /// The message processor for `class`.
    pub fn processor(&self, class: &str) -> Option<ParseProcessor> {
        self.processors.iter().find(|spec| spec.class == class).map(|spec| spec.parse)
    }

    /// The mediator for `tag`.
    pub fn mediator(&self, tag: &str) -> Option<MediatorSpec> {
        match self.mediators.get(tag) {
            Some(spec) => Some(*spec),
            None => self.connector.filter(|_| tag.contains('.')).map(|parse| MediatorSpec::new("", parse)),
        }
    }

    /// All tags, for suggestions.
    pub fn tags(&self) -> impl Iterator<Item = &'static str> {
        self.mediators.keys().copied()
    }
}
