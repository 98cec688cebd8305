//! A request as the resources see it: authenticated, its body read, its query decoded.

use bytes::Bytes;
use http::Method;
use mi_message::Headers;
use serde_json::{Map, Value};

use crate::answer;
use mi_engine::transport::HttpReply;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Name.
    pub(crate) name: String,
    /// Administrator?
    pub(crate) admin: bool,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// What follows the path of the resource, such as the name in `/applications/{name}`.
    pub(crate) tail: Option<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
    /// `None` when authentication is switched off.
    pub(crate) user: Option<Caller>,
}

impl Request {
    /// A query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `searchKey` in lower case, when it says anything.
    pub(crate) fn search_key(&self) -> Option<String> {
        self.query("searchKey").filter(|key| !key.trim().is_empty()).map(str::to_lowercase)
    }

    /// Does a name fit the search?
    pub(crate) fn searches(&self) -> impl Fn(&str) -> bool + use<> {
        let key = self.search_key();
        move |name: &str| key.as_ref().is_none_or(|key| name.to_lowercase().contains(key))
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == Method::GET || self.method == Method::HEAD
    }

    /// The name in the audit log.
    pub(crate) fn user_name(&self) -> &str {
        self.user.as_ref().map_or("anonymous", |user| &user.name)
    }

    /// A header field as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The JSON object that was sent. `Err` is the answer to a request without one.
    pub(crate) fn payload(&self, missing: &str) -> Result<Map<String, Value>, HttpReply> {
        if self.body.iter().all(u8::is_ascii_whitespace) {
            return Err(answer::error(http::StatusCode::OK, missing));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            _ => Err(answer::bad("Error when parsing JSON payload")),
        }
    }
}

/// A member as text; numbers and booleans are text too. MI: `JsonElement#getAsString`.
pub(crate) fn text(payload: &Map<String, Value>, name: &str) -> Option<String> {
    match payload.get(name)? {
        Value::String(text) => Some(text.clone()),
        value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
