//! The parts of an HTTP address, read the lenient way of `java.net.URL`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Version};
use mi_message::Headers;

use crate::transport::{Outgoing, Payload};

/// Where an HTTP request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// True for https.
    pub secure: bool,
    /// Host without brackets.
    pub host: Arc<str>,
    /// Port, the protocol's default when none is given (`http://localhost:/x` gives none).
    pub port: u16,
    /// `host`, or `host:port` when the port is not the default one.
    pub authority: Arc<str>,
    /// Path and query, beginning with `/`, with everything escaped that a request line cannot hold.
    pub path_and_query: String,
}

impl Target {
    /// Reads an `http` or `https` address. `None` for other schemes and for what is no address.
    pub fn parse(address: &str) -> Option<Self> {
        let (scheme, rest) = address.trim().split_once("://")?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let default = if secure { 443 } else { 80 };
        let (host, port) = split_port(authority, default)?;
        if host.is_empty() {
            return None;
        }
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { Cow::Borrowed(path) } else { Cow::Owned(format!("/{path}")) };
        let shown = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = if port == default { shown } else { format!("{shown}:{port}") };
        Some(Self {
            secure,
            host: host.into(),
            port,
            authority: authority.into(),
            path_and_query: escape(&path).into_owned(),
        })
    }

    /// A GET request for the address.
    pub fn get(self, timeout: Duration) -> Outgoing {
        let mut headers = Headers::new();
        headers.put("Host", self.authority.clone());
        Outgoing {
            method: Method::GET,
            secure: self.secure,
            host: self.host,
            port: self.port,
            target: self.path_and_query,
            version: Version::HTTP_11,
            headers,
            body: Payload::Empty,
            chunked: false,
            close: false,
            timeout: Some(timeout),
        }
    }

    /// The address again.
    pub fn to_url(&self) -> String {
        format!("{}://{}{}", if self.secure { "https" } else { "http" }, self.authority, self.path_and_query)
    }
}

fn split_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = rest.strip_prefix(':').unwrap_or_default();
        return Some((host, if port.is_empty() { default } else { port.parse().ok()? }));
    }
    match authority.split_once(':') {
        None => Some((authority, default)),
        Some((host, "")) => Some((host, default)),
        Some((host, port)) => Some((host, port.parse().ok()?)),
    }
}

/// Escapes blanks, control characters, non-ASCII and the few others that a request target may not hold.
fn escape(text: &str) -> Cow<'_, str> {
    let bad = |byte: u8| {
        byte <= b' ' || byte >= 0x7f || matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    };
    if !text.bytes().any(bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if bad(byte) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    Cow::Owned(out)
}

/// An address for a log, with `*****` in place of the password in `scheme://user:password@host`.
pub(super) fn masked(uri: &str) -> std::borrow::Cow<'_, str> {
    let parts = || {
        let start = uri.find("://")? + 3;
        let authority = &uri[start..start + uri[start..].find(['/', '?', '#']).unwrap_or(uri.len() - start)];
        let (user, _) = authority.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some((&uri[..=start + name.len()], &uri[start + user.len()..]))
    };
    parts().map_or(uri.into(), |(before, after)| format!("{before}*****{after}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(address: &str, expected: Option<(&str, u16, &str, &str)>) {
        let target = Target::parse(address);
        let got = target.as_ref().map(|it| (&*it.host, it.port, &*it.authority, it.path_and_query.as_str()));
        assert_eq!(got, expected, "{address}");
    }

    #[test]
    fn addresses() {
        check(
            "http://localhost:9000/services/X?a=b c#f",
            Some(("localhost", 9000, "localhost:9000", "/services/X?a=b%20c")),
        );
        check("http://localhost:/x", Some(("localhost", 80, "localhost", "/x")));
        check("https://h", Some(("h", 443, "h", "/")));
        check("https://u:p@h:443?q=1", Some(("h", 443, "h", "/?q=1")));
        check("http://[::1]:8080/", Some(("::1", 8080, "[::1]:8080", "/")));
        check("http://h:99999/", None);
        check("jms:/queue", None);
        check("/relative", None);
    }

    #[test]
    fn passwords_of_addresses_are_not_shown() {
        for (uri, shown) in [
            ("vfs:ftp://user:secret@h:21/out?a=b", "vfs:ftp://user:*****@h:21/out?a=b"),
            ("http://u:p@q@h", "http://u:*****@h"),
            ("http://user@h/a:b@c", "http://user@h/a:b@c"),
            ("http://h:80/x", "http://h:80/x"),
            ("jms:/x:y@z", "jms:/x:y@z"),
        ] {
            assert_eq!(masked(uri), shown);
        }
    }
}
