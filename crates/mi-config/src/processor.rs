//! `<messageProcessor>`. MI: `MessageProcessorFactory`.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{self, Aspects, Blanks, Parameter, ParameterValue, description};

/// Sends stored messages to an endpoint.
pub const FORWARDING_PROCESSOR: &str =
    "org.apache.synapse.message.processor.impl.forwarder.ScheduledMessageForwardingProcessor";
/// Gives stored messages to a sequence.
pub const SAMPLING_PROCESSOR: &str = "org.apache.synapse.message.processor.impl.sampler.SamplingProcessor";

/// A message processor.
#[derive(Clone, Debug)]
pub struct MessageProcessorConfig {
    /// Full name.
    pub name: Arc<str>,
    /// Class name; names of old versions are replaced by the present ones.
    pub class: String,
    /// Full name of the store that it empties.
    pub store: String,
    /// Full name of the endpoint that messages go to.
    pub target_endpoint: Option<String>,
    /// Settings.
    pub parameters: Vec<Parameter>,
    /// `<description>`.
    pub description: Option<String>,
    /// Statistics and tracing.
    pub aspects: Aspects,
    /// `<messageProcessor>`.
    pub element: Element,
}

impl MessageProcessorConfig {
    /// Reads a `<messageProcessor>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").and_then(|name| element.qualify(&name)));
        let class = out.take(element.require_attr("class").map(|class| current_class(&class)));
        let store = out.take(element.require_attr("messageStore").and_then(|store| element.qualify(&store)));
        let target_endpoint = out.take(element.qualified_attr("targetEndpoint"));
        let mut parameters = params::parse(element, Blanks::Keep, out);
        for parameter in parameters.iter_mut().filter(|it| it.name == "sequence") {
            if let ParameterValue::Text(name) = &mut parameter.value
                && let Some(full) = out.take(element.qualify(name.trim()))
            {
                *name = full;
            }
        }
        out.extend(element.unknown_attrs(&[
            "name",
            "class",
            "messageStore",
            "targetEndpoint",
            "statistics",
            "trace",
            "description",
        ]));
        out.extend(element.unknown_children(&["parameter", "description"]));
        Some(Self {
            name: name?.into(),
            class: class?,
            store: store?,
            target_endpoint: target_endpoint?,
            parameters,
            description: description(element),
            aspects: Aspects::parse(element),
            element: element.clone(),
        })
    }

    /// The text of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        params::find(&self.parameters, name)
    }
}

fn current_class(class: &str) -> String {
    match class {
        "org.apache.synapse.message.processors.forward.ScheduledMessageForwardingProcessor" => FORWARDING_PROCESSOR,
        "org.apache.synapse.message.processors.sampler.SamplingProcessor" => SAMPLING_PROCESSOR,
        other => other,
    }
    .to_owned()
}
