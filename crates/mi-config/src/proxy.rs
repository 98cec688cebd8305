//! `<proxy>`: a service under `/services/NAME` and on any other transport. MI: `ProxyServiceFactory`.

use std::sync::Arc;

use mi_expr::Dynamic;

use crate::diagnostic::Diagnostics;
use crate::element::Element;
use crate::endpoint::EndpointRef;
use crate::params::{self, Aspects, Blanks, Parameter, description, tokens};
use crate::sequence::SequenceRef;

const WSDL11_NAMESPACE: &str = "http://schemas.xmlsoap.org/wsdl/";
const WSDL20_NAMESPACE: &str = "http://www.w3.org/ns/wsdl";

/// A proxy service.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// Full name.
    pub name: Arc<str>,
    /// Names of the transports that serve it; empty means all.
    pub transports: Vec<String>,
    /// Servers that it is limited to.
    pub pinned_servers: Vec<String>,
    /// Is it started with the server?
    pub start_on_load: bool,
    /// Group, kept for the management API.
    pub service_group: Option<String>,
    /// What messages go through.
    pub target: ProxyTarget,
    /// Where the WSDL comes from.
    pub publish_wsdl: Option<PublishWsdl>,
    /// `<policy>` children.
    pub policies: Vec<PolicyConfig>,
    /// `<parameter>` children.
    pub parameters: Vec<Parameter>,
    /// `<enableAddressing/>`
    pub enable_addressing: bool,
    /// `<enableSec/>`
    pub enable_security: bool,
    /// `<description>`
    pub description: Option<String>,
    /// Statistics and tracing.
    pub aspects: Aspects,
    /// `<proxy>`.
    pub element: Element,
}

/// `<target>`; it has an in sequence, an endpoint, or both.
#[derive(Clone, Debug)]
pub struct ProxyTarget {
    /// Runs for a request.
    pub in_sequence: Option<SequenceRef>,
    /// Runs for the response of a `send`.
    pub out_sequence: Option<SequenceRef>,
    /// Handles faults.
    pub fault_sequence: Option<SequenceRef>,
    /// Where messages go behind the in sequence.
    pub endpoint: Option<EndpointRef>,
}

/// `<publishWSDL>`
#[derive(Clone, Debug)]
pub struct PublishWsdl {
    /// Where the document is.
    pub source: WsdlSource,
    /// Policies inside the document are kept.
    pub preserve_policy: Option<String>,
    /// Location in an import to the registry key that stands for it.
    pub resources: Vec<(Dynamic, Dynamic)>,
    /// `<publishWSDL>`.
    pub element: Element,
}

/// Where a WSDL document is.
#[derive(Clone, Debug)]
pub enum WsdlSource {
    /// The document of a WSDL endpoint.
    Endpoint(String),
    /// A registry key or local entry.
    Key(String),
    /// A URI.
    Uri(String),
    /// Inside the proxy.
    Inline(Element),
    /// The element names no document: one is made up.
    None,
}

/// `<policy key="…">`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// Key of the policy.
    pub key: String,
    /// `in`, `out`, or both when missing.
    pub direction: Option<String>,
    /// Namespace and name of the operation that it is limited to.
    pub operation: Option<(String, String)>,
}

impl ProxyConfig {
    /// The text of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        params::find(&self.parameters, name)
    }

    /// Reads a `<proxy>`.
    pub fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let name = out.take(
            element
                .require_attr("name")
                .and_then(|name| element.scope().qualify_service(&name).map_err(|message| element.error(message))),
        );
        let pinned_servers = out.take(element.resolved_attr("pinnedServers"));
        let target = match element.child("target") {
            Some(target) => ProxyTarget::parse(&target, out),
            None => {
                out.push(element.error("a proxy needs a <target>"));
                None
            }
        };
        let publish_wsdl = element.child("publishWSDL").map(|wsdl| PublishWsdl::parse(&wsdl, out));
        let policies = element.children_named("policy").filter_map(|it| PolicyConfig::parse(&it, out)).collect();
        let parameters = params::parse(element, Blanks::Trim, out);
        out.extend(element.unknown_attrs(&PROXY_ATTRIBUTES));
        out.extend(element.unknown_children(&PROXY_CHILDREN));
        let transports = element.attr("transports").filter(|list| list != "all").unwrap_or_default();
        Some(Self {
            name: name?.into(),
            transports: tokens(&transports),
            pinned_servers: tokens(&pinned_servers?.unwrap_or_default()),
            start_on_load: element.bool_attr("startOnLoad").unwrap_or(true),
            service_group: element.attr("serviceGroup").map(|value| value.into_owned()),
            target: target?,
            publish_wsdl: publish_wsdl.flatten(),
            policies,
            parameters,
            enable_addressing: element.child("enableAddressing").is_some(),
            enable_security: element.child("enableSec").is_some(),
            description: description(element),
            aspects: Aspects::parse(element),
            element: element.clone(),
        })
    }
}

const PROXY_ATTRIBUTES: [&str; 9] = [
    "name",
    "transports",
    "pinnedServers",
    "startOnLoad",
    "serviceGroup",
    "statistics",
    "trace",
    "description",
    "onError",
];
const PROXY_CHILDREN: [&str; 7] =
    ["target", "publishWSDL", "policy", "parameter", "enableAddressing", "enableSec", "description"];

impl ProxyTarget {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let errors = out.errors();
        let target = Self {
            in_sequence: SequenceRef::parse(element, "inSequence", out),
            out_sequence: SequenceRef::parse(element, "outSequence", out),
            fault_sequence: SequenceRef::parse(element, "faultSequence", out),
            endpoint: EndpointRef::parse(element, "endpoint", out),
        };
        let known = ["inSequence", "outSequence", "faultSequence", "endpoint"];
        out.extend(element.unknown_attrs(&known));
        out.extend(element.unknown_children(&known));
        if out.errors() > errors {
            return None;
        }
        if target.in_sequence.is_none() && target.endpoint.is_none() {
            out.push(element.error("the <target> of a proxy needs an inSequence, an endpoint, or both"));
            return None;
        }
        Some(target)
    }
}

impl PublishWsdl {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let attr = |name: &str, out: &mut Diagnostics| out.take(element.resolved_attr(name));
        let source = if let Some(endpoint) = attr("endpoint", out)? {
            WsdlSource::Endpoint(endpoint)
        } else if let Some(key) = attr("key", out)? {
            WsdlSource::Key(key)
        } else if let Some(uri) = attr("uri", out)? {
            WsdlSource::Uri(uri)
        } else {
            let inline = element.child_ns(WSDL11_NAMESPACE, "definitions");
            let inline = inline.or_else(|| element.child_ns(WSDL20_NAMESPACE, "description"));
            inline.map_or(WsdlSource::None, WsdlSource::Inline)
        };
        let mut resources = Vec::new();
        for resource in element.children_named("resource") {
            let location = out.take(resource.require_attr("location").and_then(|_| resource.dynamic("location")));
            let key = out.take(resource.require_attr("key").and_then(|_| resource.dynamic("key")));
            if let (Some(Some(location)), Some(Some(key))) = (location, key) {
                resources.push((location, key));
            }
        }
        let preserve_policy = element.attr("preservePolicy").map(|value| value.into_owned());
        Some(Self { source, preserve_policy, resources, element: element.clone() })
    }
}

impl PolicyConfig {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let key = out.take(element.require_attr("key"))?.into_owned();
        let direction = element.attr("type").map(|value| value.into_owned());
        if direction.as_deref().is_some_and(|it| it != "in" && it != "out") {
            out.push(element.error("the type of a policy is 'in' or 'out'"));
        }
        let operation = element
            .attr("operationName")
            .map(|name| (element.attr("operationNamespace").unwrap_or_default().into_owned(), name.into_owned()));
        Some(Self { key, direction, operation })
    }
}
