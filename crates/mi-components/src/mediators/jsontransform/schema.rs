//! Values as a JSON schema wants them: texts become numbers and booleans, a value becomes an array of one, and what
//! does not fit is an error. This is not validation by the rules of JSON schema: only what MI looks at counts.
//!
//! The recursion follows the schema, whose depth the JSON parser bounds.

use std::collections::{HashMap, HashSet};

use mi_expr::java::{FullMatch, Search};
use serde_json::{Map, Value};

use super::scalar;
use crate::json;

/// A schema that is an object.
pub(super) type Schema = Map<String, Value>;

/// A schema that was read, with its patterns.
#[derive(Debug)]
pub(super) struct Compiled {
    /// `None` takes everything.
    schema: Option<Schema>,
    /// Its type. `None` for one that nobody knows, of which MI makes an empty object.
    kind: Option<Type>,
    patterns: Patterns,
}

/// The regular expressions of a schema, by their texts. One that is wrong is an error when it is used.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    /// `pattern`: the whole of a string.
    values: HashMap<String, Result<FullMatch, String>>,
    /// `patternProperties`: anywhere in a name.
    names: HashMap<String, Result<Search, String>>,
}

impl Patterns {
    /// The patterns of a schema and of those inside of it; their depth is bounded by the JSON parser.
    pub(super) fn of(schema: &Schema) -> Self {
        let mut patterns = Self::default();
        patterns.collect(schema);
        patterns
    }

    fn collect(&mut self, schema: &Schema) {
        if let Ok(Some(pattern)) = scalar::keyword(schema, "pattern") {
            self.values.entry(pattern).or_insert_with_key(|pattern| FullMatch::compile(pattern));
        }
        if let Some(Value::Object(by_pattern)) = schema.get("patternProperties") {
            for pattern in by_pattern.keys() {
                self.names.entry(pattern.clone()).or_insert_with_key(|pattern| Search::compile(pattern));
            }
        }
        schema.values().for_each(|member| self.collect_inside(member));
    }

    fn collect_inside(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.collect_inside(item)),
            Value::Object(members) => self.collect(members),
            _ => {}
        }
    }

    /// Does the whole of `text` fit the keyword `pattern`?
    pub(super) fn fits(&self, pattern: &str, text: &str) -> Result<bool, String> {
        match self.values.get(pattern) {
            Some(Ok(regex)) => Ok(regex.fits(text)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(format!("Invalid pattern {pattern}")),
        }
    }

    fn of_names(&self, pattern: &str) -> Result<&Search, String> {
        match self.names.get(pattern) {
            Some(Ok(search)) => Ok(search),
            Some(Err(error)) => Err(error.clone()),
            None => Err(format!("Invalid pattern {pattern}")),
        }
    }
}

impl Compiled {
    /// Reads a schema.
    pub(super) fn parse(schema: &str) -> Result<Self, String> {
        if schema.is_empty() {
            return Err("Input json and schema should not be null".to_owned());
        }
        let everything = Self { schema: None, kind: None, patterns: Patterns::default() };
        let schema = match json::parse_lenient(schema).ok_or_else(|| "Invalid JSON schema".to_owned())? {
            Value::Object(schema) if schema.is_empty() => return Ok(everything),
            Value::Object(schema) => schema,
            Value::Array(_) | Value::Null => return Err("JSON schema should be an object or boolean".to_owned()),
            scalar if scalar::plain_text(&scalar)?.eq_ignore_ascii_case("true") => return Ok(everything),
            _ => return Err("JSON schema is false, so all validations will fail".to_owned()),
        };
        let name = type_name(&schema).ok_or_else(|| "JSON schema should contain a type declaration".to_owned())?;
        Ok(Self { patterns: Patterns::of(&schema), schema: Some(schema), kind: Type::of(&name) })
    }

    /// The input as the schema wants it; `None` when the schema takes everything. `text` is the input as it was
    /// written. MI: `JsonProcessor#parseJson`.
    pub(super) fn apply(&self, input: &Value, text: &str) -> Result<Option<Value>, String> {
        if text.is_empty() {
            return Err("Input json and schema should not be null".to_owned());
        }
        let Some(schema) = &self.schema else { return Ok(None) };
        let patterns = &self.patterns;
        match self.kind {
            Some(Type::Boolean) => scalar::boolean(schema, text),
            Some(Type::String) => scalar::string(patterns, schema, text),
            Some(Type::Number) => scalar::number(schema, text),
            Some(Type::Null) => scalar::null(schema, text),
            Some(Type::Array) => array(patterns, input.clone(), schema),
            Some(Type::Object) if !input.is_object() => Err(format!("Expected a JSON as input but found : {text}")),
            Some(Type::Object) => object(patterns, input.clone(), schema),
            None => Ok(Value::Object(Map::new())),
        }
        .map(Some)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Boolean,
    String,
    Number,
    Null,
    Array,
    Object,
}

impl Type {
    /// MI: `ValidatorConstants`.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Boolean,
            "string" | "String" => Self::String,
            "number" | "integer" => Self::Number,
            "null" => Self::Null,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => return None,
        })
    }
}

/// The type of a schema; for several types it is their array as text, which is no type.
fn type_name(schema: &Schema) -> Option<String> {
    match schema.get("type")? {
        Value::String(name) => Some(name.clone()),
        other => Some(other.to_string()),
    }
}

/// What a scalar is read from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Its text.
    Text,
    /// Its JSON: a string keeps its quotes, as MI has it for members that no property names.
    Json,
}

/// `value` as `schema` of the type `name` wants it. A type that nobody knows leaves it as it is.
fn convert(patterns: &Patterns, value: Value, schema: &Schema, name: &str, form: Form) -> Result<Value, String> {
    let text = |value: &Value| match form {
        Form::Text => scalar::plain_text(value),
        Form::Json => Ok(value.to_string()),
    };
    match Type::of(name) {
        Some(Type::Boolean) => scalar::boolean(schema, &text(&value)?),
        Some(Type::String) => scalar::string(patterns, schema, &text(&value)?),
        Some(Type::Number) => scalar::number(schema, &text(&value)?),
        Some(Type::Null) => scalar::null(schema, &value.to_string()),
        Some(Type::Array) => array(patterns, value, schema),
        Some(Type::Object) => object(patterns, value, schema),
        None if form == Form::Json => Ok(Value::Null),
        None => Ok(value),
    }
}

/// MI: `ArrayValidator#validateArray`.
fn array(patterns: &Patterns, value: Value, schema: &Schema) -> Result<Value, String> {
    let mut items = match value {
        Value::Array(items) => items,
        single => vec![single],
    };
    check_structure(&items, schema)?;
    let additional = schema.get("additionalItems");
    match schema.get("items") {
        None => {}
        Some(Value::Array(schemas)) => {
            let closed = matches!(additional, Some(Value::Bool(false)));
            if closed && items.len() > schemas.len() {
                let shown = Value::Array(items);
                return Err(format!("Array : {shown} has more items than allowed in the schema"));
            }
            for (index, schema) in schemas.iter().enumerate() {
                let Value::Object(schema) = schema else { return Err(format!("Not a JSON Object: {schema}")) };
                if schema.is_empty() {
                    continue;
                }
                let Some(name) = type_name(schema) else {
                    return Err("Array items should contain a type declaration".to_owned());
                };
                if index >= items.len() && Type::of(&name).is_some() {
                    return Err(format!("Index {index} out of bounds for length {}", items.len()));
                }
                convert_item(patterns, &mut items, index, schema, &name)?;
            }
            if let Some(Value::Object(additional)) =
                additional.filter(|it| it.as_object().is_some_and(|it| !it.is_empty()))
            {
                for index in schemas.len()..items.len() {
                    every_item(patterns, &mut items, index, additional)?;
                }
            }
        }
        Some(Value::Object(schema)) => {
            for index in 0..items.len() {
                every_item(patterns, &mut items, index, schema)?;
            }
        }
        Some(_) => {
            return Err("Schema for Array is invalid. Should contain either JsonArray or JsonObject".to_owned());
        }
    }
    Ok(Value::Array(items))
}

/// An item by the schema of all items, which says nothing without a type. MI: `processSchemaWithOneItem`.
fn every_item(patterns: &Patterns, items: &mut [Value], index: usize, schema: &Schema) -> Result<(), String> {
    let Some(name) = type_name(schema) else { return Ok(()) };
    if Type::of(&name).is_none() {
        return Err(format!("Schema for array must have a type declaration{}", scalar::shown(schema)));
    }
    convert_item(patterns, items, index, schema, &name)
}

fn convert_item(
    patterns: &Patterns,
    items: &mut [Value],
    index: usize,
    schema: &Schema,
    name: &str,
) -> Result<(), String> {
    if let Some(item) = items.get_mut(index) {
        *item = convert(patterns, item.take(), schema, name, Form::Text)?;
    }
    Ok(())
}

fn check_structure(items: &[Value], schema: &Schema) -> Result<(), String> {
    let count = |name: &str| match scalar::whole_keyword(schema, name)? {
        Some(count) if count < 0 => Err(format!("Invalid {name} constraint in the schema")),
        count => Ok(count),
    };
    let violated = |name: &str| {
        let shown = Value::Array(items.to_vec());
        Err(format!(
            "Error occurs while validating the structure of array : {shown}. Array violated the {name} constraint"
        ))
    };
    let length = items.len() as i64;
    let unique = match schema.get("uniqueItems").map(scalar::plain_text).transpose()? {
        Some(text) if !text.is_empty() => scalar::parse_boolean(&text)?,
        _ => false,
    };
    if count("minItems")?.is_some_and(|min| length < min) {
        return violated("minItems");
    }
    if count("maxItems")?.is_some_and(|max| length > max) {
        return violated("maxItems");
    }
    if unique {
        let mut seen = HashSet::with_capacity(items.len());
        if !items.iter().all(|item| seen.insert(identity(item))) {
            return violated("uniqueItems");
        }
    }
    Ok(())
}

/// Equal for equal items: `1` and `1.0` are one number.
fn identity(item: &Value) -> String {
    match item.as_f64() {
        Some(double) if item.as_i64().is_none() => double.to_string(),
        _ => item.to_string(),
    }
}

/// MI: `ObjectValidator#validateObject`.
fn object(patterns: &Patterns, value: Value, schema: &Schema) -> Result<Value, String> {
    let Value::Object(mut members) = value else { return Err(format!("Not a JSON Object: {value}")) };
    check_members(&members, schema)?;
    let properties = match schema.get("properties") {
        None => None,
        Some(Value::Object(properties)) => Some(properties),
        Some(other) => return Err(format!("the properties of a schema must be an object, not {other}")),
    };
    if let Some(properties) = properties {
        for (name, member) in &mut members {
            if let Some(Value::Object(schema)) = properties.get(name)
                && let Some(types) = schema.get("type")
            {
                *member = match types {
                    Value::Array(types) => one_of(patterns, member.take(), schema, types)?,
                    _ => convert(patterns, member.take(), schema, &type_name(schema).unwrap_or_default(), Form::Text)?,
                };
            }
        }
    }
    let by_pattern = pattern_properties(patterns, &mut members, schema)?;
    // Without `properties` MI takes no member for an additional one.
    if let Some(properties) = properties {
        let rest = members.keys().filter(|name| !properties.contains_key(*name) && !by_pattern.contains(*name));
        let rest: Vec<String> = rest.cloned().collect();
        additional_properties(patterns, &mut members, schema, &rest)?;
    }
    Ok(Value::Object(members))
}

fn check_members(members: &Map<String, Value>, schema: &Schema) -> Result<(), String> {
    let shown = || Value::Object(members.clone());
    match schema.get("required") {
        None => {}
        Some(Value::Array(required)) => {
            for name in required {
                if !members.contains_key(&scalar::plain_text(name)?) {
                    return Err(format!(
                        "Input object : {} does not contains all the elements required in the schema : {}",
                        shown(),
                        scalar::shown(schema)
                    ));
                }
            }
        }
        Some(other) => return Err(format!("the required members must be an array, not {other}")),
    }
    let count = members.len() as i64;
    // MI lets -1 stand for no limit.
    if let Some(min) = scalar::whole_keyword(schema, "minProperties")?.filter(|min| *min != -1 && count < *min) {
        return Err(format!(
            "Object violates the minimum number of properties constraint. Input object has less number of properties than allowed minimum {min}"
        ));
    }
    if let Some(max) = scalar::whole_keyword(schema, "maxProperties")?.filter(|max| *max != -1 && count > *max) {
        return Err(format!(
            "Object violates the maximum number of properties constraint. Input object has higher number of properties than allowed maximum {max}"
        ));
    }
    Ok(())
}

/// Converts a member and puts it behind the others, as MI does.
fn convert_member(
    patterns: &Patterns,
    members: &mut Map<String, Value>,
    name: &str,
    schema: &Schema,
    kind: &str,
) -> Result<(), String> {
    if let Some(member) = members.shift_remove(name) {
        let converted = convert(patterns, member, schema, kind, Form::Json)?;
        members.insert(name.to_owned(), converted);
    }
    Ok(())
}

/// Converts members whose name has a match of a pattern; gives their names back.
fn pattern_properties(
    patterns: &Patterns,
    members: &mut Map<String, Value>,
    schema: &Schema,
) -> Result<HashSet<String>, String> {
    let mut matching = HashSet::new();
    let by_pattern = match schema.get("patternProperties") {
        None => return Ok(matching),
        Some(Value::Object(by_pattern)) => by_pattern,
        Some(other) => return Err(format!("the patternProperties of a schema must be an object, not {other}")),
    };
    for (pattern, schema) in by_pattern {
        let search = patterns.of_names(pattern)?;
        let Value::Object(schema) = schema else { return Err(format!("Not a JSON Object: {schema}")) };
        let Some(kind) = schema.get("type") else {
            let shown = scalar::shown(schema);
            return Err(format!("Schema for object must have a type declaration : {shown}"));
        };
        let kind = scalar::plain_text(kind)?;
        let names: Vec<String> = members.keys().filter(|name| search.is_found(name)).cloned().collect();
        for name in names {
            convert_member(patterns, members, &name, schema, &kind)?;
            matching.insert(name);
        }
    }
    Ok(matching)
}

fn additional_properties(
    patterns: &Patterns,
    members: &mut Map<String, Value>,
    schema: &Schema,
    names: &[String],
) -> Result<(), String> {
    match schema.get("additionalProperties") {
        Some(Value::Object(additional)) if !additional.is_empty() && !names.is_empty() => {
            let Some(kind) = type_name(additional) else {
                let shown = scalar::shown(additional);
                return Err(format!("Schema for array must have a type declaration : {shown}"));
            };
            names.iter().try_for_each(|name| convert_member(patterns, members, name, additional, &kind))
        }
        None | Some(Value::Object(_) | Value::Array(_) | Value::Null) => Ok(()),
        Some(allowed) => {
            if !scalar::parse_boolean(&scalar::plain_text(allowed)?)? && !names.is_empty() {
                let shown = Value::Object(members.clone());
                return Err(format!(
                    "Input object {shown} has additional properties than schema {} and additional properties are not allowed",
                    scalar::shown(schema)
                ));
            }
            Ok(())
        }
    }
}

/// A value by a schema of several types: the one that fits the value, else the nearest that it can become.
/// MI: `ObjectValidator#validateAndUpdateEntriesMap` with several types.
fn one_of(patterns: &Patterns, value: Value, schema: &Schema, types: &[Value]) -> Result<Value, String> {
    let has = |wanted: Type| types.iter().filter_map(Value::as_str).any(|name| Type::of(name) == Some(wanted));
    let without_match = |kind: &str, value: &Value| {
        Err(format!("{kind} found {value} without matching schema {}", scalar::shown(schema)))
    };
    let text = match &value {
        Value::Object(_) if has(Type::Object) => return object(patterns, value, schema),
        Value::Object(_) if has(Type::Array) => return array(patterns, value, schema),
        Value::Object(_) => return without_match("JSON object", &value),
        Value::Array(_) if has(Type::Array) => return array(patterns, value, schema),
        Value::Array(_) => return without_match("JSON array", &value),
        Value::Null if has(Type::Null) => return Ok(Value::Null),
        Value::Null => return without_match("JSON null", &value),
        scalar => scalar::plain_text(scalar)?,
    };
    let order: &[Type] = if text == "true" || text == "false" {
        &[Type::Boolean, Type::String]
    } else if is_parsable(&text) {
        &[Type::Number, Type::String]
    } else {
        &[Type::String, Type::Boolean, Type::Number]
    };
    match order.iter().find(|wanted| has(**wanted)) {
        Some(Type::Boolean) => scalar::boolean(schema, &text),
        Some(Type::Number) => scalar::number(schema, &text),
        Some(_) => scalar::string(patterns, schema, &text),
        None => without_match("JSON value", &value),
    }
}

/// Digits with at most one point inside, after an optional minus. MI: `NumberUtils#isParsable`.
fn is_parsable(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty()
        && !digits.ends_with('.')
        && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.bytes().filter(|byte| *byte == b'.').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::Compiled;

    /// Applies a schema; the result as JSON or a part of the error.
    #[track_caller]
    fn check(schema: &str, input: &str, expected: Result<&str, &str>) {
        let value = serde_json::from_str(input).expect("valid input");
        match (Compiled::parse(schema).and_then(|it| it.apply(&value, input)), expected) {
            (Ok(None), Ok(expected)) => assert_eq!(expected, "as it is"),
            (Ok(Some(value)), Ok(expected)) => assert_eq!(value.to_string(), expected),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn schemas_for_everything_and_for_nothing() {
        check("{}", "[1]", Ok("as it is"));
        check("true", "[1]", Ok("as it is"));
        check("false", "[1]", Err("JSON schema is false"));
        check("[]", "[1]", Err("should be an object or boolean"));
        check("", "[1]", Err("Input json and schema should not be null"));
        check("{\"type\" \"object\"}", "{}", Err("Invalid JSON schema"));
        check(r#"{"properties":{}}"#, "{}", Err("should contain a type declaration"));
        check(r#"{"type":"date"}"#, "1", Ok("{}"));
        check(r#"{"type":"object"}"#, "[1]", Err("Expected a JSON as input but found : [1]"));
    }

    #[test]
    fn values_at_the_top() {
        check(r#"{"type":"integer"}"#, "\"7\"", Ok("7"));
        check(r#"{"type":"boolean"}"#, "\"true\"", Ok("true"));
        check(r#"{"type":"string"}"#, "\"a\"", Ok(r#""\"a\"""#));
        check(r#"{"type":"null"}"#, "null", Ok("null"));
        check(r#"{"type":"array","items":{"type":"integer"}}"#, "\"7\"", Ok("[7]"));
    }

    #[test]
    fn members() {
        let schema = r#"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"object","properties":{"c":{"type":"boolean"}}},"d":{"type":"x"},"e":{}}}"#;
        check(
            schema,
            r#"{"z":"1","b":{"c":"true"},"a":"2","d":"3","e":"4"}"#,
            Ok(r#"{"z":"1","b":{"c":true},"a":2,"d":"3","e":"4"}"#),
        );
        check(schema, r#"{"b":1}"#, Err("Not a JSON Object: 1"));
        check(schema, r#"{"a":null}"#, Err("JsonNull"));
        check(schema, r#"{"a":["2"]}"#, Ok(r#"{"a":2}"#));
        check(r#"{"type":"object","required":["a"]}"#, "{}", Err("does not contains all the elements required"));
        check(r#"{"type":"object","minProperties":1}"#, "{}", Err("allowed minimum 1"));
        check(r#"{"type":"object","maxProperties":"1"}"#, r#"{"a":1,"b":2}"#, Err("allowed maximum 1"));
    }

    #[test]
    fn members_by_pattern_and_others() {
        let schema = r#"{"type":"object","properties":{"a":{"type":"string"}},"patternProperties":{"_n$":{"type":"integer"}},"additionalProperties":{"type":"boolean"}}"#;
        check(schema, r#"{"x_n":"1","y":"true","a":"b"}"#, Ok(r#"{"a":"b","x_n":1,"y":true}"#));
        check(schema, r#"{"y":"1"}"#, Err("to boolean"));
        let closed = r#"{"type":"object","properties":{"a":{}},"additionalProperties":false}"#;
        check(closed, r#"{"a":1}"#, Ok(r#"{"a":1}"#));
        check(closed, r#"{"b":1}"#, Err("additional properties are not allowed"));
        check(r#"{"type":"object","additionalProperties":false}"#, r#"{"b":1}"#, Ok(r#"{"b":1}"#));
        let quoted = r#"{"type":"object","patternProperties":{"a":{"type":"string"}}}"#;
        check(quoted, r#"{"a":"b"}"#, Ok(r#"{"a":"\"b\""}"#));
        check(r#"{"type":"object","patternProperties":{"a":{}}}"#, "{}", Err("must have a type declaration"));
    }

    #[test]
    fn arrays() {
        let pair = r#"{"type":"array","items":[{"type":"boolean"},{},{"type":"string"}]}"#;
        check(pair, r#"["true","1",2,"3"]"#, Ok(r#"[true,"1","2","3"]"#));
        check(pair, r#"["true"]"#, Err("Index 2 out of bounds for length 1"));
        check(
            r#"{"type":"array","items":[{"type":"integer"}],"additionalItems":false}"#,
            "[1,2]",
            Err("more items than allowed"),
        );
        check(
            r#"{"type":"array","items":[{"type":"integer"}],"additionalItems":{"type":"boolean"}}"#,
            r#"["1","true"]"#,
            Ok("[1,true]"),
        );
        check(
            r#"{"type":"array","items":{"type":"array","items":{"type":"integer"}}}"#,
            r#"[["1","2"],"3"]"#,
            Ok("[[1,2],[3]]"),
        );
        check(r#"{"type":"array","items":{"type":"x"}}"#, "[1]", Err("must have a type declaration"));
        check(r#"{"type":"array","items":{}}"#, "[\"1\"]", Ok("[\"1\"]"));
        check(r#"{"type":"array","items":[{}, {"minimum":1}]}"#, "[1,2]", Err("Array items should contain a type"));
        check(r#"{"type":"array","items":1}"#, "[1]", Err("Schema for Array is invalid"));
        check(r#"{"type":"array","minItems":2}"#, "[1]", Err("minItems"));
        check(r#"{"type":"array","maxItems":1}"#, "[1,2]", Err("maxItems"));
        check(r#"{"type":"array","minItems":-1}"#, "[1]", Err("Invalid minItems"));
        check(r#"{"type":"array","uniqueItems":true}"#, "[1,1.0]", Err("uniqueItems"));
        check(r#"{"type":"array","uniqueItems":"true"}"#, "[1,\"1\"]", Ok("[1,\"1\"]"));
    }

    #[test]
    fn several_types() {
        let schema = |types: &str| {
            format!(r#"{{"type":"object","properties":{{"a":{{"type":{types},"items":{{"type":"integer"}}}}}}}}"#)
        };
        for (types, input, expected) in [
            (r#"["integer","string"]"#, r#"{"a":"1"}"#, Ok(r#"{"a":1}"#)),
            (r#"["string","integer"]"#, r#"{"a":"x"}"#, Ok(r#"{"a":"x"}"#)),
            (r#"["string"]"#, r#"{"a":true}"#, Ok(r#"{"a":"true"}"#)),
            (r#"["boolean","null"]"#, r#"{"a":null}"#, Ok(r#"{"a":null}"#)),
            (r#"["array"]"#, r#"{"a":["1"]}"#, Ok(r#"{"a":[1]}"#)),
            (r#"["object"]"#, r#"{"a":{"b":1}}"#, Ok(r#"{"a":{"b":1}}"#)),
            (r#"["object"]"#, r#"{"a":[1]}"#, Err("JSON array found [1]")),
            (r#"["null"]"#, r#"{"a":1}"#, Err("JSON value found 1")),
            (r#"["integer"]"#, r#"{"a":"x"}"#, Err("is not a number")),
        ] {
            check(&schema(types), input, expected);
        }
    }
}
