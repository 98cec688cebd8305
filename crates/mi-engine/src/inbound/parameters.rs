//! Settings of an inbound endpoint, a proxy's transport or a task, with keys replaced by what they stand for.

use mi_config::{Diagnostic, Element, ParameterValue};

use crate::build::BuildCx;

/// Named settings.
#[derive(Clone, Debug)]
pub struct Parameters {
    entries: Vec<Entry>,
    element: Element,
}

#[derive(Clone, Debug)]
struct Entry {
    name: String,
    value: Setting,
    element: Element,
}

#[derive(Clone, Debug)]
enum Setting {
    Text(String),
    Xml(Element),
}

impl Parameters {
    /// The parameters of the artifact at `element`. `resolve` gives the text behind a key; a key without one, and an
    /// expression (which has no message to look at), leaves its parameter out.
    pub fn new(
        parameters: &[mi_config::Parameter],
        element: &Element,
        resolve: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let entries = parameters
            .iter()
            .filter_map(|parameter| {
                let value = match &parameter.value {
                    ParameterValue::Text(text) => Setting::Text(text.clone()),
                    ParameterValue::Key(key) => Setting::Text(resolve(key)?),
                    ParameterValue::Xml(element) => Setting::Xml(element.clone()),
                    ParameterValue::Expression(_) => return None,
                };
                Some(Entry { name: parameter.name.clone(), value, element: parameter.element.clone() })
            })
            .collect();
        Self { entries, element: element.clone() }
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        // Parameters are a map in MI, so the last one wins.
        self.entries.iter().rev().find(|entry| entry.name == name)
    }

    /// The text of a parameter, trimmed.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.find(name)?.value {
            Setting::Text(text) => Some(text.trim()),
            Setting::Xml(_) => None,
        }
    }

    /// The text of a parameter, when there is more in it than blanks.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// The element inside a parameter.
    pub fn xml(&self, name: &str) -> Option<&Element> {
        match &self.find(name)?.value {
            Setting::Xml(element) => Some(element),
            Setting::Text(_) => None,
        }
    }

    /// True for the text `true` in any case. MI: `Boolean#parseBoolean`.
    pub fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The element that a diagnostic on `name` points to: the parameter, or the artifact when it is not there.
    pub fn place(&self, name: &str) -> &Element {
        self.find(name).map_or(&self.element, |entry| &entry.element)
    }

    /// A whole number. `None` when it is not set, an error (on which MI logs and uses the default) when it is not one.
    pub fn number<N: std::str::FromStr>(&self, name: &str) -> Result<Option<N>, Diagnostic> {
        let Some(text) = self.filled(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            self.place(name).warning(format!("'{name}' must be a number, not '{text}'; its default is used"))
        })
    }

    /// Names in the order given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.name.as_str())
    }

    /// Warns of parameters that begin with one of `prefixes` and are not among those that are `known`.
    pub fn warn_unknown(&self, prefixes: &[&str], known: &[&str], cx: &mut BuildCx<'_>) {
        let unknown = |name: &&str| prefixes.iter().any(|it| name.starts_with(it)) && !known.contains(name);
        for name in self.names().filter(unknown) {
            cx.report(self.place(name).warning(format!("'{name}' is not known and has no effect")));
        }
    }

    /// A text that is the same for the same settings.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = String::new();
        for entry in &self.entries {
            text.push_str(&entry.name);
            text.push('=');
            match &entry.value {
                Setting::Text(value) => text.push_str(value),
                Setting::Xml(element) => text.push_str(&element.to_xml()),
            }
            text.push('\n');
        }
        text
    }
}
