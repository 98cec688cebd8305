//! Inbound endpoints `http` and `https`: ports of their own, whose requests go to a sequence or, by
//! `dispatch.filter.pattern`, where those of the main listeners go. MI: `InboundHttpListener`, `InboundHttpsListener`.
//!
//! Sizes of worker pools and names of threads have no meaning here and are accepted without a word.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element, SourceFile};
use mi_engine::inbound::{HttpRoute, Inbound, OpenCx, Parameters, Route, Source};
use mi_engine::spec::InboundSpec;
use mi_engine::transport::{HttpReply, HttpRequest, HttpService};
use mi_engine::{BuildCx, Engine};
use regex::Regex;

use super::{Limits, ListenerConfig, SERVER, Server};
use crate::keystore::KeyStore;
use crate::tls::{ClientAuth, Identity, ServerTls, ServerTlsConfig};

/// `<inboundEndpoint protocol="http">`
pub(crate) const INBOUND: InboundSpec = InboundSpec { protocol: "http", parse: parse_plain };
/// `<inboundEndpoint protocol="https">`
pub(crate) const INBOUND_SECURE: InboundSpec = InboundSpec { protocol: "https", parse: parse_secure };

/// A port.
#[derive(Debug)]
struct HttpInbound {
    port: u16,
    pattern: Option<Regex>,
    secure: Option<Secure>,
}

/// What an https port needs.
#[derive(Clone, Debug)]
struct Secure {
    keys: Store,
    trust: Option<Store>,
    client_auth: ClientAuth,
    protocols: String,
}

/// A key store or trust store.
#[derive(Clone, Debug)]
struct Store {
    location: String,
    password: String,
    key_password: Option<String>,
}

/// Parameters that are obeyed, and those for threads of MI: here no message waits for a thread. MI declares
/// `api.dispatching.enabled` and does not read it.
const KNOWN: &[&str] = &[
    "api.dispatching.enabled",
    "dispatch.filter.pattern",
    "inbound.http.port",
    "inbound.thread.group.id",
    "inbound.thread.id",
    "inbound.worker.pool.queue.length",
    "inbound.worker.pool.size.core",
    "inbound.worker.pool.size.max",
    "inbound.worker.thread.keep.alive.sec",
];
const PREFIXES: &[&str] = &["api.", "dispatch.", "inbound."];

fn parse_plain(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    parameters.warn_unknown(PREFIXES, KNOWN, cx);
    Ok(Some(Box::new(HttpInbound { port: port(parameters)?, pattern: pattern(parameters)?, secure: None })))
}

fn parse_secure(parameters: &Parameters, cx: &mut BuildCx<'_>) -> Result<Option<Box<dyn Inbound>>, Diagnostic> {
    parameters.warn_unknown(PREFIXES, KNOWN, cx);
    for name in ["CertificateRevocationVerifier", "PreferredCiphers"] {
        if parameters.names().any(|known| known == name) {
            cx.report(parameters.place(name).warning(format!("'{name}' is not supported by this version")));
        }
    }
    let Some(keys) = store(parameters, "keystore")? else {
        return Err(parameters.place("keystore").error("an https inbound endpoint needs the parameter 'keystore'"));
    };
    let client_auth = match parameters.text("SSLVerifyClient") {
        Some("require") => ClientAuth::Require,
        Some("optional") => ClientAuth::Optional,
        _ => ClientAuth::None,
    };
    let protocols = match parameters.xml("HttpsProtocols") {
        Some(element) => element.text().trim().to_owned(),
        None => parameters.text("HttpsProtocols").unwrap_or_default().to_owned(),
    };
    let secure = Secure { keys, trust: store(parameters, "truststore")?, client_auth, protocols };
    Ok(Some(Box::new(HttpInbound { port: port(parameters)?, pattern: pattern(parameters)?, secure: Some(secure) })))
}

fn port(parameters: &Parameters) -> Result<u16, Diagnostic> {
    const NAME: &str = "inbound.http.port";
    let text = parameters.text(NAME).unwrap_or_default();
    text.parse().map_err(|_| parameters.place(NAME).error(format!("'{NAME}' must be a port, not '{text}'")))
}

/// The pattern fits whole targets. MI: `Matcher#matches`.
fn pattern(parameters: &Parameters) -> Result<Option<Regex>, Diagnostic> {
    const NAME: &str = "dispatch.filter.pattern";
    let Some(pattern) = parameters.filled(NAME) else { return Ok(None) };
    Regex::new(&format!(r"\A(?:{pattern})\z"))
        .map(Some)
        .map_err(|error| parameters.place(NAME).error(format!("'{NAME}' is no regular expression: {error}")))
}

/// `<KeyStore><Location/><Password/><KeyPassword/></KeyStore>` inside of a parameter.
fn store(parameters: &Parameters, name: &str) -> Result<Option<Store>, Diagnostic> {
    let element = match (parameters.xml(name), parameters.filled(name)) {
        (Some(element), _) => element.clone(),
        (None, Some(text)) => Element::parse(SourceFile::new(name, text.as_bytes().to_vec()))?.0,
        (None, None) => return Ok(None),
    };
    let text = |name: &str| element.child(name).map(|it| it.text().trim().to_owned()).filter(|text| !text.is_empty());
    let Some(location) = text("Location") else {
        return Err(parameters.place(name).error(format!("'{name}' needs a <Location>")));
    };
    Ok(Some(Store { location, password: text("Password").unwrap_or_default(), key_password: text("KeyPassword") }))
}

impl Store {
    fn load(&self, home: &Path) -> Result<KeyStore, String> {
        let path = home.join(&self.location);
        KeyStore::load(&path, &self.password, self.key_password.as_deref())
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Secure {
    fn load(&self, home: &Path) -> Result<ServerTls, String> {
        let keys = self.keys.load(home)?;
        let identity = Identity::from(keys.key(None).map_err(|error| error.to_string())?);
        let mut config = ServerTlsConfig::new(identity);
        config.client_auth = self.client_auth;
        config.protocols.clone_from(&self.protocols);
        if let Some(trust) = &self.trust {
            config.trusted = trust.load(home)?.anchors().cloned().collect();
        }
        ServerTls::new(&config).map_err(|error| error.to_string())
    }
}

impl Inbound for HttpInbound {
    fn open(&self, cx: &OpenCx) -> Result<Source, String> {
        let snapshot = cx.injector.snapshot();
        let Route::Inbound(route) = &cx.route else { return Err("this is no inbound endpoint".to_owned()) };
        let tls = match &self.secure {
            None => None,
            Some(secure) => {
                let home = snapshot.services.environment.system_property("carbon.home").unwrap_or_default();
                Some(Arc::new(secure.load(&PathBuf::from(home))?))
            }
        };
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, self.port));
        let mut config = ListenerConfig::new(format!("Inbound endpoint {}", cx.name), address);
        config.tls = tls;
        config.server = SERVER;
        config.limits = Limits { idle_timeout: snapshot.settings.socket_timeout, ..Limits::default() };
        let route = HttpRoute { route: route.clone(), pattern: self.pattern.clone() };
        let service = Arc::new(InboundService { engine: cx.injector.engine().clone(), route });
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let server = Server::start(vec![(config, service as Arc<dyn HttpService>)], threads)
            .map_err(|error| error.to_string())?;
        let control = cx.control.clone();
        let patience = snapshot.settings.socket_timeout;
        Ok(Source::Listen(Box::pin(async move {
            control.halted().await;
            let left = server.wait_idle(patience).await;
            // Joining the threads blocks for a moment.
            let ended = tokio::task::spawn_blocking(move || server.shutdown()).await;
            match (left, ended) {
                (0, Ok(())) => Ok(()),
                (left, _) => Err(format!("{left} requests did not end in time")),
            }
        })))
    }
}

/// Requests of one port.
struct InboundService {
    engine: Arc<Engine>,
    route: HttpRoute,
}

impl HttpService for InboundService {
    fn call(&self, request: HttpRequest) -> BoxFuture<'static, Option<HttpReply>> {
        self.engine.serve_inbound(request, &self.route)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mi_engine::inbound::{Control, Gauge, Injector, Phase, Switch};

    use super::*;
    use crate::file::tests::support::deploy;

    fn xml(protocol: &str, parameters: &[(&str, &str)]) -> String {
        let mut inner = String::new();
        for (name, value) in parameters {
            inner.push_str(&format!("<parameter name='{name}'>{value}</parameter>"));
        }
        format!(
            "<inboundEndpoint name='H' protocol='{protocol}' sequence='in'><parameters>{inner}</parameters></inboundEndpoint>"
        )
    }

    /// What is said at deployment.
    #[track_caller]
    fn check(protocol: &str, parameters: &[(&str, &str)], starts: bool, expected: &[&str]) {
        let built = deploy(&xml(protocol, parameters));
        let errors = built.failed.iter().flat_map(|(_, diagnostics)| diagnostics);
        let said: Vec<String> = built.warnings.iter().chain(errors).map(ToString::to_string).collect();
        assert_eq!(built.snapshot.inbounds.len(), usize::from(starts), "{parameters:?}: {said:?}");
        assert_eq!(said.len(), expected.len(), "{parameters:?}: {said:?}");
        for (said, part) in said.iter().zip(expected) {
            assert!(said.contains(part), "{part}: {said}");
        }
    }

    const PORT: (&str, &str) = ("inbound.http.port", "0");
    const KEYS: (&str, &str) = ("keystore", "<KeyStore><Location>no.jks</Location><Password>x</Password></KeyStore>");

    #[test]
    fn parameters() {
        check("http", &[PORT], true, &[]);
        check("HTTP", &[PORT, ("api.dispatching.enabled", "true"), ("inbound.worker.pool.size.core", "7")], true, &[]);
        check("http", &[PORT, ("inbound.http.prot", "1")], true, &["'inbound.http.prot' is not known"]);
        check("http", &[], false, &["'inbound.http.port' must be a port"]);
        check("http", &[("inbound.http.port", "70000")], false, &["not '70000'"]);
        check("http", &[PORT, ("dispatch.filter.pattern", "/a/(")], false, &["is no regular expression"]);
        check("https", &[PORT, KEYS], true, &[]);
        check("https", &[PORT], false, &["needs the parameter 'keystore'"]);
        check("https", &[PORT, ("keystore", "<KeyStore/>")], false, &["'keystore' needs a <Location>"]);
        check("https", &[PORT, KEYS, ("PreferredCiphers", "x")], true, &["'PreferredCiphers' is not supported"]);
    }

    /// Opens the endpoint with these parameters.
    fn open(protocol: &str, parameters: &[(&str, &str)]) -> (Result<Source, String>, Switch) {
        let engine = Arc::new(Engine::new(deploy(&xml(protocol, parameters)).snapshot));
        let intake = engine.snapshot().inbounds[0].clone();
        let (switch, control): (Switch, Control) = Switch::new(Phase::Running);
        let cx = OpenCx {
            name: intake.name.clone(),
            route: intake.route.clone(),
            injector: Injector::new(engine, intake.route.clone()),
            control,
            gauge: Arc::new(Gauge::new("test")),
        };
        (intake.inbound.open(&cx), switch)
    }

    #[tokio::test]
    async fn a_port_is_open_until_it_is_told_to_close() {
        let (opened, switch) = open("http", &[PORT]);
        let Ok(Source::Listen(listening)) = opened else { panic!("a listener is expected") };
        switch.set(Phase::Stopped);
        assert_eq!(listening.await, Ok(()));
    }

    #[tokio::test]
    async fn what_cannot_be_opened_says_why() {
        let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let error = open("http", &[("inbound.http.port", &port)]).0.unwrap_err();
        assert!(error.contains(&port), "{error}");
        let error = open("https", &[PORT, KEYS]).0.unwrap_err();
        assert!(error.contains("no.jks"), "{error}");
    }
}
