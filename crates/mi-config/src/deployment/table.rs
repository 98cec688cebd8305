//! A TOML file as full keys with their places, so that a setting can be looked up by any of its spellings
//! and what nobody looked up can be reported.

use std::cell::Cell;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Diagnostics, Severity};

/// The settings of a file.
#[derive(Debug, Default)]
pub(super) struct Table {
    file: String,
    line_starts: Vec<usize>,
    entries: BTreeMap<String, Entry>,
    /// Tables of `[[name]]`, by name.
    arrays: BTreeMap<String, Vec<Table>>,
}

/// A setting.
#[derive(Debug)]
pub(super) struct Entry {
    /// A scalar has one value, a list any number.
    pub(super) values: Vec<String>,
    pub(super) offset: usize,
    used: Cell<bool>,
}

/// The scalars of a `[[table]]` by their key within it; lists are joined by commas.
pub type TableSettings = BTreeMap<String, String>;

impl Entry {
    /// Is this its value? Case and blanks around do not count.
    pub(super) fn is(&self, value: &str) -> bool {
        self.text().trim().eq_ignore_ascii_case(value)
    }

    fn text(&self) -> String {
        self.values.join(",")
    }
}

impl Table {
    pub(super) fn parse(file: &str, text: &str, out: &mut Diagnostics) -> Self {
        let line_starts: Vec<usize> =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let mut table = Self { file: file.to_owned(), line_starts, ..Self::default() };
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            let message = error.message().trim().to_owned();
            out.push(table.diagnostic(Severity::Error, offset, message));
        }
        table.add(root.get_ref(), "");
        table
    }

    /// Recursion is capped by the TOML parser's own limit.
    fn add(&mut self, tree: &DeTable<'_>, prefix: &str) {
        for (key, value) in tree {
            let name = join(prefix, key.get_ref());
            self.add_value(name, key.span().start, value);
        }
    }

    fn add_value(&mut self, name: String, offset: usize, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(tree) => self.add(tree, &name),
            DeValue::Array(list) if list.iter().any(|it| matches!(it.get_ref(), DeValue::Table(_))) => {
                let tables = list.iter().filter_map(|it| match it.get_ref() {
                    DeValue::Table(tree) => Some(tree),
                    _ => None,
                });
                for tree in tables {
                    let mut table =
                        Self { file: self.file.clone(), line_starts: self.line_starts.clone(), ..Self::default() };
                    table.add(tree, "");
                    self.arrays.entry(name.clone()).or_default().push(table);
                }
            }
            DeValue::Array(list) => {
                let values = list.iter().filter_map(|it| scalar(it.get_ref())).collect();
                self.insert(name, offset, values);
            }
            other => self.insert(name, offset, scalar(other).into_iter().collect()),
        }
    }

    fn insert(&mut self, name: String, offset: usize, values: Vec<String>) {
        self.entries.insert(name, Entry { values, offset, used: Cell::new(false) });
    }

    pub(super) fn diagnostic(&self, severity: Severity, offset: usize, message: String) -> Diagnostic {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let column = offset - self.line_starts.get(line - 1).copied().unwrap_or_default();
        let place = (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column + 1).unwrap_or(u32::MAX));
        Diagnostic::of_file(severity, self.file.as_str(), message).at(place.0, place.1)
    }

    /// All settings with their full keys, those of `[[tables]]` left out.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Gives every text to `change`, also in `[[tables]]`; entries for which it fails are taken out.
    pub(super) fn rewrite(
        &mut self,
        change: &mut dyn FnMut(&str) -> Result<Option<String>, String>,
        out: &mut Diagnostics,
    ) {
        let mut failed = Vec::new();
        for (key, entry) in &mut self.entries {
            for value in &mut entry.values {
                match change(value) {
                    Ok(Some(text)) => *value = text,
                    Ok(None) => {}
                    Err(message) => failed.push((key.clone(), entry.offset, message)),
                }
            }
        }
        for (key, offset, message) in failed {
            out.push(self.diagnostic(Severity::Error, offset, format!("{key}: {message}")));
            self.entries.remove(&key);
        }
        for table in self.arrays.values_mut().flatten() {
            table.rewrite(change, out);
        }
    }

    /// Settings that nobody asked for.
    pub(super) fn unused(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries().filter(|(_, entry)| !entry.used.get())
    }

    /// Names of the `[[tables]]`, each with the offset of the first key in them.
    pub(super) fn arrays(&self) -> impl Iterator<Item = (&str, usize)> {
        let first = |tables: &Vec<Self>| tables.iter().flat_map(Self::entries).map(|(_, entry)| entry.offset).min();
        self.arrays.iter().map(move |(name, tables)| (name.as_str(), first(tables).unwrap_or_default()))
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        let entry = self.entries.get(key)?;
        entry.used.set(true);
        Some(entry)
    }

    /// Value of a key.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        self.entry(key).map(Entry::text)
    }

    /// Value of the first of `keys` that is set; the others count as asked for, too.
    pub(super) fn any_text(&self, keys: &[&str]) -> Option<String> {
        keys.iter().filter_map(|key| self.text(key)).reduce(|first, _| first)
    }

    /// Values of a list, or of a text with commas.
    pub(super) fn list(&self, key: &str) -> Option<Vec<String>> {
        let entry = self.entry(key)?;
        let parts = entry.values.iter().flat_map(|value| value.split(','));
        Some(parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }

    /// Keys below `prefix.` with their values.
    pub(super) fn below(&self, prefix: &str) -> Vec<(String, String)> {
        let start = format!("{prefix}.");
        let found = self.entries.range(start.clone()..).take_while(|(key, _)| key.starts_with(&start));
        found
            .map(|(key, entry)| {
                entry.used.set(true);
                (key[start.len()..].to_owned(), entry.text())
            })
            .collect()
    }

    /// The `[[tables]]` of a name.
    pub(super) fn tables(&self, name: &str) -> &[Table] {
        self.arrays.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// All scalars of this table.
    pub(super) fn flat(&self) -> TableSettings {
        self.entries().map(|(key, entry)| (key.to_owned(), entry.text())).collect()
    }

    /// A warning at the place of a key.
    pub(super) fn warn(&self, key: &str, message: String, out: &mut Diagnostics) {
        let offset = self.entries.get(key).map_or(0, |entry| entry.offset);
        out.push(self.diagnostic(Severity::Warning, offset, message));
    }
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// Numbers, booleans and dates as they are written; nested lists are left out.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
