//! Walks a value along a path. Deep scans use a stack of their own; the recursion is bounded by the steps of the path.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::number::normalized;
use super::{JsonLocation, JsonPath, JsonStep, PathError, Token, functions, predicate};

/// Values that one evaluation may touch.
const MAX_VISITS: usize = 20_000_000;

/// One value that a path found.
#[derive(Clone, Debug)]
pub(crate) struct Hit<'v> {
    /// The value. Numbers found by name are normalized.
    pub(crate) value: Cow<'v, Value>,
    /// True when the last step was an index. Such numbers keep their spelling, and MI treats them differently.
    pub(crate) by_index: bool,
    /// Where it stands, if that was asked for and it stands somewhere.
    pub(crate) location: Option<JsonLocation>,
}

#[derive(Clone, Copy)]
enum Place<'v> {
    Key(&'v str),
    Index(usize),
}

struct Walk<'v, 'p> {
    path: &'p JsonPath,
    root: &'v Value,
    track: bool,
    /// A missing name is an error even at the end, as existence checks in filters want it.
    require: bool,
    place: Vec<Place<'v>>,
    hits: Vec<Hit<'v>>,
    visits: usize,
}

impl JsonPath {
    /// Everything that the path finds below `model` (`@`) or `root` (`$` in filters); with places if `track`.
    pub(crate) fn hits<'v>(&self, root: &'v Value, model: &'v Value, track: bool) -> Result<Vec<Hit<'v>>, PathError> {
        if self.inner.plain
            && !track
            && let Some((value, by_index)) = self.direct(model)
        {
            let value = if by_index { Cow::Borrowed(value) } else { normalized(value) };
            return Ok(vec![Hit { value, by_index, location: None }]);
        }
        let mut walk =
            Walk { path: self, root, track, require: false, place: Vec::new(), hits: Vec::new(), visits: MAX_VISITS };
        walk.step(0, model)?;
        Ok(walk.hits)
    }

    /// True when the path leads somewhere. Jayway: `PathNode#evaluate` of an existence check.
    pub(super) fn exists(&self, root: &Value, model: &Value) -> bool {
        let start = if self.inner.from_root { root } else { model };
        if self.inner.plain {
            return self.direct(start).is_some();
        }
        let mut walk = Walk {
            path: self,
            root,
            track: false,
            require: true,
            place: Vec::new(),
            hits: Vec::new(),
            visits: MAX_VISITS,
        };
        walk.step(0, start).is_ok() && (!self.is_definite() || !walk.hits.is_empty())
    }

    /// The value as one side of a comparison: the value, a list for an indefinite path, `None` when there is nothing.
    pub(super) fn operand<'v>(&self, root: &'v Value, model: &'v Value) -> Option<Cow<'v, Value>> {
        let start = if self.inner.from_root { root } else { model };
        if self.inner.plain {
            return self.direct(start).map(|(value, _)| Cow::Borrowed(value));
        }
        let mut hits = self.hits(root, start, false).ok()?;
        if self.is_definite() {
            return hits.pop().map(|hit| hit.value);
        }
        Some(Cow::Owned(Value::Array(hits.into_iter().map(|hit| hit.value.into_owned()).collect())))
    }

    /// Follows names and indexes; `None` when one is missing or there are other steps.
    fn direct<'v>(&self, model: &'v Value) -> Option<(&'v Value, bool)> {
        self.inner.tokens.iter().try_fold((model, false), |(value, _), token| match token {
            Token::Property(key) => value.as_object()?.get(&**key).map(|value| (value, false)),
            Token::Index(index) => {
                let items = value.as_array()?;
                items.get(effective(*index, items.len())?).map(|value| (value, true))
            }
            _ => None,
        })
    }
}

/// An index from the start for one that may count from the end.
fn effective(index: i64, length: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add(i64::try_from(length).ok()?)? } else { index };
    usize::try_from(index).ok()
}

impl<'v> Walk<'v, '_> {
    /// True when all steps before `at` mean one value.
    fn definite_before(&self, at: usize) -> bool {
        at <= self.path.inner.first_indefinite
    }

    fn is_last(&self, at: usize) -> bool {
        at + 1 == self.path.inner.tokens.len()
    }

    /// The place that was reached, as Jayway writes it.
    fn here(&self) -> String {
        let mut text = String::from("$");
        for place in &self.place {
            match place {
                Place::Key(key) => text.push_str(&format!("['{key}']")),
                Place::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }

    fn location(&self) -> Option<JsonLocation> {
        self.track.then(|| {
            self.place
                .iter()
                .map(|place| match place {
                    Place::Key(key) => JsonStep::Key(Arc::from(*key)),
                    Place::Index(index) => JsonStep::Index(*index),
                })
                .collect()
        })
    }

    fn hit(&mut self, model: &'v Value) {
        let by_index = matches!(self.place.last(), Some(Place::Index(_)));
        let named = matches!(self.place.last(), Some(Place::Key(_)));
        let value = if named { normalized(model) } else { Cow::Borrowed(model) };
        let location = self.location();
        self.hits.push(Hit { value, by_index, location });
    }

    /// Evaluates the steps from `at` on `model`.
    fn step(&mut self, at: usize, model: &'v Value) -> Result<(), PathError> {
        self.visits = self.visits.checked_sub(1).ok_or(PathError::Limit(MAX_VISITS))?;
        let path = self.path;
        let Some(token) = path.inner.tokens.get(at) else {
            self.hit(model);
            return Ok(());
        };
        match token {
            Token::Property(key) => self.property(at, key, model),
            Token::Properties(keys) => self.properties(at, keys, model),
            Token::Index(index) => self.indexes(at, &[*index], model),
            Token::Indexes(indexes) => self.indexes(at, indexes, model),
            Token::Slice { from, to } => self.slice(at, *from, *to, model),
            Token::Wildcard => self.wildcard(at, model),
            Token::Scan => self.scan(at, model),
            Token::Filter(filter) => match model {
                Value::Object(_) if predicate::accepts(filter, self.root, model) => self.step(at + 1, model),
                Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                    if predicate::accepts(filter, self.root, item) {
                        self.below(at, Place::Index(index), item)
                    } else {
                        Ok(())
                    }
                }),
                Value::Object(_) => Ok(()),
                other if self.definite_before(at) => Err(PathError::Invalid(format!(
                    "Filter: [?] can not be applied to primitives. Current context is: {other}"
                ))),
                _ => Ok(()),
            },
            Token::Function { name, parameters } => {
                let result = functions::call(name, parameters, self.root, model)?;
                self.after_function(at, result)
            }
        }
    }

    /// Goes on with a value one level below.
    fn below(&mut self, at: usize, place: Place<'v>, value: &'v Value) -> Result<(), PathError> {
        self.place.push(place);
        let result = self.step(at + 1, value);
        self.place.pop();
        result
    }

    /// The value of a function counts as a result, and the steps behind it go on from there.
    fn after_function(&mut self, at: usize, result: Value) -> Result<(), PathError> {
        if !self.is_last(at) {
            let rest = self.path.rebuilt(&self.path.inner.tokens[at + 1..]);
            let further = rest.hits(&result, &result, false)?;
            let owned: Vec<_> = further.into_iter().map(|hit| (hit.value.into_owned(), hit.by_index)).collect();
            self.hits.push(Hit { value: Cow::Owned(result), by_index: false, location: None });
            self.hits.extend(owned.into_iter().map(|(value, by_index)| Hit {
                value: Cow::Owned(value),
                by_index,
                location: None,
            }));
            return Ok(());
        }
        self.hits.push(Hit { value: Cow::Owned(result), by_index: false, location: None });
        Ok(())
    }

    fn fields(&self, at: usize, model: &'v Value) -> Result<Option<&'v Map<String, Value>>, PathError> {
        match model {
            Value::Object(fields) => Ok(Some(fields)),
            _ if !self.definite_before(at) => Ok(None),
            other => Err(PathError::NotFound(format!(
                "Expected to find an object with property {} in path {} but found '{}'. This is not a json object \
                 according to the JsonProvider: 'com.jayway.jsonpath.spi.json.GsonJsonProvider'.",
                self.path.inner.tokens[at],
                self.here(),
                kind(other)
            ))),
        }
    }

    fn property(&mut self, at: usize, key: &str, model: &'v Value) -> Result<(), PathError> {
        let Some(fields) = self.fields(at, model)? else { return Ok(()) };
        match fields.get_key_value(key) {
            Some((name, value)) => self.below(at, Place::Key(name), value),
            None if self.is_last(at) && !self.require => Ok(()),
            None if self.require || self.definite_before(at) => {
                Err(PathError::NotFound(format!("Missing property in path {}['{key}']", self.here())))
            }
            None => Ok(()),
        }
    }

    fn properties(&mut self, at: usize, keys: &[Arc<str>], model: &'v Value) -> Result<(), PathError> {
        if !self.is_last(at) {
            return keys.iter().try_for_each(|key| {
                match self.fields(at, model)?.and_then(|f| f.get_key_value(&**key)) {
                    Some((name, value)) => self.below(at, Place::Key(name), value),
                    None => Ok(()),
                }
            });
        }
        let Some(fields) = self.fields(at, model)? else { return Ok(()) };
        let merged: Map<String, Value> = keys
            .iter()
            .filter_map(|key| fields.get(&**key).map(|value| ((**key).to_owned(), normalized(value).into_owned())))
            .collect();
        self.hits.push(Hit { value: Cow::Owned(Value::Object(merged)), by_index: false, location: None });
        Ok(())
    }

    fn items(&self, at: usize, model: &'v Value) -> Result<Option<&'v Vec<Value>>, PathError> {
        match model {
            Value::Array(items) => Ok(Some(items)),
            _ if !self.definite_before(at) => Ok(None),
            Value::Null => Err(PathError::NotFound(format!("The path {} is null", self.here()))),
            other => Err(PathError::NotFound(format!(
                "Filter: {} can only be applied to arrays. Current context is: {other}",
                self.path.inner.tokens[at]
            ))),
        }
    }

    fn indexes(&mut self, at: usize, indexes: &[i64], model: &'v Value) -> Result<(), PathError> {
        let Some(items) = self.items(at, model)? else { return Ok(()) };
        indexes.iter().try_for_each(|index| {
            match effective(*index, items.len()).and_then(|index| Some((index, items.get(index)?))) {
                Some((index, item)) => self.below(at, Place::Index(index), item),
                None => Ok(()),
            }
        })
    }

    /// `[from:to]`. A negative start counts from the end; a negative end does so only without a start.
    fn slice(&mut self, at: usize, from: Option<i64>, to: Option<i64>, model: &'v Value) -> Result<(), PathError> {
        let Some(items) = self.items(at, model)? else { return Ok(()) };
        let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let range = match (from, to) {
            (Some(from), None) => (if from < 0 { (length + from).max(0) } else { from }, length),
            (None, Some(to)) => (0, if to < 0 { length + to } else { to.min(length) }),
            (Some(from), Some(to)) => (from, to.min(length)),
            (None, None) => (0, length),
        };
        (range.0..range.1).try_for_each(|index| {
            match effective(index, items.len()).and_then(|index| Some((index, items.get(index)?))) {
                Some((index, item)) => self.below(at, Place::Index(index), item),
                None => Ok(()),
            }
        })
    }

    fn wildcard(&mut self, at: usize, model: &'v Value) -> Result<(), PathError> {
        match model {
            Value::Object(fields) => fields.iter().try_for_each(|(key, value)| self.below(at, Place::Key(key), value)),
            Value::Array(items) => {
                items.iter().enumerate().try_for_each(|(index, item)| match self.below(at, Place::Index(index), item) {
                    Err(PathError::NotFound(_)) if !self.require => Ok(()),
                    other => other,
                })
            }
            _ => Ok(()),
        }
    }

    /// `..`: applies the next step to the value and to everything below it that the step fits, outer ones first.
    fn scan(&mut self, at: usize, model: &'v Value) -> Result<(), PathError> {
        let base = self.place.len();
        let mut stack: Vec<(usize, Option<Place<'v>>, &'v Value)> = vec![(base, None, model)];
        while let Some((depth, place, value)) = stack.pop() {
            self.visits = self.visits.checked_sub(1).ok_or(PathError::Limit(MAX_VISITS))?;
            self.place.truncate(depth);
            self.place.extend(place);
            if self.scan_fits(at + 1, value) {
                self.step(at + 1, value)?;
            }
            let depth = self.place.len();
            match value {
                Value::Object(fields) => {
                    stack
                        .extend(fields.iter().rev().map(|(key, value)| (depth, Some(Place::Key(key.as_str())), value)));
                }
                Value::Array(items) => {
                    let children = items.iter().enumerate().rev();
                    stack.extend(children.map(|(index, item)| (depth, Some(Place::Index(index)), item)));
                }
                _ => {}
            }
        }
        self.place.truncate(base);
        Ok(())
    }

    /// Jayway: `ScanPathToken#createScanPredicate`.
    fn scan_fits(&self, at: usize, value: &Value) -> bool {
        match self.path.inner.tokens.get(at) {
            Some(Token::Property(key)) => value.as_object().is_some_and(|fields| fields.contains_key(&**key)),
            Some(Token::Properties(keys)) => value
                .as_object()
                .is_some_and(|fields| !self.is_last(at) || keys.iter().all(|key| fields.contains_key(&**key))),
            Some(Token::Index(_) | Token::Indexes(_) | Token::Slice { .. }) => value.is_array(),
            Some(Token::Wildcard) => value.is_object() || value.is_array(),
            Some(Token::Filter(filter)) => {
                (value.is_object() || value.is_array()) && predicate::accepts(filter, self.root, value)
            }
            _ => false,
        }
    }
}

/// The Java class that Jayway names in its message.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "java.lang.Boolean",
        Value::Number(number) if number.is_i64() => "java.lang.Integer",
        Value::Number(_) => "java.lang.Double",
        Value::String(_) => "java.lang.String",
        Value::Array(_) => "com.google.gson.JsonArray",
        Value::Object(_) => "com.google.gson.JsonObject",
    }
}
