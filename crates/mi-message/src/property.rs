//! One scope of properties: an ordered map from names to typed values.

use crate::{Text, Value};

/// Properties of one scope. Messages carry few of them, so a vector in insertion order beats a hash table and prints
/// in the order in which `log level="full"` users expect.
#[derive(Clone, Debug, Default)]
pub struct Properties {
    entries: Vec<(Text, Value)>,
}

impl Properties {
    /// No properties, with room for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity) }
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.entries.iter().find(|(key, _)| &**key == name).map(|(_, value)| value)
    }

    /// The value of `name` as a string slice, when it is a string.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        }
    }

    /// True when `name` is set to a boolean true or to the text `true` in any case, as MI's switches are read.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(Value::is_switched_on)
    }

    /// [`Properties::is_true`] for several names in one pass; the names must differ.
    pub fn are_true<const N: usize>(&self, names: [&str; N]) -> [bool; N] {
        let mut found = [false; N];
        for (key, value) in &self.entries {
            let key: &str = key;
            for (name, found) in names.iter().zip(&mut found) {
                if key.len() == name.len() && key == *name {
                    *found = value.is_switched_on();
                    break;
                }
            }
        }
        found
    }

    /// True when `name` is set.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets `name`; the place of a first setting is kept.
    pub fn set(&mut self, name: impl Into<Text> + AsRef<str>, value: impl Into<Value>) {
        let value = value.into();
        match self.entries.iter_mut().find(|(key, _)| **key == *name.as_ref()) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((name.into(), value)),
        }
    }

    /// [`Properties::set`] for a name that is part of the program.
    pub fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.set(Text::Fixed(name), value);
    }

    /// [`Properties::put`] for a name that is certainly not set yet, as in a message that has just come in.
    pub fn put_new(&mut self, name: &'static str, value: impl Into<Value>) {
        debug_assert!(!self.contains(name), "{name} is set already");
        self.entries.push((Text::Fixed(name), value.into()));
    }

    /// Sets `name`, or removes it when there is no value or the value is null.
    pub fn set_or_remove(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) if !value.is_null() => self.set(name, value),
            _ => {
                self.remove(name);
            }
        }
    }

    /// Removes `name` and gives back its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.entries.iter().position(|(key, _)| &**key == name)?;
        Some(self.entries.remove(at).1)
    }

    /// Removes every entry for which `drop` says so.
    pub fn remove_where(&mut self, mut drop: impl FnMut(&str) -> bool) {
        self.entries.retain(|(key, _)| !drop(key));
    }

    /// Names and values in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(name, value)| (&**name, value))
    }

    /// Number of properties.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without properties.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_read_together_are_those_read_alone() {
        let mut properties = Properties::default();
        for (name, value) in [
            ("ON", Value::from(true)),
            ("OFF", Value::from(false)),
            ("TEXT", Value::from(" True ")),
            ("OTHER", Value::from("yes")),
            ("AN", Value::from(true)),
        ] {
            properties.set(name, value);
        }
        let names = ["TEXT", "ON", "OFF", "OTHER", "MISSING", "AN"];
        assert_eq!(properties.are_true(names), names.map(|name| properties.is_true(name)));
        assert_eq!(properties.are_true(names), [true, true, false, false, false, true]);
    }
}
