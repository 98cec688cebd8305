//! A configuration file as it was read: its name for messages, its bytes, and the scope it belongs to.

use std::sync::Arc;

use bytes::Bytes;

use crate::scope::Scope;

/// One file of configuration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Shown in messages: a path, or `name.car!/path` for an entry of an archive.
    pub name: Arc<str>,
    /// The bytes as they were read; the encoding is found by the XML parser.
    pub bytes: Bytes,
    /// Placeholders and the versioned application that names are resolved in.
    pub scope: Arc<Scope>,
}

impl SourceFile {
    /// A file without placeholders, outside of any versioned application.
    pub fn new(name: impl Into<Arc<str>>, bytes: impl Into<Bytes>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), scope: Scope::plain() }
    }

    /// The same file read in `scope`.
    pub fn in_scope(mut self, scope: Arc<Scope>) -> Self {
        self.scope = scope;
        self
    }
}
