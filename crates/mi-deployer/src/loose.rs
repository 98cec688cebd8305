//! Files outside of applications: `synapse-configs`, data services, connectors of the home.
//! MI: `MultiXMLConfigurationBuilder`. A file with an error is left out; the others are deployed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use mi_config::misc::NamedConfig;
use mi_config::{Artifact, Diagnostic, Diagnostics, Element, Scope, Severity, SourceFile, parse_artifact};

use crate::former::Former;
use crate::home::Home;
use crate::library::Library;
use crate::load::list;

/// A loose file is not larger than this.
const MAX_FILE: u64 = 64 << 20;

/// Folders in the order in which MI reads them; `synapse.xml` and the like are files of the parent.
const FOLDERS: [&str; 13] = [
    "local-entries",
    "endpoints",
    "sequences",
    "templates",
    "imports",
    "message-stores",
    "priority-executors",
    "proxy-services",
    "tasks",
    "event-sources",
    "message-processors",
    "api",
    "inbound-endpoints",
];
const FILES: [&str; 3] = ["registry.xml", "task-manager.xml", "synapse.xml"];

#[derive(Default)]
pub(crate) struct Loose {
    pub(crate) artifacts: Vec<(PathBuf, Artifact)>,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Files with errors, each with those.
    pub(crate) broken: BTreeMap<PathBuf, Vec<Diagnostic>>,
}

/// Reads all loose files, in the order of deployment.
pub(crate) fn read(home: &Home, scope: &Arc<Scope>, former: &Former, libraries: &mut Vec<Library>) -> Loose {
    let mut loose = Loose::default();
    for folder in &home.libraries {
        for path in list(folder, &mut loose.diagnostics) {
            if has_extension(&path, "zip") {
                loose.read_library(&path, scope, libraries);
            }
        }
    }
    for folder in &home.synapse_configs {
        for name in FILES {
            let path = folder.join(name);
            if path.is_file() {
                loose.read_file(path, scope, former);
            }
        }
        for name in FOLDERS {
            for path in list(&folder.join(name), &mut loose.diagnostics) {
                if has_extension(&path, "xml") {
                    loose.read_file(path, scope, former);
                }
            }
        }
    }
    for folder in &home.data_sources {
        for path in list(folder, &mut loose.diagnostics) {
            // MI: `DataSourceManager#initSystemDataSources`; the file for deployment.toml's own is made of that there.
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.ends_with("-datasources.xml") {
                loose.read_data_sources(path, scope);
            }
        }
    }
    for folder in &home.data_services {
        for path in list(folder, &mut loose.diagnostics) {
            if has_extension(&path, "dbs") {
                loose.read_file(path, scope, former);
            }
        }
    }
    // Stable: files of one kind stay in the order of their names.
    loose.artifacts.sort_by_key(|(_, artifact)| artifact.kind());
    loose
}

fn has_extension(path: &std::path::Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it.eq_ignore_ascii_case(extension))
}

impl Loose {
    fn read_file(&mut self, path: PathBuf, scope: &Arc<Scope>, former: &Former) {
        let bytes = match former.instead_of_file(&path) {
            Some((reasons, bytes)) => {
                let warning = "the new version is not deployed, the former one goes on";
                let name = path.to_string_lossy().into_owned();
                self.diagnostics.push(Diagnostic::of_file(Severity::Warning, name, warning));
                self.diagnostics.extend_from_slice(reasons);
                bytes.clone()
            }
            None => match self.bytes(&path) {
                Some(bytes) => bytes.into(),
                None => return,
            },
        };
        let source = SourceFile::new(path.to_string_lossy(), bytes).in_scope(scope.clone());
        let (artifacts, found) = parse_artifact(source);
        if found.iter().any(Diagnostic::is_error) {
            self.broken.insert(path.clone(), found.clone());
        }
        self.diagnostics.extend(found);
        self.artifacts.extend(artifacts.into_iter().map(|artifact| (path.clone(), artifact)));
    }

    /// `<datasources-configuration><datasources><datasource>…`
    fn read_data_sources(&mut self, path: PathBuf, scope: &Arc<Scope>) {
        let Some(bytes) = self.bytes(&path) else { return };
        let source = SourceFile::new(path.to_string_lossy(), bytes).in_scope(scope.clone());
        let root = match Element::parse(source) {
            Ok((root, _)) => root,
            Err(error) => return self.diagnostics.push(error),
        };
        for list in root.children_named("datasources") {
            for element in list.children_named("datasource") {
                let mut found = Diagnostics::new();
                let config = NamedConfig::parse_data_source(&element, &mut found);
                self.diagnostics.extend(found.into_vec());
                self.artifacts.extend(config.map(|config| (path.clone(), Artifact::DataSource(config))));
            }
        }
    }

    fn read_library(&mut self, path: &std::path::Path, scope: &Arc<Scope>, libraries: &mut Vec<Library>) {
        let Some(bytes) = self.bytes(path) else { return };
        match Library::read(path.to_string_lossy().into(), &bytes, scope, &mut self.diagnostics) {
            Ok(library) => libraries.push(library),
            Err(error) => self.diagnostics.push(error),
        }
    }

    fn bytes(&mut self, path: &std::path::Path) -> Option<Vec<u8>> {
        let size = std::fs::metadata(path).map_or(0, |it| it.len());
        let read = if size > MAX_FILE {
            Err(format!("is larger than {MAX_FILE} bytes"))
        } else {
            std::fs::read(path).map_err(|cause| format!("cannot be read: {cause}"))
        };
        match read {
            Ok(bytes) => Some(bytes),
            Err(message) => {
                let name = path.to_string_lossy().into_owned();
                self.diagnostics.push(Diagnostic::of_file(Severity::Error, name, message));
                None
            }
        }
    }
}
