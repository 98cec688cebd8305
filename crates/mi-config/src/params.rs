//! `<parameter name="…">` of proxies, inbound endpoints, message stores and message processors, and the
//! attributes `statistics` and `trace` that most artifacts have.

use mi_expr::Expr;

use crate::diagnostic::Diagnostics;
use crate::element::Element;

/// A named setting.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// The attribute `name`.
    pub name: String,
    /// What it is set to.
    pub value: ParameterValue,
    /// The `<parameter>`.
    pub element: Element,
}

/// The forms a parameter can take.
#[derive(Clone, Debug)]
pub enum ParameterValue {
    /// Text with its placeholder replaced.
    Text(String),
    /// The text of the registry entry or local entry of this key.
    Key(String),
    /// Computed for each message (message stores only).
    Expression(Expr),
    /// An inline element.
    Xml(Element),
}

impl Parameter {
    /// The text, when the value is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            ParameterValue::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Is the text of a parameter trimmed?
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Blanks {
    Keep,
    Trim,
}

/// The text of the last parameter of a name; parameters are a map in MI, so the last one wins.
pub fn find<'p>(parameters: &'p [Parameter], name: &str) -> Option<&'p str> {
    parameters.iter().rev().find(|it| it.name == name).and_then(Parameter::text)
}

/// Reads the `<parameter>` children of `parent`.
pub(crate) fn parse(parent: &Element, blanks: Blanks, out: &mut Diagnostics) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for element in parent.children_named("parameter") {
        let Some(name) = out.take(element.require_attr("name").map(|name| name.into_owned())) else { continue };
        let value = parse_value(&element, blanks, out);
        if let Some(value) = value {
            parameters.push(Parameter { name, value, element });
        }
    }
    parameters
}

fn parse_value(element: &Element, blanks: Blanks, out: &mut Diagnostics) -> Option<ParameterValue> {
    if element.attr("expression").is_some() {
        return out.take(element.expr("expression"))?.map(ParameterValue::Expression);
    }
    if let Some(key) = element.attr("key") {
        return Some(ParameterValue::Key(key.into_owned()));
    }
    if let Some(child) = element.first_child() {
        return Some(ParameterValue::Xml(child));
    }
    let text = element.text();
    let text = if blanks == Blanks::Trim || text.trim().is_empty() { text.trim() } else { &text };
    out.take(element.resolve(text)).map(ParameterValue::Text)
}

/// Which observations are switched on for an artifact.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Aspects {
    /// `statistics="enable"`.
    pub statistics: bool,
    /// `trace="enable"`.
    pub trace: bool,
}

impl Aspects {
    /// Reads both attributes.
    pub fn parse(element: &Element) -> Self {
        let enabled = |name: &str| element.attr(name).is_some_and(|value| value == "enable");
        Self { statistics: enabled("statistics"), trace: enabled("trace") }
    }
}

/// Splits a list at blanks and commas, as Java's `StringTokenizer(" ,")` does.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    text.split([' ', ',']).filter(|token| !token.is_empty()).map(str::to_owned).collect()
}

/// The text of the child `<description>`.
pub(crate) fn description(element: &Element) -> Option<String> {
    element.child("description").map(|it| it.text().trim().to_owned())
}
