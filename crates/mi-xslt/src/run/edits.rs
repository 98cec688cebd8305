//! Stylesheets that keep most of the source: they are run as changes of a copy of it.
//!
//! First it is found out what happens to each node, then templates that make something new are run, then the copy is
//! changed. Parts without a change are shared with the source and written byte for byte. Where the copy could differ
//! from what the instructions would build (declarations on renamed elements, CDATA sections), nothing is done
//! and the stylesheet runs in the ordinary way.

use std::collections::HashSet;
use std::rc::Rc;

use mi_expr::xpath::{Item, Node, Opened, TreeBuilder};
use mi_xml::{Document, NodeId, NodeKind};

use super::build::Destination;
use super::changed::changed;
use super::{Cx, Outcome, Run};
use crate::error::TransformErrorKind;
use crate::pattern::Start;
use crate::plan::{Edit, Edits, ElementEdit, Instruction, Literal, Op};

/// What happens to nodes, in document order.
pub(super) type Changes<'s> = Vec<(NodeId, Change<'s>)>;
/// What templates put out, and texts of it that are not to be escaped.
pub(super) type Results = (Document, HashSet<NodeId>);

/// A node that does not stay as it is.
pub(super) enum Change<'s> {
    Drop,
    Element {
        edit: &'s ElementEdit,
        literal: Option<&'s Literal>,
        rule: usize,
        values: Vec<String>,
    },
    /// The results of templates lie side by side in one document.
    Run {
        rule: usize,
    },
}

/// What happens to a node.
enum Fate<'s> {
    /// It stays, and what is below it is looked at.
    Stays,
    /// It stays with everything below it.
    StaysWhole,
    Changes(Change<'s>),
    /// It cannot be done here.
    Unknown,
}

/// The rules that elements of a name can match, best first.
#[derive(Clone)]
struct Candidates {
    rules: Rc<[usize]>,
    /// The last one matches in any case and keeps the element, and there is no other.
    kept: bool,
}

impl<'s, 'd> Run<'s, 'd> {
    /// The result as a changed copy of the source, if the stylesheet and the source allow it.
    pub(super) fn edited(&self, cx: &Cx<'s, 'd>) -> Outcome<Option<Document>> {
        let Some(edits) = &self.plan.edits else { return Ok(None) };
        if self.source.id != Document::ROOT {
            return Ok(None);
        }
        let said = self.messages.borrow().len();
        let made = self.changes(edits, cx).and_then(|changes| match changes {
            Some(changes) => self.run_changes(changes, cx).map(Some),
            None => Ok(None),
        });
        match made {
            Ok(Some((changes, results))) => Ok(changed(&self.source.doc, &changes, &results)),
            Err(error) if matches!(error.kind, TransformErrorKind::Limit | TransformErrorKind::Stack) => Err(error),
            // The ordinary way gives the result, or fails with the error at its place.
            _ => {
                self.messages.borrow_mut().truncate(said);
                Ok(None)
            }
        }
    }

    /// What happens to the nodes of the source, in document order.
    fn changes(&self, edits: &'s Edits, cx: &Cx<'s, 'd>) -> Outcome<Option<Changes<'s>>> {
        let doc: &Document = &self.source.doc;
        let mut known: Vec<Option<Candidates>> = Vec::new();
        let mut changes = Vec::new();
        let mut count = 0;
        let mut at = doc.first_child(Document::ROOT);
        while let Some(node) = at {
            self.step()?;
            count += 1;
            let mut below = true;
            if doc.is_element(node) {
                let rule = self.element_rule(edits, node, &mut known, cx)?;
                match self.element_fate(edits, rule, node) {
                    Fate::Stays => {}
                    Fate::StaysWhole => below = false,
                    Fate::Changes(change) => {
                        below = matches!(change, Change::Element { .. });
                        changes.push((node, change));
                    }
                    Fate::Unknown => return Ok(None),
                }
                let attributes = doc.attributes(node).filter(|_| below && edits.attributes);
                for attribute in attributes {
                    if !self.leaf(edits, attribute, cx, &mut changes)? {
                        return Ok(None);
                    }
                }
            } else if doc.is_cdata(node)
                || (is_special(edits, doc.kind(node)) && !self.leaf(edits, node, cx, &mut changes)?)
            {
                return Ok(None);
            }
            at = next(doc, node, below);
        }
        self.charge_nodes(count)?;
        Ok(Some(changes))
    }

    /// The rule for an element.
    fn element_rule(
        &self,
        edits: &'s Edits,
        node: NodeId,
        known: &mut Vec<Option<Candidates>>,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<Option<usize>> {
        let doc: &Document = &self.source.doc;
        let name = doc.name_id(node).map_or(0, mi_xml::NameId::index);
        if known.len() <= name {
            known.resize(name + 1, None);
        }
        let candidates = known[name].get_or_insert_with(|| self.candidates(edits, node));
        if candidates.kept {
            return Ok(candidates.rules.first().copied());
        }
        let rules = candidates.rules.clone();
        let item = self.at(node);
        for rule in rules.iter() {
            if self.matches_one(&self.plan.rules[*rule].alternative, &item, cx)? {
                return Ok(Some(*rule));
            }
        }
        Ok(None)
    }

    fn candidates(&self, edits: &Edits, node: NodeId) -> Candidates {
        let doc: &Document = &self.source.doc;
        let mode = &self.plan.modes[0];
        let all = mode.elements.get(doc.local_name(node)).unwrap_or(&mode.other_elements);
        let mut rules = Vec::new();
        for rule in all {
            let alternative = &self.plan.rules[*rule].alternative;
            if alternative.steps.first().is_some_and(|step| !step.test.matches(doc, node)) {
                continue;
            }
            rules.push(*rule);
            let certain = matches!(&alternative.steps[..], [step] if step.predicates.is_empty());
            if certain && matches!(alternative.start, Start::Anything) {
                break;
            }
        }
        let keeps = |rule: &usize| matches!(edits.elements[self.plan.rules[*rule].template], Edit::Keep);
        let kept = match rules.as_slice() {
            [] => edits.by_default,
            [only] => {
                let alternative = &self.plan.rules[*only].alternative;
                keeps(only)
                    && matches!(alternative.start, Start::Anything)
                    && matches!(&alternative.steps[..], [step] if step.predicates.is_empty())
            }
            _ => false,
        };
        Candidates { rules: rules.into(), kept }
    }

    fn element_fate(&self, edits: &'s Edits, rule: Option<usize>, node: NodeId) -> Fate<'s> {
        let Some(rule) = rule else { return if edits.by_default { Fate::Stays } else { Fate::Unknown } };
        let template = self.plan.rules[rule].template;
        match &edits.elements[template] {
            Edit::Keep => Fate::Stays,
            Edit::KeepAll => Fate::StaysWhole,
            Edit::Drop => Fate::Changes(Change::Drop),
            Edit::Run => Fate::Changes(Change::Run { rule }),
            Edit::Element(edit) => {
                let literal = match self.plan.templates[template].body.first().map(|it| &it.op) {
                    Some(Op::Literal(literal)) if edit.renames => Some(&**literal),
                    _ => None,
                };
                if !literal.is_none_or(|literal| fits(&self.source.doc, node, literal)) {
                    return Fate::Unknown;
                }
                Fate::Changes(Change::Element { edit, literal, rule, values: Vec::new() })
            }
        }
    }

    /// Adds what happens to a node that is no element; `false` if it cannot be done here.
    fn leaf(&self, edits: &'s Edits, node: NodeId, cx: &Cx<'s, 'd>, changes: &mut Changes<'s>) -> Outcome<bool> {
        let rule = self.find_rule(&self.at(node), cx, |_| true)?;
        let kind = self.source.doc.kind(node);
        match rule.map(|rule| (rule, &edits.leaves[self.plan.rules[rule].template])) {
            None if edits.by_default || kind == NodeKind::Text => {}
            None if kind == NodeKind::Attribute => return Ok(false),
            None | Some((_, Edit::Drop)) => changes.push((node, Change::Drop)),
            Some((rule, Edit::Run)) => changes.push((node, Change::Run { rule })),
            Some(_) => {}
        }
        Ok(true)
    }

    fn at(&self, node: NodeId) -> Node<'d> {
        Node { doc: self.source.doc.clone(), id: node }
    }

    /// Runs what has to be run for the changes. The results of templates are the children of a document, each in an
    /// element like that around its node.
    fn run_changes(&self, mut changes: Changes<'s>, cx: &Cx<'s, 'd>) -> Outcome<(Changes<'s>, Results)> {
        let mut inner = cx.clone();
        let mut tree = Box::new(TreeBuilder::new());
        tree.open("", "results", "");
        for (node, change) in &mut changes {
            inner.focus.item = Some(Item::Node(self.at(*node)));
            match change {
                Change::Drop => {}
                Change::Element { edit, literal, rule, values } => {
                    inner.rule = Some(*rule);
                    *values = self.framed(|| self.attribute_values(edit, *literal, *rule, &inner))?;
                }
                Change::Run { rule } => {
                    inner.rule = Some(*rule);
                    let opened = self.open_result(&mut tree, *node);
                    let template = self.plan.rules[*rule].template;
                    let work = || self.run_template(template, &[], &inner);
                    if let Destination::Tree(filled) = self.redirected(Destination::Tree(tree), work)? {
                        tree = filled;
                    } else {
                        tree = Box::new(TreeBuilder::new());
                    }
                    tree.close(opened);
                }
            }
        }
        Ok((changes, tree.finish()))
    }

    /// Opens an element with the name and the namespaces of that around a node.
    fn open_result(&self, tree: &mut TreeBuilder, node: NodeId) -> Opened {
        let doc: &Document = &self.source.doc;
        let Some(parent) = doc.parent(node).filter(|it| doc.is_element(*it)) else {
            return tree.open("", "result", "");
        };
        let opened = tree.open(doc.prefix(parent), doc.local_name(parent), doc.namespace(parent));
        for (prefix, uri) in doc.in_scope_namespaces(parent) {
            tree.declare(prefix, uri);
        }
        opened
    }

    /// The values of new attributes: those of a literal element, then those before and behind the others.
    fn attribute_values(
        &self,
        edit: &'s ElementEdit,
        literal: Option<&'s Literal>,
        rule: usize,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<Vec<String>> {
        let mut values = Vec::new();
        for attribute in literal.iter().flat_map(|it| &it.attributes) {
            values.push(self.avt(&attribute.value, cx)?);
        }
        let body: &'s [Instruction] =
            match self.plan.templates[self.plan.rules[rule].template].body.first().map(|it| &it.op) {
                Some(Op::Literal(literal)) => &literal.body,
                Some(Op::Copy { body, .. }) => body,
                _ => &[],
            };
        for new in edit.before.iter().chain(&edit.after) {
            let Some(Op::Attribute { value, separator, first_only, .. }) = body.get(new.instruction).map(|it| &it.op)
            else {
                continue;
            };
            let separator = separator.as_ref().map(|it| self.avt(it, cx)).transpose()?;
            values.push(self.text_of(value, separator.as_deref(), *first_only, cx)?);
        }
        Ok(values)
    }
}

/// Whether nodes of a kind have rules that do more than to keep them.
fn is_special(edits: &Edits, kind: NodeKind) -> bool {
    match kind {
        NodeKind::Text => edits.texts,
        NodeKind::Comment => edits.comments,
        _ => edits.pis,
    }
}

/// The next node in document order, behind or below a node.
fn next(doc: &Document, node: NodeId, below: bool) -> Option<NodeId> {
    let child = if below { doc.first_child(node) } else { None };
    if child.is_some() {
        return child;
    }
    let mut at = node;
    loop {
        if let Some(next) = doc.next_sibling(at) {
            return Some(next);
        }
        at = doc.parent(at)?;
    }
}

/// Whether an element can take the name and the declarations of a literal element where it stands.
fn fits(doc: &Document, node: NodeId, literal: &Literal) -> bool {
    let bound = |prefix: &str| doc.lookup_namespace(node, prefix);
    let free = |(prefix, uri): &(String, String)| bound(prefix).is_none_or(|it| it == uri);
    let own = if literal.namespace.is_empty() {
        bound("").is_none()
    } else {
        bound(&literal.prefix).is_none_or(|it| it == literal.namespace)
    };
    own && doc.namespace_decls(node).next().is_none() && literal.namespaces.iter().all(free)
}
