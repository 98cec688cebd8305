//! Looking up properties by scope, as `get-property` and the variables of XPath do.

use std::borrow::Cow;

use mi_message::{Message, Native, SoapVersion, Value};

use crate::java_date::{DateText, Flavour};
use crate::{EvalError, Expr, Lookup};

/// The scopes that `get-property` knows by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Default,
    Axis2,
    Axis2Client,
    Transport,
    Operation,
    Function,
    Registry,
    System,
    Environment,
    File,
}

impl Scope {
    /// A scope by its name; `None` for a text that is none.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "default" => Self::Default,
            "axis2" => Self::Axis2,
            "axis2-client" => Self::Axis2Client,
            "transport" => Self::Transport,
            "operation" => Self::Operation,
            "func" => Self::Function,
            "registry" => Self::Registry,
            "system" => Self::System,
            "env" => Self::Environment,
            "file" => Self::File,
            _ => return None,
        })
    }
}

/// A value that is there already, or made by the look-up.
pub(crate) type Found<'m> = Option<Cow<'m, Value>>;

fn text<'m>(value: Option<impl Into<Value>>) -> Cow<'m, Value> {
    Cow::Owned(value.map_or_else(|| Value::from(""), Into::into))
}

/// `get-property(scope, key[, date format])`. `Ok(None)` is Java's null. MI: `GetPropertyFunction#evaluate`.
pub(crate) fn get_property<'m>(
    scope: Scope,
    key: &str,
    date_format: Option<&str>,
    message: &'m Message,
    lookup: &dyn Lookup,
) -> Result<Found<'m>, EvalError> {
    match key {
        "" => return Ok(Some(text(None::<&str>))),
        "SYSTEM_DATE" => return system_date(date_format, lookup).map(|date| Some(text(Some(date)))),
        "SYSTEM_TIME" => return Ok(Some(text(Some(lookup.now_millis().to_string())))),
        _ => {}
    }
    Ok(match scope {
        Scope::Default => return default_scope(key, message, lookup),
        // Options of the next call are found behind the message's own. MI: axis2 `MessageContext#getProperty`.
        Scope::Axis2 => message.axis2.get(key).or_else(|| message.axis2_client.get(key)).map(Cow::Borrowed),
        Scope::Axis2Client => message.axis2_client.get(key).map(Cow::Borrowed),
        Scope::Transport => header(key, message),
        Scope::Operation => message.operation.get(key).map(Cow::Borrowed),
        Scope::Function => return function_parameter(key, message, lookup),
        Scope::Registry => Some(registry(key, lookup)),
        Scope::System => Some(text(lookup.system_property(key))),
        Scope::Environment => Some(text(lookup.environment(key))),
        Scope::File => Some(text(lookup.file_property(key))),
    })
}

/// A parameter of the running template; one that is an expression is evaluated now.
pub(crate) fn function_parameter<'m>(
    name: &str,
    message: &'m Message,
    lookup: &dyn Lookup,
) -> Result<Found<'m>, EvalError> {
    match Expr::parameter(name, message) {
        Some(expr) => {
            let value = expr.eval(message, lookup)?;
            Ok((!value.is_null()).then_some(Cow::Owned(value)))
        }
        None => Ok(message.function_parameter(name).map(Cow::Borrowed)),
    }
}

/// A transport header; names are compared without regard to case.
pub(crate) fn header<'m>(name: &str, message: &'m Message) -> Found<'m> {
    message.headers.get(name).map(|value| Cow::Owned(Value::from(value)))
}

fn default_scope<'m>(key: &str, message: &'m Message, lookup: &dyn Lookup) -> Result<Found<'m>, EvalError> {
    let address = &message.addressing;
    Ok(Some(match key {
        "To" => text(address.to.as_deref()),
        "From" => text(address.from.as_deref()),
        "Action" => text(address.action.as_deref()),
        "FaultTo" => text(address.fault_to.as_deref()),
        "ReplyTo" => text(address.reply_to.as_deref()),
        "RelatesTo" => text(address.relates_to.as_deref()),
        "MessageID" => text(Some(address.message_id.clone().unwrap_or_else(|| lookup.new_id()))),
        "FAULT" => {
            let flagged = message.axis2.get("FAULT_MESSAGE").is_some_and(|value| value.to_text() == "TRUE");
            let is_fault = flagged || matches!(message.body.native()?, Native::Xml(envelope) if envelope.has_fault());
            text(is_fault.then_some("TRUE"))
        }
        "MESSAGE_FORMAT" => text(Some(message_format(message))),
        "OperationName" => text(operation(message).or(Some("mediate"))),
        "OperationNamespace" => text(message.axis2.get_str("OperationNamespace")),
        _ => {
            return Ok(message
                .properties
                .get(key)
                .map(Cow::Borrowed)
                .or_else(|| lookup.local_entry(key).map(Cow::Owned)));
        }
    }))
}

fn operation(message: &Message) -> Option<&str> {
    message.axis2.get_str("OperationName")
}

/// `pox`, `get`, `soap11` or `soap12`. MI: `Axis2MessageContext#isDoingPOX` and its siblings.
fn message_format(message: &Message) -> &'static str {
    let content_type = message.content_type().unwrap_or_default();
    if let Ok(Native::Xml(envelope)) = message.body.native()
        && !envelope.is_wrapped()
    {
        return match envelope.version() {
            SoapVersion::Soap11 => "soap11",
            SoapVersion::Soap12 => "soap12",
        };
    }
    if message.axis2.is_true("isDoingREST") {
        "pox"
    } else if content_type.starts_with("application/soap+xml") {
        "soap12"
    } else if content_type.starts_with("text/xml") {
        "soap11"
    } else if content_type.is_empty() && message.axis2.get_str("HTTP_METHOD") == Some("GET") {
        "get"
    } else {
        "pox"
    }
}

/// The content of a resource, or with `path@name` one of its properties; the empty text when there is none.
fn registry<'m>(key: &str, lookup: &dyn Lookup) -> Cow<'m, Value> {
    match key.split_once('@') {
        Some((path, name)) if !name.is_empty() && !name.contains('@') => text(lookup.registry_property(path, name)),
        _ => match lookup.registry(key) {
            Some(value) => text(Some(value.to_text().into_owned())),
            None => text(None::<&str>),
        },
    }
}

/// The date of now, in the given format or the short one of Java's English locale.
fn system_date(format: Option<&str>, lookup: &dyn Lookup) -> Result<String, EvalError> {
    let now = lookup.now_millis();
    let offset = lookup.zone_offset_seconds(now);
    let pattern = DateText::compile(format.unwrap_or("M/d/yy, h:mm a"), Flavour::Simple)
        .map_err(|error| EvalError::evaluation(error.to_string()))?;
    pattern.format_instant(now, offset).map_err(|error| EvalError::evaluation(error.to_string()))
}

/// `$url:name`: a parameter of the query of the To address, decoded; the empty text when there is none. The name is
/// compared without regard to case. MI: `SynapseXPathVariableContext#getVariableValue`.
pub(crate) fn query_parameter(name: &str, message: &Message) -> String {
    let Some((_, query)) = message.addressing.to.as_deref().and_then(|to| to.split_once('?')) else {
        return String::new();
    };
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| {
            let value = value.split('=').next().unwrap_or_default();
            percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned()
        })
        .unwrap_or_default()
}
