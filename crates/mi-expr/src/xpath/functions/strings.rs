//! Functions on strings.

use std::collections::HashMap;

use super::{Args, Builtin, Library, MANY, Outcome, builtin};
use crate::xpath::Version::{V1, V2};
use crate::xpath::ast::Type::{Boolean, Number, String as Text, Unknown};
use crate::xpath::cast::collapse;
use crate::xpath::error::XPathError;
use crate::xpath::eval::push_str;
use crate::xpath::number::{self, is_space};
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{Item, Str};

use Library::Core;

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("string", (0, 1), V1, Text, 1, string)),
    builtin(Core, ("concat", (2, MANY), V1, Text, 0, concat)),
    builtin(Core, ("string-join", (1, 2), V2, Text, 0, string_join)),
    builtin(Core, ("starts-with", (2, 3), V1, Boolean, 0, starts_with)),
    builtin(Core, ("ends-with", (2, 3), V1, Boolean, 0, ends_with)),
    builtin(Core, ("contains", (2, 3), V1, Boolean, 0, contains)),
    builtin(Core, ("substring-before", (2, 3), V1, Text, 0, substring_before)),
    builtin(Core, ("substring-after", (2, 3), V1, Text, 0, substring_after)),
    builtin(Core, ("substring", (2, 3), V1, Text, 0, substring)),
    builtin(Core, ("string-length", (0, 1), V1, Number, 1, string_length)),
    builtin(Core, ("normalize-space", (0, 1), V1, Text, 1, normalize_space)),
    builtin(Core, ("translate", (3, 3), V1, Text, 0, translate)),
    builtin(Core, ("upper-case", (1, 2), V1, Text, 0, upper_case)),
    builtin(Core, ("lower-case", (1, 2), V1, Text, 0, lower_case)),
    builtin(Core, ("compare", (2, 3), V2, Unknown, 0, compare)),
    builtin(Core, ("codepoint-equal", (2, 2), V2, Unknown, 0, codepoint_equal)),
    builtin(Core, ("codepoints-to-string", (1, 1), V2, Text, 0, codepoints_to_string)),
    builtin(Core, ("string-to-codepoints", (1, 1), V2, Unknown, 0, string_to_codepoints)),
    builtin(Core, ("encode-for-uri", (1, 1), V2, Text, 0, encode_for_uri)),
    builtin(Core, ("iri-to-uri", (1, 1), V2, Text, 0, iri_to_uri)),
    builtin(Core, ("escape-html-uri", (1, 1), V2, Text, 0, escape_html_uri)),
    builtin(Core, ("contains-token", (2, 3), V2, Boolean, 0, contains_token)),
];

fn string<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    // Not atomized: the string of a name or a date is wanted as it is, and `string(())` is empty.
    let text = if args.len() == 0 { args.cx.context()?.to_str(args.ev.version) } else { args.any_string(0)? };
    Ok(Sequence::string(text))
}

fn concat<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut out = String::new();
    for i in 0..args.len() {
        push_str(&mut out, &args.any_string(i)?)?;
    }
    Ok(out.into())
}

fn string_join<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let separator = if args.len() > 1 { args.required(1)? } else { Str::Borrowed("") };
    let mut out = String::new();
    for (i, item) in args.atoms(0)?.into_iter().enumerate() {
        if i > 0 {
            push_str(&mut out, &separator)?;
        }
        push_str(&mut out, &item.to_str(args.ev.version))?;
    }
    Ok(out.into())
}

fn starts_with<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    Ok(args.string(0)?.starts_with(&*args.string(1)?).into())
}

fn ends_with<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    Ok(args.string(0)?.ends_with(&*args.string(1)?).into())
}

fn contains<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    Ok(args.string(0)?.contains(&*args.string(1)?).into())
}

fn substring_before<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    let (text, mark) = (args.string(0)?, args.string(1)?);
    let end = text.find(&*mark).unwrap_or(0);
    Ok(Sequence::string(slice(text, 0, end)))
}

fn substring_after<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    args.collation(2)?;
    let (text, mark) = (args.string(0)?, args.string(1)?);
    let start = text.find(&*mark).map_or(text.len(), |at| at + mark.len());
    let end = text.len();
    Ok(Sequence::string(slice(text, start, end)))
}

/// A part of a string, without a copy if it is borrowed.
fn slice(text: Str<'_>, start: usize, end: usize) -> Str<'_> {
    match text {
        Str::Borrowed(s) => Str::Borrowed(&s[start..end]),
        other => Str::Owned(other[start..end].to_owned()),
    }
}

fn substring<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let text = args.string(0)?;
    let first = number::round(args.double(1)?);
    let behind = if args.len() > 2 { first + number::round(args.double(2)?) } else { f64::INFINITY };
    // Positions are compared as doubles, which gives NaN and the infinities their meaning.
    let inside = |position: usize| (position as f64) >= first && (position as f64) < behind;
    let mut span: Option<(usize, usize)> = None;
    for (position, (at, c)) in text.char_indices().enumerate() {
        if inside(position + 1) {
            let start = span.map_or(at, |(start, _)| start);
            span = Some((start, at + c.len_utf8()));
        } else if span.is_some() {
            break;
        }
    }
    let (start, end) = span.unwrap_or((0, 0));
    Ok(Sequence::string(slice(text, start, end)))
}

fn string_length<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(args.ev.integer(args.string_or_context(0)?.chars().count()))
}

fn normalize_space<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(collapse(&args.string_or_context(0)?).into())
}

fn translate<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (text, from, to) = (args.string(0)?, args.required(1)?, args.required(2)?);
    let mut map: HashMap<char, Option<char>> = HashMap::new();
    let mut targets = to.chars();
    for c in from.chars() {
        let target = targets.next();
        map.entry(c).or_insert(target); // the first of several rules for a character counts
    }
    let translated: String = text.chars().filter_map(|c| map.get(&c).copied().unwrap_or(Some(c))).collect();
    Ok(translated.into())
}

fn upper_case<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(args.string(0)?.to_uppercase().into())
}

fn lower_case<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(args.string(0)?.to_lowercase().into())
}

fn compare<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let collation = args.collation(2)?;
    let (Some(a), Some(b)) = (args.opt_string(0)?, args.opt_string(1)?) else { return Ok(Sequence::empty()) };
    Ok(Sequence::from(collation.compare(&a, &b) as i64))
}

fn codepoint_equal<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (Some(a), Some(b)) = (args.opt_string(0)?, args.opt_string(1)?) else { return Ok(Sequence::empty()) };
    Ok((a == b).into())
}

fn codepoints_to_string<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let mut out = String::new();
    for item in args.atoms(0)? {
        let code = args.number(0, item)?;
        let c = if code.trunc() == code { char::from_u32(code as u32) } else { None };
        match c.filter(|c| (*c >= ' ' || is_space(*c)) && !matches!(c, '\u{fffe}' | '\u{ffff}')) {
            Some(c) => out.push(c),
            None => return Err(XPathError::dynamic("FOCH0001", format!("{code} is no character of XML"))),
        }
    }
    Ok(out.into())
}

fn string_to_codepoints<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let text = args.string(0)?;
    args.ev.spend(text.len() as u64)?;
    Ok(Sequence::from_items(text.chars().map(|c| Item::Integer(i64::from(u32::from(c)))).collect()))
}

fn percent(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        if keep(b) { out.push(char::from(b)) } else { out.push_str(&format!("%{b:02X}")) }
    }
    out
}

fn encode_for_uri<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    Ok(percent(&args.string(0)?, unreserved).into())
}

fn iri_to_uri<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let kept = |b: u8| b.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&b);
    Ok(percent(&args.string(0)?, kept).into())
}

fn escape_html_uri<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    Ok(percent(&args.string(0)?, |b| (32..127).contains(&b)).into())
}

fn contains_token<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let token = args.string(1)?;
    let token = token.trim_matches(is_space);
    let found = args.atoms(0)?.iter().any(|i| i.to_str(args.ev.version).split(is_space).any(|w| w == token));
    Ok((found && !token.is_empty()).into())
}
