//! Regular expressions as Java writes them, for whole texts: the linear engine where it suffices, the backtracking one
//! for look-around, back references and possessive quantifiers. Patterns that are searched for are in `java_search`.

/// A regular expression that the whole of a text must fit. MI: `String#matches`.
#[derive(Debug)]
pub struct FullMatch(Engine);

#[derive(Debug)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

impl FullMatch {
    /// Compiles a pattern. The error says what is wrong with it.
    pub fn compile(pattern: &str) -> Result<Self, String> {
        Self::with_flags(pattern, "")
    }

    /// Compiles a pattern with the flags of Jayway (`i`, `s`, `m`, `x`; others change nothing here).
    pub(crate) fn with_flags(pattern: &str, flags: &str) -> Result<Self, String> {
        let known: String = flags.chars().filter(|flag| "ismx".contains(*flag)).collect();
        let prefix = if known.is_empty() { String::new() } else { format!("(?{known})") };
        let anchored = format!(r"{prefix}\A(?:{})\z", translate(pattern));
        if let Ok(linear) = regex::RegexBuilder::new(&anchored).size_limit(8 << 20).build() {
            return Ok(Self(Engine::Linear(linear)));
        }
        fancy_regex::Regex::new(&anchored)
            .map(|regex| Self(Engine::Backtracking(regex)))
            .map_err(|error| format!("Invalid regular expression {pattern}: {error}"))
    }

    /// True when the whole of `text` fits. A pattern that backtracks beyond the limit fits nothing.
    pub fn fits(&self, text: &str) -> bool {
        match &self.0 {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// Number of groups, without the whole match.
    pub fn group_count(&self) -> usize {
        match &self.0 {
            Engine::Linear(regex) => regex.captures_len() - 1,
            Engine::Backtracking(regex) => regex.captures_len() - 1,
        }
    }

    /// What group `group` holds when the whole text fits. `None` when it does not, and for a group that took no part.
    pub fn group<'t>(&self, text: &'t str, group: usize) -> Option<&'t str> {
        match &self.0 {
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
    use super::FullMatch;

    #[test]
    fn flags_are_those_of_jayway() {
        let fits = |pattern: &str, flags: &str, text: &str| {
            FullMatch::with_flags(pattern, flags).is_ok_and(|it| it.fits(text))
        };
        assert!(fits(".*tolkien", "i", "J.R.R. Tolkien"));
        assert!(!fits("a", "", "ab"));
        assert!(fits("(a)\\1", "", "aa"));
        assert!(FullMatch::with_flags("(", "").is_err());
    }

    #[track_caller]
    fn check(pattern: &str, text: &str, matches: bool) {
        assert_eq!(FullMatch::compile(pattern).expect("valid pattern").fits(text), matches);
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
        let regex = FullMatch::compile("(a)(b)?").expect("valid pattern");
        assert_eq!(regex.group_count(), 2);
        assert_eq!(regex.group("ab", 1), Some("a"));
        assert_eq!(regex.group("a", 2), None);
        assert_eq!(regex.group("x", 0), None);
    }
}
