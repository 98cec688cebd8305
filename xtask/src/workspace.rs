//! Where things lie in this checkout, and what `cargo metadata` says about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The checkout that this xtask was built from.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// The members with their dependencies, as `cargo metadata --no-deps` has them.
    members: Value,
}

/// A dependency of a member, as its manifest declares it.
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) dev: bool,
}

impl Workspace {
    pub(crate) fn load() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the checkout")?.to_path_buf();
        let members = metadata(&root, &["--no-deps"])?;
        let target = members["target_directory"].as_str().context("cargo metadata has no target_directory")?.into();
        Ok(Self { root, target, members })
    }

    /// The release binary of the server.
    pub(crate) fn binary(&self) -> Result<PathBuf> {
        let path = self.target.join("release/micro-integrator");
        if !path.is_file() {
            bail!("{} is not built: run `cargo xtask release` first", path.display());
        }
        Ok(path)
    }

    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new(cargo());
        command.current_dir(&self.root).args(args);
        command
    }

    /// Every member with its direct dependencies; build dependencies count as ordinary ones.
    pub(crate) fn members(&self) -> Vec<(String, Vec<Dependency>)> {
        array(&self.members["packages"])
            .map(|package| (text(&package["name"]), array(&package["dependencies"]).map(dependency).collect()))
            .collect()
    }

    /// Every package that is built for `targets`, members and registry crates alike.
    pub(crate) fn packages(&self, targets: &[String]) -> Result<Vec<Value>> {
        let data = self.resolved(targets, &["--all-features"])?;
        // `packages` lists the whole lock file; only what the resolved graph names is ever built for these targets.
        let used: Vec<&str> = array(&data["resolve"]["nodes"]).filter_map(|node| node["id"].as_str()).collect();
        Ok(array(&data["packages"])
            .filter(|it| it["id"].as_str().is_some_and(|id| used.contains(&id)))
            .cloned()
            .collect())
    }

    /// What `cargo metadata` says of every package and how they are resolved for `targets`.
    pub(crate) fn resolved(&self, targets: &[String], features: &[&str]) -> Result<Value> {
        let mut args = vec!["--locked"];
        args.extend(features);
        for target in targets {
            args.extend(["--filter-platform", target]);
        }
        metadata(&self.root, &args)
    }

    /// The files that git knows or would take in, relative to the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let args = ["ls-files", "--cached", "--others", "--exclude-standard", "-z"];
        let output = Command::new("git").current_dir(&self.root).args(args).output().context("cannot run git")?;
        if !output.status.success() {
            bail!("git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
        // A file may be listed and yet be gone from the work tree.
        Ok(names.split_terminator('\0').map(PathBuf::from).filter(|it| self.root.join(it).is_file()).collect())
    }
}

fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn metadata(root: &Path, args: &[&str]) -> Result<Value> {
    let output = Command::new(cargo())
        .current_dir(root)
        .args(["metadata", "--format-version", "1"])
        .args(args)
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata did not print JSON")
}

fn dependency(value: &Value) -> Dependency {
    Dependency { name: text(&value["name"]), dev: value["kind"] == "dev" }
}

/// The elements of a JSON array; none when it is something else.
pub(crate) fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The text of a JSON string; empty when it is something else.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
