//! The proxies on the way to back ends: those of `deployment.toml`, else the one that Java's system properties name.
//! MI: `ProxyConfigBuilder#build`.

use mi_config::deployment::{OutboundProxy, Sender};
use mi_transports::http::Proxies;

use crate::cli::HomeArgs;

/// The proxies of a server; what is wrong with them is logged.
pub fn of(home: &HomeArgs, sender: &Sender) -> Proxies {
    let (proxies, wrong) = Proxies::new(&with_properties(sender.clone(), |name| home.property(name)));
    for what in wrong {
        log::warn!(target: "ProxyConfigBuilder", "{what}");
    }
    proxies
}

fn with_properties<'a>(mut sender: Sender, property: impl Fn(&str) -> Option<&'a str>) -> Sender {
    let Some(host) = property("http.proxyHost").map(str::trim).filter(|host| !host.is_empty()) else { return sender };
    let port = property("http.proxyPort").and_then(|port| port.trim().parse().ok()).unwrap_or(80);
    let outbound = OutboundProxy {
        host: host.to_owned(),
        port,
        username: None,
        password: None,
        target_hosts: Vec::new(),
        bypass_hosts: Vec::new(),
    };
    sender.proxy.get_or_insert(outbound.clone());
    sender.secured_proxy.get_or_insert(outbound);
    if sender.non_proxy_hosts.is_empty() {
        sender.non_proxy_hosts.extend(property("http.nonProxyHosts").map(str::to_owned));
    }
    sender
}

#[cfg(test)]
mod tests {
    use super::*;
    use mi_config::Deployment;

    #[test]
    fn properties_stand_in_for_what_is_not_configured() {
        let properties = |name: &str| match name {
            "http.proxyHost" => Some("p"),
            "http.proxyPort" => Some("3128"),
            "http.nonProxyHosts" => Some("localhost|a"),
            _ => None,
        };
        let plain = Deployment::default().http.sender;
        assert_eq!(with_properties(plain.clone(), |_| None), plain);
        let sender = with_properties(plain.clone(), properties);
        let shown = |proxy: &Option<OutboundProxy>| proxy.as_ref().map(|proxy| (proxy.host.clone(), proxy.port));
        assert_eq!(shown(&sender.proxy), Some(("p".to_owned(), 3128)));
        assert_eq!(shown(&sender.secured_proxy), Some(("p".to_owned(), 3128)));
        assert_eq!(sender.non_proxy_hosts, ["localhost|a"]);
        let own = sender.proxy.clone().map(|proxy| OutboundProxy { host: "own".to_owned(), ..proxy });
        let configured = Sender { proxy: own, ..plain };
        assert_eq!(shown(&with_properties(configured, properties).proxy), Some(("own".to_owned(), 3128)));
    }
}
