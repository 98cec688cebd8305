//! E4X (ECMA-357) rewritten to plain JavaScript before it is compiled: XML literals become calls, `x.@a`, `x..a` and
//! `n::a` keys, filters functions, `for each` a `for … of`. The values themselves are in `js/e4x.js`. Lines stay lines,
//! so that errors are reported where they are.
//!
//! Not rewritten: `+` between two lists in general (`list += <a/>` is), and `typeof` of XML, which is not `xml`.

use crate::lexer::{Kind, Lexer, Token};

/// Deepest nesting of literals and expressions in each other.
const MAX_DEPTH: usize = 50;

/// Plain JavaScript made of a source with E4X.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// The source.
    pub(crate) code: String,
    /// True when it changes the default namespace, which outlives the run.
    pub(crate) sets_namespace: bool,
}

/// Rewrites a source. The error has the byte offset of what cannot be read.
pub(crate) fn rewrite(source: &str) -> Result<Rewritten, (usize, String)> {
    let mut rewriter = Rewriter { source, depth: 0, sets_namespace: false };
    let (code, _) = rewriter.code(0, End::Source)?;
    Ok(Rewritten { code, sets_namespace: rewriter.sets_namespace })
}

struct Rewriter<'s> {
    source: &'s str,
    depth: usize,
    sets_namespace: bool,
}

/// Where a piece of code ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    /// Before the `}` or `)` that the piece did not open.
    Bracket,
}

type Failed = (usize, String);

/// The tokens of one piece of code, with one token of look-ahead.
struct Tokens<'s> {
    lexer: Lexer<'s>,
    ahead: Option<Token<'s>>,
}

impl<'s> Tokens<'s> {
    fn next(&mut self) -> Option<Token<'s>> {
        self.ahead.take().or_else(|| self.lexer.next())
    }

    fn peek(&mut self) -> Option<Token<'s>> {
        if self.ahead.is_none() {
            self.ahead = self.lexer.next();
        }
        self.ahead
    }

    fn peek_is(&mut self, punct: &str) -> bool {
        self.peek().is_some_and(|token| token.is(punct))
    }
}

/// An open bracket and what belongs behind its other half.
struct Open {
    behind: &'static str,
    /// The head of a `for each` whose `in` has not come.
    awaits_in: bool,
}

/// Keeps count of brackets; behind a closing one comes what its opening one asks for.
fn bracket(text: &str, open: &mut Vec<Open>, out: &mut String) {
    match text {
        "(" | "[" | "{" => open.push(Open { behind: "", awaits_in: false }),
        ")" | "]" | "}" => out.push_str(open.pop().map_or("", |it| it.behind)),
        _ => {}
    }
}

impl<'s> Rewriter<'s> {
    /// Rewrites from `start`; gives the code and the offset where it ends.
    fn code(&mut self, start: usize, end: End) -> Result<(String, usize), Failed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((start, format!("XML is nested deeper than {MAX_DEPTH} levels")));
        }
        let mut tokens = Tokens { lexer: Lexer::new(self.source, start, true), ahead: None };
        let mut out = String::with_capacity(self.source.len() - start);
        let mut copied = start;
        let mut open: Vec<Open> = Vec::new();
        // Where in `out` the operand began that an operator may follow.
        let mut operand = 0;
        let mut before: Option<Token<'s>> = None;
        while let Some(token) = tokens.next() {
            if end == End::Bracket && open.is_empty() && matches!(token.text, "}" | ")") && token.kind == Kind::Punct {
                out.push_str(&self.source[copied..token.start]);
                self.depth -= 1;
                return Ok((out, token.start));
            }
            out.push_str(&self.source[copied..token.start]);
            copied = token.end();
            let continues = before.is_some_and(|it| it.is(".") || it.is("..") || it.is("?."));
            match token.text {
                _ if token.kind == Kind::Xml => {
                    operand = out.len();
                    let (code, at) = self.literal(token.start)?;
                    out.push_str(&code);
                    tokens.lexer.resume(at);
                    copied = at;
                }
                ".." | "." if token.kind == Kind::Punct => {
                    copied = self.member(&mut tokens, token, &mut out, copied)?;
                }
                "@" if token.kind == Kind::Punct => {
                    operand = out.len();
                    out.push_str("__it[");
                    copied = self.key(&mut tokens, "@", &mut out, copied)?;
                    out.push(']');
                }
                "for" if tokens.peek().is_some_and(|next| next.is_word("each")) && !continues => {
                    copied = self.for_each(&mut tokens, &mut open, &mut out, copied);
                }
                "in" if open.last().is_some_and(|it| it.awaits_in) => {
                    out.push_str("of __e4x.each(");
                    open.pop();
                    open.push(Open { behind: ")", awaits_in: false });
                }
                "default" if tokens.peek().is_some_and(|next| next.is_word("xml")) => {
                    copied = self.default_namespace(&mut tokens, &mut out, copied)?;
                }
                "+=" if tokens.peek().is_some_and(|next| next.kind == Kind::Xml) => {
                    let at = tokens.next().map_or(copied, |xml| xml.start);
                    let target = out[operand..].trim_end().to_owned();
                    let (code, at) = self.literal(at)?;
                    out.push_str(&format!("= __e4x.add({target}, {code})"));
                    tokens.lexer.resume(at);
                    copied = at;
                }
                text if (token.kind == Kind::Word || token.is("*")) && !continues && tokens.peek_is("::") => {
                    operand = out.len();
                    copied = self.qualified(&mut tokens, text, "", &mut out)?;
                }
                text => {
                    if token.kind != Kind::Punct && !continues {
                        operand = out.len();
                    }
                    if token.kind == Kind::Punct {
                        bracket(text, &mut open, &mut out);
                    }
                    out.push_str(text);
                }
            }
            before = Some(token);
        }
        out.push_str(&self.source[copied..]);
        self.depth -= 1;
        match end {
            End::Source => Ok((out, self.source.len())),
            End::Bracket => Err((start, "an expression in { } inside of XML does not end".to_owned())),
        }
    }

    /// `for each (`, of which `each` is left out.
    fn for_each(&self, tokens: &mut Tokens<'s>, open: &mut Vec<Open>, out: &mut String, copied: usize) -> usize {
        let behind = tokens.next().map_or(copied, |each| each.end());
        out.push_str("for");
        let Some(bracket) = tokens.next() else { return behind };
        out.push_str(&self.source[behind..bracket.end()]);
        open.push(Open { behind: "", awaits_in: true });
        bracket.end()
    }

    /// What follows `.` or `..`; gives the offset up to which the source is done.
    fn member(
        &mut self,
        tokens: &mut Tokens<'s>,
        dot: Token<'s>,
        out: &mut String,
        copied: usize,
    ) -> Result<usize, Failed> {
        let Some(next) = tokens.peek() else {
            out.push_str(dot.text);
            return Ok(copied);
        };
        if dot.text == "." && next.is("(") {
            tokens.next();
            out.push_str(".filter(function(__it){with(__it){return (");
            let (code, at) = self.code(next.end(), End::Bracket)?;
            out.push_str(&code);
            out.push_str(")}})");
            tokens.lexer.resume(at + 1);
            return Ok(at + 1);
        }
        let before = if dot.text == ".." { ".." } else { "" };
        if next.is("@") {
            tokens.next();
            out.push('[');
            let at = self.key(tokens, &format!("{before}@"), out, next.end())?;
            out.push(']');
            return Ok(at);
        }
        let named = next.kind == Kind::Word || next.is("*");
        if named {
            tokens.next();
            if tokens.peek_is("::") {
                out.push('[');
                let at = self.qualified(tokens, next.text, before, out)?;
                out.push(']');
                return Ok(at);
            }
            if dot.text == ".." || next.is("*") {
                out.push_str(&format!("[\"{before}{}\"]", next.text));
            } else {
                out.push_str(&self.source[dot.start..next.end()]);
            }
            return Ok(next.end());
        }
        out.push_str(dot.text);
        Ok(copied)
    }

    /// The name behind `@`.
    fn key(&mut self, tokens: &mut Tokens<'s>, before: &str, out: &mut String, copied: usize) -> Result<usize, Failed> {
        let Some(next) = tokens.next() else { return Err((copied, "a name is expected behind @".to_owned())) };
        if next.is("[") {
            // x.@["name"]
            let mut depth = 1;
            let start = next.end();
            while let Some(token) = tokens.next() {
                depth += i32::from(token.is("[")) - i32::from(token.is("]"));
                if depth == 0 {
                    out.push_str(&format!("\"{before}\" + ({})", &self.source[start..token.start]));
                    return Ok(token.end());
                }
            }
            return Err((start, "`]` is missing".to_owned()));
        }
        if next.kind != Kind::Word && !next.is("*") {
            return Err((next.start, "a name is expected behind @".to_owned()));
        }
        if tokens.peek_is("::") {
            return self.qualified(tokens, next.text, before, out);
        }
        out.push_str(&format!("\"{before}{}\"", next.text));
        Ok(next.end())
    }

    /// `ns::name` behind its first word.
    fn qualified(
        &mut self,
        tokens: &mut Tokens<'s>,
        namespace: &str,
        before: &str,
        out: &mut String,
    ) -> Result<usize, Failed> {
        let colons = tokens.next().map_or(self.source.len(), |token| token.end());
        let Some(name) = tokens.next().filter(|it| it.kind == Kind::Word || it.is("*")) else {
            return Err((colons, "a name is expected behind ::".to_owned()));
        };
        let namespace = if namespace == "*" { "\"*\"" } else { namespace };
        out.push_str(&format!("__e4x.name({namespace},\"{}\",\"{before}\")", name.text));
        Ok(name.end())
    }

    /// `default xml namespace = …` behind `default`.
    fn default_namespace(&mut self, tokens: &mut Tokens<'s>, out: &mut String, copied: usize) -> Result<usize, Failed> {
        let words: Vec<_> = (0..3).filter_map(|_| tokens.next()).map(|token| token.text).collect();
        if words != ["xml", "namespace", "="] {
            return Err((copied, "`default xml namespace = …` is expected".to_owned()));
        }
        self.sets_namespace = true;
        let Some(value) = tokens.next() else { return Err((copied, "a namespace is expected".to_owned())) };
        out.push_str(&format!("__e4x.setNamespace({})", value.text));
        Ok(value.end())
    }

    /// An XML literal at `start`.
    fn literal(&mut self, start: usize) -> Result<(String, usize), Failed> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err((start, format!("XML is nested deeper than {MAX_DEPTH} levels")));
        }
        let mut literal = Literal { parts: Vec::new(), values: Vec::new(), text: String::new() };
        let end = self.elements(start, &mut literal)?;
        literal.end_part("content");
        self.depth -= 1;
        Ok((literal.into_code(), end))
    }

    fn elements(&mut self, start: usize, literal: &mut Literal) -> Result<usize, Failed> {
        let mut at = start;
        let mut depth = 0_usize;
        loop {
            let rest = &self.source[at..];
            let raw = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].iter().find(|it| rest.starts_with(it.0));
            if let Some((open, close)) = raw {
                let Some(length) = rest.find(close) else { return Err((at, format!("{open} has no {close}"))) };
                literal.text.push_str(&rest[..length + close.len()]);
                at += length + close.len();
            } else if rest.starts_with("</") {
                at = self.tag(at, literal)?;
                depth = depth.saturating_sub(1);
            } else if rest.starts_with('<') {
                at = self.tag(at, literal)?;
                depth += usize::from(!literal.text.ends_with("/>"));
            } else if rest.starts_with('{') {
                at = self.value(at, "content", literal)?;
            } else {
                let length = rest.find(['<', '{']).ok_or((start, "an XML element does not end".to_owned()))?;
                literal.text.push_str(&rest[..length]);
                at += length;
            }
            if depth == 0 && literal.has_tag() {
                return Ok(at);
            }
        }
    }

    /// One tag, to behind its `>`.
    fn tag(&mut self, start: usize, literal: &mut Literal) -> Result<usize, Failed> {
        let mut at = start;
        let mut quote: Option<char> = None;
        while let Some(letter) = self.source[at..].chars().next() {
            match (letter, quote) {
                ('{', None) => {
                    let attribute = literal.text.trim_end().ends_with('=');
                    at = self.value(at, if attribute { "attribute" } else { "tag" }, literal)?;
                    continue;
                }
                ('"' | '\'', None) => quote = Some(letter),
                (_, Some(open)) if open == letter => quote = None,
                ('>', None) => {
                    literal.text.push('>');
                    return Ok(at + 1);
                }
                _ => {}
            }
            literal.text.push(letter);
            at += letter.len_utf8();
        }
        Err((start, "a tag of XML does not end".to_owned()))
    }

    /// `{expression}`.
    fn value(&mut self, start: usize, place: &'static str, literal: &mut Literal) -> Result<usize, Failed> {
        let (code, end) = self.code(start + 1, End::Bracket)?;
        literal.end_part(place);
        literal.values.push(code);
        Ok(end + 1)
    }
}

/// The texts of a literal and the values between them.
struct Literal {
    parts: Vec<(String, &'static str)>,
    values: Vec<String>,
    text: String,
}

impl Literal {
    fn end_part(&mut self, place: &'static str) {
        self.parts.push((std::mem::take(&mut self.text), place));
    }

    fn has_tag(&self) -> bool {
        self.text.contains('>') || self.parts.iter().any(|(text, _)| text.contains('>'))
    }

    fn into_code(self) -> String {
        let mut code = String::from("__e4x.literal([");
        for (text, place) in &self.parts {
            code.push_str(&format!("[{},\"{place}\"],", serde_json::Value::from(text.as_str())));
            code.push_str(&"\n".repeat(text.matches('\n').count()));
        }
        code.push_str("],[");
        for value in &self.values {
            code.push_str(&format!("({value}),"));
        }
        code.push_str("])");
        code
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(rewrite(source).map(|it| it.code).unwrap_or_else(|error| error.1), expected, "{source}");
    }

    #[test]
    fn plain_code_stays() {
        for source in
            ["a < b && c > d; e = f / g;\n// <a>\nx = 'a..b'", "for (var i = 0; i < 3; i++) {}", "a = b ? c : d"]
        {
            check(source, source);
        }
    }

    #[test]
    fn members() {
        check("p..*::Code.toString()", "p[__e4x.name(\"*\",\"Code\",\"..\")].toString()");
        check("p..a.@id = 1", "p[\"..a\"][\"@id\"] = 1");
        check("p.ns::a.b", "p[__e4x.name(ns,\"a\",\"\")].b");
        check("p.* + p.@*", "p[\"*\"] + p[\"@*\"]");
        check("p.@['x']", "p[\"@\" + ('x')]");
        check("p.(@id == 1).n", "p.filter(function(__it){with(__it){return (__it[\"@id\"] == 1)}}).n");
        check("for each (var a in p.b) { c(a) }", "for (var a of __e4x.each( p.b)) { c(a) }");
        check("p.@", "a name is expected behind @");
    }

    #[test]
    fn literals() {
        check("x = <a/>;", "x = __e4x.literal([[\"<a/>\",\"content\"],],[]);");
        check(
            "f(<a b={c}>{d}</a>)",
            "f(__e4x.literal([[\"<a b=\",\"attribute\"],[\">\",\"content\"],[\"</a>\",\"content\"],],[(c),(d),]))",
        );
        check("l += <a/>", "l = __e4x.add(l, __e4x.literal([[\"<a/>\",\"content\"],],[]))");
        check(
            "<a><b>{<c/>}</b></a>",
            "__e4x.literal([[\"<a><b>\",\"content\"],[\"</b></a>\",\"content\"],],[(__e4x.literal([[\"<c/>\",\"content\"],],[])),])",
        );
        check("<a>", "an XML element does not end");
        check("<a>{b</a>", "an expression in { } inside of XML does not end");
    }

    #[test]
    fn lines_stay() {
        let rewritten = rewrite("f(\n<a>\n{b}\n</a>\n);\nthrow 1").unwrap().code;
        assert_eq!(rewritten.matches('\n').count(), 5);
    }
}
