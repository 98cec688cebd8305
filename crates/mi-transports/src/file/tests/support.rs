//! Folders that go away, and an engine that notes what it is given.

use std::path::{Path, PathBuf};

/// A folder of a test; it is removed with what is in it.
pub(in super::super) struct Folder(PathBuf);

impl Folder {
    pub(in super::super) fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    pub(in super::super) fn below(parent: &Path) -> Self {
        let path = parent.join(format!("mi-file-test-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(in super::super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
