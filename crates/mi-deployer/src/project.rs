//! The source folder of an integration project, as MI's editor lays it out, seen as a CAR.
//!
//! `pom.xml` gives name and version; `src/main/wso2mi/artifacts/<kind>/*.xml` become artifacts,
//! `src/main/wso2mi/resources/**` registry resources under `gov:mi-resources`, except for `registry/{gov,conf}`,
//! `connectors/*.zip`, `conf/config.properties`, `api-definitions/*.yaml` and `metadata`, which have their own types.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use mi_config::{Element, SourceFile};

use crate::bundle::{Bundle, BundleError, Limits};

const MAIN: &str = "src/main/wso2mi/";
const ROLE: &str = "EnterpriseIntegrator";

/// Folders of artifacts and their types.
const FOLDERS: [(&str, &str); 13] = [
    ("apis", "synapse/api"),
    ("endpoints", "synapse/endpoint"),
    ("inbound-endpoints", "synapse/inbound-endpoint"),
    ("local-entries", "synapse/local-entry"),
    ("message-processors", "synapse/message-processors"),
    ("message-stores", "synapse/message-store"),
    ("proxy-services", "synapse/proxy-service"),
    ("sequences", "synapse/sequence"),
    ("tasks", "synapse/task"),
    ("templates", "synapse/template"),
    ("data-services", "service/dataservice"),
    ("data-sources", "datasource/datasource"),
    ("event-sources", "synapse/event-source"),
];

/// Is the folder an unpacked CAR or a project?
pub(crate) fn is_application(path: &Path) -> bool {
    path.is_dir() && (is_unpacked(path) || path.join(MAIN).is_dir())
}

fn is_unpacked(path: &Path) -> bool {
    path.join("artifacts.xml").is_file() || path.join("metadata.xml").is_file()
}

/// Reads an unpacked CAR as it is, and a project as the CAR that it would become.
///
/// # Errors
/// The folder cannot be read, or the project has no usable `pom.xml`.
pub(crate) fn open(path: &Path) -> Result<Bundle, BundleError> {
    let bundle = Bundle::from_folder(path, &Limits::default())?;
    if is_unpacked(path) { Ok(bundle) } else { Project::read(path, &bundle).map(|project| project.bundle) }
}

/// A project as a CAR.
pub(crate) struct Project {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) bundle: Bundle,
}

/// `pom.xml`
struct Pom {
    group: String,
    name: String,
    version: String,
    versioned: bool,
    /// Group, artifact, version of dependencies of type `car`.
    dependencies: Vec<[String; 3]>,
}

/// An artifact of the CAR to be.
struct Entry {
    name: String,
    version: String,
    kind: &'static str,
    metadata: bool,
}

impl Project {
    /// Turns the files of a project into those of a CAR.
    ///
    /// # Errors
    /// There is no `pom.xml`, or it names no artifact.
    pub(crate) fn read(path: &Path, files: &Bundle) -> Result<Self, BundleError> {
        let folder = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let pom = Pom::read(files, &folder)?;
        let mut car = Bundle::default();
        let mut entries = Vec::new();
        for (folder, kind) in FOLDERS {
            let extension = if kind == "service/dataservice" { "dbs" } else { "xml" };
            for (file, bytes) in files.below(&format!("{MAIN}artifacts/{folder}/")) {
                let Some((stem, _)) =
                    file.rsplit_once('.').filter(|(stem, ending)| *ending == extension && !stem.contains('/'))
                else {
                    continue;
                };
                let entry = Entry::new(stem, &pom.version, kind);
                entry.add(&mut car, &format!("{stem}-{}.{extension}", pom.version), bytes.clone());
                entries.push(entry);
            }
        }
        add_resources(files, &pom, &mut car, &mut entries);
        describe(&pom, &entries, &mut car);
        Ok(Self { name: pom.name, version: pom.version, bundle: car })
    }
}

impl Pom {
    fn read(files: &Bundle, folder: &str) -> Result<Self, BundleError> {
        let bytes = files.get("pom.xml").ok_or_else(|| BundleError("has no pom.xml".to_owned()))?;
        let source = SourceFile::new(format!("{folder}/pom.xml"), bytes.clone());
        let (root, _) = Element::parse(source).map_err(|error| BundleError(error.to_string()))?;
        let child = |element: &Element, name: &str| element.children().find(|it| it.name() == name);
        let text = |element: &Element, name: &str| {
            child(element, name).map(|it| it.text().trim().to_owned()).filter(|it| !it.is_empty())
        };
        let own =
            |name: &str| text(&root, name).or_else(|| child(&root, "parent").and_then(|parent| text(&parent, name)));
        let name = text(&root, "artifactId").ok_or_else(|| BundleError("pom.xml has no artifactId".to_owned()))?;
        let list = child(&root, "dependencies");
        let dependencies = list.iter().flat_map(|list| list.children().collect::<Vec<_>>()).filter_map(|it| {
            let car = text(&it, "type").is_some_and(|kind| kind == "car");
            let triple = [text(&it, "groupId")?, text(&it, "artifactId")?, text(&it, "version")?];
            car.then_some(triple)
        });
        let properties = child(&root, "properties");
        let versioned = properties.and_then(|it| text(&it, "versionedDeployment")).is_some_and(|it| it == "true");
        Ok(Self {
            group: own("groupId").unwrap_or_default(),
            version: own("version").unwrap_or_else(|| "1.0.0".to_owned()),
            dependencies: dependencies.collect(),
            name,
            versioned,
        })
    }
}

impl Entry {
    fn new(name: &str, version: &str, kind: &'static str) -> Self {
        Self { name: name.to_owned(), version: version.to_owned(), kind, metadata: false }
    }

    fn folder(&self) -> String {
        let parent = if self.metadata { "metadata/" } else { "" };
        format!("{parent}{}_{}/", self.name, self.version)
    }

    fn add(&self, car: &mut Bundle, file: &str, bytes: bytes::Bytes) {
        let folder = self.folder();
        let descriptor = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><artifact name=\"{}\" version=\"{}\" type=\"{}\" serverRole=\"{ROLE}\">\n    \
             <file>{}</file>\n</artifact>\n",
            escape(&self.name),
            escape(&self.version),
            self.kind,
            escape(file)
        );
        car.insert(format!("{folder}artifact.xml"), descriptor.into_bytes());
        car.insert(format!("{folder}{file}"), bytes);
    }
}

fn add_resources(files: &Bundle, pom: &Pom, car: &mut Bundle, entries: &mut Vec<Entry>) {
    let resources = format!("{MAIN}resources/");
    let media_types = registry_media_types(files, &resources);
    for (path, bytes) in files.below(&resources) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name.starts_with('.') || path == "conf/config.properties" {
            continue;
        }
        match path.split('/').next().unwrap_or_default() {
            "connectors" if path.to_ascii_lowercase().ends_with(".zip") => {
                let stem = &name[..name.len() - 4];
                let (library, version) = stem.rsplit_once('-').unwrap_or((stem, "1.0.0"));
                let entry = Entry::new(library, version, "synapse/lib");
                entry.add(car, name, bytes.clone());
                entries.push(entry);
            }
            "api-definitions" | "metadata" => {
                let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
                let artifact = if path.starts_with("api-") { format!("{stem}_swagger") } else { stem.to_owned() };
                let mut entry = Entry::new(&artifact, &pom.version, "synapse/metadata");
                entry.metadata = true;
                entry.add(car, &format!("{artifact}-{}.{ending}", pom.version), bytes.clone());
                entries.push(entry);
            }
            "registry" if matches!(name, "artifact.xml" | "artifacts.xml") => {}
            "registry" => {
                let Some((root, below)) = registry_folder(folder) else { continue };
                let media_type = media_types.get(name).map_or("text/plain", String::as_str);
                add_resource(car, entries, path, &format!("{root}{below}"), name, media_type, bytes);
            }
            _ => {
                let slash = if folder.is_empty() { "" } else { "/" };
                let target = format!("/_system/governance/mi-resources{slash}{folder}");
                add_resource(car, entries, path, &target, name, "text/plain", bytes);
            }
        }
    }
    if let Some(bytes) = files.get(&format!("{resources}conf/config.properties")) {
        let entry = Entry::new("config", &pom.version, "config/property");
        entry.add(car, "config.properties", bytes.clone());
        entries.push(entry);
    }
}

/// `registry/gov/a` is `/_system/governance/a`.
fn registry_folder(folder: &str) -> Option<(&'static str, &str)> {
    let rest = folder.strip_prefix("registry/")?;
    [("gov", "/_system/governance"), ("conf", "/_system/config")].into_iter().find_map(|(name, root)| {
        let below = rest.strip_prefix(name)?;
        (below.is_empty() || below.starts_with('/')).then_some((root, below))
    })
}

/// File name to media type, from the `artifact.xml` that the editor keeps beside registry files.
fn registry_media_types(files: &Bundle, resources: &str) -> BTreeMap<String, String> {
    let Some(bytes) = files.get(&format!("{resources}registry/artifact.xml")) else { return BTreeMap::new() };
    let Ok((root, _)) = Element::parse(SourceFile::new("registry/artifact.xml", bytes.clone())) else {
        return BTreeMap::new();
    };
    let items = root.children().flat_map(|artifact| artifact.children().collect::<Vec<_>>());
    let read = items.filter(|it| it.name() == "item").filter_map(|item| {
        let text = |name: &str| item.children().find(|it| it.name() == name).map(|it| it.text().trim().to_owned());
        Some((text("file")?, text("mediaType").filter(|it| !it.is_empty())?))
    });
    read.collect()
}

fn add_resource(
    car: &mut Bundle,
    entries: &mut Vec<Entry>,
    path: &str,
    target: &str,
    name: &str,
    media_type: &str,
    bytes: &bytes::Bytes,
) {
    let artifact = format!("resources_{}", path.replace(['/', '.', ' '], "_"));
    let entry = Entry::new(&artifact, "1.0.0", "registry/resource");
    let info = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><resources>\n    <item>\n        <file>{}</file>\n        \
         <path>{}</path>\n        <mediaType>{}</mediaType>\n        <properties/>\n    </item>\n</resources>\n",
        escape(name),
        escape(target),
        escape(media_type)
    );
    entry.add(car, "registry-info.xml", info.into_bytes().into());
    car.insert(format!("{}resources/{name}", entry.folder()), bytes.clone());
    entries.push(entry);
}

/// Writes `artifacts.xml`, `metadata.xml` (with the metadata artifacts) and `descriptor.xml`.
fn describe(pom: &Pom, entries: &[Entry], car: &mut Bundle) {
    let list = |with_metadata: bool| {
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><artifacts>\n    <artifact name=\"{}\" version=\"{}\" type=\"carbon/application\">\n",
            escape(&pom.name),
            escape(&pom.version)
        );
        for entry in entries.iter().filter(|entry| with_metadata || !entry.metadata) {
            let (name, version) = (escape(&entry.name), escape(&entry.version));
            // Writing into a string cannot fail.
            let _ok = writeln!(
                xml,
                "        <dependency artifact=\"{name}\" version=\"{version}\" include=\"true\" serverRole=\"{ROLE}\"/>"
            );
        }
        xml.push_str("    </artifact>\n</artifacts>\n");
        xml.into_bytes()
    };
    car.insert("artifacts.xml", list(false));
    car.insert("metadata.xml", list(true));
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><project>\n    <id>{}__{}__{}</id>\n    <versionedDeployment>{}</versionedDeployment>\n    \
         <fatCarEnabled>false</fatCarEnabled>\n    <dependencies>\n",
        escape(&pom.group),
        escape(&pom.name),
        escape(&pom.version),
        pom.versioned
    );
    for [group, artifact, version] in &pom.dependencies {
        let _ok = writeln!(
            xml,
            "        <dependency groupId=\"{}\" artifactId=\"{}\" version=\"{}\" type=\"car\"/>",
            escape(group),
            escape(artifact),
            escape(version)
        );
    }
    xml.push_str("    </dependencies>\n</project>\n");
    car.insert("descriptor.xml", xml.into_bytes());
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
