//! The compiled form of a `${…}` expression. Built by `parser.rs`, evaluated by `eval.rs` and `access.rs`.

use std::sync::{Arc, Mutex};

use super::functions::{Function, Prepared};
use super::item::Item;
use crate::jsonpath::JsonPath;

#[derive(Debug)]
pub(super) enum Node {
    Literal(Item<'static>),
    Array(Vec<Node>),
    /// Operators of one level, applied from the left; flat, so that a long sum is no deep tree.
    Chain {
        first: Box<Node>,
        rest: Vec<(Operator, Node)>,
    },
    /// `and` and `or`, which have one level and are applied from the right.
    Logic {
        operands: Vec<Node>,
        operators: Vec<Operator>,
    },
    /// Condition, value when true, value when false.
    Conditional(Box<[Node; 3]>),
    /// A minus in front of a bound of a slice.
    Negate(Box<Node>),
    Access(Box<Access>),
    Property {
        source: Source,
        name: Arc<str>,
    },
    Call {
        function: &'static Function,
        arguments: Vec<Node>,
        prepared: Prepared,
    },
}

/// Operators; the names are those of MI's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    NotEquals,
    LessThan,
    LessThanOrEqual,
    GreaterThan,
    GreaterThanOrEqual,
    And,
    Or,
}

impl Operator {
    /// The name in MI's messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Subtract => "SUBTRACT",
            Self::Multiply => "MULTIPLY",
            Self::Divide => "DIVIDE",
            Self::Modulo => "MODULO",
            Self::Equals => "EQUALS",
            Self::NotEquals => "NOT_EQUALS",
            Self::LessThan => "LESS_THAN",
            Self::LessThanOrEqual => "LESS_THAN_OR_EQUAL",
            Self::GreaterThan => "GREATER_THAN",
            Self::GreaterThanOrEqual => "GREATER_THAN_OR_EQUAL",
            Self::And => "AND",
            Self::Or => "OR",
        }
    }
}

/// Where a named value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Header,
    Config,
    FunctionParameter,
    QueryParameter,
    PathParameter,
    Synapse,
    Axis2,
}

/// The payload, a variable or the result of a function, and a path into it.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) root: Root,
    pub(super) tail: Tail,
    /// The text of the access, for messages.
    pub(super) text: Box<str>,
}

#[derive(Debug)]
pub(super) enum Root {
    Payload,
    Variable(Arc<str>),
    /// `object(…)`, `array(…)` or `registry(…)`.
    Call(Box<Node>),
}

#[derive(Debug)]
pub(super) enum Tail {
    None,
    Static(Path),
    /// A path with computed parts, and the last one that was compiled from it.
    Dynamic {
        pieces: Vec<Piece>,
        last: Mutex<Option<(String, Path)>>,
    },
    /// The path cannot be compiled; MI finds out when it evaluates it.
    Invalid(Box<str>),
}

/// A path, and for the entries of a map variable its first name and the rest.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) whole: JsonPath,
    pub(super) first: Option<(Arc<str>, JsonPath)>,
}

impl Path {
    /// Compiles the text behind the root.
    pub(super) fn compile(tail: &str) -> Result<Self, String> {
        let text = if tail.starts_with(['.', '[']) { format!("${tail}") } else { format!("$.{tail}") };
        let whole = JsonPath::compile(&text).map_err(|error| error.message)?;
        let first = whole.split_first_key();
        Ok(Self { whole, first })
    }
}

/// A part of a path with computed parts.
#[derive(Debug)]
pub(super) enum Piece {
    Text(Box<str>),
    /// `[expression]`, with the text for an expression that is null.
    Index(Node, Box<str>),
    /// `[a,b]`.
    Indexes(Vec<Node>),
    /// `[a:b]`; `None` for a missing bound.
    Slice(Vec<Option<Node>>),
    /// A computed operand in a filter, with the text for a value that is null.
    Operand(Node, Box<str>),
}
