//! Instructions that control what runs; those that make nodes are in `constructors.rs`.

use mi_expr::xpath::Version;
use mi_xml::{NodeId, NodeKind};

use super::{Compiler, Part, Scope};
use crate::XSLT_NAMESPACE;
use crate::avt::Avt;
use crate::plan::{Body, Grouping, Instruction, ModeRef, Number, NumberLevel, Op, Sort};

impl Compiler<'_> {
    /// Compiles one node of a content into `body`.
    pub(super) fn instruction(&mut self, scope: &Scope, node: NodeId, body: &mut Body) {
        let place = Self::place(scope, node);
        let doc = scope.doc.clone();
        let compiled = match doc.kind(node) {
            NodeKind::Text => self.literal_text(scope, node),
            NodeKind::Element => {
                let inner = scope.inside(node);
                self.nested(&inner, |it| {
                    if doc.namespace(node) == XSLT_NAMESPACE {
                        it.xslt_instruction(&inner, node, doc.local_name(node)).map(Some)
                    } else {
                        it.literal(&inner, node).map(Some)
                    }
                })
            }
            _ => Ok(None),
        };
        match compiled {
            Ok(Some(op)) => {
                if let Op::Variable(binding) = &op {
                    self.locals.push(binding.name.clone());
                }
                body.push(Instruction { op, place });
            }
            Ok(None) => {}
            Err(message) => self.report_in(scope, node, &message),
        }
    }

    fn literal_text(&mut self, scope: &Scope, node: NodeId) -> Part<Option<Op>> {
        let doc = &scope.doc;
        if !scope.preserve_space && doc.is_whitespace(node) {
            return Ok(None);
        }
        let text = doc.value(node).into_owned();
        if scope.expand_text {
            return self.text_template(scope, node, &text).map(Some);
        }
        Ok(Some(Op::Text { text: text.into(), raw: false }))
    }

    fn xslt_instruction(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Op> {
        match name {
            "apply-templates" => self.apply_templates(scope, node),
            "call-template" => {
                let name = scope.key(node, &scope.require(node, "name")?)?;
                if !self.template_names.contains(&name) {
                    return Err(format!("there is no template named {name}"));
                }
                Ok(Op::CallTemplate { name, params: self.with_params(scope, node)? })
            }
            "apply-imports" => Ok(Op::ApplyImports(self.with_params(scope, node)?)),
            "next-match" => Ok(Op::NextMatch(self.with_params(scope, node)?)),
            "for-each" => {
                let select = self.required_expr(scope, node, "select")?;
                let sorts = self.sorts(scope, node)?;
                Ok(Op::ForEach { select, sorts, body: self.body(scope, node, &["sort"]) })
            }
            "for-each-group" => self.for_each_group(scope, node),
            "if" => {
                let test = self.required_expr(scope, node, "test")?;
                Ok(Op::If { test, body: self.body(scope, node, &[]) })
            }
            "choose" => self.choose(scope, node),
            "number" => self.number(scope, node),
            "message" => {
                let terminate = self.avt_attr(scope, node, "terminate")?.unwrap_or_else(|| Avt::text("no"));
                let code = self.avt_attr(scope, node, "error-code")?;
                let select = self.expr_attr(scope, node, "select")?;
                Ok(Op::Message { select, body: self.body(scope, node, &[]), terminate, code })
            }
            "variable" => Ok(Op::Variable(self.binding(scope, node)?)),
            "analyze-string" => self.analyze_string(scope, node),
            "perform-sort" => {
                let sorts = self.sorts(scope, node)?;
                let mut value = self.value(scope, node, &["sort"])?;
                value.sequence = true;
                Ok(Op::PerformSort { value, sorts })
            }
            "sequence" => {
                let value = self.value(scope, node, &["fallback"])?;
                value.select.map(Op::Sequence).ok_or_else(|| "the attribute `select` is missing".to_owned())
            }
            "fallback" => Ok(Op::Text { text: "".into(), raw: false }),
            "param" => Err("it must come first in a template or function".to_owned()),
            "sort" | "with-param" | "when" | "otherwise" | "matching-substring" | "non-matching-substring" => {
                Err("it cannot stand here".to_owned())
            }
            "template" | "key" | "function" | "output" | "include" | "import" | "attribute-set" => {
                Err("it can stand at the top level of a stylesheet only".to_owned())
            }
            _ => match self.constructor(scope, node, name)? {
                Some(op) => Ok(op),
                None => match self.later(scope, node, name)? {
                    Some(op) => Ok(op),
                    None => self.unknown(scope, node, name),
                },
            },
        }
    }

    /// An instruction of a later version: an error when it runs, or its `xsl:fallback`.
    fn unknown(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Op> {
        let fallbacks: Vec<NodeId> =
            scope.doc.child_elements(node).filter(|child| scope.is_xslt(*child, "fallback")).collect();
        let fallback = (!fallbacks.is_empty())
            .then(|| fallbacks.into_iter().flat_map(|child| self.body(&scope.inside(child), child, &[])).collect());
        if fallback.is_none() && !scope.forward {
            return Err("there is no such instruction here, and no xsl:fallback for it (XTSE0010)".to_owned());
        }
        Ok(Op::Unknown { name: name.to_owned(), fallback })
    }

    fn mode_ref(&mut self, scope: &Scope, node: NodeId) -> Part<ModeRef> {
        match scope.attr(node, "mode").as_deref().map(str::trim) {
            None | Some("#default" | "#unnamed") => Ok(ModeRef::Mode(0)),
            Some("#current") => Ok(ModeRef::Current),
            Some(name) => {
                let key = scope.key(node, name)?;
                Ok(ModeRef::Mode(self.mode(&key)))
            }
        }
    }

    fn apply_templates(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let select = self.expr_attr(scope, node, "select")?;
        let mode = self.mode_ref(scope, node)?;
        let sorts = self.sorts(scope, node)?;
        for child in scope.doc.child_elements(node) {
            if !scope.is_xslt(child, "sort") && !scope.is_xslt(child, "with-param") {
                return Err("it can contain xsl:sort and xsl:with-param only".to_owned());
            }
        }
        Ok(Op::ApplyTemplates { select, mode, sorts, params: self.with_params(scope, node)? })
    }

    pub(super) fn with_params(&mut self, scope: &Scope, node: NodeId) -> Part<Vec<crate::plan::Binding>> {
        let mut params = Vec::new();
        for child in scope.doc.clone().child_elements(node) {
            if scope.is_xslt(child, "with-param") {
                params.push(self.binding(&scope.inside(child), child)?);
            }
        }
        Ok(params)
    }

    pub(super) fn sorts(&mut self, scope: &Scope, node: NodeId) -> Part<Vec<Sort>> {
        let mut sorts = Vec::new();
        for child in scope.doc.clone().child_elements(node) {
            if !scope.is_xslt(child, "sort") {
                continue;
            }
            let inner = scope.inside(child);
            let mut value = self.value(&inner, child, &[])?;
            value.sequence = true;
            if value.select.is_none() && value.body.is_empty() {
                value.select = Some(self.expr(&inner, child, ".")?);
            }
            sorts.push(Sort {
                value,
                data_type: self.avt_attr(&inner, child, "data-type")?,
                order: self.avt_attr(&inner, child, "order")?,
                case_order: self.avt_attr(&inner, child, "case-order")?,
                lang: self.avt_attr(&inner, child, "lang")?,
                collation: self.avt_attr(&inner, child, "collation")?,
                typed: inner.version == Version::V2,
                place: Self::place(&inner, child),
            });
        }
        Ok(sorts)
    }

    fn choose(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let (mut branches, mut otherwise) = (Vec::new(), Body::new());
        for child in scope.doc.clone().child_elements(node) {
            let inner = scope.inside(child);
            if scope.is_xslt(child, "when") {
                match self.required_expr(&inner, child, "test") {
                    Ok(test) => branches.push((test, self.body(&inner, child, &[]))),
                    Err(message) => self.report_in(&inner, child, &message),
                }
            } else if scope.is_xslt(child, "otherwise") {
                otherwise = self.body(&inner, child, &[]);
            } else {
                return Err("it can contain xsl:when and xsl:otherwise only".to_owned());
            }
        }
        if branches.is_empty() && !scope.doc.child_elements(node).any(|child| scope.is_xslt(child, "when")) {
            return Err("it needs at least one xsl:when".to_owned());
        }
        Ok(Op::Choose { branches, otherwise })
    }

    fn for_each_group(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let select = self.required_expr(scope, node, "select")?;
        let given = ["group-by", "group-adjacent", "group-starting-with", "group-ending-with"]
            .into_iter()
            .filter_map(|name| scope.attr(node, name).map(|value| (name, value)))
            .collect::<Vec<_>>();
        let [(name, source)] = given.as_slice() else {
            return Err("it needs one of `group-by`, `group-adjacent`, `group-starting-with` and `group-ending-with`"
                .to_owned());
        };
        let grouping = match *name {
            "group-by" => Grouping::By(self.expr(scope, node, source)?),
            "group-adjacent" => Grouping::Adjacent(self.expr(scope, node, source)?),
            "group-starting-with" => Grouping::StartingWith(self.pattern(scope, node, source)?),
            _ => Grouping::EndingWith(self.pattern(scope, node, source)?),
        };
        if scope.attr(node, "collation").is_some() && !matches!(grouping, Grouping::By(_) | Grouping::Adjacent(_)) {
            return Err("`collation` belongs to `group-by` and `group-adjacent` (XTSE1090)".to_owned());
        }
        let sorts = self.sorts(scope, node)?;
        let composite = scope.yes(node, "composite");
        Ok(Op::ForEachGroup { select, grouping, composite, sorts, body: self.body(scope, node, &["sort"]) })
    }

    fn number(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let level = match scope.attr(node, "level").as_deref() {
            None | Some("single") => NumberLevel::Single,
            Some("multiple") => NumberLevel::Multiple,
            Some("any") => NumberLevel::Any,
            Some(other) => return Err(format!("`{other}` is no level")),
        };
        let mut pattern =
            |name: &str| scope.attr(node, name).map(|source| self.pattern(scope, node, &source)).transpose();
        let (count, from) = (pattern("count")?, pattern("from")?);
        Ok(Op::Number(Box::new(Number {
            level,
            count,
            from,
            value: self.expr_attr(scope, node, "value")?,
            select: self.expr_attr(scope, node, "select")?,
            format: self.avt_attr(scope, node, "format")?.unwrap_or_else(|| Avt::text("1")),
            grouping_separator: self.avt_attr(scope, node, "grouping-separator")?,
            grouping_size: self.avt_attr(scope, node, "grouping-size")?,
            ordinal: self.avt_attr(scope, node, "ordinal")?,
            start_at: self.avt_attr(scope, node, "start-at")?,
        })))
    }

    fn analyze_string(&mut self, scope: &Scope, node: NodeId) -> Part<Op> {
        let select = self.required_expr(scope, node, "select")?;
        let source = scope.require(node, "regex")?;
        let regex = self.avt(scope, node, &source)?;
        let flags = self.avt_attr(scope, node, "flags")?;
        let mut content = |name: &str| {
            let children: Vec<NodeId> =
                scope.doc.child_elements(node).filter(|child| scope.is_xslt(*child, name)).collect();
            children.into_iter().flat_map(|child| self.body(&scope.inside(child), child, &[])).collect::<Body>()
        };
        let matching = content("matching-substring");
        let other = content("non-matching-substring");
        Ok(Op::AnalyzeString { select, regex, flags, matching, other })
    }
}
