//! A content type and its parameters, read as forgivingly as MI does.

use std::borrow::Cow;

/// A parsed content type; borrows the header value.
#[derive(Copy, Clone, Debug)]
pub struct ContentType<'v> {
    essence: &'v str,
    parameters: &'v str,
}

impl<'v> ContentType<'v> {
    /// Splits a header value. The type ends at the first semicolon, else at a comma; a blank does not end it.
    /// MI: `RelayUtils#getMIMEContentType`.
    pub fn parse(value: &'v str) -> Self {
        let end = value.find(';').or_else(|| value.find(',')).unwrap_or(value.len());
        Self { essence: value[..end].trim(), parameters: value.get(end + 1..).unwrap_or("") }
    }

    /// The type without parameters, in the case it has.
    pub fn essence(&self) -> &'v str {
        self.essence
    }

    /// True when the type is `essence`, in any case.
    pub fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// The value of a parameter, without its quotes.
    pub fn parameter(&self, name: &str) -> Option<Cow<'v, str>> {
        parameter(self.parameters, name)
    }

    /// The value of `charset`.
    pub fn charset(&self) -> Option<Cow<'v, str>> {
        self.parameter("charset").filter(|charset| !charset.is_empty())
    }
}

/// Finds `name=value` or `name="value"` among parameters separated by semicolons.
pub(super) fn parameter<'v>(parameters: &'v str, name: &str) -> Option<Cow<'v, str>> {
    let mut rest = parameters;
    loop {
        rest = rest.trim_start_matches(|character: char| character.is_whitespace() || character == ';');
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let key = rest[..end].trim();
        if !rest[end..].starts_with('=') {
            rest = &rest[end..];
            continue;
        }
        let (value, after) = value(rest[end + 1..].trim_start());
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
}

fn value(text: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (Cow::Borrowed(text[..end].trim_end()), &text[end..]);
    };
    let mut built = String::new();
    let mut start = 0;
    let mut at = 0;
    let bytes = quoted.as_bytes();
    while at < bytes.len() && bytes[at] != b'"' {
        // Browsers send `C:\dir\file` unescaped: a backslash only escapes a quote or itself.
        if bytes[at] == b'\\' && matches!(bytes.get(at + 1), Some(b'"' | b'\\')) {
            built.push_str(&quoted[start..at]);
            start = at + 1;
            at += 1;
        }
        at += 1;
    }
    let at = at.min(bytes.len());
    let after = quoted.get(at + 1..).unwrap_or("");
    if built.is_empty() {
        return (Cow::Borrowed(&quoted[start..at]), after);
    }
    built.push_str(&quoted[start..at]);
    (Cow::Owned(built), after)
}

#[cfg(test)]
mod tests {
    use super::ContentType;

    #[test]
    fn types_and_parameters() {
        for (value, essence, name, expected) in [
            ("text/xml", "text/xml", "charset", None),
            ("text/xml;charset=UTF-8", "text/xml", "charset", Some("UTF-8")),
            ("text/xml ; Charset = \"UTF-8\"", "text/xml", "charset", Some("UTF-8")),
            ("text/xml; q; charset=a ; x=y", "text/xml", "charset", Some("a")),
            ("a/b; x=\"c;charset=no\"; charset=yes", "a/b", "charset", Some("yes")),
            ("a/b; x=\"1\\\"2\\\\3\\4\"", "a/b", "x", Some("1\"2\\3\\4")),
            ("a/b; x=\"open", "a/b", "x", Some("open")),
            ("a/b; x=\"open\\", "a/b", "x", Some("open\\")),
            ("a/b; x=", "a/b", "x", Some("")),
            ("a/b, c/d", "a/b", "x", None),
            ("multipart/form-data boundary=x", "multipart/form-data boundary=x", "boundary", None),
            ("", "", "charset", None),
        ] {
            let parsed = ContentType::parse(value);
            assert_eq!(parsed.essence(), essence, "{value}");
            assert_eq!(parsed.parameter(name).as_deref(), expected, "{value}");
        }
    }
}
