//! The part of the parser for paths, predicates, primary expressions and function calls.

use std::sync::Arc;

use mi_xml::NodeKind;

use super::ast::*;
use super::cast::{self, Atomic};
use super::decimal::Decimal;
use super::functions;
use super::integer::{self, MAX_DIGITS};
use super::lexer::Token;
use super::parser::{FocusUse, MAX_STEPS, Parsed, Parser, literal_string};
use super::pattern::Pattern;
use super::steps;
use super::value::{Item, QName};
use super::{FunctionUse, Name, Version};

/// Names that are no function names in XPath 2.0, because they start something else.
const RESERVED: &[&str] = &["if", "typeswitch", "item", "empty-sequence", "schema-element", "schema-attribute"];

impl<'s> Parser<'s> {
    pub(super) fn path(&mut self) -> Parsed<Expr> {
        match self.peek() {
            Token::Slash => {
                self.advance();
                if self.xquery && *self.peek() == Token::Less {
                    return self.error("behind a `/` that is a path of its own, `<` starts a constructor; put `/` in brackets (XPST0003)");
                }
                self.top_focus().item = true;
                let path = Path { start: Start::Root, steps: Vec::new() };
                if self.at_axis_step() || *self.peek() == Token::Dot || (self.v2() && self.at_primary()) {
                    return self.relative(path);
                }
                Ok(Expr::Path(Box::new(path)))
            }
            Token::SlashSlash => {
                self.top_focus().item = true;
                self.continued(Path { start: Start::Root, steps: Vec::new() })
            }
            _ if self.at_axis_step() => {
                self.top_focus().item = true;
                self.relative(Path { start: Start::Context, steps: Vec::new() })
            }
            _ => {
                let first = self.postfix()?;
                if !matches!(self.peek(), Token::Slash | Token::SlashSlash) {
                    return Ok(first);
                }
                let start = if matches!(first, Expr::ContextItem) { Start::Context } else { Start::Expr(first) };
                self.continued(Path { start, steps: Vec::new() })
            }
        }
    }

    /// What follows a complete step: `/` or `//` and further steps, or nothing.
    fn continued(&mut self, mut path: Path) -> Parsed<Expr> {
        if self.eat(&Token::SlashSlash) {
            steps::push(&mut path.steps, AxisStep::new(Axis::DescendantOrSelf, NodeTest::any()));
        } else if !self.eat(&Token::Slash) {
            return Ok(Expr::Path(Box::new(path)));
        }
        self.relative(path)
    }

    /// Steps separated by `/` and `//`, from the start of a step on.
    fn relative(&mut self, mut path: Path) -> Parsed<Expr> {
        loop {
            if path.steps.len() >= MAX_STEPS {
                return self.error(format!("the path has more than {MAX_STEPS} steps, which is the cap"));
            }
            if self.at_axis_step() || *self.peek() == Token::Dot {
                let step = self.axis_step()?;
                steps::push(&mut path.steps, step);
            } else if self.v2() && self.at_primary() {
                let (right, _) = self.with_focus(Self::postfix)?;
                self.deepen()?;
                return self.nested(|p| {
                    let step = Expr::Step(Box::new((path_expr(path), right)));
                    if !matches!(p.peek(), Token::Slash | Token::SlashSlash) {
                        return Ok(step);
                    }
                    p.continued(Path { start: Start::Expr(step), steps: Vec::new() })
                });
            } else {
                return Err(self.unexpected("a step of a path"));
            }
            if self.eat(&Token::SlashSlash) {
                steps::push(&mut path.steps, AxisStep::new(Axis::DescendantOrSelf, NodeTest::any()));
            } else if !self.eat(&Token::Slash) {
                return Ok(Expr::Path(Box::new(path)));
            }
        }
    }

    fn at_axis_step(&self) -> bool {
        match self.peek() {
            Token::At | Token::DotDot | Token::Star | Token::PrefixStar(_) | Token::StarLocal(_) => true,
            Token::Name(prefix, local) => match self.peek_at(1) {
                Token::OpenParen => prefix.is_empty() && self.kind_test(local).is_some(),
                Token::Hash => !self.v2() || !matches!(self.peek_at(2), Token::Integer(_)),
                Token::OpenBrace => !(prefix.is_empty() && self.opens_brace(local)),
                Token::Name(..) if self.xquery && prefix.is_empty() && *self.peek_at(2) == Token::OpenBrace => {
                    !matches!(*local, "element" | "attribute" | "processing-instruction" | "namespace")
                }
                _ => true,
            },
            _ => false,
        }
    }

    fn at_primary(&self) -> bool {
        matches!(
            self.peek(),
            Token::Name(..)
                | Token::Variable(..)
                | Token::String(_)
                | Token::Integer(_)
                | Token::Decimal(_)
                | Token::Double(_)
                | Token::OpenParen
                | Token::Dot
                | Token::Question
                | Token::Markup(_)
        )
    }

    fn kind_test(&self, name: &str) -> Option<NodeTest> {
        let test = cast::kind_test(name)?;
        let v1 = !matches!(
            test.kind,
            Some(NodeKind::Element | NodeKind::Attribute | NodeKind::Document | NodeKind::Namespace)
        );
        (v1 || self.v2()).then_some(test)
    }

    /// One step with its predicates; `.` counts as one here.
    fn axis_step(&mut self) -> Parsed<AxisStep> {
        let mut step = match *self.peek() {
            Token::Dot => {
                self.advance();
                AxisStep::new(Axis::SelfNode, NodeTest::any())
            }
            Token::DotDot => {
                self.advance();
                AxisStep::new(Axis::Parent, NodeTest::any())
            }
            Token::At => {
                self.advance();
                AxisStep::new(Axis::Attribute, self.node_test(Axis::Attribute)?)
            }
            Token::Name("", name) if *self.peek_at(1) == Token::ColonColon => {
                let Some(axis) = Axis::parse(name) else { return self.error(format!("there is no axis `{name}`")) };
                self.advance();
                self.advance();
                AxisStep::new(axis, self.node_test(axis)?)
            }
            // XPath 2.0 moves `attribute()` without an axis to the attribute axis.
            Token::Name("", "attribute") if self.v2() && *self.peek_at(1) == Token::OpenParen => {
                AxisStep::new(Axis::Attribute, self.node_test(Axis::Attribute)?)
            }
            Token::Name("", "namespace-node") if self.v2() && *self.peek_at(1) == Token::OpenParen => {
                AxisStep::new(Axis::Namespace, self.node_test(Axis::Namespace)?)
            }
            _ => AxisStep::new(Axis::Child, self.node_test(Axis::Child)?),
        };
        step.predicates = self.predicates()?;
        Ok(step)
    }

    fn node_test(&mut self, axis: Axis) -> Parsed<NodeTest> {
        let kind = Some(axis.principal());
        match *self.peek() {
            Token::Star => {
                self.advance();
                Ok(NodeTest { kind, name: NameMatch::Any })
            }
            Token::PrefixStar(prefix) => {
                let uri = self.namespace(prefix)?;
                self.advance();
                Ok(NodeTest { kind, name: NameMatch::Namespace(uri.into()) })
            }
            Token::StarLocal(local) => {
                self.need_v2("`*:name`")?;
                self.advance();
                Ok(NodeTest { kind, name: NameMatch::Local(local.into()) })
            }
            Token::Name("", name) if *self.peek_at(1) == Token::OpenParen => self.kind_test_call(name),
            Token::Name(prefix, local) => {
                let uri = match axis.principal() {
                    NodeKind::Element => self.element_namespace(prefix)?,
                    _ => self.namespace(prefix)?,
                };
                self.advance();
                let name = if axis == Axis::Namespace {
                    NameMatch::Local(local.into())
                } else {
                    NameMatch::Name(self.name_index(uri, local))
                };
                Ok(NodeTest { kind, name })
            }
            _ => Err(self.unexpected("a node test")),
        }
    }

    /// `text()`, `element(x)`, …
    fn kind_test_call(&mut self, name: &'s str) -> Parsed<NodeTest> {
        let Some(mut test) = self.kind_test(name) else {
            return self.error(format!("there is no node test `{name}()`"));
        };
        self.advance();
        self.advance();
        match (test.kind, self.peek().clone()) {
            (Some(NodeKind::Pi), Token::String(target)) => {
                self.advance();
                test.name = NameMatch::Local(target.as_ref().into());
            }
            (Some(NodeKind::Pi), Token::Name("", target)) => {
                self.need_v2("names as targets of processing instructions")?;
                self.advance();
                test.name = NameMatch::Local(target.into());
            }
            (Some(NodeKind::Element), Token::Name(prefix, local)) => {
                let uri = self.element_namespace(prefix)?;
                self.advance();
                test.name = NameMatch::Name(self.name_index(uri, local));
            }
            (Some(NodeKind::Attribute), Token::Name(prefix, local)) => {
                let uri = self.namespace(prefix)?;
                self.advance();
                test.name = NameMatch::Name(self.name_index(uri, local));
            }
            (Some(NodeKind::Element | NodeKind::Attribute), Token::Star) => self.advance(),
            _ => {}
        }
        if self.v2() && *self.peek() == Token::Comma {
            self.content_type(&mut test)?;
        }
        self.expect(&Token::CloseParen, "`)`")?;
        Ok(test)
    }

    /// The namespace of an element name.
    pub(super) fn element_namespace(&self, prefix: &str) -> Parsed<String> {
        if prefix.is_empty() { Ok(self.element_namespace.as_ref().to_owned()) } else { self.namespace(prefix) }
    }

    pub(super) fn namespace(&self, prefix: &str) -> Parsed<String> {
        if prefix.is_empty() {
            return Ok(String::new());
        }
        match self.declared(prefix) {
            Some(uri) => Ok(uri),
            None if prefix == "xml" => Ok("http://www.w3.org/XML/1998/namespace".to_owned()),
            None => self.error(format!("the namespace prefix `{prefix}` is not declared; add xmlns:{prefix}=\"…\"")),
        }
    }

    fn name_index(&mut self, namespace: String, local: &str) -> usize {
        let known = self.names.iter().position(|n| n.local == local && n.namespace == namespace);
        known.unwrap_or_else(|| {
            self.names.push(Name { namespace, local: local.to_owned() });
            self.names.len() - 1
        })
    }

    pub(super) fn predicates(&mut self) -> Parsed<Vec<Predicate>> {
        let mut out = Vec::new();
        while self.eat(&Token::OpenBracket) {
            let (expr, used) = self.with_focus(|p| p.nested(Self::expression))?;
            self.expect(&Token::CloseBracket, "`]`")?;
            out.push(classify(expr, used));
        }
        Ok(out)
    }

    /// A primary expression with predicates, calls and lookups behind it.
    fn postfix(&mut self) -> Parsed<Expr> {
        let mut base = self.primary()?;
        loop {
            base = match self.peek() {
                Token::OpenBracket => {
                    let predicates = self.predicates()?;
                    Expr::Filter(Box::new(Filter { base, predicates }))
                }
                Token::OpenParen if self.v2() => {
                    self.deepen()?;
                    self.advance();
                    Expr::DynamicCall(Box::new((base, self.arguments()?)))
                }
                Token::Question if self.v2() => {
                    self.deepen()?;
                    self.advance();
                    Expr::Lookup(Box::new((base, self.lookup_key()?)))
                }
                _ => return Ok(base),
            };
        }
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek().clone();
        match token {
            Token::String(s) => {
                self.advance();
                Ok(literal_string(&s))
            }
            Token::Integer(s) | Token::Decimal(s) | Token::Double(s) => self.number(&token, s),
            Token::Variable(prefix, local) => {
                self.advance();
                self.variable(prefix, local)
            }
            Token::Dot => {
                self.advance();
                self.top_focus().item = true;
                Ok(Expr::ContextItem)
            }
            Token::OpenParen => {
                self.advance();
                if self.v2() && self.eat(&Token::CloseParen) {
                    return Ok(Expr::Sequence(Vec::new()));
                }
                let inner = self.expression()?;
                self.expect(&Token::CloseParen, "`)`")?;
                Ok(inner)
            }
            Token::Name("", "function") if self.v2() && *self.peek_at(1) == Token::OpenParen => self.inline_function(),
            Token::Name(prefix, local) if *self.peek_at(1) == Token::Hash && self.v2() => {
                self.named_function(prefix, local)
            }
            Token::Name("", local) if *self.peek_at(1) == Token::OpenBrace && self.opens_brace(local) => {
                self.braced(local)
            }
            Token::Name("", local) if self.xquery && *self.peek_at(2) == Token::OpenBrace => {
                self.computed_constructor(local)
            }
            Token::Markup(markup) => {
                self.advance();
                self.nested(|p| p.direct(&markup))
            }
            Token::Pragma(_) => self.extension(),
            Token::Percent if self.v2() => {
                self.annotations()?;
                self.inline_function()
            }
            Token::OpenBracket if self.v2() => self.square_array(),
            Token::Question if self.v2() => {
                self.advance();
                self.top_focus().item = true;
                Ok(Expr::Lookup(Box::new((Expr::ContextItem, self.lookup_key()?))))
            }
            Token::Name(prefix, local) if *self.peek_at(1) == Token::OpenParen => {
                if prefix.is_empty() && self.v2() && RESERVED.contains(&local) {
                    return self.error(format!("`{local}` is no function name"));
                }
                let at = self.at;
                self.advance();
                self.advance();
                let args = self.arguments()?;
                self.call_at(at, prefix, local, args)
            }
            _ => Err(self.unexpected("an expression")),
        }
    }

    fn number(&mut self, token: &Token<'_>, text: &str) -> Parsed<Expr> {
        let value = || text.parse::<f64>().unwrap_or(f64::NAN);
        let literal = match (self.version, token) {
            (Version::V2, Token::Integer(_)) => match integer::parse(text) {
                Some(Item::Integer(small)) => Literal::Integer(small),
                Some(Item::BigInteger(big)) => Literal::BigInteger(big),
                _ => return self.error(format!("the integer has more than {MAX_DIGITS} digits, which is the cap")),
            },
            (Version::V2, Token::Decimal(_)) => match Decimal::parse(text) {
                Some(d) => Literal::Decimal(d),
                None => return self.error(format!("the decimal has more than {MAX_DIGITS} digits, which is the cap")),
            },
            _ => Literal::Double(value()),
        };
        self.advance();
        Ok(Expr::Literal(literal))
    }

    /// The arguments of a call, behind the opening bracket.
    pub(super) fn arguments(&mut self) -> Parsed<Vec<Expr>> {
        let mut args = Vec::new();
        if self.eat(&Token::CloseParen) {
            return Ok(args);
        }
        loop {
            let open = *self.peek() == Token::Question && matches!(self.peek_at(1), Token::Comma | Token::CloseParen);
            args.push(if open && self.v2() {
                self.advance();
                Expr::Placeholder
            } else {
                self.single()?
            });
            if self.eat(&Token::CloseParen) {
                return Ok(args);
            }
            self.expect(&Token::Comma, "`,` or `)`")?;
        }
    }

    /// A call whose name is the token `at`, where an error is reported.
    pub(super) fn call_at(&mut self, at: usize, prefix: &str, local: &str, args: Vec<Expr>) -> Parsed<Expr> {
        let behind = std::mem::replace(&mut self.at, at);
        let result = self.call(prefix, local, args)?;
        self.at = behind;
        Ok(result)
    }

    /// Binds a call to a function of the module, a built-in one, a constructor or the environment.
    fn call(&mut self, prefix: &str, local: &str, args: Vec<Expr>) -> Parsed<Expr> {
        if args.iter().any(|arg| matches!(arg, Expr::Placeholder)) {
            return self.partial(prefix, local, args);
        }
        if prefix.is_empty() && !self.v2() && (RESERVED.contains(&local) || cast::kind_test(local).is_some()) {
            self.need_v2(&format!("`{local}()`"))?;
        }
        let declared = if prefix.is_empty() { self.statics.function_namespace.clone() } else { self.declared(prefix) };
        if self.xquery
            && let Some(index) = self.statics.function(declared.as_deref().unwrap_or_default(), local, args.len())
        {
            return Ok(Expr::UserCall(index, args));
        }
        let args = match self.library_call(prefix, declared.as_deref(), local, args)? {
            Ok(call) => return Ok(call),
            Err(args) => args,
        };
        if self.xquery && !(matches!(local, "doc" | "doc-available") && matches!(prefix, "" | "fn")) {
            let separator = if prefix.is_empty() { "" } else { ":" };
            let count = args.len();
            return self.error(format!(
                "there is no function {prefix}{separator}{local}() with {count} argument(s) (XPST0017)"
            ));
        }
        let namespace = declared.unwrap_or_default();
        self.functions.push(FunctionUse {
            prefix: prefix.to_owned(),
            namespace: namespace.clone(),
            local: local.to_owned(),
            literals: args.iter().map(|a| a.string_literal().cloned()).collect(),
        });
        let (prefix, local) = (prefix.to_owned(), local.to_owned());
        Ok(Expr::External(Box::new(External { prefix, namespace, local, args })))
    }

    /// A call of a built-in function or a constructor; the arguments if there is none of that name.
    fn library_call(
        &mut self,
        prefix: &str,
        declared: Option<&str>,
        local: &str,
        mut args: Vec<Expr>,
    ) -> Parsed<Result<Expr, Vec<Expr>>> {
        match functions::Library::of(prefix, declared) {
            Some(functions::Library::Types) => {
                self.need_v2("constructor functions")?;
                if let (Some(target), 1) = (Atomic::parse(local).filter(|t| *t != Atomic::Any), args.len()) {
                    let operand = args.swap_remove(0);
                    if let (Atomic::QName, Some(name)) = (target, operand.string_literal()) {
                        return self.qname_literal(&name.clone()).map(Ok);
                    }
                    return Ok(Ok(Expr::Constructor(Box::new((target, operand)))));
                }
            }
            Some(library) => {
                if let Some(function) = functions::find(library, local, args.len()) {
                    if function.since == Version::V2 {
                        self.need_v2(&format!("function {local}()"))?;
                    }
                    return Ok(Ok(self.builtin(function, args)));
                }
            }
            None => {}
        }
        Ok(Err(args))
    }

    /// `xs:QName("p:x")`, whose prefix is one of this place.
    fn qname_literal(&self, text: &str) -> Parsed<Expr> {
        let text = text.trim();
        let (prefix, local) = text.split_once(':').unwrap_or(("", text));
        if !mi_xml::is_ncname(local) || (text.contains(':') && !mi_xml::is_ncname(prefix)) {
            return self.error(format!("\"{text}\" is no name"));
        }
        let namespace = self.element_namespace(prefix)?;
        let name = QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() };
        Ok(Expr::Literal(Literal::QName(Arc::new(name))))
    }

    fn builtin(&mut self, function: &'static functions::Builtin, args: Vec<Expr>) -> Expr {
        let count = args.len();
        match (function.name, count) {
            ("position", 0) => {
                self.top_focus().position = true;
                return Expr::Position;
            }
            ("last", 0) => {
                self.top_focus().last = true;
                return Expr::Last;
            }
            ("true", 0) => return Expr::Literal(Literal::Boolean(true)),
            ("false", 0) => return Expr::Literal(Literal::Boolean(false)),
            _ => {}
        }
        if count < usize::from(function.context_below) {
            self.top_focus().item = true;
        }
        let pattern = Pattern::of_call(function.name, &args).map(Arc::new);
        Expr::Call(Box::new(Call { function, args, pattern }))
    }
}

fn path_expr(path: Path) -> Expr {
    match path {
        Path { start: Start::Context, steps } if steps.is_empty() => Expr::ContextItem,
        Path { start: Start::Expr(e), steps } if steps.is_empty() => e,
        path => Expr::Path(Box::new(path)),
    }
}

/// What a predicate needs at evaluation time.
fn classify(expr: Expr, used: FocusUse) -> Predicate {
    if let Some(n) = expr.number_literal() {
        return nth(n);
    }
    if matches!(expr, Expr::Last) {
        return Predicate::Last;
    }
    if let Expr::General(Comparison::Eq, sides) | Expr::Value(Comparison::Eq, sides) = &expr {
        match &**sides {
            (Expr::Position, other) | (other, Expr::Position) => {
                if let Some(n) = other.number_literal() {
                    return nth(n);
                }
                if matches!(other, Expr::Last) {
                    return Predicate::Last;
                }
            }
            _ => {}
        }
    }
    let condition = matches!(expr.static_type(), Type::Boolean | Type::String | Type::Nodes);
    if condition && !used.position && !used.last {
        return Predicate::Boolean(expr);
    }
    Predicate::Dynamic { expr, last: used.last }
}

fn nth(n: f64) -> Predicate {
    let whole = n >= 1.0 && n.trunc() == n && n < 4e9;
    Predicate::Nth(if whole { n as usize } else { 0 })
}
