//! The object `mc`: MI's message context for scripts. One table of methods; a new object for every run, so that what a
//! script hangs on it is gone with the run.
//!
//! MI: `ScriptMessageContext` and its four implementations, `Axis2MessageContext` for what they hand on.

mod addressing;
mod payload;
mod property;
mod switches;

use log::Level;
use rquickjs::object::{Accessor, Property};
use rquickjs::prelude::Rest;
use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use crate::convert;
use crate::host::ask;
use crate::script::Language;

/// Arguments of a call.
type Args<'js> = Rest<Value<'js>>;
/// A method of `mc`.
type Method = for<'js> fn(Ctx<'js>, Args<'js>) -> Result<Value<'js>>;

/// Where the prototype of `mc` is kept.
const PROTOTYPE: &str = "__mc";
/// Where a run keeps the JSON object that `getPayloadJSON` gives, so that it is the same one each time.
const JSON_OBJECT: &str = "__json";

/// Methods that belong to MI's inner life. They throw, and say so.
const ABSENT: &[&str] = &[
    "getConfiguration",
    "setConfiguration",
    "getEnvironment",
    "setEnvironment",
    "getContextEntries",
    "setContextEntries",
    "getMainSequence",
    "getFaultSequence",
    "getSequence",
    "getFormat",
    "getEndpoint",
    "getSequenceTemplate",
    "getDefaultConfiguration",
    "getFaultStack",
    "pushFaultHandler",
    "pushContinuationState",
    "getContinuationStateStack",
    "restoreContinuationStateStack",
    "setEnvelope",
];

/// Methods with `get` that need an argument, and so are no properties.
const KEYED: &[&str] =
    &["getProperty", "getEntry", "getLocalEntry", "getVariable", "getXpathResult", "getParsedOMElement"];

/// Prepares an engine: the prototype of `mc`, and what scripts find among the global names.
pub(crate) fn install(ctx: &Ctx<'_>, language: Language, uses_java: bool) -> Result<()> {
    let prototype = Object::new(ctx.clone())?;
    for table in [payload::METHODS, property::METHODS, addressing::METHODS, switches::METHODS] {
        for (name, method) in table {
            prototype.prop(*name, Property::from(Function::new(ctx.clone(), *method)?))?;
            if let Some(member) = bean_name(name) {
                let setter = format!("set{}", name.trim_start_matches("get").trim_start_matches("is"));
                let write = table.iter().find(|(known, _)| *known == setter).map(|(_, method)| *method);
                bean(&prototype, &member, *method, write)?;
            }
        }
    }
    for name in ABSENT {
        let absent = move |ctx: Ctx<'_>| -> Result<()> {
            Err(Exception::throw_type(&ctx, &format!("mc.{name}() is not available in scripts of this server")))
        };
        prototype.prop(*name, Property::from(Function::new(ctx.clone(), absent)?))?;
    }
    let globals = ctx.globals();
    globals.prop(PROTOTYPE, Property::from(prototype))?;
    globals.prop("print", Property::from(Function::new(ctx.clone(), print)?).writable().configurable())?;
    globals.prop("println", Property::from(Function::new(ctx.clone(), print)?).writable().configurable())?;
    globals.prop("console", Property::from(logger(ctx, language)?).writable().configurable())?;
    if language != Language::Js {
        crate::om::java_strings(ctx)?;
    } else if uses_java {
        crate::om::classes(ctx)?;
    }
    Ok(())
}

/// The name of the property that stands for a getter. MI: `java.beans.Introspector#decapitalize`.
fn bean_name(method: &str) -> Option<String> {
    let rest = method.strip_prefix("get").or_else(|| method.strip_prefix("is")).filter(|_| !KEYED.contains(&method))?;
    let mut letters = rest.chars();
    let first = letters.next()?;
    let acronym = letters.clone().next().is_some_and(char::is_uppercase);
    Some(if acronym { rest.to_owned() } else { first.to_lowercase().chain(letters).collect() })
}

fn bean<'js>(prototype: &Object<'js>, member: &str, read: Method, write: Option<Method>) -> Result<()> {
    let get = move |ctx: Ctx<'js>| read(ctx, Rest(Vec::new()));
    match write {
        Some(write) => {
            let set = move |ctx: Ctx<'js>, value: Value<'js>| write(ctx, Rest(vec![value])).map(drop);
            prototype.prop(member, Accessor::new(get, set))
        }
        None => prototype.prop(member, Accessor::from(get)),
    }
}

/// The `mc` of one run.
pub(crate) fn message_object<'js>(ctx: &Ctx<'js>) -> Result<Object<'js>> {
    let globals = ctx.globals();
    let prototype: Object<'js> = globals.get(PROTOTYPE)?;
    globals.prop(JSON_OBJECT, Property::from(Value::new_undefined(ctx.clone())).configurable())?;
    Object::new_proto(ctx.clone(), Some(&prototype))
}

/// Drops what a run kept in the engine.
pub(crate) fn forget(ctx: &Ctx<'_>) -> Result<()> {
    ctx.globals().remove(JSON_OBJECT)
}

fn undefined<'js>(ctx: &Ctx<'js>) -> Value<'js> {
    Value::new_undefined(ctx.clone())
}

/// The argument at `at`; undefined when there are fewer.
fn arg<'js>(ctx: &Ctx<'js>, args: &Args<'js>, at: usize) -> Value<'js> {
    args.0.get(at).cloned().unwrap_or_else(|| undefined(ctx))
}

/// The argument at `at` as text; `None` for undefined and null.
fn text_arg<'js>(ctx: &Ctx<'js>, args: &Args<'js>, at: usize) -> Result<Option<String>> {
    match args.0.get(at) {
        None => Ok(None),
        Some(value) if value.is_undefined() || value.is_null() => Ok(None),
        Some(value) => convert::printed(ctx, value).map(Some),
    }
}

/// The argument at `at` as text, which must be there.
fn name_arg<'js>(ctx: &Ctx<'js>, args: &Args<'js>, at: usize, method: &str) -> Result<String> {
    let missing = || Exception::throw_type(ctx, &format!("mc.{method}() needs a name"));
    text_arg(ctx, args, at)?.ok_or_else(missing)
}

/// Truth as JavaScript has it.
fn truth(value: &Value<'_>) -> bool {
    match (value.as_bool(), value.as_number()) {
        (Some(value), _) => value,
        (None, Some(number)) => number != 0.0 && !number.is_nan(),
        _ if value.is_string() => {
            value.as_string().and_then(|text| text.to_string().ok()).is_some_and(|text| !text.is_empty())
        }
        _ => !(value.is_undefined() || value.is_null()),
    }
}

// === log ===

fn print<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<()> {
    let language = ask(&ctx, |running| Ok(running.language))?;
    write_log(&ctx, language, Level::Info, &args)
}

fn write_log<'js>(ctx: &Ctx<'js>, language: Language, level: Level, args: &Args<'js>) -> Result<()> {
    if level > log::max_level() {
        return Ok(());
    }
    let mut line = String::new();
    for value in &args.0 {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&convert::printed(ctx, value)?);
    }
    let prefix = ask(ctx, |running| Ok(running.world.log_prefix.clone()))?;
    log::log!(target: language.logger(), level, "{prefix}{line}");
    Ok(())
}

/// What `mc.getServiceLog()` gives: the methods of commons-logging.
fn logger<'js>(ctx: &Ctx<'js>, language: Language) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    let levels = [
        ("trace", Level::Trace, "isTraceEnabled"),
        ("debug", Level::Debug, "isDebugEnabled"),
        ("info", Level::Info, "isInfoEnabled"),
        ("log", Level::Info, ""),
        ("warn", Level::Warn, "isWarnEnabled"),
        ("error", Level::Error, "isErrorEnabled"),
        ("fatal", Level::Error, "isFatalEnabled"),
    ];
    for (name, level, question) in levels {
        let write = move |ctx: Ctx<'js>, args: Args<'js>| write_log(&ctx, language, level, &args);
        object.set(name, Function::new(ctx.clone(), write)?)?;
        if !question.is_empty() {
            let enabled = move || log::log_enabled!(target: language.logger(), level);
            object.set(question, Function::new(ctx.clone(), enabled)?)?;
        }
    }
    Ok(object)
}
