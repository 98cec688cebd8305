//! The names a thread has seen in documents, kept for the next one.
//!
//! Names repeat, within a document and between messages, and mostly in the same order. So a name is first compared with
//! the one that followed its predecessor the last time; only when that fails it is searched by hash. Either way its
//! characters are checked once per spelling. A document shares the name table it was parsed with, which is copied only
//! when somebody adds a name to it.
//!
//! What a thread keeps is capped: a table that has grown beyond the size of ordinary vocabularies is not used again.

use std::cell::Cell;
use std::sync::Arc;

use crate::names::{BindingMask, NONE, Names, PrefixId, QNameId, StrId};
use crate::parser::Frame;
use crate::scanner::is_name_byte;

/// Caps on what a thread keeps between documents.
const MAX_KEPT_SPELLINGS: usize = 512;
const MAX_KEPT_BYTES: usize = 64 * 1024;
/// Few enough to leave the next document some bindings with a bit of their own; see `binding_bit`.
const MAX_KEPT_BINDINGS: usize = 20;

/// Levels of open elements that memory is kept for.
const MAX_KEPT_DEPTH: usize = 256;
/// Elements are counted through all documents of a thread; before the count runs over, what refers to it is thrown away.
const MAX_SERIAL: u32 = u32::MAX / 2;

thread_local! {
    static KEPT: Cell<Option<(Arc<Names>, Spellings, Scratch)>> = const { Cell::new(None) };
}

/// Memory of a parse that the next one can use.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Without content.
    pub(crate) open: Vec<Frame>,
    /// For each expanded name and each prefix the element (its `serial`) that last had it, to find duplicates.
    pub(crate) seen_names: Vec<u32>,
    pub(crate) seen_prefixes: Vec<u32>,
    /// Counts elements, also those that were forgotten.
    pub(crate) serial: u32,
}

/// The name table, the spellings and the memory to parse the next document of this thread with.
pub(crate) fn take() -> (Arc<Names>, Spellings, Scratch) {
    KEPT.take().unwrap_or_else(|| (Names::empty(), Spellings::new(), Scratch::default()))
}

/// Keeps a name table, its spellings and memory for the next document, unless they are too large.
pub(crate) fn keep(names: &Arc<Names>, spellings: Spellings, mut scratch: Scratch) {
    let small = spellings.all.len() <= MAX_KEPT_SPELLINGS
        && names.bytes().len() <= MAX_KEPT_BYTES
        && names.binding_count() <= MAX_KEPT_BINDINGS;
    if small {
        scratch.open.clear();
        if scratch.serial > MAX_SERIAL || scratch.open.capacity() > MAX_KEPT_DEPTH {
            scratch = Scratch::default();
        }
        KEPT.set(Some((Arc::clone(names), spellings, scratch)));
    }
}

/// One spelling of a name, `p:local`.
#[derive(Copy, Clone)]
pub(crate) struct Spelling {
    start: u32,
    pub(crate) len: u32,
    hash: u32,
    /// The prefix of the name; of a declaration the prefix it declares.
    pub(crate) prefix: PrefixId,
    pub(crate) local: StrId,
    /// `xmlns` or `xmlns:p`.
    pub(crate) is_declaration: bool,
    /// The qname it had last, the binding it used, and the namespace that was for.
    pub(crate) qname: QNameId,
    pub(crate) needs: BindingMask,
    pub(crate) namespace: StrId,
    /// The spelling that followed it the last time.
    next: u32,
}

/// Spellings of names, all for one name table.
pub(crate) struct Spellings {
    text: String,
    all: Vec<Spelling>,
    /// Open addressing; indexes of `all` or [`NONE`].
    slots: Vec<u32>,
    last: u32,
}

impl Spellings {
    fn new() -> Self {
        Self { text: String::new(), all: Vec::with_capacity(32), slots: vec![NONE; 64], last: NONE }
    }

    #[inline]
    pub(crate) fn get(&self, id: u32) -> &Spelling {
        &self.all[id as usize]
    }

    /// The text of a spelling; empty for [`NONE`].
    #[inline]
    pub(crate) fn text(&self, id: u32) -> &str {
        match self.all.get(id as usize) {
            Some(spelling) => &self.text[spelling.start as usize..(spelling.start + spelling.len) as usize],
            None => "",
        }
    }

    /// The spelling that followed the last one before, if it stands at `at` of `source` now.
    #[inline]
    pub(crate) fn predicted(&self, source: &[u8], at: usize) -> Option<u32> {
        let next = self.all.get(self.last as usize)?.next;
        let spelling = self.all.get(next as usize)?;
        let (start, len) = (spelling.start as usize, spelling.len as usize);
        let ends_here = source.get(at + len).is_some_and(|&byte| !is_name_byte(byte));
        (ends_here && source[at..at + len] == self.text.as_bytes()[start..start + len]).then_some(next)
    }

    pub(crate) fn find(&self, name: &str, hash: u32) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let id = self.slots[slot];
            if id == NONE {
                return None;
            }
            if self.all[id as usize].hash == hash && self.text(id) == name {
                return Some(id);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Adds a spelling that is not there yet.
    pub(crate) fn insert(
        &mut self,
        name: &str,
        hash: u32,
        prefix: PrefixId,
        local: StrId,
        is_declaration: bool,
    ) -> u32 {
        let id = self.all.len() as u32;
        self.all.push(Spelling {
            start: self.text.len() as u32,
            len: name.len() as u32,
            hash,
            prefix,
            local,
            is_declaration,
            qname: NONE,
            needs: 0,
            namespace: NONE,
            next: NONE,
        });
        self.text.push_str(name);
        if self.all.len() * 2 > self.slots.len() {
            self.slots = vec![NONE; self.slots.len() * 2];
            for id in 0..self.all.len() as u32 {
                self.place(id);
            }
        } else {
            self.place(id);
        }
        id
    }

    fn place(&mut self, id: u32) {
        let mask = self.slots.len() - 1;
        let mut slot = self.all[id as usize].hash as usize & mask;
        while self.slots[slot] != NONE {
            slot = (slot + 1) & mask;
        }
        self.slots[slot] = id;
    }

    /// Says that `id` was read, for the next prediction.
    #[inline]
    pub(crate) fn remember(&mut self, id: u32) {
        if let Some(last) = self.all.get_mut(self.last as usize) {
            last.next = id;
        }
        self.last = id;
    }

    /// Says what `id` means as long as its prefix is bound to `namespace`.
    pub(crate) fn resolved(&mut self, id: u32, namespace: StrId, qname: QNameId, needs: BindingMask) {
        let spelling = &mut self.all[id as usize];
        spelling.namespace = namespace;
        spelling.qname = qname;
        spelling.needs = needs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    #[test]
    fn what_a_document_had_is_not_held_against_the_next() {
        // Fewer threads than documents, so each begins with the memory of the one before, also of one that was refused.
        for _ in 0..3 {
            for good in ["<a x='1' p:y='2' xmlns:p='u'/>", "<a xmlns:p='u'><b p:x='1'/><b p:x='1' x='2'/></a>"] {
                Document::parse(good).unwrap();
            }
            for bad in ["<a x='1' x='2'/>", "<a xmlns:p='u' xmlns:p='u'/>", "<a><b><c x='1'></a>"] {
                Document::parse(bad).unwrap_err();
            }
        }
    }

    #[test]
    fn the_count_of_elements_begins_anew_before_it_runs_over() {
        let (names, spellings, scratch) = (Names::empty(), Spellings::new(), Scratch::default());
        keep(&names, spellings, Scratch { serial: MAX_SERIAL + 1, seen_names: vec![MAX_SERIAL], ..scratch });
        let (_, spellings, scratch) = take();
        assert_eq!((scratch.serial, scratch.seen_names.len()), (0, 0));
        keep(&names, spellings, Scratch { serial: 7, ..scratch });
        assert_eq!(take().2.serial, 7);
    }
}
