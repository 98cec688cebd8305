//! Where output goes: a tree under construction, or a sequence of items.

use std::collections::HashSet;
use std::sync::Arc;

use mi_expr::xpath::{Item, Node, Version};
use mi_xml::{Document, NodeId, NodeKind};

use super::{Outcome, Run};
use crate::error::TransformError;

/// A tree being built. Text is collected and added when something else comes.
pub(super) struct Tree {
    doc: Document,
    /// The element that is open, the document for none.
    open: NodeId,
    text: String,
    raw: HashSet<NodeId>,
    /// The last thing added was an atomic value: the next one is separated by a space.
    after_value: bool,
}

/// A place for output.
pub(super) enum Destination<'d> {
    Tree(Box<Tree>),
    Items(Vec<Item<'d>>),
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            doc: Document::new(),
            open: Document::ROOT,
            text: String::new(),
            raw: HashSet::new(),
            after_value: false,
        }
    }

    pub(super) fn finish(mut self) -> (Document, HashSet<NodeId>) {
        self.flush();
        (self.doc, self.raw)
    }

    fn flush(&mut self) {
        self.after_value = false;
        if !self.text.is_empty() {
            let node = self.doc.create_text(&self.text);
            self.text.clear();
            self.doc.append_child(self.open, node);
        }
    }

    fn add(&mut self, node: NodeId) {
        self.flush();
        self.doc.append_child(self.open, node);
    }

    fn attribute(&mut self, prefix: &str, local: &str, namespace: &str, value: &str) -> Outcome<()> {
        if self.open == Document::ROOT {
            return Err(TransformError::dynamic(format!(
                "the attribute {local} has no element to be added to (XTDE0420)"
            )));
        }
        if !self.text.is_empty() || self.doc.first_child(self.open).is_some() {
            let message = format!("the attribute {local} comes after content of its element (XTDE0410)");
            return Err(TransformError::dynamic(message));
        }
        // A prefix that means something else here is replaced by a free one.
        let bound = self.doc.lookup_namespace(self.open, prefix);
        let clash = !namespace.is_empty() && bound.is_some_and(|uri| uri != namespace);
        self.doc.set_attribute(self.open, if clash { "" } else { prefix }, local, namespace, value);
        Ok(())
    }

    fn declare(&mut self, prefix: &str, uri: &str) {
        if self.open != Document::ROOT && self.doc.lookup_namespace(self.open, prefix) != Some(uri) {
            let own = prefix == self.doc.prefix(self.open);
            if !own {
                self.doc.declare_namespace(self.open, prefix, uri);
            }
        }
    }

    fn copy_node(&mut self, source: &Document, node: NodeId, namespaces: bool) -> Outcome<()> {
        match source.kind(node) {
            NodeKind::Document => {
                for child in source.children(node) {
                    self.copy_node(source, child, namespaces)?;
                }
            }
            NodeKind::Text => self.text.push_str(&source.value(node)),
            NodeKind::Attribute => {
                let (prefix, namespace) = (source.prefix(node), source.namespace(node));
                self.attribute(prefix, source.local_name(node), namespace, &source.value(node))?;
            }
            NodeKind::Namespace => self.declare(source.local_name(node), &source.value(node)),
            NodeKind::Comment | NodeKind::Pi => {
                let copy = self.doc.import(source, node);
                self.add(copy);
            }
            NodeKind::Element => {
                self.flush();
                let copy = self.doc.import(source, node);
                self.doc.append_child(self.open, copy);
                if namespaces && source.parent(node).is_some_and(|it| it != Document::ROOT) {
                    for (prefix, uri) in source.in_scope_namespaces(node).into_iter().rev() {
                        if self.doc.lookup_namespace(copy, prefix).is_none() {
                            self.doc.declare_namespace(copy, prefix, uri);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'d> Run<'_, 'd> {
    /// Runs `work` with output going to a place of its own, and returns what arrived there.
    fn redirected(&self, to: Destination<'d>, work: impl FnOnce() -> Outcome<()>) -> Outcome<Destination<'d>> {
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
        match self.redirected(Destination::Tree(Box::new(Tree::new())), work)? {
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
    fn on_tree(&self, work: impl FnOnce(&mut Tree) -> Outcome<()>) -> Outcome<()> {
        let mut out = self.out.borrow_mut();
        match out.last_mut() {
            Some(Destination::Tree(tree)) => work(tree),
            Some(Destination::Items(items)) => {
                let mut tree = Tree::new();
                work(&mut tree)?;
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
        let mut outer = Document::ROOT;
        self.on_tree(|tree| {
            let element = tree.doc.create_element(prefix, local, namespace);
            tree.add(element);
            outer = std::mem::replace(&mut tree.open, element);
            Ok(())
        })?;
        content()?;
        self.on_tree(|tree| {
            tree.flush();
            tree.open = outer;
            Ok(())
        })
    }

    pub(super) fn attribute(&self, prefix: &str, local: &str, namespace: &str, value: &str) -> Outcome<()> {
        self.charge_nodes(1)?;
        self.charge_text(value.len())?;
        let mut out = self.out.borrow_mut();
        match out.last_mut() {
            Some(Destination::Tree(tree)) => tree.attribute(prefix, local, namespace, value),
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
            return Ok(());
        }
        self.charge_text(text.len())?;
        self.on_tree(|tree| {
            if raw {
                tree.flush();
                let node = tree.doc.create_text(text);
                tree.add(node);
                tree.raw.insert(node);
            } else {
                tree.after_value = false;
                tree.text.push_str(text);
            }
            Ok(())
        })
    }

    pub(super) fn comment(&self, text: &str) -> Outcome<()> {
        self.charge_nodes(1)?;
        self.charge_text(text.len())?;
        self.on_tree(|tree| {
            let node = tree.doc.create_comment(text);
            tree.add(node);
            Ok(())
        })
    }

    pub(super) fn pi(&self, target: &str, data: &str) -> Outcome<()> {
        self.charge_nodes(1)?;
        self.charge_text(data.len())?;
        self.on_tree(|tree| {
            let node = tree.doc.create_pi(target, data);
            tree.add(node);
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
            (Some(Destination::Tree(tree)), Item::Node(node)) => {
                tree.after_value = false;
                tree.copy_node(&node.doc, node.id, namespaces)
            }
            (Some(Destination::Tree(tree)), value) => {
                if std::mem::replace(&mut tree.after_value, true) {
                    tree.text.push(' ');
                }
                let text = value.to_str(Version::V2);
                tree.text.push_str(&text);
                drop(out);
                self.charge_text(text.len())
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
