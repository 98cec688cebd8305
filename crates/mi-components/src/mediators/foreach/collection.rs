//! `<foreach collection="…">`: the sequence runs on a copy of the message for each element, in parallel unless told
//! otherwise; the results go back into the collection, or into a variable. MI: `ForEachMediatorV2`.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use mi_config::{Diagnostic, Element};
use mi_engine::build::BuildCx;
use mi_engine::context::{Context, SequenceTarget};
use mi_engine::fault::Fault;
use mi_engine::mediator::{Effect, Flow, Mediator, Sequence};
use mi_expr::jsonpath::{self, JsonPath};
use mi_expr::{Expr, Lookup};
use mi_message::{Message, Native, Value, XmlValue};
use serde_json::Value as Json;
use tokio::task::JoinSet;

use crate::mediators::branch;
use crate::mediators::gather::{self, Finished, ResultType};
use crate::payload;

const LOGGER: &str = "ForEachMediatorV2";

#[derive(Debug)]
struct ForEachCollection(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    collection: Expr,
    place: Place,
    target: SequenceTarget,
    parallel: bool,
    result: Outcome,
    counter: Option<Arc<str>>,
}

#[derive(Debug)]
enum Outcome {
    /// The message goes on without the results.
    Nothing,
    /// The elements are replaced where they came from.
    Original,
    Variable(Arc<str>, ResultType),
}

/// Where the collection stands.
#[derive(Debug)]
enum Place {
    /// In the JSON payload.
    Payload(JsonPath),
    /// In a JSON variable.
    Variable(Arc<str>, JsonPath),
    /// Nodes of the XML payload.
    Nodes(Expr),
    /// Nodes of an XML variable.
    VariableNodes(Arc<str>, Expr),
    /// Somewhere that cannot be written to.
    Unknown,
}

pub(super) fn parse(el: &Element, cx: &mut BuildCx<'_>) -> Result<Box<dyn Mediator>, Diagnostic> {
    cx.report_all(el.unknown_attrs(&[
        "collection",
        "parallel-execution",
        "update-original",
        "target-variable",
        "result-content-type",
        "result-enclosing-element",
        "counter-variable",
        "continue-without-aggregation",
        "version",
        "id",
        "description",
        "statistics",
        "trace",
        "traceFilter",
    ]));
    let collection = el.expr("collection")?.ok_or_else(|| el.error("<foreach> needs the attribute 'collection'"))?;
    let parallel = el.attr("parallel-execution").as_deref() != Some("false");
    let result = if el.attr("continue-without-aggregation").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
        Outcome::Nothing
    } else if el.attr("update-original").as_deref() == Some("false") {
        let name = el.filled_attr("target-variable").ok_or_else(|| {
            el.error("<foreach> needs the attribute 'target-variable' when 'update-original' is 'false'")
        })?;
        Outcome::Variable((&*name).into(), ResultType::parse(el)?)
    } else {
        Outcome::Original
    };
    let counter: Option<Arc<str>> = el.filled_attr("counter-variable").map(|name| (&*name).into());
    if parallel && counter.is_some() {
        let error = el.error("The 'counter-variable' attribute is not allowed when parallel-execution is true");
        return Err(error.hint("add parallel-execution=\"false\""));
    }
    let sequence = el.child("sequence").ok_or_else(|| el.error("<foreach> needs a <sequence>"))?;
    Ok(Box::new(ForEachCollection(Arc::new(Settings {
        place: Place::of(&collection, el),
        collection,
        target: branch::inline(&sequence, cx),
        parallel,
        result,
        counter,
    }))))
}

impl Place {
    /// What an expression means as a place. MI: `ForEachMediatorV2#updateOriginalPayload`.
    fn of(collection: &Expr, el: &Element) -> Self {
        let source = collection.source().trim();
        if let Some(path) = collection.as_json_path() {
            return Self::Payload(path.clone());
        }
        if collection.is_xpath() {
            return Self::Nodes(collection.clone());
        }
        let inside = source.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')).unwrap_or(source).trim();
        if let Some(arguments) = inside.strip_prefix("xpath(").and_then(|rest| rest.strip_suffix(')')) {
            return Self::of_xpath(arguments, el);
        }
        let path = |rest: &str| JsonPath::compile(&format!("${rest}")).ok();
        if let Some(rest) = inside.strip_prefix("payload").or_else(|| inside.strip_prefix('$')) {
            return path(rest).map_or(Self::Unknown, Self::Payload);
        }
        if let Some(rest) = inside.strip_prefix("vars.") {
            let end = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            return path(rest).map_or(Self::Unknown, |path| Self::Variable(name.into(), path));
        }
        Self::Unknown
    }

    /// `'path'` or `'path', 'variable'`.
    fn of_xpath(arguments: &str, el: &Element) -> Self {
        let texts: Vec<&str> = quoted(arguments);
        let Some(path) = texts.first().and_then(|path| Expr::xpath(path, &el.namespaces()).ok()) else {
            return Self::Unknown;
        };
        match texts[1..] {
            [] => Self::Nodes(path),
            [variable] => Self::VariableNodes(variable.into(), path),
            _ => Self::Unknown,
        }
    }
}

/// The texts in quotes of either kind.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = &rest[start..=start];
        let Some(length) = rest[start + 1..].find(quote) else { break };
        found.push(&rest[start + 1..start + 1 + length]);
        rest = &rest[start + length + 2..];
    }
    found
}

/// The elements of a collection.
enum Items {
    Json(Vec<Json>),
    Xml(XmlValue),
}

impl Items {
    fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Xml(value) => value.nodes.len(),
        }
    }

    fn put(&mut self, index: usize, message: &mut Message) {
        match self {
            Self::Json(items) => payload::set_json(message, items[index].take()),
            Self::Xml(value) => payload::set_element(message, &value.document, value.nodes[index]),
        }
    }
}

impl Mediator for ForEachCollection {
    fn reads_body(&self) -> bool {
        true
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let settings = &self.0;
        let items = match settings.collection.eval(&cx.message, &*cx.snapshot)? {
            Value::Json(value) if value.is_array() => match Arc::unwrap_or_clone(value) {
                Json::Array(items) => Items::Json(items),
                _ => Items::Json(Vec::new()),
            },
            Value::Xml(value) => Items::Xml(value),
            _ => {
                let source = settings.collection.source();
                return Err(Fault::new(format!("Expression {source} did not resolve to a valid array")));
            }
        };
        if items.len() == 0 {
            log::info!(
                target: LOGGER,
                "{}No elements found for the expression : {}", cx.artifact.log_prefix, settings.collection.source()
            );
            return Ok(Flow::Next);
        }
        let sequence = cx.resolve(&settings.target)?;
        let template = payload::copy_without_body(&cx.message);
        let count = items.len();
        let parts = Parts { template: cx.fork(template), items, next: 0, count, counter: settings.counter.clone() };
        let run = Run { settings: settings.clone(), parts, sequence };
        if matches!(settings.result, Outcome::Nothing) && settings.parallel {
            tokio::spawn(run.finish());
            return Ok(Flow::Next);
        }
        if !matches!(settings.result, Outcome::Nothing) {
            cx.exchange.note_send();
        }
        Ok(Flow::wait(run))
    }
}

struct Parts {
    template: Context,
    items: Items,
    next: usize,
    count: usize,
    counter: Option<Arc<str>>,
}

impl Iterator for Parts {
    type Item = (usize, Context);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.count {
            return None;
        }
        let index = self.next;
        self.next += 1;
        let mut part = self.template.fork(self.template.message.copy());
        part.message.addressing.message_id = Some(self.template.snapshot.new_id());
        self.items.put(index, &mut part.message);
        if let Some(counter) = &self.counter {
            part.message.variables.set(counter.clone(), index as i32);
        }
        Some((index, part))
    }
}

struct Run {
    settings: Arc<Settings>,
    parts: Parts,
    sequence: Arc<Sequence>,
}

impl Run {
    /// Runs all parts; their messages in the order of the elements.
    async fn finish(self) -> Vec<Option<Message>> {
        let _running = self.parts.template.snapshot.services.begin_flow();
        let mut messages: Vec<Option<Message>> = std::iter::repeat_with(|| None).take(self.parts.count).collect();
        let limit = if self.settings.parallel { gather::MAX_PARALLEL } else { 1 };
        let mut running = JoinSet::new();
        let mut keep = |finished: Result<Finished, tokio::task::JoinError>| {
            if let Ok(finished) = finished {
                messages[finished.index] = finished.message;
            }
        };
        for (index, part) in self.parts {
            while running.len() >= limit {
                match running.join_next().await {
                    Some(finished) => keep(finished),
                    None => break,
                }
            }
            running.spawn(gather::run(part, index, self.sequence.clone(), LOGGER));
        }
        while let Some(finished) = running.join_next().await {
            keep(finished);
        }
        messages
    }
}

impl Effect for Run {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let settings = self.settings.clone();
            let messages = self.finish().await;
            if matches!(settings.result, Outcome::Nothing) {
                return Ok(Flow::Next);
            }
            // MI waits for ever for a part that failed or was dropped, and the message goes nowhere.
            let Some(messages) = messages.into_iter().collect::<Option<Vec<Message>>>() else {
                return Ok(Flow::End);
            };
            settings.take(&messages, &mut cx.message)?;
            Ok(Flow::Next)
        })
    }
}

impl Settings {
    fn take(&self, results: &[Message], message: &mut Message) -> Result<(), Fault> {
        let as_json = || Json::Array(results.iter().map(gather::json_payload).collect());
        let as_xml = || results.iter().filter_map(gather::xml_payload).collect::<Vec<_>>();
        match (&self.result, &self.place) {
            (Outcome::Nothing, _) => {}
            (Outcome::Variable(name, ResultType::Json), _) => message.variables.set(name.clone(), as_json()),
            (Outcome::Variable(name, ResultType::Xml(root)), _) => {
                let value = gather::enclosed(root, &as_xml());
                message.variables.set(name.clone(), Value::Xml(value));
            }
            (Outcome::Original, Place::Payload(path)) => {
                let mut root = (**message.body.json()?).clone();
                set_all(path, &mut root, &as_json());
                payload::set_json(message, root);
            }
            (Outcome::Original, Place::Variable(name, path)) => {
                let value = match message.variables.get(name) {
                    Some(Value::Json(root)) => {
                        let mut root = (**root).clone();
                        set_all(path, &mut root, &as_json());
                        root.into()
                    }
                    _ => Value::from(as_json()),
                };
                message.variables.set(name.clone(), value);
            }
            (Outcome::Original, Place::Nodes(path)) => replace_nodes(path, &as_xml(), message)?,
            (Outcome::Original, Place::VariableNodes(name, path)) => {
                if let Some(Value::Xml(root)) = message.variables.get(name) {
                    let changed = with_nodes_replaced(root, path, &as_xml())?;
                    message.variables.set(name.clone(), Value::Xml(changed));
                }
            }
            (Outcome::Original, Place::Unknown) => {
                return Err(Fault::new(format!(
                    "the results cannot be put back: {} is no place in the payload or a variable",
                    self.collection.source()
                )));
            }
        }
        Ok(())
    }
}

fn set_all(path: &JsonPath, root: &mut Json, value: &Json) {
    for place in path.locations(root) {
        jsonpath::set(root, &place, value.clone());
    }
}

/// The nodes go, and the results are put behind what else their parent holds.
fn replace_nodes(path: &Expr, results: &[XmlValue], message: &mut Message) -> Result<(), Fault> {
    let nodes = path.eval_nodes(message, &mi_expr::NoLookup)?;
    let document = message.body.envelope_mut()?.document_mut();
    let Some(parent) = nodes.first().and_then(|node| document.parent(*node)) else { return Ok(()) };
    for node in nodes {
        document.detach(node);
    }
    for result in results {
        for node in &result.nodes {
            let copy = document.import(&result.document, *node);
            document.append_child(parent, copy);
        }
    }
    Ok(())
}

/// The same in a variable, which is put into a message of its own for that.
fn with_nodes_replaced(root: &XmlValue, path: &Expr, results: &[XmlValue]) -> Result<XmlValue, Fault> {
    let Some(node) = root.nodes.first() else { return Ok(root.clone()) };
    let mut message = Message::new();
    payload::set_element(&mut message, &root.document, *node);
    replace_nodes(path, results, &mut message)?;
    match message.body.native()? {
        Native::Xml(envelope) => Ok(envelope
            .payload()
            .map_or_else(|| root.clone(), |changed| XmlValue::copy_of(envelope.document(), changed))),
        _ => Ok(root.clone()),
    }
}
