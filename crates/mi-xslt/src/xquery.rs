//! XQuery: main modules compiled once, run with values for their external variables.
//!
//! The language is the XPath of mi-expr with what XQuery adds to it, so a compiled query is a plan of the same engine.
//! Here is what running it takes: variables of the module, evaluated when they are first needed, calls of its functions,
//! and the caps that a transformation has.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use chrono::{DateTime, FixedOffset};
use mi_expr::xpath::{Context, Env, Item, Node, Query, QueryVariable, Sequence, XPathError};
use mi_xml::Document;

use crate::Host;
use crate::error::{StylesheetError, TransformError, TransformErrorKind};
use crate::limits::{INLINE_STACK, MAX_DEPTH, MAX_NODES, MAX_STEPS, MAX_TEXT, USABLE_STACK};
use crate::run::on_large_stack;

/// A compiled main module. `Send + Sync`; a clone shares the plan.
#[derive(Clone, Debug)]
pub struct XQuery(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    name: String,
    query: Query,
    /// Offsets of the starts of lines.
    lines: Vec<usize>,
    notes: Vec<StylesheetError>,
}

impl XQuery {
    /// Compiles a main module of XQuery 1.0 (and what queries use of 3.1). `name` stands for it in errors.
    ///
    /// # Errors
    /// The first thing that is wrong, with line and column.
    pub fn compile(source: &str, name: &str) -> Result<Self, StylesheetError> {
        let source = source.replace("\r\n", "\n").replace('\r', "\n");
        let lines: Vec<usize> = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let error = |offset: usize, message: &str| {
            let (line, column) = place(&lines, &source, offset);
            StylesheetError { stylesheet: name.to_owned(), line, column, message: message.to_owned() }
        };
        let query = Query::compile(&source).map_err(|it| error(it.offset, &it.message))?;
        let notes = query.notes().iter().map(|it| error(it.offset, &it.message)).collect();
        Ok(Self(Arc::new(Compiled { name: name.to_owned(), query, lines, notes })))
    }

    /// What was read but has no effect.
    pub fn notes(&self) -> &[StylesheetError] {
        &self.0.notes
    }

    /// The names of external variables that have no default, as `{namespace}local` or `local`.
    pub fn externals(&self) -> impl Iterator<Item = String> + '_ {
        let external = self.0.query.variables().iter().filter(|it| it.external);
        external.map(|it| crate::expr::key_of(&it.name.namespace, &it.name.local))
    }

    /// Runs the query without a context item. `variables` are values for external variables, by `local` or
    /// `{namespace}local`; those that the query does not declare are ignored.
    ///
    /// # Errors
    /// What the query fails with, an external variable without a value, and the caps on steps, depth and size.
    pub fn run<'d>(&self, variables: &[(&str, Sequence<'d>)], host: &dyn Host) -> Result<Sequence<'d>, TransformError> {
        self.run_on(None, variables, host)
    }

    /// [`XQuery::run`] with a context item.
    ///
    /// # Errors
    /// See [`XQuery::run`].
    pub fn run_on<'d>(
        &self,
        item: Option<Item<'d>>,
        variables: &[(&str, Sequence<'d>)],
        host: &dyn Host,
    ) -> Result<Sequence<'d>, TransformError> {
        let context = Context { item, position: 1, size: 1 };
        let result = match self.attempt(&context, variables, host, INLINE_STACK) {
            Err(error) if error.kind == TransformErrorKind::Stack => {
                on_large_stack(|| self.attempt(&context, variables, host, USABLE_STACK))?
            }
            result => result,
        };
        result.map_err(|error| match error.kind {
            TransformErrorKind::Stack => {
                let message = "functions call each other too deeply; is there an end to the recursion?";
                TransformError { kind: TransformErrorKind::Limit, message: message.to_owned(), ..error }
            }
            _ => error,
        })
    }

    fn attempt<'d>(
        &self,
        context: &Context<'d>,
        variables: &[(&str, Sequence<'d>)],
        host: &dyn Host,
        stack_limit: usize,
    ) -> Result<Sequence<'d>, TransformError> {
        let marker = 0_u8;
        let run = Run {
            query: &self.0.query,
            host,
            variables,
            context: context.clone(),
            globals: RefCell::new(self.0.query.variables().iter().map(|_| State::Unknown).collect()),
            failed_at: Cell::new(None),
            needs_stack: Cell::new(false),
            steps: Cell::new(0),
            nodes: Cell::new(0),
            text: Cell::new(0),
            depth: Cell::new(0),
            stack_start: std::ptr::from_ref(&marker).addr(),
            stack_limit,
        };
        self.0.query.evaluate(context, &run).map_err(|error| {
            let kind = match &error {
                _ if run.needs_stack.get() => TransformErrorKind::Stack,
                XPathError::Limit { .. } => TransformErrorKind::Limit,
                _ => TransformErrorKind::Dynamic,
            };
            let mut error = TransformError::new(kind, error.to_string());
            if let Some(offset) = run.failed_at.get() {
                error.stylesheet.clone_from(&self.0.name);
                (error.line, error.column) = place(&self.0.lines, "", offset);
            }
            error
        })
    }
}

/// Line and column of an offset, counted from one; columns are characters where the source is given.
fn place(lines: &[usize], source: &str, offset: usize) -> (u32, u32) {
    let line = lines.partition_point(|start| *start <= offset).saturating_sub(1);
    let start = lines.get(line).copied().unwrap_or_default();
    let column = source.get(start..offset).map_or(offset - start, |text| text.chars().count());
    (u32::try_from(line + 1).unwrap_or(u32::MAX), u32::try_from(column + 1).unwrap_or(u32::MAX))
}

enum State<'d> {
    Unknown,
    Running,
    Known(Sequence<'d>),
}

/// One run of a query.
struct Run<'q, 'd> {
    query: &'q Query,
    host: &'q dyn Host,
    variables: &'q [(&'q str, Sequence<'d>)],
    context: Context<'d>,
    globals: RefCell<Vec<State<'d>>>,
    /// The declaration in which the first error happened.
    failed_at: Cell<Option<usize>>,
    needs_stack: Cell<bool>,
    steps: Cell<u64>,
    nodes: Cell<u64>,
    text: Cell<u64>,
    depth: Cell<u32>,
    stack_start: usize,
    stack_limit: usize,
}

impl<'d> Run<'_, 'd> {
    /// Enters a function or the value of a variable, unless that is too deep.
    fn enter<T>(&self, offset: usize, inner: impl FnOnce() -> Result<T, XPathError>) -> Result<T, XPathError> {
        let marker = 0_u8;
        if self.stack_start.abs_diff(std::ptr::from_ref(&marker).addr()) > self.stack_limit {
            self.needs_stack.set(true);
            return Err(XPathError::Limit { what: "bytes of stack", cap: self.stack_limit as u64 });
        }
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps > MAX_STEPS {
            return Err(XPathError::Limit { what: "calls of functions", cap: MAX_STEPS });
        }
        if steps.is_multiple_of(4096) {
            self.check_time()?;
        }
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(XPathError::Limit { what: "nested calls of functions", cap: u64::from(MAX_DEPTH) });
        }
        self.depth.set(depth);
        let result = inner();
        self.depth.set(depth - 1);
        if result.is_err() && self.failed_at.get().is_none() {
            self.failed_at.set(Some(offset));
        }
        result
    }

    fn check_time(&self) -> Result<(), XPathError> {
        if self.host.expired() { Err(XPathError::Host("the query takes too long".to_owned())) } else { Ok(()) }
    }

    fn value_of(&self, variable: &QueryVariable) -> Result<Sequence<'d>, XPathError> {
        if variable.external {
            let key = crate::expr::key_of(&variable.name.namespace, &variable.name.local);
            if let Some((_, given)) = self.variables.iter().find(|(name, _)| *name == key) {
                return variable.convert(given.clone());
            }
        }
        variable.evaluate(&self.context, self).unwrap_or_else(|| {
            let message = format!("the external variable ${} has no value", variable.name);
            Err(XPathError::dynamic("XPDY0002", message))
        })
    }
}

impl<'d> Env<'d> for Run<'_, 'd> {
    fn variable(&self, prefix: &str, local: &str) -> Result<Sequence<'d>, XPathError> {
        let separator = if prefix.is_empty() { "" } else { ":" };
        Err(XPathError::UnknownVariable { name: format!("{prefix}{separator}{local}") })
    }

    fn function(
        &self,
        _: &str,
        _: &str,
        local: &str,
        args: &[Sequence<'d>],
    ) -> Option<Result<Sequence<'d>, XPathError>> {
        let href = args.first()?.to_str();
        let document = self.host.document(&href);
        Some(match (local, document) {
            ("doc-available", found) => Ok(found.is_some().into()),
            ("doc", Some(document)) => Ok(Node::shared(document, Document::ROOT).into()),
            _ => Err(XPathError::dynamic("FODC0002", format!("the document {} is not available to queries", &*href))),
        })
    }

    fn global(&self, index: usize) -> Result<Sequence<'d>, XPathError> {
        let Some(variable) = self.query.variables().get(index) else {
            return Err(XPathError::UnknownVariable { name: index.to_string() });
        };
        let state = std::mem::replace(&mut self.globals.borrow_mut()[index], State::Running);
        let value = match state {
            State::Known(value) => value,
            State::Running => {
                let message = format!("the variable ${} depends on itself", variable.name);
                return Err(XPathError::dynamic("XQST0054", message));
            }
            State::Unknown => self.enter(variable.offset, || self.value_of(variable))?,
        };
        self.globals.borrow_mut()[index] = State::Known(value.clone());
        Ok(value)
    }

    fn call(&self, index: usize, args: &[Sequence<'d>]) -> Result<Sequence<'d>, XPathError> {
        let Some(function) = self.query.functions().get(index) else {
            return Err(XPathError::UnknownFunction { name: index.to_string(), arity: args.len() });
        };
        self.enter(function.offset, || function.call(args, self))
    }

    fn built(&self, nodes: u64, bytes: u64) -> Result<(), XPathError> {
        let before = self.nodes.get();
        let (nodes, text) = (before + nodes, self.text.get() + bytes);
        self.nodes.set(nodes);
        self.text.set(text);
        if nodes > MAX_NODES {
            return Err(XPathError::Limit { what: "nodes", cap: MAX_NODES });
        }
        if text > MAX_TEXT {
            return Err(XPathError::Limit { what: "bytes of text", cap: MAX_TEXT });
        }
        if before / 4096 != nodes / 4096 { self.check_time() } else { Ok(()) }
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.host.now()
    }
}
