//! Writing a result by its output method, where the document's own writer does not do: unescaped text, CDATA
//! sections, character maps, indentation, HTML.

use std::fmt::Write;

use mi_xml::{Document, NodeId, NodeKind};

use crate::expr::key_of;
use crate::output::{Method, Output};

/// The result as text.
pub(crate) fn serialize(output: &Output) -> String {
    let doc = &output.document;
    if output.method == Method::Text {
        let text = output.text();
        return if output.settings.characters.is_empty() { text } else { mapped(output, &text) };
    }
    let settings = &output.settings;
    let mut out = String::new();
    if settings.byte_order_mark == Some(true) && last_character(output) == char::MAX {
        out.push('\u{feff}');
    }
    let html = output.method == Method::Html;
    let declared = !html && !settings.omit_declaration.unwrap_or(false);
    if declared {
        let encoding = settings.encoding.as_deref().unwrap_or("UTF-8");
        let version = settings.version.as_deref().unwrap_or("1.0");
        out.push_str(&format!("<?xml version=\"{version}\" encoding=\"{encoding}\""));
        if let Some(standalone) = settings.standalone {
            out.push_str(if standalone { " standalone=\"yes\"" } else { " standalone=\"no\"" });
        }
        out.push_str("?>");
    }
    let indent = settings.indent.unwrap_or(html);
    doctype(output, &mut out);
    if !plain(output, indent) {
        Writer { output, doc, out: &mut out, indent, html, last: last_character(output) }.write();
        return out;
    }
    out.push_str(&doc.to_xml(Document::ROOT));
    out
}

/// Whether the document's own writer does.
fn plain(output: &Output, indent: bool) -> bool {
    let settings = &output.settings;
    matches!(output.method, Method::Xml)
        && !indent
        && output.raw.is_empty()
        && settings.characters.is_empty()
        && settings.cdata_elements.is_empty()
        && last_character(output) == char::MAX
}

/// The last character that the encoding can write; others become references.
fn last_character(output: &Output) -> char {
    let encoding = output.settings.encoding.as_deref().unwrap_or_default().to_ascii_lowercase();
    match encoding.as_str() {
        "us-ascii" | "ascii" => '\u{7f}',
        "iso-8859-1" | "latin1" => '\u{ff}',
        _ => char::MAX,
    }
}

fn doctype(output: &Output, out: &mut String) {
    let settings = &output.settings;
    let Some(root) = output.document.root_element() else { return };
    let name = output.document.qualified_name(root);
    let system = settings.doctype_system.as_ref().map(|system| {
        let quote = if system.contains('"') { '\'' } else { '"' };
        format!("{quote}{system}{quote}")
    });
    match (&settings.doctype_public, system) {
        (Some(public), Some(system)) => out.push_str(&format!("<!DOCTYPE {name} PUBLIC \"{public}\" {system}>")),
        (None, Some(system)) => out.push_str(&format!("<!DOCTYPE {name} SYSTEM {system}>")),
        (Some(public), None) if output.method == Method::Html => {
            out.push_str(&format!("<!DOCTYPE {name} PUBLIC \"{public}\">"));
        }
        _ => {}
    }
}

fn mapped(output: &Output, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match output.settings.characters.get(&c) {
            Some(replacement) => out.push_str(replacement),
            None => out.push(c),
        }
    }
    out
}

const VOID: [&str; 16] = [
    "area", "base", "basefont", "br", "col", "embed", "frame", "hr", "img", "input", "isindex", "link", "meta",
    "param", "source", "wbr",
];

/// Attributes of HTML that are written without their value.
const BOOLEAN: [&str; 12] = [
    "checked", "compact", "declare", "defer", "disabled", "ismap", "multiple", "nohref", "noresize", "noshade",
    "nowrap", "selected",
];
/// Attributes that are addresses.
const URIS: [&str; 11] =
    ["action", "background", "cite", "classid", "codebase", "data", "href", "longdesc", "profile", "src", "usemap"];
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// An address with everything that is not ASCII as percent escapes.
fn escaped_uri(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c.is_ascii() {
            out.push(c);
            continue;
        }
        let mut bytes = [0; 4];
        for byte in c.encode_utf8(&mut bytes).bytes() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

struct Writer<'a> {
    output: &'a Output,
    doc: &'a Document,
    out: &'a mut String,
    indent: bool,
    html: bool,
    last: char,
}

/// One step of writing: walking is iterative, for results may be deep.
enum Task {
    Open(NodeId, usize),
    Close(NodeId, Option<usize>),
}

impl Writer<'_> {
    fn write(&mut self) {
        let mut tasks: Vec<Task> = self.doc.children(Document::ROOT).map(|it| Task::Open(it, 0)).collect();
        tasks.reverse();
        while let Some(task) = tasks.pop() {
            match task {
                Task::Open(node, depth) if self.doc.is_element(node) => self.element(node, depth, &mut tasks),
                Task::Open(node, _) => self.leaf(node),
                Task::Close(node, broken) => {
                    if let Some(depth) = broken {
                        self.line(depth);
                    }
                    self.out.push_str("</");
                    self.out.push_str(self.doc.qualified_name(node));
                    self.out.push('>');
                }
            }
        }
    }

    fn line(&mut self, depth: usize) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
        self.out.extend(std::iter::repeat_n(' ', depth.min(100) * 3));
    }

    /// Elements with text among their children keep their white space.
    fn has_text(&self, node: NodeId) -> bool {
        self.doc.children(node).any(|it| self.doc.kind(it) == NodeKind::Text)
    }

    fn element(&mut self, node: NodeId, depth: usize, tasks: &mut Vec<Task>) {
        let parent = self.doc.parent(node).unwrap_or(Document::ROOT);
        if self.indent && !self.has_text(parent) && (depth > 0 || !self.out.is_empty()) {
            self.line(depth);
        }
        let name = self.doc.qualified_name(node);
        self.out.push('<');
        self.out.push_str(name);
        self.namespaces(node, parent);
        for attribute in self.doc.attributes(node) {
            self.out.push(' ');
            let name = self.doc.qualified_name(attribute);
            self.out.push_str(name);
            if self.html && BOOLEAN.contains(&name.to_ascii_lowercase().as_str()) && *name == *self.doc.value(attribute)
            {
                continue;
            }
            self.out.push_str("=\"");
            let value = self.doc.value(attribute).into_owned();
            if self.is_uri(attribute) {
                self.escaped(&escaped_uri(&value), true);
            } else {
                self.escaped(&value, true);
            }
            self.out.push('"');
        }
        let void = VOID.contains(&self.doc.local_name(node).to_ascii_lowercase().as_str());
        if self.is_head(node) {
            return self.head(node, depth, tasks);
        }
        if self.doc.first_child(node).is_none() {
            let xhtml = self.output.method == Method::Xhtml && self.doc.namespace(node) == XHTML;
            match (self.html, void) {
                (true, true) => self.out.push('>'),
                (true, false) => self.out.push_str(&format!("></{name}>")),
                (false, true) if xhtml => self.out.push_str(" />"),
                (false, false) if xhtml => self.out.push_str(&format!("></{name}>")),
                _ => self.out.push_str("/>"),
            }
            return;
        }
        self.out.push('>');
        let broken = self.indent && !self.has_text(node);
        tasks.push(Task::Close(node, broken.then_some(depth)));
        let at = tasks.len();
        tasks.extend(self.doc.children(node).map(|it| Task::Open(it, depth + 1)));
        tasks[at..].reverse();
    }

    /// Whether the value of an attribute is an address that is written with escapes.
    fn is_uri(&self, attribute: NodeId) -> bool {
        let local = self.doc.local_name(attribute).to_ascii_lowercase();
        matches!(self.output.method, Method::Html | Method::Xhtml)
            && self.output.settings.escape_uris != Some(false)
            && self.doc.namespace(attribute).is_empty()
            && URIS.contains(&local.as_str())
    }

    /// Whether an element is the `head` that gets a `meta` with the content type.
    fn is_head(&self, node: NodeId) -> bool {
        let namespace = self.doc.namespace(node);
        let fits = match self.output.method {
            Method::Html => namespace.is_empty() || namespace == XHTML,
            Method::Xhtml => namespace == XHTML,
            _ => false,
        };
        let parent = self.doc.parent(node).is_some_and(|it| self.doc.local_name(it).eq_ignore_ascii_case("html"));
        fits && parent
            && self.output.settings.include_content_type != Some(false)
            && self.doc.local_name(node).eq_ignore_ascii_case("head")
    }

    /// The content of a `head`: the `meta` with the content type is ours.
    fn head(&mut self, node: NodeId, depth: usize, tasks: &mut Vec<Task>) {
        self.out.push('>');
        let indent = self.indent && !self.has_text(node);
        if indent {
            self.line(depth + 1);
        }
        let settings = &self.output.settings;
        let media = settings.media_type.as_deref().unwrap_or("text/html");
        let charset = settings.encoding.as_deref().unwrap_or("UTF-8");
        let prefix = match self.doc.prefix(node) {
            "" => String::new(),
            prefix => format!("{prefix}:"),
        };
        let end = if self.html { ">" } else { " />" };
        let meta = format!("<{prefix}meta http-equiv=\"Content-Type\" content=\"{media}; charset={charset}\"{end}");
        self.out.push_str(&meta);
        tasks.push(Task::Close(node, indent.then_some(depth)));
        let at = tasks.len();
        let doc = self.doc;
        let kept = doc.children(node).filter(|it| {
            let own = doc.local_name(*it).eq_ignore_ascii_case("meta")
                && doc.attributes(*it).any(|it| {
                    doc.local_name(it).eq_ignore_ascii_case("http-equiv")
                        && doc.value(it).trim().eq_ignore_ascii_case("content-type")
                });
            !own
        });
        tasks.extend(kept.map(|it| Task::Open(it, depth + 1)));
        tasks[at..].reverse();
    }

    /// The declarations that are new at this element.
    fn namespaces(&mut self, node: NodeId, parent: NodeId) {
        let mut bindings: Vec<(String, String)> = Vec::new();
        for (prefix, uri) in self.doc.in_scope_namespaces(node).into_iter().rev() {
            if self.doc.lookup_namespace(parent, prefix) != Some(uri) {
                bindings.push((prefix.to_owned(), uri.to_owned()));
            }
        }
        let unbound = self.doc.namespace(node).is_empty() && self.doc.lookup_namespace(parent, "").is_some();
        if unbound {
            bindings.push((String::new(), String::new()));
        }
        for (prefix, uri) in bindings {
            self.out.push_str(if prefix.is_empty() { " xmlns" } else { " xmlns:" });
            self.out.push_str(&prefix);
            self.out.push_str("=\"");
            self.escaped(&uri, true);
            self.out.push('"');
        }
    }

    fn leaf(&mut self, node: NodeId) {
        let value = self.doc.value(node).into_owned();
        match self.doc.kind(node) {
            NodeKind::Comment => {
                self.out.push_str("<!--");
                self.out.push_str(&value);
                self.out.push_str("-->");
            }
            NodeKind::Pi => {
                let target = self.doc.local_name(node);
                self.out.push_str(&format!("<?{target} {value}{}", if self.html { ">" } else { "?>" }));
            }
            _ => self.text(node, &value),
        }
    }

    fn text(&mut self, node: NodeId, value: &str) {
        let parent = self.doc.parent(node).filter(|it| self.doc.is_element(*it));
        let local = parent.map_or("", |it| self.doc.local_name(it));
        let verbatim = self.html && matches!(local.to_ascii_lowercase().as_str(), "script" | "style");
        if verbatim || self.output.raw.contains(&node) {
            self.out.push_str(value);
            return;
        }
        let cdata = parent.is_some_and(|it| {
            self.output.settings.cdata_elements.contains(&key_of(self.doc.namespace(it), self.doc.local_name(it)))
        });
        if cdata && !self.html {
            self.out.push_str("<![CDATA[");
            self.out.push_str(&value.replace("]]>", "]]]]><![CDATA[>"));
            self.out.push_str("]]>");
            return;
        }
        self.escaped(value, false);
    }

    fn escaped(&mut self, text: &str, attribute: bool) {
        for c in text.chars() {
            if let Some(replacement) = self.output.settings.characters.get(&c) {
                self.out.push_str(replacement);
                continue;
            }
            match c {
                '&' => self.out.push_str("&amp;"),
                '<' if !(self.html && attribute) => self.out.push_str("&lt;"),
                '>' if !attribute => self.out.push_str("&gt;"),
                '"' if attribute => self.out.push_str("&quot;"),
                '\n' | '\t' if attribute && !self.html => self.reference(c),
                '\r' => self.reference(c),
                '\u{a0}' if self.html => self.out.push_str("&nbsp;"),
                c if c > self.last => self.reference(c),
                c if mi_xml::is_char(c) => self.out.push(c),
                _ => self.out.push('\u{fffd}'),
            }
        }
    }

    fn reference(&mut self, c: char) {
        // Writing into a string cannot fail.
        let written = write!(self.out, "&#{};", c as u32);
        debug_assert!(written.is_ok());
    }
}
