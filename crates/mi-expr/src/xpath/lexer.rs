//! Text to tokens. Which names are operators is the parser's business: it knows where an operand is due.

use std::borrow::Cow;
use std::rc::Rc;

use super::Version;
use super::error::SyntaxError;
use super::lexer_markup::Markup;

/// Which language a text is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    XPath(Version),
    XQuery,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'s> {
    End,
    /// A name with its prefix (empty for none).
    Name(&'s str, &'s str),
    /// `p:*`
    PrefixStar(&'s str),
    /// `*:x`
    StarLocal(&'s str),
    Star,
    String(Cow<'s, str>),
    Integer(&'s str),
    Decimal(&'s str),
    Double(&'s str),
    /// `$p:x`
    Variable(&'s str, &'s str),
    Slash,
    SlashSlash,
    OpenParen,
    CloseParen,
    OpenBracket,
    CloseBracket,
    Comma,
    At,
    Dot,
    DotDot,
    ColonColon,
    Pipe,
    PipePipe,
    Plus,
    Minus,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    LessLess,
    GreaterGreater,
    Question,
    Bang,
    Assign,
    Arrow,
    OpenBrace,
    CloseBrace,
    Colon,
    Hash,
    Semicolon,
    Percent,
    /// `(# name … #)`, with its content.
    Pragma(&'s str),
    /// A direct constructor of XQuery.
    Markup(Rc<Markup<'s>>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spanned<'s> {
    pub(super) token: Token<'s>,
    pub(super) offset: usize,
}

/// Longest expression that is accepted.
const MAX_SOURCE: usize = 1 << 20;

pub(super) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

pub(super) fn is_name_char(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}') || ('\u{300}'..='\u{36f}').contains(&c)
}

/// Names behind which an operand follows, so that `<` starts a constructor.
const OPERATOR_WORDS: [&str; 31] = [
    "return",
    "then",
    "else",
    "in",
    "satisfies",
    "where",
    "by",
    "and",
    "or",
    "div",
    "idiv",
    "mod",
    "to",
    "union",
    "intersect",
    "except",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "is",
    "default",
    "case",
    "ascending",
    "descending",
    "greatest",
    "least",
    "when",
    "start",
];

/// All tokens of an expression, `End` last. What only XPath 2.0 has is refused for `Version::V1`.
pub(super) fn tokenize(src: &str, dialect: Dialect) -> Result<Vec<Spanned<'_>>, SyntaxError> {
    if src.len() > MAX_SOURCE {
        let message = format!("the expression is longer than {MAX_SOURCE} bytes, which is the cap");
        return Err(SyntaxError { offset: MAX_SOURCE, message });
    }
    let version = match dialect {
        Dialect::XPath(version) => version,
        Dialect::XQuery => Version::V2,
    };
    let mut lexer = Lexer { src, at: 0, version, markup: dialect == Dialect::XQuery, depth: 0 };
    lexer.run(false)
}

pub(super) struct Lexer<'s> {
    pub(super) src: &'s str,
    pub(super) at: usize,
    version: Version,
    /// `<` may start a constructor, and strings may hold references.
    markup: bool,
    /// How deep constructors and expressions in them are nested.
    pub(super) depth: u32,
}

impl<'s> Lexer<'s> {
    /// The tokens to the end of the text, or to the `}` that ends an enclosed expression, which is taken.
    pub(super) fn run(&mut self, enclosed: bool) -> Result<Vec<Spanned<'s>>, SyntaxError> {
        let mut out: Vec<Spanned<'s>> = Vec::new();
        let mut braces = 0_usize;
        loop {
            self.skip_blank()?;
            let offset = self.at;
            let token = if self.markup && self.at_markup() && operand_due(&out) {
                Token::Markup(Rc::new(self.markup()?))
            } else {
                self.next()?
            };
            match token {
                Token::OpenBrace => braces += 1,
                Token::CloseBrace if braces == 0 && enclosed => {
                    out.push(Spanned { token: Token::End, offset });
                    return Ok(out);
                }
                Token::CloseBrace => braces = braces.saturating_sub(1),
                Token::End if enclosed => {
                    return Err(self.error(offset, "a `}` is missing"));
                }
                _ => {}
            }
            let end = token == Token::End;
            out.push(Spanned { token, offset });
            if end {
                return Ok(out);
            }
        }
    }

    /// Whether a `<` here has the look of a constructor.
    fn at_markup(&self) -> bool {
        self.peek(0) == b'<'
            && (matches!(self.peek(1), b'!' | b'?') || self.src[self.at + 1..].starts_with(is_name_start))
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.src[self.at..]
    }

    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.src.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn error(&self, offset: usize, message: impl Into<String>) -> SyntaxError {
        SyntaxError { offset, message: message.into() }
    }

    fn only_v2(&self, what: &str) -> Result<(), SyntaxError> {
        if self.version == Version::V1 { Err(self.error(self.at, format!("XPath 1.0 has no {what}"))) } else { Ok(()) }
    }

    fn skip_blank(&mut self) -> Result<(), SyntaxError> {
        loop {
            // No-break spaces come in with text that was pasted from web pages; MI's engine skips them too.
            let rest = self.rest().trim_start_matches(|c: char| c.is_whitespace());
            self.at = self.src.len() - rest.len();
            if !rest.starts_with("(:") {
                return Ok(());
            }
            self.only_v2("comments")?;
            self.skip_comment()?;
        }
    }

    fn skip_comment(&mut self) -> Result<(), SyntaxError> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'(', b':') => (depth, self.at) = (depth + 1, self.at + 2),
                (b':', b')') => (depth, self.at) = (depth - 1, self.at + 2),
                _ if self.at >= self.src.len() => return Err(self.error(start, "a comment has no end `:)`")),
                _ => self.at += 1,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Token<'s>, SyntaxError> {
        if self.rest().starts_with("(#") && self.markup {
            // The end has a `#` of its own: `(#)` is none.
            let Some(length) = self.rest()[2..].find("#)").map(|at| at + 2) else {
                return Err(self.error(self.at, "a pragma has no end `#)`"));
            };
            let content = &self.rest()[2..length];
            self.at += length + 2;
            return Ok(Token::Pragma(content));
        }
        if let Some((token, length)) = symbol(self.peek(0), self.peek(1), self.peek(2)) {
            self.at += length;
            return Ok(token);
        }
        match self.peek(0) {
            0 if self.at >= self.src.len() => Ok(Token::End),
            b'*' => Ok(self.star()),
            b'"' | b'\'' => self.string(),
            b'.' if !self.peek(1).is_ascii_digit() => {
                self.at += 1;
                Ok(Token::Dot)
            }
            b'.' | b'0'..=b'9' => self.number(),
            b'$' => self.variable(),
            _ => match self.name() {
                Some(name) => Ok(self.qualified(name)),
                None => {
                    let c = self.rest().chars().next().unwrap_or(' ');
                    Err(self.error(self.at, format!("unexpected character `{c}`")))
                }
            },
        }
    }

    pub(super) fn name(&mut self) -> Option<&'s str> {
        let rest = self.rest();
        if !rest.starts_with(is_name_start) {
            return None;
        }
        let length = rest.find(|c| !is_name_char(c)).unwrap_or(rest.len());
        self.at += length;
        Some(&rest[..length])
    }

    /// The token that starts with `first`: a name, `p:x` or `p:*`. `axis::` is left to the parser.
    fn qualified(&mut self, first: &'s str) -> Token<'s> {
        if let Some(prefix) = self.braced_uri(first) {
            if self.peek(0) == b'*' {
                self.at += 1;
                return Token::PrefixStar(prefix);
            }
            if let Some(local) = self.name() {
                return Token::Name(prefix, local);
            }
            self.at -= prefix.len() - first.len();
        }
        if self.peek(0) != b':' || self.peek(1) == b':' {
            return Token::Name("", first);
        }
        let mark = self.at;
        self.at += 1;
        if self.peek(0) == b'*' {
            self.at += 1;
            return Token::PrefixStar(first);
        }
        match self.name() {
            Some(local) => Token::Name(first, local),
            None => {
                self.at = mark;
                Token::Name("", first)
            }
        }
    }

    /// `Q{uri}` of XPath 3.0 behind the `Q`, as the prefix that it takes the place of.
    fn braced_uri(&mut self, first: &'s str) -> Option<&'s str> {
        if first != "Q" || self.peek(0) != b'{' || self.version == Version::V1 {
            return None;
        }
        let length = self.rest()[1..].find(['{', '}'])? + 2;
        let behind = self.rest().get(length..)?;
        let named = behind.starts_with(is_name_start) || behind.starts_with('*');
        if !self.rest()[..length].ends_with('}') || !named {
            return None;
        }
        let start = self.at - 1;
        self.at += length;
        Some(&self.src[start..self.at])
    }

    fn star(&mut self) -> Token<'s> {
        self.at += 1;
        if self.peek(0) != b':' || self.peek(1) == b':' {
            return Token::Star;
        }
        let mark = self.at;
        self.at += 1;
        match self.name() {
            Some(local) => Token::StarLocal(local),
            None => {
                self.at = mark;
                Token::Star
            }
        }
    }

    fn variable(&mut self) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        self.at += 1;
        self.skip_blank()?;
        let Some(first) = self.name() else {
            return Err(self.error(start, "a variable name is missing behind `$`"));
        };
        if let Some(prefix) = self.braced_uri(first)
            && let Some(local) = self.name()
        {
            return Ok(Token::Variable(prefix, local));
        }
        if self.peek(0) == b':' && !matches!(self.peek(1), b':' | b'=') {
            self.at += 1;
            let local = self.name().ok_or_else(|| {
                self.error(start, format!("the name behind `${first}:` is missing or is no XML name"))
            })?;
            return Ok(Token::Variable(first, local));
        }
        Ok(Token::Variable("", first))
    }

    fn string(&mut self) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        let quote = char::from(self.peek(0));
        let mut from = start + 1;
        let mut text = Cow::Borrowed("");
        loop {
            let Some(length) = self.src[from..].find(quote) else {
                return Err(self.error(start, format!("the string has no closing {quote}")));
            };
            let part = &self.src[from..from + length];
            match &mut text {
                Cow::Borrowed("") => text = Cow::Borrowed(part),
                other => other.to_mut().push_str(part),
            }
            self.at = from + length + 1;
            if !self.rest().starts_with(quote) {
                if self.markup && text.contains('&') {
                    text = Cow::Owned(self.references(&text, start)?);
                }
                return Ok(Token::String(text));
            }
            self.only_v2("doubled quotes")?;
            text.to_mut().push(quote);
            from = self.at + 1;
        }
    }

    fn number(&mut self) -> Result<Token<'s>, SyntaxError> {
        let start = self.at;
        self.digits();
        let mut point = false;
        // `1..2` is no number, but `1.` is one.
        if self.peek(0) == b'.' && self.peek(1) != b'.' {
            point = true;
            self.at += 1;
            self.digits();
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.only_v2("exponents")?;
                self.at += 1 + sign;
                self.digits();
                return Ok(Token::Double(&self.src[start..self.at]));
            }
        }
        let text = &self.src[start..self.at];
        Ok(if point { Token::Decimal(text) } else { Token::Integer(text) })
    }

    fn digits(&mut self) {
        while self.peek(0).is_ascii_digit() {
            self.at += 1;
        }
    }
}

/// Tokens told by their first bytes alone, with their length.
fn symbol(a: u8, b: u8, c: u8) -> Option<(Token<'static>, usize)> {
    Some(match (a, b) {
        (b'/', b'/') => (Token::SlashSlash, 2),
        (b'/', _) => (Token::Slash, 1),
        (b'(', _) => (Token::OpenParen, 1),
        (b')', _) => (Token::CloseParen, 1),
        (b'[', _) => (Token::OpenBracket, 1),
        (b']', _) => (Token::CloseBracket, 1),
        (b',', _) => (Token::Comma, 1),
        (b'@', _) => (Token::At, 1),
        (b'.', b'.') if c != b'.' => (Token::DotDot, 2),
        (b':', b':') => (Token::ColonColon, 2),
        (b':', b'=') => (Token::Assign, 2),
        (b'|', b'|') => (Token::PipePipe, 2),
        (b'|', _) => (Token::Pipe, 1),
        (b'+', _) => (Token::Plus, 1),
        (b'-', _) => (Token::Minus, 1),
        (b'=', b'>') => (Token::Arrow, 2),
        (b'=', _) => (Token::Equal, 1),
        (b'!', b'=') => (Token::NotEqual, 2),
        (b'!', _) => (Token::Bang, 1),
        (b'<', b'=') => (Token::LessEqual, 2),
        (b'<', b'<') => (Token::LessLess, 2),
        (b'<', _) => (Token::Less, 1),
        (b'>', b'=') => (Token::GreaterEqual, 2),
        (b'>', b'>') => (Token::GreaterGreater, 2),
        (b'>', _) => (Token::Greater, 1),
        (b'?', _) => (Token::Question, 1),
        (b'{', _) => (Token::OpenBrace, 1),
        (b'}', _) => (Token::CloseBrace, 1),
        (b':', _) => (Token::Colon, 1),
        (b'#', _) => (Token::Hash, 1),
        (b';', _) => (Token::Semicolon, 1),
        (b'%', _) => (Token::Percent, 1),
        _ => return None,
    })
}

/// Whether an operand and no operator is due behind these tokens.
fn operand_due(out: &[Spanned<'_>]) -> bool {
    let Some(last) = out.last() else { return true };
    match &last.token {
        // A star is an operator behind an operand, and one itself elsewhere.
        Token::Star => !operand_due(&out[..out.len() - 1]),
        Token::Name("", word) => {
            let step = out.len() > 1
                && matches!(out[out.len() - 2].token, Token::Slash | Token::SlashSlash | Token::At | Token::ColonColon);
            !step && OPERATOR_WORDS.contains(word)
        }
        Token::Name(..)
        | Token::PrefixStar(_)
        | Token::StarLocal(_)
        | Token::String(_)
        | Token::Integer(_)
        | Token::Decimal(_)
        | Token::Double(_)
        | Token::Variable(..)
        | Token::CloseParen
        | Token::CloseBracket
        | Token::CloseBrace
        | Token::Dot
        | Token::DotDot
        | Token::Markup(_) => false,
        _ => true,
    }
}
