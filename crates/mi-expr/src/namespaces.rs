//! The prefixes that an expression may use.

use std::sync::Arc;

use mi_xml::{Document, NodeId};

/// Prefix bindings in scope where an expression stands. Cheap to clone. The default namespace is no part of them:
/// an unprefixed name in an XPath has no namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    bindings: Arc<Vec<(Box<str>, Box<str>)>>,
}

impl Namespaces {
    /// No bindings.
    pub fn new() -> Self {
        Self::default()
    }

    /// The bindings in scope at an element of a configuration. MI: `OMElementUtils#addNameSpaces`.
    pub fn from_scope(document: &Document, node: NodeId) -> Self {
        let bindings = document
            .in_scope_namespaces(node)
            .into_iter()
            .filter(|(prefix, uri)| !prefix.is_empty() && !uri.is_empty())
            .map(|(prefix, uri)| (prefix.into(), uri.into()))
            .collect();
        Self { bindings: Arc::new(bindings) }
    }

    /// The same bindings and one more; an existing binding of the prefix is replaced.
    pub fn with(mut self, prefix: &str, uri: &str) -> Self {
        let bindings = Arc::make_mut(&mut self.bindings);
        match bindings.iter_mut().find(|(known, _)| &**known == prefix) {
            Some(entry) => entry.1 = uri.into(),
            None => bindings.push((prefix.into(), uri.into())),
        }
        self
    }

    /// The namespace of a prefix.
    pub fn get(&self, prefix: &str) -> Option<&str> {
        self.bindings.iter().find(|(known, _)| &**known == prefix).map(|(_, uri)| &**uri)
    }

    /// Prefixes and namespaces.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bindings.iter().map(|(prefix, uri)| (&**prefix, &**uri))
    }
}

#[cfg(test)]
mod tests {
    use super::Namespaces;

    #[test]
    fn a_later_binding_of_a_prefix_wins() {
        let bindings = Namespaces::new().with("a", "urn:1").with("b", "urn:2").with("a", "urn:3");
        assert_eq!(bindings.iter().collect::<Vec<_>>(), [("a", "urn:3"), ("b", "urn:2")]);
        assert_eq!(bindings.get("c"), None);
    }
}
