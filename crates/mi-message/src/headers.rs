//! Transport headers: names keep their case and order, look-ups ignore case, a name may stand several times.

use std::sync::Arc;

/// Ordered transport headers. MI keeps them in a case-insensitive `TreeMap` with excess values aside; here all values
/// of a name stay where they were received.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    entries: Vec<(Arc<str>, Arc<str>)>,
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

    /// The first value of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// All values of `name` in the order received.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| &**value)
    }

    /// True when `name` stands at least once.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Replaces all values of `name` by one; the first place is kept, and the case of the name is the new one.
    pub fn set(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        let (name, value) = (name.into(), value.into());
        match self.entries.iter().position(|(key, _)| key.eq_ignore_ascii_case(&name)) {
            Some(at) => {
                let mut index = 0;
                self.entries.retain(|(key, _)| {
                    let keep = index == at || !key.eq_ignore_ascii_case(&name);
                    index += 1;
                    keep
                });
                self.entries[at] = (name, value);
            }
            None => self.entries.push((name, value)),
        }
    }

    /// Adds a value behind the others, also when `name` stands already.
    pub fn append(&mut self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) {
        self.entries.push((name.into(), value.into()));
    }

    /// Removes all values of `name`; tells whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.entries.len();
        self.entries.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.entries.len() != before
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Name and value pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, value)| (&**name, &**value))
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

impl<N: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        Self { entries: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
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
}
