//! Regular expressions of XPath read by their grammar (XML Schema with what XPath adds) and written in that of the `regex`
//! crate. What is no regular expression of XPath is refused, whether the crate would take it or not.

use super::blocks;
use super::error::XPathError;

/// Deepest nesting of groups and of subtractions from character classes.
const MAX_DEPTH: usize = 100;
/// Longest regular expression.
const MAX_LENGTH: usize = 64 << 10;

/// The general categories of Unicode.
const CATEGORIES: [&str; 37] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe", "Pi",
    "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C", "Cc", "Cf", "Co", "Cn", "Cs",
];
/// What a name of XML starts with, and what it goes on with.
const NAME_START: &str = r":A-Z_a-z\xC0-\xD6\xD8-\xF6\u{F8}-\u{2FF}\u{370}-\u{37D}\u{37F}-\u{1FFF}\u{200C}-\u{200D}\u{2070}-\u{218F}\u{2C00}-\u{2FEF}\u{3001}-\u{D7FF}\u{F900}-\u{FDCF}\u{FDF0}-\u{FFFD}\u{10000}-\u{EFFFF}";
const NAME_MORE: &str = r"\-.0-9\xB7\u{300}-\u{36F}\u{203F}-\u{2040}";

/// A regular expression for the crate.
pub(super) struct Translated {
    pub(super) text: String,
    /// It has back-references.
    pub(super) backtracking: bool,
}

/// Reads a regular expression.
///
/// # Errors
/// `FORX0002` with the place of what is wrong.
pub(super) fn translate(source: &str, dot_all: bool, free_spacing: bool) -> Result<Translated, XPathError> {
    if source.len() > MAX_LENGTH {
        return Err(XPathError::Limit { what: "bytes in one regular expression", cap: MAX_LENGTH as u64 });
    }
    let chars = if free_spacing { without_space(source) } else { source.chars().collect() };
    let mut reader =
        Reader { source, chars, at: 0, dot_all, groups: Vec::new(), out: String::new(), backtracking: false };
    reader.alternatives(0)?;
    if reader.at < reader.chars.len() {
        return Err(reader.wrong("there is nothing that `)` closes"));
    }
    Ok(Translated { text: reader.out, backtracking: reader.backtracking })
}

/// White space outside of character classes means nothing with the flag `x`.
fn without_space(source: &str) -> Vec<char> {
    let (mut out, mut depth, mut escaped) = (Vec::with_capacity(source.len()), 0_usize, false);
    for c in source.chars() {
        if depth == 0 && matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        match c {
            '[' if !escaped => depth += 1,
            ']' if !escaped => depth = depth.saturating_sub(1),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}

struct Reader<'s> {
    source: &'s str,
    chars: Vec<char>,
    at: usize,
    dot_all: bool,
    /// The groups so far: whether they are closed.
    groups: Vec<bool>,
    out: String,
    backtracking: bool,
}

impl Reader<'_> {
    fn wrong(&self, reason: &str) -> XPathError {
        let shown: String = self.source.chars().take(100).collect();
        let message = format!("\"{shown}\" is no regular expression: {reason}, at character {}", self.at + 1);
        XPathError::dynamic("FORX0002", message)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// `branch|branch`
    fn alternatives(&mut self, depth: usize) -> Result<(), XPathError> {
        if depth > MAX_DEPTH {
            return Err(XPathError::Limit { what: "nested groups in one regular expression", cap: MAX_DEPTH as u64 });
        }
        loop {
            while let Some(c) = self.peek() {
                if matches!(c, '|' | ')') {
                    break;
                }
                self.atom(c, depth)?;
                self.quantifier()?;
            }
            if !self.eat('|') {
                return Ok(());
            }
            self.out.push('|');
        }
    }

    fn atom(&mut self, c: char, depth: usize) -> Result<(), XPathError> {
        match c {
            '(' => return self.group(depth),
            '[' => {
                self.at += 1;
                let class = self.class(depth)?;
                self.out.push_str(&class);
                return Ok(());
            }
            '\\' => return self.escape(),
            '?' | '*' | '+' | '{' => return Err(self.wrong("there is nothing that could be repeated")),
            ']' | '}' => return Err(self.wrong("a closing bracket must be written with a backslash")),
            '.' => self.out.push_str(if self.dot_all { "(?s:.)" } else { r"[^\n\r]" }),
            '^' | '$' => self.out.push(c),
            _ => self.literal(c),
        }
        self.at += 1;
        Ok(())
    }

    /// A character that stands for itself.
    fn literal(&mut self, c: char) {
        push_member(c, &mut self.out);
    }

    fn group(&mut self, depth: usize) -> Result<(), XPathError> {
        self.at += 1;
        let number = if self.eat('?') {
            if !self.eat(':') {
                return Err(self.wrong("behind `(?` only a colon may follow"));
            }
            self.out.push_str("(?:");
            None
        } else {
            self.out.push('(');
            self.groups.push(false);
            Some(self.groups.len() - 1)
        };
        self.alternatives(depth + 1)?;
        if !self.eat(')') {
            return Err(self.wrong("a `)` is missing"));
        }
        if let Some(number) = number {
            self.groups[number] = true;
        }
        self.out.push(')');
        Ok(())
    }

    fn quantifier(&mut self) -> Result<(), XPathError> {
        match self.peek() {
            Some(c @ ('?' | '*' | '+')) => {
                self.at += 1;
                self.out.push(c);
            }
            Some('{') => {
                self.at += 1;
                let Some(least) = self.number() else { return Err(self.wrong("a number is missing behind `{`")) };
                let mut text = least.clone();
                if self.eat(',') {
                    text.push(',');
                    if let Some(most) = self.number() {
                        if (most.len(), &most) < (least.len(), &least) {
                            return Err(self.wrong("the largest number of times is below the least"));
                        }
                        text.push_str(&most);
                    }
                }
                if !self.eat('}') {
                    return Err(self.wrong("a `}` is missing"));
                }
                self.out.push_str(&format!("{{{text}}}"));
            }
            _ => return Ok(()),
        }
        if self.eat('?') {
            self.out.push('?');
        }
        Ok(())
    }

    /// Digits, without zeros in front.
    fn number(&mut self) -> Option<String> {
        let digits: String = self.chars[self.at..].iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        let short = digits.trim_start_matches('0');
        (!digits.is_empty()).then(|| if short.is_empty() { "0".to_owned() } else { short.to_owned() })
    }

    fn escape(&mut self) -> Result<(), XPathError> {
        let next = self.chars.get(self.at + 1).copied();
        if let Some(digit @ '1'..='9') = next {
            self.at += 2;
            let mut number = digit as usize - '0' as usize;
            // As many digits count as make a group that exists.
            while let Some(more) = self.peek().and_then(|c| c.to_digit(10)) {
                let longer = number * 10 + more as usize;
                if longer > self.groups.len() {
                    break;
                }
                number = longer;
                self.at += 1;
            }
            if self.groups.get(number - 1) != Some(&true) {
                return Err(self.wrong(&format!("there is no group {number} that is closed before")));
            }
            self.backtracking = true;
            self.out.push_str(&format!("(?:\\{number})"));
            return Ok(());
        }
        let category = matches!(next, Some('p' | 'P'));
        let set = self.set()?;
        // The case of a letter is what a category is about: it does not depend on the flag `i`.
        self.out.push_str(&if category { format!("(?-i:{set})") } else { set });
        Ok(())
    }

    /// What an escape stands for, in a form that may stand in a class as well.
    fn set(&mut self) -> Result<String, XPathError> {
        self.at += 1;
        let Some(c) = self.peek() else { return Err(self.wrong("it ends in a backslash")) };
        self.at += 1;
        Ok(match c {
            'd' => r"\p{Nd}".to_owned(),
            'D' => r"\P{Nd}".to_owned(),
            's' => r"[ \t\n\r]".to_owned(),
            'S' => r"[^ \t\n\r]".to_owned(),
            'w' => r"[^\p{P}\p{Z}\p{C}]".to_owned(),
            'W' => r"[\p{P}\p{Z}\p{C}]".to_owned(),
            'i' => format!("[{NAME_START}]"),
            'I' => format!("[^{NAME_START}]"),
            'c' => format!("[{NAME_START}{NAME_MORE}]"),
            'C' => format!("[^{NAME_START}{NAME_MORE}]"),
            'p' | 'P' => return self.property(c == 'P'),
            'n' | 'r' | 't' => format!("\\{c}"),
            '\\' | '|' | '.' | '?' | '*' | '+' | '(' | ')' | '{' | '}' | '-' | '[' | ']' | '^' | '$' => {
                format!("\\{c}")
            }
            _ => {
                self.at -= 1;
                return Err(self.wrong(&format!("`\\{c}` means nothing")));
            }
        })
    }

    /// `{L}`, `{IsGreek}`
    fn property(&mut self, negated: bool) -> Result<String, XPathError> {
        if !self.eat('{') {
            return Err(self.wrong("`\\p` must be followed by a category in braces"));
        }
        let Some(length) = self.chars[self.at..].iter().position(|c| *c == '}') else {
            return Err(self.wrong("a `}` is missing behind a category"));
        };
        let name: String = self.chars[self.at..self.at + length].iter().collect();
        let Some(block) = name.strip_prefix("Is") else {
            if !CATEGORIES.contains(&name.as_str()) {
                return Err(self.wrong(&format!("there is no category `{name}`")));
            }
            self.at += length + 1;
            return Ok(format!("\\{}{{{name}}}", if negated { 'P' } else { 'p' }));
        };
        let Some((low, high)) = blocks::block(block) else {
            return Err(self.wrong(&format!("there is no block `{block}` in Unicode")));
        };
        self.at += length + 1;
        Ok(format!("[{}\\x{{{low:X}}}-\\x{{{high:X}}}]", if negated { "^" } else { "" }))
    }

    /// A character class behind its opening bracket.
    fn class(&mut self, depth: usize) -> Result<String, XPathError> {
        if depth > MAX_DEPTH {
            return Err(XPathError::Limit { what: "nested classes in one regular expression", cap: MAX_DEPTH as u64 });
        }
        let negated = self.eat('^');
        let mut out = String::from(if negated { "[^" } else { "[" });
        let start = out.len();
        loop {
            let Some(c) = self.peek() else { return Err(self.wrong("a character class has no `]`")) };
            let next = self.chars.get(self.at + 1).copied();
            match (c, next) {
                (']', _) if out.len() > start => {
                    self.at += 1;
                    out.push(']');
                    return Ok(out);
                }
                ('-', Some('[')) if out.len() > start => {
                    self.at += 2;
                    let subtracted = self.class(depth + 1)?;
                    if !self.eat(']') {
                        return Err(self.wrong("behind a subtraction a character class must end"));
                    }
                    // What is subtracted is taken from the whole, also from a negated one.
                    return Ok(format!("[{out}]--{subtracted}]"));
                }
                ('[' | ']', _) => return Err(self.wrong("a bracket in a class must be written with a backslash")),
                ('\\', Some(kind)) if !is_single(kind) => out.push_str(&self.set()?),
                _ => self.range(&mut out, start)?,
            }
        }
    }

    /// A character or a range of a class.
    fn range(&mut self, out: &mut String, start: usize) -> Result<(), XPathError> {
        let dash = self.peek() == Some('-');
        let low = self.member()?;
        let next = self.chars.get(self.at + 1).copied();
        let is_range = self.peek() == Some('-') && !matches!(next, Some(']' | '[') | None);
        let first = out.len() == start;
        push_member(low, out);
        if !is_range {
            return Ok(());
        }
        if dash && !first {
            return Err(self.wrong("a hyphen cannot start a range"));
        }
        self.at += 1;
        if self.peek() == Some('\\') && next.is_some() && !self.chars.get(self.at + 1).is_some_and(|c| is_single(*c)) {
            return Err(self.wrong("a range must end in a character"));
        }
        if self.peek() == Some('-') {
            return Err(self.wrong("a range cannot end in a hyphen"));
        }
        let high = self.member()?;
        if high < low {
            return Err(self.wrong("a range ends before it starts"));
        }
        out.push('-');
        push_member(high, out);
        Ok(())
    }

    /// One character of a class.
    fn member(&mut self) -> Result<char, XPathError> {
        let Some(c) = self.peek() else { return Err(self.wrong("a character class has no `]`")) };
        self.at += 1;
        if c != '\\' {
            return Ok(c);
        }
        let Some(c) = self.peek() else { return Err(self.wrong("it ends in a backslash")) };
        self.at += 1;
        Ok(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            c => c,
        })
    }
}

fn regex_syntax_sign(c: char) -> bool {
    r"\.+*?()|[]{}^$#&-~".contains(c)
}

/// Whether a backslash makes one character of it.
fn is_single(c: char) -> bool {
    matches!(
        c,
        'n' | 'r' | 't' | '\\' | '|' | '.' | '?' | '*' | '+' | '(' | ')' | '{' | '}' | '-' | '[' | ']' | '^' | '$'
    )
}

/// A character that stands for itself. Only what means something to the crate has a backslash: `\<` is a boundary of words.
fn push_member(c: char, out: &mut String) {
    if regex_syntax_sign(c) {
        out.push('\\');
    }
    out.push(c);
}
