//! Evaluation of `for … let … where … order by … return …`, `typeswitch`, `switch` and `try`.
//!
//! Variables are frames on the stack. Clauses that need all tuples at once (`order by`, `group by`) collect the values
//! of the variables so far and start from them again.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::ast::*;
use super::error::XPathError;
use super::eval::{Cx, Evaluator, Frame, Items, MAX_ITEMS};
use super::sequence::Sequence;
use super::value::Item;

/// What is done with each tuple.
pub(super) type Visit<'v, 'd> = dyn for<'c> FnMut(&Cx<'c, 'd>) -> Result<(), XPathError> + 'v;

impl<'d> Evaluator<'_, 'd> {
    pub(super) fn flwor(&self, flwor: &Flwor, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut out = Items::default();
        self.tuples(&flwor.clauses, cx, &mut |inner| out.extend(self, self.eval(&flwor.result, inner)?))?;
        Ok(Sequence::from_items(out.0))
    }

    /// Visits every tuple that the clauses yield.
    pub(super) fn tuples(
        &self,
        clauses: &[Clause],
        cx: &Cx<'_, 'd>,
        visit: &mut Visit<'_, 'd>,
    ) -> Result<(), XPathError> {
        let blocking = |it: &Clause| matches!(it, Clause::OrderBy(_) | Clause::GroupBy(_) | Clause::Count);
        let Some(at) = clauses.iter().rposition(blocking) else { return self.stream(clauses, cx, visit) };
        let count: usize = clauses[..at].iter().map(Clause::variables).sum();
        let tuples = match &clauses[at] {
            Clause::OrderBy(keys) => self.ordered(&clauses[..at], keys, count, cx)?,
            Clause::GroupBy(keys) => self.grouped(&clauses[..at], keys, count, cx)?,
            _ => self.numbered(&clauses[..at], count, cx)?,
        };
        for tuple in tuples {
            self.spend(1)?;
            with_values(tuple.into_iter(), cx, &mut |inner| self.stream(&clauses[at + 1..], inner, visit))?;
        }
        Ok(())
    }

    /// Clauses that work tuple by tuple.
    fn stream(&self, clauses: &[Clause], cx: &Cx<'_, 'd>, visit: &mut Visit<'_, 'd>) -> Result<(), XPathError> {
        let Some((first, rest)) = clauses.split_first() else { return visit(cx) };
        match first {
            Clause::Let { source, value_type } => {
                let value = self.eval(source, cx)?;
                if let Some(value_type) = value_type {
                    value_type.check(&value, "the value of `let`")?;
                }
                let frame = Frame { outer: cx.vars, value };
                self.stream(rest, &Cx { vars: Some(&frame), ..*cx }, visit)
            }
            Clause::Where(condition) => {
                if self.ebv(condition, cx)? {
                    self.stream(rest, cx, visit)?;
                }
                Ok(())
            }
            Clause::For { source, item_type, position, allows_empty } => {
                let items = self.eval(source, cx)?;
                if items.is_empty() && *allows_empty {
                    return self.one(Sequence::empty(), position.then_some(0), rest, cx, visit);
                }
                for (at, item) in items.iter().enumerate() {
                    self.spend(1)?;
                    let value = Sequence::one(item);
                    if let Some(item_type) = item_type {
                        item_type.check(&value, "an item of `for`")?;
                    }
                    self.one(value, position.then_some(at + 1), rest, cx, visit)?;
                }
                Ok(())
            }
            // `tuples` took these out.
            Clause::OrderBy(_) | Clause::GroupBy(_) | Clause::Count => self.stream(rest, cx, visit),
        }
    }

    fn one(
        &self,
        value: Sequence<'d>,
        position: Option<usize>,
        rest: &[Clause],
        cx: &Cx<'_, 'd>,
        visit: &mut Visit<'_, 'd>,
    ) -> Result<(), XPathError> {
        let frame = Frame { outer: cx.vars, value };
        let Some(position) = position else { return self.stream(rest, &Cx { vars: Some(&frame), ..*cx }, visit) };
        let numbered = Frame { outer: Some(&frame), value: Sequence::from(position as i64) };
        self.stream(rest, &Cx { vars: Some(&numbered), ..*cx }, visit)
    }

    /// The tuples of clauses, each as the values of its variables.
    fn collect(
        &self,
        clauses: &[Clause],
        count: usize,
        cx: &Cx<'_, 'd>,
        mut add: impl FnMut(&Cx<'_, 'd>, Vec<Sequence<'d>>) -> Result<(), XPathError>,
    ) -> Result<(), XPathError> {
        let mut tuples = 0_usize;
        self.tuples(clauses, cx, &mut |inner| {
            tuples += 1;
            if tuples > MAX_ITEMS {
                return Err(XPathError::Limit { what: "tuples of one `for`", cap: MAX_ITEMS as u64 });
            }
            add(inner, values(inner, count))
        })
    }

    fn numbered(
        &self,
        clauses: &[Clause],
        count: usize,
        cx: &Cx<'_, 'd>,
    ) -> Result<Vec<Vec<Sequence<'d>>>, XPathError> {
        let mut out = Vec::new();
        self.collect(clauses, count, cx, |_, mut tuple| {
            tuple.push(Sequence::from(out.len() as i64 + 1));
            out.push(tuple);
            Ok(())
        })?;
        Ok(out)
    }

    fn ordered(
        &self,
        clauses: &[Clause],
        keys: &[OrderKey],
        count: usize,
        cx: &Cx<'_, 'd>,
    ) -> Result<Vec<Vec<Sequence<'d>>>, XPathError> {
        type Keyed<'d> = (Vec<Option<Item<'d>>>, Vec<Sequence<'d>>);
        let mut out: Vec<Keyed<'d>> = Vec::new();
        self.collect(clauses, count, cx, |inner, tuple| {
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                let value = self.atom(&key.key, inner, "the key of `order by`")?;
                values.push(value.map(|item| match item {
                    Item::Untyped(text) => Item::String(text),
                    other => other,
                }));
            }
            out.push((values, tuple));
            Ok(())
        })?;
        self.spend(out.len() as u64)?;
        let mut failure = None;
        out.sort_by(|(a, _), (b, _)| {
            for ((a, b), key) in a.iter().zip(b).zip(keys) {
                let ordering = self.order_keys(a.as_ref(), b.as_ref(), key).unwrap_or_else(|error| {
                    failure.get_or_insert(error);
                    Ordering::Equal
                });
                let ordering = if key.descending { ordering.reverse() } else { ordering };
                if ordering.is_ne() {
                    return ordering;
                }
            }
            Ordering::Equal
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(out.into_iter().map(|(_, tuple)| tuple).collect()),
        }
    }

    /// Empty keys come first (or last), then NaN, then values.
    fn order_keys(&self, a: Option<&Item<'d>>, b: Option<&Item<'d>>, key: &OrderKey) -> Result<Ordering, XPathError> {
        let rank = |item: Option<&Item<'d>>| match item {
            None => 0_u8,
            Some(Item::Double(v)) if v.is_nan() => 1,
            Some(Item::Float(v)) if v.is_nan() => 1,
            Some(_) => 2,
        };
        let (x, y) = (rank(a), rank(b));
        if x != y || x < 2 {
            return Ok(if key.empty_greatest { y.cmp(&x) } else { x.cmp(&y) });
        }
        let (Some(a), Some(b)) = (a, b) else { return Ok(Ordering::Equal) };
        if let (Item::Boolean(a), Item::Boolean(b)) = (a, b) {
            return Ok(a.cmp(b));
        }
        if a.is_numeric() && b.is_numeric() {
            return Ok(super::compare::order_numbers(a, b));
        }
        if let (Some(a), Some(b)) = (a.text(), b.text()) {
            return Ok(key.collation.compare(a, b));
        }
        self.order(a, b).ok_or_else(|| {
            let types = format!("{} and {}", a.type_name(), b.type_name());
            XPathError::type_error(format!("keys of the types {types} cannot be ordered"))
        })
    }

    fn grouped(
        &self,
        clauses: &[Clause],
        keys: &[usize],
        count: usize,
        cx: &Cx<'_, 'd>,
    ) -> Result<Vec<Vec<Sequence<'d>>>, XPathError> {
        let mut groups: Vec<Vec<Items<'d>>> = Vec::new();
        let mut index: HashMap<String, usize> = HashMap::new();
        self.collect(clauses, count, cx, |_, tuple| {
            let mut name = String::new();
            let mut own: Vec<Option<Item<'d>>> = Vec::with_capacity(keys.len());
            for key in keys {
                let mut atoms = self.atomized(tuple[*key].clone())?;
                if atoms.len() > 1 {
                    return Err(XPathError::type_error("the key of `group by` must be one value"));
                }
                let atom = atoms.pop();
                if let Some(atom) = &atom {
                    name.push_str(&self.key_of(atom));
                }
                name.push('\u{1}');
                own.push(atom);
            }
            let next = groups.len();
            let at = *index.entry(name).or_insert(next);
            if at == next {
                groups.push((0..count).map(|_| Items::default()).collect());
                for (key, atom) in keys.iter().zip(own) {
                    groups[at][*key].0.extend(atom);
                }
            }
            for (variable, value) in tuple.into_iter().enumerate().filter(|(it, _)| !keys.contains(it)) {
                groups[at][variable].extend(self, value)?;
            }
            Ok(())
        })?;
        let sequences = |group: Vec<Items<'d>>| group.into_iter().map(|items| Sequence::from_items(items.0)).collect();
        Ok(groups.into_iter().map(sequences).collect())
    }

    // === typeswitch, switch, try ===

    /// Finds the case of a `typeswitch` and goes on with its branch.
    pub(super) fn with_case<T>(
        &self,
        switch: &Typeswitch,
        cx: &Cx<'_, 'd>,
        then: &mut dyn FnMut(&Expr, &Cx<'_, 'd>) -> Result<T, XPathError>,
    ) -> Result<T, XPathError> {
        let value = self.eval(&switch.operand, cx)?;
        let fits = |types: &[super::cast::SequenceType]| types.iter().any(|it| it.matches(value.iter()));
        let found = switch.cases.iter().find(|(types, _)| fits(types)).map(|(_, branch)| branch);
        let branch = found.unwrap_or(&switch.default);
        let frame = Frame { outer: cx.vars, value };
        then(branch, &Cx { vars: Some(&frame), ..*cx })
    }

    pub(super) fn switch(&self, switch: &Switch, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let role = "the operand of `switch`";
        let key = |item: Option<Item<'d>>| item.map(|it| self.key_of(&it));
        let wanted = key(self.atom(&switch.operand, cx, role)?);
        for (values, result) in &switch.cases {
            for value in values {
                if key(self.atom(value, cx, role)?) == wanted {
                    return self.eval(result, cx);
                }
            }
        }
        self.eval(&switch.default, cx)
    }

    pub(super) fn try_catch(&self, parts: &Try, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let error = match self.eval(&parts.body, cx) {
            // Caps end the evaluation whatever the query does.
            Err(error @ XPathError::Limit { .. }) => return Err(error),
            Err(error) => error,
            ok => return ok,
        };
        let (code, message) = match &error {
            XPathError::Dynamic { code, message } => (code.as_ref(), message.clone()),
            XPathError::UnknownFunction { .. } => ("XPST0017", error.to_string()),
            XPathError::UnknownVariable { .. } => ("XPST0008", error.to_string()),
            _ => ("FOER0000", error.to_string()),
        };
        let code = code.rsplit([':', '}']).next().unwrap_or(code);
        let handler = parts.handlers.iter().find(|(codes, _)| codes.is_empty() || codes.iter().any(|it| it == code));
        let Some((_, handler)) = handler else { return Err(error) };
        let name = super::QName {
            prefix: "err".to_owned(),
            namespace: "http://www.w3.org/2005/xqt-errors".to_owned(),
            local: code.to_owned(),
        };
        let values = vec![Sequence::one(Item::QName(name.into())), Sequence::from(message), Sequence::empty()];
        with_values(values.into_iter(), cx, &mut |inner| self.eval(handler, inner))
    }
}

/// The values of the `count` innermost variables, the outermost of them first.
fn values<'d>(cx: &Cx<'_, 'd>, count: usize) -> Vec<Sequence<'d>> {
    let mut out = Vec::with_capacity(count);
    let mut frame = cx.vars;
    for _ in 0..count {
        let Some(at) = frame else { break };
        out.push(at.value.clone());
        frame = at.outer;
    }
    out.reverse();
    out
}

/// The values of all variables, the outermost first.
pub(super) fn all_values<'d>(cx: &Cx<'_, 'd>) -> Vec<Sequence<'d>> {
    let mut count = 0;
    let mut frame = cx.vars;
    while let Some(at) = frame {
        count += 1;
        frame = at.outer;
    }
    values(cx, count)
}

/// Runs `then` with further variables, the last of them innermost.
pub(super) fn with_values<'d, T>(
    mut values: std::vec::IntoIter<Sequence<'d>>,
    cx: &Cx<'_, 'd>,
    then: &mut dyn FnMut(&Cx<'_, 'd>) -> Result<T, XPathError>,
) -> Result<T, XPathError> {
    let Some(value) = values.next() else { return then(cx) };
    let frame = Frame { outer: cx.vars, value };
    with_values(values, &Cx { vars: Some(&frame), ..*cx }, then)
}
