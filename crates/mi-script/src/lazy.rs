//! JSON of a message as objects of the engine that cost what is read of them: members that are large are parsed when
//! they are first looked at, and become ordinary members then.

use bytes::Bytes;
use rquickjs::object::{Accessor, Property};
use rquickjs::prelude::This;
use rquickjs::{Array, Ctx, Exception, Object, Result, Value};

/// Texts up to this length are parsed at once.
const SMALL: usize = 2048;
/// Members from this length on wait until they are read.
const LARGE: usize = 512;

/// The value of a JSON text. It is checked as far as it is read. Errors: `Invalid JSON payload`, thrown in the engine.
pub(crate) fn value<'js>(ctx: &Ctx<'js>, text: Bytes) -> Result<Value<'js>> {
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        return Ok(Object::new(ctx.clone())?.into_value());
    }
    if trimmed.len() <= SMALL {
        return parse(ctx, trimmed);
    }
    container(ctx, &text.slice_ref(trimmed))
}

fn parse<'js>(ctx: &Ctx<'js>, text: &[u8]) -> Result<Value<'js>> {
    if text.contains(&0) {
        return Err(invalid(ctx));
    }
    ctx.json_parse(text.to_vec()).map_err(|error| {
        if error.is_exception() {
            // The engine's own words would speak of a place in a part of the text.
            drop(ctx.catch());
        }
        invalid(ctx)
    })
}

fn invalid(ctx: &Ctx<'_>) -> rquickjs::Error {
    Exception::throw_syntax(ctx, "Invalid JSON payload")
}

/// An object or array of which the large members are not parsed yet.
fn container<'js>(ctx: &Ctx<'js>, text: &Bytes) -> Result<Value<'js>> {
    let members = match text.first() {
        Some(b'{') => members(text, true),
        Some(b'[') => members(text, false),
        _ => return parse(ctx, text),
    };
    let Some(members) = members else { return Err(invalid(ctx)) };
    let waits = |member: &Member| member.end - member.start >= LARGE && matches!(text[member.start], b'{' | b'[');
    if !members.iter().any(waits) {
        return parse(ctx, text);
    }
    let object = match text[0] {
        b'{' => Object::new(ctx.clone())?,
        _ => Array::new(ctx.clone())?.into_object(),
    };
    for (at, member) in members.iter().enumerate() {
        let name = match member.name {
            Some((start, end)) => parse(ctx, &text[start..end])?,
            None => Value::new_int(ctx.clone(), at as i32),
        };
        let part = text.slice(member.start..member.end);
        if waits(member) {
            define_waiting(&object, name, part)?;
        } else {
            let value = parse(ctx, &part)?;
            object.prop(name, Property::from(value).writable().enumerable().configurable())?;
        }
    }
    Ok(object.into_value())
}

/// A member that is parsed when it is read, or replaced when it is written.
fn define_waiting<'js>(object: &Object<'js>, name: Value<'js>, part: Bytes) -> Result<()> {
    let (read_name, write_name) = (text_of(&name)?, text_of(&name)?);
    let get = move |ctx: Ctx<'js>, this: This<Object<'js>>| -> Result<Value<'js>> {
        let value = container(&ctx, &part)?;
        this.0.prop(read_name.as_str(), Property::from(value.clone()).writable().enumerable().configurable())?;
        Ok(value)
    };
    let set = move |this: This<Object<'js>>, value: Value<'js>| -> Result<()> {
        this.0.prop(write_name.as_str(), Property::from(value).writable().enumerable().configurable())
    };
    object.prop(name, Accessor::new(get, set).enumerable().configurable())
}

fn text_of(name: &Value<'_>) -> Result<String> {
    match name.as_int() {
        Some(index) => Ok(index.to_string()),
        None => name.get(),
    }
}

/// Where a member of a container stands.
struct Member {
    name: Option<(usize, usize)>,
    start: usize,
    end: usize,
}

/// The members of the container that `text` is; `None` when it is none. Values are only skipped.
fn members(text: &[u8], named: bool) -> Option<Vec<Member>> {
    let close = if named { b'}' } else { b']' };
    let mut found = Vec::new();
    let mut at = blanks(text, 1);
    if text.get(at) == Some(&close) {
        return (blanks(text, at + 1) == text.len()).then_some(found);
    }
    loop {
        let mut name = None;
        if named {
            if text.get(at) != Some(&b'"') {
                return None;
            }
            let end = skip_string(text, at)?;
            name = Some((at, end));
            at = blanks(text, end);
            if text.get(at) != Some(&b':') {
                return None;
            }
            at = blanks(text, at + 1);
        }
        let end = skip_value(text, at)?;
        found.push(Member { name, start: at, end });
        at = blanks(text, end);
        match text.get(at) {
            Some(b',') => at = blanks(text, at + 1),
            Some(byte) if *byte == close => return (blanks(text, at + 1) == text.len()).then_some(found),
            _ => return None,
        }
    }
}

fn blanks(text: &[u8], at: usize) -> usize {
    text[at.min(text.len())..].iter().position(|byte| !byte.is_ascii_whitespace()).map_or(text.len(), |it| at + it)
}

/// The offset behind the string at `at`.
fn skip_string(text: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match text.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The offset behind the value at `at`.
fn skip_value(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => at = skip_string(text, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            byte if depth == 0 => {
                if matches!(byte, b',' | b':') {
                    return None;
                }
                let rest = &text[at..];
                at += rest
                    .iter()
                    .position(|it| matches!(it, b',' | b'}' | b']') || it.is_ascii_whitespace())
                    .unwrap_or(rest.len());
            }
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            return Some(at);
        }
    }
}
