//! The parser: one pass over the bytes that checks well-formedness and builds the records.
//!
//! Start tags, where most of the work is, are in `start_tag`; bytes in `scanner`. Nothing here recurses. Document type
//! declarations are refused, so there are no entities but the predefined ones.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

use bytes::Bytes;
use bytestring::ByteString;
use memchr::memmem;

use crate::arena::{CDATA, COMMENT, DECODE, DOCUMENT, Document, Element, Node, PI, Source, TEXT, tag};
use crate::declaration::is_declaration;
use crate::encoding;
use crate::limits::{Limits, ParseError, ParseOptions};
use crate::names::{BindingMask, NONE, Names};
use crate::namespaces::Scope;
use crate::scanner::{first_illegal, is_ncname, is_space, name_end, reference, text_stop};
use crate::stream::{Event, Sink};
use crate::vocabulary::{self, Scratch, Spellings};

/// Bytes of a dense document for each node and for each element: room is made for so many in advance.
const NODE_BYTES: usize = 12;
const ELEMENT_BYTES: usize = 24;
/// As many at most; large documents are often not dense.
const MAX_RESERVED: usize = 1 << 20;

/// What ends a CDATA section; every document is searched for it.
static SECTION_END: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(b"]]>"));

/// The number of the source a parsed document has.
pub(crate) const PARSED: u32 = 0;

/// Reads a document; see [`Document::parse_with`].
pub(crate) fn parse(bytes: Bytes, charset: Option<&str>, options: &ParseOptions) -> Result<Document, ParseError> {
    let bytes = checked(bytes, charset, options)?;
    let (text, stopper) = readable(&bytes);
    let outcome = Parser::new(&text, options, None).run();
    match (outcome, stopper) {
        (Ok(_), Some(message)) if !options.stop_after_root => Err(ParseError::at(&bytes, text.len(), message)),
        (Ok(document), _) => {
            let end = document.elements[0].end as usize;
            let trailing = (options.stop_after_root && end < bytes.len()).then_some(end);
            Ok(Document { sources: vec![Source::new(text)], trailing, ..document })
        }
        (Err(fail), Some(message)) if fail.at_end => Err(ParseError::at(&bytes, text.len(), message)),
        (Err(fail), _) => Err(ParseError::at(&bytes, fail.offset, fail.message)),
    }
}

/// See [`crate::stream`].
pub(crate) fn stream(
    bytes: Bytes,
    charset: Option<&str>,
    options: &ParseOptions,
    sink: &mut dyn Sink,
) -> Result<Option<ByteString>, ParseError> {
    let bytes = checked(bytes, charset, options)?;
    let (text, stopper) = readable(&bytes);
    match (Parser::new(&text, options, Some(sink)).run(), stopper) {
        (Ok(_), Some(message)) if !options.stop_after_root => Err(ParseError::at(&bytes, text.len(), message)),
        (Ok(_), _) => Ok(Some(text)),
        (Err(fail), _) if fail.is_stop => Ok(None),
        (Err(fail), Some(message)) if fail.at_end => Err(ParseError::at(&bytes, text.len(), message)),
        (Err(fail), _) => Err(ParseError::at(&bytes, fail.offset, fail.message)),
    }
}

/// The document in UTF-8, within the limits before and after it was transcoded.
fn checked(bytes: Bytes, charset: Option<&str>, options: &ParseOptions) -> Result<Bytes, ParseError> {
    let max_bytes = options.limits.max_bytes.min(Limits::MAX_BYTES);
    let check_size = |bytes: &Bytes| {
        if bytes.len() <= max_bytes {
            return Ok(());
        }
        Err(ParseError::at(b"", 0, format!("the document has {} bytes, max_bytes is {max_bytes}", bytes.len())))
    };
    check_size(&bytes)?;
    let bytes = encoding::to_utf8(bytes, charset).map_err(|message| ParseError::at(b"", 0, message))?;
    check_size(&bytes)?;
    Ok(bytes)
}

/// The leading part of the document that is UTF-8 and has only legal characters, and why it ends when it ends early.
/// The parser runs on that part, so an error before it is found first and a `stop_after_root` can still succeed.
fn readable(bytes: &Bytes) -> (ByteString, Option<&'static str>) {
    let (text, mut stopper) = match ByteString::try_from(bytes.clone()) {
        Ok(text) => (text, None),
        Err(error) => {
            let valid = bytes.slice(..error.valid_up_to());
            (ByteString::try_from(valid).unwrap_or_default(), Some("the document is not valid UTF-8 here"))
        }
    };
    let legal = first_illegal(&text);
    if legal == text.len() {
        return (text, stopper);
    }
    stopper = Some("a character that XML does not allow");
    (text.split_at(legal).0, stopper)
}

/// A refusal: made where the problem is, turned into a [`ParseError`] once.
pub(crate) struct Fail {
    offset: usize,
    /// The document ended too early.
    at_end: bool,
    /// No refusal: the sink wants no more.
    is_stop: bool,
    message: String,
}

pub(crate) type Parsed<T> = Result<T, Box<Fail>>;

/// An element that is open.
#[derive(Copy, Clone)]
pub(crate) struct Frame {
    pub(crate) node: u32,
    pub(crate) element: u32,
    /// The spelling of its name, to be found again in the end tag.
    pub(crate) spelling: u32,
    pub(crate) last_child: u32,
    pub(crate) scope_mark: u32,
    /// Bindings the subtree needs so far, without those the element itself declares.
    pub(crate) needs: BindingMask,
    pub(crate) declares: BindingMask,
}

/// Everything a parse carries along.
pub(crate) struct Parser<'s> {
    pub(crate) text: &'s str,
    pub(crate) bytes: &'s [u8],
    pub(crate) at: usize,
    pub(crate) limits: &'s Limits,
    pub(crate) nodes: Vec<Node>,
    pub(crate) elements: Vec<Element>,
    pub(crate) names: Arc<Names>,
    pub(crate) spellings: Spellings,
    pub(crate) scope: Scope,
    pub(crate) current: Frame,
    pub(crate) open: Vec<Frame>,
    /// For each expanded name and each prefix the element that last had it, to find duplicates.
    pub(crate) seen_names: Vec<u32>,
    pub(crate) seen_prefixes: Vec<u32>,
    /// `]]>` occurs somewhere, so text has to be checked for it.
    has_section_end: bool,
    stop_after_root: bool,
    /// Counts elements, also those that were forgotten.
    pub(crate) serial: u32,
    /// Is told of the document instead of a tree being built.
    pub(crate) sink: Option<&'s mut dyn Sink>,
}

impl<'s> Parser<'s> {
    fn new(text: &'s ByteString, options: &'s ParseOptions, sink: Option<&'s mut dyn Sink>) -> Self {
        let (names, spellings, scratch) = vocabulary::take();
        let bytes = text.as_bytes().as_ref();
        let scope = Scope::new(&names);
        Self {
            text,
            bytes,
            at: 0,
            limits: &options.limits,
            nodes: Vec::with_capacity((bytes.len() / NODE_BYTES + 16).min(MAX_RESERVED)),
            elements: Vec::with_capacity((bytes.len() / ELEMENT_BYTES + 8).min(MAX_RESERVED)),
            names,
            spellings,
            scope,
            current: Frame {
                node: 0,
                element: 0,
                spelling: NONE,
                last_child: NONE,
                scope_mark: 0,
                needs: 0,
                declares: 0,
            },
            open: scratch.open,
            seen_names: scratch.seen_names,
            seen_prefixes: scratch.seen_prefixes,
            has_section_end: SECTION_END.find(bytes).is_some(),
            stop_after_root: options.stop_after_root,
            serial: scratch.serial,
            sink,
        }
    }

    /// Builds the document; its source is left to the caller.
    fn run(mut self) -> Parsed<Document> {
        let outcome = self.read();
        let (open, serial) = (self.open, self.serial);
        let scratch = Scratch { open, seen_names: self.seen_names, seen_prefixes: self.seen_prefixes, serial };
        vocabulary::keep(&self.names, self.spellings, scratch);
        outcome?;
        Ok(Document {
            nodes: self.nodes,
            elements: self.elements,
            names: self.names,
            sources: Vec::new(),
            owned: String::new(),
            trailing: None,
            in_order: true,
            order: OnceLock::new(),
        })
    }

    /// Reads the document node and everything below it.
    fn read(&mut self) -> Parsed<()> {
        self.nodes.push(Node::new(DOCUMENT, 0, PARSED, NONE, 0));
        self.elements.push(Element::EMPTY);
        if self.bytes.starts_with(b"\xEF\xBB\xBF") {
            self.at = 3;
        }
        self.declaration()?;
        let first = self.misc()?;
        if self.at >= self.bytes.len() {
            return self.fail_at_end("the document has no root element");
        }
        self.elements[0].start = first.unwrap_or(self.at) as u32;
        self.start_tag()?;
        if !self.open.is_empty() {
            self.content()?;
        }
        let mut end = self.at;
        if !self.stop_after_root {
            let last = self.misc()?;
            if self.at < self.bytes.len() {
                return self.fail(self.at, "nothing but comments may follow the root element");
            }
            if last.is_some() {
                end = self.bytes.trim_ascii_end().len();
            }
        }
        self.elements[0].end = end as u32;
        let first = self.elements[0].first_child;
        if first != NONE {
            self.nodes[first as usize].prev = self.current.last_child;
        }
        Ok(())
    }

    // === errors ===

    #[cold]
    pub(crate) fn fail<T>(&self, offset: usize, message: impl Into<String>) -> Parsed<T> {
        Err(Box::new(Fail { offset, at_end: offset >= self.bytes.len(), is_stop: false, message: message.into() }))
    }

    /// Ends the parse because the sink wants no more.
    #[cold]
    pub(crate) fn stop<T>(&self) -> Parsed<T> {
        Err(Box::new(Fail { offset: self.at, at_end: false, is_stop: true, message: String::new() }))
    }

    #[cold]
    pub(crate) fn fail_at_end<T>(&self, message: impl Into<String>) -> Parsed<T> {
        self.fail(self.bytes.len(), message)
    }

    #[cold]
    pub(crate) fn fail_long_name<T>(&self, offset: usize) -> Parsed<T> {
        self.fail(offset, format!("a name is longer than {} bytes (max_name)", self.limits.max_name))
    }

    // === bytes ===

    /// The byte at `at`, or 0 behind the end: a legal document has no zero bytes.
    #[inline]
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn skip_space(&mut self) -> bool {
        let start = self.at;
        while is_space(self.byte(self.at)) {
            self.at += 1;
        }
        self.at > start
    }

    #[inline]
    fn looking_at(&self, expected: &[u8]) -> bool {
        self.bytes[self.at..].starts_with(expected)
    }

    // === nodes ===

    /// Adds an attribute or declaration of the open element. Takes the parts of the node, because a record that is
    /// built in one place and copied from there costs more than all the rest.
    #[inline]
    pub(crate) fn push_attribute(&mut self, tag: u32, name: u32, a: u32, b: u32) -> Parsed<u32> {
        let id = self.nodes.len() as u32;
        if id >= self.limits.max_nodes {
            return self.fail_nodes();
        }
        self.nodes.push(Node { tag, parent: self.current.node, next: NONE, prev: name, a, b });
        Ok(id)
    }

    /// Adds a node as the last child of the open element.
    #[inline]
    pub(crate) fn push_child(&mut self, tag: u32, a: u32, b: u32) -> Parsed<u32> {
        let id = self.nodes.len() as u32;
        if id >= self.limits.max_nodes {
            return self.fail_nodes();
        }
        let last = self.current.last_child;
        self.nodes.push(Node { tag, parent: self.current.node, next: NONE, prev: last, a, b });
        if last == NONE {
            self.elements[self.current.element as usize].first_child = id;
        } else {
            self.nodes[last as usize].next = id;
        }
        self.current.last_child = id;
        Ok(id)
    }

    #[cold]
    fn fail_nodes<T>(&self) -> Parsed<T> {
        self.fail(self.at, format!("the document has more than {} nodes (max_nodes)", self.limits.max_nodes))
    }

    // === document level ===

    /// The XML declaration, if there is one.
    fn declaration(&mut self) -> Parsed<()> {
        if !self.looking_at(b"<?xml") || !is_space(self.byte(self.at + 5)) {
            return Ok(());
        }
        let start = self.at;
        let Some(len) = memmem::find(&self.bytes[start..], b"?>") else {
            return self.fail_at_end("the XML declaration has no end");
        };
        if !is_declaration(&self.text[start + 5..start + len]) {
            return self.fail(
                start,
                "malformed XML declaration: expected <?xml version=\"1.0\" encoding=\"...\" standalone=\"yes|no\"?>",
            );
        }
        self.at = start + len + 2;
        Ok(())
    }

    /// Comments, processing instructions and white space outside of the root element, up to the end or a start tag.
    /// Returns where the first node starts.
    fn misc(&mut self) -> Parsed<Option<usize>> {
        let mut first = None;
        loop {
            self.skip_space();
            let start = self.at;
            if start >= self.bytes.len() {
                return Ok(first);
            }
            if self.looking_at(b"<!--") {
                self.comment()?;
            } else if self.looking_at(b"<?") {
                self.pi()?;
            } else if self.looking_at(b"<!") {
                return self.refuse_markup();
            } else if self.byte(start) == b'<' && self.byte(start + 1) != b'/' {
                return Ok(first);
            } else {
                return self.fail(start, "text or an end tag outside of the root element");
            }
            first.get_or_insert(start);
        }
    }

    // === content ===

    /// Everything between the root's start and end tag.
    fn content(&mut self) -> Parsed<()> {
        loop {
            if self.byte(self.at) != b'<' {
                self.character_data()?;
            }
            match self.byte(self.at + 1) {
                b'/' => {
                    self.end_tag()?;
                    if self.open.is_empty() {
                        return Ok(());
                    }
                }
                b'!' => self.declaration_like()?,
                b'?' => self.pi()?,
                _ => self.start_tag()?,
            }
        }
    }

    /// Text up to the next `<`.
    fn character_data(&mut self) -> Parsed<()> {
        let start = self.at;
        let mut flags = 0;
        let mut at = start;
        loop {
            at = text_stop(self.bytes, at);
            match self.byte(at) {
                b'<' => break,
                b'&' => {
                    at = self.check_reference(at)?;
                    flags = DECODE;
                }
                b'\r' => {
                    at += 1;
                    flags = DECODE;
                }
                _ => return self.fail_unclosed(),
            }
        }
        if self.has_section_end
            && let Some(found) = memmem::find(&self.bytes[start..at], b"]]>")
        {
            return self.fail(start + found, "]]> must be written ]]&gt; in text");
        }
        self.at = at;
        self.push_child(tag(TEXT, flags, PARSED), start as u32, (at - start) as u32)?;
        self.told(Event::Other)
    }

    #[cold]
    pub(crate) fn fail_unclosed<T>(&self) -> Parsed<T> {
        let name = self.spellings.text(self.current.spelling);
        self.fail_at_end(format!("the document ends inside of <{}>", shown(name)))
    }

    /// Checks the reference at `at` and returns its end.
    pub(crate) fn check_reference(&self, at: usize) -> Parsed<usize> {
        if let Some((len, _)) = reference(&self.bytes[at..]) {
            return Ok(at + len);
        }
        let rest = &self.text[at + 1..];
        let name = &rest[..rest.find(|c: char| !crate::scanner::is_name_char(c) && c != '#').unwrap_or(rest.len())];
        if name.len() == rest.len() {
            return self.fail_at_end("the document ends inside of a reference");
        }
        if !rest[name.len()..].starts_with(';') || name.is_empty() {
            return self.fail(at, "a single & must be written &amp;");
        }
        let name = shown(name);
        if name.starts_with('#') {
            return self.fail(at, format!("&{name}; is no character that XML allows"));
        }
        self.fail(at, format!("the entity &{name}; is not defined: only amp, lt, gt, quot and apos are"))
    }

    fn end_tag(&mut self) -> Parsed<()> {
        let start = self.at;
        let expected = self.spellings.text(self.current.spelling).as_bytes();
        if !self.bytes[start..].get(2..).is_some_and(|rest| rest.starts_with(expected)) {
            return self.fail_end_tag(start);
        }
        self.at += 2 + expected.len();
        if self.byte(self.at) != b'>' {
            self.skip_space();
            if self.byte(self.at) != b'>' {
                return self.fail_end_tag(start);
            }
        }
        self.at += 1;
        self.close();
        self.told(Event::End { start, end: self.at })
    }

    #[cold]
    fn fail_end_tag(&self, start: usize) -> Parsed<()> {
        let expected = self.spellings.text(self.current.spelling);
        let found = &self.text[start + 2..name_end(self.bytes, start + 2)];
        if start + 2 + found.len() >= self.bytes.len() {
            return self.fail_unclosed();
        }
        if found == expected {
            return self.fail(start, format!("the end tag </{}> is not closed with >", shown(found)));
        }
        self.fail(start, format!("expected </{}>, found </{}>", shown(expected), shown(found)))
    }

    /// Ends the open element, whose end tag was just read.
    #[inline]
    pub(crate) fn close(&mut self) {
        let done = self.current;
        let element = &mut self.elements[done.element as usize];
        element.end = self.at as u32;
        element.needs = done.needs;
        if done.last_child != NONE {
            // The first child knows the last one.
            let first = element.first_child;
            self.nodes[first as usize].prev = done.last_child;
        }
        self.scope.leave(done.scope_mark);
        if let Some(parent) = self.open.pop() {
            self.current = parent;
            self.current.needs |= done.needs & !parent.declares;
        }
    }

    // === comments, sections, instructions ===

    /// What starts with `<!` inside of an element.
    fn declaration_like(&mut self) -> Parsed<()> {
        if self.looking_at(b"<!--") {
            return self.comment();
        }
        if !self.looking_at(b"<![CDATA[") {
            return self.refuse_markup();
        }
        let start = self.at + 9;
        let Some(len) = memmem::find(&self.bytes[start..], b"]]>") else {
            return self.fail_at_end("a CDATA section has no end");
        };
        self.at = start + len + 3;
        if len > 0 {
            let flags = CDATA | self.carriage_returns(start, len);
            self.push_child(tag(TEXT, flags, PARSED), start as u32, len as u32)?;
            self.told(Event::Section)?;
        }
        Ok(())
    }

    fn comment(&mut self) -> Parsed<()> {
        let start = self.at + 4;
        let Some(len) = memmem::find(&self.bytes[start..], b"--") else {
            return self.fail_at_end("a comment has no end");
        };
        let end = start + len;
        if end + 2 >= self.bytes.len() {
            return self.fail_at_end("a comment has no end");
        }
        if self.byte(end + 2) != b'>' {
            return self.fail(end, "-- is not allowed inside of a comment");
        }
        self.at = end + 3;
        let flags = self.carriage_returns(start, len);
        self.push_child(tag(COMMENT, flags, PARSED), start as u32, len as u32)?;
        self.told(Event::Other)
    }

    fn pi(&mut self) -> Parsed<()> {
        let start = self.at + 2;
        let Some(len) = memmem::find(&self.bytes[start..], b"?>") else {
            return self.fail_at_end("a processing instruction has no end");
        };
        let target_end = name_end(self.bytes, start).min(start + len);
        let target = &self.text[start..target_end];
        if target.len() > self.limits.max_name {
            return self.fail_long_name(start);
        }
        if !is_ncname(target) || !(target_end == start + len || is_space(self.bytes[target_end])) {
            return self.fail(start, "a processing instruction must start with a name without a colon");
        }
        if target.eq_ignore_ascii_case("xml") {
            return self.fail(start - 2, "an XML declaration may only stand at the very start of the document");
        }
        self.at = start + len + 2;
        let flags = self.carriage_returns(start, len);
        self.push_child(tag(PI, flags, PARSED), start as u32, len as u32)?;
        self.told(Event::Other)
    }

    /// Tells the sink, if there is one.
    #[inline]
    fn told(&mut self, event: Event<'_>) -> Parsed<()> {
        if self.sink.is_some() && !self.tell(event) {
            return self.stop();
        }
        Ok(())
    }

    fn carriage_returns(&self, start: usize, len: usize) -> u32 {
        if memchr::memchr(b'\r', &self.bytes[start..start + len]).is_some() { DECODE } else { 0 }
    }

    #[cold]
    fn refuse_markup<T>(&self) -> Parsed<T> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(b"<!DOCTYPE") {
            return self.fail(
                self.at,
                "document type declarations are refused: remove the <!DOCTYPE ...>, \
                 and write the text of its entities instead of their references",
            );
        }
        if [b"<!DOCTYPE".as_slice(), b"<![CDATA[", b"<!--"].iter().any(|markup| markup.starts_with(rest)) {
            return self.fail_at_end("the document ends inside of markup");
        }
        self.fail(self.at, "expected a comment, a CDATA section or a tag behind <")
    }
}

/// A name for a message, cut when it is very long.
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    const LONGEST: usize = 80;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => Cow::Owned(format!("{}...", &name[..end])),
        None => Cow::Borrowed(name),
    }
}
