//! JavaScript tokens, as far as deciding about a script and rewriting E4X needs them. Nothing is judged here: what is
//! no JavaScript is found by the engine.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Identifiers and keywords.
    Word,
    /// Operators and brackets.
    Punct,
    /// Numbers.
    Number,
    /// Strings in quotes.
    Str,
    /// A part of a template string: up to `${`, between `}` and `${`, or the end.
    Template,
    /// Regular expressions.
    Regex,
    /// The start of an XML literal; the rewriter reads on from there.
    Xml,
}

/// One token with its place in the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'s> {
    /// What it is.
    pub(crate) kind: Kind,
    /// As written.
    pub(crate) text: &'s str,
    /// Byte offset of the start.
    pub(crate) start: usize,
    /// True when a line ends between the token before and this one.
    pub(crate) on_new_line: bool,
}

impl Token<'_> {
    /// Is it this operator or bracket?
    pub(crate) fn is(&self, punct: &str) -> bool {
        self.kind == Kind::Punct && self.text == punct
    }

    /// Is it this word?
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// Offset behind the token.
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }
}

/// Operators, longest first.
const PUNCTUATORS: &[&str] = &[
    ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "=>", "==", "!=", "<=", ">=", "&&",
    "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", ">>", "**", "::", "..",
];

/// Words after which an operand follows, so that `/` starts a regular expression and `<` an XML literal.
const OPERAND_FOLLOWS: &[&str] =
    &["return", "typeof", "case", "in", "of", "delete", "void", "throw", "new", "else", "do", "instanceof", "yield"];

/// Reads tokens one by one.
#[derive(Debug)]
pub(crate) struct Lexer<'s> {
    source: &'s str,
    at: usize,
    e4x: bool,
    /// Does an operand come next?
    operand: bool,
    /// For each open brace: does a template string go on behind it?
    braces: Vec<bool>,
    broken: bool,
}

impl<'s> Lexer<'s> {
    /// A lexer at `at`; with `e4x` XML literals, `..` and `::` are tokens.
    pub(crate) fn new(source: &'s str, at: usize, e4x: bool) -> Self {
        Self { source, at, e4x, operand: true, braces: Vec::new(), broken: false }
    }

    /// All tokens of a source without E4X.
    pub(crate) fn all(source: &'s str) -> Vec<Token<'s>> {
        let mut lexer = Self::new(source, 0, false);
        std::iter::from_fn(|| lexer.next()).collect()
    }

    /// Goes on behind something that was read by another (an XML literal, which is an operand).
    pub(crate) fn resume(&mut self, at: usize) {
        self.at = at;
        self.operand = false;
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    /// The next token; `None` at the end, or where a string or comment does not end.
    pub(crate) fn next(&mut self) -> Option<Token<'s>> {
        let on_new_line = self.skip_blanks();
        if self.broken || self.rest().is_empty() {
            return None;
        }
        let start = self.at;
        let first = self.rest().chars().next()?;
        let kind = match first {
            '"' | '\'' => {
                self.quoted(first);
                Kind::Str
            }
            '`' => {
                self.at += 1;
                self.template()
            }
            '}' if self.braces.pop() == Some(true) => {
                self.at += 1;
                self.template()
            }
            '/' if self.operand => {
                self.regex();
                Kind::Regex
            }
            '<' if self.e4x && self.operand && self.starts_xml() => Kind::Xml,
            _ if first.is_ascii_digit() || (first == '.' && self.byte(1).is_some_and(|it| it.is_ascii_digit())) => {
                self.number();
                Kind::Number
            }
            _ if is_word_letter(first) => {
                let length = self.rest().find(|letter| !is_word_letter(letter)).unwrap_or(self.rest().len());
                self.at += length;
                Kind::Word
            }
            _ => {
                self.punctuator(first);
                Kind::Punct
            }
        };
        let token = Token { kind, text: &self.source[start..self.at], start, on_new_line };
        self.operand = match kind {
            Kind::Word => OPERAND_FOLLOWS.contains(&token.text),
            Kind::Punct => !matches!(token.text, ")" | "]" | "++" | "--"),
            Kind::Template => token.text.ends_with("${"),
            _ => false,
        };
        Some(token)
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    /// Skips white space and comments; tells whether a line ended.
    fn skip_blanks(&mut self) -> bool {
        let mut line_ended = false;
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}');
            line_ended |= rest[..rest.len() - trimmed.len()].contains(['\n', '\r', '\u{2028}', '\u{2029}']);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") || (self.at == 0 && trimmed.starts_with("#!")) {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let Some(end) = trimmed.find("*/") else {
                    self.broken = true;
                    return line_ended;
                };
                line_ended |= trimmed[..end].contains('\n');
                self.at += end + 2;
            } else {
                return line_ended;
            }
        }
    }

    fn quoted(&mut self, quote: char) {
        let bytes = self.source.as_bytes();
        let mut at = self.at + 1;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                b'\n' => break,
                _ if *byte == quote as u8 => {
                    self.at = at + 1;
                    return;
                }
                _ => at += 1,
            }
        }
        self.broken = true;
        self.at = self.source.len();
    }

    /// Reads up to the end of the template string, or to a `${`.
    fn template(&mut self) -> Kind {
        let bytes = self.source.as_bytes();
        let mut at = self.at;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 2,
                b'`' => {
                    self.at = at + 1;
                    return Kind::Template;
                }
                b'$' if bytes.get(at + 1) == Some(&b'{') => {
                    self.at = at + 2;
                    self.braces.push(true);
                    return Kind::Template;
                }
                _ => at += 1,
            }
        }
        self.broken = true;
        self.at = self.source.len();
        Kind::Template
    }

    fn regex(&mut self) {
        let bytes = self.source.as_bytes();
        let mut at = self.at + 1;
        let mut in_class = false;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'\\' => at += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => break,
                b'\n' => break,
                _ => {}
            }
            at += 1;
        }
        at = (at + 1).min(self.source.len());
        // Never between the bytes of one letter.
        while !self.source.is_char_boundary(at) {
            at += 1;
        }
        self.at = at;
        self.at += self.rest().find(|letter| !is_word_letter(letter)).unwrap_or(self.rest().len());
    }

    fn number(&mut self) {
        let bytes = self.source.as_bytes();
        let mut at = self.at + 1;
        while let Some(byte) = bytes.get(at) {
            let signed = matches!(byte, b'+' | b'-')
                && matches!(bytes[at - 1], b'e' | b'E')
                && !self.source[self.at..].starts_with("0x");
            // `1..x` is no number with two points.
            let point = *byte == b'.' && bytes.get(at + 1) != Some(&b'.');
            if !(byte.is_ascii_alphanumeric() || *byte == b'_' || point || signed) {
                break;
            }
            at += 1;
        }
        self.at = at;
    }

    fn punctuator(&mut self, first: char) {
        let rest = self.rest();
        let known =
            PUNCTUATORS.iter().filter(|it| self.e4x || !matches!(**it, "::" | "..")).find(|it| rest.starts_with(**it));
        // `a?.5:1` is a condition.
        let optional = known == Some(&"?.") && self.byte(2).is_some_and(|it| it.is_ascii_digit());
        self.at += match known {
            Some(known) if !optional => known.len(),
            _ => first.len_utf8(),
        };
        if first == '{' {
            self.braces.push(false);
        }
    }

    fn starts_xml(&self) -> bool {
        let next = self.rest()[1..].chars().next();
        next.is_some_and(|letter| letter.is_alphabetic() || matches!(letter, '_' | '>' | '{' | '!' | '?'))
    }
}

/// A letter of an identifier.
pub(crate) fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$' | '\\' | '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[&str]) {
        let tokens: Vec<&str> = Lexer::all(source).iter().map(|token| token.text).collect();
        assert_eq!(tokens, expected, "{source}");
    }

    #[test]
    fn tokens() {
        check("a = b/2 /*c*/ + 'd\\'e' // f", &["a", "=", "b", "/", "2", "+", "'d\\'e'"]);
        check("x.replace(/[/\"]+/g, \"\")", &["x", ".", "replace", "(", "/[/\"]+/g", ",", "\"\"", ")"]);
        check("a?.b ?? 1.5e-3 >>>= 0x1F", &["a", "?.", "b", "??", "1.5e-3", ">>>=", "0x1F"]);
        check("`a${b + `c${d}`}e` f", &["`a${", "b", "+", "`c${", "d", "}`", "}e`", "f"]);
        check("{ return /a/ }", &["{", "return", "/a/", "}"]);
        check("é = \"ü\"", &["é", "=", "\"ü\""]);
    }

    #[test]
    fn what_does_not_end_ends_the_tokens() {
        check("a 'b", &["a", "'b"]);
        check("a /* b", &["a"]);
        check("`a", &["`a"]);
        check("/é", &["/é"]);
        check("'\\", &["'\\"]);
    }

    #[test]
    fn lines_are_noticed() {
        let tokens = Lexer::all("a /*\n*/ b c");
        assert_eq!(tokens.iter().map(|it| it.on_new_line).collect::<Vec<_>>(), [false, true, false]);
    }
}
