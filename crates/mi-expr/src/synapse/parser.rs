//! Reads the tokens of a `${…}` expression into its tree. MI: `ExpressionParser.g4`, `ExpressionVisitor`.
//!
//! The precedence is MI's own: comparison binds looser than `and` and `or`, which share one level and group from the
//! right. Paths are read by `parser_path.rs`.

use std::sync::Arc;

use super::ast::{Node, Operator, Root, Source};
use super::functions;
use super::item::Item;
use super::lexer::{Kind, Token, tokens};
use crate::{Namespaces, SyntaxError};

/// Expressions allowed inside each other, and the length of one.
const MAX_DEPTH: usize = 100;
const MAX_LENGTH: usize = 1 << 20;

pub(super) struct Parser<'s> {
    pub(super) source: &'s str,
    pub(super) tokens: Vec<Token>,
    pub(super) at: usize,
    depth: usize,
    namespaces: &'s Namespaces,
}

/// Parses a whole expression, without `${` and `}`.
pub(super) fn parse(source: &str, namespaces: &Namespaces) -> Result<Node, SyntaxError> {
    if source.len() > MAX_LENGTH {
        return Err(SyntaxError::new(MAX_LENGTH, format!("The expression is longer than {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser { source, tokens: tokens(source), at: 0, depth: 0, namespaces };
    if parser.tokens.is_empty() {
        return Err(SyntaxError::new(0, "Invalid expression: <EOF>"));
    }
    let node = parser.expression()?;
    if let Some(left) = parser.tokens.get(parser.at) {
        return Err(SyntaxError::new(
            left.span.start,
            format!("Parse error: leftover input after parsing expression in {source}"),
        ));
    }
    Ok(node)
}

impl<'s> Parser<'s> {
    pub(super) fn peek(&self) -> Option<Kind> {
        self.kind_at(0)
    }

    pub(super) fn kind_at(&self, ahead: usize) -> Option<Kind> {
        self.tokens.get(self.at + ahead).map(|token| token.kind)
    }

    /// The text of the token `ahead` of the current one.
    pub(super) fn text_at(&self, ahead: usize) -> &'s str {
        self.tokens.get(self.at + ahead).map_or("", |token| &self.source[token.span.clone()])
    }

    /// Where the current token starts.
    pub(super) fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.source.len(), |token| token.span.start)
    }

    /// Where the token before the current one ends.
    pub(super) fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.end)
    }

    pub(super) fn eat(&mut self, kind: Kind) -> bool {
        let found = self.peek() == Some(kind);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn expect(&mut self, kind: Kind, what: &str) -> Result<(), SyntaxError> {
        if self.eat(kind) { Ok(()) } else { self.unexpected(what) }
    }

    pub(super) fn unexpected<T>(&self, expected: &str) -> Result<T, SyntaxError> {
        let found = if self.peek().is_some() { self.text_at(0) } else { "<EOF>" };
        Err(SyntaxError::new(
            self.offset(),
            format!("Syntax error in expression: {} mismatched input '{found}' expecting {expected}", self.source),
        ))
    }

    pub(super) fn expression(&mut self) -> Result<Node, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(SyntaxError::new(
                self.offset(),
                format!("More than {MAX_DEPTH} expressions inside each other"),
            ));
        }
        let condition = self.comparison()?;
        let node = if self.eat(Kind::Question) {
            let yes = self.expression()?;
            self.expect(Kind::Colon, "':'")?;
            let no = self.expression()?;
            Node::Conditional(Box::new([condition, yes, no]))
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    /// A level of operators that group from the left.
    fn chain(
        &mut self,
        operand: fn(&mut Self) -> Result<Node, SyntaxError>,
        operator: fn(Kind, &str) -> Option<Operator>,
    ) -> Result<Node, SyntaxError> {
        let first = operand(self)?;
        let mut rest = Vec::new();
        while let Some(found) = self.peek().and_then(|kind| operator(kind, self.text_at(0))) {
            self.at += 1;
            rest.push((found, operand(self)?));
        }
        if rest.is_empty() { Ok(first) } else { Ok(Node::Chain { first: Box::new(first), rest }) }
    }

    fn comparison(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Self::logic, |kind, text| {
            (kind == Kind::Comparison).then_some(match text {
                "==" => Operator::Equals,
                "!=" => Operator::NotEquals,
                "<" => Operator::LessThan,
                "<=" => Operator::LessThanOrEqual,
                ">" => Operator::GreaterThan,
                _ => Operator::GreaterThanOrEqual,
            })
        })
    }

    fn logic(&mut self) -> Result<Node, SyntaxError> {
        let first = self.sum()?;
        let mut operands = vec![first];
        let mut operators = Vec::new();
        loop {
            match self.peek() {
                Some(Kind::And) => operators.push(Operator::And),
                Some(Kind::Or) => operators.push(Operator::Or),
                _ => break,
            }
            self.at += 1;
            operands.push(self.sum()?);
        }
        if operators.is_empty() { Ok(operands.remove(0)) } else { Ok(Node::Logic { operands, operators }) }
    }

    fn sum(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Self::product, |kind, _| match kind {
            Kind::Plus => Some(Operator::Add),
            Kind::Minus => Some(Operator::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Result<Node, SyntaxError> {
        self.chain(Self::factor, |kind, _| match kind {
            Kind::Star => Some(Operator::Multiply),
            Kind::Slash => Some(Operator::Divide),
            Kind::Percent => Some(Operator::Modulo),
            _ => None,
        })
    }

    fn factor(&mut self) -> Result<Node, SyntaxError> {
        let text = self.text_at(0);
        let literal = match self.peek() {
            Some(Kind::Boolean) => Item::Bool(text == "true"),
            Some(Kind::Number) => Item::number(text),
            Some(Kind::Text) => Item::Text(Arc::<str>::from(text).to_string().into()),
            Some(Kind::Null) => Item::Null,
            Some(Kind::LeftParen) => {
                self.at += 1;
                let inner = self.expression()?;
                self.expect(Kind::RightParen, "')'")?;
                return Ok(inner);
            }
            Some(Kind::LeftBracket) => {
                self.at += 1;
                return Ok(Node::Array(self.list(Kind::RightBracket, "']'")?));
            }
            Some(Kind::Function) => return self.call(),
            _ => match self.access()? {
                Some(node) => return Ok(node),
                None => return self.unexpected("an operand"),
            },
        };
        self.at += 1;
        Ok(Node::Literal(literal))
    }

    /// The payload, a variable or a named value; `None` when the current token starts none of them.
    pub(super) fn access(&mut self) -> Result<Option<Node>, SyntaxError> {
        let start = self.offset();
        let source = match self.peek() {
            Some(Kind::Payload) => {
                self.at += 1;
                return self.tail(Root::Payload, start).map(Some);
            }
            Some(Kind::Vars) => {
                self.at += 1;
                let name = self.name()?;
                return self.tail(Root::Variable(name), start).map(Some);
            }
            Some(Kind::Headers) => Source::Header,
            Some(Kind::Configs) => Source::Config,
            Some(Kind::Params) if self.kind_at(1) == Some(Kind::Dot) => match self.text_at(2) {
                "queryParams" => Source::QueryParameter,
                "pathParams" => Source::PathParameter,
                "functionParams" => Source::FunctionParameter,
                _ => {
                    self.at += 2;
                    return self.unexpected("queryParams, pathParams or functionParams");
                }
            },
            Some(Kind::Props) if self.kind_at(1) == Some(Kind::Dot) => match self.text_at(2) {
                "synapse" => Source::Synapse,
                "axis2" => Source::Axis2,
                _ => {
                    self.at += 2;
                    return self.unexpected("synapse or axis2");
                }
            },
            Some(Kind::Params | Kind::Props) => {
                self.at += 1;
                return self.unexpected("'.'");
            }
            _ => return Ok(None),
        };
        self.at += if matches!(source, Source::Header | Source::Config) { 1 } else { 3 };
        let name = self.name()?;
        Ok(Some(Node::Property { source, name }))
    }

    /// `.name`, `["name"]`, `.["name"]` or `.'name'`.
    fn name(&mut self) -> Result<Arc<str>, SyntaxError> {
        let dotted = self.eat(Kind::Dot);
        let name: Arc<str> = match self.peek() {
            Some(Kind::LeftBracket) if self.kind_at(1) == Some(Kind::Text) => {
                let name = Item::Text(self.text_at(1).into()).as_str().into();
                self.at += 1;
                if self.kind_at(1) != Some(Kind::RightBracket) {
                    self.at += 1;
                    return self.unexpected("']'");
                }
                self.at += 1;
                name
            }
            Some(Kind::Text) if dotted => Item::Text(self.text_at(0).into()).as_str().into(),
            Some(kind) if dotted && kind.is_word() => self.text_at(0).into(),
            _ => return self.unexpected("a name"),
        };
        self.at += 1;
        Ok(name)
    }

    /// Expressions between commas up to `close`.
    pub(super) fn list(&mut self, close: Kind, what: &str) -> Result<Vec<Node>, SyntaxError> {
        let mut nodes = Vec::new();
        if self.eat(close) {
            return Ok(nodes);
        }
        loop {
            nodes.push(self.expression()?);
            if self.eat(close) {
                return Ok(nodes);
            }
            self.expect(Kind::Comma, &format!("',' or {what}"))?;
        }
    }

    /// `name(arguments)` and what may follow it.
    pub(super) fn call(&mut self) -> Result<Node, SyntaxError> {
        let start = self.offset();
        let Some(function) = functions::find(self.text_at(0)) else { return self.unexpected("a function") };
        self.at += 1;
        self.expect(Kind::LeftParen, "'('")?;
        let mut arguments = self.list(Kind::RightParen, "')'")?;
        if self.peek() == Some(Kind::Dot)
            && self.kind_at(1) == Some(Kind::Secondary)
            && self.kind_at(2) == Some(Kind::LeftParen)
        {
            self.at += 3;
            let more = self.list(Kind::RightParen, "')'")?;
            if function.name == "registry" {
                arguments.extend(more.into_iter().next());
            }
        }
        let prepared = (function.prepare)(&arguments, self.namespaces);
        let call = Node::Call { function, arguments, prepared };
        match (self.peek(), function.name) {
            (Some(Kind::Dot | Kind::DotDot | Kind::LeftBracket), "registry" | "object" | "array") => {
                self.tail(Root::Call(Box::new(call)), start)
            }
            // A path behind any other function is read and has no effect, as in MI.
            (Some(Kind::Dot | Kind::DotDot | Kind::LeftBracket), _) => {
                self.tail(Root::Payload, start)?;
                Ok(call)
            }
            _ => Ok(call),
        }
    }
}
