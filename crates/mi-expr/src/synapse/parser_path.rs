//! Reads the path behind the payload, a variable or a function. Parts that are expressions are kept as such and put
//! into the text of the path for every message; a path without them is compiled once.

use std::sync::Mutex;

use super::ast::{Access, Node, Path, Piece, Root, Tail};
use super::item::Item;
use super::lexer::{Kind, Token, tokens};
use super::parser::Parser;
use crate::SyntaxError;

impl Parser<'_> {
    /// Reads the path behind `root`, whose text starts at `start`.
    pub(super) fn tail(&mut self, root: Root, start: usize) -> Result<Node, SyntaxError> {
        let mut pieces = Vec::new();
        loop {
            match (self.peek(), self.kind_at(1)) {
                (Some(Kind::Dot), Some(Kind::PathFunction | Kind::Star)) => self.take(2, &mut pieces),
                (Some(Kind::Dot), Some(Kind::LeftBracket)) => {
                    self.at += 1;
                    self.bracket(&mut pieces)?;
                }
                (Some(Kind::Dot), Some(kind)) if kind.is_word() => self.take(2, &mut pieces),
                (Some(Kind::DotDot), Some(Kind::Star)) => self.take(2, &mut pieces),
                (Some(Kind::DotDot), Some(Kind::LeftBracket)) => {
                    self.take(1, &mut pieces);
                    self.bracket(&mut pieces)?;
                }
                (Some(Kind::DotDot), Some(kind)) if kind.is_word() => self.take(2, &mut pieces),
                (Some(Kind::LeftBracket), _) => self.bracket(&mut pieces)?,
                (Some(Kind::Dot | Kind::DotDot), _) => {
                    self.at += 1;
                    return self.unexpected("a name");
                }
                _ => break,
            }
        }
        let text = self.source[start..self.end()].into();
        Ok(Node::Access(Box::new(Access { root, tail: finished(pieces), text })))
    }

    /// Moves tokens into the text of the path.
    fn take(&mut self, count: usize, pieces: &mut Vec<Piece>) {
        for _ in 0..count {
            push_text(pieces, self.text_at(0));
            self.at += 1;
        }
    }

    /// `[…]`, with the current token on the bracket.
    fn bracket(&mut self, pieces: &mut Vec<Piece>) -> Result<(), SyntaxError> {
        self.at += 1;
        push_text(pieces, "[");
        match (self.peek(), self.kind_at(1)) {
            (Some(Kind::Star), _) => self.take(1, pieces),
            (Some(Kind::Number), Some(Kind::RightBracket)) => self.take(1, pieces),
            (Some(Kind::Text), Some(Kind::RightBracket)) => {
                let quoted = quote_literal(&Item::Text(self.text_at(0).into()).as_str());
                push_text(pieces, &quoted);
                self.at += 1;
            }
            (Some(Kind::Question), Some(Kind::LeftParen)) => {
                self.at += 2;
                self.filter(pieces)?;
            }
            (Some(Kind::LeftParen), _) if self.is_filter() => {
                self.at += 1;
                self.filter(pieces)?;
            }
            _ => self.index(pieces)?,
        }
        self.expect(Kind::RightBracket, "']'")?;
        push_text(pieces, "]");
        Ok(())
    }

    /// An expression, several of them, or a slice.
    fn index(&mut self, pieces: &mut Vec<Piece>) -> Result<(), SyntaxError> {
        let start = self.offset();
        let first = if self.peek() == Some(Kind::Colon) { None } else { Some(self.bound()?) };
        match (self.peek(), first) {
            (Some(Kind::Comma), Some(first)) => {
                let mut nodes = vec![first];
                while self.eat(Kind::Comma) {
                    nodes.push(self.expression()?);
                }
                pieces.push(Piece::Indexes(nodes));
            }
            (Some(Kind::Colon), first) => {
                let mut bounds = vec![first];
                while bounds.len() < 3 && self.eat(Kind::Colon) {
                    let missing = matches!(self.peek(), Some(Kind::Colon | Kind::RightBracket) | None);
                    bounds.push(if missing { None } else { Some(self.bound()?) });
                }
                pieces.push(Piece::Slice(bounds));
            }
            (_, Some(node)) => pieces.push(Piece::Index(node, self.source[start..self.end()].into())),
            (_, None) => return self.unexpected("an index"),
        }
        Ok(())
    }

    /// An expression with an optional minus.
    fn bound(&mut self) -> Result<Node, SyntaxError> {
        if self.eat(Kind::Minus) {
            return Ok(Node::Negate(Box::new(self.expression()?)));
        }
        self.expression()
    }

    /// True when the parenthesis at the current token holds a filter: an `@` that stands in no deeper bracket.
    fn is_filter(&self) -> bool {
        let mut open = 0_usize;
        for token in &self.tokens[self.at..] {
            match token.kind {
                Kind::LeftParen => open += 1,
                Kind::RightParen => {
                    open = open.saturating_sub(1);
                    if open == 0 {
                        return false;
                    }
                }
                Kind::At => return true,
                _ => {}
            }
        }
        false
    }

    /// A filter from behind its opening parenthesis up to the closing one. The text is kept as it stands; what comes
    /// from the message is computed.
    fn filter(&mut self, pieces: &mut Vec<Piece>) -> Result<(), SyntaxError> {
        push_text(pieces, "?(");
        let mut open = 0_usize;
        let mut copied = self.offset();
        let mut after_dot = false;
        loop {
            let Some(kind) = self.peek() else { return self.unexpected("')'") };
            match kind {
                Kind::LeftParen => open += 1,
                Kind::RightParen if open == 0 => break,
                Kind::RightParen => open -= 1,
                _ => {}
            }
            if kind == Kind::Matches && self.kind_at(1) == Some(Kind::Slash) {
                self.at += 1;
                self.skip_pattern();
                continue;
            }
            let start = self.offset();
            let operand = match kind {
                _ if after_dot => None,
                Kind::Function if self.kind_at(1) == Some(Kind::LeftParen) => Some(self.call()?),
                Kind::Payload | Kind::Vars | Kind::Headers | Kind::Configs | Kind::Params | Kind::Props => {
                    self.access()?
                }
                _ => None,
            };
            after_dot = matches!(kind, Kind::Dot | Kind::DotDot);
            match operand {
                Some(node) => {
                    push_text(pieces, &self.source[copied..start]);
                    copied = self.end();
                    pieces.push(Piece::Operand(node, self.source[start..copied].into()));
                }
                None => self.at += 1,
            }
        }
        push_text(pieces, &self.source[copied..self.offset()]);
        self.at += 1;
        push_text(pieces, ")");
        Ok(())
    }

    /// Skips the pattern `/…/` at the current token. What stands in it are no tokens, so those behind are made anew.
    fn skip_pattern(&mut self) {
        let start = self.offset();
        let mut escaped = false;
        let end = self.source[start + 1..].char_indices().find_map(|(at, c)| {
            let closes = c == '/' && !escaped;
            escaped = c == '\\' && !escaped;
            closes.then_some(start + at + 2)
        });
        let Some(end) = end else {
            self.at += 1;
            return;
        };
        self.tokens.truncate(self.at);
        self.tokens.extend(
            tokens(&self.source[end..])
                .into_iter()
                .map(|token| Token { kind: token.kind, span: token.span.start + end..token.span.end + end }),
        );
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if let Some(Piece::Text(last)) = pieces.last_mut() {
        *last = format!("{last}{text}").into();
    } else if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

/// A name for a bracket. Escapes in it are kept; only a bare quote needs one.
fn quote_literal(name: &str) -> String {
    let mut out = String::from("\"");
    let mut escaped = false;
    for c in name.chars() {
        if c == '"' && !escaped {
            out.push('\\');
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out.push('"');
    out
}

fn finished(pieces: Vec<Piece>) -> Tail {
    match pieces.as_slice() {
        [] => Tail::None,
        [Piece::Text(text)] => match Path::compile(text) {
            Ok(path) => Tail::Static(path),
            Err(message) => Tail::Invalid(message.into()),
        },
        _ => Tail::Dynamic { pieces, last: Mutex::new(None) },
    }
}
