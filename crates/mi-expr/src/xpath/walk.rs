//! Evaluation of paths: the steps are run as a pipeline that hands each node to the next step at once, so that
//! `boolean()`, `string()` and `[1]` stop at the first hit and nothing is collected on the way.
//!
//! The book says that every step yields a set in document order. A pipeline has that for free as long as the nodes
//! a step starts from are sorted and none lies in another; [`Shape`] keeps track of it. Where it is lost, nodes are
//! collected, sorted and deduplicated once, as late as possible.

use std::ops::ControlFlow;

use mi_xml::{Document, NodeId, NodeKind};
use smallvec::{SmallVec, smallvec};

use super::Version;
use super::ast::{Axis, AxisStep, Expr, Path, Predicate, Start};
use super::axes::{self, ResolvedNames};
use super::error::XPathError;
use super::eval::{Cx, Evaluator, Focus, Frame};
use super::sequence::{Repr, Sequence, sort_nodes};
use super::value::{DocRef, Item, Node};

/// `Break(None)` ends a walk early, `Break(Some(e))` fails it.
pub(super) type Flow = ControlFlow<Option<XPathError>>;

pub(super) fn fail(error: XPathError) -> Flow {
    Flow::Break(Some(error))
}

/// What is known of the nodes a step starts from. They are always distinct.
#[derive(Clone, Copy)]
struct Shape {
    single: bool,
    /// In document order.
    sorted: bool,
    /// None is an ancestor of another.
    flat: bool,
}

const SINGLE: Shape = Shape { single: true, sorted: true, flat: true };
const SORTED: Shape = Shape { single: false, sorted: true, flat: false };

impl Shape {
    /// The shape behind a step, or `None` if nodes could come twice.
    fn after(self, axis: Axis) -> Option<Self> {
        let Self { single, sorted, flat } = self;
        match axis {
            Axis::SelfNode => Some(self),
            Axis::Child => Some(Self { single: false, sorted: sorted && flat, flat }),
            Axis::Attribute => Some(Self { single: false, sorted, flat: true }),
            Axis::Descendant | Axis::DescendantOrSelf if flat => Some(Self { single: false, sorted, flat: false }),
            Axis::Parent if single => Some(self),
            Axis::FollowingSibling if single => Some(Self { single: false, sorted, flat: true }),
            Axis::PrecedingSibling if single => Some(Self { single: false, sorted: false, flat: true }),
            Axis::Following if single => Some(Self { single: false, sorted, flat: false }),
            Axis::Ancestor | Axis::AncestorOrSelf | Axis::Preceding | Axis::Namespace if single => {
                Some(Self { single: false, sorted: false, flat: false })
            }
            _ => None,
        }
    }
}

impl<'d> Evaluator<'_, 'd> {
    /// Hands the nodes of a path to `sink`, each once, in document order if `ordered`.
    pub(super) fn each_node(
        &self,
        path: &Path,
        cx: &Cx<'_, 'd>,
        ordered: bool,
        sink: &mut dyn FnMut(&DocRef<'d>, NodeId) -> Flow,
    ) -> Result<(), XPathError> {
        let flow = match &path.start {
            Start::Context => match self.context_node(cx)? {
                Some((doc, id)) => self.select(doc, &[id], path, cx, ordered, sink),
                None => return Ok(()),
            },
            Start::Root => match self.context_node(cx)? {
                Some((doc, id)) => {
                    let root = axes::root(doc, id);
                    if doc.kind(root) != NodeKind::Document && self.version == Version::V2 && !self.program.lenient {
                        let message = "`/` is the document of a node, but this node is in none";
                        return Err(XPathError::dynamic("XPDY0050", message));
                    }
                    self.select(doc, &[root], path, cx, ordered, sink)
                }
                None => return Ok(()),
            },
            Start::Expr(start) => self.select_from(start, path, cx, ordered, sink)?,
        };
        match flow {
            Flow::Break(Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn select_from(
        &self,
        start: &Expr,
        path: &Path,
        cx: &Cx<'_, 'd>,
        ordered: bool,
        sink: &mut dyn FnMut(&DocRef<'d>, NodeId) -> Flow,
    ) -> Result<Flow, XPathError> {
        let mut value = self.eval(start, cx)?;
        if self.version == Version::V1 && !value.is_nodeset() {
            // MI's engine finds nothing below a string or a number; it does not complain.
            value =
                Sequence::from_items(value.into_items().into_iter().filter(|i| matches!(i, Item::Node(_))).collect());
        }
        match value.into_document_order()?.0 {
            Repr::Empty => {}
            Repr::One(Item::Node(node)) => return Ok(self.select(&node.doc, &[node.id], path, cx, ordered, sink)),
            Repr::Nodes(doc, ids) => return Ok(self.select(&doc, &ids, path, cx, ordered, sink)),
            Repr::One(_) => {}
            Repr::Many(items) => {
                for (doc, ids) in by_document(items) {
                    let flow = self.select(&doc, &ids, path, cx, ordered, sink);
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
            }
        }
        Ok(Flow::Continue(()))
    }

    /// The context node, `None` where XPath 1.0 has an atomic context item.
    fn context_node<'c>(&self, cx: &Cx<'c, 'd>) -> Result<Option<(&'c DocRef<'d>, NodeId)>, XPathError> {
        match cx.item {
            Focus::Node(doc, id) => Ok(Some((doc, id))),
            Focus::Item(Item::Node(node)) => Ok(Some((&node.doc, node.id))),
            Focus::Item(_) if self.version == Version::V1 => Ok(None),
            Focus::Item(item) => {
                let message = format!("a path cannot start at a value of type {}", item.type_name());
                Err(XPathError::dynamic("XPTY0020", message))
            }
            Focus::None => Err(XPathError::dynamic("XPDY0002", "there is no context item here")),
        }
    }

    fn select(
        &self,
        doc: &DocRef<'d>,
        start: &[NodeId],
        path: &Path,
        cx: &Cx<'_, 'd>,
        ordered: bool,
        sink: &mut dyn FnMut(&DocRef<'d>, NodeId) -> Flow,
    ) -> Flow {
        let names = self.names_in(doc);
        let walk = Walk { ev: self, doc, names: &names, vars: cx.vars };
        let mut sink = |n| sink(doc, n);
        match (start, &path.steps[..]) {
            // Most paths in predicates are one step to the children or attributes.
            ([node], [step]) if matches!(step.axis, Axis::Child | Axis::Attribute) => {
                walk.run(&path.steps, *node, &mut sink)
            }
            (_, steps) => walk.select(start, steps, ordered, &mut sink),
        }
    }
}

/// Nodes grouped by document; each group keeps its order.
fn by_document<'d>(items: Vec<Item<'d>>) -> Vec<(DocRef<'d>, Vec<NodeId>)> {
    let mut groups: Vec<(DocRef<'d>, Vec<NodeId>)> = Vec::new();
    for item in items {
        let Item::Node(Node { doc, id }) = item else { continue };
        match groups.iter_mut().find(|(d, _)| d.same(&doc)) {
            Some((_, ids)) => ids.push(id),
            None => groups.push((doc, vec![id])),
        }
    }
    groups
}

/// The steps of one path in one document.
struct Walk<'w, 'e, 'd> {
    ev: &'w Evaluator<'e, 'd>,
    doc: &'w DocRef<'d>,
    names: &'w ResolvedNames,
    vars: Option<&'w Frame<'w, 'd>>,
}

/// Positions counted by the predicates of one step.
type Counters = SmallVec<[usize; 4]>;

enum Verdict {
    Keep,
    Skip,
    /// Keep this node; no later one can pass.
    KeepLast,
    /// Neither this nor a later one can pass.
    Done,
}

impl Walk<'_, '_, '_> {
    /// Runs all steps from sorted, distinct nodes.
    fn select(
        &self,
        start: &[NodeId],
        mut steps: &[AxisStep],
        ordered: bool,
        sink: &mut dyn FnMut(NodeId) -> Flow,
    ) -> Flow {
        let mut current: SmallVec<[NodeId; 4]> = SmallVec::from_slice(start);
        loop {
            let mut shape = if current.len() <= 1 { SINGLE } else { SORTED };
            if !shape.flat && steps.first().is_some_and(joins_descendants) {
                self.drop_nested(&mut current);
                shape.flat = true;
            }
            let (length, shape) = segment(shape, steps);
            let (now, later) = steps.split_at(length);
            let in_order = shape.is_some_and(|s| s.sorted);
            if later.is_empty() && shape.is_some() && (in_order || !ordered) {
                return current.iter().try_for_each(|n| self.run(now, *n, sink));
            }
            let mut found = Vec::new();
            for node in &current {
                self.run(now, *node, &mut |n| {
                    found.push(n);
                    Flow::Continue(())
                })?;
            }
            if !in_order {
                sort_nodes(self.doc, &mut found);
            }
            if later.is_empty() {
                return found.into_iter().try_for_each(sink);
            }
            current = SmallVec::from_vec(found);
            steps = later;
        }
    }

    /// Drops nodes that lie below another of the sorted nodes: their descendants are descendants of that one too.
    fn drop_nested(&self, nodes: &mut SmallVec<[NodeId; 4]>) {
        let mut end: Option<NodeId> = None;
        nodes.retain(|node| {
            if end.is_some_and(|end| self.doc.compare_order(*node, end).is_le()) {
                return false;
            }
            end = Some(axes::last_leaf(self.doc, *node));
            true
        });
    }

    /// Runs the steps as a pipeline. The recursion is as deep as there are steps, whose number is capped.
    fn run(&self, steps: &[AxisStep], from: NodeId, sink: &mut dyn FnMut(NodeId) -> Flow) -> Flow {
        let Some((step, rest)) = steps.split_first() else { return sink(from) };
        if !axes::possible(self.names, &step.test) || !step.parents.iter().all(|t| axes::possible(self.names, t)) {
            return Flow::Continue(());
        }
        if step.predicates.is_empty() {
            if rest.is_empty() {
                return self.candidates(step, from, sink);
            }
            return self.candidates(step, from, |n| self.run(rest, n, sink));
        }
        if step.needs_size() {
            return self.run_sized(step, rest, from, sink);
        }
        let mut counters: Counters = smallvec![0; step.predicates.len()];
        let mut done = false;
        let flow = self.candidates(step, from, |n| {
            match self.filter(step, n, &mut counters) {
                Err(error) => return fail(error),
                Ok(Verdict::Skip) => return Flow::Continue(()),
                Ok(Verdict::Done) => done = true,
                Ok(Verdict::Keep) => return self.run(rest, n, sink),
                Ok(Verdict::KeepLast) => {
                    self.run(rest, n, sink)?;
                    done = true;
                }
            }
            Flow::Break(None)
        });
        if done { Flow::Continue(()) } else { flow }
    }

    /// A step with a predicate that needs to know how many nodes there are: they are collected first.
    fn run_sized(
        &self,
        step: &AxisStep,
        rest: &[AxisStep],
        from: NodeId,
        sink: &mut dyn FnMut(NodeId) -> Flow,
    ) -> Flow {
        let mut nodes: Vec<NodeId> = Vec::new();
        self.candidates(step, from, |n| {
            nodes.push(n);
            Flow::Continue(())
        })?;
        for predicate in &step.predicates {
            let size = nodes.len();
            let mut kept = Vec::new();
            for (i, n) in nodes.into_iter().enumerate() {
                match self.holds(step, predicate, n, i + 1, size) {
                    Ok(true) => kept.push(n),
                    Ok(false) => {}
                    Err(error) => return fail(error),
                }
            }
            nodes = kept;
        }
        nodes.into_iter().try_for_each(|n| self.run(rest, n, sink))
    }

    /// The nodes of a step before its predicates, in the order of the axis.
    fn candidates(&self, step: &AxisStep, from: NodeId, mut visit: impl FnMut(NodeId) -> Flow) -> Flow {
        let below = matches!(step.axis, Axis::Descendant | Axis::DescendantOrSelf);
        let Some(ids) = below.then(|| self.doc.descendant_ids(from)).flatten() else {
            return axes::each(self.doc, step.axis, from, |n| {
                self.ev.charge(1)?;
                if self.tested(step, n, from) { visit(n) } else { Flow::Continue(()) }
            });
        };
        if step.axis == Axis::DescendantOrSelf && self.tested(step, from, from) {
            visit(from)?;
        }
        // A scan of all records: the loop over those that fail the test must be short.
        let doc: &Document = self.doc;
        let name = axes::wanted_name(self.names, &step.test);
        let above = step.parents.first().and_then(|test| axes::wanted_name(self.names, test));
        let mut uncharged = 0;
        for n in ids {
            uncharged += 1;
            if name.is_some() && doc.name_id(n) != name {
                continue;
            }
            let kind = doc.kind(n);
            let other = match step.test.kind {
                Some(wanted) => kind != wanted,
                None => matches!(kind, NodeKind::Attribute | NodeKind::Namespace),
            };
            if other || (above.is_some() && doc.parent(n).and_then(|p| doc.name_id(p)) != above) {
                continue;
            }
            self.ev.charge(uncharged)?;
            uncharged = 0;
            if self.tested(step, n, from) {
                visit(n)?;
            }
        }
        self.ev.charge(uncharged)
    }

    /// Node test, and the parents of a fused `//a/b/c`, which lie strictly below the start.
    fn tested(&self, step: &AxisStep, node: NodeId, from: NodeId) -> bool {
        if !axes::matches(self.doc, self.names, &step.test, node) {
            return false;
        }
        let mut at = node;
        for test in &step.parents {
            match self.doc.parent(at) {
                Some(parent) if parent != from && axes::matches(self.doc, self.names, test, parent) => at = parent,
                _ => return false,
            }
        }
        true
    }

    /// All predicates of a step, none of which needs the number of nodes.
    fn filter(&self, step: &AxisStep, node: NodeId, counters: &mut Counters) -> Result<Verdict, XPathError> {
        let mut verdict = Verdict::Keep;
        for (predicate, counter) in step.predicates.iter().zip(counters) {
            *counter += 1;
            if let Predicate::Nth(n) = predicate {
                if *counter > *n {
                    return Ok(Verdict::Done);
                }
                if *counter < *n {
                    return Ok(Verdict::Skip);
                }
                verdict = Verdict::KeepLast;
            } else if !self.holds(step, predicate, node, *counter, 0)? {
                // Behind `[n]` nothing else can come, whether this one passes or not.
                return Ok(if matches!(verdict, Verdict::KeepLast) { Verdict::Done } else { Verdict::Skip });
            }
        }
        Ok(verdict)
    }

    fn holds(
        &self,
        step: &AxisStep,
        predicate: &Predicate,
        node: NodeId,
        position: usize,
        size: usize,
    ) -> Result<bool, XPathError> {
        match predicate {
            Predicate::NthSibling(n) => self.is_nth_sibling(step, node, *n),
            other => {
                let cx = Cx { item: Focus::Node(self.doc, node), position, size, vars: self.vars };
                self.ev.predicate(other, &cx)
            }
        }
    }

    /// Whether `n - 1` siblings in front of the node pass the test of the step.
    fn is_nth_sibling(&self, step: &AxisStep, node: NodeId, n: usize) -> Result<bool, XPathError> {
        let mut before = 0;
        let mut sibling = self.doc.prev_sibling(node);
        while let Some(s) = sibling {
            self.ev.spend(1)?;
            if axes::matches(self.doc, self.names, &step.test, s) {
                before += 1;
                if before >= n {
                    return Ok(false);
                }
            }
            sibling = self.doc.prev_sibling(s);
        }
        Ok(before + 1 == n)
    }
}

/// A step along `descendant` whose result is the same for nested start nodes.
fn joins_descendants(step: &AxisStep) -> bool {
    match step.axis {
        // `parents` must lie below the start node, so leaving out a nested start node drops nothing.
        Axis::Descendant => step.position_free(),
        Axis::DescendantOrSelf => step.position_free() && step.parents.is_empty(),
        _ => false,
    }
}

/// How many steps can be run as one pipeline, and the shape behind them (`None`: nodes may come twice).
fn segment(start: Shape, steps: &[AxisStep]) -> (usize, Option<Shape>) {
    let mut shape = start;
    for (i, step) in steps.iter().enumerate() {
        match shape.after(step.axis) {
            Some(next) => shape = next,
            // Nodes that lie in one another are dropped before they are walked, so stop here if that can be.
            None if i > 0 && matches!(step.axis, Axis::Descendant | Axis::DescendantOrSelf) => {
                return (i, Some(shape));
            }
            None => return (i + 1, None),
        }
    }
    (steps.len(), Some(shape))
}
