//! `matches`, `replace` and `tokenize`; the regular expressions themselves are in `pattern.rs`.

use super::{Args, Builtin, Library, Outcome, builtin};
use crate::xpath::Version::V2;
use crate::xpath::ast::Type::{Boolean, String as Text, Unknown};
use crate::xpath::number::is_space;
use crate::xpath::sequence::Sequence;
use crate::xpath::value::{Item, Str};

use Library::Core;

pub(super) const TABLE: &[Builtin] = &[
    builtin(Core, ("matches", (2, 3), V2, Boolean, 0, matches)),
    builtin(Core, ("replace", (3, 4), V2, Text, 0, replace)),
    builtin(Core, ("tokenize", (1, 3), V2, Unknown, 0, tokenize)),
];

fn matches<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let text = args.string(0)?;
    args.with_pattern(2, |pattern| pattern.is_match(&text)).map(Sequence::from)
}

fn replace<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let (text, replacement) = (args.string(0)?, args.required(2)?);
    let replaced = args.with_pattern(3, |pattern| {
        pattern.refuse_empty()?;
        pattern.replace(&text, &replacement)
    });
    replaced.map(Sequence::from)
}

fn tokenize<'d>(args: &Args<'_, '_, 'd>) -> Outcome<'d> {
    let text = args.string(0)?;
    args.ev.spend(text.len() as u64)?;
    if args.len() == 1 {
        let words: Vec<_> = text.split(is_space).filter(|w| !w.is_empty()).map(owned).collect();
        return Ok(Sequence::from_items(words));
    }
    if text.is_empty() {
        return Ok(Sequence::empty());
    }
    let spans = args.with_pattern(2, |pattern| {
        pattern.refuse_empty()?;
        pattern.split(&text)
    })?;
    let item = |span: std::ops::Range<usize>| match &text {
        Str::Borrowed(s) => Item::String(Str::Borrowed(&s[span])),
        other => owned(&other[span]),
    };
    Ok(Sequence::from_items(spans.into_iter().map(item).collect()))
}

fn owned<'d>(s: &str) -> Item<'d> {
    Item::String(Str::Owned(s.to_owned()))
}
