//! Endpoints made of endpoints: load balance, failover, recipient list.
//! MI: `LoadbalanceEndpointFactory`, `SALoadbalanceEndpointFactory`, `FailoverEndpointFactory`, `RecipientListEndpointFactory`.

use mi_expr::Dynamic;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::element::Element;
use crate::endpoint::{EndpointConfig, EndpointKind};

/// `<loadbalance>`
#[derive(Clone, Debug)]
pub struct LoadBalance {
    /// Who comes next.
    pub algorithm: LoadBalanceAlgorithm,
    /// A failed message goes to the next one.
    pub failover: bool,
    /// `buildMessage`: the body is read before it is sent, so that it can be sent again.
    pub build_message: Option<bool>,
    /// Endpoints; empty if there are members.
    pub children: Vec<EndpointConfig>,
    /// Hosts; the path of the message is kept.
    pub members: Vec<Member>,
    /// Clients stay with one endpoint.
    pub session: Option<Session>,
}

/// Order in which the endpoints of a load balance get messages.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum LoadBalanceAlgorithm {
    /// One after the other.
    #[default]
    RoundRobin,
    /// As many messages each as its property `loadbalance.weight` says.
    WeightedRoundRobin,
    /// The same with weights that follow the number of open connections.
    WeightedLeastConnections,
}

/// A host of a load balance or a recipient list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Host name.
    pub host: String,
    /// Port for http.
    pub http_port: Option<u16>,
    /// Port for https.
    pub https_port: Option<u16>,
}

/// `<session>`
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What tells clients apart.
    pub kind: SessionKind,
    /// Milliseconds after which an idle session is forgotten.
    pub timeout_ms: Option<u64>,
}

/// What tells the clients of a session apart.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Cookies.
    Http,
    /// The header `ServiceGroupId`.
    Soap,
    /// The header `ClientID` of the Synapse namespace.
    SimpleClient,
}

/// `<failover>`
#[derive(Clone, Debug)]
pub struct Failover {
    /// Endpoints in order of preference.
    pub children: Vec<EndpointConfig>,
    /// Every message begins with the first endpoint that is ready; otherwise the present one is kept.
    pub dynamic: bool,
    /// As [`LoadBalance::build_message`].
    pub build_message: Option<bool>,
}

/// `<recipientlist>`; exactly one of the three is filled.
#[derive(Clone, Debug)]
pub struct RecipientList {
    /// Endpoints.
    pub children: Vec<EndpointConfig>,
    /// Hosts.
    pub members: Vec<Member>,
    /// Gives a list of URLs, separated by commas, for each message.
    pub dynamic: Option<Dynamic>,
    /// Endpoints that are kept for the dynamic form.
    pub max_cache: usize,
}

/// Size of the cache of a dynamic recipient list.
const DEFAULT_CACHE: usize = 20;

impl LoadBalance {
    pub(super) fn parse(endpoint: &Element, element: &Element, depth: u32, out: &mut Diagnostics) -> Option<Self> {
        let session = match endpoint.child("session") {
            Some(it) => Some(out.take(Session::parse(&it))?),
            None => None,
        };
        let algorithm = out.take(LoadBalanceAlgorithm::parse(element));
        let (children, members) = endpoints_or_members(element, depth, out)?;
        if children.is_empty() && members.is_empty() {
            out.push(element.error("<loadbalance> needs at least one <endpoint> or <member>"));
            return None;
        }
        out.extend(element.unknown_attrs(&["algorithm", "policy", "failover", "buildMessage", "description"]));
        Some(Self {
            algorithm: algorithm?,
            failover: !element.attr("failover").is_some_and(|value| value.eq_ignore_ascii_case("false")),
            build_message: element.attr("buildMessage").map(|value| is_true(&value)),
            children,
            members,
            session,
        })
    }
}

/// MI: Axis2's `JavaUtils#isTrueExplicitly`.
fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "true" | "1" | "yes")
}

impl LoadBalanceAlgorithm {
    fn parse(element: &Element) -> Result<Self, Diagnostic> {
        let (policy, algorithm) = (element.attr("policy"), element.attr("algorithm"));
        if policy.is_some() && algorithm.is_some() {
            return Err(element.error("give 'algorithm' or 'policy', not both"));
        }
        if let Some(policy) = policy {
            return match policy.trim() {
                "roundRobin" => Ok(Self::RoundRobin),
                other => Err(element.error(format!("unknown policy '{other}'")).hint("use 'algorithm'")),
            };
        }
        let Some(algorithm) = algorithm else { return Ok(Self::default()) };
        match algorithm.trim().rsplit('.').next() {
            Some("RoundRobin") => Ok(Self::RoundRobin),
            Some("WeightedRoundRobin") => Ok(Self::WeightedRoundRobin),
            Some("WeightedRRLCAlgorithm") => Ok(Self::WeightedLeastConnections),
            _ => {
                let error = element.error(format!("the algorithm '{algorithm}' does not exist here"));
                Err(error.hint("RoundRobin, WeightedRoundRobin or WeightedRRLCAlgorithm"))
            }
        }
    }
}

impl Session {
    fn parse(element: &Element) -> Result<Self, Diagnostic> {
        let timeout = match element.child("sessionTimeout").map(|it| it.text()) {
            None => None,
            Some(text) => Some(
                text.trim()
                    .parse()
                    .map_err(|_| element.error(format!("the session time-out '{}' is no number", text.trim())))?,
            ),
        };
        let kind = match element.require_attr("type")?.to_ascii_lowercase().as_str() {
            "http" => SessionKind::Http,
            "soap" => SessionKind::Soap,
            "simpleclientsession" => SessionKind::SimpleClient,
            other => {
                let error = element.error(format!("unknown session type '{other}'"));
                return Err(error.hint("http, soap or simpleClientSession"));
            }
        };
        Ok(Self { kind, timeout_ms: timeout })
    }
}

impl Failover {
    pub(super) fn parse(element: &Element, depth: u32, out: &mut Diagnostics) -> Option<Self> {
        let children = endpoints(element, depth, out)?;
        if children.is_empty() {
            out.push(element.error("<failover> needs at least one <endpoint>"));
            return None;
        }
        out.extend(element.unknown_attrs(&["dynamic", "buildMessage", "description"]));
        let dynamic = element.attr("dynamic").map(|value| value.to_ascii_lowercase());
        Some(Self {
            children,
            dynamic: !matches!(dynamic.as_deref(), Some("false" | "0" | "no")),
            build_message: element.attr("buildMessage").map(|value| is_true(&value)),
        })
    }
}

impl RecipientList {
    pub(super) fn parse(element: &Element, depth: u32, out: &mut Diagnostics) -> Option<Self> {
        let (children, members) = endpoints_or_members(element, depth, out)?;
        let mut dynamic = None;
        let mut max_cache = DEFAULT_CACHE;
        if let Some(list) = element.child("endpoints").filter(|_| children.is_empty() && members.is_empty()) {
            dynamic = out.take(list.require_attr("value").and_then(|_| list.dynamic("value")))?;
            let given = list.attr("max-cache").and_then(|value| value.trim().parse().ok());
            max_cache = given.unwrap_or(DEFAULT_CACHE);
        }
        if children.is_empty() && members.is_empty() && dynamic.is_none() {
            out.push(element.error("<recipientlist> needs <endpoint>, <member> or <endpoints value=\"…\">"));
            return None;
        }
        Some(Self { children, members, dynamic, max_cache })
    }
}

/// All children, or nothing if one has an error. A key may occur once among siblings.
fn endpoints(element: &Element, depth: u32, out: &mut Diagnostics) -> Option<Vec<EndpointConfig>> {
    let errors = out.errors();
    let mut children: Vec<EndpointConfig> = Vec::new();
    for child in element.children_named("endpoint") {
        let Some(endpoint) = EndpointConfig::parse_nested(&child, depth - 1, out) else { continue };
        if let EndpointKind::Indirect { key } = &endpoint.kind
            && children.iter().any(|it| matches!(&it.kind, EndpointKind::Indirect { key: other } if other == key))
        {
            out.push(child.error(format!("the endpoint '{key}' is named twice")));
        }
        children.push(endpoint);
    }
    (out.errors() == errors).then_some(children)
}

fn endpoints_or_members(
    element: &Element,
    depth: u32,
    out: &mut Diagnostics,
) -> Option<(Vec<EndpointConfig>, Vec<Member>)> {
    let children = endpoints(element, depth, out)?;
    let errors = out.errors();
    let members: Vec<Member> = element.children_named("member").filter_map(|it| out.take(Member::parse(&it))).collect();
    if !children.is_empty() && !members.is_empty() {
        out.push(element.error(format!("<{}> has endpoints or members, not both", element.name())));
    }
    (out.errors() == errors).then_some((children, members))
}

impl Member {
    fn parse(element: &Element) -> Result<Self, Diagnostic> {
        let port = |name: &str| -> Result<Option<u16>, Diagnostic> {
            match element.resolved_attr(name)?.as_deref().map(str::trim) {
                None | Some("") => Ok(None),
                Some(text) => text.parse().map(Some).map_err(|_| element.error(format!("'{text}' is not a port"))),
            }
        };
        let Some(host) = element.resolved_attr("hostName")? else {
            return Err(element.error("<member> needs the attribute 'hostName'"));
        };
        Ok(Self { host, http_port: port("httpPort")?, https_port: port("httpsPort")? })
    }
}
