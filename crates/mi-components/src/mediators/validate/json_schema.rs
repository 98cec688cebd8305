//! JSON Schema, draft 4 whatever the schema says, as MI's library has it, with its wording of the commonest errors.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, Retrieve, Uri, Validator};
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
        let error = self.0.iter_errors(value).next()?;
        let message = message(error.kind(), error.instance());
        let message = message.unwrap_or_else(|| error.to_string());
        let detail = format!(
            "error: {message}\n    level: \"error\"\n    schema: {{\"pointer\":\"{}\"}}\n    instance: {{\"pointer\":\"{}\"}}\n    keyword: \"{}\"",
            error.schema_path(),
            error.instance_path(),
            error.kind().keyword(),
        );
        Some((message, detail))
    }
}

/// The wording of `json-schema-validator`, where people look for it.
fn message(kind: &ValidationErrorKind, instance: &Value) -> Option<String> {
    Some(match kind {
        ValidationErrorKind::Required { property } => {
            format!("object has missing required properties ([{property}])")
        }
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
            let names: Vec<String> = unexpected.iter().map(|name| format!("\"{name}\"")).collect();
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
        ValidationErrorKind::Minimum { limit } => {
            format!("numeric instance is lower than the required minimum (minimum: {limit}, found: {instance})")
        }
        ValidationErrorKind::Maximum { limit } => {
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
