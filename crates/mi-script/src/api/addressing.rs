//! WS-Addressing: `getTo`, `setReplyTo` and their kin.

use mi_message::Addressing;
use rquickjs::prelude::Rest;
use rquickjs::{Ctx, Function, IntoJs, Result, Value};

use super::{Args, Method, arg, text_arg, undefined};
use crate::host::ask;
use crate::om;

pub(super) const METHODS: &[(&str, Method)] = &[
    ("getTo", |ctx, _| address(&ctx, |it| &mut it.to)),
    ("setTo", |ctx, args| set_address(ctx, args, |it| &mut it.to)),
    ("getFrom", |ctx, _| address(&ctx, |it| &mut it.from)),
    ("setFrom", |ctx, args| set_address(ctx, args, |it| &mut it.from)),
    ("getReplyTo", |ctx, _| address(&ctx, |it| &mut it.reply_to)),
    ("setReplyTo", |ctx, args| set_address(ctx, args, |it| &mut it.reply_to)),
    ("getFaultTo", |ctx, _| address(&ctx, |it| &mut it.fault_to)),
    ("setFaultTo", |ctx, args| set_address(ctx, args, |it| &mut it.fault_to)),
    ("getRelatesTo", |ctx, _| text(&ctx, |it| &mut it.relates_to)),
    ("setRelatesTo", |ctx, args| set_text(ctx, args, |it| &mut it.relates_to)),
    ("getWSAAction", |ctx, _| text(&ctx, |it| &mut it.action)),
    ("setWSAAction", |ctx, args| set_text(ctx, args, |it| &mut it.action)),
    ("getSoapAction", |ctx, _| text(&ctx, |it| &mut it.action)),
    ("setSoapAction", |ctx, args| set_text(ctx, args, |it| &mut it.action)),
    ("getMessageID", |ctx, _| message_id(&ctx)),
    ("setMessageID", |ctx, args| set_text(ctx, args, |it| &mut it.message_id)),
    ("getWSAMessageID", |ctx, _| text(&ctx, |it| &mut it.message_id)),
    ("setWSAMessageID", |ctx, args| set_text(ctx, args, |it| &mut it.message_id)),
];

type Field = fn(&mut Addressing) -> &mut Option<String>;

/// An address as an object with `getAddress()` and `setAddress()`; null without one.
fn address<'js>(ctx: &Ctx<'js>, field: Field) -> Result<Value<'js>> {
    let Some(address) = ask(ctx, |running| Ok(field(&mut running.message.addressing).clone()))? else {
        return Ok(Value::new_null(ctx.clone()));
    };
    let store = Function::new(ctx.clone(), move |ctx: Ctx<'js>, value: Value<'js>| {
        set_text(ctx, Rest(vec![value]), field).map(drop)
    })?;
    om::classes(ctx)?.get::<_, Function<'js>>("address")?.call((address, store))
}

/// Takes a text or what `getTo()` gives.
fn set_address<'js>(ctx: Ctx<'js>, args: Args<'js>, field: Field) -> Result<Value<'js>> {
    let value = arg(&ctx, &args, 0);
    let inner = match value.as_object() {
        Some(object) => object.get::<_, Option<String>>("address")?,
        None => None,
    };
    match inner {
        Some(address) => {
            let address = address.into_js(&ctx)?;
            set_text(ctx, Rest(vec![address]), field)
        }
        None => set_text(ctx, args, field),
    }
}

fn text<'js>(ctx: &Ctx<'js>, field: Field) -> Result<Value<'js>> {
    match ask(ctx, |running| Ok(field(&mut running.message.addressing).clone()))? {
        Some(text) => text.into_js(ctx),
        None => Ok(Value::new_null(ctx.clone())),
    }
}

fn set_text<'js>(ctx: Ctx<'js>, args: Args<'js>, field: Field) -> Result<Value<'js>> {
    let value = text_arg(&ctx, &args, 0)?;
    ask(&ctx, |running| {
        *field(&mut running.message.addressing) = value;
        Ok(())
    })?;
    Ok(undefined(&ctx))
}

/// A message that has no id gets one.
fn message_id<'js>(ctx: &Ctx<'js>) -> Result<Value<'js>> {
    let id = ask(ctx, |running| {
        let lookup = &running.world.lookup;
        Ok(running.message.addressing.message_id.get_or_insert_with(|| lookup.new_id()).clone())
    })?;
    id.into_js(ctx)
}
