//! The functions of `${…}` as a table: a name, the numbers of arguments it takes, and what it does.
//!
//! One file a group: `text.rs`, `math.rs`, `kind.rs` (types), `encode.rs`, `time.rs`, `data.rs` (xpath, registry,
//! vaults). MI: `PredefinedFunctionNode`.

mod data;
mod encode;
mod kind;
mod math;
mod text;
mod time;

use std::borrow::Cow;

use super::Failure;
use super::ast::Node;
use super::eval::{Scope, eval};
use super::item::Item;
use crate::Namespaces;
use crate::java_date::DateText;
use crate::java_search::Search;
use crate::xpath_expr::XPathExpr;

/// The result of a function.
type Answer<'a> = Result<Item<'a>, Failure>;

/// One function.
pub(crate) struct Function {
    /// Its name in expressions.
    pub(crate) name: &'static str,
    /// The numbers of arguments it takes.
    arities: &'static [usize],
    /// What it does. The arguments are evaluated and not null.
    run: for<'a> fn(&Call<'a>) -> Answer<'a>,
    /// Compiles literal arguments once.
    pub(super) prepare: fn(&[Node], &Namespaces) -> Prepared,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// What was compiled from the literal arguments of a call.
#[derive(Debug)]
pub(super) enum Prepared {
    Nothing,
    XPath(XPathExpr),
    Pattern(Search),
    /// The formats among the arguments, at the positions of the arguments.
    Dates(Vec<Option<DateText>>),
}

/// A call with its evaluated arguments.
pub(super) struct Call<'a> {
    pub(super) nodes: &'a [Node],
    pub(super) prepared: &'a Prepared,
    pub(super) scope: Scope<'a>,
    pub(super) items: Vec<Item<'a>>,
}

const fn function(name: &'static str, arities: &'static [usize], run: for<'a> fn(&Call<'a>) -> Answer<'a>) -> Function {
    Function { name, arities, run, prepare: |_, _| Prepared::Nothing }
}

/// All functions. `exists` stands here for its name; it is answered before its argument is evaluated.
static FUNCTIONS: &[Function] = &[
    function("length", &[1], text::length),
    function("toUpper", &[1], text::to_upper),
    function("toLower", &[1], text::to_lower),
    function("subString", &[2, 3], text::sub_string),
    function("startsWith", &[2], text::starts_with),
    function("endsWith", &[2], text::ends_with),
    function("contains", &[2], text::contains),
    function("trim", &[1], text::trim),
    function("replace", &[3], text::replace),
    Function { name: "split", arities: &[2], run: text::split, prepare: text::prepare_split },
    function("indexOf", &[2, 3], text::index_of),
    function("charAt", &[2], text::char_at),
    function("abs", &[1], math::abs),
    function("ceil", &[1], math::ceil),
    function("floor", &[1], math::floor),
    function("sqrt", &[1], math::sqrt),
    function("log", &[1, 2], math::log),
    function("pow", &[2], math::pow),
    function("round", &[1, 2], math::round),
    function("base64encode", &[1, 2], encode::base64_encode),
    function("base64decode", &[1], encode::base64_decode),
    function("urlEncode", &[1, 2], encode::url_encode),
    function("urlDecode", &[1], encode::url_decode),
    function("isString", &[1], kind::is_string),
    function("isNumber", &[1], kind::is_number),
    function("isArray", &[1], kind::is_array),
    function("isObject", &[1], kind::is_object),
    function("string", &[1], kind::string),
    function("integer", &[1], kind::integer),
    function("float", &[1], kind::float),
    function("boolean", &[1], kind::boolean),
    function("object", &[1], kind::object),
    function("array", &[1], kind::array),
    function("not", &[1], kind::not),
    function("exists", &[1], |_| Ok(Item::Bool(true))),
    function("now", &[0], time::now),
    Function { name: "formatDateTime", arities: &[2, 3], run: time::format_date_time, prepare: time::prepare },
    Function { name: "xpath", arities: &[1, 2], run: data::xpath, prepare: data::prepare_xpath },
    function("registry", &[1, 2], data::registry),
    function("wso2-vault", &[1], data::wso2_vault),
    function("hashicorp-vault", &[2, 3], data::hashicorp_vault),
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// Evaluates the arguments and calls the function.
pub(super) fn call<'a>(function: &Function, mut call: Call<'a>) -> Answer<'a> {
    let count = call.nodes.len();
    if function.name == "exists" && count == 1 {
        return match eval(&call.nodes[0], call.scope) {
            Ok(item) => Ok(Item::Bool(!item.is_null())),
            Err(Failure::Soft(_)) => Ok(Item::Bool(false)),
            Err(hard) => Err(hard),
        };
    }
    if count > 3 {
        return Err(Failure::soft(format!(
            "Invalid number of arguments: {count} provided for the function: {}",
            function.name
        )));
    }
    for node in call.nodes {
        let item = eval(node, call.scope)?;
        call.items.push(item);
    }
    for (at, item) in call.items.iter().enumerate() {
        if item.is_null() {
            let argument = if at == 0 { Cow::Borrowed("source") } else { Cow::Owned(format!("argument{at}")) };
            return Err(Failure::soft(format!("Null {argument} value provided for the function: {}", function.name)));
        }
    }
    if !function.arities.contains(&count) {
        let with = ["no arguments", "one argument", "two arguments", "three arguments"][count];
        return Err(Failure::soft(format!("Invalid function: {} with {with}", function.name)));
    }
    (function.run)(&call)
}

impl<'a> Call<'a> {
    /// The text of an argument that must be a string.
    fn text(&self, at: usize) -> Option<Cow<'_, str>> {
        self.items.get(at).filter(|item| item.is_string()).map(Item::as_str)
    }

    /// An argument that must be an integer.
    fn integer(&self, at: usize) -> Option<i32> {
        self.items.get(at).filter(|item| item.is_integer()).and_then(|item| item.as_int().ok())
    }

    /// An argument that must be an integer or a double.
    fn double(&self, at: usize) -> Option<f64> {
        self.items.get(at).filter(|item| item.is_integer() || item.is_double()).and_then(|item| item.as_double().ok())
    }

    /// MI's message for arguments of the wrong type.
    fn invalid(&self, function: &str) -> Answer<'a> {
        const NAMES: [&str; 3] = ["source", "argument1", "argument2"];
        let mut message = format!("Invalid argument provided for {function} function");
        if self.items.len() > 1 {
            let values: Vec<String> =
                self.items.iter().zip(NAMES).map(|(item, name)| format!("{name}: {}", item.as_str())).collect();
            message = format!("{message}. {}", values.join(", "));
        }
        Err(Failure::Soft(message))
    }
}

/// A text as the result.
fn text_item<'a>(text: impl Into<String>) -> Item<'a> {
    Item::Text(Cow::Owned(text.into()))
}

/// The text of a literal argument.
fn literal(nodes: &[Node], at: usize) -> Option<Cow<'_, str>> {
    match nodes.get(at) {
        Some(Node::Literal(item)) if item.is_string() => Some(item.as_str()),
        _ => None,
    }
}
