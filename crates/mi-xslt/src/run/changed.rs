//! Applying the changes that a stylesheet makes to a copy of the source.

use mi_xml::{Document, NodeId, NodeKind};

use super::edits::{Change, Results};
use crate::plan::{ElementEdit, Literal};

/// A copy of the source with the changes; `None` if a result does not fit where it belongs.
pub(super) fn changed(source: &Document, changes: &[(NodeId, Change<'_>)], results: &Results) -> Option<Document> {
    let (results, raw) = results;
    if !raw.is_empty() {
        return None;
    }
    let mut doc = source.clone();
    // White space around the root belongs to no node: moving the last one makes the document be written node by node.
    if let Some(last) = doc.last_child(Document::ROOT) {
        doc.append_child(Document::ROOT, last);
    }
    let results = results.root_element().map(|root| doc.import(results, root));
    let mut next = results.and_then(|it| doc.first_child(it));
    let mut emptied: Vec<NodeId> = Vec::new();
    for (node, change) in changes {
        match change {
            Change::Drop => {
                emptied.extend(doc.parent(*node));
                doc.detach(*node);
            }
            Change::Element { edit, literal, values, .. } => element(&mut doc, *node, edit, *literal, values),
            Change::Run { .. } => {
                let result = next?;
                next = doc.next_sibling(result);
                if doc.kind(*node) == NodeKind::Attribute {
                    attribute(&mut doc, *node, result)?;
                } else {
                    emptied.extend(doc.parent(*node));
                    put(&mut doc, *node, result)?;
                }
            }
        }
    }
    emptied.dedup();
    for parent in emptied {
        join_texts(&mut doc, parent);
    }
    Some(doc)
}

fn element(doc: &mut Document, node: NodeId, edit: &ElementEdit, literal: Option<&Literal>, values: &[String]) {
    let mut values = values.iter();
    let literals = literal.map(|it| it.attributes.as_slice()).unwrap_or_default();
    let first = literals.iter().map(|it| &it.local).chain(edit.before.iter().map(|it| &it.local));
    let first: Vec<(&String, &String)> = first.zip(values.by_ref()).collect();
    let missing = |it: &&(String, String)| doc.lookup_namespace(node, &it.0) != Some(&it.1);
    let namespaces: Vec<_> = literal.iter().flat_map(|it| &it.namespaces).filter(missing).collect();
    // What the template adds comes first.
    let moves = !first.is_empty() || !namespaces.is_empty();
    let old: Vec<NodeId> = doc.attributes(node).filter(|_| moves).collect();
    for attribute in &old {
        doc.detach(*attribute);
    }
    for (prefix, uri) in namespaces {
        doc.declare_namespace(node, prefix, uri);
    }
    for (local, value) in first {
        doc.set_attribute(node, "", local, "", value);
    }
    for attribute in old {
        match doc.attribute_node(node, doc.namespace(attribute), doc.local_name(attribute)) {
            Some(new) => {
                let value = doc.value(attribute).into_owned();
                doc.set_value(new, &value);
            }
            None => doc.append_child(node, attribute),
        }
    }
    for (new, value) in edit.after.iter().zip(values) {
        doc.set_attribute(node, "", &new.local, "", value);
    }
    if let Some(literal) = literal {
        doc.rename(node, &literal.prefix, &literal.local, &literal.namespace);
    }
}

/// Puts what is in `result` in place of a node; `None` if there are attributes for the element around it.
fn put(doc: &mut Document, node: NodeId, result: NodeId) -> Option<()> {
    if doc.attributes(result).next().is_some() {
        return None;
    }
    while let Some(child) = doc.first_child(result) {
        doc.insert_before(node, child);
    }
    doc.detach(node);
    Some(())
}

/// Puts the attribute of `result` in place of another; `None` if the element has one of that name already, or if there
/// is more than an attribute without a namespace.
fn attribute(doc: &mut Document, node: NodeId, result: NodeId) -> Option<()> {
    let mut attributes = doc.attributes(result);
    let made = attributes.next();
    if attributes.next().is_some() || doc.first_child(result).is_some() {
        return None;
    }
    drop(attributes);
    let Some(made) = made else {
        doc.detach(node);
        return Some(());
    };
    let (local, value) = (doc.local_name(made).to_owned(), doc.value(made).into_owned());
    let clash = doc.parent(node).and_then(|it| doc.attribute_node(it, "", &local)).is_some_and(|it| it != node);
    if clash || !doc.namespace(made).is_empty() {
        return None;
    }
    doc.rename(node, "", &local, "");
    doc.set_value(node, &value);
    Some(())
}

/// Makes neighbouring texts one.
fn join_texts(doc: &mut Document, parent: NodeId) {
    let mut at = doc.first_child(parent);
    while let Some(node) = at {
        at = doc.next_sibling(node);
        if doc.kind(node) != NodeKind::Text {
            continue;
        }
        let mut joined: Option<String> = None;
        while let Some(next) = at.filter(|it| doc.kind(*it) == NodeKind::Text) {
            joined.get_or_insert_with(|| doc.value(node).into_owned()).push_str(&doc.value(next));
            at = doc.next_sibling(next);
            doc.detach(next);
        }
        if let Some(text) = joined {
            doc.set_value(node, &text);
        }
    }
}
