//! `uri-template` of API resources: does a request path fit, and what are its variables?
//!
//! MI: `commons.templates.uri.URITemplate`. The forms are `{x}`, `{x,y}`, `{x:3}`, `{+x}`, `{#x}`, `{.x}`,
//! `{/x}` and a `*` at the end; query forms such as `{?x}` are refused, as MI refuses them. The templates of
//! HTTP endpoints go the other way and are in [`expand`].

pub mod expand;

use std::borrow::Cow;
use std::sync::Arc;

pub use expand::UriExpander;

/// A compiled template. Cheap to clone.
#[derive(Clone, Debug)]
pub struct UriTemplate {
    source: Arc<str>,
    nodes: Arc<[Node]>,
    /// Without a `?` in the template any query is accepted.
    any_query: bool,
}

/// Names and decoded values, in the order of the template.
pub type Variables = Vec<(Arc<str>, String)>;

/// A `%` in the request that two hexadecimal digits do not follow: the answer is 400.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed percent encoding")]
pub struct BadEncoding;

#[derive(Clone, Debug)]
enum Node {
    Literal(Box<str>),
    Expression { kind: Kind, variables: Vec<Variable> },
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Kind {
    Simple,
    Reserved,
    Fragment,
    Label,
    PathSegment,
}

#[derive(Clone, Debug)]
struct Variable {
    name: Arc<str>,
    /// `{x:3}`: the value must have exactly this length.
    length: Option<usize>,
}

/// What one node does with the rest of a path.
enum Step {
    Fail,
    Taken(usize),
}

impl UriTemplate {
    /// Compiles a template; a `/` at its end has no meaning.
    ///
    /// # Errors
    /// A brace is out of place, a variable has no valid name, or the form is not supported.
    pub fn compile(source: &str) -> Result<Self, String> {
        let text = if source.len() > 1 { source.trim_end_matches('/') } else { source };
        let text = if text.is_empty() { "/" } else { text };
        let mut nodes = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            match rest.find(['{', '}']) {
                None => {
                    nodes.push(Node::Literal(rest.into()));
                    rest = "";
                }
                Some(0) if rest.starts_with('{') && !nodes.is_empty() => {
                    let end = rest.find('}').ok_or_else(|| format!("'{rest}' has no closing brace"))?;
                    nodes.push(expression(&rest[1..end])?);
                    rest = &rest[end + 1..];
                }
                Some(0) => return Err(format!("'{rest}' begins with a brace: a template begins with '/'")),
                Some(at) if rest.as_bytes()[at] == b'{' => {
                    nodes.push(Node::Literal(rest[..at].into()));
                    rest = &rest[at..];
                }
                Some(_) => return Err(format!("'{rest}' has a closing brace without an opening one")),
            }
        }
        let any_query = !nodes.iter().any(|node| matches!(node, Node::Literal(text) if text.contains('?')));
        Ok(Self { source: source.into(), nodes: nodes.into(), any_query })
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Matches a path below the context of the API, with its query.
    ///
    /// # Errors
    /// The value of a variable is not encoded as it must be.
    pub fn matches(&self, path: &str) -> Result<Option<Variables>, BadEncoding> {
        let mut variables = Variables::new();
        let Some(taken) = self.take(path, &mut variables)? else { return Ok(None) };
        let fits = taken == path.len() || self.any_query && taken > 0 && path[taken..].starts_with('?');
        Ok(fits.then_some(variables))
    }

    /// Length of what the nodes take from the front of `path`. MI: `Node#matchAll`.
    fn take(&self, path: &str, variables: &mut Variables) -> Result<Option<usize>, BadEncoding> {
        let mut at = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            let (rest, next) = (&path[at..], self.nodes.get(index + 1));
            let Step::Taken(taken) = node.step(rest, next, variables)? else { return Ok(None) };
            at += taken;
            let Some(next) = next else {
                // A slash at the end of the path is nothing.
                return Ok(Some(if &path[at..] == "/" { at + 1 } else { at }));
            };
            if at == path.len() {
                match next {
                    Node::Literal(text) if matches!(&**text, "*" | "/*") => return Ok(Some(at)),
                    // `?a={a}&b={b}` fits `?a=1&b=`: the variable is left unset.
                    Node::Expression { .. } if rest.contains('=') => {}
                    _ => return Ok(None),
                }
            }
        }
        Ok(Some(at))
    }
}

fn expression(text: &str) -> Result<Node, String> {
    let (kind, list) = match text.chars().next() {
        None => return Err("an expression is empty".to_owned()),
        Some('+') => (Kind::Reserved, &text[1..]),
        Some('#') => (Kind::Fragment, &text[1..]),
        Some('.') => (Kind::Label, &text[1..]),
        Some('/') => (Kind::PathSegment, &text[1..]),
        Some(';' | '?' | '&') => return Err(format!("the form {{{text}}} cannot be matched; write ?name={{name}}")),
        Some(_) => (Kind::Simple, text),
    };
    let variables = list.split(',').map(variable).collect::<Result<Vec<_>, _>>()?;
    Ok(Node::Expression { kind, variables })
}

fn variable(text: &str) -> Result<Variable, String> {
    let (name, length) = match text.split_once(':') {
        None => (text, None),
        Some((name, length)) => {
            let length = length.parse().ok().filter(|length| *length > 0);
            (name, Some(length.ok_or_else(|| format!("'{text}' has no valid length"))?))
        }
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return Err(format!("'{name}' is not the name of a variable"));
    }
    Ok(Variable { name: name.into(), length })
}

impl Node {
    fn step(&self, rest: &str, next: Option<&Node>, variables: &mut Variables) -> Result<Step, BadEncoding> {
        match self {
            Self::Literal(text) => Ok(match text.strip_suffix('*') {
                Some(prefix) if rest.starts_with(prefix) => Step::Taken(rest.len()),
                None if rest.starts_with(&**text) => Step::Taken(text.len()),
                _ => Step::Fail,
            }),
            Self::Expression { kind, variables: names } => {
                let Some(lead) = kind.lead() else { return capture(*kind, names, rest, next, variables) };
                let Some(inner) = rest.strip_prefix(lead) else { return Ok(Step::Taken(0)) };
                Ok(match capture(*kind, names, inner, next, variables)? {
                    Step::Taken(taken) => Step::Taken(taken + 1),
                    Step::Fail => Step::Fail,
                })
            }
        }
    }

    /// The character at which a variable before this node ends.
    fn first(&self) -> Option<char> {
        match self {
            Self::Literal(text) => text.chars().next(),
            Self::Expression { kind, .. } => kind.lead(),
        }
    }
}

impl Kind {
    fn lead(self) -> Option<char> {
        match self {
            Self::Simple | Self::Reserved => None,
            Self::Fragment => Some('#'),
            Self::Label => Some('.'),
            Self::PathSegment => Some('/'),
        }
    }

    fn separator(self) -> char {
        match self {
            Self::Simple | Self::Reserved | Self::Fragment => ',',
            Self::Label => '.',
            Self::PathSegment => '/',
        }
    }

    fn stops_at(self, c: char) -> bool {
        !matches!(self, Self::Reserved | Self::Fragment) && RESERVED.contains(c)
    }
}

const RESERVED: &str = ":/?#[]@!$&'()*+,;=";

/// MI: `SimpleStringExpression#match`.
fn capture(
    kind: Kind,
    names: &[Variable],
    rest: &str,
    next: Option<&Node>,
    variables: &mut Variables,
) -> Result<Step, BadEncoding> {
    let stop = next.and_then(Node::first);
    let end = rest
        .char_indices()
        .find(|(_, c)| (kind.stops_at(*c) || Some(*c) == stop) && !(*c == kind.separator() && names.len() > 1));
    let end = end.map_or(rest.len(), |(at, _)| at);
    if rest.is_empty() {
        return Ok(Step::Taken(0));
    }
    let taken = &rest[..end];
    let whole = matches!(kind, Kind::Reserved | Kind::Fragment) && names.len() == 1;
    let mut values: Vec<&str> = if whole { vec![taken] } else { taken.split(kind.separator()).collect() };
    while values.len() > 1 && values.last().is_some_and(|it| it.is_empty()) {
        values.pop();
    }
    if values.len() > names.len() {
        return Ok(Step::Fail);
    }
    for (index, name) in names.iter().enumerate() {
        let value = decode(values.get(index).copied().unwrap_or_default())?;
        let known = variables.iter().find(|(known, _)| *known == name.name);
        if known.is_some_and(|(_, known)| *known != value) || name.length.is_some_and(|it| it != value.chars().count())
        {
            return Ok(Step::Fail);
        }
        if known.is_none() {
            variables.push((name.name.clone(), value.into_owned()));
        }
    }
    Ok(Step::Taken(end))
}

/// Percent decoding; a `+` stays one.
fn decode(text: &str) -> Result<Cow<'_, str>, BadEncoding> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    expand::percent_decode(text, false).map(Cow::Owned).ok_or(BadEncoding)
}

#[cfg(test)]
mod tests;
