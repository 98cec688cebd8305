//! Sequence templates: a sequence with declared parameters.

use std::sync::Arc;

use crate::mediator::Sequence;

/// A sequence template. MI: `TemplateMediator`.
#[derive(Debug)]
pub struct SequenceTemplate {
    /// Name.
    pub name: Arc<str>,
    /// Declared parameters.
    pub parameters: Vec<TemplateParameter>,
    /// What it runs; `onError` is the sequence's.
    pub sequence: Arc<Sequence>,
}

/// A declared parameter of a template.
#[derive(Clone, Debug)]
pub struct TemplateParameter {
    /// Name.
    pub name: Arc<str>,
    /// A call without it is a fault.
    pub mandatory: bool,
    /// Value when a call gives none.
    pub default: Option<mi_message::Value>,
}
