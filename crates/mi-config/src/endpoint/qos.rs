//! What all leaf endpoints share: format, addressing, security, time-out, suspension, retries.
//! MI: `EndpointDefinitionFactory`. All durations are milliseconds, with one exception that is converted
//! here: the deprecated `suspendDurationOnFailure` is in seconds.

use std::str::FromStr;

use mi_expr::Expr;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::element::Element;

/// Quality of service of a leaf endpoint.
#[derive(Clone, Debug)]
pub struct Qos {
    /// Form of the message on the wire; `None` leaves it as it is.
    pub format: Option<Format>,
    /// Attachments.
    pub optimize: Option<Optimize>,
    /// Character set of the request.
    pub encoding: Option<String>,
    /// `<enableAddressing>`
    pub addressing: Option<Addressing>,
    /// `<enableSec>`
    pub security: Option<Security>,
    /// `<timeout>`
    pub timeout: Timeout,
    /// `<markForSuspension>`, `<suspendOnFailure>`, `<retryConfig>`
    pub suspension: Suspension,
}

/// Form of a message on the wire.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// SOAP 1.1
    Soap11,
    /// SOAP 1.2
    Soap12,
    /// Plain XML
    Pox,
    /// A GET request with the parameters in the query
    Get,
    /// As the method and content type say
    Rest,
}

/// How attachments are sent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Optimize {
    /// MTOM
    Mtom,
    /// SOAP with attachments
    Swa,
}

/// WS-Addressing headers are added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addressing {
    /// The submission of 2004 in place of the final version.
    pub submission: bool,
    /// Responses come on another connection.
    pub separate_listener: bool,
}

/// WS-Security with these policies; `policy` may be `{expression}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    /// For both directions.
    pub policy: Option<String>,
    /// For responses.
    pub inbound_policy: Option<String>,
    /// For requests.
    pub outbound_policy: Option<String>,
}

/// How long a response may take, and what happens then.
#[derive(Clone, Debug, Default)]
pub struct Timeout {
    /// `None`: the global time-out.
    pub duration: Option<TimeoutDuration>,
    /// What happens.
    pub action: TimeoutAction,
}

/// Length of a time-out.
#[derive(Clone, Debug)]
pub enum TimeoutDuration {
    /// Milliseconds.
    Millis(u64),
    /// Gives milliseconds for each message; capped by the global time-out.
    Expression(Expr),
}

/// `<responseAction>`
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeoutAction {
    /// Not given: the message is forgotten.
    #[default]
    None,
    /// A late response is dropped and no fault handler runs.
    Discard,
    /// The fault handlers run with ERROR_CODE 101504.
    Fault,
}

/// When an endpoint is suspended, for how long, and which errors are retried elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspension {
    /// `markForSuspension/errorCodes`; empty means 101504 and 101505.
    pub timeout_codes: Vec<i32>,
    /// Timeouts before the endpoint is suspended.
    pub retries_before_suspension: i32,
    /// Pause after such a timeout.
    pub retry_delay_ms: i64,
    /// `suspendOnFailure/errorCodes`; empty means every code.
    pub suspend_codes: Vec<i32>,
    /// First suspension; `None` is what `deployment.toml` says, else 30 000.
    pub initial_ms: Option<i64>,
    /// Each suspension lasts this much longer than the one before; `None` is what `deployment.toml` says, else 1.
    pub progression_factor: Option<f32>,
    /// Longest suspension.
    pub maximum_ms: i64,
    /// These codes are not tried at another endpoint.
    pub retry_disabled_codes: Vec<i32>,
    /// If not empty, only these codes are tried at another endpoint.
    pub retry_enabled_codes: Vec<i32>,
}

impl Default for Suspension {
    fn default() -> Self {
        Self {
            timeout_codes: Vec::new(),
            retries_before_suspension: 0,
            retry_delay_ms: 0,
            suspend_codes: Vec::new(),
            initial_ms: None,
            progression_factor: None,
            maximum_ms: i64::MAX,
            retry_disabled_codes: Vec::new(),
            retry_enabled_codes: Vec::new(),
        }
    }
}

impl Qos {
    /// Reads the attributes and children of `<address>`, `<http>`, `<wsdl>` or `<default>`.
    pub(crate) fn parse(element: &Element, out: &mut Diagnostics) -> Self {
        let format = parse_format(element, out);
        let optimize = element.attr("optimize").and_then(|value| match value.trim().to_ascii_lowercase().as_str() {
            "mtom" => Some(Optimize::Mtom),
            "swa" => Some(Optimize::Swa),
            _ => None,
        });
        let addressing = element.child("enableAddressing").map(|it| parse_addressing(&it, out));
        let security = element.child("enableSec").map(|it| parse_security(&it));
        let timeout = element.child("timeout").map(|it| parse_timeout(&it, out)).unwrap_or_default();
        let suspension = Suspension::parse(element, out);
        out.extend(element.unknown_attrs(&LEAF_ATTRIBUTES));
        out.extend(
            element.unknown_children(&LEAF_CHILDREN).into_iter().filter(|it| !it.message.contains("definitions")),
        );
        let encoding = element.attr("encoding").map(|value| value.into_owned());
        Self { format, optimize, encoding, addressing, security, timeout, suspension }
    }
}

const LEAF_ATTRIBUTES: [&str; 14] = [
    "uri",
    "uri-template",
    "method",
    "version",
    "service",
    "port",
    "format",
    "optimize",
    "encoding",
    "trace",
    "statistics",
    "type",
    "description",
    "name",
];
const LEAF_CHILDREN: [&str; 9] = [
    "enableAddressing",
    "enableSec",
    "timeout",
    "markForSuspension",
    "suspendOnFailure",
    "suspendDurationOnFailure",
    "retryConfig",
    "authentication",
    "serverPushSequence",
];

/// An unknown format leaves the message as it is, as in MI.
fn parse_format(element: &Element, out: &mut Diagnostics) -> Option<Format> {
    let value = element.attr("format")?;
    match value.trim().to_ascii_lowercase().as_str() {
        "soap11" => Some(Format::Soap11),
        "soap12" => Some(Format::Soap12),
        "pox" => Some(Format::Pox),
        "get" => Some(Format::Get),
        "rest" => Some(Format::Rest),
        "" | "leave-as-is" => None,
        other => {
            let warning = element.warning(format!("unknown format '{other}', the message is left as it is"));
            out.push(warning.hint("one of soap11, soap12, pox, get, rest"));
            None
        }
    }
}

fn parse_addressing(element: &Element, out: &mut Diagnostics) -> Addressing {
    let version = element.attr("version").unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(version.as_str(), "" | "final" | "submission") {
        out.push(element.error(format!("unknown addressing version '{version}'")).hint("final or submission"));
    }
    Addressing {
        submission: version == "submission",
        separate_listener: element.bool_attr("separateListener").unwrap_or(false),
    }
}

/// A policy for both directions hides those for one.
fn parse_security(element: &Element) -> Security {
    let own = |name: &str| element.attr(name).map(|value| value.trim().to_owned());
    match own("policy") {
        Some(policy) => Security { policy: Some(policy), ..Security::default() },
        None => Security { policy: None, inbound_policy: own("inboundPolicy"), outbound_policy: own("outboundPolicy") },
    }
}

fn parse_timeout(element: &Element, out: &mut Diagnostics) -> Timeout {
    let duration = element.child("duration").and_then(|it| out.take(parse_duration(&it)).flatten());
    let action = match element.child("responseAction").map(|it| it.text()) {
        None => TimeoutAction::None,
        Some(action) => match action.trim().to_ascii_lowercase().as_str() {
            "discard" => TimeoutAction::Discard,
            "fault" => TimeoutAction::Fault,
            other => {
                out.push(element.error(format!("unknown responseAction '{other}'")).hint("discard or fault"));
                TimeoutAction::None
            }
        },
    };
    Timeout { duration, action }
}

fn parse_duration(element: &Element) -> Result<Option<TimeoutDuration>, Diagnostic> {
    let text = element.text();
    let text = text.trim();
    if text.starts_with("${") && text.ends_with('}') {
        return element.compile(text).map(|expr| Some(TimeoutDuration::Expression(expr)));
    }
    if let Some(expression) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        return element.compile(expression).map(|expr| Some(TimeoutDuration::Expression(expr)));
    }
    let millis: i64 = number(element, text, "the duration of a time-out, in milliseconds")?;
    // Zero is MI's "not set"; less than that cannot be meant.
    Ok(u64::try_from(millis).ok().filter(|millis| *millis > 0).map(TimeoutDuration::Millis))
}

impl Suspension {
    fn parse(element: &Element, out: &mut Diagnostics) -> Self {
        let mut it = Self::default();
        if let Some(mark) = element.child("markForSuspension") {
            it.timeout_codes = codes(&mark, "errorCodes", out);
            if let Some(retries) = child_number(&mark, "retriesBeforeSuspension", out) {
                it.retries_before_suspension = retries;
            }
            if let Some(delay) = child_number(&mark, "retryDelay", out) {
                it.retry_delay_ms = delay;
            }
        }
        if let Some(seconds) = child_number::<i64>(element, "suspendDurationOnFailure", out) {
            let warning = element.warning("<suspendDurationOnFailure> is deprecated, and in seconds");
            out.push(warning.hint("use <suspendOnFailure><initialDuration>, in milliseconds"));
            it.initial_ms = Some(seconds.saturating_mul(1000));
        }
        if let Some(suspend) = element.child("suspendOnFailure") {
            it.suspend_codes = codes(&suspend, "errorCodes", out);
            it.initial_ms = child_number(&suspend, "initialDuration", out).or(it.initial_ms);
            it.progression_factor = child_number(&suspend, "progressionFactor", out);
            if let Some(maximum) = child_number(&suspend, "maximumDuration", out) {
                it.maximum_ms = maximum;
            }
        }
        if let Some(retry) = element.child("retryConfig") {
            it.retry_disabled_codes = codes(&retry, "disabledErrorCodes", out);
            it.retry_enabled_codes = codes(&retry, "enabledErrorCodes", out);
        }
        it
    }
}

/// A list of error codes; entries that are no numbers are errors.
fn codes(parent: &Element, name: &str, out: &mut Diagnostics) -> Vec<i32> {
    let Some(element) = parent.child(name) else { return Vec::new() };
    let text = element.text();
    let tokens = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|token| !token.is_empty());
    tokens.filter_map(|token| out.take(number(&element, token, "an error code"))).collect()
}

fn child_number<T: FromStr>(parent: &Element, name: &str, out: &mut Diagnostics) -> Option<T> {
    let element = parent.child(name)?;
    let text = element.text();
    out.take(number(&element, text.trim(), &format!("<{name}>")))
}

fn number<T: FromStr>(element: &Element, text: &str, what: &str) -> Result<T, Diagnostic> {
    text.parse().map_err(|_| element.error(format!("{what} must be a number, not '{text}'")))
}
