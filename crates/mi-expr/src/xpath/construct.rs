//! Evaluation of constructors. The content of an element is built where it belongs: only nodes that come from elsewhere
//! are copied.

use std::borrow::Cow;
use std::sync::Arc;

use mi_xml::{Document, NodeKind};

use super::Version;
use super::ast::*;
use super::builder::TreeBuilder;
use super::error::XPathError;
use super::eval::{Cx, Evaluator, text_cost};
use super::sequence::Sequence;
use super::value::{Item, Node, QName};

impl<'d> Evaluator<'_, 'd> {
    /// The node that a constructor makes.
    pub(super) fn construct(&self, constructor: &Constructor, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let one = |doc: Document, id| Sequence::one(Item::Node(Node::shared(Arc::new(doc), id)));
        match constructor {
            Constructor::Attribute { name, value } => {
                let name = self.node_name(name, false, cx)?;
                let value = self.attribute_text(value, cx)?;
                check_name(&name, false)?;
                let mut doc = Document::new();
                let holder = doc.create_element("", "attribute", "");
                let value = of_id(&name, &value);
                let attribute = doc.set_attribute(holder, &name.prefix, &name.local, &name.namespace, &value);
                doc.detach(attribute);
                Ok(one(doc, attribute))
            }
            Constructor::Text(content) => {
                let Some(text) = self.content_text(content, cx)? else { return Ok(Sequence::empty()) };
                let mut doc = Document::new();
                let node = doc.create_text(&text);
                Ok(one(doc, node))
            }
            Constructor::Namespace { .. } => {
                Err(XPathError::dynamic("XQST0134", "a constructor of a namespace may stand in an element only"))
            }
            Constructor::Document(_) => {
                let mut out = TreeBuilder::new();
                self.build(constructor, cx, &mut out)?;
                Ok(one(out.finish().0, Document::ROOT))
            }
            _ => {
                let mut out = TreeBuilder::new();
                self.build(constructor, cx, &mut out)?;
                let mut doc = out.finish().0;
                let Some(top) = doc.first_child(Document::ROOT) else { return Ok(Sequence::empty()) };
                // What is constructed has no parent, not even a document.
                doc.detach(top);
                Ok(one(doc, top))
            }
        }
    }

    /// Puts what a constructor makes into a tree.
    fn build(&self, constructor: &Constructor, cx: &Cx<'_, 'd>, out: &mut TreeBuilder) -> Result<(), XPathError> {
        self.spend(1)?;
        self.env.built(1, 0)?;
        match constructor {
            Constructor::Element(element) => return self.build_element(element, cx, out),
            Constructor::Attribute { name, value } => {
                let name = self.node_name(name, false, cx)?;
                let value = self.attribute_text(value, cx)?;
                return self.add_attribute(&name, &value, out);
            }
            Constructor::Text(content) => {
                if let Some(text) = self.content_text(content, cx)? {
                    out.text(&text);
                }
            }
            Constructor::Comment(content) => {
                let text = self.content_text(content, cx)?.unwrap_or_default();
                if text.contains("--") || text.ends_with('-') {
                    return Err(XPathError::dynamic("XQDY0072", "a comment may not contain `--` or end with `-`"));
                }
                out.comment(&text);
            }
            Constructor::Pi { target, data } => {
                let target = self.node_name(target, false, cx)?;
                let data = self.content_text(data, cx)?.unwrap_or_default();
                if data.contains("?>") {
                    return Err(XPathError::dynamic("XQDY0026", "a processing instruction may not contain `?>`"));
                }
                if !target.prefix.is_empty() || target.local.eq_ignore_ascii_case("xml") {
                    let message = format!("`{target}` is no target of a processing instruction");
                    return Err(XPathError::dynamic("XQDY0064", message));
                }
                out.pi(&target.local, data.trim_start());
            }
            Constructor::Document(content) => {
                out.end_values();
                self.content(content, cx, out)?;
                out.end_values();
            }
            Constructor::Namespace { prefix, uri } => {
                let prefix = self.content_text(prefix, cx)?.unwrap_or_default();
                let uri = self.content_text(uri, cx)?.unwrap_or_default();
                out.declare(prefix.trim(), &uri);
            }
            Constructor::FixedComment(text) => out.comment(text),
            Constructor::FixedPi(target, data) => out.pi(target, data),
        }
        Ok(())
    }

    fn build_element(
        &self,
        element: &ElementConstructor,
        cx: &Cx<'_, 'd>,
        out: &mut TreeBuilder,
    ) -> Result<(), XPathError> {
        let computed;
        let name = match &element.name {
            NodeName::Fixed(name) => name,
            NodeName::Computed(..) => {
                computed = self.node_name(&element.name, true, cx)?;
                &computed
            }
        };
        check_name(name, true)?;
        let opened = out.open(&name.prefix, &name.local, &name.namespace);
        for (prefix, uri) in &element.namespaces {
            out.declare(prefix, uri);
        }
        for (name, value) in &element.attributes {
            let value = self.attribute_text(value, cx)?;
            self.add_attribute(name, &value, out)?;
        }
        for part in &element.content {
            match part {
                Part::Text(text) => {
                    self.env.built(0, text.len() as u64)?;
                    out.text(text);
                }
                Part::Expr(expr) if self.program.drops_namespaces => {
                    // What is built in place keeps its declarations, so it has to be built elsewhere and copied.
                    self.eval(expr, cx)?.into_items().into_iter().try_for_each(|item| self.add_item(item, out))?;
                    out.end_values();
                }
                Part::Expr(expr) | Part::Child(expr) => {
                    self.content(expr, cx, out)?;
                    out.end_values();
                }
            }
        }
        out.close(opened);
        Ok(())
    }

    fn add_attribute(&self, name: &QName, value: &str, out: &mut TreeBuilder) -> Result<(), XPathError> {
        self.env.built(1, value.len() as u64)?;
        check_name(name, false)?;
        refuse_second(out, &name.namespace, &name.local)?;
        out.attribute(&name.prefix, &name.local, &name.namespace, &of_id(name, value)).map_err(in_query)
    }

    /// Puts the value of an expression into a tree, without a detour where it is constructed.
    fn content(&self, expr: &Expr, cx: &Cx<'_, 'd>, out: &mut TreeBuilder) -> Result<(), XPathError> {
        match expr {
            Expr::Construct(constructor) => self.build(constructor, cx, out),
            Expr::Sequence(members) => members.iter().try_for_each(|member| self.content(member, cx, out)),
            Expr::If(parts) => self.content(if self.ebv(&parts.0, cx)? { &parts.1 } else { &parts.2 }, cx, out),
            Expr::Flwor(flwor) => self.tuples(&flwor.clauses, cx, &mut |inner| self.content(&flwor.result, inner, out)),
            Expr::Typeswitch(switch) => {
                self.with_case(switch, cx, &mut |branch, inner| self.content(branch, inner, out))
            }
            other => {
                for item in self.eval(other, cx)?.into_items() {
                    self.add_item(item, out)?;
                }
                Ok(())
            }
        }
    }

    fn add_item(&self, item: Item<'d>, out: &mut TreeBuilder) -> Result<(), XPathError> {
        match item {
            Item::Node(node) => {
                let (nodes, bytes) = match node.kind() {
                    NodeKind::Element | NodeKind::Document => (node.doc.descendants(node.id).count() as u64 + 1, 0),
                    NodeKind::Text => (1, node.doc.value(node.id).len() as u64),
                    _ => (1, 0),
                };
                self.spend(nodes + bytes / 64)?;
                self.env.built(nodes, bytes)?;
                if node.kind() == NodeKind::Attribute {
                    refuse_second(out, node.doc.namespace(node.id), node.doc.local_name(node.id))?;
                }
                if self.program.drops_namespaces {
                    return out.copy_without_declarations(&node).map_err(in_query);
                }
                out.copy(&node, true).map_err(in_query)
            }
            Item::Array(members) => {
                for member in members.iter() {
                    for item in member.iter() {
                        self.add_item(item, out)?;
                    }
                }
                Ok(())
            }
            Item::Function(_) | Item::Map(_) => {
                Err(XPathError::dynamic("XQTY0105", "a function or a map cannot be content of an element"))
            }
            value => {
                out.value(&value);
                self.env.built(0, 32)
            }
        }
    }

    /// The text of an attribute from its parts.
    fn attribute_text(&self, parts: &[Part], cx: &Cx<'_, 'd>) -> Result<String, XPathError> {
        let mut out = String::new();
        for part in parts {
            match part {
                Part::Text(text) => super::eval::push_str(&mut out, text)?,
                Part::Expr(expr) | Part::Child(expr) => {
                    let text = self.content_text(expr, cx)?.unwrap_or_default();
                    super::eval::push_str(&mut out, &text)?;
                }
            }
        }
        Ok(out)
    }

    /// The values of an expression as text with spaces between them; `None` for the empty sequence.
    fn content_text(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<Option<String>, XPathError> {
        let value = self.eval(expr, cx)?;
        if value.is_empty() {
            return Ok(None);
        }
        let mut out = String::new();
        for (at, item) in self.atomized(value)?.into_iter().enumerate() {
            if at > 0 {
                out.push(' ');
            }
            let text = item.to_str(Version::V2);
            self.spend(1 + text_cost(&text))?;
            super::eval::push_str(&mut out, &text)?;
        }
        self.env.built(0, out.len() as u64)?;
        Ok(Some(out))
    }

    fn node_name(&self, name: &NodeName, element: bool, cx: &Cx<'_, 'd>) -> Result<QName, XPathError> {
        let (expr, scope) = match name {
            NodeName::Fixed(name) => return Ok(name.clone()),
            NodeName::Computed(expr, scope) => (expr, scope),
        };
        let Some(item) = self.atom(expr, cx, "the name of a node")? else {
            return Err(XPathError::type_error("the name of a node is missing"));
        };
        if let Item::QName(name) = item {
            return Ok(QName::clone(&name));
        }
        if !item.is_text() {
            return Err(XPathError::type_error("the name of a node must be a text or an xs:QName"));
        }
        let text = item.to_str(Version::V2);
        let text = text.trim();
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        if !mi_xml::is_ncname(local) || (text.contains(':') && !mi_xml::is_ncname(prefix)) {
            let shown: String = text.chars().take(60).collect();
            return Err(XPathError::dynamic("XQDY0074", format!("\"{shown}\" is no name")));
        }
        let bound = scope.iter().find(|(known, _)| known == prefix).map(|(_, uri)| uri.clone());
        let namespace = match bound {
            Some(uri) => uri,
            None if prefix.is_empty() => String::new(),
            None => {
                let message = format!("the namespace prefix `{prefix}` is not declared");
                return Err(XPathError::dynamic("XQDY0074", message));
            }
        };
        let namespace = if prefix.is_empty() && !element { String::new() } else { namespace };
        Ok(QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() })
    }
}

const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Refuses names that stand for declarations of namespaces, and `xml` for something else than it is.
fn check_name(name: &QName, element: bool) -> Result<(), XPathError> {
    let declares = name.namespace == XMLNS
        || name.prefix == "xmlns"
        || (!element && name.namespace.is_empty() && name.local == "xmlns");
    // Of an attribute the prefix can be another one: it is replaced.
    let other = name.namespace != mi_xml::XML_NAMESPACE;
    let xml = if name.prefix == "xml" { other } else { element && !other };
    if !declares && !xml {
        return Ok(());
    }
    let (code, kind) = if element { ("XQDY0096", "an element") } else { ("XQDY0044", "an attribute") };
    Err(XPathError::dynamic(code, format!("{kind} cannot have the name {name} in \"{}\"", name.namespace)))
}

fn refuse_second(out: &TreeBuilder, namespace: &str, local: &str) -> Result<(), XPathError> {
    if out.has_attribute(namespace, local) {
        return Err(XPathError::dynamic("XQDY0025", format!("the attribute {local} is there twice")));
    }
    Ok(())
}

/// The value of an attribute; one of `xml:id` has no white space that does not count.
fn of_id<'v>(name: &QName, value: &'v str) -> Cow<'v, str> {
    let id = name.local == "id" && name.namespace == mi_xml::XML_NAMESPACE;
    if id { Cow::Owned(super::cast::collapse(value)) } else { Cow::Borrowed(value) }
}

/// Errors of building trees with the codes of XQuery.
fn in_query(error: XPathError) -> XPathError {
    match error {
        XPathError::Dynamic { code, message } => {
            let code = match &*code {
                "XTDE0410" => "XQTY0024".into(),
                "XTDE0420" => "XPTY0004".into(),
                _ => code,
            };
            XPathError::Dynamic { code, message }
        }
        other => other,
    }
}
