//! What can be said of a script without running it: whether it may look at the payload, whether it may change the
//! objects that all scripts of an engine share, and which languages' extras it uses.
//!
//! Every answer errs on the safe side. A script that may touch shared objects runs in an engine of its own each time;
//! one that may read the payload gets it built first.

use std::collections::HashSet;

use crate::lexer::{Kind, Lexer, Token};

/// What a script may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    /// It may read or replace the payload.
    pub(crate) reads_body: bool,
    /// It may leave something behind in the engine: names, prototypes, built-in objects.
    pub(crate) leaves_traces: bool,
}

/// Names of `mc` that need the payload, without `get`, `set` and `is`.
const BODY_NAMES: &[&str] = &[
    "payloadXML",
    "payloadJSON",
    "payloadText",
    "jsonObject",
    "jsonText",
    "envelope",
    "envelopeXML",
    "messageString",
    "header",
    "SOAP11",
    "doingMTOM",
    "doingSWA",
    "doingPOX",
    "doingGET",
    "parsedOMElement",
    "xpathResult",
];

/// Words with which a script may reach objects that outlive it.
const SHARED_NAMES: &[&str] = &[
    "prototype",
    "__proto__",
    "constructor",
    "globalThis",
    "eval",
    "Function",
    "Reflect",
    "Proxy",
    "with",
    "import",
    "setPrototypeOf",
    "getPrototypeOf",
    "defineProperty",
    "defineProperties",
    "assign",
    "freeze",
    "seal",
    "preventExtensions",
    "__defineGetter__",
    "__defineSetter__",
    "this",
    "async",
    "await",
    "Promise",
    "WeakRef",
    "FinalizationRegistry",
    "callee",
    "caller",
    "lastIndex",
    "delete",
];

/// Built-in names; a script that uses one as a variable of its own must not change it for others.
const BUILT_IN: &[&str] = &[
    "Object",
    "Array",
    "String",
    "Number",
    "Boolean",
    "Date",
    "RegExp",
    "Math",
    "JSON",
    "Map",
    "Set",
    "WeakMap",
    "WeakSet",
    "Symbol",
    "Error",
    "TypeError",
    "RangeError",
    "SyntaxError",
    "ReferenceError",
    "EvalError",
    "URIError",
    "parseInt",
    "parseFloat",
    "isNaN",
    "isFinite",
    "escape",
    "unescape",
    "encodeURI",
    "encodeURIComponent",
    "decodeURI",
    "decodeURIComponent",
    "undefined",
    "NaN",
    "Infinity",
    "Iterator",
    "BigInt",
    "ArrayBuffer",
    "mc",
    "XML",
    "XMLList",
    "Namespace",
    "QName",
    "importPackage",
    "importClass",
    "JavaImporter",
    "print",
    "console",
    "java",
    "Java",
    "Packages",
    "org",
    "com",
    "javax",
    "load",
    "queueMicrotask",
    "performance",
];

/// Looks at a source.
pub(crate) fn traits_of(source: &str) -> Traits {
    let tokens = Lexer::all(source);
    let counters = counters(&tokens);
    let mut traits = Traits::default();
    let (mut unknown_key, mut member_write) = (false, false);
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Word => {
                traits.reads_body |= needs_body(token.text);
                traits.leaves_traces |=
                    (SHARED_NAMES.contains(&token.text) && !marks_module(&tokens, at)) || assigns_built_in(&tokens, at);
                member_write |= at > 0 && (tokens[at - 1].is(".") || tokens[at - 1].is("?.")) && is_target(&tokens, at);
                // An escape in a name could spell any of the words above.
                if token.text.contains('\\') || token.text == "eval" || token.text == "Function" {
                    return Traits { reads_body: true, leaves_traces: true };
                }
            }
            Kind::Str => {
                let name = token.text.trim_matches(['"', '\'']);
                // A member can be named by a string.
                let computed = at > 0 && tokens[at - 1].is("[");
                traits.reads_body |= computed && (needs_body(name) || name.contains('\\'));
                traits.leaves_traces |= computed && (SHARED_NAMES.contains(&name) || name.contains('\\'));
            }
            // `]` and `}` before `=` may be patterns with members in them.
            Kind::Punct if matches!(token.text, "]" | "}") => member_write |= is_target(&tokens, at),
            Kind::Punct if token.text == "[" && is_member_access(&tokens, at) => {
                unknown_key |= !has_known_key(&tokens, at, &counters);
                traits.reads_body |= reads_unknown_member(&tokens, at);
            }
            _ => {}
        }
    }
    // With a key out of a message (`__proto__`), what is read may be an object that all scripts share.
    traits.leaves_traces |= unknown_key && member_write;
    traits
}

/// `Object.defineProperty(exports, …)`, with which bundlers mark a module, changes an object of the script's own.
fn marks_module(tokens: &[Token<'_>], at: usize) -> bool {
    tokens[at].text == "defineProperty"
        && tokens.get(at + 1).is_some_and(|it| it.is("("))
        && tokens.get(at + 2).is_some_and(|it| it.is_word("exports"))
        && tokens.get(at + 3).is_some_and(|it| it.is(","))
}

/// Is what ends at `at` assigned?
fn is_target(tokens: &[Token<'_>], at: usize) -> bool {
    tokens.get(at + 1).is_some_and(|next| is_assignment(next) || next.is_word("of") || next.is_word("in"))
        || tokens[..at].iter().rev().take(8).any(|it| it.is("++") || it.is("--"))
}

fn is_assignment(token: &Token<'_>) -> bool {
    token.kind == Kind::Punct
        && ((token.text.ends_with('=') && !matches!(token.text, "==" | "===" | "!=" | "!==" | "<=" | ">="))
            || matches!(token.text, "++" | "--"))
}

/// `[` behind a value is an access, elsewhere a list.
fn is_member_access(tokens: &[Token<'_>], open: usize) -> bool {
    let Some(before) = open.checked_sub(1).map(|at| tokens[at]) else { return false };
    match before.kind {
        Kind::Word => !matches!(before.text, "return" | "in" | "of" | "case" | "typeof" | "new" | "else" | "throw"),
        Kind::Punct => matches!(before.text, ")" | "]" | "}" | "?."),
        _ => true,
    }
}

/// Is the key a literal, or computed of counters alone?
fn has_known_key(tokens: &[Token<'_>], open: usize, counters: &HashSet<&str>) -> bool {
    let Some(close) = matching_close(tokens, open) else { return false };
    let key = &tokens[open + 1..close];
    let literal = matches!(key, [only] if only.kind == Kind::Str);
    let number = |token: &Token<'_>| match token.kind {
        Kind::Number => true,
        Kind::Word => counters.contains(token.text),
        _ => matches!(token.text, "+" | "-" | "*" | "%" | "(" | ")" | "++" | "--"),
    };
    literal || (!key.is_empty() && key.iter().all(number))
}

/// Names that hold numbers only: every assignment gives them a number, or counts.
fn counters<'s>(tokens: &[Token<'s>]) -> HashSet<&'s str> {
    let mut counters = HashSet::new();
    let mut others: HashSet<&str> = HashSet::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is("(") && is_parameter_list(tokens, at) {
            let names = tokens[at..].iter().take_while(|it| !it.is("{") && !it.is("=>"));
            others.extend(names.filter(|it| it.kind == Kind::Word).map(|it| it.text));
        }
        if token.kind != Kind::Word || (at > 0 && tokens[at - 1].is(".")) {
            continue;
        }
        let Some(next) = tokens.get(at + 1) else { continue };
        let number_follows = tokens.get(at + 2).is_some_and(|it| it.kind == Kind::Number)
            && tokens.get(at + 3).is_none_or(|it| it.on_new_line || matches!(it.text, ";" | "," | ")"));
        if next.is("=") && number_follows {
            counters.insert(token.text);
        } else if next.is("=>")
            || next.is_word("in")
            || next.is_word("of")
            || (is_assignment(next) && !matches!(next.text, "++" | "--") && !(matches!(next.text, "+=" | "-=") && number_follows))
            // A pattern binds what stands in it.
            || next.is("}")
            || (next.is("]") && tokens.get(at + 2).is_some_and(|it| it.is("=")) && is_in_list(tokens, at))
        {
            others.insert(token.text);
        }
    }
    counters.retain(|name| !others.contains(name));
    counters
}

/// Is the innermost bracket around `at` that of a list?
fn is_in_list(tokens: &[Token<'_>], at: usize) -> bool {
    let mut depth = 0;
    for before in (0..at).rev() {
        match tokens[before].text {
            "]" => depth += 1,
            "[" if depth == 0 => return !is_member_access(tokens, before),
            "[" => depth -= 1,
            _ => {}
        }
    }
    true
}

/// Does `(` at `open` begin the parameters of a function or of `catch`?
fn is_parameter_list(tokens: &[Token<'_>], open: usize) -> bool {
    let condition = open > 0 && ["if", "for", "while", "switch"].iter().any(|word| tokens[open - 1].is_word(word));
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") {
            depth += 1;
        } else if token.is(")") {
            depth -= 1;
            if depth == 0 {
                return !condition && tokens.get(at + 1).is_some_and(|next| next.is("{") || next.is("=>"));
            }
        }
    }
    false
}

fn needs_body(name: &str) -> bool {
    let lower_first = |rest: &str| {
        let mut letters = rest.chars();
        letters.next().map(|first| first.to_lowercase().chain(letters).collect::<String>())
    };
    BODY_NAMES.contains(&name)
        || ["get", "set", "is", "add"].iter().any(|verb| {
            name.strip_prefix(verb).is_some_and(|rest| {
                BODY_NAMES.contains(&rest) || lower_first(rest).is_some_and(|it| BODY_NAMES.contains(&it.as_str()))
            })
        })
}

/// Follows `.a`, `[b]` and `?.c` and tells whether what they lead to is assigned.
fn chain_is_assigned(tokens: &[Token<'_>], start: usize) -> bool {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        if token.is(".") || token.is("?.") {
            at += 2;
        } else if token.is("[") {
            let Some(close) = matching_close(tokens, at) else { return true };
            at = close + 1;
        } else {
            return is_assignment(token);
        }
    }
    false
}

fn matching_close(tokens: &[Token<'_>], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("[") {
            depth += 1;
        } else if token.is("]") {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// `mc[name]`: any method may be meant. What is indexed by a number or a literal is not.
fn reads_unknown_member(tokens: &[Token<'_>], open: usize) -> bool {
    let Some(before) = open.checked_sub(1).map(|at| tokens[at]) else { return false };
    let member = before.is_word("mc") || before.is(")");
    let literal = matches!(tokens.get(open + 1), Some(token) if matches!(token.kind, Kind::Number | Kind::Str))
        && tokens.get(open + 2).is_some_and(|token| token.is("]"));
    member && !literal
}

fn assigns_built_in(tokens: &[Token<'_>], at: usize) -> bool {
    let token = tokens[at];
    if !BUILT_IN.contains(&token.text) || (at > 0 && (tokens[at - 1].is(".") || tokens[at - 1].is("?."))) {
        return false;
    }
    let Some(next) = tokens.get(at + 1) else { return false };
    let property_name = next.is(":");
    let mentioned_only =
        next.is("(") || next.is(",") || next.is(")") || next.is(";") || next.is("==") || next.is("===");
    !property_name
        && !mentioned_only
        && (is_assignment(next) || ((next.is(".") || next.is("[")) && chain_is_assigned(tokens, at + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, reads_body: bool, leaves_traces: bool) {
        assert_eq!(traits_of(source), Traits { reads_body, leaves_traces }, "{source}");
    }

    #[test]
    fn who_reads_the_payload() {
        check("mc.setProperty('a', 1 + mc.getProperty('b')[0])", false, false);
        check("var p = mc.getPayloadJSON(); p.a.b = 1", true, false);
        check("mc.payloadXML", true, false);
        check("mc['getPayloadXML']()", true, false);
        check("mc[name]()", true, false);
        check("mc.addHeader(true, x)", true, false);
        check("log('getPayloadXML')", false, false);
        check("// mc.getPayloadXML()", false, false);
        check("`${mc.getPayloadText()}`", true, false);
        check("eval(x)", true, true);
    }

    #[test]
    fn who_leaves_traces() {
        check("var list = [1, 2]; list[0] == 1; var a = b[i].c", false, false);
        check("a[k] = 1", false, true);
        check("for (i = 0; i < 9; ++i) { r[i] = l[i + 1]; l.n = r[i].x }", false, false);
        check("for (var i in b) { a[i] = b[i] }", false, true);
        check("function f(i) { a[i].x = 1 } i = 0", false, true);
        check("var v = a[k]; v.x = 1", false, true);
        check("var i = 0; i = k; a[i].x = 1", false, true);
        check("x[\"@id\"] = 1; x['y'][0] = 2", false, false);
        check("a[k].b = 1", false, true);
        check("a[k]['b'] += 1", false, true);
        check("a[k].b == 1; c = a[k]", false, false);
        check("++a[k]", false, true);
        check("[a[k].b] = c", false, true);
        check("String.prototype.x = f", false, true);
        check("a['__proto__'].b", false, true);
        check("for (a[k] in b) {}", false, true);
        check("Map = {}", false, true);
        check("x.Map = 1; y = {Map: 1}; JSON.stringify(x)", false, false);
        check("Math.random = f", false, true);
        check("a.constr\\u0075ctor", true, true);
        check("Object.assign(a, b)", false, true);
        check("Object.defineProperty(exports, 'a', {}); exports.f = f", false, false);
        check("Object.defineProperty(a, 'b', {})", false, true);
    }
}
