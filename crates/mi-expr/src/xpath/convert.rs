//! Values where a type is declared: parameters and results of functions, variables, `as` of a stylesheet.

use super::cast::{Atomic, ItemType, SequenceType, cast};
use super::error::{SyntaxError, XPathError};
use super::lexer::{Dialect, Token};
use super::parser::Parser;
use super::sequence::Sequence;
use super::value::Item;
use super::{Version, call};

/// A compiled sequence type, such as `xs:integer?` or `element(a)*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueType(SequenceType);

impl ValueType {
    /// Compiles a type. Names of elements without a prefix are in `element_namespace`.
    ///
    /// # Errors
    /// The text is no sequence type, or names a type that is not known.
    pub fn compile(
        source: &str,
        namespaces: &dyn Fn(&str) -> Option<String>,
        element_namespace: &str,
    ) -> Result<Self, SyntaxError> {
        let mut parser = Parser::new(source, Dialect::XPath(Version::V2), namespaces)?;
        parser.element_namespace = element_namespace.into();
        let found = parser.sequence_type()?;
        if *parser.peek() != Token::End {
            return Err(parser.unexpected("the end of the type"));
        }
        Ok(Self(found))
    }

    /// A value converted as the argument of a function is: nodes to their values, text without a type to the type,
    /// numbers to larger types. `role` says what the value is, for the message.
    ///
    /// # Errors
    /// `XPTY0004` if the value is not of the type, `FORG0001` if its text does not fit.
    pub fn convert<'d>(&self, value: Sequence<'d>, role: &str) -> Result<Sequence<'d>, XPathError> {
        self.0.convert(value, role)
    }
}

impl SequenceType {
    /// The type for any number of such items.
    pub(super) fn of_any_length(mut self) -> Self {
        self.least = 0;
        self.most = usize::MAX;
        self
    }

    /// See [`ValueType::convert`].
    pub(super) fn convert<'d>(&self, value: Sequence<'d>, role: &str) -> Result<Sequence<'d>, XPathError> {
        let Some(ItemType::Atomic(atomic)) = self.item else {
            self.check(&value, role)?;
            return Ok(value);
        };
        if let Some(Item::Node(_) | Item::Untyped(_) | Item::Array(_)) | None = value.first() {
        } else if value.len() == 1 && self.most > 0 && value.first().is_some_and(|it| atomic.matches(&it)) {
            return Ok(value);
        }
        let mut out = Vec::with_capacity(value.len());
        for item in call::atoms(value)? {
            out.push(promote(item, atomic)?);
        }
        let value = Sequence::from_items(out);
        self.check(&value, role)?;
        Ok(value)
    }

    /// Refuses a value that is not of the type.
    pub(super) fn check(&self, value: &Sequence<'_>, role: &str) -> Result<(), XPathError> {
        if self.matches(value.iter()) {
            return Ok(());
        }
        let found = match value.len() {
            0 => "nothing".to_owned(),
            1 => value.first().map_or_else(String::new, |it| it.type_name().to_owned()),
            n => format!("{n} items"),
        };
        Err(XPathError::type_error(format!("{role} must be {self}, but is {found}")))
    }
}

/// An atomic value as the type, where there is a conversion without being asked.
fn promote(item: Item<'_>, to: Atomic) -> Result<Item<'_>, XPathError> {
    match (&item, to) {
        (Item::Untyped(_), Atomic::Any | Atomic::Untyped) => Ok(item),
        (Item::Untyped(_), _)
        | (Item::Integer(_) | Item::BigInteger(_) | Item::Decimal(_), Atomic::Float | Atomic::Double)
        | (Item::Float(_), Atomic::Double)
        | (Item::AnyUri(_), Atomic::String(_)) => cast(item, to),
        _ => Ok(item),
    }
}

impl std::fmt::Display for SequenceType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(item) = &self.item else { return f.write_str("empty-sequence()") };
        match item {
            ItemType::Any => f.write_str("item()")?,
            ItemType::Atomic(atomic) => f.write_str(atomic.name())?,
            ItemType::DocumentOf(_) => f.write_str("document-node()")?,
            ItemType::Map => f.write_str("map(*)")?,
            ItemType::Array => f.write_str("array(*)")?,
            ItemType::Function(_) => f.write_str("function(*)")?,
            ItemType::Node(test, name) => {
                let kind = match test.kind {
                    None => "node",
                    Some(mi_xml::NodeKind::Text) => "text",
                    Some(mi_xml::NodeKind::Comment) => "comment",
                    Some(mi_xml::NodeKind::Pi) => "processing-instruction",
                    Some(mi_xml::NodeKind::Element) => "element",
                    Some(mi_xml::NodeKind::Attribute) => "attribute",
                    Some(mi_xml::NodeKind::Namespace) => "namespace-node",
                    Some(_) => "document-node",
                };
                write!(f, "{kind}({})", name.as_ref().map_or("", |(_, local)| local))?;
            }
        }
        f.write_str(match (self.least, self.most) {
            (0, 1) => "?",
            (0, _) => "*",
            (_, 1) => "",
            _ => "+",
        })
    }
}
