//! `use-when`: parts of a stylesheet that are left out before anything else is read.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Context, Env, Sequence, Version, XPath, XPathError};
use mi_xml::{Document, NodeId};

use crate::XSLT_NAMESPACE;
use crate::run::functions::{is_built_in, is_instruction, property_of_system};

/// The stylesheet without the elements whose `use-when` is false, and what is wrong with conditions.
pub(super) fn prune(doc: Arc<Document>) -> (Arc<Document>, Vec<(NodeId, String)>) {
    let mut errors = Vec::new();
    let mut dropped: Vec<NodeId> = Vec::new();
    for node in doc.descendants(Document::ROOT).filter(|it| doc.is_element(*it)) {
        let namespace = if doc.namespace(node) == XSLT_NAMESPACE { "" } else { XSLT_NAMESPACE };
        let Some(condition) = doc.attribute(node, namespace, "use-when") else { continue };
        // What is inside of a part that is left out is not looked at.
        if dropped.iter().any(|it| doc.ancestors(node).any(|around| around == *it)) {
            continue;
        }
        match holds(&doc, node, &condition) {
            Ok(true) => {}
            Ok(false) => dropped.push(node),
            Err(error) => errors.push((node, format!("in `use-when`: {error}"))),
        }
    }
    if dropped.is_empty() {
        return (doc, errors);
    }
    let mut own = Arc::unwrap_or_clone(doc);
    let root = own.root_element();
    for node in dropped.into_iter().filter(|it| Some(*it) != root) {
        own.detach(node);
    }
    (Arc::new(own), errors)
}

fn holds(doc: &Document, node: NodeId, condition: &str) -> Result<bool, String> {
    let namespaces = |prefix: &str| doc.lookup_namespace(node, prefix).map(str::to_owned);
    let condition = XPath::compile_as(condition, Version::V2, &namespaces, &element_namespace(doc, node))
        .map_err(|error| error.message.clone())?;
    let context = Context { item: None, position: 1, size: 1 };
    condition.evaluate_boolean(&context, &Static { doc, node }).map_err(|error| error.to_string())
}

/// The `xpath-default-namespace` that holds at an element.
fn element_namespace(doc: &Document, node: NodeId) -> String {
    let own = |it: NodeId| {
        let namespace = if doc.namespace(it) == XSLT_NAMESPACE { "" } else { XSLT_NAMESPACE };
        doc.attribute(it, namespace, "xpath-default-namespace")
    };
    let mut around = std::iter::once(node).chain(doc.ancestors(node)).filter(|it| doc.is_element(*it));
    around.find_map(own).map(|it| it.trim().to_owned()).unwrap_or_default()
}

/// What a condition can ask: about the processor only.
struct Static<'a> {
    doc: &'a Document,
    node: NodeId,
}

impl Static<'_> {
    /// The local part of a name in the namespace of XSLT.
    fn in_xslt<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (prefix, local) = name.trim().split_once(':')?;
        (self.doc.lookup_namespace(self.node, prefix) == Some(XSLT_NAMESPACE)).then_some(local)
    }
}

impl<'d> Env<'d> for Static<'_> {
    fn variable(&self, _: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        Err(XPathError::UnknownVariable { name: local.to_owned() })
    }

    fn function(
        &self,
        _: &str,
        _: &str,
        local: &str,
        args: &[Sequence<'d>],
    ) -> Option<Result<Sequence<'d>, XPathError>> {
        let name = args.first()?.to_str();
        Some(Ok(match local {
            "system-property" => self.in_xslt(&name).map_or("", property_of_system).into(),
            "element-available" => self.in_xslt(&name).is_some_and(is_instruction).into(),
            "function-available" => {
                let arity = args.get(1).map(|it| it.to_number() as usize);
                is_built_in(name.trim(), arity).into()
            }
            "type-available" => name.starts_with("xs:").into(),
            _ => return None,
        }))
    }

    fn now(&self) -> DateTime<FixedOffset> {
        DateTime::default()
    }
}
