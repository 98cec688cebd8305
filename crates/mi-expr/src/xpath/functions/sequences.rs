//! Functions on sequences and booleans.

use std::collections::{HashMap, HashSet};

use mi_xml::{NodeId, NodeKind};

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::{V1, V2};
use crate::xpath::ast::Comparison;
use crate::xpath::ast::Type::{Boolean, Number, Unknown};
use crate::xpath::call::single;
use crate::xpath::collation::Collation;
use crate::xpath::compare::{compare_numbers, order_numbers};
use crate::xpath::decimal::Decimal;
use crate::xpath::error::XPathError;
use crate::xpath::eval::Evaluator;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{DocRef, Item, Node};

use Library::Core;

pub(super) const TABLE: &[Builtin] = &[
    // These four are turned into other expressions by the parser; the table knows their arity.
    builtin(Core, ("true", (0, 0), V1, Boolean, 0, |_| Ok(true.into()))),
    builtin(Core, ("false", (0, 0), V1, Boolean, 0, |_| Ok(false.into()))),
    builtin(Core, ("position", (0, 0), V1, Number, 0, |a| Ok(a.ev.integer(a.cx.position)))),
    builtin(Core, ("last", (0, 0), V1, Number, 0, |a| Ok(a.ev.integer(a.cx.size)))),
    builtin(Core, ("boolean", (1, 1), V1, Boolean, 0, |a| a.boolean(0).map(Sequence::from))),
    builtin(Core, ("not", (1, 1), V1, Boolean, 0, |a| a.boolean(0).map(|b| Sequence::from(!b)))),
    builtin(Core, ("empty", (1, 1), V2, Boolean, 0, |a| Ok(a.ev.first(a.expr(0), a.cx)?.is_none().into()))),
    builtin(Core, ("exists", (1, 1), V2, Boolean, 0, |a| Ok(a.ev.first(a.expr(0), a.cx)?.is_some().into()))),
    builtin(Core, ("data", (0, 1), V2, Unknown, 1, data)),
    builtin(Core, ("head", (1, 1), V2, Unknown, 0, |a| Ok(a.ev.first(a.expr(0), a.cx)?.into()))),
    builtin(Core, ("tail", (1, 1), V2, Unknown, 0, tail)),
    builtin(Core, ("distinct-values", (1, 2), V2, Unknown, 0, distinct_values)),
    builtin(Core, ("index-of", (2, 3), V2, Unknown, 0, index_of)),
    builtin(Core, ("insert-before", (3, 3), V2, Unknown, 0, insert_before)),
    builtin(Core, ("remove", (2, 2), V2, Unknown, 0, remove)),
    builtin(Core, ("reverse", (1, 1), V2, Unknown, 0, reverse)),
    builtin(Core, ("subsequence", (2, 3), V2, Unknown, 0, subsequence)),
    builtin(Core, ("sort", (1, 3), V2, Unknown, 0, sort)),
    builtin(Core, ("unordered", (1, 1), V2, Unknown, 0, |a| a.sequence(0))),
    builtin(Core, ("deep-equal", (2, 3), V2, Boolean, 0, deep_equal)),
    builtin(Core, ("zero-or-one", (1, 1), V2, Unknown, 0, |a| occurs(a, 0, 1, "FORG0003"))),
    builtin(Core, ("one-or-more", (1, 1), V2, Unknown, 0, |a| occurs(a, 1, usize::MAX, "FORG0004"))),
    builtin(Core, ("exactly-one", (1, 1), V2, Unknown, 0, |a| occurs(a, 1, 1, "FORG0005"))),
    builtin(Core, ("trace", (1, 2), V2, Unknown, 0, |a| a.sequence(0))),
    builtin(Core, ("error", (0, 3), V2, Unknown, 0, error)),
];

fn data<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    if args.len() == 0 {
        return Ok(Sequence::one(args.cx.context()?.atomize()));
    }
    args.atoms(0).map(Sequence::from_items)
}

fn tail<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(Sequence::from_items(args.sequence(0)?.into_items().into_iter().skip(1).collect()))
}

fn occurs<'d>(args: &Args<'_, '_, 'd>, least: usize, most: usize, code: &'static str) -> Outcome<'d> {
    let value = args.sequence(0)?;
    if (least..=most).contains(&value.len()) {
        return Ok(value);
    }
    let message = format!("{}() of a sequence of {} items", args.call.function.name, value.len());
    Err(XPathError::dynamic(code, message))
}

impl<'d> Evaluator<'_, 'd> {
    /// A text that is the same for values that are the same key of a map: numbers by their exact value.
    pub(in crate::xpath) fn key_of(&self, item: &Item<'_>) -> String {
        match item {
            n if n.is_numeric() => number_key(n),
            Item::Boolean(b) => format!("b{b}"),
            Item::Moment(m) => format!("m{:?}{}", m.kind, m.utc(self.implicit_zone())),
            Item::Duration(d) => format!("d{}/{}/{}", d.months, d.seconds, d.nanos),
            Item::QName(q) => format!("q{{{}}}{}", q.namespace, q.local),
            Item::Lexical(kind, text) => format!("l{}", kind.key(text, self.implicit_zone())),
            text => format!("s{}", &*text.to_str(self.version)),
        }
    }

    /// Whether two atomic values are equal in the sense of `eq`, NaN being equal to itself. Values that cannot be compared
    /// are different.
    fn same_value(&self, a: &Item<'d>, b: &Item<'d>) -> bool {
        if a.is_numeric() && b.is_numeric() {
            return compare_numbers(Comparison::Eq, a, b) || (a.to_number().is_nan() && b.to_number().is_nan());
        }
        !a.is_numeric() && !b.is_numeric() && self.key_of(a) == self.key_of(b)
    }
}

/// Numbers that are exact doubles by their bits, all others by their digits.
fn number_key(item: &Item<'_>) -> String {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let exact = match item {
        Item::BigInteger(_) => false,
        Item::Decimal(d) => d.is_exact_f64(),
        other => other.to_number().abs() <= EXACT || !other.to_number().is_finite(),
    };
    let v = item.to_number();
    match item {
        Item::Float(_) | Item::Double(_) if !exact => {
            format!("i{}", Decimal::exactly(v).map_or_else(String::new, |it| it.to_string()))
        }
        // Both zeros are equal, and NaN is the same value as NaN here.
        _ if exact && v == 0.0 => "n0".to_owned(),
        _ if exact && v.is_nan() => "nNaN".to_owned(),
        _ if exact => format!("n{:x}", v.to_bits()),
        other => format!("i{}", &*other.to_str(crate::xpath::Version::V2)),
    }
}

fn distinct_values<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(1)?;
    // Numbers of different types can be equal without being the same: those that are near each other are compared.
    let mut seen = HashSet::new();
    let mut numbers: HashMap<u32, Vec<Item<'d>>> = HashMap::new();
    let mut items = args.atoms(0)?;
    items.retain(|item| {
        if !item.is_numeric() {
            return seen.insert(args.ev.key_of(item));
        }
        let v = item.to_number() as f32;
        let near = numbers
            .entry(if v == 0.0 {
                0
            } else if v.is_nan() {
                1
            } else {
                v.to_bits()
            })
            .or_default();
        let new = !near.iter().any(|known| args.ev.same_value(known, item));
        if new {
            near.push(item.clone());
        }
        new
    });
    Ok(Sequence::from_items(items))
}

fn index_of<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    let Some(wanted) = args.atom(1)? else {
        return Err(XPathError::type_error("index-of() needs a value to look for"));
    };
    let mut out = Vec::new();
    for (i, item) in args.atoms(0)?.iter().enumerate() {
        // Values of types that cannot be compared are different.
        if args.ev.compare_values(Comparison::Eq, item, &wanted).unwrap_or(false) {
            out.push(Item::Integer(i as i64 + 1));
        }
    }
    Ok(Sequence::from_items(out))
}

fn insert_before<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut items = args.sequence(0)?.into_items();
    let at = usize::try_from(args.integer(1)?.saturating_sub(1)).unwrap_or(0).min(items.len());
    let inserted = args.sequence(2)?.into_items();
    items.splice(at..at, inserted);
    Ok(Sequence::from_items(items))
}

fn remove<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut items = args.sequence(0)?.into_items();
    if let Some(at) = usize::try_from(args.integer(1)?).ok().and_then(|n| n.checked_sub(1)).filter(|n| *n < items.len())
    {
        items.remove(at);
    }
    Ok(Sequence::from_items(items))
}

fn reverse<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut items = args.sequence(0)?.into_items();
    items.reverse();
    Ok(Sequence::from_items(items))
}

fn subsequence<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let first = super::number_round(args.double(1)?);
    let behind = if args.len() > 2 { first + super::number_round(args.double(2)?) } else { f64::INFINITY };
    let inside = |i: usize| (i as f64 + 1.0) >= first && (i as f64 + 1.0) < behind;
    let items = args.sequence(0)?.into_items().into_iter().enumerate();
    Ok(Sequence::from_items(items.filter(|(i, _)| inside(*i)).map(|(_, item)| item).collect()))
}

fn sort<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let collation = args.collation(1)?;
    let items = args.sequence(0)?.into_items().into_iter().map(Sequence::one).collect();
    let sorted = sorted(args, items, 2, &collation)?;
    Ok(Sequence::from_items(sorted.into_iter().flat_map(Sequence::into_items).collect()))
}

/// Values in the order of their keys: what the function in argument `key` makes of them, or their own values.
pub(super) fn sorted<'d>(
    args: &Args<'_, '_, 'd>,
    values: Vec<Sequence<'d>>,
    key: usize,
    collation: &Collation,
) -> Result<Vec<Sequence<'d>>, XPathError> {
    let function = if key < args.len() { Some(single(&args.sequence(key)?, "the function")?) } else { None };
    let mut keyed = Vec::with_capacity(values.len());
    for value in values {
        let key = match &function {
            Some(function) => args.ev.call_item(function, vec![value.clone()])?,
            None => value.clone(),
        };
        let key: Vec<Item<'d>> = args.ev.atomized(key)?;
        keyed.push((key, value));
    }
    let mut failed = false;
    // Values of types that have no order between them would be no order to sort by at all.
    for at in 0..keyed.iter().map(|(key, _)| key.len()).max().unwrap_or(0) {
        let mut at_place = keyed.iter().filter_map(|(key, _)| key.get(at));
        if let Some(first) = at_place.next() {
            args.ev.spend(keyed.len() as u64)?;
            failed |= at_place.any(|it| !comparable(args.ev, first, it));
        }
    }
    if failed {
        return Err(XPathError::type_error("sort() of values that cannot be ordered"));
    }
    keyed.sort_by(|(a, _), (b, _)| {
        for (a, b) in a.iter().zip(b) {
            let ordering = if a.is_numeric() && b.is_numeric() {
                let nan = |it: &Item<'_>| it.to_number().is_nan();
                // NaN comes first.
                if nan(a) || nan(b) { nan(b).cmp(&nan(a)) } else { order_numbers(a, b) }
            } else if let (Some(a), Some(b)) = (a.text(), b.text()) {
                collation.compare(a, b)
            } else {
                args.ev.order(a, b).unwrap_or_else(|| {
                    failed = true;
                    std::cmp::Ordering::Equal
                })
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        a.len().cmp(&b.len())
    });
    if failed {
        return Err(XPathError::type_error("sort() of values that cannot be ordered"));
    }
    Ok(keyed.into_iter().map(|(_, value)| value).collect())
}

/// Whether two values are of types with an order between them.
fn comparable<'d>(ev: &Evaluator<'_, 'd>, a: &Item<'d>, b: &Item<'d>) -> bool {
    (a.is_numeric() && b.is_numeric()) || (a.is_numeric() == b.is_numeric() && ev.order(a, b).is_some())
}

fn deep_equal<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    let (left, right) = (args.sequence(0)?, args.sequence(1)?);
    if left.len() != right.len() {
        return Ok(false.into());
    }
    for (a, b) in left.iter().zip(right.iter()) {
        let equal = match (&a, &b) {
            (Item::Node(a), Item::Node(b)) => nodes_equal(args.ev, a, b)?,
            (Item::Node(_), _) | (_, Item::Node(_)) => false,
            (Item::Map(_) | Item::Array(_), _) | (_, Item::Map(_) | Item::Array(_)) => {
                structures_equal(args.ev, a.clone(), b.clone())?
            }
            (a, b) => args.ev.same_value(a, b),
        };
        if !equal {
            return Ok(false.into());
        }
    }
    Ok(true.into())
}

/// Compares maps and arrays, without recursion.
fn structures_equal<'d>(ev: &Evaluator<'_, 'd>, a: Item<'d>, b: Item<'d>) -> Result<bool, XPathError> {
    let mut rest = vec![(Sequence::one(a), Sequence::one(b))];
    while let Some((left, right)) = rest.pop() {
        ev.spend(left.len() as u64 + 1)?;
        if left.len() != right.len() {
            return Ok(false);
        }
        for (a, b) in left.iter().zip(right.iter()) {
            let equal = match (&a, &b) {
                (Item::Node(a), Item::Node(b)) => nodes_equal(ev, a, b)?,
                (Item::Array(a), Item::Array(b)) => {
                    rest.extend(a.iter().cloned().zip(b.iter().cloned()));
                    a.len() == b.len()
                }
                (Item::Map(a), Item::Map(b)) => {
                    let mut all = a.entries().len() == b.entries().len();
                    for (key, value) in a.entries() {
                        match b.get(&ev.key_of(key)) {
                            Some(other) => rest.push((value.clone(), other.clone())),
                            None => all = false,
                        }
                    }
                    all
                }
                (Item::Node(_) | Item::Array(_) | Item::Map(_), _)
                | (_, Item::Node(_) | Item::Array(_) | Item::Map(_)) => false,
                (a, b) => ev.same_value(a, b),
            };
            if !equal {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Compares two trees in step, without recursion; comments and processing instructions inside do not count.
fn nodes_equal<'d>(ev: &Evaluator<'_, 'd>, a: &Node<'d>, b: &Node<'d>) -> Result<bool, XPathError> {
    let (mut left, mut right) = (Cursor::new(a), Cursor::new(b));
    loop {
        ev.spend(1)?;
        match (left.at, right.at) {
            (None, None) => return Ok(true),
            (Some(x), Some(y)) if left.depth == right.depth && same_node(&a.doc, x, &b.doc, y) => {}
            _ => return Ok(false),
        }
        left.advance();
        right.advance();
    }
}

fn same_node(a: &DocRef<'_>, x: NodeId, b: &DocRef<'_>, y: NodeId) -> bool {
    let same_name = || a.local_name(x) == b.local_name(y) && a.namespace(x) == b.namespace(y);
    match (a.kind(x), b.kind(y)) {
        (NodeKind::Document, NodeKind::Document) => true,
        (NodeKind::Element, NodeKind::Element) => {
            same_name()
                && a.attributes(x).count() == b.attributes(y).count()
                && a.attributes(x).all(|attribute| {
                    b.attribute(y, a.namespace(attribute), a.local_name(attribute))
                        == Some(a.value(attribute).into_cow())
                })
        }
        (NodeKind::Attribute, NodeKind::Attribute) | (NodeKind::Pi, NodeKind::Pi) => {
            same_name() && a.value(x) == b.value(y)
        }
        (ka, kb) => ka == kb && a.value(x) == b.value(y),
    }
}

/// A walk over a tree that knows its depth.
struct Cursor<'n, 'd> {
    top: &'n Node<'d>,
    at: Option<NodeId>,
    depth: usize,
}

impl<'n, 'd> Cursor<'n, 'd> {
    fn new(top: &'n Node<'d>) -> Self {
        Self { top, at: Some(top.id), depth: 0 }
    }

    /// To the next node that counts.
    fn advance(&mut self) {
        let doc = &self.top.doc;
        let Some(mut node) = self.at else { return };
        let mut next = doc.first_child(node);
        if next.is_some() {
            self.depth += 1;
        }
        loop {
            match next {
                Some(n) if !matches!(doc.kind(n), NodeKind::Comment | NodeKind::Pi) => {
                    self.at = Some(n);
                    return;
                }
                Some(n) => {
                    node = n;
                    next = doc.next_sibling(n);
                }
                None if node == self.top.id || self.depth == 0 => {
                    self.at = None;
                    return;
                }
                None => {
                    next = doc.next_sibling(node);
                    if next.is_none() {
                        let Some(parent) = doc.parent(node) else {
                            self.at = None;
                            return;
                        };
                        node = parent;
                        self.depth -= 1;
                    }
                }
            }
        }
    }
}

fn error<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let code = match args.len() {
        0 => None,
        _ => match args.atom(0)? {
            Some(Item::QName(name)) => Some(name.to_string()),
            Some(item) if args.lenient() => Some(item.to_str(args.ev.version).into_string()),
            Some(item) => return Err(args.wrong_type(0, "xs:QName", &item)),
            None => None,
        },
    };
    let message = if args.len() > 1 { args.string(1)?.into_string() } else { "error() was called".to_owned() };
    let code = code.unwrap_or_else(|| "FOER0000".to_owned());
    Err(XPathError::Dynamic { code: code.into(), message })
}
