//! A connector archive: its operations are sequence templates. MI: `LibDeployerUtils`.
//!
//! Archives whose templates call Java classes are listed too; whether an operation can run is decided where
//! it is called, since many have a native counterpart under the same name.

use std::sync::Arc;

use mi_config::template::SequenceTemplateConfig;
use mi_config::{Artifact, Diagnostic, Element, Scope, Severity, SourceFile, parse_artifact};

use crate::bundle::{Bundle, Limits};

/// A connector.
#[derive(Clone, Debug)]
pub struct Library {
    /// Name, the part in front of the dot of an operation.
    pub name: String,
    /// Package.
    pub package: String,
    /// What its author says about it.
    pub description: String,
    /// Operations in the order of the archive.
    pub operations: Vec<LibraryOperation>,
    /// It holds Java code.
    pub has_java: bool,
    /// Where it came from.
    pub file: Arc<str>,
    /// The versioned application that it belongs to.
    pub application: Option<String>,
}

/// An operation of a connector.
#[derive(Clone, Debug)]
pub struct LibraryOperation {
    /// Such as `http.get`.
    pub name: String,
    /// The template behind it.
    pub template: SequenceTemplateConfig,
    /// It is for internal use.
    pub hidden: bool,
}

impl Library {
    /// Reads an archive. Operations that do not parse are reported and left out.
    ///
    /// # Errors
    /// The archive is refused, or has no descriptor.
    pub(crate) fn read(
        file: Arc<str>,
        bytes: &[u8],
        scope: &Arc<Scope>,
        out: &mut Vec<Diagnostic>,
    ) -> Result<Self, Diagnostic> {
        let error = |message: String| Diagnostic::of_file(Severity::Error, file.clone(), message);
        let bundle = Bundle::from_zip(bytes, &Limits::default()).map_err(|cause| error(cause.to_string()))?;
        let source = |path: &str, bytes: &bytes::Bytes| {
            SourceFile::new(format!("{file}!/{path}"), bytes.clone()).in_scope(scope.clone())
        };
        let (descriptor, bytes) = ["connector.xml", "artifacts.xml"]
            .iter()
            .find_map(|name| bundle.get(name).map(|bytes| (*name, bytes)))
            .ok_or_else(|| error("has no connector.xml".to_owned()))?;
        let (root, _) = Element::parse(source(descriptor, bytes))?;
        let component = local(&root, &["component", "artifact"])
            .next()
            .ok_or_else(|| root.error("a connector needs a <component>"))?;
        let mut library = Self {
            name: component.require_attr("name")?.into_owned(),
            package: component.attr("package").unwrap_or_default().into_owned(),
            description: local(&component, &["description"])
                .next()
                .map(|it| it.text().trim().to_owned())
                .unwrap_or_default(),
            operations: Vec::new(),
            has_java: bundle.iter().any(|(path, bytes)| bytes.is_empty() && is_java(path)),
            application: scope.application().map(|it| it.identifier.clone()),
            file: file.clone(),
        };
        for dependency in local(&component, &["dependency"]) {
            let Some(folder) = dependency.attr("component").or_else(|| dependency.attr("artifact")) else { continue };
            let path = ["component.xml", "artifact.xml"].map(|name| format!("{folder}/{name}"));
            let Some((path, bytes)) = path.iter().find_map(|path| bundle.get(path).map(|bytes| (path, bytes))) else {
                out.push(dependency.warning(format!("the folder {folder} has no component.xml")));
                continue;
            };
            match Element::parse(source(path, bytes)) {
                Ok((list, _)) => library.read_operations(&list, &folder, &bundle, &source, out),
                Err(error) => out.push(error),
            }
        }
        Ok(library)
    }

    fn read_operations(
        &mut self,
        list: &Element,
        folder: &str,
        bundle: &Bundle,
        source: &dyn Fn(&str, &bytes::Bytes) -> SourceFile,
        out: &mut Vec<Diagnostic>,
    ) {
        let Some(operations) = local(list, &["subComponents", "subArtifacts"]).next() else { return };
        for operation in local(&operations, &["component", "artifact"]) {
            let text = |name: &str| local(&operation, &[name]).next().map(|it| it.text().trim().to_owned());
            let (Some(name), Some(file)) = (operation.attr("name"), text("file")) else { continue };
            let path = format!("{folder}/{file}");
            let Some(bytes) = bundle.get(&path) else {
                out.push(operation.warning(format!("the file {path} is missing")));
                continue;
            };
            // Templates of connectors keep their own names in versioned applications.
            let (artifacts, found) = parse_artifact(source(&path, bytes));
            out.extend(found.into_iter().filter(Diagnostic::is_error));
            for artifact in artifacts {
                if let Artifact::SequenceTemplate(template) = artifact {
                    let hidden = text("hidden").is_some_and(|it| it == "true");
                    self.operations.push(LibraryOperation { name: format!("{}.{name}", self.name), template, hidden });
                }
            }
        }
    }
}

fn is_java(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, it)| it.eq_ignore_ascii_case("jar") || it.eq_ignore_ascii_case("class"))
}

/// Children by local name, of any namespace.
fn local<'a>(element: &'a Element, names: &'a [&'a str]) -> impl Iterator<Item = Element> + 'a {
    element.children().filter(move |child| names.contains(&child.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::zip;

    #[test]
    fn operations_are_named_by_library_and_component() {
        let bytes = zip(&[
            (
                "connector.xml",
                b"<connector><component name='hello' package='org.x'><dependency component='op'/></component></connector>",
            ),
            (
                "op/component.xml",
                b"<component name='op' type='synapse/template'><subComponents><component name='say'>\
                  <file>say.xml</file></component><component name='gone'><file>gone.xml</file></component></subComponents></component>",
            ),
            ("op/say.xml", b"<template xmlns='http://ws.apache.org/ns/synapse' name='say'><parameter name='to'/><sequence/></template>"),
            ("lib/x.jar", b"java"),
        ]);
        let mut out = Vec::new();
        let library = Library::read("h.zip".into(), &bytes, &Scope::plain(), &mut out).unwrap();
        assert_eq!((library.name.as_str(), library.package.as_str(), library.has_java), ("hello", "org.x", true));
        assert_eq!(library.operations.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["hello.say"]);
        assert!(out.len() == 1 && out[0].message.contains("op/gone.xml is missing"), "{out:?}");
        assert!(Library::read("h.zip".into(), &zip(&[("a", b"")]), &Scope::plain(), &mut out).is_err());
    }
}
