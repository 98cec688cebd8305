//! `<inboundEndpoint>`. MI: `InboundEndpointFactory`.

use std::sync::Arc;

use crate::api::HandlerConfig;
use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{self, Aspects, Blanks, Parameter, description};

/// An inbound endpoint.
#[derive(Clone, Debug)]
pub struct InboundConfig {
    /// Name; it is the same in versioned applications.
    pub name: Arc<str>,
    /// `http`, `file`, `jms` and so on.
    pub protocol: Option<String>,
    /// Class of a custom inbound.
    pub class: Option<String>,
    /// It is deployed and does not start.
    pub suspend: bool,
    /// Full name of the sequence that gets the messages.
    pub sequence: Option<String>,
    /// Full name of the sequence that handles faults.
    pub on_error: Option<String>,
    /// Settings.
    pub parameters: Vec<Parameter>,
    /// `<handlers>`.
    pub handlers: Vec<HandlerConfig>,
    /// Statistics and tracing.
    pub aspects: Aspects,
    /// `<description>`.
    pub description: Option<String>,
    /// `<inboundEndpoint>`.
    pub element: Element,
}

impl InboundConfig {
    /// Reads an `<inboundEndpoint>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").map(|name| name.into_owned()));
        let sequence = out.take(element.qualified_attr("sequence"));
        let on_error = out.take(element.qualified_attr("onError"));
        let parameters =
            element.child("parameters").map(|it| params::parse(&it, Blanks::Keep, out)).unwrap_or_default();
        let handlers = element.child("handlers").map(|it| HandlerConfig::parse_all(&it, out)).unwrap_or_default();
        out.extend(element.unknown_attrs(&INBOUND_ATTRIBUTES));
        out.extend(element.unknown_children(&["parameters", "handlers", "description"]));
        let own = |name: &str| element.attr(name).map(|value| value.into_owned());
        Some(Self {
            name: name?.into(),
            protocol: own("protocol"),
            class: own("class"),
            suspend: element.bool_attr("suspend").unwrap_or(false),
            sequence: sequence?,
            on_error: on_error?,
            parameters,
            handlers,
            aspects: Aspects::parse(element),
            description: description(element),
            element: element.clone(),
        })
    }

    /// The text of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        params::find(&self.parameters, name)
    }
}

const INBOUND_ATTRIBUTES: [&str; 9] =
    ["name", "protocol", "class", "suspend", "sequence", "onError", "statistics", "trace", "description"];
