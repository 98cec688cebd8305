//! Running a plan.
//!
//! A [`Run`] is one transformation: where output goes (`build.rs`), variables, keys, counters. Instructions are in
//! `exec.rs` and its neighbours; they recurse with the stylesheet and its calls. What calls use of the stack is
//! measured: a transformation that needs more than a caller's thread can be expected to have is run again on a thread
//! with a large one, and one that exhausts that is stopped.

mod apply;
mod build;
mod changed;
mod construct;
mod edits;
mod exec;
mod flow;
pub(crate) mod functions;
mod group;
mod keys;
mod matching;
mod numbering;
mod sort;
mod space;
mod variables;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use mi_expr::xpath::{Context, DocRef, Item, Node, Sequence, TreeBuilder, XPathError};
use mi_xml::{Document, NodeId};

use crate::error::{TransformError, TransformErrorKind};
use crate::expr::Expr;
use crate::limits::{INLINE_STACK, LARGE_STACK, MAX_DEPTH, MAX_MESSAGES, MAX_NODES, MAX_STEPS, MAX_TEXT, USABLE_STACK};
use crate::output::{Method, Output, OutputSettings};
use crate::plan::{Key, Place, Plan};
use crate::{Host, Start};

use build::Destination;
use flow::Control;
use functions::View;
use group::Group;
use variables::GlobalState;

pub(crate) type Outcome<T> = Result<T, TransformError>;

/// Values of tunnel parameters.
type Tunnel<'s, 'd> = Rc<Vec<(&'s str, Sequence<'d>)>>;

/// What an instruction runs in.
#[derive(Clone)]
pub(crate) struct Cx<'s, 'd> {
    focus: Context<'d>,
    mode: usize,
    /// The rule that is running, for `xsl:next-match` and `xsl:apply-imports`.
    rule: Option<usize>,
    group: Option<Rc<Group<'d>>>,
    captures: Option<Rc<Vec<String>>>,
    tunnel: Option<Tunnel<'s, 'd>>,
}

impl<'d> Cx<'_, 'd> {
    fn new(item: Option<Item<'d>>) -> Self {
        let focus = Context { item, position: 1, size: 1 };
        Self { focus, mode: 0, rule: None, group: None, captures: None, tunnel: None }
    }

    fn at(&self, item: Item<'d>, position: usize, size: usize) -> Self {
        Self { focus: Context { item: Some(item), position, size }, ..self.clone() }
    }

    fn node(&self) -> Option<&Node<'d>> {
        match &self.focus.item {
            Some(Item::Node(node)) => Some(node),
            _ => None,
        }
    }
}

type KeyIndex = Rc<HashMap<String, Vec<NodeId>>>;

/// One transformation.
pub(crate) struct Run<'s, 'd> {
    plan: &'s Plan,
    host: &'s dyn Host,
    /// The source: what global variables are evaluated on.
    source: Node<'d>,
    has_source: bool,
    params: &'s [(&'s str, Sequence<'d>)],
    out: RefCell<Vec<Destination<'d>>>,
    locals: RefCell<Vec<(&'s str, Sequence<'d>)>>,
    /// Where the locals of the running template start.
    base: Cell<usize>,
    globals: RefCell<Vec<GlobalState<'d>>>,
    /// Indexes of keys by name, each with its document kept alive.
    keys: RefCell<Vec<(Key, DocRef<'d>, KeyIndex)>>,
    documents: RefCell<HashMap<String, Arc<Document>>>,
    regexes: RefCell<HashMap<(String, String), Rc<mi_expr::xpath::Regex>>>,
    messages: RefCell<Vec<String>>,
    /// What the body of an `xsl:iterate` asked for.
    control: RefCell<Option<Control<'s, 'd>>>,
    /// How many values are being made; results can be written where there are none.
    temporary: Cell<u32>,
    results: RefCell<Vec<(String, Output)>>,
    /// Settings of an `xsl:result-document` that writes the main result.
    main_settings: RefCell<Option<OutputSettings>>,
    /// An error of a function of the stylesheet on its way through an expression.
    failure: RefCell<Option<TransformError>>,
    steps: Cell<u64>,
    nodes: Cell<u64>,
    text: Cell<u64>,
    depth: Cell<u32>,
    stack_start: usize,
    stack_limit: usize,
}

/// Runs a plan; see [`crate::Stylesheet::transform`].
pub(crate) fn transform(
    plan: &Plan,
    source: Option<(&Document, NodeId)>,
    start: Start<'_>,
    params: &[(&str, Sequence<'_>)],
    host: &dyn Host,
) -> Outcome<Output> {
    let Some((document, root)) = source else {
        let empty = Document::new();
        return on_stack(&Task { plan, start, has_source: false, host }, &empty, Document::ROOT, params);
    };
    let task = Task { plan, start, has_source: true, host };
    match space::prepare(plan, document, root) {
        Some(own) => on_stack(&task, &own, Document::ROOT, params),
        None => on_stack(&task, document, root, params),
    }
}

/// What is to be run, without the document.
struct Task<'t> {
    plan: &'t Plan,
    start: Start<'t>,
    has_source: bool,
    host: &'t dyn Host,
}

fn on_stack<'d>(
    task: &Task<'_>,
    document: &'d Document,
    root: NodeId,
    params: &[(&str, Sequence<'d>)],
) -> Outcome<Output> {
    let (result, messages) = run(task, document, root, params, INLINE_STACK);
    let (result, messages) = match result {
        Err(error) if error.kind == TransformErrorKind::Stack => {
            on_large_stack(|| run(task, document, root, params, USABLE_STACK))?
        }
        result => (result, messages),
    };
    for message in messages {
        task.host.message(&message);
    }
    result.map_err(|error| match error.kind {
        TransformErrorKind::Stack => {
            let message = "templates and functions call each other too deeply; is there an end to the recursion?";
            TransformError { kind: TransformErrorKind::Limit, message: message.to_owned(), ..error }
        }
        _ => error,
    })
}

pub(crate) fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Outcome<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("xslt".to_owned()).stack_size(LARGE_STACK);
        let failed =
            || TransformError::new(TransformErrorKind::Limit, "there is no memory for the stack of the transformation");
        let handle = thread.spawn_scoped(scope, work).map_err(|_| failed())?;
        handle.join().map_err(|_| failed())
    })
}

fn run<'d>(
    task: &Task<'_>,
    document: &'d Document,
    root: NodeId,
    params: &[(&str, Sequence<'d>)],
    stack_limit: usize,
) -> (Outcome<Output>, Vec<String>) {
    let marker = 0_u8;
    let run = Run {
        plan: task.plan,
        host: task.host,
        source: Node::new(document, root),
        has_source: task.has_source,
        params,
        out: RefCell::new(vec![Destination::Tree(Box::new(TreeBuilder::new()))]),
        locals: RefCell::new(Vec::new()),
        base: Cell::new(0),
        globals: RefCell::new(task.plan.globals.iter().map(|_| GlobalState::Unknown).collect()),
        keys: RefCell::new(Vec::new()),
        documents: RefCell::new(HashMap::new()),
        regexes: RefCell::new(HashMap::new()),
        messages: RefCell::new(Vec::new()),
        control: RefCell::new(None),
        temporary: Cell::new(0),
        results: RefCell::new(Vec::new()),
        main_settings: RefCell::new(None),
        failure: RefCell::new(None),
        steps: Cell::new(0),
        nodes: Cell::new(0),
        text: Cell::new(0),
        depth: Cell::new(0),
        stack_start: std::ptr::from_ref(&marker).addr(),
        stack_limit,
    };
    let result = run.all(task.start);
    let messages = run.messages.take();
    (result, messages)
}

/// A result with the method that its settings or its root ask for; XHTML is unknown to stylesheets of version 1.0.
fn output_of(document: Document, raw: HashSet<NodeId>, settings: OutputSettings, old: bool) -> Output {
    let method = settings.method.unwrap_or_else(|| {
        let html = document.root_element().is_some_and(|root| {
            document.namespace(root).is_empty() && document.local_name(root).eq_ignore_ascii_case("html")
        });
        let xhtml =
            document.root_element().is_some_and(|root| document.has_name(root, "http://www.w3.org/1999/xhtml", "html"));
        match (html, xhtml) {
            (true, _) => Method::Html,
            (_, true) if !old => Method::Xhtml,
            _ => Method::Xml,
        }
    });
    Output { document, method, others: Vec::new(), settings, raw }
}

impl<'s, 'd> Run<'s, 'd> {
    fn all(&self, start: Start<'_>) -> Outcome<Output> {
        for at in 0..self.plan.globals.len() {
            self.global(at)?;
        }
        let mut cx = Cx::new(self.initial_item());
        if let Some(mode) = start.mode {
            let found = self.plan.mode_names.get(mode);
            let missing = || TransformError::dynamic(format!("there is no mode {mode} (XTDE0045)"));
            cx.mode = *found.ok_or_else(missing)?;
        }
        match start.template {
            Some(name) => {
                let found = self.plan.named.get(name);
                let missing = || TransformError::dynamic(format!("there is no template named {name} (XTDE0040)"));
                self.run_template(*found.ok_or_else(missing)?, &[], &cx)?;
            }
            None if cx.focus.item.is_none() => {
                let message = "there is neither a source nor a template to start from (XTDE0040)";
                return Err(TransformError::dynamic(message));
            }
            None => {
                let edited = if start.mode.is_none() { self.edited(&cx)? } else { None };
                if let Some(document) = edited {
                    return Ok(output_of(document, HashSet::new(), self.plan.output.clone(), self.plan.is_old));
                }
                self.apply_one(&cx, &[])?;
            }
        }
        let tree = match self.out.borrow_mut().pop() {
            Some(Destination::Tree(tree)) => tree,
            _ => Box::new(TreeBuilder::new()),
        };
        let (document, raw) = tree.finish();
        let settings = self.main_settings.take().unwrap_or_else(|| self.plan.output.clone());
        let mut output = output_of(document, raw, settings, self.plan.is_old);
        output.others = self.results.take();
        Ok(output)
    }

    /// What the transformation starts on.
    fn initial_item(&self) -> Option<Item<'d>> {
        self.has_source.then(|| Item::Node(self.source.clone()))
    }

    // === expressions ===

    /// The error of an expression with its place.
    fn at_place(&self, error: XPathError, place: Place) -> TransformError {
        if let Some(failure) = self.failure.borrow_mut().take() {
            return failure;
        }
        let kind = match &error {
            XPathError::Limit { .. } => TransformErrorKind::Limit,
            _ => TransformErrorKind::Dynamic,
        };
        self.placed(TransformError::new(kind, error.to_string()), place)
    }

    fn placed(&self, mut error: TransformError, place: Place) -> TransformError {
        if !error.has_place() {
            error.stylesheet = self.plan.sheets.get(place.sheet as usize).cloned().unwrap_or_default();
            error.line = place.line;
            error.column = place.column;
        }
        error
    }

    fn eval(&self, expr: &'s Expr, cx: &Cx<'s, 'd>) -> Outcome<Sequence<'d>> {
        expr.xpath.evaluate_in(&cx.focus, &View { run: self, cx }).map_err(|error| self.at_place(error, expr.place))
    }

    fn eval_boolean(&self, expr: &'s Expr, cx: &Cx<'s, 'd>) -> Outcome<bool> {
        expr.xpath
            .evaluate_boolean(&cx.focus, &View { run: self, cx })
            .map_err(|error| self.at_place(error, expr.place))
    }

    fn eval_string(&self, expr: &'s Expr, cx: &Cx<'s, 'd>) -> Outcome<String> {
        let text = expr.xpath.evaluate_string(&cx.focus, &View { run: self, cx });
        text.map(|text| text.into_string()).map_err(|error| self.at_place(error, expr.place))
    }

    // === counters ===

    /// Counts one instruction.
    fn step(&self) -> Outcome<()> {
        let steps = self.steps.get() + 1;
        self.steps.set(steps);
        if steps > MAX_STEPS {
            return Err(TransformError::limit("instructions", MAX_STEPS));
        }
        if steps.is_multiple_of(4096) && self.host.expired() {
            return Err(TransformError::new(TransformErrorKind::Limit, "the transformation takes too long"));
        }
        Ok(())
    }

    fn charge_nodes(&self, count: u64) -> Outcome<()> {
        let nodes = self.nodes.get() + count;
        self.nodes.set(nodes);
        if nodes > MAX_NODES { Err(TransformError::limit("nodes", MAX_NODES)) } else { Ok(()) }
    }

    fn charge_text(&self, len: usize) -> Outcome<()> {
        let text = self.text.get() + len as u64;
        self.text.set(text);
        if text > MAX_TEXT { Err(TransformError::limit("bytes of text", MAX_TEXT)) } else { Ok(()) }
    }

    /// Enters a template or function, unless that is too deep.
    fn enter<T>(&self, inner: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let marker = 0_u8;
        let used = self.stack_start.abs_diff(std::ptr::from_ref(&marker).addr());
        if used > self.stack_limit {
            return Err(TransformError::new(TransformErrorKind::Stack, "more stack is needed"));
        }
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(TransformError::limit("nested calls of templates and functions", u64::from(MAX_DEPTH)));
        }
        self.depth.set(depth);
        let result = inner();
        self.depth.set(depth - 1);
        result
    }

    fn say(&self, text: String) {
        let mut messages = self.messages.borrow_mut();
        if messages.len() < MAX_MESSAGES {
            messages.push(text);
        }
    }
}
