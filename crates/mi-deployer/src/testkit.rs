//! Folders and archives for tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A folder that goes away with the value.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        let name = format!("mi-deployer-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A zip file with these entries.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in entries {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An artifact of a CAR made by [`car`]: name, type, file name, content.
pub(crate) type Part<'p> = (&'p str, &'p str, &'p str, &'p str);

/// A CAR of version 1.0.0 with these artifacts.
pub(crate) fn car(name: &str, parts: &[Part<'_>]) -> Vec<u8> {
    let mut entries: Vec<(String, Vec<u8>)> = Vec::new();
    let mut list = String::new();
    for (part, kind, file, content) in parts {
        list.push_str(&format!(
            "<dependency artifact='{part}' version='1.0.0' include='true' serverRole='EnterpriseIntegrator'/>"
        ));
        let folder = format!("{part}_1.0.0");
        let descriptor =
            format!("<artifact name='{part}' version='1.0.0' type='{kind}'><file>{file}</file></artifact>");
        entries.push((format!("{folder}/artifact.xml"), descriptor.into_bytes()));
        entries.push((format!("{folder}/{file}"), content.as_bytes().to_vec()));
    }
    let application = format!(
        "<artifacts><artifact name='{name}' version='1.0.0' type='carbon/application'>{list}</artifact></artifacts>"
    );
    entries.push(("artifacts.xml".to_owned(), application.into_bytes()));
    let borrowed: Vec<(&str, &[u8])> = entries.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    zip(&borrowed)
}
