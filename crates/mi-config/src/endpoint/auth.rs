//! `<authentication>` of HTTP endpoints. MI: `AuthUtils`, `OAuthUtils`.
//!
//! Values may be `{expression}`, which is evaluated for each message, or begin with a placeholder, which is
//! replaced here.

use mi_expr::Dynamic;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::element::Element;

/// How an endpoint authenticates itself.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// `<basicAuth>`
    Basic {
        /// User name.
        username: Dynamic,
        /// Password.
        password: Dynamic,
    },
    /// `<oauth>`
    OAuth(Box<OAuth>),
}

/// OAuth 2.0: tokens are fetched, cached, and fetched again after a 401.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// How a token is asked for.
    pub grant: OAuthGrant,
    /// `tokenUrl`
    pub token_url: Dynamic,
    /// `clientId`
    pub client_id: Dynamic,
    /// `clientSecret`
    pub client_secret: Dynamic,
    /// The credentials go into the body (`authMode` of `payload`) in place of the Authorization header.
    pub credentials_in_body: bool,
    /// More parameters of the token request.
    pub request_parameters: Vec<(String, Dynamic)>,
    /// More headers of the token request.
    pub headers: Vec<(String, Dynamic)>,
    /// Milliseconds to connect.
    pub connection_timeout_ms: Option<u64>,
    /// Milliseconds to wait for a connection of the pool.
    pub connection_request_timeout_ms: Option<u64>,
    /// Milliseconds between two packets.
    pub socket_timeout_ms: Option<u64>,
    /// The three time-outs above come from the global settings where they are not given.
    pub use_global_timeouts: Option<bool>,
    /// `<proxyConfigs>`
    pub proxy: Option<ProxySettings>,
    /// Without `<proxyConfigs>` the global proxy is used.
    pub use_global_proxy: bool,
}

/// How a token is asked for.
#[derive(Clone, Debug)]
pub enum OAuthGrant {
    /// `<clientCredentials>`
    ClientCredentials,
    /// `<authorizationCode>`
    AuthorizationCode {
        /// `refreshToken`
        refresh_token: Dynamic,
    },
    /// `<passwordCredentials>`
    Password {
        /// `username`
        username: Dynamic,
        /// `password`
        password: Dynamic,
    },
}

/// A proxy for token requests.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// `proxyHost`
    pub host: String,
    /// `proxyPort`
    pub port: u16,
    /// `proxyProtocol`, `http` or `https`
    pub protocol: String,
    /// `proxyUsername`
    pub username: Option<Dynamic>,
    /// `proxyPassword`
    pub password: Option<Dynamic>,
    /// Host patterns, separated by `|`, that are reached without the proxy.
    pub non_proxy_hosts: Option<String>,
    /// If given, only hosts of these patterns go through the proxy.
    pub target_hosts: Option<String>,
}

impl Authentication {
    /// Reads `<authentication>`.
    pub(crate) fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        if let Some(oauth) = element.child("oauth") {
            return OAuth::parse(&oauth, out).map(|it| Self::OAuth(Box::new(it)));
        }
        let Some(basic) = element.child("basicAuth") else {
            out.push(element.error("<authentication> needs <oauth> or <basicAuth>"));
            return None;
        };
        let (username, password) = (required(&basic, "username", out), required(&basic, "password", out));
        Some(Self::Basic { username: username?, password: password? })
    }
}

impl OAuth {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let grants: Vec<Element> = ["authorizationCode", "clientCredentials", "passwordCredentials"]
            .into_iter()
            .filter_map(|name| element.child(name))
            .collect();
        let [grant] = &grants[..] else {
            let message = "<oauth> needs exactly one of clientCredentials, authorizationCode, passwordCredentials";
            out.push(element.error(message));
            return None;
        };
        let kind = match grant.name() {
            "clientCredentials" => Some(OAuthGrant::ClientCredentials),
            "authorizationCode" => required(grant, "refreshToken", out)
                .map(|refresh_token| OAuthGrant::AuthorizationCode { refresh_token }),
            _ => required(grant, "username", out)
                .zip(required(grant, "password", out))
                .map(|(username, password)| OAuthGrant::Password { username, password }),
        };
        let (token_url, client_id, client_secret) =
            (required(grant, "tokenUrl", out), required(grant, "clientId", out), required(grant, "clientSecret", out));
        let request_parameters = pairs(grant, "requestParameters", "parameter", out);
        let headers = pairs(grant, "customHeaders", "header", out);
        let proxy = match grant.child("proxyConfigs").filter(|it| it.first_child().is_some()) {
            Some(it) => Some(ProxySettings::parse(&it, out)?),
            None => None,
        };
        let text = |name: &str, out: &mut Diagnostics| out.take(value(grant, name)).flatten();
        let credentials_in_body = text("authMode", out).is_some_and(|mode| mode.eq_ignore_ascii_case("payload"));
        let is_true = |text: String| text.eq_ignore_ascii_case("true");
        Some(Self {
            grant: kind?,
            token_url: token_url?,
            client_id: client_id?,
            client_secret: client_secret?,
            credentials_in_body,
            request_parameters,
            headers,
            connection_timeout_ms: millis(grant, "connectionTimeout", out),
            connection_request_timeout_ms: millis(grant, "connectionRequestTimeout", out),
            socket_timeout_ms: millis(grant, "socketTimeout", out),
            use_global_timeouts: text("useGlobalConnectionTimeoutConfigs", out).map(is_true),
            proxy,
            use_global_proxy: text("useGlobalProxyConfigs", out).is_some_and(is_true),
        })
    }
}

impl ProxySettings {
    fn parse(element: &Element, out: &mut Diagnostics) -> Option<Self> {
        let mut text = |name: &str| out.take(value(element, name)).flatten();
        let (host, port, protocol) = (text("proxyHost"), text("proxyPort"), text("proxyProtocol"));
        let (non_proxy_hosts, target_hosts) = (text("nonProxyHosts"), text("targetProxyHosts"));
        let (Some(host), Some(port), Some(protocol)) = (host, port, protocol) else {
            out.push(element.error("<proxyConfigs> needs proxyHost, proxyPort and proxyProtocol"));
            return None;
        };
        let port = out.take(port.parse().map_err(|_| element.error(format!("'{port}' is not a port"))))?;
        let username = out.take(dynamic(element, "proxyUsername")).flatten();
        let password = out.take(dynamic(element, "proxyPassword")).flatten();
        Some(Self { host, port, protocol, username, password, non_proxy_hosts, target_hosts })
    }
}

/// Trimmed text of a child with its placeholder replaced; a blank one counts as missing.
fn value(parent: &Element, name: &str) -> Result<Option<String>, Diagnostic> {
    let Some(child) = parent.child(name) else { return Ok(None) };
    match child.text().trim() {
        "" => Ok(None),
        text => child.resolve(text).map(Some),
    }
}

fn dynamic(parent: &Element, name: &str) -> Result<Option<Dynamic>, Diagnostic> {
    let Some(text) = value(parent, name)? else { return Ok(None) };
    parse_dynamic(parent, &text).map(Some)
}

fn parse_dynamic(element: &Element, text: &str) -> Result<Dynamic, Diagnostic> {
    Dynamic::parse(text, &element.namespaces())
        .map_err(|error| element.error(format!("the value '{text}' is not valid: {error}")))
}

fn required(parent: &Element, name: &str, out: &mut Diagnostics) -> Option<Dynamic> {
    let found = out.take(dynamic(parent, name))?;
    if found.is_none() {
        out.push(parent.error(format!("<{}> needs <{name}>", parent.name())));
    }
    found
}

fn millis(parent: &Element, name: &str, out: &mut Diagnostics) -> Option<u64> {
    let text = out.take(value(parent, name)).flatten()?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        out.push(parent.warning(format!("<{name}> must be a number of milliseconds, not '{text}'")));
    }
    parsed
}

fn pairs(parent: &Element, list: &str, item: &str, out: &mut Diagnostics) -> Vec<(String, Dynamic)> {
    let Some(list) = parent.child(list) else { return Vec::new() };
    let read = list.children_named(item).filter_map(|it| {
        let name = out.take(it.require_attr("name"))?.into_owned();
        let text = out.take(it.resolve(it.text().trim()))?;
        if text.is_empty() {
            out.push(it.error(format!("the {item} '{name}' has no value")));
            return None;
        }
        out.take(parse_dynamic(&it, &text)).map(|value| (name, value))
    });
    read.collect()
}
