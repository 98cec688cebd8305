//! Loads a home: applications in their order, then loose files, each by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use mi_config::capp::RegistryInfo;
use mi_config::properties::Properties;
use mi_config::{Artifact, Deployment, Diagnostic, Diagnostics, Scope, Severity, parse_artifact};

use crate::bundle::{Bundle, Limits};
use crate::car::{Car, Opened, Part, of_car};
use crate::check;
use crate::environment::Environment;
use crate::former::Former;
use crate::home::Home;
use crate::library::Library;
use crate::registry::{Registry, RegistryResource, canonical};
use crate::{loose, order, project};

/// Everything that a home holds.
#[derive(Debug)]
pub struct LoadedDeployment {
    /// Artifacts in the order of deployment: application by application, then loose files, each by kind.
    pub artifacts: Vec<Deployed>,
    /// Applications without an error.
    pub applications: Vec<Application>,
    /// Applications of which nothing is deployed.
    pub faulty: Vec<FaultyApplication>,
    /// Connectors of applications and of the home.
    pub libraries: Vec<Library>,
    /// OpenAPI documents by the name of the API.
    pub api_definitions: BTreeMap<String, Bytes>,
    /// Values of `config/property` artifacts.
    pub configs: BTreeMap<String, String>,
    /// Certificates that are to be trusted, from properties of type `cert`.
    pub certificates: Vec<Certificate>,
    /// Files of the home with what the applications bring.
    pub registry: Arc<Registry>,
    /// The environment with the values of `configs`: resolves placeholders.
    pub environment: Environment,
    /// Warnings, and errors of loose files.
    pub diagnostics: Vec<Diagnostic>,
    /// Loose files with errors, each with those.
    pub broken_files: BTreeMap<PathBuf, Vec<Diagnostic>>,
    /// The contents of the applications, by the name of the file or folder.
    pub(crate) bundles: BTreeMap<Arc<str>, Bundle>,
}

/// An artifact and where it came from.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The artifact.
    pub artifact: Artifact,
    /// Where it came from.
    pub origin: Origin,
}

/// Where an artifact came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The id of an [`Application`].
    Application(Arc<str>),
    /// A loose file.
    File(PathBuf),
}

/// An application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// `name_version`, or the id of a versioned application. Unique.
    pub id: Arc<str>,
    /// Name.
    pub name: String,
    /// Version.
    pub version: Option<String>,
    /// File name of the archive or folder.
    pub file: Arc<str>,
    /// Names and types of its artifacts, as their descriptors give them.
    pub artifacts: Vec<(String, String)>,
    /// Sequence that a job runs once.
    pub main_sequence: Option<String>,
    /// Its names carry the id.
    pub versioned: bool,
    /// Paths of the resources that it brings, below the root of the registry.
    pub resources: Vec<String>,
    /// The file holds a version that cannot be deployed, which is among the faulty; this is the one before.
    pub former: bool,
}

/// An application that could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultyApplication {
    /// Name, or the file name without its ending.
    pub name: String,
    /// Version, when it could be read.
    pub version: Option<String>,
    /// File name of the archive or folder.
    pub file: Arc<str>,
    /// Names and types of its artifacts, if its descriptors could be read.
    pub artifacts: Vec<(String, String)>,
    /// Why; at least one is an error.
    pub reasons: Vec<Diagnostic>,
}

/// A certificate that is to be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Alias.
    pub alias: String,
    /// Path of the file.
    pub path: String,
}

/// Reads `deployment.toml`, or takes MI's defaults if there is none.
///
/// # Errors
/// The file is there and cannot be read.
pub fn read_deployment(home: &Home, environment: &Environment) -> Result<(Deployment, Diagnostics), std::io::Error> {
    match std::fs::read_to_string(&home.deployment_toml) {
        Ok(text) => Ok(Deployment::parse(&home.deployment_toml.to_string_lossy(), &text, environment)),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            Ok((Deployment::without_file(environment), Diagnostics::new()))
        }
        Err(cause) => Err(cause),
    }
}

/// Loads a home. There is always a result: what is wrong is in `faulty` and `diagnostics`.
pub fn load(home: &Home, deployment: &Deployment, environment: &Environment) -> LoadedDeployment {
    load_over(home, deployment, environment, &Former::default())
}

/// Loads a home, with former versions in the place of those that [`Former::refuse`] was told of.
pub fn load_over(home: &Home, deployment: &Deployment, environment: &Environment, former: &Former) -> LoadedDeployment {
    let mut loader = Loader {
        home,
        deployment,
        former,
        environment: environment.clone(),
        configs: BTreeMap::new(),
        registry: BTreeMap::new(),
        out: LoadedParts::default(),
    };
    for car in loader.open_applications() {
        loader.load_car(&car);
    }
    loader.load_loose();
    loader.finish()
}

#[derive(Default)]
struct LoadedParts {
    artifacts: Vec<Deployed>,
    applications: Vec<Application>,
    faulty: Vec<FaultyApplication>,
    libraries: Vec<Library>,
    api_definitions: BTreeMap<String, Bytes>,
    certificates: Vec<Certificate>,
    diagnostics: Vec<Diagnostic>,
    broken_files: BTreeMap<PathBuf, Vec<Diagnostic>>,
    bundles: BTreeMap<Arc<str>, Bundle>,
}

struct Loader<'l> {
    home: &'l Home,
    deployment: &'l Deployment,
    former: &'l Former,
    /// With the configs of the applications so far.
    environment: Environment,
    configs: BTreeMap<String, String>,
    registry: BTreeMap<String, RegistryResource>,
    out: LoadedParts,
}

/// What one application adds. It is added as a whole, or not at all.
#[derive(Default)]
struct Additions {
    artifacts: Vec<Artifact>,
    libraries: Vec<Library>,
    registry: BTreeMap<String, RegistryResource>,
    configs: BTreeMap<String, String>,
    certificates: Vec<Certificate>,
    api_names: BTreeMap<String, String>,
    found: Vec<Diagnostic>,
}

impl Loader<'_> {
    /// Opens all archives and folders by file name; those that cannot be opened become faulty.
    fn open_applications(&mut self) -> Vec<Car> {
        let mut cars = Vec::new();
        for path in application_paths(self.home, &mut self.out.diagnostics) {
            let file: Arc<str> = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default().into();
            if let Some((broken, bundle)) = self.former.instead_of(&file) {
                self.out.faulty.push(broken.clone());
                self.open_bundle(file, bundle.clone(), true, &mut cars);
                continue;
            }
            let opened = if path.is_dir() { project::open(&path) } else { Bundle::open(&path, &Limits::default()) };
            match opened {
                Ok(bundle) => self.open_bundle(file, bundle, true, &mut cars),
                Err(cause) => self.fail(&file, None, vec![of_car(&file, cause.to_string())]),
            }
        }
        order::sort(cars, &mut self.out.diagnostics)
    }

    /// Applications inside of an application (a fat CAR) come before it; they hold none themselves.
    fn open_bundle(&mut self, file: Arc<str>, bundle: Bundle, outer: bool, cars: &mut Vec<Car>) {
        if outer {
            let nested: Vec<(String, Bytes)> = bundle
                .below("dependencies/")
                .filter(|(path, _)| path.to_ascii_lowercase().ends_with(".car"))
                .map(|(path, bytes)| (path.to_owned(), bytes.clone()))
                .collect();
            for (path, bytes) in nested {
                let inner: Arc<str> = path.rsplit('/').next().unwrap_or(&path).into();
                if cars.iter().any(|car: &Car| car.file == inner) {
                    continue;
                }
                match Bundle::from_zip(&bytes, &Limits::default()) {
                    Ok(bundle) => self.open_bundle(inner, bundle, false, cars),
                    Err(cause) => self.fail(&inner, None, vec![of_car(&inner, cause.to_string())]),
                }
            }
        }
        match Car::read(file.clone(), bundle, &self.deployment.server.roles) {
            Ok(Opened::Car(car)) => cars.push(*car),
            Ok(Opened::NotForUs) => {
                let message = "holds nothing for the roles of this server and is left out";
                self.out.diagnostics.push(Diagnostic::of_file(Severity::Warning, file, message));
            }
            Err(reasons) => self.fail(&file, None, reasons),
        }
    }

    fn fail(&mut self, file: &Arc<str>, car: Option<&Car>, reasons: Vec<Diagnostic>) {
        let stem = file.strip_suffix(".car").unwrap_or(file);
        self.out.faulty.push(FaultyApplication {
            name: car.map_or_else(|| stem.to_owned(), |car| car.name.clone()),
            version: car.and_then(|car| car.version.clone()),
            file: file.clone(),
            artifacts: car.map(described).unwrap_or_default(),
            reasons,
        });
    }

    fn load_car(&mut self, car: &Car) {
        let id: Arc<str> = car.id().into();
        if let Some(other) = self.out.applications.iter().find(|it| it.id == id) {
            let message = format!("the application {id} is already deployed from {}", other.file);
            return self.fail(&car.file, Some(car), vec![of_car(&car.file, message)]);
        }
        let mut additions = self.read_car(car);
        check::against(&additions.artifacts, &self.out.artifacts, &car.file, &mut additions.found);
        if additions.found.iter().any(Diagnostic::is_error) {
            return self.fail(&car.file, Some(car), additions.found);
        }
        self.add(car, id, additions);
    }

    fn add(&mut self, car: &Car, id: Arc<str>, additions: Additions) {
        let out = &mut self.out;
        out.diagnostics.extend(additions.found);
        out.libraries.extend(additions.libraries);
        out.certificates.extend(additions.certificates);
        for (artifact, document) in &car.api_definitions {
            // MI goes by the name of the artifact where no API is called so.
            let api = additions.api_names.get(artifact).unwrap_or(artifact);
            out.api_definitions.insert(api.clone(), document.clone());
        }
        let resources = additions.registry.keys().cloned().collect();
        self.registry.extend(additions.registry);
        self.configs.extend(additions.configs);
        out.applications.push(Application {
            id: id.clone(),
            name: car.name.clone(),
            version: car.version.clone(),
            file: car.file.clone(),
            artifacts: described(car),
            main_sequence: car.main_sequence.clone(),
            versioned: car.project.as_ref().is_some_and(|project| project.versioned),
            resources,
            former: self.former.instead_of(&car.file).is_some(),
        });
        out.bundles.insert(car.file.clone(), car.bundle.clone());
        let origin = Origin::Application(id);
        out.artifacts
            .extend(additions.artifacts.into_iter().map(|artifact| Deployed { artifact, origin: origin.clone() }));
    }

    /// Reads all parts in their order.
    fn read_car(&mut self, car: &Car) -> Additions {
        let mut additions = Additions::default();
        for part in car.parts.iter().filter(|part| part.descriptor.kind == "config/property") {
            self.read_config(car, part, &mut additions);
        }
        let mut configs = self.configs.clone();
        configs.extend(additions.configs.iter().map(|(key, value)| (key.clone(), value.clone())));
        self.environment = self.environment.with_configs(configs);
        let scope = Scope::new(Arc::new(self.environment.clone()));
        let expose = self.deployment.mediation.expose_versioned_services;
        let scope = match car.project.as_ref().and_then(|project| project.versioned_application(expose)) {
            Some(application) => scope.versioned(application),
            None => scope,
        };
        for part in &car.parts {
            read_part(car, part, &scope, &mut additions);
        }
        additions.artifacts.sort_by_key(Artifact::kind);
        additions
    }

    /// `key:type` lines; the values come from outside. A missing value is logged by MI and breaks whoever
    /// reads it. MI: `ConfigDeployer`.
    fn read_config(&self, car: &Car, part: &Part, additions: &mut Additions) {
        let (path, bytes) = match car.file_of(part) {
            Ok(found) => found,
            Err(error) => return additions.found.push(error),
        };
        for (key, kind) in Properties::parse(&String::from_utf8_lossy(bytes)).iter() {
            let Some(value) = self.environment.config_value(key) else {
                let message = format!("the value of the key:[{key}] is not found");
                let warning = Diagnostic::of_file(Severity::Warning, format!("{}!/{path}", car.file), message);
                additions.found.push(warning.hint("set it in the environment, with -D, or in conf/file.properties"));
                continue;
            };
            if kind == "cert" {
                additions.certificates.push(Certificate { alias: key.to_owned(), path: value.clone() });
            }
            additions.configs.insert(key.to_owned(), value);
        }
    }

    fn load_loose(&mut self) {
        let scope = Scope::new(Arc::new(self.environment.clone()));
        let found = loose::read(self.home, &scope, self.former, &mut self.out.libraries);
        self.out.diagnostics.extend(found.diagnostics);
        self.out.broken_files = found.broken;
        for (path, mut artifact) in found.artifacts {
            let file: Arc<str> = path.to_string_lossy().into();
            let mut errors = Vec::new();
            check::against(std::slice::from_ref(&artifact), &self.out.artifacts, &file, &mut errors);
            if errors.is_empty() {
                check::name_file(&mut artifact, &path);
                self.out.artifacts.push(Deployed { artifact, origin: Origin::File(path) });
            } else {
                self.out.diagnostics.extend(errors);
            }
        }
    }

    fn finish(self) -> LoadedDeployment {
        let registry = Registry::new(&self.home.registry, &self.home.root, self.registry);
        LoadedDeployment {
            artifacts: self.out.artifacts,
            applications: self.out.applications,
            faulty: self.out.faulty,
            libraries: self.out.libraries,
            api_definitions: self.out.api_definitions,
            environment: self.environment.with_configs(self.configs.clone()),
            configs: self.configs,
            certificates: self.out.certificates,
            registry: Arc::new(registry),
            diagnostics: self.out.diagnostics,
            broken_files: self.out.broken_files,
            bundles: self.out.bundles,
        }
    }
}

impl LoadedDeployment {
    /// Takes an application out, with all that it brings, because runtime objects cannot be made of it.
    /// `reasons` are its errors.
    pub fn reject(&mut self, id: &str, reasons: Vec<Diagnostic>) {
        let Some(at) = self.applications.iter().position(|it| &*it.id == id) else { return };
        let Application { name, version, file, artifacts, resources, .. } = self.applications.remove(at);
        self.artifacts.retain(|it| !matches!(&it.origin, Origin::Application(known) if **known == *id));
        self.libraries.retain(|library| !library.file.starts_with(&format!("{file}!/")));
        self.registry.drop_brought(&resources);
        self.bundles.remove(&file);
        self.faulty.push(FaultyApplication { name, version, file, artifacts, reasons });
    }
}

/// Names and types of the artifacts of an application.
fn described(car: &Car) -> Vec<(String, String)> {
    car.parts.iter().map(|part| (part.descriptor.name.clone(), part.descriptor.kind.clone())).collect()
}

/// Archives and folders by file name. A file in place of the folder is taken as one application, which is what
/// `COPY x.car …/carbonapps` makes in an image without the folder.
fn application_paths(home: &Home, out: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in &home.applications {
        if folder.is_file() {
            let message = "is a file where a folder is expected; it is read as one application";
            out.push(Diagnostic::of_file(Severity::Warning, folder.to_string_lossy().into_owned(), message));
            found.push(folder.clone());
            continue;
        }
        for path in list(folder, out) {
            let is_car = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("car"));
            if is_car || project::is_application(&path) {
                found.push(path);
            }
        }
    }
    for folder in &home.exploded {
        found.extend(list(folder, out).into_iter().filter(|path| path.is_dir()));
    }
    for path in &home.named {
        if path.exists() {
            // It stands for the one of that name in a folder.
            found.retain(|other: &PathBuf| other.file_name() != path.file_name());
            found.push(path.clone());
        } else {
            out.push(Diagnostic::of_file(Severity::Error, path.to_string_lossy().into_owned(), "is not there"));
        }
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()).then_with(|| a.cmp(b)));
    found.dedup_by(|a, b| a.file_name() == b.file_name());
    found
}

/// Entries of a folder by name, hidden ones left out; nothing if it does not exist.
pub(crate) fn list(folder: &Path, out: &mut Vec<Diagnostic>) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(cause) => {
            let message = format!("cannot be listed: {cause}");
            out.push(Diagnostic::of_file(Severity::Error, folder.to_string_lossy().into_owned(), message));
            return Vec::new();
        }
    };
    let visible = |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(visible).collect();
    paths.sort();
    paths
}

fn read_part(car: &Car, part: &Part, scope: &Arc<Scope>, additions: &mut Additions) {
    let kind = part.descriptor.kind.as_str();
    match kind {
        "config/property" | "synapse/metadata" => {}
        "registry/resource" => read_registry(car, part, scope, additions),
        "synapse/lib" => match car.file_of(part) {
            Ok((path, bytes)) => {
                let name: Arc<str> = format!("{}!/{path}", car.file).into();
                match Library::read(name, bytes, scope, &mut additions.found) {
                    Ok(library) => additions.libraries.push(library),
                    Err(error) => additions.found.push(error),
                }
            }
            Err(error) => additions.found.push(error),
        },
        "datasource/datasource" | "service/dataservice" => read_artifact(car, part, scope, additions),
        _ if kind.starts_with("synapse/") => read_artifact(car, part, scope, additions),
        _ => {
            let message = format!("the artifact {} of type {kind} cannot be used here", part.descriptor.name);
            let warning = Diagnostic::of_file(Severity::Warning, car.file.clone(), message);
            let java = kind.starts_with("lib/") || kind.starts_with("bundle");
            additions.found.push(if java { warning.hint("it holds Java classes") } else { warning });
        }
    }
}

fn read_artifact(car: &Car, part: &Part, scope: &Arc<Scope>, additions: &mut Additions) {
    let (path, bytes) = match car.file_of(part) {
        Ok(found) => found,
        Err(error) => return additions.found.push(error),
    };
    let (artifacts, found) = parse_artifact(car.source(&path, bytes).in_scope(scope.clone()));
    additions.found.extend(found);
    for artifact in artifacts {
        if matches!(artifact, Artifact::Api(_)) {
            additions.api_names.insert(part.descriptor.name.clone(), artifact.name().to_owned());
        }
        additions.artifacts.push(artifact);
    }
}

/// MI: `FileRegistryResourceDeployer`. An item whose file is missing is logged and left out.
fn read_registry(car: &Car, part: &Part, scope: &Scope, additions: &mut Additions) {
    let (path, bytes) = match car.file_of(part) {
        Ok(found) => found,
        Err(error) => return additions.found.push(error),
    };
    let info = match RegistryInfo::parse(car.source(&path, bytes)) {
        Ok(info) => info,
        Err(error) => return additions.found.push(error),
    };
    let prefix = scope.application().map(|it| format!("{}__", it.identifier)).unwrap_or_default();
    let place = |key: &str, additions: &mut Additions| {
        let place = canonical(key);
        if place.is_none() {
            additions.found.push(of_car(&car.file, format!("the registry path {key} is not valid")));
        }
        place
    };
    for item in info.items {
        let file = format!("{}resources/{}", part.folder, item.file);
        let Some(content) = car.bundle.get(&file) else {
            let message = format!("the registry file {file} is missing");
            additions.found.push(Diagnostic::of_file(Severity::Warning, car.file.clone(), message));
            continue;
        };
        let Some(target) = place(&format!("{}/{prefix}{}", item.path, item.file), additions) else { continue };
        additions.registry.insert(
            target,
            RegistryResource {
                bytes: Some(content.clone()),
                media_type: item.media_type,
                properties: item.properties.into_iter().collect(),
            },
        );
    }
    for collection in info.collections {
        let folder = format!("{}resources/{}/", part.folder, collection.directory.trim_matches('/'));
        let properties: BTreeMap<String, String> = collection.properties.into_iter().collect();
        for (file, content) in car.bundle.below(&folder) {
            if file.split('/').any(|part| part == ".meta") {
                continue;
            }
            let Some(target) = place(&format!("{}/{file}", collection.path), additions) else { continue };
            let media_type = collection_media_type(car, &folder, file);
            let resource =
                RegistryResource { bytes: Some(content.clone()), media_type, properties: properties.clone() };
            additions.registry.insert(target, resource);
        }
    }
}

/// `.meta/~file.xml` beside a file of a collection holds its media type.
fn collection_media_type(car: &Car, folder: &str, file: &str) -> Option<String> {
    let (parent, name) = file.rsplit_once('/').map_or(("", file), |(parent, name)| (parent, name));
    let slash = if parent.is_empty() { "" } else { "/" };
    let path = format!("{folder}{parent}{slash}.meta/~{name}.xml");
    let (root, _) = mi_config::Element::parse(car.source(&path, car.bundle.get(&path)?)).ok()?;
    let media_type = root.children().find(|child| child.name() == "mediaType")?.text();
    Some(media_type.trim().to_owned()).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests;
