//! Functions on nodes and names.

use std::sync::Arc;

use mi_xml::{Document, NodeKind};

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::{V1, V2};
use crate::xpath::ast::Type::{Boolean, Nodes, String as Text, Unknown};
use crate::xpath::axes;
use crate::xpath::error::XPathError;
use crate::xpath::number::is_space;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{Item, Node, QName, Str};

use Library::Core;

const XML: &str = "http://www.w3.org/XML/1998/namespace";

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("name", (0, 1), V1, Text, 1, name)),
    builtin(Core, ("local-name", (0, 1), V1, Text, 1, local_name)),
    builtin(Core, ("namespace-uri", (0, 1), V1, Text, 1, namespace_uri)),
    builtin(Core, ("node-name", (0, 1), V2, Unknown, 1, node_name)),
    builtin(Core, ("lang", (1, 2), V1, Boolean, 2, lang)),
    builtin(Core, ("id", (1, 2), V1, Nodes, 2, id)),
    builtin(Core, ("root", (0, 1), V2, Nodes, 1, root)),
    builtin(Core, ("generate-id", (0, 1), V2, Text, 1, generate_id)),
    builtin(Core, ("has-children", (0, 1), V2, Boolean, 1, has_children)),
    builtin(Core, ("in-scope-prefixes", (1, 1), V2, Unknown, 0, in_scope_prefixes)),
    builtin(Core, ("namespace-uri-for-prefix", (2, 2), V2, Unknown, 0, namespace_uri_for_prefix)),
    builtin(Core, ("QName", (2, 2), V2, Unknown, 0, qname)),
    builtin(Core, ("local-name-from-QName", (1, 1), V2, Unknown, 0, local_name_from_qname)),
    builtin(Core, ("namespace-uri-from-QName", (1, 1), V2, Unknown, 0, namespace_from_qname)),
    builtin(Core, ("prefix-from-QName", (1, 1), V2, Unknown, 0, prefix_from_qname)),
];

/// The node in argument `i`, or the context node if there are fewer arguments; `None` for the empty sequence.
pub(super) fn node<'d>(args: &Args<'_, '_, 'd>, i: usize) -> Result<Option<Node<'d>>, XPathError> {
    let item = if i >= args.len() {
        Some(args.cx.context()?)
    } else if args.v1() {
        args.ev.first(args.expr(i), args.cx)?
    } else {
        args.single(i)?
    };
    match item {
        None => Ok(None),
        Some(Item::Node(node)) => Ok(Some(node)),
        // XPath 1.0 functions on a string are called with the text of a property; it has no name.
        Some(_) if args.v1() => Ok(None),
        Some(other) => {
            let name = args.call.function.name;
            Err(XPathError::type_error(format!("{name}() needs a node, not a value of type {}", other.type_name())))
        }
    }
}

/// Whether a node of this kind has a name.
fn named(node: &Node<'_>) -> bool {
    matches!(node.kind(), NodeKind::Element | NodeKind::Attribute | NodeKind::Pi | NodeKind::Namespace)
}

/// Prefix, local part and namespace; namespace nodes and processing instructions have only a local part.
fn parts<'n>(node: &'n Node<'_>) -> (&'n str, &'n str, &'n str) {
    let doc: &Document = &node.doc;
    match node.kind() {
        NodeKind::Element | NodeKind::Attribute => {
            (doc.prefix(node.id), doc.local_name(node.id), doc.namespace(node.id))
        }
        _ => ("", doc.local_name(node.id), ""),
    }
}

fn name<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let name = node(args, 0)?.filter(named).map(|n| match parts(&n) {
        ("", local, _) => local.to_owned(),
        (prefix, local, _) => format!("{prefix}:{local}"),
    });
    Ok(name.unwrap_or_default().into())
}

fn local_name<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(node(args, 0)?.filter(named).map_or(String::new(), |n| parts(&n).1.to_owned()).into())
}

fn namespace_uri<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let uri = node(args, 0)?.filter(named).map_or(String::new(), |n| parts(&n).2.to_owned());
    Ok(Sequence::one(if args.v1() { Item::String(uri.into()) } else { Item::AnyUri(uri.into()) }))
}

fn node_name<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(node) = node(args, 0)?.filter(named) else { return Ok(Sequence::empty()) };
    let (prefix, local, namespace) = parts(&node);
    let name = QName { prefix: prefix.to_owned(), namespace: namespace.to_owned(), local: local.to_owned() };
    Ok(Sequence::one(Item::QName(Arc::new(name))))
}

/// Whether the nearest `xml:lang` is the language or a variant of it.
fn lang<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let wanted = args.string(0)?;
    let Some(node) = node(args, 1)? else { return Ok(false.into()) };
    let mut level = Some(node.id);
    while let Some(n) = level {
        if node.doc.is_element(n)
            && let Some(found) = node.doc.attribute(n, XML, "lang")
        {
            let head = found.as_bytes().get(..wanted.len());
            let same = head.is_some_and(|h| h.eq_ignore_ascii_case(wanted.as_bytes()));
            return Ok((same && matches!(found.as_bytes().get(wanted.len()), None | Some(b'-'))).into());
        }
        level = node.doc.parent(n);
    }
    Ok(false.into())
}

/// The texts in the first argument.
pub(super) fn identifiers<'d>(args: &Args<'_, '_, 'd>) -> Result<Vec<Str<'d>>, XPathError> {
    let text = |item: Item<'d>| match item {
        item if item.is_text() || args.lenient() => Ok(item.to_str(args.ev.version)),
        item => Err(args.wrong_type(0, "xs:string", &item)),
    };
    args.atoms(0)?.into_iter().map(text).collect()
}

/// Elements by `xml:id`; other attributes of type ID would need a document type, which messages do not have.
fn id<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(node) = node(args, 1)? else { return Ok(Sequence::empty()) };
    let texts = identifiers(args)?;
    let wanted: Vec<&str> = texts.iter().flat_map(|t| t.split(is_space)).filter(|w| !w.is_empty()).collect();
    let mut found = Vec::new();
    for n in node.doc.descendants(axes::root(&node.doc, node.id)) {
        args.ev.spend(1)?;
        let matches = node.doc.is_element(n)
            && node.doc.attribute(n, XML, "id").is_some_and(|value| wanted.contains(&value.trim_matches(is_space)));
        if matches {
            found.push(n);
        }
    }
    Ok(Sequence::nodes(node.doc.clone(), found))
}

fn root<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(node(args, 0)?.map(|n| Item::Node(Node { id: axes::root(&n.doc, n.id), doc: n.doc })).into())
}

/// An identifier that is unique in an evaluation and stable for the document the evaluation started in.
fn generate_id<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(node) = node(args, 0)? else { return Ok("".into()) };
    let address = std::ptr::from_ref::<Document>(&node.doc);
    let foreign = if args.ev.home == Some(address) { String::new() } else { format!("d{:x}", address.addr()) };
    let number: String = format!("{:?}", node.id).chars().filter(char::is_ascii_digit).collect();
    Ok(format!("{foreign}n{number}").into())
}

fn has_children<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(node(args, 0)?.is_some_and(|n| n.doc.first_child(n.id).is_some()).into())
}

fn in_scope_prefixes<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Some(node) = node(args, 0)?.filter(|it| it.kind() == NodeKind::Element) else {
        return Err(XPathError::type_error("in-scope-prefixes() needs an element"));
    };
    let scope = node.doc.in_scope_namespaces(node.id);
    let prefixes = scope.iter().filter(|(prefix, uri)| !uri.is_empty() && *prefix != "xml").map(|(prefix, _)| *prefix);
    let text = |p: &str| Item::String(Str::Owned(p.to_owned()));
    Ok(Sequence::from_items(prefixes.chain(["xml"]).map(text).collect()))
}

fn namespace_uri_for_prefix<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let prefix = args.string(0)?;
    let Some(node) = node(args, 1)? else { return Ok(Sequence::empty()) };
    let uri = match &*prefix {
        "xml" => Some(XML.to_owned()),
        prefix => node.doc.lookup_namespace(node.id, prefix).filter(|u| !u.is_empty()).map(str::to_owned),
    };
    Ok(uri.map(|u| Item::AnyUri(Str::Owned(u))).into())
}

fn qname<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (namespace, name) = (args.string(0)?, args.required(1)?);
    let (prefix, local) = name.split_once(':').unwrap_or(("", &name));
    let valid = mi_xml::is_ncname(local) && (mi_xml::is_ncname(prefix) || !name.contains(':'));
    if !valid || (namespace.is_empty() && !prefix.is_empty()) {
        let message = format!(
            "\"{}\" is no name, or has a prefix without a namespace",
            name.chars().take(60).collect::<String>()
        );
        return Err(XPathError::dynamic("FOCA0002", message));
    }
    let name = QName { prefix: prefix.to_owned(), namespace: namespace.clone().into_string(), local: local.to_owned() };
    Ok(Sequence::one(Item::QName(Arc::new(name))))
}

fn name_argument(args: &Args<'_, '_, '_>) -> Result<Option<Arc<QName>>, XPathError> {
    match args.atom(0)? {
        None => Ok(None),
        Some(Item::QName(q)) => Ok(Some(q)),
        Some(_) => Err(XPathError::type_error(format!("{}() needs a xs:QName", args.call.function.name))),
    }
}

fn local_name_from_qname<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(name_argument(args)?.map(|q| Item::String(Str::Owned(q.local.clone()))).into())
}

fn namespace_from_qname<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(name_argument(args)?.map(|q| Item::AnyUri(Str::Owned(q.namespace.clone()))).into())
}

fn prefix_from_qname<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let prefix = name_argument(args)?.map(|q| q.prefix.clone()).filter(|p| !p.is_empty());
    Ok(prefix.map(|p| Item::String(Str::Owned(p))).into())
}
