//! The immutable set of everything deployed, and references into it.
//!
//! A deployment is compiled into one `Snapshot` and swapped in as a whole; a running message keeps the one it began
//! with. Names become slots at build time, so that artifacts may refer to each other in any order and in circles.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mi_message::Value;
use mi_message::convert::ConvertOptions;

use crate::api::ApiTable;
use crate::endpoint::Endpoint;
use crate::mediator::Sequence;
use crate::processor::Processor;
use crate::proxy::Proxy;
use crate::services::Services;
use crate::shared::Shared;
use crate::store::Store;
use crate::template::SequenceTemplate;

/// A reference to a named sequence.
#[derive(Clone, Debug)]
pub struct SequenceRef {
    pub(crate) slot: Option<u32>,
    pub(crate) name: Arc<str>,
}

/// A reference to a named endpoint.
#[derive(Clone, Debug)]
pub struct EndpointRef {
    pub(crate) slot: Option<u32>,
    pub(crate) name: Arc<str>,
}

/// A reference to a sequence template.
#[derive(Clone, Debug)]
pub struct TemplateRef {
    pub(crate) slot: Option<u32>,
    pub(crate) name: Arc<str>,
}

/// A reference to a message store.
#[derive(Clone, Debug)]
pub struct StoreRef {
    pub(crate) slot: Option<u32>,
    pub(crate) name: Arc<str>,
}

macro_rules! reference_name {
    ($($kind:ty),*) => {$(
        impl $kind {
            /// The name as configured.
            pub fn name(&self) -> &str {
                &self.name
            }
        }
    )*};
}
reference_name!(SequenceRef, EndpointRef, TemplateRef, StoreRef);

/// Named things of one kind, by slot.
#[derive(Debug)]
pub struct Slots<T> {
    names: HashMap<Arc<str>, u32>,
    items: Vec<Option<Arc<T>>>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { names: HashMap::new(), items: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// The slot of `name`, made when there is none.
    pub fn reserve(&mut self, name: &str) -> u32 {
        if let Some(slot) = self.names.get(name) {
            return *slot;
        }
        let slot = self.items.len() as u32;
        self.items.push(None);
        self.names.insert(name.into(), slot);
        slot
    }

    /// The slot of `name`, when there is one.
    pub fn find(&self, name: &str) -> Option<u32> {
        self.names.get(name).copied()
    }

    /// Fills the slot of `name`.
    pub fn put(&mut self, name: &str, item: Arc<T>) {
        let slot = self.reserve(name);
        self.items[slot as usize] = Some(item);
    }

    /// What is in a slot.
    pub fn get(&self, slot: u32) -> Option<&Arc<T>> {
        self.items.get(slot as usize)?.as_ref()
    }

    /// What `name` stands for.
    pub fn by_name(&self, name: &str) -> Option<&Arc<T>> {
        self.get(self.find(name)?)
    }

    /// Everything with its name, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<T>)> {
        self.names.iter().filter_map(|(name, slot)| Some((name, self.get(*slot)?)))
    }
}

/// Settings of `deployment.toml` that flows depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest body that is read into memory.
    pub max_built_body: usize,
    /// Longest wait for bytes of a client or back end.
    pub socket_timeout: Duration,
    /// Longest wait for the answer of an endpoint without a time-out of its own. MI: `synapse.global_timeout_interval`.
    pub global_timeout: Duration,
    /// XML and JSON mapping.
    pub convert: ConvertOptions,
    /// Host name shown in WSDL and Location.
    pub hostname: Arc<str>,
    /// Address of the machine, or the one that the HTTP listener is bound to: the local entry `SERVER_IP`.
    pub server_ip: Arc<str>,
    /// Ports of the listeners: HTTP, HTTPS.
    pub http_port: u16,
    /// See `http_port`.
    pub https_port: u16,
    /// Header fields of a back end's answer or a client's request that MI replaces: keep the received ones instead.
    pub preserve_http_headers: Vec<String>,
    /// Keep User-Agent of the client towards back ends.
    pub preserve_user_agent: bool,
    /// Keep Server of the back end towards clients.
    pub preserve_server: bool,
    /// CORS of APIs.
    pub cors: crate::api::Cors,
    /// How long endpoints are suspended that do not say it themselves.
    pub suspension: mi_config::deployment::GlobalSuspension,
    /// Switches of expressions.
    pub expressions: mi_expr::ExprOptions,
    /// Folder for what must outlive the process, such as messages in stores; `None` where nothing can be kept.
    pub data_folder: Option<std::path::PathBuf>,
    /// What scripts may use up.
    pub scripts: mi_config::deployment::ScriptSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_built_body: 512 << 20,
            socket_timeout: Duration::from_mins(3),
            global_timeout: Duration::from_mins(2),
            convert: ConvertOptions::default(),
            hostname: "localhost".into(),
            server_ip: "127.0.0.1".into(),
            http_port: 8290,
            https_port: 8253,
            preserve_http_headers: Vec::new(),
            preserve_user_agent: false,
            preserve_server: true,
            cors: crate::api::Cors::default(),
            suspension: mi_config::deployment::GlobalSuspension {
                initial_ms: -1,
                progression_factor: 1.0,
                wins: false,
                failover: mi_config::deployment::FailoverLimits::default(),
            },
            expressions: mi_expr::ExprOptions::default(),
            data_folder: None,
            scripts: mi_config::deployment::ScriptSettings::default(),
        }
    }
}

/// The content of a local entry.
#[derive(Clone, Debug)]
pub struct LocalEntry {
    /// Text, or XML.
    pub value: Value,
    /// What an operation of a connector runs before, when the entry is a connection.
    pub connection: Option<Arc<Sequence>>,
}

/// Everything deployed.
pub struct Snapshot {
    /// Sequences by name.
    pub sequences: Slots<Sequence>,
    /// Endpoints by name.
    pub endpoints: Slots<Endpoint>,
    /// Sequence templates by name.
    pub templates: Slots<SequenceTemplate>,
    /// Local entries by key.
    pub local_entries: HashMap<Arc<str>, LocalEntry>,
    /// APIs with their dispatch order.
    pub apis: ApiTable,
    /// Proxy services by name.
    pub proxies: HashMap<Arc<str>, Arc<Proxy>>,
    /// Settings.
    pub settings: Settings,
    /// What is shared by all snapshots: transports, registry, clock.
    pub services: Arc<Services>,
    /// Endpoint templates by name.
    pub endpoint_templates: HashMap<Arc<str>, mi_config::EndpointTemplateConfig>,
    /// Values of config/property artifacts.
    pub configs: HashMap<String, String>,
    /// Inbound endpoints, and proxies on transports other than HTTP.
    pub inbounds: Vec<Arc<crate::inbound::Intake>>,
    /// Scheduled tasks.
    pub tasks: Vec<Arc<crate::inbound::Task>>,
    /// What components look up while messages run, such as data sources.
    pub shared: Shared,
    /// Message stores by name.
    pub stores: Slots<Store>,
    /// Message processors.
    pub processors: Vec<Arc<Processor>>,
    /// Sequences and endpoints read from the registry while messages run, by key.
    pub(crate) dynamic: Mutex<Dynamic>,
}

#[derive(Default)]
pub(crate) struct Dynamic {
    pub(crate) sequences: HashMap<String, (Bytes, Arc<Sequence>)>,
    pub(crate) endpoints: HashMap<String, (Bytes, Arc<Endpoint>)>,
}

impl Snapshot {
    /// Nothing deployed.
    pub fn empty(services: Arc<Services>, settings: Settings) -> Self {
        Self {
            sequences: Slots::default(),
            endpoints: Slots::default(),
            templates: Slots::default(),
            local_entries: HashMap::new(),
            apis: ApiTable::default(),
            proxies: HashMap::new(),
            settings,
            services,
            endpoint_templates: HashMap::new(),
            configs: HashMap::new(),
            inbounds: Vec::new(),
            tasks: Vec::new(),
            shared: Shared::default(),
            stores: Slots::default(),
            processors: Vec::new(),
            dynamic: Mutex::default(),
        }
    }

    /// The sequence that `reference` stands for; registry keys are looked up by their present content.
    pub fn sequence(&self, reference: &SequenceRef) -> Option<Arc<Sequence>> {
        match reference.slot.and_then(|slot| self.sequences.get(slot)) {
            Some(sequence) => Some(sequence.clone()),
            None => self.sequence_by_key(&reference.name),
        }
    }

    /// The sequence with a name or key that was computed while a message ran.
    pub fn sequence_by_key(&self, key: &str) -> Option<Arc<Sequence>> {
        if let Some(sequence) = self.sequences.by_name(key) {
            return Some(sequence.clone());
        }
        let content = self.stored_text(key)?;
        if let Some((known, sequence)) = self.lock_dynamic().sequences.get(key)
            && **known == *content
        {
            return Some(sequence.clone());
        }
        let sequence = crate::build::sequence_from_registry(self, key, &content)?;
        self.lock_dynamic().sequences.insert(key.to_owned(), (content, sequence.clone()));
        Some(sequence)
    }

    /// The endpoint that `reference` stands for.
    pub fn endpoint(&self, reference: &EndpointRef) -> Option<Arc<Endpoint>> {
        match reference.slot.and_then(|slot| self.endpoints.get(slot)) {
            Some(endpoint) => Some(endpoint.clone()),
            None => self.endpoint_by_key(&reference.name),
        }
    }

    /// The endpoint with a name or key that was computed while a message ran.
    pub fn endpoint_by_key(&self, key: &str) -> Option<Arc<Endpoint>> {
        if let Some(endpoint) = self.endpoints.by_name(key) {
            return Some(endpoint.clone());
        }
        let content = self.stored_text(key)?;
        if let Some((known, endpoint)) = self.lock_dynamic().endpoints.get(key)
            && **known == *content
        {
            return Some(endpoint.clone());
        }
        let endpoint = crate::build::endpoint_from_registry(self, key, &content)?;
        self.lock_dynamic().endpoints.insert(key.to_owned(), (content, endpoint.clone()));
        Some(endpoint)
    }

    /// The text of a local entry or of a registry resource.
    fn stored_text(&self, key: &str) -> Option<Bytes> {
        match self.local_entries.get(key) {
            Some(entry) => Some(Bytes::copy_from_slice(entry.value.to_text().as_bytes())),
            None => self.services.registry.content(key),
        }
    }

    /// The template that `reference` stands for.
    pub fn template(&self, reference: &TemplateRef) -> Option<Arc<SequenceTemplate>> {
        match reference.slot.and_then(|slot| self.templates.get(slot)) {
            Some(template) => Some(template.clone()),
            None => self.templates.by_name(&reference.name).cloned(),
        }
    }

    /// The message store that `reference` stands for.
    pub fn store(&self, reference: &StoreRef) -> Option<&Arc<Store>> {
        match reference.slot.and_then(|slot| self.stores.get(slot)) {
            Some(store) => Some(store),
            None => self.stores.by_name(&reference.name),
        }
    }

    /// The `fault` sequence.
    pub fn fault_sequence(&self) -> Option<Arc<Sequence>> {
        self.sequences.by_name("fault").cloned()
    }

    /// The `main` sequence.
    pub fn main_sequence(&self) -> Option<Arc<Sequence>> {
        self.sequences.by_name("main").cloned()
    }

    fn lock_dynamic(&self) -> std::sync::MutexGuard<'_, Dynamic> {
        self.dynamic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Snapshot").field("proxies", &self.proxies.len()).finish_non_exhaustive()
    }
}
