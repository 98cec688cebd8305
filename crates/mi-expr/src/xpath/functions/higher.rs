//! Functions on functions, maps and arrays, of XPath 3.1.

use std::sync::Arc;

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::V2;
use crate::xpath::XPath;
use crate::xpath::ast::Type::{Boolean, Unknown};
use crate::xpath::call::{out_of_bounds, single};
use crate::xpath::cast::Atomic;
use crate::xpath::error::XPathError;
use crate::xpath::eval::Items;
use crate::xpath::function_item::MapItem;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{Item, QName};

use Library::{Arrays, Core, Maps};

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("for-each", (2, 2), V2, Unknown, 0, for_each)),
    builtin(Core, ("filter", (2, 2), V2, Unknown, 0, filter)),
    builtin(Core, ("fold-left", (3, 3), V2, Unknown, 0, fold_left)),
    builtin(Core, ("fold-right", (3, 3), V2, Unknown, 0, fold_right)),
    builtin(Core, ("for-each-pair", (3, 3), V2, Unknown, 0, for_each_pair)),
    builtin(Core, ("apply", (2, 2), V2, Unknown, 0, apply)),
    builtin(Core, ("function-arity", (1, 1), V2, Unknown, 0, function_arity)),
    builtin(Core, ("function-name", (1, 1), V2, Unknown, 0, function_name)),
    builtin(Core, ("function-lookup", (2, 2), V2, Unknown, 3, function_lookup)),
    builtin(Maps, ("merge", (1, 2), V2, Unknown, 0, merge)),
    builtin(Maps, ("size", (1, 1), V2, Unknown, 0, |a| Ok((map(a, 0)?.entries().len() as i64).into()))),
    builtin(Maps, ("keys", (1, 1), V2, Unknown, 0, keys)),
    builtin(Maps, ("contains", (2, 2), V2, Boolean, 0, contains)),
    builtin(Maps, ("get", (2, 2), V2, Unknown, 0, get)),
    builtin(Maps, ("put", (3, 3), V2, Unknown, 0, put)),
    builtin(Maps, ("entry", (2, 2), V2, Unknown, 0, entry)),
    builtin(Maps, ("remove", (2, 2), V2, Unknown, 0, remove)),
    builtin(Maps, ("for-each", (2, 2), V2, Unknown, 0, map_for_each)),
    builtin(Maps, ("find", (2, 2), V2, Unknown, 0, find)),
    builtin(Arrays, ("size", (1, 1), V2, Unknown, 0, |a| Ok((array(a, 0)?.len() as i64).into()))),
    builtin(Arrays, ("get", (2, 2), V2, Unknown, 0, array_get)),
    builtin(Arrays, ("put", (3, 3), V2, Unknown, 0, array_put)),
    builtin(Arrays, ("append", (2, 2), V2, Unknown, 0, append)),
    builtin(Arrays, ("subarray", (2, 3), V2, Unknown, 0, subarray)),
    builtin(Arrays, ("remove", (2, 2), V2, Unknown, 0, array_remove)),
    builtin(Arrays, ("insert-before", (3, 3), V2, Unknown, 0, insert_before)),
    builtin(Arrays, ("head", (1, 1), V2, Unknown, 0, head)),
    builtin(Arrays, ("tail", (1, 1), V2, Unknown, 0, tail)),
    builtin(Arrays, ("reverse", (1, 1), V2, Unknown, 0, reverse)),
    builtin(Arrays, ("join", (1, 1), V2, Unknown, 0, join)),
    builtin(Arrays, ("flatten", (1, 1), V2, Unknown, 0, flatten)),
    builtin(Arrays, ("for-each", (2, 2), V2, Unknown, 0, array_for_each)),
    builtin(Arrays, ("filter", (2, 2), V2, Unknown, 0, array_filter)),
    builtin(Arrays, ("fold-left", (3, 3), V2, Unknown, 0, array_fold_left)),
    builtin(Arrays, ("fold-right", (3, 3), V2, Unknown, 0, array_fold_right)),
    builtin(Arrays, ("sort", (1, 3), V2, Unknown, 0, array_sort)),
];

fn function<'d>(args: &Args<'_, '_, 'd>, i: usize) -> Result<Item<'d>, XPathError> {
    single(&args.sequence(i)?, "the function")
}

fn for_each<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (items, function) = (args.sequence(0)?, function(args, 1)?);
    let mut out = Items::default();
    for item in items.iter() {
        out.extend(args.ev, args.ev.call_item(&function, vec![Sequence::one(item)])?)?;
    }
    Ok(Sequence::from_items(out.0))
}

fn filter<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (items, function) = (args.sequence(0)?, function(args, 1)?);
    let mut out = Vec::new();
    for item in items.iter() {
        if args.ev.call_item(&function, vec![Sequence::one(item.clone())])?.effective_boolean()? {
            out.push(item);
        }
    }
    Ok(Sequence::from_items(out))
}

fn fold_left<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (items, mut value, function) = (args.sequence(0)?, args.sequence(1)?, function(args, 2)?);
    for item in items.iter() {
        value = args.ev.call_item(&function, vec![value, Sequence::one(item)])?;
    }
    Ok(value)
}

fn fold_right<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (items, mut value, function) = (args.sequence(0)?, args.sequence(1)?, function(args, 2)?);
    for item in items.into_items().into_iter().rev() {
        value = args.ev.call_item(&function, vec![Sequence::one(item), value])?;
    }
    Ok(value)
}

fn for_each_pair<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (left, right, function) = (args.sequence(0)?, args.sequence(1)?, function(args, 2)?);
    let mut out = Items::default();
    for (a, b) in left.iter().zip(right.iter()) {
        out.extend(args.ev, args.ev.call_item(&function, vec![Sequence::one(a), Sequence::one(b)])?)?;
    }
    Ok(Sequence::from_items(out.0))
}

fn apply<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (function, values) = (function(args, 0)?, array(args, 1)?);
    args.ev.call_item(&function, values.to_vec())
}

fn function_arity<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    match function(args, 0)? {
        Item::Function(function) => Ok((function.arity() as i64).into()),
        Item::Map(_) | Item::Array(_) => Ok(1_i64.into()),
        other => Err(no_function(&other)),
    }
}

fn no_function(item: &Item<'_>) -> XPathError {
    XPathError::type_error(format!("a function is needed here, not {}", item.type_name()))
}

fn function_name<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let Item::Function(function) = function(args, 0)? else { return Ok(Sequence::empty()) };
    if function.name() == "function" {
        return Ok(Sequence::empty());
    }
    let (prefix, local) = function.name().split_once(':').unwrap_or(("fn", function.name()));
    let namespace = Library::namespace(prefix).to_owned();
    let name = QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() };
    Ok(Sequence::one(Item::QName(Arc::new(name))))
}

/// The built-in function of a name, or nothing. One that looks at the context item keeps the one of this call.
fn function_lookup<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let name = match args.atom(0)? {
        Some(Item::QName(name)) => name,
        _ => return Err(XPathError::type_error("argument 1 of function-lookup() must be xs:QName")),
    };
    let arity = usize::try_from(args.integer(1)?).unwrap_or(usize::MAX);
    let library = Library::of("?", Some(&name.namespace));
    let context = match library {
        Some(Library::Types) if arity == 1 && Atomic::parse(&name.local).is_some_and(|it| it != Atomic::Any) => false,
        Some(library) => match super::find(library, &name.local, arity) {
            Some(function) => arity < usize::from(function.context_below),
            None => return Ok(Sequence::empty()),
        },
        None => return Ok(Sequence::empty()),
    };
    let (local, prefix) = (&name.local, library.map_or("", Library::prefix));
    let source = match (local.as_str(), context) {
        ("position" | "last", _) => format!("let $value := {prefix}:{local}() return function() {{ $value }}"),
        (_, true) if arity == 0 => format!("let $item := . return function() {{ {prefix}:{local}($item) }}"),
        (_, true) if arity == 1 => {
            format!("let $item := . return function($value) {{ {prefix}:{local}($value, $item) }}")
        }
        _ => format!("{prefix}:{local}#{arity}"),
    };
    let namespaces = |_: &str| Some(name.namespace.clone());
    args.ev.spend(100)?;
    let Ok(found) = XPath::compile_as(&source, V2, &namespaces, "") else { return Ok(Sequence::empty()) };
    let other = args.ev.for_program(&found.0);
    let value = other.eval(&found.0.root, args.cx);
    args.ev.take_over(&other);
    value
}

// === maps ===

fn map<'d>(args: &Args<'_, '_, 'd>, i: usize) -> Result<Arc<MapItem<'d>>, XPathError> {
    as_map(&single(&args.sequence(i)?, "a map")?)
}

fn as_map<'d>(item: &Item<'d>) -> Result<Arc<MapItem<'d>>, XPathError> {
    match item {
        Item::Map(map) => Ok(map.clone()),
        other => Err(XPathError::type_error(format!("a map is needed here, not {}", other.type_name()))),
    }
}

fn of_map(map: MapItem<'_>) -> Sequence<'_> {
    Sequence::one(Item::Map(Arc::new(map)))
}

fn key<'d>(args: &Args<'_, '_, 'd>, i: usize) -> Result<Item<'d>, XPathError> {
    args.atom(i)?.ok_or_else(|| XPathError::type_error("the key is missing"))
}

/// With `map { "duplicates": … }` as options; the first of several values counts otherwise.
fn merge<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let policy = if args.len() > 1 {
        let options = map(args, 1)?;
        let found = options.get("sduplicates").map(|it| it.to_str().into_string());
        found.unwrap_or_else(|| "use-first".to_owned())
    } else {
        "use-first".to_owned()
    };
    let mut out = MapItem::default();
    for item in args.sequence(0)?.iter() {
        for (key, value) in as_map(&item)?.entries() {
            args.ev.spend(1)?;
            let name = args.ev.key_of(key);
            let value = match (out.get(&name), policy.as_str()) {
                (None, _) | (_, "use-last") => value.clone(),
                (Some(known), "combine") => {
                    let mut both = Items::default();
                    both.extend(args.ev, known.clone())?;
                    both.extend(args.ev, value.clone())?;
                    Sequence::from_items(both.0)
                }
                (_, "reject") => return Err(XPathError::dynamic("FOJS0003", "a key is in two of the maps")),
                _ => continue,
            };
            out.insert(name, key.clone(), value);
        }
    }
    Ok(of_map(out))
}

fn keys<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(Sequence::from_items(map(args, 0)?.entries().iter().map(|(key, _)| key.clone()).collect()))
}

fn contains<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(map(args, 0)?.get(&args.ev.key_of(&key(args, 1)?)).is_some().into())
}

fn get<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(map(args, 0)?.get(&args.ev.key_of(&key(args, 1)?)).cloned().unwrap_or_default())
}

fn put<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (mut map, key) = (MapItem::clone(&*map(args, 0)?), key(args, 1)?);
    args.ev.spend(map.entries().len() as u64)?;
    map.insert(args.ev.key_of(&key), key, args.sequence(2)?);
    Ok(of_map(map))
}

fn entry<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (mut map, key) = (MapItem::default(), key(args, 0)?);
    map.insert(args.ev.key_of(&key), key, args.sequence(1)?);
    Ok(of_map(map))
}

fn remove<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let map = map(args, 0)?;
    let names: Vec<String> = args.atoms(1)?.iter().map(|key| args.ev.key_of(key)).collect();
    args.ev.spend(map.entries().len() as u64)?;
    Ok(of_map(map.without(&names)))
}

fn map_for_each<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (map, function) = (map(args, 0)?, function(args, 1)?);
    let mut out = Items::default();
    for (key, value) in map.entries() {
        let values = vec![Sequence::one(key.clone()), value.clone()];
        out.extend(args.ev, args.ev.call_item(&function, values)?)?;
    }
    Ok(Sequence::from_items(out.0))
}

/// The values of a key in maps, however deep they lie.
fn find<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let name = args.ev.key_of(&key(args, 1)?);
    let mut found = Vec::new();
    let mut rest: Vec<Item<'d>> = args.sequence(0)?.into_items();
    rest.reverse();
    while let Some(item) = rest.pop() {
        args.ev.spend(1)?;
        match item {
            Item::Map(map) => {
                found.extend(map.get(&name).cloned());
                let inner: Vec<_> = map.entries().iter().flat_map(|(_, value)| value.clone().into_items()).collect();
                rest.extend(inner.into_iter().rev());
            }
            Item::Array(members) => {
                let inner: Vec<_> = members.iter().flat_map(|value| value.clone().into_items()).collect();
                rest.extend(inner.into_iter().rev());
            }
            _ => {}
        }
    }
    Ok(of_array(found))
}

// === arrays ===

fn array<'d>(args: &Args<'_, '_, 'd>, i: usize) -> Result<Arc<Vec<Sequence<'d>>>, XPathError> {
    let item = single(&args.sequence(i)?, "an array")?;
    let Item::Array(members) = item else {
        return Err(XPathError::type_error(format!("an array is needed here, not {}", item.type_name())));
    };
    args.ev.spend(members.len() as u64)?;
    Ok(members)
}

fn of_array(members: Vec<Sequence<'_>>) -> Sequence<'_> {
    Sequence::one(Item::Array(Arc::new(members)))
}

/// The index in argument `i`, counted from zero, where it is below `end`.
fn index(args: &Args<'_, '_, '_>, i: usize, end: usize, len: usize) -> Result<usize, XPathError> {
    let given = args.integer(i)?;
    let at = usize::try_from(given).ok().and_then(|it| it.checked_sub(1)).filter(|at| *at < end);
    at.ok_or_else(|| out_of_bounds(given, len))
}

fn array_get<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let members = array(args, 0)?;
    Ok(members[index(args, 1, members.len(), members.len())?].clone())
}

fn array_put<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut members = array(args, 0)?.to_vec();
    let at = index(args, 1, members.len(), members.len())?;
    members[at] = args.sequence(2)?;
    Ok(of_array(members))
}

fn append<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut members = array(args, 0)?.to_vec();
    members.push(args.sequence(1)?);
    Ok(of_array(members))
}

fn subarray<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let members = array(args, 0)?;
    let start = index(args, 1, members.len() + 1, members.len())?;
    let length = if args.len() > 2 { args.integer(2)? } else { (members.len() - start) as i64 };
    let Some(end) = usize::try_from(length).ok().map(|it| start + it).filter(|end| *end <= members.len()) else {
        return Err(XPathError::dynamic("FOAY0002", format!("{length} is no length of a part of the array")));
    };
    Ok(of_array(members[start..end].to_vec()))
}

fn array_remove<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let members = array(args, 0)?;
    let mut gone = Vec::new();
    for item in args.atoms(1)? {
        let given = item.to_number();
        if !(1.0..=members.len() as f64).contains(&given) {
            return Err(out_of_bounds(given as i64, members.len()));
        }
        gone.push(given as usize - 1);
    }
    let kept = members.iter().enumerate().filter(|(at, _)| !gone.contains(at)).map(|(_, it)| it.clone());
    Ok(of_array(kept.collect()))
}

fn insert_before<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut members = array(args, 0)?.to_vec();
    let at = index(args, 1, members.len() + 1, members.len())?;
    members.insert(at, args.sequence(2)?);
    Ok(of_array(members))
}

fn head<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let members = array(args, 0)?;
    members.first().cloned().ok_or_else(|| out_of_bounds(1, 0))
}

fn tail<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let members = array(args, 0)?;
    let rest = members.get(1..).ok_or_else(|| out_of_bounds(1, 0))?;
    Ok(of_array(rest.to_vec()))
}

fn reverse<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(of_array(array(args, 0)?.iter().rev().cloned().collect()))
}

fn join<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut out = Vec::new();
    for item in args.sequence(0)?.iter() {
        let Item::Array(members) = item else {
            return Err(XPathError::type_error(format!("an array is needed here, not {}", item.type_name())));
        };
        args.ev.spend(members.len() as u64)?;
        out.extend(members.iter().cloned());
    }
    Ok(of_array(out))
}

fn flatten<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut out = Items::default();
    let mut rest = args.sequence(0)?.into_items();
    rest.reverse();
    while let Some(item) = rest.pop() {
        match item {
            Item::Array(members) => {
                let inner: Vec<_> = members.iter().flat_map(|value| value.clone().into_items()).collect();
                args.ev.spend(inner.len() as u64)?;
                rest.extend(inner.into_iter().rev());
            }
            item => out.extend(args.ev, Sequence::one(item))?,
        }
    }
    Ok(Sequence::from_items(out.0))
}

fn array_for_each<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (members, function) = (array(args, 0)?, function(args, 1)?);
    let out = members.iter().map(|it| args.ev.call_item(&function, vec![it.clone()])).collect::<Result<Vec<_>, _>>();
    out.map(of_array)
}

fn array_filter<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (members, function) = (array(args, 0)?, function(args, 1)?);
    let mut out = Vec::new();
    for member in members.iter() {
        if args.ev.call_item(&function, vec![member.clone()])?.effective_boolean()? {
            out.push(member.clone());
        }
    }
    Ok(of_array(out))
}

fn array_fold_left<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (members, mut value, function) = (array(args, 0)?, args.sequence(1)?, function(args, 2)?);
    for member in members.iter() {
        value = args.ev.call_item(&function, vec![value, member.clone()])?;
    }
    Ok(value)
}

fn array_fold_right<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (members, mut value, function) = (array(args, 0)?, args.sequence(1)?, function(args, 2)?);
    for member in members.iter().rev() {
        value = args.ev.call_item(&function, vec![member.clone(), value])?;
    }
    Ok(value)
}

fn array_sort<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let members = array(args, 0)?;
    let sorted = super::sequences::sorted(args, members.to_vec(), 2, &args.collation(1)?)?;
    Ok(of_array(sorted))
}
