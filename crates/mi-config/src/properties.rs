//! Java `.properties` files: `file.properties`, registry sidecars, `config.properties`.

/// Keys and values in the order of the file; the last one of a key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties(Vec<(String, String)>);

impl Properties {
    /// Reads a file. Any text is one: a malformed `\u` escape is kept as it stands.
    pub fn parse(text: &str) -> Self {
        let mut entries = Vec::new();
        let mut lines = text.split(['\n', '\r']);
        while let Some(line) = lines.next() {
            let first = line.trim_start_matches(BLANKS);
            if first.is_empty() || first.starts_with(['#', '!']) {
                continue;
            }
            let mut logical = first.to_owned();
            while ends_in_odd_backslashes(&logical) {
                logical.pop();
                // A line may end in CR LF: the empty line between the two belongs to the end.
                let next = match lines.next() {
                    Some("") => lines.next(),
                    next => next,
                };
                let Some(next) = next else { break };
                logical.push_str(next.trim_start_matches(BLANKS));
            }
            entries.push(split_entry(&logical));
        }
        Self(entries)
    }

    /// Value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Keys and values in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Has it no entries?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

fn ends_in_odd_backslashes(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn split_entry(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && (matches!(c, '=' | ':') || BLANKS.contains(c));
        escaped = !escaped && *c == '\\';
        ends
    });
    let (key, rest) = line.split_at(end.map_or(line.len(), |(at, _)| at));
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANKS);
    (unescape(key), unescape(rest))
}

fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let after = &rest[at + 1..];
        let unit =
            after.strip_prefix('u').and_then(|hex| hex.get(..4)).and_then(|hex| u16::from_str_radix(hex, 16).ok());
        if at > 0 || unit.is_none() {
            flush(&mut units, &mut result);
        }
        result.push_str(&rest[..at]);
        if let Some(unit) = unit {
            units.push(unit);
            rest = &after[5..];
            continue;
        }
        let mut chars = after.chars();
        match chars.next() {
            Some('t') => result.push('\t'),
            Some('n') => result.push('\n'),
            Some('r') => result.push('\r'),
            Some('f') => result.push('\u{c}'),
            Some(other) => result.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    flush(&mut units, &mut result);
    result.push_str(rest);
    result
}

/// `\uD83D\uDE00` is one character in two units.
fn flush(units: &mut Vec<u16>, result: &mut String) {
    result.push_str(&String::from_utf16_lossy(units));
    units.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let got = Properties::parse(text);
        assert_eq!(got.iter().collect::<Vec<_>>(), expected, "{text:?}");
    }

    #[test]
    fn lines_separators_and_comments() {
        check(
            "a=1\nb: 2\r\nc 3\nd\n  # no\n! no\n e = f = g \n",
            &[("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", "f = g ")],
        );
    }

    #[test]
    fn escapes_and_continuations() {
        check("a\\ b=c\\\n   d\\\\\ne=\\u00e9\\n\\t\\q", &[("a b", "cd\\"), ("e", "é\n\tq")]);
        check("a=1\\\r\n  2\r\nb=3", &[("a", "12"), ("b", "3")]);
        check("smile=\\uD83D\\uDE00!", &[("smile", "😀!")]);
        check("k=\\u12", &[("k", "u12")]);
        check("a=\\", &[("a", "")]);
    }

    #[test]
    fn the_last_entry_of_a_key_counts() {
        let got = Properties::parse("a=1\na=2");
        assert_eq!((got.get("a"), got.get("b")), (Some("2"), None));
    }
}
