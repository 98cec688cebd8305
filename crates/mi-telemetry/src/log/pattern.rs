//! Patterns of log lines as log4j writes them in `log4j2.properties` (`[%d] %5p {%c{1}} - %m%n`). MI: `PatternLayout`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Local, SecondsFormat};
use serde_json::{Map, Value};

use crate::follow::CORRELATION_ID;

thread_local! {
    /// What `%X{key}` shows on this thread.
    static CONTEXT: RefCell<BTreeMap<&'static str, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// Shows `value` for `%X{key}` in the lines that `run` logs on this thread.
pub fn with_context<T>(key: &'static str, value: String, run: impl FnOnce() -> T) -> T {
    let before = CONTEXT.with_borrow_mut(|context| context.insert(key, value));
    let result = run();
    CONTEXT.with_borrow_mut(|context| match before {
        Some(before) => context.insert(key, before),
        None => context.remove(key),
    });
    result
}

/// Gives `use_it` what `%X{key}` shows on this thread; the id of the message is known without anybody setting it.
fn context<T>(key: &str, use_it: impl FnOnce(Option<&str>) -> T) -> T {
    CONTEXT.with_borrow(|context| match context.get(key) {
        None if key == CORRELATION_ID => mi_engine::trail::with_id(use_it),
        value => use_it(value.map(String::as_str)),
    })
}

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    parts: Vec<Part>,
}

/// What a line is made of.
#[derive(Clone, Copy, Debug)]
pub struct Line<'l> {
    /// When it was logged.
    pub time: DateTime<Local>,
    /// Name of the level.
    pub level: &'l str,
    /// Name of the logger.
    pub logger: &'l str,
    /// Name of the thread.
    pub thread: &'l str,
    /// The text.
    pub message: std::fmt::Arguments<'l>,
}

impl Line<'_> {
    fn write_json(&self, out: &mut String) {
        let mut object = Map::new();
        let mut put = |name: &str, value: &str| object.insert(name.to_owned(), Value::from(value));
        put("time", &self.time.to_rfc3339_opts(SecondsFormat::Millis, true));
        put("level", self.level);
        put("logger", self.logger);
        put("thread", self.thread);
        context(CORRELATION_ID, |id| id.map(|id| put("correlation_id", id)));
        put("message", &self.message.to_string());
        out.push_str(&Value::Object(object).to_string());
        out.push('\n');
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Json,
    Field { field: Field, width: Width },
}

#[derive(Clone, Debug, PartialEq)]
enum Field {
    /// A format of chrono.
    Date(String),
    Level,
    /// The last so many segments of the name; 0 for all.
    Logger(usize),
    Message,
    Thread,
    Context(String),
    /// Exceptions are a part of the message here.
    Nothing,
}

/// `%-20.30c`: padded to the least width, cut at the front to the greatest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Width {
    left: bool,
    least: usize,
    greatest: Option<usize>,
}

/// What stands behind a `%`.
struct Specifier<'t> {
    width: Width,
    name: &'t str,
    option: Option<&'t str>,
    rest: &'t str,
}

const DATE: &str = "%Y-%m-%d %H:%M:%S,%3f";

impl Default for Pattern {
    /// What MI prints on the console.
    fn default() -> Self {
        Self::parse("[%d] %5p {%c{1}} - %m%n").0
    }
}

impl Pattern {
    /// Compiles a pattern. The conversions that are not known are given back, too; they stay in the lines as they are.
    pub fn parse(text: &str) -> (Self, Vec<String>) {
        let mut parts = Vec::new();
        let mut unknown = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            push(&mut parts, &rest[..at]);
            let behind = &rest[at + 1..];
            if let Some(next) = behind.strip_prefix('%') {
                push(&mut parts, "%");
                rest = next;
                continue;
            }
            let specifier = Specifier::read(behind);
            match specifier.field() {
                Some(Ok(field)) => parts.push(Part::Field { field, width: specifier.width }),
                Some(Err(text)) => push(&mut parts, text),
                None => {
                    let verbatim = &rest[at..rest.len() - specifier.rest.len()];
                    unknown.push(verbatim.to_owned());
                    push(&mut parts, verbatim);
                }
            }
            rest = specifier.rest;
        }
        push(&mut parts, rest);
        (Self { parts }, unknown)
    }

    /// Lines of JSON in the place of a pattern: `time`, `level`, `logger`, `thread`, `correlation_id`, `message`.
    pub fn json() -> Self {
        Self { parts: vec![Part::Json] }
    }

    /// Do its lines show the id of the message?
    pub fn shows_ids(&self) -> bool {
        self.parts.iter().any(|part| match part {
            Part::Json => true,
            Part::Field { field: Field::Context(key), .. } => key == CORRELATION_ID,
            _ => false,
        })
    }

    /// A line with what the pattern puts at its end.
    pub fn render(&self, line: &Line<'_>) -> String {
        let mut out = String::with_capacity(160);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Json => line.write_json(&mut out),
                Part::Field { field, width } => {
                    let start = out.len();
                    field.write(line, &mut out);
                    width.apply(&mut out, start);
                }
            }
        }
        out
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(before)) => before.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

impl<'t> Specifier<'t> {
    fn read(text: &'t str) -> Self {
        let (left, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (least, text) = number(text);
        let (greatest, text) = match text.strip_prefix('.') {
            Some(rest) => number(rest),
            None => (None, text),
        };
        let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
        // `%nfoo` is `%n` and text; names of more than one letter are known ones.
        let known = NAMES.iter().filter(|name| text[..end].starts_with(**name)).map(|name| name.len()).max();
        let (name, mut rest) = text.split_at(known.unwrap_or(end));
        let mut option = None;
        while let Some((inner, behind)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            option = option.or(Some(inner));
            rest = behind;
        }
        Self { width: Width { left, least: least.unwrap_or(0), greatest }, name, option, rest }
    }

    /// The field, a text in its place, or nothing if the name is not known.
    fn field(&self) -> Option<Result<Field, &'static str>> {
        Some(match self.name {
            "d" | "date" => Ok(Field::Date(date_format(self.option))),
            "p" | "level" => Ok(Field::Level),
            "c" | "logger" => Ok(Field::Logger(self.option.and_then(|it| it.trim().parse().ok()).unwrap_or(0))),
            "m" | "msg" | "message" => Ok(Field::Message),
            "t" | "tn" | "thread" | "threadName" => Ok(Field::Thread),
            "X" | "mdc" | "MDC" => Ok(Field::Context(self.option.unwrap_or_default().trim().to_owned())),
            "ex" | "exception" | "throwable" | "rEx" | "xEx" | "x" | "NDC" => Ok(Field::Nothing),
            "n" => Err("\n"),
            _ => return None,
        })
    }
}

const NAMES: [&str; 22] = [
    "d",
    "date",
    "p",
    "level",
    "c",
    "logger",
    "m",
    "msg",
    "message",
    "t",
    "tn",
    "thread",
    "threadName",
    "X",
    "mdc",
    "MDC",
    "ex",
    "exception",
    "throwable",
    "rEx",
    "xEx",
    "n",
];

fn number(text: &str) -> (Option<usize>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (text[..end].parse().ok().map(|it: usize| it.min(1000)), &text[end..])
}

/// The letters of `SimpleDateFormat` as those of chrono.
fn date_format(option: Option<&str>) -> String {
    let option = option.map(str::trim).unwrap_or_default();
    match option {
        "" | "DEFAULT" => return DATE.to_owned(),
        "ISO8601" => return "%Y-%m-%dT%H:%M:%S,%3f".to_owned(),
        "UNIX" => return "%s".to_owned(),
        "UNIX_MILLIS" => return "%s%3f".to_owned(),
        "ABSOLUTE" => return "%H:%M:%S,%3f".to_owned(),
        _ => {}
    }
    let mut out = String::new();
    let mut quoted = false;
    let mut rest = option;
    while let Some(letter) = rest.chars().next() {
        let count = rest.chars().take_while(|c| *c == letter).count();
        rest = &rest[count * letter.len_utf8()..];
        match (letter, count) {
            ('\'', _) => quoted = !quoted,
            (_, _) if quoted => out.extend(std::iter::repeat_n(letter, count)),
            ('y', 2) => out.push_str("%y"),
            ('y', _) => out.push_str("%Y"),
            ('M', 1 | 2) => out.push_str("%m"),
            ('M', 3) => out.push_str("%b"),
            ('M', _) => out.push_str("%B"),
            ('d', _) => out.push_str("%d"),
            ('H', _) => out.push_str("%H"),
            ('h', _) => out.push_str("%I"),
            ('m', _) => out.push_str("%M"),
            ('s', _) => out.push_str("%S"),
            ('S', _) => out.push_str("%3f"),
            ('a', _) => out.push_str("%p"),
            ('E', 1..=3) => out.push_str("%a"),
            ('E', _) => out.push_str("%A"),
            ('Z', _) => out.push_str("%z"),
            ('X', _) => out.push_str("%:z"),
            ('z', _) => out.push_str("%Z"),
            ('%', _) => out.extend(std::iter::repeat_n("%%", count)),
            (other, _) => out.extend(std::iter::repeat_n(other, count)),
        }
    }
    out
}

impl Field {
    fn write(&self, line: &Line<'_>, out: &mut String) {
        let written = match self {
            Self::Date(format) => write!(out, "{}", line.time.format(format)),
            Self::Level => out.write_str(line.level),
            Self::Logger(0) => out.write_str(line.logger),
            Self::Logger(segments) => {
                let start = line.logger.rmatch_indices('.').nth(segments - 1).map_or(0, |(at, _)| at + 1);
                out.write_str(&line.logger[start..])
            }
            Self::Message => out.write_fmt(line.message),
            Self::Thread => out.write_str(line.thread),
            Self::Context(key) => context(key, |value| out.write_str(value.unwrap_or_default())),
            Self::Nothing => Ok(()),
        };
        // A String takes everything; what a Display of a message refuses is left out.
        written.ok();
    }
}

impl Width {
    fn apply(self, out: &mut String, start: usize) {
        let count = out[start..].chars().count();
        if let Some(greatest) = self.greatest.filter(|greatest| count > *greatest) {
            let keep = out[start..].char_indices().nth(count - greatest).map_or(out.len(), |(at, _)| start + at);
            out.replace_range(start..keep, "");
        }
        let missing = self.least.saturating_sub(count);
        let at = if self.left { out.len() } else { start };
        out.insert_str(at, &" ".repeat(missing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn render(pattern: &str) -> String {
        let line = Line {
            time: Local.with_ymd_and_hms(2030, 5, 6, 7, 8, 9).unwrap(),
            level: "INFO",
            logger: "org.apache.synapse.LogMediator",
            thread: "main",
            message: format_args!("hello"),
        };
        Pattern::parse(pattern).0.render(&line)
    }

    #[test]
    fn lines_are_as_log4j_writes_them() {
        for (pattern, expected) in [
            ("[%d] %5p {%c{1}} - %m%ex%n", "[2030-05-06 07:08:09,000]  INFO {LogMediator} - hello\n"),
            ("%d{ISO8601} %-6level|%c{2}|%msg%n", "2030-05-06T07:08:09,000 INFO  |synapse.LogMediator|hello\n"),
            ("%date{dd.MM.yy 'at' hh:mm a} %t %%", "06.05.30 at 07:08 AM main %"),
            ("%c{1} %X{none}-%.3c-%20.4c-%nfoo", "LogMediator -tor-ator-\nfoo"),
            ("%highlight{%m}%q", "%highlight{%m}%q"),
            ("no fields", "no fields"),
        ] {
            assert_eq!(render(pattern), expected, "{pattern}");
        }
        assert_eq!(Pattern::parse("%m %q %F").1, ["%q", "%F"]);
    }

    #[test]
    fn lines_of_json_are_objects() {
        let line = Line {
            time: Local.with_ymd_and_hms(2030, 5, 6, 7, 8, 9).unwrap(),
            level: "WARN",
            logger: "LogMediator",
            thread: "main",
            message: format_args!("a \"b\"\nc"),
        };
        let text = with_context(CORRELATION_ID, "id-1".to_owned(), || Pattern::json().render(&line));
        assert!(text.ends_with("}\n") && !text.trim_end().contains('\n'), "{text}");
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["message"], "a \"b\"\nc");
        assert_eq!((&object["level"], &object["correlation_id"]), (&Value::from("WARN"), &Value::from("id-1")));
        assert!(Pattern::json().shows_ids() && Pattern::parse("%X{Correlation-ID}").0.shows_ids());
        assert!(!Pattern::default().shows_ids());
    }

    #[test]
    fn the_context_holds_for_one_call() {
        let shown = || render("%X{key}");
        let (outer, inner) =
            with_context("key", "a".to_owned(), || (shown(), with_context("key", "b".to_owned(), shown)));
        assert_eq!((outer.as_str(), inner.as_str(), shown().as_str()), ("a", "b", ""));
    }
}
