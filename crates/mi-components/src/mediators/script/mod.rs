//! `<script>` runs JavaScript on the message, inline or from local entries and the registry. The value `false` ends the
//! flow; with `target` it becomes the payload or a variable.
//!
//! The language and `mc` are in `mi-script`. What stands here: reading the element, finding sources by key, and where a
//! run takes place. A script that has been quick runs at once; one that is new or slow runs on a thread that may be held
//! up.

mod config;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use mi_engine::context::Context;
use mi_engine::fault::Fault;
use mi_engine::flow;
use mi_engine::mediator::{Effect, Flow, Mediator};
use mi_engine::spec::MediatorSpec;
use mi_expr::{Dynamic, Expr};
use mi_message::{Message, Value};
use mi_script::{Language, Limits, Outcome, Pace, Script, ScriptError, SyntaxError, World};

use crate::resource::{Cached, Reader};
use crate::scripting;
use crate::typed::DataType;

pub(super) const SPEC: MediatorSpec = MediatorSpec::new("script", config::parse).attributes(&[
    "language",
    "key",
    "function",
    "target",
    "target-variable",
]);

/// MI: `ScriptMediator`.
#[derive(Debug)]
struct ScriptMediator(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    /// As configured, for messages.
    language_name: String,
    language: Language,
    source: Source,
    arguments: Vec<Argument>,
    target: Option<Target>,
    limits: Limits,
}

#[derive(Debug)]
enum Source {
    Inline(Script),
    Keyed(Keyed),
}

/// A script in the registry or a local entry, with those that it includes.
#[derive(Debug)]
struct Keyed {
    key: Dynamic,
    /// The key as MI prints it.
    shown: String,
    includes: Vec<Dynamic>,
    function: String,
    /// What came of the sources, errors too.
    compiled: Cached<Result<Script, String>>,
}

/// An argument behind `mc`.
#[derive(Debug)]
enum Argument {
    Fixed(Value),
    Evaluated(Expr, Option<DataType>),
}

/// Where the value of the script goes.
#[derive(Debug)]
enum Target {
    Body,
    Variable(Arc<str>),
    None,
}

impl Mediator for ScriptMediator {
    fn reads_body(&self) -> bool {
        let arguments =
            self.0.arguments.iter().any(|it| matches!(it, Argument::Evaluated(expr, _) if expr.reads_body()));
        arguments
            || match &self.0.source {
                Source::Inline(script) => script.reads_body(),
                // The script says so itself once it is known.
                Source::Keyed(keyed) => keyed.key.reads_body() || keyed.includes.iter().any(Dynamic::reads_body),
            }
    }

    fn mediate(&self, cx: &mut Context) -> Result<Flow, Fault> {
        let script = self.0.script(cx)?;
        if let Some(time) = script.pause() {
            return Ok(Flow::wait(Pause(time)));
        }
        if script.reads_body() && !cx.message.body.is_built() {
            return Ok(Flow::wait(Built { settings: self.0.clone(), script }));
        }
        self.0.start(script, cx)
    }
}

impl Settings {
    /// The script as its source stands now.
    fn script(&self, cx: &Context) -> Result<Script, Fault> {
        let keyed = match &self.source {
            Source::Inline(script) => return Ok(script.clone()),
            Source::Keyed(keyed) => keyed,
        };
        let mut keys = vec![keyed.key.eval_string(&cx.message, &*cx.snapshot)?];
        for include in &keyed.includes {
            keys.push(include.eval_string(&cx.message, &*cx.snapshot)?);
        }
        let name: Arc<str> = if let [key] = keys.as_slice() { key.clone() } else { keys.join("\n").into() };
        let compiled = keyed
            .compiled
            .get(&name, &cx.snapshot, |reader| Ok::<_, Fault>(compile(keyed, &keys, reader, self.language)))?;
        (*compiled).clone().map_err(|reason| self.fault(&reason, cx))
    }

    /// Runs a script whose message is ready for it.
    fn start(self: &Arc<Self>, script: Script, cx: &mut Context) -> Result<Flow, Fault> {
        if script.pace() == Pace::Slow {
            return Ok(Flow::wait(Apart { settings: self.clone(), script }));
        }
        let arguments = self.arguments(cx)?;
        let world = world(cx);
        let message = std::mem::take(&mut *cx.message);
        let outcome = mi_script::run(&script, message, world, &arguments, self.limits);
        self.finish(outcome, cx)
    }

    fn arguments(&self, cx: &Context) -> Result<Vec<Value>, Fault> {
        self.arguments
            .iter()
            .map(|argument| match argument {
                Argument::Fixed(value) => Ok(value.clone()),
                Argument::Evaluated(expr, data_type) => super::variable::evaluate(expr, *data_type, cx),
            })
            .collect()
    }

    /// Puts the message back, and looks at the value. MI: `ScriptMediator#invokeScript`.
    fn finish(&self, outcome: Outcome, cx: &mut Context) -> Result<Flow, Fault> {
        *cx.message = outcome.message;
        let value = outcome.result.map_err(|error| self.failed(&error, cx))?;
        match &self.target {
            None if matches!(value, Value::Bool(false)) => Ok(Flow::End),
            None | Some(Target::None) => Ok(Flow::Next),
            Some(target) => {
                target.set(value, &mut cx.message).map_err(|reason| self.fault(reason, cx))?;
                Ok(Flow::Next)
            }
        }
    }

    /// A fault in MI's words; the reason is in the log and in `ERROR_DETAIL`.
    fn failed(&self, error: &ScriptError, cx: &Context) -> Fault {
        match error {
            ScriptError::MissingFunction(function) => {
                let key = self.key();
                let text = format!(
                    "The script engine returned a NoSuchMethodException executing the external {} script : {key} \
                     function {function}",
                    self.language_name
                );
                self.report(text, &error.to_string(), cx)
            }
            other => self.fault(&other.to_string(), cx),
        }
    }

    fn fault(&self, reason: &str, cx: &Context) -> Fault {
        let text = match &self.source {
            Source::Inline(_) => format!(
                "The script engine returned an error executing the inlined {} script function mediate",
                self.language_name
            ),
            Source::Keyed(keyed) => format!(
                "The script engine returned an error executing the external {} script : {} function {}",
                self.language_name, keyed.shown, keyed.function
            ),
        };
        self.report(text, reason, cx)
    }

    fn key(&self) -> &str {
        match &self.source {
            Source::Inline(_) => "",
            Source::Keyed(keyed) => &keyed.shown,
        }
    }

    fn report(&self, text: String, reason: &str, cx: &Context) -> Fault {
        log::error!(target: "ScriptMediator", "{}{text}: {reason}", cx.artifact.log_prefix);
        let mut fault = Fault::new(text);
        fault.detail = format!("{} Caused by: {reason}", fault.detail);
        fault
    }
}

/// Compiles the sources behind keys.
fn compile(keyed: &Keyed, keys: &[Arc<str>], reader: &Reader, language: Language) -> Result<Script, String> {
    let mut sources = Vec::new();
    for key in keys {
        sources.push(scripting::source(reader, key).ok_or_else(|| format!("there is no script with the key {key}"))?);
    }
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    Script::function(&sources, &keyed.function, language).map_err(|error| {
        let SyntaxError { message, source_index, line, column } = error;
        let key = keys.get(source_index).map_or("", |key| &**key);
        format!("{key}:{line}:{column}: {message}")
    })
}

fn world(cx: &Context) -> World {
    World { lookup: cx.snapshot.clone(), log_prefix: cx.artifact.log_prefix.clone() }
}

impl Target {
    /// MI: `v2.Utils#setResultTarget`, which takes text for the payload as JSON.
    fn set(&self, value: Value, message: &mut Message) -> Result<(), &'static str> {
        match (self, value) {
            (_, Value::Null) => Err("Return object is null. Cannot set null object to the target"),
            (Self::Variable(name), value) => {
                message.variables.set(name.clone(), value);
                Ok(())
            }
            (_, Value::Xml(xml)) => {
                if let Some(node) = xml.nodes.first() {
                    crate::payload::set_element(message, &xml.document, *node);
                }
                Ok(())
            }
            (_, Value::Json(json)) => {
                crate::payload::set_json(message, (*json).clone());
                Ok(())
            }
            (_, other) => {
                crate::payload::set_json_text(message, other.to_text().into_owned());
                Ok(())
            }
        }
    }
}

/// `java.lang.Thread.sleep(…)` and nothing else: the flow waits, no thread does.
struct Pause(Duration);

impl Effect for Pause {
    fn perform(self: Box<Self>, _cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            tokio::time::sleep(self.0).await;
            Ok(Flow::Next)
        })
    }
}

/// The payload is read first.
struct Built {
    settings: Arc<Settings>,
    script: Script,
}

impl Effect for Built {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            flow::build_body(cx).await?;
            self.settings.start(self.script, cx)
        })
    }
}

/// The script runs on a thread that may be held up.
struct Apart {
    settings: Arc<Settings>,
    script: Script,
}

impl Effect for Apart {
    fn perform(self: Box<Self>, cx: &mut Context) -> BoxFuture<'_, Result<Flow, Fault>> {
        Box::pin(async move {
            let Self { settings, script } = *self;
            let arguments = settings.arguments(cx)?;
            let world = world(cx);
            let rest = scripting::without_payload(cx);
            let message = std::mem::replace(&mut *cx.message, rest);
            let limits = settings.limits;
            let sleeps = script.sleeps();
            let run = move || mi_script::run(&script, message, world, &arguments, limits);
            let outcome =
                scripting::apart(limits, sleeps, run).await.map_err(|fault| settings.fault(&fault.message, cx))?;
            settings.finish(outcome, cx)
        })
    }
}
