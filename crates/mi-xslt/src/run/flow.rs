//! Instructions of later versions that control what runs: `xsl:iterate`, `xsl:try`, maps, results beside the main one.

use std::sync::{Arc, LazyLock};

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Context, Env, Item, Node, QName, Sequence, TreeBuilder, Version, XPath, XPathError};
use mi_xml::NodeKind;

use super::build::Destination;
use super::variables::PARAMETER;
use super::{Cx, Outcome, Run};
use crate::compile::flow::{CAUGHT, ERRORS};
use crate::error::{TransformError, TransformErrorKind};
use crate::expr::Expr;
use crate::limits::MAX_RESULTS;
use crate::plan::{Binding, Body, Catch, ResultDocument, Value};

/// What the body of an `xsl:iterate` asks for.
pub(super) enum Control<'s, 'd> {
    Next(Vec<(&'s str, Sequence<'d>)>),
    Break,
}

const MAPS: &str = "http://www.w3.org/2005/xpath-functions/map";

/// Maps are made by the functions that XPath has for it.
fn maker(source: &'static str) -> Option<XPath> {
    XPath::compile_as(source, Version::V2, &|prefix| (prefix == "map").then(|| MAPS.to_owned()), "").ok()
}

static ENTRY: LazyLock<Option<XPath>> = LazyLock::new(|| maker("map:entry($a, $b)"));
static MERGE: LazyLock<Option<XPath>> = LazyLock::new(|| maker("map:merge($a, map{'duplicates': 'reject'})"));

/// The arguments of a maker.
struct Two<'d>(Sequence<'d>, Sequence<'d>, DateTime<FixedOffset>);

impl<'d> Env<'d> for Two<'d> {
    fn variable(&self, _: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        Ok(if local == "a" { self.0.clone() } else { self.1.clone() })
    }

    fn function(&self, _: &str, _: &str, _: &str, _: &[Sequence<'d>]) -> Option<Result<Sequence<'d>, XPathError>> {
        None
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.2
    }
}

// === iteration ===

impl<'s, 'd> Run<'s, 'd> {
    pub(super) fn iterate(
        &self,
        select: &'s Expr,
        params: &'s [Binding],
        body: &'s Body,
        completion: Option<&'s Value>,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<()> {
        let items = self.eval(select, cx)?.into_items();
        let start = self.locals.borrow().len();
        for param in params {
            let value = self.value(&param.value, cx)?;
            self.bind(&param.name, value);
        }
        let mut inner = cx.clone();
        inner.rule = None;
        inner.focus.size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            inner.focus.item = Some(item);
            inner.focus.position = at + 1;
            self.exec(body, &inner)?;
            match self.control.borrow_mut().take() {
                None => {}
                Some(Control::Break) => {
                    self.locals.borrow_mut().truncate(start);
                    return Ok(());
                }
                Some(Control::Next(given)) => self.rebind(start, params, given)?,
            }
        }
        if let Some(completion) = completion {
            inner.focus = Context { item: None, position: 1, size: 1 };
            let value = self.value(completion, &inner)?;
            self.sequence(value)?;
        }
        self.locals.borrow_mut().truncate(start);
        Ok(())
    }

    /// Gives the parameters of an iteration their next values; those that are not named keep theirs.
    fn rebind(&self, start: usize, params: &'s [Binding], given: Vec<(&'s str, Sequence<'d>)>) -> Outcome<()> {
        for (name, value) in given {
            let Some(at) = params.iter().position(|it| it.name == name) else {
                return Err(TransformError::dynamic(format!("xsl:iterate has no parameter ${name} (XTSE3130)")));
            };
            let value = self.cast(params[at].value.cast.as_ref(), value, PARAMETER)?;
            if let Some(local) = self.locals.borrow_mut().get_mut(start + at) {
                local.1 = value;
            }
        }
        Ok(())
    }

    pub(super) fn next_iteration(&self, params: &'s [Binding], cx: &Cx<'s, 'd>) -> Outcome<()> {
        let (given, _) = self.arguments(params, cx)?;
        *self.control.borrow_mut() = Some(Control::Next(given));
        Ok(())
    }

    pub(super) fn break_iteration(&self, value: &'s Value, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let value = self.items_of(value, cx)?;
        self.sequence(value)?;
        *self.control.borrow_mut() = Some(Control::Break);
        Ok(())
    }

    /// The value of `select` or content; neither is nothing.
    fn items_of(&self, value: &'s Value, cx: &Cx<'s, 'd>) -> Outcome<Sequence<'d>> {
        if value.select.is_none() && value.body.is_empty() { Ok(Sequence::empty()) } else { self.value(value, cx) }
    }
}

// === errors ===

impl<'s, 'd> Run<'s, 'd> {
    pub(super) fn try_catch(&self, value: &'s Value, catches: &'s [Catch], cx: &Cx<'s, 'd>) -> Outcome<()> {
        let (locals, base, depth) = (self.locals.borrow().len(), self.base.get(), self.depth.get());
        let level = self.out.borrow().len();
        let temporary = self.temporary.get();
        let error = match self.items_of(value, cx) {
            Ok(value) => return self.sequence(value),
            Err(error) if matches!(error.kind, TransformErrorKind::Limit | TransformErrorKind::Stack) => {
                return Err(error);
            }
            Err(error) => error,
        };
        self.locals.borrow_mut().truncate(locals);
        self.out.borrow_mut().truncate(level);
        self.base.set(base);
        self.depth.set(depth);
        self.temporary.set(temporary);
        *self.control.borrow_mut() = None;
        let code =
            error.code().unwrap_or(if error.kind == TransformErrorKind::Terminated { "XTMM9000" } else { "FOER0000" });
        let local = code.rsplit(['}', ':']).next().unwrap_or(code);
        let fits = |test: &String| match test.rsplit_once(['}', ':']) {
            _ if test == "*" => true,
            Some((_, "*")) => true,
            Some((_, name)) => name == local,
            None => test == local,
        };
        let Some(catch) = catches.iter().find(|it| it.errors.iter().any(fits)) else { return Err(error) };
        let name = QName { prefix: "err".to_owned(), namespace: ERRORS.to_owned(), local: local.to_owned() };
        let description = error.message.strip_suffix(&format!(" ({code})")).unwrap_or(&error.message);
        let values = [
            Sequence::one(Item::QName(Arc::new(name))),
            Sequence::string(description.to_owned()),
            Sequence::empty(),
            Sequence::string(error.stylesheet.clone()),
            Sequence::from(i64::from(error.line)),
            Sequence::from(i64::from(error.column)),
        ];
        for (name, value) in CAUGHT.into_iter().zip(values) {
            self.bind(name, value);
        }
        let value = self.items_of(&catch.value, cx);
        self.locals.borrow_mut().truncate(locals);
        self.sequence(value?)
    }
}

// === maps ===

impl<'s, 'd> Run<'s, 'd> {
    fn make(&self, maker: Option<&'static XPath>, a: Sequence<'d>, b: Sequence<'d>) -> Outcome<Sequence<'d>> {
        let Some(maker) = maker else { return Err(TransformError::dynamic("maps cannot be made")) };
        let context = Context { item: None, position: 1, size: 1 };
        let made = maker.evaluate_in(&context, &Two(a, b, self.host.now()));
        made.map_err(|error| match error {
            XPathError::Dynamic { code, .. } if code == "FOJS0003" => {
                TransformError::dynamic("a key of the map is given twice (XTDE3365)")
            }
            other => TransformError::dynamic(other.to_string()),
        })
    }

    pub(super) fn map_entry(&self, key: &'s Expr, value: &'s Value, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let key = self.eval(key, cx)?;
        let value = self.items_of(value, cx)?;
        let map = self.make(ENTRY.as_ref(), key, value)?;
        self.sequence(map)
    }

    pub(super) fn map(&self, body: &'s Body, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let entries = Sequence::from_items(self.to_items(|| self.exec(body, cx))?);
        if entries.iter().any(|it| !matches!(it, Item::Map(_))) {
            return Err(TransformError::dynamic("xsl:map contains what is no map (XTTE3375)"));
        }
        let map = self.make(MERGE.as_ref(), entries, Sequence::empty())?;
        self.sequence(map)
    }

    /// `xsl:where-populated`: what is empty is left out.
    pub(super) fn where_populated(&self, body: &'s Body, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let items = self.to_items(|| self.exec(body, cx))?;
        for item in items {
            let populated = match &item {
                Item::Node(node) => match node.kind() {
                    NodeKind::Element | NodeKind::Document => node.doc.first_child(node.id).is_some(),
                    _ => !node.string_value().is_empty(),
                },
                Item::Map(map) => !map.entries().is_empty(),
                Item::Array(members) => !members.is_empty(),
                other => !other.to_str(Version::V2).is_empty(),
            };
            if populated {
                self.item(item, true)?;
            }
        }
        Ok(())
    }
}

// === results ===

impl<'s, 'd> Run<'s, 'd> {
    pub(super) fn result_document(&self, result: &'s ResultDocument, cx: &Cx<'s, 'd>) -> Outcome<()> {
        if self.temporary.get() > 0 {
            let message = "xsl:result-document cannot stand in a variable or function (XTDE1480)";
            return Err(TransformError::dynamic(message));
        }
        let mut settings = match &result.format {
            None => self.plan.output.clone(),
            Some(format) => {
                let name = self.avt(format, cx)?;
                let found = self.plan.outputs.get(&self.expanded(&name));
                let missing = || TransformError::dynamic(format!("there is no output format {name} (XTDE1460)"));
                found.cloned().ok_or_else(missing)?
            }
        };
        for (name, avt) in &result.settings {
            let value = self.avt(avt, cx)?;
            settings.set(name, &value).map_err(|message| TransformError::dynamic(format!("{message} (XTDE0030)")))?;
        }
        settings.characters.extend(result.characters.iter().map(|(from, to)| (*from, to.clone())));
        settings.cdata_elements.extend(result.cdata.iter().cloned());
        let href = result.href.as_ref().map(|it| self.avt(it, cx)).transpose()?.unwrap_or_default();
        if href.is_empty() {
            let before = self.main_settings.borrow_mut().replace(settings);
            let used = before.is_some()
                || !matches!(self.out.borrow().as_slice(), [Destination::Tree(tree)] if tree.is_empty());
            if used {
                return Err(TransformError::dynamic("the main result is written twice (XTDE1490)"));
            }
            return self.exec(&result.body, cx);
        }
        if !self.host.keeps_results() {
            let message = format!("the result {href} cannot be written: only the main result is used here");
            return Err(TransformError::dynamic(message));
        }
        if self.results.borrow().iter().any(|(known, _)| *known == href) {
            return Err(TransformError::dynamic(format!("the result {href} is written twice (XTDE1490)")));
        }
        if self.results.borrow().len() >= MAX_RESULTS {
            return Err(TransformError::limit("result documents", MAX_RESULTS as u64));
        }
        let arrived =
            self.redirected(Destination::Tree(Box::new(TreeBuilder::new())), || self.exec(&result.body, cx))?;
        if let Destination::Tree(tree) = arrived {
            let (document, raw) = tree.finish();
            self.results.borrow_mut().push((href, super::output_of(document, raw, settings, self.plan.is_old)));
        }
        Ok(())
    }

    /// Runs what makes a value and not a result.
    pub(super) fn in_value<T>(&self, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        self.temporary.set(self.temporary.get() + 1);
        let result = work();
        self.temporary.set(self.temporary.get() - 1);
        result
    }

    /// What `xsl:message` says: trees as XML.
    pub(super) fn said(&self, value: &Sequence<'d>) -> String {
        let mut out = String::new();
        for (at, item) in value.iter().enumerate() {
            match &item {
                Item::Node(Node { doc, id })
                    if matches!(item_kind(&item), Some(NodeKind::Document | NodeKind::Element)) =>
                {
                    out.push_str(&doc.to_xml(*id));
                }
                other => {
                    if at > 0 {
                        out.push(' ');
                    }
                    out.push_str(&other.to_str(Version::V2));
                }
            }
        }
        out
    }
}

fn item_kind(item: &Item<'_>) -> Option<NodeKind> {
    match item {
        Item::Node(node) => Some(node.kind()),
        _ => None,
    }
}
