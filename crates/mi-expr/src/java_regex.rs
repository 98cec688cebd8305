//! Regular expressions as Java writes them: the fast engine where it suffices, the backtracking one for look-around,
//! back references and possessive quantifiers.

use regex::RegexBuilder;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Regex {
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Fast(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

impl Regex {
    /// Compiles a pattern for full matches with the flags of Jayway (`i`, `s`, `m`, `x`, `u`, `d`, `U`).
    pub(crate) fn with_flags(pattern: &str, flags: &str) -> Result<Self, String> {
        let known: String = flags.chars().filter(|flag| "ismx".contains(*flag)).collect();
        let prefix = if known.is_empty() { String::new() } else { format!("(?{known})") };
        Self::compile(&format!("{prefix}\\A(?:{})\\z", translate(pattern)))
    }

    /// Compiles a pattern that is searched for.
    pub(crate) fn search(pattern: &str) -> Result<Self, String> {
        Self::compile(&translate(pattern))
    }

    fn compile(pattern: &str) -> Result<Self, String> {
        if let Ok(fast) = RegexBuilder::new(pattern).size_limit(4 << 20).build() {
            return Ok(Self { engine: Engine::Fast(fast) });
        }
        match fancy_regex::Regex::new(pattern) {
            Ok(regex) => Ok(Self { engine: Engine::Backtracking(regex) }),
            Err(error) => Err(format!("Invalid regular expression {pattern}: {error}")),
        }
    }

    /// True when the pattern (compiled by [`Regex::with_flags`]) fits the whole text. A pattern that backtracks
    /// beyond the limit does not match.
    pub(crate) fn is_full_match(&self, text: &str) -> bool {
        match &self.engine {
            Engine::Fast(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// Splits as `String#split` does: no empty parts at the end, none in front for an empty match at the start.
    pub(crate) fn split(&self, text: &str) -> Vec<String> {
        let matches: Vec<(usize, usize)> = match &self.engine {
            Engine::Fast(regex) => regex.find_iter(text).map(|found| (found.start(), found.end())).collect(),
            Engine::Backtracking(regex) => {
                regex.find_iter(text).map_while(Result::ok).map(|found| (found.start(), found.end())).collect()
            }
        };
        let mut parts = Vec::new();
        let mut start = 0;
        for (from, to) in matches {
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
}

/// Writes `\Q…\E` out, which the engines here do not know.
fn translate(pattern: &str) -> String {
    let Some((before, quoted)) = pattern.split_once("\\Q") else { return pattern.to_owned() };
    let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
    let mut out = before.to_owned();
    out.push_str(&regex::escape(literal));
    let mut rest = after;
    while let Some((before, quoted)) = rest.split_once("\\Q") {
        let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
        out.push_str(before);
        out.push_str(&regex::escape(literal));
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::Regex;

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
            assert_eq!(Regex::search(pattern).expect("a pattern").split(text), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn full_matches_take_flags() {
        assert!(Regex::with_flags(".*tolkien", "i").expect("a pattern").is_full_match("J.R.R. Tolkien"));
        assert!(!Regex::with_flags("a", "").expect("a pattern").is_full_match("ab"));
        assert!(Regex::with_flags("(a)\\1", "").expect("a pattern").is_full_match("aa"));
        assert!(Regex::with_flags("(", "").is_err());
    }
}
