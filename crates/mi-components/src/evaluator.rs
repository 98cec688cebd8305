//! Conditions of `conditionalRouter` and `rewrite`: `and`, `or`, `not`, `match`, `equal` over headers, parameters,
//! properties and the URL. MI: `org.apache.synapse.commons.evaluators`.

use mi_config::{Diagnostic, Element};
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_expr::{Expr, Namespaces};

use mi_expr::java::FullMatch;

/// Deepest nesting of conditions.
const MAX_DEPTH: usize = 50;

/// A condition.
#[derive(Debug)]
pub(crate) enum Evaluator {
    And(Vec<Evaluator>),
    Or(Vec<Evaluator>),
    Not(Box<Evaluator>),
    Match(Source, FullMatch),
    /// Without regard to case.
    Equal(Source, String),
}

/// The text that a condition looks at.
#[derive(Debug)]
pub(crate) enum Source {
    Header(String),
    Parameter(String),
    Property(String),
    Url(Option<Fragment>),
    Soap(Expr),
}

/// A part of the URL.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fragment {
    Protocol,
    User,
    Host,
    Port,
    Path,
    Query,
    Ref,
}

impl Evaluator {
    /// Reads a condition.
    pub(crate) fn parse(el: &Element) -> Result<Self, Diagnostic> {
        Self::parse_nested(el, 0)
    }

    fn parse_nested(el: &Element, depth: usize) -> Result<Self, Diagnostic> {
        if depth >= MAX_DEPTH {
            return Err(el.error(format!("conditions are nested deeper than {MAX_DEPTH} levels")));
        }
        let several = || -> Result<Vec<Self>, Diagnostic> {
            let parts = el.children().map(|it| Self::parse_nested(&it, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            if parts.len() > 1 {
                Ok(parts)
            } else {
                Err(el.error(format!("Two or more expressions should be provided under <{}>", el.name())))
            }
        };
        match el.name() {
            "and" => Ok(Self::And(several()?)),
            "or" => Ok(Self::Or(several()?)),
            "not" => {
                let inner = el.first_child().ok_or_else(|| el.error("<not> needs a condition inside"))?;
                Ok(Self::Not(Box::new(Self::parse_nested(&inner, depth + 1)?)))
            }
            "match" => {
                let regex = el.full_regex("regex")?;
                let regex = regex.ok_or_else(|| el.error("<match> needs the attribute 'regex'"))?;
                Ok(Self::Match(Source::parse(el)?, regex))
            }
            "equal" => {
                let value = el.attr("value").ok_or_else(|| el.error("<equal> needs the attribute 'value'"))?;
                Ok(Self::Equal(Source::parse(el)?, value.into_owned()))
            }
            other => {
                Err(el.error(format!("Invalid configuration element: {other}")).hint("and, or, not, match or equal"))
            }
        }
    }

    /// Does it hold for the message?
    pub(crate) fn holds(&self, cx: &Context) -> Result<bool, Fault> {
        let url = cx.message.addressing.to.as_deref().unwrap_or_default();
        self.holds_for(cx, url)
    }

    /// Does it hold for the message, taking `url` for its URL? The nesting is bounded by [`Evaluator::parse`].
    pub(crate) fn holds_for(&self, cx: &Context, url: &str) -> Result<bool, Fault> {
        Ok(match self {
            Self::And(parts) => {
                for part in parts {
                    if !part.holds_for(cx, url)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(parts) => {
                for part in parts {
                    if part.holds_for(cx, url)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(inner) => !inner.holds_for(cx, url)?,
            Self::Match(source, regex) => source.text(cx, url)?.is_some_and(|text| regex.fits(&text)),
            Self::Equal(source, value) => {
                source.text(cx, url)?.is_some_and(|text| text.to_lowercase() == value.to_lowercase())
            }
        })
    }
}

impl Source {
    fn parse(el: &Element) -> Result<Self, Diagnostic> {
        let source = || el.require_attr("source").map(|it| it.into_owned());
        match el.attr("type").as_deref() {
            None | Some("header") => Ok(Self::Header(source()?)),
            Some("param") => Ok(Self::Parameter(source()?)),
            Some("property") => Ok(Self::Property(source()?)),
            Some("url") => Ok(Self::Url(el.attr("source").map(|it| Fragment::parse(el, &it)).transpose()?)),
            Some("soap") => {
                let xpath = source()?;
                let parsed = Expr::xpath(&xpath, &Namespaces::new());
                parsed.map(Self::Soap).map_err(|error| el.error(format!("the XPath '{xpath}' is not valid: {error}")))
            }
            Some(other) => {
                let error = el.error(format!("Unknown type of source: {other}"));
                Err(error.hint("one of header, param, property, url, soap"))
            }
        }
    }

    fn text(&self, cx: &Context, url: &str) -> Result<Option<String>, Fault> {
        Ok(match self {
            // In exact case. MI: `EvaluatorContext#getHeader`.
            Self::Header(name) => {
                cx.message.headers.iter().find(|(known, _)| *known == name.as_str()).map(|(_, value)| value.to_owned())
            }
            Self::Property(name) => cx.message.properties.get(name).map(|it| it.to_text().into_owned()),
            Self::Parameter(name) => parameter(url, name),
            Self::Url(None) => Some(url.to_owned()),
            Self::Url(Some(fragment)) => fragment.of(url),
            Self::Soap(expr) => Some(expr.eval_string(&cx.message, &*cx.snapshot)?.to_string()),
        })
    }
}

/// The last value of a query parameter, decoded. MI: `EvaluatorContext#getParam`.
fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let raw = query.split('&').rev().find_map(|pair| {
        let mut parts = pair.split('=');
        (parts.next() == Some(name)).then(|| parts.next()).flatten()
    });
    let raw = raw?;
    Some(percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned())
}

impl Fragment {
    fn parse(el: &Element, name: &str) -> Result<Self, Diagnostic> {
        Ok(match name {
            "protocol" => Self::Protocol,
            "user" => Self::User,
            "host" => Self::Host,
            "port" => Self::Port,
            "path" => Self::Path,
            "query" => Self::Query,
            "ref" => Self::Ref,
            other => {
                let error = el.error(format!("'{other}' is no part of a URL"));
                return Err(error.hint("one of protocol, user, host, port, path, query, ref"));
            }
        })
    }

    /// The part as `java.net.URI` gives it: a port that is not there is -1.
    fn of(self, url: &str) -> Option<String> {
        let (rest, fragment) = url.split_once('#').map_or((url, None), |(rest, it)| (rest, Some(it)));
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, it)| (rest, Some(it)));
        let (protocol, rest) = match rest.split_once(':') {
            Some((scheme, rest)) if !scheme.contains('/') => (Some(scheme), rest),
            _ => (None, rest),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let end = rest.find('/').unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            None => (None, rest),
        };
        let (user, place) =
            match authority.map(|it| it.rsplit_once('@').map_or((None, it), |(user, it)| (Some(user), it))) {
                Some((user, place)) => (user, Some(place)),
                None => (None, None),
            };
        let (host, port) =
            match place.map(|it| it.rsplit_once(':').map_or((it, None), |(host, port)| (host, Some(port)))) {
                Some((host, port)) => (Some(host), port.filter(|port| !port.is_empty())),
                None => (None, None),
            };
        let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        match self {
            Self::Protocol => protocol.map(str::to_owned),
            Self::User => user.map(decoded),
            Self::Host => host.map(str::to_owned),
            Self::Port => Some(port.unwrap_or("-1").to_owned()),
            Self::Path => Some(decoded(path)),
            Self::Query => query.map(decoded),
            Self::Ref => fragment.map(decoded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fragment, parameter};

    #[track_caller]
    fn check(url: &str, expected: [&str; 7]) {
        use Fragment::{Host, Path, Port, Protocol, Query, Ref, User};
        let parts = [Protocol, User, Host, Port, Path, Query, Ref];
        let found: Vec<String> = parts.iter().map(|part| part.of(url).unwrap_or_default()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn parts_of_a_url() {
        check("http://u@h:80/a%20b?q=1#r", ["http", "u", "h", "80", "/a b", "q=1", "r"]);
        check("/a?b", ["", "", "", "-1", "/a", "b", ""]);
        check("http://h", ["http", "", "h", "-1", "", "", ""]);
    }

    #[test]
    fn parameters() {
        assert_eq!(parameter("/a?x=1&y=a%20b&x=2", "x").as_deref(), Some("2"));
        assert_eq!(parameter("/a?y=a%20b", "y").as_deref(), Some("a b"));
        assert_eq!(parameter("/a?y", "y"), None);
        assert_eq!(parameter("/a", "y"), None);
    }
}
