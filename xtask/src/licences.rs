//! Licences, bans and sources of every dependency, against `deny.toml`.
//!
//! cargo-deny judges when it is installed. The check here runs in any case, on `cargo metadata` alone, so that a machine
//! without the tool cannot pass by silence. It reads the declared licence; texts are cargo-deny's.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use toml::{Table, Value as Toml};

use crate::process;
use crate::workspace::{Workspace, text};

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let policy = policy(workspace)?;
    let packages: Vec<Package> = workspace.packages(&policy.targets)?.iter().map(Package::from_metadata).collect();
    let findings = policy.check(&packages);
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings against deny.toml", findings.len());
    }
    println!("{} packages fit deny.toml", packages.len());
    let installed = Command::new("cargo-deny").arg("--version").output().is_ok_and(|it| it.status.success());
    if installed {
        return process::run(&mut workspace.cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]));
    }
    println!("cargo-deny is not installed; licence texts were not looked at");
    Ok(())
}

/// The targets that the server is built for.
pub(crate) fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    Ok(policy(workspace)?.targets)
}

fn policy(workspace: &Workspace) -> Result<Policy> {
    Policy::read(&std::fs::read_to_string(workspace.root.join("deny.toml")).context("cannot read deny.toml")?)
}

struct Package {
    name: String,
    version: String,
    licence: String,
    /// None for a member of the workspace.
    source: Option<String>,
}

impl Package {
    fn from_metadata(value: &Value) -> Self {
        Self {
            name: text(&value["name"]),
            version: text(&value["version"]),
            licence: text(&value["license"]),
            source: value["source"].as_str().map(str::to_owned),
        }
    }
}

struct Policy {
    targets: Vec<String>,
    licences: Vec<String>,
    banned: Vec<String>,
    single: Vec<String>,
    registries: Vec<String>,
}

impl Policy {
    fn read(source: &str) -> Result<Self> {
        let root: Table = source.parse().context("deny.toml")?;
        let bans: Vec<&Table> = list(&root, "bans", "deny")?.iter().filter_map(Toml::as_table).collect();
        let names = |single: bool| {
            let wanted = move |ban: &&&Table| {
                ban.get("deny-multiple-versions").and_then(Toml::as_bool).unwrap_or(false) == single
            };
            bans.iter().filter(wanted).filter_map(|ban| ban.get("crate")?.as_str()).map(str::to_owned).collect()
        };
        Ok(Self {
            targets: strings(list(&root, "graph", "targets")?),
            licences: strings(list(&root, "licenses", "allow")?),
            banned: names(false),
            single: names(true),
            registries: strings(list(&root, "sources", "allow-registry")?),
        })
    }

    fn check(&self, packages: &[Package]) -> Vec<String> {
        let mut findings = Vec::new();
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages {
            versions.entry(&package.name).or_default().push(&package.version);
            let Package { name, version, licence, source } = package;
            if !allows(licence, &self.licences) {
                findings.push(format!("{name} {version}: licence `{licence}` is not allowed"));
            }
            if self.banned.contains(name) {
                findings.push(format!("{name} {version}: is banned"));
            }
            let known = |url: &str| {
                self.registries.iter().any(|it| url == format!("registry+{it}") || url == format!("sparse+{it}"))
            };
            if source.as_deref().is_some_and(|url| !known(url)) {
                findings.push(format!("{name} {version}: comes from {}", source.as_deref().unwrap_or_default()));
            }
        }
        for name in &self.single {
            if let Some(several) = versions.get(name.as_str()).filter(|it| it.len() > 1) {
                findings.push(format!("{name}: {} versions ({})", several.len(), several.join(", ")));
            }
        }
        findings
    }
}

fn list<'t>(root: &'t Table, table: &str, key: &str) -> Result<&'t Vec<Toml>> {
    root.get(table)
        .and_then(|it| it.get(key))
        .and_then(Toml::as_array)
        .with_context(|| format!("deny.toml has no list [{table}] {key}"))
}

fn strings(values: &[Toml]) -> Vec<String> {
    values.iter().filter_map(Toml::as_str).map(str::to_owned).collect()
}

/// Does an SPDX expression hold when only `allowed` may be chosen? `AND` binds tighter than `OR`; `/` is the old `OR`.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest, allowed) == Some(true) && rest.is_empty()
}

// The three functions below recurse over the brackets of licence expressions, which come from manifests in the lock file.
fn either(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut holds = both(rest, allowed)?;
    while take(rest, "OR") {
        holds |= both(rest, allowed)?;
    }
    Some(holds)
}

fn both(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    let mut holds = single(rest, allowed)?;
    while take(rest, "AND") {
        holds &= single(rest, allowed)?;
    }
    Some(holds)
}

fn single(rest: &mut &[&str], allowed: &[String]) -> Option<bool> {
    if take(rest, "(") {
        let holds = either(rest, allowed)?;
        return take(rest, ")").then_some(holds);
    }
    let (licence, behind) = rest.split_first()?;
    *rest = behind;
    let mut name = (*licence).to_owned();
    if take(rest, "WITH") {
        let (exception, behind) = rest.split_first()?;
        *rest = behind;
        name = format!("{name} WITH {exception}");
    }
    Some(allowed.contains(&name))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let Some((first, behind)) = rest.split_first() else { return false };
    let same = first.eq_ignore_ascii_case(word);
    if same {
        *rest = behind;
    }
    same
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_licence(expression: &str, expected: bool) {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
        assert_eq!(allows(expression, &allowed), expected, "{expression}");
    }

    #[test]
    fn expressions() {
        check_licence("MIT", true);
        check_licence("MIT/GPL-3.0", true);
        check_licence("GPL-3.0-only", false);
        check_licence("(MIT OR GPL-3.0) AND Unicode-3.0", true);
        check_licence("MIT AND GPL-3.0", false);
        check_licence("GPL-3.0 OR MIT AND GPL-3.0", false);
        check_licence("Apache-2.0 WITH LLVM-exception", true);
        check_licence("Apache-2.0 WITH Other-exception", false);
        check_licence("", false);
        check_licence("(MIT", false);
        check_licence("MIT MIT", false);
    }

    #[track_caller]
    fn check_packages(packages: &[(&str, &str, Option<&str>)], expected: &[&str]) {
        let policy = Policy::read(concat!(
            "[graph]\ntargets = []\n[licenses]\nallow = ['MIT']\n[sources]\nallow-registry = ['https://good']\n",
            "[bans]\ndeny = [{ crate = 'bad' }, { crate = 'one', deny-multiple-versions = true }]\n"
        ));
        let package = |(name, licence, source): &(&str, &str, Option<&str>)| Package {
            name: (*name).to_owned(),
            version: "1.0.0".to_owned(),
            licence: (*licence).to_owned(),
            source: source.map(str::to_owned),
        };
        let packages: Vec<Package> = packages.iter().map(package).collect();
        let findings = policy.unwrap().check(&packages);
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, part) in findings.iter().zip(expected) {
            assert!(finding.contains(part), "{finding} lacks {part}");
        }
    }

    #[test]
    fn packages() {
        check_packages(&[("a", "MIT", Some("registry+https://good")), ("own", "MIT", None)], &[]);
        check_packages(&[("a", "GPL-3.0", None)], &["licence `GPL-3.0`"]);
        check_packages(&[("bad", "MIT", None)], &["is banned"]);
        check_packages(&[("a", "MIT", Some("git+https://good"))], &["comes from git"]);
        check_packages(&[("one", "MIT", None), ("one", "MIT", None)], &["one: 2 versions"]);
    }
}
