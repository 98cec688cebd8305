//! Dates and times, in the server's time zone.

use super::{Answer, Call, Prepared, literal, text_item};
use crate::Namespaces;
use crate::java_date::{DateError, DateText, Flavour};
use crate::synapse::Failure;
use crate::synapse::ast::Node;
use crate::synapse::item::Item;

/// Milliseconds since 1970.
pub(super) fn now<'a>(call: &Call<'a>) -> Answer<'a> {
    Ok(Item::Long(call.scope.lookup.now_millis()))
}

pub(super) fn prepare(nodes: &[Node], _: &Namespaces) -> Prepared {
    let compiled = |at| literal(nodes, at).and_then(|text| DateText::compile(&text, Flavour::Formatter).ok());
    Prepared::Dates((0..nodes.len()).map(compiled).collect())
}

/// The format at an argument, compiled before or now.
fn with_format<T>(
    call: &Call<'_>,
    at: usize,
    text: &str,
    use_it: impl FnOnce(&DateText) -> Result<T, DateError>,
) -> Result<T, DateError> {
    match call.prepared {
        Prepared::Dates(formats) if matches!(formats.get(at), Some(Some(_))) => {
            formats[at].as_ref().map_or_else(|| Err(DateError(String::new())), use_it)
        }
        _ => use_it(&DateText::compile(text, Flavour::Formatter)?),
    }
}

/// `formatDateTime(millis, format)` and `formatDateTime(text, format of the text, format)`.
pub(super) fn format_date_time<'a>(call: &Call<'a>) -> Answer<'a> {
    if call.items.len() == 2 {
        return format_millis(call);
    }
    let (Some(text), Some(old), Some(new)) = (call.text(0), call.text(1), call.text(2)) else {
        return call.invalid("formatDateTime");
    };
    with_format(call, 2, &new, |_| Ok(())).map_err(|_| {
        Failure::soft(format!("Invalid target format provided for formatDateTime function. Format: {new}"))
    })?;
    with_format(call, 1, &old, |format| format.parse(&text))
        .and_then(|moment| with_format(call, 2, &new, |format| format.format(&moment)))
        .map(text_item)
        .map_err(|_| {
            Failure::soft(format!(
                "Invalid date/time or source format provided for formatDateTime function. Source: {text} Format: {old}"
            ))
        })
}

fn format_millis<'a>(call: &Call<'a>) -> Answer<'a> {
    let item = &call.items[0];
    let Some(format) = call.text(1).filter(|_| item.is_numeric()) else { return call.invalid("formatDateTime") };
    let millis = item.as_long()?;
    let offset = call.scope.lookup.zone_offset_seconds(millis);
    let moment = crate::java_date::Moment::of_instant(millis, offset);
    with_format(call, 1, &format, |pattern| match moment {
        Some(moment) => pattern.format(&moment),
        None => Err(DateError("Instant exceeds minimum or maximum instant".to_owned())),
    })
    .map(text_item)
    .map_err(|_| Failure::soft(format!("Invalid date format provided for formatDateTime function. Format: {format}")))
}
