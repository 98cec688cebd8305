//! The items an evaluation works on: nodes, strings, numbers, booleans, dates, durations and names.
//!
//! Collections of them are in `sequence.rs`, conversions between the typed ones in `cast.rs`, lexical forms of
//! numbers in `number.rs`.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use mi_xml::{Document, NodeId, NodeKind};

use super::Version;
use super::datetime::{Duration, Moment};
use super::decimal::Decimal;
use super::function_item::{FunctionItem, MapItem};
use super::integer::BigInteger;
use super::lexical::Lexical;
use super::number;
use super::sequence::Sequence;

/// A string that is borrowed from a document or the message where possible.
#[derive(Clone)]
pub enum Str<'d> {
    /// A slice of a document or of the environment.
    Borrowed(&'d str),
    /// A literal of the expression or a shared property value.
    Shared(Arc<str>),
    /// Computed by the evaluation.
    Owned(String),
}

impl Str<'_> {
    /// The text, copied only if it is not owned already.
    pub fn into_string(self) -> String {
        match self {
            Self::Borrowed(s) => s.to_owned(),
            Self::Shared(s) => s.as_ref().to_owned(),
            Self::Owned(s) => s,
        }
    }
}

impl<'d> Str<'d> {
    /// The text as a `Cow` of the documents' lifetime.
    pub fn into_cow(self) -> Cow<'d, str> {
        match self {
            Self::Borrowed(s) => Cow::Borrowed(s),
            other => Cow::Owned(other.into_string()),
        }
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(s) => s,
            Self::Shared(s) => s,
            Self::Owned(s) => s,
        }
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq for Str<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Str<'_> {}

impl<'d> From<&'d str> for Str<'d> {
    fn from(s: &'d str) -> Self {
        Self::Borrowed(s)
    }
}

impl From<String> for Str<'_> {
    fn from(s: String) -> Self {
        Self::Owned(s)
    }
}

impl From<mi_message::Text> for Str<'_> {
    fn from(text: mi_message::Text) -> Self {
        match text {
            mi_message::Text::Fixed(text) => Self::Borrowed(text),
            mi_message::Text::Shared(text) => Self::Shared(text),
        }
    }
}

impl From<Arc<str>> for Str<'_> {
    fn from(s: Arc<str>) -> Self {
        Self::Shared(s)
    }
}

impl<'d> From<Cow<'d, str>> for Str<'d> {
    fn from(s: Cow<'d, str>) -> Self {
        match s {
            Cow::Borrowed(s) => Self::Borrowed(s),
            Cow::Owned(s) => Self::Owned(s),
        }
    }
}

/// The document a node lives in: the caller's, or one that a variable or a function brought along.
#[derive(Clone)]
pub enum DocRef<'d> {
    /// A document that outlives the evaluation.
    Borrowed(&'d Document),
    /// A document kept alive by the nodes that refer to it.
    Shared(Arc<Document>),
}

impl<'d> DocRef<'d> {
    /// Whether both refer to the same document in memory.
    pub fn same(&self, other: &DocRef<'_>) -> bool {
        std::ptr::from_ref::<Document>(self) == std::ptr::from_ref::<Document>(other)
    }

    pub(crate) fn value(&self, id: NodeId) -> Str<'d> {
        match self {
            Self::Borrowed(d) => d.value(id).into(),
            Self::Shared(d) => Str::Owned(d.value(id).into_owned()),
        }
    }

    /// The XPath string-value of a node.
    pub fn string_value(&self, id: NodeId) -> Str<'d> {
        match self {
            Self::Borrowed(d) => d.string_value(id).into(),
            Self::Shared(d) => Str::Owned(d.string_value(id).into_owned()),
        }
    }
}

impl Deref for DocRef<'_> {
    type Target = Document;

    fn deref(&self) -> &Document {
        match self {
            Self::Borrowed(d) => d,
            Self::Shared(d) => d,
        }
    }
}

impl fmt::Debug for DocRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Borrowed(_) => "Borrowed(..)",
            Self::Shared(_) => "Shared(..)",
        })
    }
}

/// One node of one document.
#[derive(Clone, Debug)]
pub struct Node<'d> {
    /// The document of the node.
    pub doc: DocRef<'d>,
    /// The node in it.
    pub id: NodeId,
}

impl<'d> Node<'d> {
    /// A node of a document that outlives the evaluation.
    pub fn new(doc: &'d Document, id: NodeId) -> Self {
        Self { doc: DocRef::Borrowed(doc), id }
    }

    /// A node that keeps its document alive.
    pub fn shared(doc: Arc<Document>, id: NodeId) -> Self {
        Self { doc: DocRef::Shared(doc), id }
    }

    /// The XPath string-value.
    pub fn string_value(&self) -> Str<'d> {
        self.doc.string_value(self.id)
    }

    /// What kind of node it is.
    pub fn kind(&self) -> NodeKind {
        self.doc.kind(self.id)
    }
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.doc.same(&other.doc)
    }
}

impl Eq for Node<'_> {}

/// An expanded name, as `node-name()` gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QName {
    /// Prefix as written, may be empty.
    pub prefix: String,
    /// Namespace URI, empty for none.
    pub namespace: String,
    /// Local part.
    pub local: String,
}

impl fmt::Display for QName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.prefix.is_empty() {
            write!(f, "{}:", self.prefix)?;
        }
        f.write_str(&self.local)
    }
}

/// One item of a sequence. XPath 1.0 expressions yield `Node`, `String`, `Double` and `Boolean` only.
#[derive(Clone, Debug)]
pub enum Item<'d> {
    /// A node.
    Node(Node<'d>),
    /// `xs:string`.
    String(Str<'d>),
    /// `xs:untypedAtomic`: text of a node, taking the type its use asks for.
    Untyped(Str<'d>),
    /// `xs:anyURI`.
    AnyUri(Str<'d>),
    /// `xs:boolean`.
    Boolean(bool),
    /// `xs:integer` of up to 64 bits.
    Integer(i64),
    /// `xs:integer` of more than 64 bits.
    BigInteger(BigInteger),
    /// `xs:decimal`.
    Decimal(Decimal),
    /// `xs:float`.
    Float(f32),
    /// `xs:double`, the number type of XPath 1.0.
    Double(f64),
    /// `xs:dateTime`, `xs:date` or `xs:time`.
    Moment(Moment),
    /// `xs:duration` and its two subtypes.
    Duration(Duration),
    /// `xs:QName`.
    QName(Arc<QName>),
    /// A part of a date, or binary data, in canonical form.
    Lexical(Lexical, Str<'d>),
    /// A function.
    Function(Arc<FunctionItem<'d>>),
    /// A map.
    Map(Arc<MapItem<'d>>),
    /// An array with its members.
    Array(Arc<Vec<Sequence<'d>>>),
}

impl PartialEq for Item<'_> {
    /// Functions, maps and arrays are equal if they are the same one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Node(a), Self::Node(b)) => a == b,
            (Self::String(a), Self::String(b))
            | (Self::Untyped(a), Self::Untyped(b))
            | (Self::AnyUri(a), Self::AnyUri(b)) => a == b,
            (Self::Boolean(a), Self::Boolean(b)) => a == b,
            (Self::Integer(a), Self::Integer(b)) => a == b,
            (Self::BigInteger(a), Self::BigInteger(b)) => a == b,
            (Self::Decimal(a), Self::Decimal(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Double(a), Self::Double(b)) => a == b,
            (Self::Moment(a), Self::Moment(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::QName(a), Self::QName(b)) => a == b,
            (Self::Lexical(a, x), Self::Lexical(b, y)) => a == b && x == y,
            (Self::Function(a), Self::Function(b)) => Arc::ptr_eq(a, b),
            (Self::Map(a), Self::Map(b)) => Arc::ptr_eq(a, b),
            (Self::Array(a), Self::Array(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl<'d> Item<'d> {
    /// The string of the item by the rules of `version` (they differ in how large numbers are written).
    pub fn to_str(&self, version: Version) -> Str<'d> {
        match self {
            Self::Node(n) => n.string_value(),
            Self::String(s) | Self::Untyped(s) | Self::AnyUri(s) | Self::Lexical(_, s) => s.clone(),
            Self::Boolean(b) => Str::Borrowed(if *b { "true" } else { "false" }),
            Self::Integer(i) => Str::Owned(i.to_string()),
            Self::BigInteger(i) => Str::Owned(i.to_string()),
            Self::Decimal(d) => Str::Owned(d.to_string()),
            Self::Float(v) => Str::Owned(number::format_float(*v, version)),
            Self::Double(v) => Str::Owned(number::format_double(*v, version)),
            Self::Moment(m) => Str::Owned(m.to_string()),
            Self::Duration(d) => Str::Owned(d.to_string()),
            Self::QName(q) => Str::Owned(q.to_string()),
            Self::Function(_) | Self::Map(_) | Self::Array(_) => Str::Borrowed(""),
        }
    }

    /// The text of a string, an address or an untyped value.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Untyped(text) | Self::AnyUri(text) => Some(text),
            _ => None,
        }
    }

    /// The number of the item by the rules of `number()`; NaN where it has none.
    pub fn to_number(&self) -> f64 {
        match self {
            Self::Node(n) => number::parse_lenient(&n.string_value()),
            Self::String(s) | Self::Untyped(s) | Self::AnyUri(s) => number::parse_lenient(s),
            Self::Boolean(b) => f64::from(u8::from(*b)),
            Self::Integer(i) => *i as f64,
            Self::BigInteger(i) => i.to_f64(),
            Self::Decimal(d) => d.to_f64(),
            Self::Float(v) => f64::from(*v),
            Self::Double(v) => *v,
            _ => f64::NAN,
        }
    }

    /// The typed value: nodes become untyped text, everything else stays.
    pub fn atomize(self) -> Item<'d> {
        match self {
            Self::Node(n) => match n.kind() {
                NodeKind::Comment | NodeKind::Pi | NodeKind::Namespace => Self::String(n.string_value()),
                _ => Self::Untyped(n.string_value()),
            },
            other => other,
        }
    }

    /// Whether this is a number of any type.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Self::Integer(_) | Self::BigInteger(_) | Self::Decimal(_) | Self::Float(_) | Self::Double(_))
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::String(_) | Self::Untyped(_) | Self::AnyUri(_))
    }

    /// The name of the type, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Node(_) => "node()",
            Self::String(_) => "xs:string",
            Self::Untyped(_) => "xs:untypedAtomic",
            Self::AnyUri(_) => "xs:anyURI",
            Self::Boolean(_) => "xs:boolean",
            Self::Integer(_) | Self::BigInteger(_) => "xs:integer",
            Self::Decimal(_) => "xs:decimal",
            Self::Float(_) => "xs:float",
            Self::Double(_) => "xs:double",
            Self::Moment(m) => m.kind.type_name(),
            Self::Duration(d) => d.kind.type_name(),
            Self::QName(_) => "xs:QName",
            Self::Lexical(kind, _) => kind.type_name(),
            Self::Function(_) => "function(*)",
            Self::Map(_) => "map(*)",
            Self::Array(_) => "array(*)",
        }
    }
}
