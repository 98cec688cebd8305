//! The descriptors of a carbon application (CAR): `artifacts.xml` or `metadata.xml`, `artifact.xml`,
//! `registry-info.xml`, `descriptor.xml`. MI: `ApplicationConfiguration`, `AppDeployerUtils`.
//!
//! Names are looked up by local name: these files have no namespace.

use std::collections::BTreeMap;

use crate::diagnostic::Diagnostic;
use crate::element::Element;
use crate::scope::{DOUBLE_UNDERSCORE, VersionedApplication};
use crate::source::SourceFile;

/// `artifacts.xml`: what the application is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationDescriptor {
    /// Name, which the file name stands in for
    pub name: Option<String>,
    /// Version
    pub version: Option<String>,
    /// Sequence that a job runs once
    pub main_sequence: Option<String>,
    /// What it is made of
    pub dependencies: Vec<Dependency>,
}

/// A part of an application, or of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Name of the artifact
    pub name: String,
    /// Version of the artifact
    pub version: Option<String>,
    /// Server that it is for
    pub server_role: Option<String>,
}

/// `artifact.xml`: one artifact of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactDescriptor {
    /// Name
    pub name: String,
    /// Version
    pub version: Option<String>,
    /// Such as `synapse/api`
    pub kind: String,
    /// Server that it is for
    pub server_role: Option<String>,
    /// Files beside the descriptor
    pub files: Vec<String>,
    /// Other artifacts that it needs
    pub dependencies: Vec<Dependency>,
}

/// `registry-info.xml`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryInfo {
    /// Files
    pub items: Vec<RegistryItem>,
    /// Folders
    pub collections: Vec<RegistryCollection>,
}

/// A file of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryItem {
    /// Folder in the registry, such as `/_system/governance/policy`
    pub path: String,
    /// File below `resources/`
    pub file: String,
    /// Media type
    pub media_type: Option<String>,
    /// Properties of the resource
    pub properties: Vec<(String, String)>,
}

/// A folder of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryCollection {
    /// Its path in the registry
    pub path: String,
    /// Folder below `resources/`
    pub directory: String,
    /// Properties of the collection
    pub properties: Vec<(String, String)>,
}

/// `descriptor.xml`: identity and dependencies among applications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectDescriptor {
    /// `group__artifact__version`
    pub id: Option<String>,
    /// Names of artifacts carry the identity.
    pub versioned: bool,
    /// The applications that it depends on are inside, under `dependencies/`.
    pub fat: bool,
    /// Other applications
    pub dependencies: Vec<ProjectDependency>,
}

/// An application that another one depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectDependency {
    /// `groupId`
    pub group: String,
    /// `artifactId`
    pub artifact: String,
    /// `version`
    pub version: String,
}

const APPLICATION_TYPE: &str = "carbon/application";

impl ApplicationDescriptor {
    /// Reads `artifacts.xml` or `metadata.xml`.
    ///
    /// # Errors
    /// The file is not well-formed, or holds no artifact of type `carbon/application`.
    pub fn parse(source: SourceFile) -> Result<Self, Diagnostic> {
        let (root, _) = Element::parse(source)?;
        let application =
            children(&root, "artifact").find(|it| it.attr("type").is_some_and(|it| it == APPLICATION_TYPE));
        let Some(application) = application else {
            return Err(root.error(format!("no artifact of type {APPLICATION_TYPE} is found")));
        };
        Ok(Self {
            name: filled(&application, "name"),
            version: filled(&application, "version"),
            main_sequence: filled(&application, "mainSequence"),
            dependencies: dependencies(&application),
        })
    }
}

impl ArtifactDescriptor {
    /// Reads `artifact.xml`.
    ///
    /// # Errors
    /// The file is not well-formed, has another root, or names no name or type.
    pub fn parse(source: SourceFile) -> Result<Self, Diagnostic> {
        let (root, _) = Element::parse(source)?;
        if root.name() != "artifact" {
            return Err(root.error(format!("the root must be <artifact>, not <{}>", root.name())));
        }
        let files = children(&root, "file").map(|file| file.text().trim().to_owned());
        Ok(Self {
            name: root.require_attr("name")?.into_owned(),
            version: filled(&root, "version"),
            kind: root.require_attr("type")?.into_owned(),
            server_role: filled(&root, "serverRole"),
            files: files.filter(|file| !file.is_empty()).collect(),
            dependencies: dependencies(&root),
        })
    }
}

impl RegistryInfo {
    /// Reads `registry-info.xml`.
    ///
    /// # Errors
    /// The file is not well-formed, or an entry lacks its path or file.
    pub fn parse(source: SourceFile) -> Result<Self, Diagnostic> {
        let (root, _) = Element::parse(source)?;
        let mut info = Self::default();
        for item in children(&root, "item") {
            info.items.push(RegistryItem {
                path: required(&item, "path")?,
                file: required(&item, "file")?,
                media_type: child_text(&item, "mediaType"),
                properties: properties(&item),
            });
        }
        for collection in children(&root, "collection") {
            info.collections.push(RegistryCollection {
                path: required(&collection, "path")?,
                directory: required(&collection, "directory")?,
                properties: properties(&collection),
            });
        }
        Ok(info)
    }
}

impl ProjectDescriptor {
    /// Reads `descriptor.xml`.
    ///
    /// # Errors
    /// The file is not well-formed, or versioned deployment is asked for without an `<id>`.
    pub fn parse(source: SourceFile) -> Result<Self, Diagnostic> {
        let (root, _) = Element::parse(source)?;
        let is_true = |name: &str| child_text(&root, name).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let id = child_text(&root, "id");
        let versioned = is_true("versionedDeployment");
        if versioned && id.is_none() {
            return Err(root.error("versioned deployment needs an <id>"));
        }
        let list = children(&root, "dependencies").next();
        let dependencies =
            list.iter().flat_map(|list| children(list, "dependency").collect::<Vec<_>>()).filter_map(|it| {
                Some(ProjectDependency {
                    group: filled(&it, "groupId")?,
                    artifact: filled(&it, "artifactId")?,
                    version: filled(&it, "version")?,
                })
            });
        Ok(Self { id, versioned, fat: is_true("fatCarEnabled"), dependencies: dependencies.collect() })
    }

    /// The surroundings of the application's names, if it is versioned.
    pub fn versioned_application(&self, expose_services: bool) -> Option<VersionedApplication> {
        let identifier = self.id.clone().filter(|_| self.versioned)?;
        let dependencies: BTreeMap<String, String> =
            self.dependencies.iter().map(|it| (it.project(), it.version.clone())).collect();
        Some(VersionedApplication { identifier, dependencies, expose_services })
    }
}

impl ProjectDependency {
    /// `group__artifact`
    fn project(&self) -> String {
        format!("{}{DOUBLE_UNDERSCORE}{}", self.group, self.artifact)
    }

    /// `group__artifact__version`, the id of the application that is meant.
    pub fn id(&self) -> String {
        format!("{}{DOUBLE_UNDERSCORE}{}", self.project(), self.version)
    }
}

fn children<'a>(element: &'a Element, name: &'a str) -> impl Iterator<Item = Element> + 'a {
    element.children().filter(move |child| child.name() == name)
}

fn filled(element: &Element, name: &str) -> Option<String> {
    element.filled_attr(name).map(|value| value.trim().to_owned())
}

fn child_text(element: &Element, name: &str) -> Option<String> {
    children(element, name).next().map(|child| child.text().trim().to_owned()).filter(|text| !text.is_empty())
}

fn required(element: &Element, name: &str) -> Result<String, Diagnostic> {
    child_text(element, name).ok_or_else(|| element.error(format!("<{}> needs <{name}>", element.name())))
}

fn dependencies(element: &Element) -> Vec<Dependency> {
    let read = children(element, "dependency").filter_map(|it| {
        Some(Dependency {
            name: filled(&it, "artifact")?,
            version: filled(&it, "version"),
            server_role: filled(&it, "serverRole"),
        })
    });
    read.collect()
}

/// `<properties><property key="" value=""/>` and the form `<name>value</name>`.
fn properties(element: &Element) -> Vec<(String, String)> {
    let Some(list) = children(element, "properties").next() else { return Vec::new() };
    let read = list.children().map(|it| match it.attr("key").or_else(|| it.attr("name")) {
        Some(key) => (key.into_owned(), it.attr("value").map_or_else(|| it.text(), |value| value.into_owned())),
        None => (it.name().to_owned(), it.text()),
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(xml: &'static str) -> SourceFile {
        SourceFile::new("x.car!/f.xml", xml)
    }

    #[test]
    fn applications_and_artifacts() {
        let application = ApplicationDescriptor::parse(file(
            "<artifacts><artifact name='other' type='x'/><artifact name='App' version='1.0.0' type='carbon/application'>\
             <dependency artifact='a' version='1.0.0' include='true' serverRole='EnterpriseIntegrator'/></artifact></artifacts>",
        ))
        .unwrap();
        assert_eq!((application.name.as_deref(), application.dependencies.len()), (Some("App"), 1));
        assert_eq!(application.dependencies[0].server_role.as_deref(), Some("EnterpriseIntegrator"));
        assert!(ApplicationDescriptor::parse(file("<artifacts/>")).is_err());
        let artifact = ArtifactDescriptor::parse(file(
            "<artifact name='a' version='1' type='synapse/api'><file>a.xml</file></artifact>",
        ))
        .unwrap();
        assert_eq!((artifact.kind.as_str(), artifact.files), ("synapse/api", vec!["a.xml".to_owned()]));
        assert!(ArtifactDescriptor::parse(file("<artifact type='synapse/api'/>")).is_err());
    }

    #[test]
    fn registry_items_and_collections() {
        let info = RegistryInfo::parse(file(
            "<resources><item><file>a.xsl</file><path>/_system/config/x</path><mediaType>application/xsl+xml</mediaType>\
             <properties><property key='k' value='v'/></properties></item>\
             <collection><directory>d</directory><path>/_system/governance/d</path></collection></resources>",
        ))
        .unwrap();
        assert_eq!(info.items[0].properties, [("k".to_owned(), "v".to_owned())]);
        assert_eq!(info.collections[0].directory, "d");
        assert!(RegistryInfo::parse(file("<resources><item><file>a</file></item></resources>")).is_err());
    }

    #[test]
    fn versioned_projects() {
        let project = ProjectDescriptor::parse(file(
            "<project><id>g__a__1.0.0</id><versionedDeployment>true</versionedDeployment><fatCarEnabled>false</fatCarEnabled>\
             <dependencies><dependency groupId='g' artifactId='t' version='2' type='car'/></dependencies></project>",
        ))
        .unwrap();
        assert_eq!(project.dependencies[0].id(), "g__t__2");
        let application = project.versioned_application(true).unwrap();
        assert_eq!((application.identifier.as_str(), application.dependencies["g__t"].as_str()), ("g__a__1.0.0", "2"));
        assert!(ProjectDescriptor::parse(file("<p><versionedDeployment>true</versionedDeployment></p>")).is_err());
    }
}
