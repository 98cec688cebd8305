//! `uri-template` of HTTP endpoints: RFC 6570 with string values, and MI's rules around it.
//!
//! MI: `HTTPEndpoint#resolveUrlTemplate`. Variables are the properties `uri.var.*` and `query.param.*`; the
//! caller collects them. Without any the template itself is the URI, and so it is when the result is no URI.

use std::sync::Arc;

const LEGACY_PREFIX: &str = "legacy-encoding:";

/// A compiled template. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UriExpander {
    /// The template without the prefix `legacy-encoding:`.
    source: Arc<str>,
    parts: Arc<[Part]>,
    names: Arc<[Arc<str>]>,
    legacy: bool,
}

#[derive(Clone, Debug)]
enum Part {
    Literal(Box<str>),
    Expression { operator: &'static Operator, variables: Vec<Variable> },
}

#[derive(Clone, Debug)]
struct Variable {
    name: Arc<str>,
    /// `{x:3}`: at most so many characters.
    prefix: Option<usize>,
}

/// Columns of the table in RFC 6570, appendix A.
#[derive(Debug)]
struct Operator {
    sign: char,
    first: &'static str,
    separator: &'static str,
    named: bool,
    if_empty: &'static str,
    keep_reserved: bool,
}

const fn operator(
    sign: char,
    first: &'static str,
    separator: &'static str,
    named: bool,
    if_empty: &'static str,
    keep_reserved: bool,
) -> Operator {
    Operator { sign, first, separator, named, if_empty, keep_reserved }
}

static SIMPLE: Operator = operator('\0', "", ",", false, "", false);
static OPERATORS: [Operator; 7] = [
    operator('+', "", ",", false, "", true),
    operator('#', "#", ",", false, "", true),
    operator('.', ".", ".", false, "", false),
    operator('/', "/", "/", false, "", false),
    operator(';', ";", ";", true, "", false),
    operator('?', "?", "&", true, "=", false),
    operator('&', "&", "&", true, "=", false),
];

impl UriExpander {
    /// Compiles a template, with or without the prefix `legacy-encoding:`.
    ///
    /// # Errors
    /// A brace has no partner, or a variable has no valid name.
    pub fn compile(template: &str) -> Result<Self, String> {
        let (source, legacy) = match template.strip_prefix(LEGACY_PREFIX) {
            Some(rest) => (rest, true),
            None => (template, false),
        };
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                parts.push(Part::Literal(rest[..open].into()));
            }
            let close = rest[open..].find('}').ok_or_else(|| format!("'{}' has no closing brace", &rest[open..]))?;
            // A variable in front holds a whole URL, so that its reserved characters are kept.
            let first = parts.is_empty() && !legacy;
            parts.push(parse_expression(&rest[open + 1..open + close], first)?);
            rest = &rest[open + close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.into()));
        }
        let names = parts.iter().flat_map(Part::names).collect::<Vec<_>>();
        Ok(Self { source: source.into(), parts: parts.into(), names: names.into(), legacy })
    }

    /// The template, without the prefix `legacy-encoding:`; also the URI of an endpoint without variables.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Has it no variables?
    pub fn is_static(&self) -> bool {
        self.names.is_empty()
    }

    /// Names of the variables that it reads.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// Was it written with `legacy-encoding:`?
    pub fn is_legacy(&self) -> bool {
        self.legacy
    }

    /// The URI for a message.
    ///
    /// `lookup` gives the value of a variable; `any_variable` says whether the message or the endpoint has any
    /// `uri.var.*` or `query.param.*` at all, since without one MI sends to the bare template.
    pub fn expand(&self, any_variable: bool, lookup: &dyn Fn(&str) -> Option<String>) -> String {
        if !any_variable || self.is_static() && !self.legacy {
            return self.source.to_string();
        }
        if self.legacy {
            let decoded = |name: &str| lookup(name).map(|value| percent_decode(&value, true).unwrap_or(value));
            let expanded = self.fill(&decoded);
            let url = percent_decode(&expanded, true).and_then(|url| quote_url(&url));
            return url.unwrap_or_else(|| self.source.to_string());
        }
        let expanded = self.fill(lookup);
        if is_uri(&expanded) { expanded } else { self.source.to_string() }
    }

    fn fill(&self, lookup: &dyn Fn(&str) -> Option<String>) -> String {
        let mut result = String::with_capacity(self.source.len() + 32);
        for part in self.parts.iter() {
            match part {
                Part::Literal(text) => result.push_str(text),
                Part::Expression { operator, variables } => fill_expression(operator, variables, lookup, &mut result),
            }
        }
        result
    }
}

impl Part {
    fn names(&self) -> Vec<Arc<str>> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expression { variables, .. } => variables.iter().map(|it| it.name.clone()).collect(),
        }
    }
}

fn parse_expression(text: &str, first: bool) -> Result<Part, String> {
    let sign = text.chars().next().ok_or("an expression is empty")?;
    let operator = OPERATORS.iter().find(|it| it.sign == sign);
    let list = if operator.is_some() { &text[1..] } else { text };
    let operator = operator.unwrap_or(if first { &OPERATORS[0] } else { &SIMPLE });
    let variables = list.split(',').map(parse_variable).collect::<Result<Vec<_>, _>>()?;
    Ok(Part::Expression { operator, variables })
}

fn parse_variable(text: &str) -> Result<Variable, String> {
    let text = text.strip_suffix('*').unwrap_or(text);
    let (name, prefix) = match text.split_once(':') {
        None => (text, None),
        Some((name, prefix)) => {
            (name, Some(prefix.parse().map_err(|_| format!("'{text}' has no valid prefix length"))?))
        }
    };
    let valid = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '%');
    if name.is_empty() || !name.chars().all(valid) {
        return Err(format!("'{name}' is not the name of a variable"));
    }
    Ok(Variable { name: name.into(), prefix })
}

fn fill_expression(
    operator: &Operator,
    variables: &[Variable],
    lookup: &dyn Fn(&str) -> Option<String>,
    result: &mut String,
) {
    let mut lead = operator.first;
    for variable in variables {
        let Some(value) = lookup(&variable.name) else { continue };
        result.push_str(lead);
        lead = operator.separator;
        if operator.named {
            result.push_str(&variable.name);
            if value.is_empty() {
                result.push_str(operator.if_empty);
                continue;
            }
            result.push('=');
        }
        let end = variable.prefix.and_then(|length| value.char_indices().nth(length)).map_or(value.len(), |(at, _)| at);
        percent_encode(&value[..end], operator.keep_reserved, result);
    }
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn is_triplet(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

fn percent_encode(text: &str, keep_reserved: bool, result: &mut String) {
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        let kept =
            is_unreserved(byte) || keep_reserved && (b":/?#[]@!$&'()*+,;=".contains(&byte) || is_triplet(&bytes[at..]));
        if kept { result.push(char::from(byte)) } else { push_encoded(byte, result) }
    }
}

fn push_encoded(byte: u8, result: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    result.push('%');
    result.push(char::from(HEX[usize::from(byte >> 4)]));
    result.push(char::from(HEX[usize::from(byte & 15)]));
}

/// Percent decoding, as `java.net.URLDecoder` does with `plus` set. `None`: a `%` without two digits.
pub(crate) fn percent_decode(text: &str, plus: bool) -> Option<String> {
    let mut bytes = text.bytes();
    let mut result = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        result.push(match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            b'+' if plus => b' ',
            other => other,
        });
    }
    Some(String::from_utf8(result).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Would `new java.net.URI(text)` take it?
fn is_uri(text: &str) -> bool {
    let bytes = text.as_bytes();
    let legal = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => is_triplet(&bytes[at..]),
        0..=b' ' | 0x7f | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
        _ => true,
    });
    let scheme_alone = text.split_once(':').is_some_and(|(scheme, rest)| {
        rest.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    });
    legal && !scheme_alone && !text.starts_with(':')
}

/// Takes a decoded URL apart and quotes what may not stand in its parts, as `URL` and the `URI` of seven
/// arguments do. `None`: Java knows no such protocol.
fn quote_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    if !["http", "https", "ftp", "file"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let mut result = format!("{}:", scheme.to_ascii_lowercase());
    let path = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            result.push_str("//");
            result.push_str(authority);
            path
        }
        None => rest,
    };
    quote(path, b"-_.!~*'():@&=+$,;/", &mut result);
    for (sign, part) in [('?', query), ('#', fragment)] {
        if let Some(part) = part {
            result.push(sign);
            quote(part, b"-_.!~*'();/?:@&=+$,[]", &mut result);
        }
    }
    Some(result)
}

/// Characters outside of ASCII stay, as in Java.
fn quote(text: &str, legal: &[u8], result: &mut String) {
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !legal.contains(&byte) => {
                push_encoded(byte, result);
            }
            _ => result.push(c),
        }
    }
}
