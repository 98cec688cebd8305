//! The manifests of `k8s/`: every document fits the shape of its kind, every file is there and used, what the kustomizations come to fits as
//! a whole and names only what is there, and the chart asks for no value that it does not have.
//!
//! The overlays are rendered by `kubectl kustomize`. Debian has none that is new enough, so without one on the machine that part is
//! left out, and said to be; the rest needs no program.

mod rendered;
mod shape;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_yaml_ng::{Deserializer, Value};

use self::shape::{Extent, Shapes};
use crate::workspace::Workspace;

/// What was found, each with its file.
#[derive(Default)]
struct Findings(Vec<String>);

/// The step of CI.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let root = workspace.root.join("k8s");
    let shapes = Shapes::load()?;
    let mut findings = Findings::default();
    let manifests = files(&root.join("overlays"))?.into_iter().chain(files(&root.join("base"))?).collect::<Vec<_>>();
    let patches = kustomizations(&manifests, &shapes, &mut findings)?;
    let examples = files(&root.join("examples"))?;
    let mut count = 0;
    for path in manifests.iter().chain(&examples) {
        let patch = patches.contains(path) || examples.contains(path);
        let extent = if patch { Extent::Patch } else { Extent::Whole };
        for document in documents(&read(path)?).with_context(|| path.display().to_string())? {
            count += 1;
            findings.add(path, shapes.compare(&document, extent));
        }
    }
    let rendered = render(&root.join("overlays"), &shapes, &mut findings)?;
    values(&root.join("helm/micro-integrator"), &mut findings)?;
    if !findings.0.is_empty() {
        bail!("k8s/ is not right:\n  {}", findings.0.join("\n  "));
    }
    println!("{count} manifests fit their kinds; {rendered}");
    Ok(())
}

impl Findings {
    fn add(&mut self, path: &Path, found: impl IntoIterator<Item = String>) {
        self.0.extend(found.into_iter().map(|it| format!("{}: {it}", path.display())));
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The documents of a file; keys that are there twice are an error.
fn documents(text: &str) -> Result<Vec<Value>> {
    let documents = Deserializer::from_str(text).map(Value::deserialize);
    let all = documents.collect::<Result<Vec<Value>, _>>()?;
    Ok(all.into_iter().filter(|it| !it.is_null()).collect())
}

/// The files with manifests in a folder and those below it, in order.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|it| it == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Follows what the kustomizations name; gives the files that are patches.
fn kustomizations(manifests: &[PathBuf], shapes: &Shapes, findings: &mut Findings) -> Result<BTreeSet<PathBuf>> {
    let (mut patches, mut used) = (BTreeSet::new(), BTreeSet::new());
    for path in manifests.iter().filter(|it| it.ends_with("kustomization.yaml")) {
        used.insert(path.clone());
        let folder = path.parent().context("a file has a folder")?;
        for document in documents(&read(path)?).with_context(|| path.display().to_string())? {
            let list = |key: &str| document.get(key).and_then(Value::as_sequence).cloned().unwrap_or_default();
            let own = list("patches");
            let paths = own.iter().filter_map(|it| it.get("path")?.as_str());
            patches.extend(paths.clone().map(|it| folder.join(it)));
            let generated = list("configMapGenerator").into_iter().flat_map(|it| match it.get("files") {
                Some(Value::Sequence(files)) => files.clone(),
                _ => Vec::new(),
            });
            let listed = list("resources").into_iter().chain(generated);
            let named = listed.filter_map(|it| it.as_str().map(str::to_owned)).chain(paths.map(str::to_owned));
            for file in named.map(|it| folder.join(it)) {
                if !file.exists() {
                    findings.add(path, [format!("{} is not there", file.display())]);
                }
                used.insert(file);
            }
            // Patches in the text of the file are manifests, or lists of operations.
            for patch in own.iter().filter_map(|it| it.get("patch")?.as_str()) {
                for inside in documents(patch).with_context(|| path.display().to_string())? {
                    let operations = inside.is_sequence();
                    let found = if operations { Vec::new() } else { shapes.compare(&inside, Extent::Patch) };
                    findings.add(path, found);
                }
            }
        }
    }
    let unused = manifests.iter().filter(|it| !used.contains(*it));
    findings.0.extend(unused.map(|it| format!("{}: no kustomization uses it", it.display())));
    Ok(patches)
}

/// What each overlay comes to is looked at as a whole. The answer says how many that were.
fn render(overlays: &Path, shapes: &Shapes, findings: &mut Findings) -> Result<String> {
    let mut rendered = 0;
    let mut folders = fs::read_dir(overlays)?.map(|it| Ok(it?.path())).collect::<Result<Vec<_>>>()?;
    folders.sort();
    for folder in folders.iter().filter(|it| it.is_dir()) {
        let output = Command::new("kubectl").arg("kustomize").arg(folder).stdin(Stdio::null()).output();
        let Ok(output) = output else {
            return Ok("the overlays are not rendered: there is no kubectl".to_owned());
        };
        if !output.status.success() {
            findings.add(folder, [String::from_utf8_lossy(&output.stderr).trim().to_owned()]);
            continue;
        }
        let all = documents(&String::from_utf8_lossy(&output.stdout))?;
        findings.add(folder, all.iter().flat_map(|it| shapes.compare(it, Extent::Whole)));
        findings.add(folder, rendered::dangling(&all));
        rendered += 1;
    }
    Ok(format!("{rendered} overlays render"))
}

/// The templates of the chart ask only for values that `values.yaml` has.
fn values(chart: &Path, findings: &mut Findings) -> Result<()> {
    let values: Value = serde_yaml_ng::from_str(&read(&chart.join("values.yaml"))?).context("values.yaml")?;
    documents(&read(&chart.join("Chart.yaml"))?).context("Chart.yaml")?;
    for template in fs::read_dir(chart.join("templates"))? {
        let path = template?.path();
        let text = read(&path)?;
        let asked = text.split(".Values.").skip(1).map(|rest| {
            let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '.').unwrap_or(rest.len());
            rest[..end].trim_end_matches('.')
        });
        let unknown = asked.filter(|asked| asked.split('.').try_fold(&values, |at, key| at.get(key)).is_none());
        findings.add(&path, unknown.map(|it| format!("values.yaml has no {it}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_read_one_by_one_and_keys_are_there_once() {
        let all = documents("a: 1\n---\n# nothing\n---\nb: 2\n").unwrap();
        assert_eq!(all.len(), 2);
        let error = documents("a: 1\na: 2\n").unwrap_err().to_string();
        assert!(error.contains("duplicate"), "{error}");
    }
}
