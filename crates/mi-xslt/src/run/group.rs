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
    key: Option<Sequence<'d>>,
    items: Vec<Item<'d>>,
}

impl<'d> Group<'d> {
    pub(super) fn items(&self) -> Sequence<'d> {
        Sequence::from_items(self.items.clone())
    }

    pub(super) fn key(&self) -> Sequence<'d> {
        self.key.clone().unwrap_or_default()
    }
}

impl<'s, 'd> Run<'s, 'd> {
    /// What makes two keys the same: numbers by value, dates by the moment they are, everything else by text.
    pub(super) fn comparable(&self, item: &Item<'_>) -> String {
        if item.is_numeric() {
            // Negative zero is zero.
            return format!("n{}", item.to_number() + 0.0);
        }
        let kind = match item {
            Item::Moment(moment) => {
                let zone = self.host.now().offset().local_minus_utc() / 60;
                return format!("m{:?}{}", moment.kind, moment.utc(i16::try_from(zone).unwrap_or_default()));
            }
            Item::String(_) | Item::Untyped(_) | Item::AnyUri(_) | Item::Node(_) => 's',
            Item::Boolean(_) => 'b',
            Item::Duration(it) => return format!("d{}/{}/{}", it.months, it.seconds, it.nanos),
            Item::QName(name) => return format!("q{{{}}}{}", name.namespace, name.local),
            _ => 'q',
        };
        format!("{kind}{}", item.to_str(Version::V2))
    }

    /// [`Run::comparable`] of several values as one.
    fn comparable_all(&self, items: &[Item<'d>]) -> String {
        items.iter().fold(String::new(), |all, it| {
            let one = self.comparable(it);
            format!("{all}{}:{one}", one.len())
        })
    }

    pub(super) fn for_each_group(
        &self,
        select: &'s Expr,
        (grouping, composite): (&'s Grouping, bool),
        sorts: &'s [Sort],
        body: &'s Body,
        cx: &Cx<'s, 'd>,
    ) -> Outcome<()> {
        let items = self.eval(select, cx)?.into_items();
        let groups = match grouping {
            Grouping::By(key) => self.by_key(items, (key, composite), cx)?,
            Grouping::Adjacent(key) => self.adjacent(items, (key, composite), cx)?,
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

    fn by_key(
        &self,
        items: Vec<Item<'d>>,
        (key, composite): (&'s Expr, bool),
        cx: &Cx<'s, 'd>,
    ) -> Outcome<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        let size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            let mut seen: Vec<usize> = Vec::new();
            let keys = self.keys_of(&item, (at + 1, size), key, cx)?;
            let keys = if composite { vec![keys] } else { keys.into_iter().map(|it| vec![it]).collect() };
            for key in keys {
                let number = *index.entry(self.comparable_all(&key)).or_insert_with(|| {
                    groups.push(Group { key: Some(Sequence::from_items(key)), items: Vec::new() });
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

    fn adjacent(
        &self,
        items: Vec<Item<'d>>,
        (key, composite): (&'s Expr, bool),
        cx: &Cx<'s, 'd>,
    ) -> Outcome<Vec<Group<'d>>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut last = None;
        let size = items.len();
        for (at, item) in items.into_iter().enumerate() {
            let keys = self.keys_of(&item, (at + 1, size), key, cx)?;
            if keys.len() != 1 && !composite {
                let message = "group-adjacent needs exactly one value for each item (XTTE1100)";
                return Err(self.placed(TransformError::dynamic(message), key.place));
            }
            let text = Some(self.comparable_all(&keys));
            if text != last || groups.is_empty() {
                groups.push(Group { key: Some(Sequence::from_items(keys)), items: Vec::new() });
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
            Item::Node(node) => self.matches(pattern, node, &cx.at(item.clone(), 1, 1)),
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
