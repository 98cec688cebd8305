//! The tables through which components make themselves known. The engine names none of them.

use std::collections::HashMap;

use mi_config::{Diagnostic, Element};

use crate::build::BuildCx;
use crate::mediator::Mediator;

/// How a mediator is read from its element. Names are resolved to slots of the snapshot on the way, so what comes
/// out is what runs.
pub type ParseMediator = fn(&Element, &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic>;

/// One mediator.
#[derive(Clone, Copy, Debug)]
pub struct MediatorSpec {
    /// Local name of its element.
    pub tag: &'static str,
    /// Reads it.
    pub parse: ParseMediator,
}

/// All mediators that a build knows, by tag.
#[derive(Debug, Default)]
pub struct Specs {
    mediators: HashMap<&'static str, MediatorSpec>,
    /// Asked for tags of the form `library.operation`.
    connector: Option<ParseMediator>,
}

impl Specs {
    /// A registry of `tables`.
    pub fn new(tables: &[&[MediatorSpec]]) -> Self {
        let mediators = tables.iter().flat_map(|table| table.iter()).map(|spec| (spec.tag, *spec)).collect();
        Self { mediators, connector: None }
    }

    /// Sets what reads connector operations.
    pub fn with_connector(mut self, parse: ParseMediator) -> Self {
        self.connector = Some(parse);
        self
    }

    /// The mediator for `tag`.
    pub fn mediator(&self, tag: &str) -> Option<ParseMediator> {
        match self.mediators.get(tag) {
            Some(spec) => Some(spec.parse),
            None => self.connector.filter(|_| tag.contains('.')),
        }
    }

    /// All tags, for suggestions.
    pub fn tags(&self) -> impl Iterator<Item = &'static str> {
        self.mediators.keys().copied()
    }
}
