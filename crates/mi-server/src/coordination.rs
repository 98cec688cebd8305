//! Whether and how this server shares work with others: `[cluster_config]` of `deployment.toml`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use mi_config::Deployment;
use mi_config::deployment::{Arbiter, Cluster};
use mi_data::{DataSources, DatabaseArbiter, Databases};
use mi_engine::coordination::Coordination;
use mi_transports::kubernetes::{ACCOUNT, KubernetesArbiter};

use crate::cli::HomeArgs;

/// `None` when each server runs everything. An arbiter that cannot be had is an error: a server that goes on without it would
/// do what another one does.
pub fn of(
    deployment: &Deployment,
    home: &HomeArgs,
    databases: &Arc<Databases>,
) -> anyhow::Result<Option<Coordination>> {
    let cluster = &deployment.cluster;
    let arbiter: Arc<dyn mi_engine::coordination::Arbiter> = match cluster.arbiter {
        None | Some(Arbiter::None) => return Ok(None),
        Some(Arbiter::Database) => Arc::new(database(deployment, databases)?),
        Some(Arbiter::Kubernetes) => {
            let variable = |name: &str| std::env::var(name).ok();
            let arbiter = KubernetesArbiter::new(&cluster.group, Path::new(ACCOUNT), variable);
            Arc::new(arbiter.map_err(anyhow::Error::msg).context("cannot use leases of Kubernetes")?)
        }
    };
    // A server that was started again is another one: what the former run had begun may not be over.
    let node = home.property("node.id").map(str::to_owned).or_else(|| cluster.node_id.clone());
    let node = node.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_else(|| deployment.server.hostname.clone());
    let holder = format!("{node}-{}", uuid::Uuid::new_v4().simple());
    log::info!(
        target: "Coordination",
        "This server is {holder} of the group {}; what is shared has leases of {} s", cluster.group, cluster.lease_s
    );
    Ok(Some(Coordination { arbiter, holder: holder.into(), period: Duration::from_secs(cluster.lease_s) }))
}

fn database(deployment: &Deployment, databases: &Arc<Databases>) -> anyhow::Result<DatabaseArbiter> {
    let id = Cluster::DATA_SOURCE;
    let Some(config) = deployment.datasources.iter().find(|it| it.id == id) else {
        bail!("the arbiter is a database, and deployment.toml has no [[datasource]] with the id {id}");
    };
    let mut sources = DataSources::new(databases.clone());
    sources.add_configured(config);
    let pool =
        sources.find(id).map_err(anyhow::Error::msg).with_context(|| format!("cannot use the data source {id}"))?;
    Ok(DatabaseArbiter::new(pool, &deployment.cluster.group))
}
