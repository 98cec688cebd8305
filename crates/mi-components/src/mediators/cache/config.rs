//! The settings of `<cache>`. The older form, without `<protocol>`, is read too; its `scope` has no meaning any more,
//! and neither has `id`: every mediator object has a cache of its own.

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::SequenceTarget;

use super::key::{Generator, HeaderRule};
use crate::mediators::branch;
use mi_expr::java::FullMatch;

/// Seconds that an answer is kept when nothing is said. MI: `CachingConstants#DEFAULT_TIMEOUT`.
const DEFAULT_TIMEOUT: i64 = 5000;
/// Entries of a cache without `maxSize`.
const MAX_ENTRIES: usize = 100_000;

/// Settings of the mediator on the request side; a collector has none.
#[derive(Debug)]
pub(super) struct Config {
    /// Milliseconds.
    pub(super) timeout: i64,
    pub(super) max_entries: usize,
    /// Largest answer in bytes.
    pub(super) max_message: Option<usize>,
    /// Rules of HTTP. `None` for another protocol.
    pub(super) http: Option<Http>,
    pub(super) generator: Generator,
    pub(super) on_hit: Option<SequenceTarget>,
}

/// MI: the children of `<protocol type="HTTP">`.
#[derive(Debug, Default)]
pub(super) struct Http {
    /// Empty for all.
    pub(super) methods: Vec<String>,
    /// Which statuses are kept; all without it.
    pub(super) statuses: Option<FullMatch>,
    /// Heed Cache-Control and ETag of the back end.
    pub(super) cache_control: bool,
    pub(super) age: bool,
}

impl Config {
    /// MI: `CacheMediatorFactory#createSpecificMediator`.
    pub(super) fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        let timeout = el.int_attr("timeout")?.unwrap_or(DEFAULT_TIMEOUT);
        let max_message = el.int_attr("maxMessageSize")?.unwrap_or(-1);
        let size = match el.child("implementation") {
            Some(implementation) => implementation.int_attr("maxSize")?.unwrap_or(-1),
            None => -1,
        };
        let protocol = el.child("protocol");
        let typed = protocol.as_ref().and_then(|protocol| Some((protocol, protocol.attr("type")?)));
        let class = match &typed {
            Some((protocol, _)) => protocol.child("hashGenerator").map(|class| class.text()),
            None if protocol.is_some() => None,
            None => el.attr("hashGenerator").map(|class| class.into_owned()),
        };
        let (http, headers) = match &typed {
            None => (Some(Http::default()), HeaderRule::default()),
            Some((protocol, kind)) if kind.trim().eq_ignore_ascii_case("HTTP") => {
                (Some(Http::parse(protocol, cx)?), parse_headers(protocol))
            }
            Some(_) => (None, HeaderRule::default()),
        };
        Ok(Self {
            timeout: timeout.saturating_mul(1000),
            max_entries: usize::try_from(size).map_or(MAX_ENTRIES, |size| size.min(MAX_ENTRIES)),
            max_message: usize::try_from(max_message).ok(),
            http,
            generator: parse_generator(el, class.as_deref().map(str::trim).unwrap_or_default(), headers)?,
            on_hit: parse_on_hit(el, cx)?,
        })
    }
}

fn parse_generator(el: &Element, class: &str, headers: HeaderRule) -> Result<Generator, Diagnostic> {
    let simple = class.strip_prefix("org.wso2.carbon.mediator.cache.digest.");
    match simple.unwrap_or(class) {
        "" | "HttpRequestHashGenerator" => Ok(Generator::Http(headers)),
        "REQUESTHASHGenerator" => Ok(Generator::Request),
        "DOMHASHGenerator" => Ok(Generator::Body),
        _ => {
            let error = el.error(format!("Unable to load the hash generator class '{class}'"));
            Err(error.hint("one of HttpRequestHashGenerator, REQUESTHASHGenerator, DOMHASHGenerator"))
        }
    }
}

fn parse_on_hit(el: &Element, cx: &mut BuildCx<'_>) -> Result<Option<SequenceTarget>, Diagnostic> {
    let Some(on_hit) = el.child("onCacheHit") else { return Ok(None) };
    if let Some(named) = branch::named(&on_hit, "sequence", cx)? {
        return Ok(Some(named));
    }
    Ok(on_hit.first_child().is_some().then(|| branch::inline(&on_hit, cx)))
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).collect()
}

fn parse_headers(protocol: &Element) -> HeaderRule {
    let list = |name: &str| protocol.child(name).map(|list| words(&list.text())).unwrap_or_default();
    let included = list("headersToIncludeInHash");
    if included.first().is_some_and(|first| !first.is_empty()) {
        return HeaderRule { only: true, names: included };
    }
    HeaderRule { only: false, names: list("headersToExcludeInHash") }
}

impl Http {
    fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Self, Diagnostic> {
        const METHODS: [&str; 9] = ["POST", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "*"];
        cx.report_all(el.unknown_children(&[
            "methods",
            "headersToExcludeInHash",
            "headersToIncludeInHash",
            "responseCodes",
            "enableCacheControl",
            "includeAgeHeader",
            "hashGenerator",
        ]));
        let methods = el.child("methods").map(|methods| words(&methods.text().to_uppercase())).unwrap_or_default();
        let methods = if methods.first().is_none_or(|first| first.is_empty()) { Vec::new() } else { methods };
        if let Some(unknown) = methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(el.error(format!("Unexpected method type: {unknown}")));
        }
        let statuses = match el.child("responseCodes").map(|codes| codes.text()).filter(|codes| !codes.is_empty()) {
            Some(pattern) => Some(FullMatch::compile(&pattern).map_err(|error| {
                el.error(format!("<responseCodes> is not a valid regular expression: '{pattern}': {error}"))
            })?),
            None => None,
        };
        let switch = |name: &str| el.child(name).is_some_and(|it| it.text().eq_ignore_ascii_case("true"));
        let all = methods.iter().any(|method| method == "*");
        Ok(Self {
            methods: if all { Vec::new() } else { methods },
            statuses,
            cache_control: switch("enableCacheControl"),
            age: switch("includeAgeHeader"),
        })
    }
}
