//! Addresses of files: `vfs:file:///in?transport.vfs.Append=true`, `file:///in/*`, `/in`, `sftp://user:password@host/in`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::remote::Server;

/// Where a file or folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// The server that has it; `None` for this machine.
    pub(super) server: Option<Arc<Server>>,
    /// The path, decoded. It is absolute unless the configuration gave a relative path without a scheme.
    pub(super) path: PathBuf,
    /// True when the path ended with `/*`: subfolders are meant, too.
    pub(super) recursive: bool,
    /// Names and values of the query.
    pub(super) options: Vec<(String, String)>,
    /// As configured, without the prefix `vfs:` and without a password.
    pub(super) shown: String,
}

/// Why an address cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
    /// A file system that is not known here.
    #[error("the scheme '{scheme}' of {shown} is not supported by this version; file, ftp, ftps and sftp are")]
    Scheme {
        /// The scheme.
        scheme: String,
        /// The address without its password.
        shown: String,
    },
    /// Nothing is named.
    #[error("the address of a file is empty")]
    Empty,
    /// The address of a server cannot be used.
    #[error("{0}: {1}")]
    Server(String, String),
    /// A path cannot hold it.
    #[error("{0} is no path of a file")]
    NoPath(String),
}

impl Address {
    /// Reads an address.
    pub(super) fn parse(text: &str) -> Result<Self, AddressError> {
        Self::parse_with(text, &[])
    }

    /// Reads an address with options that are configured beside it. Those of its query go before them.
    pub(super) fn parse_with(text: &str, beside: &[(String, String)]) -> Result<Self, AddressError> {
        let text = text.trim();
        let text = text.strip_prefix("vfs:").unwrap_or(text);
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        let shown = mask_password(text);
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let query = query
            .split('&')
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned()));
        let options: Vec<_> = beside.iter().cloned().chain(query).collect();
        let (server, path) = match scheme(text) {
            Some(("file", rest)) => (None, rest.to_owned()),
            Some((scheme, rest)) => match Server::parse(scheme, rest, &options) {
                Some(Ok((server, path))) => (Some(Arc::new(server)), format!("/{path}")),
                Some(Err(why)) => return Err(AddressError::Server(shown, why)),
                None => return Err(AddressError::Scheme { scheme: scheme.to_owned(), shown }),
            },
            None => (None, text.to_owned()),
        };
        let path = path.as_str();
        let (path, recursive) = match path.strip_suffix("/*") {
            Some("") => ("/", true),
            Some(folder) => (folder, true),
            None => (path, false),
        };
        // `file://`, `file:///` and `file:////` all lead to the root, as in MI.
        let rooted = path.starts_with('/') || scheme(text).is_some();
        let bytes: Vec<u8> = percent_decode_str(path.trim_start_matches('/')).collect();
        if bytes.contains(&0) || (bytes.is_empty() && !rooted) {
            return Err(AddressError::NoPath(shown));
        }
        let path = PathBuf::from(OsString::from_vec(bytes));
        let path = if rooted { PathBuf::from("/").join(path) } else { path };
        Ok(Self { server, path, recursive, options, shown })
    }

    /// An option of the query.
    pub(super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }
}

/// The scheme of a URI and what stands behind its colon. A single letter is no scheme.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let fits = scheme.len() > 1
        && scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    fits.then_some((scheme, rest))
}

/// The text with the password of a URI hidden. MI: `VFSUtils#maskURLPassword`.
pub(super) fn mask_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A password may hold a slash or an at sign that nobody escaped; the last at sign before the query is the one.
    let end = rest.find('?').unwrap_or(rest.len());
    let Some((user, host)) = rest[..end].rsplit_once('@') else { return text.to_owned() };
    match user.split_once(':') {
        Some((name, _)) => format!("{scheme}://{name}:***@{host}{}", &rest[end..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, recursive: bool, options: &[(&str, &str)]) {
        let address = Address::parse(text).unwrap();
        assert_eq!((address.path.to_str().unwrap(), address.recursive), (path, recursive), "{text}");
        let seen: Vec<_> = address.options.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(seen, options, "{text}");
    }

    #[test]
    fn local_addresses() {
        check("file:///a/b", "/a/b", false, &[]);
        check("vfs:file:///a/b/", "/a/b/", false, &[]);
        check("file:/a", "/a", false, &[]);
        check("file:////a/b", "/a/b", false, &[]);
        check("file://a/b", "/a/b", false, &[]);
        check("/a/b", "/a/b", false, &[]);
        check("in/here", "in/here", false, &[]);
        check("file:///a/*", "/a", true, &[]);
        check("file:///*", "/", true, &[]);
        check("file:///a%20b/c%3Fd", "/a b/c?d", false, &[]);
        check("file:///a/*?x=1&y=a%26b&z", "/a", true, &[("x", "1"), ("y", "a&b")]);
        assert_eq!(Address::parse("/a?n= 1 ").unwrap().option("n"), Some("1"));
    }

    #[test]
    fn what_is_no_local_address() {
        for (text, part) in [
            ("", "empty"),
            ("vfs: ", "empty"),
            ("vfs:ftp://u:secret@h:x/x", "ftp://u:***@h:x/x: 'x' is no port"),
            ("vfs:smb2://u:secret@h/x", "'smb2' of smb2://u:***@h/x"),
            ("smb://u:se/cr@et@h/x", "'smb' of smb://u:***@h/x"),
            ("file:///a%00b", "no path"),
        ] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
            assert!(!error.contains("secret") && !error.contains("cr@et"), "{error}");
        }
        assert_eq!(mask_password("ftp://h/a@b"), "ftp://h/a@b");
        assert_eq!(mask_password("sftp://u:p@h/x?y=a@b:c"), "sftp://u:***@h/x?y=a@b:c");
    }
}
