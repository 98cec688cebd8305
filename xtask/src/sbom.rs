//! What the server is made of, as a CycloneDX 1.5 document.
//!
//! It lists the crates that are compiled into `micro-integrator` or run while it is built, on any target of `deny.toml`,
//! with the checksums of `Cargo.lock`. Crates that only tests use are left out. The same lock file gives the same bytes.
//!
//! `cargo metadata` joins the features of all members, so a crate may be listed that the server alone would not turn on.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use toml::{Table, Value as Toml};

use crate::licences;
use crate::workspace::{Workspace, array, text};

/// The package whose dependencies are listed.
const ROOT: &str = "mi-server";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let lock = std::fs::read_to_string(workspace.root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let document = document(&workspace.resolved(&licences::targets(workspace)?, &[])?, &checksums(&lock)?)?;
    let path = workspace.target.join("micro-integrator.cdx.json");
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{} components in {}", array(&document["components"]).count(), path.display());
    Ok(())
}

/// SHA-256 of each registry crate by its name and version, in hex digits.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: Table = lock.parse().context("Cargo.lock")?;
    let packages = lock.get("package").and_then(Toml::as_array).context("Cargo.lock has no [[package]]")?;
    let field = |package: &Toml, key: &str| package.get(key).and_then(Toml::as_str).map(str::to_owned);
    let entry = |it: &Toml| Some(((field(it, "name")?, field(it, "version")?), field(it, "checksum")?));
    Ok(packages.iter().filter_map(entry).collect())
}

/// The document for what `cargo metadata` resolved. Fails when a registry crate has no checksum.
fn document(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let packages: BTreeMap<&str, &Value> =
        array(&metadata["packages"]).filter_map(|it| Some((it["id"].as_str()?, it))).collect();
    let edges: BTreeMap<&str, Vec<&str>> =
        array(&metadata["resolve"]["nodes"]).filter_map(|it| Some((it["id"].as_str()?, needed(it)))).collect();
    let root = packages.iter().find(|(_, it)| it["name"] == ROOT);
    let (&root_id, &root) = root.with_context(|| format!("cargo metadata does not know {ROOT}"))?;

    let mut reached = BTreeSet::from([root_id]);
    let mut open = vec![root_id];
    while let Some(id) = open.pop() {
        open.extend(edges.get(id).into_iter().flatten().copied().filter(|it| reached.insert(it)));
    }
    let (mut components, mut dependencies) = (BTreeMap::new(), BTreeMap::new());
    for id in reached {
        let package = packages.get(id).with_context(|| format!("cargo metadata has no package {id}"))?;
        let on: BTreeSet<String> =
            edges.get(id).into_iter().flatten().filter_map(|it| packages.get(it)).map(|it| reference(it)).collect();
        dependencies.insert(reference(package), json!({"ref": reference(package), "dependsOn": on}));
        if id != root_id {
            components.insert(reference(package), component(package, "library", checksums)?);
        }
    }
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(root, "application", checksums)?},
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    }))
}

/// The packages that a node needs to be built or to run.
fn needed(node: &Value) -> Vec<&str> {
    let shipped = |it: &&Value| array(&it["dep_kinds"]).any(|kind| kind["kind"] != "dev");
    array(&node["deps"]).filter(shipped).filter_map(|it| it["pkg"].as_str()).collect()
}

/// The package URL of a registry crate; members, which no registry has, by name and version.
fn reference(package: &Value) -> String {
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    if package["source"].is_null() {
        return format!("{name}@{version}");
    }
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

fn component(package: &Value, kind: &str, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let (name, version) = (text(&package["name"]), text(&package["version"]));
    let mut component = json!({"type": kind, "bom-ref": reference(package), "name": name, "version": version});
    if let Some(licence) = package["license"].as_str() {
        component["licenses"] = json!([{"expression": licence.replace('/', " OR ")}]);
    }
    if !package["source"].is_null() {
        let Some(sum) = checksums.get(&(name.clone(), version.clone())) else {
            bail!("{name} {version}: Cargo.lock has no checksum");
        };
        component["purl"] = json!(reference(package));
        component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
    }
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Value {
        let package = |name: &str, source: Option<&str>| {
            let licence = "MIT/Apache-2.0";
            json!({"id": name, "name": name, "version": "1.0.0+x", "license": licence, "source": source})
        };
        let edge = |to: &str, kinds: &[Option<&str>]| {
            let kinds: Vec<Value> = kinds.iter().map(|it| json!({"kind": it})).collect();
            json!({"pkg": to, "dep_kinds": kinds})
        };
        json!({
            "packages": [
                package("mi-server", None), package("own", None), package("used", Some("registry")),
                package("builder", Some("registry")), package("tester", Some("registry")), package("alone", None),
            ],
            "resolve": {"nodes": [
                {"id": "mi-server", "deps": [edge("own", &[None]), edge("tester", &[Some("dev")])]},
                {"id": "own", "deps": [edge("used", &[Some("dev"), None]), edge("builder", &[Some("build")])]},
                {"id": "used", "deps": [edge("own", &[Some("dev")])]},
                {"id": "alone", "deps": [edge("tester", &[None])]},
            ]},
        })
    }

    fn sums(names: &[&str]) -> BTreeMap<(String, String), String> {
        let entry = |it: &&str| format!("[[package]]\nname = '{it}'\nversion = '1.0.0+x'\nchecksum = 'sum of {it}'\n");
        let lock = names.iter().map(entry).collect::<Vec<_>>().concat();
        checksums(&lock).unwrap()
    }

    #[test]
    fn lists_what_is_shipped_and_no_more() {
        let document = document(&metadata(), &sums(&["used", "builder"])).unwrap();
        let refs: Vec<String> = array(&document["components"]).map(|it| text(&it["bom-ref"])).collect();
        assert_eq!(refs, ["own@1.0.0+x", "pkg:cargo/builder@1.0.0%2Bx", "pkg:cargo/used@1.0.0%2Bx"]);
        assert_eq!(document["metadata"]["component"]["name"], "mi-server");
        assert_eq!(document["components"][1]["hashes"][0]["content"], "sum of builder");
        assert_eq!(document["components"][1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert!(document["components"][0]["hashes"].is_null() && document["components"][0]["purl"].is_null());
        let on =
            |name: &str| array(&document["dependencies"]).find(|it| it["ref"] == name).unwrap()["dependsOn"].clone();
        assert_eq!(on("mi-server@1.0.0+x"), json!(["own@1.0.0+x"]));
        assert_eq!(on("own@1.0.0+x"), json!(["pkg:cargo/builder@1.0.0%2Bx", "pkg:cargo/used@1.0.0%2Bx"]));
        assert_eq!(on("pkg:cargo/used@1.0.0%2Bx"), json!([]));
    }

    #[test]
    fn a_crate_without_a_checksum_is_an_error() {
        let error = document(&metadata(), &sums(&["used"])).unwrap_err().to_string();
        assert_eq!(error, "builder 1.0.0+x: Cargo.lock has no checksum");
    }
}
