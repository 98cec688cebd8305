//! Sequence templates as those who are compiled see them.

use std::sync::Arc;

use super::{BuildCx, NameSource};
use crate::snapshot::TemplateRef;

impl BuildCx<'_> {
    /// Is there a sequence template of that name?
    pub fn has_template(&self, name: &str) -> bool {
        match &self.names {
            NameSource::Open(names) => names.declared_templates.contains(name),
            NameSource::Closed(snapshot) => snapshot.templates.by_name(name).is_some(),
        }
    }

    /// Names of the sequence templates that begin with `prefix`, in their order.
    pub fn templates_of(&self, prefix: &str) -> Vec<Arc<str>> {
        let mut found: Vec<Arc<str>> = match &self.names {
            NameSource::Open(names) => {
                names.declared_templates.iter().filter(|it| it.starts_with(prefix)).cloned().collect()
            }
            NameSource::Closed(snapshot) => {
                snapshot.templates.iter().map(|(name, _)| name).filter(|it| it.starts_with(prefix)).cloned().collect()
            }
        };
        found.sort_unstable();
        found
    }

    /// A reference to a sequence template.
    pub fn template_ref(&mut self, name: &str) -> TemplateRef {
        let slot = match &mut self.names {
            NameSource::Open(names) => Some(names.templates.reserve(name)),
            NameSource::Closed(snapshot) => snapshot.templates.find(name),
        };
        TemplateRef { slot, name: name.into() }
    }
}
