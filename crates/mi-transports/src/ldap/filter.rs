//! Search filters as text (RFC 4515) and as they are sent (RFC 4511, 4.5.1.7), and names that are safe in filters and in
//! distinguished names.

use super::ber::{OCTETS, SEQUENCE, list, tlv};

/// Filters nest no deeper.
const MAX_DEPTH: u32 = 32;

/// A text as a value inside a filter: nothing in it is a sign of the filter. RFC 4515, 3.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '*' => out.push_str("\\2a"),
            '(' => out.push_str("\\28"),
            ')' => out.push_str("\\29"),
            '\\' => out.push_str("\\5c"),
            '\0' => out.push_str("\\00"),
            _ => out.push(c),
        }
    }
    out
}

/// The same for a search, in which `*` stands for any text.
pub(super) fn escape_pattern(text: &str) -> String {
    text.split('*').map(escape).collect::<Vec<_>>().join("*")
}

/// A text as a value inside a distinguished name. RFC 4514, 2.4.
pub(super) fn escape_dn(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        match c {
            '\0' => out.push_str("\\00"),
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => out.extend(['\\', c]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            _ => out.push(c),
        }
    }
    out
}

/// A filter as it is sent. The error says what is wrong and where.
pub(super) fn compile(text: &str) -> Result<Vec<u8>, String> {
    let mut parser = Parser { rest: text.trim(), depth: 0 };
    let filter = parser.filter().and_then(|filter| match parser.rest {
        "" => Ok(filter),
        _ => Err("the filter ends here".to_owned()),
    });
    filter.map_err(|why| match parser.rest {
        "" => format!("{why}, at the end of {text}"),
        rest => format!("{why}, before {rest}"),
    })
}

struct Parser<'t> {
    rest: &'t str,
    depth: u32,
}

impl Parser<'_> {
    fn take(&mut self, sign: char) -> Result<(), String> {
        self.rest = self.rest.strip_prefix(sign).ok_or_else(|| format!("a {sign} is missing"))?.trim_start();
        Ok(())
    }

    fn filter(&mut self) -> Result<Vec<u8>, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("the filter is nested more than {MAX_DEPTH} times"));
        }
        self.take('(')?;
        let filter = match self.rest.chars().next() {
            Some('&') => self.all_of(0xa0)?,
            Some('|') => self.all_of(0xa1)?,
            Some('!') => {
                self.rest = self.rest[1..].trim_start();
                tlv(0xa2, self.filter()?)
            }
            _ => self.item()?,
        };
        self.take(')')?;
        self.depth -= 1;
        Ok(filter)
    }

    fn all_of(&mut self, tag: u8) -> Result<Vec<u8>, String> {
        self.rest = self.rest[1..].trim_start();
        let mut parts = Vec::new();
        while self.rest.starts_with('(') {
            parts.push(self.filter()?);
        }
        Ok(list(tag, &parts))
    }

    /// `name=value` and its kin, up to the closing sign.
    fn item(&mut self) -> Result<Vec<u8>, String> {
        let end = self.rest.find(')').ok_or("a ) is missing")?;
        let (item, rest) = self.rest.split_at(end);
        let (name, value) = item.split_once('=').ok_or("a = is missing")?;
        let compiled = match name.as_bytes().last() {
            Some(b'>') => comparison(0xa5, &name[..name.len() - 1], value),
            Some(b'<') => comparison(0xa6, &name[..name.len() - 1], value),
            Some(b'~') => comparison(0xa8, &name[..name.len() - 1], value),
            Some(b':') => matching(&name[..name.len() - 1], value),
            _ if value == "*" => attribute(name).map(|name| tlv(0x87, name)),
            _ if value.contains('*') => parts(name, value),
            _ => comparison(0xa3, name, value),
        }?;
        self.rest = rest;
        Ok(compiled)
    }
}

fn attribute(name: &str) -> Result<&str, String> {
    let name = name.trim();
    let fine = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-._;".contains(c));
    if fine { Ok(name) } else { Err(format!("'{name}' is not the name of an attribute")) }
}

fn comparison(tag: u8, name: &str, value: &str) -> Result<Vec<u8>, String> {
    Ok(list(tag, &[tlv(OCTETS, attribute(name)?), tlv(OCTETS, unescape(value)?)]))
}

/// `name=a*b*c`
fn parts(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let pieces: Vec<&str> = value.split('*').collect();
    let mut sent = Vec::new();
    for (at, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
        let tag = match at {
            0 => 0x80,
            _ if at == pieces.len() - 1 => 0x82,
            _ => 0x81,
        };
        sent.push(tlv(tag, unescape(piece)?));
    }
    if sent.is_empty() {
        return Err("** matches nothing in particular".to_owned());
    }
    Ok(list(0xa4, &[tlv(OCTETS, attribute(name)?), list(SEQUENCE, &sent)]))
}

/// `name:dn:rule:=value`
fn matching(name: &str, value: &str) -> Result<Vec<u8>, String> {
    let mut pieces = name.split(':');
    let (kind, mut rule, mut dn) = (pieces.next().unwrap_or_default(), None, false);
    for piece in pieces {
        if piece.eq_ignore_ascii_case("dn") {
            dn = true;
        } else {
            rule = Some(attribute(piece)?);
        }
    }
    let mut sent: Vec<Vec<u8>> = rule.map(|rule| tlv(0x81, rule)).into_iter().collect();
    if !kind.is_empty() {
        sent.push(tlv(0x82, attribute(kind)?));
    } else if rule.is_none() {
        return Err("an attribute or a rule is missing".to_owned());
    }
    sent.push(tlv(0x83, unescape(value)?));
    if dn {
        sent.push(tlv(0x84, [0xff]));
    }
    Ok(list(0xa9, &sent))
}

fn unescape(value: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let mut digit = || bytes.next().and_then(|it| char::from(it).to_digit(16));
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err("a \\ is not followed by two hexadecimal digits".to_owned());
                };
                out.push(u8::try_from(high * 16 + low).expect("two digits are a byte"));
            }
            b'(' | 0 => return Err("the value has a sign that must be written as \\28 or \\00".to_owned()),
            _ => out.push(byte),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A filter as it is sent, with lengths and tags in brackets where they are no letters.
    #[track_caller]
    fn check(text: &str, expected: Result<&[u8], &str>) {
        match (compile(text), expected) {
            (Ok(sent), Ok(expected)) => assert_eq!(sent, expected, "{text}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    }

    #[test]
    fn filters() {
        check("(a=b)", Ok(b"\xa3\x06\x04\x01a\x04\x01b"));
        check(" ( & (a=*) (!(b=c)) ) ", Ok(b"\xa0\x0d\x87\x01a\xa2\x08\xa3\x06\x04\x01b\x04\x01c"));
        check(
            "(|(a>=1)(a<=2)(a~=3))",
            Ok(b"\xa1\x18\xa5\x06\x04\x01a\x04\x011\xa6\x06\x04\x01a\x04\x012\xa8\x06\x04\x01a\x04\x013"),
        );
        check("(a=x*y*z)", Ok(b"\xa4\x0e\x04\x01a0\x09\x80\x01x\x81\x01y\x82\x01z"));
        check("(a=*y)", Ok(b"\xa4\x08\x04\x01a0\x03\x82\x01y"));
        check("(a=\\28\\2a)", Ok(b"\xa3\x07\x04\x01a\x04\x02(*"));
        check("(m:1.2:=v)", Ok(b"\xa9\x0b\x81\x031.2\x82\x01m\x83\x01v"));
        check("(m:dn:=v)", Ok(b"\xa9\x09\x82\x01m\x83\x01v\x84\x01\xff"));
        for (text, why) in [
            ("", "a ( is missing, at the end of"),
            ("(a=b", "a ) is missing"),
            ("(a=b))", "the filter ends here, before )"),
            ("(ab)", "a = is missing"),
            ("(a=(b)", "\\28"),
            ("(a b=c)", "'a b' is not the name"),
            ("(a=\\2)", "two hexadecimal digits"),
            ("(a=**)", "**"),
            (":=x", "a ( is missing"),
            ("(:=x)", "a rule is missing"),
            (&"(!".repeat(1000), "nested more than 32"),
        ] {
            check(text, Err(why));
        }
    }

    #[test]
    fn names_that_want_to_be_more() {
        assert_eq!(escape("a*)(uid=*\\\0"), "a\\2a\\29\\28uid=\\2a\\5c\\00");
        assert_eq!(escape_pattern("a*(b"), "a*\\28b");
        assert_eq!(escape_dn(" #a,b+c\"\\<>;= "), "\\ #a\\,b\\+c\\\"\\\\\\<\\>\\;\\=\\ ");
        assert_eq!(escape_dn("#a"), "\\#a");
        let hostile = "x)(|(objectClass=*";
        let sent = compile(&format!("(uid={})", escape(hostile))).expect("a filter");
        assert!(sent.ends_with(hostile.as_bytes()) && sent[0] == 0xa3, "one comparison: {sent:?}");
    }
}
