//! Enrichment of a JSON payload by JSON, without a detour over XML. MI: `Source#evaluateJson`, `Target#insertJson`.

use mi_config::{Diagnostic, Element};
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::Template;
use mi_expr::jsonpath::{self, Found, JsonPath, JsonStep, PathError};
use mi_message::Value;
use serde_json::Value as Json;

use super::complain;
use super::source::{InlineText, Source, SourceKind};
use super::target::{Action, Target, TargetKind};
use crate::{json, payload, resource};

/// What the property of a source holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Property {
    /// The source is no property, or there is nothing in it.
    None,
    Json(Json),
    /// Nothing that can be JSON: the message is treated as XML.
    Xml,
}

/// A JSONPath, possibly with `{…}` in it.
#[derive(Debug)]
pub(super) enum JsonPathText {
    Fixed(JsonPath),
    Made(Template),
}

impl JsonPathText {
    /// Compiles the text, with or without `json-eval(…)` around it.
    pub(super) fn parse(el: &Element, source: &str) -> Result<Self, Diagnostic> {
        let source = source.trim();
        let inside = source.strip_prefix("json-eval(").map_or(source, |rest| rest.strip_suffix(')').unwrap_or(rest));
        let invalid =
            |error: &dyn std::fmt::Display| el.error(format!("the JSONPath '{inside}' is not valid: {error}"));
        let template = Template::parse_inline(inside, &el.namespaces()).map_err(|error| invalid(&error))?;
        if !template.is_static() {
            return Ok(Self::Made(template));
        }
        if inside.contains(',') && JsonPath::compile(trimmed(inside)).is_err() {
            // Several paths with commas between them, which only `remove` takes apart.
            return Ok(Self::Made(template));
        }
        JsonPath::compile(trimmed(inside)).map(Self::Fixed).map_err(|error| invalid(&error))
    }

    /// True for `$`.
    pub(super) fn is_root(&self) -> bool {
        matches!(self, Self::Fixed(path) if path.is_root())
    }

    /// The text of the path for this message.
    fn text(&self, cx: &Context) -> Result<String, Fault> {
        match self {
            Self::Fixed(path) => Ok(path.source().to_owned()),
            Self::Made(template) => Ok(template.eval_inline(&cx.message, &*cx.snapshot)?),
        }
    }

    fn path(&self, cx: &Context) -> Result<JsonPath, Fault> {
        match self {
            Self::Fixed(path) => Ok(path.clone()),
            Self::Made(_) => compiled(&self.text(cx)?),
        }
    }

    /// What the path finds in the payload.
    pub(super) fn read(&self, cx: &Context) -> Result<Json, Fault> {
        let root = cx.message.body.json()?;
        Ok(found(self.path(cx)?.find(root))?.into_value())
    }
}

fn trimmed(path: &str) -> &str {
    path.strip_suffix('.').unwrap_or(path)
}

fn compiled(path: &str) -> Result<JsonPath, Fault> {
    JsonPath::compile(trimmed(path.trim()))
        .map_err(|error| Fault::new(format!("the JSONPath '{path}' is not valid: {error}")))
}

fn found(result: Result<Found<'_>, PathError>) -> Result<Found<'_>, Fault> {
    result.map_err(|error| Fault::new(error.to_string()))
}

/// Runs the enrichment on a message whose payload is JSON.
pub(super) fn enrich(
    source: &Source,
    target: &Target,
    property: Property,
    inline: Option<InlineText>,
    cx: &mut Context,
) -> Result<(), Fault> {
    if target.action == Action::Remove {
        return remove(source, target, cx);
    }
    let Some(value) = evaluate(source, property, inline, cx)? else {
        return Err(Fault::new("Failed to get the source for Enriching : "));
    };
    match &target.kind {
        TargetKind::JsonPath(path) => put(path, target.action, value, cx),
        TargetKind::Body => replace_body(target.action, value, cx),
        TargetKind::Property(name) => {
            set_property(name, target.action, value, cx);
            Ok(())
        }
        TargetKind::Key(path) => match value {
            Json::String(name) => rename(path, &name, cx),
            Json::Number(_) | Json::Bool(_) => rename(path, &value.to_string(), cx),
            _ => {
                Err(Fault::new("Failed to get the new key name from source for Enriching. Key name must be a string."))
            }
        },
        TargetKind::XPath(_) | TargetKind::GetProperty { .. } | TargetKind::Envelope => Ok(()),
    }
}

fn evaluate(
    source: &Source,
    property: Property,
    inline: Option<InlineText>,
    cx: &mut Context,
) -> Result<Option<Json>, Fault> {
    Ok(match &source.kind {
        SourceKind::JsonPath(path) => {
            let value = path.read(cx)?;
            if !source.clone {
                let path = path.path(cx)?;
                delete(&path, cx.message.body.json_mut()?);
            }
            Some(value)
        }
        SourceKind::Body => Some((**cx.message.body.json()?).clone()),
        SourceKind::Property(_) => match property {
            Property::Json(value) => Some(value),
            _ => None,
        },
        SourceKind::Inline(_) => match inline {
            Some(InlineText::Text(text)) => Some(parsed(&text)?),
            _ => None,
        },
        SourceKind::Key(key) => match resource::text(&cx.snapshot, key, resource::Layout::Verbatim) {
            Some(text) if !text.trim().is_empty() => Some(parsed(&text)?),
            _ => {
                complain(cx, &format!("Source failed to get inline JSON inlineKey={key}"));
                None
            }
        },
        SourceKind::XPath(_) | SourceKind::Envelope => None,
    })
}

fn parsed(text: &str) -> Result<Json, Fault> {
    json::parse_lenient(text).ok_or_else(|| Fault::new(format!("the inline content is no JSON: {text}")))
}

/// MI: `Target#setEnrichResultToBody`.
fn put(path: &JsonPathText, action: Action, value: Json, cx: &mut Context) -> Result<(), Fault> {
    let path = path.path(cx)?;
    match action {
        Action::Replace => {
            let root = cx.message.body.json()?;
            let places = path.locations(root);
            if places.is_empty()
                && let Some((parent, _)) = path.split_last()
            {
                // A missing field changes nothing, a missing object before it is an error.
                found(parent.find(root))?;
            }
            let root = cx.message.body.json_mut()?;
            for place in places {
                jsonpath::set(root, &place, value.clone());
            }
        }
        Action::Child => {
            let mut receiving = found(path.find(cx.message.body.json()?))?.into_value();
            match (&mut receiving, value) {
                (Json::Array(items), value) => items.push(value),
                (Json::Object(fields), Json::Object(more)) => fields.extend(more),
                (other, _) => {
                    let text =
                        format!("Cannot append since the target element is not a JSON array or JSONObject: {other}");
                    complain(cx, &text);
                }
            }
            let root = cx.message.body.json_mut()?;
            for place in path.locations(root) {
                jsonpath::set(root, &place, receiving.clone());
            }
        }
        Action::Sibling => complain(cx, "Action sibling is not supported. Please use child action instead"),
        Action::Remove => {}
    }
    Ok(())
}

fn replace_body(action: Action, value: Json, cx: &mut Context) -> Result<(), Fault> {
    if action != Action::Replace {
        complain(cx, "Unsupported action. Only replace is supported for target body.");
    } else if value.is_object() || value.is_array() {
        payload::set_json(&mut cx.message, value);
    } else {
        complain(
            cx,
            &format!("Unsupported JSON payload : {value}.Only JSON arrays and objects can be enriched to the body"),
        );
    }
    Ok(())
}

/// A property gets JSON as text.
fn set_property(name: &str, action: Action, value: Json, cx: &mut Context) {
    match action {
        Action::Replace => cx.message.properties.set(name, value.to_string()),
        Action::Child => {
            let Some(old) = cx.message.properties.get(name).map(as_text) else {
                complain(cx, &format!("Cannot find the property with name \"{name}\" to enrich"));
                return;
            };
            match json::parse_guessed(&old) {
                Some(Json::Array(mut items)) => {
                    items.push(value);
                    cx.message.properties.set(name, Json::Array(items).to_string());
                }
                _ => complain(cx, &format!("Cannot add child, since the target {old} is not an JSON array")),
            }
        }
        Action::Sibling => complain(cx, "Action sibling is not supported when enriching properties with JSON data"),
        Action::Remove => {}
    }
}

/// As `toString` gives it: JSON text in quotes.
fn as_text(value: &Value) -> String {
    match value {
        Value::Json(json) => json.to_string(),
        other => other.to_text().into_owned(),
    }
}

/// MI: `Target#removeJSONFromString`.
fn remove(source: &Source, target: &Target, cx: &mut Context) -> Result<(), Fault> {
    let SourceKind::JsonPath(path) = &source.kind else {
        return Err(Fault::new("source Xpath is mandatory for the Remove action"));
    };
    let text = path.text(cx)?;
    let text = text.trim_matches('"');
    match &target.kind {
        TargetKind::Body => {
            if removes_everything(text) {
                payload::set_json_text(&mut cx.message, "");
                return Ok(());
            }
            let ignore = mi_expr::Lookup::options(&*cx.snapshot).ignore_missing_json_path;
            remove_paths(text, cx.message.body.json_mut()?, ignore)
        }
        TargetKind::Property(name) => {
            let old = match cx.message.properties.get(name) {
                Some(Value::String(text)) => json::parse_lenient(text),
                Some(Value::Json(value)) => Some((**value).clone()),
                _ => None,
            };
            let mut value = old.ok_or_else(|| {
                Fault::new(format!(
                    "Cannot perform the remove operation. Data type of the property {name} is not string | JSON"
                ))
            })?;
            if removes_everything(text) {
                cx.message.properties.set(name.as_str(), "");
                return Ok(());
            }
            let ignore = mi_expr::Lookup::options(&*cx.snapshot).ignore_missing_json_path;
            remove_paths(text, &mut value, ignore)?;
            cx.message.properties.set(name.as_str(), value.to_string());
            Ok(())
        }
        _ => Err(Fault::new("Target type is invalid for the remove action")),
    }
}

fn removes_everything(paths: &str) -> bool {
    paths.split(',').any(|path| matches!(path, "$" | "$."))
}

fn remove_paths(paths: &str, root: &mut Json, ignore_missing: bool) -> Result<(), Fault> {
    for text in paths.split(',') {
        let path = compiled(text)?;
        match path.find(root) {
            Ok(Found::One(_)) => delete(&path, root),
            Ok(Found::Many(values)) if !values.is_empty() => delete(&path, root),
            Ok(Found::Many(_)) => nothing_removed(text),
            Err(PathError::NotFound(_)) if ignore_missing => nothing_removed(text),
            Err(error) => return Err(Fault::new(error.to_string())),
        }
    }
    Ok(())
}

fn nothing_removed(path: &str) {
    log::info!(
        target: "Target",
        "No matching elements were found for the given JSONPath: {path}. Therefore, no elements were removed."
    );
}

/// Removes from the end, so that the places in front stay right.
fn delete(path: &JsonPath, root: &mut Json) {
    for place in path.locations(root).iter().rev() {
        jsonpath::remove(root, place);
    }
}

/// The field gets its new name and moves behind the others. Jayway: `DocumentContext#renameKey`.
fn rename(path: &JsonPathText, name: &str, cx: &mut Context) -> Result<(), Fault> {
    let path = path.path(cx)?;
    let Some((parent, JsonStep::Key(old))) = path.split_last() else {
        return Err(Fault::new(format!("Failed to rename the key: {path} does not end with the name of a field")));
    };
    found(parent.find(cx.message.body.json()?))?;
    let root = cx.message.body.json_mut()?;
    for place in parent.locations(root) {
        if let Some(Json::Object(fields)) = jsonpath::get_mut(root, &place) {
            let value = fields
                .shift_remove(&*old)
                .ok_or_else(|| Fault::new(format!("No results for Key {old} found in map!")))?;
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(())
}
