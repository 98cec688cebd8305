//! Functions and maps as values.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Program;
use super::ast::Lambda;
use super::sequence::Sequence;
use super::value::Item;

/// A function with the variables it saw where it was made.
pub struct FunctionItem<'d> {
    pub(super) lambda: Arc<Lambda>,
    pub(super) program: Arc<Program>,
    pub(super) captured: Vec<Sequence<'d>>,
}

impl FunctionItem<'_> {
    /// How many arguments it takes.
    pub fn arity(&self) -> usize {
        self.lambda.params.len()
    }

    /// Its name, or `function`.
    pub fn name(&self) -> &str {
        &self.lambda.name
    }
}

impl fmt::Debug for FunctionItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.name(), self.arity())
    }
}

/// A map; its entries keep the order in which they were added.
#[derive(Debug, Clone, Default)]
pub struct MapItem<'d> {
    entries: Vec<(Item<'d>, Sequence<'d>)>,
    /// Where an entry is, by what makes keys the same.
    index: HashMap<String, usize>,
}

impl<'d> MapItem<'d> {
    /// Keys and values in order.
    pub fn entries(&self) -> &[(Item<'d>, Sequence<'d>)] {
        &self.entries
    }

    pub(super) fn get(&self, key: &str) -> Option<&Sequence<'d>> {
        self.index.get(key).map(|at| &self.entries[*at].1)
    }

    /// Adds an entry or replaces the value of one.
    pub(super) fn insert(&mut self, name: String, key: Item<'d>, value: Sequence<'d>) {
        match self.index.get(&name) {
            Some(at) => self.entries[*at] = (key, value),
            None => {
                self.index.insert(name, self.entries.len());
                self.entries.push((key, value));
            }
        }
    }

    pub(super) fn without(&self, names: &[String]) -> Self {
        let mut out = Self::default();
        let mut by_place: Vec<(&String, usize)> = self.index.iter().map(|(name, at)| (name, *at)).collect();
        by_place.sort_unstable_by_key(|(_, at)| *at);
        for (name, at) in by_place.into_iter().filter(|(name, _)| !names.contains(name)) {
            let (key, value) = self.entries[at].clone();
            out.insert(name.clone(), key, value);
        }
        out
    }
}
