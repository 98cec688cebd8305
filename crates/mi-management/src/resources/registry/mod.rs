//! `/registry-resources`: paths of MI (`registry/config/…`) over the keys of the registry (`conf:/…`).

pub(super) mod content;
pub(super) mod properties;
pub(super) mod tree;

use mi_engine::transport::HttpReply;

use crate::answer;
use crate::context::RegistryAccess;
use crate::request::Request;

/// The folders at the root and their prefixes. MI: `Utils#getRegistryPathPrefix`.
const ROOTS: [(&str, &str); 3] = [("config", "conf:"), ("governance", "gov:"), ("local", "local:")];

/// Media type where none is recorded.
const DEFAULT_MEDIA_TYPE: &str = "text/plain";

/// A path that does not leave the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As it was sent.
    shown: String,
    /// Components below `registry`.
    parts: Vec<String>,
}

impl Place {
    /// The path of a request; `Err` is the answer to one without a valid path. MI: `Utils#validatePath`.
    fn of(request: &Request) -> Result<Self, HttpReply> {
        let Some(path) = request.query("path").filter(|path| !path.is_empty()) else {
            return Err(answer::bad("Registry path not found in the request"));
        };
        Self::parse(path).ok_or_else(|| answer::bad(format!("The registry path  '{path}' is illegal")))
    }

    fn parse(path: &str) -> Option<Self> {
        let mut parts: Vec<String> = Vec::new();
        for part in path.replace('\\', "/").split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop()?;
                }
                part if part.contains('\0') => return None,
                part => parts.push(part.to_owned()),
            }
        }
        if parts.first().is_none_or(|first| first != "registry") {
            return None;
        }
        parts.remove(0);
        Some(Self { shown: path.to_owned(), parts })
    }

    /// Its key; `None` at the root and outside of the three folders.
    fn key(&self) -> Option<String> {
        let (root, rest) = self.parts.split_first()?;
        let (_, prefix) = ROOTS.iter().find(|(name, _)| name == root)?;
        Some(format!("{prefix}/{}", rest.join("/")))
    }

    /// Its last component.
    fn name(&self) -> &str {
        self.parts.last().map_or("registry", String::as_str)
    }

    /// The place of something inside.
    fn child(&self, name: &str) -> Self {
        let mut parts = self.parts.clone();
        parts.push(name.to_owned());
        Self { shown: format!("{}/{name}", self.shown), parts }
    }

    /// Names of what is inside, folders with a slash at the end; `None` when it is no folder.
    fn children(&self, registry: &dyn RegistryAccess) -> Option<Vec<String>> {
        match self.key() {
            Some(key) => registry.children(&key),
            None if self.parts.is_empty() => {
                let there = |(name, prefix): &(&str, &str)| {
                    registry.children(&format!("{prefix}/")).is_some().then(|| format!("{name}/"))
                };
                Some(ROOTS.iter().filter_map(there).collect())
            }
            None => None,
        }
    }

    /// Is something there? Names of sidecars are no resources of their own.
    fn exists(&self, registry: &dyn RegistryAccess) -> bool {
        self.children(registry).is_some()
            || self
                .key()
                .and_then(|key| registry.get(&key))
                .is_some_and(|it| it.bytes.is_some() || !it.properties.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, key) in [
            ("registry/config/a/b.txt", Some("conf:/a/b.txt")),
            ("/registry/governance//a/./b", Some("gov:/a/b")),
            ("registry/config/a/../../local/b", Some("local:/b")),
            ("registry/configX/a", None),
            ("registry", None),
        ] {
            let place = Place::parse(path).expect(path);
            assert_eq!(place.key().as_deref(), key, "{path}");
        }
        for path in ["registry/../repository", "regX", "..", "registry/../../registry", "a/registry", "registry\\..\\x"]
        {
            assert_eq!(Place::parse(path), None, "{path}");
        }
    }
}
