//! `<messageStore>`. MI: `MessageStoreFactory`.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{self, Blanks, Parameter, description};

/// Class of a store that has none: messages in memory.
pub const IN_MEMORY_STORE: &str = "org.apache.synapse.message.store.impl.memory.InMemoryStore";

/// A message store.
#[derive(Clone, Debug)]
pub struct MessageStoreConfig {
    /// Full name.
    pub name: Arc<str>,
    /// Class name; names of old versions are replaced by the present ones.
    pub class: String,
    /// Settings.
    pub parameters: Vec<Parameter>,
    /// `<description>`.
    pub description: Option<String>,
    /// `<messageStore>`.
    pub element: Element,
}

impl MessageStoreConfig {
    /// Reads a `<messageStore>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").and_then(|name| element.qualify(&name)));
        let class = match element.attr("class").as_deref() {
            None | Some("org.apache.synapse.message.store.InMemoryMessageStore") => IN_MEMORY_STORE.to_owned(),
            Some("org.wso2.carbon.message.store.persistence.jms.JMSMessageStore") => {
                "org.apache.synapse.message.store.impl.jms.JmsStore".to_owned()
            }
            Some(class) => class.to_owned(),
        };
        let parameters = params::parse(element, Blanks::Keep, out);
        out.extend(element.unknown_attrs(&["name", "class", "sequence", "description"]));
        out.extend(element.unknown_children(&["parameter", "description"]));
        let description = description(element);
        Some(Self { name: name?.into(), class, parameters, description, element: element.clone() })
    }

    /// The text of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        params::find(&self.parameters, name)
    }
}
