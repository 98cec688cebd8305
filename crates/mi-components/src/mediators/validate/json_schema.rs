//! JSON Schema, draft 4 whatever the schema says, as MI's library has it, with its wording of the commonest errors.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, Retrieve, Uri, ValidationError, Validator};
use serde_json::Value;

use crate::resource::{Layout, Reader};

/// A compiled schema.
#[derive(Debug)]
pub(super) struct JsonSchema(Validator);

impl JsonSchema {
    /// Compiles a schema; its references reach the registry and local entries, nothing else.
    pub(super) fn compile(text: &str, reader: Reader) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let options = jsonschema::options().with_draft(Draft::Draft4).with_retriever(Entries(reader));
        options.build(&schema).map(Self).map_err(|error| error.to_string())
    }

    /// The first thing that is wrong: in short, and in full.
    pub(super) fn first_error(&self, value: &Value) -> Option<(String, String)> {
        let errors: Vec<ValidationError<'_>> = self.0.iter_errors(value).take(MAX_ERRORS).collect();
        let error = first_of(&errors, value)?;
        let message = match error.kind() {
            ValidationErrorKind::Required { .. } => missing(error, &errors),
            kind => message(kind, error.instance()).unwrap_or_else(|| error.to_string()),
        };
        let detail = format!(
            "error: {message}\n    level: \"error\"\n    schema: {{\"pointer\":\"{}\"}}\n    instance: {{\"pointer\":\"{}\"}}\n    keyword: \"{}\"",
            error.schema_path(),
            error.instance_path(),
            error.kind().keyword(),
        );
        Some((message, detail))
    }
}

/// Errors that are looked at to find the first.
const MAX_ERRORS: usize = 1000;

/// The error that MI's library comes to first: what is wrong with a value itself goes before what is wrong within it, keywords
/// and names of members go by the alphabet. MI: `InstanceValidator#process` of json-schema-validator.
fn first_of<'e, 'v>(errors: &'e [ValidationError<'v>], value: &Value) -> Option<&'e ValidationError<'v>> {
    let mut left: Vec<(Vec<&str>, &ValidationError<'_>)> =
        errors.iter().map(|error| (error.instance_path().as_str().split('/').skip(1).collect(), error)).collect();
    let mut at = Some(value);
    for depth in 0.. {
        let here = left.iter().filter(|(path, _)| path.len() == depth);
        if let Some((_, error)) = here.min_by_key(|(_, error)| error.kind().keyword()) {
            return Some(error);
        }
        let in_array = at.is_some_and(Value::is_array);
        let key = |segment: &str| {
            (if in_array { segment.parse::<usize>().unwrap_or_default() } else { 0 }, segment.to_owned())
        };
        let first = left.iter().filter_map(|(path, _)| path.get(depth)).min_by_key(|segment| key(segment)).copied()?;
        left.retain(|(path, _)| path.get(depth) == Some(&first));
        at = at.and_then(|value| match value {
            Value::Array(items) => items.get(first.parse::<usize>().ok()?),
            value => value.get(first.replace("~1", "/").replace("~0", "~")),
        });
    }
    None
}

/// All members that one `required` misses, in one message.
fn missing(first: &ValidationError<'_>, errors: &[ValidationError<'_>]) -> String {
    let same = |error: &&ValidationError<'_>| {
        error.instance_path() == first.instance_path() && error.schema_path() == first.schema_path()
    };
    let mut names: Vec<String> = errors
        .iter()
        .filter(same)
        .filter_map(|error| match error.kind() {
            ValidationErrorKind::Required { property } => Some(property.to_string()),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    format!("object has missing required properties ([{}])", names.join(","))
}

/// The wording of `json-schema-validator`, where people look for it.
fn message(kind: &ValidationErrorKind, instance: &Value) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Type { kind } => {
            let allowed = match kind {
                TypeKind::Single(single) => format!("\"{single}\""),
                TypeKind::Multiple(several) => {
                    several.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(",")
                }
            };
            format!(
                "instance type ({}) does not match any allowed primitive type (allowed: [{allowed}])",
                type_name(instance)
            )
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let mut names: Vec<String> = unexpected.iter().map(|name| format!("\"{name}\"")).collect();
            names.sort_unstable();
            format!("object instance has properties which are not allowed by the schema: [{}]", names.join(","))
        }
        ValidationErrorKind::Enum { options } => {
            format!("instance value ({instance}) not found in enum (possible values: {options})")
        }
        ValidationErrorKind::MinLength { limit } => format!(
            "string {instance} is too short (length: {}, required minimum: {limit})",
            instance.as_str().map_or(0, |text| text.chars().count())
        ),
        ValidationErrorKind::MaxLength { limit } => format!(
            "string {instance} is too long (length: {}, maximum allowed: {limit})",
            instance.as_str().map_or(0, |text| text.chars().count())
        ),
        ValidationErrorKind::ExclusiveMinimum { limit } if limit == instance => {
            format!("numeric instance is not strictly greater than the required minimum {limit}")
        }
        ValidationErrorKind::ExclusiveMaximum { limit } if limit == instance => {
            format!("numeric instance is not strictly lower than the required maximum {limit}")
        }
        ValidationErrorKind::Minimum { limit } | ValidationErrorKind::ExclusiveMinimum { limit } => {
            format!("numeric instance is lower than the required minimum (minimum: {limit}, found: {instance})")
        }
        ValidationErrorKind::Maximum { limit } | ValidationErrorKind::ExclusiveMaximum { limit } => {
            format!("numeric instance is greater than the required maximum (maximum: {limit}, found: {instance})")
        }
        ValidationErrorKind::MinItems { limit } => format!(
            "array is too short: must have at least {limit} elements but instance has {} elements",
            instance.as_array().map_or(0, Vec::len)
        ),
        ValidationErrorKind::MaxItems { limit } => format!(
            "array is too long: must have at most {limit} elements but instance has {} elements",
            instance.as_array().map_or(0, Vec::len)
        ),
        ValidationErrorKind::Pattern { pattern } => {
            format!("ECMA 262 regex \"{pattern}\" does not match input string {instance}")
        }
        other => return message_of_combined(other, instance),
    })
}

/// As [`message`], for keywords that count, combine schemas or look at texts.
fn message_of_combined(kind: &ValidationErrorKind, instance: &Value) -> Option<String> {
    let members = instance.as_object().map_or(0, serde_json::Map::len);
    Some(match kind {
        ValidationErrorKind::AdditionalItems { limit } => format!(
            "schema only allows {limit} elements in array but instance has {} elements",
            instance.as_array().map_or(0, Vec::len)
        ),
        ValidationErrorKind::UniqueItems => "array must not contain duplicate elements".to_owned(),
        ValidationErrorKind::MinProperties { limit } => {
            format!("object has too few properties (found {members} but schema requires at least {limit})")
        }
        ValidationErrorKind::MaxProperties { limit } => {
            format!("object has too many properties (found {members} but schema requires at most {limit})")
        }
        ValidationErrorKind::MultipleOf { multiple_of } => {
            format!("remainder of division is not zero ({instance} / {multiple_of})")
        }
        ValidationErrorKind::AnyOf { context } => {
            format!("instance failed to match at least one required schema among {}", context.len())
        }
        ValidationErrorKind::OneOfMultipleValid { context } | ValidationErrorKind::OneOfNotValid { context } => {
            format!(
                "instance failed to match exactly one schema (matched {} out of {})",
                context.iter().filter(|errors| errors.is_empty()).count(),
                context.len()
            )
        }
        ValidationErrorKind::Not { .. } => "instance matched a schema which it should not have".to_owned(),
        ValidationErrorKind::Format { format } => match format.as_str() {
            "email" => format!("string {instance} is not a valid email address"),
            "ipv4" => format!("string {instance} is not a valid IPv4 address"),
            "ipv6" => format!("string {instance} is not a valid IPv6 address"),
            "hostname" => format!("string {instance} is not a valid hostname"),
            "uri" => format!("string {instance} is not a valid URI"),
            "regex" => format!("string {instance} is not a valid ECMA 262 regular expression"),
            _ => return None,
        },
        _ => return None,
    })
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() || number.as_str().contains('.') => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Finds what `$ref` names behind the keys of the registry and local entries.
struct Entries(Reader);

impl Retrieve for Entries {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        match self.0.text(uri.as_str(), Layout::Verbatim) {
            Some(text) => Ok(serde_json::from_str(&text)?),
            None => Err(format!("there is no registry resource or local entry '{uri}'").into()),
        }
    }
}
