//! What the log says about a deployment, in MI's words: what was deployed from where, what was taken away, what is wrong.

use std::collections::HashSet;
use std::path::PathBuf;

use mi_config::{Artifact, ArtifactKind, Severity};
use mi_deployer::{Application, Changes, LoadedDeployment, Origin};
use mi_engine::Snapshot;

use crate::server::{Deployed, described};

/// An artifact that was deployed.
#[derive(Debug)]
struct Line {
    origin: Origin,
    file: PathBuf,
    /// The logger.
    deployer: &'static str,
    text: String,
}

impl Line {
    fn log(&self) {
        log::info!(target: self.deployer, "{}", self.text);
    }
}

/// One line for each artifact that was deployed, in the order of deployment.
#[derive(Debug, Default)]
pub struct Deployments {
    lines: Vec<Line>,
}

impl Deployments {
    /// What `loaded` has, but for the artifacts (by index) that failed.
    pub fn of(loaded: &LoadedDeployment, failed: &HashSet<usize>) -> Self {
        let deployed = loaded.artifacts.iter().enumerate().filter(|(index, _)| !failed.contains(index));
        let lines = deployed.filter_map(|(_, it)| {
            let (deployer, kind) = label(&it.artifact)?;
            let (name, file) = (it.artifact.name(), &it.artifact.source().name);
            let text = format!("{kind} named '{name}' has been deployed from file : {file}");
            Some(Line { origin: it.origin.clone(), file: PathBuf::from(&**file), deployer, text })
        });
        Self { lines: lines.collect() }
    }
}

/// The deployer of a kind of artifact and what it calls one. MI: the classes of `org.apache.synapse.deployers`.
fn label(artifact: &Artifact) -> Option<(&'static str, &'static str)> {
    Some(match artifact.kind() {
        ArtifactKind::LocalEntry => ("LocalEntryDeployer", "LocalEntry"),
        ArtifactKind::Endpoint => ("EndpointDeployer", "Endpoint"),
        ArtifactKind::Sequence => ("SequenceDeployer", "Sequence"),
        ArtifactKind::MessageStore => ("MessageStoreDeployer", "Message Store"),
        ArtifactKind::SequenceTemplate => ("TemplateDeployer", "Template"),
        ArtifactKind::EndpointTemplate => ("TemplateDeployer", "Endpoint Template"),
        ArtifactKind::Proxy => ("ProxyServiceDeployer", "ProxyService"),
        ArtifactKind::Task => ("TaskDeployer", "StartupTask"),
        ArtifactKind::MessageProcessor => ("MessageProcessorDeployer", "Message Processor"),
        ArtifactKind::Api => ("APIDeployer", "API"),
        ArtifactKind::InboundEndpoint => ("InboundEndpointDeployer", "Inbound Endpoint"),
        _ => return None,
    })
}

/// Says what was found wrong, and what was deployed: applications at the start, after that whatever `changes` name.
pub fn deployed(deployed: &Deployed, changes: Option<&Changes>) {
    for diagnostic in &deployed.diagnostics {
        match diagnostic.severity {
            Severity::Error => log::error!(target: "CappDeployer", "{diagnostic}"),
            Severity::Warning => log::warn!(target: "CappDeployer", "{diagnostic}"),
        }
    }
    for application in deployed.broken.0.iter().map(described) {
        log::error!(target: "CappDeployer", "Faulty application {}: {}", application.name, application.reason);
    }
    let lines = &deployed.deployments.lines;
    for application in deployed.applications.iter().filter(|it| it.former) {
        log::warn!(
            target: "CappDeployer",
            "The new version of {} cannot be deployed; {} goes on", application.file, with_version(application)
        );
    }
    for application in deployed.applications.iter().filter(|it| !it.former && is_new(it, changes)) {
        let own = |line: &&Line| matches!(&line.origin, Origin::Application(id) if *id == application.id);
        // What `%X{Artifact-Container}` shows. MI: `AbstractSynapseArtifactDeployer`, `CustomLogSetter`.
        let container = format!("[ Deployed From Artifact Container: {} ] ", with_version(application));
        mi_telemetry::log::with_context("Artifact-Container", container, || {
            lines.iter().filter(own).for_each(Line::log);
        });
        log::info!(target: "CappDeployer", "Successfully Deployed Carbon Application : {}", with_version(application));
    }
    let Some(changes) = changes else { return };
    let loose = |line: &&Line| !matches!(line.origin, Origin::Application(_)) && changes.written.contains(&line.file);
    lines.iter().filter(loose).for_each(Line::log);
}

/// Says which of the applications that were there are gone.
pub fn undeployed(before: &[Application], now: &[Application]) {
    for gone in before.iter().filter(|it| !now.iter().any(|other| other.id == it.id)) {
        log::info!(target: "CappDeployer", "Successfully undeployed Carbon Application : {}", with_version(gone));
    }
}

/// Says what goes with the process: messages in stores that keep them in memory only.
pub fn lost_messages(snapshot: &Snapshot) {
    for (name, store) in snapshot.stores.iter() {
        let left = store.volatile_size();
        if left > 0 {
            log::warn!(
                target: "MessageStore",
                "Store [{name}] keeps its messages in memory: {left} of them are gone with the server"
            );
        }
    }
}

fn is_new(application: &Application, changes: Option<&Changes>) -> bool {
    changes.is_none_or(|changes| {
        let file = std::path::Path::new(&*application.file);
        changes.written.iter().any(|path| path.ends_with(file) || path.components().any(|it| it.as_os_str() == file))
    })
}

fn with_version(application: &Application) -> String {
    match &application.version {
        Some(version) => format!("{}_{version}", application.name),
        None => application.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(file: &str, version: Option<&str>) -> Application {
        Application {
            id: file.into(),
            name: "a".to_owned(),
            version: version.map(str::to_owned),
            file: file.into(),
            artifacts: Vec::new(),
            main_sequence: None,
            versioned: false,
            resources: Vec::new(),
            former: false,
        }
    }

    #[test]
    fn an_application_is_new_at_the_start_and_when_its_file_or_folder_changed() {
        let changes = |path: &str| Changes { written: vec![path.into()], removed: Vec::new() };
        let (car, folder) = (application("a_1.car", None), application("project", None));
        assert!(is_new(&car, None));
        assert!(is_new(&car, Some(&changes("/home/carbonapps/a_1.car"))));
        assert!(!is_new(&car, Some(&changes("/home/carbonapps/ba_1.car"))));
        assert!(is_new(&folder, Some(&changes("/src/project/a/x.xml"))));
        assert!(!is_new(&folder, Some(&changes("/src/other/a/x.xml"))));
    }

    #[test]
    fn applications_are_named_with_their_version() {
        assert_eq!(with_version(&application("f", Some("1.0.0"))), "a_1.0.0");
        assert_eq!(with_version(&application("f", None)), "a");
    }
}
