//! The assertions of both suites, evaluated on what a test gave.

use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Context, Env, Item, Node, Sequence, Version, XPath, XPathError};
use mi_xml::{Document, NodeId, NodeKind};

use crate::Verdict;
use crate::catalogue::attr;

/// A failure with its code, empty for one that has none.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    /// Found while compiling.
    pub(crate) early: bool,
}

impl Failure {
    pub(crate) fn of(error: &XPathError) -> Self {
        let code = match error {
            XPathError::Dynamic { code, .. } => code.to_string(),
            XPathError::UnknownFunction { .. } => "XPST0017".to_owned(),
            XPathError::UnknownVariable { .. } => "XPST0008".to_owned(),
            _ => String::new(),
        };
        Self { code, message: error.to_string(), early: false }
    }
}

/// What a test gave.
pub(crate) struct Outcome {
    pub(crate) result: Result<Sequence<'static>, Failure>,
    /// The text of the result, if it was written.
    pub(crate) text: Option<String>,
    /// The documents of `xsl:result-document`.
    pub(crate) others: Vec<(String, Outcome)>,
    /// Texts of `xsl:message`.
    pub(crate) messages: Vec<String>,
    pub(crate) now: DateTime<FixedOffset>,
    pub(crate) context: Option<Item<'static>>,
}

/// Variables and a clock, nothing else.
pub(crate) struct Variables<'a> {
    pub(crate) values: &'a [(String, Sequence<'static>)],
    pub(crate) now: DateTime<FixedOffset>,
}

impl Env<'static> for Variables<'_> {
    fn variable(&self, _: &str, local: &str) -> Result<Sequence<'static>, XPathError> {
        let found = self.values.iter().find(|it| it.0 == local).map(|it| it.1.clone());
        found.ok_or_else(|| XPathError::UnknownVariable { name: local.to_owned() })
    }

    fn function(
        &self,
        _: &str,
        _: &str,
        _: &str,
        _: &[Sequence<'static>],
    ) -> Option<Result<Sequence<'static>, XPathError>> {
        None
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.now
    }
}

/// The prefixes that tests use without declaring them.
pub(crate) fn usual_namespace(prefix: &str) -> Option<String> {
    let uri = match prefix {
        "xs" | "xsd" => "http://www.w3.org/2001/XMLSchema",
        "fn" => "http://www.w3.org/2005/xpath-functions",
        "math" => "http://www.w3.org/2005/xpath-functions/math",
        "map" => "http://www.w3.org/2005/xpath-functions/map",
        "array" => "http://www.w3.org/2005/xpath-functions/array",
        "err" => "http://www.w3.org/2005/xqt-errors",
        "j" => "http://www.w3.org/2005/xpath-functions",
        _ => return None,
    };
    Some(uri.to_owned())
}

/// Judges an outcome by an assertion element.
pub(crate) fn judge(doc: &Document, node: NodeId, outcome: &Outcome) -> Verdict {
    let text = || doc.string_value(node).into_owned();
    let name = doc.local_name(node);
    match name {
        "all-of" => {
            for child in doc.child_elements(node) {
                let verdict = judge(doc, child, outcome);
                if verdict != Verdict::Pass {
                    return verdict;
                }
            }
            return Verdict::Pass;
        }
        "any-of" => {
            let mut best = Verdict::Fail("nothing of any-of".to_owned());
            for child in doc.child_elements(node) {
                match judge(doc, child, outcome) {
                    Verdict::Fail(text) if !matches!(best, Verdict::OtherCode(_)) => best = Verdict::Fail(text),
                    Verdict::Fail(_) => {}
                    Verdict::Pass => return Verdict::Pass,
                    other => best = other,
                }
            }
            return best;
        }
        "not" => {
            let Some(child) = doc.first_child_element(node) else { return Verdict::Pass };
            return match judge(doc, child, outcome) {
                Verdict::Pass => Verdict::Fail("it is".to_owned()),
                _ => Verdict::Pass,
            };
        }
        "error" => return error(&attr(doc, node, "code").unwrap_or_default(), outcome),
        _ => {}
    }
    let value = match &outcome.result {
        Ok(value) => value,
        Err(failure) => return Verdict::Fail(format!("{name}: error {} {}", failure.code, failure.message)),
    };
    let check = |expression: &str| by_expression(doc, node, expression, outcome, value);
    match name {
        "assert" => check(&text()),
        "assert-eq" => check(&format!("$result eq ({})", text())),
        "assert-deep-eq" => check(&format!("deep-equal($result, ({}))", text())),
        "assert-count" => check(&format!("count($result) = {}", text())),
        "assert-type" => check(&format!("$result instance of {}", text())),
        "assert-empty" => check("empty($result)"),
        "assert-true" => check("$result instance of xs:boolean and $result"),
        "assert-false" => check("$result instance of xs:boolean and not($result)"),
        "assert-permutation" => permutation(doc, node, &text(), outcome, value),
        "assert-string-value" => string_value(doc, node, &text(), value),
        "assert-xml" | "assert-serialization" => xml(doc, node, outcome, value),
        "serialization-matches" => matches_text(doc, node, &text(), outcome),
        "assert-result-document" => result_document(doc, node, outcome),
        "assert-message" => {
            let Some(inner) = doc.first_child_element(node) else { return Verdict::Pass };
            let mut last = Verdict::Fail("no message".to_owned());
            for message in &outcome.messages {
                let message = Outcome {
                    result: Ok(Sequence::string(message.clone())),
                    text: Some(message.clone()),
                    others: Vec::new(),
                    messages: Vec::new(),
                    now: outcome.now,
                    context: None,
                };
                last = judge(doc, inner, &message);
                if last == Verdict::Pass {
                    return last;
                }
            }
            last
        }
        "assert-warning" => Verdict::Pass,
        _ => Verdict::Skip,
    }
}

fn error(code: &str, outcome: &Outcome) -> Verdict {
    let failure = match &outcome.result {
        Ok(value) => return Verdict::Fail(format!("error {code} expected, is {}", shown(value))),
        Err(failure) => failure,
    };
    let local = code.rsplit(['}', ':']).next().unwrap_or(code);
    let found = failure.code.rsplit(['}', ':']).next().unwrap_or_default();
    let early = failure.early && failure.code.is_empty() && matches!(local.get(2..4), Some("ST" | "SE" | "TY"));
    if code == "*" || found == local || early {
        return Verdict::Pass;
    }
    Verdict::OtherCode(format!("{code} expected: {} {}", failure.code, failure.message))
}

fn shown(value: &Sequence<'_>) -> String {
    let items: Vec<String> =
        value.iter().take(5).map(|it| format!("{}:{}", it.type_name(), it.to_str(Version::V2))).collect();
    items.join(", ")
}

pub(crate) fn evaluate(
    source: &str,
    namespaces: &dyn Fn(&str) -> Option<String>,
    item: Option<Item<'static>>,
    env: &Variables<'_>,
) -> Result<Sequence<'static>, Failure> {
    let xpath = XPath::compile_as(source, Version::V2, namespaces, "").map_err(|error| Failure {
        code: String::new(),
        message: error.to_string(),
        early: true,
    })?;
    xpath.evaluate_in(&Context { item, position: 1, size: 1 }, env).map_err(|error| Failure::of(&error))
}

fn by_expression(doc: &Document, node: NodeId, source: &str, outcome: &Outcome, value: &Sequence<'static>) -> Verdict {
    let namespaces =
        |prefix: &str| doc.lookup_namespace(node, prefix).map(str::to_owned).or_else(|| usual_namespace(prefix));
    let values = [("result".to_owned(), value.clone())];
    let env = Variables { values: &values, now: outcome.now };
    match evaluate(source, &namespaces, outcome.context.clone(), &env).map(|it| it.effective_boolean()) {
        Ok(Ok(true)) => Verdict::Pass,
        Ok(Ok(false)) => {
            Verdict::Fail(format!("{source} is false: {}", outcome.text.clone().unwrap_or_else(|| shown(value))))
        }
        Ok(Err(error)) => Verdict::Fail(format!("{source}: {error}")),
        Err(failure) => Verdict::Fail(format!("{source}: {} (is {})", failure.message, shown(value))),
    }
}

fn permutation(doc: &Document, node: NodeId, source: &str, outcome: &Outcome, value: &Sequence<'static>) -> Verdict {
    let test = format!(
        "let $e := ({source}) return count($e) = count($result) and (every $i in $e satisfies \
         count($e[deep-equal(., $i)]) = count($result[deep-equal(., $i)]))"
    );
    by_expression(doc, node, &test, outcome, value)
}

fn string_value(doc: &Document, node: NodeId, expected: &str, value: &Sequence<'static>) -> Verdict {
    let items: Vec<String> = value.iter().map(|it| it.to_str(Version::V2).into_string()).collect();
    let (mut found, mut expected) = (items.join(" "), expected.to_owned());
    if attr(doc, node, "normalize-space").is_some_and(|it| it == "true") {
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        (found, expected) = (flat(&found), flat(&expected));
    }
    if found == expected { Verdict::Pass } else { Verdict::Fail(format!("is `{found}`, not `{expected}`")) }
}

fn xml(doc: &Document, node: NodeId, outcome: &Outcome, value: &Sequence<'static>) -> Verdict {
    let expected = match attr(doc, node, "file") {
        Some(file) => {
            let base = doc.attribute(NodeId::clone(&doc.root_element().unwrap_or(Document::ROOT)), "", "mi-folder");
            let path = std::path::Path::new(base.as_deref().unwrap_or_default()).join(file);
            std::fs::read_to_string(path).unwrap_or_default()
        }
        None => doc.string_value(node).into_owned(),
    };
    let tree = written(value, outcome.now);
    if let (Ok(a), Ok(b)) = (wrapped(&expected), wrapped(&tree))
        && same(&a, Document::ROOT, &b, Document::ROOT)
    {
        return Verdict::Pass;
    }
    let found = outcome.text.clone().unwrap_or(tree);
    match (wrapped(&expected), wrapped(&found)) {
        (Ok(a), Ok(b)) if same(&a, Document::ROOT, &b, Document::ROOT) => Verdict::Pass,
        _ if expected.trim() == found.trim() => Verdict::Pass,
        _ => Verdict::Fail(format!("is {found}, not {expected}")),
    }
}

/// A result as a fragment of XML.
pub(crate) fn written(value: &Sequence<'static>, now: DateTime<FixedOffset>) -> String {
    let mut out = String::new();
    let mut atomic = false;
    for item in value.iter() {
        let is_node = matches!(item, Item::Node(_));
        if !is_node && atomic {
            out.push(' ');
        }
        atomic = !is_node;
        match item {
            Item::Node(Node { ref doc, id }) if matches!(doc.kind(id), NodeKind::Element | NodeKind::Document) => {
                out.push_str(&doc.to_xml(id));
            }
            Item::Node(_) => {
                let values = [("result".to_owned(), Sequence::one(item.clone()))];
                let env = Variables { values: &values, now };
                let text = evaluate("serialize($result)", &|_| None, None, &env);
                out.push_str(&text.map(|it| it.to_str().into_string()).unwrap_or_default());
            }
            other => out.push_str(&other.to_str(Version::V2).replace('&', "&amp;").replace('<', "&lt;")),
        }
    }
    out
}

fn wrapped(text: &str) -> Result<Arc<Document>, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let text = match text.strip_prefix("<?xml ") {
        Some(rest) => rest.split_once("?>").map_or("", |it| it.1),
        None => text,
    };
    crate::catalogue::parse(format!("<w>{}</w>", text.trim()).into_bytes())
        .or_else(|_| crate::catalogue::parse(text.as_bytes().to_vec()))
}

/// Whether two trees are the same but for prefixes and the order of attributes.
fn same(a: &Document, x: NodeId, b: &Document, y: NodeId) -> bool {
    if a.kind(x) != b.kind(y) {
        return false;
    }
    if !matches!(a.kind(x), NodeKind::Element | NodeKind::Document) {
        return a.local_name(x) == b.local_name(y)
            && a.value(x).replace("\r\n", "\n") == b.value(y).replace("\r\n", "\n");
    }
    if a.local_name(x) != b.local_name(y) || a.namespace(x) != b.namespace(y) {
        return false;
    }
    let attributes = |doc: &Document, node| {
        let mut all: Vec<(String, String, String)> = doc
            .attributes(node)
            .map(|it| (doc.namespace(it).to_owned(), doc.local_name(it).to_owned(), doc.value(it).into_owned()))
            .collect();
        all.sort();
        all
    };
    if attributes(a, x) != attributes(b, y) {
        return false;
    }
    let (left, right) = (merged(a, x), merged(b, y));
    left.len() == right.len()
        && left.iter().zip(&right).all(|pair| match pair {
            (Ok(one), Ok(other)) => same(a, *one, b, *other),
            (Err(one), Err(other)) => one == other,
            _ => false,
        })
}

/// Children with texts beside each other joined.
fn merged(doc: &Document, node: NodeId) -> Vec<Result<NodeId, String>> {
    let mut out: Vec<Result<NodeId, String>> = Vec::new();
    for child in doc.children(node) {
        if doc.kind(child) != NodeKind::Text {
            out.push(Ok(child));
        } else if let Some(Err(text)) = out.last_mut() {
            text.push_str(&doc.value(child));
        } else {
            out.push(Err(doc.value(child).into_owned()));
        }
    }
    out
}

fn matches_text(doc: &Document, node: NodeId, pattern: &str, outcome: &Outcome) -> Verdict {
    let text = match (&outcome.text, &outcome.result) {
        (Some(text), _) => text.clone(),
        (None, Ok(value)) => written(value, outcome.now),
        (None, Err(_)) => String::new(),
    };
    let values = [
        ("t".to_owned(), Sequence::string(text.clone())),
        ("p".to_owned(), Sequence::string(pattern.to_owned())),
        ("f".to_owned(), Sequence::string(attr(doc, node, "flags").unwrap_or_default())),
    ];
    let env = Variables { values: &values, now: outcome.now };
    match evaluate("matches($t, $p, $f)", &|_| None, None, &env).map(|it| it.effective_boolean()) {
        Ok(Ok(true)) => Verdict::Pass,
        Ok(_) => Verdict::Fail(format!("{pattern} does not match {text}")),
        Err(failure) => Verdict::Fail(format!("{pattern}: {}", failure.message)),
    }
}

fn result_document(doc: &Document, node: NodeId, outcome: &Outcome) -> Verdict {
    let uri = attr(doc, node, "uri").unwrap_or_default();
    let found = outcome.others.iter().find(|it| it.0 == uri || it.0.ends_with(&format!("/{uri}")));
    let Some((_, other)) = found else {
        return Verdict::Fail(format!("there is no result document {uri}"));
    };
    doc.child_elements(node)
        .map(|child| judge(doc, child, other))
        .find(|it| *it != Verdict::Pass)
        .unwrap_or(Verdict::Pass)
}
