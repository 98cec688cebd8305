//! Properties by scope, variables, local entries and registry resources.

use mi_message::{Message, Properties};
use rquickjs::prelude::Rest;
use rquickjs::{Ctx, Function, Result, Value};

use super::{Args, Method, arg, name_arg, text_arg, undefined};
use crate::convert;
use crate::host::ask;
use crate::om;
use crate::script::Language;

pub(super) const METHODS: &[(&str, Method)] = &[
    ("getProperty", get),
    ("setProperty", set),
    ("removeProperty", remove),
    ("getPropertyKeySet", keys),
    ("getVariable", get_variable),
    ("setVariable", set_variable),
    ("removeVariable", remove_variable),
    ("getVariableKeySet", variable_keys),
    ("getEntry", get_entry),
    ("getLocalEntry", get_local_entry),
];

/// The properties of a scope that is not `transport`; `None` for a scope that there is not.
fn scope_of<'m>(message: &'m mut Message, scope: &str) -> Option<&'m mut Properties> {
    Some(match scope {
        "default" | "synapse" => &mut message.properties,
        "axis2" => &mut message.axis2,
        "axis2-client" => &mut message.axis2_client,
        "operation" => &mut message.operation,
        "trace" => &mut message.trace,
        _ => return None,
    })
}

/// `getProperty(name)`; a second argument names the scope.
fn get<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let name = name_arg(&ctx, &args, 0, "getProperty")?;
    let scope = text_arg(&ctx, &args, 1)?.unwrap_or_else(|| "default".to_owned());
    let found = ask(&ctx, |running| {
        Ok(match scope.as_str() {
            "transport" => running.message.headers.get(&name).map(mi_message::Value::from),
            scope => scope_of(&mut running.message, scope).and_then(|it| it.get(&name).cloned()),
        })
    })?;
    match found {
        Some(value) => convert::to_js(&ctx, &value),
        None => Ok(Value::new_null(ctx.clone())),
    }
}

/// The value as MI keeps it: a text that is XML becomes an element where no scope (or the default one) is named.
/// MI: `GraalVMJavaScriptMessageContext#setProperty`; Rhino keeps texts.
fn kept<'js>(ctx: &Ctx<'js>, value: &Value<'js>, plain: bool) -> Result<Option<mi_message::Value>> {
    let language = ask(ctx, |running| Ok(running.language))?;
    let value = convert::from_js(ctx, value, language)?;
    if let Some(mi_message::Value::String(text)) = &value
        && !plain
        && language != Language::Rhino
        && text.trim_start().starts_with('<')
        && let Ok(xml) = convert::parse(text)
    {
        return Ok(Some(mi_message::Value::Xml(xml)));
    }
    Ok(value)
}

/// `setProperty(name, value)` or `setProperty(name, value, scope)`. Null leaves the default scope as it is.
fn set<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let name = name_arg(&ctx, &args, 0, "setProperty")?;
    let scope = text_arg(&ctx, &args, 2)?.unwrap_or_else(|| "default".to_owned());
    let value = kept(&ctx, &arg(&ctx, &args, 1), scope != "default")?;
    ask(&ctx, |running| {
        let message = &mut running.message;
        match (scope.as_str(), value) {
            ("transport", Some(value)) => {
                message.headers.remove(&name);
                message.headers.set(name.as_str(), value.to_text().into_owned());
            }
            ("transport", None) => {
                message.headers.remove(&name);
            }
            ("axis2", Some(value)) if name == "messageType" => {
                message.axis2.set("ContentType", value.clone());
                message.headers.remove("Content-Type");
                message.headers.set("Content-Type", value.to_text().into_owned());
                message.axis2.set("messageType", value);
            }
            ("default", None) => {}
            (scope, value) => {
                if let Some(properties) = scope_of(message, scope) {
                    properties.set(name.as_str(), value.unwrap_or(mi_message::Value::Null));
                }
            }
        }
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

/// `removeProperty(name, scope)`.
fn remove<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let name = name_arg(&ctx, &args, 0, "removeProperty")?;
    let scope = text_arg(&ctx, &args, 1)?.unwrap_or_else(|| "default".to_owned());
    ask(&ctx, |running| {
        if scope == "transport" {
            running.message.headers.remove(&name);
        } else if let Some(properties) = scope_of(&mut running.message, &scope) {
            properties.remove(&name);
        }
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

/// The names of properties; removing one from the set removes the property, as in Java.
fn keys<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let names = ask(&ctx, |running| Ok(names_of(&running.message.properties)))?;
    key_set(&ctx, names, remove)
}

fn variable_keys<'js>(ctx: Ctx<'js>, _: Args<'js>) -> Result<Value<'js>> {
    let names = ask(&ctx, |running| Ok(names_of(&running.message.variables)))?;
    key_set(&ctx, names, remove_variable)
}

fn names_of(properties: &Properties) -> Vec<String> {
    properties.iter().map(|(name, _)| name.to_string()).collect()
}

fn key_set<'js>(ctx: &Ctx<'js>, names: Vec<String>, drop: Method) -> Result<Value<'js>> {
    let drop = Function::new(ctx.clone(), move |ctx: Ctx<'js>, name: Value<'js>| drop(ctx, Rest(vec![name])))?;
    om::classes(ctx)?.get::<_, Function<'js>>("keySet")?.call((names, drop))
}

fn get_variable<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let name = name_arg(&ctx, &args, 0, "getVariable")?;
    match ask(&ctx, |running| Ok(running.message.variables.get(&name).cloned()))? {
        Some(value) => convert::to_js(&ctx, &value),
        None => Ok(Value::new_null(ctx.clone())),
    }
}

fn set_variable<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let name = name_arg(&ctx, &args, 0, "setVariable")?;
    let value = kept(&ctx, &arg(&ctx, &args, 1), false)?;
    ask(&ctx, |running| {
        match value {
            Some(value) => running.message.variables.set(name.as_str(), value),
            None => drop(running.message.variables.remove(&name)),
        }
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

fn remove_variable<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let name = name_arg(&ctx, &args, 0, "removeVariable")?;
    ask(&ctx, |running| {
        running.message.variables.remove(&name);
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

/// A local entry, else a resource of the registry.
fn get_entry<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let key = name_arg(&ctx, &args, 0, "getEntry")?;
    let found = ask(&ctx, |running| {
        let lookup = &running.world.lookup;
        Ok(lookup.local_entry(&key).or_else(|| lookup.registry(&key)))
    })?;
    match found {
        Some(value) => convert::to_js(&ctx, &value),
        None => Ok(Value::new_null(ctx.clone())),
    }
}

fn get_local_entry<'js>(ctx: Ctx<'js>, args: Args<'js>) -> Result<Value<'js>> {
    let key = name_arg(&ctx, &args, 0, "getLocalEntry")?;
    match ask(&ctx, |running| Ok(running.world.lookup.local_entry(&key)))? {
        Some(value) => convert::to_js(&ctx, &value),
        None => Ok(Value::new_null(ctx.clone())),
    }
}
