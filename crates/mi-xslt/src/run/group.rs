//! `xsl:for-each-group`.

use std::collections::HashMap;
use std::rc::Rc;

use mi_expr::xpath::{Item, Sequence, Version};

use super::{Cx, Outcome, Run};
use crate::error::TransformError;
use crate::expr::Expr;
use crate::pattern::Pattern;
use crate::plan::{Body, Grouping, Sort};

/// A group with its key.
pub(super) struct Group<'d> {
    key: Option<Item<'d>>,
    items: Vec<Item<'d>>,
}

impl<'d> Group<'d> {
    pub(super) fn items(&self) -> Sequence<'d> {
        Sequence::from_items(self.items.clone())
    }

    pub(super) fn key(&self) -> Sequence<'d> {
        Sequence::from(self.key.clone())
    }
}

/// What makes two keys the same: numbers by value, everything else by text.
pub(super) fn comparable(item: &Item<'_>) -> String {
    if item.is_numeric() {
        // Negative zero is zero.
        return format!("n{}", item.to_number() + 0.0);
    }
    let kind = match item {
        Item::String(_) | Item::Untyped(_) | Item::AnyUri(_) | Item::Node(_) => 's',
        Item::Boolean(_) => 'b',
        Item::Moment(_) => 'm',
        Item::Duration(_) => 'd',
        _ => 'q',
    };
    format!("{kind}{}", item.to_str(Version::V2))
}

impl<'s, 'd> Run<'s, 'd> {
    pub(super) fn for_each_group(
        &self,
        select: &'s Expr,
        grouping: &'s Grouping,
        sorts: &'s [Sort],
        body: &'s Body,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<()> {
        let items = self.eval(select, cx)?.into_items();
        let groups = match grouping {
            Grouping::By(key) => self.by_key(items, key, cx)?,
            Grouping::Adjacent(key) => self.adjacent(items, key, cx)?,
            Grouping::StartingWith(pattern) => self.starting(items, pattern, cx)?,
            Grouping::EndingWith(pattern) => self.ending(items, pattern, cx)?,
        };
        let mut groups: Vec<Rc<Group<'d>>> = groups.into_iter().map(Rc::new).collect();
        if !sorts.is_empty() {
            groups = self.sorted_groups(groups, sorts, cx)?;
        }
        let size = groups.len();
        for (at, group) in groups.into_iter().enumerate() {
            let Some(first) = group.items.first().cloned() else { continue };
            let mut inner = cx.at(first, at + 1, size);
            inner.group = Some(group);
            inner.rule = None;
            self.exec(body, &inner)?;
        }
        Ok(())
    }

    fn sorted_groups(
        &self,
        groups: Vec<Rc<Group<'d>>>,
        sorts: &'s [Sort],
        cx: &Cx<'s, 'd>,
    ) -> Outcome<Vec<Rc<Group<'d>>>> {
        let size = groups.len();
        let mut contexts = Vec::with_capacity(size);
        for (at, group) in groups.iter().enumerate() {
            let Some(first) = group.items.first().cloned() else { continue };
            let mut inner = cx.at(first, at + 1, size);
            inner.group = Some(group.clone());
            contexts.push(inner);
        }
        let order = self.order(&contexts, sorts, cx)?;
        Ok(order.into_iter().filter_map(|at| groups.get(at).cloned()).collect())
    }

    fn keys_of(
        &self,
        item: &Item<'d>,
        place: (usize, usize),
        key: &'s Expr,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<Vec<Item<'d>>> {
        self.step()?;
        let value = self.eval(key, &cx.at(item.clone(), place.0, place.1))?;
        Ok(value.into_items().into_iter().map(Item::atomize).collect())
    }

    fn by_key(&self, items: Vec<Item<'d>>, key: &'s Expr, cx: &Cx<'s, 'd>) -> Outcome<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        let size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            let mut seen: Vec<usize> = Vec::new();
            for key in self.keys_of(&item, (at + 1, size), key, cx)? {
                let number = *index.entry(comparable(&key)).or_insert_with(|| {
                    groups.push(Group { key: Some(key), items: Vec::new() });
                    groups.len() - 1
                });
                if !seen.contains(&number) {
                    seen.push(number);
                    groups[number].items.push(item.clone());
                }
            }
        }
        Ok(groups)
    }

    fn adjacent(&self, items: Vec<Item<'d>>, key: &'s Expr, cx: &Cx<'s, 'd>) -> Outcome<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut last = None;
        let size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            let mut keys = self.keys_of(&item, (at + 1, size), key, cx)?;
            let (Some(key), true) = (keys.pop(), keys.is_empty()) else {
                let message = "group-adjacent needs exactly one value for each item (XTTE1100)";
                return Err(self.placed(TransformError::dynamic(message), key.place));
            };
            let text = Some(comparable(&key));
            if text != last || groups.is_empty() {
                groups.push(Group { key: Some(key), items: Vec::new() });
                last = text;
            }
            if let Some(group) = groups.last_mut() {
                group.items.push(item);
            }
        }
        Ok(groups)
    }

    fn is_boundary(&self, item: &Item<'d>, pattern: &'s Pattern, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        match item {
            Item::Node(node) => self.matches(pattern, node, cx),
            _ => Err(TransformError::dynamic("grouping by a pattern needs nodes (XTTE1120)")),
        }
    }

    fn starting(&self, items: Vec<Item<'d>>, pattern: &'s Pattern, cx: &Cx<'s, 'd>) -> Outcome<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        for item in items {
            if self.is_boundary(&item, pattern, cx)? || groups.is_empty() {
                groups.push(Group { key: None, items: Vec::new() });
            }
            if let Some(group) = groups.last_mut() {
                group.items.push(item);
            }
        }
        Ok(groups)
    }

    fn ending(&self, items: Vec<Item<'d>>, pattern: &'s Pattern, cx: &Cx<'s, 'd>) -> Outcome<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut ended = true;
        for item in items {
            if ended {
                groups.push(Group { key: None, items: Vec::new() });
            }
            ended = self.is_boundary(&item, pattern, cx)?;
            if let Some(group) = groups.last_mut() {
                group.items.push(item);
            }
        }
        Ok(groups)
    }
}
