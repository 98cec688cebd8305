//! Comparisons: the general ones (`=`, `<`, …) by the rules of XPath 1.0 or 2.0, the value comparisons (`eq`, …) and
//! those of nodes (`is`, `<<`).

use std::cmp::Ordering;
use std::collections::HashSet;

use mi_xml::Document;

use super::Version;
use super::ast::{Comparison, Expr, NodeComparison, Path};
use super::cast::{self, Atomic};
use super::decimal::Decimal;
use super::error::XPathError;
use super::eval::{Cx, Evaluator, text_cost};
use super::number;
use super::sequence::{Repr, Sequence};
use super::value::{Item, Node, Str};
use super::walk::{Flow, fail};

/// From this size on, equality of two sets of strings is decided by hashing.
const HASH_FROM: usize = 8;

impl<'d> Evaluator<'_, 'd> {
    /// `left op right`, true if it holds for any pair of their items.
    pub(super) fn general_comparison(
        &self,
        op: Comparison,
        left: &Expr,
        right: &Expr,
        cx: &Cx<'_, 'd>,
    ) -> Result<bool, XPathError> {
        // A path on one side is walked, not collected, and left at the first node that decides.
        match (left, right) {
            (Expr::Path(path), other) if !matches!(other, Expr::Path(_)) => self.compare_path(op, path, other, cx),
            (other, Expr::Path(path)) if !matches!(other, Expr::Path(_)) => {
                self.compare_path(op.flipped(), path, other, cx)
            }
            _ => {
                let (left, right) = (self.eval(left, cx)?, self.eval(right, cx)?);
                self.compare_sequences(op, left, right)
            }
        }
    }

    fn compare_path(&self, op: Comparison, path: &Path, other: &Expr, cx: &Cx<'_, 'd>) -> Result<bool, XPathError> {
        if let (Some(text), true) = (other.string_literal(), op.is_equality()) {
            return self.any_node(path, cx, |value| Ok((*value == **text) == (op == Comparison::Eq)));
        }
        let other = self.eval(other, cx)?;
        let single = match other.0 {
            Repr::One(item) if !matches!(item, Item::Node(_) | Item::Boolean(_)) => item,
            rest => {
                let mut nodes = Vec::new();
                self.each_node(path, cx, false, &mut |doc, id| {
                    nodes.push(Item::Node(Node { doc: doc.clone(), id }));
                    Flow::Continue(())
                })?;
                return self.compare_sequences(op, Sequence::from_items(nodes), Sequence(rest));
            }
        };
        let single = if single.is_text() && self.version == Version::V1 && !op.is_equality() {
            Item::Double(single.to_number())
        } else {
            single
        };
        self.any_node(path, cx, |value| match (&single, self.version) {
            (Item::String(s) | Item::Untyped(s), _) if op.is_equality() => Ok((value == *s) == (op == Comparison::Eq)),
            (n, Version::V1) if n.is_numeric() => Ok(op.holds_f64(number::parse_lenient(&value), n.to_number())),
            (other, _) => self.compare_pair(op, Item::Untyped(value), other.clone()),
        })
    }

    /// Whether the string of any node of a path passes a test.
    fn any_node(
        &self,
        path: &Path,
        cx: &Cx<'_, 'd>,
        test: impl Fn(Str<'d>) -> Result<bool, XPathError>,
    ) -> Result<bool, XPathError> {
        let mut found = false;
        self.each_node(path, cx, false, &mut |doc, id| {
            let value = doc.string_value(id);
            self.charge(text_cost(&value))?;
            match test(value) {
                Ok(false) => Flow::Continue(()),
                Ok(true) => {
                    found = true;
                    Flow::Break(None)
                }
                Err(error) => fail(error),
            }
        })?;
        Ok(found)
    }

    pub(super) fn compare_sequences(
        &self,
        op: Comparison,
        left: Sequence<'d>,
        right: Sequence<'d>,
    ) -> Result<bool, XPathError> {
        if self.version == Version::V1
            && let Some(result) = self.compare_v1(op, &left, &right)?
        {
            return Ok(result);
        }
        let atoms = |value: Sequence<'d>| {
            let arrays = matches!(&value.0, Repr::One(Item::Array(_)))
                || matches!(&value.0, Repr::Many(items) if items.iter().any(|it| matches!(it, Item::Array(_))));
            if arrays {
                return super::call::atoms(value);
            }
            Ok(value.into_items().into_iter().map(Item::atomize).collect::<Vec<_>>())
        };
        let (left, right) = (atoms(left)?, atoms(right)?);
        if op == Comparison::Eq
            && left.len().min(right.len()) >= HASH_FROM
            && left.iter().chain(&right).all(|i| i.is_text())
        {
            let known: HashSet<String> = left.iter().map(|i| i.to_str(self.version).into_string()).collect();
            return Ok(right.iter().any(|i| known.contains(&*i.to_str(self.version))));
        }
        for a in &left {
            for b in &right {
                self.spend(1)?;
                if self.compare_pair(op, a.clone(), b.clone())? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The cases of XPath 1.0 in which a boolean takes part or two node-sets are ordered.
    fn compare_v1(
        &self,
        op: Comparison,
        left: &Sequence<'d>,
        right: &Sequence<'d>,
    ) -> Result<Option<bool>, XPathError> {
        let boolean = |s: &Sequence<'d>| matches!(s.0, Repr::One(Item::Boolean(_)));
        if boolean(left) || boolean(right) {
            let number = |s: &Sequence<'d>| {
                // A node-set is compared with a boolean as a whole; other values are ordered as numbers.
                Ok::<_, XPathError>(if s.is_nodeset() || op.is_equality() {
                    f64::from(u8::from(s.effective_boolean()?))
                } else {
                    s.to_number()
                })
            };
            return Ok(Some(op.holds_f64(number(left)?, number(right)?)));
        }
        if op.is_equality() || !left.is_nodeset() || !right.is_nodeset() {
            return Ok(None);
        }
        // Some pair is in order if the extremes are.
        let upwards = matches!(op, Comparison::Lt | Comparison::Le);
        let extreme = |s: &Sequence<'d>, least: bool| {
            let numbers = s.node_iter().map(|n| number::parse_lenient(&n.string_value())).filter(|v| !v.is_nan());
            numbers.reduce(|a, b| if least { a.min(b) } else { a.max(b) })
        };
        self.spend((left.len() + right.len()) as u64)?;
        let pair = (extreme(left, upwards), extreme(right, !upwards));
        Ok(Some(matches!(pair, (Some(a), Some(b)) if op.holds_f64(a, b))))
    }

    /// One pair of a general comparison.
    fn compare_pair(&self, op: Comparison, a: Item<'d>, b: Item<'d>) -> Result<bool, XPathError> {
        if self.version == Version::V1 {
            return Ok(compare_pair_v1(op, &a, &b));
        }
        let (a, b) = match (&a, &b) {
            (Item::Untyped(_), other) if !other.is_text() => (untyped_as(a, other)?, b),
            (other, Item::Untyped(_)) if !other.is_text() => {
                let b = untyped_as(b, other)?;
                (a, b)
            }
            _ => (a, b),
        };
        self.compare_values(op, &a, &b)
    }

    /// `a op b` for two single values of types that can be compared.
    pub(super) fn compare_values(&self, op: Comparison, a: &Item<'d>, b: &Item<'d>) -> Result<bool, XPathError> {
        if a.is_numeric() && b.is_numeric() {
            return Ok(compare_numbers(op, a, b));
        }
        if let (Item::Lexical(x, a), Item::Lexical(y, b)) = (a, b)
            && x == y
            && op.is_equality()
        {
            let zone = self.implicit_zone();
            return Ok((x.key(a, zone) == y.key(b, zone)) == (op == Comparison::Eq));
        }
        if let Some(ordering) = self.order(a, b) {
            return Ok(op.holds(ordering));
        }
        match (a, b) {
            (Item::QName(x), Item::QName(y)) if op.is_equality() => {
                Ok((x.namespace == y.namespace && x.local == y.local) == (op == Comparison::Eq))
            }
            (Item::Duration(x), Item::Duration(y)) if op.is_equality() => {
                let equal = (x.months, x.seconds, x.nanos) == (y.months, y.seconds, y.nanos);
                Ok(equal == (op == Comparison::Eq))
            }
            _ => Err(XPathError::type_error(format!(
                "a value of type {} cannot be compared with one of type {}",
                a.type_name(),
                b.type_name()
            ))),
        }
    }

    /// The order of two values of one ordered type that is no number.
    pub(super) fn order(&self, a: &Item<'d>, b: &Item<'d>) -> Option<Ordering> {
        use super::datetime::DurationKind::{DayTime, YearMonth};
        match (a, b) {
            (Item::Boolean(x), Item::Boolean(y)) => Some(x.cmp(y)),
            (Item::Moment(x), Item::Moment(y)) if x.kind == y.kind => Some(x.compare(*y, self.implicit_zone())),
            (Item::Duration(x), Item::Duration(y)) if x.kind == y.kind && matches!(x.kind, DayTime | YearMonth) => {
                Some((x.months, x.seconds, x.nanos).cmp(&(y.months, y.seconds, y.nanos)))
            }
            (Item::Lexical(x, a), Item::Lexical(y, b)) if x == y => x.order(a, b),
            _ if a.is_text() && b.is_text() => Some((*a.to_str(self.version)).cmp(&*b.to_str(self.version))),
            _ => None,
        }
    }

    pub(super) fn implicit_zone(&self) -> i16 {
        (self.env.now().offset().local_minus_utc() / 60) as i16
    }

    /// `eq`, `lt`, …: empty if an operand is.
    pub(super) fn value_comparison(
        &self,
        op: Comparison,
        left: &Expr,
        right: &Expr,
        cx: &Cx<'_, 'd>,
    ) -> Result<Sequence<'d>, XPathError> {
        let role = "an operand of a value comparison";
        let (Some(a), Some(b)) = (self.atom(left, cx, role)?, self.atom(right, cx, role)?) else {
            return Ok(Sequence::empty());
        };
        self.compare_values(op, &a, &b).map(Sequence::from)
    }

    pub(super) fn node_comparison(
        &self,
        op: NodeComparison,
        left: &Expr,
        right: &Expr,
        cx: &Cx<'_, 'd>,
    ) -> Result<Sequence<'d>, XPathError> {
        let node = |e| match self.eval(e, cx)?.0 {
            Repr::Empty => Ok(None),
            Repr::One(Item::Node(n)) => Ok(Some(n)),
            _ => Err(XPathError::type_error("an operand of a node comparison must be one node")),
        };
        let (Some(a), Some(b)) = (node(left)?, node(right)?) else { return Ok(Sequence::empty()) };
        let ordering = node_order(&a, &b);
        Ok(Sequence::from(match op {
            NodeComparison::Is => a == b,
            NodeComparison::Before => ordering.is_lt(),
            NodeComparison::After => ordering.is_gt(),
        }))
    }
}

/// Document order; nodes of different documents follow their documents' addresses, which is stable while they live.
fn node_order(a: &Node<'_>, b: &Node<'_>) -> Ordering {
    if a.doc.same(&b.doc) {
        return a.doc.compare_order(a.id, b.id);
    }
    std::ptr::from_ref::<Document>(&a.doc).cmp(&std::ptr::from_ref::<Document>(&b.doc))
}

/// Two values of XPath 1.0, neither a boolean, nodes given as their text.
fn compare_pair_v1(op: Comparison, a: &Item<'_>, b: &Item<'_>) -> bool {
    if op.is_equality() && !a.is_numeric() && !b.is_numeric() {
        return (*a.to_str(Version::V1) == *b.to_str(Version::V1)) == (op == Comparison::Eq);
    }
    op.holds_f64(a.to_number(), b.to_number())
}

/// Text of a node as the type of what it is compared with; numbers are compared as doubles.
fn untyped_as<'d>(untyped: Item<'d>, other: &Item<'_>) -> Result<Item<'d>, XPathError> {
    let target = match other {
        Item::Boolean(_) => Atomic::Boolean,
        Item::Moment(m) => Atomic::Moment(m.kind),
        Item::Duration(d) => Atomic::Duration(d.kind),
        Item::QName(_) => Atomic::QName,
        Item::Lexical(kind, _) => Atomic::Lexical(*kind),
        _ => Atomic::Double,
    };
    cast::cast(untyped, target)
}

pub(super) fn compare_numbers(op: Comparison, a: &Item<'_>, b: &Item<'_>) -> bool {
    match (a, b) {
        (Item::Integer(x), Item::Integer(y)) => op.holds(x.cmp(y)),
        (Item::BigInteger(x), Item::BigInteger(y)) => op.holds(x.cmp(y)),
        (Item::Integer(_), Item::BigInteger(y)) => {
            op.holds(if y.is_negative() { Ordering::Greater } else { Ordering::Less })
        }
        (Item::BigInteger(x), Item::Integer(_)) => {
            op.holds(if x.is_negative() { Ordering::Less } else { Ordering::Greater })
        }
        (Item::Decimal(_) | Item::Integer(_) | Item::BigInteger(_), Item::Decimal(_))
        | (Item::Decimal(_), Item::Integer(_) | Item::BigInteger(_)) => {
            op.holds(Decimal::of_item(a).cmp(&Decimal::of_item(b)))
        }
        // A decimal compared with a float takes the precision of the float.
        (Item::Float(x), y) if !matches!(y, Item::Double(_)) => {
            op.holds_f64(f64::from(*x), f64::from(y.to_number() as f32))
        }
        (x, Item::Float(y)) if !matches!(x, Item::Double(_)) => {
            op.holds_f64(f64::from(x.to_number() as f32), f64::from(*y))
        }
        _ => op.holds_f64(a.to_number(), b.to_number()),
    }
}

/// The order of two numbers that are no NaN, to sort by. Unlike `lt` it is one order for numbers of all types: a decimal and
/// a float that are only equal when the decimal is rounded have an order here.
pub(super) fn order_numbers(a: &Item<'_>, b: &Item<'_>) -> Ordering {
    if let (Item::Integer(x), Item::Integer(y)) = (a, b) {
        return x.cmp(y);
    }
    let (x, y) = (a.to_number(), b.to_number());
    let by_double = x.partial_cmp(&y).unwrap_or(Ordering::Equal);
    if by_double.is_ne() || !x.is_finite() {
        return by_double;
    }
    let exact = |item: &Item<'_>| Decimal::of_item(item).or_else(|| Decimal::exactly(item.to_number()));
    match (a, b) {
        (Item::Float(_) | Item::Double(_), Item::Float(_) | Item::Double(_)) => Ordering::Equal,
        _ => exact(a).cmp(&exact(b)),
    }
}
