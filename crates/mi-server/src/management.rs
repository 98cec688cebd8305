//! The management API in this server: its listener, and what it is given of deployer, log and inbounds.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::StatusCode;
use log::LevelFilter;
use mi_config::deployment::PlainHttp;
use mi_config::{Artifact, ArtifactKind, Deployment, Diagnostic};
use mi_deployer::{Home, LoadedDeployment, Origin, Registry, RegistryResource};
use mi_engine::Engine;
use mi_engine::inbound::{Phase, RunningInbounds};
use mi_engine::transport::{HttpReply, HttpRequest, HttpService};
use mi_engine::users::UserStore;
use mi_management::{
    Application, Connector, Deployed, DeployedArtifact, End, LogControl, ManagementContext, ManagementService, Parts,
    Paths, RegistryAccess, Resource, RunControl, ServerControl,
};
use mi_telemetry::log::LogHandle;
use mi_transports::http::{ListenerConfig, Server as HttpServer};
use mi_transports::ldap::LdapUsers;
use mi_transports::tls::{ClientTls, ClientTlsConfig, ServerTls};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::probes::MI_VERSION;

/// MI's exit code for "start me again"; `run` does that itself.
pub const RESTART: u8 = 121;

/// The running API.
pub struct Management {
    /// Follows deployments.
    pub context: Arc<ManagementContext>,
    server: HttpServer,
    end: watch::Receiver<Option<End>>,
}

/// What the server hands over.
pub struct Handover<'a> {
    /// `deployment.toml`.
    pub deployment: &'a Deployment,
    /// The home.
    pub home: &'a Home,
    /// Folder of the log files.
    pub log_folder: Option<PathBuf>,
    /// The log.
    pub logs: LogHandle,
    /// What serves messages.
    pub engine: Arc<Engine>,
    /// What takes messages in beside the listeners.
    pub inbounds: Arc<RunningInbounds>,
    /// Address to listen on.
    pub address: IpAddr,
    /// Key material of the listener.
    pub tls: Arc<ServerTls>,
    /// Is the correlation log written?
    pub correlation: Arc<AtomicBool>,
    /// The API on the internal listener.
    pub twin: Arc<Twin>,
    /// Users, when they are not those of `deployment.toml`.
    pub users: Option<Arc<dyn UserStore>>,
}

/// The API on the listener of probes, which has no TLS: for this machine, or for everybody where `management_api.protocols` names
/// `http`. MI: `InternalAPIDispatcher`.
#[derive(Debug, Default)]
pub struct Twin(OnceLock<Served>);

/// The service, the thread that it works on so that no probe waits for it, and whom it is for.
#[derive(Debug)]
struct Served {
    service: ManagementService,
    thread: Handle,
    whom: PlainHttp,
}

impl Twin {
    /// Is a path, without its query, one of the API?
    pub fn owns(path: &str) -> bool {
        path.strip_prefix("/management").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The answer; 404 for whom the API is not there.
    pub fn answer(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        let near = request.peer.ip().to_canonical().is_loopback();
        let served = self.0.get().filter(|it| match it.whom {
            PlainHttp::Off => false,
            PlainHttp::ThisMachine => near,
            PlainHttp::Everybody => true,
        });
        let Some(served) = served else {
            return futures_util::future::ready(Some(HttpReply::new(StatusCode::NOT_FOUND))).boxed();
        };
        let answer = served.thread.spawn(served.service.call(request));
        async { answer.await.ok().flatten() }.boxed()
    }
}

/// Opens the listener, on a thread of its own so that no request here holds up messages.
pub fn start(handover: Handover<'_>, deployed: Deployed) -> std::io::Result<Management> {
    let Handover { deployment, home, log_folder, logs, engine, inbounds, address, tls, correlation, twin, users } =
        handover;
    let (sender, end) = watch::channel(None);
    let applications = home.applications.iter().find(|folder| folder.is_dir()).or(home.applications.first());
    let parts = Parts {
        engine,
        deployment: deployment.clone(),
        paths: Paths {
            home: home.root.clone(),
            logs: log_folder,
            applications: applications.cloned().unwrap_or_else(|| home.root.join("carbonapps")),
            loggers: crate::logging::file(&home.root),
            imports: imports(home),
        },
        product_version: MI_VERSION.to_owned(),
        log: Arc::new(Log(logs)),
        run: Arc::new(Inbounds(inbounds)),
        server: Arc::new(Ending(sender)),
        correlation,
        users,
    };
    let context = Arc::new(ManagementContext::new(parts, deployed));
    let service = ManagementService::new(context.clone(), !address.is_loopback());
    if let Some((name, password)) = service.generated() {
        // Not by the log, whose files stay, are read by others, and are shown by the management API itself.
        let line = format!("Password of {name} at the management API from other machines, for this run: {password}\n");
        drop(std::io::stderr().write_all(line.as_bytes()));
    }
    let mut server = HttpServer::idle(1)?;
    if deployment.management.https {
        let port = deployment.internal_https_port();
        let mut config = ListenerConfig::new("Management HTTPS", SocketAddr::new(address, port));
        config.plain_codec = true;
        config.tls = Some(tls);
        server.listen(vec![(config, Arc::new(service.clone()))])?;
    }
    if let Some(thread) = server.handles().first().cloned() {
        // Nobody else sets it.
        twin.0.get_or_init(|| Served { service, thread, whom: deployment.management.http });
    }
    Ok(Management { context, server, end })
}

/// Where files that enable connectors are read from, in the layout that this home has.
fn imports(home: &Home) -> PathBuf {
    let folder = home.synapse_configs.iter().find(|folder| folder.is_dir()).or(home.synapse_configs.first());
    folder.unwrap_or(&home.root).join("imports")
}

/// The directory with the users of the management API, where `deployment.toml` names one.
pub fn users(deployment: &Deployment, client: &Arc<ClientTls>) -> anyhow::Result<Option<Arc<dyn UserStore>>> {
    let Some(config) = deployment.management.user_store.clone() else { return Ok(None) };
    let tls = if config.validate_certificates {
        client.clone()
    } else {
        Arc::new(ClientTls::new(&ClientTlsConfig { accept_any: true, ..ClientTlsConfig::default() })?)
    };
    let store =
        LdapUsers::new(config, tls).map_err(|why| anyhow::anyhow!("the user store of deployment.toml: {why}"))?;
    Ok(Some(Arc::new(store)))
}

impl Management {
    /// Resolves when a user of the API ends the server.
    pub async fn told_to_end(&mut self) -> End {
        let told = match self.end.wait_for(Option::is_some).await {
            Ok(end) => *end,
            Err(_) => None,
        };
        match told {
            Some(end) => end,
            // Nobody can say so any more.
            None => std::future::pending().await,
        }
    }

    /// Closes the listener.
    pub fn shutdown(self) {
        self.server.shutdown();
    }
}

/// What the API shows of a deployment. `artifacts` are those that were compiled, in the order of `loaded` with the
/// server's own at the end; `failed` are indexes of those that do not run; `warnings` that name an artifact say that it
/// works in part only.
pub fn deployed(
    loaded: &LoadedDeployment,
    artifacts: Vec<Artifact>,
    failed: &HashSet<usize>,
    warnings: &[Diagnostic],
) -> Deployed {
    let origin = |index: usize| match loaded.artifacts.get(index).map(|it| &it.origin) {
        Some(Origin::Application(id)) => Some(id.clone()),
        Some(Origin::File(_)) | None => None,
    };
    let running = artifacts.into_iter().enumerate().filter(|(index, _)| !failed.contains(index));
    let application = |name: &String, version: &Option<String>, artifacts: &Vec<(String, String)>| Application {
        reasons: Vec::new(),
        name: name.clone(),
        version: version.clone(),
        artifacts: artifacts.clone(),
    };
    let running_applications = loaded.applications.iter().map(|it| application(&it.name, &it.version, &it.artifacts));
    let faulty = loaded.faulty.iter().map(|it| Application {
        reasons: it.reasons.iter().map(ToString::to_string).collect(),
        ..application(&it.name, &it.version, &it.artifacts)
    });
    let running = running.map(|(index, artifact)| {
        let of_it =
            |it: &&Diagnostic| it.artifact.as_deref() == Some(artifact.name()) && it.file == artifact.source().name;
        let degraded = warnings.iter().filter(of_it).cloned().collect();
        DeployedArtifact { artifact, application: origin(index), degraded }
    });
    Deployed {
        artifacts: running.collect(),
        applications: running_applications.collect(),
        faulty: faulty.collect(),
        connectors: loaded
            .libraries
            .iter()
            .map(|library| Connector {
                name: library.name.clone(),
                package: library.package.clone(),
                description: library.description.clone(),
                file: library.file.clone(),
                of_application: library.application.is_some() || library.file.contains("!/"),
            })
            .collect(),
        registry: Arc::new(Files(loaded.registry.clone())),
    }
}

struct Log(LogHandle);

impl LogControl for Log {
    fn set_level(&self, logger: Option<&str>, level: LevelFilter) {
        match logger {
            Some(logger) => self.0.set_level(logger, level),
            None => self.0.set_root_level(level),
        }
    }
}

struct Ending(watch::Sender<Option<End>>);

impl ServerControl for Ending {
    fn end(&self, end: End) {
        self.0.send_replace(Some(end));
    }
}

struct Inbounds(Arc<RunningInbounds>);

/// What [`RunningInbounds`] calls a kind; `None` for one that it does not run.
fn kind_name(kind: ArtifactKind) -> Option<&'static str> {
    match kind {
        ArtifactKind::InboundEndpoint => Some("inboundendpoint"),
        ArtifactKind::Task => Some("task"),
        ArtifactKind::MessageProcessor => Some("messageprocessor"),
        _ => None,
    }
}

impl RunControl for Inbounds {
    fn trigger(&self, task: &str) -> Option<Result<(), String>> {
        self.0.trigger(task)
    }

    fn store_size(&self, store: &str) -> Option<u64> {
        self.0.engine().snapshot().stores.by_name(store)?.size()
    }

    fn is_active(&self, kind: ArtifactKind, name: &str) -> Option<bool> {
        let kind = kind_name(kind)?;
        Some(self.0.list().iter().any(|it| it.kind == kind && *it.name == *name && it.phase == Phase::Running))
    }

    fn set_active(&self, kind: ArtifactKind, name: &str, active: bool) -> Option<Result<(), String>> {
        let phase = if active { Phase::Running } else { Phase::Paused };
        let found = self.0.set_running(kind_name(kind)?, name, phase);
        Some(if found { Ok(()) } else { Err(format!("The {kind} {name} does not run on this server")) })
    }
}

struct Files(Arc<Registry>);

impl RegistryAccess for Files {
    fn get(&self, key: &str) -> Option<Resource> {
        let found = self.0.get(key)?;
        Some(Resource {
            bytes: found.bytes.clone(),
            media_type: found.media_type.clone(),
            properties: found.properties.clone(),
        })
    }

    fn children(&self, key: &str) -> Option<Vec<String>> {
        self.0.children(key)
    }

    fn put(&self, key: &str, resource: Resource) -> Result<(), String> {
        let Resource { bytes, media_type, properties } = resource;
        self.0.put(key, RegistryResource { bytes, media_type, properties }).map_err(|error| error.to_string())
    }

    fn delete(&self, key: &str) -> Result<bool, String> {
        self.0.delete(key).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twin_has_the_paths_of_the_api() {
        for path in ["/management", "/management/", "/management/apis"] {
            assert!(Twin::owns(path), "{path}");
        }
        for path in ["/", "/healthz", "/managements", "/x/management", "/dashboard"] {
            assert!(!Twin::owns(path), "{path}");
        }
    }
}
