//! `<endpoint>`: every form of it, with the quality of service of leaf endpoints in [`qos`], OAuth and
//! basic authentication in [`auth`], and endpoints made of endpoints in [`group`]. MI: `EndpointFactory`.
//!
//! States, suspension and sending belong to the engine.

pub mod auth;
pub mod group;
pub mod qos;

use std::sync::Arc;

use mi_expr::Expr;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::element::Element;
use crate::params::{Aspects, description};
use crate::uri_template::UriExpander;

pub use auth::{Authentication, OAuth, OAuthGrant, ProxySettings};
pub use group::{Failover, LoadBalance, LoadBalanceAlgorithm, Member, RecipientList, Session, SessionKind};
pub use qos::{Addressing, Format, Optimize, Qos, Security, Suspension, Timeout, TimeoutAction, TimeoutDuration};

/// Endpoints inside endpoints may nest this deep.
const MAX_DEPTH: u32 = 32;

/// An endpoint.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Full name; an endpoint inside of something else may have none.
    pub name: Option<Arc<str>>,
    /// What it is.
    pub kind: EndpointKind,
    /// Name of the sequence that handles faults.
    pub on_error: Option<String>,
    /// Set on the message before it is sent; `uri.var.*` fill the uri-template.
    pub properties: Vec<EndpointProperty>,
    /// `<description>`.
    pub description: Option<String>,
    /// Statistics and tracing.
    pub aspects: Aspects,
    /// `<endpoint>`.
    pub element: Element,
}

/// The forms of an endpoint.
#[derive(Clone, Debug)]
pub enum EndpointKind {
    /// `<address uri="…">`
    Address(AddressEndpoint),
    /// `<http uri-template="…" method="…">`
    Http(HttpEndpoint),
    /// `<wsdl uri="…" service="…" port="…">`
    Wsdl(WsdlEndpoint),
    /// `<default>`: sends to the To of the message.
    Default(Qos),
    /// `<loadbalance>`
    LoadBalance(LoadBalance),
    /// `<failover>`
    Failover(Failover),
    /// `<recipientlist>`
    RecipientList(RecipientList),
    /// `template="…"`
    Template(TemplateEndpoint),
    /// `key="…"`: a named endpoint or a registry key.
    Indirect {
        /// Full name.
        key: String,
    },
    /// `key-expression="…"`: the key is computed for each message.
    Resolving {
        /// Gives the key.
        expression: Expr,
        /// Identifier of the versioned application that it stands in.
        application: Option<String>,
    },
    /// `<class name="…">`: custom Java, reported when it is built.
    Class {
        /// Class name.
        class: String,
        /// Names and texts of the `<parameter>` children.
        parameters: Vec<(String, String)>,
    },
}

/// An endpoint by name or on the spot.
#[derive(Clone, Debug)]
pub enum EndpointRef {
    /// Full name of an endpoint.
    Key(String),
    /// The endpoint itself.
    Inline(Box<EndpointConfig>),
}

/// `<address>`
#[derive(Clone, Debug)]
pub struct AddressEndpoint {
    /// Trimmed, with its placeholder replaced.
    pub uri: String,
    /// Format, time-outs, suspension.
    pub qos: Qos,
}

/// `<http>`
#[derive(Clone, Debug)]
pub struct HttpEndpoint {
    /// The compiled `uri-template`; without one the message goes to its To.
    pub uri: Option<UriExpander>,
    /// Upper case method; without one that of the message is used.
    pub method: Option<String>,
    /// HTTP 2.0 is asked for.
    pub http2: bool,
    /// Sequence for pushed responses of HTTP 2.0.
    pub server_push_sequence: Option<String>,
    /// `<authentication>`
    pub authentication: Option<Authentication>,
    /// Format, time-outs, suspension.
    pub qos: Qos,
}

/// `<wsdl>`
#[derive(Clone, Debug)]
pub struct WsdlEndpoint {
    /// Where the document is.
    pub uri: Option<String>,
    /// The document, when it is inside.
    pub inline: Option<Element>,
    /// Local name of the service.
    pub service: Option<String>,
    /// Name of the port.
    pub port: Option<String>,
    /// Format, time-outs, suspension.
    pub qos: Qos,
}

/// An instance of an endpoint template.
#[derive(Clone, Debug)]
pub struct TemplateEndpoint {
    /// Name of the template.
    pub template: String,
    /// Values of its parameters, with `name` and `uri` where they are given.
    pub parameters: std::collections::BTreeMap<String, String>,
}

/// `<property>` of an endpoint. MI: `MediatorPropertyFactory`.
#[derive(Clone, Debug)]
pub struct EndpointProperty {
    /// Name.
    pub name: String,
    /// Value.
    pub value: PropertyValue,
    /// `default`, `axis2`, `axis2-client` or `transport`.
    pub scope: Option<String>,
}

/// Value of a property.
#[derive(Clone, Debug)]
pub enum PropertyValue {
    /// `value`
    Text(String),
    /// `expression`
    Expression(Expr),
    /// A child element.
    Xml(Element),
}

impl EndpointRef {
    /// Reads the attribute `name` (a key) or the child `<name>` of `parent`; the attribute wins.
    pub fn parse(parent: &Element, name: &str, out: &mut Diagnostics) -> Option<Self> {
        match out.take(parent.qualified_attr(name))? {
            Some(key) => Some(Self::Key(key)),
            None => Self::parse_element(&parent.child(name)?, out),
        }
    }

    /// Reads an `<endpoint>`; one that has only a key becomes [`EndpointRef::Key`].
    pub fn parse_element(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let endpoint = EndpointConfig::parse(element, out)?;
        Some(match endpoint.kind {
            EndpointKind::Indirect { key } if endpoint.properties.is_empty() => Self::Key(key),
            _ => Self::Inline(Box::new(endpoint)),
        })
    }
}

impl EndpointConfig {
    /// Reads an `<endpoint>`, with those inside of it. `None` if it has an error.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        Self::parse_nested(element, MAX_DEPTH, out)
    }

    /// As [`EndpointConfig::parse`], with at most `depth` levels. The recursion is capped by it.
    pub(crate) fn parse_nested(element: &Element, depth: u32, out: &mut Diagnostics) -> Option<Self> {
        if depth == 0 {
            out.push(element.error(format!("endpoints are nested more than {MAX_DEPTH} deep")));
            return None;
        }
        let errors = out.errors();
        let kind = parse_kind(element, depth, out);
        let name = out.take(parse_name(element, kind.as_ref()));
        let properties = if matches!(kind, Some(EndpointKind::Template(_))) {
            Vec::new()
        } else {
            element.children_named("property").filter_map(|it| EndpointProperty::parse(&it, out)).collect()
        };
        out.extend(element.unknown_attrs(&ENDPOINT_ATTRIBUTES));
        if out.errors() > errors {
            return None;
        }
        Some(Self {
            name: name?.map(Into::into),
            kind: kind?,
            on_error: element.attr("onError").map(|value| value.into_owned()),
            properties,
            description: description(element).or_else(|| element.attr("description").map(|it| it.into_owned())),
            aspects: aspects(element),
            element: element.clone(),
        })
    }
}

const ENDPOINT_ATTRIBUTES: [&str; 10] =
    ["name", "key", "key-expression", "template", "uri", "onError", "trace", "statistics", "description", "type"];

/// A template endpoint's name may be a placeholder, and then is not made full.
fn parse_name(element: &Element, kind: Option<&EndpointKind>) -> Result<Option<String>, Diagnostic> {
    let Some(name) = element.filled_attr("name") else { return Ok(None) };
    if let Some(EndpointKind::Template(template)) = kind {
        return Ok(template.parameters.get("name").cloned());
    }
    if matches!(kind, Some(EndpointKind::Indirect { .. })) {
        return Ok(Some(name.into_owned()));
    }
    element.qualify(&name).map(Some)
}

/// Statistics and tracing stand on `<endpoint>` or, as MI reads them, on `<address>` and the like.
fn aspects(element: &Element) -> Aspects {
    let outer = Aspects::parse(element);
    let inner = element.first_child().map(|child| Aspects::parse(&child)).unwrap_or_default();
    Aspects { statistics: outer.statistics || inner.statistics, trace: outer.trace || inner.trace }
}

/// The order in which forms are looked for decides when an endpoint has several. MI: `EndpointFactory#getEndpointFactory`.
fn parse_kind(element: &Element, depth: u32, out: &mut Diagnostics) -> Option<EndpointKind> {
    if let Some(key) = element.attr("key") {
        return out.take(element.qualify(&key)).map(|key| EndpointKind::Indirect { key });
    }
    if element.attr("key-expression").is_some() {
        let expression = out.take(element.expr("key-expression"))??;
        let application = element.scope().application().map(|it| it.identifier.clone());
        return Some(EndpointKind::Resolving { expression, application });
    }
    if element.attr("template").is_some() {
        return TemplateEndpoint::parse(element, out).map(EndpointKind::Template);
    }
    if let Some(it) = element.child("address") {
        return AddressEndpoint::parse(&it, out).map(EndpointKind::Address);
    }
    if let Some(it) = element.child("wsdl") {
        return WsdlEndpoint::parse(&it, out).map(EndpointKind::Wsdl);
    }
    if let Some(it) = element.child("default") {
        return Some(EndpointKind::Default(Qos::parse(&it, out)));
    }
    if let Some(it) = element.child("loadbalance") {
        return LoadBalance::parse(element, &it, depth, out).map(EndpointKind::LoadBalance);
    }
    if let Some(it) = element.child("dynamicLoadbalance").or_else(|| element.child("serviceDynamicLoadbalance")) {
        let error = it.error(format!("<{}> needs Axis2 clustering, which does not exist here", it.name()));
        out.push(error.hint("use <loadbalance> with endpoints or members"));
        return None;
    }
    if let Some(it) = element.child("failover") {
        return Failover::parse(&it, depth, out).map(EndpointKind::Failover);
    }
    if let Some(it) = element.child("recipientlist") {
        return RecipientList::parse(&it, depth, out).map(EndpointKind::RecipientList);
    }
    if let Some(it) = element.child("http") {
        return HttpEndpoint::parse(&it, out).map(EndpointKind::Http);
    }
    if let Some(it) = element.child("class") {
        return parse_class(&it, out);
    }
    let error = element.error("the endpoint has no form that is known");
    out.push(
        error.hint("one of address, http, wsdl, default, loadbalance, failover, recipientlist, or a key or template"),
    );
    None
}

fn parse_class(element: &Element, out: &mut Diagnostics) -> Option<EndpointKind> {
    let class = out.take(element.require_attr("name"))?.into_owned();
    let parameters = element.children_named("parameter").filter_map(|it| {
        let name = out.take(it.require_attr("name"))?.into_owned();
        Some((name, it.text()))
    });
    let parameters = parameters.collect();
    Some(EndpointKind::Class { class, parameters })
}

impl AddressEndpoint {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let qos = Qos::parse(element, out);
        let Some(uri) = out.take(element.resolved_attr("uri"))? else {
            out.push(element.error("<address> needs the attribute 'uri'"));
            return None;
        };
        Some(Self { uri: uri.trim().to_owned(), qos })
    }
}

impl HttpEndpoint {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let authentication = element.child("authentication").map(|it| Authentication::parse(&it, out));
        let uri = out.take(parse_uri_template(element));
        let method = element.filled_attr("method").and_then(|method| {
            let upper = method.trim().to_ascii_uppercase();
            if HTTP_METHODS.contains(&upper.as_str()) {
                return Some(upper);
            }
            let warning = element.warning(format!("'{method}' is no method, that of the message is used"));
            out.push(warning.hint(format!("one of {}", HTTP_METHODS.join(" "))));
            None
        });
        let http2 = match element.attr("version").as_deref() {
            None | Some("1.1") => false,
            Some("2.0") => true,
            Some(other) => {
                out.push(element.error(format!("'{other}' is no HTTP version of an endpoint")).hint("1.1 or 2.0"));
                false
            }
        };
        let server_push_sequence =
            element.child("serverPushSequence").filter(|_| http2).map(|it| it.text().trim().to_owned());
        let qos = Qos::parse(element, out);
        Some(Self { uri: uri?, method, http2, server_push_sequence, authentication: authentication.flatten(), qos })
    }
}

const HTTP_METHODS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"];

fn parse_uri_template(element: &Element) -> Result<Option<UriExpander>, Diagnostic> {
    let Some(template) = element.resolved_attr("uri-template")? else { return Ok(None) };
    UriExpander::compile(&template)
        .map(Some)
        .map_err(|error| element.error(format!("the uri-template '{template}' is not valid: {error}")))
}

impl WsdlEndpoint {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let qos = Qos::parse(element, out);
        let uri = out.take(element.resolved_attr("uri"));
        let service = out.take(element.resolved_attr("service"));
        let port = out.take(element.resolved_attr("port"));
        let inline = element.child_ns("http://schemas.xmlsoap.org/wsdl/", "definitions");
        let uri = uri?.map(|uri| uri.trim().to_owned());
        if uri.is_none() && inline.is_none() {
            out.push(element.error("<wsdl> needs the attribute 'uri' or a WSDL 1.1 document inside"));
            return None;
        }
        Some(Self { uri, inline, service: service?, port: port?, qos })
    }
}

impl TemplateEndpoint {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let template = out.take(element.resolved_attr("template"))??;
        let mut parameters = std::collections::BTreeMap::new();
        if let Some(name) = element.filled_attr("name") {
            let resolved = out.take(element.resolve(&name))?;
            let name = if resolved == name { out.take(element.qualify(&name))? } else { resolved };
            parameters.insert("name".to_owned(), name);
        }
        if let Some(uri) = out.take(element.resolved_attr("uri"))? {
            parameters.insert("uri".to_owned(), uri);
        }
        for parameter in element.children_named("parameter") {
            let name = out.take(parameter.require_attr("name").map(|name| name.into_owned()));
            match (name, out.take(parameter.resolved_attr("value"))) {
                (Some(name), Some(Some(value))) => {
                    parameters.insert(name, value);
                }
                (Some(_), Some(None)) => out.push(parameter.error("a parameter of a template needs a 'value'")),
                _ => {}
            }
        }
        Some(Self { template, parameters })
    }
}

impl EndpointProperty {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let Some(name) = element.filled_attr("name").map(|name| name.into_owned()) else {
            out.push(element.error("a property needs a name"));
            return None;
        };
        let value = if let Some(value) = element.attr("value") {
            if value.trim().is_empty() {
                out.push(element.error(format!("the value of the property '{name}' is empty")));
                return None;
            }
            PropertyValue::Text(value.into_owned())
        } else if element.filled_attr("expression").is_some() {
            PropertyValue::Expression(out.take(element.expr("expression"))??)
        } else if let Some(child) = element.first_child() {
            PropertyValue::Xml(child)
        } else {
            out.push(element.error(format!("the property '{name}' needs a value or an expression")));
            return None;
        };
        let scope = element.attr("scope").map(|scope| scope.into_owned());
        if let Some(scope) = scope.as_deref().filter(|it| !PROPERTY_SCOPES.contains(it)) {
            let error = element.error(format!("unknown scope '{scope}'"));
            out.push(error.hint(format!("one of {}", PROPERTY_SCOPES.join(", "))));
            return None;
        }
        Some(Self { name, value, scope })
    }
}

const PROPERTY_SCOPES: [&str; 4] = ["default", "axis2", "axis2-client", "transport"];

#[cfg(test)]
mod tests;
