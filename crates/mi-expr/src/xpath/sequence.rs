//! Sequences of items, with cheap forms for what nearly every expression yields: nothing, one item, or nodes of one
//! document in document order.

use std::cmp::Ordering;
use std::collections::HashMap;

use mi_xml::{Document, NodeId};

use super::Version;
use super::error::XPathError;
use super::value::{DocRef, Item, Node, Str};

/// The value of an expression or a variable.
#[derive(Clone, Debug, Default)]
pub struct Sequence<'d>(pub(super) Repr<'d>);

#[derive(Clone, Debug, Default)]
pub(super) enum Repr<'d> {
    #[default]
    Empty,
    One(Item<'d>),
    /// Two or more distinct nodes of one document, in document order.
    Nodes(DocRef<'d>, Vec<NodeId>),
    /// Two or more items.
    Many(Vec<Item<'d>>),
}

impl<'d> Sequence<'d> {
    /// The empty sequence.
    pub const fn empty() -> Self {
        Self(Repr::Empty)
    }

    /// A sequence of one item.
    pub const fn one(item: Item<'d>) -> Self {
        Self(Repr::One(item))
    }

    /// A string.
    pub fn string(s: impl Into<Str<'d>>) -> Self {
        Self::one(Item::String(s.into()))
    }

    /// One node of a document that outlives the evaluation.
    pub fn node(doc: &'d Document, id: NodeId) -> Self {
        Self::one(Item::Node(Node::new(doc, id)))
    }

    /// Nodes of one document. They are brought into document order and duplicates are dropped.
    pub fn nodes(doc: DocRef<'d>, mut ids: Vec<NodeId>) -> Self {
        sort_nodes(&doc, &mut ids);
        Self::sorted_nodes(doc, ids)
    }

    /// Nodes that are known to be distinct and in document order.
    pub(super) fn sorted_nodes(doc: DocRef<'d>, ids: Vec<NodeId>) -> Self {
        match ids.as_slice() {
            [] => Self::empty(),
            [id] => Self::one(Item::Node(Node { id: *id, doc })),
            _ => Self(Repr::Nodes(doc, ids)),
        }
    }

    /// Items in the given order.
    pub fn from_items(mut items: Vec<Item<'d>>) -> Self {
        match items.len() {
            0 => Self::empty(),
            1 => items.pop().map(Self::one).unwrap_or_default(),
            _ => Self(Repr::Many(items)),
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        match &self.0 {
            Repr::Empty => 0,
            Repr::One(_) => 1,
            Repr::Nodes(_, ids) => ids.len(),
            Repr::Many(items) => items.len(),
        }
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Repr::Empty)
    }

    /// The item at an index counted from zero.
    pub fn get(&self, index: usize) -> Option<Item<'d>> {
        match &self.0 {
            Repr::Empty => None,
            Repr::One(item) => (index == 0).then(|| item.clone()),
            Repr::Nodes(doc, ids) => ids.get(index).map(|id| Item::Node(Node { doc: doc.clone(), id: *id })),
            Repr::Many(items) => items.get(index).cloned(),
        }
    }

    /// The first item.
    pub fn first(&self) -> Option<Item<'d>> {
        self.get(0)
    }

    /// The items in order; each is cloned, which copies no text of a borrowed document.
    pub fn iter(&self) -> impl Iterator<Item = Item<'d>> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// The nodes among the items, in order.
    pub fn node_iter(&self) -> impl Iterator<Item = Node<'d>> + '_ {
        self.iter().filter_map(|item| match item {
            Item::Node(n) => Some(n),
            _ => None,
        })
    }

    /// The first item if it is a node.
    pub fn first_node(&self) -> Option<Node<'d>> {
        match self.first() {
            Some(Item::Node(n)) => Some(n),
            _ => None,
        }
    }

    /// The items as a vector.
    pub fn into_items(self) -> Vec<Item<'d>> {
        match self.0 {
            Repr::Empty => Vec::new(),
            Repr::One(item) => vec![item],
            Repr::Nodes(doc, ids) => ids.into_iter().map(|id| Item::Node(Node { doc: doc.clone(), id })).collect(),
            Repr::Many(items) => items,
        }
    }

    /// Whether this is a node-set in the sense of XPath 1.0; the empty sequence is one.
    pub fn is_nodeset(&self) -> bool {
        match &self.0 {
            Repr::Empty | Repr::Nodes(..) => true,
            Repr::One(item) => matches!(item, Item::Node(_)),
            Repr::Many(items) => items.iter().all(|i| matches!(i, Item::Node(_))),
        }
    }

    /// The string of the first item by the rules of XPath 1.0; empty for the empty sequence.
    pub fn to_str(&self) -> Str<'d> {
        self.to_str_as(Version::V1)
    }

    /// The string of the first item, with numbers written by the rules of `version`.
    pub fn to_str_as(&self, version: Version) -> Str<'d> {
        match &self.0 {
            Repr::Empty => Str::Borrowed(""),
            Repr::One(item) => item.to_str(version),
            Repr::Nodes(doc, ids) => ids.first().map_or(Str::Borrowed(""), |id| doc.string_value(*id)),
            Repr::Many(items) => items.first().map_or(Str::Borrowed(""), |i| i.to_str(version)),
        }
    }

    /// The number of the first item as `number()` gives it; NaN for the empty sequence.
    pub fn to_number(&self) -> f64 {
        match &self.0 {
            Repr::One(item) => item.to_number(),
            Repr::Empty => f64::NAN,
            _ => self.first().map_or(f64::NAN, |i| i.to_number()),
        }
    }

    /// The effective boolean value. XPath 1.0's rules are a part of the 2.0 ones, which are used here.
    ///
    /// # Errors
    /// `FORG0006` for several items that do not start with a node, and for dates, durations and names.
    pub fn effective_boolean(&self) -> Result<bool, XPathError> {
        match &self.0 {
            Repr::Empty => Ok(false),
            Repr::Nodes(..) => Ok(true),
            Repr::One(item) => item_boolean(item),
            Repr::Many(items) if matches!(items.first(), Some(Item::Node(_))) => Ok(true),
            Repr::Many(_) => {
                Err(XPathError::dynamic("FORG0006", "a sequence of several values has no effective boolean value"))
            }
        }
    }

    /// Document order with duplicates dropped; documents follow each other in order of appearance.
    ///
    /// # Errors
    /// `XPTY0004` if there is an item that is not a node.
    pub(super) fn into_document_order(self) -> Result<Self, XPathError> {
        let Repr::Many(items) = self.0 else {
            return match self.0 {
                Repr::One(ref item) if !matches!(item, Item::Node(_)) => Err(not_nodes(item)),
                _ => Ok(self),
            };
        };
        let mut groups: Vec<(DocRef<'d>, Vec<NodeId>)> = Vec::new();
        // Constructors make a document for each node, so there can be many.
        let mut known: HashMap<*const Document, usize> = HashMap::new();
        for item in items {
            let Item::Node(node) = item else { return Err(not_nodes(&item)) };
            let next = groups.len();
            let at = *known.entry(std::ptr::from_ref::<Document>(&node.doc)).or_insert(next);
            match groups.get_mut(at) {
                Some((_, ids)) => ids.push(node.id),
                None => groups.push((node.doc, vec![node.id])),
            }
        }
        for (doc, ids) in &mut groups {
            sort_nodes(doc, ids);
        }
        if groups.len() == 1 {
            return Ok(groups.pop().map(|(doc, ids)| Self::sorted_nodes(doc, ids)).unwrap_or_default());
        }
        let nodes = groups.into_iter().flat_map(|(doc, ids)| {
            ids.into_iter().map(move |id| Item::Node(Node { doc: doc.clone(), id })).collect::<Vec<_>>()
        });
        Ok(Self::from_items(nodes.collect()))
    }
}

fn not_nodes(item: &Item<'_>) -> XPathError {
    XPathError::type_error(format!("nodes are needed here, but there is a value of type {}", item.type_name()))
}

/// Brings nodes of one document into document order and drops duplicates.
pub(super) fn sort_nodes(doc: &Document, ids: &mut Vec<NodeId>) {
    let ordered = |a: &NodeId, b: &NodeId| doc.compare_order(*a, *b) == Ordering::Less;
    if ids.is_sorted_by(ordered) {
        return;
    }
    ids.sort_unstable_by(|a, b| doc.compare_order(*a, *b));
    ids.dedup();
}

pub(super) fn item_boolean(item: &Item<'_>) -> Result<bool, XPathError> {
    Ok(match item {
        Item::Node(_) => true,
        Item::Boolean(b) => *b,
        Item::String(s) | Item::Untyped(s) | Item::AnyUri(s) => !s.is_empty(),
        Item::Integer(i) => *i != 0,
        Item::BigInteger(_) => true,
        Item::Decimal(d) => !d.is_zero(),
        Item::Float(v) => *v != 0.0 && !v.is_nan(),
        Item::Double(v) => *v != 0.0 && !v.is_nan(),
        _ => {
            let message = format!("a value of type {} has no effective boolean value", item.type_name());
            return Err(XPathError::dynamic("FORG0006", message));
        }
    })
}

impl<'d> From<Item<'d>> for Sequence<'d> {
    fn from(item: Item<'d>) -> Self {
        Self::one(item)
    }
}

impl<'d> From<Option<Item<'d>>> for Sequence<'d> {
    fn from(item: Option<Item<'d>>) -> Self {
        item.map(Self::one).unwrap_or_default()
    }
}

impl<'d> From<Node<'d>> for Sequence<'d> {
    fn from(node: Node<'d>) -> Self {
        Self::one(Item::Node(node))
    }
}

impl From<bool> for Sequence<'_> {
    fn from(v: bool) -> Self {
        Self::one(Item::Boolean(v))
    }
}

impl From<f64> for Sequence<'_> {
    fn from(v: f64) -> Self {
        Self::one(Item::Double(v))
    }
}

impl From<i64> for Sequence<'_> {
    fn from(v: i64) -> Self {
        Self::one(Item::Integer(v))
    }
}

impl From<String> for Sequence<'_> {
    fn from(s: String) -> Self {
        Self::string(s)
    }
}

impl<'d> From<&'d str> for Sequence<'d> {
    fn from(s: &'d str) -> Self {
        Self::string(s)
    }
}
