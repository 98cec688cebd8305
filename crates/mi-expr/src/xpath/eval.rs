//! The evaluator: computes the value of a compiled expression in a focus.
//!
//! Beside the general [`Evaluator::eval`] there are forms that compute only what is asked for (a boolean, a string,
//! the first item, a count); they stop early and allocate nothing for the values in between.
//! Recursion follows the brackets of the expression, whose depth the parser caps, never the document.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use mi_xml::{Document, NodeId};

use super::ast::*;
use super::axes::{self, ResolvedNames};
use super::cast;
use super::error::XPathError;
use super::functions::Args;
use super::sequence::{Repr, Sequence, item_boolean};
use super::value::{DocRef, Item, Node, Str};
use super::walk::{Flow, fail};
use super::{Env, Program, Version};

/// Most nodes and items one evaluation may look at.
pub(super) const MAX_STEPS: u64 = 50_000_000;
/// Most items that are not plain nodes of one document in one sequence.
pub(super) const MAX_ITEMS: usize = 2_000_000;
/// Longest string that a function may build.
pub(super) const MAX_STRING: usize = 64 << 20;

/// What the context item is.
#[derive(Clone, Copy)]
pub(super) enum Focus<'a, 'd> {
    None,
    Node(&'a DocRef<'d>, NodeId),
    Item(&'a Item<'d>),
}

/// Everything an expression is evaluated in, besides the evaluator.
#[derive(Clone, Copy)]
pub(super) struct Cx<'a, 'd> {
    pub(super) item: Focus<'a, 'd>,
    pub(super) position: usize,
    pub(super) size: usize,
    pub(super) vars: Option<&'a Frame<'a, 'd>>,
}

/// A variable bound by the expression itself, linked to those around it.
pub(super) struct Frame<'a, 'd> {
    pub(super) outer: Option<&'a Frame<'a, 'd>>,
    pub(super) value: Sequence<'d>,
}

impl<'d> Cx<'_, 'd> {
    /// The context item.
    pub(super) fn context(&self) -> Result<Item<'d>, XPathError> {
        match self.item {
            Focus::Node(doc, id) => Ok(Item::Node(Node { doc: doc.clone(), id })),
            Focus::Item(item) => Ok(item.clone()),
            Focus::None => Err(XPathError::dynamic("XPDY0002", "there is no context item here")),
        }
    }
}

pub(super) struct Evaluator<'e, 'd> {
    pub(super) version: Version,
    pub(super) env: &'e dyn Env<'d>,
    pub(super) program: &'e Arc<Program>,
    /// Where the stack was when the evaluation began.
    pub(super) stack_start: usize,
    /// The document of the outermost context node.
    pub(super) home: Option<*const Document>,
    left: Cell<u64>,
    /// The names of the program in the document that was used last.
    names: RefCell<Option<(DocRef<'d>, Rc<ResolvedNames>)>>,
}

impl<'e, 'd> Evaluator<'e, 'd> {
    pub(super) fn new(program: &'e Arc<Program>, env: &'e dyn Env<'d>) -> Self {
        let marker = 0_u8;
        Self {
            stack_start: std::ptr::from_ref(&marker).addr(),
            version: program.version,
            env,
            program,
            home: None,
            left: Cell::new(MAX_STEPS),
            names: RefCell::new(None),
        }
    }

    /// An evaluator for another expression that goes on with what is left to this one.
    pub(super) fn for_program<'p>(&self, program: &'p Arc<Program>) -> Evaluator<'p, 'd>
    where
        'e: 'p,
    {
        let mut other = Evaluator::new(program, self.env);
        other.stack_start = self.stack_start;
        other.home = self.home;
        other.left.set(self.left.get());
        other
    }

    /// Counts what another evaluator used.
    pub(super) fn take_over(&self, other: &Evaluator<'_, 'd>) {
        self.left.set(other.left.get());
    }

    /// Takes `n` steps off the budget.
    pub(super) fn spend(&self, n: u64) -> Result<(), XPathError> {
        match self.left.get().checked_sub(n) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(XPathError::Limit { what: "visits of nodes and items", cap: MAX_STEPS }),
        }
    }

    /// [`Self::spend`] inside a walk.
    pub(super) fn charge(&self, n: u64) -> Flow {
        match self.spend(n) {
            Ok(()) => Flow::Continue(()),
            Err(error) => fail(error),
        }
    }

    pub(super) fn names_in(&self, doc: &DocRef<'d>) -> Rc<ResolvedNames> {
        let mut cache = self.names.borrow_mut();
        if let Some((known, names)) = &*cache
            && known.same(doc)
        {
            return Rc::clone(names);
        }
        let names = Rc::new(axes::resolve(doc, &self.program.names));
        // Keeping the document keeps another one from getting its place in memory.
        *cache = Some((doc.clone(), Rc::clone(&names)));
        names
    }

    /// The value of an expression.
    pub(super) fn eval(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        match expr {
            Expr::Literal(literal) => Ok(Sequence::one(constant(literal))),
            Expr::Sequence(members) => self.eval_members(members, cx),
            Expr::Variable(name) => self.env.variable(&name.prefix, &name.local),
            Expr::Local(distance) => Ok(local(cx, *distance).cloned().unwrap_or_default()),
            Expr::ContextItem => cx.context().map(Sequence::one),
            Expr::Position => Ok(self.integer(cx.position)),
            Expr::Last => Ok(self.integer(cx.size)),
            Expr::Path(path) => self.eval_path(path, cx),
            Expr::Step(sides) => self.eval_step(&sides.0, &sides.1, cx, true),
            Expr::Each(sides) => self.eval_step(&sides.0, &sides.1, cx, false),
            Expr::Filter(filter) => self.eval_filter(filter, cx),
            Expr::Call(call) => (call.function.run)(&Args { ev: self, call, cx }),
            Expr::Constructor(cast) => self.eval_cast(&cast.1, cast.0, true, cx),
            Expr::External(call) => self.eval_external(call, cx),
            Expr::Or(_) | Expr::And(_) | Expr::General(..) | Expr::Some(_) | Expr::Every(_) => {
                self.ebv(expr, cx).map(Sequence::from)
            }
            Expr::Value(op, sides) => self.value_comparison(*op, &sides.0, &sides.1, cx),
            Expr::NodeOrder(op, sides) => self.node_comparison(*op, &sides.0, &sides.1, cx),
            Expr::Arithmetic(chain) => self.arithmetic(chain, cx),
            Expr::Negate(operand) => self.negate(operand, cx),
            Expr::Range(sides) => self.eval_range(&sides.0, &sides.1, cx),
            Expr::Concat(members) => self.eval_concat(members, cx),
            Expr::Union(members) => self.eval_union(members, cx),
            Expr::Intersect(sides) => self.eval_difference(&sides.0, &sides.1, true, cx),
            Expr::Except(sides) => self.eval_difference(&sides.0, &sides.1, false, cx),
            Expr::If(parts) => self.eval(if self.ebv(&parts.0, cx)? { &parts.1 } else { &parts.2 }, cx),
            Expr::For(binding) => self.eval_for(binding, cx),
            Expr::Let(binding) => {
                let frame = Frame { outer: cx.vars, value: self.eval(&binding.source, cx)? };
                self.eval(&binding.body, &Cx { vars: Some(&frame), ..*cx })
            }
            Expr::InstanceOf(parts) => Ok(parts.1.matches(self.eval(&parts.0, cx)?.iter()).into()),
            Expr::Treat(parts) => {
                let value = self.eval(&parts.0, cx)?;
                if parts.1.matches(value.iter()) {
                    return Ok(value);
                }
                Err(XPathError::dynamic("XPDY0050", "the value is not of the type it is treated as"))
            }
            Expr::Castable(cast) => Ok(self.eval_castable(cast, cx)?.into()),
            Expr::Cast(cast) => self.eval_cast(&cast.operand, cast.target, cast.allows_empty, cx),
            Expr::Flwor(flwor) => self.flwor(flwor, cx),
            Expr::Typeswitch(switch) => self.with_case(switch, cx, &mut |branch, inner| self.eval(branch, inner)),
            Expr::Switch(switch) => self.switch(switch, cx),
            Expr::Try(parts) => self.try_catch(parts, cx),
            Expr::Construct(constructor) => self.construct(constructor, cx),
            Expr::Global(index) => self.env.global(*index),
            Expr::UserCall(index, args) => {
                let args = args.iter().map(|arg| self.eval(arg, cx)).collect::<Result<Vec<_>, _>>()?;
                self.spend(1)?;
                self.env.call(*index, &args)
            }
            Expr::Lambda(lambda) => Ok(self.lambda(lambda, cx)),
            Expr::DynamicCall(call) => self.dynamic_call(&call.0, &call.1, cx),
            Expr::Lookup(parts) => self.lookup(&parts.0, &parts.1, cx),
            Expr::Map(entries) => self.map(entries, cx),
            Expr::Array(members) => self.array(members, cx),
            Expr::CurlyArray(content) => {
                let members = self.eval(content, cx)?.into_items().into_iter().map(Sequence::one).collect();
                Ok(Sequence::one(Item::Array(Arc::new(members))))
            }
            Expr::Placeholder => Err(XPathError::type_error("`?` stands outside of a call")),
        }
    }

    /// The effective boolean value of an expression.
    pub(super) fn ebv(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<bool, XPathError> {
        match expr {
            Expr::Literal(literal) => item_boolean(&constant(literal)),
            Expr::Path(path) => {
                let mut found = false;
                self.each_node(path, cx, false, &mut |_, _| {
                    found = true;
                    Flow::Break(None)
                })?;
                Ok(found)
            }
            Expr::Or(members) => {
                for member in members {
                    if self.ebv(member, cx)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Expr::And(members) => {
                for member in members {
                    if !self.ebv(member, cx)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Expr::General(op, sides) => self.general_comparison(*op, &sides.0, &sides.1, cx),
            Expr::Some(binding) => self.quantified(binding, cx, true),
            Expr::Every(binding) => Ok(!self.quantified(binding, cx, false)?),
            other => self.eval(other, cx)?.effective_boolean(),
        }
    }

    /// The string of the first item, empty if there is none.
    pub(super) fn first_string(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<Str<'d>, XPathError> {
        let text = match expr {
            Expr::Literal(Literal::String(s)) => return Ok(Str::Shared(s.clone())),
            Expr::Path(_) | Expr::Filter(_) => match self.first(expr, cx)? {
                Some(item) => item.to_str(self.version),
                None => return Ok(Str::Borrowed("")),
            },
            Expr::ContextItem => cx.context()?.to_str(self.version),
            other => self.eval(other, cx)?.to_str_as(self.version),
        };
        self.spend(text_cost(&text))?;
        Ok(text)
    }

    /// The first item.
    pub(super) fn first(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<Option<Item<'d>>, XPathError> {
        match expr {
            Expr::Path(path) => {
                let mut found = None;
                self.each_node(path, cx, true, &mut |doc, id| {
                    found = Some(Item::Node(Node { doc: doc.clone(), id }));
                    Flow::Break(None)
                })?;
                Ok(found)
            }
            Expr::Filter(filter) if matches!(filter.predicates[..], [Predicate::Nth(1)]) => {
                self.first(&filter.base, cx)
            }
            other => Ok(self.eval(other, cx)?.first()),
        }
    }

    /// The number of items.
    pub(super) fn count(&self, expr: &Expr, cx: &Cx<'_, 'd>) -> Result<usize, XPathError> {
        let Expr::Path(path) = expr else { return Ok(self.eval(expr, cx)?.len()) };
        let mut count = 0;
        self.each_node(path, cx, false, &mut |_, _| {
            count += 1;
            Flow::Continue(())
        })?;
        Ok(count)
    }

    /// Whether a predicate holds for the context item.
    pub(super) fn predicate(&self, predicate: &Predicate, cx: &Cx<'_, 'd>) -> Result<bool, XPathError> {
        match predicate {
            Predicate::Nth(n) | Predicate::NthSibling(n) => Ok(cx.position == *n),
            Predicate::Last => Ok(cx.position == cx.size),
            Predicate::Boolean(expr) => self.ebv(expr, cx),
            Predicate::Dynamic { expr, .. } => {
                let value = self.eval(expr, cx)?;
                match &value.0 {
                    Repr::One(item) if item.is_numeric() => Ok(item.to_number() == cx.position as f64),
                    _ => value.effective_boolean(),
                }
            }
        }
    }

    /// A count or position as the number type of the version.
    pub(super) fn integer(&self, n: usize) -> Sequence<'d> {
        match self.version {
            Version::V1 => Sequence::from(n as f64),
            Version::V2 => Sequence::from(i64::try_from(n).unwrap_or(i64::MAX)),
        }
    }

    fn eval_path(&self, path: &Path, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut home: Option<DocRef<'d>> = None;
        let mut ids: Vec<NodeId> = Vec::new();
        let mut mixed: Vec<Item<'d>> = Vec::new();
        self.each_node(path, cx, true, &mut |doc, id| {
            match &home {
                None => home = Some(doc.clone()),
                Some(h) if h.same(doc) => {}
                Some(_) => {
                    mixed.push(Item::Node(Node { doc: doc.clone(), id }));
                    return Flow::Continue(());
                }
            }
            ids.push(id);
            Flow::Continue(())
        })?;
        let Some(doc) = home else { return Ok(Sequence::empty()) };
        let nodes = Sequence::sorted_nodes(doc, ids);
        if mixed.is_empty() {
            return Ok(nodes);
        }
        let mut items = nodes.into_items();
        items.append(&mut mixed);
        Ok(Sequence::from_items(items))
    }

    fn eval_members(&self, members: &[Expr], cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut out = Items::default();
        for member in members {
            out.extend(self, self.eval(member, cx)?)?;
        }
        Ok(Sequence::from_items(out.0))
    }

    /// `left/right` and `left ! right` for a right side that is no axis step.
    fn eval_step(&self, left: &Expr, right: &Expr, cx: &Cx<'_, 'd>, path: bool) -> Result<Sequence<'d>, XPathError> {
        let base = self.eval(left, cx)?;
        if path && !base.is_nodeset() {
            return Err(XPathError::dynamic("XPTY0019", "the left side of `/` must be nodes"));
        }
        let size = base.len();
        let (mut out, mut nodes, mut atoms) = (Items::default(), false, false);
        for (i, item) in base.iter().enumerate() {
            self.spend(1)?;
            let inner = Cx { item: Focus::Item(&item), position: i + 1, size, vars: cx.vars };
            let value = self.eval(right, &inner)?;
            if !value.is_empty() {
                let plain = value.is_nodeset();
                atoms |= !plain;
                nodes |= plain || value.node_iter().next().is_some();
            }
            out.extend(self, value)?;
        }
        let all = Sequence::from_items(out.0);
        match (path, nodes, atoms) {
            (true, true, true) => Err(XPathError::dynamic("XPTY0018", "a path yields both nodes and values")),
            (true, true, false) => all.into_document_order(),
            _ => Ok(all),
        }
    }

    fn eval_filter(&self, filter: &Filter, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        if let [Predicate::Nth(1)] = filter.predicates[..] {
            return self.first(&filter.base, cx).map(Sequence::from);
        }
        let mut value = self.eval(&filter.base, cx)?;
        for predicate in &filter.predicates {
            let size = value.len();
            match predicate {
                Predicate::Nth(n) => value = n.checked_sub(1).and_then(|i| value.get(i)).into(),
                Predicate::Last => value = size.checked_sub(1).and_then(|i| value.get(i)).into(),
                other => {
                    let mut kept = Vec::new();
                    for (i, item) in value.iter().enumerate() {
                        self.spend(1)?;
                        let inner = Cx { item: Focus::Item(&item), position: i + 1, size, vars: cx.vars };
                        if self.predicate(other, &inner)? {
                            kept.push(item);
                        }
                    }
                    value = Sequence::from_items(kept);
                }
            }
        }
        Ok(value)
    }

    fn eval_external(&self, call: &External, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let args = call.args.iter().map(|a| self.eval(a, cx)).collect::<Result<Vec<_>, _>>()?;
        self.env.function(&call.prefix, &call.namespace, &call.local, &args).unwrap_or_else(|| {
            let separator = if call.prefix.is_empty() { "" } else { ":" };
            let name = format!("{}{separator}{}", call.prefix, call.local);
            Err(XPathError::UnknownFunction { name, arity: args.len() })
        })
    }

    fn eval_for(&self, binding: &Binding, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut out = Items::default();
        for item in self.eval(&binding.source, cx)?.iter() {
            self.spend(1)?;
            let frame = Frame { outer: cx.vars, value: Sequence::one(item) };
            out.extend(self, self.eval(&binding.body, &Cx { vars: Some(&frame), ..*cx })?)?;
        }
        Ok(Sequence::from_items(out.0))
    }

    /// Whether the body is `wanted` for at least one item.
    fn quantified(&self, binding: &Binding, cx: &Cx<'_, 'd>, wanted: bool) -> Result<bool, XPathError> {
        for item in self.eval(&binding.source, cx)?.iter() {
            self.spend(1)?;
            let frame = Frame { outer: cx.vars, value: Sequence::one(item) };
            if self.ebv(&binding.body, &Cx { vars: Some(&frame), ..*cx })? == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The value as at most one atomic item; several are an error that names `role`.
    pub(super) fn atom(&self, expr: &Expr, cx: &Cx<'_, 'd>, role: &str) -> Result<Option<Item<'d>>, XPathError> {
        match self.eval(expr, cx)?.0 {
            Repr::Empty => Ok(None),
            Repr::One(item @ (Item::Array(_) | Item::Function(_) | Item::Map(_))) => {
                let mut atoms = super::call::atoms(Sequence::one(item))?;
                match atoms.len() {
                    0 | 1 => Ok(atoms.pop()),
                    n => Err(XPathError::type_error(format!("{role} must be one value, but there are {n}"))),
                }
            }
            Repr::One(item) => Ok(Some(item.atomize())),
            _ => Err(XPathError::type_error(format!("{role} must be one value, but there are several"))),
        }
    }

    fn eval_concat(&self, members: &[Expr], cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut out = String::new();
        for member in members {
            if let Some(item) = self.atom(member, cx, "an operand of ||")? {
                push_str(&mut out, &item.to_str(self.version))?;
            }
        }
        Ok(out.into())
    }

    fn eval_union(&self, members: &[Expr], cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut parts = Vec::with_capacity(members.len());
        for member in members {
            match self.eval(member, cx)? {
                part if part.is_empty() => {}
                part => parts.push(part),
            }
        }
        if parts.len() < 2 {
            return parts.pop().unwrap_or_default().into_document_order();
        }
        let mut out = Items::default();
        for part in parts {
            out.extend(self, part)?;
        }
        Sequence::from_items(out.0).into_document_order()
    }

    fn eval_difference(
        &self,
        left: &Expr,
        right: &Expr,
        common: bool,
        cx: &Cx<'_, 'd>,
    ) -> Result<Sequence<'d>, XPathError> {
        let left = self.eval(left, cx)?.into_document_order()?;
        let right = self.eval(right, cx)?.into_document_order()?;
        self.spend((left.len() + right.len()) as u64)?;
        let key = |n: &Node<'d>| (std::ptr::from_ref::<Document>(&n.doc), n.id);
        let others: std::collections::HashSet<_> = right.node_iter().map(|n| key(&n)).collect();
        let kept = left.node_iter().filter(|n| others.contains(&key(n)) == common).map(Item::Node).collect();
        Ok(Sequence::from_items(kept))
    }

    fn eval_cast(
        &self,
        operand: &Expr,
        target: cast::Atomic,
        allows_empty: bool,
        cx: &Cx<'_, 'd>,
    ) -> Result<Sequence<'d>, XPathError> {
        match self.atom(operand, cx, "the operand of a cast")? {
            Some(item) => cast::cast(item, target).map(Sequence::one),
            None if allows_empty => Ok(Sequence::empty()),
            None => Err(XPathError::type_error("the empty sequence cannot be cast")),
        }
    }

    fn eval_castable(&self, cast: &CastExpr, cx: &Cx<'_, 'd>) -> Result<bool, XPathError> {
        Ok(match self.eval(&cast.operand, cx)?.0 {
            Repr::Empty => cast.allows_empty,
            Repr::One(item) => cast::cast(item, cast.target).is_ok(),
            _ => false,
        })
    }
}

pub(super) fn constant(literal: &Literal) -> Item<'static> {
    match literal {
        Literal::String(s) => Item::String(Str::Shared(s.clone())),
        Literal::Boolean(b) => Item::Boolean(*b),
        Literal::Integer(i) => Item::Integer(*i),
        Literal::BigInteger(i) => Item::BigInteger(i.clone()),
        Literal::Decimal(d) => Item::Decimal(d.clone()),
        Literal::Double(v) => Item::Double(*v),
        Literal::QName(name) => Item::QName(name.clone()),
    }
}

fn local<'c, 'd>(cx: &Cx<'c, 'd>, distance: usize) -> Option<&'c Sequence<'d>> {
    let mut frame = cx.vars;
    for _ in 0..distance {
        frame = frame?.outer;
    }
    frame.map(|f| &f.value)
}

pub(super) fn too_many_items() -> XPathError {
    XPathError::Limit { what: "items in one sequence", cap: MAX_ITEMS as u64 }
}

/// What reading a text takes from the budget: an element's text is collected anew each time it is asked for.
pub(super) fn text_cost(text: &str) -> u64 {
    text.len() as u64 / 64
}

/// Appends to a string that is being built, within the cap.
pub(super) fn push_str(out: &mut String, part: &str) -> Result<(), XPathError> {
    if out.len() + part.len() > MAX_STRING {
        return Err(XPathError::Limit { what: "bytes in one string", cap: MAX_STRING as u64 });
    }
    out.push_str(part);
    Ok(())
}

/// Items being collected, within the caps.
#[derive(Default)]
pub(super) struct Items<'d>(pub(super) Vec<Item<'d>>);

impl<'d> Items<'d> {
    pub(super) fn extend(&mut self, ev: &Evaluator<'_, 'd>, value: Sequence<'d>) -> Result<(), XPathError> {
        if self.0.len() + value.len() > MAX_ITEMS {
            return Err(too_many_items());
        }
        ev.spend(value.len() as u64)?;
        match value.0 {
            Repr::Empty => {}
            Repr::One(item) => self.0.push(item),
            _ => self.0.append(&mut value.into_items()),
        }
        Ok(())
    }
}
