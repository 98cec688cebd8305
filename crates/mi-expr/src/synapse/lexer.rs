//! Splits the text of a `${…}` expression into tokens, longest match first. MI: `ExpressionLexer.g4`.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `in nin subsetof anyof noneof size empty`.
    FilterWord,
    /// `=~`.
    Matches,
    /// `length()` and the other functions at the end of a path, parentheses included.
    PathFunction,
    Vars,
    /// `payload` or `$`.
    Payload,
    Headers,
    Configs,
    Params,
    /// `props` or `properties`.
    Props,
    And,
    Or,
    Not,
    DotDot,
    Star,
    Plus,
    Minus,
    Slash,
    Percent,
    /// `== != > < >= <=`.
    Comparison,
    LeftParen,
    RightParen,
    LeftBracket,
    RightBracket,
    Dot,
    Comma,
    Colon,
    Boolean,
    Number,
    /// `queryParams pathParams functionParams`.
    ParamScope,
    /// `axis2 synapse`.
    PropertyScope,
    /// The name of a function.
    Function,
    /// `property`, which may follow `registry(…)`.
    Secondary,
    Text,
    Null,
    Id,
    Question,
    At,
    /// A character without a meaning of its own; it may stand in the pattern of a filter.
    Other,
}

impl Kind {
    /// True for tokens that look like a name, which may stand behind a dot.
    pub(super) fn is_word(self) -> bool {
        matches!(
            self,
            Self::FilterWord
                | Self::Vars
                | Self::Payload
                | Self::Headers
                | Self::Configs
                | Self::Params
                | Self::Props
                | Self::And
                | Self::Or
                | Self::Boolean
                | Self::ParamScope
                | Self::PropertyScope
                | Self::Function
                | Self::Secondary
                | Self::Null
                | Self::Id
        )
    }
}

/// A token and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

const PATH_FUNCTIONS: &[&str] = &["length", "size", "min", "max", "avg", "sum", "stddev", "keys", "first", "last"];

/// The tokens of `source`. Never fails: what is no token is [`Kind::Other`].
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            at += 1;
            continue;
        }
        let (kind, length) = token(&source[at..], c);
        tokens.push(Token { kind, span: at..at + length });
        at += length;
    }
    tokens
}

fn token(text: &str, first: char) -> (Kind, usize) {
    if first.is_ascii_alphabetic() || first == '_' {
        return word(text);
    }
    if first.is_ascii_digit() || (first == '-' && text[1..].starts_with(|c: char| c.is_ascii_digit())) {
        return (Kind::Number, number(text));
    }
    if first == '"' || first == '\'' {
        return string(text, first).map_or((Kind::Other, 1), |length| (Kind::Text, length));
    }
    const TWO: &[(&str, Kind)] = &[
        ("==", Kind::Comparison),
        ("!=", Kind::Comparison),
        (">=", Kind::Comparison),
        ("<=", Kind::Comparison),
        ("=~", Kind::Matches),
        ("&&", Kind::And),
        ("||", Kind::Or),
        ("..", Kind::DotDot),
    ];
    if let Some((_, kind)) = TWO.iter().find(|(symbol, _)| text.starts_with(symbol)) {
        return (*kind, 2);
    }
    let kind = match first {
        '$' => Kind::Payload,
        '!' => Kind::Not,
        '*' => Kind::Star,
        '+' => Kind::Plus,
        '-' => Kind::Minus,
        '/' => Kind::Slash,
        '%' => Kind::Percent,
        '>' | '<' => Kind::Comparison,
        '(' => Kind::LeftParen,
        ')' => Kind::RightParen,
        '[' => Kind::LeftBracket,
        ']' => Kind::RightBracket,
        '.' => Kind::Dot,
        ',' => Kind::Comma,
        ':' => Kind::Colon,
        '?' => Kind::Question,
        '@' => Kind::At,
        _ => Kind::Other,
    };
    (kind, first.len_utf8())
}

fn word(text: &str) -> (Kind, usize) {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(text.len());
    let word = &text[..end];
    if PATH_FUNCTIONS.contains(&word) && text[end..].starts_with("()") {
        return (Kind::PathFunction, end + 2);
    }
    let kind = match word {
        "in" | "nin" | "subsetof" | "anyof" | "noneof" | "size" | "empty" => Kind::FilterWord,
        "vars" => Kind::Vars,
        "payload" => Kind::Payload,
        "headers" => Kind::Headers,
        "configs" => Kind::Configs,
        "params" => Kind::Params,
        "props" | "properties" => Kind::Props,
        "and" => Kind::And,
        "or" => Kind::Or,
        "true" | "false" => Kind::Boolean,
        "queryParams" | "pathParams" | "functionParams" => Kind::ParamScope,
        "axis2" | "synapse" => Kind::PropertyScope,
        "property" => Kind::Secondary,
        "null" => Kind::Null,
        _ if super::functions::find(word).is_some() => Kind::Function,
        _ => Kind::Id,
    };
    (kind, end)
}

fn number(text: &str) -> usize {
    let digits = |from: usize| from + text[from..].bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(usize::from(text.starts_with('-')));
    let fraction = if text[whole..].starts_with('.') { digits(whole + 1) } else { whole };
    if fraction > whole + 1 { fraction } else { whole }
}

/// Length of the string at the start of `text` with its quotes. Escapes are kept as they are; MI never resolves them.
fn string(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return Some(at + 1);
        }
        None
    })
}
