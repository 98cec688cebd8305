//! The same documents through roxmltree: both must accept and refuse the same ones and read the same out of them.

use std::fmt::Write;

use super::generator::{Random, document};
use super::{canonical, check_links, parse};
use crate::{Document, NodeId, NodeKind};

/// What roxmltree reads, in the form of [`canonical`].
fn canonical_of(doc: &roxmltree::Document<'_>) -> String {
    let mut out = String::new();
    for n in doc.root().descendants() {
        let depth = n.ancestors().count().saturating_sub(2);
        match n.node_type() {
            roxmltree::NodeType::Element => {
                let name = n.tag_name();
                writeln!(out, "{depth} {{{}}}{}", name.namespace().unwrap_or(""), name.name()).unwrap();
                let mut attributes: Vec<String> = n
                    .attributes()
                    .map(|it| format!("  @{{{}}}{}={:?}", it.namespace().unwrap_or(""), it.name(), it.value()))
                    .collect();
                attributes.sort();
                for line in attributes {
                    writeln!(out, "{line}").unwrap();
                }
            }
            // An empty CDATA section is a text there and nothing here.
            roxmltree::NodeType::Text if n.text() == Some("") => {}
            roxmltree::NodeType::Text => writeln!(out, "  {:?}", n.text().unwrap_or("")).unwrap(),
            roxmltree::NodeType::Comment => {
                writeln!(out, "{depth} <!--{:?}", line_ends(n.text().unwrap_or(""))).unwrap();
            }
            roxmltree::NodeType::PI => {
                let pi = n.pi().unwrap();
                // It takes an XML declaration for an instruction unless a plain space follows the target.
                if pi.target == "xml" {
                    continue;
                }
                writeln!(out, "{depth} <?{} {:?}", pi.target, line_ends(pi.value.unwrap_or(""))).unwrap();
            }
            roxmltree::NodeType::Root => {}
        }
    }
    out
}

/// Line ends as the specification wants them; roxmltree leaves them alone in comments and instructions.
fn line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Compares both readers on `text`; returns whether it was accepted.
#[track_caller]
fn compare(text: &str) -> bool {
    let ours = Document::parse(text.to_owned());
    let theirs = roxmltree::Document::parse(text);
    match (&ours, &theirs) {
        // It takes `p:xmlns` for a declaration.
        (Ok(ours), _) if text.contains(":xmlns") => {
            round_trip(ours, text);
            true
        }
        (Err(_), _) if text.contains(":xmlns") => false,
        (Ok(ours), Ok(theirs)) => {
            let mut said = [canonical(ours, Document::ROOT), canonical_of(theirs)];
            if text.contains(";\r") || text.contains("\r&") {
                // It keeps a carriage return that stands beside a reference.
                said = said.map(|said| said.replace("\\r", "\\n"));
            }
            assert_eq!(said[0], said[1], "{text}");
            round_trip(ours, text);
            true
        }
        (Err(_), Err(_)) => false,
        // It does not know that the prefix xml is always bound, except for attributes.
        (Ok(_), Err(error)) if error.to_string().contains("prefix 'xml'") => false,
        (Ok(_), Err(error)) => panic!("roxmltree refuses ({error}), we accept: {text:?}"),
        (Err(error), Ok(_)) if is_known_leniency(&error.message) => false,
        (Err(error), Ok(_)) => panic!("we refuse ({error}), roxmltree accepts: {text:?}"),
    }
}

/// What roxmltree does not check.
fn is_known_leniency(our_message: &str) -> bool {
    [
        // It skips most of the XML declaration, whose grammar and encoding we check.
        "malformed XML declaration",
        "the encoding '",
        "not UTF-16",
        "US-ASCII",
        // Targets spelled like `XML`, with a colon, or followed by something that is neither a space nor the end.
        "an XML declaration may only stand",
        "a processing instruction must start with a name",
        // An empty prefix, `<:a/>`, and a declaration that takes a prefix back.
        "':",
        "found </:",
        // References to numbers that are no characters.
        "is no character that XML allows",
        // `xmlns=""` twice on one element.
        "the default namespace is declared twice",
        "a prefix cannot be unbound",
    ]
    .iter()
    .any(|known| our_message.contains(known))
}

/// Writes the document in all ways and reads it back.
fn round_trip(doc: &Document, text: &str) {
    let said = canonical(doc, Document::ROOT);
    let written = doc.to_xml(Document::ROOT);
    assert!(text.contains(&written), "not copied: {written} of {text}");
    assert_eq!(canonical(&parse(&written), Document::ROOT), said);
    let mut changed = doc.clone();
    changed.mark_all_changed();
    let anew = changed.to_xml(Document::ROOT);
    let read = Document::parse(anew.clone()).unwrap_or_else(|error| panic!("{error}: {anew:?} of {text:?}"));
    assert_eq!(canonical(&read, Document::ROOT), said, "{text}");
}

#[test]
fn generated_documents() {
    for seed in 0..2000 {
        let text = document(&mut Random(seed));
        assert!(compare(&text), "a generated document was refused: {text}");
    }
}

#[test]
fn mutated_documents() {
    let mut random = Random(42);
    let mut accepted = 0;
    for case in 0..20_000u64 {
        let seed = document(&mut Random(case % 500));
        let mut bytes = seed.into_bytes();
        for _ in 0..=random.below(3) {
            mutate(&mut random, &mut bytes);
        }
        match String::from_utf8(bytes) {
            Ok(text) => accepted += u32::from(compare(&text)),
            Err(error) => assert!(Document::parse(error.into_bytes()).is_err()),
        }
    }
    assert!(accepted > 2000, "only {accepted} mutated documents were well formed");
}

const TOKENS: [&str; 40] = [
    "<",
    ">",
    "/",
    "&",
    ";",
    "\"",
    "'",
    "=",
    " ",
    "\n",
    "\r",
    "\0",
    "!",
    "?",
    "-",
    "--",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<?",
    "?>",
    "xml",
    "xmlns",
    ":",
    "xmlns:p='urn:z'",
    "&#x0;",
    "&#13;",
    "&amp;",
    "<a>",
    "</a>",
    "<b/>",
    "p:",
    "\u{FFFE}",
    "\u{85}",
    "<!DOCTYPE a>",
    "é",
    "\t",
    "xmlns=\"\"",
    "[",
];

fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len() + 1);
    match random.below(6) {
        0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        1 if at < bytes.len() => {
            let end = (at + 1 + random.below(8)).min(bytes.len());
            bytes.drain(at..end);
        }
        2 => {
            let end = (at + random.below(40)).min(bytes.len());
            let piece = bytes[at..end].to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        3 => bytes.truncate(at),
        _ => {
            let token = random.pick(&TOKENS);
            bytes.splice(at..at, token.bytes());
        }
    }
}

/// Random edits keep a document consistent, and what is written says what the document says.
#[test]
fn edited_documents() {
    for seed in 0..1000 {
        let random = &mut Random(seed);
        let mut doc = parse(&document(random));
        let other = parse(&document(random));
        for _ in 0..=random.below(12) {
            edit(random, &mut doc, &other);
        }
        check_links(&doc);
        let said = canonical(&doc, Document::ROOT);
        let written = doc.to_xml(Document::ROOT);
        assert_eq!(canonical(&parse(&written), Document::ROOT), said, "seed {seed}: {written}");
        compare(&written);
        for n in doc.descendants(Document::ROOT).filter(|&n| doc.is_element(n)) {
            let part = parse(&doc.to_xml(n));
            assert_eq!(
                canonical(&part, part.root_element().unwrap()).lines().count(),
                canonical(&doc, n).lines().count()
            );
        }
    }
}

fn element_of(random: &mut Random, doc: &Document) -> NodeId {
    let elements: Vec<_> = doc.descendants(Document::ROOT).filter(|&n| doc.kind(n) == NodeKind::Element).collect();
    elements[random.below(elements.len())]
}

fn edit(random: &mut Random, doc: &mut Document, other: &Document) {
    const NAMES: [(&str, &str, &str); 5] =
        [("", "n", ""), ("p", "n", "urn:new"), ("p", "m", "urn:a"), ("", "n", "urn:b"), ("q", "n", "urn:a")];
    let (prefix, local, ns) = NAMES[random.below(NAMES.len())];
    let el = element_of(random, doc);
    let to = element_of(random, doc);
    let is_root = doc.parent(el) == Some(Document::ROOT);
    match random.below(12) {
        0 => doc.set_text(el, "set & <text>"),
        1 => {
            doc.set_attribute(el, prefix, local, ns, "v\"");
        }
        2 => doc.rename(el, prefix, local, ns),
        3 => doc.declare_namespace(el, prefix, ns),
        4 => {
            let new = doc.create_element(prefix, local, ns);
            doc.append_child(el, new);
        }
        5 => doc.append_child(to, el),
        6 if !is_root => doc.insert_before(el, to),
        7 if !is_root => doc.detach(el),
        8 => {
            let copy = doc.copy(el);
            doc.prepend_child(to, copy);
        }
        9 => {
            let from = element_of(random, other);
            let copy = doc.import(other, from);
            doc.append_child(to, copy);
        }
        10 => {
            let new = doc.create_element(prefix, local, ns);
            doc.replace(el, new);
            doc.append_child(new, el);
        }
        _ => {
            let attribute = doc.attributes(el).next();
            let declaration = doc.namespace_decls(el).next();
            if let Some(attribute) = attribute {
                doc.append_child(to, attribute);
            }
            if let Some(declaration) = declaration {
                doc.detach(declaration);
            }
        }
    }
}
