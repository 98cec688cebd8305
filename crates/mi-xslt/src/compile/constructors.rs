//! Instructions that make nodes, and literal result elements.

use std::sync::Arc;

use mi_expr::xpath::Version;
use mi_xml::NodeId;

use super::{Compiler, Part, Scope, is_yes};
use crate::XSLT_NAMESPACE;
use crate::avt::{Avt, Part as AvtPart};
use crate::plan::{ComputedName, Instruction, Literal, LiteralAttribute, Op, Value};

impl Compiler<'_> {
    /// The instructions of this file; `None` for any other name.
    pub(super) fn constructor(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Option<Op>> {
        let raw = scope.yes(node, "disable-output-escaping");
        let first_only = scope.version == Version::V1;
        Ok(Some(match name {
            "text" => {
                if let Some(child) = scope.doc.first_child_element(node) {
                    return Err(format!("it cannot contain {}", scope.doc.qualified_name(child)));
                }
                let text = scope.doc.text(node).into_owned();
                if scope.expand_text {
                    return self.text_template(scope, node, &text).map(Some);
                }
                Op::Text { text: text.into(), raw }
            }
            "value-of" => {
                let value = self.value(scope, node, &[])?;
                if value.select.is_none() && value.body.is_empty() && first_only {
                    return Err("the attribute `select` is missing".to_owned());
                }
                let separator = self.avt_attr(scope, node, "separator")?;
                Op::ValueOf { value, first_only: first_only && separator.is_none(), separator, raw }
            }
            "element" => {
                let name = self.computed_name(scope, node)?;
                let attribute_sets = self.key_list(scope, node, "use-attribute-sets")?;
                Op::Element { name, attribute_sets, body: self.body(scope, node, &[]) }
            }
            "attribute" => {
                let name = self.computed_name(scope, node)?;
                let separator = self.avt_attr(scope, node, "separator")?;
                let value = self.value(scope, node, &[])?;
                Op::Attribute { name, value, separator, first_only }
            }
            "namespace" => {
                let source = scope.require(node, "name")?;
                Op::Namespace { name: self.avt(scope, node, &source)?, value: self.value(scope, node, &[])? }
            }
            "comment" => Op::Comment(self.value(scope, node, &[])?),
            "processing-instruction" => {
                let source = scope.require(node, "name")?;
                Op::Pi { name: self.avt(scope, node, &source)?, value: self.value(scope, node, &[])? }
            }
            "copy" => Op::Copy {
                select: self.expr_attr(scope, node, "select")?,
                attribute_sets: self.key_list(scope, node, "use-attribute-sets")?,
                namespaces: scope.attr(node, "copy-namespaces").is_none_or(|it| is_yes(&it)),
                body: self.body(scope, node, &[]),
            },
            "copy-of" => Op::CopyOf {
                select: self.required_expr(scope, node, "select")?,
                namespaces: scope.attr(node, "copy-namespaces").is_none_or(|it| is_yes(&it)),
            },
            "document" => Op::Document(self.body(scope, node, &[])),
            _ => return Ok(None),
        }))
    }

    /// Text with expressions in braces.
    pub(super) fn text_template(&mut self, scope: &Scope, node: NodeId, text: &str) -> Part<Op> {
        let place = Self::place(scope, node);
        // Names in the expressions are those of the element around the text.
        let element = if scope.doc.is_element(node) { Some(node) } else { scope.doc.parent(node) };
        let avt = self.avt(scope, element.unwrap_or(node), text)?;
        let op = |part| match part {
            AvtPart::Text(text) => Op::Text { text, raw: false },
            AvtPart::Expr(expr) => {
                let value = Value { select: Some(expr), body: Vec::new(), sequence: false, cast: None };
                Op::ValueOf { value, separator: None, raw: false, first_only: false }
            }
        };
        let mut parts: Vec<Instruction> = avt.0.into_iter().map(|part| Instruction { op: op(part), place }).collect();
        Ok(match parts.len() {
            1 => parts.remove(0).op,
            _ => {
                let value = Value { select: None, body: parts, sequence: false, cast: None };
                Op::ValueOf { value, separator: Some(Avt::text("")), raw: false, first_only: false }
            }
        })
    }

    fn computed_name(&mut self, scope: &Scope, node: NodeId) -> Part<ComputedName> {
        let source = scope.require(node, "name")?;
        let name = self.avt(scope, node, &source)?;
        if let Some(text) = name.as_text() {
            let text = text.trim();
            if !mi_xml::is_name(text) || text.matches(':').count() > 1 || text == "xmlns" {
                return Err(format!("`{text}` is no name"));
            }
        }
        let namespace = self.avt_attr(scope, node, "namespace")?;
        let bindings = scope.doc.in_scope_namespaces(node);
        let bindings = bindings.into_iter().map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned())).collect();
        Ok(ComputedName { name, namespace, scope: Arc::new(bindings) })
    }

    pub(super) fn literal(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let doc = scope.doc.clone();
        let (prefix, namespace) = self.aliased(doc.prefix(node), doc.namespace(node));
        let mut literal = Literal {
            prefix,
            local: doc.local_name(node).to_owned(),
            namespace,
            namespaces: self.literal_namespaces(scope, node),
            attribute_sets: Vec::new(),
            attributes: Vec::new(),
            body: Vec::new(),
        };
        for attribute in doc.attributes(node) {
            let value = doc.value(attribute);
            let (local, namespace) = (doc.local_name(attribute), doc.namespace(attribute));
            if namespace == XSLT_NAMESPACE {
                if local == "use-attribute-sets" {
                    let names = value.split_whitespace().map(|name| scope.key(node, name));
                    literal.attribute_sets = names.collect::<Result<_, _>>()?;
                }
                continue;
            }
            let value = self.avt(scope, node, &value)?;
            let (prefix, namespace) =
                if namespace.is_empty() { Default::default() } else { self.aliased(doc.prefix(attribute), namespace) };
            literal.attributes.push(LiteralAttribute { prefix, local: local.to_owned(), namespace, value });
        }
        let mut inner = scope.clone();
        inner.inherited = true;
        literal.body = self.body(&inner, node, &[]);
        Ok(Op::Literal(Box::new(literal)))
    }

    fn aliased(&self, prefix: &str, namespace: &str) -> (String, String) {
        self.aliases.get(namespace).cloned().unwrap_or_else(|| (prefix.to_owned(), namespace.to_owned()))
    }

    /// The namespaces a literal result element copies. Inside of another one only its own can be new.
    fn literal_namespaces(&self, scope: &Scope, node: NodeId) -> Vec<(String, String)> {
        let doc = &scope.doc;
        let own = || {
            doc.namespace_decls(node).map(|it| (doc.local_name(it).to_owned(), doc.value(it).into_owned())).collect()
        };
        let all = || {
            let bindings = doc.in_scope_namespaces(node);
            bindings.into_iter().map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned())).collect()
        };
        let bindings: Vec<(String, String)> = if scope.inherited { own() } else { all() };
        let mut kept: Vec<(String, String)> = bindings
            .into_iter()
            .filter(|(_, uri)| uri != XSLT_NAMESPACE && !uri.is_empty() && !scope.excluded.contains(uri))
            .map(|(prefix, uri)| self.aliases.get(&uri).cloned().unwrap_or((prefix, uri)))
            .collect();
        kept.reverse();
        kept
    }
}
