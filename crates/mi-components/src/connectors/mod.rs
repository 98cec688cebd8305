//! What stands in for the Java classes that the templates of well-known connectors call.
//!
//! A connector's operations are templates of Synapse XML, and run as such; only their classes are written anew, under
//! the names that the templates call them by.

use std::sync::Arc;

use mi_engine::spec::ParseMediator;
use mi_message::Value;

mod built_in;
mod email;
mod file;
mod http;

pub use built_in::{BUILT_IN, BuiltIn};

/// Class names and who reads their `<class>` element.
const CLASSES: [&[(&str, ParseMediator)]; 3] = [&email::CLASSES, &file::CLASSES, &[http::REST_URL_BUILDER]];

/// What a class leaves for the variable that the operation's `responseVariable` names; kept with the flow until the template
/// ends. MI: `ConnectorResponse`.
pub(crate) struct ConnectorResult {
    /// None when it has become the body.
    pub(crate) payload: Option<Value>,
    /// Such as what is known of a file.
    pub(crate) attributes: Option<serde_json::Value>,
}

impl ConnectorResult {
    /// `payload` and `attributes`, as far as there are any.
    pub(crate) fn into_value(self) -> Value {
        let payload = self.payload.map(|it| ("payload".into(), it));
        let attributes = self.attributes.map(|it| ("attributes".into(), Value::from(it)));
        Value::Map(Arc::new(payload.into_iter().chain(attributes).collect()))
    }
}

/// What stands in for a class.
pub fn class(name: &str) -> Option<ParseMediator> {
    CLASSES.into_iter().flatten().find(|(known, _)| *known == name).map(|(_, parse)| *parse)
}
