//! Artifacts that are kept with little reading: imports of connectors, priority executors, event
//! sources, the registry and task manager of `synapse.xml`, data services and data sources.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{self, Blanks, Parameter};

/// `<import>`: enables a connector.
#[derive(Clone, Debug)]
pub struct ImportConfig {
    /// `{package}library`, as MI names it.
    pub name: Arc<str>,
    /// Name of the library.
    pub library: String,
    /// Its package.
    pub package: String,
    /// `status="enabled"`.
    pub enabled: bool,
    /// `<import>`.
    pub element: Element,
}

impl ImportConfig {
    /// Reads an `<import>`. MI: `SynapseImportFactory`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let library = out.take(element.require_attr("name").map(|name| name.into_owned()));
        let package = out.take(element.require_attr("package").map(|name| name.into_owned()));
        let (library, package) = (library?, package?);
        let enabled = element.attr("status").is_some_and(|status| status == "enabled");
        Some(Self {
            name: format!("{{{package}}}{library}").into(),
            library,
            package,
            enabled,
            element: element.clone(),
        })
    }
}

/// `<priorityExecutor>`: threads that take messages by priority. MI: `PriorityExecutorFactory`.
#[derive(Clone, Debug)]
pub struct PriorityExecutorConfig {
    /// Name.
    pub name: Arc<str>,
    /// Size and priority of each queue; a size of `None` is without bound.
    pub queues: Vec<PriorityQueue>,
    /// Most threads.
    pub max_threads: u32,
    /// Threads that stay.
    pub core_threads: u32,
    /// Seconds that other threads stay idle.
    pub keep_alive_s: u32,
    /// `<priorityExecutor>`.
    pub element: Element,
}

/// A queue of a priority executor.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct PriorityQueue {
    /// Most messages that wait.
    pub size: Option<u32>,
    /// Higher ones go first.
    pub priority: i32,
}

impl PriorityExecutorConfig {
    /// Reads a `<priorityExecutor>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").map(|name| name.into_owned()))?;
        let number =
            |it: &Element, attr: &str, out: &mut Diagnostics| -> Option<i64> { out.take(it.int_attr(attr)).flatten() };
        let mut queues = Vec::new();
        for queue in
            element.child("queues").iter().flat_map(|queues| queues.children_named("queue").collect::<Vec<_>>())
        {
            let Some(priority) = number(&queue, "priority", out) else {
                out.push(queue.error("a queue needs a 'priority'"));
                continue;
            };
            let size = number(&queue, "size", out).and_then(|size| u32::try_from(size).ok());
            queues.push(PriorityQueue { size, priority: i32::try_from(priority).unwrap_or(i32::MAX) });
        }
        if queues.is_empty() {
            out.push(element.error("a priority executor needs <queues> with a <queue>"));
        }
        let threads = element.child("threads");
        let mut thread = |attr: &str, default: u32| {
            let given = threads.as_ref().and_then(|it| number(it, attr, out));
            given.and_then(|count| u32::try_from(count).ok()).unwrap_or(default)
        };
        let (max_threads, core_threads, keep_alive_s) =
            (thread("max", 100), thread("core", 20), thread("keep-alive", 5));
        Some(Self { name: name.into(), queues, max_threads, core_threads, keep_alive_s, element: element.clone() })
    }
}

/// An artifact of which only the name and the source are kept.
#[derive(Clone, Debug)]
pub struct NamedConfig {
    /// Name.
    pub name: Arc<str>,
    /// The root element.
    pub element: Element,
}

impl NamedConfig {
    /// Reads the attribute `name`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name"))?;
        Some(Self { name: name.as_ref().into(), element: element.clone() })
    }

    /// A data service: its name follows that of proxies in versioned applications.
    pub fn parse_service(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name"))?;
        let name = out.take(element.scope().qualify_service(&name).map_err(|message| element.error(message)))?;
        Some(Self { name: name.into(), element: element.clone() })
    }

    /// A data source: its name is a child element.
    pub fn parse_data_source(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = element.child("name").map(|name| name.text().trim().to_owned()).unwrap_or_default();
        if name.is_empty() {
            out.push(element.error("a data source needs a <name>"));
            return None;
        }
        Some(Self { name: name.into(), element: element.clone() })
    }
}

/// `<registry>` and `<taskManager>`: a provider class and its parameters.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// Class name.
    pub provider: Arc<str>,
    /// Settings.
    pub parameters: Vec<Parameter>,
    /// The element.
    pub element: Element,
}

impl ProviderConfig {
    /// Reads the attribute `provider` and the parameters. MI: `RegistryFactory`, `TaskManagerFactory`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let parameters = params::parse(element, Blanks::Trim, out);
        let provider = out.take(element.require_attr("provider"))?;
        Some(Self { provider: provider.as_ref().into(), parameters, element: element.clone() })
    }
}
