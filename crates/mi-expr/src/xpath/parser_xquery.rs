//! The part of the parser for what XQuery adds to XPath: `for … order by …`, `typeswitch`, `switch`, `try` and
//! constructors. Prologs are in `module.rs`.

use std::sync::Arc;

use super::ast::*;
use super::cast::SequenceType;
use super::collation::Collation;
use super::lexer::{Spanned, Token};
use super::lexer_markup::{self, Markup};
use super::parser::{Parsed, Parser, literal_string};
use super::value::QName;

/// The variables that a handler of errors sees, with the prefix `err`.
pub(super) const ERROR_VARIABLES: [&str; 3] = ["code", "description", "value"];

impl<'s> Parser<'s> {
    /// `typeswitch`, `switch` and `try`, at the keyword.
    pub(super) fn xquery_expression(&mut self, word: &str) -> Parsed<Expr> {
        match word {
            "typeswitch" => self.typeswitch(),
            "switch" => self.switch(),
            "try" => self.try_catch(),
            _ => self.error("`validate` needs schemas, which are not supported (XQST0075)"),
        }
    }

    fn need(&mut self, word: &str) -> Parsed<()> {
        if self.keyword(word) { Ok(()) } else { Err(self.unexpected(&format!("`{word}`"))) }
    }

    fn binding_name(&mut self) -> Parsed<(&'s str, &'s str)> {
        let Token::Variable(prefix, local) = *self.peek() else { return Err(self.unexpected("a variable")) };
        self.advance();
        Ok((prefix, local))
    }

    // === for, let, where, order by ===

    pub(super) fn flwor(&mut self) -> Parsed<Expr> {
        let outer = self.scope.len();
        let mut clauses = Vec::new();
        loop {
            let Token::Name("", word) = *self.peek() else { return Err(self.unexpected("`return`")) };
            match (word, self.peek_at(1)) {
                ("for", Token::Variable(..)) => self.repeated(&mut clauses, Self::for_binding)?,
                ("let", Token::Variable(..)) => self.repeated(&mut clauses, Self::let_binding)?,
                ("where", _) => {
                    self.advance();
                    let condition = self.single()?;
                    clauses.push(Clause::Where(condition));
                }
                ("count", Token::Variable(..)) => {
                    self.advance();
                    let name = self.binding_name()?;
                    self.scope.push(name);
                    clauses.push(Clause::Count);
                }
                ("stable" | "order", Token::Name("", "order" | "by")) => clauses.push(self.order_by()?),
                ("group", Token::Name("", "by")) => self.group_by(outer, &mut clauses)?,
                ("return", _) => break,
                _ => return Err(self.unexpected("`for`, `let`, `where`, `order by` or `return`")),
            }
            self.deepen()?;
        }
        self.advance();
        let result = self.single()?;
        self.scope.truncate(outer);
        Ok(Expr::Flwor(Box::new(Flwor { clauses, result })))
    }

    /// A keyword with bindings that are separated by commas.
    fn repeated(&mut self, clauses: &mut Vec<Clause>, one: fn(&mut Self) -> Parsed<Clause>) -> Parsed<()> {
        loop {
            self.advance();
            clauses.push(one(self)?);
            if *self.peek() != Token::Comma {
                return Ok(());
            }
            self.deepen()?;
        }
    }

    fn for_binding(&mut self) -> Parsed<Clause> {
        let name = self.binding_name()?;
        let item_type = self.type_declaration()?;
        let allows_empty = self.keyword("allowing");
        if allows_empty {
            self.need("empty")?;
        }
        let position = if self.keyword("at") { Some(self.binding_name()?) } else { None };
        if position == Some(name) {
            return self.error(format!("${} is both the item and its position (XQST0089)", name.1));
        }
        self.need("in")?;
        let source = self.single()?;
        self.scope.push(name);
        self.scope.extend(position);
        Ok(Clause::For { source, item_type, position: position.is_some(), allows_empty })
    }

    fn let_binding(&mut self) -> Parsed<Clause> {
        let name = self.binding_name()?;
        let value_type = self.type_declaration()?;
        self.expect(&Token::Assign, "`:=`")?;
        let source = self.single()?;
        self.scope.push(name);
        Ok(Clause::Let { source, value_type })
    }

    fn order_by(&mut self) -> Parsed<Clause> {
        self.keyword("stable");
        self.need("order")?;
        let mut keys = Vec::new();
        loop {
            self.advance(); // `by` or a comma
            let key = self.single()?;
            let descending = self.keyword("descending");
            if !descending {
                self.keyword("ascending");
            }
            let mut empty_greatest = self.statics.empty_greatest;
            if self.keyword("empty") {
                empty_greatest = self.keyword("greatest");
                if !empty_greatest {
                    self.need("least")?;
                }
            }
            let collation = if self.keyword("collation") { self.collation()? } else { Collation::CodePoints };
            keys.push(OrderKey { key, descending, empty_greatest, collation });
            if *self.peek() != Token::Comma {
                return Ok(Clause::OrderBy(keys));
            }
        }
    }

    /// The URI of a collation.
    fn collation(&mut self) -> Parsed<Collation> {
        let Token::String(uri) = self.peek().clone() else { return Err(self.unexpected("the URI of a collation")) };
        let Some(collation) = Collation::of_uri(&uri) else {
            return self.error(format!("the collation \"{uri}\" is not supported (XQST0076)"));
        };
        self.advance();
        Ok(collation)
    }

    fn group_by(&mut self, outer: usize, clauses: &mut Vec<Clause>) -> Parsed<()> {
        self.advance();
        let mut keys = Vec::new();
        loop {
            self.advance(); // `by` or a comma
            let name = self.binding_name()?;
            let value_type = self.type_declaration()?;
            if self.eat(&Token::Assign) {
                let source = self.single()?;
                clauses.push(Clause::Let { source, value_type });
                self.scope.push(name);
            }
            let Some(at) = self.scope[outer..].iter().rposition(|known| *known == name) else {
                return self.error(format!("${} is no variable of this expression (XQST0094)", name.1));
            };
            keys.push(at);
            if self.keyword("collation") {
                self.collation()?;
            }
            if *self.peek() != Token::Comma {
                clauses.push(Clause::GroupBy(keys));
                return Ok(());
            }
        }
    }

    // === typeswitch, switch, try ===

    fn operand(&mut self) -> Parsed<Expr> {
        self.advance();
        self.advance();
        let operand = self.expression()?;
        self.expect(&Token::CloseParen, "`)`")?;
        Ok(operand)
    }

    fn typeswitch(&mut self) -> Parsed<Expr> {
        let operand = self.operand()?;
        let mut cases = Vec::new();
        while self.keyword("case") {
            let mut name = ("", "");
            if let Token::Variable(..) = self.peek() {
                name = self.binding_name()?;
                self.need("as")?;
            }
            let mut types: Vec<SequenceType> = vec![self.sequence_type()?];
            while self.eat(&Token::Pipe) {
                types.push(self.sequence_type()?);
            }
            cases.push((types, self.branch(name)?));
        }
        if cases.is_empty() {
            return Err(self.unexpected("`case`"));
        }
        self.need("default")?;
        let name = if let Token::Variable(..) = self.peek() { self.binding_name()? } else { ("", "") };
        let default = self.branch(name)?;
        Ok(Expr::Typeswitch(Box::new(Typeswitch { operand, cases, default })))
    }

    fn branch(&mut self, name: (&'s str, &'s str)) -> Parsed<Expr> {
        self.need("return")?;
        self.scope.push(name);
        let result = self.single()?;
        self.scope.pop();
        Ok(result)
    }

    fn switch(&mut self) -> Parsed<Expr> {
        let operand = self.operand()?;
        let mut cases = Vec::new();
        while *self.peek() == Token::Name("", "case") {
            let mut values = Vec::new();
            while self.keyword("case") {
                values.push(self.single()?);
            }
            self.need("return")?;
            cases.push((values, self.single()?));
        }
        self.need("default")?;
        self.need("return")?;
        let default = self.single()?;
        Ok(Expr::Switch(Box::new(Switch { operand, cases, default })))
    }

    fn try_catch(&mut self) -> Parsed<Expr> {
        self.advance();
        let body = self.braces()?;
        let mut handlers = Vec::new();
        while self.keyword("catch") {
            let mut codes = Vec::new();
            loop {
                match *self.peek() {
                    Token::Star | Token::PrefixStar(_) => {}
                    Token::Name(_, local) | Token::StarLocal(local) => codes.push(local.to_owned()),
                    _ => return Err(self.unexpected("the name of an error or `*`")),
                }
                let any = matches!(self.peek(), Token::Star | Token::PrefixStar(_));
                self.advance();
                if any {
                    codes.clear();
                }
                if !self.eat(&Token::Pipe) {
                    break;
                }
            }
            let outer = self.scope.len();
            self.scope.extend(ERROR_VARIABLES.map(|local| ("err", local)));
            let handler = self.braces()?;
            self.scope.truncate(outer);
            handlers.push((codes, handler));
        }
        if handlers.is_empty() {
            return Err(self.unexpected("`catch`"));
        }
        Ok(Expr::Try(Box::new(Try { body, handlers })))
    }

    /// `(# name … #) { expression }`; pragmas are for others and change nothing.
    pub(super) fn extension(&mut self) -> Parsed<Expr> {
        while let Token::Pragma(content) = *self.peek() {
            let name = content.trim_start().split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default();
            let (prefix, local) = name.split_once(':').unwrap_or(("", name));
            if !mi_xml::is_ncname(local) {
                return self.error("the name of a pragma is missing (XPST0003)");
            }
            if self.declared(prefix).is_none() {
                return self
                    .error(format!("the name `{name}` of a pragma must have a prefix that is declared (XPST0081)"));
            }
            self.advance();
        }
        let empty = *self.peek() == Token::OpenBrace && *self.peek_at(1) == Token::CloseBrace;
        if empty {
            return self.error("there is no expression behind the pragma (XQST0079)");
        }
        self.braces()
    }

    // === constructors ===
    /// `element name { … }` and its kin, at the keyword.
    pub(super) fn computed_constructor(&mut self, kind: &str) -> Parsed<Expr> {
        let at = self.at;
        self.advance();
        let named = matches!(kind, "element" | "attribute" | "processing-instruction" | "namespace");
        let constructor = match kind {
            "text" => Constructor::Text(self.braces()?),
            "comment" => Constructor::Comment(self.braces()?),
            "document" => Constructor::Document(self.braces()?),
            _ if named => {
                let name = self.computed_name(kind)?;
                let content = self.braces()?;
                match (kind, name) {
                    ("element", name) => Constructor::Element(ElementConstructor {
                        name,
                        namespaces: Vec::new(),
                        attributes: Vec::new(),
                        content: vec![Part::Expr(content)],
                    }),
                    ("attribute", name) => Constructor::Attribute { name, value: vec![Part::Expr(content)] },
                    ("namespace", NodeName::Fixed(name)) => {
                        Constructor::Namespace { prefix: literal_string(&name.local), uri: content }
                    }
                    ("namespace", NodeName::Computed(prefix, _)) => Constructor::Namespace { prefix, uri: content },
                    (_, target) => Constructor::Pi { target, data: content },
                }
            }
            _ => {
                self.at = at;
                return Err(self.unexpected("an expression"));
            }
        };
        Ok(Expr::Construct(Box::new(constructor)))
    }

    /// The name of a computed constructor: written, or `{ expression }`.
    fn computed_name(&mut self, kind: &str) -> Parsed<NodeName> {
        let Token::Name(prefix, local) = *self.peek() else {
            let name = self.braces()?;
            let mut scope = self.prefixes();
            if kind == "element" {
                scope.push((String::new(), self.element_namespace.as_ref().to_owned()));
            }
            return Ok(NodeName::Computed(name, Arc::new(scope)));
        };
        let namespace = match kind {
            "element" => self.element_namespace(prefix)?,
            "attribute" => self.namespace(prefix)?,
            _ => String::new(),
        };
        let prefix = if super::parser::braced(prefix).is_some() { "" } else { prefix };
        self.advance();
        Ok(NodeName::Fixed(QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() }))
    }

    /// The prefixes that are bound here.
    fn prefixes(&self) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        for (prefix, uri) in self.bound.iter().rev() {
            if !out.iter().any(|(known, _)| known == prefix) {
                out.push((prefix.clone(), uri.clone()));
            }
        }
        out
    }

    /// A direct constructor.
    pub(super) fn direct(&mut self, markup: &Markup<'s>) -> Parsed<Expr> {
        let constructor = match markup {
            Markup::Comment(text) => Constructor::FixedComment((*text).into()),
            Markup::Pi(target, data) => Constructor::FixedPi((*target).into(), (*data).into()),
            Markup::Element(element) => self.direct_element(element)?,
        };
        Ok(Expr::Construct(Box::new(constructor)))
    }

    fn direct_element(&mut self, element: &lexer_markup::Element<'s>) -> Parsed<Constructor> {
        let outer = (self.bound.len(), self.element_namespace.clone());
        let namespaces = self.declarations(element)?;
        let name = self.direct_name(element.name, true)?;
        let mut attributes: Vec<(QName, Vec<Part>)> = Vec::new();
        for (attribute, value) in &element.attributes {
            if is_declaration(*attribute) {
                continue;
            }
            let name = self.direct_name(*attribute, false)?;
            if attributes.iter().any(|(known, _)| known.local == name.local && known.namespace == name.namespace) {
                let message = format!("the attribute {} is written twice (XQST0040)", attribute.local);
                return Err(super::SyntaxError { offset: attribute.offset, message });
            }
            attributes.push((name, self.parts(value, true)?));
        }
        let content = self.parts(&element.content, self.statics.keeps_boundary_space)?;
        self.bound.truncate(outer.0);
        self.element_namespace = outer.1;
        let name = NodeName::Fixed(name);
        Ok(Constructor::Element(ElementConstructor { name, namespaces, attributes, content }))
    }

    /// Takes the declarations of namespaces at an element into account, and returns them.
    fn declarations(&mut self, element: &lexer_markup::Element<'s>) -> Parsed<Vec<(String, String)>> {
        let mut declared: Vec<(String, String)> = Vec::new();
        for (attribute, value) in element.attributes.iter().filter(|(name, _)| is_declaration(*name)) {
            let uri = match value.as_slice() {
                [] => String::new(),
                [lexer_markup::Part::Text { text, .. }] => text.trim().to_owned(),
                _ => {
                    let message = "a declaration of a namespace must be text (XQST0022)".to_owned();
                    return Err(super::SyntaxError { offset: attribute.offset, message });
                }
            };
            let prefix = if attribute.prefix.is_empty() { "" } else { attribute.local };
            if let Some(message) = wrong_declaration(prefix, &uri) {
                return Err(super::SyntaxError { offset: attribute.offset, message });
            }
            if declared.iter().any(|(known, _)| known == prefix) {
                let message = format!("the prefix `{prefix}` is declared twice (XQST0071)");
                return Err(super::SyntaxError { offset: attribute.offset, message });
            }
            if prefix.is_empty() {
                self.element_namespace = uri.as_str().into();
            } else {
                self.bound.push((prefix.to_owned(), uri.clone()));
            }
            declared.push((prefix.to_owned(), uri));
        }
        Ok(declared)
    }

    fn direct_name(&self, name: lexer_markup::Name<'_>, element: bool) -> Parsed<QName> {
        let namespace = match (name.prefix, element) {
            ("", true) => Some(self.element_namespace.as_ref().to_owned()),
            ("", false) => Some(String::new()),
            ("xml", _) => Some(mi_xml::XML_NAMESPACE.to_owned()),
            (prefix, _) => self.declared(prefix),
        };
        let Some(namespace) = namespace else {
            let message = format!("the namespace prefix `{}` is not declared (XPST0081)", name.prefix);
            return Err(super::SyntaxError { offset: name.offset, message });
        };
        Ok(QName { prefix: name.prefix.to_owned(), namespace, local: name.local.to_owned() })
    }

    fn parts(&mut self, parts: &[lexer_markup::Part<'s>], keeps_blanks: bool) -> Parsed<Vec<Part>> {
        let mut out = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                lexer_markup::Part::Text { blank: true, .. } if !keeps_blanks => {}
                lexer_markup::Part::Text { text, .. } => out.push(Part::Text(text.as_str().into())),
                lexer_markup::Part::Markup(markup) => out.push(Part::Child(self.nested(|p| p.direct(markup))?)),
                lexer_markup::Part::Enclosed(tokens) => out.push(Part::Expr(self.enclosed(tokens)?)),
            }
        }
        Ok(out)
    }

    /// The expression of tokens that are held by a constructor.
    fn enclosed(&mut self, tokens: &[Spanned<'s>]) -> Parsed<Expr> {
        if let [Spanned { token: Token::End, .. }] = tokens {
            return Ok(Expr::Sequence(Vec::new()));
        }
        let outer = (std::mem::replace(&mut self.tokens, tokens.to_vec()), std::mem::replace(&mut self.at, 0));
        let inner = self.nested(Self::expression)?;
        if *self.peek() != Token::End {
            return Err(self.unexpected("an operator or `}`"));
        }
        (self.tokens, self.at) = outer;
        Ok(inner)
    }
}

/// What is wrong with a declaration of a namespace.
pub(super) fn wrong_declaration(prefix: &str, uri: &str) -> Option<String> {
    if prefix == "xmlns" || uri == "http://www.w3.org/2000/xmlns/" {
        return Some(format!("the prefix `{prefix}` cannot be declared for \"{uri}\" (XQST0070)"));
    }
    if (prefix == "xml") != (uri == mi_xml::XML_NAMESPACE) {
        return Some(format!("`xml` is the prefix of \"{}\" only (XQST0070)", mi_xml::XML_NAMESPACE));
    }
    (uri.is_empty() && !prefix.is_empty()).then(|| format!("the prefix `{prefix}` cannot be taken back (XQST0085)"))
}

fn is_declaration(name: lexer_markup::Name<'_>) -> bool {
    name.prefix == "xmlns" || (name.prefix.is_empty() && name.local == "xmlns")
}
