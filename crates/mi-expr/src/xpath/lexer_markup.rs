//! The part of the lexer for direct constructors of XQuery: `<a b="{…}">text {…}</a>`.
//!
//! A constructor is one token. The expressions inside are tokens of their own, held in it, because inside of a
//! constructor the text follows the rules of XML and not those of expressions.

use super::error::SyntaxError;
use super::lexer::{Lexer, Spanned};

/// Deepest nesting of constructors and of expressions in them.
const MAX_DEPTH: u32 = 100;

/// A direct constructor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Markup<'s> {
    Element(Element<'s>),
    Comment(&'s str),
    /// Target and data.
    Pi(&'s str, &'s str),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element<'s> {
    pub(super) name: Name<'s>,
    pub(super) attributes: Vec<(Name<'s>, Vec<Part<'s>>)>,
    pub(super) content: Vec<Part<'s>>,
}

/// A name as written, with where it stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Name<'s> {
    pub(super) prefix: &'s str,
    pub(super) local: &'s str,
    pub(super) offset: usize,
}

/// A part of the content of an element or of the value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part<'s> {
    /// Text; `blank` if it is white space that was written as such.
    Text {
        text: String,
        blank: bool,
    },
    Markup(Markup<'s>),
    /// `{ … }` with its tokens.
    Enclosed(Vec<Spanned<'s>>),
}

/// Text being collected.
#[derive(Default)]
struct Pending {
    text: String,
    significant: bool,
}

impl Pending {
    fn flush(&mut self, parts: &mut Vec<Part<'_>>) {
        if !self.text.is_empty() {
            let blank = !self.significant && self.text.chars().all(|c| c.is_ascii_whitespace());
            parts.push(Part::Text { text: std::mem::take(&mut self.text), blank });
        }
        self.significant = false;
    }
}

impl<'s> Lexer<'s> {
    /// The constructor that starts here.
    pub(super) fn markup(&mut self) -> Result<Markup<'s>, SyntaxError> {
        if self.depth >= MAX_DEPTH {
            let message = format!("constructors are nested deeper than {MAX_DEPTH} levels, which is the cap");
            return Err(self.error(self.at, message));
        }
        self.depth += 1;
        let result = match (self.peek(1), self.rest().starts_with("<!--")) {
            (_, true) => {
                let start = self.at;
                let text = self.between("<!--", "-->", "comment")?;
                if text.contains("--") || text.ends_with('-') {
                    return Err(self.error(start, "a comment may not contain `--` or end with `-` (XPST0003)"));
                }
                Ok(Markup::Comment(text))
            }
            (b'?', _) => self.instruction(),
            (b'!', _) => Err(self.error(self.at, "a CDATA section may only stand inside of an element")),
            _ => self.element().map(Markup::Element),
        };
        self.depth -= 1;
        result
    }

    fn between(&mut self, open: &str, close: &str, what: &str) -> Result<&'s str, SyntaxError> {
        let start = self.at;
        let inner = &self.src[self.at + open.len()..];
        let Some(length) = inner.find(close) else {
            return Err(self.error(start, format!("the {what} has no end `{close}`")));
        };
        self.at += open.len() + length + close.len();
        Ok(&inner[..length])
    }

    fn instruction(&mut self) -> Result<Markup<'s>, SyntaxError> {
        let start = self.at;
        let text = self.between("<?", "?>", "processing instruction")?;
        let (target, data) = text.split_once(|c: char| c.is_ascii_whitespace()).unwrap_or((text, ""));
        if !mi_xml::is_ncname(target) || target.eq_ignore_ascii_case("xml") {
            return Err(self.error(start, format!("`{target}` is no target of a processing instruction")));
        }
        Ok(Markup::Pi(target, data.trim_start()))
    }

    fn markup_name(&mut self) -> Result<Name<'s>, SyntaxError> {
        let offset = self.at;
        let missing = "a name is missing or is no XML name";
        let Some(first) = self.name() else { return Err(self.error(offset, missing)) };
        if self.peek(0) != b':' {
            return Ok(Name { prefix: "", local: first, offset });
        }
        self.at += 1;
        let local = self.name().ok_or_else(|| self.error(offset, missing))?;
        Ok(Name { prefix: first, local, offset })
    }

    fn skip_space(&mut self) -> bool {
        let rest = self.rest();
        let trimmed = rest.trim_start_matches(|c: char| c.is_ascii_whitespace());
        self.at += rest.len() - trimmed.len();
        rest.len() != trimmed.len()
    }

    fn element(&mut self) -> Result<Element<'s>, SyntaxError> {
        let start = self.at;
        self.at += 1;
        let name = self.markup_name()?;
        let mut attributes = Vec::new();
        loop {
            let spaced = self.skip_space();
            if self.rest().starts_with("/>") {
                self.at += 2;
                return Ok(Element { name, attributes, content: Vec::new() });
            }
            if self.peek(0) == b'>' {
                self.at += 1;
                break;
            }
            if self.at >= self.src.len() || !spaced {
                return Err(self.error(self.at, format!("the start tag <{}> is not closed", name.local)));
            }
            let attribute = self.markup_name()?;
            self.skip_space();
            if self.peek(0) != b'=' {
                return Err(self.error(self.at, format!("a `=` is missing behind the attribute {}", attribute.local)));
            }
            self.at += 1;
            self.skip_space();
            attributes.push((attribute, self.attribute_value()?));
        }
        let content = self.content(start, name)?;
        Ok(Element { name, attributes, content })
    }

    fn attribute_value(&mut self) -> Result<Vec<Part<'s>>, SyntaxError> {
        let start = self.at;
        let quote = char::from(self.peek(0));
        if !matches!(quote, '"' | '\'') {
            return Err(self.error(start, "the value of an attribute must be in quotes"));
        }
        self.at += 1;
        let (mut parts, mut pending) = (Vec::new(), Pending::default());
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(self.error(start, "the value of an attribute has no closing quote"));
            };
            match c {
                '<' => return Err(self.error(self.at, "`<` may not stand in the value of an attribute; write &lt;")),
                '{' | '}' | '&' => self.special(&mut parts, &mut pending)?,
                _ if c == quote => {
                    self.at += 1;
                    if !self.rest().starts_with(quote) {
                        pending.flush(&mut parts);
                        return Ok(parts);
                    }
                    self.at += 1;
                    pending.text.push(quote);
                }
                _ => {
                    self.at += c.len_utf8();
                    pending.text.push(if c.is_ascii_whitespace() { ' ' } else { c });
                }
            }
        }
    }

    /// A brace or a reference in content or in the value of an attribute.
    fn special(&mut self, parts: &mut Vec<Part<'s>>, pending: &mut Pending) -> Result<(), SyntaxError> {
        match (self.peek(0), self.peek(1)) {
            (b'{', b'{') | (b'}', b'}') => {
                pending.text.push(char::from(self.peek(0)));
                self.at += 2;
            }
            (b'}', _) => return Err(self.error(self.at, "a single `}` in a constructor; write `}}` for the character")),
            (b'{', _) => {
                pending.flush(parts);
                self.at += 1;
                if self.depth >= MAX_DEPTH {
                    let message = format!("constructors are nested deeper than {MAX_DEPTH} levels, which is the cap");
                    return Err(self.error(self.at, message));
                }
                self.depth += 1;
                let tokens = self.run(true);
                self.depth -= 1;
                parts.push(Part::Enclosed(tokens?));
            }
            _ => {
                let end = self.rest().find(';').map_or(self.src.len(), |at| self.at + at + 1);
                let text = self.references(&self.src[self.at..end], self.at)?;
                pending.text.push_str(&text);
                pending.significant = true;
                self.at = end;
            }
        }
        Ok(())
    }

    fn content(&mut self, start: usize, name: Name<'s>) -> Result<Vec<Part<'s>>, SyntaxError> {
        let (mut parts, mut pending) = (Vec::new(), Pending::default());
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return Err(self.error(start, format!("the element <{}> has no end tag", name.local)));
            };
            match c {
                '<' if rest.starts_with("</") => {
                    pending.flush(&mut parts);
                    let at = self.at;
                    self.at += 2;
                    let end = self.markup_name()?;
                    self.skip_space();
                    if self.peek(0) != b'>' || (end.prefix, end.local) != (name.prefix, name.local) {
                        return Err(self.error(at, format!("this is not the end tag of <{}>", name.local)));
                    }
                    self.at += 1;
                    return Ok(parts);
                }
                '<' if rest.starts_with("<![CDATA[") => {
                    let text = self.between("<![CDATA[", "]]>", "CDATA section")?;
                    pending.text.push_str(text);
                    pending.significant = true;
                }
                '<' => {
                    pending.flush(&mut parts);
                    let markup = self.markup()?;
                    parts.push(Part::Markup(markup));
                }
                '{' | '}' | '&' => self.special(&mut parts, &mut pending)?,
                _ => {
                    self.at += c.len_utf8();
                    pending.text.push(c);
                }
            }
        }
    }

    /// A text with its references replaced; `offset` is where it starts.
    pub(super) fn references(&self, text: &str, offset: usize) -> Result<String, SyntaxError> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('&') {
            out.push_str(&rest[..at]);
            let Some((reference, behind)) = rest[at + 1..].split_once(';') else {
                return Err(self.error(offset, "`&` starts no reference; write &amp; for the character"));
            };
            let code = match reference.strip_prefix('#') {
                Some(hex) if hex.starts_with('x') => u32::from_str_radix(&hex[1..], 16).ok(),
                Some(digits) => digits.parse().ok(),
                None => match reference {
                    "lt" => Some(u32::from('<')),
                    "gt" => Some(u32::from('>')),
                    "amp" => Some(u32::from('&')),
                    "quot" => Some(u32::from('"')),
                    "apos" => Some(u32::from('\'')),
                    _ => None,
                },
            };
            let character = code.and_then(char::from_u32).filter(|c| *c >= ' ' || matches!(c, '\t' | '\n' | '\r'));
            let Some(character) = character else {
                let shown: String = reference.chars().take(20).collect();
                return Err(self.error(offset, format!("`&{shown};` is no reference to a character")));
            };
            out.push(character);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}
