//! `<enrich>` copies a part of the message, a property or fixed content to another part or property.
//!
//! There are two worlds: XML nodes (`source`, `target`), and JSON values when the payload is JSON and neither side asks
//! for XML (`native_json`). Which one runs is decided for each message, as MI does.

mod native_json;
mod source;
mod target;
#[cfg(test)]
mod tests;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;

use self::source::Source;
use self::target::{Action, Target, TargetKind};

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("enrich", parse).attributes(&[]).children(&["source", "target"]);

#[derive(Debug)]
struct Enrich {
    source: Source,
    target: Target,
    /// False when one of the sides can be XML only.
    can_be_json: bool,
}

/// The `type` of either side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Custom,
    Envelope,
    Body,
    Property,
    Inline,
    Key,
}

const TYPES: &[(&str, Type)] = &[
    ("custom", Type::Custom),
    ("envelope", Type::Envelope),
    ("body", Type::Body),
    ("property", Type::Property),
    ("inline", Type::Inline),
    ("key", Type::Key),
];

fn parse(el: &Element, _cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    let source_element = el.child("source").ok_or_else(|| el.error("<enrich> needs a <source>"))?;
    let target_element = el.child("target").ok_or_else(|| el.error("<enrich> needs a <target>"))?;
    check_combination(&source_element, &target_element)?;
    let source = Source::parse(&source_element, parse_type(&source_element)?.unwrap_or(Type::Custom))?;
    let target = Target::parse(&target_element, parse_type(&target_element)?.unwrap_or(Type::Custom))?;
    let can_be_json = source.can_be_json() && target.can_be_json();
    Ok(Box::new(Enrich { source, target, can_be_json }))
}

fn parse_type(el: &Element) -> Result<Option<Type>, Diagnostic> {
    let Some(name) = el.attr("type") else { return Ok(None) };
    match TYPES.iter().find(|(known, _)| *known == name) {
        Some((_, found)) => Ok(Some(*found)),
        None => Err(el
            .error(format!("Unexpected type '{name}' of <{}>", el.name()))
            .hint("one of custom, envelope, body, property, inline, key")),
    }
}

/// MI: `EnrichMediatorFactory#validateTypeCombination`. A target without a type passes some checks that an explicit
/// `custom` does not.
fn check_combination(source: &Element, target: &Element) -> Result<(), Diagnostic> {
    let from = parse_type(source)?.unwrap_or(Type::Custom);
    let to = parse_type(target)?;
    let action = Action::parse(target)?;
    if to == Some(Type::Inline) {
        return Err(target.error("Inline not support for target attribute"));
    }
    let wrong = match (from, to) {
        (Type::Envelope, Some(Type::Custom | Type::Envelope | Type::Body)) => true,
        (Type::Body, Some(Type::Envelope | Type::Body | Type::Key)) => true,
        (Type::Custom, Some(Type::Envelope)) => true,
        (_, Some(Type::Key)) => action != Action::Replace,
        (_, Some(Type::Envelope)) if action != Action::Replace => true,
        _ => false,
    };
    if wrong {
        return Err(target.error("Wrong combination of source and target type"));
    }
    if action == Action::Remove {
        if from != Type::Custom {
            return Err(source.error("Wrong combination of source type and target action"));
        }
        if matches!(to, Some(Type::Custom | Type::Envelope)) {
            return Err(target.error("Wrong combination of target type and target action"));
        }
    }
    Ok(())
}

impl Mediator for Enrich {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let inline = self.source.inline_text(cx)?;
        let is_json = self.can_be_json && cx.message.body.is_json() && !inline.as_ref().is_some_and(|it| it.is_xml());
        let property = if is_json { self.source.property_as_json(cx) } else { native_json::Property::None };
        if is_json && property != native_json::Property::Xml {
            native_json::enrich(&self.source, &self.target, property, inline, cx)?;
        } else {
            let items = self.source.items(inline, cx)?;
            self.target.insert(items, cx)?;
        }
        if matches!(self.target.kind, TargetKind::Body | TargetKind::Envelope) {
            cx.message.axis2.remove("NO_ENTITY_BODY");
        }
        Ok(Flow::Next)
    }
}

/// What goes wrong without stopping the message in MI is logged only.
fn complain(cx: &Context, text: &str) {
    log::error!(target: "EnrichMediator", "{}{text}", cx.artifact.log_prefix);
}
