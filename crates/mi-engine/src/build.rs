//! From typed configuration to a snapshot: every artifact is compiled, names become slots, and what is wrong is
//! reported artifact by artifact, so that one broken artifact never stops the others.

mod templates;

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;

use mi_config::{Artifact, Diagnostic, Element, LocalEntryValue, SequenceBody, SequenceConfig, Severity, SourceFile};
use mi_message::{Value, XmlValue};

use crate::context::SequenceTarget;
use crate::endpoint::{self, Endpoint};
use crate::inbound::{self, Intake, Task};
use crate::mediator::{Mediator, Sequence};
use crate::metrics::Metrics;
use crate::processor::{self, Processor};
use crate::services::{Sender, Services};
use crate::snapshot::{EndpointRef, LocalEntry, SequenceRef, Settings, Slots, Snapshot, StoreRef};
use crate::spec::Specs;
use crate::store::{self, Store};
use crate::template::{SequenceTemplate, TemplateParameter};
use crate::trail::Watch;

/// Slots that names have been given so far.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) sequences: Slots<Sequence>,
    pub(crate) endpoints: Slots<Endpoint>,
    pub(crate) templates: Slots<SequenceTemplate>,
    pub(crate) stores: Slots<Store>,
    /// Names of all templates of the deployment, built or not.
    declared_templates: HashSet<Arc<str>>,
}

/// What a component may ask while it is read from its element.
#[derive(Debug)]
pub struct BuildCx<'a> {
    specs: &'a Specs,
    services: &'a Services,
    names: NameSource<'a>,
    /// The local entries that are built already.
    entries: &'a LocalEntries,
    /// Settings of the server.
    pub settings: &'a Settings,
    /// Where services get their meters.
    pub(crate) metrics: &'a Metrics,
    pub(crate) watch: &'a Watch,
    /// Name of the artifact being built, as it is shown.
    pub artifact: Arc<str>,
    diagnostics: Vec<Diagnostic>,
    depth: usize,
}

#[derive(Debug)]
enum NameSource<'a> {
    /// A deployment is being built: unknown names get a slot.
    Open(&'a mut Names),
    /// A sequence from the registry is built against a finished snapshot.
    Closed(&'a Snapshot),
}

/// Deepest nesting of elements with mediators inside.
const MAX_DEPTH: usize = 200;

impl<'a> BuildCx<'a> {
    /// The components that this build knows.
    pub(crate) fn specs(&self) -> &'a Specs {
        self.specs
    }

    /// The sender for a URI scheme.
    pub(crate) fn sender(&self, scheme: &str) -> Option<&'a Arc<dyn Sender>> {
        self.services.sender(scheme)
    }
}

impl BuildCx<'_> {
    /// State of the component at `element` that outlasts deployments as long as the file stays as it is, and so does
    /// what else it follows from.
    pub fn keep<T: Any + Send + Sync>(
        &self,
        element: &Element,
        follows_from: &str,
        make: impl FnOnce() -> T,
    ) -> Arc<T> {
        // What is compiled while messages run comes in their order, which is another one after each deployment.
        let counts = matches!(self.names, NameSource::Open(_));
        self.services.keeper.keep(&self.artifact, element, follows_from, counts, make)
    }

    /// Compiles the mediators inside `element` to an anonymous sequence. Errors are reported to this context and make
    /// the artifact fail; what could be read is in the sequence.
    pub fn sequence(&mut self, element: &Element) -> Arc<Sequence> {
        let name = self.artifact.clone();
        Arc::new(Sequence::new(name, self.steps(element)))
    }

    /// Compiles the mediators inside `element`, leaving out `<description>`.
    pub fn steps(&mut self, element: &Element) -> Vec<Box<dyn Mediator>> {
        if self.depth >= MAX_DEPTH {
            self.report(element.error(format!("mediators are nested deeper than {MAX_DEPTH} levels")));
            return Vec::new();
        }
        self.depth += 1;
        let mut steps = Vec::new();
        for child in element.children() {
            if child.name() == "description" && child.is_synapse() {
                continue;
            }
            match self.mediator(&child) {
                Ok(step) => steps.push(step),
                Err(diagnostic) => self.report(diagnostic),
            }
        }
        self.depth -= 1;
        steps
    }

    /// Compiles one mediator.
    pub fn mediator(&mut self, element: &Element) -> Result<Box<dyn Mediator>, Diagnostic> {
        match self.specs.mediator(element.name()) {
            Some(spec) => {
                self.report_all(spec.without_effect(element));
                (spec.parse)(element, self)
            }
            None => {
                let error =
                    element.error(format!("Unknown mediator referenced by configuration element : {}", element.name()));
                let tags: Vec<&str> = self.specs.tags().collect();
                Err(match mi_config::diagnostic::nearest(element.name(), &tags) {
                    Some(meant) => error.hint(format!("did you mean <{meant}>?")),
                    None => error,
                })
            }
        }
    }

    /// A reference to a named sequence or a registry key.
    pub fn sequence_ref(&mut self, name: &str) -> SequenceRef {
        let slot = match &mut self.names {
            NameSource::Open(names) => Some(names.sequences.reserve(name)),
            NameSource::Closed(snapshot) => snapshot.sequences.find(name),
        };
        SequenceRef { slot, name: name.into() }
    }

    /// A reference to a named endpoint or a registry key.
    pub fn endpoint_ref(&mut self, name: &str) -> EndpointRef {
        let slot = match &mut self.names {
            NameSource::Open(names) => Some(names.endpoints.reserve(name)),
            NameSource::Closed(snapshot) => snapshot.endpoints.find(name),
        };
        EndpointRef { slot, name: name.into() }
    }

    /// A reference to a message store.
    pub fn store_ref(&mut self, name: &str) -> StoreRef {
        let slot = match &mut self.names {
            NameSource::Open(names) => Some(names.stores.reserve(name)),
            NameSource::Closed(snapshot) => snapshot.stores.find(name),
        };
        StoreRef { slot, name: name.into() }
    }

    /// The endpoint of an `<endpoint>` element, inline or by reference.
    pub fn endpoint(&mut self, element: &Element) -> Result<Arc<Endpoint>, Diagnostic> {
        let mut found = mi_config::Diagnostics::new();
        let reference = mi_config::EndpointRef::parse_element(element, &mut found);
        let mut error = None;
        for diagnostic in found.into_vec() {
            if diagnostic.severity == Severity::Error && error.is_none() {
                error = Some(diagnostic);
            } else {
                self.report(diagnostic);
            }
        }
        match (reference, error) {
            (_, Some(error)) => Err(error),
            (Some(reference), None) => endpoint::build_reference(&reference, self),
            (None, None) => Err(element.error("the endpoint cannot be read")),
        }
    }

    /// A sequence that a proxy or resource holds inline or by key.
    pub fn target(&mut self, reference: &mi_config::SequenceRef) -> SequenceTarget {
        match reference {
            mi_config::SequenceRef::Key(key) => SequenceTarget::Named(self.sequence_ref(key)),
            mi_config::SequenceRef::Inline(body) => {
                let name = self.artifact.clone();
                SequenceTarget::Inline(Arc::new(self.body(&name, body)))
            }
        }
    }

    /// A sequence from its body.
    fn body(&mut self, name: &Arc<str>, body: &SequenceBody) -> Sequence {
        let mut sequence = Sequence::new(name.clone(), self.steps(&body.element));
        sequence.on_error = body.on_error.as_deref().filter(|key| !key.is_empty()).map(|key| self.sequence_ref(key));
        sequence
    }

    /// What a key stands for at deployment: a local entry, else the text of a registry resource. It can change until a
    /// message comes.
    pub fn resource(&self, key: &str) -> Option<Value> {
        match self.entries.get(key) {
            Some(entry) => Some(entry.value.clone()),
            None => self.services.registry.content(key).map(|bytes| Value::from(&*String::from_utf8_lossy(&bytes))),
        }
    }

    /// Reports something that is wrong; an error makes the artifact fail, a warning does not.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Reports a warning that names its artifact: by that `/healthz` and the management API tell that it works in part only.
    pub fn report_degraded(&mut self, warning: Diagnostic) {
        self.report(Diagnostic { artifact: Some(self.artifact.to_string()), ..warning });
    }

    /// Reports several.
    pub fn report_all(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.diagnostics.extend(diagnostics);
    }
}

/// The outcome of building a deployment.
#[derive(Debug)]
pub struct Built {
    /// What runs.
    pub snapshot: Snapshot,
    /// Indexes (into the artifacts given) of those that failed, each with what is wrong.
    pub failed: Vec<(usize, Vec<Diagnostic>)>,
    /// Warnings of artifacts that work.
    pub warnings: Vec<Diagnostic>,
}

/// Compiles `artifacts` in the order given. Of two with one kind and name the first wins; the second fails.
pub fn build(artifacts: &[Artifact], services: Arc<Services>, settings: Settings) -> Built {
    let (specs, metrics, watch) = (services.specs.clone(), services.metrics.clone(), services.watch.clone());
    services.keeper.begin();
    let templates = artifacts.iter().filter_map(|it| match it {
        Artifact::SequenceTemplate(config) => Some(config.name.clone()),
        _ => None,
    });
    let mut names = Names { declared_templates: templates.collect(), ..Names::default() };
    let mut parts = Parts::default();
    let mut failed = Vec::new();
    let mut warnings = Vec::new();
    for (index, artifact) in artifacts.iter().enumerate() {
        let mut cx = BuildCx {
            specs: &specs,
            services: &services,
            entries: &parts.local_entries,
            names: NameSource::Open(&mut names),
            settings: &settings,
            metrics: &metrics,
            watch: &watch,
            artifact: artifact.name().into(),
            diagnostics: Vec::new(),
            depth: 0,
        };
        let compiled = compile(artifact, &services, &parts.local_entries, &mut cx);
        let mut diagnostics = cx.diagnostics;
        match compiled {
            Ok(part) if !has_errors(&diagnostics) => {
                warnings.append(&mut diagnostics);
                if let Err(error) = parts.add(artifact, part, &mut names) {
                    failed.push((index, vec![error]));
                }
            }
            Ok(_) => failed.push((index, diagnostics)),
            Err(error) => {
                diagnostics.push(error);
                failed.push((index, diagnostics));
            }
        }
    }
    // MI: `Axis2SynapseController#addServerIPAndHostEntries`.
    for (key, value) in [("SERVER_HOST", &settings.hostname), ("SERVER_IP", &settings.server_ip)] {
        let value = Value::from(value.clone());
        parts.local_entries.entry(key.into()).or_insert(LocalEntry { value, connection: None });
    }
    let mut snapshot = Snapshot::empty(services, settings);
    snapshot.sequences = names.sequences;
    snapshot.endpoints = names.endpoints;
    snapshot.templates = names.templates;
    snapshot.stores = names.stores;
    snapshot.processors = parts.processors;
    snapshot.local_entries = parts.local_entries;
    snapshot.apis = crate::api::ApiTable::new(parts.apis);
    snapshot.proxies = parts.proxies;
    snapshot.endpoint_templates = parts.endpoint_templates;
    snapshot.inbounds = parts.inbounds;
    snapshot.tasks = parts.tasks;
    Built { snapshot, failed, warnings }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

/// One compiled artifact.
enum Part {
    Sequence(Sequence),
    Endpoint(Arc<Endpoint>),
    Template(SequenceTemplate),
    LocalEntry(LocalEntry),
    Api(Box<crate::api::Api>),
    /// A proxy, with its listeners for other transports than HTTP.
    Proxy(Box<crate::proxy::Proxy>, Vec<Intake>),
    Inbound(Box<Intake>),
    Task(Box<Task>),
    Store(Store),
    Processor(Box<Processor>),
    EndpointTemplate(Box<mi_config::EndpointTemplateConfig>),
    /// Kinds that other parts of the server read.
    Elsewhere,
}

fn compile(
    artifact: &Artifact,
    services: &Services,
    entries: &LocalEntries,
    cx: &mut BuildCx<'_>,
) -> Result<Part, Diagnostic> {
    let resolve = |key: &str| text_of(key, services, entries);
    Ok(match artifact {
        Artifact::Sequence(config) => Part::Sequence(compile_sequence(config, cx)),
        Artifact::Endpoint(config) => Part::Endpoint(endpoint::build(config, cx)?),
        Artifact::EndpointTemplate(config) => Part::EndpointTemplate(Box::new(config.clone())),
        Artifact::SequenceTemplate(config) => Part::Template(compile_template(config, cx)),
        Artifact::LocalEntry(config) => Part::LocalEntry(compile_local_entry(config, services, cx)),
        Artifact::Api(config) => Part::Api(Box::new(crate::api::build(config, cx))),
        Artifact::Proxy(config) => {
            let proxy = crate::proxy::build(config, cx)?;
            let intakes = inbound::build_transports(&proxy, resolve, cx)?;
            Part::Proxy(Box::new(proxy), intakes)
        }
        Artifact::InboundEndpoint(config) => {
            inbound::build(config, resolve, cx)?.map_or(Part::Elsewhere, |intake| Part::Inbound(Box::new(intake)))
        }
        Artifact::Task(config) => {
            inbound::build_task(config, cx)?.map_or(Part::Elsewhere, |task| Part::Task(Box::new(task)))
        }
        Artifact::MessageStore(config) => Part::Store(store::build(config, cx)?),
        Artifact::MessageProcessor(config) => {
            processor::build(config, cx)?.map_or(Part::Elsewhere, |processor| Part::Processor(Box::new(processor)))
        }
        Artifact::DataService(config) => not_served(config, "data service", cx),
        Artifact::EventSource(config) => not_served(config, "event source", cx),
        _ => Part::Elsewhere,
    })
}

/// It is listed, and nothing answers for it.
fn not_served(config: &mi_config::misc::NamedConfig, kind: &str, cx: &mut BuildCx<'_>) -> Part {
    let text = format!("the {kind} {} is not served: this version does not run {kind}s", config.name);
    cx.report(config.element.warning(text));
    Part::Elsewhere
}

/// The text behind the key of a parameter: of a local entry, or of a registry resource.
fn text_of(key: &str, services: &Services, entries: &LocalEntries) -> Option<String> {
    match entries.get(key) {
        Some(entry) => Some(entry.value.to_text().into_owned()),
        None => services.registry.content(key).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn compile_sequence(config: &SequenceConfig, cx: &mut BuildCx<'_>) -> Sequence {
    cx.body(&config.name, &config.body)
}

fn compile_template(config: &mi_config::SequenceTemplateConfig, cx: &mut BuildCx<'_>) -> SequenceTemplate {
    let mut sequence = Sequence::new(config.name.clone(), cx.steps(&config.body));
    sequence.on_error = config.on_error.as_deref().filter(|key| !key.is_empty()).map(|key| cx.sequence_ref(key));
    let parameters = config
        .parameters
        .iter()
        .map(|parameter| TemplateParameter {
            name: parameter.name.as_str().into(),
            mandatory: parameter.mandatory,
            default: parameter.default.as_deref().map(Value::from),
        })
        .collect();
    SequenceTemplate { name: config.name.clone(), parameters, sequence: Arc::new(sequence) }
}

fn compile_local_entry(config: &mi_config::LocalEntryConfig, services: &Services, cx: &mut BuildCx<'_>) -> LocalEntry {
    let value = match &config.value {
        LocalEntryValue::Empty => Value::from(""),
        LocalEntryValue::Text(text) => Value::from(text.as_str()),
        LocalEntryValue::Xml(element) => Value::Xml(XmlValue::copy_of(element.document(), element.node())),
        LocalEntryValue::Url(url) => match services.registry.content(url) {
            Some(bytes) => crate::lookup::registry_value(&bytes, services.registry.media_type(url).as_deref()),
            None => {
                cx.report(config.element.warning(format!("the content of '{url}' cannot be read; the entry is empty")));
                Value::from("")
            }
        },
    };
    let connection = config.connection().and_then(|element| match cx.mediator(element) {
        Ok(step) => Some(Arc::new(Sequence::new(config.name.clone(), vec![step]))),
        Err(error) => {
            cx.report(Diagnostic { severity: Severity::Warning, ..error });
            None
        }
    });
    LocalEntry { value, connection }
}

type LocalEntries = std::collections::HashMap<Arc<str>, LocalEntry>;

#[derive(Default)]
struct Parts {
    local_entries: LocalEntries,
    inbounds: Vec<Arc<Intake>>,
    tasks: Vec<Arc<Task>>,
    processors: Vec<Arc<Processor>>,
    apis: Vec<Arc<crate::api::Api>>,
    proxies: std::collections::HashMap<Arc<str>, Arc<crate::proxy::Proxy>>,
    endpoint_templates: std::collections::HashMap<Arc<str>, mi_config::EndpointTemplateConfig>,
}

impl Parts {
    fn add(&mut self, artifact: &Artifact, part: Part, names: &mut Names) -> Result<(), Diagnostic> {
        let name = artifact.name();
        let duplicate =
            || artifact.element().error(format!("a {} named '{name}' is deployed already", artifact.kind()));
        match part {
            Part::Sequence(sequence) => {
                if names.sequences.by_name(name).is_some() {
                    return Err(duplicate());
                }
                names.sequences.put(name, Arc::new(sequence));
            }
            Part::Endpoint(endpoint) => {
                if names.endpoints.by_name(name).is_some() {
                    return Err(duplicate());
                }
                names.endpoints.put(name, endpoint);
            }
            Part::Template(template) => {
                if names.templates.by_name(name).is_some() {
                    return Err(duplicate());
                }
                names.templates.put(name, Arc::new(template));
            }
            Part::LocalEntry(entry) => {
                if self.local_entries.contains_key(name) {
                    return Err(duplicate());
                }
                self.local_entries.insert(name.into(), entry);
            }
            Part::Api(api) => {
                if self.apis.iter().any(|known| *known.name == *name) {
                    return Err(duplicate());
                }
                if let Some(known) = self.apis.iter().find(|known| known.same_place(&api)) {
                    let text = format!("API '{}' has the same context '{}' already", known.name, known.context);
                    return Err(artifact.element().error(text));
                }
                self.apis.push(Arc::from(api));
            }
            Part::Proxy(proxy, intakes) => {
                if self.proxies.contains_key(name) {
                    return Err(duplicate());
                }
                self.inbounds.extend(intakes.into_iter().map(Arc::new));
                self.proxies.insert(name.into(), Arc::from(proxy));
            }
            Part::Inbound(intake) => {
                if self.inbounds.iter().any(|known| known.kind == intake.kind && *known.name == *name) {
                    return Err(duplicate());
                }
                self.inbounds.push(Arc::from(intake));
            }
            Part::Task(task) => {
                if self.tasks.iter().any(|known| *known.name == *name) {
                    return Err(duplicate());
                }
                self.tasks.push(Arc::from(task));
            }
            Part::Store(store) => {
                if names.stores.by_name(name).is_some() {
                    return Err(duplicate());
                }
                names.stores.put(name, Arc::new(store));
            }
            Part::Processor(processor) => {
                if self.processors.iter().any(|known| *known.name == *name) {
                    return Err(duplicate());
                }
                self.processors.push(Arc::from(processor));
            }
            Part::EndpointTemplate(template) => {
                self.endpoint_templates.insert(name.into(), *template);
            }
            Part::Elsewhere => {}
        }
        Ok(())
    }
}

fn closed_context<'a>(snapshot: &'a Snapshot, key: &str) -> BuildCx<'a> {
    BuildCx {
        specs: &snapshot.services.specs,
        services: &snapshot.services,
        entries: &snapshot.local_entries,
        names: NameSource::Closed(snapshot),
        settings: &snapshot.settings,
        metrics: &snapshot.services.metrics,
        watch: &snapshot.services.watch,
        artifact: key.into(),
        diagnostics: Vec::new(),
        depth: 0,
    }
}

fn log_all(key: &str, diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        log::error!(target: "MicroIntegratorRegistry", "Registry resource {key}: {diagnostic}");
    }
}

/// Compiles a sequence that is kept in the registry, while messages run. Errors are logged.
pub(crate) fn sequence_from_registry(snapshot: &Snapshot, key: &str, content: &[u8]) -> Option<Arc<Sequence>> {
    let (artifacts, mut diagnostics) = mi_config::parse_artifact(SourceFile::new(key, content.to_vec()));
    let mut cx = closed_context(snapshot, key);
    let sequence = artifacts.iter().find_map(|artifact| match artifact {
        Artifact::Sequence(config) => Some(compile_sequence(config, &mut cx)),
        _ => None,
    });
    diagnostics.append(&mut cx.diagnostics);
    log_all(key, &diagnostics);
    sequence.filter(|_| !has_errors(&diagnostics)).map(Arc::new)
}

/// Compiles an endpoint that is kept in the registry, while messages run. Errors are logged.
pub(crate) fn endpoint_from_registry(snapshot: &Snapshot, key: &str, content: &[u8]) -> Option<Arc<Endpoint>> {
    let mut cx = closed_context(snapshot, key);
    let built = Element::parse(SourceFile::new(key, content.to_vec())).and_then(|(root, _)| cx.endpoint(&root));
    log_all(key, &cx.diagnostics);
    match built {
        Ok(endpoint) => Some(endpoint),
        Err(error) => {
            log_all(key, &[error]);
            None
        }
    }
}

/// Makes an endpoint from a deployed template, or from one that is kept in the registry. Errors are logged.
pub(crate) fn endpoint_from_template(
    snapshot: &Snapshot,
    config: &mi_config::endpoint::TemplateEndpoint,
) -> Option<Arc<Endpoint>> {
    let key = config.template.as_str();
    let template = match snapshot.endpoint_templates.get(key) {
        Some(template) => template.clone(),
        None => {
            let content = snapshot.services.registry.content(key)?;
            let (artifacts, diagnostics) = mi_config::parse_artifact(SourceFile::new(key, content.to_vec()));
            log_all(key, &diagnostics);
            artifacts.into_iter().find_map(|artifact| match artifact {
                Artifact::EndpointTemplate(template) => Some(template),
                _ => None,
            })?
        }
    };
    let mut cx = closed_context(snapshot, key);
    let built = match template.instantiate(&config.parameters) {
        Ok(endpoint) => endpoint::build(&endpoint, &mut cx),
        Err(diagnostics) => {
            log_all(key, &diagnostics);
            return None;
        }
    };
    log_all(key, &cx.diagnostics);
    built.map_err(|error| log_all(key, &[error])).ok()
}
