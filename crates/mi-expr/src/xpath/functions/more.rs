//! Functions on nodes, names and texts that few expressions use.

use std::collections::HashSet;
use std::sync::Arc;

use mi_xml::{Document, NodeId, NodeKind};
use unicode_normalization::UnicodeNormalization as _;

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::numerals;
use crate::xpath::Version::V2;
use crate::xpath::ast::Type::{Boolean, Nodes, String as Text, Unknown};
use crate::xpath::builder::{Opened, TreeBuilder};
use crate::xpath::error::XPathError;
use crate::xpath::pattern::Regex;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{Item, Node, QName, Str};

use Library::Core;

const FN: &str = "http://www.w3.org/2005/xpath-functions";
pub(super) const CODEPOINTS: &str = "http://www.w3.org/2005/xpath-functions/collation/codepoint";

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("path", (0, 1), V2, Text, 1, path)),
    builtin(Core, ("innermost", (1, 1), V2, Nodes, 0, |a| nested(a, true))),
    builtin(Core, ("outermost", (1, 1), V2, Nodes, 0, |a| nested(a, false))),
    builtin(Core, ("nilled", (0, 1), V2, Boolean, 1, nilled)),
    builtin(Core, ("base-uri", (0, 1), V2, Unknown, 1, base_uri)),
    // Nothing that is evaluated here has a place it was loaded from.
    builtin(Core, ("document-uri", (0, 1), V2, Unknown, 1, |a| node(a).map(|_| Sequence::empty()))),
    builtin(Core, ("static-base-uri", (0, 0), V2, Unknown, 0, |a| Ok(static_base(a).map(any_uri).into()))),
    builtin(Core, ("idref", (1, 2), V2, Nodes, 2, idref)),
    builtin(Core, ("collection", (0, 1), V2, Nodes, 0, |_| no_collection())),
    builtin(Core, ("environment-variable", (1, 1), V2, Unknown, 0, |_| Ok(Sequence::empty()))),
    builtin(Core, ("available-environment-variables", (0, 0), V2, Unknown, 0, |_| Ok(Sequence::empty()))),
    builtin(Core, ("default-collation", (0, 0), V2, Text, 0, |_| Ok(CODEPOINTS.into()))),
    builtin(Core, ("default-language", (0, 0), V2, Text, 0, |_| Ok("en".into()))),
    builtin(Core, ("resolve-QName", (2, 2), V2, Unknown, 0, resolve_qname)),
    builtin(Core, ("resolve-uri", (1, 2), V2, Unknown, 0, resolve_uri)),
    builtin(Core, ("normalize-unicode", (1, 2), V2, Text, 0, normalize_unicode)),
    builtin(Core, ("format-integer", (2, 3), V2, Text, 0, format_integer)),
    builtin(Core, ("analyze-string", (2, 3), V2, Nodes, 0, analyze_string)),
];

fn no_collection<'d>() -> Outcome<'d> {
    Err(XPathError::dynamic("FODC0002", "there are no collections"))
}

fn node<'d>(args: &Args<'_, '_, 'd>) -> Result<Option<Node<'d>>, XPathError> {
    let item = if args.len() > 0 { args.single(0)? } else { Some(args.cx.context()?) };
    match item {
        None => Ok(None),
        Some(Item::Node(node)) => Ok(Some(node)),
        Some(other) => Err(XPathError::type_error(format!("a node is needed here, not {}", other.type_name()))),
    }
}

/// Attributes that refer to identifiers are told by a document type or a schema, which messages do not have.
fn idref<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    super::nodes::identifiers(args)?;
    super::nodes::node(args, 1)?;
    Ok(Sequence::empty())
}

fn nilled<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    // Only validation makes an element nilled.
    Ok(node(args)?.filter(|it| it.kind() == NodeKind::Element).map(|_| Item::Boolean(false)).into())
}

/// `/Q{urn:m}a[1]/@b`
fn path<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(node) = node(args)? else { return Ok(Sequence::empty()) };
    let doc: &Document = &node.doc;
    let mut steps = Vec::new();
    let mut at = node.id;
    while let Some(parent) = doc.parent(at) {
        args.ev.spend(1)?;
        steps.push(step(doc, at, parent));
        at = parent;
    }
    if steps.is_empty() {
        return Ok(if node.kind() == NodeKind::Document {
            "/"
        } else {
            "Q{http://www.w3.org/2005/xpath-functions}root()"
        }
        .into());
    }
    let root = if doc.kind(at) == NodeKind::Document { "" } else { "Q{http://www.w3.org/2005/xpath-functions}root()" };
    let mut out = root.to_owned();
    for step in steps.iter().rev() {
        out.push('/');
        out.push_str(step);
    }
    Ok(out.into())
}

fn step(doc: &Document, node: NodeId, parent: NodeId) -> String {
    let kind = doc.kind(node);
    let name = || format!("Q{{{}}}{}", doc.namespace(node), doc.local_name(node));
    let same = |other: &NodeId| {
        doc.kind(*other) == kind
            && (kind != NodeKind::Element || doc.name_id(*other) == doc.name_id(node))
            && (kind != NodeKind::Pi || doc.local_name(*other) == doc.local_name(node))
    };
    let index = || doc.children(parent).filter(same).take_while(|it| *it != node).count() + 1;
    match kind {
        NodeKind::Attribute if doc.namespace(node).is_empty() => format!("@{}", doc.local_name(node)),
        NodeKind::Attribute => format!("@{}", name()),
        NodeKind::Namespace => format!("namespace::{}", doc.local_name(node)),
        NodeKind::Text => format!("text()[{}]", index()),
        NodeKind::Comment => format!("comment()[{}]", index()),
        NodeKind::Pi => format!("processing-instruction({})[{}]", doc.local_name(node), index()),
        _ => format!("{}[{}]", name(), index()),
    }
}

/// The nodes without those that contain others (`inner`), or that are inside of others.
fn nested<'d>(args: &Args<'_, '_, 'd>, inner: bool) -> Outcome<'d> {
    let all = args.sequence(0)?.into_document_order()?;
    let key = |node: &Node<'d>, id: NodeId| (std::ptr::from_ref::<Document>(&node.doc), id);
    let nodes: Vec<Node<'d>> = all.node_iter().collect();
    let given: HashSet<_> = nodes.iter().map(|it| key(it, it.id)).collect();
    let mut containing = HashSet::new();
    let mut inside = HashSet::new();
    for node in &nodes {
        for ancestor in node.doc.ancestors(node.id).filter(|it| *it != node.id) {
            args.ev.spend(1)?;
            if given.contains(&key(node, ancestor)) {
                containing.insert(key(node, ancestor));
                inside.insert(key(node, node.id));
            }
        }
    }
    let dropped = if inner { containing } else { inside };
    let kept = nodes.into_iter().filter(|it| !dropped.contains(&key(it, it.id))).map(Item::Node);
    Ok(Sequence::from_items(kept.collect()))
}

fn resolve_qname<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(name) = args.opt_string(0)? else { return Ok(Sequence::empty()) };
    let Some(Item::Node(element)) = args.ev.first(args.expr(1), args.cx)? else {
        return Err(XPathError::type_error("resolve-QName() needs an element"));
    };
    let name = name.trim();
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    if !mi_xml::is_ncname(local) || (name.contains(':') && !mi_xml::is_ncname(prefix)) {
        return Err(XPathError::dynamic("FOCA0002", format!("\"{name}\" is no name")));
    }
    let namespace = match element.doc.lookup_namespace(element.id, prefix) {
        Some(uri) => uri.to_owned(),
        None if prefix.is_empty() => String::new(),
        None => return Err(XPathError::dynamic("FONS0004", format!("the prefix `{prefix}` is not declared"))),
    };
    let name = QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() };
    Ok(Sequence::one(Item::QName(Arc::new(name))))
}

/// The base URI that a query declares, or `xml:base` of a stylesheet; other expressions have none.
fn static_base<'e>(args: &Args<'_, 'e, '_>) -> Option<&'e str> {
    args.ev.program.base_uri.as_deref()
}

fn any_uri<'d>(uri: &str) -> Item<'d> {
    Item::AnyUri(uri.to_owned().into())
}

/// What `xml:base` says at the node and around it. What a query constructs starts from the base URI of the query.
fn base_uri<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(node) = node(args)? else { return Ok(Sequence::empty()) };
    let doc: &Document = &node.doc;
    let mut given = Vec::new();
    let mut top = node.id;
    let mut at = Some(node.id);
    while let Some(id) = at {
        args.ev.spend(1)?;
        if doc.is_element(id) {
            given.extend(doc.attribute(id, mi_xml::XML_NAMESPACE, "base").map(|it| it.trim().to_owned()));
        }
        top = id;
        at = doc.parent(id);
    }
    let element = if doc.kind(top) == NodeKind::Document { doc.child_elements(top).next() } else { Some(top) };
    let constructed = element.is_some_and(|it| doc.is_element(it) && doc.offset(it).is_none());
    let mut base = static_base(args).filter(|_| constructed).map(str::to_owned);
    for reference in given.iter().rev() {
        base = Some(match base.as_deref().and_then(|base| Some((base, scheme(base)?))) {
            Some((base, own)) if scheme(reference).is_none() => resolved(base, own, reference),
            _ => reference.clone(),
        });
    }
    Ok(base.as_deref().map(any_uri).into())
}

/// A relative reference needs the second argument, or the base URI of the query.
fn resolve_uri<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(reference) = args.opt_string(0)? else { return Ok(Sequence::empty()) };
    if scheme(&reference).is_some() {
        return Ok(Sequence::one(Item::AnyUri(reference)));
    }
    let base: Str<'d> = if args.len() < 2 {
        let declared = static_base(args).map(str::to_owned);
        let missing = || XPathError::dynamic("FONS0005", "there is no base URI; give it as the second argument");
        declared.ok_or_else(missing)?.into()
    } else {
        args.required(1)?
    };
    let Some(scheme) = scheme(&base) else {
        return Err(XPathError::dynamic("FORG0002", format!("\"{}\" is no absolute URI", &*base)));
    };
    Ok(Sequence::one(Item::AnyUri(resolved(&base, scheme, &reference).into())))
}

/// A reference made absolute; `None` without an absolute base, unless it is absolute itself.
pub fn resolve_reference(base: Option<&str>, reference: &str) -> Option<String> {
    if scheme(reference).is_some() {
        return Some(reference.to_owned());
    }
    let base = base?;
    scheme(base).map(|own| resolved(base, own, reference))
}

/// The scheme of an absolute URI.
fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    valid.then_some(scheme)
}

/// RFC 3986, 5.2.
fn resolved(base: &str, scheme: &str, reference: &str) -> String {
    let base = base.split('#').next().unwrap_or(base);
    if reference.is_empty() {
        return base.to_owned();
    }
    if reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    if reference.starts_with("//") {
        return format!("{scheme}:{reference}");
    }
    let behind = &base[scheme.len() + 1..];
    let (authority, path) = match behind.strip_prefix("//") {
        Some(rest) => {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            (format!("//{}", &rest[..end]), &rest[end..])
        }
        None => (String::new(), behind),
    };
    let path = path.split('?').next().unwrap_or(path);
    // MI: `java.net.URI#resolve` follows RFC 2396, where a query alone replaces the last part of the path, too.
    let cut = reference.find(['?', '#']).unwrap_or(reference.len());
    let (own, suffix) = reference.split_at(cut);
    let merged = if own.starts_with('/') {
        own.to_owned()
    } else {
        let folder = path.rfind('/').map_or("", |at| &path[..=at]);
        let folder = if folder.is_empty() && !authority.is_empty() { "/" } else { folder };
        format!("{folder}{own}")
    };
    let mut out: Vec<&str> = Vec::new();
    let segments: Vec<&str> = merged.split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let last = at + 1 == segments.len();
        match *segment {
            "." if last => out.push(""),
            "." => {}
            ".." => {
                if out.len() > 1 {
                    out.pop();
                }
                if last {
                    out.push("");
                }
            }
            other => out.push(other),
        }
    }
    format!("{scheme}:{authority}{}{suffix}", out.join("/"))
}

fn normalize_unicode<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let text = args.string(0)?;
    let form = if args.len() > 1 { args.required(1)?.trim().to_uppercase() } else { "NFC".to_owned() };
    args.ev.spend(text.len() as u64)?;
    let out: String = match form.as_str() {
        "NFC" => text.nfc().collect(),
        "NFD" => text.nfd().collect(),
        "NFKC" => text.nfkc().collect(),
        "NFKD" => text.nfkd().collect(),
        "" => text.into_string(),
        other => {
            let message = format!("there is no normalization form {other}");
            return Err(XPathError::dynamic("FOCH0003", message));
        }
    };
    Ok(out.into())
}

/// Numbers, letters, Roman numbers and words in English.
fn format_integer<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    if args.atom(0)?.is_none() {
        return Ok("".into());
    }
    let (number, picture) = (args.whole(0)?, args.string(1)?);
    let (token, modifier) = picture.rsplit_once(';').unwrap_or((&picture, ""));
    if token.is_empty() {
        return Err(XPathError::dynamic("FODF1310", "the picture of format-integer() is empty"));
    }
    let ordinal = modifier.starts_with('o');
    let digits = number.to_str(V2);
    let (negative, digits) = digits.strip_prefix('-').map_or((false, &*digits), |rest| (true, rest));
    // Numbers beyond 64 bits are written in digits.
    let size = match number {
        Item::Integer(small) => small.checked_abs().unwrap_or(-1),
        _ => -1,
    };
    let worded = || if ordinal { numerals::ordinal_words(size) } else { numerals::words(size) };
    let text = match token {
        "A" | "a" if size > 0 => numerals::letters(size, token.as_bytes()[0]),
        "I" if (1..5000).contains(&size) => numerals::roman(size),
        "i" if (1..5000).contains(&size) => numerals::roman(size).to_lowercase(),
        "w" if size >= 0 => worded(),
        "W" if size >= 0 => worded().to_uppercase(),
        "Ww" if size >= 0 => numerals::title(&worded()),
        _ => {
            let mut out = decimal(digits, token);
            if ordinal {
                let tail = &digits[digits.len().saturating_sub(2)..];
                out.push_str(numerals::ordinal_suffix(tail.parse().unwrap_or_default()));
            }
            out
        }
    };
    Ok(if negative { format!("-{text}") } else { text }.into())
}

/// `#,##0`, `001`
fn decimal(digits: &str, picture: &str) -> String {
    let least = picture.chars().filter(char::is_ascii_digit).count();
    if least == 0 || picture.len() > 100 || picture.chars().any(|c| c.is_alphabetic()) {
        // An unknown token is written as 1.
        return digits.to_owned();
    }
    let mut separators: Vec<(usize, char)> = Vec::new();
    let mut behind = 0;
    for c in picture.chars().rev() {
        match c {
            '#' | '0'..='9' => behind += 1,
            other => separators.push((behind, other)),
        }
    }
    // Equal distances go on to the left.
    let step = separators.first().map(|it| it.0).filter(|step| {
        *step > 0 && separators.iter().enumerate().all(|(at, it)| it.0 == step * (at + 1) && it.1 == separators[0].1)
    });
    let text = format!("{digits:0>least$}");
    let mut out: Vec<char> = Vec::new();
    for (at, c) in text.chars().rev().enumerate() {
        if at > 0 {
            let mark = match step {
                Some(step) => at.is_multiple_of(step).then(|| separators[0].1),
                None => separators.iter().find(|it| it.0 == at).map(|it| it.1),
            };
            out.extend(mark);
        }
        out.push(c);
    }
    out.into_iter().rev().collect()
}

/// An element with the parts of the text that match, and the others.
fn analyze_string<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (text, source) = (args.string(0)?, args.string(1)?);
    let flags = if args.len() > 2 { args.string(2)?.into_string() } else { String::new() };
    let regex = Regex::compile(&source, &flags)?;
    let mut out = TreeBuilder::new();
    let opened = out.open("", "analyze-string-result", FN);
    let mut from = 0;
    let part = |out: &mut TreeBuilder, name: &str, text: &str| {
        let opened = out.open("", name, FN);
        out.text(text);
        out.close(opened);
    };
    for found in regex.matches(&text)? {
        args.ev.spend(1)?;
        if found.whole.start > from {
            part(&mut out, "non-match", &text[from..found.whole.start]);
        }
        from = found.whole.end;
        let opened = out.open("", "match", FN);
        let mut open: Vec<(Opened, usize)> = Vec::new();
        let mut at = found.whole.start;
        let mut groups: Vec<_> = found
            .groups
            .iter()
            .enumerate()
            .filter_map(|(n, range)| range.clone().map(|range| (n + 1, range)))
            .collect();
        groups.sort_by_key(|(n, range)| (range.start, std::cmp::Reverse(range.end), *n));
        for (n, range) in groups {
            while let Some((opened, end)) =
                open.pop_if(|(_, end)| *end <= range.start && *end < range.end.max(range.start + 1))
            {
                out.text(&text[at..end.max(at)]);
                at = end.max(at);
                out.close(opened);
            }
            out.text(&text[at..range.start.max(at)]);
            at = range.start.max(at);
            let opened = out.open("", "group", FN);
            out.attribute("", "nr", "", &n.to_string())?;
            open.push((opened, range.end));
        }
        while let Some((opened, end)) = open.pop() {
            out.text(&text[at..end.max(at)]);
            at = end.max(at);
            out.close(opened);
        }
        out.text(&text[at..found.whole.end.max(at)]);
        out.close(opened);
    }
    if from < text.len() {
        part(&mut out, "non-match", &text[from..]);
    }
    out.close(opened);
    let doc = out.finish().0;
    let root = doc.root_element().unwrap_or(Document::ROOT);
    Ok(Node::shared(Arc::new(doc), root).into())
}
