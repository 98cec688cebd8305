//! What an XPath sees of a message: the variables `$body $header $env`, `$ctx:x` and its siblings, and the functions of
//! MI. MI: `SynapseXPathVariableContext`, `SynapseXPathFunctionContext`.

use std::borrow::Cow;

use chrono::{DateTime, FixedOffset};
use hmac::{Hmac, Mac};
use mi_message::{Message, Value, XmlValue};

use crate::charset::{self, Charset};
use crate::property::{self, Found, Scope};
use crate::xpath::{DocRef, Env, Item, Sequence, Str, XPathError};
use crate::{EvalError, Lookup};

/// The prefixes of variables that look into a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    Context,
    Variable,
    Axis2,
    Axis2Client,
    Function,
    Transport,
    Url,
    Operation,
    System,
}

impl Prefix {
    /// A prefix by its name; `None` for one that may name a map property.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "ctx" => Self::Context,
            "var" => Self::Variable,
            "axis2" => Self::Axis2,
            "axis2-client" => Self::Axis2Client,
            "func" => Self::Function,
            "trp" => Self::Transport,
            "url" => Self::Url,
            "operation" => Self::Operation,
            "sys" => Self::System,
            _ => return None,
        })
    }
}

/// The value of `$prefix:local`; `None` is Java's null.
pub(crate) fn variable<'m>(
    prefix: Prefix,
    local: &str,
    message: &'m Message,
    lookup: &dyn Lookup,
) -> Result<Found<'m>, EvalError> {
    Ok(match prefix {
        Prefix::Context => message.properties.get(local).map(Cow::Borrowed),
        Prefix::Variable => message.variables.get(local).map(Cow::Borrowed),
        Prefix::Axis2 => message.axis2.get(local).or_else(|| message.axis2_client.get(local)).map(Cow::Borrowed),
        Prefix::Axis2Client => message.axis2_client.get(local).map(Cow::Borrowed),
        Prefix::Function => return property::function_parameter(local, message, lookup),
        Prefix::Transport => property::header(local, message),
        Prefix::Url => Some(Cow::Owned(Value::from(property::query_parameter(local, message)))),
        Prefix::Operation => message.operation.get(local).map(Cow::Borrowed),
        Prefix::System => {
            let value = lookup.system_property(local).unwrap_or_default();
            Some(Cow::Owned(Value::from(value)))
        }
    })
}

/// The environment of one evaluation.
pub(crate) struct MessageEnv<'d> {
    pub(crate) message: &'d Message,
    pub(crate) lookup: &'d dyn Lookup,
}

impl<'d> MessageEnv<'d> {
    /// `$body`, `$header` or `$env`.
    fn soap_part(&self, local: &str) -> Option<Result<Sequence<'d>, XPathError>> {
        if !matches!(local, "body" | "header" | "env") {
            return None;
        }
        Some(match self.message.body.envelope() {
            Ok(envelope) => Ok(match local {
                "body" => Sequence::node(envelope.document(), envelope.body()),
                "env" => Sequence::node(envelope.document(), envelope.envelope()),
                _ => envelope.header().map_or_else(Sequence::empty, |node| Sequence::node(envelope.document(), node)),
            }),
            Err(error) => Err(XPathError::Host(error.to_string())),
        })
    }
}

impl<'d> Env<'d> for MessageEnv<'d> {
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        if prefix.is_empty()
            && let Some(part) = self.soap_part(local)
        {
            return part;
        }
        let unknown = || {
            let name = if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") };
            XPathError::UnknownVariable { name }
        };
        if let Some(prefix) = Prefix::named(prefix) {
            let found = variable(prefix, local, self.message, self.lookup);
            return found.map(sequence).map_err(|error| XPathError::Host(error.message));
        }
        match self.message.properties.get(prefix) {
            Some(Value::Map(entries)) => match entries.iter().find(|(key, _)| &**key == local) {
                Some((_, value)) if !value.is_null() => Ok(Sequence::string(value.to_text())),
                _ => Err(unknown()),
            },
            _ => Err(unknown()),
        }
    }

    fn function(
        &self,
        prefix: &str,
        _namespace: &str,
        local: &str,
        args: &[Sequence<'d>],
    ) -> Option<Result<Sequence<'d>, XPathError>> {
        let texts: Vec<String> = args.iter().map(text_of).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let host = |message: String| Err(XPathError::Host(message));
        let answer = match (local, prefix) {
            ("get-property", _) => return Some(self.get_property(&texts)),
            ("base64Encode", _) => with_charset(&texts, |text, charset| charset::base64(&charset.encode(text))),
            ("base64Decode", _) => with_charset(&texts, |text, charset| {
                let decoded = charset.decode(&charset::from_base64_lenient(text));
                crate::java_text::trim(&decoded).to_owned()
            }),
            ("url-encode", _) => with_charset(&texts, charset::path_query_encode),
            ("hmac-generate", _) => match texts.as_slice() {
                [payload, secret] => hmac(payload, secret, "HmacSHA1"),
                [payload, secret, algorithm] => hmac(payload, secret, algorithm),
                _ => Ok(String::new()),
            },
            ("vault-lookup", "hashicorp") => match texts.as_slice() {
                [path, field] => hashicorp(self.lookup, None, path, field),
                [namespace, path, field] => hashicorp(self.lookup, Some(namespace), path, field),
                _ => host("hashicorp:vault-lookup needs a path and a field".to_owned()),
            },
            ("vault-lookup", _) => match texts.first() {
                None => Ok(String::new()),
                Some(alias) => {
                    let kind = texts.get(1).copied().unwrap_or_default();
                    let secret = self.lookup.vault(alias, kind);
                    secret.ok_or_else(|| XPathError::Host(format!("Error fetching secret value for alias: {alias}")))
                }
            },
            ("encrypt" | "decrypt", _) => host(format!(
                "The XPath function {local}() works on Java key stores and is not available; encrypt or decrypt in the \
                 calling system, or keep the value as a secret (wso2:vault-lookup)"
            )),
            _ => return None,
        };
        Some(answer.map(Sequence::string))
    }

    fn now(&self) -> DateTime<FixedOffset> {
        let millis = self.lookup.now_millis();
        let utc = DateTime::from_timestamp_millis(millis).unwrap_or_default();
        let offset = FixedOffset::east_opt(self.lookup.zone_offset_seconds(millis));
        match offset {
            Some(offset) => utc.with_timezone(&offset),
            None => utc.fixed_offset(),
        }
    }
}

impl<'d> MessageEnv<'d> {
    /// `get-property(name)`, `(scope, name)`, `(name, date format)` or `(scope, name, date format)`.
    fn get_property(&self, texts: &[&str]) -> Result<Sequence<'d>, XPathError> {
        let (scope, key, format) = match *texts {
            [] => return Ok(Sequence::string("")),
            [key] => (Scope::Default, key, None),
            [first, second] => match Scope::named(first) {
                Some(scope) => (scope, second, None),
                None => (Scope::Default, first, Some(second)),
            },
            [scope, key, format] => match Scope::named(scope) {
                Some(scope) => (scope, key, Some(format)),
                None => return Ok(Sequence::string("")),
            },
            _ => {
                return Err(XPathError::Host(
                    "Invalid arguments for synapse:get-property(prop-name) or synapse:get-property(scope, prop-name) \
                     XPath function"
                        .to_owned(),
                ));
            }
        };
        let found = property::get_property(scope, key, format, self.message, self.lookup)
            .map_err(|error| XPathError::Host(error.message))?;
        Ok(sequence(found))
    }
}

/// `string(argument)`.
fn text_of(argument: &Sequence<'_>) -> String {
    argument.iter().next().map(|item| item.to_str(crate::xpath::Version::V1).into_string()).unwrap_or_default()
}

/// A function of a text and an optional charset. An empty text stays empty.
fn with_charset(texts: &[&str], convert: impl Fn(&str, Charset) -> String) -> Result<String, XPathError> {
    let (text, name) = match *texts {
        [text] => (text, "UTF-8"),
        [text, name] => (text, name),
        _ => return Ok(String::new()),
    };
    if text.is_empty() {
        return Ok(String::new());
    }
    match Charset::named(name) {
        Some(charset) => Ok(convert(text, charset)),
        None => Err(XPathError::Host(format!("Unsupported Encoding: {name}"))),
    }
}

fn hashicorp(lookup: &dyn Lookup, namespace: Option<&str>, path: &str, field: &str) -> Result<String, XPathError> {
    lookup.hashicorp(namespace, path, field).ok_or_else(|| {
        XPathError::Host(format!("Error fetching hashicorp secret value for path: {path} and field: {field}"))
    })
}

/// The HMAC of a text in hexadecimal digits.
fn hmac(payload: &str, secret: &str, algorithm: &str) -> Result<String, XPathError> {
    macro_rules! sign {
        ($digest:ty) => {{
            let mut mac = Hmac::<$digest>::new_from_slice(secret.as_bytes())
                .map_err(|_| XPathError::Host("Error while generating HMAC signature".to_owned()))?;
            mac.update(payload.as_bytes());
            mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
        }};
    }
    Ok(match algorithm.to_ascii_uppercase().as_str() {
        "HMACMD5" => sign!(md5::Md5),
        "HMACSHA1" => sign!(sha1::Sha1),
        "HMACSHA224" => sign!(sha2::Sha224),
        "HMACSHA256" => sign!(sha2::Sha256),
        "HMACSHA384" => sign!(sha2::Sha384),
        "HMACSHA512" => sign!(sha2::Sha512),
        _ => {
            return Err(XPathError::Host(format!(
                "Error while generating HMAC signature: Algorithm {algorithm} not available"
            )));
        }
    })
}

/// A property as a sequence. Java's null is the empty one.
pub(crate) fn sequence(found: Found<'_>) -> Sequence<'_> {
    match found {
        None => Sequence::empty(),
        Some(Cow::Borrowed(value)) => borrowed(value),
        Some(Cow::Owned(value)) => owned(value),
    }
}

fn borrowed(value: &Value) -> Sequence<'_> {
    match value {
        Value::String(text) => Sequence::string(Str::Borrowed(text)),
        Value::Json(json) => match &**json {
            serde_json::Value::String(text) => Sequence::string(Str::Borrowed(text)),
            other => Sequence::string(other.to_string()),
        },
        Value::Xml(XmlValue { document, nodes }) => Sequence::nodes(DocRef::Borrowed(document), nodes.clone()),
        other => scalar(other),
    }
}

fn owned<'d>(value: Value) -> Sequence<'d> {
    match value {
        Value::String(text) => Sequence::string(text),
        Value::Json(json) => match &*json {
            serde_json::Value::String(text) => Sequence::string(text.clone()),
            other => Sequence::string(other.to_string()),
        },
        Value::Xml(XmlValue { document, nodes }) => Sequence::nodes(DocRef::Shared(document), nodes),
        other => scalar(&other),
    }
}

fn scalar<'d>(value: &Value) -> Sequence<'d> {
    Sequence::one(match value {
        Value::Bool(value) => Item::Boolean(*value),
        Value::Int(value) => Item::Double(f64::from(*value)),
        Value::Long(value) => Item::Double(*value as f64),
        Value::Float(value) => Item::Double(f64::from(*value)),
        Value::Double(value) => Item::Double(*value),
        _ => return Sequence::empty(),
    })
}
