//! Proxy services. MI: `ProxyService`, `ProxyServiceMessageReceiver`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mi_config::{Diagnostic, ProxyConfig};

use crate::build::BuildCx;
use crate::context::{ArtifactInfo, SequenceTarget};
use crate::endpoint::{self, Endpoint};

/// A deployed proxy service.
#[derive(Debug)]
pub struct Proxy {
    /// Name.
    pub name: Arc<str>,
    /// `ProxyService:` and the name, the property that messages of it carry.
    pub artifact_name: Arc<str>,
    /// Transports that it listens on; empty is all.
    pub transports: Vec<String>,
    /// What runs on a request.
    pub in_sequence: Option<SequenceTarget>,
    /// Where a request goes that the in sequence did not send.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Prefix, out and fault sequence.
    pub info: Arc<ArtifactInfo>,
    /// The configuration, for its WSDL and parameters.
    pub config: ProxyConfig,
    running: AtomicBool,
}

impl Proxy {
    /// True when requests are taken over HTTP (`secure` tells which).
    pub fn serves(&self, secure: bool) -> bool {
        self.listens_on(if secure { "https" } else { "http" })
    }

    /// True when messages of this transport are taken.
    pub fn listens_on(&self, transport: &str) -> bool {
        self.is_running() && (self.transports.is_empty() || self.transports.iter().any(|name| name == transport))
    }

    /// True while the service is started.
    pub fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire)
    }

    /// Starts or stops the service.
    pub fn set_running(&self, running: bool) {
        self.running.store(running, Ordering::Release);
    }
}

/// Compiles a proxy.
pub(crate) fn build(config: &ProxyConfig, cx: &mut BuildCx<'_>) -> Result<Proxy, Diagnostic> {
    let target = &config.target;
    let mut sequence = |reference: &Option<mi_config::SequenceRef>| reference.as_ref().map(|it| cx.target(it));
    let in_sequence = sequence(&target.in_sequence);
    let out_sequence = sequence(&target.out_sequence);
    let fault_sequence = sequence(&target.fault_sequence);
    let endpoint = target.endpoint.as_ref().map(|it| endpoint::build_reference(it, cx)).transpose()?;
    if config.enable_security {
        let text = "WS-Security (<enableSec>) is not enforced by this version";
        cx.report(config.element.warning(text).hint("the service takes plain messages"));
    }
    let info = ArtifactInfo {
        kind: "proxy",
        name: config.name.clone(),
        log_prefix: format!("{{proxy:{}}} ", config.name).into(),
        out_sequence,
        fault_sequence: fault_sequence.or_else(|| Some(SequenceTarget::Named(cx.sequence_ref("fault")))),
        meters: Some(cx.metrics.proxy(&config.name)),
        traced: cx.watch.deployed("proxy", &config.name, config.aspects.trace),
    };
    Ok(Proxy {
        artifact_name: format!("ProxyService:{}", config.name).into(),
        name: config.name.clone(),
        transports: config.transports.clone(),
        in_sequence,
        endpoint,
        info: Arc::new(info),
        config: config.clone(),
        running: AtomicBool::new(config.start_on_load),
    })
}
