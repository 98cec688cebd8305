//! Evaluation of functions, maps and arrays as values: making them, calling them, looking into them.

use std::sync::Arc;

use super::ast::*;
use super::error::XPathError;
use super::eval::{Cx, Evaluator, Focus, Items};
use super::flwor::{all_values, with_values};
use super::function_item::{FunctionItem, MapItem};
use super::sequence::Sequence;
use super::value::Item;

/// Stack that calls of function values inside of one expression may use.
const MAX_STACK: usize = 384 << 10;

/// The atomic values of a sequence: nodes by their values, arrays by their members.
///
/// # Errors
/// `FOTY0013` for functions and maps.
pub(super) fn atoms<'d>(value: Sequence<'d>) -> Result<Vec<Item<'d>>, XPathError> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest: Vec<std::vec::IntoIter<Item<'d>>> = vec![value.into_items().into_iter()];
    while let Some(items) = rest.last_mut() {
        match items.next() {
            None => {
                rest.pop();
            }
            Some(Item::Array(members)) => {
                let inner: Vec<Item<'d>> = members.iter().flat_map(|it| it.clone().into_items()).collect();
                rest.push(inner.into_iter());
            }
            Some(item @ (Item::Function(_) | Item::Map(_))) => return Err(no_value(&item)),
            Some(item) => out.push(item.atomize()),
        }
    }
    Ok(out)
}

fn no_value(item: &Item<'_>) -> XPathError {
    XPathError::dynamic("FOTY0013", format!("a {} has no value that could be used here", item.type_name()))
}

impl<'d> Evaluator<'_, 'd> {
    /// [`atoms`], counted.
    pub(super) fn atomized(&self, value: Sequence<'d>) -> Result<Vec<Item<'d>>, XPathError> {
        self.spend(value.len() as u64)?;
        let atoms = atoms(value)?;
        for atom in &atoms {
            if let Item::Untyped(text) = atom {
                self.spend(super::eval::text_cost(text))?;
            }
        }
        Ok(atoms)
    }

    pub(super) fn lambda(&self, lambda: &Arc<Lambda>, cx: &Cx<'_, 'd>) -> Sequence<'d> {
        let captured = all_values(cx);
        let function = FunctionItem { lambda: lambda.clone(), program: self.program.clone(), captured };
        Sequence::one(Item::Function(Arc::new(function)))
    }

    pub(super) fn dynamic_call(
        &self,
        function: &Expr,
        args: &[Expr],
        cx: &Cx<'_, 'd>,
    ) -> Result<Sequence<'d>, XPathError> {
        let function = self.eval(function, cx)?;
        let function = single(&function, "what is called")?;
        let args = args.iter().map(|arg| self.eval(arg, cx)).collect::<Result<Vec<_>, _>>()?;
        self.call_item(&function, args)
    }

    /// Calls a function, looks up a key in a map or a member of an array.
    pub(super) fn call_item(&self, item: &Item<'d>, args: Vec<Sequence<'d>>) -> Result<Sequence<'d>, XPathError> {
        match item {
            Item::Function(function) => self.call_function(function, args),
            Item::Map(_) | Item::Array(_) if args.len() == 1 => {
                let key = args.into_iter().next().unwrap_or_default();
                let mut keys = self.atomized(key)?;
                match (keys.pop(), keys.is_empty()) {
                    (Some(key), true) => self.look_up(item, &key),
                    _ => Err(XPathError::type_error("a key must be one value")),
                }
            }
            Item::Map(_) | Item::Array(_) => Err(XPathError::type_error("a map or an array takes one argument")),
            other => Err(XPathError::type_error(format!("a value of type {} cannot be called", other.type_name()))),
        }
    }

    fn call_function(&self, function: &FunctionItem<'d>, args: Vec<Sequence<'d>>) -> Result<Sequence<'d>, XPathError> {
        self.spend(1)?;
        let lambda = &function.lambda;
        if args.len() != lambda.params.len() {
            let message = format!("{}() takes {} argument(s), not {}", lambda.name, lambda.params.len(), args.len());
            return Err(XPathError::type_error(message));
        }
        let marker = 0_u8;
        if self.stack_start.abs_diff(std::ptr::from_ref(&marker).addr()) > MAX_STACK {
            return Err(XPathError::Limit {
                what: "bytes of stack for calls of function values",
                cap: MAX_STACK as u64,
            });
        }
        let mut values = function.captured.clone();
        for (at, (arg, declared)) in args.into_iter().zip(&lambda.params).enumerate() {
            values.push(match declared {
                Some(declared) => declared.convert(arg, &format!("argument {} of {}()", at + 1, lambda.name))?,
                None => arg,
            });
        }
        let cx = Cx { item: Focus::None, position: 1, size: 1, vars: None };
        let result = if Arc::ptr_eq(&function.program, self.program) {
            with_values(values.into_iter(), &cx, &mut |cx| self.eval(&lambda.body, cx))?
        } else {
            // Names in the body are those of the expression it was written in.
            let other = self.for_program(&function.program);
            let result = with_values(values.into_iter(), &cx, &mut |cx| other.eval(&lambda.body, cx));
            self.take_over(&other);
            result?
        };
        match &lambda.result {
            Some(declared) => declared.convert(result, &format!("the result of {}()", lambda.name)),
            None => Ok(result),
        }
    }

    /// The value of a key. A missing one is nothing in a map and an error in an array.
    pub(super) fn look_up(&self, item: &Item<'d>, key: &Item<'d>) -> Result<Sequence<'d>, XPathError> {
        match item {
            Item::Map(map) => Ok(map.get(&self.key_of(key)).cloned().unwrap_or_default()),
            Item::Array(members) => {
                let index = match key {
                    Item::Integer(index) => *index,
                    Item::BigInteger(_) => i64::MAX,
                    Item::Untyped(text) => text.trim().parse().unwrap_or(0),
                    _ => return Err(XPathError::type_error("the index into an array must be an integer")),
                };
                let at = usize::try_from(index).ok().and_then(|it| it.checked_sub(1));
                at.and_then(|at| members.get(at)).cloned().ok_or_else(|| out_of_bounds(index, members.len()))
            }
            other => Err(XPathError::type_error(format!("`?` looks into maps and arrays, not {}", other.type_name()))),
        }
    }

    pub(super) fn lookup(&self, base: &Expr, key: &Key, cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let base = self.eval(base, cx)?;
        let keys = match key {
            Key::All => None,
            Key::Expr(expr) => Some(self.atomized(self.eval(expr, cx)?)?),
        };
        let mut out = Items::default();
        for item in base.iter() {
            match (&keys, &item) {
                (Some(keys), item) => {
                    for key in keys {
                        out.extend(self, self.look_up(item, key)?)?;
                    }
                }
                (None, Item::Map(map)) => {
                    for (_, value) in map.entries() {
                        out.extend(self, value.clone())?;
                    }
                }
                (None, Item::Array(members)) => {
                    for member in members.iter() {
                        out.extend(self, member.clone())?;
                    }
                }
                (None, other) => {
                    let message = format!("`?` looks into maps and arrays, not {}", other.type_name());
                    return Err(XPathError::type_error(message));
                }
            }
        }
        Ok(Sequence::from_items(out.0))
    }

    pub(super) fn map(&self, entries: &[(Expr, Expr)], cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let mut map = MapItem::default();
        for (key, value) in entries {
            self.spend(1)?;
            let Some(key) = self.atom(key, cx, "the key of a map")? else {
                return Err(XPathError::type_error("the key of a map is missing"));
            };
            let name = self.key_of(&key);
            if map.get(&name).is_some() {
                return Err(XPathError::dynamic("XQDY0137", "a key of the map is given twice"));
            }
            map.insert(name, key, self.eval(value, cx)?);
        }
        Ok(Sequence::one(Item::Map(Arc::new(map))))
    }

    pub(super) fn array(&self, members: &[Expr], cx: &Cx<'_, 'd>) -> Result<Sequence<'d>, XPathError> {
        let members = members.iter().map(|it| self.eval(it, cx)).collect::<Result<Vec<_>, _>>()?;
        self.spend(members.len() as u64)?;
        Ok(Sequence::one(Item::Array(Arc::new(members))))
    }
}

pub(super) fn out_of_bounds(index: i64, len: usize) -> XPathError {
    XPathError::dynamic("FOAY0001", format!("there is no member {index} in an array of {len}"))
}

/// The one item of a sequence.
pub(super) fn single<'d>(value: &Sequence<'d>, role: &str) -> Result<Item<'d>, XPathError> {
    match (value.first(), value.len()) {
        (Some(item), 1) => Ok(item),
        (_, count) => Err(XPathError::type_error(format!("{role} must be one item, not {count}"))),
    }
}
