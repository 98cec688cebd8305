//! From stylesheet documents to a [`Plan`]: includes and imports, names first, then every declaration.
//!
//! Declarations are in `declarations.rs`, instructions in `instructions.rs` and `constructors.rs`.

mod constructors;
mod declarations;
mod edits;
pub(crate) mod flow;
mod instructions;
mod modes;
mod rules;
mod use_when;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use mi_expr::xpath::{ValueType, Version};
use mi_xml::{Document, NodeId};

use crate::avt::Avt;
use crate::error::StylesheetError;
use crate::expr::{Expr, Statics, key_of};
use crate::limits::{MAX_ERRORS, MAX_INCLUDES, MAX_NESTING};
use crate::pattern::Pattern;
use crate::plan::{Body, Cast, Key, Place, Plan, Value};
use crate::{Resolver, XSLT_NAMESPACE};

/// The result of compiling a part; the error is reported at the element it was compiled for.
type Part<T> = Result<T, String>;

/// A declaration and the stylesheet it stands in.
#[derive(Debug, Clone, Copy)]
struct Declaration {
    sheet: u32,
    node: NodeId,
    precedence: u32,
    low: u32,
}

/// What is known at a place of a stylesheet.
#[derive(Clone)]
struct Scope {
    doc: Arc<Document>,
    sheet: u32,
    version: Version,
    /// The version is later than any that is known: what is not known is an error only when it runs.
    forward: bool,
    element_namespace: Rc<str>,
    expand_text: bool,
    preserve_space: bool,
    /// Namespaces that literal result elements do not copy.
    excluded: Rc<Vec<String>>,
    /// The literal result element around this place declares what is in scope already.
    inherited: bool,
    depth: usize,
}

struct Compiler<'r> {
    resolver: &'r dyn Resolver,
    plan: Plan,
    errors: Vec<StylesheetError>,
    declarations: Vec<Declaration>,
    next_precedence: u32,
    mode_index: HashMap<Key, usize>,
    /// Local variables at the present place.
    locals: Vec<Key>,
    global_names: HashSet<Key>,
    template_names: HashSet<Key>,
    aliases: HashMap<String, (String, String)>,
}

pub(crate) fn compile(
    document: Arc<Document>,
    name: &str,
    resolver: &dyn Resolver,
) -> Result<Plan, Vec<StylesheetError>> {
    let mut compiler = Compiler {
        resolver,
        plan: Plan::default(),
        errors: Vec::new(),
        declarations: Vec::new(),
        next_precedence: 0,
        mode_index: HashMap::new(),
        locals: Vec::new(),
        global_names: HashSet::new(),
        template_names: HashSet::new(),
        aliases: HashMap::new(),
    };
    compiler.mode(""); // the default mode is the first
    compiler.load(document, name, &mut vec![name.to_owned()]);
    if compiler.errors.is_empty() {
        compiler.declare_names();
        compiler.compile_declarations();
        compiler.finish_modes();
        compiler.finish_edits();
        compiler.plan.mode_names = std::mem::take(&mut compiler.mode_index);
    }
    if compiler.errors.is_empty() { Ok(compiler.plan) } else { Err(compiler.errors) }
}

// === modules ===

impl Compiler<'_> {
    /// Reads a stylesheet of its own import precedence, with what it imports below it.
    fn load(&mut self, doc: Arc<Document>, name: &str, chain: &mut Vec<String>) {
        let low = self.next_precedence;
        let mut own = Vec::new();
        self.gather(doc, name, chain, &mut own);
        let precedence = self.next_precedence;
        self.next_precedence += 1;
        let declared = own.into_iter().map(|(sheet, node)| Declaration { sheet, node, precedence, low });
        self.declarations.extend(declared);
    }

    /// Adds the declarations of a stylesheet and of what it includes.
    fn gather(&mut self, doc: Arc<Document>, name: &str, chain: &mut Vec<String>, own: &mut Vec<(u32, NodeId)>) {
        let sheet = self.plan.sheets.len() as u32;
        self.plan.sheets.push(name.to_owned());
        let (doc, wrong) = use_when::prune(doc);
        for (node, message) in wrong {
            self.report(sheet, &doc, node, &message);
        }
        self.plan.documents.push(doc.clone());
        let root = doc.root_element();
        let Some(root) = root else { return self.report(sheet, &doc, Document::ROOT, "the stylesheet is empty") };
        for (node, message) in rules::check(&doc, root) {
            self.report(sheet, &doc, node, &message);
        }
        let is_sheet =
            doc.namespace(root) == XSLT_NAMESPACE && matches!(doc.local_name(root), "stylesheet" | "transform");
        if !is_sheet {
            if doc.attribute(root, XSLT_NAMESPACE, "version").is_none() {
                let text =
                    "this is no stylesheet: the root is neither xsl:stylesheet nor has it the attribute xsl:version";
                return self.report(sheet, &doc, root, text);
            }
            own.push((sheet, root));
            return;
        }
        let version = doc.attribute(root, "", "version");
        if sheet == 0 {
            self.plan.is_old = version.as_ref().and_then(|it| it.trim().parse::<f64>().ok()).is_some_and(|it| it < 2.0);
        }
        if version.is_none() {
            return self.report(sheet, &doc, root, "the attribute `version` is missing");
        }
        for child in doc.children(root) {
            if doc.kind(child) == mi_xml::NodeKind::Text && !doc.is_whitespace(child) {
                self.report(sheet, &doc, root, "there is text outside of templates");
            }
        }
        for child in doc.child_elements(root) {
            let local = if doc.namespace(child) == XSLT_NAMESPACE { doc.local_name(child) } else { "" };
            if matches!(local, "import" | "include") {
                self.follow(sheet, &doc, child, local == "import", chain, own);
            } else {
                own.push((sheet, child));
            }
        }
    }

    fn follow(
        &mut self,
        sheet: u32,
        doc: &Arc<Document>,
        node: NodeId,
        import: bool,
        chain: &mut Vec<String>,
        own: &mut Vec<(u32, NodeId)>,
    ) {
        let Some(href) = doc.attribute(node, "", "href").map(|it| it.trim().to_owned()) else {
            return self.report(sheet, doc, node, "the attribute `href` is missing");
        };
        if chain.contains(&href) {
            return self.report(sheet, doc, node, &format!("the stylesheet {href} includes itself"));
        }
        if chain.len() >= MAX_INCLUDES || self.plan.sheets.len() >= MAX_INCLUDES {
            let text = format!("more than {MAX_INCLUDES} stylesheets are included, which is the cap");
            return self.report(sheet, doc, node, &text);
        }
        let base = self.plan.sheets[sheet as usize].clone();
        match self.resolver.stylesheet(&href, &base) {
            Ok(included) => {
                chain.push(href.clone());
                if import {
                    self.load(included, &href, chain);
                } else {
                    self.gather(included, &href, chain, own);
                }
                chain.pop();
            }
            Err(reason) => self.report(sheet, doc, node, &format!("the stylesheet {href} cannot be read: {reason}")),
        }
    }
}

// === places and errors ===

impl Compiler<'_> {
    fn report(&mut self, sheet: u32, doc: &Document, node: NodeId, message: &str) {
        if self.errors.len() >= MAX_ERRORS {
            return;
        }
        let (line, column) = doc.position(node).unwrap_or((1, 1));
        let stylesheet = self.plan.sheets.get(sheet as usize).cloned().unwrap_or_default();
        self.errors.push(StylesheetError { stylesheet, line, column, message: message.to_owned() });
    }

    fn report_in(&mut self, scope: &Scope, node: NodeId, message: &str) {
        let element = if scope.doc.is_element(node) {
            format!("{}: {message}", scope.doc.qualified_name(node))
        } else {
            message.to_owned()
        };
        self.report(scope.sheet, &scope.doc, node, &element);
    }

    fn place(scope: &Scope, node: NodeId) -> Place {
        let (line, column) = scope.doc.position(node).unwrap_or((1, 1));
        Place { sheet: scope.sheet, line, column }
    }
}

// === attributes ===

impl Scope {
    /// The scope of the stylesheet's root.
    fn of_sheet(doc: &Arc<Document>, sheet: u32) -> Self {
        Self {
            doc: doc.clone(),
            sheet,
            version: Version::V1,
            forward: false,
            element_namespace: "".into(),
            expand_text: false,
            preserve_space: false,
            excluded: Rc::new(Vec::new()),
            inherited: false,
            depth: 0,
        }
    }

    /// The scope inside of an element with the standard attributes it has.
    fn inside(&self, node: NodeId) -> Self {
        let mut inner = self.clone();
        inner.depth += 1;
        let doc = &self.doc;
        let namespace = if doc.namespace(node) == XSLT_NAMESPACE { "" } else { XSLT_NAMESPACE };
        for attribute in doc.attributes(node) {
            let value = doc.value(attribute);
            if doc.has_name(attribute, mi_xml::XML_NAMESPACE, "space") {
                inner.preserve_space = value == "preserve";
            }
            if doc.namespace(attribute) != namespace {
                continue;
            }
            match doc.local_name(attribute) {
                // `version` of xsl:output is that of the result.
                "version" if doc.local_name(node) != "output" || !namespace.is_empty() => {
                    let number: f64 = value.trim().parse().unwrap_or(2.0);
                    inner.forward = number > 3.0;
                    inner.version = if number < 2.0 { Version::V1 } else { Version::V2 };
                }
                "xpath-default-namespace" => inner.element_namespace = value.trim().into(),
                "expand-text" => inner.expand_text = is_yes(&value),
                "exclude-result-prefixes" | "extension-element-prefixes" => inner.exclude(node, &value),
                _ => {}
            }
        }
        inner
    }

    fn exclude(&mut self, node: NodeId, prefixes: &str) {
        let mut excluded = (*self.excluded).clone();
        for prefix in prefixes.split_whitespace() {
            match prefix {
                "#all" => excluded.extend(self.doc.in_scope_namespaces(node).iter().map(|(_, uri)| (*uri).to_owned())),
                "#default" => excluded.extend(self.doc.lookup_namespace(node, "").map(str::to_owned)),
                prefix => excluded.extend(self.doc.lookup_namespace(node, prefix).map(str::to_owned)),
            }
        }
        self.excluded = Rc::new(excluded);
    }

    fn attr(&self, node: NodeId, name: &str) -> Option<String> {
        self.doc.attribute(node, "", name).map(std::borrow::Cow::into_owned)
    }

    fn require(&self, node: NodeId, name: &str) -> Part<String> {
        self.attr(node, name).ok_or_else(|| format!("the attribute `{name}` is missing"))
    }

    fn yes(&self, node: NodeId, name: &str) -> bool {
        self.doc.attribute(node, "", name).is_some_and(|it| is_yes(&it))
    }

    fn statics(&self, node: NodeId) -> Statics<'_> {
        Statics {
            doc: &self.doc,
            node,
            version: self.version,
            element_namespace: &self.element_namespace,
            place: Compiler::place(self, node),
        }
    }

    /// A QName of the stylesheet as a key; without a prefix it is in no namespace.
    fn key(&self, node: NodeId, name: &str) -> Part<Key> {
        let name = name.trim();
        if let Some(rest) = name.strip_prefix("Q{") {
            let (namespace, local) = rest.split_once('}').ok_or_else(|| format!("`{name}` is no name"))?;
            return Ok(key_of(namespace, local));
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        if !mi_xml::is_ncname(local) || (name.contains(':') && !mi_xml::is_ncname(prefix)) {
            return Err(format!("`{name}` is no name"));
        }
        if prefix.is_empty() {
            return Ok(local.to_owned());
        }
        let namespace = self.statics(node).namespace(prefix);
        let namespace = namespace.ok_or_else(|| format!("the namespace prefix `{prefix}` is not declared"))?;
        Ok(key_of(&namespace, local))
    }

    fn is_xslt(&self, node: NodeId, local: &str) -> bool {
        self.doc.has_name(node, XSLT_NAMESPACE, local)
    }
}

fn is_yes(text: &str) -> bool {
    matches!(text.trim(), "yes" | "true" | "1")
}

impl Compiler<'_> {
    fn checked(&mut self, scope: &Scope, node: NodeId, expr: Expr) -> Part<Expr> {
        self.check_variables(scope, node, &expr)?;
        Ok(expr)
    }

    /// Refuses variables that are not declared.
    fn check_variables(&mut self, scope: &Scope, node: NodeId, expr: &Expr) -> Part<()> {
        for (prefix, local) in expr.xpath.variables() {
            let key = if prefix.is_empty() {
                local.to_owned()
            } else {
                let namespace = scope.statics(node).namespace(prefix);
                let namespace = namespace.ok_or_else(|| format!("the namespace prefix `{prefix}` is not declared"))?;
                let key = key_of(&namespace, local);
                self.plan.prefixes.insert(prefix.to_owned(), namespace);
                key
            };
            if !self.locals.contains(&key) && !self.global_names.contains(&key) {
                let name = if prefix.is_empty() { local.to_owned() } else { format!("{prefix}:{local}") };
                return Err(format!("the variable ${name} is not declared here"));
            }
        }
        Ok(())
    }

    fn expr(&mut self, scope: &Scope, node: NodeId, source: &str) -> Part<Expr> {
        let expr = scope.statics(node).compile(source)?;
        self.checked(scope, node, expr)
    }

    fn expr_attr(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Option<Expr>> {
        scope.attr(node, name).map(|source| self.expr(scope, node, &source)).transpose()
    }

    fn required_expr(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Expr> {
        let source = scope.require(node, name)?;
        self.expr(scope, node, &source)
    }

    fn avt(&mut self, scope: &Scope, node: NodeId, source: &str) -> Part<Avt> {
        let avt = Avt::compile(source, &scope.statics(node))?;
        for expr in avt.exprs() {
            self.check_variables(scope, node, expr)?;
        }
        Ok(avt)
    }

    fn avt_attr(&mut self, scope: &Scope, node: NodeId, name: &str) -> Part<Option<Avt>> {
        scope.attr(node, name).map(|source| self.avt(scope, node, &source)).transpose()
    }

    fn pattern(&mut self, scope: &Scope, node: NodeId, source: &str) -> Part<Pattern> {
        let pattern = Pattern::parse(source, &scope.statics(node))?;
        for expr in pattern.exprs() {
            self.check_variables(scope, node, expr)?;
            for (function, code) in [("current-group(", "XTSE1060"), ("current-grouping-key(", "XTSE1070")] {
                if expr.xpath.source().contains(function) {
                    return Err(format!("a pattern cannot use {function}) ({code})"));
                }
            }
        }
        Ok(pattern)
    }

    /// The value of an instruction that takes `select` or content. `skip` are children that are no content.
    fn value(&mut self, scope: &Scope, node: NodeId, skip: &[&str]) -> Part<Value> {
        let select = self.expr_attr(scope, node, "select")?;
        let declared = scope.attr(node, "as");
        let mut inner = scope.clone();
        inner.inherited = false;
        let body = self.body(&inner, node, skip);
        if select.is_some() && !body.is_empty() {
            return Err("there must not be both the attribute `select` and content".to_owned());
        }
        Ok(Value { select, body, sequence: declared.is_some(), cast: cast(scope, node, declared.as_deref()) })
    }

    fn nested<T>(&mut self, scope: &Scope, inner: impl FnOnce(&mut Self) -> Part<T>) -> Part<T> {
        if scope.depth > MAX_NESTING {
            return Err(format!("elements are nested deeper than {MAX_NESTING} levels, which is the cap"));
        }
        let locals = self.locals.len();
        let result = inner(self);
        self.locals.truncate(locals);
        result
    }

    /// The content of an element; what is wrong in it is reported and left out.
    fn body(&mut self, scope: &Scope, node: NodeId, skip: &[&str]) -> Body {
        let locals = self.locals.len();
        let mut body = Vec::new();
        let doc = scope.doc.clone();
        for child in doc.children(node) {
            let skipped = doc.is_element(child)
                && doc.namespace(child) == XSLT_NAMESPACE
                && skip.contains(&doc.local_name(child));
            if !skipped {
                self.instruction(scope, child, &mut body);
            }
        }
        self.locals.truncate(locals);
        body
    }
}

/// The type that `as` states. One that is not known (of a schema) is not checked.
fn cast(scope: &Scope, node: NodeId, declared: Option<&str>) -> Option<Cast> {
    let statics = scope.statics(node);
    let namespaces = |prefix: &str| statics.namespace(prefix);
    let declared = ValueType::compile(declared?, &namespaces, statics.element_namespace).ok()?;
    Some(Cast { declared, place: statics.place })
}
