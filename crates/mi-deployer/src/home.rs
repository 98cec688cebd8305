//! The folders of a home: MI's own layout and the short one of this repository, in one list of places.

use std::path::{Path, PathBuf};

/// Where the parts of a home are. Paths need not exist.
#[derive(Clone, Debug)]
pub struct Home {
    /// The folder itself.
    pub root: PathBuf,
    /// `deployment.toml`: the one that exists, otherwise MI's place for it.
    pub deployment_toml: PathBuf,
    /// `file.properties`
    pub file_properties: PathBuf,
    /// Folders with CARs.
    pub applications: Vec<PathBuf>,
    /// Folders whose subfolders are applications of their own.
    pub exploded: Vec<PathBuf>,
    /// Folders with `proxy-services`, `api` and so on.
    pub synapse_configs: Vec<PathBuf>,
    /// Archives and project folders that are deployed besides those in the folders.
    pub named: Vec<PathBuf>,
    /// Folders with `.dbs` files.
    pub data_services: Vec<PathBuf>,
    /// Folders with files of data sources.
    pub data_sources: Vec<PathBuf>,
    /// Folders with connector archives.
    pub libraries: Vec<PathBuf>,
    /// The registry with `config`, `governance` and `local`.
    pub registry: PathBuf,
    /// Folders with files for secrets, in the order in which they are asked.
    pub secrets: Vec<PathBuf>,
}

impl Home {
    /// The home in `root`. A place that exists in both layouts is read in both, MI's first.
    pub fn locate(root: &Path) -> Self {
        let at = |path: &str| root.join(path);
        let server = "repository/deployment/server";
        let first_existing = |paths: [&str; 2]| {
            let existing = paths.iter().map(|path| at(path)).find(|path| path.exists());
            existing.unwrap_or_else(|| at(paths[0]))
        };
        let short_configs = if at("deployment/synapse-configs/default").is_dir() {
            "deployment/synapse-configs/default"
        } else {
            "deployment/synapse-configs"
        };
        Self {
            root: root.to_owned(),
            deployment_toml: first_existing(["conf/deployment.toml", "deployment/deployment.toml"]),
            file_properties: first_existing(["conf/file.properties", "deployment/file.properties"]),
            applications: vec![at(&format!("{server}/carbonapps")), at("carbonapps")],
            exploded: vec![at(&format!("{server}/apps"))],
            named: Vec::new(),
            synapse_configs: vec![at(&format!("{server}/synapse-configs/default")), at(short_configs)],
            data_services: vec![at(&format!("{server}/dataservices")), at("deployment/dataservices")],
            data_sources: vec![at("conf/datasources"), at("deployment/datasources")],
            libraries: vec![at(&format!("{server}/synapse-libs")), at("deployment/synapse-libs")],
            registry: at("registry"),
            secrets: vec![PathBuf::from("/run/secrets"), at("secrets")],
        }
    }

    /// Every folder whose content is deployed, for those who watch for changes.
    pub fn watched(&self) -> Vec<PathBuf> {
        [&self.applications, &self.named, &self.exploded, &self.synapse_configs, &self.data_services, &self.libraries]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}
