//! Where output goes: a tree under construction, or a sequence of items.

use std::sync::Arc;

use mi_expr::xpath::{Item, Node, TreeBuilder, Version, XPathError};
use mi_xml::{Document, NodeKind};

use super::{Outcome, Run};
use crate::error::TransformError;

/// A place for output.
pub(super) enum Destination<'d> {
    Tree(Box<TreeBuilder>),
    Items(Vec<Item<'d>>),
}

impl<'d> Run<'_, 'd> {
    /// Runs `work` with output going to a place of its own, and returns what arrived there.
    pub(super) fn redirected(
        &self,
        to: Destination<'d>,
        work: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<Destination<'d>> {
        let level = self.out.borrow().len();
        self.out.borrow_mut().push(to);
        let result = work();
        let mut out = self.out.borrow_mut();
        out.truncate(level + 1);
        let arrived = out.pop().unwrap_or(Destination::Items(Vec::new()));
        result.map(|()| arrived)
    }

    /// What `work` puts out as a document.
    pub(super) fn to_document(&self, work: impl FnOnce() -> Outcome<()>) -> Outcome<Arc<Document>> {
        self.charge_nodes(1)?;
        match self.redirected(Destination::Tree(Box::new(TreeBuilder::new())), work)? {
            Destination::Tree(tree) => Ok(Arc::new(tree.finish().0)),
            Destination::Items(_) => Ok(Arc::new(Document::new())),
        }
    }

    /// What `work` puts out as items.
    pub(super) fn to_items(&self, work: impl FnOnce() -> Outcome<()>) -> Outcome<Vec<Item<'d>>> {
        match self.redirected(Destination::Items(Vec::new()), work)? {
            Destination::Items(items) => Ok(items),
            Destination::Tree(_) => Ok(Vec::new()),
        }
    }

    /// Works on the tree that is being built. Where items are collected, what is built becomes an item.
    fn on_tree(&self, work: impl FnOnce(&mut TreeBuilder) -> Result<(), XPathError>) -> Outcome<()> {
        let mut out = self.out.borrow_mut();
        match out.last_mut() {
            Some(Destination::Tree(tree)) => work(tree).map_err(of_tree),
            Some(Destination::Items(items)) => {
                let mut tree = TreeBuilder::new();
                work(&mut tree).map_err(of_tree)?;
                let doc = tree.finish().0;
                if let Some(node) = doc.first_child(Document::ROOT) {
                    items.push(Item::Node(Node::shared(Arc::new(doc), node)));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// An element with what `content` puts out.
    pub(super) fn element(
        &self,
        (prefix, local, namespace): (&str, &str, &str),
        content: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<()> {
        self.charge_nodes(1)?;
        let collecting = matches!(self.out.borrow().last(), Some(Destination::Items(_)));
        if collecting {
            let doc = self.to_document(|| self.open_element(prefix, local, namespace, content))?;
            if let (Some(element), Some(Destination::Items(items))) =
                (doc.root_element(), self.out.borrow_mut().last_mut())
            {
                items.push(Item::Node(Node::shared(doc.clone(), element)));
            }
            return Ok(());
        }
        self.open_element(prefix, local, namespace, content)
    }

    fn open_element(
        &self,
        prefix: &str,
        local: &str,
        namespace: &str,
        content: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<()> {
        let mut opened = None;
        self.on_tree(|tree| {
            opened = Some(tree.open(prefix, local, namespace));
            Ok(())
        })?;
        content()?;
        self.on_tree(|tree| {
            if let Some(opened) = opened {
                tree.close(opened);
            }
            Ok(())
        })
    }

    pub(super) fn attribute(&self, prefix: &str, local: &str, namespace: &str, value: &str) -> Outcome<()> {
        self.charge_nodes(1)?;
        self.charge_text(value.len())?;
        let mut out = self.out.borrow_mut();
        match out.last_mut() {
            Some(Destination::Tree(tree)) => tree.attribute(prefix, local, namespace, value).map_err(of_tree),
            Some(Destination::Items(items)) => {
                let mut doc = Document::new();
                let holder = doc.create_element("", "attribute", "");
                let attribute = doc.set_attribute(holder, prefix, local, namespace, value);
                items.push(Item::Node(Node::shared(Arc::new(doc), attribute)));
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn namespace(&self, prefix: &str, uri: &str) -> Outcome<()> {
        self.on_tree(|tree| {
            tree.declare(prefix, uri);
            Ok(())
        })
    }

    pub(super) fn text(&self, text: &str, raw: bool) -> Outcome<()> {
        if text.is_empty() {
            // A text without characters is a node until it becomes part of a tree.
            if let Some(Destination::Items(items)) = self.out.borrow_mut().last_mut() {
                let mut doc = Document::new();
                let node = doc.create_text("");
                doc.append_child(Document::ROOT, node);
                items.push(Item::Node(Node::shared(Arc::new(doc), node)));
            }
            return Ok(());
        }
        self.charge_text(text.len())?;
        self.on_tree(|tree| {
            if raw {
                tree.raw_text(text);
            } else {
                tree.text(text);
            }
            Ok(())
        })
    }

    pub(super) fn comment(&self, text: &str) -> Outcome<()> {
        self.charge_nodes(1)?;
        self.charge_text(text.len())?;
        self.on_tree(|tree| {
            tree.comment(text);
            Ok(())
        })
    }

    pub(super) fn pi(&self, target: &str, data: &str) -> Outcome<()> {
        self.charge_nodes(1)?;
        self.charge_text(data.len())?;
        self.on_tree(|tree| {
            tree.pi(target, data);
            Ok(())
        })
    }

    /// Puts out an item: nodes are copied into trees, values become text with a space between neighbours.
    pub(super) fn item(&self, item: Item<'d>, namespaces: bool) -> Outcome<()> {
        if let Item::Node(node) = &item {
            self.charge_copy(node)?;
        }
        let mut out = self.out.borrow_mut();
        match (out.last_mut(), item) {
            (Some(Destination::Items(items)), item) => {
                items.push(item);
                drop(out);
                self.charge_nodes(1)
            }
            (Some(Destination::Tree(tree)), Item::Node(node)) => tree.copy(&node, namespaces).map_err(of_tree),
            (Some(Destination::Tree(tree)), value) => {
                tree.value(&value);
                drop(out);
                self.charge_text(value.to_str(Version::V2).len())
            }
            (None, _) => Ok(()),
        }
    }

    fn charge_copy(&self, node: &Node<'d>) -> Outcome<()> {
        match node.kind() {
            NodeKind::Element | NodeKind::Document => self.charge_nodes(node.doc.descendants(node.id).count() as u64),
            NodeKind::Text => self.charge_text(node.doc.value(node.id).len()),
            _ => self.charge_nodes(1),
        }
    }
}

fn of_tree(error: XPathError) -> TransformError {
    TransformError::dynamic(error.to_string())
}
