//! Regular expressions of configurations, which are written for Java: the linear engine where it suffices, the
//! backtracking one for look-around, back references and possessive quantifiers.

use mi_config::{Diagnostic, Element};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct JavaRegex {
    /// Anchored at both ends, for [`JavaRegex::full_match`].
    full: Engine,
}

#[derive(Debug)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

impl JavaRegex {
    /// Compiles a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        let pattern = translate(pattern);
        let anchored = format!(r"\A(?:{pattern})\z");
        if let Ok(linear) = regex::RegexBuilder::new(&anchored).size_limit(8 << 20).build() {
            return Ok(Self { full: Engine::Linear(linear) });
        }
        match fancy_regex::Regex::new(&anchored) {
            Ok(regex) => Ok(Self { full: Engine::Backtracking(regex) }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The pattern in the attribute `attr` of `el`.
    pub(crate) fn of_attr(el: &Element, attr: &str) -> Result<Option<Self>, Diagnostic> {
        let Some(pattern) = el.attr(attr) else { return Ok(None) };
        Self::new(&pattern).map(Some).map_err(|error| {
            el.error(format!("attribute '{attr}' is not a valid regular expression: '{pattern}': {error}"))
        })
    }

    /// True when the whole text matches. A pattern that backtracks beyond the limit matches nothing.
    pub(crate) fn is_full_match(&self, text: &str) -> bool {
        match &self.full {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// Number of groups, without the whole match.
    pub(crate) fn group_count(&self) -> usize {
        match &self.full {
            Engine::Linear(regex) => regex.captures_len() - 1,
            Engine::Backtracking(regex) => regex.captures_len() - 1,
        }
    }

    /// What group `group` holds when the whole text matches. `None` without a match, and for a group that took no part
    /// in it.
    pub(crate) fn full_match_group<'t>(&self, text: &'t str, group: usize) -> Option<&'t str> {
        match &self.full {
            Engine::Linear(regex) => regex.captures(text)?.get(group).map(|found| found.as_str()),
            Engine::Backtracking(regex) => regex.captures(text).ok().flatten()?.get(group).map(|found| found.as_str()),
        }
    }
}

/// Writes `\Q…\E` out, which the engines here do not know.
pub(crate) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, quoted)) = rest.split_once(r"\Q") {
        out.push_str(before);
        let (literal, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
        out.push_str(&regex::escape(literal));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::JavaRegex;

    #[track_caller]
    fn check(pattern: &str, text: &str, matches: bool) {
        assert_eq!(JavaRegex::new(pattern).expect("valid pattern").is_full_match(text), matches);
    }

    #[test]
    fn the_whole_text_must_match() {
        check("IBM", "IBM", true);
        check("IBM", "IBM2", false);
        check("a|ab", "ab", true);
        check(".*", "a\nb", false);
        check("(?s).*", "a\nb", true);
        check(r"(\w)\1", "aa", true);
        check(r"(?!x)\w++", "ab", true);
        check(r"\Qa.b\E+", "a.bb", true);
        check(r"\Qa.b", "axb", false);
    }

    #[test]
    fn groups() {
        let regex = JavaRegex::new("(a)(b)?").expect("valid pattern");
        assert_eq!(regex.group_count(), 2);
        assert_eq!(regex.full_match_group("ab", 1), Some("a"));
        assert_eq!(regex.full_match_group("a", 2), None);
        assert_eq!(regex.full_match_group("x", 0), None);
    }
}
