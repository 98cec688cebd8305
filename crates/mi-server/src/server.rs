//! The life of the server: read the home, deploy, listen, and end without losing anything.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mi_components::executors::Executors;
use mi_config::{Artifact, Deployment, Diagnostic, SourceFile};
use mi_data::{DataSources, Databases};
use mi_deployer::{Application, Former, Home, LoadedDeployment, Origin, Registry, Watcher};
use mi_engine::api::openapi::ApiDefinitions;
use mi_engine::inbound::RunningInbounds;
use mi_engine::keep::Keeper;
use mi_engine::metrics::Metrics;
use mi_engine::room::BodyMemory;
use mi_engine::trail::Watch;
use mi_engine::transport::{HttpClient, HttpService};
use mi_engine::{Built, Engine, Services, Snapshot, Specs};
use mi_telemetry::log::LogHandle;
use mi_telemetry::trace::Tracer;
use mi_transports::http::{Client, Limits, ListenerConfig, SERVER, Server as HttpServer};

use crate::back_ends::{Senders, client_config, senders};
use crate::cli::{HomeArgs, RunArgs};
use crate::job::Job;
use crate::probes::{FaultyApplication, InternalService, MainService, Probes};
use crate::redeploy::{Redeployer, keep_registry};
use crate::wire::{EngineRegistry, ProcessEnvironment, SystemClock};
use crate::{banner, connectors, coordination, defaults, following, job, logging, management, memory, metrics, report};
use crate::{tls, wire};

/// How long requests are still taken after SIGTERM, so that load balancers notice first.
const DRAIN_DELAY: Duration = Duration::from_secs(5);

/// How long the end waits for the collector of traces.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// How often the deployment folders are looked at; a change is taken when two looks have seen the same.
const LOOK_AT_FOLDERS: Duration = Duration::from_millis(250);

/// Everything read and nothing started.
pub struct Prepared {
    /// The home folder.
    pub home: Home,
    /// `deployment.toml`.
    pub deployment: Deployment,
    /// Artifacts, applications and registry.
    pub loaded: LoadedDeployment,
}

/// What came out of deploying.
pub struct Deployed {
    /// What runs.
    pub snapshot: Snapshot,
    /// Applications that are there.
    pub applications: Vec<Application>,
    /// Applications that are not, each with the reason.
    pub faulty: Vec<FaultyApplication>,
    /// Those reasons one by one.
    pub rejected: Vec<Diagnostic>,
    /// Artifacts that work only in part.
    pub degraded: Vec<String>,
    /// Everything that was found wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// What the log says was deployed.
    pub deployments: report::Deployments,
    /// What the management API shows.
    pub managed: mi_management::Deployed,
    /// With what the applications bring.
    pub registry: Arc<Registry>,
    /// Applications and loose files that are broken.
    pub broken: (Vec<mi_deployer::FaultyApplication>, BTreeMap<PathBuf, Vec<Diagnostic>>),
    /// What was deployed, for when a new version of it is broken.
    pub former: Former,
}

impl Prepared {
    /// Reads the home folder and the applications named on the command line.
    pub fn read(args: &RunArgs) -> anyhow::Result<Self> {
        Self::read_over(args, &Former::default())
    }

    /// The same, with former versions in the place of those that are known to be broken.
    pub fn read_over(args: &RunArgs, former: &Former) -> anyhow::Result<Self> {
        let home = locate(args)?;
        let mut system = system_properties(&args.home);
        system.entry("carbon.home".to_owned()).or_insert_with(|| home.root.display().to_string());
        let environment = mi_deployer::Environment::new(&home, std::env::vars().collect(), system);
        let (mut deployment, diagnostics) = mi_deployer::read_deployment(&home, &environment)
            .with_context(|| format!("cannot read {}", home.deployment_toml.display()))?;
        apply_properties(&mut deployment, &args.home)?;
        let mut loaded = mi_deployer::load_over(&home, &deployment, &environment, former);
        loaded.diagnostics.splice(0..0, diagnostics.into_vec());
        Ok(Self { home, deployment, loaded })
    }

    /// Compiles what was read. An application with a broken artifact is left out as a whole, as MI rolls it back.
    pub fn deploy(mut self, services: Arc<Services>, databases: &Arc<Databases>) -> Deployed {
        let mut diagnostics = std::mem::take(&mut self.loaded.diagnostics);
        let settings = wire::settings(&self.deployment, &self.home.root);
        let (artifacts, mut built) = loop {
            let artifacts = self.artifacts();
            // Behind the others, so that what failed is found by its place.
            let all = [artifacts.clone(), connectors::templates(&self.loaded)].concat();
            let built = mi_engine::build(&all, services.clone(), settings.clone());
            let applications = self.failed_applications(&built);
            if applications.is_empty() {
                break (artifacts, built);
            }
            for (id, reasons) in applications {
                self.loaded.reject(&id, reasons);
            }
        };
        built.warnings.retain(|it| !connectors::is_of_template(&self.loaded, it));
        built.warnings.extend(connectors::warnings(&self.loaded));
        built.warnings.extend(self.add_data_sources(&mut built.snapshot, databases));
        let (faulty, served) = self.faulty();
        let mut degraded = built.warnings.iter().filter_map(|warning| warning.artifact.clone()).collect::<Vec<_>>();
        degraded.extend(served);
        let failed: HashSet<usize> = built.failed.iter().map(|(index, _)| *index).collect();
        built.snapshot.shared.insert(Executors::of(&artifacts));
        built.snapshot.shared.insert(ApiDefinitions(std::mem::take(&mut self.loaded.api_definitions)));
        let managed = management::deployed(&self.loaded, artifacts, &failed, &built.warnings);
        let deployments = report::Deployments::of(&self.loaded, &failed);
        let mut broken_files = std::mem::take(&mut self.loaded.broken_files);
        for (index, found) in &built.failed {
            if let Some(Origin::File(path)) = self.loaded.artifacts.get(*index).map(|it| &it.origin) {
                broken_files.insert(path.clone(), found.clone());
            }
        }
        let former = Former::of(&self.loaded, &broken_files);
        // Those of applications that were rolled back are told with the application.
        diagnostics.extend(std::mem::take(&mut built.failed).into_iter().flat_map(|(_, found)| found));
        diagnostics.append(&mut built.warnings);
        built.snapshot.configs = self.loaded.configs.clone().into_iter().collect();
        Deployed {
            snapshot: built.snapshot,
            applications: std::mem::take(&mut self.loaded.applications),
            faulty,
            rejected: self.loaded.faulty.iter().flat_map(|it| it.reasons.clone()).collect(),
            degraded: dedup(degraded),
            diagnostics,
            deployments,
            managed,
            registry: self.loaded.registry.clone(),
            broken: (std::mem::take(&mut self.loaded.faulty), broken_files),
            former,
        }
    }

    /// Applications that are not there, and those whose former version goes on, which leaves the server ready.
    fn faulty(&self) -> (Vec<FaultyApplication>, Vec<String>) {
        let served = |file: &Arc<str>| self.loaded.applications.iter().any(|it| it.former && it.file == *file);
        let (former, gone): (Vec<_>, Vec<_>) = self.loaded.faulty.iter().partition(|it| served(&it.file));
        (gone.into_iter().map(described).collect(), former.into_iter().map(|it| described(it).name).collect())
    }

    /// Makes data sources known to those who look them up by name; gives what is wrong with them.
    fn add_data_sources(&self, snapshot: &mut Snapshot, databases: &Arc<Databases>) -> Vec<Diagnostic> {
        let mut sources = DataSources::new(databases.clone());
        let configured = self.deployment.datasources.iter();
        let mut found: Vec<Diagnostic> = configured.filter_map(|config| sources.add_configured(config)).collect();
        for deployed in &self.loaded.artifacts {
            if let Artifact::DataSource(config) = &deployed.artifact {
                found.extend(sources.add_artifact(&config.element));
            }
        }
        snapshot.shared.insert(sources);
        found
    }

    /// The artifacts in the order deployed, with `main` and `fault` when the home has none.
    fn artifacts(&self) -> Vec<Artifact> {
        let mut artifacts: Vec<Artifact> = self.loaded.artifacts.iter().map(|it| it.artifact.clone()).collect();
        for (name, text) in [("main", defaults::MAIN), ("fault", defaults::FAULT)] {
            let present = artifacts.iter().any(|it| matches!(it, Artifact::Sequence(config) if &*config.name == name));
            if !present {
                let (parsed, _) = mi_config::parse_artifact(SourceFile::new(name, text.as_bytes().to_vec()));
                artifacts.extend(parsed);
            }
        }
        artifacts
    }

    /// Ids of applications with a broken artifact, with their errors.
    fn failed_applications(&self, built: &Built) -> BTreeMap<Arc<str>, Vec<Diagnostic>> {
        let mut applications: BTreeMap<Arc<str>, Vec<Diagnostic>> = BTreeMap::new();
        for (index, diagnostics) in &built.failed {
            if let Some(Origin::Application(id)) = self.loaded.artifacts.get(*index).map(|it| &it.origin) {
                let errors = diagnostics.iter().filter(|it| it.is_error()).cloned();
                applications.entry(id.clone()).or_default().extend(errors);
            }
        }
        applications
    }
}

/// A faulty application as it is shown.
pub fn described(faulty: &mi_deployer::FaultyApplication) -> FaultyApplication {
    let reason = faulty.reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    FaultyApplication { name: file_stem(&faulty.file).to_owned(), reason }
}

/// MI lists faulty applications by the name of their file.
fn file_stem(file: &str) -> &str {
    file.strip_suffix(".car").unwrap_or(file)
}

/// `-D` properties that stand for settings of `deployment.toml`.
fn apply_properties(deployment: &mut Deployment, args: &HomeArgs) -> anyhow::Result<()> {
    let number = |name: &str| -> anyhow::Result<Option<u16>> {
        match args.property(name) {
            Some(text) => text.trim().parse().map(Some).with_context(|| format!("-D{name}={text} is no number")),
            None => Ok(None),
        }
    };
    if let Some(offset) = number("portOffset")? {
        deployment.server.offset = offset;
    }
    if let Some(port) = number("http.nio.port")? {
        deployment.http.http.port = port;
    }
    if let Some(port) = number("https.nio.port")? {
        deployment.http.https.port = port;
    }
    Ok(())
}

fn dedup(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

/// The home with the applications named on the command line.
fn locate(args: &RunArgs) -> anyhow::Result<Home> {
    let mut home = Home::locate(&home_of(&args.home)?);
    for application in &args.applications {
        let shown = || format!("cannot read the application {}", application.display());
        home.named.push(application.canonicalize().with_context(shown)?);
    }
    Ok(home)
}

/// `--home`, else `$MI_HOME`, `$CARBON_HOME`, `$WSO2_SERVER_HOME`, else the current folder.
fn home_of(args: &HomeArgs) -> anyhow::Result<PathBuf> {
    let named = args.home.clone().or_else(|| {
        ["MI_HOME", "CARBON_HOME", "WSO2_SERVER_HOME"]
            .iter()
            .find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
    });
    let root = named.unwrap_or_else(|| PathBuf::from("."));
    if !root.is_dir() {
        bail!("the home folder {} is not there; name one with --home DIR", root.display());
    }
    root.canonicalize().with_context(|| format!("cannot read the home folder {}", root.display()))
}

fn system_properties(args: &HomeArgs) -> BTreeMap<String, String> {
    args.define
        .iter()
        .map(|definition| match definition.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None => (definition.clone(), String::new()),
        })
        .collect()
}

/// What outlasts deployments.
#[derive(Default)]
pub struct Lasting {
    /// Counters of services.
    pub metrics: Arc<Metrics>,
    /// Who follows messages.
    pub watch: Arc<Watch>,
    /// State of artifacts.
    pub keeper: Arc<Keeper>,
    /// The memory for bodies.
    pub bodies: Arc<BodyMemory>,
}

/// What all deployments share.
pub fn services(prepared: &Prepared, http: Arc<dyn HttpClient>, senders: Senders, lasting: Lasting) -> Arc<Services> {
    let Lasting { metrics, watch, keeper, bodies } = lasting;
    Arc::new(Services {
        http,
        clock: Arc::new(SystemClock),
        registry: Arc::new(EngineRegistry(prepared.loaded.registry.clone())),
        environment: Arc::new(ProcessEnvironment(prepared.loaded.environment.clone())),
        specs: Arc::new(specs()),
        senders,
        in_flight: std::sync::atomic::AtomicU64::new(0),
        metrics,
        watch,
        keeper,
        bodies,
    })
}

/// Every component that this program has.
fn specs() -> Specs {
    Specs::new(&[mi_components::mediators::UNSUPPORTED, mi_components::TABLE, mi_data::TABLE])
        .with_connector(mi_components::mediators::parse_operation)
        .with_inbounds(mi_transports::INBOUNDS)
        .with_service_transports(mi_transports::SERVICE_TRANSPORTS)
        .with_tasks(mi_components::tasks::TABLE)
        .with_stores(mi_components::stores::TABLE)
        .with_stores(mi_data::STORES)
        .with_processors(mi_components::processors::TABLE)
}

/// How long the server waits for its inbound endpoints to open before it says that it is ready.
const INBOUNDS_OPEN: Duration = Duration::from_secs(5);

/// A server that takes requests.
pub struct Running {
    inbounds: Arc<RunningInbounds>,
    deployer: Redeployer,
    management: management::Management,
    /// `None` when `[mediation] internal_http_api_enable` is false.
    internal: Option<HttpServer>,
    main: HttpServer,
    probes: Arc<Probes>,
    logs: LogHandle,
    tracer: Option<Tracer>,
    /// What the server runs once, to end with it.
    job: Option<Job>,
    grace: Duration,
    drain_delay: Duration,
}

/// Starts the server: the probes first, then the deployment, then the listeners.
pub fn start(args: &RunArgs) -> anyhow::Result<Running> {
    let began = Instant::now();
    // Looks at the folders before they are read, so that no change in between is missed.
    let watcher = Watcher::new(&locate(args)?);
    let prepared = Prepared::read(args)?;
    let (config, wrong) = logging::config(&prepared.home.root, log_folder(&prepared.home.root));
    let logs = mi_telemetry::log::init(&config).context("cannot start the log")?;
    for text in wrong {
        log::warn!(target: "LoggerManager", "log4j2.properties: {text}");
    }
    let probes = Arc::new(Probes::starting());
    let (address, page) = (bind_address(None)?, Arc::new(metrics::Page::default()));
    let twin = Arc::new(management::Twin::default());
    let answering = InternalService { probes: probes.clone(), metrics: page.clone(), management: twin.clone() };
    let internal = internal_listener(&prepared.deployment, address, answering)?;
    let keys = tls::load(&prepared.home.root, &prepared.deployment)?;
    let client = Client::new(client_config(args, &prepared.deployment, keys.client.clone()));
    let http: Arc<dyn HttpClient> = Arc::new(client.clone());
    let following = following::start(&prepared, &config, &args.home, &http)?;
    let bodies = memory::for_bodies(&prepared.deployment.http);
    let lasting = Lasting { bodies, ..following.lasting() };
    let services = services(&prepared, http.clone(), senders(&client, keys.client.clone()), lasting);
    let (deployment, home) = (prepared.deployment.clone(), prepared.home.clone());
    let databases = Arc::new(Databases::new(&home.root));
    let shared = coordination::of(&deployment, &args.home, &databases)?;
    let deployed = prepared.deploy(services, &databases);
    report::deployed(&deployed, None);
    let Deployed { snapshot, applications, faulty, degraded, managed, registry, former, .. } = deployed;
    keep_registry(&registry, &[], &applications);
    let summary = banner::describe(&snapshot, &applications, &deployment);
    let engine = Arc::new(Engine::new(snapshot));
    let service = Arc::new(MainService { engine: engine.clone(), probes: probes.clone() });
    // The main listeners open last: who finds them open finds everything else, too.
    let mut main = HttpServer::idle(threads(args))?;
    let inbounds = Arc::new(RunningInbounds::open_all(&engine, main.handles().to_vec(), shared, INBOUNDS_OPEN));
    let handover = management::Handover {
        deployment: &deployment,
        home: &home,
        log_folder: log_folder(&home.root),
        logs: logs.clone(),
        engine: engine.clone(),
        inbounds: inbounds.clone(),
        address,
        tls: keys.server.clone(),
        correlation: following.correlation,
        twin,
        users: management::users(&deployment, &keys.client)?,
    };
    let management = management::start(handover, managed).context("cannot open the management API")?;
    main.listen(listeners(&deployment, &keys, service)?)?;
    inbounds.begin();
    page.open(inbounds.clone(), client, &deployment.server.hostname, deployment.http_port());
    probes.serving(faulty, degraded);
    banner::started(summary, began.elapsed());
    let job = Job::of(args, &applications).map(|it| it.begin(&engine, main.handles()));
    let deployer = Redeployer {
        args: args.clone(),
        http,
        databases,
        engine,
        inbounds: inbounds.clone(),
        management: management.context.clone(),
        probes: probes.clone(),
        watcher,
        applications,
        former,
        enabled: deployment.server.hot_deployment,
    };
    Ok(Running {
        inbounds,
        deployer,
        management,
        internal,
        main,
        probes,
        logs,
        tracer: following.tracer,
        job,
        grace: grace(&args.home, &deployment),
        drain_delay: drain_delay(&args.home),
    })
}

/// How long running flows get at the end.
fn grace(args: &HomeArgs, deployment: &Deployment) -> Duration {
    let given = args.property("gracefulShutdownTimeout").and_then(|millis| millis.parse().ok());
    let graceful = args.property("gracefulShutdown").map_or(deployment.server.graceful_shutdown, |it| it != "false");
    if !graceful {
        return Duration::ZERO;
    }
    Duration::from_millis(given.unwrap_or(deployment.server.graceful_shutdown_timeout_ms))
}

fn drain_delay(args: &HomeArgs) -> Duration {
    let given = args.property("drainDelay").and_then(|millis| millis.parse().ok());
    given.map_or(DRAIN_DELAY, Duration::from_millis)
}

/// Probes and metrics, on a thread of their own.
fn internal_listener(
    deployment: &Deployment,
    address: IpAddr,
    service: InternalService,
) -> anyhow::Result<Option<HttpServer>> {
    if !deployment.mediation.internal_api {
        return Ok(None);
    }
    let address = SocketAddr::new(address, deployment.internal_http_port());
    let config = ListenerConfig { plain_codec: true, ..ListenerConfig::new("Internal HTTP", address) };
    Ok(Some(HttpServer::start(vec![(config, Arc::new(service))], 1)?))
}

/// MI writes below `repository/logs`; the short layout of a home has `logs`.
fn log_folder(root: &Path) -> Option<PathBuf> {
    let carbon = root.join("repository");
    Some(if carbon.is_dir() { carbon.join("logs") } else { root.join("logs") })
}

fn threads(args: &RunArgs) -> usize {
    args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, usize::from)).max(1)
}

fn bind_address(configured: Option<&str>) -> anyhow::Result<IpAddr> {
    match configured.map(str::trim).filter(|address| !address.is_empty()) {
        None => Ok(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Some("localhost") => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Some(address) => address.parse().with_context(|| format!("the bind address '{address}' is no IP address")),
    }
}

type Listeners = Vec<(ListenerConfig, Arc<dyn HttpService>)>;

fn listeners(deployment: &Deployment, keys: &tls::Tls, service: Arc<MainService>) -> anyhow::Result<Listeners> {
    let http = &deployment.http;
    let limits = Limits { idle_timeout: Duration::from_millis(http.socket_timeout_ms), ..Limits::default() };
    let mut listeners: Listeners = Vec::new();
    if http.http.enabled {
        let address = bind_address(http.http.bind_address.as_deref())?;
        let mut config = ListenerConfig::new("HTTP", SocketAddr::new(address, deployment.http_port()));
        config.limits = limits;
        config.server = SERVER;
        listeners.push((config, service.clone()));
    }
    if http.https.enabled {
        let address = bind_address(http.https.bind_address.as_deref())?;
        let mut config = ListenerConfig::new("HTTPS", SocketAddr::new(address, deployment.https_port()));
        config.limits = limits;
        config.server = SERVER;
        config.tls = Some(keys.server.clone());
        listeners.push((config, service));
    }
    Ok(listeners)
}

impl Running {
    /// Serves until SIGTERM or SIGINT, then ends in order: readiness goes red, traffic drains, running flows end.
    pub fn wait(mut self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (left, code) = runtime.block_on(self.serve_until_told())?;
        let Self { internal, main, management, logs, deployer, tracer, .. } = self;
        main.shutdown();
        report::lost_messages(&deployer.engine.snapshot());
        management.shutdown();
        if let Some(internal) = internal {
            internal.shutdown();
        }
        if left > 0 {
            log::warn!(target: "ServerManagement", "{left} requests did not end within the grace time");
        }
        if let Some(tracer) = tracer {
            tracer.flush(LAST_SPANS);
        }
        log::info!(target: "CarbonServerManager", "Halted the server");
        logs.close();
        Ok(code)
    }

    /// The number of requests that did not end, and the exit code.
    async fn serve_until_told(&mut self) -> anyhow::Result<(usize, ExitCode)> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut code = ExitCode::SUCCESS;
        let quick = loop {
            tokio::select! {
                end = self.management.told_to_end() => {
                    if end.restart {
                        code = ExitCode::from(management::RESTART);
                    }
                    if !end.graceful {
                        self.grace = Duration::ZERO;
                    }
                    break !end.graceful;
                }
                done = job::end(&mut self.job) => {
                    if !done {
                        code = ExitCode::FAILURE;
                    }
                    break true;
                }
                _ = terminate.recv() => break false,
                _ = interrupt.recv() => break true,
                () = tokio::time::sleep(LOOK_AT_FOLDERS) => self.deployer.look(),
            }
        };
        self.probes.stopping();
        log::info!(target: "CarbonServerManager", "Shutdown hook triggered; the server is stopping");
        log::info!(target: "SynapseTaskManager", "Shutting down the task manager");
        self.inbounds.halt();
        self.main.drain();
        if self.grace.is_zero() {
            self.inbounds.stop(Duration::ZERO).await;
            return Ok((self.main.in_flight(), code));
        }
        // Without traffic there is nobody whom a closed port could surprise.
        let delay = if quick || self.main.connections() == 0 { Duration::ZERO } else { self.drain_delay };
        let ended = async {
            tokio::time::sleep(delay).await;
            let (given_up, left) = tokio::join!(self.inbounds.stop(self.grace), self.main.wait_idle(self.grace));
            left + given_up
        };
        tokio::select! {
            left = ended => Ok((left, code)),
            _ = terminate.recv() => Ok((self.main.in_flight(), code)),
            _ = interrupt.recv() => Ok((self.main.in_flight(), code)),
        }
    }
}
