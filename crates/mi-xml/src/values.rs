//! Names and values of nodes, and the decoding of references and line ends they may need.

use std::borrow::Cow;

use crate::arena::{ATTRIBUTE, CDATA, DECODE, DOCUMENT, Document, ELEMENT, NAMESPACE, Node, NodeId, PI, TEXT};
use crate::names::NameId;
use crate::scanner::{is_space, reference};

// === names ===

impl Document {
    /// The local name; the target of a processing instruction, the prefix of a declaration, empty for other kinds.
    pub fn local_name(&self, n: NodeId) -> &str {
        let node = self.node(n);
        match node.kind() {
            ELEMENT => self.names.local(node.a),
            ATTRIBUTE => self.names.local(node.prev),
            NAMESPACE => self.names.prefix_str(self.names.binding_of(node.prev).prefix),
            PI => split_pi(self.raw(node)).0,
            _ => "",
        }
    }

    /// The prefix of an element or attribute, empty when there is none.
    pub fn prefix(&self, n: NodeId) -> &str {
        self.qname_id(n).map_or("", |id| self.names.prefix_str(self.names.qname(id).prefix))
    }

    /// The namespace URI of an element or attribute, empty when there is none.
    pub fn namespace(&self, n: NodeId) -> &str {
        self.qname_id(n).map_or("", |id| self.names.str(self.names.qname(id).namespace))
    }

    /// The name of an element or attribute as it is written, `prefix:local` or `local`.
    pub fn qualified_name(&self, n: NodeId) -> &str {
        self.qname_id(n).map_or("", |id| self.names.written(id))
    }

    /// The interned name of an element or attribute.
    #[inline]
    pub fn name_id(&self, n: NodeId) -> Option<NameId> {
        self.qname_id(n).map(|id| self.names.qname(id).name)
    }

    /// The id of a name; `None` when no node of this document can have it.
    pub fn find_name(&self, ns: &str, local: &str) -> Option<NameId> {
        self.names.find_name(ns, local)
    }

    /// Whether the node is an element or attribute of this name.
    pub fn has_name(&self, n: NodeId, ns: &str, local: &str) -> bool {
        self.qname_id(n)
            .is_some_and(|id| self.names.local(id) == local && self.names.str(self.names.qname(id).namespace) == ns)
    }
}

// === values ===

impl Document {
    /// The decoded value of text, attribute, comment, processing instruction or declaration; the string value of an
    /// element or the document.
    pub fn value(&self, n: NodeId) -> Cow<'_, str> {
        let node = self.node(n);
        match node.kind() {
            DOCUMENT | ELEMENT => self.string_value(n),
            NAMESPACE => Cow::Borrowed(self.names.str(self.names.binding_of(node.prev).uri)),
            PI => {
                let data = split_pi(self.raw(node)).1;
                if node.has(DECODE) { normalize_line_ends(data) } else { Cow::Borrowed(data) }
            }
            _ => self.plain_value(node),
        }
    }

    fn plain_value(&self, node: &Node) -> Cow<'_, str> {
        let raw = self.raw(node);
        if !node.has(DECODE) {
            return Cow::Borrowed(raw);
        }
        match node.kind() {
            ATTRIBUTE => decode(raw, true),
            TEXT if !node.has(CDATA) => decode(raw, false),
            _ => normalize_line_ends(raw),
        }
    }

    /// The XPath string value: for elements and the document all text below, for others [`Document::value`].
    pub fn string_value(&self, n: NodeId) -> Cow<'_, str> {
        if self.node(n).kind() > ELEMENT {
            return self.value(n);
        }
        self.concat(self.descendants(n))
    }

    /// The text directly inside an element, its text children joined. MI: OMElement#getText
    pub fn text(&self, el: NodeId) -> Cow<'_, str> {
        self.concat(self.children(el))
    }

    /// Joins the texts among `nodes`; a single one is borrowed.
    fn concat(&self, nodes: impl Iterator<Item = NodeId>) -> Cow<'_, str> {
        let mut texts = nodes.map(|it| self.node(it)).filter(|node| node.kind() == TEXT);
        let Some(first) = texts.next() else { return Cow::Borrowed("") };
        let mut joined = self.plain_value(first);
        for text in texts {
            joined.to_mut().push_str(&self.plain_value(text));
        }
        joined
    }

    /// The value of an attribute of `el`.
    pub fn attribute(&self, el: NodeId, ns: &str, local: &str) -> Option<Cow<'_, str>> {
        self.attribute_node(el, ns, local).map(|it| self.value(it))
    }

    /// The attribute of `el` with this name.
    pub fn attribute_node(&self, el: NodeId, ns: &str, local: &str) -> Option<NodeId> {
        self.attributes(el).find(|&it| self.has_name(it, ns, local))
    }

    /// Whether the node is text that consists of XML white space only.
    pub fn is_whitespace(&self, n: NodeId) -> bool {
        let node = self.node(n);
        node.kind() == TEXT && self.plain_value(node).bytes().all(is_space)
    }
}

/// Target and data of a processing instruction.
pub(crate) fn split_pi(raw: &str) -> (&str, &str) {
    let is_space = |character: char| matches!(character, ' ' | '\t' | '\n' | '\r');
    match raw.split_once(is_space) {
        Some((target, data)) => (target, data.trim_start_matches(is_space)),
        None => (raw, ""),
    }
}

// === decoding ===

/// Replaces references and line ends of text, and with `attribute` also every white space character by a space.
/// References were checked by the parser.
pub(crate) fn decode(raw: &str, attribute: bool) -> Cow<'_, str> {
    let bytes = raw.as_bytes();
    let special = |byte: &u8| matches!(byte, b'&' | b'\r') || (attribute && matches!(byte, b'\n' | b'\t'));
    let Some(first) = bytes.iter().position(special) else { return Cow::Borrowed(raw) };
    let mut out = String::with_capacity(raw.len());
    let (mut copied, mut at) = (0, first);
    while at < bytes.len() {
        if !special(&bytes[at]) {
            at += 1;
            continue;
        }
        out.push_str(&raw[copied..at]);
        if bytes[at] == b'&' {
            let (len, character) = reference(&bytes[at..]).unwrap_or((1, '&'));
            out.push(character);
            at += len;
        } else {
            at += if bytes[at..].starts_with(b"\r\n") { 2 } else { 1 };
            out.push(if attribute { ' ' } else { '\n' });
        }
        copied = at;
    }
    out.push_str(&raw[copied..]);
    Cow::Owned(out)
}

/// Carriage returns, with or without a line feed, become line feeds.
fn normalize_line_ends(raw: &str) -> Cow<'_, str> {
    if raw.contains('\r') { Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n")) } else { Cow::Borrowed(raw) }
}
