//! `<template>`: sequence templates and endpoint templates. MI: `TemplateMediatorFactory`, `TemplateFactory`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::element::Element;
use crate::endpoint::EndpointConfig;
use crate::params::{Aspects, description};

/// A sequence with parameters.
#[derive(Clone, Debug)]
pub struct SequenceTemplateConfig {
    /// Full name.
    pub name: Arc<str>,
    /// Declared parameters in order.
    pub parameters: Vec<TemplateParameter>,
    /// The `<sequence>` inside; its children are the mediators.
    pub body: Element,
    /// Name of the sequence that handles faults.
    pub on_error: Option<String>,
    /// `<description>`.
    pub description: Option<String>,
    /// Statistics and tracing.
    pub aspects: Aspects,
    /// `<template>`.
    pub element: Element,
}

/// A parameter of a sequence template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateParameter {
    /// Name.
    pub name: String,
    /// A call without it is a fault.
    pub mandatory: bool,
    /// Stands in when a call leaves it out.
    pub default: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// An endpoint whose attributes and texts may be `$name`, `$uri` or `$parameter`.
#[derive(Clone, Debug)]
pub struct EndpointTemplateConfig {
    /// Full name.
    pub name: Arc<str>,
    /// Declared parameters, with `name` and `uri`.
    pub parameters: Vec<String>,
    /// `<endpoint>` with placeholders.
    pub endpoint: Element,
    /// `<description>`.
    pub description: Option<String>,
    /// `<template>`.
    pub element: Element,
}

impl SequenceTemplateConfig {
    /// Reads a `<template>` with a `<sequence>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").and_then(|name| element.qualify(&name)))?;
        let Some(body) = element.child("sequence") else {
            out.push(element.error("a template needs a <sequence> or an <endpoint>"));
            return None;
        };
        let parameters = element.children_named("parameter").filter_map(|it| parameter(&it, out)).collect();
        out.extend(element.unknown_attrs(&["name", "onError", "statistics", "trace", "description"]));
        out.extend(element.unknown_children(&["parameter", "sequence", "description"]));
        Some(Self {
            name: name.into(),
            parameters,
            body,
            on_error: element.attr("onError").map(|value| value.into_owned()),
            description: description(element),
            aspects: Aspects::parse(element),
            element: element.clone(),
        })
    }
}

fn parameter(element: &Element, out: &mut Diagnostics) -> Option<TemplateParameter> {
    let name = out.take(element.require_attr("name"))?.into_owned();
    Some(TemplateParameter {
        name,
        mandatory: element.bool_attr("isMandatory").unwrap_or(false),
        default: element.attr("defaultValue").map(|value| value.into_owned()),
        description: element.attr("description").map(|value| value.into_owned()),
    })
}

impl EndpointTemplateConfig {
    /// Reads a `<template>` with an `<endpoint>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").and_then(|name| element.qualify(&name)))?;
        let mut parameters: Vec<String> = element
            .children_named("parameter")
            .filter_map(|it| out.take(it.require_attr("name").map(|name| name.trim().to_owned())))
            .collect();
        for implied in ["name", "uri"] {
            if !parameters.iter().any(|name| name == implied) {
                parameters.push(implied.to_owned());
            }
        }
        let Some(endpoint) = element.child("endpoint") else {
            out.push(element.error("an endpoint template needs an <endpoint>"));
            return None;
        };
        let description = description(element);
        Some(Self { name: name.into(), parameters, endpoint, description, element: element.clone() })
    }

    /// The endpoint of the template with `values` put in. MI: `Template#create`.
    ///
    /// An attribute or a text is replaced only if it is `$parameter` as a whole. `{system.prop.x}` inside of
    /// a replaced attribute stands for a system property.
    ///
    /// # Errors
    /// The endpoint does not parse with these values; all its errors are returned.
    pub fn instantiate(&self, values: &BTreeMap<String, String>) -> Result<EndpointConfig, Vec<Diagnostic>> {
        let mut document = self.endpoint.document().clone();
        let root = self.endpoint.node();
        let elements: Vec<_> = document.descendants(root).filter(|node| document.is_element(*node)).collect();
        for node in elements {
            let attributes: Vec<_> = document.attributes(node).collect();
            for attribute in attributes {
                if let Some(value) = self.lookup(&document.value(attribute), values) {
                    let value = self.with_system_properties(value);
                    document.set_value(attribute, &value);
                }
            }
            if let Some(value) = self.lookup(&document.text(node), values) {
                document.set_text(node, value);
            }
        }
        let mut out = Diagnostics::new();
        let endpoint = EndpointConfig::parse(&self.endpoint.with_document(document, root), &mut out);
        match endpoint {
            Some(endpoint) if !out.has_errors() => Ok(endpoint),
            _ => Err(out.into_vec()),
        }
    }

    fn lookup<'v>(&self, text: &str, values: &'v BTreeMap<String, String>) -> Option<&'v str> {
        let name = text.strip_prefix('$')?;
        self.parameters.iter().any(|it| it == name).then(|| values.get(name).map(String::as_str)).flatten()
    }

    fn with_system_properties(&self, value: &str) -> String {
        const OPEN: &str = "{system.prop.";
        let placeholders = self.element.scope().placeholders();
        let mut result = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once(OPEN) {
            result.push_str(before);
            match after.split_once('}') {
                Some((name, tail)) => {
                    match placeholders.system_property(name) {
                        Some(value) => result.push_str(&value),
                        None => result.push_str(&format!("{OPEN}{name}}}")),
                    }
                    rest = tail;
                }
                None => {
                    result.push_str(OPEN);
                    rest = after;
                }
            }
        }
        result.push_str(rest);
        result
    }
}
