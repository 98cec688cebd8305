//! Hot deployment: changes of the deployment folders are brought into the running server.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use mi_data::Databases;
use mi_deployer::{Application, Former, Registry, Watcher};
use mi_engine::inbound::RunningInbounds;
use mi_engine::transport::HttpClient;
use mi_engine::{Engine, Services, Snapshot};

use crate::cli::RunArgs;
use crate::probes::Probes;
use crate::server::{Deployed, Lasting, Prepared, services};
use crate::{metrics, report};

/// Brings changes of the deployment folders into the running server.
pub struct Redeployer {
    /// What was asked for on the command line.
    pub args: RunArgs,
    /// Back ends.
    pub http: Arc<dyn HttpClient>,
    /// Pools outlast deployments.
    pub databases: Arc<Databases>,
    /// What serves messages.
    pub engine: Arc<Engine>,
    /// What takes messages in beside the listeners.
    pub inbounds: Arc<RunningInbounds>,
    /// Shows what is deployed.
    pub management: Arc<mi_management::ManagementContext>,
    /// Tell what is faulty.
    pub probes: Arc<Probes>,
    /// Looks at the folders.
    pub watcher: Watcher,
    /// Those deployed last.
    pub applications: Vec<Application>,
    /// What goes on where a new version is broken.
    pub former: Former,
    /// `[server] hot_deployment`.
    pub enabled: bool,
}

impl Redeployer {
    /// What the folders hold now. A new version that cannot be deployed leaves its place to the one that serves.
    fn build(&self, before: &Snapshot) -> anyhow::Result<Deployed> {
        let mut former = self.former.clone();
        loop {
            let prepared = Prepared::read_over(&self.args, &former)?;
            let Services { metrics, watch, keeper, bodies, .. } = &*before.services;
            let lasting = Lasting {
                metrics: metrics.clone(),
                watch: watch.clone(),
                keeper: keeper.clone(),
                bodies: bodies.clone(),
            };
            let services = services(&prepared, self.http.clone(), before.services.senders.clone(), lasting);
            let deployed = prepared.deploy(services, &self.databases);
            let (faulty, files) = &deployed.broken;
            // A version that is refused is not read again, so this ends.
            if !former.refuse(faulty, files) {
                return Ok(deployed);
            }
        }
    }

    /// Deploys anew when the folders have changed and are quiet again. The new snapshot is swapped in as a whole;
    /// running messages end on the old one. MI: `DeploymentEngine`, every 15 s.
    pub fn look(&mut self) {
        if !self.enabled {
            return;
        }
        let changes = self.watcher.poll();
        if changes.is_empty() {
            return;
        }
        let began = Instant::now();
        let before = self.engine.snapshot();
        let deployed = match self.build(&before) {
            Ok(deployed) => deployed,
            Err(error) => {
                log::error!(target: "DeploymentEngine", "The changes are not deployed: {error:#}");
                return;
            }
        };
        report::deployed(&deployed, Some(&changes));
        report::undeployed(&self.applications, &deployed.applications);
        keep_registry(&deployed.registry, &self.applications, &deployed.applications);
        self.applications = deployed.applications;
        self.former = deployed.former;
        self.engine.swap(deployed.snapshot);
        metrics::services_changed(Some(&before), &self.engine.snapshot());
        self.inbounds.apply();
        self.management.redeployed(deployed.managed);
        self.probes.serving(deployed.faulty, deployed.degraded);
        let (written, removed) = (changes.written.len(), changes.removed.len());
        log::info!(
            target: "DeploymentEngine",
            "Deployed {written} new or changed and removed {removed} files in {} ms", began.elapsed().as_millis()
        );
    }
}

/// Makes files of what the deployed applications bring, and removes those of applications that are gone.
pub fn keep_registry(registry: &Registry, before: &[Application], now: &[Application]) {
    let kept: HashSet<&String> = now.iter().flat_map(|it| &it.resources).collect();
    let gone: Vec<String> =
        before.iter().flat_map(|it| &it.resources).filter(|path| !kept.contains(path)).cloned().collect();
    if let Err(error) = registry.keep_brought() {
        log::warn!(target: "MicroIntegratorRegistry", "Resources of applications stay in memory: {error}");
    }
    if let Err(error) = registry.remove_brought(&gone) {
        log::warn!(target: "MicroIntegratorRegistry", "Resources of a removed application stay: {error}");
    }
}
