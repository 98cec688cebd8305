//! Templates: choosing and running them, and what happens where there is none.

use mi_expr::xpath::{Item, Node, Sequence};
use mi_xml::{Document, NodeKind};

use super::variables::Arguments;
use super::{Cx, Outcome, Run};
use crate::error::{TransformError, TransformErrorKind};
use crate::plan::{Binding, ModeRef, NoMatch, Sort};

impl<'s, 'd> Run<'s, 'd> {
    /// `xsl:apply-templates`
    pub(super) fn apply_templates(
        &self,
        select: Option<&'s crate::expr::Expr>,
        mode: ModeRef,
        sorts: &'s [Sort],
        params: &'s [Binding],
        cx: &Cx<'s, 'd>,
    ) -> Outcome<()> {
        let items = match (select, cx.node()) {
            (Some(select), _) => self.eval(select, cx)?.into_items(),
            (None, Some(node)) => children(node),
            (None, None) => {
                return Err(TransformError::dynamic("there is no context node to apply templates to (XTTE0510)"));
            }
        };
        let items = if sorts.is_empty() { items } else { self.sorted(items, sorts, cx)? };
        let (given, tunnel) = self.arguments(params, cx)?;
        let mut inner = cx.clone();
        inner.tunnel = tunnel;
        if let ModeRef::Mode(mode) = mode {
            inner.mode = mode;
        }
        self.apply(items, &given, inner)
    }

    /// Applies templates to each item.
    fn apply(&self, items: Vec<Item<'d>>, given: &Arguments<'s, 'd>, mut cx: Cx<'s, 'd>) -> Outcome<()> {
        cx.focus.size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            cx.focus.item = Some(item);
            cx.focus.position = at + 1;
            self.apply_one(&cx, given)?;
        }
        Ok(())
    }

    /// Applies the best template to the context item.
    pub(super) fn apply_one(&self, cx: &Cx<'s, 'd>, given: &Arguments<'s, 'd>) -> Outcome<()> {
        self.step()?;
        let Some(node) = cx.node() else {
            // Values have no templates here; they are put out.
            return cx.focus.item.clone().map_or(Ok(()), |item| self.item(item, true));
        };
        match self.find_rule(node, cx, |_| true)? {
            Some(rule) => self.run_rule(rule, given, cx),
            None => self.built_in(node, given, cx),
        }
    }

    fn run_rule(&self, rule: usize, given: &Arguments<'s, 'd>, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let mut inner = cx.clone();
        inner.rule = Some(rule);
        self.run_template(self.plan.rules[rule].template, given, &inner)
    }

    pub(super) fn run_template(&self, template: usize, given: &Arguments<'s, 'd>, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let template = &self.plan.templates[template];
        let body = || {
            self.framed(|| {
                self.bind_params(&template.params, given, cx)?;
                self.exec(&template.body, cx)
            })
        };
        let result = self.enter(|| match &template.cast {
            None => body(),
            Some(cast) => {
                let items = self.to_items(body)?;
                let value = self.cast(Some(cast), Sequence::from_items(items), "XTTE0505")?;
                self.sequence(value)
            }
        });
        result.map_err(|mut error| {
            if error.template.is_empty() && error.kind != TransformErrorKind::Stack {
                error.template = template.label.to_string();
            }
            self.placed(error, template.place)
        })
    }

    /// What happens to a node without a rule.
    fn built_in(&self, node: &Node<'d>, given: &Arguments<'s, 'd>, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let below = || self.enter(|| self.apply(children(node), given, cx.clone()));
        let container = matches!(node.kind(), NodeKind::Element | NodeKind::Document);
        match self.plan.modes[cx.mode].no_match {
            NoMatch::TextOnlyCopy => match node.kind() {
                NodeKind::Element | NodeKind::Document => below(),
                NodeKind::Text | NodeKind::Attribute => self.text(&node.string_value(), false),
                _ => Ok(()),
            },
            NoMatch::ShallowCopy if container => self.shallow_copy(node, true, || {
                let attributes = node.doc.attributes(node.id).map(|id| Item::Node(Node { doc: node.doc.clone(), id }));
                let mut items: Vec<Item<'d>> = attributes.collect();
                items.extend(children(node));
                self.enter(|| self.apply(items, given, cx.clone()))
            }),
            NoMatch::ShallowCopy | NoMatch::DeepCopy => self.item(Item::Node(node.clone()), true),
            NoMatch::ShallowSkip if container => below(),
            NoMatch::ShallowSkip => Ok(()),
            NoMatch::DeepSkip if node.kind() == NodeKind::Document => below(),
            NoMatch::DeepSkip => Ok(()),
            NoMatch::Fail => {
                let name = node.doc.qualified_name(node.id);
                Err(TransformError::dynamic(format!("no template matches the node {name} (XTDE0555)")))
            }
        }
    }

    /// `xsl:next-match`, and with `imports` `xsl:apply-imports`.
    pub(super) fn next_match(&self, imports: bool, params: &'s [Binding], cx: &Cx<'s, 'd>) -> Outcome<()> {
        let (Some(current), Some(node)) = (cx.rule, cx.node()) else {
            return Err(TransformError::dynamic("there is no current template rule here (XTDE0560)"));
        };
        let (given, tunnel) = self.arguments(params, cx)?;
        let mut inner = cx.clone();
        inner.tunnel = tunnel;
        let rules = &self.plan.rules;
        let rank = |rule: usize| (rules[rule].precedence, rules[rule].priority, rules[rule].position);
        let template = &self.plan.templates[rules[current].template];
        let found = if imports {
            let range = template.low..template.precedence;
            self.find_rule(node, cx, |rule| range.contains(&rules[rule].precedence))?
        } else {
            self.find_rule(node, cx, |rule| rank(rule) < rank(current))?
        };
        match found {
            Some(rule) => self.run_rule(rule, &given, &inner),
            None => self.built_in(node, &given, &inner),
        }
    }
}

/// The children of a node as items.
fn children<'d>(node: &Node<'d>) -> Vec<Item<'d>> {
    let doc: &Document = &node.doc;
    doc.children(node.id).map(|id| Item::Node(Node { doc: node.doc.clone(), id })).collect()
}
