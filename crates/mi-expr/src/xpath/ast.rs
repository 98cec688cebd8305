//! The compiled form of an expression: a tree that is evaluated as it stands.
//!
//! Names are resolved, functions are bound, predicates are classified and `//x` steps are fused when the tree is
//! built (`parser.rs`, `steps.rs`), so that `eval.rs` has nothing left to decide that does not depend on the data.
//! Chains of operators are kept flat: the depth of the tree is that of the brackets in the source, which is capped.

use std::sync::Arc;

use mi_xml::NodeKind;

use super::cast::{Atomic, SequenceType};
use super::collation::Collation;
use super::decimal::Decimal;
use super::functions::Builtin;
use super::integer::BigInteger;
use super::pattern::Pattern;
use super::value::QName;

#[derive(Debug)]
pub(super) enum Expr {
    Literal(Literal),
    /// `(a, b)`; no members is the empty sequence.
    Sequence(Vec<Expr>),
    /// A variable of the environment.
    Variable(Box<VariableName>),
    /// A variable of `for`, `let`, `some` or `every`: how many bindings lie between it and its use.
    Local(usize),
    ContextItem,
    Position,
    Last,
    Path(Box<Path>),
    /// `left/right` where `right` is not an axis step.
    Step(Box<(Expr, Expr)>),
    /// `left ! right`
    Each(Box<(Expr, Expr)>),
    Filter(Box<Filter>),
    Call(Box<Call>),
    Constructor(Box<(Atomic, Expr)>),
    External(Box<External>),
    Or(Vec<Expr>),
    And(Vec<Expr>),
    /// `=`, `<`, …
    General(Comparison, Box<(Expr, Expr)>),
    /// `eq`, `lt`, …
    Value(Comparison, Box<(Expr, Expr)>),
    /// `is`, `<<`, `>>`
    NodeOrder(NodeComparison, Box<(Expr, Expr)>),
    Arithmetic(Box<Arithmetic>),
    Negate(Box<Expr>),
    /// `a to b`
    Range(Box<(Expr, Expr)>),
    /// `a || b`
    Concat(Vec<Expr>),
    Union(Vec<Expr>),
    Intersect(Box<(Expr, Expr)>),
    Except(Box<(Expr, Expr)>),
    If(Box<(Expr, Expr, Expr)>),
    For(Box<Binding>),
    Let(Box<Binding>),
    Some(Box<Binding>),
    Every(Box<Binding>),
    InstanceOf(Box<(Expr, SequenceType)>),
    Treat(Box<(Expr, SequenceType)>),
    Castable(Box<CastExpr>),
    Cast(Box<CastExpr>),
    /// `for … let … where … order by … return …` of XQuery.
    Flwor(Box<Flwor>),
    Typeswitch(Box<Typeswitch>),
    Switch(Box<Switch>),
    Try(Box<Try>),
    Construct(Box<Constructor>),
    /// A variable of the module, by its place among them.
    Global(usize),
    /// A call of a function of the module, by its place among them.
    UserCall(usize, Vec<Expr>),
    /// `function($x) { … }`, and `name#1`, which is written out as one.
    Lambda(Arc<Lambda>),
    /// `f(x)` where `f` is a value.
    DynamicCall(Box<(Expr, Vec<Expr>)>),
    /// `?` as an argument; only there while a call is parsed.
    Placeholder,
    /// `left?key`; no left side is the context item.
    Lookup(Box<(Expr, Key)>),
    Map(Vec<(Expr, Expr)>),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `array { a, b }`
    CurlyArray(Box<Expr>),
}

/// The key of a lookup.
#[derive(Debug)]
pub(super) enum Key {
    All,
    Expr(Expr),
}

#[derive(Debug)]
pub(super) struct Lambda {
    pub(super) params: Vec<Option<SequenceType>>,
    pub(super) result: Option<SequenceType>,
    pub(super) body: Expr,
    /// For messages: the name, or `function`.
    pub(super) name: String,
}

#[derive(Debug)]
pub(super) struct Flwor {
    pub(super) clauses: Vec<Clause>,
    pub(super) result: Expr,
}

#[derive(Debug)]
pub(super) enum Clause {
    /// `for $x as T allowing empty at $i in e`: binds one variable, with `at` two.
    For {
        source: Expr,
        item_type: Option<SequenceType>,
        position: bool,
        allows_empty: bool,
    },
    /// `let $x as T := e`
    Let {
        source: Expr,
        value_type: Option<SequenceType>,
    },
    Where(Expr),
    /// `count $x`
    Count,
    OrderBy(Vec<OrderKey>),
    /// `group by`: which of the variables so far are the keys, counted from the first of the expression.
    GroupBy(Vec<usize>),
}

impl Clause {
    /// How many variables it binds.
    pub(super) fn variables(&self) -> usize {
        match self {
            Self::For { position, .. } => 1 + usize::from(*position),
            Self::Let { .. } | Self::Count => 1,
            Self::Where(_) | Self::OrderBy(_) | Self::GroupBy(_) => 0,
        }
    }
}

#[derive(Debug)]
pub(super) struct OrderKey {
    pub(super) key: Expr,
    pub(super) descending: bool,
    pub(super) empty_greatest: bool,
    pub(super) collation: Collation,
}

/// Every case binds one variable, whether it names it or not.
#[derive(Debug)]
pub(super) struct Typeswitch {
    pub(super) operand: Expr,
    pub(super) cases: Vec<(Vec<SequenceType>, Expr)>,
    pub(super) default: Expr,
}

#[derive(Debug)]
pub(super) struct Switch {
    pub(super) operand: Expr,
    pub(super) cases: Vec<(Vec<Expr>, Expr)>,
    pub(super) default: Expr,
}

/// `try { … } catch …`; a handler sees `$err:code`, `$err:description` and `$err:value`.
#[derive(Debug)]
pub(super) struct Try {
    pub(super) body: Expr,
    /// Local names of the errors (none for all of them), and what is done.
    pub(super) handlers: Vec<(Vec<String>, Expr)>,
}

/// A constructor of a node.
#[derive(Debug)]
pub(super) enum Constructor {
    Element(ElementConstructor),
    Attribute { name: NodeName, value: Vec<Part> },
    Text(Expr),
    Comment(Expr),
    Pi { target: NodeName, data: Expr },
    Document(Expr),
    Namespace { prefix: Expr, uri: Expr },
    FixedComment(Box<str>),
    FixedPi(Box<str>, Box<str>),
}

#[derive(Debug)]
pub(super) struct ElementConstructor {
    pub(super) name: NodeName,
    /// Declarations written at the element.
    pub(super) namespaces: Vec<(String, String)>,
    /// Attributes written at the element.
    pub(super) attributes: Vec<(QName, Vec<Part>)>,
    pub(super) content: Vec<Part>,
}

/// A part of content.
#[derive(Debug)]
pub(super) enum Part {
    Text(Box<str>),
    /// `{ … }`
    Expr(Expr),
    /// A constructor that stands in the content itself.
    Child(Expr),
}

#[derive(Debug)]
pub(super) enum NodeName {
    Fixed(QName),
    /// Computed, with the namespaces that prefixes in it may have; the one without a prefix is for elements only.
    Computed(Expr, Arc<Vec<(String, String)>>),
}

#[derive(Debug, Clone)]
pub(super) enum Literal {
    String(Arc<str>),
    Boolean(bool),
    Integer(i64),
    BigInteger(BigInteger),
    Decimal(Decimal),
    Double(f64),
    QName(Arc<QName>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct VariableName {
    pub(super) prefix: String,
    pub(super) local: String,
}

/// `for $x in source return body`, and the other expressions of that form.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) source: Expr,
    pub(super) body: Expr,
}

#[derive(Debug)]
pub(super) struct CastExpr {
    pub(super) operand: Expr,
    pub(super) target: Atomic,
    pub(super) allows_empty: bool,
}

/// Operators of one precedence, applied from left to right.
#[derive(Debug)]
pub(super) struct Arithmetic {
    pub(super) first: Expr,
    pub(super) rest: Vec<(Operator, Expr)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    IntegerDivide,
    Modulo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparison {
    pub(super) fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }

    pub(super) fn holds_f64(self, a: f64, b: f64) -> bool {
        match self {
            Self::Eq => a == b,
            Self::Ne => a != b,
            Self::Lt => a < b,
            Self::Le => a <= b,
            Self::Gt => a > b,
            Self::Ge => a >= b,
        }
    }

    /// The comparison with its operands swapped.
    pub(super) fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            other => other,
        }
    }

    pub(super) fn is_equality(self) -> bool {
        matches!(self, Self::Eq | Self::Ne)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeComparison {
    Is,
    Before,
    After,
}

#[derive(Debug)]
pub(super) struct Filter {
    pub(super) base: Expr,
    pub(super) predicates: Vec<Predicate>,
}

/// A call of a built-in function.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: &'static Builtin,
    pub(super) args: Vec<Expr>,
    /// The regular expression of `matches`, `replace` and `tokenize` when it is a literal.
    pub(super) pattern: Option<Arc<Pattern>>,
}

/// A call of a function of the environment.
#[derive(Debug)]
pub(super) struct External {
    pub(super) prefix: String,
    pub(super) namespace: String,
    pub(super) local: String,
    pub(super) args: Vec<Expr>,
}

#[derive(Debug)]
pub(super) struct Path {
    pub(super) start: Start,
    pub(super) steps: Vec<AxisStep>,
}

#[derive(Debug)]
pub(super) enum Start {
    /// The document node of the context node's document.
    Root,
    /// The context node.
    Context,
    Expr(Expr),
}

#[derive(Debug)]
pub(super) struct AxisStep {
    pub(super) axis: Axis,
    pub(super) test: NodeTest,
    /// For a descendant step that stands for `//a/b/c`: what parent, grandparent, … must be, nearest first.
    pub(super) parents: Vec<NodeTest>,
    pub(super) predicates: Vec<Predicate>,
}

impl AxisStep {
    pub(super) fn new(axis: Axis, test: NodeTest) -> Self {
        Self { axis, test, parents: Vec::new(), predicates: Vec::new() }
    }

    /// Whether a predicate needs to know how many nodes there are.
    pub(super) fn needs_size(&self) -> bool {
        self.predicates.iter().any(|p| matches!(p, Predicate::Last | Predicate::Dynamic { last: true, .. }))
    }

    /// Whether no predicate depends on the position of the node among those of the step.
    pub(super) fn position_free(&self) -> bool {
        self.predicates.iter().all(|p| matches!(p, Predicate::Boolean(_) | Predicate::NthSibling(_)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    Child,
    Descendant,
    DescendantOrSelf,
    Attribute,
    SelfNode,
    Parent,
    Ancestor,
    AncestorOrSelf,
    FollowingSibling,
    PrecedingSibling,
    Following,
    Preceding,
    Namespace,
}

impl Axis {
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "child" => Self::Child,
            "descendant" => Self::Descendant,
            "descendant-or-self" => Self::DescendantOrSelf,
            "attribute" => Self::Attribute,
            "self" => Self::SelfNode,
            "parent" => Self::Parent,
            "ancestor" => Self::Ancestor,
            "ancestor-or-self" => Self::AncestorOrSelf,
            "following-sibling" => Self::FollowingSibling,
            "preceding-sibling" => Self::PrecedingSibling,
            "following" => Self::Following,
            "preceding" => Self::Preceding,
            "namespace" => Self::Namespace,
            _ => return None,
        })
    }

    /// The kind of node that a name test on this axis selects.
    pub(super) fn principal(self) -> NodeKind {
        match self {
            Self::Attribute => NodeKind::Attribute,
            Self::Namespace => NodeKind::Namespace,
            _ => NodeKind::Element,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeTest {
    /// `None` for `node()`.
    pub(super) kind: Option<NodeKind>,
    pub(super) name: NameMatch,
}

impl NodeTest {
    pub(super) fn any() -> Self {
        Self { kind: None, name: NameMatch::Any }
    }

    pub(super) fn is_any(&self) -> bool {
        self.kind.is_none()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NameMatch {
    Any,
    /// An element or attribute name: index into the names of the program, which are looked up once per document.
    Name(usize),
    /// `p:*`
    Namespace(Box<str>),
    /// `*:x`, the target of a processing instruction, the prefix of a namespace node.
    Local(Box<str>),
}

#[derive(Debug)]
pub(super) enum Predicate {
    /// `[3]`, `[position() = 3]`; 0 stands for a number no position equals.
    Nth(usize),
    /// `[last()]`
    Last,
    /// Neither a number nor dependent on the position.
    Boolean(Expr),
    /// `[3]` of a `//x[3]` that was fused into one descendant step: the third among its siblings that pass the test.
    NthSibling(usize),
    /// Anything else; `last` tells whether it asks for the number of nodes.
    Dynamic { expr: Expr, last: bool },
}

/// What is known of a value before it is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Boolean,
    Number,
    String,
    Nodes,
    Unknown,
}

impl Expr {
    /// Whether the value does not depend on the focus and is at hand without calculation.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self, Self::Literal(_) | Self::Local(_) | Self::Global(_) | Self::Variable(_))
    }

    pub(super) fn string_literal(&self) -> Option<&Arc<str>> {
        match self {
            Self::Literal(Literal::String(s)) => Some(s),
            _ => None,
        }
    }

    /// A literal number, whatever its type.
    pub(super) fn number_literal(&self) -> Option<f64> {
        match self {
            Self::Literal(Literal::Integer(i)) => Some(*i as f64),
            Self::Literal(Literal::BigInteger(i)) => Some(i.to_f64()),
            Self::Literal(Literal::Decimal(d)) => Some(d.to_f64()),
            Self::Literal(Literal::Double(v)) => Some(*v),
            _ => None,
        }
    }

    /// The type of the value where it does not depend on data.
    pub(super) fn static_type(&self) -> Type {
        match self {
            Self::Literal(Literal::String(_)) | Self::Concat(_) => Type::String,
            Self::Literal(Literal::Boolean(_))
            | Self::Or(_)
            | Self::And(_)
            | Self::General(..)
            | Self::Some(_)
            | Self::Every(_)
            | Self::InstanceOf(_)
            | Self::Castable(_) => Type::Boolean,
            Self::Literal(Literal::QName(_)) => Type::Unknown,
            Self::Literal(_) | Self::Position | Self::Last => Type::Number,
            Self::Path(_) | Self::Union(_) | Self::Intersect(_) | Self::Except(_) => Type::Nodes,
            Self::Filter(f) => f.base.static_type(),
            Self::Call(call) => call.function.result,
            // In XPath 2.0 these can be empty, which is no number but not a boolean condition on the position either.
            Self::Arithmetic(_) | Self::Negate(_) => Type::Unknown,
            _ => Type::Unknown,
        }
    }
}
