//! The operations of connectors as templates, and what is said of those that need Java.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use mi_config::{Artifact, Diagnostic, Element};
use mi_deployer::{Library, LoadedDeployment, Origin};

/// The templates behind the operations, under the names by which operations call them. Of two connectors that bring
/// the same operation the first counts; a versioned application has its own.
pub fn templates(loaded: &LoadedDeployment) -> Vec<Artifact> {
    let mut names = HashSet::new();
    let mut templates = Vec::new();
    let disabled = disabled(loaded);
    for library in loaded.libraries.iter().filter(|it| !disabled.contains(&(it.package.as_str(), it.name.as_str()))) {
        for operation in &library.operations {
            let name = template_name(library, &operation.name);
            if names.insert(name.clone()) {
                let mut template = operation.template.clone();
                template.name = name.into();
                templates.push(Artifact::SequenceTemplate(template));
            }
        }
    }
    let shared: HashSet<&str> =
        loaded.libraries.iter().filter(|it| it.application.is_none()).map(|it| it.name.as_str()).collect();
    let used = used(loaded);
    for connector in &mi_components::connectors::BUILT_IN {
        if shared.contains(connector.name) || !used.contains(connector.name) {
            continue;
        }
        for (name, mut template) in connector.operations() {
            template.name = name.into();
            templates.push(Artifact::SequenceTemplate(template));
        }
    }
    templates
}

/// Package and name of connectors whose import says that they are disabled. The import of a file, which is what the management
/// API writes, counts before that of an application. MI: `SynapseAppDeployer#updateStatus` unloads the library.
fn disabled(loaded: &LoadedDeployment) -> HashSet<(&str, &str)> {
    let mut enabled = BTreeMap::new();
    for deployed in &loaded.artifacts {
        if let Artifact::Import(import) = &deployed.artifact {
            let key = (import.package.as_str(), import.library.as_str());
            match deployed.origin {
                Origin::File(_) => drop(enabled.insert(key, import.enabled)),
                Origin::Application(_) => drop(enabled.entry(key).or_insert(import.enabled)),
            }
        }
    }
    enabled.into_iter().filter(|(_, enabled)| !enabled).map(|(key, _)| key).collect()
}

/// Names of connectors whose operations an artifact calls.
fn used(loaded: &LoadedDeployment) -> HashSet<String> {
    let mut used = HashSet::new();
    for deployed in &loaded.artifacts {
        each(deployed.artifact.element(), &mut |element| {
            if let Some((connector, _)) = element.name().split_once('.')
                && !used.contains(connector)
            {
                used.insert(connector.to_owned());
            }
        });
    }
    used
}

fn template_name(library: &Library, operation: &str) -> String {
    match &library.application {
        Some(application) => format!("{application}__{operation}"),
        None => operation.to_owned(),
    }
}

/// Is it about a template of a connector? What matters of those is said by [`warnings`].
pub fn is_of_template(loaded: &LoadedDeployment, diagnostic: &Diagnostic) -> bool {
    loaded
        .libraries
        .iter()
        .any(|library| diagnostic.file.strip_prefix(&*library.file).is_some_and(|it| it.starts_with("!/")))
}

/// A warning for each use of an operation whose template calls a class that nothing stands in for. Operations that
/// nobody uses are not spoken of.
pub fn warnings(loaded: &LoadedDeployment) -> Vec<Diagnostic> {
    let mut needs: BTreeMap<&str, Arc<str>> = BTreeMap::new();
    for operation in loaded.libraries.iter().flat_map(|it| &it.operations) {
        if let Some(class) = first_class(&operation.template.body) {
            needs.entry(&operation.name).or_insert(class);
        }
    }
    if needs.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for deployed in &loaded.artifacts {
        let name = deployed.artifact.name();
        each(deployed.artifact.element(), &mut |element| {
            if let Some(class) = needs.get(element.name()) {
                let text = format!(
                    "{} needs the Java class {class} of its connector, which this server does not run",
                    element.name()
                );
                let warning = element.warning(text).hint(
                    "put what it does behind a service of its own and <call> it; messages that reach it get a fault",
                );
                found.push(Diagnostic { artifact: Some(name.to_owned()), ..warning });
            }
        });
    }
    found
}

/// The first class that a template calls and that nothing stands in for.
fn first_class(template: &Element) -> Option<Arc<str>> {
    let mut class = None;
    each(template, &mut |element| {
        if element.name() != "class" || class.is_some() {
            return;
        }
        let name = element.attr("name").unwrap_or_default();
        if mi_components::connectors::class(name.trim()).is_none() {
            class = Some(Arc::from(name.trim()));
        }
    });
    class
}

/// Every element below `root`, and itself.
fn each(root: &Element, act: &mut dyn FnMut(&Element)) {
    let mut open = vec![root.clone()];
    while let Some(element) = open.pop() {
        act(&element);
        open.extend(element.children());
    }
}
