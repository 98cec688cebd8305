//! Main modules of XQuery: the prolog, and the compiled form of a query.
//!
//! A [`Query`] is expressions of the engine, one for each variable, each function and the body. Running it, that is
//! keeping the values of variables and the depth of calls, is up to the host (`mi-xslt`): variables and functions are
//! asked of [`Env::global`] and [`Env::call`] by their place in the module.

use std::rc::Rc;
use std::sync::Arc;

use super::cast::SequenceType;
use super::error::{SyntaxError, XPathError};
use super::lexer::{Dialect, Token};
use super::parser::{Output, Parsed, Parser};
use super::parser_xquery::wrong_declaration;
use super::sequence::Sequence;
use super::value::QName;
use super::{Context, Env, Program, Version, XPath};

/// Most variables and functions of a module.
const MAX_DECLARATIONS: usize = 10_000;
const LOCAL_FUNCTIONS: &str = "http://www.w3.org/2005/xquery-local-functions";

/// Prefixes that need no declaration.
const PREDECLARED: [(&str, &str); 9] = [
    // MI: its engine knows its own prefix.
    ("saxon", "http://saxon.sf.net/"),
    ("xml", mi_xml::XML_NAMESPACE),
    ("xs", "http://www.w3.org/2001/XMLSchema"),
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    ("fn", "http://www.w3.org/2005/xpath-functions"),
    ("math", "http://www.w3.org/2005/xpath-functions/math"),
    ("map", "http://www.w3.org/2005/xpath-functions/map"),
    ("array", "http://www.w3.org/2005/xpath-functions/array"),
    ("err", "http://www.w3.org/2005/xqt-errors"),
];

/// What expressions of a module know of it.
#[derive(Debug, Default, Clone)]
pub(super) struct Statics {
    /// Namespace and local name.
    variables: Vec<(String, String)>,
    /// Namespace, local name and number of parameters.
    functions: Vec<(String, String, usize)>,
    /// `declare default function namespace`
    pub(super) function_namespace: Option<String>,
    /// `declare default order empty greatest`
    pub(super) empty_greatest: bool,
    /// `declare base-uri`
    pub(super) base_uri: Option<Arc<str>>,
    /// `declare copy-namespaces no-preserve`
    pub(super) drops_namespaces: bool,
    /// `declare boundary-space preserve`
    pub(super) keeps_boundary_space: bool,
}

impl Statics {
    pub(super) fn variable(&self, namespace: &str, local: &str) -> Option<usize> {
        self.variables.iter().position(|(uri, name)| uri == namespace && name == local)
    }

    pub(super) fn function(&self, namespace: &str, local: &str, arity: usize) -> Option<usize> {
        self.functions.iter().position(|(uri, name, count)| *count == arity && uri == namespace && name == local)
    }
}

/// A compiled main module of XQuery. Cloning it shares the compiled form.
#[derive(Clone, Debug)]
pub struct Query(Arc<Module>);

#[derive(Debug)]
struct Module {
    variables: Vec<QueryVariable>,
    functions: Vec<QueryFunction>,
    body: XPath,
    notes: Vec<SyntaxError>,
}

/// A variable of a prolog.
#[derive(Debug)]
pub struct QueryVariable {
    /// Its name.
    pub name: QName,
    /// Whether the host may give the value.
    pub external: bool,
    /// Where it is declared, as a byte offset.
    pub offset: usize,
    value: Option<XPath>,
    declared: Option<SequenceType>,
}

/// A function of a prolog.
#[derive(Debug)]
pub struct QueryFunction {
    /// Its name.
    pub name: QName,
    /// Where it is declared, as a byte offset.
    pub offset: usize,
    params: Vec<Option<SequenceType>>,
    result: Option<SequenceType>,
    body: XPath,
}

impl Query {
    /// Compiles a main module: XQuery 1.0, with `try`, `switch`, `group by`, `count` and the values of 3.1.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its offset: syntax, a prefix, variable or function that is not
    /// declared, and what is not supported: imports of modules and schemas, library modules, windows, `validate`.
    pub fn compile(source: &str) -> Result<Self, SyntaxError> {
        let none = |_: &str| None;
        let mut parser = Parser::new(source, Dialect::XQuery, &none)?;
        parser.bound = PREDECLARED.map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned())).to_vec();
        parser.bound.push(("local".to_owned(), LOCAL_FUNCTIONS.to_owned()));
        let module =
            Prolog { notes: Vec::new(), scanned: false, seen: Vec::new(), declaring: false }.module(&mut parser)?;
        Ok(Self(Arc::new(module)))
    }

    /// The variables of the prolog, in order.
    pub fn variables(&self) -> &[QueryVariable] {
        &self.0.variables
    }

    /// The functions of the prolog, in order.
    pub fn functions(&self) -> &[QueryFunction] {
        &self.0.functions
    }

    /// What was read but has no effect, such as an option, with its offset.
    pub fn notes(&self) -> &[SyntaxError] {
        &self.0.notes
    }

    /// The value of the body.
    ///
    /// # Errors
    /// See [`XPathError`].
    pub fn evaluate<'d>(&self, context: &Context<'d>, env: &dyn Env<'d>) -> Result<Sequence<'d>, XPathError> {
        self.0.body.evaluate_in(context, env)
    }
}

impl QueryVariable {
    /// The value that the module gives; `None` if it has to come from the host.
    ///
    /// # Errors
    /// What its expression fails with, and a value that is not of the declared type.
    pub fn evaluate<'d>(&self, context: &Context<'d>, env: &dyn Env<'d>) -> Option<Result<Sequence<'d>, XPathError>> {
        let value = self.value.as_ref()?.evaluate_in(context, env);
        // A value of the module must be of the type, there is no conversion.
        Some(value.and_then(|value| match &self.declared {
            Some(declared) => declared.check(&value, &format!("the variable ${}", self.name)).map(|()| value),
            None => Ok(value),
        }))
    }

    /// A value of the host, converted to the declared type.
    ///
    /// # Errors
    /// The value is not of that type.
    pub fn convert<'d>(&self, value: Sequence<'d>) -> Result<Sequence<'d>, XPathError> {
        match &self.declared {
            Some(declared) => declared.convert(value, &format!("the variable ${}", self.name)),
            None => Ok(value),
        }
    }
}

impl QueryFunction {
    /// Calls the function.
    ///
    /// # Errors
    /// What its body fails with, and values that are not of the declared types.
    pub fn call<'d>(&self, args: &[Sequence<'d>], env: &dyn Env<'d>) -> Result<Sequence<'d>, XPathError> {
        let mut values = Vec::with_capacity(args.len());
        for (at, arg) in args.iter().enumerate() {
            values.push(match self.params.get(at) {
                Some(Some(declared)) => {
                    declared.convert(arg.clone(), &format!("argument {} of {}()", at + 1, self.name))?
                }
                _ => arg.clone(),
            });
        }
        let result = self.body.evaluate_with(values, env)?;
        match &self.result {
            Some(declared) => declared.convert(result, &format!("the result of {}()", self.name)),
            None => Ok(result),
        }
    }
}

impl XPath {
    pub(super) fn of_output(source: &str, version: Version, output: Output) -> Self {
        Self(Arc::new(Program {
            source: source.to_owned(),
            version,
            root: output.root,
            names: output.names,
            variables: output.variables,
            functions: output.functions,
            uses_document: output.uses_document,
            lenient: output.lenient,
            base_uri: output.base_uri,
            drops_namespaces: output.drops_namespaces,
        }))
    }
}

/// A prolog while it is read.
struct Prolog {
    notes: Vec<SyntaxError>,
    /// Names of variables and functions are known.
    scanned: bool,
    /// The codes of the errors that a second declaration of a kind is, for those that were there.
    seen: Vec<String>,
    /// A variable, a function or an option was declared: what states how the module is read must stand before.
    declaring: bool,
}

impl Prolog {
    fn module(mut self, p: &mut Parser<'_>) -> Parsed<Module> {
        self.version(p)?;
        let (mut variables, mut functions) = (Vec::new(), Vec::new());
        loop {
            let offset = p.tokens[p.at].offset;
            match (p.peek().clone(), p.peek_at(1).clone()) {
                (Token::Name("", "module"), Token::Name("", "namespace")) => {
                    return p.error("library modules are not supported; put the functions into the main module");
                }
                (Token::Name("", "import"), Token::Name("", "module" | "schema")) => {
                    return p.error("imports are not supported (XQST0016); put the functions into the main module");
                }
                (Token::Name("", "declare"), Token::Name("", _) | Token::Percent) => {
                    p.advance();
                    self.declaration(p, offset, &mut variables, &mut functions)?;
                }
                _ => break,
            }
            p.expect(&Token::Semicolon, "`;` behind a declaration")?;
        }
        self.scan(p);
        if *p.peek() == Token::End {
            return p.error("there is no expression behind the prolog (XPST0003)");
        }
        let body = p.whole()?;
        let body = XPath::of_output("", Version::V2, body);
        Ok(Module { variables, functions, body, notes: self.notes })
    }

    /// `xquery version "1.0" encoding "utf-8";`
    fn version(&mut self, p: &mut Parser<'_>) -> Parsed<()> {
        if *p.peek() != Token::Name("", "xquery") || !matches!(p.peek_at(1), Token::Name("", "version" | "encoding")) {
            return Ok(());
        }
        p.advance();
        if p.keyword("version") {
            let Token::String(version) = p.peek().clone() else { return Err(p.unexpected("a version in quotes")) };
            if !matches!(version.as_ref(), "1.0" | "3.0" | "3.1") {
                return p.error(format!("XQuery {version} is not supported (XQST0031)"));
            }
            p.advance();
        }
        if p.keyword("encoding") {
            let encoding = text(p)?;
            let valid = encoding.starts_with(|c: char| c.is_ascii_alphabetic())
                && encoding.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if !valid {
                return p.error(format!("\"{encoding}\" is no name of an encoding (XQST0087)"));
            }
        }
        p.expect(&Token::Semicolon, "`;`")
    }

    /// Finds the names of all variables and functions, which may be used before they are declared.
    fn scan(&mut self, p: &mut Parser<'_>) {
        if self.scanned {
            return;
        }
        self.scanned = true;
        let mut statics = Statics::clone(&p.statics);
        let tokens: Vec<Token<'_>> = p.tokens.iter().map(|it| it.token.clone()).collect();
        for at in 0..tokens.len() {
            // `declare`, perhaps annotations, then the kind and the name.
            if !matches!(tokens[at], Token::Name("", "variable" | "function")) || !declares(&tokens[..at]) {
                continue;
            }
            match (&tokens[at], tokens.get(at + 1)) {
                (Token::Name("", "variable"), Some(Token::Variable(prefix, local))) => {
                    let namespace = p.declared(prefix).unwrap_or_default();
                    statics.variables.push((namespace, (*local).to_owned()));
                }
                (Token::Name("", "function"), Some(Token::Name(prefix, local))) => {
                    let namespace = function_namespace(p, prefix);
                    statics.functions.push((namespace, (*local).to_owned(), parameters(&tokens[at + 2..])));
                }
                _ => {}
            }
        }
        p.statics = Rc::new(statics);
    }

    fn declaration(
        &mut self,
        p: &mut Parser<'_>,
        offset: usize,
        variables: &mut Vec<QueryVariable>,
        functions: &mut Vec<QueryFunction>,
    ) -> Parsed<()> {
        p.annotations()?;
        let Token::Name("", word) = *p.peek() else { return Err(p.unexpected("a declaration")) };
        if variables.len() + functions.len() >= MAX_DECLARATIONS {
            return p.error(format!("more than {MAX_DECLARATIONS} declarations, which is the cap"));
        }
        match word {
            "variable" => {
                self.declaring = true;
                self.scan(p);
                p.advance();
                variables.push(variable(p, offset, variables)?);
            }
            "function" => {
                self.declaring = true;
                self.scan(p);
                p.advance();
                functions.push(function(p, offset, functions)?);
            }
            "option" => {
                self.note(offset, "options have no effect here");
                self.declaring = true;
                p.advance();
                let Token::Name(prefix, local) = *p.peek() else { return Err(p.unexpected("the name of an option")) };
                if p.declared(prefix).is_none() {
                    return p.error(format!("the option {local} must have a prefix that is declared (XPST0081)"));
                }
                p.advance();
                text(p)?;
            }
            _ => self.setter(p, offset, word)?,
        }
        Ok(())
    }

    fn note(&mut self, offset: usize, message: &str) {
        self.notes.push(SyntaxError { offset, message: message.to_owned() });
    }

    /// Refuses a second declaration of a kind; `code` is the error that it is.
    fn once(&mut self, p: &Parser<'_>, code: &str, what: &str) -> Parsed<()> {
        if self.seen.iter().any(|it| it == code) {
            return p.error(format!("{what} is declared twice ({})", &code[..8]));
        }
        self.seen.push(code.to_owned());
        Ok(())
    }

    /// The declarations that state how the module is read.
    fn setter(&mut self, p: &mut Parser<'_>, offset: usize, word: &str) -> Parsed<()> {
        if self.declaring && word != "context" {
            return p.error("this must stand in front of variables, functions and options (XPST0003)");
        }
        p.advance();
        match word {
            "namespace" => {
                let Token::Name("", prefix) = *p.peek() else { return Err(p.unexpected("a prefix")) };
                p.advance();
                p.expect(&Token::Equal, "`=`")?;
                let uri = text(p)?;
                if let Some(message) = wrong_declaration(prefix, &uri)
                    .filter(|it| !it.ends_with("(XQST0085)"))
                    .or_else(|| (prefix == "xml").then(|| "the prefix `xml` cannot be declared (XQST0070)".to_owned()))
                {
                    return p.error(message);
                }
                self.once(p, &format!("XQST0033 {prefix}"), &format!("the prefix `{prefix}`"))?;
                p.bound.push((prefix.to_owned(), uri));
            }
            "default" => self.default(p)?,
            "boundary-space" => {
                self.once(p, "XQST0068", "`boundary-space`")?;
                let keeps = p.keyword("preserve");
                if !keeps && !p.keyword("strip") {
                    return Err(p.unexpected("`preserve` or `strip`"));
                }
                Rc::make_mut(&mut p.statics).keeps_boundary_space = keeps;
            }
            "construction" => {
                self.once(p, "XQST0067", "`construction`")?;
                one_of(p, ["strip", "preserve"])?;
            }
            "ordering" => {
                self.once(p, "XQST0065", "`ordering`")?;
                one_of(p, ["ordered", "unordered"])?;
            }
            "base-uri" => {
                self.once(p, "XQST0032", "the base URI")?;
                let uri = super::cast::collapse(&text(p)?);
                if percent_escapes_are_wrong(&uri) {
                    return p.error(format!("\"{uri}\" is no URI (XQST0046)"));
                }
                Rc::make_mut(&mut p.statics).base_uri = Some(uri.into());
            }
            "copy-namespaces" => {
                self.once(p, "XQST0055", "`copy-namespaces`")?;
                let drops = one_of(p, ["preserve", "no-preserve"])? == 1;
                p.expect(&Token::Comma, "`,`")?;
                if one_of(p, ["inherit", "no-inherit"])? == 1 {
                    self.note(offset, "namespaces are always inherited by nodes that are copied");
                }
                Rc::make_mut(&mut p.statics).drops_namespaces = drops;
            }
            "context" => {
                return p.error("the context item cannot be declared here; declare an external variable");
            }
            _ => {
                p.at -= 1;
                return Err(p.unexpected("a declaration"));
            }
        }
        Ok(())
    }

    /// What follows `declare default`.
    fn default(&mut self, p: &mut Parser<'_>) -> Parsed<()> {
        let Token::Name("", word) = *p.peek() else { return Err(p.unexpected("what the default is for")) };
        p.advance();
        match word {
            "element" | "function" => {
                if !p.keyword("namespace") {
                    return Err(p.unexpected("`namespace`"));
                }
                let uri = text(p)?;
                self.once(p, &format!("XQST0066 {word}"), &format!("the default namespace for {word}s"))?;
                if matches!(uri.as_str(), mi_xml::XML_NAMESPACE | "http://www.w3.org/2000/xmlns/") {
                    return p.error(format!("\"{uri}\" cannot be a default namespace (XQST0070)"));
                }
                if word == "element" {
                    p.element_namespace = uri.as_str().into();
                } else {
                    Rc::make_mut(&mut p.statics).function_namespace = Some(uri);
                }
            }
            "order" => {
                self.once(p, "XQST0069", "the default order")?;
                if !p.keyword("empty") {
                    return Err(p.unexpected("`empty`"));
                }
                let greatest = p.keyword("greatest");
                if !greatest && !p.keyword("least") {
                    return Err(p.unexpected("`greatest` or `least`"));
                }
                Rc::make_mut(&mut p.statics).empty_greatest = greatest;
            }
            "collation" => {
                self.once(p, "XQST0038", "the default collation")?;
                let uri = text(p)?;
                if !is_code_points(&uri) {
                    p.at -= 1;
                    return p.error(format!("the collation \"{uri}\" is not supported (XQST0038)"));
                }
            }
            _ => {
                p.at -= 1;
                return Err(p.unexpected("`element`, `function`, `order` or `collation`"));
            }
        }
        Ok(())
    }
}

/// One of two words, which is taken; which of them it is.
fn one_of(p: &mut Parser<'_>, words: [&str; 2]) -> Parsed<usize> {
    let found = words.iter().position(|word| p.keyword(word));
    found.ok_or_else(|| p.unexpected(&format!("`{}` or `{}`", words[0], words[1])))
}

/// The collation by code points, also relative to the base of the collations.
pub(super) fn is_code_points(uri: &str) -> bool {
    matches!(uri, "http://www.w3.org/2005/xpath-functions/collation/codepoint" | "collation/codepoint")
}

/// Whether a `%` is not followed by two hexadecimal digits.
fn percent_escapes_are_wrong(uri: &str) -> bool {
    let hex = |rest: &[u8]| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit);
    uri.bytes().enumerate().any(|(at, b)| b == b'%' && !hex(&uri.as_bytes()[at + 1..]))
}

/// Whether what stands in front of `variable` or `function` is `declare`, perhaps with annotations behind it.
fn declares(before: &[Token<'_>]) -> bool {
    let near = &before[before.len().saturating_sub(64)..];
    let Some(declare) = near.iter().rposition(|it| *it == Token::Name("", "declare")) else { return false };
    let between = &near[declare + 1..];
    between.is_empty() || (between[0] == Token::Percent && !between.contains(&Token::Semicolon))
}

/// The number of parameters in front of the bracket that closes the list.
fn parameters(tokens: &[Token<'_>]) -> usize {
    let (mut depth, mut count) = (0_usize, 0);
    for token in tokens {
        match token {
            Token::OpenParen => depth += 1,
            Token::CloseParen if depth <= 1 => break,
            Token::CloseParen => depth -= 1,
            Token::Variable(..) if depth == 1 => count += 1,
            _ => {}
        }
    }
    count
}

/// A string literal, which is taken.
fn text(p: &mut Parser<'_>) -> Parsed<String> {
    let Token::String(text) = p.peek().clone() else { return Err(p.unexpected("a text in quotes")) };
    p.advance();
    Ok(text.into_owned())
}

/// The namespace of the name of a function.
fn function_namespace(p: &Parser<'_>, prefix: &str) -> String {
    if prefix.is_empty() {
        return p.statics.function_namespace.clone().unwrap_or_default();
    }
    p.declared(prefix).unwrap_or_default()
}

/// `$name as T := value` or `external`.
fn variable(p: &mut Parser<'_>, offset: usize, known: &[QueryVariable]) -> Parsed<QueryVariable> {
    let Token::Variable(prefix, local) = *p.peek() else { return Err(p.unexpected("a variable")) };
    let namespace = p.namespace(prefix)?;
    let name = QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() };
    if known.iter().any(|it| it.name.local == name.local && it.name.namespace == name.namespace) {
        return p.error(format!("the variable ${name} is declared twice (XQST0049)"));
    }
    p.advance();
    let declared = p.type_declaration()?;
    let external = p.keyword("external");
    let value = if p.eat(&Token::Assign) {
        let value = p.single()?;
        let output = p.output(value);
        Some(XPath::of_output("", Version::V2, output))
    } else if external {
        None
    } else if *p.peek() == Token::OpenBrace {
        // The form of drafts of the language, which occurs in old queries.
        let value = p.braces()?;
        let output = p.output(value);
        Some(XPath::of_output("", Version::V2, output))
    } else {
        return Err(p.unexpected("`:=` or `external`"));
    };
    Ok(QueryVariable { name, external, offset, value, declared })
}

/// `name($a as T) as T { body }`
fn function(p: &mut Parser<'_>, offset: usize, known: &[QueryFunction]) -> Parsed<QueryFunction> {
    let Token::Name(prefix, local) = *p.peek() else { return Err(p.unexpected("the name of a function")) };
    if !prefix.is_empty() {
        p.namespace(prefix)?;
    }
    let namespace = function_namespace(p, prefix);
    let reserved = namespace == mi_xml::XML_NAMESPACE
        || PREDECLARED.iter().any(|(known, uri)| *uri == namespace && !matches!(*known, "err" | "saxon"));
    if reserved {
        return p.error(format!("the namespace of the function {local} is reserved; use local:{local} (XQST0045)"));
    }
    if namespace.is_empty() {
        return p.error(format!("the function {local} must be in a namespace, such as local:{local} (XQST0060)"));
    }
    let name = QName { prefix: prefix.to_owned(), namespace, local: local.to_owned() };
    let at = p.at;
    p.advance();
    p.expect(&Token::OpenParen, "`(`")?;
    let (names, params, result) = p.signature()?;
    let same = |it: &&QueryFunction| {
        it.name.local == name.local && it.name.namespace == name.namespace && it.params.len() == params.len()
    };
    if known.iter().any(|it| same(&it)) {
        p.at = at;
        return p.error(format!("the function {name} is declared twice (XQST0034)"));
    }
    if *p.peek() == Token::Name("", "external") {
        return p.error("external functions are not supported");
    }
    p.scope = names;
    let body = p.braces()?;
    p.scope.clear();
    let output = p.output(body);
    Ok(QueryFunction { name, offset, params, result, body: XPath::of_output("", Version::V2, output) })
}
