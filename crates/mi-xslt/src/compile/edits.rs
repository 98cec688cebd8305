//! Stylesheets that keep most of a document: an identity template and rules that rename, drop or replace some nodes.
//!
//! What each template does to a node is found out here; `run/edits.rs` does it to a copy of the source. Whatever does
//! not fit makes the stylesheet an ordinary one.

use mi_xml::Document;

use super::Compiler;
use crate::pattern::{Start, Step, Test};
use crate::plan::{Body, Edit, Edits, ElementEdit, ModeRef, NewAttribute, NoMatch, Op, Plan, Template, Value};
use crate::streaming;

/// What a stylesheet must not have: with these the copy would not be the same, or positions would be others.
const FOREIGN: [&str; 5] = ["position", "last", "result-document", "default-mode", "disable-output-escaping"];

impl Compiler<'_> {
    /// Finds out whether the stylesheet edits documents.
    pub(super) fn finish_edits(&mut self) {
        self.plan.edits = edits(&self.plan);
        self.plan.deeds = streaming::deeds(&self.plan);
    }
}

fn edits(plan: &Plan) -> Option<Edits> {
    let mode = plan.modes.first()?;
    let all = |rules: &[usize], keeps: &dyn Fn(&Template) -> bool| {
        rules.iter().all(|rule| keeps(&plan.templates[plan.rules[*rule].template]))
    };
    let elements: Vec<Edit> = plan.templates.iter().map(element).collect();
    let kept = |rule: usize| matches!(elements[plan.rules[rule].template], Edit::Keep);
    let any_element = fallback(plan, &mode.other_elements, |test| {
        matches!(test, Test::Node | Test::Element { namespace: None, local: None })
    });
    let by_default = mode.no_match == NoMatch::ShallowCopy;
    if !matches!(mode.no_match, NoMatch::ShallowCopy | NoMatch::TextOnlyCopy)
        || !any_element.map_or(by_default, kept)
        || !all(&mode.documents, &|it| keeps_document(it))
        || plan.documents.iter().any(|it| has_foreign(it))
    {
        return None;
    }
    let any_attribute = fallback(plan, &mode.other_attributes, |test| {
        matches!(test, Test::AttributeNode | Test::Attribute { namespace: None, local: None })
    });
    let attributes = by_default || any_attribute.is_some();
    let attributes = attributes
        && all(&mode.other_attributes, &copies_leaf)
        && mode.attributes.values().all(|it| all(it, &copies_leaf));
    let other_leaf = |rules: &[usize], test: fn(&Test) -> bool| {
        all(rules, &copies_leaf) && (by_default || fallback(plan, rules, test).is_some())
    };
    let edits = Edits {
        attributes: !attributes,
        texts: !all(&mode.texts, &keeps_text),
        comments: !other_leaf(&mode.comments, |test| matches!(test, Test::Node | Test::Comment)),
        pis: !other_leaf(&mode.pis, |test| matches!(test, Test::Node | Test::Pi(None))),
        by_default,
        leaves: plan.templates.iter().map(leaf).collect(),
        elements,
    };
    // Attributes made by templates, or copied, need those of the source as they are.
    let mixes = edits.elements.iter().any(|it| matches!(it, Edit::Element(edit) if edit.plain_attributes));
    (!mixes || !edits.attributes).then_some(edits)
}

/// The first rule that any node of a kind matches.
fn fallback(plan: &Plan, rules: &[usize], any: impl Fn(&Test) -> bool) -> Option<usize> {
    rules.iter().copied().find(|rule| {
        let alternative = &plan.rules[*rule].alternative;
        let simple = |step: &Step| step.predicates.is_empty() && any(&step.test);
        matches!(alternative.start, Start::Anything) && matches!(&alternative.steps[..], [step] if simple(step))
    })
}

fn has_foreign(doc: &Document) -> bool {
    let text = doc.to_xml(Document::ROOT);
    FOREIGN.iter().any(|it| text.contains(it))
}

fn is_plain(template: &Template) -> bool {
    template.params.is_empty() && template.cast.is_none()
}

/// What a template does to an element.
fn element(template: &Template) -> Edit {
    if !is_plain(template) {
        return Edit::Run;
    }
    match template.body.as_slice() {
        [] => Edit::Drop,
        [only] => match &only.op {
            Op::CopyOf { select, namespaces: true } if select.xpath.source().trim() == "." => Edit::KeepAll,
            Op::Copy { select: None, attribute_sets, namespaces: true, body } if attribute_sets.is_empty() => {
                match content(body) {
                    Some(edit) if edit.before.is_empty() && edit.after.is_empty() && !edit.plain_attributes => {
                        Edit::Keep
                    }
                    Some(edit) => Edit::Element(Box::new(edit)),
                    None => Edit::Run,
                }
            }
            Op::Literal(literal) if literal.attribute_sets.is_empty() => match content(&literal.body) {
                Some(edit) if literal.attributes.iter().all(|it| it.namespace.is_empty()) => {
                    let renames = true;
                    let plain_attributes = edit.plain_attributes || !literal.attributes.is_empty();
                    Edit::Element(Box::new(ElementEdit { renames, plain_attributes, ..edit }))
                }
                _ => Edit::Run,
            },
            _ => Edit::Run,
        },
        _ => Edit::Run,
    }
}

/// What a template does to a text, attribute, comment or processing instruction.
fn leaf(template: &Template) -> Edit {
    if copies_leaf(template) {
        Edit::Keep
    } else if is_plain(template) && template.body.is_empty() {
        Edit::Drop
    } else {
        Edit::Run
    }
}

fn copies_leaf(template: &Template) -> bool {
    is_plain(template)
        && match template.body.as_slice() {
            [only] => match &only.op {
                Op::Copy { select: None, .. } => true,
                Op::CopyOf { select, .. } => select.xpath.source().trim() == ".",
                _ => false,
            },
            _ => false,
        }
}

fn keeps_text(template: &Template) -> bool {
    let value = |op: &Op| match op {
        Op::ValueOf { value: Value { select: Some(select), .. }, raw: false, .. } => {
            select.xpath.source().trim() == "."
        }
        _ => false,
    };
    copies_leaf(template) || (is_plain(template) && matches!(template.body.as_slice(), [only] if value(&only.op)))
}

/// Whether the document gets what its children give.
fn keeps_document(template: &Template) -> bool {
    let below = |body: &Body| match body.as_slice() {
        [only] => matches!(applied(&only.op), Some(Applied::Children | Applied::Both)),
        _ => false,
    };
    let copied = |op: &Op| match op {
        Op::Copy { select: None, attribute_sets, body, .. } => attribute_sets.is_empty() && below(body),
        _ => false,
    };
    is_plain(template) && (below(&template.body) || matches!(template.body.as_slice(), [only] if copied(&only.op)))
}

#[derive(PartialEq, Eq)]
enum Applied {
    Attributes,
    Children,
    Both,
    /// Attributes are copied without templates.
    Copied,
}

/// What templates are applied to by an instruction that passes on nothing else.
fn applied(op: &Op) -> Option<Applied> {
    let written = |select: &crate::expr::Expr| select.xpath.source().split_whitespace().collect::<String>();
    match op {
        Op::CopyOf { select, .. } if written(select) == "@*" => Some(Applied::Copied),
        Op::ApplyTemplates { select, mode: ModeRef::Current | ModeRef::Mode(0), sorts, params }
            if sorts.is_empty() && params.is_empty() =>
        {
            match select.as_ref().map(written).as_deref() {
                None | Some("node()") => Some(Applied::Children),
                Some("@*" | "@node()") => Some(Applied::Attributes),
                Some("@*|node()" | "node()|@*" | "@node()|node()" | "node()|@node()" | "@*,node()") => {
                    Some(Applied::Both)
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// A content that applies templates to all attributes and children, with attributes of its own.
fn content(body: &Body) -> Option<ElementEdit> {
    let mut edit = ElementEdit::default();
    let (mut attributes, mut children) = (false, false);
    for (at, instruction) in body.iter().enumerate() {
        let applied = match &instruction.op {
            Op::Attribute { name, .. } if !children && name.namespace.is_none() => {
                let local = name.name.as_text().filter(|it| mi_xml::is_ncname(it))?;
                let new = NewAttribute { local: local.to_owned(), instruction: at };
                if attributes {
                    edit.after.push(new);
                } else {
                    edit.before.push(new);
                }
                edit.plain_attributes = true;
                continue;
            }
            op => applied(op)?,
        };
        edit.plain_attributes |= applied == Applied::Copied;
        let both = applied == Applied::Both;
        let wrong = children || ((both || applied != Applied::Children) && attributes);
        if wrong {
            return None;
        }
        attributes |= applied != Applied::Children;
        children |= both || applied == Applied::Children;
    }
    (attributes && children).then_some(edit)
}
