//! The source as the stylesheet sees it: an element as the root of its own document, white space stripped.

use mi_xml::{Document, NodeId, XML_NAMESPACE};

use crate::plan::Plan;

/// A document of its own, if the source cannot be used as it stands.
pub(super) fn prepare(plan: &Plan, document: &Document, root: NodeId) -> Option<Document> {
    let strips = plan.space.iter().any(|rule| rule.strip);
    if root == Document::ROOT && !strips {
        return None;
    }
    let mut own = if root == Document::ROOT { document.clone() } else { document.subtree(root) };
    if strips {
        strip(plan, &mut own);
    }
    Some(own)
}

fn strip(plan: &Plan, doc: &mut Document) {
    let candidates = doc.descendants(Document::ROOT).filter(|node| doc.is_whitespace(*node));
    let dropped: Vec<NodeId> = candidates.filter(|node| is_stripped(plan, doc, *node)).collect();
    for node in dropped {
        doc.detach(node);
    }
}

fn is_stripped(plan: &Plan, doc: &Document, text: NodeId) -> bool {
    let Some(parent) = doc.parent(text).filter(|it| doc.is_element(*it)) else { return false };
    let space = std::iter::once(parent)
        .chain(doc.ancestors(parent))
        .filter(|it| doc.is_element(*it))
        .find_map(|it| doc.attribute(it, XML_NAMESPACE, "space"));
    if space.is_some_and(|it| it == "preserve") {
        return false;
    }
    // Of equal rules the last one counts.
    let rules = plan.space.iter().filter(|rule| rule.test.matches(doc, parent));
    let best = rules.max_by(|a, b| a.precedence.cmp(&b.precedence).then(a.priority.total_cmp(&b.priority)));
    best.is_some_and(|rule| rule.strip)
}
