//! Regular expressions of XPath on the engines of Rust.
//!
//! The flavour is that of XML Schema with anchors, reluctant quantifiers and back-references added; `regex_syntax.rs` reads
//! it. It runs on the `regex` crate, which takes linear time; only patterns with back-references run on the backtracking
//! engine, which counts its steps.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use regex::RegexBuilder;

use super::ast::Expr;
use super::error::XPathError;
use super::eval::push_str;
use super::regex_syntax::{Translated, translate};

/// Most computed patterns that a thread keeps, and the longest of them in bytes.
const MAX_RECENT: usize = 4;
const MAX_RECENT_SOURCE: usize = 500;

/// A computed pattern with what it was compiled from.
struct Recent {
    source: String,
    flags: String,
    pattern: Rc<Pattern>,
}

thread_local! {
    static RECENT: RefCell<Vec<Recent>> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(super) struct Pattern {
    engine: Engine,
    /// With the `q` flag a replacement is plain text too.
    literal: bool,
}

#[derive(Debug)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// The pattern of a call whose regular expression and flags are literals. A wrong one gives `None` and is
    /// reported when the call is evaluated, because MI finds it no earlier.
    pub(super) fn of_call(function: &str, args: &[Expr]) -> Option<Self> {
        let flags_at = match function {
            "matches" | "tokenize" => 2,
            "replace" => 3,
            _ => return None,
        };
        let source = args.get(1)?.string_literal()?;
        let flags = match args.get(flags_at) {
            Some(flags) => flags.string_literal()?,
            None => "",
        };
        Self::compile(source, flags).ok()
    }

    /// [`Pattern::compile`] for patterns that are computed: the last ones of this thread are kept, because the same ones
    /// come again and again in a loop.
    pub(super) fn recent(source: &str, flags: &str) -> Result<Rc<Self>, XPathError> {
        let known = RECENT.with_borrow(|recent| {
            recent.iter().find(|it| it.source == source && it.flags == flags).map(|it| it.pattern.clone())
        });
        if let Some(known) = known {
            return Ok(known);
        }
        let pattern = Rc::new(Self::compile(source, flags)?);
        if source.len() <= MAX_RECENT_SOURCE {
            let entry = Recent { source: source.to_owned(), flags: flags.to_owned(), pattern: pattern.clone() };
            RECENT.with_borrow_mut(|recent| {
                recent.truncate(MAX_RECENT - 1);
                recent.insert(0, entry);
            });
        }
        Ok(pattern)
    }

    pub(super) fn compile(source: &str, flags: &str) -> Result<Self, XPathError> {
        if let Some(unknown) = flags.chars().find(|c| !"smixq".contains(*c)) {
            return Err(XPathError::dynamic("FORX0001", format!("`{unknown}` is no flag of a regular expression")));
        }
        let has = |flag: char| flags.contains(flag);
        let literal = has('q');
        let translated = if literal {
            Translated { text: regex::escape(source), backtracking: false }
        } else {
            translate(source, has('s'), has('x'))?
        };
        let wrong = |reason: &dyn std::fmt::Display| {
            XPathError::dynamic("FORX0002", format!("\"{source}\" is no regular expression: {reason}"))
        };
        let multi_line = has('m') && !literal;
        let engine = if translated.backtracking {
            let flags = format!("{}{}", if has('i') { "(?i)" } else { "" }, if multi_line { "(?m)" } else { "" });
            let built = fancy_regex::Regex::new(&format!("{flags}{}", translated.text));
            Engine::Backtracking(Box::new(built.map_err(|e| wrong(&e))?))
        } else {
            let built = RegexBuilder::new(&translated.text).case_insensitive(has('i')).multi_line(multi_line).build();
            Engine::Linear(built.map_err(|e| wrong(&e))?)
        };
        Ok(Self { engine, literal })
    }

    pub(super) fn is_match(&self, text: &str) -> Result<bool, XPathError> {
        match &self.engine {
            Engine::Linear(re) => Ok(re.is_match(text)),
            Engine::Backtracking(re) => re.is_match(text).map_err(|e| runaway(&e)),
        }
    }

    /// `replace` and `tokenize` refuse patterns that match the empty string.
    pub(super) fn refuse_empty(&self) -> Result<(), XPathError> {
        if self.is_match("")? {
            return Err(XPathError::dynamic("FORX0003", "the regular expression matches the empty string"));
        }
        Ok(())
    }

    /// The spans between the matches.
    pub(super) fn split(&self, text: &str) -> Result<Vec<std::ops::Range<usize>>, XPathError> {
        let mut out = Vec::new();
        let mut from = 0;
        self.each_match(text, |groups| {
            let Some(whole) = groups(0) else { return Ok(()) };
            out.push(from..whole.start);
            from = whole.end;
            Ok(())
        })?;
        out.push(from..text.len());
        Ok(out)
    }

    pub(super) fn replace(&self, text: &str, replacement: &str) -> Result<String, XPathError> {
        let parts = if self.literal {
            vec![Part::Text(Cow::Borrowed(replacement))]
        } else {
            replacement_parts(replacement, self.groups())?
        };
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        self.each_match(text, |groups| {
            let Some(whole) = groups(0) else { return Ok(()) };
            push_str(&mut out, &text[from..whole.start])?;
            for part in &parts {
                match part {
                    Part::Text(t) => push_str(&mut out, t)?,
                    Part::Group(n) => push_str(&mut out, groups(*n).map_or("", |r| &text[r]))?,
                }
            }
            from = whole.end;
            Ok(())
        })?;
        push_str(&mut out, &text[from..])?;
        Ok(out)
    }

    fn groups(&self) -> usize {
        match &self.engine {
            Engine::Linear(re) => re.captures_len() - 1,
            Engine::Backtracking(re) => re.captures_len() - 1,
        }
    }

    fn each_match(
        &self,
        text: &str,
        mut visit: impl FnMut(&dyn Fn(usize) -> Option<std::ops::Range<usize>>) -> Result<(), XPathError>,
    ) -> Result<(), XPathError> {
        match &self.engine {
            Engine::Linear(re) => {
                for captures in re.captures_iter(text) {
                    visit(&|n| captures.get(n).map(|m| m.range()))?;
                }
            }
            Engine::Backtracking(re) => {
                for captures in re.captures_iter(text) {
                    let captures = captures.map_err(|e| runaway(&e))?;
                    visit(&|n| captures.get(n).map(|m| m.range()))?;
                }
            }
        }
        Ok(())
    }
}

/// A regular expression of XPath, for hosts with instructions of their own on text (`xsl:analyze-string`).
#[derive(Debug)]
pub struct Regex(Pattern);

/// One match: the range of the whole and of each group, `None` for a group that took no part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegexMatch {
    /// Where the match lies in the text.
    pub whole: std::ops::Range<usize>,
    /// The groups from number one on.
    pub groups: Vec<Option<std::ops::Range<usize>>>,
}

impl Regex {
    /// Compiles an expression with the flags `s`, `m`, `i`, `x` and `q`.
    ///
    /// # Errors
    /// `FORX0001` for unknown flags, `FORX0002` for what is no regular expression.
    pub fn compile(source: &str, flags: &str) -> Result<Self, XPathError> {
        Pattern::compile(source, flags).map(Self)
    }

    /// The matches that are not empty, from left to right.
    ///
    /// # Errors
    /// `FORX0002` if a pattern that has to backtrack takes too many steps.
    pub fn matches(&self, text: &str) -> Result<Vec<RegexMatch>, XPathError> {
        let count = self.0.groups();
        let mut found = Vec::new();
        self.0.each_match(text, |groups| {
            if let Some(whole) = groups(0).filter(|whole| !whole.is_empty()) {
                found.push(RegexMatch { whole, groups: (1..=count).map(groups).collect() });
            }
            Ok(())
        })?;
        Ok(found)
    }
}

fn runaway(error: &fancy_regex::Error) -> XPathError {
    XPathError::dynamic("FORX0002", format!("the regular expression cannot be matched: {error}"))
}

enum Part<'r> {
    Text(Cow<'r, str>),
    Group(usize),
}

/// `$1`, `\$` and `\\` in a replacement. Of several digits as many count as make a group that exists.
fn replacement_parts(replacement: &str, groups: usize) -> Result<Vec<Part<'_>>, XPathError> {
    let wrong = |what| XPathError::dynamic("FORX0004", format!("in the replacement, {what}"));
    let mut parts = Vec::new();
    let mut chars = replacement.chars().peekable();
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | '$')) => text.push(escaped),
                _ => return Err(wrong("a backslash must be followed by `\\` or `$`")),
            },
            '$' => {
                let Some(first) = chars.next().and_then(|d| d.to_digit(10)) else {
                    return Err(wrong("`$` must be followed by a digit"));
                };
                let mut group = first as usize;
                while let Some(digit) = chars.peek().and_then(|d| d.to_digit(10)) {
                    let longer = group * 10 + digit as usize;
                    if longer > groups {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                parts.push(Part::Text(Cow::Owned(std::mem::take(&mut text))));
                parts.push(Part::Group(group));
            }
            other => text.push(other),
        }
    }
    parts.push(Part::Text(Cow::Owned(text)));
    Ok(parts)
}
