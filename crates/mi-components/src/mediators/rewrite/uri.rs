//! URIs in pieces, as `java.net.URI` takes them apart and puts them together: pieces are decoded, a missing piece is
//! not an empty one, and what may not stand in a piece is escaped when the whole is written.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The pieces of a URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) scheme: Option<String>,
    pub(super) user: Option<String>,
    /// Missing as well when the authority is no host and port.
    pub(super) host: Option<String>,
    pub(super) port: Option<u32>,
    /// `None` for an empty path.
    pub(super) path: Option<String>,
    pub(super) query: Option<String>,
    pub(super) fragment: Option<String>,
}

/// ASCII characters other than letters and digits that may stand in every piece.
const MARKS: &str = "-_.!~*'()";
const PATH: &str = ":@&=+$,;/";
const ANYWHERE: &str = ";/?:@&=+$,[]";
const USER: &str = ";:&=+$,";
const REGISTRY: &str = "$,;:@&=+[]";

impl Uri {
    /// Takes `text` apart. Errors: a character that may not stand where it does, half an escape, an empty authority.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_with(text, false)
    }

    /// With `server`, the authority must be a host.
    fn parse_with(text: &str, server: bool) -> Result<Self, String> {
        let mut uri = Self::default();
        let scheme_end = text.find([':', '/', '?', '#']).filter(|at| text[*at..].starts_with(':'));
        let rest = match scheme_end {
            Some(at) => {
                let scheme = &text[..at];
                let mut letters = scheme.chars();
                let starts = letters.next().is_some_and(|letter| letter.is_ascii_alphabetic());
                if !starts || !letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter)) {
                    return Err(format!("'{scheme}' is not a valid scheme: {text}"));
                }
                uri.scheme = Some(scheme.to_owned());
                &text[at + 1..]
            }
            None => text,
        };
        let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, it)| (rest, Some(it)));
        if uri.scheme.is_some() && !rest.starts_with('/') {
            // Nothing of an opaque URI is a piece.
            if rest.is_empty() {
                return Err(format!("there must be something behind the scheme: {text}"));
            }
            check(rest, ANYWHERE, "opaque part")?;
        } else {
            let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, it)| (rest, Some(it)));
            let path = match rest.strip_prefix("//") {
                Some(behind) => {
                    let end = behind.find('/').unwrap_or(behind.len());
                    if end > 0 {
                        uri.take_authority(&behind[..end], server)?;
                    } else if behind.is_empty() && query.is_none() && fragment.is_none() {
                        return Err(format!("there must be a host behind '//': {text}"));
                    }
                    &behind[end..]
                }
                None => rest,
            };
            check(path, PATH, "path")?;
            uri.path = Some(path).filter(|path| !path.is_empty()).map(decode);
            if let Some(query) = query {
                check(query, ANYWHERE, "query")?;
                uri.query = Some(decode(query));
            }
        }
        if let Some(fragment) = fragment {
            check(fragment, ANYWHERE, "fragment")?;
            uri.fragment = Some(decode(fragment));
        }
        Ok(uri)
    }

    fn take_authority(&mut self, authority: &str, server: bool) -> Result<(), String> {
        match host_and_port(authority) {
            Ok((user, host, port)) => {
                self.user = user.map(decode);
                self.host = Some(host.to_owned());
                self.port = port;
                Ok(())
            }
            Err(error) if server => Err(error),
            Err(_) => check(authority, REGISTRY, "authority"),
        }
    }

    /// The whole in ASCII. Errors: pieces that do not make a URI, such as a scheme with a relative path.
    /// MI: `URIFragments#toURIString`, without the Unicode normalisation of `URI#toASCIIString`.
    pub(super) fn to_ascii(&self) -> Result<String, String> {
        let mut text = String::new();
        if let Some(scheme) = &self.scheme {
            text.push_str(scheme);
            text.push(':');
        }
        if let Some(host) = &self.host {
            text.push_str("//");
            if let Some(user) = &self.user {
                quote(user, USER, &mut text);
                text.push('@');
            }
            if host.contains(':') && !host.starts_with('[') {
                text.push_str(&format!("[{host}]"));
            } else {
                text.push_str(host);
            }
            if let Some(port) = self.port {
                text.push_str(&format!(":{port}"));
            }
        }
        let path = self.path.as_deref().unwrap_or_default();
        if self.scheme.is_some() && !path.is_empty() && !path.starts_with('/') {
            return Err(format!("Relative path in absolute URI: {text}{path}"));
        }
        quote(path, PATH, &mut text);
        if let Some(query) = &self.query {
            text.push('?');
            quote(query, ANYWHERE, &mut text);
        }
        if let Some(fragment) = &self.fragment {
            text.push('#');
            quote(fragment, ANYWHERE, &mut text);
        }
        Self::parse_with(&text, true)?;
        Ok(text)
    }
}

type Authority<'t> = (Option<&'t str>, &'t str, Option<u32>);

fn host_and_port(authority: &str) -> Result<Authority<'_>, String> {
    let invalid = || format!("'{authority}' is not a host with an optional port");
    let (user, place) = authority.split_once('@').map_or((None, authority), |(user, it)| (Some(user), it));
    if let Some(user) = user {
        check(user, USER, "user info")?;
    }
    let (host, port) = if place.starts_with('[') {
        let end = place.find(']').ok_or_else(invalid)?;
        let address = place[1..end].split('%').next().unwrap_or_default();
        address.parse::<Ipv6Addr>().map_err(|_| invalid())?;
        (&place[..=end], &place[end + 1..])
    } else {
        let (host, port) = place.split_at(place.find(':').unwrap_or(place.len()));
        if !is_host_name(host) {
            return Err(invalid());
        }
        (host, port)
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        Some("") => None,
        Some(digits) if digits.bytes().all(|it| it.is_ascii_digit()) => {
            Some(digits.parse::<i32>().ok().and_then(|it| u32::try_from(it).ok()).ok_or_else(invalid)?)
        }
        _ => return Err(invalid()),
    };
    Ok((user, host, port))
}

/// Labels of letters, digits and inner hyphens; the last of several starts with a letter. Or an IPv4 address.
fn is_host_name(host: &str) -> bool {
    if host.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let is_label = |label: &&str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
    };
    let last_ok =
        labels.len() == 1 || labels.last().is_some_and(|it| it.starts_with(|c: char| c.is_ascii_alphabetic()));
    last_ok && labels.iter().all(is_label)
}

fn is_allowed(letter: char, more: &str) -> bool {
    if letter.is_ascii() {
        letter.is_ascii_alphanumeric() || MARKS.contains(letter) || more.contains(letter)
    } else {
        !letter.is_control() && !letter.is_whitespace()
    }
}

fn check(text: &str, more: &str, piece: &str) -> Result<(), String> {
    for (at, letter) in text.char_indices() {
        if letter == '%' {
            let escape = text.as_bytes().get(at + 1..at + 3);
            if !escape.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                return Err(format!("Malformed escape pair in {piece}: {text}"));
            }
        } else if !is_allowed(letter, more) {
            return Err(format!("Illegal character in {piece} at index {at}: {text}"));
        }
    }
    Ok(())
}

/// Escapes what is not allowed, the percent sign too, and everything beyond ASCII.
fn quote(text: &str, more: &str, out: &mut String) {
    let mut bytes = [0; 4];
    for letter in text.chars() {
        if letter.is_ascii() && is_allowed(letter, more) {
            out.push(letter);
            continue;
        }
        for byte in letter.encode_utf8(&mut bytes).bytes() {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Uri;

    /// Parses and writes; tells scheme, host, port and path too.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let found = match Uri::parse(text) {
            Err(_) => "invalid".to_owned(),
            Ok(uri) => {
                let port = uri.port.map_or(-1, i64::from);
                let written = uri.to_ascii().unwrap_or_else(|_| "unwritable".to_owned());
                format!("{} {} {port} {} {written}", shown(&uri.scheme), shown(&uri.host), shown(&uri.path))
            }
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn taken_apart_and_put_together() {
        check("http://h:80/a?b=c#d", "http h 80 /a http://h:80/a?b=c#d");
        check("http://localhost:/x", "http localhost -1 /x http://localhost/x");
        check("/a/b", "- - -1 /a/b /a/b");
        check("", "- - -1 - ");
        check("http://u:p@h", "http h -1 - http://u:p@h");
        check("http://[::1]:8/a", "http [::1] 8 /a http://[::1]:8/a");
        check("urn:a:b", "urn - -1 - unwritable");
        check("http://a_b/c", "http - -1 /c http:/c");
        check("http://10.0.0.1/c", "http 10.0.0.1 -1 /c http://10.0.0.1/c");
    }

    #[test]
    fn escapes_are_decoded_and_written_anew() {
        check("/a%20b%2Fc?x=%26", "- - -1 /a b/c /a%20b/c?x=&");
        check("/\u{e4}", "- - -1 /\u{e4} /%C3%A4");
        check("/a%25b", "- - -1 /a%b /a%25b");
    }

    #[test]
    fn what_java_refuses() {
        for text in ["/a b", "/a{b}", "/a%2", "1:a", "http://", "http:", "http://h/\u{a0}"] {
            check(text, "invalid");
        }
        let relative = Uri { scheme: Some("http".into()), path: Some("a".into()), ..Uri::default() };
        assert!(relative.to_ascii().is_err_and(|text| text.contains("Relative path in absolute URI")));
        let host = Uri { scheme: Some("http".into()), host: Some("a b".into()), ..Uri::default() };
        assert!(host.to_ascii().is_err());
    }
}
