//! The `xs:` types an expression can name: casts to them and tests for them.

use std::sync::Arc;

use mi_xml::NodeKind;

use super::Version;
use super::ast::{NameMatch, NodeTest};
use super::datetime::{Duration, DurationKind, Moment, MomentKind};
use super::decimal::Decimal;
use super::error::XPathError;
use super::integer::{self, Bounds};
use super::lexical::Lexical;
use super::number::{self, is_space};
use super::value::{Item, QName, Str};

/// An atomic type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Atomic {
    Any,
    Untyped,
    /// `xs:string` and the types derived from it, by the form their text must have.
    String(StringForm),
    AnyUri,
    Boolean,
    Decimal,
    /// `xs:integer` and the types derived from it, by their bounds.
    Integer(Bounds),
    Float,
    Double,
    Moment(MomentKind),
    Duration(DurationKind),
    QName,
    Lexical(Lexical),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StringForm {
    Plain,
    /// `xs:normalizedString`: tabs and line ends become blanks.
    Replaced,
    /// `xs:token`: white space is collapsed.
    Collapsed,
    /// `xs:NCName` and its kin: a name without colon.
    NcName,
    /// `xs:language`: `de-CH`.
    Language,
    /// `xs:Name`: a name, with colons or without.
    Name,
    /// `xs:NMTOKEN`: characters of names.
    Word,
}

impl Atomic {
    /// The type of a local name in the `xs` namespace.
    pub(super) fn parse(local: &str) -> Option<Self> {
        use Atomic::{Any, AnyUri, Boolean, Integer, Untyped};
        Some(match local {
            "anyAtomicType" | "anySimpleType" => Any,
            "untypedAtomic" => Untyped,
            "string" => Self::String(StringForm::Plain),
            "normalizedString" => Self::String(StringForm::Replaced),
            "token" => Self::String(StringForm::Collapsed),
            "language" => Self::String(StringForm::Language),
            "Name" => Self::String(StringForm::Name),
            "NMTOKEN" => Self::String(StringForm::Word),
            "NCName" | "ID" | "IDREF" | "ENTITY" => Self::String(StringForm::NcName),
            "anyURI" => AnyUri,
            "boolean" => Boolean,
            "decimal" => Self::Decimal,
            "integer" => Integer(Bounds::ANY),
            "long" => Integer(Bounds(i128::from(i64::MIN), i128::from(i64::MAX))),
            "int" => Integer(Bounds(i128::from(i32::MIN), i128::from(i32::MAX))),
            "short" => Integer(Bounds(i128::from(i16::MIN), i128::from(i16::MAX))),
            "byte" => Integer(Bounds(-128, 127)),
            "nonNegativeInteger" => Integer(Bounds(0, i128::MAX)),
            "positiveInteger" => Integer(Bounds(1, i128::MAX)),
            "nonPositiveInteger" => Integer(Bounds(i128::MIN, 0)),
            "negativeInteger" => Integer(Bounds(i128::MIN, -1)),
            "unsignedLong" => Integer(Bounds(0, i128::from(u64::MAX))),
            "unsignedInt" => Integer(Bounds(0, i128::from(u32::MAX))),
            "unsignedShort" => Integer(Bounds(0, i128::from(u16::MAX))),
            "unsignedByte" => Integer(Bounds(0, 255)),
            "float" => Self::Float,
            "double" => Self::Double,
            "dateTime" => Self::Moment(MomentKind::DateTime),
            "date" => Self::Moment(MomentKind::Date),
            "time" => Self::Moment(MomentKind::Time),
            "duration" => Self::Duration(DurationKind::Any),
            "yearMonthDuration" => Self::Duration(DurationKind::YearMonth),
            "dayTimeDuration" => Self::Duration(DurationKind::DayTime),
            "QName" => Self::QName,
            other => Self::Lexical(Lexical::parse_name(other)?),
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Any => "xs:anyAtomicType",
            Self::Untyped => "xs:untypedAtomic",
            Self::String(_) => "xs:string",
            Self::AnyUri => "xs:anyURI",
            Self::Boolean => "xs:boolean",
            Self::Decimal => "xs:decimal",
            Self::Integer(_) => "xs:integer",
            Self::Float => "xs:float",
            Self::Double => "xs:double",
            Self::Moment(kind) => kind.type_name(),
            Self::Duration(kind) => kind.type_name(),
            Self::QName => "xs:QName",
            Self::Lexical(kind) => kind.type_name(),
        }
    }

    /// Whether an atomic value is of the type. Derived types are told by their value, as values carry only the
    /// type they derive from.
    pub(super) fn matches(self, item: &Item<'_>) -> bool {
        match (self, item) {
            (_, Item::Node(_) | Item::Function(_) | Item::Map(_) | Item::Array(_)) => false,
            (Self::Any, _) | (Self::Decimal, Item::Integer(_) | Item::BigInteger(_)) => true,
            (Self::Untyped, Item::Untyped(_))
            | (Self::AnyUri, Item::AnyUri(_))
            | (Self::Boolean, Item::Boolean(_))
            | (Self::Decimal, Item::Decimal(_))
            | (Self::Float, Item::Float(_))
            | (Self::Double, Item::Double(_))
            | (Self::QName, Item::QName(_)) => true,
            (Self::Lexical(kind), Item::Lexical(own, _)) => kind == *own,
            (Self::String(form), Item::String(s)) => form.accepts(s),
            (Self::Integer(bounds), Item::Integer(_) | Item::BigInteger(_)) => bounds.contain(item),
            (Self::Moment(kind), Item::Moment(m)) => m.kind == kind,
            (Self::Duration(kind), Item::Duration(d)) => kind == DurationKind::Any || d.kind == kind,
            _ => false,
        }
    }
}

impl StringForm {
    fn accepts(self, s: &str) -> bool {
        match self {
            Self::Plain => true,
            Self::Replaced => !s.contains(['\t', '\n', '\r']),
            Self::Collapsed => collapse(s) == s,
            Self::Language => s.split('-').enumerate().all(|(at, part)| {
                let fits = |c: char| c.is_ascii_alphabetic() || (at > 0 && c.is_ascii_digit());
                (1..=8).contains(&part.len()) && part.chars().all(fits)
            }),
            Self::Name => mi_xml::is_name(s),
            Self::Word => !s.is_empty() && mi_xml::is_name(&format!("a{s}")),
            Self::NcName => mi_xml::is_ncname(s),
        }
    }
}

/// White space collapsed to single blanks, none at the ends.
pub(super) fn collapse(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    for word in s.split(is_space).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// `empty-sequence()`, or an item type with its occurrence indicator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SequenceType {
    /// `None` for `empty-sequence()`.
    pub(super) item: Option<ItemType>,
    pub(super) least: usize,
    pub(super) most: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ItemType {
    Any,
    Atomic(Atomic),
    /// `document-node(element(x))`
    DocumentOf(Box<ItemType>),
    Map,
    Array,
    /// A function, with the number of its arguments if that is stated; maps and arrays are functions of one.
    Function(Option<usize>),
    /// A node test; a name in it is compared by namespace and local part.
    Node(NodeTest, Option<(String, String)>),
}

impl SequenceType {
    pub(super) fn matches<'d>(&self, mut items: impl Iterator<Item = Item<'d>>) -> bool {
        let Some(item_type) = &self.item else { return items.next().is_none() };
        let mut count = 0;
        for item in items {
            count += 1;
            if count > self.most || !item_type.matches(&item) {
                return false;
            }
        }
        count >= self.least
    }
}

impl ItemType {
    fn matches(&self, item: &Item<'_>) -> bool {
        match (self, item) {
            (Self::Any, _) => true,
            (Self::Atomic(a), item) => a.matches(item),
            (Self::Node(test, name), Item::Node(n)) => {
                test.kind.is_none_or(|k| k == n.kind())
                    && name
                        .as_ref()
                        .is_none_or(|(ns, local)| n.doc.namespace(n.id) == ns && n.doc.local_name(n.id) == local)
                    && match &test.name {
                        NameMatch::Local(local) => n.doc.local_name(n.id) == &**local,
                        NameMatch::Namespace(uri) => n.doc.namespace(n.id) == &**uri,
                        _ => true,
                    }
            }
            (Self::DocumentOf(inner), Item::Node(n)) => {
                let mut elements = n.doc.child_elements(n.id);
                n.kind() == NodeKind::Document
                    && elements
                        .next()
                        .is_some_and(|root| inner.matches(&Item::Node(super::Node { doc: n.doc.clone(), id: root })))
                    && elements.next().is_none()
            }
            (Self::Map, Item::Map(_)) | (Self::Array, Item::Array(_)) => true,
            (Self::Function(arity), Item::Function(f)) => arity.is_none_or(|it| it == f.arity()),
            (Self::Function(arity), Item::Map(_) | Item::Array(_)) => arity.is_none_or(|it| it == 1),
            _ => false,
        }
    }
}

/// The kind test of a name, `text()` and the like, without its arguments.
pub(super) fn kind_test(name: &str) -> Option<NodeTest> {
    let kind = match name {
        "node" => None,
        "text" => Some(NodeKind::Text),
        "comment" => Some(NodeKind::Comment),
        "processing-instruction" => Some(NodeKind::Pi),
        "element" => Some(NodeKind::Element),
        "attribute" => Some(NodeKind::Attribute),
        "document-node" => Some(NodeKind::Document),
        "namespace-node" => Some(NodeKind::Namespace),
        _ => return None,
    };
    Some(NodeTest { kind, name: NameMatch::Any })
}

/// Casts an atomic value.
///
/// # Errors
/// `FORG0001` when the text does not fit, `XPTY0004` when there is no cast between the types.
pub(super) fn cast(item: Item<'_>, to: Atomic) -> Result<Item<'_>, XPathError> {
    let item = item.atomize();
    let fits = match (&item, to) {
        (Item::Untyped(s) | Item::String(s) | Item::AnyUri(s), _) => from_text(s, to),
        (_, Atomic::Any) => Some(item.clone()),
        (_, Atomic::Untyped) => Some(Item::Untyped(item.to_str(Version::V2))),
        (_, Atomic::String(form)) => {
            let s = item.to_str(Version::V2);
            form.accepts(&s).then_some(Item::String(s))
        }
        (Item::Boolean(b), _) => from_number(f64::from(u8::from(*b)), to),
        (Item::Integer(_) | Item::BigInteger(_), Atomic::Integer(bounds)) => {
            bounds.contain(&item).then(|| item.clone())
        }
        (Item::Integer(_) | Item::BigInteger(_) | Item::Decimal(_), Atomic::Decimal) => {
            Decimal::of_item(&item).map(Item::Decimal)
        }
        (Item::Decimal(d), Atomic::Integer(bounds)) => Some(d.to_integer()).filter(|it| bounds.contain(it)),
        (Item::BigInteger(_), Atomic::Boolean) => Some(Item::Boolean(true)),
        (Item::Float(v), Atomic::Float) => Some(Item::Float(*v)),
        (n, Atomic::Boolean | Atomic::Integer(_) | Atomic::Decimal | Atomic::Float | Atomic::Double)
            if n.is_numeric() =>
        {
            from_number(n.to_number(), to)
        }
        (Item::Moment(m), Atomic::Moment(kind)) => match m.to_kind(kind) {
            Some(m) => Some(Item::Moment(m)),
            None => return Err(no_cast(&item, to)),
        },
        (Item::Duration(d), Atomic::Duration(kind)) => Some(Item::Duration(d.to_kind(kind))),
        (Item::Lexical(from, text), Atomic::Lexical(to)) => match from.convert(text, to) {
            Some(text) => Some(Item::Lexical(to, text.into())),
            None => return Err(no_cast(&item, Atomic::Lexical(to))),
        },
        (Item::Moment(m), Atomic::Lexical(kind)) => match kind.of_moment(*m) {
            Some(text) => Some(Item::Lexical(kind, text.into())),
            None => return Err(no_cast(&item, Atomic::Lexical(kind))),
        },
        (Item::QName(q), Atomic::QName) => Some(Item::QName(Arc::clone(q))),
        _ => return Err(no_cast(&item, to)),
    };
    fits.ok_or_else(|| {
        let text = item.to_str(Version::V2);
        let shown: String = text.chars().take(60).collect();
        XPathError::dynamic("FORG0001", format!("\"{shown}\" is no {}", to.name()))
    })
}

fn no_cast(item: &Item<'_>, to: Atomic) -> XPathError {
    XPathError::type_error(format!("a value of type {} cannot be cast to {}", item.type_name(), to.name()))
}

fn from_text<'d>(s: &Str<'d>, to: Atomic) -> Option<Item<'d>> {
    let trimmed = s.trim_matches(is_space);
    match to {
        Atomic::Any | Atomic::Untyped => Some(Item::Untyped(s.clone())),
        Atomic::String(form) => {
            let text = match form {
                StringForm::Plain => s.clone(),
                StringForm::Replaced => Str::Owned(s.replace(['\t', '\n', '\r'], " ")),
                _ => Str::Owned(collapse(s)),
            };
            form.accepts(&text).then_some(Item::String(text))
        }
        Atomic::AnyUri => Some(Item::AnyUri(Str::Owned(collapse(s)))),
        Atomic::Boolean => match trimmed {
            "true" | "1" => Some(Item::Boolean(true)),
            "false" | "0" => Some(Item::Boolean(false)),
            _ => None,
        },
        Atomic::Decimal => Decimal::parse(trimmed).map(Item::Decimal),
        Atomic::Integer(bounds) => integer::parse(trimmed).filter(|it| bounds.contain(it)),
        Atomic::Float => number::parse_double(trimmed).map(|_| Item::Float(parse_f32(trimmed))),
        Atomic::Double => number::parse_double(trimmed).map(Item::Double),
        Atomic::Moment(kind) => Moment::parse(kind, trimmed).map(Item::Moment),
        Atomic::Duration(kind) => Duration::parse(kind, trimmed).map(Item::Duration),
        Atomic::Lexical(kind) => kind.canonical(trimmed).map(|text| Item::Lexical(kind, text.into())),
        Atomic::QName => {
            // Prefixes would need the namespaces of the expression; names without one are what occurs.
            let name = StringForm::NcName.accepts(trimmed);
            let qname = || QName { prefix: String::new(), namespace: String::new(), local: trimmed.to_owned() };
            name.then(|| Item::QName(Arc::new(qname())))
        }
    }
}

fn parse_f32(s: &str) -> f32 {
    match s {
        "INF" | "+INF" => f32::INFINITY,
        "-INF" => f32::NEG_INFINITY,
        _ => s.parse().unwrap_or(f32::NAN),
    }
}

fn from_number(v: f64, to: Atomic) -> Option<Item<'static>> {
    match to {
        Atomic::Boolean => Some(Item::Boolean(v != 0.0 && !v.is_nan())),
        Atomic::Double => Some(Item::Double(v)),
        Atomic::Float => Some(Item::Float(v as f32)),
        Atomic::Decimal => Decimal::exactly(v).map(Item::Decimal),
        Atomic::Integer(bounds) => integer::of_f64(v).filter(|it| bounds.contain(it)),
        _ => None,
    }
}
