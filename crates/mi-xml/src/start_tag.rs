//! Start tags: names, attributes, namespace declarations, and what they resolve to.
//!
//! Names come from `vocabulary`, which knows their spellings. A namespace is only looked up again when the binding of
//! its prefix has changed since the name was seen last.

use std::borrow::Cow;
use std::sync::Arc;

use crate::arena::{APOSTROPHES, ATTRIBUTE, DECODE, ELEMENT, Element, NAMESPACE, Node, SELF_CLOSED, tag};
use crate::names::{
    BindingMask, MASK_OVERFLOW, NONE, Names, PREFIX_EMPTY, PREFIX_XML, PREFIX_XMLNS, PrefixId, QNameId, STR_EMPTY,
    STR_TYPE, STR_XML_NS, STR_XMLNS_NS, STR_XSI_NS, StrId, binding_bit, hash_bytes,
};
use crate::parser::{Frame, PARSED, Parsed, Parser, shown};
use crate::scanner::{attribute_stop, is_ncname, name_end};
use crate::values::decode;
use crate::vocabulary::Spelling;

impl Parser<'_> {
    /// Reads a start tag; the element stays open unless it is empty.
    pub(crate) fn start_tag(&mut self) -> Parsed<()> {
        let start = self.at;
        self.at += 1;
        let spelling = self.name()?;
        let element = self.elements.len() as u32;
        let node = self.push_child(tag(ELEMENT, 0, PARSED), NONE, element)?;
        self.elements.push(Element { start: start as u32, ..Element::EMPTY });
        self.serial = self.serial.wrapping_add(1);
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
        let (qname, needs) = self.resolve(spelling, start + 1, false)?;
        self.nodes[node as usize].a = qname;
        self.current.needs = (self.current.needs | needs) & !self.current.declares;

        let empty = self.byte(self.at) == b'/';
        self.at += 1 + usize::from(empty);
        self.elements[element as usize].tag_end = self.at as u32;
        if self.sink.is_some() && !self.tell_start(start, empty) {
            return self.stop();
        }
        if empty {
            self.nodes[node as usize].set(SELF_CLOSED);
            self.close();
            if self.sink.is_some() {
                self.forget();
            }
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
        let len = self.spellings.get(id).len as usize;
        if len > self.limits.max_name {
            return self.fail_long_name(start);
        }
        self.at = start + len;
        self.spellings.remember(id);
        Ok(id)
    }

    fn search_name(&mut self) -> Parsed<u32> {
        let (start, end) = (self.at, name_end(self.bytes, self.at));
        if end >= self.bytes.len() {
            return self.fail_at_end("the document ends inside of a tag");
        }
        let text = &self.text[start..end];
        let hash = hash_bytes(text.as_bytes());
        if let Some(id) = self.spellings.find(text, hash) {
            return Ok(id);
        }
        if text.len() > self.limits.max_name {
            return self.fail_long_name(start);
        }
        let (prefix, local) = match text.split_once(':') {
            Some((prefix, local)) if is_ncname(prefix) && is_ncname(local) => (prefix, local),
            None if is_ncname(text) => ("", text),
            _ if text.is_empty() => return self.fail(start, "expected a name"),
            _ => return self.fail(start, format!("'{}' is not a name", shown(text))),
        };
        let is_declaration = prefix == "xmlns" || (prefix.is_empty() && local == "xmlns");
        let prefix = if prefix == "xmlns" { local } else { prefix };
        let names = Arc::make_mut(&mut self.names);
        let prefix = names.intern(prefix);
        let (prefix, local) = (names.prefix(prefix), names.intern(local));
        Ok(self.spellings.insert(text, hash, prefix, local, is_declaration))
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
                b'/' => return self.fail(self.at, "expected > behind / in a tag"),
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
        let Spelling { prefix, is_declaration, .. } = *self.spellings.get(spelling);
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
        let decoded = if needs_decoding { decode(raw, true) } else { Cow::Borrowed(raw) };
        let uri = match self.names.find_str(&decoded) {
            Some(uri) => uri,
            None => Arc::make_mut(&mut self.names).intern(&decoded),
        };
        if let Some(message) = forbidden_declaration(&self.names, prefix, uri) {
            return self.fail(name_start, message);
        }
        if already_seen(&mut self.seen_prefixes, prefix, self.serial) {
            let what = match self.names.prefix_str(prefix) {
                "" => "default namespace".to_owned(),
                prefix => format!("prefix '{prefix}'"),
            };
            return self.fail(name_start, format!("the {what} is declared twice on one element"));
        }
        self.scope.bind(prefix, uri);
        let binding = match self.names.find_binding(prefix, uri) {
            Some(binding) => binding,
            None => Arc::make_mut(&mut self.names).binding(prefix, uri),
        };
        // Bindings without a bit of their own share the overflow bit, which must stay visible outside.
        self.current.declares |= binding_bit(binding) & !MASK_OVERFLOW;
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
            // The value follows the name, with `=` and a quote between them, and seldom spaces.
            let at = node.a.saturating_sub(self.spellings.get(spelling).len + 2) as usize;
            let (qname, needs) = self.resolve(spelling, at, true)?;
            self.nodes[id].prev = qname;
            let resolved = *self.names.qname(qname);
            if already_seen(&mut self.seen_names, resolved.name.0, self.serial) {
                let name = self.names.written(qname);
                return self.fail(at, format!("the attribute '{name}' occurs twice on one element"));
            }
            if resolved.prefix != PREFIX_EMPTY {
                self.current.needs |= needs;
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

    /// The qname of a spelling under the bindings in scope, and the bit of the binding it uses. `at` is for the error.
    #[inline]
    fn resolve(&mut self, spelling: u32, at: usize, attribute: bool) -> Parsed<(QNameId, BindingMask)> {
        let known = self.spellings.get(spelling);
        let plain_attribute = attribute && known.prefix == PREFIX_EMPTY;
        let namespace = if plain_attribute { STR_EMPTY } else { self.scope.uri(known.prefix) };
        if known.namespace == namespace && namespace != NONE {
            return Ok((known.qname, known.needs));
        }
        self.resolve_anew(spelling, at, namespace)
    }

    fn resolve_anew(&mut self, id: u32, at: usize, namespace: StrId) -> Parsed<(QNameId, BindingMask)> {
        let spelling = *self.spellings.get(id);
        // Declarations among attributes never come here, so this is an element such as <xmlns:a>.
        if spelling.is_declaration && spelling.prefix != PREFIX_EMPTY {
            return self.fail(at, "the prefix xmlns may only be used to declare namespaces");
        }
        if namespace == NONE {
            let prefix = self.names.prefix_str(spelling.prefix);
            return self.fail(at, format!("the prefix '{prefix}' is not bound to a namespace: declare xmlns:{prefix}"));
        }
        let qname = Arc::make_mut(&mut self.names).intern_qname(spelling.prefix, namespace, spelling.local);
        let needs = binding_bit(self.names.qname(qname).binding);
        self.spellings.resolved(id, namespace, qname, needs);
        Ok((qname, needs))
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
