//! Start tags: names, attributes, namespace declarations, and what they resolve to.
//!
//! Names repeat, and mostly in the same order. So a name is first compared with the one that followed its predecessor
//! the last time; only when that fails it is searched by hash. Either way its characters are checked once per
//! spelling, and its namespace is only looked up again when the binding of its prefix has changed.

use crate::arena::{APOSTROPHES, ATTRIBUTE, DECODE, ELEMENT, Element, NAMESPACE, Node, SELF_CLOSED, tag};
use crate::names::{
    BindingMask, NONE, Names, PREFIX_EMPTY, PREFIX_XML, PREFIX_XMLNS, PrefixId, QNameId, STR_EMPTY, STR_TYPE,
    STR_XML_NS, STR_XMLNS_NS, STR_XSI_NS, StrId, binding_bit, hash_bytes,
};
use crate::parser::{Frame, PARSED, Parsed, Parser};
use crate::scanner::{attribute_stop, is_name_byte, is_ncname, name_end};
use crate::values::decode;

/// One spelling of a name (`p:local`) in the source.
#[derive(Copy, Clone)]
struct Spelling {
    /// Where it occurred first.
    start: u32,
    len: u32,
    hash: u32,
    /// The prefix of the name; of a declaration the prefix it declares.
    prefix: PrefixId,
    local: StrId,
    /// `xmlns` or `xmlns:p`.
    is_declaration: bool,
    /// The qname it had last, and the namespace that was for.
    qname: QNameId,
    namespace: StrId,
    /// The spelling that followed it the last time.
    next: u32,
}

/// The spellings of a document being parsed.
pub(crate) struct Spellings {
    all: Vec<Spelling>,
    /// Open addressing; indexes of `all` or [`NONE`].
    slots: Vec<u32>,
    last: u32,
}

impl Spellings {
    pub(crate) fn new() -> Self {
        Self { all: Vec::with_capacity(32), slots: vec![NONE; 64], last: NONE }
    }

    /// The bytes of a spelling; empty for [`NONE`].
    #[inline]
    pub(crate) fn bytes<'s>(&self, source: &'s [u8], id: u32) -> &'s [u8] {
        match self.all.get(id as usize) {
            Some(spelling) => &source[spelling.start as usize..(spelling.start + spelling.len) as usize],
            None => &[],
        }
    }

    /// The text of a spelling; empty for [`NONE`].
    pub(crate) fn text<'s>(&self, source: &'s str, id: u32) -> &'s str {
        match self.all.get(id as usize) {
            Some(spelling) => &source[spelling.start as usize..(spelling.start + spelling.len) as usize],
            None => "",
        }
    }

    /// The spelling that followed the last one before, if it stands at `at` now.
    #[inline]
    fn predicted(&self, source: &[u8], at: usize) -> Option<u32> {
        let next = self.all.get(self.last as usize)?.next;
        let spelling = self.all.get(next as usize)?;
        let (start, len) = (spelling.start as usize, spelling.len as usize);
        let end = at + len;
        let ends_here = source.get(end).is_some_and(|&byte| !is_name_byte(byte));
        (ends_here && source[at..end] == source[start..start + len]).then_some(next)
    }

    /// The spelling with these bytes, or the free slot where it belongs.
    fn find(&self, source: &[u8], name: &[u8], hash: u32) -> Result<u32, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        loop {
            let id = self.slots[slot];
            if id == NONE {
                return Err(slot);
            }
            if self.all[id as usize].hash == hash && self.bytes(source, id) == name {
                return Ok(id);
            }
            slot = (slot + 1) & mask;
        }
    }

    fn insert(&mut self, slot: usize, spelling: Spelling) -> u32 {
        let id = self.all.len() as u32;
        self.all.push(spelling);
        self.slots[slot] = id;
        if self.all.len() * 2 > self.slots.len() {
            let mask = self.slots.len() * 2 - 1;
            self.slots = vec![NONE; mask + 1];
            for (id, spelling) in self.all.iter().enumerate() {
                let mut slot = spelling.hash as usize & mask;
                while self.slots[slot] != NONE {
                    slot = (slot + 1) & mask;
                }
                self.slots[slot] = id as u32;
            }
        }
        id
    }

    #[inline]
    fn remember(&mut self, id: u32) {
        if let Some(last) = self.all.get_mut(self.last as usize) {
            last.next = id;
        }
        self.last = id;
    }
}

impl Parser<'_> {
    /// Reads a start tag; the element stays open unless it is empty.
    pub(crate) fn start_tag(&mut self) -> Parsed<()> {
        let start = self.at;
        self.at += 1;
        let spelling = self.name()?;
        let element = self.elements.len() as u32;
        let node = self.push_child(tag(ELEMENT, 0, PARSED), NONE, element)?;
        self.elements.push(Element { start: start as u32, ..Element::EMPTY });
        let parent = std::mem::replace(
            &mut self.current,
            Frame { node, element, spelling, last_child: NONE, scope_mark: self.scope.mark(), needs: 0, declares: 0 },
        );
        self.open.push(parent);
        if self.open.len() > self.limits.max_depth as usize {
            return self.fail(start, format!("elements are nested deeper than {} (max_depth)", self.limits.max_depth));
        }

        let end = self.byte(self.at);
        if end != b'>' {
            self.attributes()?;
            self.resolve_attributes()?;
        }
        let qname = self.resolve(spelling, false)?;
        self.nodes[node as usize].a = qname;
        self.current.needs |= binding_bit(self.names.qname(qname).binding);
        self.current.needs &= !self.current.declares;

        let empty = self.byte(self.at) == b'/';
        self.at += 1 + usize::from(empty);
        self.elements[element as usize].tag_end = self.at as u32;
        if empty {
            self.nodes[node as usize].set(SELF_CLOSED);
            self.close();
        }
        Ok(())
    }

    /// Reads a name and returns its spelling.
    #[inline]
    fn name(&mut self) -> Parsed<u32> {
        let start = self.at;
        let id = match self.spellings.predicted(self.bytes, start) {
            Some(id) => id,
            None => self.search_name()?,
        };
        self.at = start + self.spellings.all[id as usize].len as usize;
        self.spellings.remember(id);
        Ok(id)
    }

    fn search_name(&mut self) -> Parsed<u32> {
        let (start, end) = (self.at, name_end(self.bytes, self.at));
        let name = &self.bytes[start..end];
        let hash = hash_bytes(name);
        match self.spellings.find(self.bytes, name, hash) {
            Ok(id) => Ok(id),
            Err(slot) => {
                let spelling = self.new_spelling(start, end, hash)?;
                Ok(self.spellings.insert(slot, spelling))
            }
        }
    }

    /// Checks a name that was not seen before.
    fn new_spelling(&mut self, start: usize, end: usize, hash: u32) -> Parsed<Spelling> {
        let text = &self.text[start..end];
        if end >= self.bytes.len() {
            return self.fail_at_end("the document ends inside of a tag");
        }
        if text.len() > self.limits.max_name {
            return self.fail(start, format!("a name is longer than {} bytes (max_name)", self.limits.max_name));
        }
        let (prefix, local) = match text.split_once(':') {
            Some((prefix, local)) if is_ncname(prefix) && is_ncname(local) => (prefix, local),
            None if is_ncname(text) => ("", text),
            _ if text.is_empty() => return self.fail(start, "expected a name"),
            _ => return self.fail(start, format!("'{text}' is not a name")),
        };
        let is_declaration = prefix == "xmlns" || (prefix.is_empty() && local == "xmlns");
        let prefix = if prefix == "xmlns" { local } else { prefix };
        let prefix = self.names.intern(prefix);
        Ok(Spelling {
            start: start as u32,
            len: (end - start) as u32,
            hash,
            prefix: self.names.prefix(prefix),
            local: self.names.intern(local),
            is_declaration,
            qname: NONE,
            namespace: NONE,
            next: NONE,
        })
    }

    /// Reads attributes and declarations up to the end of the tag. Declarations take effect at once; the names of
    /// attributes are resolved later, because a declaration may follow its use.
    fn attributes(&mut self) -> Parsed<()> {
        let element = self.current.element as usize;
        let (mut last, mut count) = (NONE, 0u32);
        loop {
            let spaced = self.skip_space();
            match self.byte(self.at) {
                b'>' => return Ok(()),
                b'/' if self.byte(self.at + 1) == b'>' => return Ok(()),
                0 => return self.fail_at_end("the document ends inside of a tag"),
                b'/' if self.at + 1 >= self.bytes.len() => {
                    return self.fail_at_end("the document ends inside of a tag");
                }
                _ if !spaced => return self.fail(self.at, "expected white space, > or /> in a tag"),
                _ => {}
            }
            count += 1;
            if count > self.limits.max_attributes {
                let max = self.limits.max_attributes;
                return self.fail(self.at, format!("an element has more than {max} attributes (max_attributes)"));
            }
            let id = self.attribute()?;
            if last == NONE {
                self.elements[element].first_attribute = id;
            } else {
                self.nodes[last as usize].next = id;
            }
            last = id;
        }
    }

    /// Reads one attribute or declaration.
    fn attribute(&mut self) -> Parsed<u32> {
        let name_start = self.at;
        let spelling = self.name()?;
        let quote = self.equals_and_quote()?;
        let start = self.at;
        let mut flags = if quote == b'\'' { APOSTROPHES } else { 0 };
        let mut at = start;
        loop {
            at = attribute_stop(self.bytes, at, quote);
            match self.byte(at) {
                b'&' => {
                    at = self.check_reference(at)?;
                    flags |= DECODE;
                }
                b'<' => return self.fail(at, "< must be written &lt; in an attribute value"),
                0 => return self.fail_at_end("the document ends inside of an attribute value"),
                b'\t' | b'\n' | b'\r' => {
                    at += 1;
                    flags |= DECODE;
                }
                _ => break,
            }
        }
        self.at = at + 1;
        let Spelling { prefix, is_declaration, .. } = self.spellings.all[spelling as usize];
        let (kind, name) = if is_declaration {
            (NAMESPACE, self.declare(prefix, start..at, flags & DECODE != 0, name_start)?)
        } else {
            (ATTRIBUTE, spelling)
        };
        self.push_attribute(tag(kind, flags, PARSED), name, start as u32, (at - start) as u32)
    }

    #[inline]
    fn equals_and_quote(&mut self) -> Parsed<u8> {
        if self.byte(self.at) != b'=' {
            self.skip_space();
        }
        let equals = self.at;
        self.at += 1;
        let mut quote = self.byte(self.at);
        if quote != b'"' {
            self.skip_space();
            quote = self.byte(self.at);
        }
        if self.byte(equals) == b'=' && matches!(quote, b'"' | b'\'') {
            self.at += 1;
            return Ok(quote);
        }
        if self.at >= self.bytes.len() {
            return self.fail_at_end("the document ends inside of a tag");
        }
        self.fail(equals, "an attribute needs = and a quoted value")
    }

    /// Puts a declaration into effect.
    fn declare(
        &mut self,
        prefix: PrefixId,
        value: std::ops::Range<usize>,
        needs_decoding: bool,
        name_start: usize,
    ) -> Parsed<u32> {
        let raw = &self.text[value];
        let uri = if needs_decoding { self.names.intern(&decode(raw, true)) } else { self.names.intern(raw) };
        if let Some(message) = forbidden_declaration(&self.names, prefix, uri) {
            return self.fail(name_start, message);
        }
        if already_seen(&mut self.seen_prefixes, prefix, self.current.node) {
            let prefix = self.names.prefix_str(prefix);
            return self.fail(name_start, format!("the prefix '{prefix}' is declared twice on one element"));
        }
        self.scope.bind(prefix, uri);
        let binding = self.names.binding(prefix, uri);
        // Bindings without a bit of their own share the overflow bit, which must stay visible outside.
        self.current.declares |= binding_bit(binding) & !crate::names::MASK_OVERFLOW;
        Ok(binding)
    }

    /// Gives the attributes just read their names and refuses duplicates.
    fn resolve_attributes(&mut self) -> Parsed<()> {
        let first = self.current.node as usize + 1;
        for id in first..self.nodes.len() {
            let node = self.nodes[id];
            if node.kind() != ATTRIBUTE {
                continue;
            }
            let spelling = node.prev;
            let qname = self.resolve(spelling, true)?;
            self.nodes[id].prev = qname;
            let resolved = *self.names.qname(qname);
            if already_seen(&mut self.seen_names, resolved.name.0, self.current.node) {
                let name = self.names.written(qname);
                return self.fail(node.a as usize, format!("the attribute '{name}' occurs twice on one element"));
            }
            if resolved.prefix != PREFIX_EMPTY {
                self.current.needs |= binding_bit(resolved.binding);
                if resolved.namespace == STR_XSI_NS && self.names.name_local(resolved.name) == STR_TYPE {
                    self.current.needs |= self.value_binding(&node);
                }
            }
        }
        Ok(())
    }

    /// The binding the value of an `xsi:type` uses: a name in content that must keep its meaning when it moves.
    fn value_binding(&self, node: &Node) -> BindingMask {
        let value = &self.text[node.a as usize..(node.a + node.b) as usize];
        let prefix = value.trim_start().split_once(':').map_or("", |(prefix, _)| prefix);
        let Some(prefix) = self.names.find_prefix(prefix) else { return 0 };
        match self.scope.uri(prefix) {
            NONE => 0,
            uri => self.names.find_binding(prefix, uri).map_or(0, binding_bit),
        }
    }

    /// The qname of a spelling under the bindings in scope.
    #[inline]
    fn resolve(&mut self, spelling: u32, attribute: bool) -> Parsed<QNameId> {
        let known = &self.spellings.all[spelling as usize];
        let prefix = known.prefix;
        let namespace = if attribute && prefix == PREFIX_EMPTY { STR_EMPTY } else { self.scope.uri(prefix) };
        if known.namespace == namespace && namespace != NONE && !known.is_declaration {
            return Ok(known.qname);
        }
        self.resolve_anew(spelling, namespace)
    }

    fn resolve_anew(&mut self, spelling: u32, namespace: StrId) -> Parsed<QNameId> {
        let Spelling { start, prefix, local, is_declaration, .. } = self.spellings.all[spelling as usize];
        // Attributes that are declarations never come here, so this is an element such as <xmlns:a>.
        let is_prefixed_declaration = is_declaration && self.spellings.all[spelling as usize].len > 5;
        if is_prefixed_declaration {
            return self.fail(start as usize, "the prefix xmlns may only be used to declare namespaces");
        }
        if namespace == NONE {
            let at = self.at.min(self.bytes.len() - 1);
            let prefix = self.names.prefix_str(prefix);
            return self.fail(at, format!("the prefix '{prefix}' is not bound to a namespace: declare xmlns:{prefix}"));
        }
        let qname = self.names.intern_qname(prefix, namespace, local);
        let known = &mut self.spellings.all[spelling as usize];
        known.namespace = namespace;
        known.qname = qname;
        Ok(qname)
    }
}

/// Whether `slot` was marked by `element` already; marks it.
#[inline]
fn already_seen(seen: &mut Vec<u32>, slot: u32, element: u32) -> bool {
    let slot = slot as usize;
    if seen.len() <= slot {
        seen.resize((slot + 1).next_power_of_two(), NONE);
    }
    std::mem::replace(&mut seen[slot], element) == element
}

/// Why a declaration is not allowed, by the rules of Namespaces in XML 1.0.
fn forbidden_declaration(names: &Names, prefix: PrefixId, uri: StrId) -> Option<String> {
    if prefix == PREFIX_XMLNS {
        return Some("the prefix xmlns must not be declared".to_owned());
    }
    if (prefix == PREFIX_XML) != (uri == STR_XML_NS) {
        return Some("the prefix xml and its namespace belong together and must not be bound otherwise".to_owned());
    }
    if uri == STR_XMLNS_NS {
        return Some("no prefix may be bound to the namespace of xmlns".to_owned());
    }
    if uri == STR_EMPTY && prefix != PREFIX_EMPTY {
        let prefix = names.prefix_str(prefix);
        return Some(format!("xmlns:{prefix}=\"\": a prefix cannot be unbound, give it a namespace or remove it"));
    }
    None
}
