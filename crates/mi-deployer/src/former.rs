//! What served before: when the new version of an application or loose file cannot be deployed, the former one goes on.
//! MI does so for loose files (`AbstractSynapseArtifactDeployer`) and takes a broken application away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use mi_config::Diagnostic;

use crate::bundle::Bundle;
use crate::load::{FaultyApplication, LoadedDeployment, Origin};

/// What the last deployment was made of, and which of the present files are known to be broken.
#[derive(Clone, Debug, Default)]
pub struct Former {
    /// By the file name of the archive or folder.
    pub(crate) bundles: BTreeMap<Arc<str>, Bundle>,
    files: BTreeMap<PathBuf, Bytes>,
    broken: BTreeMap<Arc<str>, FaultyApplication>,
    broken_files: BTreeMap<PathBuf, Vec<Diagnostic>>,
}

impl Former {
    /// What `loaded` is made of, but for loose files that are `broken`. The contents are shared with it, not copied.
    pub fn of(loaded: &LoadedDeployment, broken: &BTreeMap<PathBuf, Vec<Diagnostic>>) -> Self {
        let loose = loaded.artifacts.iter().filter_map(|it| match &it.origin {
            Origin::File(path) if broken.contains_key(path) => None,
            Origin::File(path) => Some((path.clone(), it.artifact.source().bytes.clone())),
            Origin::Application(_) => None,
        });
        Self { bundles: loaded.bundles.clone(), files: loose.collect(), ..Self::default() }
    }

    /// Notes what is broken at present. True when there are former versions of some of it that were not asked for yet: then
    /// load again.
    pub fn refuse(&mut self, faulty: &[FaultyApplication], files: &BTreeMap<PathBuf, Vec<Diagnostic>>) -> bool {
        let mut again = false;
        for application in faulty.iter().filter(|it| self.bundles.contains_key(&it.file)) {
            if !self.broken.contains_key(&application.file) {
                self.broken.insert(application.file.clone(), application.clone());
                again = true;
            }
        }
        for (path, reasons) in files.iter().filter(|(path, _)| self.files.contains_key(*path)) {
            if !self.broken_files.contains_key(path) {
                self.broken_files.insert(path.clone(), reasons.clone());
                again = true;
            }
        }
        again
    }

    /// What is broken about the present archive, and the bundle in its place.
    pub(crate) fn instead_of(&self, file: &str) -> Option<(&FaultyApplication, &Bundle)> {
        Some((self.broken.get(file)?, self.bundles.get(file)?))
    }

    /// What is broken about the present file, and the content in its place.
    pub(crate) fn instead_of_file(&self, path: &Path) -> Option<(&[Diagnostic], &Bytes)> {
        Some((self.broken_files.get(path)?, self.files.get(path)?))
    }
}

#[cfg(test)]
mod tests {
    use mi_config::Deployment;

    use super::*;
    use crate::load::load_over;
    use crate::testkit::{TempDir, car};
    use crate::{Environment, Home};

    const NS: &str = "xmlns='http://ws.apache.org/ns/synapse'";

    /// Loads as the server does: again while there is a former version of what is broken. Names of the artifacts, of the
    /// applications whose former version goes on, and of the faulty ones.
    fn look(dir: &TempDir, former: &mut Former) -> (Vec<String>, Vec<String>, usize) {
        let mut now = former.clone();
        for _ in 0..3 {
            let loaded = load_over(&Home::locate(dir.path()), &Deployment::default(), &Environment::default(), &now);
            if now.refuse(&loaded.faulty, &loaded.broken_files) {
                continue;
            }
            *former = Former::of(&loaded, &loaded.broken_files);
            let old = loaded.applications.iter().filter(|it| it.former).map(|it| it.name.clone());
            let names = loaded.artifacts.iter().map(|it| it.artifact.name().to_owned()).collect();
            return (names, old.collect(), loaded.faulty.len());
        }
        panic!("it never ends");
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn an_application_goes_on_until_a_good_version_comes() {
        let (dir, mut former) = (TempDir::new(), Former::default());
        let sequence = |name: &str| format!("<sequence {NS} name='{name}'/>");
        let write = |content: &str| {
            dir.write("carbonapps/a.car", car("A", &[("s", "synapse/sequence", "s.xml", content)]));
        };
        write(&sequence("one"));
        assert_eq!(look(&dir, &mut former), (names(&["one"]), names(&[]), 0));
        for _ in 0..2 {
            write("<sequence");
            assert_eq!(look(&dir, &mut former), (names(&["one"]), names(&["A"]), 1));
        }
        dir.write("carbonapps/a.car", "no archive");
        assert_eq!(look(&dir, &mut former), (names(&["one"]), names(&["A"]), 1));
        write(&sequence("two"));
        assert_eq!(look(&dir, &mut former), (names(&["two"]), names(&[]), 0));
        std::fs::remove_file(dir.path().join("carbonapps/a.car")).unwrap();
        assert_eq!(look(&dir, &mut former), (names(&[]), names(&[]), 0));
        write("<sequence");
        assert_eq!(look(&dir, &mut former), (names(&[]), names(&[]), 1), "nothing is left of what was removed");
    }

    #[test]
    fn a_loose_file_goes_on_until_a_good_version_comes() {
        let (dir, mut former) = (TempDir::new(), Former::default());
        let path = "deployment/synapse-configs/sequences/a.xml";
        for (content, expected) in [
            ("<sequence", &[][..]),
            ("<sequence name='one'/>", &["one"]),
            ("<sequence", &["one"]),
            ("<sequence name='one'>", &["one"]),
            ("<sequence name='two'/>", &["two"]),
        ] {
            dir.write(path, content.replace("<sequence name", &format!("<sequence {NS} name")));
            assert_eq!(look(&dir, &mut former).0, names(expected), "{content}");
        }
    }
}
