//! Java patterns that are searched for: finding a match anywhere, and `String#replaceAll` with its references to groups.
//! Patterns that must match the whole text are in `java_regex`.

use fancy_regex::{Captures, Regex};

use crate::java_regex::translate;

/// A pattern that is searched for.
#[derive(Debug)]
pub struct Search(Regex);

impl Search {
    /// Compiles a pattern. The error says what is wrong with it.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        let compiled = Regex::new(&translate(pattern));
        compiled.map(Self).map_err(|error| format!("Invalid regular expression {pattern}: {error}"))
    }

    /// Is there a match anywhere?
    pub fn is_found(&self, text: &str) -> bool {
        self.0.is_match(text).unwrap_or(false)
    }

    /// Splits as `String#split` does: no empty parts at the end, none in front for an empty match at the start.
    pub(crate) fn split(&self, text: &str) -> Vec<String> {
        let found = self.0.find_iter(text).map_while(Result::ok).map(|found| (found.start(), found.end()));
        let mut parts = Vec::new();
        let mut start = 0;
        for (from, to) in found {
            if to == 0 || (from == to && from == text.len()) {
                continue;
            }
            parts.push(text[start..from].to_owned());
            start = to;
        }
        if parts.is_empty() {
            return vec![text.to_owned()];
        }
        parts.push(text[start..].to_owned());
        while parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        parts
    }
    /// Replaces all matches; an empty one right behind another counts too. Errors: a reference to a group that the
    /// pattern does not have, and a pattern that backtracks beyond the limit.
    pub fn replace_all(&self, text: &str, replacement: &str) -> Result<String, String> {
        let mut out = String::with_capacity(text.len() + replacement.len());
        let (mut copied, mut from) = (0, 0);
        while from <= text.len() {
            let Some(found) = self.0.captures_from_pos(text, from).map_err(|error| error.to_string())? else { break };
            let Some(whole) = found.get(0) else { break };
            out.push_str(&text[copied..whole.start()]);
            self.expand(&found, replacement, &mut out)?;
            copied = whole.end();
            from = if whole.start() == whole.end() {
                whole.end() + text[whole.end()..].chars().next().map_or(1, char::len_utf8)
            } else {
                whole.end()
            };
        }
        out.push_str(&text[copied..]);
        Ok(out)
    }

    /// `$1`, `${name}`, and a backslash before what stands for itself. MI: `Matcher#appendReplacement`.
    fn expand(&self, found: &Captures<'_, str>, replacement: &str, out: &mut String) -> Result<(), String> {
        let mut rest = replacement;
        while let Some(at) = rest.find(['$', '\\']) {
            out.push_str(&rest[..at]);
            let special = &rest[at..];
            let behind = &special[1..];
            if special.starts_with('\\') {
                let literal = behind.chars().next().ok_or("character to be escaped is missing")?;
                out.push(literal);
                rest = &behind[literal.len_utf8()..];
            } else if let Some(named) = behind.strip_prefix('{') {
                let (name, after) = named.split_once('}').ok_or("named capturing group is missing trailing '}'")?;
                if !self.0.capture_names().flatten().any(|known| known == name) {
                    return Err(format!("No group with name {{{name}}}"));
                }
                out.push_str(found.name(name).map_or("", |it| it.as_str()));
                rest = after;
            } else {
                let (group, length) = self.group_number(behind)?;
                out.push_str(found.get(group).map_or("", |it| it.as_str()));
                rest = &behind[length..];
            }
        }
        out.push_str(rest);
        Ok(())
    }

    /// As many digits as still make a group of the pattern, one at least.
    fn group_number(&self, text: &str) -> Result<(usize, usize), String> {
        let digits = text.bytes().map_while(|byte| byte.is_ascii_digit().then(|| usize::from(byte - b'0')));
        let mut best = None;
        let mut number = 0_usize;
        for (index, digit) in digits.enumerate() {
            number = number.saturating_mul(10).saturating_add(digit);
            if number >= self.0.captures_len() {
                if index == 0 {
                    return Err(format!("No group {number}"));
                }
                break;
            }
            best = Some((number, index + 1));
        }
        best.ok_or_else(|| "Illegal group reference".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Search;

    #[track_caller]
    fn check(pattern: &str, text: &str, replacement: &str, expected: Result<&str, &str>) {
        let replaced = Search::compile(pattern).expect("valid pattern").replace_all(text, replacement);
        assert_eq!(replaced.as_deref().map_err(String::as_str), expected, "{pattern} {text} {replacement}");
    }

    #[test]
    fn replaces_as_java_does() {
        check("https", "https", "http", Ok("http"));
        check(".*", "abc", "X", Ok("XX"));
        check("x*", "ab", "-", Ok("-a-b-"));
        check(r"\w.*", "/services/a", "b", Ok("/b"));
        check("(a)(b)?", "abac", "[$1$2]", Ok("[ab][a]c"));
        check("(a)", "a", "$10", Ok("a0"));
        check("(?<n>a)", "a", r"${n}\$1", Ok("a$1"));
        check("(?=b)", "ab", "-", Ok("a-b"));
        check("\u{e4}", "x\u{e4}y", "a", Ok("xay"));
    }

    #[test]
    fn splits_as_java_does() {
        for (text, pattern, expected) in [
            ("a,b,,c,,", ",", &["a", "b", "", "c"][..]),
            ("abc", "", &["a", "b", "c"]),
            ("", ",", &[""]),
            (",,", ",", &[]),
            ("a.b", "\\Q.\\E", &["a", "b"]),
            ("aXbxc", "(?i)x", &["a", "b", "c"]),
            ("a1b2", "(?<=\\d)", &["a1", "b2"]),
        ] {
            assert_eq!(Search::compile(pattern).expect("valid pattern").split(text), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn wrong_references() {
        check("a", "a", "$1", Err("No group 1"));
        check("a", "a", "$x", Err("Illegal group reference"));
        check("a", "a", "${n}", Err("No group with name {n}"));
        check("a", "b", "$1", Ok("b"));
    }
}
