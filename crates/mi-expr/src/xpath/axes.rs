//! The thirteen axes as loops over a document, nearest node first, without recursion, and the node tests.

use std::ops::ControlFlow;

use mi_xml::{Document, NameId, NodeId, NodeKind};
use smallvec::SmallVec;

use super::Name;
use super::ast::{Axis, NameMatch, NodeTest};

/// The names of a program, looked up in one document; `None` for a name the document does not have.
pub(super) type ResolvedNames = SmallVec<[Option<NameId>; 8]>;

pub(super) fn resolve(doc: &Document, names: &[Name]) -> ResolvedNames {
    names.iter().map(|n| doc.find_name(&n.namespace, &n.local)).collect()
}

/// Whether the document can have a node that passes the test.
pub(super) fn possible(names: &ResolvedNames, test: &NodeTest) -> bool {
    match test.name {
        NameMatch::Name(i) => names.get(i).is_some_and(|n| n.is_some()),
        _ => true,
    }
}

/// The name a test asks for, where it asks for one.
pub(super) fn wanted_name(names: &ResolvedNames, test: &NodeTest) -> Option<NameId> {
    match test.name {
        NameMatch::Name(i) => names.get(i).copied().flatten(),
        _ => None,
    }
}

pub(super) fn matches(doc: &Document, names: &ResolvedNames, test: &NodeTest, node: NodeId) -> bool {
    let Some(kind) = test.kind else { return true };
    match &test.name {
        NameMatch::Any => doc.kind(node) == kind,
        NameMatch::Name(_) => {
            let wanted = wanted_name(names, test);
            wanted.is_some() && doc.name_id(node) == wanted && doc.kind(node) == kind
        }
        NameMatch::Namespace(uri) => doc.kind(node) == kind && doc.namespace(node) == &**uri,
        NameMatch::Local(local) => doc.kind(node) == kind && doc.local_name(node) == &**local,
    }
}

/// Calls `visit` for each node of the axis, in the order of the axis, until it breaks.
pub(super) fn each<B>(
    doc: &Document,
    axis: Axis,
    from: NodeId,
    mut visit: impl FnMut(NodeId) -> ControlFlow<B>,
) -> ControlFlow<B> {
    match axis {
        Axis::Child => chain(doc.first_child(from), |n| doc.next_sibling(n), visit),
        Axis::Descendant => chain(doc.first_child(from), |n| next_below(doc, n, from), visit),
        Axis::DescendantOrSelf => chain(Some(from), |n| next_below(doc, n, from), visit),
        Axis::Attribute => doc.attributes(from).try_for_each(visit),
        Axis::SelfNode => visit(from),
        Axis::Parent => doc.parent(from).map_or(ControlFlow::Continue(()), visit),
        Axis::Ancestor => chain(doc.parent(from), |n| doc.parent(n), visit),
        Axis::AncestorOrSelf => chain(Some(from), |n| doc.parent(n), visit),
        Axis::FollowingSibling if has_siblings(doc, from) => {
            chain(doc.next_sibling(from), |n| doc.next_sibling(n), visit)
        }
        Axis::PrecedingSibling if has_siblings(doc, from) => {
            chain(doc.prev_sibling(from), |n| doc.prev_sibling(n), visit)
        }
        Axis::FollowingSibling | Axis::PrecedingSibling => ControlFlow::Continue(()),
        Axis::Following => chain(first_following(doc, from), |n| next_in_document(doc, n), visit),
        Axis::Preceding => preceding(doc, from, visit),
        Axis::Namespace => namespaces(doc, from).into_iter().try_for_each(visit),
    }
}

fn chain<B>(
    first: Option<NodeId>,
    next: impl Fn(NodeId) -> Option<NodeId>,
    mut visit: impl FnMut(NodeId) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut current = first;
    while let Some(node) = current {
        visit(node)?;
        current = next(node);
    }
    ControlFlow::Continue(())
}

fn has_siblings(doc: &Document, node: NodeId) -> bool {
    !matches!(doc.kind(node), NodeKind::Attribute | NodeKind::Namespace)
}

/// The node behind `node` in document order, inside the subtree of `top`.
fn next_below(doc: &Document, node: NodeId, top: NodeId) -> Option<NodeId> {
    if let Some(child) = doc.first_child(node) {
        return Some(child);
    }
    let mut at = node;
    while at != top {
        if let Some(next) = doc.next_sibling(at) {
            return Some(next);
        }
        at = doc.parent(at)?;
    }
    None
}

/// The node behind the subtree of `node` in document order.
fn next_after(doc: &Document, node: NodeId) -> Option<NodeId> {
    let mut at = node;
    loop {
        if let Some(next) = doc.next_sibling(at) {
            return Some(next);
        }
        at = doc.parent(at)?;
    }
}

fn next_in_document(doc: &Document, node: NodeId) -> Option<NodeId> {
    doc.first_child(node).or_else(|| next_after(doc, node))
}

/// What follows an attribute are the children of its element: they come behind it and are none of its descendants.
fn first_following(doc: &Document, node: NodeId) -> Option<NodeId> {
    if has_siblings(doc, node) {
        return next_after(doc, node);
    }
    doc.parent(node).and_then(|element| next_in_document(doc, element))
}

fn preceding<B>(doc: &Document, from: NodeId, mut visit: impl FnMut(NodeId) -> ControlFlow<B>) -> ControlFlow<B> {
    let start = if has_siblings(doc, from) { Some(from) } else { doc.parent(from) };
    let mut level = start;
    while let Some(node) = level {
        let mut sibling = doc.prev_sibling(node);
        while let Some(top) = sibling {
            // The subtree backwards: from its last leaf to its top.
            let mut at = last_leaf(doc, top);
            loop {
                visit(at)?;
                if at == top {
                    break;
                }
                at = match doc.prev_sibling(at) {
                    Some(previous) => last_leaf(doc, previous),
                    None => match doc.parent(at) {
                        Some(parent) => parent,
                        None => break,
                    },
                };
            }
            sibling = doc.prev_sibling(top);
        }
        level = doc.parent(node);
    }
    ControlFlow::Continue(())
}

/// The last node of a subtree in document order, attributes aside.
pub(super) fn last_leaf(doc: &Document, top: NodeId) -> NodeId {
    let mut at = top;
    while let Some(child) = doc.last_child(at) {
        at = child;
    }
    at
}

/// The declarations in scope of an element, nearest first. A declaration stands for its namespace on all elements
/// below; the implied `xml` prefix, which no document declares, is left out.
fn namespaces(doc: &Document, element: NodeId) -> Vec<NodeId> {
    let mut out: Vec<NodeId> = Vec::new();
    if doc.kind(element) != NodeKind::Element {
        return out;
    }
    let mut hidden: Vec<&str> = Vec::new();
    let mut level = Some(element);
    while let Some(node) = level {
        if doc.kind(node) == NodeKind::Element {
            for declaration in doc.namespace_decls(node) {
                let prefix = doc.local_name(declaration);
                if hidden.contains(&prefix) {
                    continue;
                }
                hidden.push(prefix);
                if !doc.value(declaration).is_empty() {
                    out.push(declaration);
                }
            }
        }
        level = doc.parent(node);
    }
    out
}

/// The topmost ancestor: the document node, or the top of a detached tree.
pub(super) fn root(doc: &Document, node: NodeId) -> NodeId {
    let mut at = node;
    while let Some(parent) = doc.parent(at) {
        at = parent;
    }
    at
}
