//! The part of the parser for sequence types: `xs:integer?`, `element(a)*`, `empty-sequence()`.

use super::ast::NameMatch;
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

    pub(super) fn item_type(&mut self) -> Parsed<ItemType> {
        let Token::Name(prefix, local) = *self.peek() else { return Err(self.unexpected("a type")) };
        if *self.peek_at(1) != Token::OpenParen {
            let declared = (self.namespaces)(prefix);
            let known = match Library::of(prefix, declared.as_deref()) {
                Some(Library::Types) => Atomic::parse(local),
                _ => None,
            };
            let Some(atomic) = known else { return self.error(format!("there is no simple type `{prefix}:{local}`")) };
            self.advance();
            return Ok(ItemType::Atomic(atomic));
        }
        let Some(mut test) = cast::kind_test(local).filter(|_| prefix.is_empty()) else {
            if (prefix, local) != ("", "item") {
                return self.error(format!("there is no type `{local}()`"));
            }
            self.advance();
            self.advance();
            self.expect(&Token::CloseParen, "`)`")?;
            return Ok(ItemType::Any);
        };
        self.advance();
        self.advance();
        let mut name = None;
        match self.peek().clone() {
            Token::Name(prefix, local) => {
                name = Some((self.namespace(prefix)?, local.to_owned()));
                self.advance();
            }
            Token::String(target) => {
                test.name = NameMatch::Local(target.as_ref().into());
                self.advance();
            }
            Token::Star => self.advance(),
            _ => {}
        }
        self.expect(&Token::CloseParen, "`)`")?;
        Ok(ItemType::Node(test, name))
    }
}
