//! A script: checked, translated and made ready to be compiled by the engines of any thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

use crate::analysis::{self, Traits};
use crate::completion;
use crate::e4x;
use crate::engine;

/// The languages of MI that are JavaScript. They differ in what the payload looks like and in what Java leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `js` and `graalJs`: XML is text.
    Js,
    /// `nashornJs`: XML is elements with Axiom's methods.
    Nashorn,
    /// `rhinoJs`: XML is part of the language (E4X); every number is a double to Java.
    Rhino,
}

impl Language {
    /// The logger of `mc.getServiceLog()`.
    pub fn logger(self) -> &'static str {
        match self {
            Self::Js => "GraalVMJavaScriptMessageContext",
            Self::Nashorn => "OpenJDKNashornJavaScriptMessageContext",
            Self::Rhino => "CommonScriptMessageContext",
        }
    }
}

/// A source that is no JavaScript, with the place in it, both counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SyntaxError {
    /// What is wrong.
    pub message: String,
    /// Index of the source among those given.
    pub source_index: usize,
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// The script threw.
    #[error("{message}{}", place.as_deref().map(|it| format!(" ({it})")).unwrap_or_default())]
    Thrown {
        /// The error as it prints.
        message: String,
        /// Line and column in the script, when the engine tells.
        place: Option<String>,
    },
    /// The function that is to be called is not there.
    #[error("no such method: {0}")]
    MissingFunction(String),
    /// It ran for too long.
    #[error("the script ran longer than {} ms, the limit", .0.as_millis())]
    Timeout(Duration),
    /// It needed too much memory.
    #[error("the script needed more than {0} bytes of memory, the limit")]
    Memory(usize),
    /// It asked for a payload that nobody has read.
    #[error("the payload has not been read yet")]
    BodyUnread,
    /// The engine could not be set up.
    #[error("the script could not be compiled: {0}")]
    Broken(String),
}

/// Where a run should take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// On the thread that has the message: it has been quick so far.
    Quick,
    /// On a thread that may be held up: it is new, or it once was slow.
    Slow,
}

/// A run up to this long is quick.
const QUICK: Duration = Duration::from_millis(5);
/// A run from this length on makes a script slow for good.
const SLOW: Duration = Duration::from_millis(50);
/// Quick runs before a script counts as quick.
const PROVEN: i32 = 2;
/// The score that no run can make up for.
const FOR_GOOD: i32 = -1000;

/// What happens in a run.
#[derive(Debug)]
pub(crate) enum Task {
    /// The source is run with `mc`; its value counts.
    Inline,
    /// The function of this name is called with `mc` and further arguments.
    Function(String),
    /// Texts go in, the JSON text of an expression comes out.
    Texts,
}

/// A checked script. Sharing it is cheap; each thread compiles it once.
#[derive(Clone, Debug)]
pub struct Script(pub(crate) Arc<Plan>);

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) language: Language,
    pub(crate) task: Task,
    /// An expression whose value is the function to be called.
    pub(crate) code: String,
    pub(crate) traits: Traits,
    pub(crate) uses_e4x: bool,
    pub(crate) uses_java: bool,
    /// Places in `code` of the sources: the line on which each starts, and the width of what stands before it there.
    pub(crate) starts: Vec<(usize, usize)>,
    pub(crate) sleeps: bool,
    pub(crate) pause: Option<Duration>,
    score: AtomicI32,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Words that make Java's classes appear among the global names.
const JAVA: &[&str] = &[
    "java",
    "javax",
    "org",
    "com",
    "Java",
    "Packages",
    "importPackage",
    "importClass",
    "JavaImporter",
    "load",
    "QName",
];

impl Script {
    /// A script that stands in a configuration; the value of its last statement is the result.
    pub fn inline(source: &str, language: Language) -> Result<Self, SyntaxError> {
        let (code, facts) = translate(&[source], language)?;
        let body = &code[0];
        check(body, 0)?;
        let parses = |text: &str| engine::compiles(&wrap_body(text)).is_ok();
        let wrapped = match completion::with_return(body, &parses) {
            Some(body) => wrap_body(&body),
            // The value may come out of any block: the text is evaluated anew each time, inside of a function.
            None if gives_value(body) => {
                format!("(function(mc){{return eval({})}})", serde_json::Value::from(body.as_str()))
            }
            None => wrap_body(body),
        };
        let facts = Facts { pause: pause_of(body), ..facts };
        Ok(Self::new(language, Task::Inline, wrapped, facts, vec![(1, BODY_START.len())]))
    }

    /// Sources of which the function `name` is called. The first one comes first, included ones follow.
    pub fn function(sources: &[&str], name: &str, language: Language) -> Result<Self, SyntaxError> {
        let (code, facts) = translate(sources, language)?;
        let mut wrapped = String::from(CALL_START);
        let mut starts = Vec::new();
        for (at, source) in code.iter().enumerate() {
            check(source, at)?;
            let line = wrapped.matches('\n').count() + 1;
            starts.push((line, if at == 0 { CALL_START.len() } else { 0 }));
            wrapped.push_str(source);
            wrapped.push('\n');
        }
        let is_name = !name.is_empty()
            && name.chars().all(crate::lexer::is_word_letter)
            && !name.starts_with(|first: char| first.is_ascii_digit());
        let missing = "if(true)return __missing()";
        if is_name {
            wrapped.push_str(&format!(
                ";if(typeof {name}!=='function')return __missing();return {name}.apply(undefined,__arguments)}})"
            ));
        } else {
            wrapped.push_str(&format!(";{missing}}})"));
        }
        if let Err(error) = engine::compiles(&wrapped) {
            return Err(SyntaxError { message: error.message, source_index: 0, line: 1, column: 1 });
        }
        Ok(Self::new(language, Task::Function(name.to_owned()), wrapped, facts, starts))
    }

    /// A script that gets texts by the names of `parameters` and gives the JSON text of the expression `result`.
    /// `head` is run before the source.
    pub fn texts(parameters: &[&str], head: &str, source: &str, result: &str) -> Result<Self, SyntaxError> {
        check(source, 0)?;
        let start = format!("(function({}){{{head};", parameters.join(","));
        let wrapped = format!("{start}{source}\n;return JSON.stringify({result})}})");
        if let Err(error) = engine::compiles(&wrapped) {
            let text = format!("`{result}` cannot be called: {}", error.message);
            return Err(SyntaxError { message: text, source_index: 0, line: 1, column: 1 });
        }
        let facts = Facts { traits: analysis::traits_of(source), ..Facts::default() };
        Ok(Self::new(Language::Js, Task::Texts, wrapped, facts, vec![(1, start.len())]))
    }

    fn new(language: Language, task: Task, code: String, facts: Facts, starts: Vec<(usize, usize)>) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let Facts { traits, uses_e4x, uses_java, sleeps, pause } = facts;
        let score = AtomicI32::new(if sleeps { FOR_GOOD } else { 0 });
        Self(Arc::new(Plan { id, language, task, code, traits, uses_e4x, uses_java, starts, sleeps, pause, score }))
    }

    /// How long it waits, when that is all it does (`java.lang.Thread.sleep(1000)`): nobody has to be held up for that.
    pub fn pause(&self) -> Option<Duration> {
        self.0.pause
    }

    /// True when it may wait (`java.lang.Thread.sleep`): its time is its own then.
    pub fn sleeps(&self) -> bool {
        self.0.sleeps
    }

    /// True when it may look at the payload or replace it.
    pub fn reads_body(&self) -> bool {
        self.0.traits.reads_body
    }

    /// Where it should run next.
    pub fn pace(&self) -> Pace {
        if self.0.score.load(Ordering::Relaxed) >= PROVEN { Pace::Quick } else { Pace::Slow }
    }

    /// Takes into account how long a run lasted. A script that once held up a thread never gets the chance again.
    pub(crate) fn observe(&self, lasted: Duration) {
        let score = &self.0.score;
        let known = score.load(Ordering::Relaxed);
        let next = match lasted {
            _ if known <= FOR_GOOD => return,
            _ if lasted >= SLOW && known >= PROVEN => FOR_GOOD,
            _ if lasted <= QUICK => (known + 1).min(PROVEN),
            _ => (known - 1).max(-8),
        };
        if next != known {
            score.store(next, Ordering::Relaxed);
        }
    }
}

const BODY_START: &str = "(function(mc){";
const CALL_START: &str = "(function(__arguments){var mc=__arguments[0];";

fn wrap_body(body: &str) -> String {
    format!("{BODY_START}{body}\n}})")
}

/// Can a statement that is no expression at the end give the script a value? One with a block can.
fn gives_value(source: &str) -> bool {
    let tokens = crate::lexer::Lexer::all(source);
    let blocks = ["if", "for", "while", "do", "switch", "try", "with"];
    tokens.iter().any(|token| blocks.iter().any(|word| token.is_word(word)))
        && tokens.iter().any(|token| {
            token.is_word("false")
                || ["==", "!=", "===", "!==", "!", "&&", "||", "<", ">"].iter().any(|it| token.is(it))
        })
}

#[derive(Clone, Copy, Default)]
struct Facts {
    traits: Traits,
    uses_e4x: bool,
    uses_java: bool,
    sleeps: bool,
    pause: Option<Duration>,
}

/// The time of a source that is one `java.lang.Thread.sleep(…)` and nothing else.
fn pause_of(source: &str) -> Option<Duration> {
    let tokens: Vec<&str> = crate::lexer::Lexer::all(source).iter().map(|token| token.text).collect();
    let call = tokens.strip_suffix(&[";"][..]).unwrap_or(&tokens);
    match call {
        ["java", ".", "lang", ".", "Thread", ".", "sleep", "(", millis, ")"] => {
            millis.parse().ok().map(Duration::from_millis)
        }
        _ => None,
    }
}

/// Plain JavaScript of the sources, and what is to be known of them.
fn translate(sources: &[&str], language: Language) -> Result<(Vec<String>, Facts), SyntaxError> {
    let mut facts = Facts { uses_e4x: language == Language::Rhino, ..Facts::default() };
    let mut code = Vec::new();
    for (source_index, source) in sources.iter().enumerate() {
        let mut text = (*source).to_owned();
        if language == Language::Rhino {
            let rewritten = e4x::rewrite(source).map_err(|(offset, message)| {
                let before = &source[..offset.min(source.len())];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                SyntaxError { message, source_index, line, column }
            })?;
            facts.traits.leaves_traces |= rewritten.sets_namespace;
            text = rewritten.code;
        }
        let traits = analysis::traits_of(&text);
        facts.traits.reads_body |= traits.reads_body;
        facts.traits.leaves_traces |= traits.leaves_traces;
        let tokens = crate::lexer::Lexer::all(&text);
        facts.uses_java |= tokens.iter().any(|it| JAVA.contains(&it.text));
        facts.sleeps |= tokens.iter().any(|it| it.text == "Thread" || it.text.contains("java.lang.Thread"));
        code.push(text);
    }
    Ok((code, facts))
}

/// Compiles a source alone, so that the error has its place in it.
fn check(source: &str, source_index: usize) -> Result<(), SyntaxError> {
    let error = match engine::compiles(&wrap_body(source)) {
        Err(error) => error,
        // What closes the function around it would be another program than the one that was written.
        Ok(()) => match unbalanced(source) {
            Some((line, column)) => engine::CompileError { message: "unexpected bracket".to_owned(), line, column },
            None => return Ok(()),
        },
    };
    let in_first = if error.line <= 1 { BODY_START.len() } else { 0 };
    Err(SyntaxError {
        message: error.message,
        source_index,
        line: error.line.max(1).min(source.matches('\n').count() + 1),
        column: error.column.saturating_sub(in_first).max(1),
    })
}

/// The place of a bracket that closes what the source did not open.
fn unbalanced(source: &str) -> Option<(usize, usize)> {
    let mut depth = 0_i32;
    for token in crate::lexer::Lexer::all(source) {
        match token.text {
            "{" | "(" | "[" if token.kind == crate::lexer::Kind::Punct => depth += 1,
            "}" | ")" | "]" if token.kind == crate::lexer::Kind::Punct => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            let before = &source[..token.start];
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            return Some((before.matches('\n').count() + 1, column));
        }
    }
    None
}
