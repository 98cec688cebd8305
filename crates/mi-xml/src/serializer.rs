//! Writing a document, or a part of it, as XML.
//!
//! What is unchanged since it was parsed is copied from its source, with the declarations it needs at its new place put
//! into its first tag. The rest is written node by node. Nothing recurses.

use std::borrow::Cow;

use crate::arena::{
    APOSTROPHES, ATTRIBUTE, CDATA, COMMENT, DOCUMENT, Document, ELEMENT, Element, IMPLIED, NAMESPACE, Node, NodeId, PI,
    PLAIN, SELF_CLOSED, TAG_CHANGED, TEXT, TREE_CHANGED,
};
use crate::escape::{self, put_range};
use crate::import::type_binding;
use crate::names::{
    BindingId, BindingMask, MASK_OVERFLOW, NONE, PREFIX_EMPTY, PREFIX_XML, PrefixId, QNameId, STR_EMPTY, STR_XSI_NS,
    StrId, binding_bit, bindings_of,
};
use crate::namespaces::Scope;

/// The XML declaration to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// The value of `encoding`. The bytes are UTF-8 whatever it says; transcoding is up to the caller.
    pub encoding: Cow<'static, str>,
    /// The value of `standalone`, left out for `None`.
    pub standalone: Option<bool>,
    /// Use `'` instead of `"`. MI: Axiom writes its declarations this way.
    pub single_quotes: bool,
}

impl Default for Declaration {
    fn default() -> Self {
        Self { encoding: Cow::Borrowed("UTF-8"), standalone: None, single_quotes: false }
    }
}

/// How a document is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Start with an XML declaration.
    pub declaration: Option<Declaration>,
    /// Leave comments out.
    pub omit_comments: bool,
    /// Leave processing instructions out.
    pub omit_pis: bool,
}

impl Document {
    /// Appends `n` and everything below it to `out`, in UTF-8. Declarations that `n` takes from its ancestors are
    /// added, unchanged parts are copied byte for byte, and the result is well formed: names keep their namespaces
    /// wherever they were moved, and characters XML cannot hold become U+FFFD. An XML declaration of the source is not
    /// repeated.
    pub fn write(&self, n: NodeId, out: &mut Vec<u8>) {
        self.write_with(n, out, &WriteOptions::default());
    }

    /// About how many bytes the document will have when it is written, to make room in advance; never much.
    pub fn size_hint(&self) -> usize {
        const MOST: usize = 64 * 1024;
        let read = self.sources.iter().map(|source| source.text.len()).fold(self.owned.len(), usize::saturating_add);
        read.min(MOST)
    }

    /// [`Document::write`] into a string.
    pub fn to_xml(&self, n: NodeId) -> String {
        let mut out = Vec::new();
        self.write(n, &mut out);
        // Only strings were written, so nothing is ever replaced.
        String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// [`Document::write`] with options.
    pub fn write_with(&self, n: NodeId, out: &mut Vec<u8>, options: &WriteOptions) {
        if let Some(declaration) = &options.declaration {
            write_declaration(out, declaration);
        }
        let mut writer = Writer {
            doc: self,
            out,
            options,
            may_copy: !options.omit_comments && !options.omit_pis,
            scope: Scope::new(&self.names),
            marks: Vec::new(),
            missing: Vec::new(),
            renamed: Vec::new(),
        };
        let node = self.node(n);
        match node.kind() {
            DOCUMENT => writer.document(),
            ELEMENT => writer.tree(n),
            ATTRIBUTE => writer.attribute(node),
            NAMESPACE => writer.declaration_of(node),
            _ => writer.leaf(node),
        }
    }
}

fn write_declaration(out: &mut Vec<u8>, declaration: &Declaration) {
    let quote = if declaration.single_quotes { '\'' } else { '"' };
    let standalone = match declaration.standalone {
        Some(true) => format!(" standalone={quote}yes{quote}"),
        Some(false) => format!(" standalone={quote}no{quote}"),
        None => String::new(),
    };
    let encoding = &declaration.encoding;
    let text = format!("<?xml version={quote}1.0{quote} encoding={quote}{encoding}{quote}{standalone}?>");
    out.extend_from_slice(text.as_bytes());
}

struct Writer<'d, 'o> {
    doc: &'d Document,
    out: &'o mut Vec<u8>,
    options: &'o WriteOptions,
    /// No option leaves anything out, so unchanged parts can be copied.
    may_copy: bool,
    /// The bindings that hold in what was written.
    scope: Scope,
    /// A mark of the scope for each open element.
    marks: Vec<u32>,
    /// Bindings to be declared on the element being written, beside its own declarations.
    missing: Vec<(PrefixId, StrId)>,
    /// Attributes of that element whose prefix means something else there, with the prefix made for them.
    renamed: Vec<(u32, String)>,
}

impl Writer<'_, '_> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn put_start_of_tag(&mut self, qname: QNameId) {
        put_range(self.out, self.doc.names.bytes(), self.doc.names.start_tag(qname));
    }

    #[inline]
    fn put_end_tag(&mut self, qname: QNameId) {
        put_range(self.out, self.doc.names.bytes(), self.doc.names.end_tag(qname));
    }

    /// Writes a value as it stands in its source.
    #[inline]
    fn put_raw(&mut self, node: &Node) {
        let (bytes, range) = self.doc.raw_range(node);
        put_range(self.out, bytes, range);
    }

    fn document(&mut self) {
        let doc = self.doc;
        let element = doc.element(Document::ROOT);
        let node = doc.node(Document::ROOT);
        if !node.has(TREE_CHANGED) && self.may_copy {
            return self.put_source(node, element.start, element.end);
        }
        for child in doc.children(Document::ROOT) {
            if doc.is_element(child) {
                self.tree(child);
            } else {
                self.leaf(doc.node(child));
            }
        }
    }

    /// Writes an element with everything below it.
    fn tree(&mut self, top: NodeId) {
        let doc = self.doc;
        let mut at = top.0;
        loop {
            let mut node = doc.node(NodeId(at));
            let child = if node.kind() == ELEMENT {
                self.element(NodeId(at), node)
            } else {
                self.leaf(node);
                NONE
            };
            if child != NONE {
                at = child;
                continue;
            }
            loop {
                if at == top.0 {
                    return;
                }
                if node.next != NONE {
                    at = node.next;
                    break;
                }
                at = node.parent;
                node = doc.node(NodeId(at));
                self.put_end_tag(node.a);
                if let Some(mark) = self.marks.pop() {
                    self.scope.leave(mark);
                }
            }
        }
    }

    /// Writes an element whole, or its start tag: then its first child, which comes next, is returned.
    fn element(&mut self, el: NodeId, node: &Node) -> u32 {
        let doc = self.doc;
        let element = doc.element(el);
        if !node.has(TREE_CHANGED) && self.copy_whole(node, element) {
            return NONE;
        }
        let mark = self.scope.mark();
        if !self.simple_start_tag(node, element) {
            self.start_tag(el, node, element, mark);
        }
        if element.first_child != NONE {
            self.out.push(b'>');
            let child = doc.node(NodeId(element.first_child));
            if child.kind() != TEXT || child.next != NONE {
                self.marks.push(mark);
                return element.first_child;
            }
            self.leaf(child);
            self.put_end_tag(node.a);
        } else if node.has(SELF_CLOSED) {
            self.put("/>");
        } else {
            self.out.push(b'>');
            self.put_end_tag(node.a);
        }
        self.scope.leave(mark);
        NONE
    }

    /// Writes a start tag without its end, if every name in it keeps its meaning as it is. Nothing is written when that
    /// shows to be wrong.
    #[inline]
    fn simple_start_tag(&mut self, node: &Node, element: &Element) -> bool {
        let doc = self.doc;
        let qname = doc.names.qname(node.a);
        if self.scope.uri(qname.prefix) != qname.namespace {
            return false;
        }
        let start = self.out.len();
        let copied = !node.has(TAG_CHANGED);
        if copied {
            self.put_tag_of_source(node, element.start, element.tag_end);
        } else {
            self.put_start_of_tag(node.a);
        }
        let mut next = element.first_attribute;
        while next != NONE {
            let attribute = doc.node(NodeId(next));
            if !self.keeps_meaning(attribute) {
                self.out.truncate(start);
                return false;
            }
            if !copied {
                self.out.push(b' ');
                self.attribute(attribute);
            }
            next = attribute.next;
        }
        true
    }

    /// Whether an attribute can be written here without any declaration.
    #[inline]
    fn keeps_meaning(&self, attribute: &Node) -> bool {
        if attribute.kind() != ATTRIBUTE {
            return false;
        }
        let qname = self.doc.names.qname(attribute.prev);
        qname.prefix == PREFIX_EMPTY
            || (self.scope.uri(qname.prefix) == qname.namespace && qname.namespace != STR_XSI_NS)
    }

    // === copying ===

    fn put_source(&mut self, node: &Node, start: u32, end: u32) {
        put_range(self.out, self.doc.source_text(node.source()).as_bytes(), start as usize..end as usize);
    }

    /// Copies an unchanged element from its source, if its namespaces can be provided for.
    fn copy_whole(&mut self, node: &Node, element: &Element) -> bool {
        if element.needs & MASK_OVERFLOW != 0 || !self.may_copy {
            return false;
        }
        let missing = self.missing_of(element.needs);
        let mut start = element.start;
        if missing != 0 {
            start += self.put_name_and(node, bindings_of(missing));
        }
        self.put_source(node, start, element.end);
        true
    }

    /// The bindings of `needs` that do not hold here.
    fn missing_of(&self, needs: BindingMask) -> BindingMask {
        let holds = |id: &BindingId| {
            let binding = self.doc.names.binding_of(*id);
            self.scope.uri(binding.prefix) == binding.uri
        };
        bindings_of(needs).filter(|id| !holds(id)).fold(0, |mask, id| mask | binding_bit(id))
    }

    /// Writes `<name` and declarations; returns how much of the source that stands for.
    fn put_name_and(&mut self, node: &Node, bindings: impl Iterator<Item = BindingId>) -> u32 {
        self.put_start_of_tag(node.a);
        for binding in bindings {
            let binding = self.doc.names.binding_of(binding);
            self.put_declaration(binding.prefix, binding.uri);
        }
        self.doc.names.start_tag(node.a).len() as u32
    }

    fn put_declaration(&mut self, prefix: PrefixId, uri: StrId) {
        self.put(if prefix == PREFIX_EMPTY { " xmlns" } else { " xmlns:" });
        self.put(self.doc.names.prefix_str(prefix));
        self.put("=\"");
        escape::attribute_str(self.out, self.doc.names.str(uri));
        self.put("\"");
    }

    // === start tags ===

    /// Writes a start tag without its end, with all declarations its names need.
    #[inline(never)]
    fn start_tag(&mut self, el: NodeId, node: &Node, element: &Element, mark: u32) {
        self.bind_declarations(el, node);
        self.require(node.a);
        self.bind_attributes(el, mark);
        let missing = std::mem::take(&mut self.missing);
        let renamed = std::mem::take(&mut self.renamed);
        let copied = !node.has(TAG_CHANGED) && renamed.is_empty() && !self.has_contradiction(el, node);
        self.put_start_of_tag(node.a);
        for &(prefix, uri) in &missing {
            self.put_declaration(prefix, uri);
        }
        if copied {
            let behind_name = element.start + self.doc.names.start_tag(node.a).len() as u32;
            self.put_tag_of_source(node, behind_name, element.tag_end);
        } else {
            self.put_attributes(el, node, &renamed);
        }
        self.missing = missing;
        self.missing.clear();
    }

    /// Makes the element's own declarations hold.
    fn bind_declarations(&mut self, el: NodeId, node: &Node) {
        let doc = self.doc;
        let own_prefix = doc.names.qname(node.a);
        for it in doc.attribute_list(el) {
            let it = doc.node(it);
            if it.kind() != NAMESPACE {
                continue;
            }
            let binding = doc.names.binding_of(it.prev);
            // The element's own name wins over a declaration that contradicts it.
            if binding.prefix == own_prefix.prefix && binding.uri != own_prefix.namespace {
                continue;
            }
            if !it.has(IMPLIED) {
                self.scope.bind(binding.prefix, binding.uri);
            } else if self.scope.uri(binding.prefix) != binding.uri {
                self.add_missing(binding.prefix, binding.uri);
            }
        }
    }

    fn has_contradiction(&self, el: NodeId, node: &Node) -> bool {
        let own = self.doc.names.qname(node.a);
        self.doc.namespace_decls(el).any(|it| {
            let binding = self.doc.names.binding_of(self.doc.node(it).prev);
            binding.prefix == own.prefix && binding.uri != own.namespace
        })
    }

    fn add_missing(&mut self, prefix: PrefixId, uri: StrId) {
        self.scope.bind(prefix, uri);
        self.missing.push((prefix, uri));
    }

    /// Makes the prefix of an element's name mean its namespace.
    fn require(&mut self, qname: QNameId) {
        let qname = self.doc.names.qname(qname);
        if self.scope.uri(qname.prefix) != qname.namespace {
            self.add_missing(qname.prefix, qname.namespace);
        }
    }

    /// Makes the prefixes of attributes mean their namespaces, or finds other prefixes for them.
    fn bind_attributes(&mut self, el: NodeId, mark: u32) {
        let doc = self.doc;
        let own = doc.names.qname(doc.node(el).a);
        for it in doc.attribute_list(el) {
            let node = doc.node(it);
            if node.kind() != ATTRIBUTE {
                continue;
            }
            let qname = doc.names.qname(node.prev);
            if qname.prefix == PREFIX_EMPTY || qname.prefix == PREFIX_XML {
                continue;
            }
            if self.scope.uri(qname.prefix) != qname.namespace {
                let taken = own.prefix == qname.prefix
                    || self.scope.bound_since(mark, qname.prefix)
                    || self.relies_on(el, qname.prefix);
                if taken {
                    self.rename_attribute(el, it);
                } else {
                    self.add_missing(qname.prefix, qname.namespace);
                }
            }
            if qname.namespace == STR_XSI_NS {
                self.provide_type(el, it, mark);
            }
        }
    }

    /// Whether an attribute of `el` relies on what `prefix` means here already.
    fn relies_on(&self, el: NodeId, prefix: PrefixId) -> bool {
        let uri = self.scope.uri(prefix);
        self.doc.attributes(el).any(|it| {
            let qname = self.doc.names.qname(self.doc.node(it).prev);
            qname.prefix == prefix && qname.namespace == uri
        })
    }

    /// Makes a prefix for an attribute that means nothing else here. It is not entered into the scope: whatever needs that
    /// prefix further down declares it again.
    fn rename_attribute(&mut self, el: NodeId, attribute: NodeId) {
        let doc = self.doc;
        let names = &doc.names;
        let is_used = |prefix| doc.attributes(el).any(|it| names.qname(doc.node(it).prev).prefix == prefix);
        let is_free = |candidate: &String| {
            let unused =
                names.find_prefix(candidate).is_none_or(|prefix| self.scope.uri(prefix) == NONE && !is_used(prefix));
            unused && self.renamed.iter().all(|(_, prefix)| prefix != candidate)
        };
        // Some number is free: there are fewer prefixes than candidates.
        let candidates = 0..=names.prefix_count() + self.renamed.len();
        let prefix = candidates.map(|number| format!("ns{number}")).find(is_free).unwrap_or_default();
        self.renamed.push((attribute.0, prefix));
    }

    /// Keeps the prefix in the value of an `xsi:type` bound.
    fn provide_type(&mut self, el: NodeId, attribute: NodeId, mark: u32) {
        let Some(binding) = type_binding(self.doc, el, attribute) else { return };
        let binding = self.doc.names.binding_of(binding);
        let free = self.scope.uri(binding.prefix) != binding.uri && !self.scope.bound_since(mark, binding.prefix);
        let own = self.doc.names.qname(self.doc.node(el).a).prefix == binding.prefix;
        if free && !own && binding.uri != STR_EMPTY && !self.relies_on(el, binding.prefix) {
            self.add_missing(binding.prefix, binding.uri);
        }
    }

    /// Copies the part of a start tag that begins at `start`, without the end of the tag.
    #[inline]
    fn put_tag_of_source(&mut self, node: &Node, start: u32, tag_end: u32) {
        let source = self.doc.source_text(node.source()).as_bytes();
        let mut end = (tag_end as usize).saturating_sub(1);
        while end > 0 && matches!(source.get(end - 1), Some(b'/' | b' ' | b'\t' | b'\n' | b'\r')) {
            end -= 1;
        }
        put_range(self.out, source, start as usize..end);
    }

    fn put_attributes(&mut self, el: NodeId, node: &Node, renamed: &[(u32, String)]) {
        let doc = self.doc;
        let own = doc.names.qname(node.a);
        for it in doc.attribute_list(el) {
            let attribute = doc.node(it);
            if attribute.kind() == NAMESPACE {
                let binding = doc.names.binding_of(attribute.prev);
                let contradicts = binding.prefix == own.prefix && binding.uri != own.namespace;
                if !contradicts && !attribute.has(IMPLIED) {
                    self.put(" ");
                    self.declaration_of(attribute);
                }
                continue;
            }
            self.out.push(b' ');
            let Some((_, prefix)) = renamed.iter().find(|&&(id, _)| id == it.0) else {
                self.attribute(attribute);
                continue;
            };
            let qname = doc.names.qname(attribute.prev);
            self.put("xmlns:");
            self.put(prefix);
            self.put("=\"");
            escape::attribute_str(self.out, doc.names.str(qname.namespace));
            self.put("\" ");
            self.put(&format!("{prefix}:{}", doc.names.local(attribute.prev)));
            self.attribute_value(attribute);
        }
    }

    /// Writes `name="value"`, where the name was not written yet.
    fn attribute(&mut self, node: &Node) {
        let name = self.doc.names.start_tag(node.prev);
        put_range(self.out, self.doc.names.bytes(), name.start + 1..name.end);
        self.attribute_value(node);
    }

    /// Writes `="value"`, with the quotes and references of the source if there is one.
    fn attribute_value(&mut self, node: &Node) {
        if node.has(PLAIN) {
            self.put("=\"");
            let (bytes, range) = self.doc.raw_range(node);
            escape::attribute(self.out, bytes, range);
            self.put("\"");
            return;
        }
        let quote = if node.has(APOSTROPHES) { b'\'' } else { b'"' };
        self.out.extend_from_slice(&[b'=', quote]);
        self.put_raw(node);
        self.out.push(quote);
    }

    /// Writes `xmlns:prefix="uri"`.
    fn declaration_of(&mut self, node: &Node) {
        let binding = self.doc.names.binding_of(node.prev);
        self.put(if binding.prefix == PREFIX_EMPTY { "xmlns" } else { "xmlns:" });
        self.put(self.doc.names.prefix_str(binding.prefix));
        if node.has(PLAIN) {
            self.put("=\"");
            escape::attribute_str(self.out, self.doc.names.str(binding.uri));
            self.put("\"");
        } else {
            self.attribute_value(node);
        }
    }

    // === leaves ===

    /// Writes a text as it stands in its source. Only where it meets another text it may have to be changed: together
    /// they must not make a `]]>`.
    #[inline]
    fn text_of_source(&mut self, node: &Node) {
        let (bytes, range) = self.doc.raw_range(node);
        let replaced = match bytes.get(range.clone()) {
            Some([b'>', ..]) if self.out.ends_with(b"]]") => "&gt;",
            Some([b']', b'>', ..]) if self.out.ends_with(b"]") => "]&gt;",
            _ => return put_range(self.out, bytes, range),
        };
        self.put(replaced);
        // `&gt;` stands for one byte.
        put_range(self.out, bytes, range.start + replaced.len() - 3..range.end);
    }

    /// Writes a text, comment or processing instruction.
    fn leaf(&mut self, node: &Node) {
        let doc = self.doc;
        match node.kind() {
            TEXT if !node.has(CDATA | PLAIN) => self.text_of_source(node),
            TEXT if !node.has(CDATA) => {
                let (bytes, range) = doc.raw_range(node);
                escape::text(self.out, bytes, range);
            }
            TEXT => escape::cdata(self.out, doc.raw(node), node.has(PLAIN)),
            COMMENT if !self.options.omit_comments => escape::comment(self.out, doc.raw(node)),
            PI if !self.options.omit_pis => escape::pi(self.out, doc.raw(node)),
            _ => {}
        }
    }
}
