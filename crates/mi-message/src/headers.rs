//! Transport headers: names keep their case and order, look-ups ignore case, a name may stand several times.

use std::sync::Arc;

use crate::Text;

/// Ordered transport headers. MI keeps them in a case-insensitive `TreeMap` with excess values aside; here all values
/// of a name stay where they were received.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    entries: Vec<Entry>,
}

/// A name and its value.
#[derive(Clone, Debug)]
enum Entry {
    Own(Text, Text),
    /// Both are parts, from and to, of a text that all fields of a received head share.
    Received {
        head: Arc<str>,
        name: (u32, u32),
        value: (u32, u32),
    },
}

impl Entry {
    fn name(&self) -> &str {
        match self {
            Self::Own(name, _) => name,
            Self::Received { head, name, .. } => part(head, *name),
        }
    }

    fn value(&self) -> &str {
        match self {
            Self::Own(_, value) => value,
            Self::Received { head, value, .. } => part(head, *value),
        }
    }

    /// Told apart by their lengths first, which is all that most names cost.
    #[inline]
    fn is(&self, name: &str) -> bool {
        let length = match self {
            Self::Own(name, _) => name.len(),
            Self::Received { name: (from, to), .. } => to.wrapping_sub(*from) as usize,
        };
        length == name.len() && {
            let own = self.name();
            own == name || own.eq_ignore_ascii_case(name)
        }
    }
}

/// Empty where the places are none of the text's.
fn part(head: &str, (from, to): (u32, u32)) -> &str {
    head.get(from as usize..to as usize).unwrap_or_default()
}

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// No headers, with room for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity) }
    }

    /// Headers that all stand in `head`: where each name and each value begins and ends, in bytes. Costs one copy of the
    /// head for all of them. A place that is none of `head`'s, or that cuts a character, reads as empty.
    pub fn of_head(head: &str, places: impl ExactSizeIterator<Item = [(u32, u32); 2]>) -> Self {
        let head: Arc<str> = head.into();
        // Room for what a flow adds.
        let mut entries = Vec::with_capacity(places.len() + 4);
        entries.extend(places.map(|[name, value]| Entry::Received { head: head.clone(), name, value }));
        Self { entries }
    }

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.is(name)).map(Entry::value)
    }

    /// All values of `name` in the order received.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter(move |entry| entry.is(name)).map(Entry::value)
    }

    /// True when `name` stands at least once.
    pub fn contains(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.is(name))
    }

    /// Replaces all values of `name` by one; the first place is kept, and the case of the name is the new one.
    pub fn set(&mut self, name: impl Into<Text>, value: impl Into<Text>) {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter().position(|entry| entry.is(&name)) {
            Some(at) => {
                if self.entries[at + 1..].iter().any(|entry| entry.is(&name)) {
                    let mut index = 0;
                    self.entries.retain(|entry| {
                        let keep = index <= at || !entry.is(&name);
                        index += 1;
                        keep
                    });
                }
                self.entries[at] = Entry::Own(name, value);
            }
            None => self.entries.push(Entry::Own(name, value)),
        }
    }

    /// [`Headers::set`] for a name that is part of the program.
    pub fn put(&mut self, name: &'static str, value: impl Into<Text>) {
        self.set(Text::Fixed(name), value);
    }

    /// Adds a value behind the others, also when `name` stands already.
    pub fn append(&mut self, name: impl Into<Text>, value: impl Into<Text>) {
        self.entries.push(Entry::Own(name.into(), value.into()));
    }

    /// Removes all values of `name`; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| !entry.is(name));
        self.entries.len() != before
    }

    /// Keeps the entries for which `keep`, given name and value, holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.entries.retain(|entry| keep(entry.name(), entry.value()));
    }

    /// A copy of the entries for which `keep`, given name and value, holds.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(&str, &str) -> bool) -> Self {
        let mut entries = Vec::with_capacity(self.entries.len() + 4);
        entries.extend(self.entries.iter().filter(|entry| keep(entry.name(), entry.value())).cloned());
        Self { entries }
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Name and value pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|entry| (entry.name(), entry.value()))
    }

    /// Number of entries; a name that stands twice counts twice.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<N: Into<Text>, V: Into<Text>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self { entries: pairs.into_iter().map(|(name, value)| Entry::Own(name.into(), value.into())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::Headers;

    #[test]
    fn set_replaces_all_and_keeps_the_place() {
        let mut headers: Headers = [("A", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        headers.set("a", "4");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "4"), ("b", "2")]);
        assert_eq!(headers.get("A"), Some("4"));
        assert!(headers.remove("B") && !headers.contains("b"));
    }

    #[test]
    fn a_head_is_shared_by_its_fields() {
        let places = [[(0, 1), (3, 4)], [(6, 8), (10, 12)], [(0, 99), (0, 0)]];
        let mut headers = Headers::of_head("A: 1\r\nbc: \u{e9}\r\n", places.into_iter());
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("A", "1"), ("bc", "\u{e9}"), ("", "")]);
        headers.set("BC", "3");
        assert_eq!(headers.filtered(|name, _| name != "A").iter().collect::<Vec<_>>(), [("BC", "3"), ("", "")]);
        headers.retain(|_, value| value == "1");
        assert_eq!(headers.len(), 1);
    }
}
