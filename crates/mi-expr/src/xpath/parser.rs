//! Tokens to the compiled form: operators and the expressions with keywords. Paths, predicates and primary
//! expressions are in `parser_path.rs`, sequence types in `parser_types.rs`.

use std::rc::Rc;
use std::sync::Arc;

use super::Version;
use super::ast::*;
use super::cast::{Atomic, ItemType};
use super::error::SyntaxError;
use super::lexer::{self, Dialect, Spanned, Token};
use super::module::Statics;
use super::{FunctionUse, Name};

/// Deepest nesting of brackets, operators, conditions and loops.
const MAX_DEPTH: u32 = 200;
/// Most levels of the tree, in the whole expression, that are not nested in the text.
const MAX_CHAINED: u32 = 100;
/// Most steps of one path, joined ones not counted.
pub(super) const MAX_STEPS: usize = 256;

pub(super) type Parsed<T> = Result<T, SyntaxError>;

/// What an expression asks of the focus it is evaluated in.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct FocusUse {
    pub(super) position: bool,
    pub(super) last: bool,
    pub(super) item: bool,
}

pub(super) struct Parser<'s> {
    pub(super) version: Version,
    pub(super) xquery: bool,
    pub(super) tokens: Vec<Spanned<'s>>,
    pub(super) at: usize,
    namespaces: &'s dyn Fn(&str) -> Option<String>,
    /// Prefixes bound by the text itself, innermost last; they hide those of `namespaces`.
    pub(super) bound: Vec<(String, String)>,
    /// The namespace of element names without a prefix.
    pub(super) element_namespace: Rc<str>,
    /// What the module around an expression declares; empty outside of XQuery.
    pub(super) statics: Rc<Statics>,
    depth: u32,
    chained: u32,
    /// Variables bound around the current position, innermost last.
    pub(super) scope: Vec<(&'s str, &'s str)>,
    /// One entry for each focus around the current position, innermost last.
    pub(super) focus: Vec<FocusUse>,
    pub(super) names: Vec<Name>,
    pub(super) variables: Vec<VariableName>,
    pub(super) functions: Vec<FunctionUse>,
}

/// What the parser found out about an expression, besides its tree.
pub(super) struct Output {
    pub(super) root: Expr,
    pub(super) names: Vec<Name>,
    pub(super) variables: Vec<VariableName>,
    pub(super) functions: Vec<FunctionUse>,
    pub(super) uses_document: bool,
    pub(super) lenient: bool,
    pub(super) base_uri: Option<Arc<str>>,
    pub(super) drops_namespaces: bool,
}

pub(super) fn parse(
    src: &str,
    version: Version,
    namespaces: &dyn Fn(&str) -> Option<String>,
    element_namespace: &str,
) -> Parsed<Output> {
    let mut parser = Parser::new(src, Dialect::XPath(version), namespaces)?;
    parser.element_namespace = element_namespace.into();
    parser.whole()
}

impl<'s> Parser<'s> {
    pub(super) fn new(src: &'s str, dialect: Dialect, namespaces: &'s dyn Fn(&str) -> Option<String>) -> Parsed<Self> {
        let version = match dialect {
            Dialect::XPath(version) => version,
            Dialect::XQuery => Version::V2,
        };
        Ok(Self {
            version,
            xquery: dialect == Dialect::XQuery,
            tokens: lexer::tokenize(src, dialect)?,
            at: 0,
            namespaces,
            bound: Vec::new(),
            element_namespace: Rc::from(""),
            statics: Rc::default(),
            depth: 0,
            chained: 0,
            scope: Vec::new(),
            focus: vec![FocusUse::default()],
            names: Vec::new(),
            variables: Vec::new(),
            functions: Vec::new(),
        })
    }

    /// The expression from here to the end.
    pub(super) fn whole(&mut self) -> Parsed<Output> {
        let root = self.expression()?;
        if *self.peek() != Token::End {
            return Err(self.unexpected("an operator or the end"));
        }
        Ok(self.output(root))
    }

    /// A complete expression with what was found out about it; the parser is ready for the next one.
    pub(super) fn output(&mut self, root: Expr) -> Output {
        let focus = std::mem::replace(&mut self.focus, vec![FocusUse::default()]);
        self.chained = 0;
        Output {
            root,
            names: std::mem::take(&mut self.names),
            variables: std::mem::take(&mut self.variables),
            functions: std::mem::take(&mut self.functions),
            uses_document: focus.first().is_some_and(|f| f.item),
            lenient: false,
            base_uri: self.statics.base_uri.clone(),
            drops_namespaces: self.statics.drops_namespaces,
        }
    }

    /// The namespace that a prefix is bound to.
    pub(super) fn declared(&self, prefix: &str) -> Option<String> {
        if let Some(uri) = braced(prefix) {
            return Some(uri.trim().to_owned());
        }
        let own = self.bound.iter().rev().find(|(known, _)| known == prefix);
        own.map_or_else(|| (self.namespaces)(prefix), |(_, uri)| (!uri.is_empty()).then(|| uri.clone()))
    }
}

/// The namespace in `Q{uri}`, which stands in the place of a prefix.
pub(super) fn braced(prefix: &str) -> Option<&str> {
    prefix.strip_prefix("Q{").and_then(|rest| rest.strip_suffix('}'))
}

/// A binary operator; the order of the variants does not matter, `level` is the precedence.
#[derive(Clone, Copy)]
enum Binary {
    Or,
    And,
    General(Comparison),
    Value(Comparison),
    NodeOrder(NodeComparison),
    Concat,
    Range,
    Arithmetic(Operator),
    Union,
    Intersect,
    Except,
    InstanceOf,
    Treat,
    Castable,
    Cast,
    Arrow,
    Map,
}

/// The precedence of unions, which in XPath 1.0 is what a minus sign applies to.
const UNION: u8 = 9;

impl Binary {
    fn level(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            // XPath 1.0 lets `<` bind tighter than `=`; 2.0 has them on one level but lets neither be chained.
            Self::General(c) | Self::Value(c) if c.is_equality() => 3,
            Self::NodeOrder(_) => 3,
            Self::General(_) | Self::Value(_) => 4,
            Self::Concat => 5,
            Self::Range => 6,
            Self::Arithmetic(Operator::Add | Operator::Subtract) => 7,
            Self::Arithmetic(_) => 8,
            Self::Union => UNION,
            Self::Intersect | Self::Except => 10,
            Self::InstanceOf => 11,
            Self::Treat => 12,
            Self::Castable => 13,
            Self::Cast => 14,
            Self::Arrow => 15,
            Self::Map => 16,
        }
    }
}

impl<'s> Parser<'s> {
    pub(super) fn peek(&self) -> &Token<'s> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> &Token<'s> {
        self.tokens.get(self.at + ahead).map_or(&Token::End, |t| &t.token)
    }

    pub(super) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    pub(super) fn eat(&mut self, token: &Token<'_>) -> bool {
        let found = self.peek() == token;
        if found {
            self.advance();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &Token<'_>, what: &str) -> Parsed<()> {
        if self.eat(token) { Ok(()) } else { Err(self.unexpected(what)) }
    }

    pub(super) fn keyword(&mut self, word: &str) -> bool {
        self.eat(&Token::Name("", word))
    }

    pub(super) fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(SyntaxError { offset: self.tokens[self.at].offset, message: message.into() })
    }

    pub(super) fn unexpected(&self, wanted: &str) -> SyntaxError {
        let offset = self.tokens[self.at].offset;
        let found = match self.peek() {
            Token::End => "the end of the expression".to_owned(),
            Token::Name("", local) => format!("`{local}`"),
            Token::Name(prefix, local) => format!("`{prefix}:{local}`"),
            Token::Variable("", local) => format!("`${local}`"),
            Token::Variable(prefix, local) => format!("`${prefix}:{local}`"),
            Token::String(s) => format!("the string \"{}\"", s.chars().take(40).collect::<String>()),
            Token::Integer(n) | Token::Decimal(n) | Token::Double(n) => format!("the number {n}"),
            Token::Markup(_) => "a constructor".to_owned(),
            Token::Hash => "`#`".to_owned(),
            Token::Colon => "`:`".to_owned(),
            Token::Semicolon => "`;`".to_owned(),
            Token::OpenBrace => "`{`".to_owned(),
            Token::CloseBrace => "`}`".to_owned(),
            other => format!("{other:?}"),
        };
        SyntaxError { offset, message: format!("expected {wanted}, found {found}") }
    }

    pub(super) fn v2(&self) -> bool {
        self.version == Version::V2
    }

    /// Refuses what XPath 1.0 does not have, which makes the expression be tried as XPath 2.0.
    pub(super) fn need_v2(&self, what: &str) -> Parsed<()> {
        if self.v2() { Ok(()) } else { self.error(format!("XPath 1.0 has no {what}")) }
    }

    pub(super) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.error(format!("the expression is nested deeper than {MAX_DEPTH} levels, which is the cap"));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Accounts for a level of the tree that comes without a level of nesting in the text: `a = b = c`.
    pub(super) fn deepen(&mut self) -> Parsed<()> {
        self.chained += 1;
        if self.chained > MAX_CHAINED {
            return self
                .error(format!("more than {MAX_CHAINED} chained comparisons, casts, bindings or calls as steps"));
        }
        Ok(())
    }

    pub(super) fn top_focus(&mut self) -> &mut FocusUse {
        self.focus.last_mut().expect("the outermost focus is never popped")
    }

    /// Parses something that has a focus of its own.
    pub(super) fn with_focus<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<(T, FocusUse)> {
        self.focus.push(FocusUse::default());
        let result = inner(self);
        let used = self.focus.pop().unwrap_or_default();
        Ok((result?, used))
    }

    /// `single ("," single)*`
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        let first = self.single()?;
        if *self.peek() != Token::Comma {
            return Ok(first);
        }
        self.need_v2("sequences")?;
        let mut members = vec![first];
        while self.eat(&Token::Comma) {
            members.push(self.single()?);
        }
        Ok(Expr::Sequence(members))
    }

    pub(super) fn single(&mut self) -> Parsed<Expr> {
        self.nested(|p| {
            if let Token::Name("", word) = *p.peek() {
                match (word, p.peek_at(1)) {
                    ("for" | "let", Token::Variable(..)) if p.xquery => return p.flwor(),
                    ("for", Token::Variable(..)) => return p.binding(Token::Name("", "in"), "return", Expr::For),
                    ("let", Token::Variable(..)) => return p.binding(Token::Assign, "return", Expr::Let),
                    ("some", Token::Variable(..)) => return p.binding(Token::Name("", "in"), "satisfies", Expr::Some),
                    ("every", Token::Variable(..)) => {
                        return p.binding(Token::Name("", "in"), "satisfies", Expr::Every);
                    }
                    ("if", Token::OpenParen) if p.v2() => return p.condition(),
                    ("typeswitch" | "switch" | "validate", Token::OpenParen)
                    | ("try" | "validate", Token::OpenBrace)
                        if p.xquery =>
                    {
                        return p.xquery_expression(word);
                    }
                    ("for", Token::Name("", "tumbling" | "sliding")) if p.xquery => {
                        return p.error("windows in `for` are not supported");
                    }
                    _ => {}
                }
            }
            p.binary(1)
        })
    }

    /// `for $a in x, $b in y return z` and the like, behind the keyword.
    fn binding(&mut self, assign: Token<'_>, end: &str, make: fn(Box<Binding>) -> Expr) -> Parsed<Expr> {
        self.need_v2("loops, `let`, `some` and `every`")?;
        let mut sources = Vec::new();
        loop {
            self.advance(); // the keyword or a comma
            let Token::Variable(prefix, local) = *self.peek() else { return Err(self.unexpected("a variable")) };
            self.advance();
            let declared = if self.xquery { self.type_declaration()? } else { None };
            self.expect(&assign, if assign == Token::Assign { "`:=`" } else { "`in`" })?;
            let source = self.single()?;
            sources.push(match declared {
                Some(declared) => Expr::Treat(Box::new((source, declared.of_any_length()))),
                None => source,
            });
            self.scope.push((prefix, local));
            if *self.peek() != Token::Comma {
                break;
            }
            self.deepen()?;
        }
        if !self.keyword(end) {
            return Err(self.unexpected(&format!("`{end}`")));
        }
        let mut body = self.single()?;
        self.scope.truncate(self.scope.len() - sources.len());
        for source in sources.into_iter().rev() {
            body = make(Box::new(Binding { source, body }));
        }
        Ok(body)
    }

    /// `if (a) then b else c`
    fn condition(&mut self) -> Parsed<Expr> {
        self.advance();
        self.advance();
        let test = self.expression()?;
        self.expect(&Token::CloseParen, "`)`")?;
        if !self.keyword("then") {
            return Err(self.unexpected("`then`"));
        }
        let yes = self.single()?;
        if !self.keyword("else") {
            return Err(self.unexpected("`else`"));
        }
        Ok(Expr::If(Box::new((test, yes, self.single()?))))
    }

    /// The operator at the current position with its number of tokens.
    fn operator(&self) -> Option<(Binary, usize)> {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        let op = match self.peek() {
            Token::Equal => Binary::General(Eq),
            Token::NotEqual => Binary::General(Ne),
            Token::Less => Binary::General(Lt),
            Token::LessEqual => Binary::General(Le),
            Token::Greater => Binary::General(Gt),
            Token::GreaterEqual => Binary::General(Ge),
            Token::Plus => Binary::Arithmetic(Operator::Add),
            Token::Minus => Binary::Arithmetic(Operator::Subtract),
            Token::Star => Binary::Arithmetic(Operator::Multiply),
            Token::Pipe => Binary::Union,
            Token::Name("", word) => return self.word_operator(word),
            _ if !self.v2() => return None,
            Token::LessLess => Binary::NodeOrder(NodeComparison::Before),
            Token::GreaterGreater => Binary::NodeOrder(NodeComparison::After),
            Token::PipePipe => Binary::Concat,
            Token::Arrow => Binary::Arrow,
            Token::Bang => Binary::Map,
            _ => return None,
        };
        Some((op, 1))
    }

    fn word_operator(&self, word: &str) -> Option<(Binary, usize)> {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        let op = match word {
            "or" => Binary::Or,
            "and" => Binary::And,
            "div" => Binary::Arithmetic(Operator::Divide),
            "mod" => Binary::Arithmetic(Operator::Modulo),
            _ if !self.v2() => return None,
            "idiv" => Binary::Arithmetic(Operator::IntegerDivide),
            "eq" => Binary::Value(Eq),
            "ne" => Binary::Value(Ne),
            "lt" => Binary::Value(Lt),
            "le" => Binary::Value(Le),
            "gt" => Binary::Value(Gt),
            "ge" => Binary::Value(Ge),
            "is" => Binary::NodeOrder(NodeComparison::Is),
            "to" => Binary::Range,
            "union" => Binary::Union,
            "intersect" => Binary::Intersect,
            "except" => Binary::Except,
            _ => {
                let op = match (word, self.peek_at(1)) {
                    ("instance", Token::Name("", "of")) => Binary::InstanceOf,
                    ("treat", Token::Name("", "as")) => Binary::Treat,
                    ("castable", Token::Name("", "as")) => Binary::Castable,
                    ("cast", Token::Name("", "as")) => Binary::Cast,
                    _ => return None,
                };
                return Some((op, 2));
            }
        };
        Some((op, 1))
    }

    /// Operators of at least the precedence `least`, by precedence climbing.
    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        let mut chained = false;
        while let Some((op, tokens)) = self.operator() {
            let level = op.level();
            if level < least {
                break;
            }
            for _ in 0..tokens {
                self.advance();
            }
            if !matches!(op, Binary::Or | Binary::And | Binary::Arithmetic(_) | Binary::Union | Binary::Concat) {
                if chained {
                    self.deepen()?;
                }
                chained = true;
            }
            left = self.combine(op, left)?;
        }
        Ok(left)
    }

    /// `left` with the operator just read and what stands on its right.
    fn combine(&mut self, op: Binary, left: Expr) -> Parsed<Expr> {
        match op {
            Binary::InstanceOf => return Ok(Expr::InstanceOf(Box::new((left, self.sequence_type()?)))),
            Binary::Treat => return Ok(Expr::Treat(Box::new((left, self.sequence_type()?)))),
            Binary::Castable => return Ok(Expr::Castable(self.cast_target(left)?)),
            Binary::Cast => return Ok(Expr::Cast(self.cast_target(left)?)),
            Binary::Arrow => return self.arrow(left),
            Binary::Map => {
                let (right, _) = self.with_focus(|p| p.binary(Binary::Map.level() + 1))?;
                return Ok(Expr::Each(Box::new((left, right))));
            }
            _ => {}
        }
        let right = self.nested(|p| p.binary(op.level() + 1))?;
        Ok(match op {
            Binary::Or => Expr::Or(flatten(left, right, |e| if let Expr::Or(v) = e { Ok(v) } else { Err(e) })),
            Binary::And => Expr::And(flatten(left, right, |e| if let Expr::And(v) = e { Ok(v) } else { Err(e) })),
            Binary::Concat => {
                Expr::Concat(flatten(left, right, |e| if let Expr::Concat(v) = e { Ok(v) } else { Err(e) }))
            }
            Binary::Union => Expr::Union(flatten(left, right, |e| if let Expr::Union(v) = e { Ok(v) } else { Err(e) })),
            Binary::Arithmetic(operator) => arithmetic(left, operator, right),
            Binary::General(c) => Expr::General(c, Box::new((left, right))),
            Binary::Value(c) => Expr::Value(c, Box::new((left, right))),
            Binary::NodeOrder(c) => Expr::NodeOrder(c, Box::new((left, right))),
            Binary::Range => Expr::Range(Box::new((left, right))),
            Binary::Intersect => Expr::Intersect(Box::new((left, right))),
            _ => Expr::Except(Box::new((left, right))),
        })
    }

    fn cast_target(&mut self, operand: Expr) -> Parsed<Box<CastExpr>> {
        let item = self.item_type()?;
        let ItemType::Atomic(target) = item else { return self.error("a cast needs a simple type such as xs:integer") };
        if target == Atomic::Any {
            return self.error("xs:anyAtomicType is no type to cast to");
        }
        Ok(Box::new(CastExpr { operand, target, allows_empty: self.eat(&Token::Question) }))
    }

    /// `left => f(…)`: a call with `left` as the first argument.
    fn arrow(&mut self, left: Expr) -> Parsed<Expr> {
        let dynamic = match *self.peek() {
            Token::Variable(prefix, local) => {
                self.advance();
                self.variable(prefix, local)?
            }
            Token::OpenParen => {
                self.advance();
                let function = self.expression()?;
                self.expect(&Token::CloseParen, "`)`")?;
                function
            }
            Token::Name(prefix, local) => {
                let at = self.at;
                self.advance();
                self.expect(&Token::OpenParen, "`(`")?;
                let mut args = vec![left];
                args.extend(self.arguments()?);
                return self.call_at(at, prefix, local, args);
            }
            _ => return Err(self.unexpected("a function name")),
        };
        self.expect(&Token::OpenParen, "`(`")?;
        let mut args = vec![left];
        args.extend(self.arguments()?);
        Ok(Expr::DynamicCall(Box::new((dynamic, args))))
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let mut signs = 0_usize;
        let mut negative = false;
        loop {
            if self.eat(&Token::Minus) {
                negative = !negative;
            } else if self.v2() && *self.peek() == Token::Plus {
                self.advance();
            } else {
                break;
            }
            signs += 1;
        }
        if signs == 0 {
            return self.path();
        }
        let operand = if self.v2() { self.path()? } else { self.binary(UNION)? };
        // Also an even number of signs makes a number of the operand.
        let once = Expr::Negate(Box::new(operand));
        Ok(if negative { once } else { Expr::Negate(Box::new(once)) })
    }

    /// The variable of a `$` token: a bound one, one of the module, or one of the environment. The token is taken.
    pub(super) fn variable(&mut self, prefix: &'s str, local: &'s str) -> Parsed<Expr> {
        if let Some(distance) = self.scope.iter().rev().position(|bound| *bound == (prefix, local)) {
            return Ok(Expr::Local(distance));
        }
        if self.xquery {
            let namespace = self.namespace(prefix)?;
            if let Some(index) = self.statics.variable(&namespace, local) {
                return Ok(Expr::Global(index));
            }
            self.at = self.at.saturating_sub(1);
            let separator = if prefix.is_empty() { "" } else { ":" };
            return self.error(format!("the variable ${prefix}{separator}{local} is not declared (XPST0008)"));
        }
        let name = || VariableName { prefix: prefix.to_owned(), local: local.to_owned() };
        if !self.variables.iter().any(|v| v.prefix == prefix && v.local == local) {
            self.variables.push(name());
        }
        Ok(Expr::Variable(Box::new(name())))
    }
}

fn flatten(left: Expr, right: Expr, members: fn(Expr) -> Result<Vec<Expr>, Expr>) -> Vec<Expr> {
    match members(left) {
        Ok(mut all) => {
            all.push(right);
            all
        }
        Err(left) => vec![left, right],
    }
}

fn arithmetic(left: Expr, operator: Operator, right: Expr) -> Expr {
    // The left operand is complete, so a further operator is simply applied to its result.
    match left {
        Expr::Arithmetic(mut chain) => {
            chain.rest.push((operator, right));
            Expr::Arithmetic(chain)
        }
        first => Expr::Arithmetic(Box::new(Arithmetic { first, rest: vec![(operator, right)] })),
    }
}

pub(super) fn literal_string(s: &str) -> Expr {
    Expr::Literal(Literal::String(Arc::from(s)))
}
