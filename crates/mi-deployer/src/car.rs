//! One carbon application: its descriptors, checked against each other, and its artifacts by type.
//!
//! MI: `CappDeployer`, `ApplicationConfiguration`. An artifact is found by the name and version in its own
//! `artifact.xml`; the folder may be called anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use mi_config::capp::{ApplicationDescriptor, ArtifactDescriptor, Dependency, ProjectDescriptor};
use mi_config::{Diagnostic, Severity, SourceFile};

use crate::bundle::Bundle;

/// An application that can be read as a whole.
#[derive(Debug)]
pub(crate) struct Car {
    /// File name of the archive or folder.
    pub(crate) file: Arc<str>,
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) main_sequence: Option<String>,
    pub(crate) project: Option<ProjectDescriptor>,
    /// Those for this server, in the order of deployment.
    pub(crate) parts: Vec<Part>,
    /// OpenAPI documents by the name of the artifact that they belong to.
    pub(crate) api_definitions: BTreeMap<String, Bytes>,
    pub(crate) bundle: Bundle,
}

/// An artifact of an application.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) descriptor: ArtifactDescriptor,
    /// Ends in `/`.
    pub(crate) folder: String,
}

/// What an archive turned out to be.
pub(crate) enum Opened {
    Car(Box<Car>),
    /// Nothing in it is for this server.
    NotForUs,
}

/// Types in the order in which MI deploys them; types that are not listed come last and do nothing.
/// MI: the order of handlers in `AppDeployerServiceComponent`, and `SynapseAppDeployer#getOrderedArtifactsMap`.
const ORDER: &[&str] = &[
    "config/property",
    "registry/resource",
    "datasource/datasource",
    "service/dataservice",
    "lib/synapse/mediator",
    "lib/connector/dependency",
    "synapse/lib",
    "synapse/import",
    "synapse/local-entry",
    "synapse/endpoint",
    "synapse/sequence",
    "synapse/message-store",
    "synapse/template",
    "synapse/priority-executor",
    "synapse/proxy-service",
    "synapse/task",
    "synapse/event-source",
    "synapse/message-processors",
    "synapse/api",
    "synapse/inbound-endpoint",
];

/// Place of a type in the order of deployment.
pub(crate) fn rank(kind: &str) -> usize {
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

const SWAGGER: &str = "_swagger";
const METADATA: &str = "metadata/";

impl Car {
    /// Reads the descriptors of an archive.
    ///
    /// # Errors
    /// A descriptor is missing or malformed, or artifacts that the application needs are not inside.
    pub(crate) fn read(file: Arc<str>, bundle: Bundle, roles: &[String]) -> Result<Opened, Vec<Diagnostic>> {
        let (descriptor_file, bytes) = ["metadata.xml", "artifacts.xml"]
            .iter()
            .find_map(|name| bundle.get(name).map(|bytes| (*name, bytes)))
            .ok_or_else(|| vec![of_car(&file, "has no artifacts.xml")])?;
        let application = ApplicationDescriptor::parse(source(&file, descriptor_file, bytes)).map_err(one)?;
        let project = match bundle.get("descriptor.xml") {
            Some(bytes) => Some(ProjectDescriptor::parse(source(&file, "descriptor.xml", bytes)).map_err(one)?),
            None => None,
        };
        let all = read_parts(&file, &bundle)?;
        let needed: Vec<&Dependency> = application.dependencies.iter().filter(|it| is_for(it, roles)).collect();
        if needed.is_empty() && !application.dependencies.is_empty() {
            return Ok(Opened::NotForUs);
        }
        let parts = select(&file, &needed, all)?;
        let api_definitions = api_definitions(&bundle);
        let stem = file.strip_suffix(".car").unwrap_or(&file);
        Ok(Opened::Car(Box::new(Self {
            name: application.name.unwrap_or_else(|| stem.to_owned()),
            version: application.version,
            main_sequence: application.main_sequence,
            project,
            parts,
            api_definitions,
            bundle,
            file,
        })))
    }

    /// Name and version, or the id of a versioned application: no two applications have the same.
    pub(crate) fn id(&self) -> String {
        match &self.project {
            Some(project) if project.versioned => project.id.clone().unwrap_or_default(),
            _ => match &self.version {
                Some(version) => format!("{}_{version}", self.name),
                None => self.name.clone(),
            },
        }
    }

    /// A file of the application as a source for a parser.
    pub(crate) fn source(&self, path: &str, bytes: &Bytes) -> SourceFile {
        source(&self.file, path, bytes)
    }

    /// The file of a part, which must be one.
    ///
    /// # Errors
    /// The part names no file, or one that is not there or lies outside of its folder.
    pub(crate) fn file_of(&self, part: &Part) -> Result<(String, &Bytes), Diagnostic> {
        let [name] = &part.descriptor.files[..] else {
            let message = format!("the artifact {} must name exactly one file", part.descriptor.name);
            return Err(of_car(&self.file, message));
        };
        let path = format!("{}{name}", part.folder);
        match self.bundle.get(&path) {
            Some(bytes) if !name.split(['/', '\\']).any(|it| it == "..") => Ok((path, bytes)),
            _ => {
                Err(of_car(&self.file, format!("the file {path} of the artifact {} is missing", part.descriptor.name)))
            }
        }
    }
}

/// An error about an application as a whole.
pub(crate) fn of_car(file: &Arc<str>, message: impl Into<String>) -> Diagnostic {
    Diagnostic::of_file(Severity::Error, file.clone(), message)
}

fn one(diagnostic: Diagnostic) -> Vec<Diagnostic> {
    vec![diagnostic]
}

fn source(car: &str, path: &str, bytes: &Bytes) -> SourceFile {
    SourceFile::new(format!("{car}!/{path}"), bytes.clone())
}

/// A dependency without a role is for every server.
fn is_for(dependency: &Dependency, roles: &[String]) -> bool {
    dependency.server_role.as_ref().is_none_or(|role| roles.iter().any(|it| it == role || it == ".*"))
}

/// Every folder with an `artifact.xml`, at the root and in `metadata/`.
fn read_parts(file: &Arc<str>, bundle: &Bundle) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let mut parts = Vec::new();
    let mut errors = Vec::new();
    for (path, bytes) in bundle.iter() {
        let Some(folder) = path.strip_suffix("artifact.xml").filter(|folder| folder.ends_with('/')) else { continue };
        let depth = folder.matches('/').count();
        if depth != 1 && !(depth == 2 && folder.starts_with(METADATA)) {
            continue;
        }
        match ArtifactDescriptor::parse(source(file, path, bytes)) {
            Ok(descriptor) => parts.push(Part { descriptor, folder: folder.to_owned() }),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(parts) } else { Err(errors) }
}

/// The parts that the application names, with what those need, in the order of deployment.
fn select(file: &Arc<str>, needed: &[&Dependency], all: Vec<Part>) -> Result<Vec<Part>, Vec<Diagnostic>> {
    let mut chosen = vec![false; all.len()];
    let mut missing = Vec::new();
    let mut pending: Vec<Dependency> = needed.iter().rev().map(|it| (*it).clone()).collect();
    while let Some(dependency) = pending.pop() {
        let found = all
            .iter()
            .position(|part| part.descriptor.name == dependency.name && part.descriptor.version == dependency.version);
        match found {
            Some(index) if chosen[index] => {}
            Some(index) => {
                chosen[index] = true;
                pending.extend(all[index].descriptor.dependencies.iter().rev().cloned());
            }
            None => {
                let version = dependency.version.as_deref().unwrap_or("without a version");
                let error = of_car(file, format!("the artifact {} {version} is missing", dependency.name));
                missing.push(match all.iter().find(|part| part.descriptor.name == dependency.name) {
                    Some(other) => error.hint(format!(
                        "{} has the version {}",
                        other.folder,
                        other.descriptor.version.as_deref().unwrap_or("none")
                    )),
                    None => error,
                });
            }
        }
    }
    if !missing.is_empty() {
        return Err(missing);
    }
    let mut parts: Vec<Part> = all
        .into_iter()
        .zip(chosen)
        .filter(|(part, chosen)| *chosen && !part.folder.starts_with(METADATA))
        .map(|(part, _)| part)
        .collect();
    // Stable: parts of one type stay in the order of their folders.
    parts.sort_by_key(|part| rank(&part.descriptor.kind));
    Ok(parts)
}

/// `metadata/<name>_swagger…/<file>`. MI: `CappDeployer#searchArtifacts`.
fn api_definitions(bundle: &Bundle) -> BTreeMap<String, Bytes> {
    let mut found = BTreeMap::new();
    for (path, bytes) in bundle.below(METADATA) {
        let Some((folder, file)) = path.split_once('/') else { continue };
        let Some((artifact, _)) = folder.split_once(SWAGGER) else { continue };
        if file != "artifact.xml" && !file.contains('/') {
            found.insert(artifact.to_owned(), bytes.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::Limits;
    use crate::testkit::{car, zip};

    fn read(bytes: &[u8]) -> Result<Opened, Vec<Diagnostic>> {
        let bundle = Bundle::from_zip(bytes, &Limits::default()).unwrap();
        Car::read("x.car".into(), bundle, &["EnterpriseIntegrator".to_owned()])
    }

    #[track_caller]
    fn refused(entries: &[(&str, &[u8])], expected: &str) {
        match read(&zip(entries)) {
            Err(errors) => assert!(errors.iter().any(|it| it.to_string().contains(expected)), "{errors:?}"),
            Ok(_) => panic!("must be refused: {expected}"),
        }
    }

    #[test]
    fn parts_come_in_the_order_of_their_types() {
        let bytes = car(
            "A",
            &[
                ("api", "synapse/api", "a.xml", ""),
                ("seq", "synapse/sequence", "a.xml", ""),
                ("reg", "registry/resource", "registry-info.xml", ""),
                ("ep", "synapse/endpoint", "a.xml", ""),
            ],
        );
        let Opened::Car(car) = read(&bytes).unwrap() else { panic!("it is for this server") };
        let names: Vec<&str> = car.parts.iter().map(|part| part.descriptor.name.as_str()).collect();
        assert_eq!((names, car.id().as_str()), (vec!["reg", "ep", "seq", "api"], "A_1.0.0"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let application = |dependency: &str| {
            format!("<artifacts><artifact name='A' type='carbon/application'>{dependency}</artifact></artifacts>")
        };
        refused(&[("a/artifact.xml", b"<artifact name='a' type='t'/>")], "has no artifacts.xml");
        let xml = application("<dependency artifact='a' version='2'/>");
        refused(
            &[("artifacts.xml", xml.as_bytes()), ("a/artifact.xml", b"<artifact name='a' version='1' type='t'/>")],
            "the artifact a 2 is missing (a/ has the version 1)",
        );
        refused(&[("artifacts.xml", b"<!DOCTYPE a [<!ENTITY x 'y'>]><artifacts/>")], "artifacts.xml");
        refused(&[("artifacts.xml", xml.as_bytes()), ("a/artifact.xml", b"<artifact")], "x.car!/a/artifact.xml");
    }

    #[test]
    fn artifacts_for_other_servers_are_left_out() {
        let xml = b"<artifacts><artifact name='A' type='carbon/application'>\
                    <dependency artifact='a' version='1' serverRole='BPSServer'/></artifact></artifacts>";
        assert!(matches!(read(&zip(&[("artifacts.xml", xml)])), Ok(Opened::NotForUs)));
    }

    #[test]
    fn files_outside_of_the_folder_are_not_found() {
        let mut bytes = car("A", &[("a", "synapse/api", "../../etc/passwd", "")]);
        // The archive itself may not hold such a name, so the file is left out of it.
        let bundle = Bundle::from_zip(&bytes, &Limits::default());
        assert!(bundle.is_err());
        bytes = zip(&[
            ("artifacts.xml", b"<artifacts><artifact name='A' type='carbon/application'><dependency artifact='a' version='1'/></artifact></artifacts>"),
            ("a/artifact.xml", b"<artifact name='a' version='1' type='synapse/api'><file>../artifacts.xml</file></artifact>"),
        ]);
        let Ok(Opened::Car(car)) = read(&bytes) else { panic!("the descriptors are fine") };
        assert!(car.file_of(&car.parts[0]).unwrap_err().to_string().contains("is missing"));
    }
}
