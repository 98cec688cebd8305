//! Which namespace a prefix means: scopes for the parser and the serializer, look-ups for everybody else.

use crate::arena::{Document, ELEMENT, NAMESPACE, NodeId};
use crate::names::{NONE, Names, PREFIX_EMPTY, PREFIX_XML, PrefixId, STR_EMPTY, STR_XML_NS, StrId};

/// The bindings in scope while a document is read or written, with the way back.
pub(crate) struct Scope {
    /// The URI of each prefix, [`NONE`] while it is unbound.
    uris: Vec<StrId>,
    undo: Vec<(PrefixId, StrId)>,
}

impl Scope {
    pub(crate) fn new(names: &Names) -> Self {
        let mut uris = vec![NONE; names.prefix_count().max(8)];
        uris[PREFIX_EMPTY as usize] = STR_EMPTY;
        uris[PREFIX_XML as usize] = STR_XML_NS;
        Self { uris, undo: Vec::new() }
    }

    /// The URI of `prefix`, or [`NONE`].
    #[inline]
    pub(crate) fn uri(&self, prefix: PrefixId) -> StrId {
        self.uris.get(prefix as usize).copied().unwrap_or(NONE)
    }

    /// Names without a prefix have a namespace.
    pub(crate) fn has_default(&self) -> bool {
        self.uri(PREFIX_EMPTY) != STR_EMPTY
    }

    /// A mark for [`Scope::leave`].
    #[inline]
    pub(crate) fn mark(&self) -> u32 {
        self.undo.len() as u32
    }

    pub(crate) fn bind(&mut self, prefix: PrefixId, uri: StrId) {
        if self.uris.len() <= prefix as usize {
            self.uris.resize(prefix as usize + 1, NONE);
        }
        let slot = &mut self.uris[prefix as usize];
        self.undo.push((prefix, *slot));
        *slot = uri;
    }

    /// Whether `prefix` was bound since `mark`.
    pub(crate) fn bound_since(&self, mark: u32, prefix: PrefixId) -> bool {
        self.undo[mark as usize..].iter().any(|&(bound, _)| bound == prefix)
    }

    /// Takes back all bindings since `mark`.
    #[inline]
    pub(crate) fn leave(&mut self, mark: u32) {
        while self.undo.len() > mark as usize {
            if let Some((prefix, uri)) = self.undo.pop() {
                self.uris[prefix as usize] = uri;
            }
        }
    }
}

impl Document {
    /// The namespace `prefix` is bound to at `n` (the default namespace for an empty prefix); `None` when it is
    /// unbound. Names of elements count as declarations, because writing the document will declare them.
    pub fn lookup_namespace(&self, n: NodeId, prefix: &str) -> Option<&str> {
        let prefix = self.names.find_prefix(prefix)?;
        self.lookup_prefix_id(n, prefix).map(|uri| self.names.str(uri)).filter(|uri| !uri.is_empty())
    }

    /// The URI of `prefix` at `n`; the empty string for a default namespace that was taken back.
    pub(crate) fn lookup_prefix_id(&self, n: NodeId, prefix: PrefixId) -> Option<StrId> {
        if prefix == PREFIX_XML {
            return Some(STR_XML_NS);
        }
        let mut found = None;
        self.each_binding(n, |bound, uri| {
            if bound == prefix {
                found = Some(uri);
            }
            found.is_none()
        });
        found
    }

    /// A prefix that is bound to `uri` at `n`, the nearest one; an empty string is the default namespace.
    pub fn lookup_prefix(&self, n: NodeId, uri: &str) -> Option<&str> {
        self.in_scope_namespaces(n).into_iter().find(|&(_, bound)| bound == uri).map(|(prefix, _)| prefix)
    }

    /// All namespaces in scope at `n` as prefix and URI, nearest first, without duplicates and without `xml`.
    pub fn in_scope_namespaces(&self, n: NodeId) -> Vec<(&str, &str)> {
        let mut seen = vec![false; self.names.prefix_count()];
        let mut found = Vec::new();
        self.each_binding(n, |prefix, uri| {
            if !std::mem::replace(&mut seen[prefix as usize], true) && uri != STR_EMPTY && prefix != PREFIX_XML {
                found.push((self.names.prefix_str(prefix), self.names.str(uri)));
            }
            true
        });
        found
    }

    /// Visits the bindings that `n` and its ancestors make, nearest first, until `visit` says no. Within an element
    /// its own name comes first: it wins over a declaration that contradicts it.
    fn each_binding(&self, n: NodeId, mut visit: impl FnMut(PrefixId, StrId) -> bool) {
        for el in std::iter::once(n).chain(self.ancestors(n)) {
            let node = self.node(el);
            if node.kind() != ELEMENT {
                continue;
            }
            let qname = self.names.qname(node.a);
            if !visit(qname.prefix, qname.namespace) {
                return;
            }
            for it in self.attribute_list(el) {
                let node = self.node(it);
                let (prefix, uri) = if node.kind() == NAMESPACE {
                    let binding = self.names.binding_of(node.prev);
                    (binding.prefix, binding.uri)
                } else {
                    let qname = self.names.qname(node.prev);
                    (qname.prefix, qname.namespace)
                };
                let plain_attribute = prefix == PREFIX_EMPTY && node.kind() != NAMESPACE;
                if !plain_attribute && !visit(prefix, uri) {
                    return;
                }
            }
        }
    }
}
