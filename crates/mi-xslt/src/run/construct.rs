//! Instructions that make nodes.

use mi_expr::xpath::{Item, Node, Version};
use mi_xml::{Document, NodeKind};

use super::{Cx, Outcome, Run};
use crate::error::TransformError;
use crate::plan::{Body, ComputedName, Key, Literal, Op, Value};

impl<'s, 'd> Run<'s, 'd> {
    pub(super) fn construct(&self, op: &'s Op, cx: &Cx<'s, 'd>) -> Outcome<()> {
        match op {
            Op::ValueOf { value, separator, raw, first_only } => {
                let separator = separator.as_ref().map(|it| self.avt(it, cx)).transpose()?;
                self.text(&self.text_of(value, separator.as_deref(), *first_only, cx)?, *raw)
            }
            Op::Literal(literal) => self.literal(literal, cx),
            Op::Element { name, attribute_sets, body } => {
                let (prefix, local, namespace) = self.computed(name, true, cx)?;
                self.element((&prefix, &local, &namespace), || {
                    self.attribute_sets(attribute_sets, cx)?;
                    self.exec(body, cx)
                })
            }
            Op::Attribute { name, value, separator, first_only } => {
                let (prefix, local, namespace) = self.computed(name, false, cx)?;
                let separator = separator.as_ref().map(|it| self.avt(it, cx)).transpose()?;
                let text = self.text_of(value, separator.as_deref(), *first_only, cx)?;
                self.attribute(&prefix, &local, &namespace, &text)
            }
            Op::Namespace { name, value } => {
                let prefix = self.avt(name, cx)?;
                self.namespace(prefix.trim(), &self.text_of(value, Some(" "), false, cx)?)
            }
            Op::Comment(value) => self.comment(&self.text_of(value, Some(" "), false, cx)?),
            Op::Pi { name, value } => {
                let target = self.avt(name, cx)?;
                let target = target.trim();
                if !mi_xml::is_ncname(target) || target.eq_ignore_ascii_case("xml") {
                    let message = format!("`{target}` is no name of a processing instruction (XTDE0890)");
                    return Err(TransformError::dynamic(message));
                }
                self.pi(target, self.text_of(value, Some(" "), false, cx)?.trim_start())
            }
            Op::Copy { select, attribute_sets, namespaces, body } => match select {
                None => self.copy(attribute_sets, *namespaces, body, cx),
                Some(select) => {
                    let found = self.eval(select, cx)?;
                    if found.len() > 1 {
                        return Err(TransformError::dynamic("xsl:copy of more than one item (XTTE3180)"));
                    }
                    let Some(item) = found.first() else { return Ok(()) };
                    self.copy(attribute_sets, *namespaces, body, &cx.at(item, 1, 1))
                }
            },
            Op::CopyOf { select, namespaces } => {
                for item in self.eval(select, cx)?.into_items() {
                    self.item(item, *namespaces)?;
                }
                Ok(())
            }
            Op::Document(body) => {
                let document = self.to_document(|| self.exec(body, cx))?;
                self.item(Item::Node(Node::shared(document, Document::ROOT)), true)
            }
            Op::Number(number) => self.number(number, cx),
            _ => Ok(()),
        }
    }

    /// The text of `select` or content.
    pub(super) fn text_of(
        &self,
        value: &'s Value,
        separator: Option<&str>,
        first_only: bool,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<String> {
        match &value.select {
            Some(select) if first_only && select.xpath.version() == Version::V1 => self.eval_string(select, cx),
            Some(select) if first_only => Ok(self.eval(select, cx)?.to_str_as(Version::V2).into_string()),
            Some(select) => Ok(self.joined(&self.eval(select, cx)?, separator.unwrap_or(" "))),
            None => match value.body.as_slice() {
                [] => Ok(String::new()),
                [crate::plan::Instruction { op: Op::Text { text, .. }, .. }] => Ok(text.as_ref().to_owned()),
                _ => self.content_text(&value.body, separator.unwrap_or(""), cx),
            },
        }
    }

    /// The text of a content: neighbouring texts are one, then everything is joined.
    fn content_text(&self, body: &'s Body, separator: &str, cx: &Cx<'s, 'd>) -> Outcome<String> {
        let items = self.in_value(|| self.to_items(|| self.exec(body, cx)))?;
        let mut out = String::new();
        let mut before: Option<bool> = None; // whether the one before was a text node
        for item in items {
            let text = matches!(&item, Item::Node(node) if node.kind() == NodeKind::Text);
            if text && item.to_str(Version::V2).is_empty() {
                continue;
            }
            match before {
                Some(true) if text => {}
                Some(_) => out.push_str(separator),
                None => {}
            }
            before = Some(text);
            out.push_str(&item.to_str(Version::V2));
            self.charge_text(0)?;
        }
        Ok(out)
    }

    fn literal(&self, literal: &'s Literal, cx: &Cx<'s, 'd>) -> Outcome<()> {
        self.element((&literal.prefix, &literal.local, &literal.namespace), || {
            for (prefix, uri) in &literal.namespaces {
                self.namespace(prefix, uri)?;
            }
            self.attribute_sets(&literal.attribute_sets, cx)?;
            for attribute in &literal.attributes {
                let value = self.avt(&attribute.value, cx)?;
                self.attribute(&attribute.prefix, &attribute.local, &attribute.namespace, &value)?;
            }
            self.exec(&literal.body, cx)
        })
    }

    /// The name of `xsl:element` or `xsl:attribute` as prefix, local name and namespace.
    fn computed(
        &self,
        computed: &'s ComputedName,
        element: bool,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<(String, String, String)> {
        let name = self.avt(&computed.name, cx)?;
        let name = name.trim();
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !mi_xml::is_ncname(local) || (name.contains(':') && !mi_xml::is_ncname(prefix)) {
            let code = if element { "XTDE0820" } else { "XTDE0850" };
            return Err(TransformError::dynamic(format!("`{name}` is no name ({code})")));
        }
        let namespace = match &computed.namespace {
            Some(namespace) => self.avt(namespace, cx)?,
            None if prefix == "xml" => mi_xml::XML_NAMESPACE.to_owned(),
            None if prefix.is_empty() && !element => String::new(),
            None => {
                let bound = computed.scope.iter().find(|(known, _)| known == prefix).map(|(_, uri)| uri.clone());
                match bound {
                    Some(uri) => uri,
                    None if prefix.is_empty() => String::new(),
                    None => {
                        let message = format!("the namespace prefix `{prefix}` of `{name}` is not declared (XTDE0830)");
                        return Err(TransformError::dynamic(message));
                    }
                }
            }
        };
        Ok((prefix.to_owned(), local.to_owned(), namespace))
    }

    fn copy(&self, sets: &'s [Key], namespaces: bool, body: &'s Body, cx: &Cx<'s, 'd>) -> Outcome<()> {
        match cx.node() {
            None => match cx.focus.item.clone() {
                Some(item) => self.item(item, true),
                None => Err(TransformError::dynamic("there is no context item to copy (XTTE0945)")),
            },
            Some(node) => self.shallow_copy(node, namespaces, || {
                if node.kind() == NodeKind::Element {
                    self.attribute_sets(sets, cx)?;
                }
                self.exec(body, cx)
            }),
        }
    }

    /// Copies a node; documents and elements get `content`.
    pub(super) fn shallow_copy(
        &self,
        node: &Node<'d>,
        namespaces: bool,
        content: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<()> {
        let doc: &Document = &node.doc;
        match node.kind() {
            NodeKind::Document => content(),
            NodeKind::Element => {
                let name = (doc.prefix(node.id), doc.local_name(node.id), doc.namespace(node.id));
                self.element(name, || {
                    if namespaces {
                        self.copied_namespaces(node)?;
                    }
                    content()
                })
            }
            _ => self.item(Item::Node(node.clone()), true),
        }
    }

    /// The namespaces of an element for its copy. Those of the elements around it come along as well, because only
    /// this part of the tree may be copied.
    fn copied_namespaces(&self, node: &Node<'d>) -> Outcome<()> {
        for (prefix, uri) in node.doc.in_scope_namespaces(node.id).into_iter().rev() {
            self.namespace(prefix, uri)?;
        }
        Ok(())
    }

    fn attribute_sets(&self, names: &'s [Key], cx: &Cx<'s, 'd>) -> Outcome<()> {
        for name in names {
            let Some(sets) = self.plan.attribute_sets.get(name) else {
                return Err(TransformError::dynamic(format!("there is no attribute set {name} (XTSE0710)")));
            };
            for set in sets {
                self.enter(|| {
                    self.attribute_sets(&set.uses, cx)?;
                    // Only global variables are visible in them.
                    self.framed(|| self.exec(&set.body, cx))
                })?;
            }
        }
        Ok(())
    }
}
