//! `xsl:number`.

use mi_expr::xpath::{Item, Node, Version};
use mi_xml::{NodeId, NodeKind};

use super::{Cx, Outcome, Run};
use crate::error::TransformError;
use crate::number::{NumberFormat, write};
use crate::plan::{Number, NumberLevel};

impl<'s, 'd> Run<'s, 'd> {
    pub(super) fn number(&self, number: &'s Number, cx: &Cx<'s, 'd>) -> Outcome<()> {
        let numbers = match &number.value {
            Some(value) => {
                let found = self.eval(value, cx)?;
                let first_only = value.xpath.version() == Version::V1;
                let mut numbers = Vec::new();
                for item in found.iter().take(if first_only { 1 } else { usize::MAX }) {
                    let value = item.to_number();
                    if value.is_nan() || value.is_infinite() {
                        return self.text(&item.to_str(Version::V2), false);
                    }
                    let value = (value + 0.5).floor();
                    if value < 0.0 && !first_only {
                        return Err(TransformError::dynamic(
                            "a number that is less than zero has no such form (XTDE0980)",
                        ));
                    }
                    numbers.push(value as i64);
                }
                if first_only && numbers.is_empty() {
                    return self.text("NaN", false);
                }
                numbers
            }
            None => self.counted(number, cx)?,
        };
        let format = self.avt(&number.format, cx)?;
        let text = |avt: &'s Option<crate::avt::Avt>| avt.as_ref().map(|it| self.avt(it, cx)).transpose();
        let separator = text(&number.grouping_separator)?.unwrap_or_default();
        let size = text(&number.grouping_size)?.and_then(|it| it.trim().parse().ok()).unwrap_or(0);
        let ordinal = text(&number.ordinal)?.is_some_and(|it| !it.is_empty() && it != "no");
        let mut numbers = numbers;
        if let Some(starts) = text(&number.start_at)? {
            let starts: Result<Vec<i64>, _> = starts.split_whitespace().map(str::parse).collect();
            let wrong = || TransformError::dynamic("`start-at` must be integers (XTDE0030)");
            let starts = starts.map_err(|_| wrong())?;
            let last = starts.last().copied().ok_or_else(wrong)?;
            for (at, number) in numbers.iter_mut().enumerate() {
                *number = number.saturating_add(starts.get(at).copied().unwrap_or(last)).saturating_sub(1);
            }
        }
        self.text(&write(&numbers, &NumberFormat { format: &format, separator: &separator, size, ordinal }), false)
    }

    fn counted(&self, number: &'s Number, cx: &Cx<'s, 'd>) -> Outcome<Vec<i64>> {
        let selected = match &number.select {
            Some(select) => {
                let found = self.eval(select, cx)?;
                if found.len() > 1 && select.xpath.version() == Version::V2 {
                    return Err(TransformError::dynamic("`select` gives more than one node (XTTE1000)"));
                }
                found.first_node()
            }
            None => cx.node().cloned(),
        };
        let Some(node) = selected else {
            let code = if number.select.is_some() { "XTTE1000" } else { "XTTE0990" };
            return Err(TransformError::dynamic(format!("there is no node to be numbered ({code})")));
        };
        match number.level {
            NumberLevel::Any => self.any(number, &node, cx),
            level => {
                let mut numbers = Vec::new();
                let mut above = Some(node.id);
                while let Some(id) = above {
                    let at = Node { doc: node.doc.clone(), id };
                    if self.counts(number, &node, &at, cx)? {
                        numbers.push(self.among_siblings(number, &node, &at, cx)?);
                        if level == NumberLevel::Single {
                            break;
                        }
                    }
                    if self.is_from(number, &at, cx)? {
                        break;
                    }
                    above = node.doc.parent(id);
                }
                numbers.reverse();
                Ok(numbers)
            }
        }
    }

    fn is_from(&self, number: &'s Number, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        match &number.from {
            Some(from) => self.matches(from, node, &cx.at(Item::Node(node.clone()), 1, 1)),
            None => Ok(false),
        }
    }

    /// Whether a node is counted: it matches `count`, or is of the kind and name of the numbered one.
    fn counts(&self, number: &'s Number, numbered: &Node<'d>, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        self.step()?;
        if let Some(count) = &number.count {
            return self.matches(count, node, &cx.at(Item::Node(node.clone()), 1, 1));
        }
        let (doc, kind) = (&node.doc, node.kind());
        if kind != numbered.kind() {
            return Ok(false);
        }
        let named = matches!(kind, NodeKind::Element | NodeKind::Attribute | NodeKind::Pi);
        Ok(!named
            || (doc.local_name(node.id) == doc.local_name(numbered.id)
                && (kind == NodeKind::Pi || doc.namespace(node.id) == doc.namespace(numbered.id))))
    }

    fn among_siblings(&self, number: &'s Number, numbered: &Node<'d>, at: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<i64> {
        let mut count = 1;
        let mut before: Option<NodeId> = at.doc.prev_sibling(at.id);
        while let Some(id) = before {
            if self.counts(number, numbered, &Node { doc: at.doc.clone(), id }, cx)? {
                count += 1;
            }
            before = at.doc.prev_sibling(id);
        }
        Ok(count)
    }

    /// Counts all nodes up to the numbered one, behind the last that matches `from`.
    fn any(&self, number: &'s Number, node: &Node<'d>, cx: &Cx<'s, 'd>) -> Outcome<Vec<i64>> {
        let doc = &node.doc;
        let top = std::iter::once(node.id).chain(doc.ancestors(node.id)).last().unwrap_or(node.id);
        // Attributes stand behind their element.
        let stop = if node.kind() == NodeKind::Attribute { doc.parent(node.id).unwrap_or(node.id) } else { node.id };
        let mut count = 0;
        for id in doc.descendants(top) {
            let at = Node { doc: doc.clone(), id };
            if self.is_from(number, &at, cx)? {
                count = 0;
            }
            if self.counts(number, node, &at, cx)? {
                count += 1;
            }
            if id == stop {
                break;
            }
        }
        if node.kind() == NodeKind::Attribute && self.counts(number, node, node, cx)? {
            count += 1;
        }
        Ok(if count == 0 { Vec::new() } else { vec![count] })
    }
}
