//! The registry: files below `registry/` of the home, and what applications bring.
//!
//! What an application brings is seen at once and becomes files when its deployment has succeeded, as in MI; where the
//! folder cannot be written, as in a read-only container, it stays in memory.
//! Keys: `conf:x` is `/_system/config/x`, `gov:x` `/_system/governance/x`, `local:x` `/_system/local/x`,
//! `resources:x` is `gov:mi-resources/x`, and a key without a prefix is governance. `file:` names a file
//! relative to the home. A key cannot leave its folder, also not by links.
//! Properties of `x` are in `x.properties`, those of a folder in `x.collections.properties`, its media type in
//! `.metadata/x.meta`. MI: `MicroIntegratorRegistry`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use mi_config::properties::Properties;

/// For this long a file is not looked at again (`cachableDuration`).
const FRESH: Duration = Duration::from_secs(15);
/// A resource is not larger than this.
const MAX_RESOURCE: u64 = 64 << 20;
/// Paths that are remembered; keys may be made of message content.
const MAX_CACHED: usize = 10_000;

/// A resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryResource {
    /// The bytes; `None` for a folder, or where only properties exist.
    pub bytes: Option<Bytes>,
    /// Media type, if one is recorded.
    pub media_type: Option<String>,
    /// Properties.
    pub properties: BTreeMap<String, String>,
}

/// A change of the registry that did not happen.
#[derive(Debug)]
pub enum RegistryError {
    /// The key leaves the registry, or names no resource.
    Key(String),
    /// The file cannot be written.
    Io(std::io::Error),
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the registry key '{key}' is not valid"),
            Self::Io(cause) => write!(f, "the registry cannot be written: {cause}"),
        }
    }
}

impl std::error::Error for RegistryError {}

/// Resources by key. Shared by all threads.
#[derive(Debug)]
pub struct Registry {
    root: PathBuf,
    home: PathBuf,
    /// What applications bring and is no file yet, by path below the root.
    content: RwLock<BTreeMap<String, Arc<RegistryResource>>>,
    cache: RwLock<BTreeMap<String, Cached>>,
}

#[derive(Clone, Debug)]
struct Cached {
    resource: Option<Arc<RegistryResource>>,
    stamp: Stamp,
    checked: Instant,
}

/// Times and sizes of the files behind a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 3]);

/// Where a key leads.
enum Place {
    /// Below the root of the registry.
    Registry(String),
    /// A file of its own.
    File(PathBuf),
}

impl Registry {
    /// The registry of a home, with the content of applications by path such as `governance/a/b`.
    pub fn new(root: &Path, home: &Path, content: BTreeMap<String, RegistryResource>) -> Self {
        let content = content.into_iter().map(|(path, resource)| (path, Arc::new(resource))).collect();
        Self { root: root.to_owned(), home: home.to_owned(), content: RwLock::new(content), cache: RwLock::default() }
    }

    /// The resource of a key. Files are looked at again after 15 seconds.
    pub fn get(&self, key: &str) -> Option<Arc<RegistryResource>> {
        let place = self.place(key)?;
        if let Place::Registry(path) = &place
            && let Some(resource) = self.content.read().unwrap_or_else(PoisonError::into_inner).get(path)
        {
            return Some(resource.clone());
        }
        let (cache_key, file, root) = match place {
            Place::Registry(path) => (path.clone(), self.root.join(&path), Some(self.root.as_path())),
            Place::File(path) => (format!("file:{}", path.display()), path, None),
        };
        self.cached(&cache_key, &file, root)
    }

    fn cached(&self, key: &str, file: &Path, root: Option<&Path>) -> Option<Arc<RegistryResource>> {
        let known = self.cache.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(known) = &known
            && known.checked.elapsed() < FRESH
        {
            return known.resource.clone();
        }
        let stamp = Stamp::of(file);
        let resource = match known {
            Some(known) if known.stamp == stamp => known.resource,
            _ => read(file, root).map(Arc::new),
        };
        let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_CACHED {
            cache.clear();
        }
        cache.insert(key.to_owned(), Cached { resource: resource.clone(), stamp, checked: Instant::now() });
        resource
    }

    /// The bytes of a key.
    pub fn bytes(&self, key: &str) -> Option<Bytes> {
        self.get(key)?.bytes.clone()
    }

    /// A property of a key.
    pub fn property(&self, key: &str, name: &str) -> Option<String> {
        self.get(key)?.properties.get(name).cloned()
    }

    /// Names of what lies directly in a folder, without sidecars; folders end in `/`.
    pub fn children(&self, key: &str) -> Option<Vec<String>> {
        let Place::Registry(path) = self.place(key)? else { return None };
        let prefix = if path.is_empty() { path.clone() } else { format!("{path}/") };
        let mut names: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
        for path in self.content.read().unwrap_or_else(PoisonError::into_inner).keys() {
            if let Some(rest) = path.strip_prefix(&prefix) {
                names.insert(rest.split_inclusive('/').next().unwrap_or(rest).to_owned());
            }
        }
        let folder = self.root.join(&path);
        let listed = beneath(&folder, &self.root).and_then(|folder| std::fs::read_dir(folder).ok());
        let on_disk = listed.is_some();
        for entry in listed.into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if name.starts_with('.') || name.ends_with(PROPERTIES) {
                continue;
            }
            let is_folder = entry.path().is_dir();
            names.insert(if is_folder { format!("{name}/") } else { name });
        }
        (on_disk || !names.is_empty()).then(|| names.into_iter().collect())
    }

    /// Writes a resource and its sidecars below the home, as a mediator or the management API asks for.
    ///
    /// # Errors
    /// The key leaves the registry, or a file cannot be written.
    pub fn put(&self, key: &str, resource: RegistryResource) -> Result<(), RegistryError> {
        let path = self.writable(key)?;
        self.write_files(&path, &resource)?;
        if let Some(entry) = self.lock_content().get_mut(&path) {
            *entry = Arc::new(resource);
        }
        Ok(())
    }

    /// Makes files of what applications bring. Files that hold it already are left alone.
    /// MI: `FileRegistryResourceDeployer#writeArtifactToRegistry`.
    ///
    /// # Errors
    /// A file cannot be written; it and those behind it are served from memory.
    pub fn keep_brought(&self) -> Result<(), RegistryError> {
        let brought: Vec<_> = self.lock_content().iter().map(|(path, it)| (path.clone(), it.clone())).collect();
        for (path, resource) in brought {
            if read(&self.root.join(&path), Some(&self.root)).as_ref() != Some(&*resource) {
                self.write_files(&path, &resource)?;
            }
            self.lock_content().remove(&path);
        }
        Ok(())
    }

    /// Takes back what an application that failed would have brought.
    pub fn drop_brought(&self, paths: &[String]) {
        let mut content = self.lock_content();
        for path in paths {
            content.remove(path);
        }
    }

    /// Removes the files of an application that is gone. MI: `#removeArtifactFromRegistry`.
    ///
    /// # Errors
    /// A file cannot be removed; the others are gone.
    pub fn remove_brought(&self, paths: &[String]) -> Result<(), RegistryError> {
        paths.iter().map(|path| self.remove(path).map(|_| ())).fold(Ok(()), Result::and)
    }

    fn lock_content(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<RegistryResource>>> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_files(&self, path: &str, resource: &RegistryResource) -> Result<(), RegistryError> {
        let file = self.root.join(path);
        let folder = file.parent().ok_or_else(|| RegistryError::Key(path.to_owned()))?;
        std::fs::create_dir_all(folder).map_err(RegistryError::Io)?;
        if beneath(folder, &self.root).is_none() {
            return Err(RegistryError::Key(path.to_owned()));
        }
        match &resource.bytes {
            Some(bytes) => write(&file, bytes)?,
            None if resource.properties.is_empty() => {
                std::fs::create_dir_all(&file).map_err(RegistryError::Io)?;
            }
            None => {}
        }
        // An empty file takes the place of properties that are gone.
        if !resource.properties.is_empty() || sidecar(&file).exists() {
            write(&sidecar(&file), render(&resource.properties).as_bytes())?;
        }
        if let (Some(media_type), Some(meta)) = (&resource.media_type, meta_file(&file)) {
            std::fs::create_dir_all(folder.join(METADATA)).map_err(RegistryError::Io)?;
            write(&meta, format!("mediaType={media_type}\n").as_bytes())?;
        }
        self.forget(path);
        Ok(())
    }

    /// Sets one property of a resource. MI: property mediator with scope `registry`.
    ///
    /// # Errors
    /// As [`Registry::put`].
    pub fn set_property(&self, key: &str, name: &str, value: &str) -> Result<(), RegistryError> {
        let mut resource = self.get(key).map(|it| (*it).clone()).unwrap_or_default();
        resource.properties.insert(name.to_owned(), value.to_owned());
        self.put(key, resource)
    }

    /// Removes a resource with its sidecars; false if there was none.
    ///
    /// # Errors
    /// The key leaves the registry, or a file cannot be removed.
    pub fn delete(&self, key: &str) -> Result<bool, RegistryError> {
        self.remove(&self.writable(key)?)
    }

    fn remove(&self, path: &str) -> Result<bool, RegistryError> {
        let brought = self.lock_content().remove(path).is_some();
        let file = self.root.join(path);
        let mut existed = brought;
        if beneath(&file, &self.root).is_some() {
            let removed = if file.is_dir() { std::fs::remove_dir_all(&file) } else { std::fs::remove_file(&file) };
            removed.map_err(RegistryError::Io)?;
            existed = true;
        }
        for extra in [Some(sidecar(&file)), meta_file(&file)].into_iter().flatten() {
            if beneath(&extra, &self.root).is_some() {
                std::fs::remove_file(extra).map_err(RegistryError::Io)?;
            }
        }
        self.forget(path);
        Ok(existed)
    }

    fn writable(&self, key: &str) -> Result<String, RegistryError> {
        match self.place(key) {
            // The three roots themselves are not for writing.
            Some(Place::Registry(path)) if path.contains('/') => Ok(path),
            _ => Err(RegistryError::Key(key.to_owned())),
        }
    }

    fn forget(&self, path: &str) {
        self.cache.write().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    fn place(&self, key: &str) -> Option<Place> {
        if let Some(path) = key.strip_prefix("file:") {
            let path = path.strip_prefix("//").filter(|rest| rest.starts_with('/')).unwrap_or(path);
            return (!path.is_empty() && !path.contains('\0')).then(|| Place::File(self.home.join(path)));
        }
        canonical(key).map(Place::Registry)
    }
}

/// Path below the root of the registry, such as `governance/mi-resources/a`; `None` if it leaves its folder.
pub(crate) fn canonical(key: &str) -> Option<String> {
    const PREFIXES: [(&str, &str); 7] = [
        ("conf:", "config"),
        ("gov:", "governance"),
        ("local:", "local"),
        ("resources:", "governance/mi-resources"),
        ("/_system/config", "config"),
        ("/_system/governance", "governance"),
        ("/_system/local", "local"),
    ];
    let found = PREFIXES.iter().find_map(|(prefix, root)| {
        let rest = key.strip_prefix(prefix)?;
        (prefix.ends_with(':') || rest.is_empty() || rest.starts_with('/')).then_some((*root, rest))
    });
    let (root, rest) = found.unwrap_or(("governance", key));
    let mut path = root.to_owned();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part if part.contains(['\\', '\0']) => return None,
            part => {
                path.push('/');
                path.push_str(part);
            }
        }
    }
    Some(path)
}

const PROPERTIES: &str = ".properties";
const METADATA: &str = ".metadata";

fn sidecar(file: &Path) -> PathBuf {
    let extension = if file.is_dir() { ".collections.properties" } else { PROPERTIES };
    let mut name = file.as_os_str().to_owned();
    name.push(extension);
    name.into()
}

fn meta_file(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?.to_str()?;
    Some(file.parent()?.join(METADATA).join(format!("{name}.meta")))
}

/// The real path, if it exists and is not outside of `root` by a link.
fn beneath(path: &Path, root: &Path) -> Option<PathBuf> {
    let real = path.canonicalize().ok()?;
    real.starts_with(root.canonicalize().ok()?).then_some(real)
}

impl Stamp {
    fn of(file: &Path) -> Self {
        let stat = |path: Option<PathBuf>| {
            let metadata = std::fs::metadata(path?).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Self([stat(Some(file.to_owned())), stat(Some(sidecar(file))), stat(meta_file(file))])
    }
}

fn read(file: &Path, root: Option<&Path>) -> Option<RegistryResource> {
    let allowed = |path: &Path| match root {
        Some(root) => beneath(path, root),
        None => path.canonicalize().ok(),
    };
    let properties = allowed(&sidecar(file)).and_then(|path| read_file(&path));
    let bytes = allowed(file).filter(|path| path.is_file()).and_then(|path| read_file(&path));
    if bytes.is_none() && properties.is_none() && !(file.is_dir() && allowed(file).is_some()) {
        return None;
    }
    let entries = |bytes: Bytes| -> BTreeMap<String, String> {
        let parsed = Properties::parse(&String::from_utf8_lossy(&bytes));
        parsed.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    };
    let meta = meta_file(file).and_then(|path| allowed(&path)).and_then(|path| read_file(&path));
    let media_type = meta.map(entries).and_then(|mut it| it.remove("mediaType")).filter(|it| !it.is_empty());
    Some(RegistryResource { bytes, media_type, properties: properties.map(entries).unwrap_or_default() })
}

fn read_file(path: &Path) -> Option<Bytes> {
    let size = std::fs::metadata(path).ok()?.len();
    if size > MAX_RESOURCE {
        log::warn!("The registry resource {} is larger than {MAX_RESOURCE} bytes and is not read", path.display());
        return None;
    }
    std::fs::read(path).ok().map(Bytes::from)
}

/// Through a second file, so that nobody reads a half.
fn write(file: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    std::fs::write(&part, bytes).map_err(RegistryError::Io)?;
    std::fs::rename(&part, file).map_err(RegistryError::Io)
}

fn render(properties: &BTreeMap<String, String>) -> String {
    let escape = |text: &str, key: bool| {
        let mut result = String::with_capacity(text.len());
        for (at, c) in text.chars().enumerate() {
            match c {
                '\n' => result.push_str("\\n"),
                '\r' => result.push_str("\\r"),
                '\t' => result.push_str("\\t"),
                '\\' => result.push_str("\\\\"),
                '=' | ':' | '#' | '!' | ' ' if key || at == 0 => result.extend(['\\', c]),
                c => result.push(c),
            }
        }
        result
    };
    let lines: Vec<String> =
        properties.iter().map(|(key, value)| format!("{}={}", escape(key, true), escape(value, false))).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
