//! XPath: compiled once, evaluated against a [`Document`] and the variables and functions of an [`Env`].
//!
//! An expression that is valid XPath 1.0 is evaluated by the rules of 1.0. One that is not is compiled as XPath 2.0
//! with some of 3.1 (`||`, `!`, `let`, `=>`, `math:`); [`XPath::version`] tells which. MI does the same with two
//! engines: what Jaxen cannot read or resolve goes to Saxon.
//!
//! Deliberately elsewhere: what `$body` or `get-property()` mean (the [`Env`] of the caller), the clock
//! ([`Env::now`]), and how a result becomes the text of a property (MI has rules of its own for that).

mod arithmetic;
mod ast;
mod axes;
mod blocks;
mod builder;
mod call;
mod cast;
mod collation;
mod compare;
mod construct;
mod convert;
mod datetime;
mod decimal;
mod decimal_format;
mod error;
mod eval;
mod flwor;
mod function_item;
mod functions;
mod integer;
mod lexer;
mod lexer_markup;
mod lexical;
mod module;
mod number;
mod parser;
mod parser_function;
mod parser_path;
mod parser_types;
mod parser_xquery;
mod pattern;
mod regex_syntax;
mod sequence;
mod steps;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_xml::{Document, NodeId};

pub use builder::{Opened, TreeBuilder};
pub use collation::{CaseOrder, Collation};
pub use convert::ValueType;
pub use datetime::{Duration, DurationKind, Moment, MomentKind};
pub use decimal::Decimal;
pub use decimal_format::DecimalFormat;
pub use error::{SyntaxError, XPathError};
pub use function_item::{FunctionItem, MapItem};
pub use functions::resolve_reference;
pub use integer::BigInteger;
pub use lexical::Lexical;
pub use module::{Query, QueryFunction, QueryVariable};
pub use pattern::{Regex, RegexMatch};
pub use sequence::Sequence;
pub use value::{DocRef, Item, Node, QName, Str};

use eval::{Cx, Evaluator, Focus};

/// The rules an expression is evaluated by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// XPath 1.0: four types, the first node of several counts, numbers are doubles.
    V1,
    /// XPath 2.0: sequences of typed values.
    V2,
}

/// What an expression can ask of the world around it.
pub trait Env<'d> {
    /// The value of `$prefix:local` (`prefix` as written, empty if there is none).
    ///
    /// # Errors
    /// [`XPathError::UnknownVariable`] if there is none, or whatever the host has to say.
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError>;

    /// A call of a function that is not built in; `None` if the host does not have it either. `namespace` is empty
    /// if the prefix is not declared.
    fn function(
        &self,
        prefix: &str,
        namespace: &str,
        local: &str,
        args: &[Sequence<'d>],
    ) -> Option<Result<Sequence<'d>, XPathError>>;

    /// The value of a variable of the module an expression stands in, by its place among them. Asked for by parts of
    /// a [`Query`] only.
    ///
    /// # Errors
    /// What the variable fails with.
    fn global(&self, index: usize) -> Result<Sequence<'d>, XPathError> {
        Err(XPathError::UnknownVariable { name: format!("#{index}") })
    }

    /// A call of a function of the module an expression stands in, by its place among them. Asked for by parts of a
    /// [`Query`] only.
    ///
    /// # Errors
    /// What the function fails with.
    fn call(&self, index: usize, args: &[Sequence<'d>]) -> Result<Sequence<'d>, XPathError> {
        Err(XPathError::UnknownFunction { name: format!("#{index}"), arity: args.len() })
    }

    /// Told what a constructor builds, so that the host can cap it over all expressions of a run.
    ///
    /// # Errors
    /// The cap is reached.
    fn built(&self, nodes: u64, bytes: u64) -> Result<(), XPathError> {
        let _ = (nodes, bytes);
        Ok(())
    }

    /// The current time; its offset is the implicit time zone. Should stay the same during one evaluation.
    fn now(&self) -> DateTime<FixedOffset>;
}

/// A compiled expression. Cloning it shares the compiled form.
#[derive(Clone)]
pub struct XPath(Arc<Program>);

struct Program {
    source: String,
    version: Version,
    root: ast::Expr,
    names: Vec<Name>,
    variables: Vec<ast::VariableName>,
    functions: Vec<FunctionUse>,
    uses_document: bool,
    /// It was tried as XPath 1.0 first: functions convert what they are given as 1.0 does.
    lenient: bool,
    /// `declare base-uri`
    base_uri: Option<Arc<str>>,
    /// `declare copy-namespaces no-preserve`
    drops_namespaces: bool,
}

/// An element or attribute name of an expression.
#[derive(Debug)]
struct Name {
    namespace: String,
    local: String,
}

/// A call of a function that is not built in, for analysis before anything is evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionUse {
    /// Prefix as written, empty for none.
    pub prefix: String,
    /// Namespace of the prefix, empty if it is not declared.
    pub namespace: String,
    /// Local name.
    pub local: String,
    /// One entry for each argument: its text where it is a string literal.
    pub literals: Vec<Option<Arc<str>>>,
}

/// The context item of an evaluation with its place among its neighbours, for callers that iterate themselves.
#[derive(Debug, Clone)]
pub struct Context<'d> {
    /// The context item; `None` makes every use of it an error.
    pub item: Option<Item<'d>>,
    /// What `position()` gives, counted from one.
    pub position: usize,
    /// What `last()` gives.
    pub size: usize,
}

impl<'d> Context<'d> {
    /// A node on its own.
    pub fn node(doc: &'d Document, id: NodeId) -> Self {
        Self { item: Some(Item::Node(Node::new(doc, id))), position: 1, size: 1 }
    }
}

impl XPath {
    /// Compiles an expression. `namespaces` resolves prefixes; unprefixed names are in no namespace.
    ///
    /// Variables and functions of the host are not looked up here, see [`XPath::variables`] and
    /// [`XPath::functions`].
    ///
    /// # Errors
    /// The text is neither XPath 1.0 nor 2.0, names an element by a prefix that is not declared, or is nested too
    /// deeply. MI: `SynapseXPath`, which refuses the same at deployment.
    pub fn compile(src: &str, namespaces: &dyn Fn(&str) -> Option<String>) -> Result<Self, SyntaxError> {
        Self::compile_as(src, Version::V1, namespaces, "")
    }

    /// Compiles an expression for a host that states the version: a stylesheet does. With [`Version::V1`] what 1.0
    /// cannot read is still compiled as 2.0. Element names without a prefix are in `element_namespace`.
    ///
    /// # Errors
    /// See [`XPath::compile`].
    pub fn compile_as(
        src: &str,
        version: Version,
        namespaces: &dyn Fn(&str) -> Option<String>,
        element_namespace: &str,
    ) -> Result<Self, SyntaxError> {
        let parse = |version| parser::parse(src, version, namespaces, element_namespace);
        let lenient = version == Version::V1;
        let (version, mut output) = match version {
            Version::V1 => match parse(Version::V1) {
                Ok(output) => (Version::V1, output),
                // Whatever 1.0 cannot read is 2.0, whose grammar has all of 1.0: its error is the one to show.
                Err(_) => (Version::V2, parse(Version::V2)?),
            },
            Version::V2 => (Version::V2, parse(Version::V2)?),
        };
        output.lenient = lenient;
        Ok(Self::of_output(src, version, output))
    }

    /// As [`XPath::compile_as`], with the static base URI.
    ///
    /// # Errors
    /// See [`XPath::compile`].
    pub fn compile_at(
        src: &str,
        version: Version,
        namespaces: &dyn Fn(&str) -> Option<String>,
        element_namespace: &str,
        base_uri: Option<&str>,
    ) -> Result<Self, SyntaxError> {
        let mut compiled = Self::compile_as(src, version, namespaces, element_namespace)?;
        if base_uri.is_some()
            && let Some(program) = Arc::get_mut(&mut compiled.0)
        {
            program.base_uri = base_uri.map(Arc::from);
        }
        Ok(compiled)
    }

    /// The text the expression was compiled from.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The rules the expression is evaluated by.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// Whether the expression looks at the context item. If not, it is a matter of variables, functions and
    /// literals only, and the document (a message body that is not yet read) is not needed.
    pub fn uses_document(&self) -> bool {
        self.0.uses_document
    }

    /// The variables of the environment that occur, each once, as (prefix, local name).
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.variables.iter().map(|v| (v.prefix.as_str(), v.local.as_str()))
    }

    /// The calls of functions that are not built in, in the order of the text.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionUse> {
        self.0.functions.iter()
    }

    /// The value with a node of `doc` as the context.
    ///
    /// # Errors
    /// See [`XPathError`].
    pub fn evaluate<'d>(
        &self,
        doc: &'d Document,
        context: NodeId,
        env: &dyn Env<'d>,
    ) -> Result<Sequence<'d>, XPathError> {
        self.evaluate_in(&Context::node(doc, context), env)
    }

    /// The value in any context.
    ///
    /// # Errors
    /// See [`XPathError`].
    pub fn evaluate_in<'d>(&self, context: &Context<'d>, env: &dyn Env<'d>) -> Result<Sequence<'d>, XPathError> {
        self.run(context, env, |ev, cx| ev.eval(&self.0.root, cx))
    }

    /// The effective boolean value; stops as soon as it is known.
    ///
    /// # Errors
    /// See [`XPathError`].
    pub fn evaluate_boolean<'d>(&self, context: &Context<'d>, env: &dyn Env<'d>) -> Result<bool, XPathError> {
        self.run(context, env, |ev, cx| ev.ebv(&self.0.root, cx))
    }

    /// The string of the first item by the rules of the expression's version; stops as soon as it is known.
    ///
    /// # Errors
    /// See [`XPathError`].
    pub fn evaluate_string<'d>(&self, context: &Context<'d>, env: &dyn Env<'d>) -> Result<Str<'d>, XPathError> {
        self.run(context, env, |ev, cx| ev.first_string(&self.0.root, cx))
    }

    /// The first item in document order; stops as soon as it is known.
    ///
    /// # Errors
    /// See [`XPathError`].
    pub fn evaluate_first<'d>(&self, context: &Context<'d>, env: &dyn Env<'d>) -> Result<Option<Item<'d>>, XPathError> {
        self.run(context, env, |ev, cx| ev.first(&self.0.root, cx))
    }

    fn run<'d, T>(
        &self,
        context: &Context<'d>,
        env: &dyn Env<'d>,
        inner: impl FnOnce(&Evaluator<'_, 'd>, &Cx<'_, 'd>) -> Result<T, XPathError>,
    ) -> Result<T, XPathError> {
        let mut evaluator = Evaluator::new(&self.0, env);
        let item = match &context.item {
            Some(Item::Node(node)) => {
                evaluator.home = Some(std::ptr::from_ref::<Document>(&node.doc));
                Focus::Node(&node.doc, node.id)
            }
            Some(item) => Focus::Item(item),
            None => Focus::None,
        };
        inner(&evaluator, &Cx { item, position: context.position, size: context.size, vars: None })
    }

    /// The value with values for the variables that its module bound around it, and without a context item.
    pub(crate) fn evaluate_with<'d>(
        &self,
        values: Vec<Sequence<'d>>,
        env: &dyn Env<'d>,
    ) -> Result<Sequence<'d>, XPathError> {
        let evaluator = Evaluator::new(&self.0, env);
        let cx = Cx { item: Focus::None, position: 1, size: 1, vars: None };
        flwor::with_values(values.into_iter(), &cx, &mut |cx| evaluator.eval(&self.0.root, cx))
    }
}

impl fmt::Debug for XPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("XPath").field(&self.0.source).finish()
    }
}

impl fmt::Display for XPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.source)
    }
}
