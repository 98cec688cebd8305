//! What elements of XSLT may have: attributes and children, checked before anything is compiled.
//!
//! A name that is written wrong would otherwise be a default that silently applies. Stylesheets of a version later
//! than 3.0 are not checked: they may say what is not known here.

use mi_xml::{Document, NodeId, NodeKind};

use crate::XSLT_NAMESPACE;

/// What may stand inside of an element.
#[derive(Clone, Copy)]
enum Content {
    /// Instructions, literal elements and text; these elements may be among them.
    Sequence(&'static [&'static str]),
    /// These elements only.
    Only(&'static [&'static str]),
    /// Text only.
    Text,
    Nothing,
}

use Content::{Nothing, Only, Sequence, Text};

type Row = (&'static str, &'static [&'static str], Content);

/// Attributes that every element may have.
const STANDARD: [&str; 10] = [
    "version",
    "exclude-result-prefixes",
    "extension-element-prefixes",
    "xpath-default-namespace",
    "default-collation",
    "default-mode",
    "default-validation",
    "expand-text",
    "use-when",
    "id",
];

/// Elements that stand in their parents only, never among instructions.
const PARTS: [&str; 10] = [
    "sort",
    "with-param",
    "param",
    "when",
    "otherwise",
    "matching-substring",
    "non-matching-substring",
    "catch",
    "on-completion",
    "context-item",
];

const OUTPUT: &[&str] = &[
    "name",
    "method",
    "version",
    "encoding",
    "omit-xml-declaration",
    "standalone",
    "doctype-public",
    "doctype-system",
    "cdata-section-elements",
    "indent",
    "media-type",
    "byte-order-mark",
    "escape-uri-attributes",
    "include-content-type",
    "normalization-form",
    "undeclare-prefixes",
    "use-character-maps",
    "html-version",
    "item-separator",
    "suppress-indentation",
    "allow-duplicate-names",
    "build-tree",
    "json-node-output-method",
    "parameter-document",
];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("analyze-string", &["select", "regex", "flags"], Only(&["matching-substring", "non-matching-substring", "fallback"])),
    ("apply-imports", &[], Only(&["with-param"])),
    ("apply-templates", &["select", "mode"], Only(&["sort", "with-param"])),
    ("attribute", &["name", "namespace", "select", "separator", "type", "validation"], Sequence(&[])),
    ("attribute-set", &["name", "use-attribute-sets", "visibility", "streamable"], Only(&["attribute"])),
    ("break", &["select"], Sequence(&[])),
    ("call-template", &["name"], Only(&["with-param"])),
    ("catch", &["errors", "select"], Sequence(&[])),
    ("character-map", &["name", "use-character-maps"], Only(&["output-character"])),
    ("choose", &[], Only(&["when", "otherwise"])),
    ("comment", &["select"], Sequence(&[])),
    ("copy", &["select", "copy-namespaces", "inherit-namespaces", "use-attribute-sets", "type", "validation"], Sequence(&[])),
    ("copy-of", &["select", "copy-namespaces", "type", "validation", "copy-accumulators"], Nothing),
    ("decimal-format", &["name", "decimal-separator", "grouping-separator", "infinity", "minus-sign", "NaN", "percent", "per-mille", "zero-digit", "digit", "pattern-separator", "exponent-separator"], Nothing),
    ("document", &["type", "validation"], Sequence(&[])),
    ("element", &["name", "namespace", "inherit-namespaces", "use-attribute-sets", "type", "validation"], Sequence(&[])),
    ("fallback", &[], Sequence(&[])),
    ("for-each", &["select"], Sequence(&["sort"])),
    ("for-each-group", &["select", "group-by", "group-adjacent", "group-starting-with", "group-ending-with", "composite", "collation"], Sequence(&["sort"])),
    ("function", &["name", "as", "override", "visibility", "streamability", "override-extension-function", "new-each-time", "cache"], Sequence(&["param"])),
    ("if", &["test"], Sequence(&[])),
    ("import", &["href"], Nothing),
    ("include", &["href"], Nothing),
    ("iterate", &["select"], Sequence(&["param", "on-completion"])),
    ("key", &["name", "match", "use", "composite", "collation"], Sequence(&[])),
    ("map", &[], Sequence(&[])),
    ("map-entry", &["key", "select"], Sequence(&[])),
    ("matching-substring", &[], Sequence(&[])),
    ("message", &["select", "terminate", "error-code"], Sequence(&[])),
    ("mode", &["name", "streamable", "use-accumulators", "on-no-match", "on-multiple-match", "warning-on-no-match", "warning-on-multiple-match", "typed", "visibility"], Only(&["context-item"])),
    ("namespace", &["name", "select"], Sequence(&[])),
    ("namespace-alias", &["stylesheet-prefix", "result-prefix"], Nothing),
    ("next-iteration", &[], Only(&["with-param"])),
    ("next-match", &[], Only(&["with-param", "fallback"])),
    ("non-matching-substring", &[], Sequence(&[])),
    ("number", &["value", "select", "level", "count", "from", "format", "lang", "letter-value", "ordinal", "start-at", "grouping-separator", "grouping-size"], Nothing),
    ("on-completion", &["select"], Sequence(&[])),
    ("otherwise", &[], Sequence(&[])),
    ("output", OUTPUT, Nothing),
    ("output-character", &["character", "string"], Nothing),
    ("param", &["name", "select", "as", "required", "tunnel", "static"], Sequence(&[])),
    ("perform-sort", &["select"], Sequence(&["sort"])),
    ("preserve-space", &["elements"], Nothing),
    ("processing-instruction", &["name", "select"], Sequence(&[])),
    ("sequence", &["select"], Sequence(&[])),
    ("sort", &["select", "lang", "order", "collation", "stable", "case-order", "data-type"], Sequence(&[])),
    ("strip-space", &["elements"], Nothing),
    ("template", &["match", "name", "priority", "mode", "as", "visibility"], Sequence(&["param", "context-item"])),
    ("text", &["disable-output-escaping"], Text),
    ("try", &["select", "rollback-output"], Sequence(&["catch"])),
    ("value-of", &["select", "separator", "disable-output-escaping"], Sequence(&[])),
    ("variable", &["name", "select", "as", "static", "visibility"], Sequence(&[])),
    ("when", &["test"], Sequence(&[])),
    ("where-populated", &[], Sequence(&[])),
    ("with-param", &["name", "select", "as", "tunnel"], Sequence(&[])),
];

/// Attributes whose value is `yes` or `no`.
const SWITCHES: [&str; 9] = [
    "stable",
    "required",
    "tunnel",
    "disable-output-escaping",
    "copy-namespaces",
    "inherit-namespaces",
    "override",
    "static",
    "composite",
];

/// What is wrong with the elements of a stylesheet.
pub(super) fn check(doc: &Document, root: NodeId) -> Vec<(NodeId, String)> {
    let mut wrong = Vec::new();
    let mut rest: Vec<(NodeId, f64)> = vec![(root, version(doc, root, XSLT_NAMESPACE).unwrap_or(2.0))];
    while let Some((node, around)) = rest.pop() {
        let is_xslt = doc.namespace(node) == XSLT_NAMESPACE;
        let own = version(doc, node, if is_xslt { "" } else { XSLT_NAMESPACE });
        let is_output = is_xslt && doc.local_name(node) == "output";
        let version = if is_output { around } else { own.unwrap_or(around) };
        if is_xslt && version <= 3.0 {
            element(doc, node, &mut wrong);
        } else if !is_xslt {
            literal(doc, node, version, &mut wrong);
        }
        // Elements of others at the top level are data.
        let children =
            doc.child_elements(node).filter(|it| node != root || doc.namespace(*it) == XSLT_NAMESPACE || !is_xslt);
        rest.extend(children.map(|it| (it, version)));
    }
    wrong.sort_by_key(|(node, _)| doc.offset(*node));
    wrong
}

fn version(doc: &Document, node: NodeId, namespace: &str) -> Option<f64> {
    let namespace = if doc.namespace(node) == XSLT_NAMESPACE { "" } else { namespace };
    doc.attribute(node, namespace, "version").map(|it| it.trim().parse().unwrap_or(2.0))
}

fn literal(doc: &Document, node: NodeId, version: f64, wrong: &mut Vec<(NodeId, String)>) {
    for attribute in doc.attributes(node) {
        let local = doc.local_name(attribute);
        let known = STANDARD.contains(&local)
            || matches!(local, "use-attribute-sets" | "inherit-namespaces" | "type" | "validation" | "on-empty");
        if doc.namespace(attribute) == XSLT_NAMESPACE && !known && version <= 3.0 {
            wrong.push((node, format!("there is no attribute `xsl:{local}` (XTSE0805)")));
        }
    }
}

fn element(doc: &Document, node: NodeId, wrong: &mut Vec<(NodeId, String)>) {
    let local = doc.local_name(node);
    let Some((name, attributes, content)) = ROWS.iter().find(|row| row.0 == local) else { return };
    for attribute in doc.attributes(node) {
        let own = doc.local_name(attribute);
        let unknown = match doc.namespace(attribute) {
            "" => !attributes.contains(&own) && !STANDARD.contains(&own) && !own.starts_with('_'),
            XSLT_NAMESPACE => true,
            _ => false,
        };
        if unknown {
            wrong.push((node, format!("xsl:{name} has no attribute `{}` (XTSE0090)", doc.qualified_name(attribute))));
        } else if doc.namespace(attribute).is_empty() && SWITCHES.contains(&own) {
            let value = doc.value(attribute);
            if !matches!(value.trim(), "yes" | "no" | "true" | "false" | "1" | "0") {
                wrong.push((node, format!("`{value}` is no value of `{own}`: `yes` or `no` is (XTSE0020)")));
            }
        }
    }
    if *name == "analyze-string"
        && !doc.child_elements(node).any(|it| doc.local_name(it).ends_with("matching-substring"))
    {
        wrong.push((node, "it needs xsl:matching-substring or xsl:non-matching-substring (XTSE1130)".to_owned()));
    }
    if matches!(*name, "break" | "next-iteration") && !is_last_in_iteration(doc, node) {
        wrong.push((node, format!("xsl:{name} must be the last thing that an xsl:iterate does (XTSE3120)")));
    }
    for child in doc.children(node) {
        if let Some(message) = misplaced(doc, child, name, *content) {
            wrong.push((if doc.is_element(child) { child } else { node }, message));
        }
    }
    order(doc, node, name, wrong);
}

/// Whether nothing can run behind an instruction in the `xsl:iterate` around it.
fn is_last_in_iteration(doc: &Document, node: NodeId) -> bool {
    let own = |it: NodeId| if doc.namespace(it) == XSLT_NAMESPACE { doc.local_name(it) } else { "" };
    let mut at = node;
    loop {
        let branch = matches!(own(at), "when" | "otherwise" | "catch");
        let mut behind = std::iter::successors(doc.next_sibling(at), |it| doc.next_sibling(*it));
        let counts = |it: NodeId| match doc.kind(it) {
            NodeKind::Element => !matches!(own(it), "fallback" | "catch"),
            NodeKind::Text => !doc.is_whitespace(it),
            _ => false,
        };
        if !branch && behind.any(counts) {
            return false;
        }
        let Some(parent) = doc.parent(at) else { return false };
        match own(parent) {
            "iterate" => return true,
            "if" | "when" | "otherwise" | "choose" | "try" | "catch" => at = parent,
            _ => return false,
        }
    }
}

/// Why a child cannot stand in an element.
fn misplaced(doc: &Document, child: NodeId, name: &str, content: Content) -> Option<String> {
    let shown = doc.qualified_name(child);
    match doc.kind(child) {
        NodeKind::Text if doc.is_whitespace(child) => None,
        NodeKind::Text => match content {
            Only(_) => Some(format!("xsl:{name} cannot contain text (XTSE0010)")),
            Nothing => Some(format!("xsl:{name} must be empty (XTSE0260)")),
            _ => None,
        },
        NodeKind::Element => {
            let local = if doc.namespace(child) == XSLT_NAMESPACE { doc.local_name(child) } else { "" };
            match content {
                Only(known) if known.contains(&local) => None,
                Only(_) | Text => Some(format!("xsl:{name} cannot contain {shown} (XTSE0010)")),
                Nothing => Some(format!("xsl:{name} must be empty, but contains {shown} (XTSE0260)")),
                Sequence(known) if PARTS.contains(&local) && !known.contains(&local) => {
                    Some(format!("{shown} cannot stand in xsl:{name} (XTSE0010)"))
                }
                Sequence(_) => None,
            }
        }
        _ => None,
    }
}

/// Children that have to come first or last.
fn order(doc: &Document, node: NodeId, name: &str, wrong: &mut Vec<(NodeId, String)>) {
    let own = |it: NodeId| if doc.namespace(it) == XSLT_NAMESPACE { doc.local_name(it) } else { "" };
    let mut others = false;
    let mut otherwise = false;
    for child in doc.children(node) {
        let kind = doc.kind(child);
        if kind == NodeKind::Text && !doc.is_whitespace(child) {
            others = true;
        }
        if kind != NodeKind::Element {
            continue;
        }
        let second_sort = own(child) == "sort"
            && doc.prev_sibling(child).is_some_and(|it| {
                doc.children(node).take_while(|at| *at != child).any(|at| own(at) == "sort") && it != child
            });
        if second_sort && doc.attribute(child, "", "stable").is_some() {
            wrong.push((child, "only the first xsl:sort has the attribute `stable` (XTSE1017)".to_owned()));
        }
        let first = match (name, own(child)) {
            ("template" | "function" | "iterate", "param")
            | ("for-each" | "for-each-group" | "perform-sort", "sort") => true,
            ("template", "context-item") | ("iterate", "on-completion") => true,
            ("choose", "when") if otherwise => {
                wrong.push((child, "xsl:when cannot stand behind xsl:otherwise (XTSE0010)".to_owned()));
                true
            }
            ("choose", "otherwise") => {
                if otherwise {
                    wrong.push((child, "there is a second xsl:otherwise (XTSE0010)".to_owned()));
                }
                otherwise = true;
                true
            }
            ("choose", _) => true,
            _ => false,
        };
        if first && others {
            wrong.push((child, format!("xsl:{} must come first in xsl:{name} (XTSE0010)", own(child))));
        }
        others |= !first;
    }
}
