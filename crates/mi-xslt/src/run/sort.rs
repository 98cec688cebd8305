//! `xsl:sort`: text by code points or as a language or collation has it, numbers with NaN first, stable.

use std::cmp::Ordering;

use mi_expr::xpath::{CaseOrder, Collation, Item, Sequence, Version};

use super::{Cx, Outcome, Run};
use crate::error::TransformError;
use crate::plan::Sort;

enum SortKey {
    Nothing,
    Number(f64),
    Text(String),
}

struct Direction {
    descending: bool,
    number: bool,
    collation: Collation,
    /// Without a language or collation: letters by their small forms, and then this.
    case_order: Option<CaseOrder>,
}

impl<'s, 'd> Run<'s, 'd> {
    /// The items in the order of the sorts.
    pub(super) fn sorted(&self, items: Vec<Item<'d>>, sorts: &'s [Sort], cx: &Cx<'s, 'd>) -> Outcome<Vec<Item<'d>>> {
        let size = items.len();
        let contexts: Vec<_> = items.iter().enumerate().map(|(at, item)| cx.at(item.clone(), at + 1, size)).collect();
        let order = self.order(&contexts, sorts, cx)?;
        Ok(order.into_iter().filter_map(|at| items.get(at).cloned()).collect())
    }

    /// The places of the contexts in their new order.
    pub(super) fn order(&self, contexts: &[Cx<'s, 'd>], sorts: &'s [Sort], cx: &Cx<'s, 'd>) -> Outcome<Vec<usize>> {
        let mut directions = Vec::with_capacity(sorts.len());
        for sort in sorts {
            directions.push(self.direction(sort, cx).map_err(|error| self.placed(error, sort.place))?);
        }
        let mut keyed = Vec::with_capacity(contexts.len());
        for (at, context) in contexts.iter().enumerate() {
            self.step()?;
            let mut keys = Vec::with_capacity(sorts.len());
            for (sort, direction) in sorts.iter().zip(&directions) {
                let value = self.value(&sort.value, context)?;
                keys.push(sort_key(&value, sort.typed, direction));
            }
            keyed.push((keys, at));
        }
        keyed.sort_by(|(a, _), (b, _)| {
            let mut all = a.iter().zip(b).zip(&directions).map(|((a, b), direction)| compare(a, b, direction));
            all.find(|it| *it != Ordering::Equal).unwrap_or(Ordering::Equal)
        });
        Ok(keyed.into_iter().map(|(_, at)| at).collect())
    }

    fn direction(&self, sort: &'s Sort, cx: &Cx<'s, 'd>) -> Outcome<Direction> {
        let avt = |avt: &'s Option<crate::avt::Avt>| avt.as_ref().map(|it| self.avt(it, cx)).transpose();
        let descending = match avt(&sort.order)?.as_deref().map(str::trim) {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(other) => return Err(TransformError::dynamic(format!("`{other}` is no order (XTDE0030)"))),
        };
        let number = match avt(&sort.data_type)?.as_deref().map(str::trim) {
            Some("number") => true,
            None | Some("text") => false,
            Some(other) if other.contains(':') => false,
            Some(other) => return Err(TransformError::dynamic(format!("`{other}` is no data type (XTDE0030)"))),
        };
        let case_order = match avt(&sort.case_order)?.as_deref().map(str::trim) {
            Some("upper-first") => Some(CaseOrder::UpperFirst),
            Some("lower-first") => Some(CaseOrder::LowerFirst),
            _ => None,
        };
        let language = avt(&sort.lang)?.filter(|it| !it.trim().is_empty());
        if let Some(wrong) = language.as_deref().filter(|it| !is_language(it.trim())) {
            return Err(TransformError::dynamic(format!("`{wrong}` is no language (XTDE0030)")));
        }
        let collation = match (avt(&sort.collation)?, language) {
            (Some(uri), _) => Collation::of_uri(uri.trim())
                .ok_or_else(|| TransformError::dynamic(format!("there is no collation `{uri}` (XTDE1035)")))?,
            (None, Some(language)) => Collation::of_language(&language, case_order),
            (None, None) => Collation::CodePoints,
        };
        Ok(Direction { descending, number, collation, case_order })
    }
}

/// Whether it has the form of `xs:language`.
fn is_language(text: &str) -> bool {
    let part = |at: usize, it: &str| {
        let alphabet = |byte: u8| byte.is_ascii_alphabetic() || (at > 0 && byte.is_ascii_digit());
        (1..=8).contains(&it.len()) && it.bytes().all(alphabet)
    };
    text.split('-').enumerate().all(|(at, it)| part(at, it))
}

fn sort_key(value: &Sequence<'_>, typed: bool, direction: &Direction) -> SortKey {
    let Some(item) = value.first() else {
        return match (direction.number, typed) {
            (true, _) => SortKey::Number(f64::NAN),
            (false, true) => SortKey::Nothing,
            (false, false) => SortKey::Text(String::new()),
        };
    };
    if direction.number || (typed && item.is_numeric()) {
        return SortKey::Number(item.to_number());
    }
    SortKey::Text(item.to_str(Version::V2).into_string())
}

fn compare(a: &SortKey, b: &SortKey, direction: &Direction) -> Ordering {
    let rank = |key: &SortKey| match key {
        SortKey::Nothing => 0,
        SortKey::Number(_) => 1,
        SortKey::Text(_) => 2,
    };
    let order = match (a, b) {
        (SortKey::Number(a), SortKey::Number(b)) => match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        },
        (SortKey::Text(a), SortKey::Text(b)) => compare_text(a, b, direction),
        _ => rank(a).cmp(&rank(b)),
    };
    if direction.descending { order.reverse() } else { order }
}

fn compare_text(a: &str, b: &str, direction: &Direction) -> Ordering {
    let (Collation::CodePoints, Some(case_order)) = (&direction.collation, direction.case_order) else {
        return direction.collation.compare(a, b);
    };
    let folded = |text: &str| text.to_lowercase();
    folded(a).cmp(&folded(b)).then_with(|| {
        // Upper case letters come first by code point.
        if case_order == CaseOrder::UpperFirst { a.cmp(b) } else { b.cmp(a) }
    })
}
