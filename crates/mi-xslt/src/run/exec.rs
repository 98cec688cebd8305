//! Instructions that control what runs.

use std::rc::Rc;

use mi_expr::xpath::{Node, Regex, Sequence, Version};
use mi_xml::Document;

use super::{Cx, Outcome, Run};
use crate::avt::{Avt, Part};
use crate::error::{TransformError, TransformErrorKind};
use crate::expr::Expr;
use crate::plan::{Body, Instruction, Op};

impl<'s, 'd> Run<'s, 'd> {
    /// Runs a content; its variables end with it.
    pub(super) fn exec(&self, body: &'s Body, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let start = self.locals.borrow().len();
        for instruction in body {
            if let Err(error) = self.instruction(instruction, cx) {
                return Err(self.placed(error, instruction.place));
            }
        }
        self.locals.borrow_mut().truncate(start);
        Ok(())
    }

    fn instruction(&self, instruction: &'s Instruction, cx: &Cx<'s, 'd>) -> Outcome<()> {
        self.step()?;
        match &instruction.op {
            Op::Text { text, raw } => self.text(text, *raw),
            Op::Sequence(select) => {
                let value = self.eval(select, cx)?;
                self.sequence(value)
            }
            Op::ApplyTemplates { select, mode, sorts, params } => {
                self.apply_templates(select.as_ref(), *mode, sorts, params, cx)
            }
            Op::CallTemplate { name, params } => {
                let (given, tunnel) = self.arguments(params, cx)?;
                let mut inner = cx.clone();
                inner.tunnel = tunnel;
                match self.plan.named.get(name) {
                    Some(template) => self.run_template(*template, &given, &inner),
                    None => Err(TransformError::dynamic(format!("there is no template named {name}"))),
                }
            }
            Op::ApplyImports(params) => self.next_match(true, params, cx),
            Op::NextMatch(params) => self.next_match(false, params, cx),
            Op::ForEach { select, sorts, body } => {
                let items = self.eval(select, cx)?.into_items();
                let items = if sorts.is_empty() { items } else { self.sorted(items, sorts, cx)? };
                self.each(items, body, cx)
            }
            Op::ForEachGroup { select, grouping, composite, sorts, body } => {
                self.for_each_group(select, (grouping, *composite), sorts, body, cx)
            }
            Op::If { test, body } => {
                if self.eval_boolean(test, cx)? {
                    self.exec(body, cx)?;
                }
                Ok(())
            }
            Op::Choose { branches, otherwise } => {
                for (test, body) in branches {
                    if self.eval_boolean(test, cx)? {
                        return self.exec(body, cx);
                    }
                }
                self.exec(otherwise, cx)
            }
            Op::Variable(binding) => {
                let value = self.value(&binding.value, cx)?;
                self.bind(&binding.name, value);
                Ok(())
            }
            Op::Message { select, body, terminate, code } => self.message(select.as_ref(), body, (terminate, code), cx),
            Op::Iterate { select, params, body, completion } => {
                self.iterate(select, params, body, completion.as_ref(), cx)
            }
            Op::NextIteration(params) => self.next_iteration(params, cx),
            Op::Break(value) => self.break_iteration(value, cx),
            Op::Try { value, catches } => self.try_catch(value, catches, cx),
            Op::Map(body) => self.map(body, cx),
            Op::MapEntry { key, value } => self.map_entry(key, value, cx),
            Op::WherePopulated(body) => self.where_populated(body, cx),
            Op::ResultDocument(result) => self.result_document(result, cx),
            Op::AnalyzeString { select, regex, flags, matching, other } => {
                self.analyze_string(select, (regex, flags.as_ref()), matching, other, cx)
            }
            Op::PerformSort { value, sorts } => {
                let items = self.value(value, cx)?.into_items();
                let items = self.sorted(items, sorts, cx)?;
                self.sequence(Sequence::from_items(items))
            }
            Op::Unknown { fallback: Some(fallback), .. } => self.exec(fallback, cx),
            Op::Unknown { name, fallback: None } => {
                Err(TransformError::dynamic(format!("there is no instruction xsl:{name} (XTDE1450)")))
            }
            constructor => self.construct(constructor, cx),
        }
    }

    fn message(
        &self,
        select: Option<&'s Expr>,
        body: &'s Body,
        (terminate, code): (&'s Avt, &'s Option<Avt>),
        cx: &Cx<'s, 'd>,
    ) -> Outcome<()> {
        let mut text = select.map(|it| self.eval(it, cx)).transpose()?.map(|it| self.said(&it)).unwrap_or_default();
        if !body.is_empty() {
            let document = self.in_value(|| self.to_document(|| self.exec(body, cx)))?;
            text.push_str(&self.said(&Node::shared(document, Document::ROOT).into()));
        }
        let terminate = match self.avt(terminate, cx)?.trim() {
            "yes" | "true" | "1" => true,
            "no" | "false" | "0" => false,
            other => return Err(TransformError::dynamic(format!("`{other}` is no value of `terminate` (XTDE0030)"))),
        };
        self.say(text.clone());
        if !terminate {
            return Ok(());
        }
        let code = code.as_ref().map(|it| self.avt(it, cx)).transpose()?;
        let mut error = TransformError::new(TransformErrorKind::Terminated, text);
        error.given_code = Some(code.unwrap_or_else(|| "XTMM9000".to_owned()));
        Err(error)
    }

    fn each(&self, items: Vec<mi_expr::xpath::Item<'d>>, body: &'s Body, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let mut inner = cx.clone();
        inner.rule = None;
        inner.focus.size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            inner.focus.item = Some(item);
            inner.focus.position = at + 1;
            self.exec(body, &inner)?;
        }
        Ok(())
    }

    /// Puts out a sequence.
    pub(super) fn sequence(&self, value: Sequence<'d>) -> Outcome<()> {
        for item in value.into_items() {
            self.item(item, true)?;
        }
        Ok(())
    }

    /// The items as strings with a separator between them.
    pub(super) fn joined(&self, value: &Sequence<'d>, separator: &str) -> String {
        if value.len() == 1 {
            return value.to_str_as(Version::V2).into_string();
        }
        let mut out = String::new();
        for (at, item) in value.iter().enumerate() {
            if at > 0 {
                out.push_str(separator);
            }
            out.push_str(&item.to_str(Version::V2));
        }
        out
    }

    /// The text of an attribute value template.
    pub(super) fn avt(&self, avt: &'s Avt, cx: &Cx<'s, 'd>) -> Outcome<String> {
        let mut out = String::new();
        for part in &avt.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Expr(expr) if expr.xpath.version() == Version::V1 => out.push_str(&self.eval_string(expr, cx)?),
                Part::Expr(expr) => out.push_str(&self.joined(&self.eval(expr, cx)?, " ")),
            }
        }
        Ok(out)
    }

    fn analyze_string(
        &self,
        select: &'s Expr,
        (regex, flags): (&'s Avt, Option<&'s Avt>),
        matching: &'s Body,
        other: &'s Body,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<()> {
        let value = self.eval(select, cx)?;
        if select.xpath.version() == Version::V2 && (value.len() > 1 || value.iter().any(|it| it.is_numeric())) {
            let error = TransformError::dynamic("xsl:analyze-string takes one string (XPTY0004)");
            return Err(self.placed(error, select.place));
        }
        let text = value.to_str_as(select.xpath.version()).into_string();
        let flags = flags.map(|it| self.avt(it, cx)).transpose()?.unwrap_or_default();
        if let Some(wrong) = flags.chars().find(|it| !"smixq".contains(*it)) {
            return Err(TransformError::dynamic(format!("there is no flag `{wrong}` (XTDE1145)")));
        }
        let regex = self.regex(self.avt(regex, cx)?, flags, select)?;
        let found = regex.matches(&text).map_err(|error| self.at_place(error, select.place))?;
        let mut parts: Vec<(String, Option<Rc<Vec<String>>>)> = Vec::new();
        let mut from = 0;
        for one in found {
            if one.whole.start > from {
                parts.push((text[from..one.whole.start].to_owned(), None));
            }
            let whole = text[one.whole.clone()].to_owned();
            let groups = one.groups.iter().map(|group| group.clone().map_or("", |range| &text[range]).to_owned());
            let captures = std::iter::once(whole.clone()).chain(groups).collect();
            parts.push((whole, Some(Rc::new(captures))));
            from = one.whole.end;
        }
        if from < text.len() {
            parts.push((text[from..].to_owned(), None));
        }
        let size = parts.len();
        for (at, (part, captures)) in parts.into_iter().enumerate() {
            let body = if captures.is_some() { matching } else { other };
            let mut inner = cx.at(mi_expr::xpath::Item::String(part.into()), at + 1, size);
            inner.rule = None;
            if captures.is_some() {
                inner.captures = captures;
            }
            self.exec(body, &inner)?;
        }
        Ok(())
    }

    fn regex(&self, source: String, flags: String, at: &Expr) -> Outcome<Rc<Regex>> {
        let key = (source, flags);
        if let Some(known) = self.regexes.borrow().get(&key) {
            return Ok(known.clone());
        }
        let regex = Regex::compile(&key.0, &key.1).map_err(|error| self.at_place(error, at.place))?;
        let regex = Rc::new(regex);
        let mut regexes = self.regexes.borrow_mut();
        if regexes.len() > 100 {
            regexes.clear();
        }
        regexes.insert(key, regex.clone());
        Ok(regex)
    }
}
