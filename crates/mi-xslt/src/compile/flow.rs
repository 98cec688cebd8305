//! Instructions of later versions that control what runs: `xsl:iterate`, `xsl:try`, maps, results beside the main one.

use std::collections::HashMap;

use mi_xml::NodeId;

use super::{Compiler, Part, Scope};
use crate::plan::{Body, Catch, Key, Op, ResultDocument, Value};

/// The namespace of the codes of errors.
pub(crate) const ERRORS: &str = "http://www.w3.org/2005/xqt-errors";

/// The variables that are there in an `xsl:catch`.
pub(crate) const CAUGHT: [&str; 6] = [
    "{http://www.w3.org/2005/xqt-errors}code",
    "{http://www.w3.org/2005/xqt-errors}description",
    "{http://www.w3.org/2005/xqt-errors}value",
    "{http://www.w3.org/2005/xqt-errors}module",
    "{http://www.w3.org/2005/xqt-errors}line-number",
    "{http://www.w3.org/2005/xqt-errors}column-number",
];

/// Attributes of `xsl:result-document` that are settings of the output.
const SETTINGS: [&str; 13] = [
    "method",
    "encoding",
    "doctype-public",
    "doctype-system",
    "media-type",
    "output-version",
    "omit-xml-declaration",
    "standalone",
    "indent",
    "include-content-type",
    "escape-uri-attributes",
    "undeclare-prefixes",
    "byte-order-mark",
];

impl Compiler<'_> {
    /// The instructions of this file; `None` for any other name.
    pub(super) fn later(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Option<Op>> {
        Ok(Some(match name {
            "iterate" => self.iterate(scope, node)?,
            "next-iteration" => Op::NextIteration(self.with_params(scope, node)?),
            "break" => Op::Break(self.items(scope, node, &[])?),
            "try" => self.try_catch(scope, node)?,
            "map" => Op::Map(self.body(scope, node, &["fallback"])),
            "map-entry" => {
                let key = self.required_expr(scope, node, "key")?;
                Op::MapEntry { key, value: self.items(scope, node, &["fallback"])? }
            }
            "where-populated" => Op::WherePopulated(self.body(scope, node, &["fallback"])),
            "result-document" => self.result_document(scope, node)?,
            _ => return Ok(None),
        }))
    }

    /// A value that is a sequence of items, whether it comes from `select` or from content.
    fn items(&mut self, scope: &Scope, node: NodeId, skip: &[&str]) -> Part<Value> {
        let mut value = self.value(scope, node, skip)?;
        value.sequence = true;
        Ok(value)
    }

    fn iterate(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let select = self.required_expr(scope, node, "select")?;
        let params = self.params(scope, node);
        let body = self.body(scope, node, &["param", "on-completion", "fallback"]);
        let mut completion = None;
        for child in scope.doc.clone().child_elements(node) {
            if scope.is_xslt(child, "on-completion") {
                completion = Some(self.items(&scope.inside(child), child, &[])?);
            }
        }
        Ok(Op::Iterate { select, params, body, completion })
    }

    fn try_catch(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let value = self.items(scope, node, &["catch", "fallback"])?;
        let mut catches = Vec::new();
        for child in scope.doc.clone().child_elements(node) {
            if !scope.is_xslt(child, "catch") {
                continue;
            }
            let inner = scope.inside(child);
            let errors = scope.attr(child, "errors").unwrap_or_else(|| "*".to_owned());
            let errors = errors.split_whitespace().map(str::to_owned).collect();
            let value = self.nested(&inner, |it| {
                it.locals.extend(CAUGHT.iter().map(|name| (*name).to_owned()));
                it.items(&inner, child, &[])
            })?;
            catches.push(Catch { errors, value });
        }
        if catches.is_empty() {
            return Err("it needs at least one xsl:catch (XTSE0010)".to_owned());
        }
        Ok(Op::Try { value, catches })
    }

    fn result_document(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let mut settings = Vec::new();
        for name in SETTINGS {
            if let Some(avt) = self.avt_attr(scope, node, name)? {
                settings.push((if name == "output-version" { "version" } else { name }, avt));
            }
        }
        let mut characters = HashMap::new();
        for name in self.key_list(scope, node, "use-character-maps")? {
            self.use_character_map(&name, 0, &mut characters)?;
        }
        let mut cdata: Vec<Key> = Vec::new();
        for name in scope.attr(node, "cdata-section-elements").unwrap_or_default().split_whitespace() {
            cdata.push(self.element_key(scope, node, name)?);
        }
        let body: Body = self.body(scope, node, &["fallback"]);
        Ok(Op::ResultDocument(Box::new(ResultDocument {
            href: self.avt_attr(scope, node, "href")?,
            format: self.avt_attr(scope, node, "format")?,
            settings,
            characters,
            cdata,
            body,
        })))
    }

    /// The name of an element, which the default namespace applies to.
    pub(super) fn element_key(&self, scope: &Scope, node: NodeId, name: &str) -> Part<Key> {
        let default = scope.doc.lookup_namespace(node, "").unwrap_or("");
        let key = scope.key(node, name)?;
        Ok(if name.contains(':') || name.starts_with("Q{") { key } else { crate::expr::key_of(default, &key) })
    }
}
