//! Proxies on the way to back ends. MI: `ProxyConfigBuilder`, `ProxyConfig`, `ProxyTunnelHandler`.
//!
//! A plain request names its whole address to the proxy; a secured one goes through a tunnel (CONNECT), so that the proxy
//! sees nothing of it. Which way a host is reached is decided when it is met for the first time, not for each message.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mi_config::deployment::{OutboundProxy, Sender};
use regex::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of a proxy's answer to CONNECT.
const MAX_ANSWER: usize = 16 * 1024;

/// A proxy.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) host: Arc<str>,
    pub(crate) port: u16,
    /// `Proxy-Authorization`.
    pub(crate) authorization: Option<Arc<str>>,
    /// Hosts that it serves; empty: all.
    targets: Vec<Regex>,
    /// Hosts that are reached without it.
    bypass: Vec<Regex>,
}

/// The proxies of a client. Without any, back ends are reached directly.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    plain: Vec<Arc<Proxy>>,
    secured: Vec<Arc<Proxy>>,
}

impl Proxies {
    /// The proxies of `[transport.http]`. What is wrong with them is left out and said in the second part. Profiles win
    /// over the one proxy.
    pub fn new(sender: &Sender) -> (Self, Vec<String>) {
        let mut wrong = Vec::new();
        let mut read = |profiles: &[OutboundProxy], single: Option<&OutboundProxy>| -> Vec<Arc<Proxy>> {
            let (proxies, direct): (Vec<&OutboundProxy>, &[String]) = match profiles {
                [] => (single.into_iter().collect(), &sender.non_proxy_hosts),
                profiles => (profiles.iter().collect(), &[]),
            };
            proxies.into_iter().map(|config| Arc::new(Proxy::new(config, direct, &mut wrong))).collect()
        };
        let plain = read(&sender.proxy_profiles, sender.proxy.as_ref());
        let secured = read(&sender.secured_proxy_profiles, sender.secured_proxy.as_ref());
        (Self { plain, secured }, wrong)
    }

    /// The proxy for a host. The first profile that names the host decides, and one for all hosts comes last.
    pub(crate) fn select(&self, secure: bool, host: &str) -> Option<&Arc<Proxy>> {
        let proxies = if secure { &self.secured } else { &self.plain };
        let host = host.to_ascii_lowercase();
        let named = |proxy: &&Arc<Proxy>| proxy.targets.iter().any(|target| target.is_match(&host));
        let chosen = proxies.iter().find(named).or_else(|| proxies.iter().find(|proxy| proxy.targets.is_empty()))?;
        (!chosen.bypass.iter().any(|direct| direct.is_match(&host))).then_some(chosen)
    }
}

impl Proxy {
    fn new(config: &OutboundProxy, direct: &[String], wrong: &mut Vec<String>) -> Self {
        let mut patterns = |texts: &mut dyn Iterator<Item = &String>| -> Vec<Regex> {
            let texts = texts.flat_map(|text| text.split(['|', ','])).map(str::trim).filter(|text| !text.is_empty());
            let mut found = Vec::new();
            for text in texts {
                match pattern(text) {
                    Ok(pattern) => found.push(pattern),
                    Err(error) => wrong.push(format!("the host pattern '{text}' of a proxy cannot be read: {error}")),
                }
            }
            found
        };
        let all = config.target_hosts.iter().any(|target| target.trim() == "*");
        let targets = if all { Vec::new() } else { patterns(&mut config.target_hosts.iter()) };
        let bypass = patterns(&mut config.bypass_hosts.iter().chain(direct));
        let authorization = config.username.as_ref().map(|user| {
            let pair = format!("{user}:{}", config.password.as_deref().unwrap_or_default());
            Arc::from(format!("Basic {}", STANDARD.encode(pair)))
        });
        Self { host: config.host.as_str().into(), port: config.port, authorization, targets, bypass }
    }

    /// Has the proxy connect to a host. MI: `ProxyTunnelHandler#generateRequest`.
    pub(crate) async fn tunnel(&self, stream: &mut TcpStream, host: &str, port: u16) -> io::Result<()> {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let mut request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while memchr::memmem::find(&answer, b"\r\n\r\n").is_none() {
            if answer.len() > MAX_ANSWER {
                return Err(io::Error::other("the proxy's answer is too long"));
            }
            // One byte at a time: what stands behind the answer is the back end's.
            answer.push(stream.read_u8().await?);
        }
        let status = answer.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if status.len() == 3 && status.starts_with(b"2") {
            return Ok(());
        }
        let line = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
        Err(io::Error::other(format!("the proxy refuses: {}", String::from_utf8_lossy(line))))
    }
}

/// A pattern of hosts: a regular expression for the whole name, or, as `*.example.com`, a name with wildcards.
fn pattern(text: &str) -> Result<Regex, regex::Error> {
    let text = text.to_ascii_lowercase();
    let wild = text.starts_with('*') || text.contains(".*.");
    let expression = if wild { regex::escape(&text).replace(r"\*", ".*") } else { text };
    Regex::new(&format!(r"\A(?:{expression})\z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mi_config::Deployment;

    fn proxy(host: &str, targets: &[&str], bypass: &[&str]) -> OutboundProxy {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        OutboundProxy {
            host: host.to_owned(),
            port: 1,
            username: None,
            password: None,
            target_hosts: texts(targets),
            bypass_hosts: texts(bypass),
        }
    }

    #[track_caller]
    fn check(
        profiles: &[OutboundProxy],
        single: Option<OutboundProxy>,
        direct: &[&str],
        host: &str,
        expected: Option<&str>,
    ) {
        let mut sender = Deployment::default().http.sender;
        sender.proxy_profiles = profiles.to_vec();
        sender.proxy = single;
        sender.non_proxy_hosts = direct.iter().map(|text| (*text).to_owned()).collect();
        let (proxies, wrong) = Proxies::new(&sender);
        assert_eq!(proxies.select(false, host).map(|proxy| &*proxy.host), expected, "{host}");
        assert!(proxies.select(true, host).is_none() && wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn hosts_have_the_proxy_that_serves_them() {
        let single = || Some(proxy("p", &[], &[]));
        check(&[], None, &[], "a", None);
        check(&[], single(), &[], "a", Some("p"));
        check(&[], single(), &["localhost", "*.internal"], "LOCALHOST", None);
        check(&[], single(), &["localhost|10\\..*"], "10.0.0.1", None);
        check(&[], single(), &["localhost", "*.internal"], "a.b.internal", None);
        check(&[], single(), &["localhost", "*.internal"], "internal", Some("p"));
        let profiles = [
            proxy("rest", &["*"], &["direct.com"]),
            proxy("one", &["example.com", "*.sample.com"], &["xxx.sample.com"]),
        ];
        check(&profiles, single(), &[], "example.com", Some("one"));
        check(&profiles, None, &[], "a.sample.com", Some("one"));
        check(&profiles, None, &[], "xxx.sample.com", None);
        check(&profiles, None, &[], "other.com", Some("rest"));
        check(&profiles, None, &["other.com"], "direct.com", None);
    }

    #[test]
    fn bad_patterns_are_left_out_and_said() {
        let mut sender = Deployment::default().http.sender;
        sender.proxy = Some(proxy("p", &[], &["a(", "b"]));
        let (proxies, wrong) = Proxies::new(&sender);
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(proxies.select(false, "b").is_none() && proxies.select(false, "c").is_some());
    }
}
