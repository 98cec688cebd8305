//! What stands in for the Java classes that the templates of well-known connectors call.
//!
//! A connector's operations are templates of Synapse XML, and run as such; only their classes are written anew, under
//! the names that the templates call them by.

use mi_engine::spec::ParseMediator;

mod http;

/// Class names and who reads their `<class>` element.
const CLASSES: &[(&str, ParseMediator)] = &[http::REST_URL_BUILDER];

/// What stands in for a class.
pub fn class(name: &str) -> Option<ParseMediator> {
    CLASSES.iter().find(|(known, _)| *known == name).map(|(_, parse)| *parse)
}
