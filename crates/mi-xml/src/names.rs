//! The name table of a document: strings, prefixes, expanded names and written names, each interned to a `u32`.
//!
//! All strings live in one buffer, so that copying a document copies a few flat vectors. One hash table serves all
//! kinds; its hash is keyed with a secret of the process, because names come from strangers.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use crate::{XML_NAMESPACE, XMLNS_NAMESPACE, XSI_NAMESPACE};

/// An interned pair of namespace URI and local name, valid within one document and its clones.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct NameId(pub(crate) u32);

impl NameId {
    /// The number of the name, for side tables: names are numbered from zero without gaps.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

pub(crate) const NONE: u32 = u32::MAX;

/// An interned string.
pub(crate) type StrId = u32;
/// A prefix: prefixes are few and numbered on their own, so that scopes are short vectors.
pub(crate) type PrefixId = u32;
/// A name as written: prefix, namespace and local name.
pub(crate) type QNameId = u32;
/// A pair of prefix and namespace URI.
pub(crate) type BindingId = u32;

pub(crate) const STR_EMPTY: StrId = 0;
pub(crate) const STR_XML_NS: StrId = 2;
pub(crate) const STR_XMLNS_NS: StrId = 4;
pub(crate) const STR_XSI_NS: StrId = 5;
pub(crate) const STR_TYPE: StrId = 6;
pub(crate) const PREFIX_EMPTY: PrefixId = 0;
pub(crate) const PREFIX_XML: PrefixId = 1;
pub(crate) const PREFIX_XMLNS: PrefixId = 2;
const BINDING_XML: BindingId = 1;

/// The set of bindings a subtree takes from outside, one bit for each of the first bindings of the document.
pub(crate) type BindingMask = u32;
/// Set when a binding without a bit of its own is needed.
pub(crate) const MASK_OVERFLOW: BindingMask = 1 << 31;

/// The bit that stands for `binding`. The prefix `xml` is always bound and needs none.
#[inline]
pub(crate) const fn binding_bit(binding: BindingId) -> BindingMask {
    match binding {
        0 => 1,
        BINDING_XML => 0,
        2..=31 => 1 << (binding - 1),
        _ => MASK_OVERFLOW,
    }
}

/// The bindings whose bits are set in `mask`; the overflow bit names none.
pub(crate) fn bindings_of(mask: BindingMask) -> impl Iterator<Item = BindingId> {
    let mut rest = mask & !MASK_OVERFLOW;
    std::iter::from_fn(move || {
        let bit = rest.trailing_zeros();
        // Clears the lowest bit; there is none left when the count reaches the width.
        rest &= rest.wrapping_sub(1);
        (bit < BindingMask::BITS).then_some(if bit == 0 { 0 } else { bit + 1 })
    })
}

#[derive(Copy, Clone)]
struct Text {
    start: u32,
    len: u32,
    /// The number of this string among the prefixes, or [`NONE`].
    prefix: PrefixId,
}

impl Text {
    #[inline]
    fn range(self) -> Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

/// A name as written. The buffer holds `<p:local></p:local>`, so that either tag is one copy.
#[derive(Copy, Clone)]
pub(crate) struct QName {
    start: u32,
    /// Bytes of `p:local`.
    len: u32,
    /// Bytes of `p`, and 1 more when there is a colon.
    prefix_len: u32,
    pub(crate) name: NameId,
    pub(crate) namespace: StrId,
    pub(crate) prefix: PrefixId,
    pub(crate) binding: BindingId,
}

#[derive(Copy, Clone)]
pub(crate) struct Binding {
    pub(crate) prefix: PrefixId,
    pub(crate) uri: StrId,
}

pub(crate) struct Names {
    buffer: String,
    texts: Vec<Text>,
    prefixes: Vec<StrId>,
    expanded: Vec<(StrId, StrId)>,
    qnames: Vec<QName>,
    bindings: Vec<Binding>,
    index: Index,
}

/// The kinds that share the hash table.
#[derive(Copy, Clone)]
enum Table {
    Text = 0,
    Name = 1,
    QName = 2,
    Binding = 3,
}

/// What every document starts with: the strings and bindings all documents have.
static EMPTY: LazyLock<Arc<Names>> = LazyLock::new(|| Arc::new(Names::with_well_known()));

impl Clone for Names {
    /// A copy is made to add something, so it has room for what a small message adds.
    fn clone(&self) -> Self {
        let mut buffer = String::with_capacity(self.buffer.len() + 2048);
        buffer.push_str(&self.buffer);
        Self {
            buffer,
            texts: grown(&self.texts, 64),
            prefixes: grown(&self.prefixes, 16),
            expanded: grown(&self.expanded, 64),
            qnames: grown(&self.qnames, 64),
            bindings: grown(&self.bindings, 16),
            index: self.index.clone(),
        }
    }
}

impl Names {
    pub(crate) fn empty() -> Arc<Self> {
        Arc::clone(&EMPTY)
    }

    fn with_well_known() -> Self {
        let mut names = Self {
            buffer: String::new(),
            texts: Vec::new(),
            prefixes: Vec::new(),
            expanded: Vec::new(),
            qnames: Vec::new(),
            bindings: Vec::new(),
            index: Index::new(),
        };
        for (id, text) in ["", "xml", XML_NAMESPACE, "xmlns", XMLNS_NAMESPACE, XSI_NAMESPACE, "type"].iter().enumerate()
        {
            let interned = names.intern(text);
            debug_assert_eq!(interned, id as u32, "the constants above count in this order");
        }
        for (id, text) in ["", "xml", "xmlns"].iter().enumerate() {
            let text = names.intern(text);
            let prefix = names.prefix(text);
            debug_assert_eq!(prefix, id as u32, "the constants above count in this order");
        }
        names.binding(PREFIX_EMPTY, STR_EMPTY);
        names.binding(PREFIX_XML, STR_XML_NS);
        names
    }

    // === reading ===

    #[inline]
    pub(crate) fn str(&self, id: StrId) -> &str {
        &self.buffer[self.texts[id as usize].range()]
    }

    pub(crate) fn prefix_str(&self, id: PrefixId) -> &str {
        self.str(self.prefixes[id as usize])
    }

    #[inline]
    pub(crate) fn qname(&self, id: QNameId) -> &QName {
        &self.qnames[id as usize]
    }

    #[inline]
    pub(crate) fn binding_of(&self, id: BindingId) -> Binding {
        self.bindings[id as usize]
    }

    pub(crate) fn qname_count(&self) -> usize {
        self.qnames.len()
    }

    pub(crate) fn binding_count(&self) -> usize {
        self.bindings.len()
    }

    pub(crate) fn prefix_count(&self) -> usize {
        self.prefixes.len()
    }

    pub(crate) fn local(&self, id: QNameId) -> &str {
        let qname = self.qname(id);
        let start = qname.start + 1;
        &self.buffer[(start + qname.prefix_len) as usize..(start + qname.len) as usize]
    }

    /// `p:local`.
    #[inline]
    pub(crate) fn written(&self, id: QNameId) -> &str {
        let qname = self.qname(id);
        let start = (qname.start + 1) as usize;
        &self.buffer[start..start + qname.len as usize]
    }

    /// The buffer that the ranges below are of.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.as_bytes()
    }

    /// `<p:local`.
    #[inline]
    pub(crate) fn start_tag(&self, id: QNameId) -> Range<usize> {
        let qname = self.qname(id);
        let start = qname.start as usize;
        start..start + 1 + qname.len as usize
    }

    /// `</p:local>`.
    #[inline]
    pub(crate) fn end_tag(&self, id: QNameId) -> Range<usize> {
        let qname = self.qname(id);
        let start = (qname.start + qname.len + 2) as usize;
        start..start + qname.len as usize + 3
    }

    /// The id of a string that was interned before.
    pub(crate) fn find_str(&self, text: &str) -> Option<StrId> {
        if text.is_empty() {
            return Some(STR_EMPTY);
        }
        self.index.find(hash_bytes(text.as_bytes()), Table::Text, |id| self.str(id) == text)
    }

    pub(crate) fn find_prefix(&self, text: &str) -> Option<PrefixId> {
        let prefix = self.texts[self.find_str(text)? as usize].prefix;
        (prefix != NONE).then_some(prefix)
    }

    pub(crate) fn find_name(&self, namespace: &str, local: &str) -> Option<NameId> {
        let pair = (self.find_str(namespace)?, self.find_str(local)?);
        self.index
            .find(hash_pair(pair.0, pair.1, Table::Name), Table::Name, |id| self.expanded[id as usize] == pair)
            .map(NameId)
    }

    pub(crate) fn find_binding(&self, prefix: PrefixId, uri: StrId) -> Option<BindingId> {
        self.index.find(hash_pair(prefix, uri, Table::Binding), Table::Binding, |id| {
            let binding = self.bindings[id as usize];
            binding.prefix == prefix && binding.uri == uri
        })
    }

    /// The qname of these parts, if it is there already.
    fn find_qname(&self, prefix: &str, namespace: &str, local: &str) -> Option<QNameId> {
        let prefix = self.find_prefix(prefix)?;
        let name = self.find_name(namespace, local)?;
        self.find_qname_of(prefix, name)
    }

    fn find_qname_of(&self, prefix: PrefixId, name: NameId) -> Option<QNameId> {
        self.index.find(hash_pair(prefix, name.0, Table::QName), Table::QName, |id| {
            let qname = self.qnames[id as usize];
            qname.prefix == prefix && qname.name == name
        })
    }

    pub(crate) fn name_local(&self, id: NameId) -> StrId {
        self.expanded[id.0 as usize].1
    }

    // === interning ===

    /// The qname of these parts. Copies a shared table only to add to it.
    pub(crate) fn qname_in(names: &mut Arc<Self>, prefix: &str, namespace: &str, local: &str) -> QNameId {
        if let Some(id) = names.find_qname(prefix, namespace, local) {
            return id;
        }
        let names = Arc::make_mut(names);
        let prefix = names.intern(prefix);
        let prefix = names.prefix(prefix);
        let (namespace, local) = (names.intern(namespace), names.intern(local));
        names.intern_qname(prefix, namespace, local)
    }

    /// The binding of these parts. Copies a shared table only to add to it.
    pub(crate) fn binding_in(names: &mut Arc<Self>, prefix: &str, uri: &str) -> BindingId {
        let known = names.find_prefix(prefix).zip(names.find_str(uri));
        if let Some(id) = known.and_then(|(prefix, uri)| names.find_binding(prefix, uri)) {
            return id;
        }
        let names = Arc::make_mut(names);
        let prefix = names.intern(prefix);
        let (prefix, uri) = (names.prefix(prefix), names.intern(uri));
        names.binding(prefix, uri)
    }

    pub(crate) fn intern(&mut self, text: &str) -> StrId {
        let hash = hash_bytes(text.as_bytes());
        if let Some(id) = self.index.find(hash, Table::Text, |id| self.str(id) == text) {
            return id;
        }
        let id = self.texts.len() as u32;
        self.texts.push(Text { start: self.buffer.len() as u32, len: text.len() as u32, prefix: NONE });
        self.buffer.push_str(text);
        self.index.insert(hash, Table::Text, id);
        id
    }

    pub(crate) fn prefix(&mut self, text: StrId) -> PrefixId {
        let entry = &mut self.texts[text as usize];
        if entry.prefix == NONE {
            entry.prefix = self.prefixes.len() as u32;
            self.prefixes.push(text);
        }
        entry.prefix
    }

    pub(crate) fn name(&mut self, namespace: StrId, local: StrId) -> NameId {
        let hash = hash_pair(namespace, local, Table::Name);
        if let Some(id) = self.index.find(hash, Table::Name, |id| self.expanded[id as usize] == (namespace, local)) {
            return NameId(id);
        }
        let id = self.expanded.len() as u32;
        self.expanded.push((namespace, local));
        self.index.insert(hash, Table::Name, id);
        NameId(id)
    }

    pub(crate) fn binding(&mut self, prefix: PrefixId, uri: StrId) -> BindingId {
        if let Some(id) = self.find_binding(prefix, uri) {
            return id;
        }
        let id = self.bindings.len() as u32;
        self.bindings.push(Binding { prefix, uri });
        self.index.insert(hash_pair(prefix, uri, Table::Binding), Table::Binding, id);
        id
    }

    pub(crate) fn intern_qname(&mut self, prefix: PrefixId, namespace: StrId, local: StrId) -> QNameId {
        let name = self.name(namespace, local);
        if let Some(id) = self.find_qname_of(prefix, name) {
            return id;
        }
        let binding = self.binding(prefix, namespace);
        let start = self.buffer.len();
        let (prefix_text, local_text) =
            (self.texts[self.prefixes[prefix as usize] as usize], self.texts[local as usize]);
        self.buffer.push('<');
        self.buffer.extend_from_within(prefix_text.range());
        if prefix != PREFIX_EMPTY {
            self.buffer.push(':');
        }
        let prefix_len = (self.buffer.len() - start - 1) as u32;
        self.buffer.extend_from_within(local_text.range());
        let written = start + 1..self.buffer.len();
        let (start, len) = (start as u32, written.len() as u32);
        self.buffer.push_str("></");
        self.buffer.extend_from_within(written);
        self.buffer.push('>');
        let id = self.qnames.len() as u32;
        self.qnames.push(QName { start, len, prefix_len, name, namespace, prefix, binding });
        self.index.insert(hash_pair(prefix, name.0, Table::QName), Table::QName, id);
        id
    }
}

/// A copy with room for what a small message adds.
fn grown<T: Copy>(known: &[T], room: usize) -> Vec<T> {
    let mut copy = Vec::with_capacity(known.len() + room);
    copy.extend_from_slice(known);
    copy
}

// === hash table ===

#[derive(Copy, Clone)]
struct Slot {
    hash: u32,
    /// Kind in the top two bits, id below; [`NONE`] when free.
    entry: u32,
}

/// Open addressing with linear probing; entries are never removed.
#[derive(Clone)]
pub(crate) struct Index {
    slots: Vec<Slot>,
    used: usize,
}

const FREE: Slot = Slot { hash: 0, entry: NONE };
const KIND_SHIFT: u32 = 30;

impl Index {
    fn new() -> Self {
        Self { slots: vec![FREE; 256], used: 0 }
    }

    #[inline]
    fn find(&self, hash: u32, table: Table, same: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.entry == NONE {
                return None;
            }
            let id = slot.entry & ((1 << KIND_SHIFT) - 1);
            if slot.hash == hash && slot.entry >> KIND_SHIFT == table as u32 && same(id) {
                return Some(id);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, hash: u32, table: Table, id: u32) {
        if (self.used + 1) * 2 > self.slots.len() {
            let doubled = vec![FREE; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, doubled) {
                if slot.entry != NONE {
                    self.place(slot);
                }
            }
        }
        self.place(Slot { hash, entry: (table as u32) << KIND_SHIFT | id });
        self.used += 1;
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.hash as usize & mask;
        while self.slots[at].entry != NONE {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }
}

// === hashing ===

const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// Random for each process: whoever sends a document cannot choose names that collide.
static SECRET: LazyLock<u64> = LazyLock::new(|| RandomState::new().build_hasher().finish() | 1);

#[inline]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product as u64) ^ (product >> 64) as u64
}

/// A keyed folded-multiply hash of a short string.
#[inline]
pub(crate) fn hash_bytes(bytes: &[u8]) -> u32 {
    let secret = *SECRET;
    let mut hash = secret ^ (bytes.len() as u64).wrapping_mul(MIX);
    let mut rest = bytes;
    while let Some((chunk, tail)) = rest.split_first_chunk::<8>() {
        hash = fold(hash ^ u64::from_le_bytes(*chunk), secret ^ MIX);
        rest = tail;
    }
    let mut last = 0u64;
    for &byte in rest {
        last = last << 8 | u64::from(byte);
    }
    fold(hash ^ last, MIX ^ secret.rotate_left(32)) as u32
}

#[inline]
fn hash_pair(first: u32, second: u32, table: Table) -> u32 {
    let key = u64::from(first) << 32 | u64::from(second);
    fold(key ^ *SECRET, MIX.wrapping_add(table as u64 * 2)) as u32
}
