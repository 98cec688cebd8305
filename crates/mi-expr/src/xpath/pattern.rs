//! Regular expressions of XPath on the engines of Rust.
//!
//! The flavour is that of XML Schema with anchors, reluctant quantifiers and back-references added. It is rewritten
//! to the syntax of the `regex` crate, which takes linear time; only patterns with back-references or looking around
//! run on the backtracking engine, which counts its steps.

use std::borrow::Cow;
use std::cell::RefCell;
use std::iter::Peekable;
use std::rc::Rc;
use std::str::Chars;

use regex::RegexBuilder;

use super::ast::Expr;
use super::error::XPathError;
use super::eval::push_str;

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

struct Translated {
    text: String,
    backtracking: bool,
}

fn translate(source: &str, dot_all: bool, free_spacing: bool) -> Result<Translated, XPathError> {
    let mut out = Translated { text: String::with_capacity(source.len() + 8), backtracking: false };
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' | '\r' if free_spacing => {}
            '\\' => escape(&mut chars, &mut out, false)?,
            '.' => out.text.push_str(if dot_all { "(?s:.)" } else { r"[^\n\r]" }),
            '[' => class(&mut chars, &mut out)?,
            '(' => {
                out.text.push('(');
                let mut ahead = chars.clone();
                if ahead.next() == Some('?') && matches!(ahead.next(), Some('=' | '!' | '<')) {
                    out.backtracking = true;
                }
            }
            other => out.text.push(other),
        }
    }
    Ok(out)
}

/// A character class behind its opening bracket, with nested subtractions.
fn class(chars: &mut Peekable<Chars<'_>>, out: &mut Translated) -> Result<(), XPathError> {
    let mut depth = 1_usize;
    out.text.push('[');
    let mut at_start = true;
    while depth > 0 {
        let Some(c) = chars.next() else {
            return Err(XPathError::dynamic("FORX0002", "a character class has no closing bracket"));
        };
        let first = std::mem::replace(&mut at_start, false);
        match c {
            '^' if first => {
                out.text.push('^');
                at_start = true;
            }
            ']' if !first => {
                out.text.push(']');
                depth -= 1;
            }
            '-' if chars.peek() == Some(&'[') => {
                chars.next();
                out.text.push_str("--[");
                depth += 1;
                at_start = true;
            }
            '-' if first || matches!(chars.peek(), Some(']' | '-')) => out.text.push_str(r"\-"),
            '[' | ']' | '&' | '~' | '^' => out.text.extend(['\\', c]),
            '\\' => escape(chars, out, true)?,
            other => out.text.push(other),
        }
    }
    Ok(())
}

/// What follows a backslash.
fn escape(chars: &mut Peekable<Chars<'_>>, out: &mut Translated, in_class: bool) -> Result<(), XPathError> {
    let wrong = |what: String| XPathError::dynamic("FORX0002", what);
    let Some(c) = chars.next() else { return Err(wrong("a regular expression ends in a backslash".to_owned())) };
    let set = match c {
        'd' => r"\p{Nd}",
        'D' => r"\P{Nd}",
        's' => r"[ \t\n\r]",
        'S' => r"[^ \t\n\r]",
        'w' => r"[^\p{P}\p{Z}\p{C}]",
        'W' => r"[\p{P}\p{Z}\p{C}]",
        'i' => r"[\p{L}_:]",
        'I' => r"[^\p{L}_:]",
        'c' => r"[\p{L}\p{N}\p{M}_:.\-]",
        'C' => r"[^\p{L}\p{N}\p{M}_:.\-]",
        'p' | 'P' => return property(c == 'P', chars, out),
        '1'..='9' if !in_class => {
            out.backtracking = true;
            out.text.push_str(&format!("(?:\\{c})"));
            return Ok(());
        }
        'n' | 'r' | 't' => {
            out.text.extend(['\\', c]);
            return Ok(());
        }
        c if c.is_ascii_punctuation() => {
            out.text.extend(['\\', c]);
            return Ok(());
        }
        // Java's word boundaries and anchors; what they mean is the same.
        'b' | 'B' | 'A' | 'z' if !in_class => {
            out.text.extend(['\\', c]);
            return Ok(());
        }
        other => return Err(wrong(format!("`\\{other}` means nothing in a regular expression"))),
    };
    out.text.push_str(set);
    Ok(())
}

/// `\p{L}`, `\P{IsGreek}`
fn property(negated: bool, chars: &mut Peekable<Chars<'_>>, out: &mut Translated) -> Result<(), XPathError> {
    let wrong = |what: String| XPathError::dynamic("FORX0002", what);
    if chars.next() != Some('{') {
        return Err(wrong("`\\p` must be followed by a category in braces".to_owned()));
    }
    let name: String = chars.by_ref().take_while(|c| *c != '}').collect();
    let Some(block) = name.strip_prefix("Is") else {
        out.text.push_str(&format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        return Ok(());
    };
    let Some((_, low, high)) = BLOCKS.iter().find(|(known, ..)| *known == block) else {
        return Err(wrong(format!("there is no Unicode block `{block}`")));
    };
    out.text.push_str(&format!("[{}\\x{{{low:X}}}-\\x{{{high:X}}}]", if negated { "^" } else { "" }));
    Ok(())
}

/// The Unicode blocks that occur in patterns on text.
const BLOCKS: &[(&str, u32, u32)] = &[
    ("BasicLatin", 0x0, 0x7F),
    ("Latin-1Supplement", 0x80, 0xFF),
    ("LatinExtended-A", 0x100, 0x17F),
    ("LatinExtended-B", 0x180, 0x24F),
    ("IPAExtensions", 0x250, 0x2AF),
    ("CombiningDiacriticalMarks", 0x300, 0x36F),
    ("Greek", 0x370, 0x3FF),
    ("GreekandCoptic", 0x370, 0x3FF),
    ("Cyrillic", 0x400, 0x4FF),
    ("Armenian", 0x530, 0x58F),
    ("Hebrew", 0x590, 0x5FF),
    ("Arabic", 0x600, 0x6FF),
    ("Devanagari", 0x900, 0x97F),
    ("Bengali", 0x980, 0x9FF),
    ("Tamil", 0xB80, 0xBFF),
    ("Sinhala", 0xD80, 0xDFF),
    ("Thai", 0xE00, 0xE7F),
    ("LatinExtendedAdditional", 0x1E00, 0x1EFF),
    ("GreekExtended", 0x1F00, 0x1FFF),
    ("GeneralPunctuation", 0x2000, 0x206F),
    ("CurrencySymbols", 0x20A0, 0x20CF),
    ("Arrows", 0x2190, 0x21FF),
    ("MathematicalOperators", 0x2200, 0x22FF),
    ("BoxDrawing", 0x2500, 0x257F),
    ("CJKSymbolsandPunctuation", 0x3000, 0x303F),
    ("Hiragana", 0x3040, 0x309F),
    ("Katakana", 0x30A0, 0x30FF),
    ("CJKUnifiedIdeographs", 0x4E00, 0x9FFF),
    ("HangulSyllables", 0xAC00, 0xD7A3),
    ("PrivateUse", 0xE000, 0xF8FF),
];
