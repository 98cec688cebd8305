//! Building trees: results of stylesheets, temporary trees, and what constructors of XQuery make.

use std::collections::HashSet;

use mi_xml::{Document, NodeId, NodeKind};

use super::Version;
use super::error::XPathError;
use super::value::{Item, Node};

/// A tree being built, from its root down. Text is collected and added when something else comes.
#[derive(Debug)]
pub struct TreeBuilder {
    doc: Document,
    /// The element that is open, the document for none.
    open: NodeId,
    text: String,
    raw: HashSet<NodeId>,
    /// The last thing added was an atomic value: the next one is separated by a space.
    after_value: bool,
}

/// What [`TreeBuilder::open`] hands out, for [`TreeBuilder::close`].
#[derive(Debug, Clone, Copy)]
pub struct Opened(NodeId);

impl Default for TreeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TreeBuilder {
    /// An empty document.
    pub fn new() -> Self {
        Self {
            doc: Document::new(),
            open: Document::ROOT,
            text: String::new(),
            raw: HashSet::new(),
            after_value: false,
        }
    }

    /// Whether nothing was added yet.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.doc.first_child(Document::ROOT).is_none()
    }

    /// The document, and the texts in it that are to be written without escapes.
    pub fn finish(mut self) -> (Document, HashSet<NodeId>) {
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

    /// Opens an element; what follows goes into it.
    pub fn open(&mut self, prefix: &str, local: &str, namespace: &str) -> Opened {
        let element = self.doc.create_element(prefix, local, namespace);
        self.add(element);
        Opened(std::mem::replace(&mut self.open, element))
    }

    /// Closes the element that was opened last; `opened` is what opening it gave.
    pub fn close(&mut self, opened: Opened) {
        self.flush();
        self.open = opened.0;
    }

    /// An attribute of the open element.
    ///
    /// # Errors
    /// `XTDE0420` without an open element, `XTDE0410` behind content.
    pub fn attribute(&mut self, prefix: &str, local: &str, namespace: &str, value: &str) -> Result<(), XPathError> {
        if self.open == Document::ROOT {
            let message = format!("the attribute {local} has no element to be added to");
            return Err(XPathError::dynamic("XTDE0420", message));
        }
        if !self.text.is_empty() || self.doc.first_child(self.open).is_some() {
            let message = format!("the attribute {local} comes after content of its element");
            return Err(XPathError::dynamic("XTDE0410", message));
        }
        // A prefix that means something else here is replaced by a free one.
        let bound = self.doc.lookup_namespace(self.open, prefix);
        let clash = !namespace.is_empty() && bound.is_some_and(|uri| uri != namespace);
        self.doc.set_attribute(self.open, if clash { "" } else { prefix }, local, namespace, value);
        Ok(())
    }

    /// Whether the open element has such an attribute.
    pub(super) fn has_attribute(&self, namespace: &str, local: &str) -> bool {
        self.open != Document::ROOT && self.doc.attribute_node(self.open, namespace, local).is_some()
    }

    /// A declaration of a namespace at the open element, unless it holds there anyway.
    pub fn declare(&mut self, prefix: &str, uri: &str) {
        if self.open != Document::ROOT && self.doc.lookup_namespace(self.open, prefix) != Some(uri) {
            let own = prefix == self.doc.prefix(self.open);
            if !own {
                self.doc.declare_namespace(self.open, prefix, uri);
            }
        }
    }

    /// Text.
    pub fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.after_value = false;
            self.text.push_str(text);
        }
    }

    /// Text that is to be written without escapes.
    pub fn raw_text(&mut self, text: &str) {
        self.flush();
        let node = self.doc.create_text(text);
        self.add(node);
        self.raw.insert(node);
    }

    /// A comment.
    pub fn comment(&mut self, text: &str) {
        let node = self.doc.create_comment(text);
        self.add(node);
    }

    /// A processing instruction.
    pub fn pi(&mut self, target: &str, data: &str) {
        let node = self.doc.create_pi(target, data);
        self.add(node);
    }

    /// An atomic value: its text, with a space behind a value right before it.
    pub fn value(&mut self, item: &Item<'_>) {
        if std::mem::replace(&mut self.after_value, true) {
            self.text.push(' ');
        }
        let text = item.to_str(Version::V2);
        self.text.push_str(&text);
    }

    /// The next value is not separated from those so far.
    pub fn end_values(&mut self) {
        self.after_value = false;
    }

    /// A copy of a node; of a document it is a copy of its children. With `namespaces` an element brings along those
    /// declared around it.
    ///
    /// # Errors
    /// See [`TreeBuilder::attribute`].
    pub fn copy(&mut self, node: &Node<'_>, namespaces: bool) -> Result<(), XPathError> {
        self.after_value = false;
        self.copy_node(&node.doc, node.id, namespaces)
    }

    /// [`TreeBuilder::copy`] with those declarations of namespaces only that names need.
    pub(super) fn copy_without_declarations(&mut self, node: &Node<'_>) -> Result<(), XPathError> {
        self.after_value = false;
        let source: &Document = &node.doc;
        let mut opened: Vec<Opened> = Vec::new();
        let mut at = node.id;
        loop {
            let inside = match source.kind(at) {
                NodeKind::Element => {
                    opened.push(self.open(source.prefix(at), source.local_name(at), source.namespace(at)));
                    for it in source.attributes(at) {
                        let (prefix, namespace) = (source.prefix(it), source.namespace(it));
                        self.attribute(prefix, source.local_name(it), namespace, &source.value(it))?;
                    }
                    true
                }
                NodeKind::Document => true,
                NodeKind::Namespace => false,
                _ => {
                    self.copy_node(source, at, false)?;
                    false
                }
            };
            if let Some(child) = source.first_child(at).filter(|_| inside) {
                at = child;
                continue;
            }
            loop {
                if source.kind(at) == NodeKind::Element
                    && let Some(element) = opened.pop()
                {
                    self.close(element);
                }
                if at == node.id {
                    return Ok(());
                }
                if let Some(next) = source.next_sibling(at) {
                    at = next;
                    break;
                }
                match source.parent(at) {
                    Some(parent) => at = parent,
                    None => return Ok(()),
                }
            }
        }
    }

    fn copy_node(&mut self, source: &Document, node: NodeId, namespaces: bool) -> Result<(), XPathError> {
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
