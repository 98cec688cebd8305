//! Document order, also right after edits.
//!
//! A parsed document numbers its nodes in order, so comparing ids is enough until an edit. After that the tree is
//! numbered once for all comparisons up to the next edit.

use std::cmp::Ordering;

use crate::arena::{Document, NodeId};
use crate::names::NONE;

impl Document {
    /// Compares two nodes by document order: an element comes before its declarations and attributes, these before
    /// its children. Nodes of different trees (one of them detached) compare in a fixed order of their trees.
    pub fn compare_order(&self, a: NodeId, b: NodeId) -> Ordering {
        if self.in_order || a == b {
            return a.cmp(&b);
        }
        let order = self.order.get_or_init(|| self.number());
        let rank = |n: NodeId| order.get(n.index()).copied().unwrap_or(NONE);
        rank(a).cmp(&rank(b))
    }

    /// The rank of each node.
    fn number(&self) -> Vec<u32> {
        let mut ranks = vec![NONE; self.nodes.len()];
        let mut next = 0u32;
        let mut give = |n: NodeId| {
            ranks[n.index()] = next;
            next += 1;
        };
        let roots = (0..self.nodes.len() as u32).filter(|&id| self.nodes[id as usize].parent == NONE);
        for root in roots.map(NodeId) {
            for n in self.descendants(root) {
                give(n);
                self.attribute_list(n).for_each(&mut give);
            }
        }
        ranks
    }
}
