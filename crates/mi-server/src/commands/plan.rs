//! `plan`: what an application would change in a home, without changing anything.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use mi_deployer::{Application, LoadedDeployment, Origin};
use mi_engine::services::Nothing;

use crate::cli::{PlanArgs, RunArgs};
use crate::server::{self, Lasting, Prepared};

pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let plan = Plan::of(args)?;
    for line in &plan.lines {
        super::print(line)?;
    }
    Ok(if plan.deployable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What would happen.
struct Plan {
    lines: Vec<String>,
    deployable: bool,
}

/// What an application consists of: a shown name and the content.
type Parts = BTreeMap<String, Vec<u8>>;

impl Plan {
    fn of(args: &PlanArgs) -> anyhow::Result<Self> {
        let path = &args.application;
        let file = path.file_name().with_context(|| format!("{} is no file", path.display()))?;
        let file = file.to_string_lossy().into_owned();
        let read = |applications: &[&Path]| {
            let applications = applications.iter().map(|&it| it.to_owned()).collect();
            Prepared::read(&RunArgs { applications, home: args.home.clone(), ..RunArgs::default() })
        };
        let before = read(&[])?.loaded;
        let prepared = read(&[path.as_path()])?;
        let old = before.applications.iter().find(|it| *it.file == *file);
        let new = prepared.loaded.applications.iter().find(|it| *it.file == *file);
        let mut lines = vec![headline(&file, old, new)];
        let (had, has) = (parts(&before, old), parts(&prepared.loaded, new));
        let services = server::services(&prepared, Arc::new(Nothing), Vec::new(), Lasting::default());
        let databases = Arc::new(mi_data::Databases::new(&prepared.home.root));
        let deployed = prepared.deploy(services, &databases);
        let deployable = deployed.applications.iter().any(|it| *it.file == *file);
        if deployable {
            lines.extend(changes(&had, &has));
        }
        // Also of others: what they lose by the change.
        let known = before.faulty.iter().map(|it| &it.file).collect::<Vec<_>>();
        let broken = deployed.broken.0.iter().filter(|it| *it.file == *file || !known.contains(&&it.file));
        for application in broken {
            let reasons = application.reasons.iter().filter(|it| it.is_error());
            lines.extend(reasons.map(|reason| format!("error: {}: {reason}", application.file)));
        }
        let others = deployed.broken.0.iter().any(|it| *it.file != *file && !known.contains(&&it.file));
        Ok(Self { lines, deployable: deployable && !others })
    }
}

fn headline(file: &str, old: Option<&Application>, new: Option<&Application>) -> String {
    match (old, new) {
        (None, Some(new)) => format!("{file}: {} would be deployed", new.id),
        (Some(old), Some(new)) if old.id == new.id => format!("{file}: {} would be deployed anew", new.id),
        (Some(old), Some(new)) => format!("{file}: {} would take the place of {}", new.id, old.id),
        (Some(old), None) => format!("{file} cannot be deployed; {} would go on while the server runs", old.id),
        (None, None) => format!("{file} cannot be deployed"),
    }
}

/// Artifacts and registry resources of an application.
fn parts(loaded: &LoadedDeployment, application: Option<&Application>) -> Parts {
    let Some(application) = application else { return Parts::new() };
    let own = |origin: &Origin| matches!(origin, Origin::Application(id) if *id == application.id);
    let artifacts = loaded.artifacts.iter().filter(|it| own(&it.origin)).map(|it| {
        let artifact = &it.artifact;
        (format!("{} {}", artifact.kind(), artifact.name()), artifact.source_text().into_bytes())
    });
    let resources = application.resources.iter().map(|path| {
        let content = loaded.registry.get(&format!("/_system/{path}")).and_then(|it| it.bytes.clone());
        (format!("registry resource {path}"), content.unwrap_or_default().to_vec())
    });
    artifacts.chain(resources).collect()
}

/// A line for each part: `+` added, `~` changed, `=` unchanged, `-` removed.
fn changes(had: &Parts, has: &Parts) -> Vec<String> {
    let mut lines: Vec<(String, char)> = has
        .iter()
        .map(|(name, content)| match had.get(name) {
            None => (name.clone(), '+'),
            Some(before) if before == content => (name.clone(), '='),
            Some(_) => (name.clone(), '~'),
        })
        .collect();
    lines.extend(had.keys().filter(|name| !has.contains_key(*name)).map(|name| (name.clone(), '-')));
    lines.sort();
    lines.into_iter().map(|(name, sign)| format!("{sign} {name}")).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cli::HomeArgs;

    const NS: &str = "xmlns='http://ws.apache.org/ns/synapse'";

    /// A project folder with these sequences: name and content.
    fn project(path: &Path, version: &str, sequences: &[(&str, &str)]) {
        let folder = path.join("src/main/wso2mi/artifacts/sequences");
        fs::remove_dir_all(path).ok();
        fs::create_dir_all(&folder).unwrap();
        let name = path.file_name().unwrap().to_string_lossy();
        let pom = format!(
            "<project><groupId>g</groupId><artifactId>{name}</artifactId><version>{version}</version></project>"
        );
        fs::write(path.join("pom.xml"), pom).unwrap();
        for (name, content) in sequences {
            let text = format!("<sequence {NS} name='{name}'>{content}</sequence>");
            fs::write(folder.join(format!("{name}.xml")), text).unwrap();
        }
    }

    #[test]
    fn added_changed_and_removed_artifacts_are_told() {
        let root = std::env::temp_dir().join(format!("mi-plan-{}", std::process::id()));
        let (home, new) = (root.join("home"), root.join("new/p"));
        fs::create_dir_all(home.join("carbonapps")).unwrap();
        let plan = || {
            let home = HomeArgs { home: Some(home.clone()), ..HomeArgs::default() };
            let plan = Plan::of(&PlanArgs { application: new.clone(), home }).unwrap();
            (plan.deployable, plan.lines)
        };
        project(&new, "2", &[("a", "<drop/>"), ("b", "<log/>"), ("c", "")]);
        let (deployable, lines) = plan();
        assert!(deployable, "{lines:?}");
        assert_eq!(lines, ["p: p_2 would be deployed", "+ sequence a", "+ sequence b", "+ sequence c"]);
        project(&home.join("carbonapps/p"), "1", &[("a", "<drop/>"), ("b", ""), ("d", "")]);
        let (deployable, lines) = plan();
        assert!(deployable, "{lines:?}");
        assert_eq!(lines[0], "p: p_2 would take the place of p_1");
        assert_eq!(lines[1..], ["= sequence a", "~ sequence b", "+ sequence c", "- sequence d"]);
        project(&home.join("carbonapps/q"), "1", &[("c", "")]);
        let (deployable, lines) = plan();
        assert!(!deployable, "{lines:?}");
        assert!(lines.iter().any(|it| it.starts_with("error: ") && it.contains("is already deployed")), "{lines:?}");
        fs::remove_dir_all(&root).ok();
    }
}
