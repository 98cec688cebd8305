//! Whether a node matches a pattern, and which rule is the best for it.

use mi_expr::xpath::{Context, Item, Node};
use mi_xml::{Document, NodeId, NodeKind};

use super::functions::View;
use super::{Cx, Outcome, Run};
use crate::pattern::{Alternative, Pattern, Start, Step};

impl<'s, 'd> Run<'s, 'd> {
    /// The best rule of a mode for a node that `accept` takes.
    pub(super) fn find_rule(
        &self,
        node: &Node<'d>,
        cx: &Cx<'s, 'd>,
        accept: impl Fn(usize) -> bool,
    ) -> Outcome<Option<usize>> {
        let mode = &self.plan.modes[cx.mode];
        let doc: &Document = &node.doc;
        let candidates = match doc.kind(node.id) {
            NodeKind::Element => mode.elements.get(doc.local_name(node.id)).unwrap_or(&mode.other_elements),
            NodeKind::Attribute => mode.attributes.get(doc.local_name(node.id)).unwrap_or(&mode.other_attributes),
            NodeKind::Text => &mode.texts,
            NodeKind::Comment => &mode.comments,
            NodeKind::Pi => &mode.pis,
            NodeKind::Document => &mode.documents,
            NodeKind::Namespace => return Ok(None),
        };
        for rule in candidates {
            if accept(*rule) && self.matches_one(&self.plan.rules[*rule].alternative, node, cx)? {
                return Ok(Some(*rule));
            }
        }
        Ok(None)
    }

    pub(super) fn matches(&self, pattern: &'s Pattern, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        for alternative in &pattern.0 {
            if self.matches_one(alternative, node, cx)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn matches_one(&self, alternative: &'s Alternative, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        if let ([step], Start::Anything) = (alternative.steps.as_slice(), &alternative.start) {
            // The commonest form.
            return Ok(step.test.matches(&node.doc, node.id) && self.predicates(step, node, cx)?);
        }
        self.matches_steps(alternative, 0, node, cx)
    }

    /// Whether the steps from `at` on match, going up from `node`. The depth is that of the pattern.
    fn matches_steps(
        &self,
        alternative: &'s Alternative,
        at: usize,
        node: &Node<'d>,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<bool> {
        self.step()?;
        let Some(step) = alternative.steps.get(at) else {
            // A start without steps.
            let Start::Nodes { expr, .. } = &alternative.start else { return Ok(false) };
            return self.is_among(expr, node, cx);
        };
        if !step.test.matches(&node.doc, node.id) || !self.predicates(step, node, cx)? {
            return Ok(false);
        }
        let parent = node.doc.parent(node.id);
        if at + 1 < alternative.steps.len() {
            let mut above = parent;
            while let Some(id) = above {
                if self.matches_steps(alternative, at + 1, &Node { doc: node.doc.clone(), id }, cx)? {
                    return Ok(true);
                }
                if !step.descendant {
                    return Ok(false);
                }
                above = node.doc.parent(id);
            }
            return Ok(false);
        }
        let is_document = |id: NodeId| node.doc.kind(id) == NodeKind::Document;
        match &alternative.start {
            Start::Anything => Ok(true),
            Start::Document => Ok(parent.is_some_and(is_document)),
            Start::BelowDocument => Ok(node.doc.ancestors(node.id).any(is_document)),
            Start::Nodes { expr, below } => {
                let mut above = parent;
                while let Some(id) = above {
                    if self.is_among(expr, &Node { doc: node.doc.clone(), id }, cx)? {
                        return Ok(true);
                    }
                    above = if *below { node.doc.parent(id) } else { None };
                }
                Ok(false)
            }
        }
    }

    fn is_among(&self, expr: &'s crate::expr::Expr, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        let found = self.eval(expr, &cx.at(Item::Node(node.clone()), 1, 1))?;
        Ok(found.node_iter().any(|it| it == *node))
    }

    fn predicates(&self, step: &'s Step, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        for count in 0..step.predicates.len() {
            if !self.predicate(step, count, node, cx)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the predicate with the number `at` holds for a node that those before hold for.
    fn predicate(&self, step: &'s Step, at: usize, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        let predicate = &step.predicates[at];
        let place = predicate.expr.place;
        let (position, size) = if predicate.positional { self.place_of(step, at, node, cx)? } else { (1, 1) };
        let focus = Context { item: Some(Item::Node(node.clone())), position, size };
        // `current()` is the node that the whole pattern is tried on.
        let value = predicate.expr.xpath.evaluate_in(&focus, &View { run: self, cx });
        let value = value.map_err(|error| self.at_place(error, place))?;
        match value.first() {
            Some(number) if value.len() == 1 && number.is_numeric() => {
                let position = if predicate.positional { position } else { self.place_of(step, at, node, cx)?.0 };
                Ok(number.to_number() == position as f64)
            }
            _ => value.effective_boolean().map_err(|error| self.at_place(error, place)),
        }
    }

    /// Position and number of a node among its siblings that pass the test and the predicates before `at`.
    fn place_of(&self, step: &'s Step, at: usize, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<(usize, usize)> {
        let doc: &Document = &node.doc;
        let Some(parent) = doc.parent(node.id) else { return Ok((1, 1)) };
        let siblings: Vec<NodeId> = if doc.kind(node.id) == NodeKind::Attribute {
            doc.attributes(parent).collect()
        } else {
            doc.children(parent).collect()
        };
        let (mut position, mut size) = (1, 0);
        for id in siblings {
            self.step()?;
            if !step.test.matches(doc, id) {
                continue;
            }
            let sibling = Node { doc: node.doc.clone(), id };
            let mut passes = true;
            for before in 0..at {
                passes = passes && self.predicate(step, before, &sibling, cx)?;
            }
            if passes {
                size += 1;
                if id == node.id {
                    position = size;
                }
            }
        }
        Ok((position, size))
    }
}
