//! `<api>`: context, version, listeners and resources. MI: `APIFactory`, `ResourceFactory`.

use std::sync::Arc;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::params::{Aspects, description};
use crate::sequence::SequenceRef;
use crate::uri_template::UriTemplate;

/// Methods that a resource may name.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"];

/// An API.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Full name: `Name:v1.0` with a version, so that several versions of an API are deployed side by side.
    /// MI: `API#getName`.
    pub name: Arc<str>,
    /// Begins with `/` and ends without one, save `/` itself.
    pub context: String,
    /// Host that the Host header must name.
    pub hostname: Option<String>,
    /// Port that the Host header must name.
    pub port: Option<u16>,
    /// How the version is part of the request.
    pub version: Version,
    /// Limits the API to one protocol (`transports`).
    pub protocol: Option<Protocol>,
    /// Registry path of an OpenAPI document (`publishSwagger`).
    pub publish_swagger: Option<String>,
    /// Requests are validated with that document (`validateSchema`).
    pub validate_schema: bool,
    /// Names of the inbound endpoints that serve the API, `default` for the main listeners; empty means `default`.
    pub binds_to: Vec<String>,
    /// In the order of the file; never empty.
    pub resources: Vec<ResourceConfig>,
    /// `<handlers>`, in order.
    pub handlers: Vec<HandlerConfig>,
    /// Statistics and tracing.
    pub aspects: Aspects,
    /// The child `<description>` or the attribute.
    pub description: Option<String>,
    /// `<api>`.
    pub element: Element,
}

/// How an API takes part in versioning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// No `version-type`.
    None,
    /// `{version}` in the context stands for the version.
    Context(String),
    /// The version follows the context.
    Url(String),
}

/// A listener's protocol.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// A handler of an API or an inbound endpoint: a Java class, kept for those that are known.
#[derive(Clone, Debug)]
pub struct HandlerConfig {
    /// Class name.
    pub class: String,
    /// Names and values of the `<property>` children; an XML value is given as text.
    pub properties: Vec<(String, String)>,
    /// `<handler>`.
    pub element: Element,
}

/// How a resource is found within its API.
#[derive(Clone, Debug)]
pub enum ResourceMatch {
    /// Neither attribute: what no other resource takes.
    Default,
    /// `url-mapping`.
    UrlMapping(String),
    /// `uri-template`.
    UriTemplate(UriTemplate),
}

/// A resource of an API.
#[derive(Clone, Debug)]
pub struct ResourceConfig {
    /// Upper case names; empty means all methods.
    pub methods: Vec<String>,
    /// The path.
    pub matches: ResourceMatch,
    /// Limits the resource to one protocol.
    pub protocol: Option<Protocol>,
    /// Regular expression for the Content-Type header.
    pub content_type: Option<String>,
    /// Regular expression for the User-Agent header.
    pub user_agent: Option<String>,
    /// As [`ApiConfig::binds_to`]; empty means those of the API.
    pub binds_to: Vec<String>,
    /// Runs for a request.
    pub in_sequence: Option<SequenceRef>,
    /// Runs for the response of a `send`.
    pub out_sequence: Option<SequenceRef>,
    /// Handles faults.
    pub fault_sequence: Option<SequenceRef>,
    /// `<resource>`.
    pub element: Element,
}

impl ApiConfig {
    /// Reads an `<api>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(element.require_attr("name").map(|it| it.into_owned()));
        let context = out.take(parse_context(element));
        let version = parse_version(element, out);
        let port = parse_port(element, out);
        let protocol = parse_protocol(element, "transports", out);
        let resources: Vec<_> = element.children_named("resource").map(|it| ResourceConfig::parse(&it, out)).collect();
        if resources.is_empty() {
            out.push(element.error("an API needs at least one <resource>"));
        }
        let handlers =
            element.child("handlers").map(|handlers| HandlerConfig::parse_all(&handlers, out)).unwrap_or_default();
        out.extend(element.unknown_attrs(&API_ATTRIBUTES));
        out.extend(element.unknown_children(&["resource", "handlers", "description"]));
        let (name, context) =
            out.take(element.scope().qualify_api(&name?, &context?).map_err(|message| element.error(message)))?;
        let name = match &version {
            Version::Context(version) | Version::Url(version) if !version.is_empty() => format!("{name}:v{version}"),
            _ => name,
        };
        let binds_to = names(element, "binds-to");
        let resources: Vec<ResourceConfig> = resources.into_iter().flatten().collect();
        for resource in &resources {
            if resource.binds_to.iter().any(|name| !binds_to.contains(name)) {
                out.push(resource.element.error("'binds-to' of a resource must be a part of that of its API"));
            }
        }
        let publish_swagger = element.attr("publishSwagger").map(|value| value.into_owned());
        Some(Self {
            name: name.into(),
            context,
            hostname: element.filled_attr("hostname").map(|value| value.into_owned()),
            port,
            version,
            protocol,
            validate_schema: publish_swagger.is_some() && element.bool_attr("validateSchema").unwrap_or(false),
            publish_swagger,
            binds_to,
            resources,
            handlers,
            aspects: Aspects::parse(element),
            description: description(element).or_else(|| element.attr("description").map(|it| it.into_owned())),
            element: element.clone(),
        })
    }
}

const API_ATTRIBUTES: [&str; 15] = [
    "name",
    "context",
    "hostname",
    "port",
    "version",
    "version-type",
    "version-param",
    "transports",
    "publishSwagger",
    "validateSchema",
    "binds-to",
    "statistics",
    "trace",
    "description",
    "onError",
];

fn parse_context(element: &Element) -> Result<String, crate::Diagnostic> {
    let context = element.require_attr("context")?;
    if !context.starts_with('/') {
        return Err(element.error(format!("the context '{context}' must begin with '/'")));
    }
    Ok(context.into_owned())
}

/// MI: `VersionStrategyFactory`. A version without a type is an error.
fn parse_version(element: &Element, out: &mut Diagnostics) -> Version {
    let version = element.attr("version").unwrap_or_default().into_owned();
    let kind = element.attr("version-type").unwrap_or_default();
    match kind.trim() {
        "" if version.is_empty() => Version::None,
        "" => {
            let error = element.error("an API with a 'version' needs the attribute 'version-type'");
            out.push(error.hint("one of 'context' and 'url'"));
            Version::None
        }
        "context" => Version::Context(version),
        "url" => Version::Url(version),
        other => {
            let error = element.error(format!("unknown version-type '{other}'"));
            out.push(error.hint("one of 'context' and 'url'"));
            Version::None
        }
    }
}

fn parse_port(element: &Element, out: &mut Diagnostics) -> Option<u16> {
    let value = element.filled_attr("port")?;
    let port = value.trim().parse();
    out.take(port.map_err(|_| element.error(format!("'{value}' is not a port"))))
}

fn parse_protocol(element: &Element, attr: &str, out: &mut Diagnostics) -> Option<Protocol> {
    match element.attr(attr)?.as_ref() {
        "" => None,
        "http" => Some(Protocol::Http),
        "https" => Some(Protocol::Https),
        other => {
            let error = element.error(format!("unknown protocol '{other}' in '{attr}'"));
            out.push(error.hint("'http' or 'https'; without the attribute both are served"));
            None
        }
    }
}

fn names(element: &Element, attr: &str) -> Vec<String> {
    let list = element.attr(attr).unwrap_or_default();
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

impl ResourceConfig {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let errors = out.errors();
        let methods = parse_methods(element, out);
        let matches = parse_match(element, out);
        let protocol = parse_protocol(element, "protocol", out);
        let in_sequence = SequenceRef::parse(element, "inSequence", out);
        let out_sequence = SequenceRef::parse(element, "outSequence", out);
        let fault_sequence = SequenceRef::parse(element, "faultSequence", out);
        out.extend(element.unknown_attrs(&RESOURCE_ATTRIBUTES));
        out.extend(element.unknown_children(&["inSequence", "outSequence", "faultSequence", "description"]));
        (out.errors() == errors).then(|| Self {
            methods,
            matches,
            protocol,
            content_type: element.filled_attr("content-type").map(|value| value.into_owned()),
            user_agent: element.filled_attr("user-agent").map(|value| value.into_owned()),
            binds_to: names(element, "binds-to"),
            in_sequence,
            out_sequence,
            fault_sequence,
            element: element.clone(),
        })
    }
}

const RESOURCE_ATTRIBUTES: [&str; 13] = [
    "methods",
    "uri-template",
    "url-mapping",
    "protocol",
    "content-type",
    "user-agent",
    "binds-to",
    "inSequence",
    "outSequence",
    "faultSequence",
    "description",
    "statistics",
    "trace",
];

fn parse_methods(element: &Element, out: &mut Diagnostics) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    for method in element.attr("methods").unwrap_or_default().split_ascii_whitespace() {
        if !METHODS.contains(&method) || methods.iter().any(|known| known == method) {
            let error = element.error(format!("unknown or repeated method '{method}'"));
            out.push(error.hint(format!("methods are separated by blanks and are among {}", METHODS.join(" "))));
        } else {
            methods.push(method.to_owned());
        }
    }
    methods
}

fn parse_match(element: &Element, out: &mut Diagnostics) -> ResourceMatch {
    if let Some(mapping) = element.attr("url-mapping").filter(|value| !value.is_empty()) {
        return ResourceMatch::UrlMapping(mapping.into_owned());
    }
    let Some(template) = element.attr("uri-template").filter(|value| !value.is_empty()) else {
        return ResourceMatch::Default;
    };
    match UriTemplate::compile(&template) {
        Ok(template) => ResourceMatch::UriTemplate(template),
        Err(error) => {
            out.push(element.error(format!("the uri-template '{template}' is not valid: {error}")));
            ResourceMatch::Default
        }
    }
}

impl HandlerConfig {
    /// Reads the `<handler>` children of `<handlers>`.
    pub(crate) fn parse_all(handlers: &Element, out: &mut Diagnostics) -> Vec<Self> {
        let read = handlers.children_named("handler").filter_map(|element| {
            let class = out.take(element.require_attr("class").map(|class| class.into_owned()))?;
            let properties = element.children_named("property").filter_map(|property| {
                let name = out.take(property.require_attr("name").map(|name| name.into_owned()))?;
                let value = match property.attr("value") {
                    Some(value) => value.into_owned(),
                    None => property.first_child().map(|child| child.to_xml()).unwrap_or_default(),
                };
                Some((name, value))
            });
            let properties = properties.collect();
            Some(Self { class, properties, element })
        });
        read.collect()
    }
}
