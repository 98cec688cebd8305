//! The part of the parser for sequence types: `xs:integer?`, `element(a)*`, `empty-sequence()`.

use mi_xml::NodeKind;

use super::ast::{NameMatch, NodeTest};
use super::cast::{self, Atomic, ItemType, SequenceType};
use super::functions::Library;
use super::lexer::Token;
use super::parser::{Parsed, Parser};

impl Parser<'_> {
    pub(super) fn sequence_type(&mut self) -> Parsed<SequenceType> {
        if *self.peek() == Token::Name("", "empty-sequence") && *self.peek_at(1) == Token::OpenParen {
            self.advance();
            self.advance();
            self.expect(&Token::CloseParen, "`)`")?;
            return Ok(SequenceType { item: None, least: 0, most: 0 });
        }
        let item = Some(self.item_type()?);
        let (least, most) = match self.peek() {
            Token::Question => (0, 1),
            Token::Star => (0, usize::MAX),
            Token::Plus => (1, usize::MAX),
            _ => return Ok(SequenceType { item, least: 1, most: 1 }),
        };
        self.advance();
        Ok(SequenceType { item, least, most })
    }

    /// `as T`, if there is one.
    pub(super) fn type_declaration(&mut self) -> Parsed<Option<SequenceType>> {
        if self.keyword("as") { self.sequence_type().map(Some) } else { Ok(None) }
    }

    pub(super) fn item_type(&mut self) -> Parsed<ItemType> {
        if self.eat(&Token::OpenParen) {
            let inner = self.nested(Self::item_type)?;
            self.expect(&Token::CloseParen, "`)`")?;
            return Ok(inner);
        }
        let Token::Name(prefix, local) = *self.peek() else { return Err(self.unexpected("a type")) };
        if *self.peek_at(1) != Token::OpenParen {
            let known = if self.names_types(prefix) { Atomic::parse(local) } else { None };
            let Some(atomic) = known else {
                return self.error(format!("there is no simple type `{prefix}:{local}` (XPST0051)"));
            };
            self.advance();
            return Ok(ItemType::Atomic(atomic));
        }
        self.advance();
        self.advance();
        if prefix.is_empty()
            && let Some(item) = self.function_type(local)?
        {
            return Ok(item);
        }
        if prefix.is_empty() && local == "document-node" && *self.peek() != Token::CloseParen {
            let inner = self.nested(Self::item_type)?;
            self.expect(&Token::CloseParen, "`)`")?;
            return Ok(ItemType::DocumentOf(Box::new(inner)));
        }
        let Some(mut test) = cast::kind_test(local).filter(|_| prefix.is_empty()) else {
            return self.error(format!("there is no type `{local}()`"));
        };
        let mut name = None;
        match self.peek().clone() {
            Token::Name(prefix, local) => {
                let is_element = test.kind == Some(NodeKind::Element);
                let uri = if is_element { self.element_namespace(prefix)? } else { self.namespace(prefix)? };
                if test.kind == Some(NodeKind::Pi) {
                    test.name = NameMatch::Local(local.into());
                } else {
                    name = Some((uri, local.to_owned()));
                }
                self.advance();
            }
            Token::String(target) => {
                test.name = NameMatch::Local(target.as_ref().into());
                self.advance();
            }
            Token::Star => self.advance(),
            _ => {}
        }
        if *self.peek() == Token::Comma {
            self.content_type(&mut test)?;
        }
        self.expect(&Token::CloseParen, "`)`")?;
        Ok(ItemType::Node(test, name))
    }

    /// Whether a prefix stands for the namespace of types; a name without one is in that of elements.
    fn names_types(&self, prefix: &str) -> bool {
        if prefix.is_empty() {
            return *self.element_namespace == *Library::namespace("xs");
        }
        Library::of(prefix, self.declared(prefix).as_deref()) == Some(Library::Types)
    }

    /// `, type` behind the name of a node. Without a schema every element and attribute is untyped, so that another type
    /// makes the test one that no node passes.
    pub(super) fn content_type(&mut self, test: &mut NodeTest) -> Parsed<()> {
        self.expect(&Token::Comma, "`,`")?;
        let Token::Name(prefix, local) = *self.peek() else { return Err(self.unexpected("a type")) };
        let is_type = self.names_types(prefix);
        let untyped = match test.kind {
            Some(NodeKind::Element) => matches!(local, "untyped" | "anyType"),
            Some(NodeKind::Attribute) => {
                matches!(local, "untypedAtomic" | "anyAtomicType" | "anySimpleType" | "anyType")
            }
            _ => return Err(self.unexpected("`)`")),
        };
        let known =
            untyped || matches!(local, "untyped" | "anyType" | "anySimpleType") || Atomic::parse(local).is_some();
        if !is_type || !known {
            return self.error(format!("there is no type `{prefix}:{local}` (XPST0008)"));
        }
        self.advance();
        self.eat(&Token::Question);
        if !untyped {
            // A namespace that no name can have.
            test.name = NameMatch::Namespace("\u{0}".into());
        }
        Ok(())
    }

    /// `item()`, `map(…)`, `array(…)` and `function(…)`, behind the opening bracket.
    fn function_type(&mut self, local: &str) -> Parsed<Option<ItemType>> {
        let wanted = match local {
            "item" => ItemType::Any,
            "map" => ItemType::Map,
            "array" => ItemType::Array,
            "function" => ItemType::Function(None),
            _ => return Ok(None),
        };
        if matches!(wanted, ItemType::Any) || self.eat(&Token::Star) {
            self.expect(&Token::CloseParen, "`)`")?;
            return Ok(Some(wanted));
        }
        // Types of members are read; that a member is of its type is found where it is used.
        let mut count = 0;
        while !self.eat(&Token::CloseParen) {
            self.nested(Self::sequence_type)?;
            count += 1;
            if *self.peek() != Token::CloseParen {
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
        }
        if !matches!(wanted, ItemType::Function(_)) {
            return Ok(Some(wanted));
        }
        if self.keyword("as") {
            self.nested(Self::sequence_type)?;
        }
        Ok(Some(ItemType::Function(Some(count))))
    }
}
