//! Match patterns: `order/item[@id]`, `key('k', 'v')`, `/`. Parsing; matching is in `run/matching.rs`.

use mi_xml::{Document, NodeId, NodeKind};

use crate::expr::{Expr, Statics};

/// Most steps of one alternative.
const MAX_STEPS: usize = 64;

/// Alternatives separated by `|`.
#[derive(Debug)]
pub(crate) struct Pattern(pub(crate) Vec<Alternative>);

#[derive(Debug)]
pub(crate) struct Alternative {
    /// From the last step to the first.
    pub(crate) steps: Vec<Step>,
    pub(crate) start: Start,
    pub(crate) priority: f64,
}

/// What has to be above the first step.
#[derive(Debug)]
pub(crate) enum Start {
    Anything,
    /// `/a`: the document is the parent.
    Document,
    /// `//a`: the document is somewhere above.
    BelowDocument,
    /// `id('x')/a`, `key('k','v')//a`, `$nodes/a`; without steps the node itself.
    Nodes {
        expr: Expr,
        below: bool,
    },
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) test: Test,
    pub(crate) predicates: Vec<PatternPredicate>,
    /// The step before may be any ancestor, not just the parent.
    pub(crate) descendant: bool,
}

#[derive(Debug)]
pub(crate) struct PatternPredicate {
    pub(crate) expr: Expr,
    /// The expression asks for the position, so it must be known beforehand.
    pub(crate) positional: bool,
}

/// A node test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Test {
    Document,
    /// `node()`: any child.
    Node,
    /// `@node()`
    AttributeNode,
    Text,
    Comment,
    Pi(Option<Box<str>>),
    Element {
        namespace: Option<Box<str>>,
        local: Option<Box<str>>,
    },
    Attribute {
        namespace: Option<Box<str>>,
        local: Option<Box<str>>,
    },
}

impl Test {
    pub(crate) fn matches(&self, doc: &Document, node: NodeId) -> bool {
        let kind = doc.kind(node);
        let named = |namespace: &Option<Box<str>>, local: &Option<Box<str>>| {
            local.as_deref().is_none_or(|local| doc.local_name(node) == local)
                && namespace.as_deref().is_none_or(|namespace| doc.namespace(node) == namespace)
        };
        match self {
            Self::Document => kind == NodeKind::Document,
            Self::Node => matches!(kind, NodeKind::Element | NodeKind::Text | NodeKind::Comment | NodeKind::Pi),
            Self::AttributeNode => kind == NodeKind::Attribute,
            Self::Text => kind == NodeKind::Text,
            Self::Comment => kind == NodeKind::Comment,
            Self::Pi(target) => {
                kind == NodeKind::Pi && target.as_deref().is_none_or(|target| doc.local_name(node) == target)
            }
            Self::Element { namespace, local } => kind == NodeKind::Element && named(namespace, local),
            Self::Attribute { namespace, local } => kind == NodeKind::Attribute && named(namespace, local),
        }
    }

    fn priority(&self) -> f64 {
        match self {
            Self::Element { namespace, local } | Self::Attribute { namespace, local } => match (namespace, local) {
                (Some(_), Some(_)) => 0.0,
                (None, None) => -0.5,
                _ => -0.25,
            },
            Self::Pi(Some(_)) => 0.0,
            _ => -0.5,
        }
    }
}

impl Pattern {
    pub(crate) fn parse(source: &str, statics: &Statics<'_>) -> Result<Self, String> {
        let alternatives = split(source, '|').into_iter().map(|part| alternative(part, statics));
        let alternatives = alternatives.collect::<Result<Vec<_>, _>>();
        alternatives.map(Self).map_err(|error| format!("in the pattern \"{source}\": {error}"))
    }

    /// Every expression in it.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        self.0.iter().flat_map(|alternative| {
            let start = match &alternative.start {
                Start::Nodes { expr, .. } => Some(expr),
                _ => None,
            };
            let predicates = alternative.steps.iter().flat_map(|step| step.predicates.iter().map(|it| &it.expr));
            start.into_iter().chain(predicates)
        })
    }
}

/// Parts between separators that are outside of strings and brackets.
fn split(source: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut quote, mut depth, mut from) = (None, 0_u32, 0);
    for (at, c) in source.char_indices() {
        match (quote, c) {
            (Some(open), c) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']' | ')') => depth = depth.saturating_sub(1),
            (None, c) if c == separator && depth == 0 => {
                parts.push(&source[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&source[from..]);
    parts
}

fn alternative(source: &str, statics: &Statics<'_>) -> Result<Alternative, String> {
    let text = source.trim();
    if text.is_empty() {
        return Err("a pattern is missing".to_owned());
    }
    if text == "/" {
        let step = Step { test: Test::Document, predicates: Vec::new(), descendant: false };
        return Ok(Alternative { steps: vec![step], start: Start::Anything, priority: -0.5 });
    }
    let mut parts = split(text, '/');
    if parts.len() > MAX_STEPS {
        return Err(format!("it has more than {MAX_STEPS} steps, which is the cap"));
    }
    let mut start = Start::Anything;
    // Whether the next step may be anywhere below what is before it.
    let mut below = false;
    if parts[0].trim().is_empty() {
        parts.remove(0);
        start = Start::Document;
        if parts.first().is_some_and(|part| part.trim().is_empty()) {
            parts.remove(0);
            start = Start::BelowDocument;
        }
    } else if is_node_set(parts[0]) {
        let expr = statics.compile(parts[0].trim())?;
        parts.remove(0);
        if parts.first().is_some_and(|part| part.trim().is_empty()) {
            parts.remove(0);
            below = true;
        }
        start = Start::Nodes { expr, below };
        below = false;
    }
    let mut steps: Vec<Step> = Vec::new();
    for part in parts {
        if part.trim().is_empty() {
            if below || steps.is_empty() {
                return Err("a step is missing".to_owned());
            }
            below = true;
            continue;
        }
        let mut step = step(part.trim(), statics)?;
        step.descendant = std::mem::take(&mut below);
        steps.push(step);
    }
    if below || (steps.is_empty() && !matches!(start, Start::Nodes { .. })) {
        return Err("a step is missing at the end".to_owned());
    }
    steps.reverse();
    let simple = matches!(start, Start::Anything) && steps.len() == 1 && steps[0].predicates.is_empty();
    let priority = if simple { steps[0].test.priority() } else { 0.5 };
    Ok(Alternative { steps, start, priority })
}

/// Whether the first part of a pattern is `id(…)`, `key(…)` or a variable.
fn is_node_set(part: &str) -> bool {
    let part = part.trim();
    part.starts_with('$')
        || ["key", "id", "doc", "element-with-id"]
            .into_iter()
            .any(|name| part.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('(')))
}

fn step(source: &str, statics: &Statics<'_>) -> Result<Step, String> {
    let open = split_predicates(source)?;
    let (head, predicates) = source.split_at(open);
    let mut head = head.trim();
    let mut attribute = false;
    if let Some(rest) = head.strip_prefix('@') {
        (head, attribute) = (rest.trim_start(), true);
    } else if let Some((axis, rest)) = head.split_once("::") {
        attribute = match axis.trim() {
            "child" => false,
            "attribute" => true,
            other => return Err(format!("the axis `{other}` cannot be used in a pattern")),
        };
        head = rest.trim_start();
    }
    let test = node_test(head, attribute, statics)?;
    let mut compiled = Vec::new();
    let mut rest = predicates.trim();
    while let Some(behind) = rest.strip_prefix('[') {
        let end = closing_bracket(behind).ok_or("a bracket is not closed")?;
        let text = &behind[..end];
        let positional = text.contains("position") || text.contains("last");
        compiled.push(PatternPredicate { expr: statics.compile(text)?, positional });
        rest = behind[end + 1..].trim_start();
    }
    if !rest.is_empty() {
        return Err(format!("`{rest}` cannot stand behind a step"));
    }
    Ok(Step { test, predicates: compiled, descendant: false })
}

/// Where the predicates of a step start.
fn split_predicates(source: &str) -> Result<usize, String> {
    let mut quote = None;
    for (at, c) in source.char_indices() {
        match (quote, c) {
            (Some(open), c) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => return Ok(at),
            _ => {}
        }
    }
    if quote.is_some() { Err("a string is not closed".to_owned()) } else { Ok(source.len()) }
}

/// The bracket that closes one opened before `text`.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0_u32);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) => quote = (c != open).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// A node test; also the names in `xsl:strip-space`.
pub(crate) fn node_test(head: &str, attribute: bool, statics: &Statics<'_>) -> Result<Test, String> {
    if let Some((name, rest)) = head.split_once('(') {
        let argument = rest.trim().strip_suffix(')').ok_or("a bracket is not closed")?.trim();
        let argument = argument.split(',').next().unwrap_or("").trim();
        return kind_test(name.trim(), argument, attribute, statics);
    }
    let (namespace, local) = if let Some(local) = head.strip_prefix("*:") {
        (None, Some(ncname(local)?))
    } else if head == "*" {
        (None, None)
    } else if let Some(prefix) = head.strip_suffix(":*") {
        (Some(declared(prefix, statics)?), None)
    } else if let Some((prefix, local)) = head.split_once(':') {
        (Some(declared(prefix, statics)?), Some(ncname(local)?))
    } else {
        let namespace = if attribute { "" } else { statics.element_namespace };
        (Some(namespace.into()), Some(ncname(head)?))
    };
    Ok(if attribute { Test::Attribute { namespace, local } } else { Test::Element { namespace, local } })
}

fn kind_test(name: &str, argument: &str, attribute: bool, statics: &Statics<'_>) -> Result<Test, String> {
    let wild = argument.is_empty() || argument == "*";
    Ok(match name {
        "node" if attribute => Test::AttributeNode,
        "node" => Test::Node,
        "text" => Test::Text,
        "comment" => Test::Comment,
        "processing-instruction" if argument.is_empty() => Test::Pi(None),
        "processing-instruction" => Test::Pi(Some(argument.trim_matches(['"', '\'']).into())),
        "document-node" => Test::Document,
        "element" if wild => Test::Element { namespace: None, local: None },
        "attribute" if wild => Test::Attribute { namespace: None, local: None },
        "element" => node_test(argument, false, statics)?,
        "attribute" => node_test(argument, true, statics)?,
        other => return Err(format!("`{other}()` cannot be used in a pattern")),
    })
}

fn ncname(text: &str) -> Result<Box<str>, String> {
    if mi_xml::is_ncname(text) { Ok(text.into()) } else { Err(format!("`{text}` is no name")) }
}

fn declared(prefix: &str, statics: &Statics<'_>) -> Result<Box<str>, String> {
    let namespace = statics.namespace(prefix.trim());
    namespace.map(Into::into).ok_or_else(|| format!("the namespace prefix `{prefix}` is not declared"))
}
