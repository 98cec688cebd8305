//! The records of the tree and the walk over them.
//!
//! A node is 24 bytes, an element has 24 more in a table of its own. Children form a list whose first entry knows the
//! last one, attributes and namespace declarations a second list in the order they were written. Values are ranges
//! of a source (the received bytes, shared) or of one append-only buffer of the document's own.
//!
//! Reading values is in `values`, scopes in `namespaces`, changes in `edit` and `import`.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;

use crate::limits::{ParseError, ParseOptions, column_of};
use crate::names::{BindingMask, NONE, Names, QNameId};
use crate::parser;

/// A node of one [`Document`]; ids of another document name other nodes or none.
///
/// Using an id with a document it does not belong to is a mistake of the caller. It reads some other node or an
/// empty text, and edits through it are ignored or hit that other node; it does not panic.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    /// The position of the node in creation order, for side tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node is. A CDATA section is [`NodeKind::Text`] for which [`Document::is_cdata`] holds.
#[derive(Copy, Clone, Eq, PartialEq, Hash, Debug)]
pub enum NodeKind {
    /// The document itself, always [`Document::ROOT`].
    Document,
    /// An element.
    Element,
    /// An attribute that is no namespace declaration.
    Attribute,
    /// A namespace declaration: its local name is the prefix, its value the URI.
    Namespace,
    /// Text or a CDATA section.
    Text,
    /// A comment.
    Comment,
    /// A processing instruction: its local name is the target.
    Pi,
}

pub(crate) const DOCUMENT: u32 = 0;
pub(crate) const ELEMENT: u32 = 1;
pub(crate) const ATTRIBUTE: u32 = 2;
pub(crate) const NAMESPACE: u32 = 3;
pub(crate) const TEXT: u32 = 4;
pub(crate) const COMMENT: u32 = 5;
pub(crate) const PI: u32 = 6;
const KIND: u32 = 0b111;

/// Values: the bytes hold references, line ends or white space that reading must replace.
pub(crate) const DECODE: u32 = 1 << 3;
/// Text: written as a CDATA section.
pub(crate) const CDATA: u32 = 1 << 4;
/// Attributes and declarations: the source has single quotes.
pub(crate) const APOSTROPHES: u32 = 1 << 4;
/// Declarations: for look-ups only, so written only where they are not in scope anyway.
pub(crate) const IMPLIED: u32 = 1 << 5;
/// Elements: name, attributes or declarations are no longer those of the source.
pub(crate) const TAG_CHANGED: u32 = 1 << 3;
/// Elements: something in the subtree, the tag included, is no longer as in the source.
pub(crate) const TREE_CHANGED: u32 = 1 << 4;
/// Elements: written `<a/>` when there is no content.
pub(crate) const SELF_CLOSED: u32 = 1 << 5;

/// Values: plain text that was set, not markup from a source.
pub(crate) const PLAIN: u32 = 1 << 6;

const SOURCE_SHIFT: u32 = 8;
/// The source number of values in the document's own buffer, and of elements that were made.
pub(crate) const OWNED: u32 = u32::MAX >> SOURCE_SHIFT;

/// One node. The meaning of `prev`, `a` and `b` depends on the kind; the accessors tell.
#[derive(Copy, Clone)]
pub(crate) struct Node {
    /// Kind, flags and source number; see [`tag`].
    pub(crate) tag: u32,
    pub(crate) parent: u32,
    pub(crate) next: u32,
    /// Children: the sibling before, or the last sibling for a first child. Attributes: qname. Declarations: binding.
    pub(crate) prev: u32,
    /// Elements: qname. Others: start of the value.
    pub(crate) a: u32,
    /// Elements and the document: index of the [`Element`] record. Others: length of the value.
    pub(crate) b: u32,
}

/// The first word of a [`Node`].
#[inline]
pub(crate) const fn tag(kind: u32, flags: u32, source: u32) -> u32 {
    kind | flags | source << SOURCE_SHIFT
}

impl Node {
    #[inline]
    pub(crate) const fn new(kind: u32, flags: u32, source: u32, a: u32, b: u32) -> Self {
        Self { tag: tag(kind, flags, source), parent: NONE, next: NONE, prev: NONE, a, b }
    }

    #[inline]
    pub(crate) const fn kind(&self) -> u32 {
        self.tag & KIND
    }

    #[inline]
    pub(crate) const fn has(&self, flag: u32) -> bool {
        self.tag & flag != 0
    }

    #[inline]
    pub(crate) const fn set(&mut self, flag: u32) {
        self.tag |= flag;
    }

    #[inline]
    pub(crate) const fn source(&self) -> u32 {
        self.tag >> SOURCE_SHIFT
    }

    pub(crate) const fn set_source(&mut self, source: u32) {
        self.tag = self.tag & ((1 << SOURCE_SHIFT) - 1) | source << SOURCE_SHIFT;
    }

    /// Gives the node a new plain value; what the flags said about the old one is forgotten.
    pub(crate) const fn set_value(&mut self, source: u32, start: u32, len: u32) {
        let kept = if self.kind() == TEXT { CDATA } else { 0 };
        self.tag = self.tag & (KIND | kept) | PLAIN | source << SOURCE_SHIFT;
        self.a = start;
        self.b = len;
    }

    #[inline]
    pub(crate) const fn is_attribute_or_namespace(&self) -> bool {
        matches!(self.kind(), ATTRIBUTE | NAMESPACE)
    }
}

/// What an element (or the document) has beside its [`Node`].
#[derive(Copy, Clone)]
pub(crate) struct Element {
    pub(crate) first_child: u32,
    pub(crate) first_attribute: u32,
    /// The bytes of the element in its source; the document: of everything it holds.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// The end of the start tag.
    pub(crate) tag_end: u32,
    /// What the subtree takes from outside, as long as it is unchanged.
    pub(crate) needs: BindingMask,
}

impl Element {
    pub(crate) const EMPTY: Self =
        Self { first_child: NONE, first_attribute: NONE, start: 0, end: 0, tag_end: 0, needs: 0 };
}

/// Stands in for nodes that do not exist.
static NO_NODE: Node = Node::new(TEXT, 0, OWNED, 0, 0);
static NO_ELEMENT: Element = Element::EMPTY;

/// Text nodes point into; shared by clones and copies.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) text: ByteString,
    /// Offsets of line starts, found when somebody asks for a position.
    lines: OnceLock<Vec<u32>>,
}

impl Source {
    pub(crate) fn new(text: ByteString) -> Self {
        Self { text, lines: OnceLock::new() }
    }

    fn position(&self, offset: usize) -> (u32, u32) {
        let lines = self.lines.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at as u32 + 1);
            std::iter::once(0).chain(breaks).collect()
        });
        let line = lines.partition_point(|&start| start as usize <= offset);
        let start = lines[line.saturating_sub(1)] as usize;
        (line as u32, column_of(&self.text.as_bytes()[..offset], start))
    }
}

/// An XML document: read, changed, written. `Send + Sync`; a clone copies flat vectors and shares the received text.
///
/// Nodes that are detached stay in the arena until the document is dropped.
#[derive(Clone)]
pub struct Document {
    pub(crate) nodes: Vec<Node>,
    pub(crate) elements: Vec<Element>,
    /// Shared with the vocabulary of the thread that parsed the document, and with clones.
    pub(crate) names: Arc<Names>,
    pub(crate) sources: Vec<Source>,
    pub(crate) owned: String,
    pub(crate) trailing: Option<usize>,
    /// Node ids are in document order: true until the first edit that may break it.
    pub(crate) in_order: bool,
    /// Positions in document order, once asked for; dropped by edits.
    pub(crate) order: OnceLock<Vec<u32>>,
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.root_element().map(|root| self.local_name(root));
        f.debug_struct("Document").field("root", &root).field("nodes", &self.nodes.len()).finish_non_exhaustive()
    }
}

// === making ===

impl Document {
    /// The document node.
    pub const ROOT: NodeId = NodeId(0);

    /// A document without any content.
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::new(DOCUMENT, TREE_CHANGED, OWNED, NONE, 0)],
            elements: vec![Element::EMPTY],
            names: Names::empty(),
            sources: Vec::new(),
            owned: String::new(),
            trailing: None,
            in_order: true,
            order: OnceLock::new(),
        }
    }

    /// Reads a document with the default caps. UTF-8 (a byte order mark is allowed) is read in place; UTF-16 and, when
    /// the XML declaration names them, ISO-8859-1, US-ASCII and windows-1252 are transcoded first.
    pub fn parse(bytes: impl Into<Bytes>) -> Result<Self, ParseError> {
        Self::parse_with(bytes, &ParseOptions::default())
    }

    /// Reads a document; see [`Document::parse`].
    pub fn parse_with(bytes: impl Into<Bytes>, options: &ParseOptions) -> Result<Self, ParseError> {
        parser::parse(bytes.into(), None, options)
    }

    /// Reads a document whose character encoding is known from outside, such as the `charset` of a content type. It
    /// overrides the XML declaration; a byte order mark overrides both.
    pub fn parse_encoded(bytes: impl Into<Bytes>, charset: &str, options: &ParseOptions) -> Result<Self, ParseError> {
        parser::parse(bytes.into(), Some(charset), options)
    }

    /// Where the bytes behind the root element start that [`ParseOptions::stop_after_root`] made the parser ignore.
    pub fn trailing(&self) -> Option<usize> {
        self.trailing
    }
}

// === records ===

impl Document {
    #[inline]
    pub(crate) fn node(&self, n: NodeId) -> &Node {
        self.nodes.get(n.0 as usize).unwrap_or(&NO_NODE)
    }

    #[inline]
    pub(crate) fn has_node(&self, n: NodeId) -> bool {
        (n.0 as usize) < self.nodes.len()
    }

    /// The element record of an element or the document, an empty one for other nodes.
    #[inline]
    pub(crate) fn element(&self, n: NodeId) -> &Element {
        let node = self.node(n);
        if node.kind() <= ELEMENT { self.elements.get(node.b as usize).unwrap_or(&NO_ELEMENT) } else { &NO_ELEMENT }
    }

    /// The value as it stands in its source: with references when it was parsed, plain when it was set.
    #[inline]
    pub(crate) fn raw(&self, node: &Node) -> &str {
        let range = node.a as usize..(node.a as usize).saturating_add(node.b as usize);
        self.source_text(node.source()).get(range).unwrap_or("")
    }

    /// The bytes of a source and the range of a node's value in it.
    #[inline]
    pub(crate) fn raw_range(&self, node: &Node) -> (&[u8], Range<usize>) {
        let start = node.a as usize;
        (self.source_text(node.source()).as_bytes(), start..start + node.b as usize)
    }

    #[inline]
    pub(crate) fn source_text(&self, source: u32) -> &str {
        match self.sources.get(source as usize) {
            Some(source) => &source.text,
            None => &self.owned,
        }
    }

    /// The qname of an element or attribute.
    #[inline]
    pub(crate) fn qname_id(&self, n: NodeId) -> Option<QNameId> {
        let node = self.node(n);
        match node.kind() {
            ELEMENT => Some(node.a),
            ATTRIBUTE => Some(node.prev),
            _ => None,
        }
    }

    #[inline]
    pub(crate) const fn some(id: u32) -> Option<NodeId> {
        if id == NONE { None } else { Some(NodeId(id)) }
    }
}

// === walking ===

impl Document {
    /// The first element child of the document.
    pub fn root_element(&self) -> Option<NodeId> {
        self.first_child_element(Self::ROOT)
    }

    /// What the node is.
    #[inline]
    pub fn kind(&self, n: NodeId) -> NodeKind {
        match self.node(n).kind() {
            DOCUMENT => NodeKind::Document,
            ELEMENT => NodeKind::Element,
            ATTRIBUTE => NodeKind::Attribute,
            NAMESPACE => NodeKind::Namespace,
            COMMENT => NodeKind::Comment,
            PI => NodeKind::Pi,
            _ => NodeKind::Text,
        }
    }

    /// Whether the node is an element.
    #[inline]
    pub fn is_element(&self, n: NodeId) -> bool {
        self.node(n).kind() == ELEMENT
    }

    /// Whether the node is text written as a CDATA section.
    pub fn is_cdata(&self, n: NodeId) -> bool {
        let node = self.node(n);
        node.kind() == TEXT && node.has(CDATA)
    }

    /// The parent; for attributes and declarations the element they stand on.
    #[inline]
    pub fn parent(&self, n: NodeId) -> Option<NodeId> {
        Self::some(self.node(n).parent)
    }

    /// The first child.
    #[inline]
    pub fn first_child(&self, n: NodeId) -> Option<NodeId> {
        Self::some(self.element(n).first_child)
    }

    /// The last child.
    pub fn last_child(&self, n: NodeId) -> Option<NodeId> {
        self.first_child(n).and_then(|first| Self::some(self.node(first).prev))
    }

    /// The next sibling; attributes and declarations have none.
    #[inline]
    pub fn next_sibling(&self, n: NodeId) -> Option<NodeId> {
        let node = self.node(n);
        if node.is_attribute_or_namespace() { None } else { Self::some(node.next) }
    }

    /// The sibling before; attributes and declarations have none.
    pub fn prev_sibling(&self, n: NodeId) -> Option<NodeId> {
        let node = self.node(n);
        if node.is_attribute_or_namespace() || node.parent == NONE {
            return None;
        }
        let is_first = self.element(NodeId(node.parent)).first_child == n.0;
        if is_first { None } else { Self::some(node.prev) }
    }

    /// The first child that is an element.
    pub fn first_child_element(&self, n: NodeId) -> Option<NodeId> {
        self.child_elements(n).next()
    }

    /// The next sibling that is an element.
    pub fn next_sibling_element(&self, n: NodeId) -> Option<NodeId> {
        std::iter::successors(self.next_sibling(n), |&it| self.next_sibling(it)).find(|&it| self.is_element(it))
    }

    /// The children in order.
    pub fn children(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        std::iter::successors(self.first_child(n), |&child| self.next_sibling(child))
    }

    /// The children that are elements, in order.
    pub fn child_elements(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        self.children(n).filter(|&child| self.is_element(child))
    }

    /// The node itself and everything below it in document order, without attributes and declarations.
    pub fn descendants(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        std::iter::successors(Some(n), move |&at| self.next_in(n, at))
    }

    /// What lies below a node as a run of consecutive ids, attributes and declarations included: a scan of records that
    /// lie side by side, for searches. `None` once an edit has moved nodes; then [`Document::descendants`] is the way.
    pub fn descendant_ids(&self, n: NodeId) -> Option<impl Iterator<Item = NodeId> + Clone + use<>> {
        if !self.in_order || !self.has_node(n) {
            return None;
        }
        let last = std::iter::successors(Some(n), |&at| self.last_child(at)).last().unwrap_or(n);
        Some((n.0 + 1..=last.0).map(NodeId))
    }

    /// The parents, nearest first, up to the document.
    pub fn ancestors(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        std::iter::successors(self.parent(n), |&it| self.parent(it))
    }

    /// The node behind `at` in document order, within the subtree of `top`.
    #[inline]
    pub(crate) fn next_in(&self, top: NodeId, at: NodeId) -> Option<NodeId> {
        if let Some(child) = self.first_child(at) {
            return Some(child);
        }
        let mut at = at;
        while at != top {
            let node = self.node(at);
            if node.is_attribute_or_namespace() {
                return None;
            }
            if node.next != NONE {
                return Some(NodeId(node.next));
            }
            at = NodeId(node.parent);
            if node.parent == NONE {
                return None;
            }
        }
        None
    }

    /// The attributes in the order they are written, without namespace declarations.
    pub fn attributes(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        self.attribute_list(n).filter(|&it| self.node(it).kind() == ATTRIBUTE)
    }

    /// The namespace declarations of the element itself in the order they are written.
    pub fn namespace_decls(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        self.attribute_list(n).filter(|&it| self.node(it).kind() == NAMESPACE)
    }

    /// Attributes and declarations.
    #[inline]
    pub(crate) fn attribute_list(&self, n: NodeId) -> impl Iterator<Item = NodeId> + Clone + '_ {
        let first = Self::some(self.element(n).first_attribute);
        std::iter::successors(first, |&it| Self::some(self.node(it).next))
    }
}

// === places in the source ===

impl Document {
    /// Where the node starts in the source it was parsed from; `None` when it was made or got its value later.
    pub fn offset(&self, n: NodeId) -> Option<usize> {
        let node = self.node(n);
        if node.source() == OWNED || node.has(PLAIN) {
            return None;
        }
        Some(if node.kind() <= ELEMENT { self.element(n).start as usize } else { node.a as usize })
    }

    /// Line and column of [`Document::offset`], both counted from 1, the column in characters.
    pub fn position(&self, n: NodeId) -> Option<(u32, u32)> {
        let offset = self.offset(n)?;
        self.sources.get(self.node(n).source() as usize).map(|source| source.position(offset))
    }

    /// The bytes of the element in the source it was parsed from, whether or not it was changed since.
    pub fn source_range(&self, n: NodeId) -> Option<Range<usize>> {
        let node = self.node(n);
        let element = self.element(n);
        (node.kind() == ELEMENT && node.source() != OWNED).then_some(element.start as usize..element.end as usize)
    }

    /// The same, as long as nothing in the element was changed: what it would be written as.
    pub fn unchanged_source(&self, n: NodeId) -> Option<&str> {
        if self.node(n).has(TREE_CHANGED) { None } else { self.source_of(n) }
    }

    /// The text behind [`Document::source_range`]: the element as it was received.
    pub fn source_of(&self, n: NodeId) -> Option<&str> {
        let range = self.source_range(n)?;
        self.source_text(self.node(n).source()).get(range)
    }
}
