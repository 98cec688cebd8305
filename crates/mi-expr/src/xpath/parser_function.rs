//! The part of the parser for values of XPath 3.1: functions, maps, arrays, and lookups in them.

use std::sync::Arc;

use super::ast::*;
use super::lexer::Token;
use super::parser::{Parsed, Parser};

/// Most arguments of a function that is named as a value.
const MAX_ARITY: usize = 64;

impl<'s> Parser<'s> {
    /// Whether a name in front of `{` starts an expression and is no step of a path.
    pub(super) fn opens_brace(&self, local: &str) -> bool {
        match local {
            "map" | "array" => self.v2(),
            "element"
            | "attribute"
            | "document"
            | "text"
            | "comment"
            | "processing-instruction"
            | "namespace"
            | "ordered"
            | "unordered" => self.xquery,
            _ => false,
        }
    }

    /// `name {`: a map, an array, or a constructor of XQuery.
    pub(super) fn braced(&mut self, local: &'s str) -> Parsed<Expr> {
        match local {
            "map" => self.map(),
            "array" => {
                self.advance();
                Ok(Expr::CurlyArray(Box::new(self.braces()?)))
            }
            "ordered" | "unordered" => {
                self.advance();
                self.braces()
            }
            _ => self.computed_constructor(local),
        }
    }

    /// `{ expression }`; nothing inside is the empty sequence.
    pub(super) fn braces(&mut self) -> Parsed<Expr> {
        self.expect(&Token::OpenBrace, "`{`")?;
        if self.eat(&Token::CloseBrace) {
            return Ok(Expr::Sequence(Vec::new()));
        }
        let inner = self.nested(Self::expression)?;
        self.expect(&Token::CloseBrace, "`}`")?;
        Ok(inner)
    }

    fn map(&mut self) -> Parsed<Expr> {
        self.advance();
        self.advance();
        let mut entries = Vec::new();
        while !self.eat(&Token::CloseBrace) {
            let key = self.single()?;
            self.expect(&Token::Colon, "`:` behind a key")?;
            entries.push((key, self.single()?));
            if *self.peek() != Token::CloseBrace {
                self.expect(&Token::Comma, "`,` or `}`")?;
            }
        }
        Ok(Expr::Map(entries))
    }

    pub(super) fn square_array(&mut self) -> Parsed<Expr> {
        self.advance();
        let mut members = Vec::new();
        while !self.eat(&Token::CloseBracket) {
            members.push(self.single()?);
            if *self.peek() != Token::CloseBracket {
                self.expect(&Token::Comma, "`,` or `]`")?;
            }
        }
        Ok(Expr::Array(members))
    }

    /// What follows the `?` of a lookup.
    pub(super) fn lookup_key(&mut self) -> Parsed<Key> {
        let key = match self.peek().clone() {
            Token::Star => Key::All,
            Token::Name("", name) => Key::Expr(Expr::Literal(Literal::String(Arc::from(name)))),
            Token::Integer(digits) => match digits.parse() {
                Ok(index) => Key::Expr(Expr::Literal(Literal::Integer(index))),
                Err(_) => return self.error("there is no member of an array with such a number"),
            },
            Token::OpenParen => {
                self.advance();
                if self.eat(&Token::CloseParen) {
                    return Ok(Key::Expr(Expr::Sequence(Vec::new())));
                }
                let key = self.nested(Self::expression)?;
                self.expect(&Token::CloseParen, "`)`")?;
                return Ok(Key::Expr(key));
            }
            _ => return Err(self.unexpected("a key: a name, a number, `*` or an expression in brackets")),
        };
        self.advance();
        Ok(key)
    }

    /// `%name` and `%name(…)`, which change nothing here.
    pub(super) fn annotations(&mut self) -> Parsed<()> {
        while self.eat(&Token::Percent) {
            let Token::Name(..) = self.peek() else { return Err(self.unexpected("the name of an annotation")) };
            self.advance();
            if self.eat(&Token::OpenParen) {
                while !self.eat(&Token::CloseParen) {
                    if *self.peek() == Token::End {
                        return Err(self.unexpected("`)`"));
                    }
                    self.advance();
                }
            }
        }
        Ok(())
    }

    /// `($a as T, $b) as T`, behind the opening bracket: names and types of the parameters, and of the result.
    #[expect(clippy::type_complexity, reason = "names beside types, used twice")]
    pub(super) fn signature(
        &mut self,
    ) -> Parsed<(Vec<(&'s str, &'s str)>, Vec<Option<super::cast::SequenceType>>, Option<super::cast::SequenceType>)>
    {
        let (mut names, mut types) = (Vec::new(), Vec::new());
        while !self.eat(&Token::CloseParen) {
            let Token::Variable(prefix, local) = *self.peek() else { return Err(self.unexpected("a parameter")) };
            if names.contains(&(prefix, local)) {
                return self.error(format!("there are two parameters ${local} (XQST0039)"));
            }
            self.advance();
            names.push((prefix, local));
            types.push(self.type_declaration()?);
            if *self.peek() != Token::CloseParen {
                self.expect(&Token::Comma, "`,` or `)`")?;
            }
        }
        let result = self.type_declaration()?;
        Ok((names, types, result))
    }

    /// `function($a, $b) { … }`
    pub(super) fn inline_function(&mut self) -> Parsed<Expr> {
        if !self.keyword("function") {
            return Err(self.unexpected("`function`"));
        }
        self.expect(&Token::OpenParen, "`(`")?;
        let (names, params, result) = self.signature()?;
        let outer = self.scope.len();
        self.scope.extend(names);
        let (body, _) = self.with_focus(Self::braces)?;
        self.scope.truncate(outer);
        Ok(Expr::Lambda(Arc::new(Lambda { params, result, body, name: "function".to_owned() })))
    }

    /// `name#2`
    pub(super) fn named_function(&mut self, prefix: &'s str, local: &'s str) -> Parsed<Expr> {
        let at = self.at;
        self.advance();
        self.advance();
        let Token::Integer(digits) = *self.peek() else { return Err(self.unexpected("the number of arguments")) };
        let arity = digits.parse().ok().filter(|n| *n <= MAX_ARITY);
        let Some(arity) = arity else { return self.error(format!("a function has at most {MAX_ARITY} arguments")) };
        self.advance();
        let args = (0..arity).rev().map(Expr::Local).collect();
        let outer = self.scope.len();
        self.scope.extend(std::iter::repeat_n(("", ""), arity));
        let body = self.call_at(at, prefix, local, args)?;
        self.scope.truncate(outer);
        let name = if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") };
        let params = (0..arity).map(|_| None).collect();
        Ok(Expr::Lambda(Arc::new(Lambda { params, result: None, body, name })))
    }

    /// `f(a, ?)`: a function of the arguments that are left open; the others are evaluated now.
    pub(super) fn partial(&mut self, prefix: &str, local: &str, args: Vec<Expr>) -> Parsed<Expr> {
        let fixed = args.iter().filter(|arg| !matches!(arg, Expr::Placeholder)).count();
        let open = args.len() - fixed;
        // The fixed ones are bound around the function one by one, so each sees those before it as further variables.
        if args.iter().any(|arg| !matches!(arg, Expr::Placeholder) && !arg.is_closed()) {
            return self.error("the arguments beside `?` must be literals or variables; bind them with `let` first");
        }
        let inner: Vec<Expr> = {
            let mut next_open = open;
            args.into_iter()
                .map(|arg| match arg {
                    Expr::Placeholder => {
                        next_open -= 1;
                        Expr::Local(next_open)
                    }
                    Expr::Local(distance) => Expr::Local(distance + open),
                    other => other,
                })
                .collect()
        };
        let body = self.call_at(self.at, prefix, local, inner)?;
        let params = (0..open).map(|_| None).collect();
        Ok(Expr::Lambda(Arc::new(Lambda { params, result: None, body, name: local.to_owned() })))
    }
}
