//! What the management API is given by the server: the engine, what is deployed with its sources, and traits for what
//! other parts of the server own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::Bytes;
use log::LevelFilter;
use mi_config::{Artifact, ArtifactKind, Deployment, Diagnostic};
use mi_engine::Engine;
use mi_engine::users::UserStore;

use crate::auth::Directory;
use crate::switches::Switches;

/// An artifact that is deployed.
#[derive(Clone, Debug)]
pub struct DeployedArtifact {
    /// The artifact with its source.
    pub artifact: Artifact,
    /// Id of the application that brought it.
    pub application: Option<Arc<str>>,
    /// Steps of it that cannot run here, each as deployment warned of it: messages that reach one get a fault.
    pub degraded: Vec<Diagnostic>,
}

/// An application, deployed or faulty.
#[derive(Clone, Debug)]
pub struct Application {
    /// Name.
    pub name: String,
    /// Version, when it could be read.
    pub version: Option<String>,
    /// Names and types of its artifacts, such as `("Orders", "synapse/api")`.
    pub artifacts: Vec<(String, String)>,
    /// Why it does not run; empty when it does.
    pub reasons: Vec<String>,
}

/// A connector.
#[derive(Clone, Debug)]
pub struct Connector {
    /// Name.
    pub name: String,
    /// Package.
    pub package: String,
    /// What its author says about it.
    pub description: String,
    /// File name of the archive.
    pub file: Arc<str>,
    /// Is it part of an application? Then it is enabled without an `<import>`.
    pub of_application: bool,
}

/// What a deployment has come to.
pub struct Deployed {
    /// Artifacts that run, in the order of deployment.
    pub artifacts: Vec<DeployedArtifact>,
    /// Applications that run.
    pub applications: Vec<Application>,
    /// Applications that do not.
    pub faulty: Vec<Application>,
    /// Connectors.
    pub connectors: Vec<Connector>,
    /// The registry.
    pub registry: Arc<dyn RegistryAccess>,
}

impl Default for Deployed {
    /// Nothing.
    fn default() -> Self {
        Self {
            artifacts: Vec::new(),
            applications: Vec::new(),
            faulty: Vec::new(),
            connectors: Vec::new(),
            registry: Arc::new(NoRegistry),
        }
    }
}

impl fmt::Debug for Deployed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Deployed").field("artifacts", &self.artifacts.len()).finish_non_exhaustive()
    }
}

/// A resource of the registry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resource {
    /// The bytes; `None` for a folder, or where only properties exist.
    pub bytes: Option<Bytes>,
    /// Media type, if one is recorded.
    pub media_type: Option<String>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
}

/// The registry by keys such as `conf:/a/b`. A key never leaves it.
pub trait RegistryAccess: Send + Sync {
    /// The resource of a key.
    fn get(&self, key: &str) -> Option<Resource>;
    /// Names directly inside a folder; those of folders end in `/`. `None` when there is no such folder.
    fn children(&self, key: &str) -> Option<Vec<String>>;
    /// Writes a resource with all of its properties.
    fn put(&self, key: &str, resource: Resource) -> Result<(), String>;
    /// Removes a resource or folder; false when there was none.
    fn delete(&self, key: &str) -> Result<bool, String>;
}

/// A registry that holds nothing.
#[derive(Debug)]
pub struct NoRegistry;

impl RegistryAccess for NoRegistry {
    fn get(&self, _: &str) -> Option<Resource> {
        None
    }

    fn children(&self, _: &str) -> Option<Vec<String>> {
        None
    }

    fn put(&self, _: &str, _: Resource) -> Result<(), String> {
        Err("there is no registry".to_owned())
    }

    fn delete(&self, _: &str) -> Result<bool, String> {
        Ok(false)
    }
}

/// Levels of the log.
pub trait LogControl: Send + Sync {
    /// Sets the level of a logger by its full name; `None` is the root logger.
    fn set_level(&self, logger: Option<&str>, level: LevelFilter);
}

/// What runs beside the listeners. `None` answers that the server does not run it; the switch is then only remembered.
pub trait RunControl: Send + Sync {
    /// Does it take in messages, or do its work, at the moment? `kind` is an inbound endpoint, a task or a processor.
    fn is_active(&self, kind: ArtifactKind, name: &str) -> Option<bool> {
        let _ = (kind, name);
        None
    }

    /// Starts or stops it.
    fn set_active(&self, kind: ArtifactKind, name: &str, active: bool) -> Option<Result<(), String>> {
        let _ = (kind, name, active);
        None
    }

    /// Runs a task once, now.
    fn trigger(&self, task: &str) -> Option<Result<(), String>> {
        let _ = task;
        None
    }

    /// Messages in a store.
    fn store_size(&self, store: &str) -> Option<u64> {
        let _ = store;
        None
    }
}

/// How the server is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Running messages get their time.
    pub graceful: bool,
    /// Whoever started the server is asked to start it again.
    pub restart: bool,
}

/// Ends the server.
pub trait ServerControl: Send + Sync {
    /// Begins to end it; returns at once.
    fn end(&self, end: End);
}

/// Folders and files.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The home folder.
    pub home: PathBuf,
    /// Folder of the log files.
    pub logs: Option<PathBuf>,
    /// Folder that uploaded applications are written to.
    pub applications: PathBuf,
    /// `conf/log4j2.properties`, which need not exist.
    pub loggers: PathBuf,
    /// Folder of the files that enable connectors, which need not exist.
    pub imports: PathBuf,
}

/// Everything that the resources work on.
pub struct ManagementContext {
    /// What serves messages.
    pub engine: Arc<Engine>,
    /// `deployment.toml`.
    pub deployment: Deployment,
    /// Folders and files.
    pub paths: Paths,
    /// The release of MI whose behaviour is reproduced.
    pub product_version: String,
    /// Levels of the log.
    pub log: Arc<dyn LogControl>,
    /// What runs beside the listeners.
    pub run: Arc<dyn RunControl>,
    /// Ends the server.
    pub server: Arc<dyn ServerControl>,
    pub(crate) users: Option<Directory>,
    pub(crate) deployed: ArcSwap<Deployed>,
    pub(crate) switches: Switches,
    pub(crate) started: Instant,
    /// See [`Parts::correlation`].
    pub correlation: Arc<AtomicBool>,
}

/// The parts of a [`ManagementContext`] that the server brings.
pub struct Parts {
    /// See [`ManagementContext::engine`].
    pub engine: Arc<Engine>,
    /// See [`ManagementContext::deployment`].
    pub deployment: Deployment,
    /// See [`ManagementContext::paths`].
    pub paths: Paths,
    /// See [`ManagementContext::product_version`].
    pub product_version: String,
    /// See [`ManagementContext::log`].
    pub log: Arc<dyn LogControl>,
    /// See [`ManagementContext::run`].
    pub run: Arc<dyn RunControl>,
    /// See [`ManagementContext::server`].
    pub server: Arc<dyn ServerControl>,
    /// Is the correlation log written?
    pub correlation: Arc<AtomicBool>,
    /// Users, when they are not those of `deployment.toml`.
    pub users: Option<Arc<dyn UserStore>>,
}

impl ManagementContext {
    /// A context for what is deployed first.
    pub fn new(parts: Parts, deployed: Deployed) -> Self {
        Self {
            engine: parts.engine,
            deployment: parts.deployment,
            paths: parts.paths,
            product_version: parts.product_version,
            log: parts.log,
            run: parts.run,
            server: parts.server,
            users: parts.users.map(Directory::new),
            deployed: ArcSwap::from_pointee(deployed),
            switches: Switches::default(),
            started: Instant::now(),
            correlation: parts.correlation,
        }
    }

    /// Follows a new deployment, which the engine has already: proxies and endpoints that operators have switched stay
    /// as they are.
    pub fn redeployed(&self, deployed: Deployed) {
        self.deployed.store(Arc::new(deployed));
        // From here on the files say it.
        self.switches.forget(ArtifactKind::Import);
        let snapshot = self.engine.snapshot();
        for (name, running) in self.switches.all_running(ArtifactKind::Proxy) {
            if let Some(proxy) = snapshot.proxies.get(name.as_str()) {
                proxy.set_running(running);
            }
        }
        for (name, on) in self.switches.all_running(ArtifactKind::Endpoint) {
            if let Some(state) = snapshot.endpoints.by_name(&name).and_then(|endpoint| endpoint.state())
                && !on
            {
                state.switch_off();
            }
        }
    }

    /// Are correlation logs switched on?
    pub fn correlation(&self) -> bool {
        self.correlation.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Base URLs of the open listeners, plain first.
    pub(crate) fn base_urls(&self) -> Vec<String> {
        let http = &self.deployment.http;
        let host = &self.deployment.server.hostname;
        let plain = http.http.enabled.then(|| format!("http://{host}:{}", self.deployment.http_port()));
        let secured = http.https.enabled.then(|| format!("https://{host}:{}", self.deployment.https_port()));
        plain.into_iter().chain(secured).collect()
    }
}

impl fmt::Debug for ManagementContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ManagementContext").field("paths", &self.paths).finish_non_exhaustive()
    }
}
