//! Changing a document: making, moving and removing nodes, names and values.
//!
//! Every edit marks the elements above it as changed and stops at the first one that already is, so building a tree
//! costs constant time per node. Edits never fail: what cannot be done (a child for a text, a node inside of itself) is
//! left undone, and characters a name cannot hold become `_`.

use std::borrow::Cow;
use std::sync::OnceLock;

use bytestring::ByteString;

use crate::arena::{
    ATTRIBUTE, CDATA, COMMENT, Document, ELEMENT, Element, IMPLIED, NAMESPACE, Node, NodeId, OWNED, PI, PLAIN,
    SELF_CLOSED, Source, TAG_CHANGED, TEXT, TREE_CHANGED,
};
use crate::names::{NONE, Names, PREFIX_EMPTY, QNameId, STR_EMPTY};
use crate::scanner::{is_name_char, is_name_start, is_ncname};
use crate::values::split_pi;
use crate::{XML_NAMESPACE, XMLNS_NAMESPACE};

/// The own buffer is put aside as a source of its own when it reaches this size; offsets are `u32`.
const MAX_OWNED: usize = 1 << 30;

// === making ===

impl Document {
    /// A new element, not yet part of the tree. Without `ns` the prefix is dropped.
    pub fn create_element(&mut self, prefix: &str, local: &str, ns: &str) -> NodeId {
        let qname = self.element_name(prefix, local, ns);
        let element = self.elements.len() as u32;
        self.elements.push(Element::EMPTY);
        self.push(Node::new(ELEMENT, TAG_CHANGED | TREE_CHANGED | SELF_CLOSED, OWNED, qname, element))
    }

    /// A new text.
    pub fn create_text(&mut self, text: &str) -> NodeId {
        self.create_value(TEXT, 0, text)
    }

    /// A new text that is written as a CDATA section.
    pub fn create_cdata(&mut self, text: &str) -> NodeId {
        self.create_value(TEXT, CDATA, text)
    }

    /// A new comment. Hyphens that would end it are parted by a space when it is written.
    pub fn create_comment(&mut self, text: &str) -> NodeId {
        self.create_value(COMMENT, 0, text)
    }

    /// A new processing instruction.
    pub fn create_pi(&mut self, target: &str, data: &str) -> NodeId {
        let mut target = clean_name(target);
        if target.eq_ignore_ascii_case("xml") {
            target.to_mut().insert(0, '_');
        }
        self.create_value(PI, 0, &format!("{target} {data}"))
    }

    fn create_value(&mut self, kind: u32, flags: u32, text: &str) -> NodeId {
        let (source, start, len) = self.own(text);
        self.push(Node::new(kind, flags | PLAIN, source, start, len))
    }

    pub(crate) fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        id
    }

    /// Puts text into the own buffer and returns source, start and length.
    pub(crate) fn own(&mut self, text: &str) -> (u32, u32, u32) {
        if self.owned.len() + text.len() > MAX_OWNED {
            self.retire_owned();
        }
        let start = self.owned.len() as u32;
        self.owned.push_str(text);
        (OWNED, start, text.len() as u32)
    }

    /// Turns the full buffer into a source.
    fn retire_owned(&mut self) {
        let source = self.sources.len() as u32;
        self.sources.push(Source::new(ByteString::from(std::mem::take(&mut self.owned))));
        for node in self.nodes.iter_mut().filter(|node| node.source() == OWNED && node.has(PLAIN)) {
            node.set_source(source);
        }
    }
}

// === names ===

impl Document {
    fn element_name(&mut self, prefix: &str, local: &str, ns: &str) -> QNameId {
        let ns = if ns == XMLNS_NAMESPACE { "" } else { ns };
        let prefix = match prefix {
            _ if ns.is_empty() => "",
            _ if ns == XML_NAMESPACE => "xml",
            "xml" | "xmlns" => "",
            other => other,
        };
        self.intern_name(prefix, local, ns)
    }

    /// A name for an attribute of `el`: an attribute with a namespace needs a prefix, so one is found or made.
    fn attribute_name(&mut self, el: NodeId, prefix: &str, local: &str, ns: &str) -> QNameId {
        let usable = !matches!(prefix, "" | "xml" | "xmlns");
        let prefix = match ns {
            "" => String::new(),
            XML_NAMESPACE => "xml".to_owned(),
            _ if usable => prefix.to_owned(),
            _ => self.prefix_for(el, ns),
        };
        self.intern_name(&prefix, local, ns)
    }

    fn prefix_for(&self, el: NodeId, ns: &str) -> String {
        let in_scope = self.in_scope_namespaces(el);
        if let Some((prefix, _)) = in_scope.iter().find(|&&(prefix, uri)| uri == ns && !prefix.is_empty()) {
            return (*prefix).to_owned();
        }
        let is_free = |candidate: &String| in_scope.iter().all(|(prefix, _)| prefix != candidate);
        (0..=in_scope.len()).map(|number| format!("ns{number}")).find(is_free).unwrap_or_default()
    }

    fn intern_name(&mut self, prefix: &str, local: &str, ns: &str) -> QNameId {
        let prefix = if prefix.is_empty() { Cow::Borrowed("") } else { clean_name(prefix) };
        Names::qname_in(&mut self.names, &prefix, ns, &clean_name(local))
    }

    /// Gives an element or attribute another name; other nodes are left alone.
    pub fn rename(&mut self, n: NodeId, prefix: &str, local: &str, ns: &str) {
        match self.node(n).kind() {
            ELEMENT => {
                let qname = self.element_name(prefix, local, ns);
                self.nodes[n.index()].a = qname;
                self.tag_changed(n);
            }
            ATTRIBUTE => {
                let el = self.parent(n).unwrap_or(n);
                let qname = self.attribute_name(el, prefix, local, ns);
                self.nodes[n.index()].prev = qname;
                self.tag_changed(el);
            }
            _ => {}
        }
    }
}

/// `name` if it is an NCName, else a copy with `_` for what does not belong.
fn clean_name(name: &str) -> Cow<'_, str> {
    if is_ncname(name) {
        return Cow::Borrowed(name);
    }
    let mut clean: String = name.chars().map(|c| if is_name_char(c) && c != ':' { c } else { '_' }).collect();
    if !clean.starts_with(is_name_start) {
        clean.insert(0, '_');
    }
    Cow::Owned(clean)
}

// === marks ===

impl Document {
    /// Something below `n` (which stays as it is) changes: neither `n` nor its ancestors can be copied whole any more.
    fn content_changed(&mut self, n: NodeId) {
        let mut at = n.0;
        while let Some(node) = self.nodes.get_mut(at as usize) {
            if node.kind() > ELEMENT || node.has(TREE_CHANGED) {
                return;
            }
            node.set(TREE_CHANGED);
            at = node.parent;
        }
    }

    pub(crate) fn tag_changed(&mut self, el: NodeId) {
        if self.is_element(el) {
            self.content_changed(el);
            self.nodes[el.index()].set(TAG_CHANGED);
        }
    }

    fn order_changed(&mut self) {
        self.in_order = false;
        self.order = OnceLock::new();
    }

    /// Marks every element as changed, so that writing cannot copy any of them. For measurements.
    #[doc(hidden)]
    pub fn mark_all_changed(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.kind() <= ELEMENT) {
            node.set(TREE_CHANGED | if node.kind() == ELEMENT { TAG_CHANGED } else { 0 });
        }
    }
}

// === children ===

impl Document {
    /// Adds `child` behind the last child of `parent`, from wherever it was before. Attributes and declarations become
    /// attributes of `parent`.
    pub fn append_child(&mut self, parent: NodeId, child: NodeId) {
        if !self.accepts(parent, child) {
            return;
        }
        self.detach(child);
        if self.nodes[child.index()].is_attribute_or_namespace() {
            return self.attach_attribute(parent, child);
        }
        let last = self.last_child(parent).map_or(NONE, |last| last.0);
        self.link(parent, last, child);
    }

    /// Adds `child` before the first child of `parent`.
    pub fn prepend_child(&mut self, parent: NodeId, child: NodeId) {
        match self.first_child(parent) {
            Some(first) if first == child => {}
            Some(first) if !self.node(child).is_attribute_or_namespace() => self.insert_before(first, child),
            _ => self.append_child(parent, child),
        }
    }

    /// Adds `new` as the sibling before `at`, which must have a parent.
    pub fn insert_before(&mut self, at: NodeId, new: NodeId) {
        let Some(parent) = self.sibling_parent(at, new) else { return };
        self.detach(new);
        let before = self.prev_sibling(at).map_or(NONE, |it| it.0);
        self.link(parent, before, new);
    }

    /// Adds `new` as the sibling behind `at`, which must have a parent.
    pub fn insert_after(&mut self, at: NodeId, new: NodeId) {
        let Some(parent) = self.sibling_parent(at, new) else { return };
        self.detach(new);
        self.link(parent, at.0, new);
    }

    /// Puts `new` where `old` is, and detaches `old`.
    pub fn replace(&mut self, old: NodeId, new: NodeId) {
        if old == new || self.sibling_parent(old, new).is_none() {
            return;
        }
        self.insert_before(old, new);
        self.detach(old);
    }

    /// Takes a node out of the tree, with everything below it. Works on attributes and declarations too.
    pub fn detach(&mut self, n: NodeId) {
        let node = *self.node(n);
        if node.parent == NONE || !self.has_node(n) {
            return;
        }
        if node.is_attribute_or_namespace() {
            return self.detach_attribute(n);
        }
        let parent = NodeId(node.parent);
        let record = self.nodes[parent.index()].b as usize;
        let first = self.elements[record].first_child;
        if first == n.0 {
            self.elements[record].first_child = node.next;
        } else {
            self.nodes[node.prev as usize].next = node.next;
        }
        if node.next != NONE {
            self.nodes[node.next as usize].prev = node.prev;
        } else if first != n.0 {
            self.nodes[first as usize].prev = node.prev;
        }
        if self.elements[record].first_child == NONE {
            self.nodes[parent.index()].set(if parent == Self::ROOT { 0 } else { SELF_CLOSED });
        }
        let node = &mut self.nodes[n.index()];
        (node.parent, node.next, node.prev) = (NONE, NONE, NONE);
        self.content_changed(parent);
        self.order_changed();
    }

    /// Detaches all children.
    pub fn remove_children(&mut self, n: NodeId) {
        while let Some(child) = self.first_child(n) {
            self.detach(child);
        }
    }

    /// Whether `child` can be put below `parent`.
    fn accepts(&self, parent: NodeId, child: NodeId) -> bool {
        let container = self.has_node(parent) && self.node(parent).kind() <= ELEMENT;
        let movable = self.has_node(child) && child != Self::ROOT && child != parent;
        let attribute = self.node(child).is_attribute_or_namespace();
        if !container || !movable || (attribute && parent == Self::ROOT) {
            return false;
        }
        // Only what has children can contain its new parent.
        self.first_child(child).is_none() || self.ancestors(parent).all(|it| it != child)
    }

    fn sibling_parent(&self, at: NodeId, new: NodeId) -> Option<NodeId> {
        let siblings = !self.node(at).is_attribute_or_namespace() && !self.node(new).is_attribute_or_namespace();
        self.parent(at).filter(|&parent| siblings && at != new && self.accepts(parent, new))
    }

    /// Links a detached node into the children of `parent` behind `before` ([`NONE`]: at the start).
    fn link(&mut self, parent: NodeId, before: u32, n: NodeId) {
        let record = self.nodes[parent.index()].b as usize;
        let first = self.elements[record].first_child;
        let next = if before == NONE { first } else { self.nodes[before as usize].next };
        let last = if first == NONE { n.0 } else { self.nodes[first as usize].prev };
        let node = &mut self.nodes[n.index()];
        node.parent = parent.0;
        node.next = next;
        node.prev = if before == NONE { last } else { before };
        if before == NONE {
            self.elements[record].first_child = n.0;
        } else {
            self.nodes[before as usize].next = n.0;
        }
        if next != NONE {
            self.nodes[next as usize].prev = n.0;
        } else {
            // The first child knows the last one.
            let first = self.elements[record].first_child;
            self.nodes[first as usize].prev = n.0;
        }
        self.content_changed(parent);
        self.order_changed();
        self.drop_repeated_declarations(parent, n);
    }

    /// Declarations of `n` that say what holds at its new place anyway are no longer written; they come back where it is
    /// moved on to a place where they are missing.
    fn drop_repeated_declarations(&mut self, parent: NodeId, n: NodeId) {
        if self.node(n).kind() != ELEMENT || self.element(n).first_attribute == NONE {
            return;
        }
        let explicit = |it: &NodeId| !self.node(*it).has(IMPLIED);
        let declarations: Vec<NodeId> = self.namespace_decls(n).filter(explicit).collect();
        for declaration in declarations {
            let binding = self.names.binding_of(self.node(declaration).prev);
            let none = (binding.prefix == PREFIX_EMPTY).then_some(STR_EMPTY);
            if self.lookup_prefix_id(parent, binding.prefix).or(none) == Some(binding.uri) {
                self.nodes[declaration.index()].set(IMPLIED);
                self.tag_changed(n);
            }
        }
    }
}

// === values ===

impl Document {
    /// Replaces all children of `el` by one text.
    pub fn set_text(&mut self, el: NodeId, text: &str) {
        if self.node(el).kind() != ELEMENT {
            return;
        }
        self.remove_children(el);
        if !text.is_empty() {
            let text = self.create_text(text);
            self.append_child(el, text);
        }
    }

    /// Replaces the value of a text, attribute, comment, processing instruction (its data) or declaration.
    pub fn set_value(&mut self, n: NodeId, value: &str) {
        let kind = self.node(n).kind();
        if kind <= ELEMENT || !self.has_node(n) {
            return;
        }
        let parent = self.parent(n);
        if kind == NAMESPACE {
            let prefix = self.local_name(n).to_owned();
            return self.declare_namespace(parent.unwrap_or(n), &prefix, value);
        }
        let value = match kind {
            PI => Cow::Owned(format!("{} {value}", split_pi(self.raw(self.node(n))).0)),
            _ => Cow::Borrowed(value),
        };
        let (source, start, len) = self.own(&value);
        self.nodes[n.index()].set_value(source, start, len);
        match parent {
            Some(el) if kind == ATTRIBUTE => self.tag_changed(el),
            Some(el) => self.content_changed(el),
            None => {}
        }
    }
}

// === attributes ===

impl Document {
    /// Sets an attribute; one with this namespace and local name keeps its place and prefix and gets the value. The
    /// names `xmlns` and `xmlns:p` declare a namespace.
    pub fn set_attribute(&mut self, el: NodeId, prefix: &str, local: &str, ns: &str, value: &str) -> NodeId {
        if prefix == "xmlns" || ns == XMLNS_NAMESPACE || (prefix.is_empty() && local == "xmlns") {
            let declared = if local == "xmlns" { "" } else { local };
            self.declare_namespace(el, declared, value);
            let declaration = self.namespace_decls(el).find(|&it| self.local_name(it) == declared);
            return declaration.unwrap_or(el);
        }
        if let Some(existing) = self.attribute_node(el, ns, local) {
            self.set_value(existing, value);
            return existing;
        }
        let (source, start, len) = self.own(value);
        let mut node = Node::new(ATTRIBUTE, PLAIN, source, start, len);
        node.prev = self.attribute_name(el, prefix, local, ns);
        let attribute = self.push(node);
        if self.is_element(el) {
            self.attach_attribute(el, attribute);
        }
        attribute
    }

    /// Removes an attribute; `false` when there was none.
    pub fn remove_attribute(&mut self, el: NodeId, ns: &str, local: &str) -> bool {
        let found = self.attribute_node(el, ns, local);
        if let Some(attribute) = found {
            self.detach(attribute);
        }
        found.is_some()
    }

    /// Declares a namespace on `el`, or changes the declaration of that prefix. Names are not affected by it: an element
    /// keeps its namespace, whatever its prefix is bound to. Declarations Namespaces in XML forbids are left out.
    pub fn declare_namespace(&mut self, el: NodeId, prefix: &str, uri: &str) {
        let forbidden = matches!(prefix, "xml" | "xmlns")
            || matches!(uri, XML_NAMESPACE | XMLNS_NAMESPACE)
            || (uri.is_empty() && !prefix.is_empty());
        if forbidden || !self.is_element(el) {
            return;
        }
        let clean = if prefix.is_empty() { Cow::Borrowed("") } else { clean_name(prefix) };
        let binding = Names::binding_in(&mut self.names, &clean, uri);
        let prefix = self.names.binding_of(binding).prefix;
        let existing = self.namespace_decls(el).find(|&it| self.names.binding_of(self.node(it).prev).prefix == prefix);
        let mut node = Node::new(NAMESPACE, PLAIN, OWNED, 0, 0);
        node.prev = binding;
        if let Some(existing) = existing {
            (node.parent, node.next) = (el.0, self.node(existing).next);
            self.nodes[existing.index()] = node;
            return self.tag_changed(el);
        }
        let declaration = self.push(node);
        self.attach_attribute(el, declaration);
    }

    /// Links a detached attribute or declaration behind the others of `el`; an attribute or declaration of the same
    /// name makes room.
    pub(crate) fn attach_attribute(&mut self, el: NodeId, n: NodeId) {
        let same = self.attribute_list(el).find(|&it| self.same_attribute(it, n));
        if let Some(same) = same {
            self.detach(same);
        }
        let last = self.attribute_list(el).last();
        self.nodes[n.index()].parent = el.0;
        match last {
            Some(last) => self.nodes[last.index()].next = n.0,
            None => {
                let record = self.nodes[el.index()].b as usize;
                self.elements[record].first_attribute = n.0;
            }
        }
        self.tag_changed(el);
        self.order_changed();
    }

    fn same_attribute(&self, a: NodeId, b: NodeId) -> bool {
        let (a, b) = (self.node(a), self.node(b));
        if a.kind() != b.kind() {
            return false;
        }
        if a.kind() == NAMESPACE {
            return self.names.binding_of(a.prev).prefix == self.names.binding_of(b.prev).prefix;
        }
        self.names.qname(a.prev).name == self.names.qname(b.prev).name
    }

    fn detach_attribute(&mut self, n: NodeId) {
        let Some(el) = self.parent(n) else { return };
        let next = self.node(n).next;
        let before = self.attribute_list(el).find(|&it| self.node(it).next == n.0);
        match before {
            Some(before) => self.nodes[before.index()].next = next,
            None => {
                let record = self.nodes[el.index()].b as usize;
                self.elements[record].first_attribute = next;
            }
        }
        let node = &mut self.nodes[n.index()];
        (node.parent, node.next) = (NONE, NONE);
        self.tag_changed(el);
        self.order_changed();
    }
}
