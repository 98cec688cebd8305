//! The value of an inline script is that of its last statement: `false` there stops the flow. A function gives nothing
//! without `return`, so the last statement, when it is an expression, gets one.

use crate::lexer::Lexer;

/// Most places that are tried; a script with more statements is evaluated as text each time.
const MAX_TRIED: usize = 300;

/// Words that cannot begin an expression statement.
const NO_EXPRESSION: &[&str] = &[
    "function", "class", "var", "let", "const", "if", "for", "while", "do", "switch", "try", "with", "return", "throw",
    "break", "continue", "debugger", "async", "import", "export", "else", "case", "default", "catch", "finally",
];

/// The source with `return` before its last statement, when that is an expression; `parses` tells whether a text is a
/// list of statements. `None` when the last statement is something else.
pub(crate) fn with_return(source: &str, parses: &dyn Fn(&str) -> bool) -> Option<String> {
    let tokens = Lexer::all(source);
    let end = tokens.iter().rposition(|token| !token.is(";"))?;
    let mut depth = 0_i32;
    let mut tried = 0;
    for (at, token) in tokens.iter().enumerate().take(end + 1) {
        let starts_here = depth == 0
            && (at == 0 || token.on_new_line || tokens[at - 1].is(";") || tokens[at - 1].is("}"))
            && !token.is("{")
            && !NO_EXPRESSION.contains(&token.text);
        if starts_here {
            tried += 1;
            if tried > MAX_TRIED {
                return None;
            }
            let (before, expression) = (&source[..token.start], &source[token.start..tokens[end].end()]);
            if parses(&format!("({expression}\n)")) && parses(before) {
                return Some(format!("{before}return ({expression}\n);"));
            }
        }
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            text if token.kind == crate::lexer::Kind::Template => {
                depth += i32::from(text.ends_with("${")) - i32::from(text.starts_with('}'));
            }
            _ => {}
        }
    }
    None
}
