//! `<rewrite>` changes the address of the message, or a URL in a property, piece by piece and rule by rule.

mod uri;

use std::sync::LazyLock;

use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::mediator::{Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::Expr;

use self::uri::Uri;
use crate::evaluator::Evaluator;
use mi_expr::java::Search;

pub(super) const SPEC: MediatorSpec =
    MediatorSpec::new("rewrite", parse).attributes(&["inProperty", "outProperty"]).children(&["rewriterule"]);

/// MI: `URLRewriteMediator`.
#[derive(Debug)]
struct Rewrite {
    rules: Vec<Rule>,
    /// Instead of the address.
    input: Option<String>,
    output: Option<String>,
}

#[derive(Debug)]
struct Rule {
    condition: Option<Evaluator>,
    actions: Vec<Action>,
}

#[derive(Debug)]
struct Action {
    piece: Piece,
    kind: Kind,
    value: Operand,
    /// Replace `{name}` in the result by properties.
    resolve: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Full,
    Scheme,
    User,
    Host,
    Port,
    Path,
    Query,
    Fragment,
}

const PIECES: [(&str, Piece); 8] = [
    ("full", Piece::Full),
    ("protocol", Piece::Scheme),
    ("user", Piece::User),
    ("host", Piece::Host),
    ("port", Piece::Port),
    ("path", Piece::Path),
    ("query", Piece::Query),
    ("ref", Piece::Fragment),
];

#[derive(Debug)]
enum Kind {
    Set,
    Append,
    Prepend,
    /// A pattern that does not compile is a fault of the messages that reach it, as in MI.
    Replace(Result<Search, String>),
    Remove,
    RemoveQueryParameter,
}

#[derive(Debug)]
enum Operand {
    None,
    Text(String),
    Expression(Expr),
}

fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    Ok(Box::new(Rewrite {
        rules: el.children_named("rewriterule").map(|rule| parse_rule(&rule, cx)).collect::<Result<_, _>>()?,
        input: el.attr("inProperty").map(|name| name.into_owned()),
        output: el.attr("outProperty").map(|name| name.into_owned()),
    }))
}

fn parse_rule(el: &Element, cx: &mut BuildCx<'_>) -> Result<Rule, Diagnostic> {
    cx.report_all(el.unknown_children(&["action", "condition", "description"]));
    let condition = el.child("condition").and_then(|condition| condition.first_child());
    Ok(Rule {
        condition: condition.map(|condition| Evaluator::parse(&condition)).transpose()?,
        actions: el.children_named("action").map(|action| parse_action(&action, cx)).collect::<Result<_, _>>()?,
    })
}

/// MI: `URLRewriteMediatorFactory#parseAction`.
fn parse_action(el: &Element, cx: &mut BuildCx<'_>) -> Result<Action, Diagnostic> {
    cx.report_all(el.unknown_attrs(&["value", "xpath", "type", "fragment", "regex", "resolve", "description"]));
    let piece = match el.attr("fragment") {
        None => Piece::Full,
        Some(name) => match PIECES.iter().find(|(known, _)| *known == name) {
            Some((_, piece)) => *piece,
            None => {
                let error = el.error(format!("Unknown URL fragment name: {name}"));
                return Err(error.hint("one of full, protocol, user, host, port, path, query, ref"));
            }
        },
    };
    let kind = match el.attr("type").as_deref() {
        None | Some("set") => Kind::Set,
        Some("append") => Kind::Append,
        Some("prepend") => Kind::Prepend,
        Some("replace") => {
            let regex = el.attr("regex").ok_or_else(|| el.error("regex attribute is required for replace action"))?;
            let search = Search::compile(&regex);
            if let Err(error) = &search {
                cx.report(el.warning(format!("'{regex}' is not a valid regular expression: {error}")));
            }
            Kind::Replace(search)
        }
        Some("remove") => Kind::Remove,
        Some("remove-query-param") if piece == Piece::Query => Kind::RemoveQueryParameter,
        Some("remove-query-param") => {
            return Err(el.error("Action remove-query-param is only allowed for query fragment"));
        }
        Some(other) => {
            let error = el.error(format!("Unknown URL rewrite action type: {other}"));
            return Err(error.hint("one of set, append, prepend, replace, remove, remove-query-param"));
        }
    };
    let value = match (el.expr("xpath")?, el.attr("value")) {
        (Some(expr), _) => Operand::Expression(expr),
        (None, Some(value)) => Operand::Text(value.into_owned()),
        (None, None) if matches!(kind, Kind::Remove) => Operand::None,
        (None, None) => return Err(el.error("value or xpath attribute is required on the action element")),
    };
    Ok(Action { piece, kind, value, resolve: el.bool_attr("resolve").unwrap_or(false) })
}

impl Mediator for Rewrite {
    fn reads_body(&self) -> bool {
        // The address may be a header of the envelope.
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let mut uri = match self.input_address(cx) {
            Some(text) => Uri::parse(&text).map_err(|_| Fault::new(format!("Malformed input URI: {text}")))?,
            None => Uri::default(),
        };
        for rule in &self.rules {
            rule.apply(&mut uri, cx)?;
        }
        let text = written(&uri)?;
        match &self.output {
            Some(name) => cx.message.properties.set(name.as_str(), text),
            None => cx.message.addressing.to = Some(text),
        }
        Ok(Flow::Next)
    }
}

impl Rewrite {
    fn input_address(&self, cx: &Context) -> Option<String> {
        match &self.input {
            Some(name) => cx.message.properties.get_str(name).map(str::to_owned),
            None => cx.message.addressing.to.clone(),
        }
    }
}

fn written(uri: &Uri) -> Result<String, Fault> {
    uri.to_ascii().map_err(not_a_uri)
}

fn not_a_uri(cause: String) -> Fault {
    let fault = Fault::new("Error while constructing a URI from the fragments");
    Fault { detail: format!("{}: {cause}", fault.message), ..fault }
}

impl Rule {
    /// Conditions see the URL as the rules before left it. MI: `RewriteRule#rewrite`.
    fn apply(&self, uri: &mut Uri, cx: &Context) -> Result<(), Fault> {
        if let Some(condition) = &self.condition {
            match condition.holds_for(cx, &written(uri)?) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(fault) => {
                    log::warn!(
                        target: "RewriteRule",
                        "{}Error while evaluating the condition - Skipping the rule as it failed: {fault}",
                        cx.artifact.log_prefix
                    );
                    return Ok(());
                }
            }
        }
        self.actions.iter().try_for_each(|action| action.apply(uri, cx))
    }
}

impl Action {
    /// MI: `RewriteAction#execute`.
    fn apply(&self, uri: &mut Uri, cx: &Context) -> Result<(), Fault> {
        let value = match &self.value {
            Operand::None => None,
            Operand::Text(text) => Some(text.clone()),
            Operand::Expression(expr) => Some(expr.eval_string(&cx.message, &*cx.snapshot)?.to_string()),
        };
        // The whole and the port are set, whatever the action is.
        let piece = match self.piece {
            Piece::Full => {
                *uri = Uri::parse(&value.unwrap_or_default()).map_err(not_a_uri)?;
                return Ok(());
            }
            Piece::Port => {
                uri.port = match value {
                    None => None,
                    Some(text) => {
                        let port: i32 =
                            text.parse().map_err(|_| Fault::new(format!("For input string: \"{text}\"")))?;
                        u32::try_from(port).ok()
                    }
                };
                return Ok(());
            }
            Piece::Scheme => &mut uri.scheme,
            Piece::User => &mut uri.user,
            Piece::Host => &mut uri.host,
            Piece::Path => &mut uri.path,
            Piece::Query => &mut uri.query,
            Piece::Fragment => &mut uri.fragment,
        };
        let changed = self.changed(piece.as_deref().unwrap_or_default(), value)?;
        *piece = if self.resolve { changed.map(|text| resolved(text, cx)) } else { changed };
        Ok(())
    }

    fn changed(&self, current: &str, value: Option<String>) -> Result<Option<String>, Fault> {
        let Some(value) = value else {
            // Only `remove` goes without a value.
            return Ok(None);
        };
        let between = if self.piece == Piece::Query && !current.is_empty() { "&" } else { "" };
        Ok(match &self.kind {
            Kind::Set => Some(value),
            Kind::Append => Some(format!("{current}{between}{value}")),
            Kind::Prepend => Some(format!("{value}{between}{current}")),
            Kind::Replace(search) => {
                let search = search.as_ref().map_err(Fault::new)?;
                Some(search.replace_all(current, &value).map_err(Fault::new)?)
            }
            Kind::Remove => None,
            Kind::RemoveQueryParameter => Some(without_parameter(current, &value)?),
        })
    }
}

/// Takes the first parameter out in which the pattern `name` stands before a `=`.
fn without_parameter(query: &str, name: &str) -> Result<String, Fault> {
    let search = Search::compile(&format!("{name}=.*")).map_err(Fault::new)?;
    let mut parameters: Vec<&str> = query.trim_end_matches('&').split('&').collect();
    if let Some(at) = parameters.iter().position(|parameter| search.is_found(parameter)) {
        parameters.remove(at);
    }
    Ok(parameters.join("&"))
}

/// Replaces `{name}` by properties. Without one of them nothing is left.
fn resolved(text: String, cx: &Context) -> String {
    static PLACEHOLDER: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new(r"\{([^{}]*)\}").expect("the pattern is constant"));
    let mut out = text.clone();
    for found in PLACEHOLDER.captures_iter(&text) {
        let name = &found[1];
        match cx.message.properties.get(name).map(|value| value.to_text()).filter(|value| !value.is_empty()) {
            Some(value) => out = out.replace(&found[0], &value),
            None => {
                log::error!(
                    target: "RewriteAction",
                    "{}Path parameter '{name}' was not found in the provided URL postfix", cx.artifact.log_prefix
                );
                out.clear();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
