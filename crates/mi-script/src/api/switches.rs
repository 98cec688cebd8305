//! What kind of message it is, and the log.

use mi_message::SoapVersion;
use rquickjs::{Ctx, Result, Value};

use super::{Args, Method, arg, logger, truth, undefined};
use crate::host::{Running, ask};

pub(super) const METHODS: &[(&str, Method)] = &[
    ("isSOAP11", |ctx, _| {
        question(&ctx, |running| {
            running.need_body()?;
            Ok(running.message.body.soap_version() == SoapVersion::Soap11)
        })
    }),
    ("isResponse", |ctx, _| question(&ctx, |running| Ok(running.message.is_response()))),
    ("setResponse", |ctx, args| switch(&ctx, &args, |running, value| running.message.is_response = value)),
    ("isFaultResponse", |ctx, _| question(&ctx, |running| Ok(running.message.properties.is_true("FAULT_RESPONSE")))),
    ("setFaultResponse", |ctx, args| {
        switch(&ctx, &args, |running, value| running.message.properties.set("FAULT_RESPONSE", value))
    }),
    ("isDoingPOX", |ctx, _| question(&ctx, |running| Ok(running.message.rest))),
    ("setDoingPOX", |ctx, args| switch(&ctx, &args, |running, value| running.message.rest = value)),
    ("isDoingMTOM", |ctx, _| question(&ctx, |running| Ok(running.message.axis2.is_true("enableMTOM")))),
    ("setDoingMTOM", |ctx, args| switch(&ctx, &args, |running, value| running.message.axis2.set("enableMTOM", value))),
    ("isDoingSWA", |ctx, _| question(&ctx, |running| Ok(running.message.axis2.is_true("enableSwA")))),
    ("setDoingSWA", |ctx, args| switch(&ctx, &args, |running, value| running.message.axis2.set("enableSwA", value))),
    ("isDoingGET", |ctx, _| question(&ctx, |running| Ok(running.message.axis2.get_str("HTTP_METHOD") == Some("GET")))),
    ("setDoingGET", |ctx, args| {
        switch(&ctx, &args, |running, value| {
            running.message.axis2.set("HTTP_METHOD", if value { "GET" } else { "POST" });
        })
    }),
    ("isContinuationEnabled", |ctx, _| Ok(Value::new_bool(ctx.clone(), false))),
    ("setContinuationEnabled", |ctx, _| Ok(undefined(&ctx))),
    // Tracing is switched at the artifact; a script asks for nothing here.
    ("getTracingState", |ctx, _| Ok(Value::new_int(ctx.clone(), 2))),
    ("setTracingState", |ctx, _| Ok(undefined(&ctx))),
    ("getMessageFlowTracingState", |ctx, _| Ok(Value::new_int(ctx.clone(), 0))),
    ("setMessageFlowTracingState", |ctx, _| Ok(undefined(&ctx))),
    ("getServiceLog", |ctx, _| {
        let language = ask(&ctx, |running| Ok(running.language))?;
        logger(&ctx, language).map(|object| object.into_value())
    }),
];

fn question<'js>(
    ctx: &Ctx<'js>,
    ask_it: impl FnOnce(&mut Running) -> std::result::Result<bool, String>,
) -> Result<Value<'js>> {
    ask(ctx, ask_it).map(|answer| Value::new_bool(ctx.clone(), answer))
}

fn switch<'js>(ctx: &Ctx<'js>, args: &Args<'js>, set: impl FnOnce(&mut Running, bool)) -> Result<Value<'js>> {
    let value = truth(&arg(ctx, args, 0));
    ask(ctx, |running| {
        set(running, value);
        Ok(())
    })?;
    Ok(undefined(ctx))
}
