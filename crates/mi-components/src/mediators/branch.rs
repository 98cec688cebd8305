//! Branches: an anonymous sequence inside an element, or the name of one in the attribute `sequence`.

use mi_config::{Diagnostic, Element, SequenceBody, SequenceRef};
use mi_engine::build::BuildCx;
use mi_engine::context::SequenceTarget;

/// The branch inside `el`, with its `onError` when it has one. MI: `SequenceMediatorFactory#createAnonymousSequence`.
pub(super) fn inline(el: &Element, cx: &mut BuildCx<'_>) -> SequenceTarget {
    cx.target(&SequenceRef::Inline(SequenceBody::parse(el)))
}

/// The sequence that the attribute `attr` of `el` names.
pub(super) fn named(el: &Element, attr: &str, cx: &mut BuildCx<'_>) -> Result<Option<SequenceTarget>, Diagnostic> {
    Ok(el.qualified_attr(attr)?.map(|name| SequenceTarget::Named(cx.sequence_ref(&name))))
}

/// The sequence that `sequence` names, else the mediators inside `el`.
pub(super) fn named_or_inline(el: &Element, cx: &mut BuildCx<'_>) -> Result<SequenceTarget, Diagnostic> {
    match named(el, "sequence", cx)? {
        Some(target) => Ok(target),
        None => Ok(inline(el, cx)),
    }
}
