//! Which crate may depend on which: the picture in ARCHITECTURE.md as a table.

use crate::workspace::Dependency;

/// The layers from the bottom up. A crate sees the layers below its own, and never a neighbour.
const LAYERS: &[&[&str]] = &[
    &["mi-xml"],
    &["mi-message"],
    &["mi-expr"],
    &["mi-xslt", "mi-script"],
    &["mi-config"],
    &["mi-engine"],
    &["mi-deployer", "mi-management", "mi-components", "mi-transports", "mi-data", "mi-telemetry"],
    &["mi-server"],
];

/// Crates beside the layers: they may see every crate, and none may see them outside its tests.
const TOOLS: &[&str] = &["mi-testkit", "mi-benches"];

/// The crates that report to a person and not to a caller; elsewhere errors have types.
const MAY_USE_ANYHOW: &[&str] = &["mi-server", "mi-benches", "xtask"];

/// What is wrong with the dependencies of the members, one line each.
pub(super) fn check(members: &[(String, Vec<Dependency>)]) -> Vec<String> {
    let mut findings = Vec::new();
    for (member, dependencies) in members {
        let tool = TOOLS.contains(&member.as_str());
        if layer(member).is_none() && !tool && member != "xtask" {
            findings.push(format!("{member}: has no place in the layers of xtask/src/tidy/arrows.rs"));
        }
        for dependency in dependencies {
            if let Some(reason) = objection(member, tool, dependency) {
                findings.push(format!("{member} -> {}: {reason}", dependency.name));
            }
        }
    }
    findings
}

fn objection(member: &str, tool: bool, dependency: &Dependency) -> Option<&'static str> {
    let name = dependency.name.as_str();
    if name == "anyhow" && !MAY_USE_ANYHOW.contains(&member) {
        return Some("only the binary, the benchmarks and xtask have stringly errors");
    }
    if TOOLS.contains(&name) {
        return (!dependency.dev && !tool).then_some("a tool is a dev-dependency");
    }
    let below = layer(name)?;
    match layer(member) {
        Some(above) if above > below => None,
        Some(above) if above == below => Some("siblings never see each other"),
        Some(_) => Some("dependencies point down only"),
        None if tool => None,
        None => Some("xtask works on the built product, not on its crates"),
    }
}

fn layer(name: &str) -> Option<usize> {
    LAYERS.iter().position(|it| it.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_edge(member: &str, on: &str, dev: bool, allowed: bool) {
        let members = [(member.to_owned(), vec![Dependency { name: on.to_owned(), dev }])];
        let findings = check(&members);
        assert_eq!(findings.is_empty(), allowed, "{findings:?}");
    }

    #[test]
    fn dependencies_point_down() {
        check_edge("mi-engine", "mi-xml", false, true);
        check_edge("mi-config", "mi-expr", false, true);
        check_edge("mi-server", "mi-transports", false, true);
        check_edge("mi-message", "mi-expr", false, false);
        check_edge("mi-xml", "mi-xml", false, false);
        check_edge("mi-components", "mi-transports", false, false);
        check_edge("mi-transports", "mi-components", true, false);
        check_edge("mi-engine", "serde_json", false, true);
    }

    #[test]
    fn tools_and_anyhow_have_their_places() {
        check_edge("mi-engine", "mi-testkit", true, true);
        check_edge("mi-engine", "mi-testkit", false, false);
        check_edge("mi-benches", "mi-components", false, true);
        check_edge("mi-engine", "anyhow", false, false);
        check_edge("xtask", "anyhow", false, true);
        check_edge("xtask", "mi-xml", false, false);
    }

    #[test]
    fn every_crate_has_a_place() {
        assert_eq!(check(&[("mi-new".to_owned(), Vec::new())]).len(), 1);
    }
}
