//! `advisories`: no version in `Cargo.lock` is one that RustSec warns of.
//!
//! A build server may have no network, so what RustSec says of the crates in use is a file of this checkout, `advisories.toml`, with the
//! date of the database that it was taken from. `cargo xtask advisories --from FOLDER` takes it anew from a clone of
//! <https://github.com/RustSec/advisory-db>. What is known and borne is listed there with the reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use semver::{Version, VersionReq};
use serde::Deserialize;
use toml::{Table, Value};

use crate::workspace::Workspace;

const FILE: &str = "advisories.toml";
/// Between these lines of an advisory stands what programs read.
const FENCE: &str = "```";

/// What the file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Of the last change of the database.
    date: String,
    commit: String,
    /// Names of the crates that were looked up, with spaces in between.
    crates: String,
    #[serde(default)]
    accepted: Vec<Accepted>,
    #[serde(default)]
    advisory: Vec<Advisory>,
}

/// An advisory that holds for a crate in use, and why that is borne.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    id: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    id: String,
    #[serde(rename = "crate")]
    name: String,
    title: String,
    /// Requirements, one of which a good version meets.
    good: Vec<String>,
}

impl Advisory {
    fn hits(&self, version: &Version) -> Result<bool> {
        for text in &self.good {
            let good = VersionReq::parse(text).with_context(|| format!("{FILE}: {}: `{text}`", self.id))?;
            if good.matches(version) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The step of CI.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let list = read(&workspace.root)?;
    let locked = locked(&fs::read_to_string(workspace.root.join("Cargo.lock"))?)?;
    let findings = list.check(&locked)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings against {FILE} of {}", findings.len(), list.date);
    }
    let known: BTreeSet<&str> = list.crates.split(' ').collect();
    let new: BTreeSet<&str> =
        locked.iter().map(|(name, _)| name.as_str()).filter(|name| !known.contains(name)).collect();
    println!(
        "{} advisories of {} (advisory-db {}) were compared, {} of them are accepted",
        list.advisory.len(),
        list.date,
        list.commit,
        list.accepted.len()
    );
    if !new.is_empty() {
        let new: Vec<&str> = new.into_iter().collect();
        println!("not looked up yet, renew {FILE} (docs/security.md): {}", new.join(", "));
    }
    Ok(())
}

/// `cargo xtask advisories --from FOLDER`
pub(crate) fn command(workspace: &Workspace, args: &[&str]) -> Result<()> {
    let ["--from", folder] = args else { bail!("the option is --from FOLDER, a clone of RustSec's advisory-db") };
    let locked = locked(&fs::read_to_string(workspace.root.join("Cargo.lock"))?)?;
    let accepted = read(&workspace.root).map(|it| it.accepted).unwrap_or_default();
    fs::write(workspace.root.join(FILE), renewed(Path::new(folder), &locked, &accepted)?)?;
    run(workspace)
}

fn read(root: &Path) -> Result<List> {
    let text = fs::read_to_string(root.join(FILE)).with_context(|| format!("cannot read {FILE}"))?;
    toml::from_str(&text).context(FILE)
}

/// Name and version of all that comes from a registry.
fn locked(lock: &str) -> Result<Vec<(String, Version)>> {
    let lock: Table = lock.parse().context("Cargo.lock")?;
    let packages = lock.get("package").and_then(Value::as_array).context("Cargo.lock names no packages")?;
    let mut found = Vec::new();
    for package in packages.iter().filter(|it| it.get("source").is_some()) {
        let part =
            |key| package.get(key).and_then(Value::as_str).context("Cargo.lock: a package without name or version");
        found.push((part("name")?.to_owned(), Version::parse(part("version")?)?));
    }
    Ok(found)
}

impl List {
    fn check(&self, locked: &[(String, Version)]) -> Result<Vec<String>> {
        let mut findings = Vec::new();
        let mut hit = BTreeSet::new();
        for advisory in &self.advisory {
            for (name, version) in locked.iter().filter(|(name, _)| *name == advisory.name) {
                if !advisory.hits(version)? {
                    continue;
                }
                hit.insert(&advisory.id);
                if !self.accepted.iter().any(|it| it.id == advisory.id) {
                    let Advisory { id, title, good, .. } = advisory;
                    let good = if good.is_empty() { "no version".to_owned() } else { good.join(" or ") };
                    findings.push(format!("{name} {version}: {id}, {title}; good is {good}"));
                }
            }
        }
        for it in &self.accepted {
            if it.reason.trim().is_empty() {
                findings.push(format!("{}: is accepted without a reason", it.id));
            }
            if !hit.contains(&it.id) {
                findings.push(format!("{}: is accepted and holds for no locked version; take it out", it.id));
            }
        }
        Ok(findings)
    }
}

/// The file, from a clone of the database.
fn renewed(folder: &Path, locked: &[(String, Version)], accepted: &[Accepted]) -> Result<String> {
    let said = Command::new("git").arg("-C").arg(folder).args(["log", "-1", "--format=%cs %H"]).output()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let (date, commit) = said.trim().split_once(' ').with_context(|| format!("{} is no clone", folder.display()))?;
    let names: BTreeSet<&str> = locked.iter().map(|(name, _)| name.as_str()).collect();
    let mut text = format!(
        "# What RustSec says of the crates in Cargo.lock; read by `cargo xtask advisories`, made by `cargo xtask advisories --from FOLDER`.\n\
         # Only [[accepted]] is written by hand.\n\ndate = {date:?}\ncommit = {commit:?}\ncrates = {:?}\n",
        names.iter().copied().collect::<Vec<_>>().join(" ")
    );
    for it in accepted {
        write!(text, "\n[[accepted]]\nid = {}\nreason = {}\n", quoted(&it.id), quoted(&it.reason))?;
    }
    for name in names {
        let mut files = Vec::new();
        // Most crates have none.
        let Ok(entries) = fs::read_dir(folder.join("crates").join(name)) else { continue };
        for entry in entries {
            files.push(entry?.path());
        }
        files.sort();
        for file in files.iter().filter(|it| it.extension().is_some_and(|it| it == "md")) {
            let advisory = advisory(&fs::read_to_string(file)?).with_context(|| file.display().to_string())?;
            if let Some(it) = advisory {
                let good: Vec<String> = it.good.iter().map(|it| quoted(it)).collect();
                write!(
                    text,
                    "\n[[advisory]]\nid = {}\ncrate = {}\ntitle = {}\ngood = [{}]\n",
                    quoted(&it.id),
                    quoted(&it.name),
                    quoted(&it.title),
                    good.join(", ")
                )?;
            }
        }
    }
    Ok(text)
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// One file of the database. None for what has been taken back, for news that are no weakness (a crate without a
/// maintainer), and for other systems than Linux.
fn advisory(text: &str) -> Result<Option<Advisory>> {
    let mut parts = text.split(FENCE);
    let head = parts.nth(1).and_then(|it| it.strip_prefix("toml")).context("no head")?;
    let head: Table = head.parse()?;
    let title = text.lines().find_map(|it| it.strip_prefix("# ")).unwrap_or_default().to_owned();
    let about = head.get("advisory").and_then(Value::as_table).context("no [advisory]")?;
    let word = |key: &str| about.get(key).and_then(Value::as_str);
    let harmless = matches!(word("informational"), Some("unmaintained" | "notice"));
    let systems = head.get("affected").and_then(|it| it.get("os")).and_then(Value::as_array);
    let elsewhere = systems.is_some_and(|all| !all.iter().any(|it| it.as_str() == Some("linux")));
    if word("withdrawn").is_some() || harmless || elsewhere {
        return Ok(None);
    }
    let versions = head.get("versions").and_then(Value::as_table).context("no [versions]")?;
    let list = |key| versions.get(key).and_then(Value::as_array).into_iter().flatten();
    let good = list("patched").chain(list("unaffected")).filter_map(Value::as_str).map(str::to_owned).collect();
    let id = word("id").context("no id")?.to_owned();
    Ok(Some(Advisory { id, name: word("package").context("no package")?.to_owned(), title, good }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "date = '2030-01-01'\ncommit = 'c'\ncrates = 'a b'\n\
        [[accepted]]\nid = 'R-2'\nreason = 'only on Tuesdays'\n\
        [[advisory]]\nid = 'R-1'\ncrate = 'a'\ntitle = 'T'\ngood = ['>= 1.2.3', '< 0.9', '^1.1.9, < 1.2']\n\
        [[advisory]]\nid = 'R-2'\ncrate = 'b'\ntitle = 'U'\ngood = []\n";

    #[track_caller]
    fn check(packages: &[(&str, &str)], expected: &[&str]) {
        let list: List = toml::from_str(LIST).unwrap();
        let mut lock = String::new();
        for (name, version) in packages {
            write!(lock, "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = 'registry'\n").unwrap();
        }
        let findings = list.check(&locked(&lock).unwrap()).unwrap();
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, part) in findings.iter().zip(expected) {
            assert!(finding.contains(part), "{finding} lacks {part}");
        }
    }

    #[test]
    fn locked_versions_are_compared_with_the_list() {
        check(&[("b", "1.0.0"), ("a", "1.2.3")], &[]);
        check(&[("b", "1.0.0"), ("a", "0.8.7"), ("a", "1.1.10")], &[]);
        check(&[("b", "1.0.0"), ("a", "1.2.2")], &["a 1.2.2: R-1, T; good is >= 1.2.3 or < 0.9"]);
        check(&[("b", "1.0.0"), ("a", "0.9.0"), ("a", "1.3.0")], &["a 0.9.0: R-1"]);
        check(&[("a", "2.0.0")], &["R-2: is accepted and holds for no locked version"]);
    }

    #[test]
    fn files_of_the_database_are_read() {
        let file = |more: &str, affected: &str| {
            format!(
                "```toml\n[advisory]\nid = \"R-3\"\npackage = \"p\"\n{more}\n{affected}\n[versions]\npatched = [\">= 2\"]\n\
                 unaffected = [\"< 1\"]\n```\n\n# A title\n\nText with ```code```.\n"
            )
        };
        let read = advisory(&file("", "")).unwrap().unwrap();
        assert_eq!((read.id.as_str(), read.name.as_str(), read.title.as_str()), ("R-3", "p", "A title"));
        assert_eq!(read.good, [">= 2", "< 1"]);
        assert!(advisory(&file("informational = \"unsound\"", "")).unwrap().is_some());
        assert!(advisory(&file("informational = \"unmaintained\"", "")).unwrap().is_none());
        assert!(advisory(&file("withdrawn = \"2030-01-01\"", "")).unwrap().is_none());
        assert!(advisory(&file("", "[affected]\nos = [\"windows\"]")).unwrap().is_none());
        assert!(advisory(&file("", "[affected]\nos = [\"windows\", \"linux\"]")).unwrap().is_some());
        assert!(advisory("no head").is_err());
    }
}
