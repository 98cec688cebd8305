//! Deep copies, inside of a document and from one into another.
//!
//! A copy shares the text of its original, and what was unchanged there is unchanged in the copy: it will be written
//! byte for byte from the original's source.

use std::sync::Arc;

use crate::arena::{
    ATTRIBUTE, DOCUMENT, Document, ELEMENT, Element, IMPLIED, NAMESPACE, Node, NodeId, OWNED, PLAIN, TREE_CHANGED,
};
use crate::names::{
    BindingId, BindingMask, MASK_OVERFLOW, NONE, Names, PREFIX_EMPTY, PREFIX_XML, PrefixId, QNameId, STR_EMPTY,
    STR_TYPE, STR_XSI_NS, StrId, binding_bit, bindings_of,
};

/// Sources of a document that are compared with those of an imported one. Imports from one document come in a row.
const RECENT_SOURCES: usize = 16;

impl Document {
    /// Copies a node of another document with everything below it; the copy is detached. The document node stands for
    /// its root element. Takes time and space for the nodes only, text is shared; text set in the other document since
    /// it was parsed is copied.
    ///
    /// Namespaces the copy uses but took from its old ancestors are declared on it.
    pub fn import(&mut self, other: &Self, n: NodeId) -> NodeId {
        let n = if n == Self::ROOT { other.root_element().unwrap_or(n) } else { n };
        if other.node(n).kind() == DOCUMENT {
            return self.create_text("");
        }
        let mut copy = Copy::of(other, n);
        let mut translation = Translation::new(self, other);
        let Copy { nodes, elements, element_base, .. } = &mut copy;
        let mut source = (NONE, NONE);
        for node in nodes {
            if translation.same_names && node.source() != OWNED {
                // Names and numbers are those of the other document; only the text is to be found.
                if source.0 != node.source() {
                    source = (node.source(), translation.source(self, other, node.source()));
                }
                node.set_source(source.1);
                continue;
            }
            let element = (node.kind() == ELEMENT).then(|| &mut elements[(node.b - *element_base) as usize]);
            translation.adopt(self, other, node, element);
        }
        let free = free_bindings(other, n);
        let free: Vec<BindingId> = free.into_iter().map(|binding| translation.binding(self, other, binding)).collect();
        self.graft(copy, &free)
    }

    /// A document of its own with a copy of `n` as its root. See [`Document::import`].
    pub fn subtree(&self, n: NodeId) -> Self {
        let mut own = Self { names: self.names.clone(), ..Self::new() };
        let copy = own.import(self, n);
        // Declarations that had to be added come behind everything else; without them the ids are in order.
        let in_order = !own.nodes.last().is_some_and(|last| last.has(IMPLIED) && last.kind() == NAMESPACE);
        own.append_child(Self::ROOT, copy);
        own.in_order = in_order;
        own
    }

    /// Copies a node of this document with everything below it; the copy is detached. See [`Document::import`].
    pub fn copy(&mut self, n: NodeId) -> NodeId {
        let n = if n == Self::ROOT { self.root_element().unwrap_or(n) } else { n };
        if self.node(n).kind() == DOCUMENT {
            return self.create_text("");
        }
        let copy = Copy::of(self, n);
        let free = free_bindings(self, n);
        self.graft(copy, &free)
    }

    /// Adds a copy to the arena and declares `free` on its root.
    fn graft(&mut self, copy: Copy, free: &[BindingId]) -> NodeId {
        let base = self.nodes.len() as u32;
        let element_base = self.elements.len() as u32;
        // The numbers of the copy count from a start of its own, which may be behind the new one.
        let (shift, element_shift) = (base.wrapping_sub(copy.base), element_base.wrapping_sub(copy.element_base));
        let moved = |id: u32| if id == NONE { NONE } else { id.wrapping_add(shift) };
        self.nodes.extend(copy.nodes.into_iter().map(|mut node| {
            node.parent = moved(node.parent);
            node.next = moved(node.next);
            if !node.is_attribute_or_namespace() {
                node.prev = moved(node.prev);
            }
            if node.kind() == ELEMENT {
                node.b = node.b.wrapping_add(element_shift);
            }
            node
        }));
        self.elements.extend(copy.elements.into_iter().map(|element| Element {
            first_child: moved(element.first_child),
            first_attribute: moved(element.first_attribute),
            ..element
        }));
        let root = NodeId(base);
        for &binding in free {
            self.imply(root, binding);
        }
        root
    }

    /// Adds a declaration to `el` that look-ups see. Writing repeats it only where it is not in scope anyway, so the
    /// element still counts as unchanged.
    fn imply(&mut self, el: NodeId, binding: BindingId) {
        let prefix = self.names.binding_of(binding).prefix;
        let is_declared = self.namespace_decls(el).any(|it| self.names.binding_of(self.node(it).prev).prefix == prefix);
        if is_declared || !self.is_element(el) {
            return;
        }
        let last = self.attribute_list(el).last();
        let mut node = Node::new(NAMESPACE, IMPLIED | PLAIN, OWNED, 0, 0);
        node.prev = binding;
        node.parent = el.0;
        let id = self.push(node);
        match last {
            Some(last) => self.nodes[last.index()].next = id.0,
            None => {
                let record = self.nodes[el.index()].b as usize;
                self.elements[record].first_attribute = id.0;
            }
        }
    }
}

/// A copied subtree. Its first node is the root.
struct Copy {
    nodes: Vec<Node>,
    elements: Vec<Element>,
    /// What the links call the first node.
    base: u32,
    /// What the nodes call the first element record.
    element_base: u32,
}

impl Copy {
    fn of(doc: &Document, top: NodeId) -> Self {
        Self::in_one_piece(doc, top).unwrap_or_else(|| Self::node_by_node(doc, top))
    }

    /// A subtree that nobody has changed lies in the arena as it was read, in one piece. `None` when it does not.
    fn in_one_piece(doc: &Document, top: NodeId) -> Option<Self> {
        if doc.node(top).kind() != ELEMENT || doc.node(top).has(TREE_CHANGED) {
            return None;
        }
        let mut last = top;
        while let Some(child) = doc.last_child(last) {
            last = child;
        }
        let last = doc.attribute_list(last).last().unwrap_or(last);
        let mut nodes = doc.nodes.get(top.index()..=last.index())?.to_vec();
        let (base, element_base) = (top.0, nodes[0].b);
        let root = &mut nodes[0];
        (root.parent, root.next, root.prev) = (base, NONE, base);
        let count = nodes.iter().filter(|node| node.kind() == ELEMENT).count();
        let start = element_base as usize;
        let elements = doc.elements.get(start..start + count)?.to_vec();
        let is_whole = links_stay_inside(&nodes, base) && records_stay_inside(&nodes, &elements, base, element_base);
        nodes[0].parent = NONE;
        nodes[0].prev = NONE;
        is_whole.then_some(Self { nodes, elements, base, element_base })
    }

    fn node_by_node(doc: &Document, top: NodeId) -> Self {
        let mut copy = Self { nodes: Vec::new(), elements: Vec::new(), base: 0, element_base: 0 };
        let mut at = top;
        let mut here = copy.push(doc, at);
        loop {
            if let Some(child) = doc.first_child(at) {
                let id = copy.push(doc, child);
                copy.nodes[id as usize].parent = here;
                let record = copy.nodes[here as usize].b as usize;
                copy.elements[record].first_child = id;
                (at, here) = (child, id);
                continue;
            }
            loop {
                if at == top {
                    return copy;
                }
                let parent = copy.nodes[here as usize].parent;
                if let Some(next) = doc.next_sibling(at) {
                    let id = copy.push(doc, next);
                    copy.nodes[here as usize].next = id;
                    copy.nodes[id as usize].prev = here;
                    copy.nodes[id as usize].parent = parent;
                    (at, here) = (next, id);
                    break;
                }
                // The last child is complete; the first one must know it.
                let first = copy.elements[copy.nodes[parent as usize].b as usize].first_child;
                copy.nodes[first as usize].prev = here;
                here = parent;
                at = NodeId(doc.node(at).parent);
            }
        }
    }

    /// Copies a node and its attributes, not linked to anything yet.
    fn push(&mut self, doc: &Document, n: NodeId) -> u32 {
        let id = self.nodes.len() as u32;
        let mut node = *doc.node(n);
        (node.parent, node.next) = (NONE, NONE);
        if !node.is_attribute_or_namespace() {
            node.prev = NONE;
        }
        if node.kind() == ELEMENT {
            node.b = self.elements.len() as u32;
            let first_attribute = if doc.element(n).first_attribute == NONE { NONE } else { id + 1 };
            self.elements.push(Element { first_child: NONE, first_attribute, ..*doc.element(n) });
        }
        self.nodes.push(node);
        for attribute in doc.attribute_list(n) {
            let mut node = *doc.node(attribute);
            node.parent = id;
            node.next = if node.next == NONE { NONE } else { self.nodes.len() as u32 + 1 };
            self.nodes.push(node);
        }
        id
    }
}

/// Every link of the nodes, which are numbered from `base`, leads to one of them.
fn links_stay_inside(nodes: &[Node], base: u32) -> bool {
    let inside = |id: u32| (id.wrapping_sub(base) as usize) < nodes.len();
    let is_whole = |node: &Node| {
        inside(node.parent)
            & (node.next == NONE || inside(node.next))
            & (node.is_attribute_or_namespace() || inside(node.prev))
    };
    nodes.iter().fold(true, |all, node| all & is_whole(node))
}

/// The elements among the nodes have the records one after the other, and those lead to nodes among them.
fn records_stay_inside(nodes: &[Node], elements: &[Element], base: u32, element_base: u32) -> bool {
    let inside = |id: u32| id == NONE || (id.wrapping_sub(base) as usize) < nodes.len();
    let mut expected = element_base;
    let in_order = nodes.iter().filter(|node| node.kind() == ELEMENT).fold(true, |all, node| {
        let found = node.b == expected;
        expected = expected.wrapping_add(1);
        all & found
    });
    in_order && elements.iter().fold(true, |all, it| all & inside(it.first_child) & inside(it.first_attribute))
}

/// What the numbers of one document are in another.
struct Translation {
    /// Both documents share one table, so names keep their numbers.
    same_names: bool,
    qnames: Vec<QNameId>,
    sources: Vec<u32>,
    /// The mask that was translated last, which the next element is likely to have.
    mask: (BindingMask, BindingMask),
}

impl Translation {
    fn new(doc: &Document, other: &Document) -> Self {
        let same_names = Arc::ptr_eq(&doc.names, &other.names);
        let qnames = if same_names { Vec::new() } else { vec![NONE; other.names.qname_count()] };
        Self { same_names, qnames, sources: vec![NONE; other.sources.len()], mask: (0, 0) }
    }

    /// Makes a node copied from `other` one of `doc`.
    fn adopt(&mut self, doc: &mut Document, other: &Document, node: &mut Node, element: Option<&mut Element>) {
        match node.kind() {
            ELEMENT => {
                node.a = self.qname(doc, other, node.a);
                if let Some(element) = element {
                    element.needs = self.mask(doc, other, element.needs);
                }
            }
            ATTRIBUTE => node.prev = self.qname(doc, other, node.prev),
            NAMESPACE => node.prev = self.binding(doc, other, node.prev),
            _ => {}
        }
        if node.source() != OWNED {
            node.set_source(self.source(doc, other, node.source()));
        } else if !matches!(node.kind(), ELEMENT | NAMESPACE) {
            (_, node.a, node.b) = doc.own(other.raw(node));
        }
    }

    fn qname(&mut self, doc: &mut Document, other: &Document, id: QNameId) -> QNameId {
        if self.same_names {
            return id;
        }
        let known = self.qnames[id as usize];
        if known != NONE {
            return known;
        }
        let original = other.names.qname(id);
        let (prefix, namespace) = (other.names.prefix_str(original.prefix), other.names.str(original.namespace));
        let qname = Names::qname_in(&mut doc.names, prefix, namespace, other.names.local(id));
        self.qnames[id as usize] = qname;
        qname
    }

    fn binding(&self, doc: &mut Document, other: &Document, id: BindingId) -> BindingId {
        if self.same_names {
            return id;
        }
        let original = other.names.binding_of(id);
        Names::binding_in(&mut doc.names, other.names.prefix_str(original.prefix), other.names.str(original.uri))
    }

    fn mask(&mut self, doc: &mut Document, other: &Document, mask: BindingMask) -> BindingMask {
        if self.same_names {
            return mask;
        }
        if self.mask.0 != mask {
            let overflow = mask & MASK_OVERFLOW;
            let own = bindings_of(mask).fold(overflow, |bits, id| bits | binding_bit(self.binding(doc, other, id)));
            self.mask = (mask, own);
        }
        self.mask.1
    }

    fn source(&mut self, doc: &mut Document, other: &Document, id: u32) -> u32 {
        if self.sources[id as usize] == NONE {
            let text = &other.sources[id as usize].text;
            let start = doc.sources.len().saturating_sub(RECENT_SOURCES);
            let is_same = |at: &usize| std::ptr::eq(&raw const *doc.sources[*at].text, &raw const **text);
            let at = (start..doc.sources.len()).find(is_same).unwrap_or_else(|| {
                doc.sources.push(other.sources[id as usize].clone());
                doc.sources.len() - 1
            });
            self.sources[id as usize] = at as u32;
        }
        self.sources[id as usize]
    }
}

/// The bindings the subtree of `n` takes from the ancestors of `n`.
fn free_bindings(doc: &Document, n: NodeId) -> Vec<BindingId> {
    let node = doc.node(n);
    if node.kind() != ELEMENT {
        return Vec::new();
    }
    let needs = doc.element(n).needs;
    if !node.has(TREE_CHANGED) && needs & MASK_OVERFLOW == 0 {
        return bindings_of(needs).filter(|&binding| binding != 0).collect();
    }
    let outside = doc.parent(n).unwrap_or(Document::ROOT);
    let mut found = Vec::new();
    each_used_binding(doc, n, |prefix, uri| {
        let is_free = prefix != PREFIX_XML && uri != STR_EMPTY && doc.lookup_prefix_id(outside, prefix) == Some(uri);
        if is_free && let Some(binding) = doc.names.find_binding(prefix, uri) {
            found.push(binding);
        }
    });
    found
}

/// Visits each binding that names below `n` use, once.
fn each_used_binding(doc: &Document, n: NodeId, mut visit: impl FnMut(PrefixId, StrId)) {
    let mut seen = vec![false; doc.names.binding_count()];
    let mut once = |binding: BindingId| {
        if !std::mem::replace(&mut seen[binding as usize], true) {
            let binding = doc.names.binding_of(binding);
            visit(binding.prefix, binding.uri);
        }
    };
    for el in doc.descendants(n).filter(|&it| doc.is_element(it)) {
        once(doc.names.qname(doc.node(el).a).binding);
        for attribute in doc.attributes(el) {
            let qname = doc.names.qname(doc.node(attribute).prev);
            if qname.prefix == PREFIX_EMPTY {
                continue;
            }
            once(qname.binding);
            if let Some(binding) = type_binding(doc, el, attribute) {
                once(binding);
            }
        }
    }
}

/// The binding an `xsi:type` attribute of `el` uses in its value.
pub(crate) fn type_binding(doc: &Document, el: NodeId, attribute: NodeId) -> Option<BindingId> {
    let qname = doc.names.qname(doc.node(attribute).prev);
    if qname.namespace != STR_XSI_NS || doc.names.name_local(qname.name) != STR_TYPE {
        return None;
    }
    let value = doc.value(attribute);
    let (prefix, _) = value.trim_start().split_once(':')?;
    let prefix = doc.names.find_prefix(prefix)?;
    doc.names.find_binding(prefix, doc.lookup_prefix_id(el, prefix)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether an element is copied as a piece, and that both ways give the same.
    #[track_caller]
    fn check(document: &Document, n: NodeId, in_one_piece: bool) {
        let (piece, nodes) = (Copy::in_one_piece(document, n), Copy::node_by_node(document, n));
        assert_eq!(piece.is_some(), in_one_piece, "{}", document.to_xml(n));
        let mut written = Vec::new();
        for copy in piece.into_iter().chain([nodes]) {
            let mut target = document.clone();
            let root = target.graft(copy, &[]);
            let parent = target.create_element("", "parent", "");
            target.append_child(parent, root);
            let below: Vec<String> =
                target.descendants(root).map(|it| format!("{:?}{:?}", target.kind(it), target.value(it))).collect();
            let backwards: Vec<NodeId> = {
                let mut found = Vec::new();
                let mut next = target.last_child(root);
                while let Some(child) = next {
                    found.push(child);
                    next = target.prev_sibling(child);
                }
                found
            };
            let mut forwards: Vec<NodeId> = target.children(root).collect();
            forwards.reverse();
            assert_eq!(backwards, forwards);
            assert!(forwards.iter().all(|child| target.parent(*child) == Some(root)));
            written.push((target.to_xml(parent), below));
        }
        assert!(written.iter().all(|it| *it == written[0]), "{written:?}");
    }

    const XML: &str = "<a xmlns:p='urn:p' k='1'><b/>t<p:c x='1' p:y='2'><d>u</d><!--n--></p:c><e z='3'/></a>";

    #[test]
    fn what_was_read_and_not_changed_is_copied_in_one_piece() {
        let document = Document::parse(XML).expect("well-formed");
        for n in document.descendants(Document::ROOT).filter(|it| document.is_element(*it)) {
            check(&document, n, true);
        }
    }

    #[test]
    fn changes_are_copied_node_by_node() {
        let mut document = Document::parse(XML).expect("well-formed");
        let root = document.root_element().expect("root");
        let elements: Vec<NodeId> = document.child_elements(root).collect();
        let [b, c, e] = elements[..] else { panic!("three elements") };
        document.append_child(b, e);
        check(&document, root, false);
        check(&document, b, false);
        check(&document, c, true);
        check(&document, e, true);
        let made = document.create_element("", "made", "");
        document.append_child(c, made);
        check(&document, c, false);
        check(&document, made, false);
    }

    /// A declaration that a copy brought along stands behind everything else.
    #[test]
    fn declarations_of_copies_are_kept() {
        let mut document = Document::parse(XML).expect("well-formed");
        let c = document.child_elements(document.root_element().expect("root")).nth(1).expect("c");
        let copy = document.copy(c);
        assert_eq!(document.namespace_decls(copy).count(), 1);
        check(&document, copy, false);
        let inner = document.child_elements(copy).next().expect("d");
        check(&document, inner, true);
        let again = document.copy(copy);
        assert_eq!(document.to_xml(again), document.to_xml(copy));
        let other = Document::parse("<o/>").expect("well-formed");
        let mut target = other;
        let imported = target.import(&document, c);
        assert_eq!(target.to_xml(imported), document.to_xml(copy));
    }
}
